//! What the native API is, for programs of any language: its OpenAPI document, and the JSON Schema of manifests.
//!
//! Both are kept by hand in `docs/reference/` and compiled in; a test holds them against what [`native`] reads.

use crate::aws::fault::Fault;
use crate::http::{Request, Response};
use crate::native;

/// The documents by the paths at which everybody reads them, signed or not.
///
/// The first refers to the second by its last part, so they stay beside each other.
pub const DOCUMENTS: [(&str, &str); 2] = [
    ("/v1/openapi.json", include_str!("../../../docs/reference/openapi.json")),
    ("/v1/manifest.schema.json", include_str!("../../../docs/reference/manifest.schema.json")),
];

/// The answer, where the request is for one of the documents: the document, or 405 for another method than GET.
pub fn answer(request: &Request, request_id: &str) -> Option<Response> {
    let (_, text) = DOCUMENTS.iter().find(|(path, _)| *path == request.path)?;
    if request.method != "GET" {
        let text = format!("Expected GET; found {}.", request.method);
        return Some(native::refusal(&Fault::new("MethodNotAllowed", 405, text), request_id));
    }
    Some(native::respond(200, text, request_id))
}

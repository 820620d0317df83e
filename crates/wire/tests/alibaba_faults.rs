//! Faults of Alibaba Cloud's dialect that no client can bring about at will, with status, code and text.
#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use iam::error::Error;
use iam::operations::Operation;
use wire::alibaba::fault::{fault, token_fault};
use wire::alibaba::refusal;
use wire::http::Request;

#[test]
fn what_is_ours_or_of_the_moment_is_told_as_the_vendor_tells_it() {
    let internal = ("InternalError", 500, "An internal error occurred.");
    for (error, (code, status, text)) in [
        (Error::Internal("a secret of ours"), internal),
        (Error::ReservedPath, internal),
        (
            Error::TooManyRequests,
            ("Throttling.User", 400, "Request was denied due to user flow control."),
        ),
        (
            Error::SessionExpired,
            ("InvalidSecurityToken.Expired", 400, "Specified SecurityToken is expired."),
        ),
        (
            Error::SessionTooLarge(120),
            (
                "InvalidParameter.PolicySize",
                400,
                "The size of Policy must be smaller than 1024 bytes.",
            ),
        ),
    ] {
        let found = fault(Operation::AssumeRole, &error);
        assert_eq!(
            (found.code.as_str(), found.status, found.message.as_str()),
            (code, status, text)
        );
        if !matches!(error, Error::SessionExpired) {
            let by_token = token_fault(&error);
            assert_eq!((by_token.code.as_str(), by_token.status), (code, status));
        }
    }
}

#[test]
fn a_refusal_has_the_vendors_members_and_nothing_of_ours() {
    let request = Request {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        query: String::new(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let found = fault(Operation::GetRole, &Error::Internal("a secret of ours"));
    let answer = refusal(&found, None, &request, "0a-1b");
    assert_eq!(answer.status, 500);
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let expected = serde_json::json!({
        "RequestId": "0A-1B",
        "HostId": "linkrole",
        "Code": "InternalError",
        "Message": "An internal error occurred.",
        "Recommend": "",
    });
    assert_eq!(body, expected);
}

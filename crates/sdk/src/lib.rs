//! What a linked service links against: signed calls to linkrole, callers' requests forwarded to
//! it, and a small HTTP server to receive them.
//!
//! It depends on no crate of the server; it knows the server's wire and nothing else. Not here:
//! retries of what may have happened, a cache of decisions (every request is decided anew), and
//! TLS for what a service serves (put a proxy before it, or serve on one host).
//!
//! # A linked service, from start to end
//!
//! The operator enrols the service (`linkrole service enrol shelf.example.com`) and hands over a
//! one-time token. On its first start the service registers its manifest with the token and keeps
//! the credentials it gets; later starts load them. Then it serves: each request it receives is
//! signed by its caller, and the service shows linkrole the signed parts to learn who called and
//! whether they may.
//!
//! ```no_run
//! use sdk::http::{Request, Response};
//! use sdk::{Context, Service};
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let manifest = serde_json::json!({
//!     "service": "shelf.example.com",
//!     "display_name": "Example Shelf",
//!     "signing_names": ["shelf"],
//!     "hosts": ["127.0.0.1:9300"],
//!     "regions": ["local-1"],
//!     "usage": "registry",
//!     "role": [{
//!         "name": "ExampleShelf",
//!         "policy_name": "ExampleShelfServiceRolePolicy",
//!         "policy": { "Version": "2012-10-17", "Statement": [
//!             { "Effect": "Allow", "Action": "storage:GetObject", "Resource": "*" }
//!         ] },
//!     }],
//! });
//! let service = Service::open(
//!     "http://127.0.0.1:4680",
//!     Path::new("data/credentials.json"),
//!     Some(Path::new("token")),
//!     &manifest,
//! )
//! .await?;
//! let service = Arc::new(service);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9300").await?;
//! sdk::http::serve(listener, move |request: Request| {
//!     let service = service.clone();
//!     async move { create(&service, &request).await.unwrap_or_else(|e| Response::of(&e)) }
//! })
//! .await?;
//! # Ok(())
//! # }
//!
//! async fn create(service: &Service, request: &Request) -> Result<Response, sdk::Error> {
//!     let caller = request.forwarded()?;
//!     // May the caller make a shelf in its account?
//!     let arn = |account: &str| format!("arn:aws:shelf:local-1:{account}:shelf/one");
//!     let (decision, account) =
//!         service.authorize_own(&caller, "shelf:CreateShelf", arn, &Context::new()).await?;
//!     if !decision.allowed {
//!         return Ok(Response::denied(&decision));
//!     }
//!     // The service's role in that account: made now, in the caller's name, unless it is there.
//!     let role = service.ensure(&caller, "shelf.example.com", None).await?;
//!     // The use is told before the resource exists, so that the role cannot go from under it.
//!     service.register_usage(&account, &role.id, "local-1", &arn(&account)).await?;
//!     // … the shelf is made here. Later, work is done with the role, not with own rights:
//!     let _session = service.assume_role(&role.arn, "shelf-work", 900).await?;
//!     Ok(Response::json(200, &serde_json::json!({ "shelf": "one" })))
//! }
//! ```
//!
//! The order of the last steps is the service's duty: a use is registered *before* its resource is
//! made and removed *after* it is gone. A crash in between leaves a use too many, never one too
//! few; [`Service::reconcile_usage`] at the next start removes it.

pub mod asked;
mod client;
mod clock;
mod credentials;
mod error;
pub mod files;
mod forwarded;
pub mod http;
mod proved;
mod service;
pub mod sign;
pub mod sign_acs;
mod tls;
mod xml;

pub use client::{Answer, Call, Client, Form, Operation, REGION};
pub use credentials::{Credentials, Secret};
pub use error::{Error, Refusal};
pub use forwarded::Forwarded;
pub use service::{
    Caller, Context, Decision, Role, Service, Session, Usage, UsageChange, UsageList,
};
pub use xml::text as xml_text;

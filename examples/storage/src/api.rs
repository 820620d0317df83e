//! The API: which request is which action on which resource, and its answer. Every request is
//! shown to linkrole first; nothing is read or written for a caller who may not.

use crate::objects::{Objects, is_key};
use sdk::http::{Request, Response};
use sdk::{Context, Error, Service};
use serde_json::json;
use std::io;
use std::io::Write;

/// The name that callers sign with; its actions begin with it.
pub const SIGNING_NAME: &str = "storage";
/// Where the objects are.
pub const REGION: &str = "local-1";

/// The service: who may (asked of linkrole) and what there is (on disk).
pub struct Api {
    /// Asks linkrole.
    pub service: Service,
    /// Keeps the objects.
    pub objects: Objects,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    Put(String),
    Get(String),
    Delete(String),
    List,
}

impl Route {
    fn of(request: &Request) -> Result<Self, Response> {
        if request.path == "/objects" {
            return match request.method.as_str() {
                "GET" => Ok(Self::List),
                other => Err(no_method("GET", other)),
            };
        }
        let nothing = || {
            Response::error(
                404,
                "NotFound",
                "expected /objects or /objects/KEY; found another path",
            )
        };
        let key = request.path.strip_prefix("/objects/").ok_or_else(nothing)?;
        let key = sdk::sign::percent_decode(key).filter(|key| is_key(key)).ok_or_else(|| {
            let text = "expected a key of 1 to 200 letters, digits and -_.=+@,:/~; found another";
            Response::error(400, "InvalidKey", text)
        })?;
        match request.method.as_str() {
            "PUT" => Ok(Self::Put(key)),
            "GET" => Ok(Self::Get(key)),
            "DELETE" => Ok(Self::Delete(key)),
            other => Err(no_method("PUT, GET or DELETE", other)),
        }
    }

    fn action(&self) -> &'static str {
        match self {
            Self::Put(_) => "storage:PutObject",
            Self::Get(_) => "storage:GetObject",
            Self::Delete(_) => "storage:DeleteObject",
            Self::List => "storage:ListObjects",
        }
    }

    fn resource(&self, account: &str) -> String {
        let key = match self {
            Self::Put(key) | Self::Get(key) | Self::Delete(key) => key.as_str(),
            Self::List => "*",
        };
        format!("arn:aws:storage:{REGION}:{account}:object/{key}")
    }
}

fn no_method(expected: &str, found: &str) -> Response {
    Response::error(405, "MethodNotAllowed", &format!("expected {expected}; found {found}"))
}

impl Api {
    /// Answers one request.
    pub async fn answer(&self, request: &Request) -> Response {
        match Route::of(request) {
            Ok(route) => self.run(route, request).await.unwrap_or_else(|e| Response::of(&e)),
            Err(refusal) => refusal,
        }
    }

    async fn run(&self, route: Route, request: &Request) -> Result<Response, Error> {
        let caller = request.forwarded()?;
        let resource = |account: &str| route.resource(account);
        let context = Context::new();
        let asked = self.service.authorize_own(&caller, route.action(), resource, &context);
        let (decision, account) = asked.await?;
        if !decision.allowed {
            return Ok(Response::denied(&decision));
        }
        let (objects, body) = (self.objects.clone(), request.body.clone());
        let done = tokio::task::spawn_blocking(move || act(&objects, &account, &route, &body));
        Ok(match done.await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => failed(&error.to_string()),
            Err(error) => failed(&error.to_string()),
        })
    }
}

fn act(objects: &Objects, account: &str, route: &Route, body: &[u8]) -> io::Result<Response> {
    let missing = |key: &str| {
        Response::error(404, "NoSuchObject", &format!("expected an object at {key}; found none"))
    };
    Ok(match route {
        Route::Put(key) => {
            objects.put(account, key, body)?;
            Response::json(200, &json!({ "key": key, "size": body.len() }))
        }
        Route::Get(key) => match objects.get(account, key)? {
            Some(bytes) => Response::bytes(200, bytes),
            None => missing(key),
        },
        Route::Delete(key) if objects.delete(account, key)? => {
            Response::json(200, &json!({ "key": key }))
        }
        Route::Delete(key) => missing(key),
        Route::List => Response::json(200, &json!({ "objects": objects.list(account)? })),
    })
}

/// The operator reads why; the caller does not.
fn failed(why: &str) -> Response {
    let _ = writeln!(io::stderr(), "example-storage: {why}");
    Response::error(500, "InternalFailure", "The storage failed; its operator's log has more.")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    fn route(method: &str, path: &str) -> Result<Route, u16> {
        let request =
            Request { method: method.to_owned(), path: path.to_owned(), ..Request::default() };
        Route::of(&request).map_err(|response| response.status)
    }

    #[test]
    fn requests_are_routed() {
        assert_eq!(route("GET", "/objects"), Ok(Route::List));
        assert_eq!(route("PUT", "/objects/a"), Ok(Route::Put("a".to_owned())));
        assert_eq!(route("GET", "/objects/a/b"), Ok(Route::Get("a/b".to_owned())));
        assert_eq!(route("GET", "/objects/a%2Fb"), Ok(Route::Get("a/b".to_owned())));
        assert_eq!(route("DELETE", "/objects/a"), Ok(Route::Delete("a".to_owned())));
        assert_eq!(route("POST", "/objects/a"), Err(405));
        assert_eq!(route("PUT", "/objects"), Err(405));
        assert_eq!(route("GET", "/objects/"), Err(400));
        assert_eq!(route("GET", "/objects/%2A"), Err(400));
        assert_eq!(route("GET", "/objects/%zz"), Err(400));
        assert_eq!(route("GET", "/"), Err(404));
        assert_eq!(route("GET", "/objectsx"), Err(404));
    }

    #[test]
    fn an_action_is_on_the_objects_own_name() {
        let get = route("GET", "/objects/a/b").unwrap();
        assert_eq!(get.action(), "storage:GetObject");
        assert_eq!(get.resource("123456789012"), "arn:aws:storage:local-1:123456789012:object/a/b");
        assert_eq!(
            Route::List.resource("123456789012"),
            "arn:aws:storage:local-1:123456789012:object/*"
        );
    }

    #[test]
    fn objects_are_written_listed_read_and_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(dir.path()).unwrap();
        let act = |method: &str, path: &str, body: &[u8]| {
            act(&objects, "123456789012", &route(method, path).unwrap(), body).unwrap()
        };
        assert_eq!(act("GET", "/objects/a", b"").status, 404);
        assert_eq!(act("PUT", "/objects/a", b"data").status, 200);
        assert_eq!(act("GET", "/objects/a", b"").body, "data");
        assert_eq!(act("GET", "/objects", b"").body, r#"{"objects":["a"]}"#);
        assert_eq!(act("DELETE", "/objects/a", b"").status, 200);
        assert_eq!(act("DELETE", "/objects/a", b"").status, 404);
    }
}

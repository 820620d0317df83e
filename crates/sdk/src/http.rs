//! A small HTTP/1.1 server for linked services: whole requests in, whole answers out, a limit on
//! everything, and an orderly end at SIGTERM or SIGINT. Not here: routing, TLS, streams.

use crate::error::Error;
use crate::forwarded::Forwarded;
use crate::service::Decision;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Bytes of a request's body.
pub const BODY_MAX: usize = 1 << 20;
/// Time for the line and headers of a request; also how long a connection may rest.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Time for a body.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Bytes of a request's line and headers.
const HEAD_MAX: usize = 64 << 10;
/// Connections at one time.
const CONNECTIONS: usize = 256;
/// Time that requests under way are given at the end.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// One request as it arrived, whole.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path, raw as sent.
    pub path: String,
    /// The query, raw as sent, without the question mark.
    pub query: String,
    /// The headers in the order of arrival; names are lower-case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// The value of a header that stands exactly once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(held, _)| held == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// The signed parts, to be shown to linkrole.
    ///
    /// Errors: [`Error::Unsigned`].
    pub fn forwarded(&self) -> Result<Forwarded, Error> {
        Forwarded::new(&self.method, &self.path, &self.query, &self.headers, &self.body)
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The type of the body.
    pub content_type: &'static str,
    /// More headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// An answer in JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        let body = Bytes::from(body.to_string());
        Self { status, content_type: "application/json", headers: Vec::new(), body }
    }

    /// Bytes of no known type.
    pub fn bytes(status: u16, body: Vec<u8>) -> Self {
        let body = Bytes::from(body);
        Self { status, content_type: "application/octet-stream", headers: Vec::new(), body }
    }

    /// An error, in the form that linkrole's native API has too.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({ "error": { "code": code, "message": message } }))
    }

    /// The answer to a caller who may not, with linkrole's own text.
    pub fn denied(decision: &Decision) -> Self {
        Self::error(403, "AccessDenied", &decision.message)
    }

    /// The answer to a caller whose request failed at linkrole: linkrole's refusal as it is, and
    /// 503 when linkrole cannot be asked, since nothing is decided without it.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Refused(refusal) if (400..500).contains(&refusal.status) => {
                Self::error(refusal.status, &refusal.code, &refusal.message)
            }
            Error::Unsigned(_) => {
                Self::error(403, "MissingAuthenticationToken", &error.to_string())
            }
            Error::Refused(_) | Error::Unreachable { .. } | Error::Broken { .. } => {
                let text = format!("linkrole cannot be asked now; try again. {error}");
                Self::error(503, "ServiceUnavailable", &text)
            }
            Error::Answer { .. } | Error::Argument(_) | Error::File { .. } => Self::error(
                500,
                "InternalFailure",
                "The service failed; its operator's log has more.",
            ),
        }
    }
}

/// Serves until SIGTERM or SIGINT, then lets requests under way end.
///
/// Errors: when the signals cannot be listened for. A connection that fails ends alone.
pub async fn serve<H, F>(listener: TcpListener, handler: H) -> io::Result<()>
where
    H: Fn(Request) -> F + Clone + Send + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = watch::channel(false);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut tasks = JoinSet::new();
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|(stream, _)| (stream, place))
        };
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            accepted = accepted => match accepted {
                Ok((stream, place)) => {
                    let work = connection(stream, handler.clone(), stopped.clone());
                    tasks.spawn(async move { work.await; drop(place) });
                }
                // Out of file descriptors or the like: a little rest instead of spinning.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
        while tasks.try_join_next().is_some() {}
    }
    drop(listener);
    let _ = stop.send(true);
    let drained = async { while tasks.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN_TIME, drained).await;
    Ok(())
}

async fn connection<H, F>(stream: TcpStream, handler: H, mut stopped: watch::Receiver<bool>)
where
    H: Fn(Request) -> F + Clone + Send + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(answer(request, handler).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

async fn answer<H, F>(request: hyper::Request<Incoming>, handler: H) -> hyper::Response<Full<Bytes>>
where
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    match read(request).await {
        Ok(request) => built(handler(request).await),
        Err(refusal) => {
            let mut response = built(refusal);
            // What is left of the request is not read.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

async fn read(request: hyper::Request<Incoming>) -> Result<Request, Response> {
    let bad = |text: &str| Response::error(400, "BadRequest", text);
    let large = || Response::error(413, "RequestTooLarge", "expected a body of at most 1 MiB");
    let (head, body) = request.into_parts();
    if head.uri.authority().is_some() {
        return Err(bad("expected a path; found an absolute address"));
    }
    let mut headers = Vec::with_capacity(head.headers.len());
    for (name, value) in &head.headers {
        let value = value.to_str().map_err(|_| bad("expected headers of plain text"))?;
        headers.push((name.as_str().to_owned(), value.to_owned()));
    }
    let body = Limited::new(body, BODY_MAX).collect();
    let body = match tokio::time::timeout(BODY_TIME, body).await {
        Err(_) => {
            return Err(Response::error(408, "RequestTimeout", "the body did not come in time"));
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(large()),
        Ok(Err(_)) => return Err(bad("the body did not come whole")),
        Ok(Ok(body)) => body.to_bytes(),
    };
    Ok(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers,
        body,
    })
}

fn built(response: Response) -> hyper::Response<Full<Bytes>> {
    let mut built = hyper::Response::new(Full::new(response.body));
    *built.status_mut() = hyper::StatusCode::from_u16(response.status)
        .unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let kind = HeaderValue::from_static(response.content_type);
    built.headers_mut().insert(CONTENT_TYPE, kind);
    for (name, value) in response.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            built.headers_mut().insert(name, value);
        }
    }
    built
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refusal;

    #[test]
    fn errors_keep_linkroles_words_and_hide_our_own() {
        let refused = |status| {
            Response::of(&Error::Refused(Box::new(Refusal {
                status,
                code: "SignatureDoesNotMatch".to_owned(),
                message: "no".to_owned(),
                request_id: None,
            })))
        };
        assert_eq!(refused(403), Response::error(403, "SignatureDoesNotMatch", "no"));
        assert_eq!(refused(500).status, 503);
        let away = Error::Unreachable { place: "http://a".to_owned(), why: "refused".to_owned() };
        assert_eq!(Response::of(&away).status, 503);
        assert_eq!(Response::of(&Error::Unsigned("none")).status, 403);
        assert_eq!(Response::of(&Error::Argument("x".to_owned())).status, 500);
    }

    #[test]
    fn a_header_counts_only_when_it_stands_once() {
        let line = |name: &str| (name.to_owned(), "x".to_owned());
        let request =
            Request { headers: vec![line("a"), line("b"), line("b")], ..Request::default() };
        assert_eq!(request.header("a"), Some("x"));
        assert_eq!(request.header("b"), None);
    }
}

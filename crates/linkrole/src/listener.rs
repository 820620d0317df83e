//! Sockets: TCP for everybody, a Unix socket for the operator, with a limit on everything.
//!
//! A slow, oversized or silent peer costs a bounded amount of memory and time. Not here: what a
//! request means ([`crate::server`]).

use crate::server::{Peer, Server};
use crate::tls::{FIRST_BYTE, Tls};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use store::Store;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

/// Bytes of a request's body.
pub const BODY_MAX: usize = 1 << 20;
/// Bytes of a request's line and headers.
pub const HEAD_MAX: usize = 64 << 10;
/// Headers of a request.
pub const HEADERS_MAX: usize = 100;
/// Time for the line and headers of a request; also how long a connection may rest.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// Time for a body.
pub const BODY_TIME: Duration = Duration::from_secs(30);
/// Time in which a peer must take some of an answer.
pub const WRITE_TIME: Duration = Duration::from_secs(30);
/// Connections at one time.
const CONNECTIONS: usize = 1_024;
/// Connections of the operator at one time.
const OPERATOR_CONNECTIONS: usize = 16;
/// Time that requests under way are given at the end.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// The places where the server listens.
pub struct Listeners {
    /// For everybody.
    pub tcp: TcpListener,
    /// How everybody is spoken to in TLS, if at all.
    pub tls: Option<Tls>,
    /// For the operator.
    pub operator: Option<UnixListener>,
}

/// Serves until `stop` says so, then lets requests under way end.
pub async fn serve<S: Store>(
    server: Arc<Server<S>>,
    listeners: Listeners,
    mut stop: watch::Receiver<bool>,
) {
    // The operator has places of its own: a flood from outside does not lock it out.
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let operator_places = Arc::new(Semaphore::new(OPERATOR_CONNECTIONS));
    let mut tasks = JoinSet::new();
    let inside = stop.clone();
    loop {
        tokio::select! {
            () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
            accepted = accept(&places, listeners.tcp.accept()) => match accepted {
                Ok((place, (stream, from))) => {
                    let _ = stream.set_nodelay(true);
                    let peer = Peer { ip: Some(from.ip()), operator: false, tls: false, certificate: None };
                    let tls = listeners.tls.clone();
                    let work = everybody(server.clone(), stream, tls, peer, inside.clone());
                    tasks.spawn(async move { work.await; drop(place) });
                }
                Err(error) => pause(&error).await,
            },
            accepted = accept_operator(&operator_places, listeners.operator.as_ref()) => match accepted {
                Ok((place, stream)) => {
                    let peer = Peer { ip: None, operator: true, tls: false, certificate: None };
                    let work = connection(server.clone(), stream, peer, inside.clone());
                    tasks.spawn(async move { work.await; drop(place) });
                }
                Err(error) => pause(&error).await,
            },
        }
        while tasks.try_join_next().is_some() {}
    }
    drop(listeners);
    let _ = tokio::time::timeout(DRAIN_TIME, async { while tasks.join_next().await.is_some() {} })
        .await;
}

/// A connection of everybody's: what its first byte says it speaks, where that is taken.
async fn everybody<S: Store>(
    server: Arc<Server<S>>,
    stream: TcpStream,
    tls: Option<Tls>,
    peer: Peer,
    stop: watch::Receiver<bool>,
) {
    let Some(tls) = tls else { return connection(server, stream, peer, stop).await };
    let mut first = [0];
    // Who connects and says nothing holds its place no longer than who sends half a header.
    let peeked = tokio::time::timeout(HEAD_TIME, stream.peek(&mut first)).await;
    if !matches!(peeked, Ok(Ok(1))) {
        return;
    }
    if first == [FIRST_BYTE] {
        let shaken = tokio::time::timeout(HEAD_TIME, tls.acceptor.accept(stream)).await;
        if let Ok(Ok(stream)) = shaken {
            let certificate = crate::tls::client_certificate(&stream);
            connection(server, stream, Peer { tls: true, certificate, ..peer }, stop).await;
        }
    } else if tls.allows_plain {
        connection(server, stream, peer, stop).await;
    } else {
        refuse_plain(stream).await;
    }
}

/// Tells who speaks plain HTTP to a server of TLS what is expected, without reading the request.
async fn refuse_plain(mut stream: TcpStream) {
    let text = "this server speaks TLS; use https\n";
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    let told = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(WRITE_TIME, told).await;
}

/// Waits for a place, then for a connection.
async fn accept<T>(
    places: &Arc<Semaphore>,
    connection: impl Future<Output = io::Result<T>>,
) -> io::Result<(OwnedSemaphorePermit, T)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    Ok((place, connection.await?))
}

async fn accept_operator(
    places: &Arc<Semaphore>,
    listener: Option<&UnixListener>,
) -> io::Result<(OwnedSemaphorePermit, tokio::net::UnixStream)> {
    match listener {
        Some(listener) => {
            accept(places, async { listener.accept().await.map(|(stream, _)| stream) }).await
        }
        None => std::future::pending().await,
    }
}

/// Out of file descriptors or the like: waits a little instead of spinning.
async fn pause(error: &io::Error) {
    tracing::warn!(%error, "a connection was not accepted");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

async fn connection<S: Store>(
    server: Arc<Server<S>>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| {
        let (server, peer) = (server.clone(), peer.clone());
        async move { Ok::<_, Infallible>(answer(&server, request, &peer).await) }
    });
    let guarded = TokioIo::new(StallGuard { stream, stalled: None });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(guarded, service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

async fn answer<S: Store>(
    server: &Arc<Server<S>>,
    request: hyper::Request<Incoming>,
    peer: &Peer,
) -> hyper::Response<Full<Bytes>> {
    match read(request).await {
        Ok(request) => respond(server.respond(request, peer).await),
        Err((status, text)) => {
            let mut response = respond(wire::http::Response {
                status,
                headers: vec![("content-type", "text/plain; charset=utf-8".to_owned())],
                body: format!("{text}\n").into_bytes(),
            });
            // What is left of the request is not read.
            response
                .headers_mut()
                .insert(hyper::header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

type Refusal = (u16, &'static str);

/// Takes a request in, whole and within limits, or refuses it before it costs anything.
async fn read(request: hyper::Request<Incoming>) -> Result<wire::http::Request, Refusal> {
    let (head, body) = request.into_parts();
    if head.uri.authority().is_some() {
        return Err((400, "expected a path; found an absolute address"));
    }
    if head.headers.contains_key(hyper::header::CONTENT_ENCODING) {
        return Err((415, "compressed requests are not taken"));
    }
    let length = head.headers.get(hyper::header::CONTENT_LENGTH);
    let length = length.and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<usize>().ok());
    if length.is_some_and(|length| length > BODY_MAX) {
        return Err((413, "the body is larger than 1 MiB"));
    }
    let mut headers = Vec::with_capacity(head.headers.len());
    for (name, value) in &head.headers {
        let value = value.to_str().map_err(|_| (400, "a header is not plain text"))?;
        headers.push((name.as_str().to_owned(), value.to_owned()));
    }
    let whole = tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_MAX).collect());
    let body = match whole.await {
        Err(_) => return Err((408, "the body did not come in time")),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err((413, "the body is larger than 1 MiB"));
        }
        Ok(Err(_)) => return Err((400, "the body did not come whole")),
        Ok(Ok(body)) => body.to_bytes().to_vec(),
    };
    Ok(wire::http::Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers,
        body,
    })
}

fn respond(response: wire::http::Response) -> hyper::Response<Full<Bytes>> {
    let mut built = hyper::Response::new(Full::new(Bytes::from(response.body)));
    *built.status_mut() = hyper::StatusCode::from_u16(response.status)
        .unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            built.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    built
}

/// Ends a connection whose peer takes nothing of its answer for too long.
struct StallGuard<T> {
    stream: T,
    stalled: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl<T> StallGuard<T> {
    fn watch<R>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let sleep = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_TIME)));
        match sleep.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for StallGuard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for StallGuard<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, result)
    }
}

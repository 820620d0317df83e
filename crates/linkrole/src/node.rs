//! A running server put together: engine, reconciler, listeners, and their end.

use crate::callbacks::Callbacks;
use crate::clock::Clock;
use crate::engine::{Engine, Recording};
use crate::inject::Inject;
use crate::issuers::Issuers;
use crate::listener::{self, Listeners};
use crate::outward::Outward;
use crate::reconciler::Reconciler;
use crate::server::{Auth, Server};
use crate::tls::Tls;
use crate::witness::{Watch, Witness};
use iam::rows::Row;
use iam::seal::Keyring;
use ipnet::IpNet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Between two times that it is stored who used what; what a crash may lose of reads that the trail does not keep.
const USES_EVERY: Duration = Duration::from_secs(30);

/// How a server is to run.
pub struct Settings {
    /// Where everybody reaches it, bound already.
    pub tcp: TcpListener,
    /// How it speaks TLS there, if it does.
    pub tls: Option<Tls>,
    /// Where the operator reaches it.
    pub socket: Option<PathBuf>,
    /// How credentials are taken.
    pub auth: Auth,
    /// Whether keys of providers of identities are fetched from addresses that are not public, too.
    pub private_issuers: bool,
    /// Networks, beside the public ones, in which linked services are asked about their roles.
    pub callback_networks: Vec<IpNet>,
    /// What the trail keeps.
    pub recording: Recording,
    /// Who writes checkpoints of the trail, where it is kept.
    pub witness: Option<Witness>,
    /// What a reset leaves; only `dev` has one.
    pub reset: Option<Vec<Row>>,
    /// Faults that are shown on demand; only `dev` has any.
    pub inject: Inject,
}

/// A server that listens and does not answer yet.
pub struct Node<S> {
    server: Arc<Server<S>>,
    callbacks: Arc<Callbacks>,
    watch: Option<Watch>,
    listeners: Listeners,
    writer: std::thread::JoinHandle<()>,
    signals: [Signal; 2],
    /// Where everybody reaches it.
    pub address: std::net::SocketAddr,
}

impl<S: Store> Node<S> {
    /// Loads the store and binds the operator's socket.
    ///
    /// Errors: a sentence for the operator.
    pub async fn open(store: S, keyring: Keyring, settings: Settings) -> Result<Self, String> {
        let clock = Arc::new(Clock::system());
        let (engine, writer) = Engine::start(store, keyring, clock).await?;
        let _ = engine.recording.set(settings.recording);
        // Before anything is stored: what is stored waits for checkpoints, if they are too far behind.
        let watch = settings.witness.map(|witness| witness.start(engine.clone())).transpose()?;
        let tcp = settings.tcp;
        let address = tcp.local_addr().map_err(|e| e.to_string())?;
        let operator = settings.socket.as_deref().map(bind_operator).transpose()?;
        let outward = Arc::new(Outward::default());
        let callbacks = Callbacks::new(outward.clone(), settings.callback_networks, address);
        let server = Arc::new(Server {
            engine,
            auth: settings.auth,
            issuers: Issuers::new(outward.clone(), settings.private_issuers),
            reset: settings.reset,
            inject: settings.inject,
            sessions: crate::console::Sessions::default(),
        });
        // Caught from now on: whoever is told that the server is ready may ask it to end.
        let catch = |kind| signal(kind).map_err(|e| format!("cannot catch signals: {e}"));
        let signals = [catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?];
        Ok(Self {
            server,
            callbacks: Arc::new(callbacks),
            watch,
            listeners: Listeners { tcp, tls: settings.tls, operator },
            writer,
            signals,
            address,
        })
    }

    /// Checks that `init` has ended what it began.
    pub fn check_installed(&self, directory: &Path) -> Result<(), String> {
        match self.server.engine.state().installation() {
            Some(_) => Ok(()),
            None => Err(format!(
                "{0} is not initialised; run `linkrole init --data-dir {0}`",
                directory.display()
            )),
        }
    }

    /// Adds services that are known from facts, where they are not known yet.
    pub async fn stock(&self, services: Vec<iam::rows::Service>) -> Result<(), String> {
        let state = self.server.engine.state();
        if services.iter().all(|service| state.template(&service.name).is_some()) {
            return Ok(());
        }
        let command = iam::command::Command::StockServices { services: Box::new(services) };
        let done = self.server.engine.system(command).await;
        done.map(drop).map_err(|error| format!("the vendors' services were not added: {error:?}"))
    }

    /// Serves until a signal asks it to end, then ends in good order.
    ///
    /// Errors: the store came into doubt while it served.
    pub async fn run(self) -> Result<(), String> {
        let (stop, stopped) = watch::channel(false);
        let engine = self.server.engine.clone();
        let worker = tokio::spawn(Reconciler::new(engine.clone(), self.callbacks).run());
        // What the trail tells of the time before a crash is known before the first request.
        engine.record_uses().await;
        let noting = engine.clone();
        let uses = tokio::spawn(async move {
            loop {
                tokio::time::sleep(USES_EVERY).await;
                noting.record_uses().await;
            }
        });
        let watched = engine.clone();
        let [mut term, mut int] = self.signals;
        let signal = tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
                () = watched.failed.notified() => {}
            }
            let _ = stop.send(true);
        });
        listener::serve(self.server, self.listeners, stopped).await;
        signal.abort();
        worker.abort();
        let _ = worker.await;
        uses.abort();
        let _ = uses.await;
        engine.record_uses().await;
        let sound = engine.is_sound();
        if engine.panics() > 0 {
            tracing::error!(count = engine.panics(), "calls panicked while the server ran");
        }
        engine.stop().await;
        let watch = self.watch;
        let ended = tokio::task::spawn_blocking(move || {
            let _ = self.writer.join();
            if let Some(watch) = watch {
                watch.end();
            }
        });
        let _ = ended.await;
        if sound { Ok(()) } else { Err("the store came into doubt; see the log".to_owned()) }
    }
}

/// Binds the address where everybody reaches the server.
pub async fn bind(listen: std::net::SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(listen).await.map_err(|e| format!("cannot listen on {listen}: {e}"))
}

/// Binds the operator's socket, 0600. A socket that nobody listens on is a leftover and goes.
fn bind_operator(path: &Path) -> Result<UnixListener, String> {
    let at = path.display();
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(format!("another server listens on {at}"));
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("cannot replace {at}: {e}"));
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(|e| format!("cannot listen on {at}: {e}"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|e| format!("cannot protect {at}: {e}"))?;
    Ok(listener)
}

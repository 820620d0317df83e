//! `linkrole dev` and `linkrole env`: a server in memory, and how to speak to it.

use super::output;
use crate::engine::Recording;
use crate::inject::Inject;
use crate::node::{Node, Settings};
use crate::seed::{KeyPair, Seed};
use crate::server::Auth;
use clap::{Args, ValueEnum};
use iam::seal::Secret;
use iam::text::AccountId;
use policy::Dialect;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;
use store::Any;

#[derive(Args)]
pub struct DevArgs {
    /// Where to listen; loopback only
    #[arg(long, default_value = "127.0.0.1:4680")]
    listen: SocketAddr,
    /// An account's id: of 12 digits that of the AWS dialect, of 16 that of Alibaba's; random unless given
    #[arg(long)]
    account: Vec<String>,
    /// Take only real credentials, or any that are well-formed
    #[arg(long, value_enum, default_value_t = AuthArg::Enforce)]
    auth: AuthArg,
    /// Which linked services are registered from the start
    #[arg(long, value_enum, default_value_t = ServicesArg::Demo)]
    services: ServicesArg,
    /// Show a fault: for so many seconds a new role cannot be assumed
    #[arg(long, default_value_t = 0)]
    inject_propagation: u32,
    /// Show a fault: refuse every so many-th request for its rate; none if 0
    #[arg(long, default_value_t = 0)]
    inject_throttle: u64,
    /// Show a fault: failed deletions name at most so many resources
    #[arg(long)]
    inject_usages: Option<usize>,
    /// Keep every read of a known caller in the trail, too; without, only those that are refused
    #[arg(long)]
    record_reads: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AuthArg {
    Enforce,
    AcceptAny,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ServicesArg {
    None,
    Demo,
}

#[derive(Args)]
pub struct EnvArgs {
    /// Where the `dev` listens
    #[arg(long, default_value = "127.0.0.1:4680")]
    listen: SocketAddr,
}

/// Runs a server in memory.
pub fn dev(args: DevArgs) -> Result<(), String> {
    super::log("warn");
    if !args.listen.ip().is_loopback() {
        return Err(format!(
            "`dev` listens on loopback only; found {}. For others to reach it use `init` and `serve`",
            args.listen
        ));
    }
    let given: Vec<AccountId> =
        args.account.iter().map(|text| parse_account(text)).collect::<Result<_, _>>()?;
    let of = |digits: usize| given.iter().find(|id| id.as_str().len() == digits).cloned();
    let keyring = crate::keys::ephemeral()?;
    let mut seed = Seed::begin(&keyring);
    let mut home = |id: Option<AccountId>, dialect: Dialect| {
        let (account, root) = seed.account(id, dialect)?;
        let admin = seed.administrator(&root, "admin")?;
        Ok::<_, String>(Home { account, admin })
    };
    let homes =
        Homes { aws: home(of(12), Dialect::Aws)?, alibaba: home(of(16), Dialect::Alibaba)? };
    let mut services = Vec::new();
    if args.services == ServicesArg::Demo {
        for manifest in crate::seed::CATALOGUE {
            seed.service(manifest)?;
            services.extend(wire::manifest::parse(manifest).map(|m| m.service.to_string()));
        }
        seed.vendors()?;
    }
    let rows = seed.rows();
    let auth = match args.auth {
        AuthArg::Enforce => Auth::Enforce,
        AuthArg::AcceptAny => Auth::AcceptAny {
            aws: homes.aws.account.clone(),
            alibaba: homes.alibaba.account.clone(),
        },
    };
    super::runtime()?.block_on(async {
        let directory = runtime_dir()?;
        let store = Any::Memory(store::Memory::new());
        let event = seed.event.as_ref().ok_or("nothing was made")?;
        crate::engine::install(&store, &seed.changes, event).await?;
        let tcp = crate::node::bind(args.listen).await?;
        let port = tcp.local_addr().map_err(|e| e.to_string())?.port();
        let socket = directory.join(format!("dev-{port}.sock"));
        let (tls, trusted) = crate::tls::for_loopback()?;
        let certificate = directory.join(format!("dev-{port}.pem"));
        let _ = std::fs::remove_file(&certificate);
        crate::keys::write_private(&certificate, trusted.as_bytes())?;
        let settings = Settings {
            tcp,
            tls: Some(tls),
            socket: Some(socket.clone()),
            auth,
            // What a `dev` is asked to reach is on the machine of who asks.
            private_issuers: true,
            callback_networks: ["127.0.0.0/8", "::1/128"].iter().flat_map(|n| n.parse()).collect(),
            recording: if args.record_reads { Recording::Reads } else { Recording::Changes },
            witness: None,
            reset: Some(rows),
            inject: Inject::new(args.inject_propagation, args.inject_throttle, args.inject_usages),
        };
        let node = Node::open(store, keyring, settings).await?;
        let file = write_env(&directory, node.address, &homes, &socket)?;
        greet(node.address, &homes, &services, &args, &file)?;
        let ended = node.run().await;
        let _ = std::fs::remove_file(file);
        let _ = std::fs::remove_file(socket);
        let _ = std::fs::remove_file(certificate);
        ended
    })
}

/// An account and the key of a user who may do everything in it.
struct Home {
    account: AccountId,
    admin: KeyPair,
}

/// An account of each dialect.
struct Homes {
    aws: Home,
    alibaba: Home,
}

fn greet(
    address: SocketAddr,
    homes: &Homes,
    services: &[String],
    args: &DevArgs,
    file: &std::path::Path,
) -> Result<(), String> {
    let services = match services {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let auth = match args.auth {
        AuthArg::Enforce => "enforced: only the keys below and those made with them",
        AuthArg::AcceptAny => "any credentials are the administrator's",
    };
    output::line(&format!(
        "linkrole {} in memory; nothing outlives this process\n\n\
         endpoint  http://{address}\n\
         console   http://{address}/console, with a key below\n\
         tls       https at the same port, for who trusts the certificate below\n\
         account   {aws} (AWS), {alibaba} (Alibaba Cloud)\n\
         services  {services}\n\
         auth      {auth}\n\n\
         {}\n\
         In another shell: eval \"$(linkrole env{})\"",
        env!("CARGO_PKG_VERSION"),
        exports(address, homes, &file.with_extension("sock")),
        if address.port() == 4680 { String::new() } else { format!(" --listen {address}") },
        aws = homes.aws.account,
        alibaba = homes.alibaba.account,
    ))
}

fn exports(address: SocketAddr, homes: &Homes, socket: &std::path::Path) -> String {
    format!(
        "export AWS_ENDPOINT_URL=http://{address}\n\
         export AWS_ACCESS_KEY_ID={}\n\
         export AWS_SECRET_ACCESS_KEY={}\n\
         export AWS_DEFAULT_REGION=us-east-1\n\
         export ALIBABA_CLOUD_ACCESS_KEY_ID={}\n\
         export ALIBABA_CLOUD_ACCESS_KEY_SECRET={}\n\
         export LINKROLE_SOCKET={}\n\
         export LINKROLE_CERTIFICATE={}\n",
        homes.aws.admin.id,
        homes.aws.admin.secret.expose(),
        homes.alibaba.admin.id,
        homes.alibaba.admin.secret.expose(),
        socket.display(),
        socket.with_extension("pem").display(),
    )
}

/// Keeps the export lines where only this user reads them, for `linkrole env`.
fn write_env(
    directory: &std::path::Path,
    address: SocketAddr,
    homes: &Homes,
    socket: &std::path::Path,
) -> Result<PathBuf, String> {
    let file = directory.join(format!("dev-{}.env", address.port()));
    let _ = std::fs::remove_file(&file);
    let text = Secret::new(exports(address, homes, socket));
    crate::keys::write_private(&file, text.expose().as_bytes())?;
    Ok(file)
}

/// Prints the export lines of a running `dev`.
pub fn env(args: &EnvArgs) -> Result<(), String> {
    let file = runtime_dir()?.join(format!("dev-{}.env", args.listen.port()));
    let text = std::fs::read(&file)
        .map_err(|_| format!("no `linkrole dev` runs at {}; start one first", args.listen))?;
    output::bytes(&text)
}

/// The socket of the `dev` at the usual place.
pub fn default_socket() -> Result<PathBuf, String> {
    Ok(runtime_dir()?.join("dev-4680.sock"))
}

/// A directory that only this user can enter, and that nobody else can have made.
fn runtime_dir() -> Result<PathBuf, String> {
    let me = std::fs::metadata("/proc/self").map_err(|e| format!("/proc/self: {e}"))?.uid();
    let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = base.join(format!("linkrole-{me}"));
    let at = directory.display();
    let made = std::fs::DirBuilder::new().mode(0o700).recursive(false).create(&directory);
    match made {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(format!("cannot make {at}: {e}"));
        }
        _ => {}
    }
    let found = std::fs::symlink_metadata(&directory).map_err(|e| format!("{at}: {e}"))?;
    if !found.is_dir() || found.uid() != me || found.mode() & 0o077 != 0 {
        return Err(format!("{at} is not a directory of mode 700 of this user; remove it"));
    }
    Ok(directory)
}

/// An account id out of an argument.
pub fn parse_account(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text)
        .map_err(|_| format!("expected an account of 12 or 16 digits; found `{text}`"))
}

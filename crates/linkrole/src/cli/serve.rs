//! `linkrole init` and `linkrole serve`: an installation on disk.

use super::{DialectArg, output};
use crate::archive::Keep;
use crate::engine::Recording;
use crate::node::{Node, Settings};
use crate::resume::Place;
use crate::seed::{KeyPair, Seed};
use crate::server::Auth;
use crate::witness::Witness;
use clap::Args;
use ipnet::IpNet;
use policy::Dialect;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use store::{Any, Embedded, Store};

/// The operator's socket in the data directory.
pub const SOCKET: &str = "operator.sock";
/// Where `init` leaves root's access key.
const ROOT_CREDENTIALS: &str = "root-credentials";

#[derive(Args)]
pub struct InitArgs {
    /// Where the installation is kept
    #[arg(long)]
    data_dir: PathBuf,
    /// The first account's id; random unless given
    #[arg(long)]
    account: Option<String>,
    /// The first account's home dialect
    #[arg(long, value_enum, default_value_t = DialectArg::Aws)]
    dialect: DialectArg,
}

#[derive(Args)]
pub struct ServeArgs {
    /// Where the installation is kept
    #[arg(long)]
    data_dir: PathBuf,
    /// Where to listen; anything but loopback needs TLS, or `--insecure-http`
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// The store's address; only the embedded one is there yet
    #[arg(long)]
    store: Option<String>,
    /// A file with settings; arguments win over it
    #[arg(long)]
    config: Option<PathBuf>,
    /// Speak TLS, and nothing else, with the certificate chain in this PEM file
    #[arg(long, requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The key of the certificate, in a PEM file
    #[arg(long, requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Take certificates that an authority in this PEM file vouches for as proof of a linked service, beside tokens
    #[arg(long, requires = "tls_certificate", value_name = "FILE")]
    client_authorities: Option<PathBuf>,
    /// Speak plain HTTP beyond loopback, behind a proxy that speaks TLS
    #[arg(long)]
    insecure_http: bool,
    /// Know the clouds' own services too, as facts; once known they stay
    #[arg(long)]
    vendor_services: bool,
    /// Fetch keys of identity providers from private and loopback addresses too
    #[arg(long)]
    private_issuers: bool,
    /// Ask linked services about their roles in this network too, like 10.0.0.0/8; without, at public addresses only
    #[arg(long, value_name = "NETWORK")]
    callback_network: Vec<IpNet>,
    /// Write the signed checkpoints of the trail to this file, too, which is best kept on another machine
    #[arg(long, value_name = "FILE")]
    checkpoints: Option<PathBuf>,
    /// Put entries of the trail that are so many days old away in archives; without, all stay in the store
    #[arg(long, value_name = "DAYS")]
    keep_trail: Option<u32>,
    /// Where archives of the trail go; `archive` in the data directory unless given
    #[arg(long, value_name = "FOLDER", requires = "keep_trail")]
    archive: Option<PathBuf>,
    /// Keep every read of a known caller in the trail, too; without, only those that are refused
    #[arg(long)]
    record_reads: bool,
}

/// What the settings file may say.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    /// Where to listen.
    listen: Option<SocketAddr>,
    /// The certificate chain with which TLS is spoken.
    tls_certificate: Option<PathBuf>,
    /// The key of the certificate.
    tls_key: Option<PathBuf>,
    /// Authorities whose certificates prove linked services.
    client_authorities: Option<PathBuf>,
    /// Whether plain HTTP is spoken beyond loopback.
    #[serde(default)]
    insecure_http: bool,
    /// Whether keys of identity providers are fetched from addresses that are not public, too.
    #[serde(default)]
    private_issuers: bool,
    /// Networks, beside the public ones, in which linked services are asked about their roles.
    #[serde(default)]
    callback_network: Vec<IpNet>,
    /// A file outside to which checkpoints of the trail are written, too.
    checkpoints: Option<PathBuf>,
    /// How many days entries of the trail stay in the store.
    keep_trail: Option<u32>,
    /// Where archives of the trail go.
    archive: Option<PathBuf>,
    /// Whether reads are kept in the trail, too.
    #[serde(default)]
    record_reads: bool,
    /// Whether the clouds' own services are known too.
    #[serde(default)]
    vendor_services: bool,
}

/// Makes an installation.
pub fn init(args: &InitArgs) -> Result<(), String> {
    let directory = &args.data_dir;
    let account = args.account.as_deref().map(super::dev::parse_account).transpose()?;
    super::runtime()?.block_on(async {
        let (store, keyring) = prepare(directory).await?;
        let mut seed = Seed::begin(&keyring);
        let (account, root) = seed.account(account, Dialect::from(args.dialect))?;
        // The key is on disk before the store knows it: a crash in between can be begun again.
        let credentials = write_credentials(directory, &root)?;
        let event = seed.event.as_ref().ok_or("nothing was made")?;
        crate::engine::install(&store, &seed.changes, event).await?;
        output::line(&format!(
            "made an installation in {0}\n\
             account           {account}\n\
             root access key   {1} (mode 600; make users with it, then keep it away)\n\
             master key        {2} (mode 600; back it up apart from the store)\n\
             next              linkrole serve --data-dir {0}",
            directory.display(),
            credentials.display(),
            crate::keys::path(directory).display(),
        ))
    })
}

/// A store without rows, and its keyring. What an earlier `init` that was cut off left is used.
async fn prepare(directory: &Path) -> Result<(Embedded, iam::seal::Keyring), String> {
    let store = match Embedded::create(directory) {
        Ok(store) => store,
        Err(error @ store::StoreError::AlreadyInitialised { .. }) => {
            let store = Embedded::open(directory).map_err(|e| e.to_string())?;
            let revision = store.load(&mut |_| {}).await.map_err(|e| e.to_string())?;
            if revision != 0 {
                return Err(error.to_string());
            }
            store
        }
        Err(error) => return Err(error.to_string()),
    };
    let keyring = if crate::keys::path(directory).exists() {
        crate::keys::load(directory)?
    } else {
        crate::keys::create(directory)?
    };
    Ok((store, keyring))
}

fn write_credentials(directory: &Path, root: &KeyPair) -> Result<PathBuf, String> {
    let file = directory.join(ROOT_CREDENTIALS);
    let _ = std::fs::remove_file(&file);
    let text = iam::seal::Secret::new(format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        root.id,
        root.secret.expose()
    ));
    crate::keys::write_private(&file, text.expose().as_bytes())?;
    Ok(file)
}

/// Runs the server on an installation.
pub fn serve(args: ServeArgs) -> Result<(), String> {
    super::log("info");
    if let Some(store) = &args.store {
        return Err(format!(
            "`--store {store}`: only the embedded store is there yet; leave the argument out"
        ));
    }
    let config = read_config(args.config.as_deref())?;
    let usual = SocketAddr::from(([127, 0, 0, 1], 4680));
    let listen = args.listen.or(config.listen).unwrap_or(usual);
    let plain_is_meant = args.insecure_http || config.insecure_http;
    let files = (args.tls_certificate.or(config.tls_certificate), args.tls_key.or(config.tls_key));
    let authorities = args.client_authorities.or(config.client_authorities);
    let tls = match &files {
        (Some(chain), Some(key)) => Some(crate::tls::of_files(chain, key, authorities.as_deref())?),
        (None, None) if authorities.is_some() => {
            return Err(
                "clients show certificates in TLS: give `--tls-certificate` and `--tls-key` too"
                    .into(),
            );
        }
        (None, None) => None,
        _ => return Err("TLS needs both a certificate and its key; one of them is missing".into()),
    };
    if !listen.ip().is_loopback() && !plain_is_meant && tls.is_none() {
        return Err(format!(
            "{listen} is not loopback: give `--tls-certificate` and `--tls-key`, or put a proxy that speaks TLS before it and say `--insecure-http`"
        ));
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    let directory = args.data_dir;
    let folder = args.archive.or(config.archive).unwrap_or_else(|| directory.join("archive"));
    let keep = args.keep_trail.or(config.keep_trail).map(|days| Keep { days, folder });
    super::runtime()?.block_on(async {
        let store = Embedded::open(&directory).map_err(|e| e.to_string())?;
        let keyring = crate::keys::load(&directory)?;
        let place = Place {
            directory: &directory,
            origin: keyring.check_value(),
            now_ms: crate::clock::Clock::system().now_ms(),
            outside: args.checkpoints.or(config.checkpoints),
            keep,
        };
        let witness = Witness::open(&store, place).await?;
        let settings = Settings {
            tcp: crate::node::bind(listen).await?,
            tls,
            socket: Some(directory.join(SOCKET)),
            auth: Auth::Enforce,
            private_issuers: args.private_issuers || config.private_issuers,
            callback_networks: [args.callback_network, config.callback_network].concat(),
            recording: match args.record_reads || config.record_reads {
                true => Recording::Reads,
                false => Recording::Changes,
            },
            witness: Some(witness),
            reset: None,
            inject: crate::inject::Inject::default(),
        };
        let node = Node::open(Any::Embedded(store), keyring, settings).await?;
        node.check_installed(&directory)?;
        if args.vendor_services || config.vendor_services {
            node.stock(crate::vendors::services()?).await?;
        }
        tracing::info!(address = %node.address, "serving");
        output::line(&format!("ready {scheme}://{}", node.address))?;
        let ended = node.run().await;
        let _ = std::fs::remove_file(directory.join(SOCKET));
        ended
    })
}

fn read_config(file: Option<&Path>) -> Result<ConfigFile, String> {
    let Some(file) = file else { return Ok(ConfigFile::default()) };
    let at = file.display();
    let text = std::fs::read_to_string(file).map_err(|e| format!("cannot read {at}: {e}"))?;
    toml::from_str(&text).map_err(|e| format!("{at} does not read: {e}"))
}

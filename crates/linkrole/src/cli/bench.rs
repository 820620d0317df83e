//! `linkrole bench`: what the trail costs and how fast it is searched, on this machine.
//!
//! Everything happens in a directory that goes again. Ratios count, not times: the same work is done
//! with the trail and without it by turns in one run. Prints Markdown.

#![expect(clippy::disallowed_methods, reason = "a bench measures")]

use super::output;
use crate::engine::{Engine, Recording};
use crate::look_up::{look_up, terms};
use crate::node::{Node, Settings};
use crate::resume::Place;
use crate::seed::{CATALOGUE, KeyPair, Seed};
use crate::witness::Witness;
use iam::audit::{Actor, Event, Touched};
use iam::seal::Keyring;
use iam::text::AccountId;
use policy::{Dialect, name};
use sdk::{Client, Credentials, Secret, sign};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::{Embedded, Entry, SEGMENT, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::aws::cloudtrail::Lookup;
use wire::trail::{Attribute, Facet, Search, View};

#[derive(clap::Subcommand)]
pub enum BenchCommand {
    /// What the trail adds to AssumeRole, and how fast it is searched
    #[command(after_help = "Example:\n  linkrole bench trail --dir /var/tmp")]
    Trail(TrailArgs),
}

#[derive(clap::Args)]
pub struct TrailArgs {
    /// Where to work: a disk of the kind that servers are to have
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// How many entries to search
    #[arg(long, default_value_t = 10_000_000)]
    entries: u64,
    /// Connections that ask for credentials
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Seconds of each turn
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Turns with the trail, and without
    #[arg(long, default_value_t = 5)]
    turns: usize,
}

const SERVICE: &str = "backup.example.com";
const REGION: &str = "local-1";
/// How often each look-up is asked.
const ASKED: usize = 21;

/// Measures, and prints tables.
pub fn run(command: &BenchCommand) -> Result<(), String> {
    let BenchCommand::Trail(args) = command;
    let scratch = args.dir.join(format!("linkrole-bench-{}", std::process::id()));
    let done = super::runtime()?.block_on(async {
        cost(args, &scratch).await?;
        output::line("")?;
        search(args, &scratch).await
    });
    let _ = std::fs::remove_dir_all(&scratch);
    done
}

// What the trail adds.

/// An installation with a linked service and an administrator.
struct Made {
    keyring: Keyring,
    store: Embedded,
    admin: Credentials,
    service: Credentials,
    account: String,
}

async fn made(directory: &Path) -> Result<Made, String> {
    let store = Embedded::create(directory).map_err(|e| e.to_string())?;
    let keyring = crate::keys::create(directory)?;
    let mut seed = Seed::begin(&keyring);
    let (account, root) = seed.account(None, Dialect::Aws)?;
    let admin = credentials(&seed.administrator(&root, "admin")?);
    let manifest = CATALOGUE.iter().find(|text| text.contains(SERVICE));
    let service = credentials(&seed.service(manifest.ok_or("the example service is missing")?)?);
    let event = seed.event.clone().ok_or("nothing was made")?;
    let changes = std::mem::take(&mut seed.changes);
    crate::engine::install(&store, &changes, &event).await?;
    Ok(Made { keyring, store, admin, service, account: account.to_string() })
}

fn credentials(key: &KeyPair) -> Credentials {
    Credentials {
        access_key_id: key.id.to_string(),
        secret_access_key: Secret::new(key.secret.expose().to_owned()),
        session_token: None,
    }
}

/// A server that runs, and the two requests that it is asked again and again.
struct Running {
    address: std::net::SocketAddr,
    linked: Vec<u8>,
    ordinary: Vec<u8>,
    task: tokio::task::JoinHandle<Result<(), String>>,
}

impl Running {
    async fn start(directory: &Path, recording: Recording) -> Result<Self, String> {
        let Made { keyring, store, admin, service, account } = made(directory).await?;
        // Checkpoints belong to the trail, so their cost does, too.
        let place = Place {
            directory,
            origin: keyring.check_value(),
            now_ms: crate::clock::Clock::system().now_ms(),
            outside: None,
            keep: None,
        };
        let witness = match recording {
            Recording::Nothing => None,
            _ => Some(Witness::open(&store, place).await?),
        };
        let tcp = crate::node::bind(([127, 0, 0, 1], 0).into()).await?;
        let settings = Settings {
            tcp,
            tls: None,
            socket: None,
            auth: crate::server::Auth::Enforce,
            private_issuers: false,
            callback_networks: Vec::new(),
            recording,
            witness,
            reset: None,
            inject: crate::inject::Inject::default(),
        };
        let node = Node::open(store, keyring, settings).await?;
        let address = node.address;
        let task = tokio::spawn(node.run());
        let endpoint = format!("http://{address}");
        let client = Client::tcp(&endpoint, Some(admin.clone())).map_err(|e| e.to_string())?;
        let ask = async |params: &[(&str, &str)]| {
            client.query("iam", params).await.map_err(|e| e.to_string())
        };
        ask(&[("Action", "CreateServiceLinkedRole"), ("AWSServiceName", SERVICE)]).await?;
        let trust = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"{account}"}},"Action":"sts:AssumeRole"}}]}}"#
        );
        let create = [("Action", "CreateRole"), ("RoleName", "ordinary")];
        ask(&[create.as_slice(), &[("AssumeRolePolicyDocument", &trust)]].concat()).await?;
        let linked = iam::linked::path_of(SERVICE);
        let linked = name::role(Dialect::Aws, &account, &linked, "AWSServiceRoleForExampleBackup");
        let ordinary = name::role(Dialect::Aws, &account, "/", "ordinary");
        Ok(Self {
            address,
            linked: assume(&address.to_string(), &service, &linked),
            ordinary: assume(&address.to_string(), &admin, &ordinary),
            task,
        })
    }
}

/// A signed request for a session, as it goes over the wire.
fn assume(host: &str, who: &Credentials, role: &str) -> Vec<u8> {
    let body = format!(
        "Action=AssumeRole&Version=2011-06-15&RoleSessionName=bench&RoleArn={}",
        sign::percent_encode(role)
    );
    let kind = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
    let request = sign::Request {
        method: "POST",
        host,
        path: "/",
        query: "",
        headers: &kind,
        body: body.as_bytes(),
    };
    let signed = sign::sign(&request, who, REGION, "sts", time::OffsetDateTime::now_utc());
    let mut text = "POST / HTTP/1.1\r\n".to_owned();
    for (name, value) in kind.iter().chain(&signed) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    text.into_bytes()
}

async fn cost(args: &TrailArgs, scratch: &Path) -> Result<(), String> {
    std::fs::create_dir_all(scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
    let with = Running::start(&scratch.join("with"), Recording::Changes).await?;
    let without = Running::start(&scratch.join("without"), Recording::Nothing).await?;
    output::line(&format!(
        "### What the trail adds to AssumeRole\n\n\
         The embedded store, {} connections, {} turns of {} s each by turns; medians. Server and clients share the machine's cores.\n\n\
         | role | with the trail, a second | without | the trail takes |\n| --- | --- | --- | --- |",
        args.connections, args.turns, args.seconds
    ))?;
    for (kind, of) in [
        ("service-linked, by its service", (|r: &Running| r.linked.clone()) as fn(&Running) -> _),
        ("ordinary, by a user", |r: &Running| r.ordinary.clone()),
    ] {
        let (mut on, mut off) = (Vec::new(), Vec::new());
        for _ in 0..args.turns {
            on.push(turn(args, with.address, of(&with)).await?);
            off.push(turn(args, without.address, of(&without)).await?);
        }
        let (on, off) = (median(&mut on), median(&mut off));
        let share = 100.0 * (off - on) / off;
        output::line(&format!("| {kind} | {on:.0} | {off:.0} | {share:.1} % |"))?;
    }
    with.task.abort();
    without.task.abort();
    Ok(())
}

/// Requests a second, over a while.
async fn turn(
    args: &TrailArgs,
    address: std::net::SocketAddr,
    request: Vec<u8>,
) -> Result<f64, String> {
    let (request, done) = (Arc::new(request), Arc::new(AtomicU64::new(0)));
    let over = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let clients: Vec<_> = (0..args.connections)
        .map(|_| {
            let (request, done, over) = (request.clone(), done.clone(), over.clone());
            tokio::spawn(async move { client(address, &request, &done, &over).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.map_err(|e| e.to_string())??;
    }
    let count = u32::try_from(done.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

async fn client(
    address: std::net::SocketAddr,
    request: &[u8],
    done: &AtomicU64,
    over: &AtomicBool,
) -> Result<(), String> {
    let wrong = |e: std::io::Error| e.to_string();
    let mut stream = tokio::net::TcpStream::connect(address).await.map_err(wrong)?;
    let _ = stream.set_nodelay(true);
    let mut answer = Vec::new();
    let mut buffer = [0; 16_384];
    while !over.load(Ordering::Relaxed) {
        stream.write_all(request).await.map_err(wrong)?;
        answer.clear();
        while !is_whole(&answer) {
            let count = stream.read(&mut buffer).await.map_err(wrong)?;
            if count == 0 {
                return Err("the server closed a connection".to_owned());
            }
            answer.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
        if !answer.starts_with(b"HTTP/1.1 200") {
            return Err(String::from_utf8_lossy(&answer).into_owned());
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Whether an answer has arrived: its head, and as much as that says.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(answer.get(..head).unwrap_or_default()).to_ascii_lowercase();
    let length = text.split("content-length: ").nth(1).and_then(|t| t.lines().next()?.parse().ok());
    length.is_some_and(|length: usize| answer.len() >= head + 4 + length)
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

// How fast it is searched.

/// Accounts, users of each, and roles of each in the trail that is searched.
const ACCOUNTS: u64 = 1_000;
const USERS: u64 = 200;
const ROLES: u64 = 500;

/// An event as the trail of a busy installation has them; of every thousand one is a denial.
fn event(number: u64) -> Event {
    // Spread over accounts, users and roles without a pattern that an index could like.
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let account = format!("{:012}", 100_000_000_000 + mixed % ACCOUNTS);
    let user = format!("user{}", (mixed >> 20) % USERS);
    let role = format!("Role{}", (mixed >> 32) % ROLES);
    let arn = name::role(Dialect::Aws, &account, "/", &role);
    let accounts: Vec<AccountId> = AccountId::parse(&account).into_iter().collect();
    let touched = accounts.first().map(|a| Touched { account: a.clone(), resource: arn.clone() });
    let denied = number.is_multiple_of(1_000);
    let (operation, service) = match mixed >> 60 {
        0 => ("CreateRole", "iam"),
        1 => ("AttachRolePolicy", "iam"),
        _ => ("AssumeRole", "sts"),
    };
    Event {
        format: 1,
        id: format!("{mixed:08x}-{number:012x}"),
        at_ms: 1_700_000_000_000 + i64::try_from(number).unwrap_or(0) * 100,
        request_id: format!("{number:032x}"),
        operation: operation.to_owned(),
        service: service.to_owned(),
        read_only: false,
        actor: Actor {
            kind: "IAMUser".to_owned(),
            name: name::user(Dialect::Aws, &account, "/", &user),
            id: format!("AIDA{:016X}", (mixed >> 20) % USERS),
            account: accounts.first().cloned(),
            key: Some(format!("AKIA{:016X}", (mixed >> 20) % USERS + mixed % ACCOUNTS * USERS)),
            user_name: Some(user),
            ..Actor::default()
        },
        accounts,
        dialect: Some(Dialect::Aws),
        source_ip: "192.0.2.7".to_owned(),
        user_agent: "bench".to_owned(),
        region: REGION.to_owned(),
        params: [("roleArn".to_owned(), arn), ("roleSessionName".to_owned(), "bench".to_owned())]
            .into_iter()
            .collect(),
        response: [("accessKeyId".to_owned(), format!("ASIA{number:016X}"))].into_iter().collect(),
        resources: touched.into_iter().collect(),
        tls: true,
        api: None,
        console: false,
        asked_by: None,
        error: denied.then(|| "AccessDenied".to_owned()),
        told: None,
        denied,
    }
}

async fn fill(store: &Embedded, entries: u64) -> Result<f64, String> {
    let begun = Instant::now();
    let mut number = 0;
    while number < entries {
        let batch: Result<Vec<Entry>, String> = (number..entries.min(number + 512))
            .map(|n| {
                let event = event(n);
                let record = serde_json::to_vec(&event).map_err(|e| e.to_string())?;
                Ok(Entry { record, terms: terms(&event), changes: Vec::new() })
            })
            .collect();
        let batch = batch?;
        number += batch.len() as u64;
        store.record(&batch).await.map_err(|e| e.to_string())?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

async fn search(args: &TrailArgs, scratch: &Path) -> Result<(), String> {
    let directory = scratch.join("search");
    let store = Embedded::create(&directory).map_err(|e| e.to_string())?;
    let keyring = crate::keys::create(&directory)?;
    let filled = fill(&store, args.entries).await?;
    drop(store);
    let begun = Instant::now();
    let store = Embedded::open(&directory).map_err(|e| e.to_string())?;
    let opened = begun.elapsed().as_secs_f64() * 1_000.0;
    let bytes = std::fs::metadata(directory.join(store::embedded::FILE_NAME));
    let bytes = bytes.map_or(0, |file| file.len() / args.entries.max(1));
    let clock = Arc::new(crate::clock::Clock::system());
    let (engine, _) = Engine::start(store, keyring, clock).await?;
    output::line(&format!(
        "### Looking up in {} entries\n\n\
         {ACCOUNTS} accounts; segments of {SEGMENT} entries; {bytes} bytes an entry with its index. Written in {filled:.0} s; opened in {opened:.0} ms. \
         A page of 50 of one account, asked {ASKED} times.\n\n\
         | looked up by | found | median, ms | longest, ms |\n| --- | --- | --- | --- |",
        args.entries
    ))?;
    let middle = event(args.entries / 2);
    let account = middle.accounts.first().cloned();
    let arn = middle.resources.first().map_or(String::new(), |t| t.resource.clone());
    let role = arn.rsplit('/').next().unwrap_or_default().to_owned();
    let user = middle.actor.user_name.clone().unwrap_or_default();
    let key = middle.actor.key.clone().unwrap_or_default();
    let week = (middle.at_ms - 7 * 86_400_000, middle.at_ms);
    let always = (i64::MIN, i64::MAX);
    let cases = [
        ("event id", vec![Facet(Attribute::Id, middle.id.clone())], always),
        ("user", vec![Facet(Attribute::User, user.clone())], always),
        ("role", vec![Facet(Attribute::ResourceName, role.clone())], always),
        ("access key", vec![Facet(Attribute::Key, key)], always),
        ("event name, common", vec![Facet(Attribute::Name, "AssumeRole".into())], always),
        (
            "event name and role",
            vec![
                Facet(Attribute::Name, "CreateRole".into()),
                Facet(Attribute::ResourceName, role.clone()),
            ],
            always,
        ),
        ("source", vec![Facet(Attribute::Source, "iam.amazonaws.com".into())], always),
        ("not read-only", vec![Facet(Attribute::ReadOnly, "false".into())], always),
        ("a time long ago", Vec::new(), week),
        ("a role, a week long ago", vec![Facet(Attribute::ResourceName, role)], week),
        ("a name that is not there", vec![Facet(Attribute::User, "nobody".into())], always),
        ("nothing but the account", Vec::new(), always),
    ];
    for (what, facets, (start_ms, end_ms)) in cases {
        let view = View::CloudTrail;
        let search = Search { view, start_ms, end_ms, facets, limit: 50, is_forward: false };
        // As a client of CloudTrail gets it, with all that this throws away.
        let wanted = Lookup { search, token: None };
        let mut times = Vec::new();
        let mut found = 0;
        for _ in 0..ASKED {
            let begun = Instant::now();
            let page = look_up(&engine, account.as_ref(), &wanted.search, None, |_, event| {
                account.as_ref().and_then(|a| wanted.shown(a, event))
            });
            found = page.await?.entries.len();
            times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
        let middle = median(&mut times);
        let longest = times.last().copied().unwrap_or_default();
        output::line(&format!("| {what} | {found} | {middle:.2} | {longest:.2} |"))?;
    }
    engine.stop().await;
    Ok(())
}

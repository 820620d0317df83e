//! Loss of power under the whole engine: what was answered is there after it, whatever the disk
//! dropped or tore; what failed is not; and a store in doubt takes no more writes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

use crate::clock::Clock;
use crate::engine::{Engine, Recording};
use crate::seed::Seed;
use iam::caller::{Call, Caller, Source};
use iam::command::Command;
use iam::error::Error;
use iam::output::Output;
use iam::rows::{Change, Row};
use iam::seal::Keyring;
use iam::state::State;
use iam::text::{AccountId, KeyId, Namespace, Path, PrincipalId, UserName};
use policy::Dialect;
use std::collections::BTreeSet;
use std::sync::Arc;
use store::disk::{Disk, Failure};
use store::{Embedded, Store};

struct Node {
    engine: Arc<Engine<Embedded>>,
    writer: std::thread::JoinHandle<()>,
    account: AccountId,
    root: KeyId,
}

fn keyring() -> Keyring {
    Keyring::from_bytes(&[3; Keyring::LEN]).unwrap()
}

impl Node {
    /// A new installation on a disk.
    async fn start(disk: &Disk) -> Self {
        let ring = keyring();
        let mut seed = Seed::begin(&ring);
        let (account, root) = seed.account(None, Dialect::Aws).unwrap();
        let store = Embedded::create_on(disk.clone()).unwrap();
        crate::engine::install(&store, &seed.changes, seed.event.as_ref().unwrap()).await.unwrap();
        let clock = Arc::new(Clock::system());
        let (engine, writer) = Engine::start(store, keyring(), clock).await.unwrap();
        Self { engine, writer, account, root: root.id }
    }

    async fn create(&self, name: &str) -> Result<Output, Error> {
        let command = Command::CreateUser {
            user: UserName::parse(name).unwrap(),
            path: Path::parse("/").unwrap(),
            boundary: None,
            tags: Vec::new(),
            profile: Default::default(),
        };
        self.call(command, String::new()).await
    }

    async fn call(&self, command: Command, request_id: String) -> Result<Output, Error> {
        self.engine
            .call(Call {
                caller: Caller::Key(self.root.clone()),
                on_behalf: None,
                command,
                nonce: None,
                refusal: None,
                source: Source::default(),
                request_id,
            })
            .await
    }

    async fn end(self) {
        self.engine.stop().await;
        self.writer.join().unwrap();
    }
}

fn of(command: Command) -> Call {
    Call { caller: Caller::Anonymous, ..crate::engine::of_system(command) }
}

/// The users on a disk, or why it does not open.
async fn users(disk: Disk, account: &AccountId) -> Result<BTreeSet<String>, String> {
    let store = Embedded::open_on(disk).map_err(|e| e.to_string())?;
    let mut state = State::default();
    let mut read = |row: store::Row| {
        state.apply(&Change::Put(Row::decode(row.table, &row.value).unwrap()));
    };
    store.load(&mut read).await.map_err(|e| e.to_string())?;
    assert!(iam::state::problems(&state).is_empty());
    Ok(state.users_of(account, None).map(|u| u.name.to_string()).collect())
}

fn block_on(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(work);
}

#[test]
fn atk_x03_what_was_answered_survives_a_loss_of_power_at_any_moment() {
    block_on(async {
        let disk = Disk::new();
        let node = Node::start(&disk).await;
        for n in 0..24 {
            let name = format!("user-{n}");
            node.create(&name).await.unwrap();
            // The answer is here: with everything unsynced dropped, or torn, it must hold.
            for seed in [None, Some(n), Some(n + 1_000)] {
                let after = users(disk.crash(seed), &node.account).await.unwrap();
                assert!(after.contains(&name), "{name} was answered and is lost ({seed:?})");
                assert_eq!(after.len() as u64, n + 1, "nothing else came or went");
            }
        }
        node.end().await;
    });
}

#[test]
fn writes_that_wait_together_share_a_sync_and_none_is_answered_before_it() {
    block_on(async {
        let disk = Disk::new();
        let node = Arc::new(Node::start(&disk).await);
        let before = disk.syncs();
        let clients: Vec<_> = (0..256)
            .map(|n| {
                let (node, disk) = (node.clone(), disk.clone());
                tokio::spawn(async move {
                    let at_start = disk.syncs();
                    node.create(&format!("user-{n}")).await.unwrap();
                    assert!(disk.syncs() > at_start, "answered without a sync");
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        let syncs = disk.syncs() - before;
        assert!(syncs < 256, "{syncs} syncs for 256 writes: nothing was grouped");
        let after = users(disk.crash(None), &node.account).await.unwrap();
        assert_eq!(after.len(), 256);
        Arc::into_inner(node).unwrap().end().await;
    });
}

#[test]
fn atk_x06_x07_the_nth_call_fails_and_nothing_answered_is_lost() {
    block_on(async {
        let (mut failed, mut refused) = (0, 0);
        // Far enough for several commits; the count of calls to begin with differs from run to run.
        for n in 1..=60 {
            let disk = Disk::new();
            let node = Node::start(&disk).await;
            let at = disk.calls() + n;
            disk.fail(if n % 2 == 0 { Failure::From(at) } else { Failure::Once(at) });
            let mut answered = BTreeSet::new();
            let mut asked = BTreeSet::new();
            for user in 0..6 {
                let name = format!("user-{user}");
                asked.insert(name.clone());
                let sound = node.engine.is_sound();
                match node.create(&name).await {
                    Ok(_) => {
                        assert!(sound, "a store in doubt took a write");
                        answered.insert(name);
                    }
                    Err(Error::Internal(_)) => failed += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
            let seen = node.engine.state();
            let seen: BTreeSet<_> =
                seen.users_of(&node.account, None).map(|u| u.name.to_string()).collect();
            assert_eq!(seen, answered, "only what is durable is seen");
            match users(disk.crash(Some(n)), &node.account).await {
                Ok(after) => {
                    assert!(answered.is_subset(&after), "call {n}: answered and lost");
                    assert!(after.is_subset(&asked), "call {n}: nobody asked for that");
                    assert!(after.len() <= answered.len() + 1, "call {n}: more than one in flight");
                }
                Err(why) => {
                    refused += 1;
                    assert!(!why.is_empty());
                }
            }
            node.end().await;
        }
        assert!(failed > 0, "no call failed, so nothing was tested");
        assert_eq!(refused, 0, "a loss of power is no damage");
    });
}

/// The names of the users whose making is in the trail of a disk.
async fn recorded(disk: Disk) -> BTreeSet<String> {
    let store = Embedded::open_on(disk).unwrap();
    let query = store::EntryQuery::forwards(1, 100_000);
    let page = store.entries(&query).await.unwrap();
    let events = page.entries.iter().map(|entry| serde_json::from_slice(&entry.record).unwrap());
    let made = events.filter(|event: &serde_json::Value| {
        event.get("operation").is_some_and(|name| name == "CreateUser")
            && event.get("error").is_none_or(serde_json::Value::is_null)
    });
    let name = |event: serde_json::Value| {
        event.pointer("/params/userName").and_then(|name| name.as_str()).map(str::to_owned)
    };
    made.filter_map(name).collect()
}

#[test]
fn atk_h12_on_a_full_disk_nothing_changes_that_is_not_recorded() {
    block_on(async {
        let disk = Disk::new();
        let node = Node::start(&disk).await;
        node.create("before").await.unwrap();
        let room = u64::try_from(disk.bytes().len()).unwrap() + 65_536;
        disk.fail(Failure::Full(room));
        let mut answered = BTreeSet::from(["before".to_owned()]);
        let mut refused = 0;
        for n in 0..5_000 {
            let name = format!("user-{n}");
            match node.create(&name).await {
                Ok(_) => drop(answered.insert(name)),
                Err(Error::Internal(_)) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
            if refused == 3 {
                break;
            }
        }
        assert_eq!(refused, 3, "the disk was never full");
        assert!(!node.engine.is_sound(), "it goes on as if nothing had been");
        // Read on, as far as it went; and after a restart with room again it goes on.
        let seen = node.engine.state();
        let seen = seen.users_of(&node.account, None).count();
        assert_eq!(seen, answered.len());
        let after = users(disk.crash(None), &node.account).await.unwrap();
        assert_eq!(after, recorded(disk.crash(None)).await, "each change has its entry");
        assert!(answered.is_subset(&after), "what was answered is there");
        assert!(after.len() <= answered.len() + 1, "and at most the one that was under way");
        node.end().await;
    });
}

#[test]
fn atk_h12_on_a_full_disk_no_read_is_answered_and_none_refused_without_its_entry() {
    block_on(async {
        let disk = Disk::new();
        let node = Node::start(&disk).await;
        node.engine.recording.set(Recording::Reads).unwrap();
        disk.fail(Failure::Full(u64::try_from(disk.bytes().len()).unwrap() + (4 << 20)));
        let (mut told, mut denied, mut failed) = (BTreeSet::new(), 0, 0);
        for n in 0..20_000 {
            let id = format!("request-{n}");
            // Every other one is the operator's to ask, and refused.
            let command =
                if n % 2 == 0 { Command::GetCallerIdentity } else { Command::ListAccounts };
            match node.call(command, id.clone()).await {
                Ok(_) => drop(told.insert(id)),
                Err(Error::AccessDenied(_)) => {
                    denied += 1;
                    told.insert(id);
                }
                Err(Error::Internal(_)) => failed += 1,
                Err(other) => panic!("{other:?}"),
            }
            if failed == 4 {
                break;
            }
        }
        assert_eq!(failed, 4, "the disk was never full, or reads were answered all the same");
        assert!(denied > 0 && told.len() > denied, "both kinds were told something before");
        let store = Embedded::open_on(disk.crash(None)).unwrap();
        let page = store.entries(&store::EntryQuery::forwards(1, 100_000)).await.unwrap();
        let ids = page.entries.iter().map(|entry| {
            let event: serde_json::Value = serde_json::from_slice(&entry.record).unwrap();
            event.get("request_id").unwrap().as_str().unwrap().to_owned()
        });
        let kept: BTreeSet<String> = ids.filter(|id| id.starts_with("request-")).collect();
        assert!(told.is_subset(&kept), "what was told is in the trail");
        assert!(kept.len() <= told.len() + 1, "and at most the one that was under way");
        node.end().await;
    });
}

/// How many sessions the trail and the store of a disk together say that root has had.
async fn opened_sessions(disk: &Disk, root: &PrincipalId) -> u64 {
    let store = Embedded::open_on(disk.crash(None)).unwrap();
    let clock = Arc::new(Clock::system());
    let (engine, writer) = Engine::start(store, keyring(), clock).await.unwrap();
    engine.record_uses().await;
    let opened = engine.state().sessions(root).map_or(0, |row| row.opened);
    engine.stop().await;
    writer.join().unwrap();
    opened
}

#[test]
fn row_33_uses_are_stored_in_parts_and_each_is_counted_once_wherever_the_power_goes() {
    block_on(async {
        let disk = Disk::new();
        let node = Node::start(&disk).await;
        let root = PrincipalId::parse(node.account.as_str()).unwrap();
        let session = || Command::GetSessionToken { duration_s: None };
        // So many principals that one round takes several commits; root, in the order of ids, is the first.
        let mut keys = Vec::new();
        for n in 0..300 {
            let user = UserName::parse(&format!("user-{n}")).unwrap();
            node.create(user.as_str()).await.unwrap();
            let made =
                node.call(Command::CreateAccessKey { user: Some(user) }, String::new()).await;
            let Ok(Output::Key { key, .. }) = made else { panic!("no key") };
            keys.push(key.id.clone());
        }
        node.engine.record_uses().await;
        let mut wanted = 0;
        for round in 0..3 {
            for key in &keys {
                let call = Call { caller: Caller::Key(key.clone()), ..of(session()) };
                node.engine.call(call).await.unwrap();
            }
            node.call(session(), String::new()).await.unwrap();
            wanted += 1;
            assert_eq!(opened_sessions(&disk, &root).await, wanted, "round {round}");
            // The round is begun and not ended; root opens another meanwhile, which is not in it.
            let mut parts = 0;
            while node.engine.record_part(parts == 0).await {
                parts += 1;
                if parts == 1 {
                    node.call(session(), String::new()).await.unwrap();
                    wanted += 1;
                }
                assert_eq!(opened_sessions(&disk, &root).await, wanted, "part {parts}");
                let opened = node.engine.state().sessions(&root).unwrap().opened;
                assert!(round > 0 || opened < wanted, "one is in the trail only");
                if round == 1 && parts == 1 {
                    break; // and the next round begins with what this one left
                }
            }
            assert!(parts > 0, "all fitted into one commit, so nothing was tested");
        }
        node.engine.record_uses().await;
        let opened = node.engine.state().sessions(&root).unwrap().opened;
        assert_eq!((opened, opened_sessions(&disk, &root).await), (wanted, wanted));
        node.end().await;
    });
}

#[test]
fn row_33_uses_that_were_not_stored_are_read_again_out_of_the_trail() {
    block_on(async {
        let disk = Disk::new();
        let node = Node::start(&disk).await;
        node.create("first").await.unwrap();
        let root = PrincipalId::parse(node.account.as_str()).unwrap();
        let iam = Namespace::parse("iam").unwrap();
        let seen = |state: &State| state.access(&root, &iam).is_some();
        let store = Embedded::open_on(disk.crash(None)).unwrap();
        let clock = Arc::new(Clock::system());
        let (engine, writer) = Engine::start(store, keyring(), clock).await.unwrap();
        assert!(!seen(&engine.state()), "nothing was stored before the power went");
        engine.record_uses().await;
        assert!(seen(&engine.state()));
        engine.stop().await;
        writer.join().unwrap();
        node.end().await;
    });
}

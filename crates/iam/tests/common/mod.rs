//! A small world to call the core in: a state, keys, seeded randomness, a clock that stands still
//! unless it is set. Every call is checked: what it changed, what it left, what it told the trail.

use iam::audit::Event;
use iam::caller::{Call, Caller, MadeFor, Source, authenticate};
use iam::command::*;
use iam::deletion;
use iam::error::Error;
use iam::handle::handle;
use iam::output::*;
use iam::rows::*;
use iam::seal::Keyring;
use iam::session::Claims;
use iam::state::State;
use iam::state::problems;
use iam::text::*;
use iam::tx::Env;
use policy::Dialect;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub const A: &str = "111122223333";
pub const B: &str = "444455556666";
pub const C: &str = "1234567890123456";
pub const START_MS: i64 = 1_700_000_000_000;
pub const BACKUP: &str = "backup.example.com";
pub const VAULT: &str = "vault.backup.example.com";
pub const OTHER: &str = "other.example.com";
pub const BACKUP_ROLE: &str = "AWSServiceRoleForExampleBackup";
pub const VAULT_ROLE: &str = "AWSServiceRoleForExampleVault";
pub const OTHER_ROLE: &str = "AWSServiceRoleForExampleOther";

/// A source of numbers that a seed decides (splitmix64).
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.roll().to_le_bytes();
            chunk.iter_mut().zip(word).for_each(|(to, from)| *to = from);
        }
    }
}

#[derive(Clone)]
pub struct World {
    pub state: State,
    pub keyring: Arc<Keyring>,
    pub now_ms: i64,
    pub dice: Dice,
    pub events: Vec<Event>,
    /// What others were told of these calls.
    pub notices: Vec<Event>,
    pub changes: usize,
    pub source: Source,
}

/// Any text type from a literal.
pub fn t<T: Text>(text: &str) -> T {
    T::read(text).unwrap_or_else(|v| panic!("{text:?}: {v:?}"))
}

pub fn permissions(text: &str) -> PermissionsPolicy {
    PermissionsPolicy::parse(text, Dialect::Aws).unwrap()
}

pub fn allow(action: &str, resource: &str) -> PermissionsPolicy {
    permissions(&format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"{resource}"}}]}}"#
    ))
}

pub fn ram_allow(action: &str, resource: &str) -> PermissionsPolicy {
    let text = format!(
        r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"{resource}"}}]}}"#
    );
    PermissionsPolicy::parse(&text, Dialect::Alibaba).unwrap()
}

/// A trust policy with one principal, written as JSON.
pub fn trust(principal: &str) -> TrustPolicy {
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}]}}"#
    );
    TrustPolicy::parse(&text, Dialect::Aws).unwrap()
}

pub fn trust_account(account: &str) -> TrustPolicy {
    trust(&format!(r#"{{"AWS":"arn:aws:iam::{account}:root"}}"#))
}

pub fn system_policy(name: &str) -> PolicyTarget {
    PolicyTarget {
        text: format!("arn:aws:iam::aws:policy/{name}"),
        owner: PolicyOwner::System,
        path: t("/"),
        name: t(name),
    }
}

pub fn customer_policy(account: &str, name: &str) -> PolicyTarget {
    PolicyTarget {
        text: format!("arn:aws:iam::{account}:policy/{name}"),
        owner: PolicyOwner::Account(t(account)),
        path: t("/"),
        name: t(name),
    }
}

pub fn linked_policy(name: &str) -> PolicyTarget {
    PolicyTarget {
        text: format!("arn:aws:iam::aws:policy/aws-service-role/{name}"),
        owner: PolicyOwner::System,
        path: t("/aws-service-role/"),
        name: t(name),
    }
}

/// An AssumeRole of nothing but role and session name.
pub fn assume(arn: &str) -> AssumeRole {
    let (account, name) = match policy::name::parse_entity(arn) {
        Some(policy::Entity::Role { account, name, .. }) => (account, name),
        other => panic!("{arn}: {other:?}"),
    };
    AssumeRole {
        role: RoleTarget { text: arn.to_owned(), account: t(&account), name: t(&name) },
        session: t("s-1"),
        duration_s: None,
        policy: None,
        policy_arns: Vec::new(),
        tags: Vec::new(),
        transitive: Vec::new(),
        external_id: None,
        source_identity: None,
    }
}

pub fn linked_arn(account: &str, principal: &str, role: &str) -> String {
    format!("arn:aws:iam::{account}:role/aws-service-role/{principal}/{role}")
}

pub fn template(principal: &str, role: &str, suffix: SuffixRule) -> Template {
    Template {
        principal: t(principal),
        role: role.to_owned(),
        policy: t(&format!("{role}ServiceRolePolicy")),
        suffix,
        deletion: DeletionRule::Manual,
        allow_iam_writes: false,
        max_session_s: iam::limits::SESSION_DEFAULT_S,
        triggers: Vec::new(),
        description: Some(t("Made by its service")),
        versions: BTreeMap::from([(
            1,
            Documents {
                aws: Some(allow("storage:Get*", "*")),
                alibaba: Some(ram_allow("storage:Get*", "*")),
            },
        )]),
        version: 1,
        sources: BTreeMap::new(),
    }
}

pub fn manifest(service: &str, signing: &str, roles: Vec<Template>) -> Manifest {
    Manifest {
        service: t(service),
        display_name: service.to_owned(),
        signing_names: BTreeSet::from([signing.to_owned()]),
        hosts: BTreeSet::from([format!("{signing}.local")]),
        regions: BTreeSet::from([t("north-1"), t("south-1")]),
        usage: UsageSource::Registry,
        callback: None,
        identity: (service == BACKUP).then(|| backup_identity().into()),
        forward: match service {
            BACKUP => Documents {
                aws: Some(allow("storage:*", "*")),
                alibaba: Some(ram_allow("storage:*", "*")),
            },
            _ => Documents::default(),
        },
        roles,
        policies: Vec::new(),
    }
}

/// What proves the service `backup`.
pub fn backup_identity() -> ServiceIdentity {
    let token = TokenIdentity {
        issuer: Some(t("https://id.example.com")),
        keys: None,
        subject: "spiffe://example.org/backup".into(),
        audience: "linkrole".into(),
        certificates: BTreeSet::new(),
    };
    ServiceIdentity { token: Some(token), certificate: None }
}

pub fn no_paging() -> Paging {
    Paging::default()
}

pub fn is_denied<T>(outcome: &Result<T, Error>) -> bool {
    outcome.as_ref().is_err_and(Error::is_denial)
}

/// Holders of the usual credentials.
#[derive(Clone)]
pub struct People {
    pub root: Caller,
    pub other_root: Caller,
    pub admin: Caller,
    pub bare: Caller,
    pub backup: Caller,
    pub other: Caller,
}

impl World {
    /// Nothing but the keys and the clock.
    pub fn empty(seed: u64) -> Self {
        Self {
            state: State::default(),
            keyring: Arc::new(Keyring::from_bytes(&[7; Keyring::LEN]).unwrap()),
            now_ms: START_MS,
            dice: Dice(seed),
            events: Vec::new(),
            notices: Vec::new(),
            changes: 0,
            source: Source {
                ip: "192.0.2.7".into(),
                user_agent: "test".into(),
                region: "north-1".into(),
                tls: true,
                console: false,
                made_for: MadeFor::default(),
                api: None,
            },
        }
    }

    /// Accounts A, B (AWS) and C (Alibaba); in A an administrator and a user without permissions;
    /// the services `backup` (two roles) and `other` (one).
    pub fn peopled(seed: u64) -> (Self, People) {
        let mut world = Self::empty(seed);
        let root = world.account(A, Dialect::Aws);
        let other_root = world.account(B, Dialect::Aws);
        world.account(C, Dialect::Alibaba);
        let admin = world.user(&root, "admin");
        world.ok(
            &root,
            Command::AttachUserPolicy {
                user: t("admin"),
                policy: system_policy("AdministratorAccess"),
            },
        );
        let bare = world.user(&root, "bare");
        let backup = world.service(manifest(
            BACKUP,
            "backup",
            vec![
                template(BACKUP, "ExampleBackup", SuffixRule::Refused),
                template(VAULT, "ExampleVault", SuffixRule::Optional),
            ],
        ));
        let other = world.service(manifest(
            OTHER,
            "other",
            vec![template(OTHER, "ExampleOther", SuffixRule::Refused)],
        ));
        (world, People { root, other_root, admin, bare, backup, other })
    }

    pub fn account(&mut self, id: &str, dialect: Dialect) -> Caller {
        let command = Command::CreateAccount { id: Some(t(id)), dialect, role_quota: None };
        match self.ok(&Caller::Operator, command) {
            Output::Account { key, .. } => Caller::Key(key.id.clone()),
            other => panic!("{other:?}"),
        }
    }

    pub fn service(&mut self, manifest: Manifest) -> Caller {
        let command = Command::RegisterService { token: None, manifest: Box::new(manifest) };
        match self.ok(&Caller::Operator, command) {
            Output::Registered { key, .. } => Caller::Key(key.id.clone()),
            other => panic!("{other:?}"),
        }
    }

    /// A user with a key.
    pub fn user(&mut self, root: &Caller, name: &str) -> Caller {
        let create = Command::CreateUser {
            user: t(name),
            path: t("/"),
            boundary: None,
            tags: Vec::new(),
            profile: Default::default(),
        };
        self.ok(root, create);
        self.key(root, name)
    }

    pub fn key(&mut self, root: &Caller, user: &str) -> Caller {
        match self.ok(root, Command::CreateAccessKey { user: Some(t(user)) }) {
            Output::Key { key, .. } => Caller::Key(key.id.clone()),
            other => panic!("{other:?}"),
        }
    }

    pub fn put_user_policy(&mut self, root: &Caller, user: &str, document: PermissionsPolicy) {
        let command = Command::PutUserPolicy { user: t(user), name: t("inline"), document };
        self.ok(root, command);
    }

    /// An ordinary role at the root path.
    pub fn role(&mut self, root: &Caller, name: &str, trust: TrustPolicy) -> Arc<Role> {
        match self.ok(root, create_role(name, "/", trust)) {
            Output::Role(view) => view.role,
            other => panic!("{other:?}"),
        }
    }

    /// A service-linked role.
    pub fn linked(&mut self, root: &Caller, principal: &str) -> Arc<Role> {
        let command = create_linked(principal, None);
        match self.ok(root, command) {
            Output::Role(view) => view.role,
            other => panic!("{other:?}"),
        }
    }

    /// One call, with all that must be true after any call.
    pub fn call(&mut self, caller: &Caller, command: Command) -> Result<Output, Error> {
        self.call_for(caller, None, command)
    }

    /// One call of a service that presents a caller's request.
    pub fn call_for(
        &mut self,
        caller: &Caller,
        on_behalf: Option<&Caller>,
        command: Command,
    ) -> Result<Output, Error> {
        let call = Call {
            caller: caller.clone(),
            on_behalf: on_behalf.cloned(),
            command,
            nonce: None,
            refusal: None,
            source: self.source.clone(),
            request_id: "request".into(),
        };
        let mut dice = self.dice.clone();
        let mut random = |bytes: &mut [u8]| dice.fill(bytes);
        let mut env = Env { now_ms: self.now_ms, random: &mut random, keyring: &self.keyring };
        let handled = handle(&self.state, &call, &mut env);
        self.dice = dice;
        check_changes(&self.state, &handled.next, &handled.changes, handled.outcome.is_err());
        check_history(&self.state, &handled.next);
        assert_eq!(problems(&handled.next), Vec::<String>::new(), "{:?}", call.command);
        let name = call.command.operation().facts().name;
        assert_eq!(handled.event.operation, name, "every call is told under its own name");
        // What a service asks about its caller may be answered with no.
        let no = matches!(&handled.outcome, Ok(Output::Authorized { decision, .. }) if !decision.allowed());
        assert_eq!(handled.event.error.is_some(), no || handled.outcome.is_err());
        self.state = handled.next;
        self.changes += handled.changes.len();
        self.events.push(handled.event);
        self.notices.extend(handled.notices);
        handled.outcome
    }

    /// A call that must succeed.
    pub fn ok(&mut self, caller: &Caller, command: Command) -> Output {
        let shown = format!("{command:?}");
        self.call(caller, command).unwrap_or_else(|e| panic!("{shown}: {e:?}"))
    }

    /// A call that must fail.
    pub fn err(&mut self, caller: &Caller, command: Command) -> Error {
        let shown = format!("{command:?}");
        match self.call(caller, command) {
            Err(error) => error,
            Ok(output) => panic!("{shown}: {output:?}"),
        }
    }

    /// A session from credentials that a call answered with.
    pub fn session(&self, output: Output) -> Caller {
        match output {
            Output::Session { credentials, .. } => {
                Caller::Session(Arc::new(Claims::open(&self.keyring, &credentials.token).unwrap()))
            }
            other => panic!("{other:?}"),
        }
    }

    /// The session that an AssumeRole opens.
    pub fn assume(&mut self, caller: &Caller, ask: AssumeRole) -> Result<Caller, Error> {
        let output = self.call(caller, Command::AssumeRole(Box::new(ask)))?;
        Ok(self.session(output))
    }

    /// Whether the credentials still work.
    pub fn works(&mut self, caller: &Caller) -> bool {
        self.call(caller, Command::GetCallerIdentity).is_ok()
    }

    pub fn authenticates(&self, key: &str, token: Option<&str>) -> Result<Caller, Error> {
        let found = authenticate(&self.state, &self.keyring, self.now_ms, key, token);
        found.map(|(caller, _)| caller)
    }

    pub fn submit(&mut self, caller: &Caller, role: &str) -> TaskId {
        match self.ok(caller, Command::DeleteServiceLinkedRole { role: t(role) }) {
            Output::Task(view) => view.task.id.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// Takes the step that the plan names; `None` when the task is final.
    pub fn step(&mut self, task: &TaskId) -> Option<DeletionStep> {
        let row = self.state.task(task).cloned().unwrap();
        let step = deletion::next_step(&row, self.now_ms)?;
        self.ok(&Caller::System, Command::StepDeletion(step.clone()));
        Some(step)
    }

    /// Steps until the task is in this phase.
    pub fn step_to(&mut self, task: &TaskId, phase: TaskPhase) -> Arc<DeletionTask> {
        while self.task(task).phase != phase {
            assert!(self.step(task).is_some(), "{:?}", self.task(task));
        }
        self.task(task)
    }

    /// Drives a task to its end.
    pub fn finish(&mut self, task: &TaskId) -> Arc<DeletionTask> {
        while self.step(task).is_some() {}
        self.task(task)
    }

    pub fn delete_linked(&mut self, caller: &Caller, role: &str) -> Arc<DeletionTask> {
        let task = self.submit(caller, role);
        self.finish(&task)
    }

    pub fn task(&self, id: &TaskId) -> Arc<DeletionTask> {
        self.state.task(id).cloned().unwrap()
    }

    pub fn role_named(&self, account: &str, name: &str) -> Option<Arc<Role>> {
        self.state.role(&t(account), &Folded::of(name)).cloned()
    }

    pub fn last_event(&self) -> &Event {
        self.events.last().unwrap()
    }
}

pub fn create_role(name: &str, path: &str, trust: TrustPolicy) -> Command {
    Command::CreateRole {
        role: t(name),
        path: t(path),
        trust,
        description: None,
        max_session_s: None,
        boundary: None,
        tags: Vec::new(),
    }
}

pub fn create_linked(principal: &str, suffix: Option<&str>) -> Command {
    Command::CreateServiceLinkedRole {
        principal: principal.to_owned(),
        suffix: suffix.map(t),
        description: None,
    }
}

pub fn target(account: &str, role: &str) -> LinkedTarget {
    LinkedTarget { account: t(account), role: role.to_owned() }
}

pub fn register(account: &str, role: &str, resource: &str) -> Command {
    Command::RegisterUsage {
        target: target(account, role),
        region: t("north-1"),
        resource: t(resource),
    }
}

pub fn deregister(account: &str, role: &str, resource: &str) -> Command {
    Command::DeregisterUsage {
        target: target(account, role),
        region: t("north-1"),
        resource: t(resource),
    }
}

/// The changes alone lead from the old state to the new one, and every row survives being stored.
fn check_changes(old: &State, new: &State, changes: &[Change], failed: bool) {
    if failed {
        assert!(changes.is_empty(), "a failed call changed something: {changes:?}");
    }
    let mut again = old.clone();
    for change in changes {
        let (table, key, value) = change.encode().unwrap();
        let stored = match (change, value) {
            (Change::Put(row), Some(bytes)) => {
                let read = Row::decode(table, &bytes).unwrap();
                assert_eq!(read, *row, "a row reads back as another");
                assert_eq!(read.key().encode(), (table, key));
                Change::Put(read)
            }
            (Change::Delete(key), None) => Change::Delete(key.clone()),
            other => panic!("{other:?}"),
        };
        again.apply(&stored);
    }
    assert_eq!(again.rows(), new.rows(), "the changes lead elsewhere than the call");
}

/// What no call may do to what was there: I2 to I4 of the deletion, as far as states show them.
pub fn check_history(old: &State, new: &State) {
    for task in old.tasks() {
        let Some(now) = new.task(&task.id) else {
            assert!(!task.is_open(), "an open task went: {task:?}");
            continue;
        };
        if !task.is_open() {
            assert_eq!(task.status, now.status, "a final status changed");
        }
        assert!(task.attempt <= now.attempt && task.fences <= now.fences, "a count went down");
        assert_eq!((&task.role, &task.account), (&now.role, &now.account));
    }
    for account in old.accounts() {
        for role in old.roles_of(&account.id, None) {
            let RoleKind::Linked(before) = &role.kind else { continue };
            match new.role_by_id(&role.id).map(|r| r.kind.clone()) {
                Some(RoleKind::Linked(after)) => {
                    assert!(after.status.epoch() >= before.status.epoch(), "an epoch went down");
                    assert_eq!(after.template.service, before.template.service);
                }
                Some(RoleKind::Own(_)) => panic!("a service-linked role became an ordinary one"),
                None => {
                    assert!(new.tombstone(&role.id).is_some(), "a role went without a tombstone");
                    assert_eq!(new.usage_count(&role.id), 0, "a use outlived its role");
                }
            }
        }
    }
}

#[test]
fn the_world_works_and_its_checks_see_a_broken_state() {
    let (mut world, people) = World::peopled(1);
    assert!(world.works(&people.admin) && world.works(&people.bare) && world.works(&people.other));
    let plain = world.role(&people.root, "plain", trust_account(A));
    let arn = format!("arn:aws:iam::{A}:role/plain");
    let session = world.assume(&people.admin, assume(&arn)).unwrap();
    assert!(world.works(&session));
    let linked = world.linked(&people.root, BACKUP);
    world.ok(&people.backup, register(A, linked.id.as_str(), "vault-1"));
    let task = world.submit(&people.root, BACKUP_ROLE);
    assert_eq!(world.finish(&task).status, TaskStatus::Failed);
    world.ok(&people.backup, deregister(A, BACKUP_ROLE, "vault-1"));
    let task = world.submit(&people.root, BACKUP_ROLE);
    world.step_to(&task, TaskPhase::Fenced);
    assert_eq!(world.finish(&task).status, TaskStatus::Succeeded);
    world.linked(&people.other_root, OTHER);
    assert_eq!(world.delete_linked(&people.other_root, OTHER_ROLE).status, TaskStatus::Succeeded);
    assert!(world.role_named(B, OTHER_ROLE).is_none());
    world.put_user_policy(&people.root, "bare", allow("iam:GetUser", "*"));
    let error = world.err(&people.bare, Command::GetRole { role: t("plain") });
    assert!(is_denied(&Err::<(), _>(error)) && world.last_event().denied);
    assert_eq!(linked_arn(A, VAULT, VAULT_ROLE).matches('/').count(), 3);
    for policy in [customer_policy(A, "x"), linked_policy("ExampleBackupServiceRolePolicy")] {
        let error = world.err(&people.root, Command::DeletePolicy { policy, cascade: false });
        assert!(matches!(error, Error::NoSuchEntity(_) | Error::AccessDenied(_)));
    }
    assert!(world.authenticates("AKIAAAAAAAAAAAAAAAAA", None).is_err());
    let listed = world.ok(
        &people.root,
        Command::ListRoles { prefix: "/".into(), with: Vec::new(), paging: no_paging() },
    );
    assert!(matches!(listed, Output::Roles(page) if page.items.len() == 1));
    assert!(world.changes > 0 && world.dice.below(3) < 3 && world.state.account(&t(C)).is_some());

    // The control of the checks themselves: each broken state is seen.
    let broken = |changes: &[Change]| {
        let mut state = world.state.clone();
        changes.iter().for_each(|change| state.apply(change));
        problems(&state)
    };
    assert_eq!(broken(&[]), Vec::<String>::new());
    assert!(!broken(&[Change::Delete(Key::Account(t(A)))]).is_empty());
    assert!(!broken(&[Change::Delete(Key::User(t(A), Folded::of("admin")))]).is_empty());
    assert!(!broken(&[Change::Delete(Key::Service(t(BACKUP)))]).is_empty());
    let tomb = Tombstone { account: t(A), role: plain.id.clone(), at_ms: 1 };
    assert!(!broken(&[Change::Put(Row::Tombstone(tomb))]).is_empty());
    let ledger = Ledger { account: t(A), role: linked.id.clone(), last_expiry_ms: 1 };
    assert!(!broken(&[Change::Put(Row::Ledger(ledger))]).is_empty());
    let open = DeletionTask {
        status: TaskStatus::InProgress,
        phase: TaskPhase::Fenced,
        ..(*world.task(&task)).clone()
    };
    assert!(!broken(&[Change::Put(Row::Task(open))]).is_empty());
}

//! The first rows of an installation: made through `iam::handle` like everything else.

use iam::audit::Event;
use iam::caller::{Call, Caller, Source};
use iam::command::{Command, Manifest, PolicyOwner, PolicyTarget};
use iam::handle::handle;
use iam::output::Output;
use iam::rows::{Change, Installation, Row};
use iam::seal::{Keyring, Secret};
use iam::state::State;
use iam::text::{AccountId, KeyId, Path, PolicyName, UserName};
use iam::tx::Env;
use policy::Dialect;

/// The linked services that come with linkrole, as their manifests.
pub const CATALOGUE: &[&str] = &[
    include_str!("../../../catalog/backup.example.com.toml"),
    include_str!("../../../catalog/config.aliyuncs.com.toml"),
    include_str!("../../../catalog/kms.aliyuncs.com.toml"),
    include_str!("../../../catalog/mssp.aliyuncs.com.toml"),
    include_str!("../../../catalog/resourcemanager.aliyuncs.com.toml"),
    include_str!("../../../catalog/tag.aliyuncs.com.toml"),
];

/// A key pair that was just made.
pub struct KeyPair {
    /// The key's id.
    pub id: KeyId,
    /// Its secret.
    pub secret: Secret,
}

/// An installation in the making.
pub struct Seed<'a> {
    keyring: &'a Keyring,
    state: State,
    /// All changes so far.
    pub changes: Vec<Change>,
    /// The last event.
    pub event: Option<Event>,
}

impl<'a> Seed<'a> {
    /// Begins an installation that belongs to a keyring.
    pub fn begin(keyring: &'a Keyring) -> Self {
        let mut seed = Self { keyring, state: State::default(), changes: Vec::new(), event: None };
        let row = Row::Installation(Installation { key_check: keyring.check_value() });
        seed.apply(vec![Change::Put(row)]);
        seed
    }

    fn apply(&mut self, changes: Vec<Change>) {
        for change in &changes {
            self.state.apply(change);
        }
        self.changes.extend(changes);
    }

    fn call(&mut self, caller: Caller, command: Command) -> Result<Output, String> {
        let mut random = crate::clock::random;
        let mut env = Env {
            now_ms: crate::clock::Clock::system().now_ms(),
            random: &mut random,
            keyring: self.keyring,
        };
        let call = Call {
            caller,
            on_behalf: None,
            command,
            nonce: None,
            refusal: None,
            source: Source::default(),
            request_id: crate::clock::uuid(),
        };
        let handled = handle(&self.state, &call, &mut env);
        self.apply(handled.changes);
        self.event = Some(handled.event);
        handled.outcome.map_err(|e| wire::aws::fault::fault(&e).message)
    }

    /// Makes an account and its root's key.
    pub fn account(
        &mut self,
        id: Option<AccountId>,
        dialect: Dialect,
    ) -> Result<(AccountId, KeyPair), String> {
        let command = Command::CreateAccount { id, dialect, role_quota: None };
        match self.call(Caller::Operator, command)? {
            Output::Account { account, key, secret } => {
                Ok((account.id.clone(), KeyPair { id: key.id.clone(), secret }))
            }
            _ => Err("the account was not made".to_owned()),
        }
    }

    /// Makes a user who may do everything, and its key. Root cannot assume roles; this user can.
    pub fn administrator(&mut self, root: &KeyPair, name: &str) -> Result<KeyPair, String> {
        let user = UserName::parse(name).map_err(|_| "the user's name does not fit".to_owned())?;
        let path = Path::parse("/").map_err(|_| "the path does not fit".to_owned())?;
        let policy = PolicyName::parse("AdministratorAccess")
            .map_err(|_| "the policy's name does not fit".to_owned())?;
        let root = Caller::Key(root.id.clone());
        let create = Command::CreateUser {
            user: user.clone(),
            path: path.clone(),
            boundary: None,
            tags: Vec::new(),
            profile: Default::default(),
        };
        self.call(root.clone(), create)?;
        let policy = PolicyTarget {
            text: policy.to_string(),
            owner: PolicyOwner::System,
            path,
            name: policy,
        };
        self.call(root.clone(), Command::AttachUserPolicy { user: user.clone(), policy })?;
        match self.call(root, Command::CreateAccessKey { user: Some(user) })? {
            Output::Key { key, secret, .. } => Ok(KeyPair { id: key.id.clone(), secret }),
            _ => Err("the key was not made".to_owned()),
        }
    }

    /// Makes a user who may do nothing, and its key.
    #[cfg(test)]
    pub fn nobody(&mut self, root: &KeyPair, name: &str) -> Result<KeyPair, String> {
        let user = UserName::parse(name).map_err(|_| "the user's name does not fit".to_owned())?;
        let path = Path::parse("/").map_err(|_| "the path does not fit".to_owned())?;
        let root = Caller::Key(root.id.clone());
        let create = Command::CreateUser {
            user: user.clone(),
            path,
            boundary: None,
            tags: Vec::new(),
            profile: Default::default(),
        };
        self.call(root.clone(), create)?;
        match self.call(root, Command::CreateAccessKey { user: Some(user) })? {
            Output::Key { key, secret, .. } => Ok(KeyPair { id: key.id.clone(), secret }),
            _ => Err("the key was not made".to_owned()),
        }
    }

    /// Registers a linked service of the catalogue.
    pub fn service(&mut self, manifest: &str) -> Result<KeyPair, String> {
        let manifest: Manifest = wire::manifest::parse(manifest)?;
        let command = Command::RegisterService { token: None, manifest: Box::new(manifest) };
        match self.call(Caller::Operator, command)? {
            Output::Registered { key, secret, .. } => Ok(KeyPair { id: key.id.clone(), secret }),
            _ => Err("the service was not registered".to_owned()),
        }
    }

    /// Adds the clouds' own services, as facts.
    pub fn vendors(&mut self) -> Result<(), String> {
        let services = Box::new(crate::vendors::services()?);
        self.call(Caller::System, Command::StockServices { services }).map(drop)
    }

    /// All rows so far.
    pub fn rows(&self) -> Vec<Row> {
        self.state.rows()
    }
}

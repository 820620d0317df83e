//! One call at work: the state it sees, the changes it makes, the notes it leaves for the trail.
//!
//! Dropped, it never happened. Every change goes through `State::apply` at once, so that the call
//! sees what it did. Not here: the order of things ([`crate::handle`]).

use crate::caller::{Identity, Once};
use crate::error::Error;
use crate::limits;
use crate::rows::*;
use crate::seal::Keyring;
use crate::state::State;
use crate::text::*;
use policy::{Dialect, name};
use std::collections::{BTreeMap, BTreeSet};

/// What a call needs from outside.
pub struct Env<'a> {
    /// The wall clock, in milliseconds since 1970.
    pub now_ms: i64,
    /// Fills bytes with randomness.
    pub random: &'a mut dyn FnMut(&mut [u8]),
    /// The installation's keys.
    pub keyring: &'a Keyring,
}

/// What a unique id is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A user.
    User,
    /// A group.
    Group,
    /// A role.
    Role,
    /// A managed policy.
    Policy,
}

impl Class {
    /// What ids of this class begin with in the AWS dialect. [src: AWS.md 2.1]
    fn prefix(self) -> &'static str {
        match self {
            Self::User => "AIDA",
            Self::Group => "AGPA",
            Self::Role => "AROA",
            Self::Policy => "ANPA",
        }
    }

    /// What ids of this class begin with in the Alibaba dialect.
    fn digit(self) -> char {
        match self {
            Self::Group => '1',
            Self::User => '2',
            Self::Role => '3',
            Self::Policy => '4',
        }
    }
}

/// How long an access key lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyClass {
    /// Until it is deleted.
    LongTerm,
    /// As long as its session.
    Session,
}

/// One call at work.
pub struct Tx<'a> {
    state: State,
    changes: Vec<Change>,
    taken: Vec<Change>,
    now_ms: i64,
    random: &'a mut dyn FnMut(&mut [u8]),
    keyring: &'a Keyring,
    notes: Vec<(&'static str, String)>,
    touched: Vec<(AccountId, String)>,
    concerned: BTreeMap<AccountId, BTreeSet<String>>,
}

/// An account that a call concerns without being about it.
pub struct Concerned {
    /// The account.
    pub account: AccountId,
    /// Its resources that the call concerns.
    pub resources: BTreeSet<String>,
    /// A random id for the notice.
    pub id: String,
}

/// What a finished call leaves.
pub struct Finished {
    /// The state after it.
    pub state: State,
    /// Its changes, in order.
    pub changes: Vec<Change>,
    /// The changes that stay whatever comes of the call: that its request was taken.
    pub taken: Vec<Change>,
    /// What the trail shows of its answer.
    pub notes: Vec<(&'static str, String)>,
    /// The resources it was about, with their accounts.
    pub touched: Vec<(AccountId, String)>,
    /// The accounts that get a notice of it.
    pub concerned: Vec<Concerned>,
}

impl<'a> Tx<'a> {
    /// Begins on a state. Time does not go back behind the last time that the state has seen.
    pub fn begin(state: &State, env: &'a mut Env<'_>) -> Self {
        Self {
            now_ms: env.now_ms.max(state.clock_ms()),
            state: state.clone(),
            changes: Vec::new(),
            taken: Vec::new(),
            random: &mut *env.random,
            keyring: env.keyring,
            notes: Vec::new(),
            touched: Vec::new(),
            concerned: BTreeMap::new(),
        }
    }

    /// The state as this call has left it so far.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The time of this call, in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.now_ms
    }

    /// The installation's keys.
    pub fn keyring(&self) -> &'a Keyring {
        self.keyring
    }

    /// Stores a row.
    pub fn put(&mut self, row: Row) {
        self.change(Change::Put(row));
    }

    /// Removes a row.
    pub fn delete(&mut self, key: Key) {
        self.change(Change::Delete(key));
    }

    fn change(&mut self, change: Change) {
        self.state.apply(&change);
        self.changes.push(change);
    }

    /// Takes a request that is taken once, and forgets two that have ended, so that what is
    /// remembered stays as small as it can be.
    ///
    /// Errors: `NonceUsed` for one that was taken before; `TooManyRequests`.
    pub fn take_once(&mut self, once: &Once) -> Result<(), Error> {
        if self.state.knows_nonce(&once.digest) {
            return Err(Error::NonceUsed);
        }
        let ended: Vec<_> = self.state.ended_nonces(self.now_ms).take(2).cloned().collect();
        if ended.is_empty() && self.state.nonce_count() >= limits::NONCES {
            return Err(Error::TooManyRequests);
        }
        let nonce = Nonce { digest: once.digest.clone(), until_ms: once.until_ms };
        let forget = ended.into_iter().map(|digest| Change::Delete(Key::Nonce(digest)));
        for change in forget.chain([Change::Put(Row::Nonce(nonce))]) {
            self.state.apply(&change);
            self.taken.push(change);
        }
        Ok(())
    }

    /// Leaves a word for the trail; never a secret.
    pub fn note(&mut self, name: &'static str, value: String) {
        self.notes.push((name, value));
    }

    /// Says which resource, of which account, the call is about.
    pub fn touch(&mut self, account: &AccountId, resource: String) {
        let entry = (account.clone(), resource);
        if !self.touched.contains(&entry) {
            self.touched.push(entry);
        }
    }

    /// Says which resource, of which account, the call concerns: however many, each account gets a notice of its
    /// own in its trail, with nothing of the others.
    pub fn concern(&mut self, account: &AccountId, resource: String) {
        self.concerned.entry(account.clone()).or_default().insert(resource);
    }

    /// How many accounts and resources the call concerns.
    pub fn concerned(&self) -> (usize, usize) {
        (self.concerned.len(), self.concerned.values().map(BTreeSet::len).sum())
    }

    /// Keeps the time of this call as seen, so that no later call is earlier, even after a restart
    /// with a clock that went back.
    pub fn stamp(&mut self) {
        if self.now_ms > self.state.clock_ms() {
            let at_ms = self.now_ms;
            self.put(Row::Clock(Clock { at_ms }));
        }
    }

    /// Ends the call. A call that changed something also moves the last time seen.
    pub fn finish(mut self) -> Finished {
        if !self.changes.is_empty() {
            self.stamp();
        }
        let concerned = std::mem::take(&mut self.concerned).into_iter();
        let concerned = concerned
            .map(|(account, resources)| Concerned { account, resources, id: self.uuid() })
            .collect();
        Finished {
            concerned,
            state: self.state,
            changes: self.changes,
            taken: self.taken,
            notes: self.notes,
            touched: self.touched,
        }
    }

    /// Random bytes.
    pub fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.random)(&mut bytes);
        bytes
    }

    /// Twice as many random hexadecimal digits.
    pub fn random_hex(&mut self, bytes: usize) -> String {
        let mut buffer = vec![0; bytes];
        (self.random)(&mut buffer);
        crate::seal::hex(&buffer)
    }

    /// A random (version 4) UUID.
    pub fn uuid(&mut self) -> String {
        uuid(self.random::<16>())
    }

    /// A new unique id, in the form of the account's dialect: of AWS a prefix of four letters and 17
    /// random ones (85 bits), of Alibaba 18 digits (56 bits).
    ///
    /// Errors: `Internal` when no free id was found, which means a broken random source.
    pub fn new_id<T: Text>(&mut self, account: &AccountId, class: Class) -> Result<T, Error> {
        let dialect = self.dialect(account)?;
        for _ in 0..8 {
            let text = match dialect {
                Dialect::Aws => {
                    let random = self.random::<17>();
                    let letters = random.iter().map(|b| base32(b & 31));
                    class.prefix().chars().chain(letters).collect()
                }
                Dialect::Alibaba => {
                    let number = u64::from_be_bytes(self.random()) % 100_000_000_000_000_000;
                    format!("{}{number:017}", class.digit())
                }
            };
            if !self.state.knows_id(class, &text) {
                return T::read(&text).map_err(|_| Error::Internal("a unique id"));
            }
        }
        Err(Error::Internal("no free unique id"))
    }

    /// A new access key id, in the form of the account's dialect. In AWS's it is a prefix of four
    /// letters and 16 more that tell the account, as the vendor's do: 40 bits of account, the rest
    /// random. In Alibaba's it is a prefix and random letters.
    ///
    /// Errors: `Internal` when no free id was found, which means a broken random source.
    pub fn new_key_id(
        &mut self,
        class: KeyClass,
        account: Option<&AccountId>,
    ) -> Result<KeyId, Error> {
        let dialect = account.map(|a| self.dialect(a)).transpose()?.unwrap_or_default();
        for _ in 0..8 {
            let text: String = match (dialect, class) {
                (Dialect::Aws, KeyClass::LongTerm) => self.key_text("AKIA", account),
                (Dialect::Aws, KeyClass::Session) => self.key_text("ASIA", account),
                (Dialect::Alibaba, KeyClass::LongTerm) => self.random_text("LTAI"),
                (Dialect::Alibaba, KeyClass::Session) => self.random_text("STS."),
            };
            match KeyId::parse(&text) {
                Ok(id) if self.state.key(&id).is_none() => return Ok(id),
                _ => {}
            }
        }
        Err(Error::Internal("no free access key id"))
    }

    fn random_text(&mut self, prefix: &str) -> String {
        let random = self.random::<20>();
        prefix.chars().chain(random.iter().map(|b| base32(b & 31))).collect()
    }

    fn key_text(&mut self, prefix: &str, account: Option<&AccountId>) -> String {
        let mut bits = u128::from_be_bytes(self.random::<16>()) & ((1 << 80) - 1);
        let number = account.and_then(|a| a.as_str().parse::<u64>().ok());
        match number.filter(|n| *n < (1 << 40)) {
            Some(account) => {
                // Bit 79 says that an account follows; 40 bits of it stand above 39 random ones.
                bits = (bits & ((1 << 39) - 1)) | (u128::from(account) << 39) | (1 << 79);
            }
            None => bits &= (1 << 79) - 1,
        }
        let letters = (0..16).rev().map(|i| {
            let five = u8::try_from((bits >> (5 * i)) & 31).unwrap_or(0);
            base32(five)
        });
        prefix.chars().chain(letters).collect()
    }

    /// A new secret access key: 40 characters, 240 bits.
    pub fn new_secret(&mut self) -> crate::seal::Secret {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let random = self.random::<40>();
        let letters = random.iter().filter_map(|b| ALPHABET.get(usize::from(b & 63)));
        crate::seal::Secret::new(letters.map(|b| char::from(*b)).collect())
    }

    /// The home dialect of an account. Errors: no such account.
    pub fn dialect(&self, account: &AccountId) -> Result<Dialect, Error> {
        let missing = || Error::NoSuchEntity(crate::error::Entity::Account(account.to_string()));
        self.state.account(account).map(|a| a.dialect).ok_or_else(missing)
    }

    /// The dialect of a caller's account; of a caller without one the default.
    pub fn dialect_of(&self, me: &Identity) -> Dialect {
        me.dialect(&self.state)
    }

    /// A role's ARN.
    pub fn role_arn(&self, role: &Role) -> String {
        let dialect = self.dialect(&role.account).unwrap_or(Dialect::Aws);
        name::role(dialect, role.account.as_str(), role.path.as_str(), role.name.as_str())
    }

    /// A user's ARN.
    pub fn user_arn(&self, user: &User) -> String {
        let dialect = self.dialect(&user.account).unwrap_or(Dialect::Aws);
        name::user(dialect, user.account.as_str(), user.path.as_str(), user.name.as_str())
    }

    /// A customer policy's ARN.
    pub fn policy_arn(&self, policy: &ManagedPolicy) -> String {
        let dialect = self.dialect(&policy.account).unwrap_or(Dialect::Aws);
        name::policy(dialect, policy.account.as_str(), policy.path.as_str(), policy.name.as_str())
    }
}

/// The account that an access key id tells; `None` for an id that tells none.
pub fn account_in_key_id(key: &KeyId) -> Option<AccountId> {
    let digits = key.as_str().strip_prefix("AKIA").or(key.as_str().strip_prefix("ASIA"))?;
    let digits = digits.get(..16)?;
    let mut bits: u128 = 0;
    for c in digits.bytes() {
        let five = match c {
            b'A'..=b'Z' => c - b'A',
            b'2'..=b'7' => c - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5) | u128::from(five);
    }
    if bits >> 79 != 1 {
        return None;
    }
    let account = (bits >> 39) & ((1 << 40) - 1);
    AccountId::parse(&format!("{account:012}")).ok()
}

/// Formats 16 random bytes as a version 4 UUID.
pub fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let digits = crate::seal::hex(&bytes);
    let mut text = String::with_capacity(36);
    for (i, c) in digits.chars().enumerate() {
        if matches!(i, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(c);
    }
    text
}

fn base32(five: u8) -> char {
    char::from(if five < 26 { b'A' + five } else { b'2' + (five - 26) })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    #[test]
    fn a_key_id_tells_its_account_and_a_service_key_tells_none() {
        let keyring = Keyring::from_bytes(&[1; Keyring::LEN]).unwrap();
        let mut seed = 0u8;
        let mut random = |bytes: &mut [u8]| {
            for b in bytes {
                seed = seed.wrapping_mul(31).wrapping_add(97);
                *b = seed;
            }
        };
        let mut env = Env { now_ms: 0, random: &mut random, keyring: &keyring };
        let state = State::default();
        let mut tx = Tx::begin(&state, &mut env);
        let mut account = |id: &str, dialect: Dialect| {
            let id = AccountId::parse(id).unwrap();
            let row = Account {
                id: id.clone(),
                dialect,
                created_ms: 0,
                role_quota: 0,
                alias: None,
                terms: ServiceTerms::default(),
            };
            tx.put(Row::Account(row));
            id
        };
        let aws = ["000000000000", "123456789012", "999999999999"];
        let aws = aws.map(|id| account(id, Dialect::Aws));
        let alibaba = account("1234567890123456", Dialect::Alibaba);
        for account in aws {
            let id = tx.new_key_id(KeyClass::LongTerm, Some(&account)).unwrap();
            assert_eq!(id.as_str().len(), 20);
            assert_eq!(account_in_key_id(&id), Some(account));
        }
        for (class, prefix) in [(KeyClass::LongTerm, "LTAI"), (KeyClass::Session, "STS.")] {
            let id = tx.new_key_id(class, Some(&alibaba)).unwrap();
            assert!(id.as_str().starts_with(prefix), "{id}");
            assert_eq!(account_in_key_id(&id), None);
        }
        let id: RoleId = tx.new_id(&alibaba, Class::Role).unwrap();
        assert!(id.as_str().starts_with('3') && id.as_str().len() == 18, "{id}");
        let id = tx.new_key_id(KeyClass::LongTerm, None).unwrap();
        assert_eq!(account_in_key_id(&id), None);
    }
}

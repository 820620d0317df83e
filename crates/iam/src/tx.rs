//! One call at work: the state it sees, the changes it makes, the notes it leaves for the trail.
//!
//! Dropped, it never happened. Every change goes through `State::apply` at once, so that the call
//! sees what it did. Not here: the order of things ([`crate::handle`]).

use crate::error::Error;
use crate::rows::*;
use crate::seal::Keyring;
use crate::state::State;
use crate::text::*;
use policy::{Dialect, name};

/// What a call needs from outside.
pub struct Env<'a> {
    /// The wall clock, in milliseconds since 1970.
    pub now_ms: i64,
    /// Fills bytes with randomness.
    pub random: &'a mut dyn FnMut(&mut [u8]),
    /// The installation's keys.
    pub keyring: &'a Keyring,
}

/// One call at work.
pub struct Tx<'a> {
    state: State,
    changes: Vec<Change>,
    now_ms: i64,
    random: &'a mut dyn FnMut(&mut [u8]),
    keyring: &'a Keyring,
    notes: Vec<(&'static str, String)>,
    touched: Vec<(AccountId, String)>,
}

/// What a finished call leaves.
pub struct Finished {
    /// The state after it.
    pub state: State,
    /// Its changes, in order.
    pub changes: Vec<Change>,
    /// What the trail shows of its answer.
    pub notes: Vec<(&'static str, String)>,
    /// The resources it was about, with their accounts.
    pub touched: Vec<(AccountId, String)>,
}

impl<'a> Tx<'a> {
    /// Begins on a state. Time does not go back behind the last time that the state has seen.
    pub fn begin(state: &State, env: &'a mut Env<'_>) -> Self {
        Self {
            now_ms: env.now_ms.max(state.clock_ms()),
            state: state.clone(),
            changes: Vec::new(),
            random: &mut *env.random,
            keyring: env.keyring,
            notes: Vec::new(),
            touched: Vec::new(),
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
        Finished {
            state: self.state,
            changes: self.changes,
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

    /// A unique id: a prefix of four letters and 17 random ones, 85 bits.
    pub fn unique_id(&mut self, prefix: &str) -> String {
        let random = self.random::<17>();
        let letters = random.iter().map(|b| base32(b & 31));
        prefix.chars().chain(letters).collect()
    }

    /// A new access key id: a prefix of four letters and 16 more. Of an account of 12 digits it
    /// tells the account, as the vendor's do: 40 bits of account, the rest random.
    ///
    /// Errors: `Internal` when no free id was found, which means a broken random source.
    pub fn new_key_id(
        &mut self,
        prefix: &str,
        account: Option<&AccountId>,
    ) -> Result<KeyId, Error> {
        for _ in 0..8 {
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
            let text: String = prefix.chars().chain(letters).collect();
            match KeyId::parse(&text) {
                Ok(id) if self.state.key(&id).is_none() => return Ok(id),
                _ => {}
            }
        }
        Err(Error::Internal("no free access key id"))
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
    let digits = key.as_str().get(4..20)?;
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
        for account in ["000000000000", "123456789012", "999999999999"] {
            let account = AccountId::parse(account).unwrap();
            let id = tx.new_key_id("AKIA", Some(&account)).unwrap();
            assert_eq!(id.as_str().len(), 20);
            assert_eq!(account_in_key_id(&id), Some(account));
        }
        let id = tx.new_key_id("AKIA", None).unwrap();
        assert_eq!(account_in_key_id(&id), None);
    }
}

//! The keys of one installation and what they seal: stored secrets, session tokens, page markers.
//!
//! Pure: the keys and every nonce come from outside. Each purpose has an independent random key;
//! none is derived from another or from a root credential. What is sealed is bound to where it
//! belongs (its row, its purpose), so that a sealed value moved elsewhere does not open.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a key.
pub const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 24;
const TOKEN_VERSION: u8 = 1;

/// A secret text: hidden from `Debug`, wiped when dropped, compared only in constant time.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself; every use is a place to look at in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The keys of one installation: 32 random bytes for each purpose.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Keyring {
    secrets: [u8; KEY_LEN],
    tokens: [u8; KEY_LEN],
    markers: [u8; KEY_LEN],
}

/// A sealed value does not open: it is damaged, forged, or sealed for another place.
#[derive(Debug, PartialEq, Eq)]
pub struct NotSealedHere;

impl Keyring {
    /// Bytes that a keyring is made of.
    pub const LEN: usize = 3 * KEY_LEN;

    /// Builds the keyring from its stored bytes; `None` when their number is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (secrets, rest) = bytes.split_first_chunk::<KEY_LEN>()?;
        let (tokens, rest) = rest.split_first_chunk::<KEY_LEN>()?;
        let (markers, rest) = rest.split_first_chunk::<KEY_LEN>()?;
        rest.is_empty().then_some(Self { secrets: *secrets, tokens: *tokens, markers: *markers })
    }

    /// A text that tells this keyring from another without telling its keys. Kept in the store, so
    /// that a wrong key file is noticed before anything is read with it.
    pub fn check_value(&self) -> String {
        hex(&hmac(&self.secrets, &[b"linkrole check value"]))
    }

    /// Seals a secret for one row. `place` names the row; it must be given again to open.
    pub fn seal_secret(&self, secret: &Secret, place: &[&str], nonce: [u8; 24]) -> String {
        BASE64.encode(seal(&self.secrets, nonce, secret.expose().as_bytes(), &bind(place)))
    }

    /// Opens a secret sealed for the same row.
    pub fn open_secret(&self, sealed: &str, place: &[&str]) -> Result<Secret, NotSealedHere> {
        let bytes = BASE64.decode(sealed).map_err(|_| NotSealedHere)?;
        let plain = open(&self.secrets, &bytes, &bind(place))?;
        String::from_utf8(plain).map(Secret::new).map_err(|_| NotSealedHere)
    }

    /// Seals the claims of a session into the text that its holder carries.
    pub fn seal_token(&self, claims: &[u8], nonce: [u8; 24]) -> String {
        let mut token = vec![TOKEN_VERSION];
        token.extend(seal(&self.tokens, nonce, claims, b"session"));
        BASE64.encode(token)
    }

    /// Opens a session token, whole and unchanged or not at all.
    pub fn open_token(&self, token: &str) -> Result<Vec<u8>, NotSealedHere> {
        let bytes = BASE64.decode(token).map_err(|_| NotSealedHere)?;
        match bytes.split_first() {
            Some((&TOKEN_VERSION, sealed)) => open(&self.tokens, sealed, b"session"),
            _ => Err(NotSealedHere),
        }
    }

    /// The secret key of a session: 40 characters, derived, stored nowhere.
    pub fn session_secret(&self, session: &str, key: &str) -> Secret {
        let mac = hmac(&self.tokens, &[b"secret", session.as_bytes(), b"/", key.as_bytes()]);
        Secret::new(BASE64.encode(mac).chars().take(40).collect())
    }

    /// What proves the id of a report: eight bytes that only this keyring makes of it.
    pub fn prove_report(&self, place: &[&str]) -> [u8; 8] {
        let mac = hmac(&self.markers, &[b"report", &bind(place)]);
        mac.first_chunk().copied().unwrap_or([0; 8])
    }

    /// Seals a page marker; `place` binds it to account, operation and filter.
    pub fn seal_marker(&self, text: &str, place: &[&str]) -> String {
        // The marker hides nothing and need not differ between two askings, so its nonce is derived.
        let nonce = hmac(&self.markers, &[b"nonce", &bind(place), text.as_bytes()]);
        let nonce = nonce.first_chunk::<NONCE_LEN>().copied().unwrap_or([0; NONCE_LEN]);
        BASE64.encode(seal(&self.markers, nonce, text.as_bytes(), &bind(place)))
    }

    /// Opens a page marker made for the same place.
    pub fn open_marker(&self, marker: &str, place: &[&str]) -> Result<String, NotSealedHere> {
        let bytes = BASE64.decode(marker).map_err(|_| NotSealedHere)?;
        let plain = open(&self.markers, &bytes, &bind(place))?;
        String::from_utf8(plain).map_err(|_| NotSealedHere)
    }
}

/// The lower-case hexadecimal SHA-256 of a text: how an enrolment token is kept.
pub fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Whether two texts are equal, in time that depends on their lengths only.
pub fn equal(a: &str, b: &str) -> bool {
    subtle::ConstantTimeEq::ct_eq(a.as_bytes(), b.as_bytes()).into()
}

/// Lower-case hexadecimal digits of bytes.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .map(|n| char::from_digit(n.into(), 16).unwrap_or('0'))
        .collect()
}

/// An injective encoding of a list of texts: each with its length before it.
fn bind(place: &[&str]) -> Vec<u8> {
    let mut bound = Vec::new();
    for part in place {
        bound.extend((part.len() as u64).to_be_bytes());
        bound.extend(part.as_bytes());
    }
    bound
}

fn hmac(key: &[u8; KEY_LEN], parts: &[&[u8]]) -> [u8; 32] {
    let key: &hmac::digest::Key<Hmac<Sha256>> = &{
        // HMAC-SHA256 keys are one block long; a shorter key is padded with zeros.
        let mut block = [0u8; 64];
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        block.into()
    };
    let mut mac = Hmac::<Sha256>::new(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn seal(key: &[u8; KEY_LEN], nonce: [u8; 24], plain: &[u8], aad: &[u8]) -> Vec<u8> {
    let cipher = XChaCha20Poly1305::new(&Key::from(*key));
    let mut sealed = nonce.to_vec();
    // Encryption fails only beyond 256 GiB; an empty body then opens nowhere.
    sealed.extend(
        cipher.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad }).unwrap_or_default(),
    );
    sealed
}

fn open(key: &[u8; KEY_LEN], sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, NotSealedHere> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(NotSealedHere)?;
    XChaCha20Poly1305::new(&Key::from(*key))
        .decrypt(&XNonce::from(*nonce), Payload { msg: body, aad })
        .map_err(|_| NotSealedHere)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may fail loudly")]
    use super::*;

    fn ring(byte: u8) -> Keyring {
        Keyring::from_bytes(&[byte; Keyring::LEN]).unwrap()
    }

    #[test]
    fn atk_h06_a_sealed_secret_moved_to_another_row_does_not_open() {
        let ring = ring(7);
        let sealed = ring.seal_secret(&Secret::new("top".into()), &["1", "AKIA", "1"], [1; 24]);
        assert_eq!(ring.open_secret(&sealed, &["1", "AKIA", "1"]).unwrap().expose(), "top");
        for place in
            [["1", "AKIB", "1"], ["2", "AKIA", "1"], ["1", "AKIA", "2"], ["1A", "KIA", "1"]]
        {
            assert_eq!(ring.open_secret(&sealed, &place).unwrap_err(), NotSealedHere);
        }
    }

    #[test]
    fn atk_a24_every_truncation_and_bit_flip_of_a_token_fails() {
        let ring = ring(9);
        let token = ring.seal_token(b"claims", [3; 24]);
        assert_eq!(ring.open_token(&token).unwrap(), b"claims");
        for end in 0..token.len() {
            let cut: String = token.chars().take(end).collect();
            assert!(ring.open_token(&cut).is_err());
        }
        let raw = BASE64.decode(&token).unwrap();
        for bit in 0..raw.len() * 8 {
            let mut forged = raw.clone();
            *forged.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
            assert!(ring.open_token(&BASE64.encode(forged)).is_err());
        }
        assert!(ring.open_token(&format!("{token}{token}")).is_err());
    }

    #[test]
    fn atk_h04_each_purpose_has_its_own_key() {
        let mut bytes = [0u8; Keyring::LEN];
        for (i, b) in bytes.iter_mut().enumerate() {
            *b = u8::try_from(i).unwrap();
        }
        let a = Keyring::from_bytes(&bytes).unwrap();
        if let Some(b) = bytes.get_mut(40) {
            *b ^= 1;
        }
        let b = Keyring::from_bytes(&bytes).unwrap();
        let sealed = a.seal_secret(&Secret::new("s".into()), &["x"], [1; 24]);
        assert!(b.open_secret(&sealed, &["x"]).is_ok(), "the secrets key is untouched");
        assert!(b.open_token(&a.seal_token(b"c", [1; 24])).is_err(), "the token key is not");
        assert_eq!(a.check_value(), b.check_value());
    }

    #[test]
    fn atk_b18_a_marker_opens_only_where_it_was_made() {
        let ring = ring(1);
        let marker = ring.seal_marker("name", &["111111111111", "ListRoles", "/"]);
        assert_eq!(ring.open_marker(&marker, &["111111111111", "ListRoles", "/"]).unwrap(), "name");
        for place in [
            ["222222222222", "ListRoles", "/"],
            ["111111111111", "ListUsers", "/"],
            ["111111111111", "ListRoles", "/a/"],
        ] {
            assert!(ring.open_marker(&marker, &place).is_err());
        }
        for at in 0..marker.len() {
            let mut bytes = marker.clone().into_bytes();
            let b = bytes.get_mut(at).unwrap();
            *b = if *b == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).unwrap();
            assert!(
                forged == marker
                    || ring.open_marker(&forged, &["111111111111", "ListRoles", "/"]).is_err()
            );
        }
    }
}

//! Keyed hashes of the two signature schemes, and their text form.

use crate::http::hex_digit;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(*byte)]).collect()
}

macro_rules! keyed {
    ($(#[$doc:meta])* $name:ident, $hash:ty, $length:literal) => {
        $(#[$doc])*
        ///
        /// The key fills a block by hand, as RFC 2104 says, so that nothing can fail.
        pub(crate) fn $name(key: &[u8], text: &[u8]) -> [u8; $length] {
            let mut block = [0_u8; 64];
            if key.len() > block.len() {
                let hashed: [u8; $length] = <$hash>::digest(key).into();
                block.iter_mut().zip(hashed).for_each(|(slot, byte)| *slot = byte);
            } else {
                block.iter_mut().zip(key).for_each(|(slot, byte)| *slot = *byte);
            }
            let mut mac = Hmac::<$hash>::new(&block.into());
            block.zeroize();
            mac.update(text);
            mac.finalize().into_bytes().into()
        }
    };
}

keyed! {
    /// HMAC-SHA256.
    hmac_sha256, Sha256, 32
}
keyed! {
    /// HMAC-SHA1, for the one scheme that wants it.
    hmac_sha1, Sha1, 20
}

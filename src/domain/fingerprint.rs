//! Short ids made of content: equal content has an equal id, in every process and after every crash.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The first bytes of the content's SHA-256, in hexadecimal digits.
pub fn fingerprint(content: impl AsRef<[u8]>, bytes: usize) -> String {
    let mut digits = String::with_capacity(2 * bytes);
    for byte in Sha256::digest(content.as_ref()).iter().take(bytes) {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_equal_fingerprints_of_the_length_asked_for() {
        assert_eq!(fingerprint("abc", 4), "ba7816bf");
        assert_ne!(fingerprint("abd", 4), "ba7816bf");
    }
}

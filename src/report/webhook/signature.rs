//! How what is sent to a webhook is signed: HMAC-SHA256 of the time and the body, so that neither can be changed, nor an old
//! message sent again later.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::domain::Secret;

/// `v1=` and the hexadecimal HMAC-SHA256 of `{timestamp}.{body}`.
pub fn sign(secret: &Secret, timestamp: u64, body: &str) -> String {
    format!(
        "v1={}",
        hex(&mac(secret, &[timestamp.to_string().as_bytes(), b".", body.as_bytes()]).finalize().into_bytes())
    )
}

/// The code of these parts, one behind the other.
pub(in crate::report) fn mac(secret: &Secret, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of every length"));
    for part in parts {
        mac.update(part);
    }
    mac
}

pub(in crate::report) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_can_be_made_anew_by_who_has_the_secret() {
        // printf '1790000000.{"id":"x"}' | openssl dgst -sha256 -hmac s3cret
        let signature = sign(&Secret::from("s3cret"), 1_790_000_000, r#"{"id":"x"}"#);
        assert_eq!(signature, "v1=4858f6940a5aaf0f4f56b7218ba90921c602d091b07901a1c4ec4fec0d8de7e8");
        for (secret, time, body) in [
            ("other", 1_790_000_000, r#"{"id":"x"}"#),
            ("s3cret", 1, r#"{"id":"x"}"#),
            ("s3cret", 1_790_000_000, "{}"),
        ] {
            assert_ne!(sign(&Secret::from(secret), time, body), signature);
        }
    }
}

//! What a log may say of an event that nobody knows: which fields it has, and none of their values.

use super::{BODY, MAX_WRAPPERS, Reason, envelope, envelope::Opened, readable, shallow};
use crate::domain::harmless;

/// So many names at most.
const MOST_KEYS: usize = 32;
/// Of each name so many characters at most.
const MOST_CHARS: usize = 64;

/// The names of the fields in the detail of the event in this body, in their order; none where it cannot be read.
pub fn keys(body: &[u8]) -> Vec<String> {
    readable(body).ok().and_then(|text| read(text, BODY, MAX_WRAPPERS).ok()).unwrap_or_default()
}

fn read(text: &str, called: &'static str, wrappers: usize) -> Result<Vec<String>, Reason> {
    shallow(text, called)?;
    match envelope::open(text, called)? {
        Opened::Wrapper(inner, called) if wrappers > 0 => read(&inner, called, wrappers - 1),
        Opened::Wrapper(..) | Opened::Foreign(_) => Ok(Vec::new()),
        Opened::Event(envelope) => {
            let mut keys = Vec::new();
            envelope.detail()?.each(|key, _| {
                if keys.len() < MOST_KEYS {
                    keys.push(harmless(key, MOST_CHARS));
                }
            });
            Ok(keys)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::keys;

    #[test]
    fn the_names_of_the_detail_are_told_and_no_values() {
        let body = r#"{"source":"action.deploy","detail-type":"D","detail":{"service":"web","password":"PLANTED",
            "environment":{"DB":"PLANTED"},"n":1}}"#;
        assert_eq!(keys(body.as_bytes()), ["service", "password", "environment", "n"]);
        let notification = serde_json::json!({"Type": "Notification", "Message": body}).to_string();
        assert_eq!(keys(notification.as_bytes()).len(), 4, "also within a wrapper");
        assert!(keys(b"PLANTED").is_empty() && keys(b"{\"a\":1}").is_empty());
    }

    #[test]
    fn there_is_an_end_to_them() {
        let detail: Vec<String> = (0..99).map(|n| format!("\"k{n}{}\":1", "x".repeat(99))).collect();
        let body = format!(r#"{{"source":"a","detail-type":"b","detail":{{{}}}}}"#, detail.join(","));
        let keys = keys(body.as_bytes());
        assert_eq!((keys.len(), keys[0].chars().count()), (super::MOST_KEYS, super::MOST_CHARS + 1));
    }
}

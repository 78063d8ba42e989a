//! Whose decisions and requests count.
//!
//! People decide over HTTP, where it is checked who they are; then the daemon puts what they decided on the queue itself, so that
//! it survives a crash. Whoever else may send to the queue has not been checked: what they decide counts only where the
//! settings say so, for approvals that are built of rules and Step Functions.

use crate::{
    aws::{account::UserId, queue::RawMessage},
    domain::{DECISION_SOURCE, Event, NOTICE_SOURCE, REQUEST_SOURCE},
};

/// Whose decisions and requests count.
#[derive(Clone, Debug)]
pub struct People {
    /// We ourselves.
    pub own: UserId,
    /// Whether those of anybody count who may send to the queue.
    pub from_outside: bool,
}

impl People {
    /// Why this event must not count, if it is a decision, a request or a notice of ours that somebody else sent.
    pub(super) fn refuse(&self, event: &Event, message: &RawMessage) -> Option<String> {
        let is_ours_to_send =
            [DECISION_SOURCE, NOTICE_SOURCE, REQUEST_SOURCE].contains(&&*event.source.to_ascii_lowercase());
        let sender = message.sender_id.as_deref();
        if !is_ours_to_send || self.from_outside || self.own.sent(sender) {
            return None;
        }
        let source = &event.source;
        let sender = sender.unwrap_or("somebody unknown");
        Some(format!("{source} was sent by {sender}, not by Lockkeeper itself, and approval.events is off"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Timestamp, Trigger};

    fn refused(source: &str, sender: Option<&str>, from_outside: bool) -> Option<String> {
        let event = Event {
            id: "e".into(),
            source: source.into(),
            detail_type: "t".into(),
            account: None,
            region: None,
            time: Timestamp::default(),
            replay: None,
            metadata: None,
            trigger: Trigger::Ignored("whatever".into()),
        };
        let message = RawMessage { sender_id: sender.map(Into::into), ..RawMessage::empty("m") };
        People { own: UserId::new("AROAOURS:a"), from_outside }.refuse(&event, &message)
    }

    #[test]
    fn only_what_we_sent_ourselves_is_a_decision_unless_the_settings_say_otherwise() {
        for source in ["lockkeeper.decision", "lockkeeper.notice", "Lockkeeper.Request"] {
            assert_eq!(refused(source, Some("AROAOURS:b"), false), None);
            assert_eq!(refused(source, Some("AIDASOMEBODY"), true), None);
            for sender in [Some("AIDASOMEBODY"), None] {
                let why = refused(source, sender, false).expect("refused");
                assert!(why.contains("approval.events"), "{why}");
            }
        }
        assert_eq!(refused("action.deploy", Some("AIDASOMEBODY"), false), None);
    }
}

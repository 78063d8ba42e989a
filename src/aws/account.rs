//! Whose credentials we have.

use std::sync::Arc;

use super::{Connections, connect::READ_TIMEOUT, failure::Verb};
use crate::domain::{AccountId, CallFailure};

/// Who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Our account.
    pub account: AccountId,
    /// By what SQS tells that a message is ours.
    pub user: UserId,
}

/// A caller as AWS knows it: of a role's session, `AROA…`, that of the role; each session has a name of its own behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserId(Arc<str>);

impl UserId {
    /// From what GetCallerIdentity, or SQS as `SenderId`, says.
    pub fn new(text: &str) -> Self {
        Self(text.split(':').next().unwrap_or_default().into())
    }

    /// Whether a message of this sender is one of its own. Who is not known sent nothing.
    pub fn sent(&self, sender_id: Option<&str>) -> bool {
        !self.0.is_empty() && sender_id.is_some_and(|it| Self::new(it) == *self)
    }
}

/// Whose our credentials are. It needs no permission, so its failure means that the credentials, the
/// clock or the network are at fault.
pub async fn identity(connections: &Connections) -> Result<Identity, CallFailure> {
    let call = connections.sts(READ_TIMEOUT).get_caller_identity().send();
    let answer = connections.calls().make("sts", "GetCallerIdentity", call).await;
    let identity = answer.map_err(|fault| fault.of_call("GetCallerIdentity", Verb::Read))?;
    let account = identity.account().unwrap_or_default().into();
    Ok(Identity { account, user: UserId::new(identity.user_id().unwrap_or_default()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_session_of_our_role_is_ours_and_nobody_else_is() {
        let ours = UserId::new("AROAEXAMPLE:i-0123");
        for (sender, is_ours) in [
            (Some("AROAEXAMPLE:i-0123"), true),
            (Some("AROAEXAMPLE:i-4567"), true),
            (Some("AROAEXAMPLE"), true),
            (Some("AROAEXAMPLE2:i-0123"), false),
            (Some("AIDAEXAMPLE"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(ours.sent(sender), is_ours, "{sender:?}");
        }
        assert!(!UserId::new("").sent(Some("")), "nobody is everybody");
    }
}

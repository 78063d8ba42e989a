//! Which account the credentials belong to.

use super::{Connections, connect::READ_TIMEOUT, failure::Verb};
use crate::domain::{AccountId, CallFailure};

/// The account of our own credentials. It needs no permission, so its failure means that the credentials, the
/// clock or the network are at fault.
pub async fn account(connections: &Connections) -> Result<AccountId, CallFailure> {
    let call = connections.sts(READ_TIMEOUT).get_caller_identity().send();
    let answer = connections.calls().make("sts", "GetCallerIdentity", call).await;
    let identity = answer.map_err(|fault| fault.of_call("GetCallerIdentity", Verb::Read))?;
    let account = identity.account().unwrap_or_default();
    Ok(account.into())
}

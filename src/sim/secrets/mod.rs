//! Secrets: versions with stages, and CloudTrail's word for every call that changes something.
//!
//! | module | does |
//! |---|---|
//! | `secret` | one secret: its versions and where their stages are |
//! | `calls` | the API |
//! | `rotation` | what goes on for a while after `RotateSecret` |
//! | `events` | what CloudTrail makes of it |

mod calls;
mod events;
mod rotation;
mod secret;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::secret::Secret;
use super::{
    bus::Emission,
    call::{Call, Fail, Scope},
    rng::Rng,
};
use crate::domain::Timestamp;

/// All secrets of the world.
#[derive(Clone, Debug, Default)]
pub(super) struct Secrets(BTreeMap<(Scope, String), Secret>);

/// What one step may use besides the secrets.
pub(super) struct Safe<'a> {
    pub(super) now: Timestamp,
    pub(super) rng: &'a mut Rng,
    pub(super) outbox: &'a mut Vec<Emission>,
}

impl Secrets {
    /// The key of a secret that a call names by its name, its ARN, or its ARN without the six characters at its end.
    fn key(&self, call: &Call, id: &str) -> Result<(Scope, String), Fail> {
        let found = match Scope::of_arn(id) {
            None => Some((call.scope.clone(), id.to_owned())),
            Some((scope, resource)) => {
                let name = resource.strip_prefix("secret:").unwrap_or(resource);
                let named = |((at, of), secret): &(&(Scope, String), &Secret)| {
                    *at == scope && (secret.tail == name || of == name)
                };
                self.0.iter().find(named).map(|(key, _)| key.clone())
            }
        };
        found.filter(|key| self.0.contains_key(key)).ok_or_else(|| {
            Fail::new("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        })
    }
}

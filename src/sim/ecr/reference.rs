//! From an image reference to a repository.

use crate::sim::call::Scope;

/// The repository and the tag of a name without a digest.
pub(super) fn split_tag(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}

/// The scope and name of a repository in the form `ACCOUNT.dkr.ecr.REGION.amazonaws.com/name`.
pub(super) fn ecr_key(repository: &str) -> Option<(Scope, String)> {
    let (host, name) = repository.split_once('/')?;
    let (account, rest) = host.split_once(".dkr.ecr.")?;
    let (region, _) = rest.split_once('.')?;
    Some((Scope { account: account.to_owned(), region: region.to_owned() }, name.to_owned()))
}

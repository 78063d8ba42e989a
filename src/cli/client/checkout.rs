//! Where a request comes from: what git says of the folder, and the CI system of its run.

use std::{collections::BTreeMap, process::Command};

use serde_json::{Map, Value, json};

use crate::{
    decode::{Checkout, of_run},
    domain::Metadata,
};

/// What is known, as the API takes it; nothing if nothing is.
pub(in crate::cli) fn metadata() -> Option<Value> {
    let variables: BTreeMap<String, String> = std::env::vars().collect();
    let found = of_run(&variables, &checkout());
    (!found.is_empty()).then(|| written(&found))
}

fn checkout() -> Checkout {
    Checkout {
        commit: git(&["rev-parse", "--verify", "--quiet", "HEAD"]),
        branch: git(&["symbolic-ref", "--short", "--quiet", "HEAD"]),
        url: git(&["config", "--get", "remote.origin.url"]),
        user: git(&["config", "--get", "user.name"]),
    }
}

/// What git says, if there is a git and it says something.
fn git(words: &[&str]) -> Option<String> {
    let done = Command::new("git").args(words).output().ok().filter(|done| done.status.success())?;
    let text = String::from_utf8(done.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn written(it: &Metadata) -> Value {
    let Metadata { user, commit, branch, repository, repository_url, platform, run_id, run_url, traceparent } =
        it;
    let parts = [
        ("user", user),
        ("commit", commit),
        ("branch", branch),
        ("repository", repository),
        ("repository_url", repository_url),
        ("platform", platform),
        ("run_id", run_id),
        ("run_url", run_url),
        ("traceparent", traceparent),
    ];
    let known = parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), json!(part.as_deref()?))));
    Value::Object(known.collect::<Map<_, _>>())
}

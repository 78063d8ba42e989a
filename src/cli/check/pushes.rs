//! Pushes for which a target waits in vain: by what their repository allows, and by which tags it has. Nobody is asked.

use std::collections::BTreeMap;

use super::{
    counted,
    finding::{About, Finding, some_of},
    lifecycle::Named,
    things::Readers,
};
use crate::domain::{Tag, TagMutability, TagPolicy, TagState};

/// The policies by which tags of a repository are pinned, and who pins by them.
pub(super) type Pins = BTreeMap<String, (TagPolicy, Readers)>;

/// So many targets or tags are named in a line.
const MOST_NAMES: usize = 3;

/// A tag that is followed, and cannot be moved.
pub(super) fn of_followed(
    whose: &str,
    named: &BTreeMap<Tag, Named>,
    mutability: &TagMutability,
) -> Vec<Finding> {
    let stuck = named.iter().filter(|(tag, it)| !it.waiting.is_empty() && !mutability.can_move(tag));
    let told = |(tag, it): (&Tag, &Named)| {
        let what =
            format!("tag {tag} of {whose}, which cannot be moved to another image: no push of it can come");
        let mend = r#"let the repository's tags be mutable, or write on_push = "pin" and in `tags` which are to be deployed"#;
        about(&it.waiting, "follows", "follow", &what, mend)
    };
    stuck.map(told).collect()
}

/// Policies that none of the tags there is taken by.
pub(super) fn of_pinned(whose: &str, pins: &Pins, states: &BTreeMap<Tag, TagState>) -> Vec<Finding> {
    let is_idle =
        |policy: &TagPolicy| !states.is_empty() && states.keys().all(|tag| policy.rank(tag).is_none());
    let idle = pins.values().filter(|(policy, _)| is_idle(policy));
    let tags = || some_of(states.keys().map(ToString::to_string).collect(), MOST_NAMES);
    let told = |(policy, readers): &(TagPolicy, Readers)| {
        let count = counted(states.len(), "tag");
        let what =
            format!("tags of {whose} by `{policy}`, which takes none of the {count} there ({})", tags());
        about(readers, "pins", "pin", &what, "mend `tags`, if such a push is not to come yet")
    };
    idle.map(told).collect()
}

/// What one target, or several, do.
fn about(targets: &Readers, one: &str, many: &str, what: &str, mend: &str) -> Finding {
    match targets.first() {
        Some(only) if targets.len() == 1 => {
            Finding::warning(About::Target, format!("it {one} {what}"), mend).of(only)
        }
        _ => {
            let who = some_of(targets.iter().cloned().collect(), MOST_NAMES);
            Finding::warning(About::Target, format!("{who} {many} {what}"), mend)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::text, *};
    use crate::domain::{Glob, Timestamp};

    fn readers(names: &[&str]) -> Readers {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn a_followed_tag_that_cannot_be_moved_is_told() {
        let waiting =
            |names: &[&str]| Named { waiting: readers(names), readers: readers(&["x"]), ..Named::default() };
        let named = BTreeMap::from([
            ("latest".into(), waiting(&["api"])),
            ("v1".into(), waiting(&["api", "web"])),
            ("v2".into(), waiting(&[])),
        ]);
        let except = vec![Glob::new("latest")];
        let judged = of_followed("shop/api in here", &named, &TagMutability { mutable: false, except });
        insta::assert_snapshot!(text(&judged), @r#"
        warning  target: api, web follow tag v1 of shop/api in here, which cannot be moved to another image: no push of it can come; let the repository's tags be mutable, or write on_push = "pin" and in `tags` which are to be deployed
        0 errors, 1 warning.
        "#);
        let mutable = TagMutability { mutable: true, except: Vec::new() };
        assert!(of_followed("shop/api in here", &named, &mutable).is_empty());
    }

    #[test]
    fn a_policy_that_takes_no_tag_of_the_repository_is_told() {
        let policy = |text: &str| -> TagPolicy { text.parse().expect("valid") };
        let pin = |text: &str| (text.to_owned(), (policy(text), readers(&["web"])));
        let pins = Pins::from([pin("semver:^2"), pin("newest"), pin("prefix:1.")]);
        let state =
            TagState { digest: "sha256:1".into(), pushed_at: Timestamp::default(), children: Vec::new() };
        let states = ["1.0.0", "1.1.0", "latest", "main"].map(|tag| (tag.into(), state.clone())).into();
        insta::assert_snapshot!(text(&of_pinned("shop/web in here", &pins, &states)), @r#"
        warning  web: it pins tags of shop/web in here by `semver:^2`, which takes none of the 4 tags there (1.0.0, 1.1.0, latest and 1 more); mend `tags`, if such a push is not to come yet
        0 errors, 1 warning.
        "#);
        assert!(of_pinned("shop/web in here", &pins, &BTreeMap::new()).is_empty(), "nothing was pushed yet");
    }
}

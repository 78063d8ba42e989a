//! The tags of an ECS service as settings of the target that it is: its owner says beside it how it is deployed.
//!
//! `lockkeeper:on_push` is the `on_push` of a `[[target]]`, `lockkeeper:triggers.images` its `triggers.images`, and
//! `lockkeeper:enabled = false` switches the target off. They are read by the same readers as environment variables. A
//! value of a tag has letters, digits, spaces and `_ . : / = + - @` only, so a list is separated by spaces, with or
//! without a `+` between them, and a pattern that ends in `*` is written `prefix:…`.
//!
//! A tag that cannot be understood refuses the target: to deploy it all the same could be against its owner's wish.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    catalogue,
    problems::{Complaints, Origin, Problem, Wrong},
    section::Section,
    targets,
    values::{flag, target_name},
    written::{Raw, Table, Written, quoted},
};
use crate::domain::{Holds, Marks, Owner, TargetSettings, harmless, nearest};

/// What the tags of one service say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// How it is deployed.
    pub settings: Arc<TargetSettings>,
    /// Why it is not, in one line, if it is not.
    pub refused: Option<Arc<str>>,
}

/// What the keys of tags that are settings begin with.
pub(super) const PREFIX: &str = "lockkeeper:";
/// The settings of a service that a `[[target]]` has no need of, or that `[defaults]` cannot have.
const OF_SERVICES: [&str; 3] = ["name", "family", "enabled"];
/// What a `[[target]]` says and a service need not: it is the service, and its definition tells what it reads.
const KNOWN_OTHERWISE: [&str; 8] =
    ["cluster", "service", "account", "region", "repositories", "parameters", "secrets", "files"];
/// Reasons to wait that are planned, and that no version has yet.
const GATES: [&str; 5] = ["approval", "scan", "windows", "after", "before_task"];
/// Those whose value is a list.
const LISTS: [&str; 2] = ["ignore_tags", "branches"];
/// Room for some problems; whoever mends those is told the next.
const LONGEST_REASON_CHARS: usize = 1_500;

/// How the service with this name and these tags is deployed. Its target is called as the service is, unless a tag says
/// otherwise.
pub fn of_tags(defaults: &TargetSettings, service: &str, tags: &BTreeMap<String, String>) -> Tagged {
    let complaints = Complaints::default();
    let mut table = Table::new();
    for (tag, value) in tags.iter().filter(|(tag, _)| is_setting(tag)) {
        if let Err(wrong) = lay(&mut table, tag, value) {
            complaints.add(&Origin::new(tag), tag, None, wrong);
        }
    }
    let written = Written::new(Origin::new(PREFIX), Raw::Table(table));
    let mut section = Section::new("lockkeeper", &written, &complaints);
    let name = section.take("name", |it| target_name(it).map(str::to_owned));
    let is_enabled = section.take("enabled", flag).unwrap_or(true);
    let mut settings = targets::deployment(&mut section, defaults);
    targets::read_family(&mut section, &mut settings);
    settings.name = name.as_deref().unwrap_or(service).into();
    let refused = match complaints.verdict() {
        Err(problems) => Some(in_one_line(&problems.0, tags)),
        Ok(()) => (!is_enabled).then(|| format!("switched off by its tag {PREFIX}enabled")),
    };
    Tagged { settings: Arc::new(settings), refused: refused.map(Into::into) }
}

/// Whether this tag is for us to read, and not one that we set ourselves.
fn is_setting(tag: &str) -> bool {
    let ours = tag == Marks::DEPLOYMENT
        || tag == Marks::CONTENT
        || [Holds::PAUSED, Holds::HELD, Holds::RESUMED].contains(&tag)
        || tag == Owner::TAG
        || tag.starts_with(Marks::VERSION_PREFIX)
        || tag.starts_with(Marks::FOLLOW_PREFIX);
    tag.starts_with(PREFIX) && !ours
}

/// Puts a value where a section looks for it.
fn lay(table: &mut Table, tag: &str, value: &str) -> Result<(), Wrong> {
    let key = tag.strip_prefix(PREFIX).unwrap_or(tag);
    let known = keys();
    if !known.iter().any(|it| it == key) {
        return Err(unknown(key, &known));
    }
    let origin = Origin::new(tag);
    let raw = if LISTS.contains(&key) { listed(&origin, value) } else { Raw::Loose(value.trim().into()) };
    let value = Written::new(origin.clone(), raw);
    let Some((outer, inner)) = key.split_once('.') else {
        table.insert(key.into(), value);
        return Ok(());
    };
    let nested = table.entry(outer.into()).or_insert_with(|| Written::empty_table(origin));
    if let Raw::Table(nested) = &mut nested.raw {
        nested.insert(inner.into(), value);
    }
    Ok(())
}

fn listed(origin: &Origin, value: &str) -> Raw {
    let items = value.split_whitespace().filter(|item| *item != "+");
    Raw::List(items.map(|item| Written::new(origin.clone(), Raw::Loose(item.into()))).collect())
}

/// Every key that the tag of a service may have behind the prefix.
fn keys() -> Vec<String> {
    let of_targets = catalogue::keys().into_iter().filter_map(|it| match it.section {
        "defaults" => Some(it.key.to_owned()),
        "defaults.triggers" => Some(format!("triggers.{}", it.key)),
        _ => None,
    });
    of_targets.chain(OF_SERVICES.map(str::to_owned)).collect()
}

fn unknown(key: &str, known: &[String]) -> Wrong {
    if KNOWN_OTHERWISE.contains(&key) {
        let mend = "remove the tag: the service itself and its task definition tell this";
        return Wrong::new("is no setting that a tag can have", mend);
    }
    if GATES.contains(&key) {
        let mend = format!(
            "remove the tag to have the service deployed without waiting, or write {PREFIX}enabled = false to keep it back on purpose"
        );
        let wrong =
            "asks to wait for something, which this version cannot: so the service is not deployed at all";
        return Wrong::new(wrong, mend);
    }
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let mend = match nearest(key, &names) {
        Some(meant) => format!("did you mean {PREFIX}{meant}?"),
        None => "remove the tag, or run a version that has it".into(),
    };
    Wrong::new("is no setting of this version", mend)
}

/// Each problem with its tag and value.
fn in_one_line(problems: &[Problem], tags: &BTreeMap<String, String>) -> String {
    let told = problems.iter().map(|Problem { origin, wrong, mend, .. }| {
        let value = tags.get(&*origin.source).map(|value| format!(" = {}", quoted(value)));
        format!("tag {}{} {wrong}; {mend}", origin.source, value.unwrap_or_default())
    });
    harmless(&told.collect::<Vec<_>>().join(" | "), LONGEST_REASON_CHARS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::{Base, OnPush, TagPolicy},
        settings::discovery::TAG_SIGNS,
    };

    fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned())).collect()
    }

    fn read(pairs: &[(&str, &str)]) -> Tagged {
        of_tags(&TargetSettings::named("".into()), "shop_service_api_prod", &tags(pairs))
    }

    fn refused(pairs: &[(&str, &str)]) -> String {
        read(pairs).refused.expect("refused").to_string()
    }

    #[test]
    fn a_service_without_tags_of_ours_is_deployed_by_the_defaults() {
        let defaults = TargetSettings { retries: 7, ..TargetSettings::named("".into()) };
        let Tagged { settings, refused } = of_tags(&defaults, "api", &tags(&[("owner", "team: shop")]));
        assert_eq!(*settings, TargetSettings { name: "api".into(), ..defaults });
        assert_eq!(refused, None);
    }

    #[test]
    fn each_tag_is_the_setting_of_a_target() {
        let it = read(&[
            ("lockkeeper:name", "api"),
            ("lockkeeper:on_push", "pin"),
            ("lockkeeper:tags", "prefix:release-"),
            ("lockkeeper:ignore_tags", "prefix:release-rc + exact:release-0 exact:latest"),
            ("lockkeeper:branches", "main + prefix:release/"),
            ("lockkeeper:container", "web"),
            ("lockkeeper:base", "latest"),
            ("lockkeeper:family", "shop_api"),
            ("lockkeeper:timeout", "1h30m"),
            ("lockkeeper:retries", " 5 "),
            ("lockkeeper:rollback", "no"),
            ("lockkeeper:triggers.images", "off"),
            ("lockkeeper:triggers.files", "false"),
            ("lockkeeper:enabled", "yes"),
        ]);
        assert_eq!(it.refused, None);
        let settings = &*it.settings;
        assert_eq!((settings.name.as_str(), settings.on_push), ("api", OnPush::Pin));
        assert_eq!(settings.tags.as_str(), "prefix:release-");
        let ignored: Vec<_> = settings.ignore_tags.iter().map(TagPolicy::as_str).collect();
        assert_eq!(ignored, ["prefix:release-rc", "exact:release-0", "exact:latest"]);
        assert!(settings.branches[1].matches("release/7") && !settings.branches[1].matches("main"));
        assert_eq!(settings.base, Base::Latest(Some("shop_api".into())));
        assert_eq!((settings.retries, settings.rollback, settings.timeout.as_secs()), (5, false, 5_400));
        assert!(!settings.triggers.images && !settings.triggers.files && settings.triggers.secrets);
    }

    #[test]
    fn a_service_is_switched_off_by_its_owner() {
        let it = read(&[("lockkeeper:enabled", "false"), ("lockkeeper:retries", "5")]);
        assert_eq!(it.refused.as_deref(), Some("switched off by its tag lockkeeper:enabled"));
        assert_eq!(it.settings.retries, 5);
    }

    #[test]
    fn what_cannot_be_understood_refuses_the_target_with_all_reasons_in_one_line() {
        let told = refused(&[
            ("lockkeeper:approval", "required"),
            ("lockkeeper:on_push", "folow"),
            ("lockkeeper:retires", "3"),
            ("lockkeeper:tags", "release-"),
            ("lockkeeper:triggers.images", "maybe"),
            ("lockkeeper:repositories", "shop/api"),
            ("lockkeeper:enabled", "false"),
        ]);
        insta::assert_snapshot!(told.replace(" | ", "\n"), @r#"
        tag lockkeeper:approval = "required" asks to wait for something, which this version cannot: so the service is not deployed at all; remove the tag to have the service deployed without waiting, or write lockkeeper:enabled = false to keep it back on purpose
        tag lockkeeper:on_push = "folow" is not one of the words for it; write one of follow, pin, always, ignore; did you mean `follow`?
        tag lockkeeper:repositories = "shop/api" is no setting that a tag can have; remove the tag: the service itself and its task definition tell this
        tag lockkeeper:retires = "3" is no setting of this version; did you mean lockkeeper:retries?
        tag lockkeeper:tags = "release-" is not a tag policy: it is written newest, exact:<tag>, prefix:<text>, glob:<pattern>, regex:<expression> or semver:<range>; write "exact:release-" for that one tag
        tag lockkeeper:triggers.images = "maybe" is neither true nor false; write true, 1, yes, on or enabled, or an opposite
        "#);
        assert!(!told.contains('\n'));
    }

    #[test]
    fn what_would_have_to_be_waited_for_keeps_the_service_back_and_says_so() {
        for gate in GATES {
            let told = refused(&[(&format!("{PREFIX}{gate}"), "x")]);
            assert!(told.contains("the service is not deployed at all; remove the tag"), "{told}");
            assert!(!keys().iter().any(|key| key == gate), "{gate} is a setting by now");
        }
    }

    #[test]
    fn a_policy_that_no_tag_can_hold_is_told_by_one_that_it_can() {
        let told = refused(&[("lockkeeper:tags", "semver:2.x.y")]);
        assert!(told.contains("prefix:release-") && !told.contains('*') && !told.contains('^'), "{told}");
    }

    #[test]
    fn a_family_needs_a_base_that_asks_for_it() {
        let told = refused(&[("lockkeeper:family", "shop_api")]);
        assert!(told.starts_with(r#"tag lockkeeper:family = "shop_api" does nothing with"#), "{told}");
    }

    #[test]
    fn what_we_set_ourselves_and_what_is_of_others_is_passed_over() {
        let it = read(&[
            ("lockkeeper:deployment", "d-1"),
            ("lockkeeper:version", "x"),
            ("lockkeeper:version:web", "x"),
            ("lockkeeper:follow:web", "latest"),
            ("lockkeeper:paused", "2026-11-21T10:00:00Z by me"),
            ("lockkeeper:held", "by me"),
            ("lockkeeper:resumed", "by me"),
            ("lockkeeper:owner", "111122223333/eu-west-1/q"),
            ("Lockkeeper:on_push", "x"),
            ("lockkeeper", "x"),
            ("aws:cloudformation:stack-name", "shop"),
        ]);
        assert_eq!(it, read(&[]));
    }

    #[test]
    fn every_setting_of_a_target_can_be_a_tag() {
        for key in keys() {
            // No setting means this.
            let tag = format!("{PREFIX}{key}");
            let told = read(&[(&tag, "@ =")]).refused.unwrap_or_default();
            assert!(key == "branches" || told.starts_with(&format!("tag {tag} = \"@ =\" ")), "{tag}: {told}");
            assert!(!told.contains("no setting"), "{told}");
        }
        for it in catalogue::keys().iter().filter(|it| it.section == "target") {
            let is_known = keys().iter().any(|key| key == it.key) || KNOWN_OTHERWISE.contains(&it.key);
            assert!(is_known, "{} is neither", it.key);
        }
    }

    #[test]
    fn the_lists_among_the_settings_are_lists_as_tags_too() {
        let written = catalogue::DEFAULT_TOML.lines().filter_map(|line| line.split_once(" = ["));
        let of_targets = written.map(|(key, _)| key).filter(|key| keys().iter().any(|it| it == key));
        assert_eq!(of_targets.collect::<Vec<_>>(), LISTS);
    }

    proptest! {
        #[test]
        fn whatever_a_tag_holds_is_a_setting_or_one_printable_line(
            key in "[a-z_.]{0,12}",
            known in 0..64_usize,
            value in "[a-zA-Z0-9 _.:/=+@é-]{0,40}",
        ) {
            let keys = keys();
            for key in [key, keys[known % keys.len()].clone()] {
                let tag = format!("{PREFIX}{key}");
                let it = read(&[(&tag, &value)]);
                if let Some(told) = it.refused {
                    prop_assert!(told.contains(&tag), "{told}");
                    prop_assert!(!told.chars().any(char::is_control) && told.chars().count() <= 1_501, "{told}");
                }
            }
        }

        #[test]
        fn every_prefix_of_a_tag_can_be_written_as_a_policy_of_a_service(
            prefix in "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,20}",
            rest in "[a-zA-Z0-9_.-]{0,20}",
        ) {
            let policy = format!("prefix:{prefix}");
            prop_assert!(policy.chars().all(|c| c.is_alphanumeric() || TAG_SIGNS.contains(c)));
            let it = read(&[("lockkeeper:tags", &policy), ("lockkeeper:ignore_tags", &policy)]);
            prop_assert_eq!(it.refused, None);
            prop_assert_eq!(&it.settings.tags, &it.settings.ignore_tags[0]);
            let tag = format!("{prefix}{rest}").as_str().into();
            prop_assert!(it.settings.tags.rank(&tag).is_some());
        }
    }
}

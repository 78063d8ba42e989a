//! What the lifecycle policy of a repository does to the images that targets need: those behind the tags that definitions
//! name, and those that still run after their tag has moved on. Nobody is asked.
//!
//! ECR applies rules by their priority, the lowest number first, and what matches the tags of one rule is never touched by
//! a later one. So of each image the first rule that takes its tags decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    finding::{About, Finding, some_of},
    things::Readers,
};
use crate::domain::{Digest, Glob, Tag, TagState, Timestamp};

/// Who names a tag in its definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// All that do.
    pub(super) readers: Readers,
    /// Those of them that stay on it: a push is rolled out without another definition.
    pub(super) followers: Readers,
    /// Those of them that are deployed by pushes of this very tag.
    pub(super) waiting: Readers,
}

/// The rules that can take away an image that can be pulled, in the order in which they apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    takes: Takes,
    keeps: Keeps,
    /// What it does, as `deletes`.
    does: &'static str,
}

/// Which images a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Takes {
    Any,
    Untagged,
    /// Those that have a tag for each of these.
    Tagged(Vec<Glob>),
}

/// Which of them it leaves alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeps {
    /// So many, the last that were pushed.
    Images(u64),
    /// Those that were pushed within so many days.
    DaysSincePush(u64),
    /// Those that were pulled within so many days.
    DaysSincePull(u64),
    /// Nobody here knows: it counts in another way.
    Unknown,
}

/// An image, as far as a rule counts it.
struct Image<'s> {
    pushed_at: Timestamp,
    tags: BTreeSet<&'s Tag>,
}

/// A rule that keeps so many images keeps what runs: as many pushes are needed until it is deleted.
const IMAGES_ENOUGH: u64 = 100;
/// So long after its push an image is hardly what runs, or what is gone back to.
const DAYS_ENOUGH: u64 = 365;
/// A rule that keeps fewer is told also where the repository shows nothing yet that could push the image out.
const FEW_IMAGES: u64 = 10;
const DAY: Duration = Duration::from_hours(24);
/// So many targets are named in a line.
const MOST_NAMES: usize = 3;

impl Policy {
    /// As its JSON says; nothing of one that cannot be read.
    pub(super) fn read(text: &str) -> Self {
        let policy: Value = serde_json::from_str(text).unwrap_or_default();
        let rules = policy["rules"].as_array().into_iter().flatten();
        // What is in the archive already cannot be pulled, so that nothing runs it.
        let mut rules: Vec<&Value> =
            rules.filter(|it| it["selection"]["storageClass"] != "archive").collect();
        rules.sort_by_key(|rule| rule["rulePriority"].as_u64().unwrap_or(u64::MAX));
        Self(rules.into_iter().filter_map(Rule::read).collect())
    }

    /// Whether it soon takes away images because they have no tag.
    pub(super) fn soon_takes_untagged(&self) -> bool {
        let rule = self.0.iter().find(|rule| !matches!(rule.takes, Takes::Tagged(_)));
        rule.is_some_and(|rule| rule.keeps.is_little())
    }

    /// Whether it soon takes away images that have tags, so that those have to be known.
    pub(super) fn soon_takes_tagged(&self) -> bool {
        let is_for_tagged = |rule: &&Rule| rule.takes != Takes::Untagged && rule.keeps != Keeps::Unknown;
        self.0.iter().filter(is_for_tagged).any(|rule| rule.keeps.is_little())
    }

    /// What it does to the images behind these tags. `whose`: the repository, as people know it; `states`: all of its tags.
    pub(super) fn judge(
        &self,
        whose: &str,
        named: &BTreeMap<Tag, Named>,
        states: &BTreeMap<Tag, TagState>,
    ) -> Vec<Finding> {
        let images = images(states);
        let risk = |(tag, named): (&Tag, &Named)| {
            let digest = &states.get(tag)?.digest;
            let rule = self.0.iter().find(|rule| rule.takes.takes(&images[digest].tags))?;
            let (certainty, does) = rule.does_to(tag, digest, &images, !named.followers.is_empty())?;
            Some(told(whose, tag, &named.readers, certainty, &does))
        };
        named.iter().filter_map(risk).collect()
    }
}

/// How sure it is.
#[derive(Clone, Copy)]
enum Certainty {
    /// The image is due already.
    Due,
    /// It is after some more pushes, or some time.
    Coming,
}

impl Rule {
    fn read(rule: &Value) -> Option<Self> {
        let selection = &rule["selection"];
        let lists = ["tagPrefixList", "tagPatternList"].map(|list| selection[list].as_array());
        let [prefixes, patterns] = lists.map(|it| it.into_iter().flatten().filter_map(Value::as_str));
        let prefixes = prefixes.map(|it| Glob::new(&format!("{it}*")));
        let takes = match selection["tagStatus"].as_str()? {
            "any" => Takes::Any,
            "untagged" => Takes::Untagged,
            _ => Takes::Tagged(prefixes.chain(patterns.map(Glob::new)).collect()),
        };
        let number = selection["countNumber"].as_u64();
        let keeps = match (selection["countType"].as_str(), number) {
            (Some("imageCountMoreThan"), Some(images)) => Keeps::Images(images),
            (Some("sinceImagePushed"), Some(days)) => Keeps::DaysSincePush(days),
            (Some("sinceImagePulled"), Some(days)) => Keeps::DaysSincePull(days),
            _ => Keeps::Unknown,
        };
        let does = if rule["action"]["type"] == "transition" { "archives" } else { "deletes" };
        Some(Self { takes, keeps, does })
    }

    /// What it does to this image that this tag names, if that has to be told.
    fn does_to(
        &self,
        tag: &Tag,
        digest: &Digest,
        images: &BTreeMap<&Digest, Image<'_>>,
        is_followed: bool,
    ) -> Option<(Certainty, String)> {
        let Self { takes, keeps, does } = self;
        let image = &images[digest];
        match *keeps {
            Keeps::Images(most) if most < IMAGES_ENOUGH => {
                let others = images.iter().filter(|(it, other)| **it != digest && takes.takes(&other.tags));
                let others: Vec<Timestamp> = others.map(|(_, other)| other.pushed_at).collect();
                let newer = others.iter().filter(|at| **at > image.pushed_at).count() as u64;
                // Where each push moves the tag, too, its image is always the newest, and has more tags than this.
                let is_exposed = newer > 0
                    || is_followed
                        && most < FEW_IMAGES
                        && image.tags.len() == 1
                        && !takes.is_only(tag, others.is_empty());
                let told = self.by_count(most, newer);
                is_exposed.then_some(told)
            }
            Keeps::DaysSincePush(days) if days < DAYS_ENOUGH => {
                let until = (image.pushed_at + DAY * u32::try_from(days).unwrap_or(u32::MAX)).to_string();
                let until = until.split('T').next().unwrap_or_default();
                let of = takes.in_words();
                let how = format!(
                    "{does} on {until}, unless the tag is pushed anew: of {of} it keeps those of the last {days} days"
                );
                Some((Certainty::Coming, how))
            }
            Keeps::DaysSincePull(days) if days < DAYS_ENOUGH => {
                let of = takes.in_words();
                let how = format!("{does} once no task has pulled it for {days} days, as it does with {of}");
                Some((Certainty::Coming, how))
            }
            Keeps::Images(_) | Keeps::DaysSincePush(_) | Keeps::DaysSincePull(_) | Keeps::Unknown => None,
        }
    }

    /// What it does to an image than which so many are newer.
    fn by_count(&self, most: u64, newer: u64) -> (Certainty, String) {
        let Self { takes, does, .. } = self;
        let keeps =
            format!("of {} it keeps the {most} newest; newer than this one: {newer}", takes.in_words());
        match most.saturating_sub(newer) {
            0 => (Certainty::Due, format!("{does} within a day: {keeps}")),
            1 => (
                Certainty::Coming,
                format!("{does} after the next push that leaves the tag where it is: {keeps}"),
            ),
            left => (
                Certainty::Coming,
                format!("{does} after {left} pushes that leave the tag where it is: {keeps}"),
            ),
        }
    }
}

impl Takes {
    fn takes(&self, tags: &BTreeSet<&Tag>) -> bool {
        match self {
            Self::Any => true,
            Self::Untagged => tags.is_empty(),
            Self::Tagged(globs) => {
                let has = |glob: &Glob| tags.iter().any(|tag| glob.matches(tag.as_str()));
                !tags.is_empty() && globs.iter().all(has)
            }
        }
    }

    /// Whether it is for this one tag, which one image has at a time: by its pattern, or for all that can be seen.
    fn is_only(&self, tag: &Tag, is_alone: bool) -> bool {
        match self {
            Self::Any | Self::Untagged => is_alone,
            Self::Tagged(globs) => globs.iter().all(|glob| {
                let prefix = glob.as_str().strip_suffix('*');
                glob.as_str() == tag.as_str()
                    || is_alone && prefix.is_some_and(|it| it.is_empty() || it == tag.as_str())
            }),
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Any => "all images".into(),
            Self::Untagged => "images without a tag".into(),
            Self::Tagged(globs) => {
                let globs: Vec<&str> = globs.iter().map(Glob::as_str).collect();
                format!("images with a tag {}", globs.join(" and one "))
            }
        }
    }
}

impl Keeps {
    fn is_little(self) -> bool {
        match self {
            Self::Images(images) => images < IMAGES_ENOUGH,
            Self::DaysSincePush(days) | Self::DaysSincePull(days) => days < DAYS_ENOUGH,
            Self::Unknown => true,
        }
    }
}

fn images(states: &BTreeMap<Tag, TagState>) -> BTreeMap<&Digest, Image<'_>> {
    let mut images: BTreeMap<&Digest, Image<'_>> = BTreeMap::new();
    for (tag, state) in states {
        let image = images.entry(&state.digest);
        let image = image.or_insert_with(|| Image { pushed_at: state.pushed_at, tags: BTreeSet::new() });
        image.tags.insert(tag);
    }
    images
}

fn told(whose: &str, tag: &Tag, readers: &Readers, certainty: Certainty, does: &str) -> Finding {
    let only = readers.first().filter(|_| readers.len() == 1);
    let all = || some_of(readers.iter().cloned().collect(), MOST_NAMES);
    let (who, tasks) = match only {
        Some(_) => (format!("it names tag {tag}"), "its new tasks"),
        None => (format!("{} name tag {tag}", all()), "their new tasks"),
    };
    let what =
        format!("{who}, whose image the lifecycle policy of {whose} {does}; then {tasks} cannot start");
    let selection = json!({
        "tagStatus": "tagged", "tagPatternList": [tag.as_str()], "countType": "imageCountMoreThan", "countNumber": 1,
    });
    let mend =
        format!("give the policy a rule before that one which keeps the tag, with the selection {selection}");
    let finding = match certainty {
        Certainty::Due => Finding::error(About::Target, what, mend),
        Certainty::Coming => Finding::warning(About::Target, what, mend),
    };
    match only {
        Some(target) => finding.of(target),
        None => finding,
    }
}

/// ECS pins the digest that a rollout began with: once the tag has moved on, what runs is an image without a tag.
pub(super) fn forgets(whose: &str, followers: Readers) -> Finding {
    let followers = some_of(followers.into_iter().collect(), MOST_NAMES);
    let what = format!(
        "the lifecycle policy of {whose} soon deletes images without a tag, and a tag there is followed by {followers}: the image \
         that runs loses it with the next push, and a rollback would have nothing to pull"
    );
    Finding::warning(
        About::Target,
        what,
        format!("keep {IMAGES_ENOUGH} images without a tag, or keep them for {DAYS_ENOUGH} days"),
    )
}

#[cfg(test)]
mod tests {
    use super::{super::finding::text, *};

    fn rule(priority: u32, status: &str, list: &[&str], kind: &str, number: u64) -> Value {
        let mut selection = json!({"tagStatus": status, "countType": kind, "countNumber": number});
        if status == "tagged" {
            selection["tagPatternList"] = json!(list);
        }
        json!({"rulePriority": priority, "selection": selection, "action": {"type": "expire"}})
    }

    fn count(priority: u32, status: &str, list: &[&str], number: u64) -> Value {
        rule(priority, status, list, "imageCountMoreThan", number)
    }

    fn policy(rules: &[Value]) -> Policy {
        Policy::read(&json!({"rules": rules}).to_string())
    }

    /// Images in the order in which they were pushed, a day apart, each with its tags.
    fn pushed(images: &[&str]) -> BTreeMap<Tag, TagState> {
        let mut states = BTreeMap::new();
        let start = Timestamp::parse("2026-11-01T12:00:00Z").expect("valid");
        for (day, tags) in (0..).zip(images) {
            let digest = format!("sha256:{day}");
            for tag in tags.split(' ') {
                let pushed_at = start + DAY * day;
                let state = TagState { digest: digest.as_str().into(), pushed_at, children: Vec::new() };
                states.insert(tag.into(), state);
            }
        }
        states
    }

    fn named(tag: &str, readers: &[&str]) -> BTreeMap<Tag, Named> {
        let readers: Readers = readers.iter().map(|it| (*it).to_owned()).collect();
        [(tag.into(), Named { readers: readers.clone(), followers: readers, ..Named::default() })].into()
    }

    fn told_of(rules: &[Value], tag: &str, images: &[&str]) -> String {
        let judged = policy(rules).judge("shop/api in here", &named(tag, &["api"]), &pushed(images));
        let lines: Vec<String> =
            judged.into_iter().map(|it| format!("{:?}: {}", it.level, it.what)).collect();
        lines.join("\n")
    }

    #[test]
    fn a_rule_that_takes_the_tag_away_is_told_with_one_that_keeps_it() {
        let rules = [count(1, "tagged", &["v*"], 2)];
        let judged =
            policy(&rules).judge("shop/api in here", &named("v1", &["api"]), &pushed(&["v1", "v2", "v3"]));
        insta::assert_snapshot!(text(&judged), @r#"
        error    api: it names tag v1, whose image the lifecycle policy of shop/api in here deletes within a day: of images with a tag v* it keeps the 2 newest; newer than this one: 2; then its new tasks cannot start; give the policy a rule before that one which keeps the tag, with the selection {"countNumber":1,"countType":"imageCountMoreThan","tagPatternList":["v1"],"tagStatus":"tagged"}
        1 error, 0 warnings.
        "#);
        let both =
            policy(&rules).judge("shop/api in here", &named("v1", &["api", "web"]), &pushed(&["v1", "v2"]));
        insta::assert_snapshot!(text(&both), @r#"
        warning  target: api, web name tag v1, whose image the lifecycle policy of shop/api in here deletes after the next push that leaves the tag where it is: of images with a tag v* it keeps the 2 newest; newer than this one: 1; then their new tasks cannot start; give the policy a rule before that one which keeps the tag, with the selection {"countNumber":1,"countType":"imageCountMoreThan","tagPatternList":["v1"],"tagStatus":"tagged"}
        0 errors, 1 warning.
        "#);
        let aged = [rule(1, "tagged", &["v*"], "sinceImagePushed", 14)];
        insta::assert_snapshot!(told_of(&aged, "v1", &["v1"]), @"Warning: it names tag v1, whose image the lifecycle policy of shop/api in here deletes on 2026-11-15, unless the tag is pushed anew: of images with a tag v* it keeps those of the last 14 days; then its new tasks cannot start");
        let mut pulled = rule(1, "any", &[], "sinceImagePulled", 30);
        pulled["action"] = json!({"type": "transition", "targetStorageClass": "archive"});
        insta::assert_snapshot!(told_of(&[pulled], "v1", &["v1"]), @"Warning: it names tag v1, whose image the lifecycle policy of shop/api in here archives once no task has pulled it for 30 days, as it does with all images; then its new tasks cannot start");
    }

    #[test]
    fn a_prefix_is_a_pattern_and_any_takes_every_tag() {
        let mut prefix = count(1, "tagged", &[], 1);
        prefix["selection"] = json!({
            "tagStatus": "tagged", "tagPrefixList": ["v"], "countType": "imageCountMoreThan", "countNumber": 1,
        });
        assert!(told_of(&[prefix], "v1", &["v1", "v2"]).starts_with("Error"));
        let any = [count(1, "any", &[], 5)];
        assert!(
            told_of(&any, "v1", &["v1", "x"]).contains("after 4 pushes"),
            "{}",
            told_of(&any, "v1", &["v1", "x"])
        );
    }

    #[test]
    fn an_image_goes_with_all_of_its_tags() {
        let rules = [count(1, "tagged", &["sha-*"], 1)];
        assert!(told_of(&rules, "stable", &["stable sha-1", "sha-2"]).starts_with("Error"));
        assert_eq!(told_of(&rules, "stable", &["stable", "sha-2"]), "");
        let both = [count(1, "tagged", &["sha-*", "main-*"], 1)];
        assert_eq!(told_of(&both, "stable", &["stable sha-1", "sha-2 main-2"]), "");
    }

    #[test]
    fn where_the_tag_is_kept_nothing_is_told() {
        for (rules, tag, images) in [
            // Each push moves the tag, so that the newest image has it.
            (vec![count(1, "any", &[], 10)], "latest", &["sha-1", "sha-2", "sha-3 latest"][..]),
            (vec![count(1, "tagged", &["*"], 3)], "latest", &["sha-1", "sha-2 latest"]),
            // One image at a time has it.
            (vec![count(1, "tagged", &["latest"], 1)], "latest", &["latest"]),
            (vec![count(1, "tagged", &["latest*"], 1)], "latest", &["latest", "other"]),
            (vec![count(1, "tagged", &["*"], 1)], "latest", &["latest"]),
            // A rule before it keeps it, in whatever order they are written.
            (vec![count(2, "any", &[], 1), count(1, "tagged", &["v1"], 1)], "v1", &["v1", "v2", "v3"]),
            // It is for others, or keeps enough.
            (vec![count(1, "tagged", &["pr-*"], 1)], "v1", &["v1", "v2", "pr-1", "pr-2"]),
            (vec![count(1, "untagged", &[], 1)], "v1", &["v1", "v2", "v3"]),
            (vec![count(1, "tagged", &["v*"], 100)], "v1", &["v1", "v2", "v3"]),
            (vec![rule(1, "any", &[], "sinceImagePushed", 365)], "v1", &["v1"]),
            (vec![count(1, "any", &[], 1)], "gone", &["v1"]),
        ] {
            assert_eq!(told_of(&rules, tag, images), "", "{rules:?} {images:?}");
        }
        let mut archived = count(1, "tagged", &["v*"], 1);
        archived["selection"]["storageClass"] = json!("archive");
        assert_eq!(told_of(&[archived], "v1", &["v1", "v2"]), "");
    }

    #[test]
    fn a_rule_that_keeps_few_is_told_before_the_push_that_shows_it() {
        assert!(told_of(&[count(1, "tagged", &["v*"], 1)], "v1", &["v1"]).contains("after the next push"));
        assert_eq!(told_of(&[count(1, "tagged", &["v*"], 10)], "v1", &["v1"]), "");
        // A pin makes a revision of the next tag.
        let pinned =
            BTreeMap::from([("v1".into(), Named { readers: ["api".to_owned()].into(), ..Named::default() })]);
        assert!(policy(&[count(1, "tagged", &["v*"], 1)]).judge("r", &pinned, &pushed(&["v1"])).is_empty());
    }

    #[test]
    fn what_has_no_tag_is_taken_away_by_the_first_rule_that_is_for_it() {
        let takes = |rules: &[Value]| policy(rules).soon_takes_untagged();
        assert!(takes(&[json!({"selection": {"tagStatus": "untagged"}})]));
        assert!(
            takes(&[count(1, "any", &[], 1)]) && takes(&[rule(1, "untagged", &[], "sinceImagePushed", 14)])
        );
        assert!(!takes(&[count(1, "tagged", &["*"], 1)]) && !Policy::read("no JSON").soon_takes_untagged());
        assert!(!takes(&[count(1, "untagged", &[], 100)]));
        assert!(!takes(&[rule(1, "untagged", &[], "sinceImagePushed", 365)]));
        assert!(!takes(&[count(9, "any", &[], 1), count(2, "untagged", &[], 1_000)]));
    }
}

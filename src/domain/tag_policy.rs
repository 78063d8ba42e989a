//! Which tags a target takes, and which of two is the newer.
//!
//! | written | takes | newer is |
//! |---|---|---|
//! | `newest` | every tag | what was pushed later |
//! | `exact:latest` | that tag | what was pushed later |
//! | `prefix:release-` | what begins so: for where `*` cannot be written | what was pushed later |
//! | `glob:release-*` | `*` is any run of characters, `?` any one | what was pushed later |
//! | `regex:^build-(?<number>\d+)$` | what matches anywhere | by the group named `number`, `semver` or `text`; without one what was pushed later |
//! | `semver:^2` | versions in the range, a leading `v` allowed | the higher version |

use std::{
    borrow::Cow,
    cmp::Ordering,
    fmt,
    hash::Hash,
    str::{Chars, FromStr},
};

use regex_lite::Regex;
use semver::{Version, VersionReq};

use super::{Tag, harmless};

/// Which tags a target takes. Two policies are equal if they are written alike.
#[derive(Clone, Debug)]
pub struct TagPolicy {
    text: Cow<'static, str>,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Newest,
    Exact(Tag),
    Prefix(Box<str>),
    Glob(Glob),
    Regex(Regex, Option<Order>),
    Semver(VersionReq),
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Number,
    Semver,
    Text,
}

/// Where a tag stands among those that one policy takes. Of equal ranks the later version wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// The policy does not tell tags apart: the later push is the newer.
    ByPush,
    /// Ordered as a number.
    Number(u64),
    /// Ordered as a semantic version, build metadata left out.
    Semver(Version),
    /// Ordered as text, byte by byte.
    Text(String),
}

/// A policy that cannot be read, and what would be right.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{}` is not a tag policy: {why}", harmless(.text, 300))]
pub struct NotATagPolicy {
    text: String,
    why: String,
}

impl NotATagPolicy {
    /// Why it cannot be read.
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl TagPolicy {
    /// The policy that takes every tag.
    pub const NEWEST: Self = Self { text: Cow::Borrowed("newest"), rule: Rule::Newest };

    /// The rank of this tag, or `None` if the policy does not take it.
    pub fn rank(&self, tag: &Tag) -> Option<Rank> {
        let text = tag.as_str();
        match &self.rule {
            Rule::Newest => Some(Rank::ByPush),
            Rule::Exact(wanted) => (tag == wanted).then_some(Rank::ByPush),
            Rule::Prefix(prefix) => text.starts_with(&**prefix).then_some(Rank::ByPush),
            Rule::Glob(glob) => glob.matches(text).then_some(Rank::ByPush),
            Rule::Regex(regex, order) => rank_by_group(regex, *order, text),
            Rule::Semver(range) => version(text).filter(|it| range.matches(it)).map(Rank::Semver),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn rank_by_group(regex: &Regex, order: Option<Order>, text: &str) -> Option<Rank> {
    let captures = regex.captures(text)?;
    let group = |name| captures.name(name).map(|found| found.as_str());
    match order {
        None => Some(Rank::ByPush),
        Some(Order::Number) => group("number")?.parse().ok().map(Rank::Number),
        Some(Order::Semver) => version(group("semver")?).map(Rank::Semver),
        Some(Order::Text) => group("text").map(|found| Rank::Text(found.into())),
    }
}

/// Lenient in form only: a leading `v` is dropped, and absent minor and patch count as 0.
fn version(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let core_end = text.find(['-', '+']).unwrap_or(text.len());
    let (core, rest) = text.split_at(core_end);
    let padded = match core.split('.').count() {
        1 => format!("{core}.0.0{rest}"),
        2 => format!("{core}.0{rest}"),
        _ => text.to_owned(),
    };
    let mut version = Version::parse(&padded).ok()?;
    version.build = semver::BuildMetadata::EMPTY;
    Some(version)
}

impl FromStr for TagPolicy {
    type Err = NotATagPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: String| NotATagPolicy { text: text.into(), why };
        let rule = match text.split_once(':') {
            None if text == "newest" => Rule::Newest,
            Some((_, "")) => return Err(wrong("nothing stands behind the colon".into())),
            Some(("exact", tag)) => Rule::Exact(tag.into()),
            Some(("prefix", prefix)) => Rule::Prefix(prefix.into()),
            Some(("glob", pattern)) => Rule::Glob(Glob::new(pattern)),
            Some(("regex", pattern)) => {
                let regex = Regex::new(pattern).map_err(|error| wrong(error.to_string()))?;
                let order = order_of(&regex).map_err(wrong)?;
                Rule::Regex(regex, order)
            }
            Some(("semver", range)) => {
                Rule::Semver(range.parse().map_err(|error| wrong(format!("{error}")))?)
            }
            _ => {
                let known = "newest, exact:<tag>, prefix:<text>, glob:<pattern>, regex:<expression> or semver:<range>";
                return Err(wrong(format!("it is written {known}")));
            }
        };
        Ok(Self { text: Cow::Owned(text.into()), rule })
    }
}

fn order_of(regex: &Regex) -> Result<Option<Order>, String> {
    let mut found = regex.capture_names().flatten().filter_map(|name| match name {
        "number" => Some(Order::Number),
        "semver" => Some(Order::Semver),
        "text" => Some(Order::Text),
        _ => None,
    });
    match (found.next(), found.next()) {
        (_, Some(_)) => Err("at most one group may be named number, semver or text".into()),
        (order, None) => Ok(order),
    }
}

impl PartialEq for TagPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TagPolicy {}

impl Hash for TagPolicy {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for TagPolicy {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TagPolicy {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl fmt::Display for TagPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A pattern in which `*` is any run of characters and `?` any one; it matches a whole text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob(Box<str>);

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Glob {
    /// Every text is a valid pattern.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole text matches. Takes time proportional to the product of the lengths at worst.
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut text) = (self.0.chars(), text.chars());
        // Behind the last star, and where what it takes ends so far.
        let mut retry: Option<(Chars, Chars)> = None;
        loop {
            let here = text.clone();
            match (pattern.next(), text.next()) {
                (Some('*'), _) => {
                    text = here;
                    retry = Some((pattern.clone(), text.clone()));
                }
                (Some(sign), Some(c)) if sign == '?' || sign == c => {}
                (None, None) => return true,
                (Some(_), None) => return false,
                (Some(_) | None, Some(_)) => {
                    let Some((behind_star, taken)) = &mut retry else { return false };
                    taken.next();
                    (pattern, text) = (behind_star.clone(), taken.clone());
                }
            }
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(policy: &str, tag: &str) -> Option<Rank> {
        policy.parse::<TagPolicy>().expect("valid").rank(&tag.into())
    }

    #[test]
    fn build_9_is_not_newer_than_build_10() {
        let policy = r"regex:^build-(?<number>\d+)$";
        assert!(rank(policy, "build-10") > rank(policy, "build-9"));
        assert_eq!(rank(policy, "build-x"), None);
    }

    #[test]
    fn a_semver_range_takes_its_versions_and_orders_them() {
        assert!(rank("semver:^2", "v2.10.0") > rank("semver:^2", "2.9.1"));
        assert_eq!(rank("semver:^2", "2.1"), Some(Rank::Semver(Version::new(2, 1, 0))));
        assert_eq!(rank("semver:^2", "3.0.0"), None);
        assert_eq!(rank("semver:^2", "2.1.0-rc.1"), None);
        assert_eq!(rank("semver:^2", "latest"), None);
    }

    #[test]
    fn globs_match_whole_tags() {
        assert!(rank("glob:release-*", "release-1").is_some());
        assert!(rank("glob:release-*", "pre-release-1").is_none());
        for (pattern, text, matches) in [
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("*", "", true),
            ("?", "", false),
            ("a?c", "abc", true),
            ("a?c", "aéc", true),
            ("??", "é", false),
            ("*?é", "é", false),
            ("*a?", "aaaé", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), matches, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_prefix_takes_what_begins_so_and_nothing_in_it_is_a_pattern() {
        assert_eq!(rank("prefix:release-", "release-1"), Some(Rank::ByPush));
        assert_eq!(rank("prefix:release-", "release-"), Some(Rank::ByPush));
        assert_eq!(rank("prefix:release-", "pre-release-1"), None);
        assert_eq!(rank("prefix:v*", "v1"), None);
        assert!("prefix:".parse::<TagPolicy>().is_err());
    }

    #[test]
    fn a_text_group_orders_dates() {
        let policy = r"regex:^main-(?<text>\d{4}-\d{2}-\d{2})$";
        assert!(rank(policy, "main-2026-02-01") > rank(policy, "main-2026-01-31"));
    }

    #[test]
    fn newest_and_exact_leave_the_order_to_the_push() {
        assert_eq!(rank("newest", "anything"), Some(Rank::ByPush));
        assert_eq!(rank("exact:latest", "latest"), Some(Rank::ByPush));
        assert_eq!(rank("exact:latest", "late"), None);
    }

    #[test]
    fn what_is_no_policy_is_refused_with_what_would_be_right() {
        let error = "latest".parse::<TagPolicy>().expect_err("no kind");
        assert!(error.to_string().contains("exact:<tag>"), "{error}");
        for text in ["glob:", "regex:(", "semver:x.y", r"regex:(?<text>a)(?<number>1)"] {
            assert!(text.parse::<TagPolicy>().is_err(), "{text} was taken");
        }
    }

    #[test]
    fn absent_minor_and_patch_count_as_zero() {
        assert_eq!(rank("semver:*", "v2"), Some(Rank::Semver(Version::new(2, 0, 0))));
        assert_eq!(rank("semver:^2", "2"), rank("semver:^2", "2.0"));
    }

    #[test]
    fn a_semver_group_orders_the_versions_in_a_tag() {
        let policy = r"regex:^api-(?<semver>.*)$";
        assert!(rank(policy, "api-1.10.0") > rank(policy, "api-1.9.0"));
        assert_eq!(rank(policy, "api-x"), None);
    }

    #[test]
    fn policies_are_told_apart_by_how_they_are_written() {
        let hash = |policy: &TagPolicy| {
            let mut hasher = std::hash::DefaultHasher::new();
            policy.hash(&mut hasher);
            std::hash::Hasher::finish(&hasher)
        };
        let [one, same, other]: [TagPolicy; 3] =
            ["glob:a*", "glob:a*", "glob:b*"].map(|text| text.parse().expect("valid"));
        assert_eq!((&one, hash(&one)), (&same, hash(&same)));
        assert_ne!(hash(&one), hash(&other));
        assert!(one < other && one == same);
    }
}

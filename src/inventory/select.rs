//! Which clusters and services are targets, by what the settings select.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{ClusterName, DiscoveryRules, Glob, Selector, ServiceName};

/// Tags of a cluster or a service.
pub type Tags = BTreeMap<String, String>;

/// The rules of discovery, asked one name at a time.
#[derive(Clone, Debug)]
pub struct Selection {
    rules: DiscoveryRules,
}

impl Selection {
    /// By these rules.
    pub fn new(rules: DiscoveryRules) -> Self {
        Self { rules }
    }

    /// Whether what a cluster is selected by needs its tags.
    pub fn needs_cluster_tags(&self) -> bool {
        let mut rules = self.rules.clusters.iter().chain(&self.rules.exclude);
        rules.any(|rule| matches!(rule, Selector::Tag { .. }))
    }

    /// Whether the services of this cluster are looked at.
    pub fn takes_cluster(&self, name: &ClusterName, tags: &Tags) -> bool {
        self.selects_cluster(name, tags) && !self.rules.exclude.iter().any(|rule| is_whole(rule, name, tags))
    }

    /// What keeps this cluster from being looked at, which is selected otherwise.
    pub fn leaves_out(&self, name: &ClusterName, tags: &Tags) -> Option<&Selector> {
        let mut exclude = self.rules.exclude.iter().filter(|_| self.selects_cluster(name, tags));
        exclude.find(|rule| is_whole(rule, name, tags))
    }

    fn selects_cluster(&self, name: &ClusterName, tags: &Tags) -> bool {
        self.rules.clusters.iter().any(|rule| is_cluster(rule, name, tags))
    }

    /// Whether this service of a cluster that is looked at can be a target, whatever its tags: others are not described.
    pub fn may_take_service(&self, cluster: &ClusterName, name: &ServiceName) -> bool {
        let by_name = |rule: &Selector| match rule {
            Selector::Name(_) => is_named(rule, cluster, name),
            Selector::Tag { .. } => true,
        };
        self.rules.services.iter().any(by_name)
            && !self.rules.exclude.iter().any(|rule| is_named(rule, cluster, name))
    }

    /// Whether this service of a cluster that is looked at is a target.
    pub fn takes_service(&self, cluster: &ClusterName, name: &ServiceName, tags: &Tags) -> bool {
        let by = |rule: &Selector| is_named(rule, cluster, name) || is_tagged(rule, tags);
        self.rules.services.iter().any(by) && !self.rules.exclude.iter().any(by)
    }
}

/// Which of the selectors have selected something, by their positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    clusters: BTreeSet<usize>,
    services: BTreeSet<usize>,
    exclude: BTreeSet<usize>,
}

impl Used {
    /// What was used by either.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.clusters.extend(other.clusters);
        self.services.extend(other.services);
        self.exclude.extend(other.exclude);
        self
    }
}

impl Selection {
    /// Notes which selectors this cluster is selected or excluded by.
    pub fn uses_cluster(&self, used: &mut Used, name: &ClusterName, tags: &Tags) {
        used.clusters.extend(positions(&self.rules.clusters, |rule| is_cluster(rule, name, tags)));
        used.exclude.extend(positions(&self.rules.exclude, |rule| is_whole(rule, name, tags)));
    }

    /// The same by the name of a service.
    pub fn uses_name(&self, used: &mut Used, cluster: &ClusterName, name: &ServiceName) {
        let by = |rule: &Selector| is_named(rule, cluster, name);
        used.services.extend(positions(&self.rules.services, by));
        used.exclude.extend(positions(&self.rules.exclude, by));
    }

    /// The same by the tags of a service.
    pub fn uses_tags(&self, used: &mut Used, tags: &Tags) {
        let by = |rule: &Selector| is_tagged(rule, tags);
        used.services.extend(positions(&self.rules.services, by));
        used.exclude.extend(positions(&self.rules.exclude, by));
    }

    /// The selectors that have selected nothing, each with the setting that it stands in.
    pub fn idle(&self, used: &Used) -> Vec<(&'static str, &Selector)> {
        let DiscoveryRules { clusters, services, exclude, refresh: _ } = &self.rules;
        let lists = [
            ("clusters", clusters, &used.clusters),
            ("services", services, &used.services),
            ("exclude", exclude, &used.exclude),
        ];
        let idle = lists.into_iter().flat_map(|(key, rules, used)| {
            let idle = rules.iter().enumerate().filter(|(position, _)| !used.contains(position));
            idle.map(move |(_, rule)| (key, rule))
        });
        idle.collect()
    }
}

fn positions(rules: &[Selector], by: impl Fn(&Selector) -> bool) -> impl Iterator<Item = usize> {
    rules.iter().enumerate().filter(move |(_, rule)| by(rule)).map(|(position, _)| position)
}

/// Of the patterns of clusters.
fn is_cluster(rule: &Selector, name: &ClusterName, tags: &Tags) -> bool {
    match rule {
        Selector::Name(glob) => glob.matches(name.as_str()),
        Selector::Tag { .. } => is_tagged(rule, tags),
    }
}

/// Of the patterns of services: whether it takes each service of a cluster, so that none has to be looked at. By its name
/// only `cluster/*` does: a service may be called as its cluster is.
fn is_whole(rule: &Selector, name: &ClusterName, tags: &Tags) -> bool {
    match rule {
        Selector::Name(glob) => glob.as_str().split_once('/').is_some_and(|(cluster, service)| {
            service.bytes().all(|sign| sign == b'*') && Glob::new(cluster).matches(name.as_str())
        }),
        Selector::Tag { .. } => is_tagged(rule, tags),
    }
}

/// A pattern with a slash is held against the cluster's name and the service's, one without against the service's alone.
fn is_named(rule: &Selector, cluster: &ClusterName, name: &ServiceName) -> bool {
    match rule {
        Selector::Name(glob) if glob.as_str().contains('/') => glob.matches(&format!("{cluster}/{name}")),
        Selector::Name(glob) => glob.matches(name.as_str()),
        Selector::Tag { .. } => false,
    }
}

fn is_tagged(rule: &Selector, tags: &Tags) -> bool {
    match rule {
        Selector::Tag { key, value } => has(tags, key, |it| value.matches(it)),
        Selector::Name(_) => false,
    }
}

fn has(tags: &Tags, key: &str, matches: impl Fn(&str) -> bool) -> bool {
    tags.get(key).is_some_and(|value| matches(value))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn rule(text: &str) -> Selector {
        match text.split_once('=') {
            Some((key, value)) => Selector::Tag { key: key.into(), value: Glob::new(value) },
            None => Selector::Name(Glob::new(text)),
        }
    }

    fn selection(clusters: &[&str], services: &[&str], exclude: &[&str]) -> Selection {
        let rules = |texts: &[&str]| texts.iter().map(|text| rule(text)).collect();
        let refresh = Duration::from_mins(10);
        let (clusters, services, exclude) = (rules(clusters), rules(services), rules(exclude));
        Selection::new(DiscoveryRules { clusters, services, exclude, refresh })
    }

    fn tags(text: &str) -> Tags {
        let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn clusters_are_selected_by_name_or_tag_and_excluded_with_all_their_services_or_by_a_tag() {
        let it = selection(
            &["shop-*", "team=web*"],
            &["*"],
            &["shop-prod", "shop-p*", "*-dev/*", "*/api", "owner=them"],
        );
        for (name, with, taken) in [
            ("shop-prod", "", true),
            ("mail", "", false),
            ("mail", "team=webshop", true),
            ("mail", "team=mail", false),
            ("shop-dev", "", false),
            ("shop-prod", "owner=them", false),
            ("shop-prod", "owner=us", true),
            ("mail-dev", "team=web", false),
        ] {
            assert_eq!(it.takes_cluster(&name.into(), &tags(with)), taken, "{name} {with}");
        }
        assert!(it.needs_cluster_tags());
        assert!(!selection(&["*"], &["team=web"], &["*-dev"]).needs_cluster_tags());
        assert!(selection(&["*"], &["*"], &["owner=them"]).needs_cluster_tags());
    }

    #[test]
    fn services_are_selected_by_name_with_or_without_their_cluster_or_by_tag() {
        let it =
            selection(&["*"], &["api", "shop-prod/w*", "deploy=yes"], &["shop-prod/web-old", "deploy=no"]);
        for (cluster, name, with, taken) in [
            ("shop-prod", "api", "", true),
            ("mail", "api", "", true),
            ("mail", "api", "deploy=no", false),
            ("shop-prod", "web", "", true),
            ("mail", "web", "", false),
            ("mail", "web", "deploy=yes", true),
            ("shop-prod", "web-old", "deploy=yes", false),
        ] {
            assert_eq!(
                it.takes_service(&cluster.into(), &name.into(), &tags(with)),
                taken,
                "{cluster}/{name}"
            );
        }
    }

    #[test]
    fn a_service_that_is_called_as_its_cluster_is_excluded_alone() {
        let it = selection(&["*"], &["*"], &["shop"]);
        let (shop, no_tags) = (ClusterName::from("shop"), Tags::new());
        assert!(it.takes_cluster(&shop, &no_tags));
        assert!(it.takes_service(&shop, &"api".into(), &no_tags));
        assert!(!it.takes_service(&shop, &"shop".into(), &no_tags));
        assert!(!it.takes_service(&"mail".into(), &"shop".into(), &no_tags));
    }

    #[test]
    fn a_cluster_that_is_left_out_whole_is_told_with_the_selector_and_others_are_not() {
        let it = selection(&["shop-*"], &["*"], &["shop-dev", "*-dev/*", "owner=them"]);
        let left_out =
            |name: &str, with: &str| it.leaves_out(&name.into(), &tags(with)).map(ToString::to_string);
        assert_eq!(left_out("shop-dev", "").as_deref(), Some("*-dev/*"));
        assert_eq!(left_out("shop-prod", "owner=them").as_deref(), Some("tag:owner=them"));
        assert_eq!(left_out("shop-prod", ""), None);
        assert_eq!(left_out("mail-dev", ""), None, "it is not selected in the first place");
    }

    #[test]
    fn what_no_name_and_no_tag_selects_need_not_be_described() {
        let by_name = selection(&["*"], &["api-*"], &["api-old"]);
        let may = |it: &Selection, name: &str| it.may_take_service(&"shop".into(), &name.into());
        assert!(may(&by_name, "api-web") && !may(&by_name, "web") && !may(&by_name, "api-old"));
        let by_tag = selection(&["*"], &["deploy=yes"], &["api-old"]);
        assert!(may(&by_tag, "web") && !may(&by_tag, "api-old"));
    }

    #[test]
    fn a_selector_that_selects_nothing_is_named_beside_those_that_do() {
        let it = selection(
            &["shop-*", "none-*", "team=web"],
            &["api", "shop-prod/web", "wbe", "deploy=yes", "deploy=maybe"],
            &["*-dev/*", "shop-dev", "old-*/*", "deploy=no", "owner=them"],
        );
        let mut used = Used::default();
        it.uses_cluster(&mut used, &"shop-prod".into(), &tags(""));
        it.uses_cluster(&mut used, &"shop-dev".into(), &tags("team=web"));
        it.uses_name(&mut used, &"shop-prod".into(), &"web".into());
        let mut other = Used::default();
        it.uses_name(&mut other, &"shop-prod".into(), &"api".into());
        it.uses_tags(&mut other, &tags("deploy=yes"));
        it.uses_tags(&mut other, &tags("deploy=no"));
        let used = used.and(other);
        let idle = it.idle(&used).into_iter().map(|(key, rule)| format!("{key} {rule}"));
        let idle: Vec<String> = idle.collect();
        assert_eq!(
            idle,
            [
                "clusters none-*",
                "services wbe",
                "services tag:deploy=maybe",
                "exclude shop-dev",
                "exclude old-*/*",
                "exclude tag:owner=them"
            ]
        );
    }

    #[test]
    fn without_a_rule_nothing_is_selected() {
        let it = selection(&[], &[], &[]);
        assert!(!it.takes_cluster(&"shop".into(), &Tags::new()));
        assert!(!it.may_take_service(&"shop".into(), &"api".into()));
    }

    fn rules() -> impl Strategy<Value = Vec<String>> {
        let one = prop_oneof!["[ab*?]{1,3}", "[ab*]{1,2}/[ab*?]{1,2}", "[kl]=[ab*]{1,2}"];
        proptest::collection::vec(one, 0..4)
    }

    proptest! {
        #[test]
        fn whatever_is_selected_is_described_and_nothing_that_is_excluded(
            services in rules(), exclude in rules(), cluster in "[ab]{1,2}", name in "[ab]{1,2}", with in "([kl]=[ab] ?){0,2}",
        ) {
            let borrowed = |rules: &[String]| rules.iter().map(|it| rule(it)).collect::<Vec<_>>();
            let rules = DiscoveryRules {
                clusters: vec![rule("*")],
                services: borrowed(&services),
                exclude: borrowed(&exclude),
                refresh: Duration::from_mins(10),
            };
            let it = Selection::new(rules);
            let (cluster, name, with) = (ClusterName::from(cluster), ServiceName::from(name), tags(&with));
            if !it.takes_cluster(&cluster, &Tags::new()) {
                prop_assert!(!it.takes_service(&cluster, &name, &with), "its cluster is not looked at");
            }
            if it.takes_service(&cluster, &name, &with) {
                prop_assert!(it.may_take_service(&cluster, &name));
                let none = Selection::new(DiscoveryRules { exclude: Vec::new(), ..it.rules.clone() });
                prop_assert!(none.takes_service(&cluster, &name, &with));
                let only = Selection::new(DiscoveryRules { services: it.rules.exclude.clone(), ..none.rules.clone() });
                prop_assert!(!only.takes_service(&cluster, &name, &with), "excluded, and taken");
            }
        }
    }
}

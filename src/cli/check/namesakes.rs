//! Targets of one name, and what each of them is called.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    finding::{About, Finding, some_of},
    targets::Candidate,
};
use crate::{
    domain::{Discovered, TargetName, TargetSettings},
    route::Routes,
};

/// So many names are listed in a line.
const MOST_NAMES: usize = 5;

/// Calls each target so that it is told from all others, as the daemon does, and says which names mean several.
pub(super) fn tell_apart(mut routes: Routes, candidates: &mut [Candidate]) -> Vec<Finding> {
    for it in candidates.iter().filter(|it| it.found) {
        let (target, settings) = (it.id.clone(), Arc::clone(&it.settings));
        routes.learn(Discovered { target, settings, refused: None, dependencies: Vec::new() });
    }
    let mut several: BTreeMap<TargetName, Vec<String>> = BTreeMap::new();
    for it in candidates.iter_mut().filter(|it| it.found) {
        let Some(name) = routes.called_beside_others(&it.id) else { continue };
        several.entry(it.settings.name.clone()).or_default().push(name.to_string());
        it.settings = Arc::new(TargetSettings { name, ..TargetSettings::clone(&it.settings) });
    }
    several.into_iter().map(|(name, called)| judge(&name, called, &routes)).collect()
}

fn judge(name: &TargetName, called: Vec<String>, routes: &Routes) -> Finding {
    let also = match routes.resolve(name.as_str()) {
        Some((id, _)) => format!("; `{name}` alone means {id}, as the settings say"),
        None => String::new(),
    };
    let first = called.first().cloned().unwrap_or_default();
    let what = format!("several targets have the name `{name}`: {}{also}", some_of(called, MOST_NAMES));
    let mend = format!(
        "write `{first}` and its like in commands and requests, or give each a name of its own: the tag lockkeeper:name of its service"
    );
    Finding::warning(About::Discovery, what, mend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::TargetId;

    fn candidate(id: &str) -> Candidate {
        let id: TargetId = id.parse().unwrap();
        let settings = Arc::new(TargetSettings::named(id.service().as_str().into()));
        Candidate { id, settings, rule: None, refused: None, found: true }
    }

    #[test]
    fn a_name_that_means_several_is_told_with_what_to_write_instead() {
        let ids = ["1/eu/shop/api", "1/eu/mail/api", "1/eu/shop/web"];
        let mut candidates = ids.map(candidate);
        let routes = Routes::new("1".into(), "eu".into(), Vec::new(), None);
        let findings = tell_apart(routes, &mut candidates);
        let names = candidates.map(|it| it.settings.name.to_string());
        assert_eq!(names, ["shop/api", "mail/api", "web"]);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].what, "several targets have the name `api`: shop/api, mail/api");
        assert!(findings[0].mend.as_ref().unwrap().starts_with("write `shop/api` and its like"));
    }
}

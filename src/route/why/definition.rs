//! Why an event finds a target by its running definition, or why it does not.

use super::Found;
use crate::{
    domain::{Place, TargetSettings},
    route::{
        dependencies::{parameter_name, secret_names, secret_readings},
        found::{FoundTarget, Thing},
        words::listed,
    },
};

impl FoundTarget<'_> {
    pub(super) fn why_runs(self, name: &str, registry: Option<&Place>, settings: &TargetSettings) -> Found {
        let images: Vec<(Option<&Place>, &str, &str)> = self.things().filter_map(image).collect();
        let of_it = || images.iter().filter(|(_, its, _)| *its == name);
        let from_there = || of_it().filter(|(from, ..)| registry.is_none() || *from == registry);
        let counts = |container: &str| settings.container.as_ref().is_none_or(|it| it.as_str() == container);
        if let Some((_, _, container)) = from_there().find(|(_, _, container)| counts(container)) {
            return Ok(format!("its running definition names {name} in container {container}"));
        }
        Err(match (from_there().next(), of_it().next(), &settings.container, registry) {
            (Some((_, _, container)), _, Some(only), _) => {
                format!(
                    "its running definition names {name} in container {container}, and only {only} counts"
                )
            }
            (_, Some((from, ..)), _, Some(registry)) => {
                let from = from.map_or("a registry that is not ECR's".into(), |it| format!("registry {it}"));
                format!("its running definition names {name} in {from}, not in {registry}")
            }
            _ => others("names", "repository", images.iter().map(|(_, its, _)| *its)),
        })
    }

    pub(super) fn why_reads_parameter(self, bare: &str, place: &Place) -> Found {
        let read = self.things().filter_map(|thing| match thing {
            Thing::Parameter { place, name } => Some((place, name)),
            Thing::Repository { .. } | Thing::Secret { .. } | Thing::File { .. } => None,
        });
        why_reads("parameter", read.collect(), place, |name| parameter_name(name) == bare)
    }

    pub(super) fn why_reads_secret(self, secret: &str, place: &Place) -> Found {
        let read = self.things().filter_map(|thing| match thing {
            Thing::Secret { place, name } => Some((place, name)),
            Thing::Repository { .. } | Thing::Parameter { .. } | Thing::File { .. } => None,
        });
        why_reads("secret", read.collect(), place, |tail| {
            let (whole, bare) = secret_readings(tail);
            secret_names(secret).any(|name| name == whole || Some(name) == bare)
        })
    }

    pub(super) fn why_loads(self, bucket: &str, key: &str) -> Found {
        let files = self.things().filter_map(|thing| match thing {
            Thing::File { bucket, key } => Some((bucket, key)),
            Thing::Repository { .. } | Thing::Parameter { .. } | Thing::Secret { .. } => None,
        });
        let files: Vec<(&str, &str)> = files.collect();
        if files.contains(&(bucket, key)) {
            return Ok(format!("its running definition loads s3://{bucket}/{key}"));
        }
        let files: Vec<String> = files.iter().map(|(bucket, key)| format!("s3://{bucket}/{key}")).collect();
        Err(others("loads", "file", files.iter().map(String::as_str)))
    }
}

fn image<'a>(thing: Thing<'a, &'a Place>) -> Option<(Option<&'a Place>, &'a str, &'a str)> {
    match thing {
        Thing::Repository { registry, name, container } => Some((registry, name, container)),
        Thing::Parameter { .. } | Thing::Secret { .. } | Thing::File { .. } => None,
    }
}

fn why_reads(what: &str, read: Vec<(&Place, &str)>, place: &Place, is_it: impl Fn(&str) -> bool) -> Found {
    let meant = || read.iter().filter(|(_, name)| is_it(name));
    if let Some((_, name)) = meant().find(|(from, _)| *from == place) {
        return Ok(format!("its running definition reads {what} {name}"));
    }
    Err(match meant().next() {
        Some((from, name)) => format!("its running definition reads {what} {name} in {from}, not in {place}"),
        None => others("reads", what, read.iter().map(|(_, name)| *name)),
    })
}

fn others<'a>(does: &str, what: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names = listed(names);
    if names.is_empty() {
        format!("its running definition {does} no {what}")
    } else {
        format!("its running definition {does} {names}")
    }
}

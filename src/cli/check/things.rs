//! Whether what tasks read when they start is there: images, parameters, secrets and files. Each is looked for once, for all
//! the targets that read it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    counted,
    finding::{About, Finding, some_of},
    lifecycle::{self, Named, Policy},
    pushes::{self, Pins},
};
use crate::{
    aws::{ecs::InspectedDefinition, sources::Sources},
    cli::estate::{Progress, each},
    domain::{CallFailure, Cause, Dependency, Digest, OnPush, Place, RepositoryName, Tag, TargetSettings},
};

/// Who reads something.
pub(super) type Readers = BTreeSet<String>;

/// Everything that is looked for, and who reads it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Things {
    images: BTreeMap<(Place, RepositoryName), BTreeMap<Tag, Readers>>,
    digests: BTreeMap<(Place, RepositoryName), BTreeMap<Digest, Readers>>,
    /// The tags that are named, for what a lifecycle policy does to them.
    named: BTreeMap<(Place, RepositoryName), BTreeMap<Tag, Named>>,
    /// The policies by which tags are taken.
    pins: BTreeMap<(Place, RepositoryName), Pins>,
    parameters: BTreeMap<Place, BTreeMap<Arc<str>, Readers>>,
    secrets: BTreeMap<(Place, Arc<str>), Readers>,
    files: BTreeMap<(Place, Arc<str>, Arc<str>), Readers>,
}

/// One question to AWS.
enum Question {
    Images(Place, RepositoryName, BTreeMap<Tag, Readers>),
    Digests(Place, RepositoryName, BTreeMap<Digest, Readers>),
    Lifecycle(Place, RepositoryName, BTreeMap<Tag, Named>),
    Mutability(Place, RepositoryName, BTreeMap<Tag, Named>),
    Pins(Place, RepositoryName, Pins),
    Parameters(Place, Vec<(Arc<str>, Readers)>),
    Secret(Place, Arc<str>, Readers),
    File(Place, Arc<str>, Arc<str>, Readers),
}

/// What a question found: what is missing and who reads it, or what could not be looked for and why.
struct Answer {
    kind: &'static str,
    asked: usize,
    missing: Result<Vec<(String, Readers)>, CallFailure>,
    /// What else is wrong with it.
    beside: Vec<Finding>,
}

/// SSM is asked about so many parameters by one call.
const PARAMETERS_PER_CALL: usize = 50;
/// AWS's own parameters, which no list has.
const PUBLIC: &str = "/aws/";

impl Things {
    /// Adds what this definition of this target reads.
    pub(super) fn add(&mut self, settings: &TargetSettings, own: &Place, definition: &InspectedDefinition) {
        let target = settings.name.as_str();
        for (container, image) in &definition.images {
            let Ok(image) = image else { continue };
            let Some((account, region)) = image.ecr_home() else { continue };
            let key = (Place { account, region }, image.repository.clone());
            let is_meant = settings.container.as_ref().is_none_or(|it| it.as_str() == container);
            let on_push =
                if settings.triggers.images && is_meant { settings.on_push } else { OnPush::Ignore };
            if on_push == OnPush::Pin {
                let policy = || (settings.tags.clone(), Readers::new());
                let pins = self.pins.entry(key.clone()).or_default();
                let pin = pins.entry(settings.tags.as_str().to_owned()).or_insert_with(policy);
                pin.1.insert(target.to_owned());
            }
            // What is pulled is the digest, where one is named.
            if let Some(digest) = &image.digest {
                let digests = self.digests.entry(key).or_default();
                digests.entry(digest.clone()).or_default().insert(target.to_owned());
            } else if let Some(tag) = image.effective_tag() {
                let named = self.named.entry(key.clone()).or_default().entry(tag.clone()).or_default();
                named.readers.insert(target.to_owned());
                if matches!(on_push, OnPush::Follow | OnPush::Always) {
                    named.followers.insert(target.to_owned());
                }
                if on_push == OnPush::Follow {
                    named.waiting.insert(target.to_owned());
                }
                self.images.entry(key).or_default().entry(tag).or_default().insert(target.to_owned());
            }
        }
        for dependency in &definition.dependencies {
            if let Some(readers) = self.readers(dependency, own) {
                readers.insert(target.to_owned());
            }
        }
    }

    fn readers(&mut self, dependency: &Dependency, own: &Place) -> Option<&mut Readers> {
        Some(match dependency {
            Dependency::Repository { .. } => return None,
            Dependency::Parameter { name, .. } if name.starts_with(PUBLIC) => return None,
            Dependency::Parameter { place, name } => {
                self.parameters.entry(place.clone()).or_default().entry(name.clone()).or_default()
            }
            Dependency::Secret { place, name } => {
                self.secrets.entry((place.clone(), name.clone())).or_default()
            }
            Dependency::File { bucket, key } => {
                self.files.entry((own.clone(), bucket.clone(), key.clone())).or_default()
            }
        })
    }

    fn questions(self) -> Vec<Question> {
        let images = self.images.into_iter().map(|((place, name), tags)| Question::Images(place, name, tags));
        let parameters = self.parameters.into_iter().flat_map(|(place, names)| {
            let names: Vec<_> = names.into_iter().collect();
            let batches = names.chunks(PARAMETERS_PER_CALL).map(<[_]>::to_vec).collect::<Vec<_>>();
            batches.into_iter().map(move |names| Question::Parameters(place.clone(), names))
        });
        let secrets =
            self.secrets.into_iter().map(|((place, name), readers)| Question::Secret(place, name, readers));
        let files = self
            .files
            .into_iter()
            .map(|((place, bucket, key), readers)| Question::File(place, bucket, key, readers));
        let awaited =
            self.named.clone().into_iter().filter(|(_, tags)| tags.values().any(|it| !it.waiting.is_empty()));
        let mutabilities = awaited.map(|((place, name), tags)| Question::Mutability(place, name, tags));
        let pins = self.pins.into_iter().map(|((place, name), pins)| Question::Pins(place, name, pins));
        let named = self.named.into_iter();
        let lifecycles = named.map(|((place, name), tags)| Question::Lifecycle(place, name, tags));
        let repositories = lifecycles.chain(mutabilities).chain(pins);
        let digests = self.digests.into_iter();
        let digests = digests.map(|((place, name), digests)| Question::Digests(place, name, digests));
        images.chain(digests).chain(repositories).chain(parameters).chain(secrets).chain(files).collect()
    }
}

/// Looks for all of it.
pub(super) async fn look_for(things: Things, sources: &Sources, progress: &Progress) -> Vec<Finding> {
    let ask = async |question| question_of(sources, question).await;
    let answers = each(things.questions(), "things that tasks read:", progress, ask).await;
    judge(answers)
}

async fn question_of(sources: &Sources, question: Question) -> Answer {
    match question {
        Question::Images(place, repository, tags) => {
            let wanted: Vec<Tag> = tags.keys().cloned().collect();
            let found = sources.tags(&place, &repository, &wanted).await;
            let missing = found.map(|found| {
                let left = tags.into_iter().filter(|(tag, _)| !found.contains_key(tag));
                left.map(|(tag, readers)| (format!("image {repository}:{tag} in {place}"), readers)).collect()
            });
            Answer { kind: "image", asked: wanted.len(), missing, beside: Vec::new() }
        }
        Question::Digests(place, repository, digests) => {
            let wanted: Vec<Digest> = digests.keys().cloned().collect();
            let found = sources.digests(&place, &repository, &wanted).await;
            let missing = found.map(|found| {
                let left = digests.into_iter().filter(|(digest, _)| !found.contains(digest));
                left.map(|(digest, readers)| (format!("image {repository}@{digest} in {place}"), readers))
                    .collect()
            });
            Answer { kind: "image", asked: wanted.len(), missing, beside: Vec::new() }
        }
        Question::Lifecycle(place, repository, tags) => {
            beside("lifecycle policy", lifecycle(sources, &place, &repository, &tags).await)
        }
        Question::Mutability(place, repository, tags) => {
            let found = sources.mutability(&place, &repository).await;
            let whose = format!("{repository} in {place}");
            let judged = |it| pushes::of_followed(&whose, &tags, &it);
            beside("repository", found.map(|it| it.map(judged).unwrap_or_default()))
        }
        Question::Pins(place, repository, pins) => {
            let found = sources.newest_tags(&place, &repository).await;
            let whose = format!("{repository} in {place}");
            beside("repository", found.map(|states| pushes::of_pinned(&whose, &pins, &states)))
        }
        Question::Parameters(place, names) => {
            let wanted: Vec<Arc<str>> = names.iter().map(|(name, _)| name.clone()).collect();
            let found = sources.parameters(&place, &wanted).await;
            let missing = found.map(|found| {
                let left = names.into_iter().filter(|(name, _)| !found.contains_key(name));
                left.map(|(name, readers)| (format!("parameter {name} in {place}"), readers)).collect()
            });
            Answer { kind: "parameter", asked: wanted.len(), missing, beside: Vec::new() }
        }
        Question::Secret(place, name, readers) => {
            let found = sources.secret(&place, &name).await;
            let what = format!("secret {name} in {place}");
            let missing = found.map(|it| absent(it.is_some(), what, readers));
            Answer { kind: "secret", asked: 1, missing, beside: Vec::new() }
        }
        Question::File(place, bucket, key, readers) => {
            let found = sources.object(&place, &bucket, &key).await;
            let what = format!("file s3://{bucket}/{key}");
            let missing = found.map(|it| absent(it.is_some(), what, readers));
            Answer { kind: "file", asked: 1, missing, beside: Vec::new() }
        }
    }
}

/// Of a question that is not about something being there.
fn beside(kind: &'static str, found: Result<Vec<Finding>, CallFailure>) -> Answer {
    match found {
        Ok(beside) => Answer { kind, asked: 1, missing: Ok(Vec::new()), beside },
        Err(failure) => Answer { kind, asked: 1, missing: Err(failure), beside: Vec::new() },
    }
}

/// What the lifecycle policy of a repository does to what is named there. All tags are read only if that matters.
async fn lifecycle(
    sources: &Sources,
    place: &Place,
    repository: &RepositoryName,
    tags: &BTreeMap<Tag, Named>,
) -> Result<Vec<Finding>, CallFailure> {
    let Some(policy) = sources.lifecycle(place, repository).await? else { return Ok(Vec::new()) };
    let (policy, whose) = (Policy::read(&policy), format!("{repository} in {place}"));
    let followers: Readers = tags.values().flat_map(|it| it.followers.iter().cloned()).collect();
    let mut findings = Vec::new();
    if policy.soon_takes_untagged() && !followers.is_empty() {
        findings.push(lifecycle::forgets(&whose, followers));
    }
    if policy.soon_takes_tagged() {
        let states = sources.newest_tags(place, repository).await?;
        findings.extend(policy.judge(&whose, tags, &states));
    }
    Ok(findings)
}

fn absent(is_there: bool, what: String, readers: Readers) -> Vec<(String, Readers)> {
    if is_there { Vec::new() } else { vec![(what, readers)] }
}

fn judge(answers: Vec<Answer>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut unread: BTreeMap<(&'static str, String, bool), usize> = BTreeMap::new();
    for Answer { kind, asked, missing, beside } in answers {
        findings.extend(beside);
        match missing {
            Ok(missing) => findings.extend(missing.into_iter().map(|(what, readers)| gone(&what, readers))),
            Err(failure) => {
                let is_denied = failure.cause == Cause::Permission;
                *unread.entry((kind, failure.reason, is_denied)).or_default() += asked;
            }
        }
    }
    findings.extend(unread.into_iter().map(|((kind, reason, is_denied), asked)| {
        let what = format!("{} could not be looked for: {reason}", counted(asked, kind));
        let mend = if is_denied { "allow the call: reconcile makes it, too" } else { "try again" };
        Finding::warning(About::Target, what, mend)
    }));
    findings.sort();
    findings
}

fn gone(what: &str, readers: Readers) -> Finding {
    let only = if readers.len() == 1 { readers.first().cloned() } else { None };
    let whose = match &only {
        Some(_) => "its new tasks".to_owned(),
        None => format!("new tasks of {}", some_of(readers.into_iter().collect(), 3)),
    };
    let what = format!("{what} is not there: {whose} cannot start");
    let finding = Finding::error(About::Target, what, "make it, or let the task definition name another");
    match only {
        Some(target) => finding.of(&target),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::text, *};
    use crate::domain::Remedy;

    fn readers(names: &[&str]) -> Readers {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    fn place() -> Place {
        Place { account: "111122223333".into(), region: "eu-west-1".into() }
    }

    #[test]
    fn what_is_missing_is_told_once_for_all_that_read_it() {
        let failed =
            |cause, reason: &str| Err(CallFailure { cause, reason: reason.into(), remedy: Remedy::GiveUp });
        let answers = vec![
            Answer {
                kind: "image",
                asked: 3,
                missing: Ok(vec![("image shop/api:v1 in here".into(), readers(&["api"]))]),
                beside: Vec::new(),
            },
            Answer {
                kind: "parameter",
                asked: 1,
                missing: Ok(vec![("parameter /x in here".into(), readers(&["a", "b", "c", "d"]))]),
                beside: Vec::new(),
            },
            Answer {
                kind: "lifecycle policy",
                asked: 1,
                missing: Ok(Vec::new()),
                beside: vec![lifecycle::forgets("shop/api in here", readers(&["api"]))],
            },
            Answer {
                kind: "secret",
                asked: 1,
                missing: failed(Cause::Permission, "ListSecretVersionIds: no"),
                beside: Vec::new(),
            },
            Answer {
                kind: "secret",
                asked: 1,
                missing: failed(Cause::Permission, "ListSecretVersionIds: no"),
                beside: Vec::new(),
            },
            Answer {
                kind: "file",
                asked: 1,
                missing: failed(Cause::Timeout, "no answer"),
                beside: Vec::new(),
            },
        ];
        insta::assert_snapshot!(text(&judge(answers)), @r#"
        error    target: parameter /x in here is not there: new tasks of a, b, c and 1 more cannot start; make it, or let the task definition name another
        warning  target: 1 file could not be looked for: no answer; try again
        warning  target: 2 secrets could not be looked for: ListSecretVersionIds: no; allow the call: reconcile makes it, too
        warning  target: the lifecycle policy of shop/api in here soon deletes images without a tag, and a tag there is followed by api: the image that runs loses it with the next push, and a rollback would have nothing to pull; keep 100 images without a tag, or keep them for 365 days
        error    api: image shop/api:v1 in here is not there: its new tasks cannot start; make it, or let the task definition name another
        2 errors, 3 warnings.
        "#);
    }

    #[test]
    fn each_thing_is_asked_for_once_and_parameters_by_the_fifty() {
        let mut things = Things::default();
        let image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/api:v1";
        let parameters =
            (0..60).map(|it| Dependency::Parameter { place: place(), name: format!("/p/{it}").into() });
        let public = Dependency::Parameter { place: place(), name: "/aws/service/ami".into() };
        let definition = InspectedDefinition {
            active: true,
            images: vec![
                ("web".into(), Ok(image.parse().expect("valid"))),
                ("side".into(), Ok("nginx:1".parse().expect("valid"))),
                ("pinned".into(), Ok(format!("{image}@sha256:{}", "a".repeat(64)).parse().expect("valid"))),
            ],
            dependencies: parameters.chain([public]).collect(),
            tags: BTreeMap::new(),
            roles: Vec::new(),
            receives_from: Vec::new(),
        };
        for name in ["a", "b"] {
            things.add(&TargetSettings::named(name.into()), &place(), &definition);
        }
        let questions = things.questions();
        let sizes: Vec<usize> = questions
            .iter()
            .map(|question| match question {
                Question::Images(_, _, tags) => {
                    assert_eq!(tags.values().next(), Some(&readers(&["a", "b"])));
                    tags.len()
                }
                Question::Digests(_, _, digests) => digests.len(),
                Question::Parameters(_, names) => names.len(),
                Question::Lifecycle(_, name, _) | Question::Mutability(_, name, _) => name.as_str().len(),
                Question::Pins(..) | Question::Secret(..) | Question::File(..) => 0,
            })
            .collect();
        assert_eq!(sizes, [1, 1, "shop/api".len(), "shop/api".len(), 50, 10]);
    }
}

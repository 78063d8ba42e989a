//! What must hold for any bytes whatever. The targets in `fuzz/` look for bytes for which it does not, and
//! `tests/corpus/main.rs` replays those that were kept.
//!
//! Each function takes an input as the outside world would give it, and panics where a property is broken.

use std::collections::{BTreeMap, BTreeSet};

use lockkeeper::{
    decode,
    domain::{
        self, Cause, ContainerName, DeadLetter, DefinitionChange, DefinitionRef, Dependency, Event, EventId,
        Glob, ImageReference, Marks, Outcome, Place, Rank, StoppedTask, Subject, TagPolicy, TargetId,
        TargetSettings, Timestamp, Trigger, Wanted, is_digest, is_tag,
        letter::{self, Said},
    },
    settings::{self, Problem, Problems, Settings, Sources},
};
use serde_json::{Map, Value, json};

#[allow(dead_code, reason = "`aws` needs the AWS SDK, and this part of it does not")]
#[path = "../../src/aws/ecs/definition.rs"]
mod definition;
#[allow(dead_code, reason = "the module above looks for it here")]
#[path = "../../src/aws/ecs/logs.rs"]
mod logs;

/// The longest line for people that is made of an input, in characters.
const LONGEST_LINE: usize = 2_000;

/// Any bytes are the body of a message: it means one thing, always the same, also in a wrapper; a reason is a line for
/// people; and what it names could be what it says.
pub(crate) fn decode(body: &[u8]) {
    let sent = Timestamp::from_millis(1_790_000_000_123);
    let event = decode::decode(body, sent);
    assert_eq!(event, decode::decode(body, sent), "the same body means the same");
    check_envelope(&event);
    check_trigger(&event.trigger, body.len());
    let wrappers = decode::wrappers(body).len();
    assert!(wrappers <= 4, "{wrappers} wrappers were taken off");
    if let Ok(text) = std::str::from_utf8(body)
        && wrappers < 4
        && text.len() < decode::MAX_BODY_BYTES / 8
        && !matches!(event.trigger, Trigger::Malformed(_))
    {
        let wrapped = json!({"Type": "Notification", "Message": text}).to_string();
        assert_eq!(decode::decode(wrapped.as_bytes(), sent), event, "a wrapper changes nothing");
    }
}

fn check_envelope(event: &Event) {
    let id = event.id.as_str();
    assert!((1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()), "{id:?}");
    for name in [&event.source, &event.detail_type] {
        check_note(name, 256);
    }
    event.account.iter().for_each(|it| check_note(it.as_str(), 256));
    event.region.iter().for_each(|it| check_note(it.as_str(), 256));
    event.replay.iter().for_each(|it| check_note(it, 1_000));
    assert_eq!(Timestamp::parse(&event.time.to_string()), Some(event.time), "a time reads back");
}

fn check_trigger(trigger: &Trigger, longest: usize) {
    let names = |names: &[&str]| {
        for name in names {
            assert!(!name.is_empty() && name.len() <= longest, "{name:?} of {longest} bytes");
        }
    };
    match trigger {
        Trigger::ImagePushed(image) | Trigger::ImageReplicated(image) => {
            names(&[image.repository.as_str()]);
            assert!(is_tag(image.tag.as_str()), "{image:?}");
            assert!(image.digest.as_ref().is_none_or(|it| is_digest(it.as_str())), "{image:?}");
        }
        Trigger::ImageScanned(image) => names(&[image.repository.as_str(), image.digest.as_str()]),
        Trigger::ParameterChanged { name, .. } => names(&[name]),
        Trigger::SecretChanged { secret, .. } => names(&[secret]),
        Trigger::EnvFileChanged { bucket, key, .. } => names(&[bucket, key]),
        Trigger::ImageReady(image) => {
            names(&[image.repository.as_str()]);
            assert!(is_tag(image.tag.as_str()), "{image:?}");
            check_notes([&image.branch, &image.commit]);
        }
        Trigger::DeployRequested(it) => {
            check_note(&it.service, 255);
            check_notes([&it.environment, &it.reason, &it.requested_by, &it.branch, &it.commit]);
            check_wanted(&it.wanted);
        }
        Trigger::Decision(it) => {
            match &it.about {
                Subject::Deployment { id, target, events } => {
                    names(&[id.as_str()]);
                    names(&target.iter().map(|it| &**it).collect::<Vec<_>>());
                    names(&events.iter().map(EventId::as_str).collect::<Vec<_>>());
                }
                Subject::Target(target) => names(&[target]),
                Subject::All => {}
            }
            check_notes([&it.by, &it.reason]);
        }
        Trigger::RolloutChanged(hint) => {
            names(&[&hint.service, &hint.event_name]);
            check_notes([&hint.reason]);
        }
        Trigger::TaskStopped(hint) => {
            names(&[&hint.cluster, &hint.service]);
            let StoppedTask { stop_code, reason, container_reason, .. } = &hint.stopped;
            check_notes([stop_code, reason, container_reason]);
        }
        Trigger::HookWaiting(hint) => names(&[&hint.service, &hint.hook, &hint.stage]),
        Trigger::Ignored(reason) | Trigger::Malformed(reason) => check_line(reason),
    }
}

fn check_wanted(wanted: &Wanted) {
    match wanted {
        Wanted::Refresh => {}
        Wanted::Definition(DefinitionChange { definition: it, .. }) => {
            assert_eq!(it.to_string().parse::<DefinitionRef>().as_ref(), Ok(it));
        }
        Wanted::Rollback(DefinitionChange { definition: it, back, .. }) => {
            assert_eq!(it.to_string().parse::<DefinitionRef>().as_ref(), Ok(it));
            let back = back.as_ref().expect("it says from where");
            assert!(back.images.values().all(|it| is_digest(it.as_str())), "{back:?}");
            assert!(back.follow.values().all(|it| is_tag(it.as_str())), "{back:?}");
            check_notes([&back.by, &back.reason]);
        }
        Wanted::Image(it) => assert_eq!(it.to_string().parse::<ImageReference>().as_ref(), Ok(it)),
        Wanted::Tag(tag) => assert!(is_tag(tag.as_str()), "{tag}"),
    }
}

fn check_notes<'a, T: AsRef<str> + 'a>(notes: impl IntoIterator<Item = &'a Option<T>>) {
    notes.into_iter().flatten().for_each(|note| check_note(note.as_ref(), 1_000));
}

/// A piece of an event that people get to see: cut behind so many characters, and printable.
fn check_note(note: &str, chars: usize) {
    assert!(note.chars().count() <= chars + 1, "longer than {chars} characters: {note:?}");
    assert!(note.chars().all(is_printable), "{note:?}");
}

/// A whole line for people.
fn check_line(line: &str) {
    let chars = line.chars().count();
    assert!(!line.trim().is_empty() && chars <= LONGEST_LINE, "{chars} characters: {line:?}");
    assert!(line.chars().all(is_printable), "{line:?}");
}

/// Neither breaks a line, nor moves a terminal's cursor, nor turns the direction of writing (Unicode's property
/// `Bidi_Control`).
fn is_printable(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !turns && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// Any text is a document of settings: it is read as a whole, or all that is wrong with it is told.
pub(crate) fn settings(document: &[u8]) {
    let Ok(text) = std::str::from_utf8(document) else { return };
    check_settings(&BTreeMap::from([("LOCKKEEPER_CONFIG_TOML".to_owned(), text.to_owned())]));
}

/// Any lines `NAME=value` are the variables of a process, those of the old Lambda among them.
pub(crate) fn environment(lines: &[u8]) {
    let Ok(text) = std::str::from_utf8(lines) else { return };
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    check_settings(&pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
}

fn check_settings(variables: &BTreeMap<String, String>) {
    // Nothing is found below a file: no text reads another one of this machine.
    let folder = "/dev/null".into();
    let sources = Sources { files: Vec::new(), environment: variables.clone(), folder };
    let read = settings::load(&sources);
    // The library that lays layers over one another hashes its keys. Reading is slow, so it is done again for a few.
    if variables.values().map(String::len).sum::<usize>().is_multiple_of(8) {
        assert_eq!(read, settings::load(&sources), "the same sources mean the same");
    }
    match read {
        Ok(settings) => check_values(&settings),
        Err(Problems(problems)) => {
            assert!(!problems.is_empty(), "refused without a reason");
            assert!(problems.is_sorted(), "{problems:?}");
            problems.iter().for_each(check_problem);
        }
    }
}

/// A problem names the key or, where it is of no key, the document or variable.
fn check_problem(problem: &Problem) {
    let line = problem.to_string();
    check_line(&line);
    let is_of_no_key = ["is not TOML", "names no key", "sets nothing", "cannot be read"];
    assert!(!problem.key.is_empty() || is_of_no_key.iter().any(|it| problem.wrong.contains(it)), "{line}");
    assert!(line.contains(&problem.key) && !problem.origin.source.is_empty(), "{line}");
    assert!(!problem.wrong.is_empty() && !problem.mend.is_empty(), "{line}");
}

fn check_values(settings: &Settings) {
    let seconds = settings.queue.visibility.as_secs();
    assert!((30..=3_600).contains(&seconds) && (1..=16).contains(&settings.queue.pollers), "{settings:?}");
    assert!(settings.engine.start_delay.as_secs() <= 3_600, "{settings:?}");
    assert!(settings.queue.url.is_none() || settings.queue.url != settings.queue.dead_letter_url);
    settings.warnings.iter().for_each(|it| check_line(&it.to_string()));
    let names: BTreeSet<&str> = settings.targets.iter().map(|it| it.settings.name.as_str()).collect();
    assert_eq!(names.len(), settings.targets.len(), "two targets have one name");
    for rule in &settings.targets {
        check_note(rule.settings.name.as_str(), 255);
        check_how(&rule.settings);
    }
    settings.naming.iter().for_each(|naming| check_how(&naming.defaults));
}

fn check_how(how: &TargetSettings) {
    assert!(how.quiet.as_secs() <= 60 && how.timeout.as_secs() >= 1 && how.retries <= 100, "{how:?}");
    for policy in how.ignore_tags.iter().chain([&how.tags]) {
        assert_eq!(policy.as_str().parse::<TagPolicy>().as_ref(), Ok(policy), "a policy reads back");
    }
}

/// The first line is a policy, each further one a tag: what a policy takes is what is written, and two tags are ordered
/// by one measure.
pub(crate) fn tags(lines: &[u8]) {
    let Ok(text) = std::str::from_utf8(lines) else { return };
    let (written, rest) = text.split_once('\n').unwrap_or((text, ""));
    let glob = Glob::new(written);
    for tag in rest.lines() {
        assert_eq!(glob.matches(tag), matches_plainly(written, tag), "{written:?} on {tag:?}");
    }
    let Ok(policy) = written.parse::<TagPolicy>() else { return };
    assert_eq!(policy.to_string(), written);
    assert_eq!(policy.as_str().parse().as_ref(), Ok(&policy));
    let ranks: Vec<Rank> = rest.lines().filter_map(|tag| check_rank(&policy, tag)).collect();
    let measure = ranks.first().map(std::mem::discriminant);
    assert!(ranks.iter().all(|it| Some(std::mem::discriminant(it)) == measure), "{ranks:?}");
}

fn check_rank(policy: &TagPolicy, tag: &str) -> Option<Rank> {
    let rank = policy.rank(&tag.into());
    assert_eq!(rank, policy.rank(&tag.into()), "the same tag has the same rank");
    let taken = match policy.as_str().split_once(':') {
        None => true,
        Some(("exact", wanted)) => tag == wanted,
        Some(("prefix", prefix)) => tag.starts_with(prefix),
        Some(("glob", pattern)) => matches_plainly(pattern, tag),
        Some((_, plain)) if policy.as_str().starts_with("regex:") && plain.bytes().all(is_plain) => {
            tag.contains(plain)
        }
        Some(_) => return rank,
    };
    assert_eq!(rank.is_some(), taken, "{policy} on {tag:?}");
    rank
}

/// Stands for itself in a regular expression.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// What a glob means, by its definition: `reach[t]` tells whether the pattern so far takes the first `t` characters.
fn matches_plainly(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut reach = vec![false; text.len() + 1];
    reach[0] = true;
    for sign in pattern.chars() {
        if sign == '*' {
            let first = reach.iter().position(|it| *it).unwrap_or(reach.len());
            reach[first..].fill(true);
            continue;
        }
        for at in (0..text.len()).rev() {
            reach[at + 1] = reach[at] && (sign == '?' || sign == text[at]);
        }
        reach[0] = false;
    }
    reach[text.len()]
}

/// Any text names an image, a task definition, a target, or none of them: what names one is written as it is read.
pub(crate) fn references(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    match text.parse::<ImageReference>() {
        Ok(image) => check_image(&image, text),
        Err(error) => check_line(&error.to_string()),
    }
    match text.parse::<DefinitionRef>() {
        Ok(definition) => assert_eq!(definition.to_string().parse().as_ref(), Ok(&definition)),
        Err(error) => check_line(&error.to_string()),
    }
    if let Ok(target) = text.parse::<TargetId>() {
        assert_eq!(target.to_string(), text);
    }
    assert!(!(is_tag(text) && is_digest(text)), "{text} is a tag and a digest");
}

fn check_image(image: &ImageReference, text: &str) {
    check_note(text, text.len());
    assert_eq!(image.to_string(), text, "an image is written as it was read");
    let digest = format!("sha256:{}", "0a".repeat(32));
    for other in [image.with_tag("other".into()), image.with_digest(digest.as_str().into())] {
        assert_eq!(other.to_string().parse().as_ref(), Ok(&other), "{text} with something else");
        assert_eq!((&other.registry, &other.repository), (&image.registry, &image.repository));
    }
    assert!(image.effective_tag().is_none_or(|tag| is_tag(tag.as_str())), "{text}");
    assert!(image.effective_tag().is_some() || image.digest.is_some(), "{text}");
    if let Some((account, region)) = image.ecr_home() {
        assert!(
            text.starts_with(&format!("{account}.dkr")) && text.contains(&format!(".{region}.")),
            "{text}"
        );
    }
}

/// Any object is a task definition: what its tasks read is named in order and once, by names that could be one, and
/// every image that is an image among it; what stands beside the containers says nothing.
pub(crate) fn dependencies(definition: &[u8]) {
    let Ok(mut fields) = serde_json::from_slice::<Map<String, Value>>(definition) else { return };
    let place = Place { account: "111122223333".into(), region: "eu-west-1".into() };
    let found = domain::dependencies(&fields, &place);
    assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "{found:?}");
    for it in &found {
        check_dependency(it, definition.len());
    }
    let images: BTreeSet<ContainerName> = images(&fields);
    let named = found.iter().filter_map(|it| match it {
        Dependency::Repository { container, .. } => Some(container.clone()),
        Dependency::Parameter { .. } | Dependency::Secret { .. } | Dependency::File { .. } => None,
    });
    assert_eq!(named.collect::<BTreeSet<_>>(), images, "the containers with images");
    fields.retain(|name, _| name == "containerDefinitions");
    fields.insert("volumes".into(), json!([{"secrets": [{"valueFrom": "/x"}]}]));
    assert_eq!(domain::dependencies(&fields, &place), found);
}

fn images(fields: &Map<String, Value>) -> BTreeSet<ContainerName> {
    let containers = fields.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    let named = containers.filter_map(|it| {
        it["image"].as_str()?.parse::<ImageReference>().ok()?;
        it["name"].as_str().filter(|name| !name.is_empty()).map(Into::into)
    });
    named.collect()
}

fn check_dependency(dependency: &Dependency, longest: usize) {
    let check =
        |name: &str| assert!(!name.is_empty() && name.len() <= longest, "{name:?} of {longest} bytes");
    let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    match dependency {
        Dependency::Repository { registry, name, .. } => {
            check(name.as_str());
            registry.iter().for_each(check_place);
        }
        Dependency::Parameter { place, name } | Dependency::Secret { place, name } => {
            check(name);
            check_place(place);
            assert!(is_plain(name), "{name:?} is no name");
        }
        Dependency::File { bucket, key } => [bucket, key].into_iter().for_each(|it| check(it)),
    }
}

fn check_place(place: &Place) {
    let account = place.account.as_str();
    assert!(account.len() == 12 && account.bytes().all(|it| it.is_ascii_digit()), "{account:?}");
    assert!(!place.region.as_str().is_empty());
}

/// Any bytes are an answer of DescribeTaskDefinition: of what can be registered again, nothing is lost or changed but
/// the one image and our own tags.
pub(crate) fn definitions(answer: &[u8]) {
    let Ok(document) = definition::Document::parse(answer) else { return };
    let described: Value = serde_json::from_slice(answer).expect("it was read");
    let Some(container) = document.view().images.into_keys().next() else { return };
    let image: ImageReference = "registry.example/edited:by-us".parse().expect("an image");
    let marks = Marks { deployment: Some("d-1".into()), ..Marks::default() };
    let edits = BTreeMap::from([(container.clone(), image.clone())]);
    let Some(registration) = document.edited(&edits, &marks).expect("the container is there") else { return };

    let body = registration.body();
    assert!(body.len() <= 8 * answer.len() + 1_000, "{} bytes of {}", body.len(), answer.len());
    let mut registered: Map<String, Value> = serde_json::from_slice(&body).expect("it is an object");
    check_tags(&described["tags"], &registered.remove("tags").unwrap_or_default());
    check_fields(&described["taskDefinition"], &Value::Object(registered.clone()), &container, &image);

    // What ECS would say of the new revision.
    registered.insert("taskDefinitionArn".into(), described["taskDefinition"]["taskDefinitionArn"].clone());
    let again = json!({"taskDefinition": registered, "tags": []}).to_string();
    let again = definition::Document::parse(again.as_bytes()).expect("it names itself");
    assert_eq!(again.edited(&edits, &marks), Ok(None), "what has the image is not registered again");
}

fn check_tags(described: &Value, registered: &Value) {
    let pairs = |tags: &Value| -> BTreeMap<String, String> {
        let pair = |tag: &Value| {
            Some((tag["key"].as_str()?.to_owned(), tag["value"].as_str().unwrap_or_default().to_owned()))
        };
        tags.as_array().into_iter().flatten().filter_map(pair).collect()
    };
    let of_others = |tags: &Value| -> BTreeMap<String, String> {
        let is_of_others = |key: &str| !key.starts_with("aws:") && !key.starts_with("lockkeeper:");
        pairs(tags).into_iter().filter(|(key, _)| is_of_others(key)).collect()
    };
    assert_eq!(of_others(described), of_others(registered), "tags of others");
    assert!(pairs(registered).keys().all(|key| !key.starts_with("aws:")), "{registered}");
    assert_eq!(pairs(registered)["lockkeeper:deployment"], "d-1");
}

fn check_fields(described: &Value, registered: &Value, container: &ContainerName, image: &ImageReference) {
    const DESCRIBE_ONLY: [&str; 9] = [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
    ];
    let mut expected = described.as_object().expect("it was read").clone();
    expected.retain(|name, value| !DESCRIBE_ONLY.contains(&name.as_str()) && !value.is_null());
    // Tags stand beside the definition, not in it.
    expected.remove("tags");
    let containers = expected["containerDefinitions"].as_array_mut().expect("it has a container");
    let edited = containers.iter_mut().find(|it| it["name"] == container.as_str()).expect("it is there");
    edited["image"] = json!(image.to_string());
    assert_eq!(&Value::Object(expected), registered);
}

/// The first line is a body, each further one an attribute `name=value`: what is said of a message reads back from
/// what is written, and fits.
pub(crate) fn letters(lines: &[u8]) {
    let Ok(text) = std::str::from_utf8(lines) else { return };
    let (body, rest) = text.split_once('\n').unwrap_or((text, ""));
    let pairs = rest.lines().filter_map(|line| line.split_once('='));
    let attributes = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let sent = Timestamp::from_millis(1_790_000_000_123);
    let said = Said::read(&attributes);
    assert!(said.version(sent).is_none_or(|version| version <= sent), "a version from the future: {said:?}");
    check_put_back(&said, sent);
    check_set_aside(&said, body, sent);
}

fn check_put_back(said: &Said, sent: Timestamp) {
    let target = said.target.as_ref().map(|target| match target {
        Ok(target) => target.to_string(),
        Err(unreadable) => unreadable.text().to_owned(),
    });
    let version = said.version(sent).filter(|_| !said.is_forced());
    let again = Said::read(&letter::put_back("id", target.as_deref(), version, None));
    assert_eq!(again.target, said.target);
    assert_eq!(again.is_forced(), version.is_none());
    assert_eq!(again.version(sent), version.or(Some(sent)));
}

fn check_set_aside(said: &Said, body: &str, sent: Timestamp) {
    let target = said.target.clone().and_then(Result::ok);
    let letter = DeadLetter {
        target: target.clone(),
        deployment: said.deployment.as_deref().map(Into::into),
        outcome: Some(Outcome::Failed),
        cause: Some(Cause::Timeout),
        reason: said.reason.clone().unwrap_or_default(),
        attempts: said.attempts.unwrap_or_default(),
        version: said.version(sent).unwrap_or(sent),
    };
    let written = letter::attributes(&"e-1".into(), body, &letter, sent);
    assert!(written.len() <= 10, "SQS takes ten attributes: {written:?}");
    assert_eq!(written, letter::attributes(&"e-1".into(), body, &letter, sent));
    let read = Said::read(&written);
    assert_eq!((read.target, read.attempts), (target.map(Ok), Some(letter.attempts)));
    assert!(letter.reason.starts_with(read.reason.as_deref().unwrap_or_default()));
    let nameless = letter::attributes(&"e-1".into(), body, &DeadLetter::malformed(letter.reason, sent), sent);
    for room in [1_024, 1 << 20] {
        check_parcel(body, &written, true, room);
        check_parcel(body, &nameless, false, room);
    }
}

/// A body is sent whole, or without what nobody reads in it, or its reason says that it is cut.
fn check_parcel(body: &str, attributes: &BTreeMap<String, String>, is_understood: bool, room: usize) {
    use letter::name::{CAUSE, ID, OUTCOME, TARGET, VERSION};
    let needed = [ID, TARGET, VERSION, OUTCOME, CAUSE].map(|name| (name, attributes.get(name)));
    // No target that AWS has is called so.
    if needed.iter().map(|(_, value)| value.map_or(0, String::len)).sum::<usize>() > 700 {
        return;
    }
    let meaning = |body: &str| decode::decode(body.as_bytes(), Timestamp::default());
    let means_the_same = |it: &str| meaning(it) == meaning(body);
    let (sent, kept) = letter::parcel(body, attributes.clone(), is_understood, room, means_the_same);
    let bytes = sent.len() + kept.iter().map(|(name, value)| name.len() + 6 + value.len()).sum::<usize>();
    let is_cut = kept.get(letter::name::REASON).is_some_and(|it| it.contains("of the body is cut: it had "));
    assert!(bytes <= room, "{bytes} bytes in {room}");
    assert!(sent.is_empty() == body.is_empty(), "another body is sent");
    if is_understood && !is_cut {
        let value = |text: &str| serde_json::from_str::<Value>(text).ok();
        let is_whole = *sent == *body || value(&sent) == value(body) || means_the_same(&sent);
        assert!(is_whole, "another body is sent");
    } else {
        assert!(body.starts_with(&*sent), "another body is sent");
        assert!(kept.contains_key(letter::name::REASON) || attributes == &kept, "{kept:?}");
    }
    for (name, value) in needed {
        assert_eq!(kept.get(name), value, "{name}");
    }
}

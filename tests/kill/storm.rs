//! What is asked for: a storm of events with duplicates, the same change under other ids, and late arrivals.

use std::collections::BTreeMap;

use lockkeeper::sim::Rng;
use serde_json::{Value, json};

use crate::estate::{self, ACCOUNT, OnPush, REGION, TARGETS, Target};

/// Something that happens now.
#[derive(Clone, Debug)]
pub enum Happening {
    /// An image is pushed under these tags.
    Push { repository: &'static str, tags: Vec<String>, digest: String },
    /// A message is sent.
    Message(String),
    /// A person starts what runs anew.
    ByHand(&'static Target),
}

/// What an image may be like; most are sound. `hang` is not for targets that wait for the end of every rollout.
const DEFECTS: [&str; 5] = ["crash", "sick", "oom", "nope", "hang"];

/// Everything that is still to happen.
pub struct Storm {
    rng: Rng,
    /// Whether there are images that fail.
    has_defects: bool,
    number: u64,
    /// Messages that are on their way, with the time of their arrival.
    late: Vec<(u64, String)>,
    /// The second of each target's last content: two of one second have no order.
    taken: BTreeMap<&'static str, u64>,
    /// Tags that were pushed to each repository.
    pushed: BTreeMap<&'static str, Vec<String>>,
}

impl Storm {
    pub fn new(seed: u64, has_defects: bool) -> Self {
        let (late, taken, pushed) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { rng: Rng::new(seed), has_defects, number: 0, late, taken, pushed }
    }

    /// Messages whose time has come.
    pub fn arrivals(&mut self, now: u64) -> Vec<Happening> {
        let (due, late) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = late;
        let due: Vec<(u64, String)> = due;
        due.into_iter().map(|(_, body)| Happening::Message(body)).collect()
    }

    /// Everything that is still on its way.
    pub fn rest(&mut self) -> Vec<Happening> {
        self.arrivals(u64::MAX)
    }

    /// Something new.
    pub fn next(&mut self, now: u64) -> Vec<Happening> {
        let target = &TARGETS[self.pick(TARGETS.len())];
        match self.rng.below(100) {
            0..40 => self.push(target, now),
            40..65 => self.parameter(target, now),
            65..75 => self.request(target, json!({"refresh": true}), now),
            75..82 => self.request_of_content(target, now),
            82..86 if target.name != "jobs" => vec![Happening::ByHand(target)],
            86..90 => self.pause(target, now),
            _ => self.noise(target, now),
        }
    }

    /// A sound image for `worker`, told once; and something that nobody understands.
    pub fn finale(&mut self, tag: &str, now: u64) -> Vec<Happening> {
        let (repository, digest) = ("shop/worker", self.digest());
        let detail = push_detail(repository, tag, &digest);
        let event = self.event("aws.ecr", "ECR Image Action", detail, now);
        vec![
            Happening::Push { repository, tags: vec![tag.to_owned()], digest },
            Happening::Message(event.to_string()),
            Happening::Message(format!("broken {tag}")),
        ]
    }

    fn pick(&mut self, count: usize) -> usize {
        usize::try_from(self.rng.below(count as u64)).expect("it is below a usize")
    }

    /// Whether nobody that runs images of this repository was asked for content in this second.
    fn take_second(&mut self, names: impl Iterator<Item = &'static str> + Clone, now: u64) -> bool {
        let second = now / 1000;
        let is_free = names.clone().all(|name| self.taken.get(name).is_none_or(|taken| *taken < second));
        if is_free {
            self.taken.extend(names.map(|name| (name, second)));
        }
        is_free
    }

    fn push(&mut self, target: &'static Target, now: u64) -> Vec<Happening> {
        let sharing = TARGETS.iter().filter(|it| it.repository == target.repository).map(|it| it.name);
        if !self.take_second(sharing, now) {
            return self.parameter(target, now);
        }
        let (number, digest) = (self.count(), self.digest());
        let defect = match self.rng.below(100) {
            0..18 if self.has_defects => {
                format!("-{}", DEFECTS[self.pick(if target.repository == "shop/api" { 4 } else { 5 })])
            }
            18..26 => "-slow".to_owned(),
            _ => String::new(),
        };
        let own = format!("v{number}{defect}");
        let repository = target.repository;
        let mut told = match target.on_push {
            OnPush::Pin => vec![own.clone()],
            OnPush::Follow(tag) => vec![tag.to_owned(), own.clone()],
        };
        if self.rng.chance(0.2) {
            told.push(format!("dev-{number}"));
        }
        if !told.contains(&own) {
            told.push(own.clone());
        }
        if matches!(target.on_push, OnPush::Pin) {
            self.pushed.entry(repository).or_default().push(own);
        }
        let happened = Happening::Push { repository, tags: told.clone(), digest: digest.clone() };
        let mut all = vec![happened];
        for tag in told {
            let detail = push_detail(repository, &tag, &digest);
            all.extend(self.send("aws.ecr", "ECR Image Action", detail, now));
        }
        all
    }

    fn parameter(&mut self, target: &Target, now: u64) -> Vec<Happening> {
        let whose = if self.rng.chance(0.4) { "shared" } else { target.name };
        let name = format!("/shop/{whose}/p{}", self.rng.below(5));
        let detail = json!({"operation": "Update", "name": name, "type": "String"});
        self.send("aws.ssm", "Parameter Store Change", detail, now)
    }

    /// Somebody pauses a target, and resumes it a while later; either may come first.
    fn pause(&mut self, target: &Target, now: u64) -> Vec<Happening> {
        let (source, detail) = ("lockkeeper.decision", json!({"target": target.name, "by": "ann"}));
        let resume = self.event(source, "Resume", detail.clone(), now).to_string();
        self.late.push((now + 500 + self.rng.below(3_000), resume));
        self.send(source, "Pause", detail, now)
    }

    fn request(&mut self, target: &Target, mut detail: Value, now: u64) -> Vec<Happening> {
        detail["service"] = json!(target.name);
        self.send("action.deploy", "DEPLOY", detail, now)
    }

    /// An image that was pushed before, or the definition that the target had at first.
    fn request_of_content(&mut self, target: &'static Target, now: u64) -> Vec<Happening> {
        let tags = self.pushed.get(target.repository).cloned().unwrap_or_default();
        let is_pinned = matches!(target.on_push, OnPush::Pin);
        if !is_pinned || tags.is_empty() || !self.take_second([target.name].into_iter(), now) {
            return self.request(target, json!({"reason": "why not"}), now);
        }
        if target.name == "api" && self.rng.chance(0.3) {
            return self.request(target, json!({"task_definition": "api:1"}), now);
        }
        let tag = &tags[self.pick(tags.len())];
        let (image, tag) = (format!("{}:{tag}", estate::registry(target.repository)), json!(tag));
        let detail = if self.rng.chance(0.5) { json!({"image": image}) } else { json!({"tag": tag}) };
        self.request(target, detail, now)
    }

    /// What asks nothing of anybody, and what nobody understands.
    fn noise(&mut self, target: &Target, now: u64) -> Vec<Happening> {
        let repository = target.repository;
        match self.rng.below(5) {
            0 => self.send("aws.events", "Scheduled Event", json!({}), now),
            1 => {
                let digest = self.digest();
                let detail = push_detail(repository, "", &digest);
                self.send("aws.ecr", "ECR Image Action", detail, now)
            }
            2 => {
                let (tag, digest) = (format!("dev-{}", self.count()), self.digest());
                let detail = push_detail(repository, &tag, &digest);
                self.send("aws.ecr", "ECR Image Action", detail, now)
            }
            3 => self.request(target, json!({"tag": "one", "task_definition": "two:2"}), now),
            _ => vec![Happening::Message(format!("{{\"broken\": {}", self.count()))],
        }
    }

    /// An event in one message or several: again, under another id, now or later.
    fn send(&mut self, source: &str, kind: &str, detail: Value, now: u64) -> Vec<Happening> {
        let mut event = self.event(source, kind, detail, now);
        let mut bodies = vec![event.to_string()];
        if self.rng.chance(0.2) {
            bodies.push(event.to_string());
        }
        if self.rng.chance(0.12) {
            event["id"] = json!(self.rng.uuid());
            bodies.push(event.to_string());
        }
        let mut at_once = Vec::new();
        for body in bodies {
            if self.rng.chance(0.3) {
                self.late.push((now + 300 + self.rng.below(4_000), body));
            } else {
                at_once.push(Happening::Message(body));
            }
        }
        at_once
    }

    fn event(&mut self, source: &str, kind: &str, detail: Value, now: u64) -> Value {
        let time = jiff::Timestamp::from_second(i64::try_from(now / 1000).expect("a time of this age"));
        json!({
            "version": "0", "id": self.rng.uuid(), "detail-type": kind, "source": source, "account": ACCOUNT,
            "time": time.expect("a time of this age").to_string(), "region": REGION, "resources": [],
            "detail": detail,
        })
    }

    fn count(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn digest(&mut self) -> String {
        format!("sha256:{}{}", self.rng.hex(), self.rng.hex())
    }
}

fn push_detail(repository: &str, tag: &str, digest: &str) -> Value {
    json!({
        "action-type": "PUSH", "result": "SUCCESS", "repository-name": repository, "image-tag": tag,
        "image-digest": digest,
    })
}

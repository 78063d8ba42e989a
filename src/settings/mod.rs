//! What can be set, where it came from, and what is wrong with it.
//!
//! Layers, the later wins: `config/default.toml`, which is built in and lists every key; the variables of the Lambda
//! that Lockkeeper replaces; `config/{LOCKKEEPER_ENV}.toml`; each file given; `LOCKKEEPER_CONFIG_TOML`, a whole
//! document in a variable; `LOCKKEEPER__SECTION__KEY`. Tables merge key by key, lists are replaced.
//!
//! Every value keeps its origin until it is read, so that a problem names file and line. Reading goes on behind a
//! problem: [`load`] tells all of them at once, and never yields settings that are partly wrong.

mod catalogue;
mod client;
mod discovery;
mod durations;
mod estate;
mod http;
mod lambda;
mod layers;
mod meant;
mod merge;
mod naming;
mod notify;
mod patterns;
mod problems;
mod section;
mod tags;
mod targets;
mod traces;
mod values;
mod warnings;
mod written;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

pub use durations::parse as duration_of;
pub use layers::Sources;
pub use problems::{Origin, Problem, Problems};
pub use tags::{Tagged, of_tags};
pub use warnings::Warning;

use crate::domain::{
    AccountId, BudgetShare, DiscoveryRules, Estate, Glob, Naming, NotifyRules, Reads, ReconcileMode, Region,
    TargetRule, TargetSettings, TokenRule, TraceRules,
};
use merge::merge;
use problems::{Complaints, Wrong};
use section::Section;
use values::{account, count, duration, flag, one_of, queue_url, share, table_name};
use written::{Raw, Written};

/// Everything that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The loop.
    pub engine: Engine,
    /// The queue that events come from.
    pub queue: Queue,
    /// The listener for health, metrics, API and pages.
    pub http: Http,
    /// Whose decisions count.
    pub approval: Approval,
    /// How commands reach a daemon.
    pub client: Client,
    /// The lease by which one of several processes acts.
    pub lease: Lease,
    /// Accounts and Region.
    pub aws: Aws,
    /// The environment that this is: `naming.environment`, or else `LOCKKEEPER_ENV`.
    pub environment: Option<Arc<str>>,
    /// What is written to standard output.
    pub log: Log,
    /// The targets that were named, in the order in which they were written.
    pub targets: Vec<TargetRule>,
    /// How further targets are found by name.
    pub naming: Option<Naming>,
    /// How further targets are found in ECS.
    pub discovery: Option<DiscoveryRules>,
    /// How targets are deployed that say nothing themselves; the name is empty.
    pub defaults: Arc<TargetSettings>,
    /// What is done about changes whose events were lost.
    pub reconcile: Reconcile,
    /// Who is told how deployments go.
    pub notify: NotifyRules,
    /// Where it is traced how deployments go.
    pub traces: Option<TraceRules>,
    /// What is not wrong, but probably not meant.
    pub warnings: Vec<Warning>,
}

/// The loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// How long after its start it calls nothing that changes anything.
    pub start_delay: Duration,
}

/// The queue that events come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its URL; see [`Settings::require_queue`].
    pub url: Option<String>,
    /// Where messages are set aside, if not where the queue's own redrive policy says.
    pub dead_letter_url: Option<String>,
    /// How many receives are open at once.
    pub pollers: u32,
    /// How long a received message stays invisible before it is extended.
    pub visibility: Duration,
}

/// The listener for health, metrics, API and pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Its address.
    pub listen: SocketAddr,
    /// Where people reach it, without a slash at its end.
    pub public_url: Option<String>,
    /// Who may see.
    pub reads: Reads,
    /// Who may do what.
    pub tokens: Vec<TokenRule>,
    /// How many questions of one client are answered in a second.
    pub reads_per_second: u32,
    /// How many changes one client may ask for in a second.
    pub writes_per_second: u32,
}

/// Whose decisions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Whether decisions and requests count that somebody else put on the queue.
    pub events: bool,
}

/// How commands reach a daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Where it answers, without a slash at its end.
    pub url: Option<String>,
    /// The file that holds the token to show.
    pub token_file: Option<PathBuf>,
}

/// The lease by which one of several processes acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The name of the DynamoDB table; without one, this process is alone.
    pub table: Option<String>,
}

/// Accounts and Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aws {
    /// `AWS_REGION`, or `AWS_DEFAULT_REGION`; the SDK may find one elsewhere.
    pub region: Option<Region>,
    /// The accounts whose events are taken beside those of our own; each account of the estate is among them.
    pub allowed_accounts: Vec<AccountId>,
    /// Where targets are, beside our own account and Region.
    pub estate: Estate,
    /// Which part of the calls that ECS allows is used.
    pub budget_share: BudgetShare,
    /// Whether services that are deployed are tagged as ours.
    pub owner_tag: bool,
}

/// What is done about changes whose events were lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconcile {
    /// What is done about one.
    pub mode: ReconcileMode,
    /// How often they are looked for.
    pub every: Duration,
    /// The rules whose schedule has them looked for at once, by name.
    pub rule: Glob,
}

/// What is written to standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least that is written.
    pub level: LogLevel,
    /// For whom.
    pub format: LogFormat,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Also event bodies, choices and each AWS call.
    Debug,
    /// What happens.
    Info,
    /// What somebody should look at.
    Warn,
    /// What failed.
    Error,
}

/// For whom is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// A JSON object per line.
    Json,
    /// Lines for people.
    Text,
}

/// SQS lets a message be invisible for 12 hours from its first receive, and refuses an extension beyond that: short
/// extensions lose little of them.
const LONGEST_VISIBILITY: Duration = Duration::from_hours(1);
/// Shorter, a lease could end before one slow round of extending it.
const SHORTEST_VISIBILITY: Duration = Duration::from_secs(30);
const MOST_POLLERS: u32 = 16;
const LONGEST_START_DELAY: Duration = Duration::from_hours(1);
const RECONCILE_EVERY: Duration = Duration::from_mins(5);
const RECONCILE_RULE: &str = "lockkeeper*";
/// More often, looking would take up the calls that AWS allows.
const SHORTEST_RECONCILE: Duration = Duration::from_secs(10);
const LONGEST_RECONCILE: Duration = Duration::from_hours(24);

/// Reads all layers.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn load(sources: &Sources) -> Result<Settings, Problems> {
    let complaints = Complaints::default();
    let settings = read(sources, &complaints);
    complaints.verdict().map(|()| settings)
}

impl Queue {
    /// The account in its URL, which as a rule is Lockkeeper's own.
    pub fn account(&self) -> Option<AccountId> {
        let account = self.url.as_deref()?.trim_end_matches('/').rsplit('/').nth(1)?;
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        is_account.then(|| account.into())
    }
}

impl Settings {
    /// The queue's URL, for whoever cannot do without.
    ///
    /// # Errors
    /// If none is set: what to set.
    pub fn require_queue(&self) -> Result<&str, Problems> {
        let missing = || {
            Problem {
            origin: Origin::new("settings"),
            key: "queue.url".into(),
            value: None,
            wrong: "is missing".into(),
            mend: "set LOCKKEEPER__QUEUE__URL, or `url` in `[queue]`, to the URL of the queue that events come from"
                .into(),
        }
        };
        self.queue.url.as_deref().ok_or_else(|| Problems(vec![missing()]))
    }
}

/// What stands in for a value that was complained about is arbitrary: nobody gets to see it.
fn read(sources: &Sources, complaints: &Complaints) -> Settings {
    let above = layers::gather(sources, complaints);
    let mut lambda = lambda::read(&sources.environment, complaints);
    lambda.compare(&above.written, complaints);
    let all = merge([layers::built_in(complaints), lambda.layer.clone(), above.written.clone()]);

    let mut root = Section::new("", &all, complaints);
    let aws = root.within("aws", |section| aws(section, sources, complaints));
    let defaults = root.within("defaults", targets::defaults);
    let named = root.get("target");
    let targets = targets::targets(named, &defaults, aws.region.as_ref(), complaints);
    let mut warnings = std::mem::take(&mut lambda.warnings);
    let as_named = lambda.defaults(&defaults, &above.written);
    let naming = root.within("naming", |section| naming::read(section, lambda, as_named, above.incomplete));
    let written = above.written.find(&["discovery"]);
    let discovery = root.within("discovery", |section| discovery::read(section, written));
    let settings = Settings {
        engine: root.within("engine", engine),
        queue: root.within("queue", queue),
        http: root.within("http", |section| http::read(section, complaints)),
        approval: root.within("approval", approval),
        client: root.within("client", client::read),
        lease: root.within("lease", lease),
        log: root.within("log", log),
        aws,
        environment: naming
            .as_ref()
            .map(|naming| naming.environment.clone())
            .or_else(|| named_environment(sources)),
        targets,
        naming,
        discovery,
        defaults: Arc::new(defaults),
        reconcile: root.within("reconcile", reconcile),
        notify: root.within("notify", |section| notify::read(section, &sources.environment, complaints)),
        traces: root.within("traces", |section| traces::read(section, &sources.environment, complaints)),
        warnings: Vec::new(),
    };
    root.finish();
    if notify::is_idle_webhook(all.find(&["notify"])) {
        let wrong = "does nothing beside a bot's token";
        warnings.push(Warning::new("notify.slack.webhook_url", wrong, "remove one of them"));
    }
    warnings.extend(warnings::of(&settings));
    Settings { warnings, ..settings }
}

/// The environment that the file of settings is chosen by.
fn named_environment(sources: &Sources) -> Option<Arc<str>> {
    let name = sources.environment.get(layers::ENVIRONMENT)?.trim();
    (!name.is_empty()).then(|| name.into())
}

fn engine(section: &mut Section<'_>) -> Engine {
    let bounds = Duration::ZERO..=LONGEST_START_DELAY;
    Engine { start_delay: section.take("start_delay", duration(bounds)).unwrap_or_default() }
}

fn queue(section: &mut Section<'_>) -> Queue {
    let url = section.take("url", queue_url);
    let written = section.get("dead_letter_url");
    let dead_letter_url = section.take("dead_letter_url", queue_url);
    let bare = |url: &Option<String>| url.as_deref().map(|it| it.trim_end_matches('/').to_owned());
    if let Some(written) = written.filter(|_| url.is_some() && bare(&url) == bare(&dead_letter_url)) {
        let wrong = "is the queue that events come from";
        let wrong = Wrong::new(wrong, "name another queue: what is set aside must not come back by itself");
        section.complain(&written.origin, &section.name_of("dead_letter_url"), wrong);
    }
    let bounds = SHORTEST_VISIBILITY..=LONGEST_VISIBILITY;
    Queue {
        url,
        dead_letter_url,
        pollers: section.take("pollers", count(1..=MOST_POLLERS)).unwrap_or_default(),
        visibility: section.take("visibility", duration(bounds)).unwrap_or_default(),
    }
}

fn approval(section: &mut Section<'_>) -> Approval {
    Approval { events: section.take("events", flag).unwrap_or_default() }
}

fn lease(section: &mut Section<'_>) -> Lease {
    Lease { table: section.take("table", table_name) }
}

fn aws(section: &mut Section<'_>, sources: &Sources, complaints: &Complaints) -> Aws {
    let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(|name| {
        let text = sources.environment.get(name).filter(|text| !text.is_empty())?;
        Some(Written::new(Origin::new(name), Raw::Loose(text.clone())))
    });
    let region = region.and_then(|written| {
        let complain =
            |wrong| complaints.add(&written.origin, &written.origin.source, written.shown(), wrong);
        values::region(&written).map_err(complain).ok()
    });
    let estate = estate::read(section, region.as_ref(), complaints);
    let mut allowed_accounts = section.list("allowed_accounts", account).unwrap_or_default();
    // Whose services are deployed, its events are wanted.
    for rule in &estate.accounts {
        if !allowed_accounts.contains(&rule.account) {
            allowed_accounts.push(rule.account.clone());
        }
    }
    Aws {
        region,
        allowed_accounts,
        estate,
        budget_share: section.take("budget_share", share).unwrap_or(BudgetShare::HALF),
        owner_tag: section.take("owner_tag", values::flag).unwrap_or(true),
    }
}

fn reconcile(section: &mut Section<'_>) -> Reconcile {
    let modes =
        [("repair", ReconcileMode::Repair), ("report", ReconcileMode::Report), ("off", ReconcileMode::Off)];
    let bounds = SHORTEST_RECONCILE..=LONGEST_RECONCILE;
    Reconcile {
        mode: section.take("mode", one_of(&modes)).unwrap_or(ReconcileMode::Repair),
        every: section.take("every", duration(bounds)).unwrap_or(RECONCILE_EVERY),
        rule: section.take("rule", rule_name).unwrap_or_else(|| Glob::new(RECONCILE_RULE)),
    }
}

fn rule_name(written: &Written) -> Result<Glob, Wrong> {
    patterns::glob_of(values::text(written)?, "_.-", "is not the name of a rule")
}

fn log(section: &mut Section<'_>) -> Log {
    let levels = [
        ("debug", LogLevel::Debug),
        ("info", LogLevel::Info),
        ("warn", LogLevel::Warn),
        ("error", LogLevel::Error),
    ];
    let formats = [("auto", LogFormat::Auto), ("json", LogFormat::Json), ("text", LogFormat::Text)];
    Log {
        level: section.take("level", one_of(&levels)).unwrap_or(LogLevel::Info),
        format: section.take("format", one_of(&formats)).unwrap_or(LogFormat::Auto),
    }
}

//! What an event that asks for nothing is a sign of, in words.

use super::Targets;
use crate::{
    aws::ecs::Ecs,
    domain::{Beside, Glob, GoneImage, Place, ReconcileMode, StoredNotice},
    engine::{self, Loss},
    settings::Settings,
};

/// So many targets are named.
const MOST_NAMES: usize = 10;

/// By which rules a pass of reconcile is begun.
pub(super) struct Rule {
    mode: ReconcileMode,
    named: Glob,
}

impl Rule {
    pub(super) fn of(settings: &Settings) -> Self {
        Self { mode: settings.reconcile.mode, named: settings.reconcile.rule.clone() }
    }

    fn ticks(&self, rule: &str) -> String {
        match self.mode {
            ReconcileMode::Off => "nothing: reconcile.mode is \"off\"".into(),
            ReconcileMode::Repair | ReconcileMode::Report if self.named.matches(rule) => {
                format!("a pass of reconcile begins: the rule {rule} is one of ours (reconcile.rule)")
            }
            ReconcileMode::Repair | ReconcileMode::Report => {
                format!(
                    "nothing: the rule {rule} is not called as ours are (reconcile.rule = \"{}\")",
                    self.named.as_str()
                )
            }
        }
    }
}

/// As far as the settings tell.
pub(super) fn offline(sign: &Beside, place: &Place, at: &Targets, rule: &Rule) -> String {
    match sign {
        Beside::Tick { rule: name } => rule.ticks(name),
        Beside::Untold(notice) => untold(notice),
        Beside::ImageGone(gone) => {
            let users = at.users_of(&gone.repository, place);
            let names: Vec<&str> = users.iter().take(MOST_NAMES).map(|(_, name)| name.as_str()).collect();
            match users.len().saturating_sub(MOST_NAMES) {
                _ if users.is_empty() => nobody(gone, place),
                0 => format!("a warning, if it is needed by one of: {}", names.join(", ")),
                more => {
                    format!("a warning, if it is needed by one of: {}, and {more} more", names.join(", "))
                }
            }
        }
    }
}

/// As things are now.
pub(super) async fn online(
    sign: &Beside,
    place: &Place,
    at: &Targets,
    rule: &Rule,
    ecs: &Ecs,
) -> Vec<String> {
    let gone = match sign {
        Beside::Tick { rule: name } => return vec![rule.ticks(name)],
        Beside::Untold(notice) => return vec![untold(notice)],
        Beside::ImageGone(gone) => gone,
    };
    let users = at.users_of(&gone.repository, place);
    if users.is_empty() {
        return vec![nobody(gone, place)];
    }
    let count = users.len();
    let loss = Loss { gone: gone.clone(), registry: place.clone(), users };
    let (needed, failures) = engine::who_needs(ecs, vec![loss]).await;
    let unread = failures.iter().map(|why| format!("not all of it is known: {why}"));
    let warnings = needed.into_iter().map(|it| format!("a warning: {}", it.what));
    let mut told: Vec<String> = warnings.chain(unread).collect();
    if told.is_empty() {
        told.push(format!("none of the {count} that run images of {} needs it", gone.repository));
    }
    told
}

fn untold(notice: &StoredNotice) -> String {
    let channels: Vec<&str> = notice.channels.iter().map(String::as_str).collect();
    format!(
        "{} is told to {}, if Lockkeeper itself put this on the queue; else nothing",
        notice.id(),
        channels.join(", ")
    )
}

fn nobody(gone: &GoneImage, place: &Place) -> String {
    format!("no target is known to run images of {} in {place}", gone.repository)
}

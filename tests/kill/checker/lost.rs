//! P2: nothing lost, and P6: what a killed process held is taken up again.

use super::{
    Broken,
    asked::{Asked, Meaning, Wish},
    facts::{Facts, Fate, Message},
    newest::versions_of,
    twice::carries,
};
use crate::estate::Target;

pub(super) fn judge(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    for message in &facts.messages {
        for deletion in &message.deleted {
            early(facts, message, *deletion, broken);
        }
        let is_left = facts.left.contains(&message.id);
        let last = message.received.last().copied();
        if is_left {
            let what = format!("message {} is left in the queue: {}", message.id, message.body);
            broken.push(Broken::new("P2", last.unwrap_or(0), None, what));
        } else if message.deleted.is_empty() {
            let was_held = last.is_some_and(|call| {
                facts.record.lives.get(facts.record.life_of(call)).is_some_and(|life| life.killed)
            });
            let promise = if was_held { "P6" } else { "P2" };
            let what =
                format!("message {} was neither deleted, nor is it left: {}", message.id, message.body);
            broken.push(Broken::new(promise, last.unwrap_or(0), None, what));
        }
    }
}

/// Whether a message was deleted before all that it asks for was so, or set aside, or left to a newer message.
fn early(facts: &Facts<'_>, message: &Message, deletion: u64, broken: &mut Vec<Broken>) {
    match &message.meaning {
        Meaning::Unreadable => {
            if !was_set_aside(facts, message, None, deletion) {
                let what = format!("what nobody understands is deleted without a letter: {}", message.body);
                broken.push(Broken::new("P2", deletion, None, what));
            }
        }
        Meaning::Asks { event, asked } => {
            for asked in asked {
                let target = Target::named(asked.target).expect("only known ones are asked of");
                let is_fair = was_set_aside(facts, message, Some(target), deletion)
                    || is_so(facts, asked, deletion)
                    || is_left_to_another(facts, message, asked, deletion);
                if !is_fair {
                    let what = format!(
                        "message {} of event {event} is deleted, and is not done: {asked:?}",
                        message.id
                    );
                    broken.push(Broken::new("P2", deletion, Some(asked.target), what));
                }
            }
        }
    }
}

/// Whether a letter about a message and this target was sent before this call.
fn was_set_aside(facts: &Facts<'_>, message: &Message, target: Option<&Target>, by: u64) -> bool {
    let target = target.map(Target::id);
    facts.letters.iter().any(|it| it.call < by && it.body == message.body && it.target == target)
}

/// Whether reality is as new as what is asked.
fn is_so(facts: &Facts<'_>, asked: &Asked, by: u64) -> bool {
    let at = facts.at(by);
    let done = facts.rollouts[asked.target].iter().filter(|it| it.fate_at(at) == Fate::Succeeded);
    let newest_of = |content: &str| versions_of(facts, asked.target, content, by).max();
    let is_newer = |content: &str| newest_of(content).is_some_and(|version| version >= asked.version);
    let runs = facts.complete_at(asked.target, at).is_some_and(|complete| match &asked.wish {
        Wish::Fresh => false,
        Wish::Followed(image) => complete.digest.as_ref() == Some(image),
        Wish::Image(image) | Wish::Tagged(image, _) => complete.named == *image || is_newer(&complete.named),
        Wish::Definition(definition) => complete.definition == *definition || is_newer(&complete.named),
    });
    let is_content = matches!(asked.wish, Wish::Image(_) | Wish::Tagged(..) | Wish::Definition(_));
    runs || done
        .filter(|it| it.created >= asked.version)
        .any(|it| carries(it, asked) || (is_content && is_newer(&it.named)))
}

/// Whether a newer message that asks the same was here at the same time. What becomes of that one is judged with it.
fn is_left_to_another(facts: &Facts<'_>, message: &Message, asked: &Asked, deletion: u64) -> bool {
    let Some(since) = message.received.first() else { return false };
    facts.asked_of(asked.target).any(|(other, newer)| {
        let was_received = other.received.first().is_some_and(|call| *call < deletion);
        let last_deleted = other.deleted.last().copied();
        let is_newer = if newer.version == asked.version {
            let is_kept = || {
                let target = Target::named(asked.target);
                last_deleted.is_none_or(|call| call > deletion)
                    || was_set_aside(facts, other, target, deletion)
            };
            other.id != message.id && is_kept()
        } else {
            newer.version > asked.version && last_deleted.is_none_or(|call| call > *since)
        };
        was_received && is_newer && replaces(&newer.wish, &asked.wish)
    })
}

pub(super) fn replaces(newer: &Wish, older: &Wish) -> bool {
    match (newer, older) {
        (Wish::Fresh, Wish::Fresh)
        | (Wish::Followed(_), Wish::Followed(_))
        | (Wish::Definition(_), Wish::Definition(_))
        | (Wish::Image(_) | Wish::Tagged(..) | Wish::Definition(_), Wish::Image(_) | Wish::Tagged(..)) => {
            true
        }
        (Wish::Fresh | Wish::Followed(_) | Wish::Image(_) | Wish::Tagged(..) | Wish::Definition(_), _) => {
            false
        }
    }
}

//! What was set aside: why, what would follow if it were put back, and a button for that.

use std::cmp::Reverse;

use axum::{extract::State, response::Html};
use maud::{Markup, html};

use super::{
    Pairs, View, actions, encoded,
    parts::{note, outcome_kind, pill, row, spaced, table},
    show,
};
use crate::{
    domain::{LetterRecord, Outcome, PutBy, TargetName, Verdict},
    status::{Letters, Refusal, StatusState},
};

/// So many are listed: whoever has more reads the list that is for machines.
const MOST_LETTERS: usize = 100;

pub(super) async fn page(State(state): State<StatusState>, query: Pairs) -> Html<String> {
    let letters = match state.desk.get() {
        Ok(desk) => desk.letters().await,
        Err(refusal) => Err(refusal),
    };
    show(&state, &query, |view| view.letters(letters.as_deref()))
}

impl View<'_> {
    pub(super) fn letters(&self, letters: Result<&Letters, &Refusal>) -> Markup {
        let main = html! {
            section #letters aria-labelledby="letters-heading" {
                h1 #letters-heading { "Set aside" }
                p.lead { "Messages whose deployments failed for good or were cancelled, or that nobody understands. What they ask for is not done until they are replayed." }
                @match letters {
                    Err(refusal) => p.wrong role="alert" { "They cannot be shown now: " (refusal) "." },
                    Ok(letters) => (self.seen_letters(letters)),
                }
            }
        };
        self.framed("/dead-letters", &format!("Set aside · {}", self.title()), &main)
    }

    fn seen_letters(&self, letters: &Letters) -> Markup {
        let wanted = letters.letters.iter().filter(|it| self.asked.has_words(|| words_of(it)));
        let mut wanted: Vec<&LetterRecord> = wanted.collect();
        wanted.sort_by_key(|it| (Reverse(it.time), &it.id));
        let shown = &wanted[..wanted.len().min(MOST_LETTERS)];
        html! {
            @if wanted.is_empty() { p.well { span.mark aria-hidden="true" { "✓" } " Nothing is set aside." } }
            @else {
                (actions::of_letters(shown))
                (table("letters", "Messages that were set aside, the newest first", &["For", "What", "Why", "If replayed", "When"], &html! {
                    @for it in shown { (self.letter(it)) }
                }))
            }
            @if wanted.len() > shown.len() { p.nothing { "And " (wanted.len() - shown.len()) " more: " a href="/api/v1/dead-letters" { "all of them as JSON" } } }
            @let copies: usize = letters.letters.iter().map(|it| it.copies.saturating_sub(1)).sum();
            @if copies > 0 {
                p.nothing {
                    (letters.letters.len() + copies) " messages in the queue hold these " (letters.letters.len())
                    ": what is set aside again after a crash is shown once, and replayed once."
                }
            }
            @if !letters.whole || letters.unseen > 0 {
                p.nothing { "Not all could be seen" @if letters.unseen > 0 { ": " (letters.unseen) " are in somebody's hands" } "." }
            }
            p.nothing { "As the queue was seen " (self.ago(letters.seen_at)) "." }
        }
    }

    fn letter(&self, it: &LetterRecord) -> Markup {
        row(&[
            ("For", self.receiver(it)),
            (
                "What",
                html! {
                    span.line { (it.event.meaning.as_deref().unwrap_or("Nobody understands it")) }
                    span.note { (spaced(it.event.trigger.as_str())) ", event " code { (it.event.id) } }
                },
            ),
            ("Why", why(it)),
            ("If replayed", html! { (outlook(it)) (actions::of_letter(it)) }),
            ("When", html! { (self.ago(it.time)) @if it.copies > 1 { span.note { (it.copies) " copies" } } }),
        ])
    }

    fn receiver(&self, it: &LetterRecord) -> Markup {
        let target = it.target.as_ref();
        let known = target.and_then(|target| self.snapshot.targets.iter().find(|known| known.id == *target));
        html! {
            @match (known, target) {
                (Some(known), _) => a.name href=(self.target_path(&known.id, &known.name)) { (known.name) },
                (None, Some(target)) => code { (target) },
                (None, None) => span.faint { "all that it reaches" },
            }
            @if let Some(deployment) = &it.deployment {
                span.note {
                    @if self.finds(&deployment.as_str().into()) { a href={ "/deployments/" (encoded(deployment)) } { (deployment) } }
                    @else { code { (deployment) } }
                }
            }
        }
    }
}

fn why(it: &LetterRecord) -> Markup {
    let by = match it.put_by {
        PutBy::Lockkeeper => None,
        PutBy::Sqs => Some("put there by SQS: it was received too often"),
        PutBy::EventBridge => Some("put there by EventBridge: it could not be delivered"),
        PutBy::Somebody => Some("put there by somebody"),
    };
    html! {
        @if let Some(outcome) = &it.outcome { (pill(kind_of(outcome), &spaced(outcome))) }
        @if let Some(cause) = &it.cause { " " span.cause { (spaced(cause)) } }
        (note(it.reason.as_deref()))
        (note(by))
        @if let Some(attempts) = it.attempts.filter(|attempts| *attempts > 1) { span.note { "tried " (attempts) " times" } }
    }
}

/// As everywhere; a label of another version counts as a failure, which most letters are.
fn kind_of(outcome: &str) -> &'static str {
    let known = Outcome::ALL.into_iter().find(|it| it.as_str() == outcome);
    known.map_or("bad", outcome_kind)
}

/// What would follow if it were put back.
fn outlook(it: &LetterRecord) -> Markup {
    let names: Vec<&str> = it.reaches.iter().take(5).map(TargetName::as_str).collect();
    let more = it.reaches.len().saturating_sub(names.len());
    html! {
        @match it.result {
            Verdict::Asks => { "reaches " (names.join(", ")) @if more > 0 { " and " (more) " more" } },
            Verdict::AsksNothing => "asks nothing any more, and is deleted",
            Verdict::NotKnown => "is for a target that discovery has not found yet: not all services were read",
            Verdict::Refused => "is of an account whose events are not allowed, and is deleted",
            Verdict::ComesBack => "comes back: it cannot be understood, or does not say what is meant",
        }
    }
}

fn words_of(it: &LetterRecord) -> Vec<String> {
    let mut words = vec![it.id.clone(), it.event.id.to_string(), it.event.source.clone()];
    words.extend(it.target.as_ref().map(ToString::to_string));
    words.extend([&it.deployment, &it.cause, &it.reason, &it.event.meaning].into_iter().flatten().cloned());
    words
}

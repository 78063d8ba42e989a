//! What is set aside, and putting it back.

use std::cmp::Reverse;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    body::Body,
    openapi::{ChangeErrors, ReadErrors},
    query::{DEFAULT_LIMIT, Pairs, cause_of, limit_of, outcome_of, pairs, since_of, unknown, wrong},
    shown::{conditional, find_target},
};
use crate::{
    domain::{LetterRecord, TargetName, Timestamp},
    status::{
        StatusState,
        access::{Operator, Reader},
        desk::{Replay, Replayed},
        problem::Problem,
    },
};

const MOST_IDS: usize = 200;

/// What is in the dead-letter queue.
#[derive(Serialize, ToSchema)]
pub(super) struct LetterList {
    /// The newest first.
    items: Vec<LetterShown>,
    /// The `cursor` of the next page; null on the last.
    next: Option<String>,
    /// When the queue was looked at.
    seen_at: Timestamp,
    /// Whether all that could be seen was.
    whole: bool,
    /// How many messages somebody else held just then, so that they could not be seen.
    unseen: u64,
}

/// A letter, and what its target is called.
#[derive(Serialize, ToSchema)]
#[schema(as = Letter)]
struct LetterShown {
    /// What its target is called now; null where it names none, or one that is not known any more.
    target_name: Option<TargetName>,
    #[serde(flatten)]
    record: LetterRecord,
}

/// Which letters are to be put back. Several conditions narrow each other down.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayBody {
    /// Those with these ids.
    #[serde(default)]
    #[schema(max_items = 200)]
    ids: Vec<String>,
    /// Those for this target: its name or its id.
    target: Option<String>,
    /// Those of deployments that ended so.
    outcome: Option<String>,
    /// Those of deployments that failed for this cause.
    cause: Option<String>,
    /// Those that were set aside since then.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// Every letter.
    #[serde(default)]
    all: bool,
    /// As something new, which may overwrite what was asked for since.
    #[serde(default)]
    force: bool,
    /// Change nothing, and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// What became of letters.
#[derive(Serialize, ToSchema)]
pub(super) struct ReplayAnswer {
    dry_run: bool,
    /// Whether it is done. Otherwise it goes on: the list of letters shows what is left.
    done: bool,
    /// How many were chosen; null while it goes on.
    selected: Option<usize>,
    /// How many were put back, none in a dry run; null while it goes on.
    replayed: Option<usize>,
    /// The ids of those that would be put back, in a dry run.
    would_replay: Vec<String>,
    /// Of those that were put back, or would be: those from which nothing follows, as far as is known now.
    without_effect: Vec<LetterAndWhy>,
    /// Those that were not put back.
    left: Vec<LetterAndWhy>,
    /// Ids that were given and that no letter has.
    missing: Vec<String>,
}

/// A letter, and why something else becomes of it than what was asked for.
#[derive(Serialize, ToSchema)]
struct LetterAndWhy {
    id: String,
    /// Why.
    why: String,
}

/// What is set aside, and why. Nothing is taken from the queue.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "dead letters", security((), ("token" = [])),
    params(
        ("target" = Option<String>, Query, description = "Those for this target: its name or its id"),
        ("outcome" = Option<crate::domain::Outcome>, Query, description = "Those of deployments that ended so"),
        ("cause" = Option<crate::domain::Cause>, Query, description = "Those of deployments that failed for this cause"),
        ("since" = Option<Timestamp>, Query, description = "Those that were set aside since then"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 200, description = "How many there are on a page; 50"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, description = "A page of them", body = LetterList), ReadErrors))]
pub(super) async fn letters(
    State(state): State<StatusState>,
    _: Reader,
    headers: HeaderMap,
    query: Pairs,
) -> Result<Response, Problem> {
    let wanted = Wanted::read(&state, query)?;
    let letters = state.desk.get()?.letters().await?;
    let mut items: Vec<&LetterRecord> = letters.letters.iter().filter(|it| wanted.takes(it)).collect();
    items.sort_by_key(|it| place(it));
    let more = items.len() > wanted.limit;
    items.truncate(wanted.limit);
    let next = items.last().filter(|_| more).map(|it| format!("{}.{}", it.time.as_millis(), it.id));
    let snapshot = state.latest();
    let name_of = |it: &LetterRecord| snapshot.name_of(it.target.as_ref()?).cloned();
    let shown = |it: &LetterRecord| LetterShown { target_name: name_of(it), record: it.clone() };
    let list = LetterList {
        items: items.into_iter().map(shown).collect(),
        next,
        seen_at: letters.seen_at,
        whole: letters.whole,
        unseen: letters.unseen,
    };
    Ok(conditional(&headers, &list))
}

/// Puts back what was set aside: it is tried again, and never overwrites something newer unless it is forced.
#[utoipa::path(post, path = "/api/v1/dead-letters/replay", tag = "dead letters", request_body = ReplayBody,
    security(("token" = [])),
    responses((status = 200, description = "It is done", body = ReplayAnswer),
        (status = 202, description = "It goes on", body = ReplayAnswer), ChangeErrors))]
pub(super) async fn replay(
    State(state): State<StatusState>,
    Operator(by): Operator,
    Body(body): Body<ReplayBody>,
) -> Result<Response, Problem> {
    let ReplayBody { ids, target, outcome, cause, since, all, force, dry_run } = body;
    let is_narrow = target.is_some() || outcome.is_some() || cause.is_some() || since.is_some();
    if all == (is_narrow || !ids.is_empty()) {
        let detail =
            "say which letters: `ids`, or one or more of `target`, `outcome`, `cause` and `since`, or `all`";
        return Err(Problem::bad_request(detail));
    }
    if !ids.is_empty() && is_narrow {
        let detail = "`ids` name letters one by one: leave out `target`, `outcome`, `cause` and `since`";
        return Err(Problem::bad_request(detail));
    }
    if ids.len() > MOST_IDS {
        return Err(Problem::bad_request(format!("`ids` has more than {MOST_IDS}")));
    }
    let target = target.map(|target| id_of(&state, target)).transpose()?;
    let wanted = Replay {
        ids,
        target,
        outcome: outcome.as_deref().map(outcome_of).transpose()?,
        cause: cause.as_deref().map(cause_of).transpose()?,
        since: since.as_deref().map(since_of).transpose()?,
        force,
        dry_run,
        by,
    };
    let answer = ReplayAnswer::new(state.desk.get()?.replay(wanted).await?, dry_run);
    let status = if answer.done { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(answer)).into_response())
}

impl ReplayAnswer {
    fn new(replayed: Replayed, dry_run: bool) -> Self {
        match replayed {
            Replayed::Done { selected, replayed, would_replay, without_effect, left, missing } => {
                let with_why = |letters: Vec<(String, String)>| {
                    letters.into_iter().map(|(id, why)| LetterAndWhy { id, why }).collect()
                };
                Self {
                    dry_run,
                    done: true,
                    selected: Some(selected),
                    replayed: Some(replayed),
                    would_replay,
                    without_effect: with_why(without_effect),
                    left: with_why(left),
                    missing,
                }
            }
            Replayed::GoesOn => Self {
                dry_run,
                done: false,
                selected: None,
                replayed: None,
                would_replay: Vec::new(),
                without_effect: Vec::new(),
                left: Vec::new(),
                missing: Vec::new(),
            },
        }
    }
}

/// What is wanted of the list.
struct Wanted {
    /// Its name, and its id where that is known.
    target: Option<[String; 2]>,
    outcome: Option<&'static str>,
    cause: Option<&'static str>,
    since: Option<Timestamp>,
    limit: usize,
    after: Option<(Reverse<Timestamp>, String)>,
}

impl Wanted {
    fn read(state: &StatusState, query: Pairs) -> Result<Self, Problem> {
        let mut wanted =
            Self { target: None, outcome: None, cause: None, since: None, limit: DEFAULT_LIMIT, after: None };
        for (name, value) in pairs(query)? {
            match name.as_str() {
                "target" => {
                    let id = id_of(state, value.clone())?;
                    wanted.target = Some([value, id]);
                }
                "outcome" => wanted.outcome = Some(outcome_of(&value)?.as_str()),
                "cause" => wanted.cause = Some(cause_of(&value)?.as_str()),
                "since" => wanted.since = Some(since_of(&value)?),
                "limit" => wanted.limit = limit_of(&value)?,
                "cursor" => {
                    let after = cursor(&value).ok_or_else(|| {
                        wrong(&name, &value, "it is the `next` of the page before, unchanged")
                    })?;
                    wanted.after = Some(after);
                }
                _ => return Err(unknown(&name, "target, outcome, cause, since, limit, cursor")),
            }
        }
        Ok(wanted)
    }

    fn takes(&self, letter: &LetterRecord) -> bool {
        let is_for = |[name, id]: &[String; 2]| {
            letter.target.as_ref().is_some_and(|it| it.to_string() == *id)
                || letter.reaches.iter().any(|it| it.as_str() == name.as_str())
        };
        self.target.as_ref().is_none_or(is_for)
            && self.outcome.is_none_or(|wanted| letter.outcome.as_deref() == Some(wanted))
            && self.cause.is_none_or(|wanted| letter.cause.as_deref() == Some(wanted))
            && self.since.is_none_or(|since| letter.time >= since)
            && self.after.as_ref().is_none_or(|after| place(letter) > *after)
    }
}

/// The id of the target that is called so, if one is known; of one that is gone there may still be letters.
fn id_of(state: &StatusState, target: String) -> Result<String, Problem> {
    match find_target(&state.latest(), &target) {
        Ok(found) => Ok(found.id.to_string()),
        Err(several) if several.status() == StatusCode::BAD_REQUEST => Err(several),
        Err(_) => Ok(target),
    }
}

/// The newest first.
fn place(letter: &LetterRecord) -> (Reverse<Timestamp>, String) {
    (Reverse(letter.time), letter.id.clone())
}

fn cursor(text: &str) -> Option<(Reverse<Timestamp>, String)> {
    let (millis, id) = text.split_once('.')?;
    Some((Reverse(Timestamp::from_millis(millis.parse().ok()?)), id.to_owned()))
}

//! What stands behind the `?` of an address.

use std::fmt::Display;

use axum::extract::rejection::QueryRejection;

use crate::{
    domain::{Cause, Outcome, Timestamp},
    report::history::Query,
    status::problem::Problem,
};

pub(super) const DEFAULT_LIMIT: usize = 50;
const LARGEST_LIMIT: usize = 200;

/// The query of a request, decoded, or why that cannot be done.
pub(super) type Pairs = Result<axum::extract::Query<Vec<(String, String)>>, QueryRejection>;

pub(super) fn deployments_query(query: Pairs) -> Result<Query, Problem> {
    let mut wanted = Query::first(DEFAULT_LIMIT);
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "target" => wanted.target = Some(value),
            "event" => wanted.event = Some(value.as_str().into()),
            "outcome" => wanted.outcome = Some(outcome_of(&value)?),
            "since" => wanted.since = Some(since_of(&value)?),
            "limit" => wanted.limit = limit_of(&value)?,
            "cursor" => wanted.after = Some(value.parse().map_err(|why| wrong(&name, &value, why))?),
            _ => return Err(unknown(&name, "target, event, outcome, since, limit, cursor")),
        }
    }
    Ok(wanted)
}

/// The parameters of a query; one that is given twice is refused, because only one could count.
pub(super) fn pairs(query: Pairs) -> Result<Vec<(String, String)>, Problem> {
    let axum::extract::Query(pairs) = query.map_err(|why| Problem::bad_request(why.to_string()))?;
    for (place, (name, _)) in pairs.iter().enumerate() {
        if pairs[..place].iter().any(|(earlier, _)| earlier == name) {
            return Err(Problem::bad_request(format!("`{}` is given twice", short(name))));
        }
    }
    Ok(pairs)
}

pub(super) fn limit_of(value: &str) -> Result<usize, Problem> {
    let limit = value.parse().ok().filter(|limit| (1..=LARGEST_LIMIT).contains(limit));
    limit.ok_or_else(|| wrong("limit", value, format!("it is a number from 1 to {LARGEST_LIMIT}")))
}

pub(super) fn since_of(value: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse(value)
        .ok_or_else(|| wrong("since", value, "it is a time in RFC 3339, as 2026-11-01T12:00:00Z"))
}

pub(super) fn outcome_of(value: &str) -> Result<Outcome, Problem> {
    Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == value).ok_or_else(|| {
        let known = Outcome::ALL.map(Outcome::as_str).join(", ");
        wrong("outcome", value, format!("it is one of {known}"))
    })
}

pub(super) fn cause_of(value: &str) -> Result<Cause, Problem> {
    Cause::ALL.into_iter().find(|cause| cause.as_str() == value).ok_or_else(|| {
        let known = Cause::ALL.map(Cause::as_str).join(", ");
        wrong("cause", value, format!("it is one of {known}"))
    })
}

pub(super) fn wrong(name: &str, value: impl Display, right: impl Display) -> Problem {
    Problem::bad_request(format!("`{name}` cannot be `{}`: {right}", short(&value.to_string())))
}

pub(super) fn unknown(name: &str, known: &str) -> Problem {
    Problem::bad_request(format!("there is no parameter `{}` here: known are {known}", short(name)))
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

//! What the definition of a deployment changes. It is read when somebody looks.

use maud::{Markup, html};

use super::parts::{row, table};
use crate::{
    domain::{DefinitionId, DeploymentRecord, Difference, Line},
    status::Lookup,
};

/// What differs between two definitions, or why that cannot be told.
pub(super) type Diff = Result<Vec<Difference>, String>;

/// No more of what differs is listed.
const MOST_DIFFERENCES: usize = 200;

/// What this deployment's definition changes; `None` where it changes none.
pub(super) async fn read(lookup: &Lookup, it: &DeploymentRecord) -> Option<Diff> {
    let (before, after) = (it.previous_definition.as_ref()?, it.definition.as_ref()?);
    if before == after {
        return None;
    }
    let of = |id| lookup.definition(&it.target, id);
    Some(match tokio::join!(of(before), of(after)) {
        (Ok(before), Ok(after)) => Ok(before.outline.differences(&after.outline)),
        (Err(why), _) | (_, Err(why)) => Err(why),
    })
}

pub(super) fn shown(it: &DeploymentRecord, diff: &Diff) -> Markup {
    let [before, after] = [&it.previous_definition, &it.definition]
        .map(|id| id.as_ref().map(DefinitionId::to_string).unwrap_or_default());
    html! {
        section #diff aria-labelledby="diff-heading" {
            h2 #diff-heading { "What its definition changes" }
            @match diff {
                Err(why) => p.nothing { (why) },
                Ok(lines) if lines.is_empty() => p.nothing { (after) " says the same as " (before) "." },
                Ok(lines) => (listed(lines, &before, &after)),
            }
        }
    }
}

fn listed(lines: &[Difference], before: &str, after: &str) -> Markup {
    let rows =
        html! { @for line in lines.iter().take(MOST_DIFFERENCES) { (difference(line, before, after)) } };
    let caption = "Where the definitions differ; of what may be secret only that it does";
    html! {
        (table("diff", caption, &["Where", before, after], &rows))
        @if lines.len() > MOST_DIFFERENCES { p.nothing { "And " (lines.len() - MOST_DIFFERENCES) " more." } }
    }
}

fn difference(it: &Difference, before: &str, after: &str) -> Markup {
    row(&[
        ("Where", html! { code { (it.path) } }),
        (before, value(it.before.as_ref(), "hidden")),
        (after, value(it.after.as_ref(), if it.before.is_some() { "hidden, changed" } else { "hidden" })),
    ])
}

fn value(line: Option<&Line>, hidden: &str) -> Markup {
    html! {
        @match line {
            None => span.faint { "–" },
            Some(Line::Shown(text)) => code { (text) },
            Some(Line::Hidden(_)) => span.faint { (hidden) },
        }
    }
}

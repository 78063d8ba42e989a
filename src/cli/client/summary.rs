//! What became of it, for the page that GitHub Actions shows of a run: Markdown, added to the file that
//! `GITHUB_STEP_SUMMARY` names.

use std::{fs::OpenOptions, io::Write as _, path::Path};

use super::{
    follow::Followed,
    shapes::{Deployment, lasting},
};
use crate::{cli::complain, domain::harmless};

const VARIABLE: &str = "GITHUB_STEP_SUMMARY";

/// The longest text in a cell.
const LONGEST_CELL: usize = 500;

/// Adds it where somebody wants it.
pub(in crate::cli) fn add(what: &str, followed: &Followed, page: &str) {
    append(|| markdown(what, followed, page));
}

/// Adds that nobody waited for the outcome any longer, why, and how far it was when it was last seen.
pub(in crate::cli) fn add_unknown(what: &str, why: &str, seen: Option<(&Deployment, String)>) {
    append(|| unknown(what, why, seen));
}

/// That it cannot be added is said, and changes nothing.
fn append(text: impl FnOnce() -> String) {
    let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) else { return };
    let text = text();
    let file = OpenOptions::new().append(true).create(true).open(Path::new(&path));
    if let Err(why) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
        complain(&format!("the summary could not be written to {VARIABLE}: {why}"));
    }
}

/// A heading and a table.
fn markdown(what: &str, followed: &Followed, page: &str) -> String {
    let it = &followed.deployment;
    let outcome = it.outcome.as_deref().unwrap_or(&it.stage).replace('_', " ");
    let mark = if followed.is_well() { "✅" } else { "❌" };
    let moved = match (&it.previous_definition, &it.definition) {
        (Some(from), Some(to)) if from != to => Some(format!("{from} → {to}")),
        (_, to) => to.clone(),
    };
    let rows = [
        ("Target", Some(it.called().to_owned())),
        ("Outcome", Some(outcome)),
        ("Cause", it.cause.as_ref().map(|cause| cause.replace('_', " "))),
        ("Reason", it.reason.clone()),
        ("Changes", Some(it.changes.join("; ")).filter(|changes| !changes.is_empty())),
        ("Definition", moved),
        ("Took", it.seconds().map(lasting)),
    ];
    let rows = rows.into_iter().filter_map(|(name, value)| Some(format!("| {name} | {} |\n", cell(&value?))));
    format!(
        "### {mark} {}\n\n| | |\n|---|---|\n{}| Deployment | [{}]({page}) |\n\n",
        cell(what),
        rows.collect::<String>(),
        cell(&it.id)
    )
}

/// The same of one whose outcome is not known.
fn unknown(what: &str, why: &str, seen: Option<(&Deployment, String)>) -> String {
    let rows = [("Outcome", Some("not known".to_owned())), ("Why", Some(cell(why)))];
    let seen = seen.map(|(it, page)| {
        [
            ("Target", Some(cell(it.called()))),
            ("Stage", Some(cell(&it.stage.replace('_', " ")))),
            ("Reason", it.reason.as_deref().map(cell)),
            ("Definition", it.definition.as_deref().map(cell)),
            ("Deployment", Some(format!("[{}]({page})", cell(&it.id)))),
        ]
    });
    let rows = rows.into_iter().chain(seen.into_iter().flatten());
    let rows = rows.filter_map(|(name, value)| Some(format!("| {name} | {} |\n", value?)));
    format!("### ⏳ {}\n\n| | |\n|---|---|\n{}\n", cell(what), rows.collect::<String>())
}

/// A text that can neither leave its cell nor be taken for Markdown or HTML.
fn cell(text: &str) -> String {
    let text = harmless(&text.replace(['\n', '\r'], " "), LONGEST_CELL);
    text.chars().fold(String::new(), |mut cell, sign| {
        match sign {
            '<' => cell.push_str("&lt;"),
            '>' => cell.push_str("&gt;"),
            '&' => cell.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' => cell.extend(['\\', sign]),
            _ => cell.push(sign),
        }
        cell
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn followed(outcome: &str, reason: &str) -> Followed {
        let answer = json!({
            "id": "d-77fe", "target": "1/eu-west-1/shop/shop_api", "changes": ["tag 1.5"], "stage": "finished",
            "outcome": outcome, "cause": (outcome == "failed").then_some("crash_loop"), "reason": reason,
            "definition": "shop_api:8", "previous_definition": "shop_api:7", "attempts": 1,
            "requested_at": "2026-11-01T12:00:00Z", "started_at": "2026-11-01T12:00:05Z",
            "finished_at": "2026-11-01T12:01:10Z",
        });
        Followed { deployment: serde_json::from_value(answer.clone()).expect("a deployment"), answer }
    }

    #[test]
    fn a_summary_tells_what_became_of_it() {
        insta::assert_snapshot!(markdown("Deploy api", &followed("succeeded", "complete"), "https://x/deployments/d-77fe"), @r#"
        ### ✅ Deploy api

        | | |
        |---|---|
        | Target | shop\_api |
        | Outcome | succeeded |
        | Reason | complete |
        | Changes | tag 1.5 |
        | Definition | shop\_api:7 → shop\_api:8 |
        | Took | 1 min 5 s |
        | Deployment | [d-77fe](https://x/deployments/d-77fe) |
        "#);
    }

    #[test]
    fn what_nobody_waited_for_any_longer_is_told_with_how_far_it_was() {
        let mut it = followed("succeeded", "2 of 4 tasks run").deployment;
        (it.outcome, it.stage) = (None, "rolling_out".into());
        let text = unknown(
            "deploy api",
            "no outcome within 30 min 0 s",
            Some((&it, "https://x/deployments/d-77fe".into())),
        );
        insta::assert_snapshot!(text, @"
        ### ⏳ deploy api

        | | |
        |---|---|
        | Outcome | not known |
        | Why | no outcome within 30 min 0 s |
        | Target | shop\\_api |
        | Stage | rolling out |
        | Reason | 2 of 4 tasks run |
        | Definition | shop\\_api:8 |
        | Deployment | [d-77fe](https://x/deployments/d-77fe) |
        ");
        assert!(unknown("deploy api", "nobody answers", None).contains("| Why | nobody answers |"));
    }

    #[test]
    fn no_text_of_somebody_else_leaves_its_cell() {
        let text = markdown("Deploy api", &followed("failed", "a|b\n| <script> [x](y) `c`"), "https://x");
        insta::assert_snapshot!(text.lines().find(|line| line.contains("Reason")).expect("a reason"), @r#"| Reason | a\|b \| &lt;script&gt; \[x\](y) \`c\` |"#);
        assert!(text.starts_with("### ❌") && text.contains("| Cause | crash loop |"), "{text}");
    }
}

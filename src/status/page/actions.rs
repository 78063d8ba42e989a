//! What whoever has a token may ask for. The buttons are there for everybody, and shown only to those: the script does so,
//! and the API asks for the token whatever a page shows.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::encoded;
use crate::domain::{DeploymentRecord, HoldKind, LetterRecord, TargetRecord};

const REPLAY: &str = "/api/v1/dead-letters/replay";
const PUT_BACK: &str = "What was set aside goes back to the queue, and is tried again. It never overwrites what was asked for since.";

/// One thing that may be asked for.
struct Action<'a> {
    name: &'a str,
    /// Where it is asked for.
    path: String,
    /// With what, but for what is filled in.
    body: Value,
    /// What is filled in: the names of fields.
    asks: &'a str,
    /// What it is, as a sentence.
    title: String,
    /// What will happen.
    says: String,
    /// The word on the button that does it.
    does: &'a str,
    /// Whether it is asked first, by a dry run, what exactly would be done.
    foresees: bool,
}

/// What may be asked for of a target.
pub(super) fn of_target(it: &TargetRecord) -> Markup {
    let (id, name) = (it.id.to_string(), &it.name);
    let path = |verb: &str| format!("/api/v1/targets/{}/{verb}", encoded(&id));
    let deploy = Action {
        name: "Deploy …",
        path: "/api/v1/deployments".into(),
        body: json!({ "target": id }),
        asks: "tag reason",
        title: format!("Deploy {name}."),
        says: format!(
            "A rollout is started as soon as its lane is free: of what runs, with new tasks, or of the image with the tag that you name. If it fails, ECS goes back.{}",
            held_for_deploy(it)
        ),
        does: "Deploy",
        foresees: false,
    };
    let roll_back = Action {
        name: "Roll back …",
        path: path("rollback"),
        body: json!({ "hold": true }),
        asks: "to reason",
        title: format!("Roll {name} back."),
        says: format!(
            "What ran before is rolled out again, by the digests that ran then. After that other content waits until somebody resumes it; new tasks of what runs, as for a changed parameter or secret, do not wait.{}",
            held_for_rollback(it)
        ),
        does: "Roll back",
        foresees: true,
    };
    let pause = Action {
        name: "Pause …",
        path: path("pause"),
        body: json!({}),
        asks: "reason",
        title: format!("Pause {name}."),
        says: "What is under way ends. What is asked for from now on waits until somebody resumes it.".into(),
        does: "Pause",
        foresees: false,
    };
    let resume = Action {
        name: "Resume …",
        path: path("resume"),
        body: json!({}),
        asks: "reason",
        title: format!("Resume {name}."),
        says: "What has waited is deployed now, the newest of it.".into(),
        does: "Resume",
        foresees: false,
    };
    let last = if it.lane.hold.is_some() { resume } else { pause };
    bar(&format!("What you may ask of {name}"), &[deploy, roll_back, last])
}

/// What somebody's decision makes of a deployment that is asked for now.
fn held_for_deploy(it: &TargetRecord) -> &'static str {
    match it.lane.hold.as_ref().map(|hold| hold.kind) {
        Some(HoldKind::Paused) => " It is paused: nothing is begun before somebody resumes it.",
        Some(HoldKind::Held) => {
            " It is held: an image with a tag waits until somebody resumes it, new tasks do not."
        }
        None => "",
    }
}

/// What it makes of a rollback.
fn held_for_rollback(it: &TargetRecord) -> &'static str {
    match it.lane.hold.as_ref().map(|hold| hold.kind) {
        Some(HoldKind::Paused) => " It is paused: it goes back once somebody resumes it.",
        Some(HoldKind::Held) => " It is held already, and stays so.",
        None => "",
    }
}

/// What may be asked for of a deployment: nothing of one that has ended, or goes back for good.
pub(super) fn of_deployment(it: &DeploymentRecord) -> Markup {
    let name = &it.name;
    let cancel = Action {
        name: "Cancel …",
        path: format!("/api/v1/deployments/{}/cancel", encoded(it.id.as_str())),
        body: json!({}),
        asks: "reason",
        title: format!("Cancel this deployment of {name}."),
        says: "If its rollout has not begun, it never does. If it has, ECS is told to stop it and to go back to what ran before.".into(),
        does: "Cancel it",
        foresees: false,
    };
    html! { @if it.outcome.is_none() && it.goes_back_for().is_none() { (bar(&format!("What you may ask of this deployment of {name}"), &[cancel])) } }
}

/// What may be asked for of all these letters at once.
pub(super) fn of_letters(letters: &[&LetterRecord]) -> Markup {
    let ids: Vec<&str> = letters.iter().map(|it| it.id.as_str()).collect();
    let count = ids.len();
    let replay = Action {
        name: "Replay all …",
        path: REPLAY.into(),
        body: json!({ "ids": ids }),
        asks: "",
        title: if count == 1 { "Replay it.".into() } else { format!("Replay all {count}.") },
        says: format!(
            "{PUT_BACK} Of each target they are deployed in the order in which they were asked for."
        ),
        does: "Replay",
        foresees: false,
    };
    bar("What you may ask of all of them", &[replay])
}

/// What may be asked for of a letter.
pub(super) fn of_letter(it: &LetterRecord) -> Markup {
    let what = it.event.meaning.as_deref().unwrap_or("a message that nobody understands");
    let replay = Action {
        name: "Replay …",
        path: REPLAY.into(),
        body: json!({ "ids": [it.id] }),
        asks: "",
        title: format!("Replay: {what}."),
        says: PUT_BACK.into(),
        does: "Replay",
        foresees: false,
    };
    bar(&format!("What you may ask of {}", it.id), &[replay])
}

fn bar(label: &str, actions: &[Action<'_>]) -> Markup {
    html! {
        div.acts role="group" aria-label=(label) hidden {
            @for it in actions {
                button type="button" data-act data-path=(it.path) data-body=(it.body) data-asks=(it.asks)
                    data-title=(it.title) data-says=(it.says) data-does=(it.does) data-foresees[it.foresees] { (it.name) }
            }
        }
    }
}

//! What whoever has a token may ask for. The buttons are there for everybody, and shown only to those: the script does so,
//! and the API asks for the token whatever a page shows.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::encoded;
use crate::domain::{DeploymentRecord, TargetRecord};

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
        says: "A rollout is started as soon as its lane is free: of what runs, with new tasks, or of the image with the tag that you name. If it fails, ECS goes back.".into(),
        does: "Deploy",
    };
    let roll_back = Action {
        name: "Roll back …",
        path: path("rollback"),
        body: json!({ "hold": true }),
        asks: "to reason",
        title: format!("Roll {name} back."),
        says: "What ran before is rolled out again, by the digests that ran then. After that nothing else is deployed to it until somebody resumes it.".into(),
        does: "Roll back",
    };
    let pause = Action {
        name: "Pause …",
        path: path("pause"),
        body: json!({}),
        asks: "reason",
        title: format!("Pause {name}."),
        says: "What is under way ends. What is asked for from now on waits until somebody resumes it.".into(),
        does: "Pause",
    };
    let resume = Action {
        name: "Resume …",
        path: path("resume"),
        body: json!({}),
        asks: "reason",
        title: format!("Resume {name}."),
        says: "What has waited is deployed now, the newest of it.".into(),
        does: "Resume",
    };
    let last = if it.lane.hold.is_some() { resume } else { pause };
    bar(&format!("What you may ask of {name}"), &[deploy, roll_back, last])
}

/// What may be asked for of a deployment: nothing of one that has ended.
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
    };
    html! { @if it.outcome.is_none() { (bar(&format!("What you may ask of this deployment of {name}"), &[cancel])) } }
}

fn bar(label: &str, actions: &[Action<'_>]) -> Markup {
    html! {
        div.acts role="group" aria-label=(label) hidden {
            @for it in actions {
                button type="button" data-act data-path=(it.path) data-body=(it.body) data-asks=(it.asks)
                    data-title=(it.title) data-says=(it.says) data-does=(it.does) { (it.name) }
            }
        }
    }
}

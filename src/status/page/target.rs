//! The page of one target: what it runs, what is asked of it, how its deployments went.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Html,
};
use maud::{Markup, html};

use super::{
    Pairs, View, actions, inforce,
    parts::{fact, pill, runs, stage_kind, stage_name, tasks, what, why},
    show,
};
use crate::{
    domain::{DefinitionFacts, DeploymentRecord, RunningRecord, TargetRecord, deployments_url, service_url},
    report::message::span,
    status::{StatusState, api::find_target, problem::Problem},
};

pub(super) async fn page(
    State(state): State<StatusState>,
    Path(id): Path<String>,
    query: Pairs,
) -> Result<Html<String>, Problem> {
    let snapshot = state.latest();
    let it = find_target(&snapshot, &id)?;
    let definition = it.running.as_ref().map(|running| &running.definition);
    let facts = async {
        match definition {
            Some(definition) => Some(state.lookup.definition(&it.id, definition).await),
            None => None,
        }
    };
    // What is shown has the newest of it.
    let (facts, _) = tokio::join!(facts, state.lookup.past_of(&it.id));
    Ok(show(&state, &query, |view| view.target(it, facts.as_ref())))
}

impl View<'_> {
    pub(super) fn target(
        &self,
        it: &TargetRecord,
        facts: Option<&Result<Arc<DefinitionFacts>, String>>,
    ) -> Markup {
        let path = self.target_path(&it.id, &it.name);
        let ended = self.ended().filter(|record| record.target == it.id);
        let main = html! {
            section #target aria-labelledby="target-heading" {
                h1 #target-heading { (it.name) }
                (actions::of_target(it))
                (self.target_facts(it))
            }
            (self.target_runs(it.running.as_ref()))
            @if let Some(record) = self.snapshot.deployments.get(&it.id) { (self.target_does(record, "does", "Under way")) }
            @if let Some(record) = self.snapshot.waiting.get(&it.id) { (self.target_does(record, "next", "Next")) }
            (self.list_of_ended(&path, ended))
            (self.delivery(&path, &self.figures(Some(&it.id))))
            @match facts {
                Some(Ok(facts)) => (inforce::reads(Ok(&facts.dependencies))),
                Some(Err(why)) => (inforce::reads(Err(why))),
                None => {}
            }
            @if let Some(settings) = self.snapshot.settings.get(&it.id) { (inforce::settings(settings)) }
        };
        self.framed(&path, &format!("{} · {}", it.name, self.title()), &main)
    }

    fn target_facts(&self, it: &TargetRecord) -> Markup {
        html! {
            dl.facts {
                (fact("Lane", Some(&self.lane(it))))
                (fact("Waiting", Some(&html! { (it.lane.waiting) @if it.lane.waiting == 1 { " request" } @else { " requests" } })))
                (fact("Usually takes", self.usual(&it.id).map(|usual| html! { (span(usual)) }).as_ref()))
                (fact("Service", Some(&html! { (it.cluster) " / " (it.service) " in account " (it.id.account()) ", " (it.id.region()) })))
                (fact("In AWS's console", Some(&html! {
                    a href=(service_url(&it.id)) { "Service" } " · "
                    a href=(deployments_url(&it.id)) { "Its deployments" }
                })))
                (fact("Id", Some(&html! {
                    code { (it.id) } " "
                    a href={ "/api/v1/targets/" (super::encoded(&it.id.to_string())) } { "as JSON" }
                })))
            }
        }
    }

    fn target_runs(&self, running: Option<&RunningRecord>) -> Markup {
        html! {
            section #runs aria-labelledby="runs-heading" {
                h2 #runs-heading { "Runs" }
                @match running {
                    None => p.nothing { "Nothing has been seen to run there yet." },
                    Some(running) => {
                        div.sheet.runs {
                            div { (runs(running)) }
                            div { (self.since(running)) }
                        }
                    }
                }
            }
        }
    }

    fn target_does(&self, it: &DeploymentRecord, name: &str, heading: &str) -> Markup {
        let headed = format!("{name}-heading");
        html! {
            section id=(name) aria-labelledby=(headed) {
                h2 id=(headed) { (heading) }
                dl.facts {
                    (fact("Stage", Some(&html! {
                        (pill(stage_kind(it), stage_name(it))) " "
                        a href={ "/deployments/" (super::encoded(it.id.as_str())) } { (it.id) }
                    })))
                    (fact("What for", it.reason.as_ref().map(|reason| html! { (reason) }).as_ref()))
                    (fact("Rolls out", Some(&what(it))))
                    (fact("Tasks", Some(&tasks(it))))
                    (fact("Why", Some(&why(it))))
                    (fact("Time so far", Some(&self.so_far(it))))
                }
            }
        }
    }
}

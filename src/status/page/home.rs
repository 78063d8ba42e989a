//! The page that is opened first: what needs somebody, what is under way, what runs, what ended, and how delivery goes.

use maud::{Markup, html};

use super::{
    Asked, View,
    asked::Lanes,
    charts,
    parts::{
        evidence, figure, hold_name, known_from, lane_kind, lane_name, note, outcome_kind, outcome_name,
        pill, row, runs, spaced, stage_kind, stage_name, table, tasks, what, why,
    },
};
use crate::{
    domain::{
        DeploymentRecord, HoldRecord, LaneState, Outcome, RolloutRecord, RunningRecord, Stage, TargetId,
        TargetRecord,
    },
    report::{
        dora::{Figures, SPANS_DAYS},
        history::{self, Query as Wanted},
        message::{span, took},
    },
};

/// Lists are cut here, so that the page of ten thousand targets stays one that a browser can show.
const MOST_ROWS: usize = 50;
const MOST_ENDED: usize = 25;

impl View<'_> {
    pub(super) fn home(&self) -> Markup {
        let main = html! {
            (self.summary())
            (self.attention())
            (self.search())
            (self.under_way())
            (self.targets())
            (self.list_of_ended("/", self.ended()))
            (self.delivery("/", &self.figures(None)))
        };
        self.framed("/", &self.title(), &main)
    }

    fn summary(&self) -> Markup {
        let snapshot = self.snapshot;
        let waiting: usize = snapshot.targets.iter().map(|target| target.lane.waiting).sum();
        let failing = self.health.parts().find(|(_, part)| !part.is_ok());
        html! {
            section #summary.summary aria-label="Summary" {
                dl {
                    div {
                        dt { "Health" }
                        @match failing {
                            None => dd.good { @if snapshot.active { "Ready" } @else { "On standby" } }
                            Some((name, part)) if self.health.is_ready() => {
                                dd.warn { "Ready" span.note { (name) ": " (part.detail) } }
                            }
                            Some((name, part)) => dd.bad { "Not ready" span.note { (name) ": " (part.detail) } }
                        }
                    }
                    (figure("Targets", snapshot.targets.len()))
                    (figure("Under way", snapshot.under_way().count()))
                    (figure("Requests waiting", waiting))
                    div {
                        dt { "Set aside" }
                        @match snapshot.dead_letters() {
                            Some(0) => dd { "0" }
                            Some(count) => dd.bad { a href="/dead-letters" { (count) } }
                            None => dd title="Not counted yet" { "–" }
                        }
                    }
                }
            }
        }
    }

    fn search(&self) -> Markup {
        let asked = self.asked;
        html! {
            search {
                form #search method="get" action="/" {
                    div {
                        label for="q" { "Search" }
                        input #q type="search" name="q" value=(asked.words) maxlength="200" placeholder="name, image, cause, event …";
                    }
                    div {
                        label for="state" { "Lane" }
                        select #state name="state" {
                            option value="" { "Any" }
                            (choice("busy", "Not idle", asked.state == Some(Lanes::Busy)))
                            (choice("held", "Paused or held", asked.state == Some(Lanes::Held)))
                            @for state in Lanes::ALL_STATES {
                                (choice(state.as_str(), lane_name(state), asked.state == Some(Lanes::In(state))))
                            }
                        }
                    }
                    div {
                        label for="outcome" { "Outcome" }
                        select #outcome name="outcome" {
                            option value="" { "Any" }
                            @for outcome in Outcome::ALL {
                                (choice(outcome.as_str(), outcome_name(outcome), asked.outcome == Some(outcome)))
                            }
                        }
                    }
                    @if asked.days != Asked::default().days { input type="hidden" name="days" value=(asked.days); }
                    div.buttons {
                        button type="submit" { "Show" }
                        @if asked.is_narrowed() { " " a href=(Asked { days: asked.days, ..Asked::default() }.at("/")) { "Show all" } }
                    }
                }
            }
        }
    }

    fn under_way(&self) -> Markup {
        let wanted = self.snapshot.under_way().filter(|it| self.asked.wants_deployment(it));
        let all: Vec<&DeploymentRecord> = wanted.collect();
        let page = history::page(all.iter().copied(), &Wanted::first(MOST_ROWS));
        html! {
            section #under-way aria-labelledby="under-way-heading" {
                h2 #under-way-heading { "Under way" }
                @if page.items.is_empty() {
                    p.nothing { "Nothing " @if self.asked.is_narrowed() { "of that " } "is under way." }
                } @else {
                    (table("under-way", "Deployments that have not ended", &["Target", "Stage", "Rolls out", "Tasks", "Why", "Time so far"], &html! {
                        @for it in &page.items { (self.active_row(it)) }
                    }))
                    @if all.len() > page.items.len() { p.nothing { "And " (all.len() - page.items.len()) " more: search for them." } }
                }
            }
        }
    }

    fn active_row(&self, it: &DeploymentRecord) -> Markup {
        row(&[
            ("Target", self.subject(it)),
            ("Stage", html! { (pill(stage_kind(it), stage_name(it))) (note(it.reason.as_deref())) }),
            ("Rolls out", what(it)),
            ("Tasks", tasks(it)),
            ("Why", why(it)),
            ("Time so far", self.so_far(it)),
        ])
    }

    /// How long a deployment has been under way, beside how long it usually takes. One that waits is late for other reasons.
    pub(super) fn so_far(&self, it: &DeploymentRecord) -> Markup {
        let since = it.started_at.unwrap_or(it.requested_at);
        let passed = self.at.since(since);
        let usual = self.usual(&it.target).filter(|_| it.stage != Stage::Waiting);
        let is_late = usual.is_some_and(|usual| passed > usual * 2);
        html! {
            time.nowrap datetime=(since) title=(since) { (span(passed)) }
            @if let Some(usual) = usual {
                @if is_late { span.note.late { "longer than the usual " (span(usual)) } }
                @else { span.note { "usually " (span(usual)) } }
            }
        }
    }

    fn targets(&self) -> Markup {
        let wanted = self.snapshot.targets.iter().filter(|it| self.asked.wants_target(it));
        let mut targets: Vec<&TargetRecord> = wanted.map(|target| &**target).collect();
        targets.sort_by_key(|target| (target.lane.state == LaneState::Idle, &target.name, &target.id));
        let from = (self.asked.page * MOST_ROWS).min(targets.len());
        let shown = &targets[from..targets.len().min(from + MOST_ROWS)];
        html! {
            section #targets aria-labelledby="targets-heading" {
                h2 #targets-heading { "Targets" }
                @if shown.is_empty() {
                    p.nothing {
                        @if self.asked.is_narrowed() || from > 0 { "No such target is known." } @else { "No target is known yet." }
                    }
                } @else {
                    (table("targets", "What each target runs, and what its lane does", &["Target", "Runs", "Since", "Lane", "Waiting"], &html! {
                        @for target in shown { (self.target_row(target)) }
                    }))
                }
                (self.pages(from, shown.len(), targets.len()))
            }
        }
    }

    fn pages(&self, from: usize, shown: usize, all: usize) -> Markup {
        let to = |page: usize| Asked { page, ..self.asked.clone() }.at("/");
        html! {
            @if all > shown {
                nav.pages aria-label="Pages of targets" {
                    span { (from + 1) " to " (from + shown) " of " (all) }
                    @if from > 0 { a href=(to(self.asked.page.saturating_sub(1))) rel="prev" { "Previous" } }
                    @if from + shown < all { a href=(to(self.asked.page + 1)) rel="next" { "Next" } }
                }
            }
        }
    }

    fn target_row(&self, target: &TargetRecord) -> Markup {
        let name = html! {
            a.name href=(self.target_path(&target.id, &target.name)) { (target.name) }
            span.note title=(target.id) { (target.cluster) " / " (target.service) (self.elsewhere(&target.id)) }
        };
        let running = target.running.as_ref();
        row(&[
            ("Target", name),
            (
                "Runs",
                html! {
                    @match running {
                        Some(running) => (runs(running)),
                        None => span.faint { "Not seen yet" },
                    }
                },
            ),
            (
                "Since",
                html! { @if let Some(running) = running { (self.since(running)) } @else { span.faint { "–" } } },
            ),
            ("Lane", self.lane(target)),
            ("Waiting", html! { (target.lane.waiting) }),
        ])
    }

    /// Where a target is, if not where we are.
    fn elsewhere(&self, target: &TargetId) -> Markup {
        let home = self.snapshot.home.as_ref();
        let here =
            home.is_none_or(|(account, region)| (account, region) == (target.account(), target.region()));
        html! { @if !here { " in " (target.account()) ", " (target.region()) } }
    }

    /// Since when something runs, and by what.
    pub(super) fn since(&self, running: &RunningRecord) -> Markup {
        html! {
            @if let Some(since) = running.since { (self.ago(since)) }
            span.note {
                @match &running.by {
                    Some(by) if self.finds(by) => { "by " a href={ "/deployments/" (by) } { (by) } }
                    Some(by) => { "by " code { (by) } }
                    None => "not ours, as far as is known",
                }
            }
        }
    }

    pub(super) fn lane(&self, target: &TargetRecord) -> Markup {
        let lane = &target.lane;
        // Nothing says when a pause or a hold ends: what the lane does next by itself is to look whether it has.
        let until = lane.until.filter(|_| lane.hold.is_none());
        let left = until.map(|until| until.since(self.now));
        let until = left.filter(|left| !left.is_zero()).map(span);
        let under_way = self.snapshot.deployments.get(&target.id);
        html! {
            (pill(lane_kind(lane.state), lane_name(lane.state)))
            @if let Some(hold) = &lane.hold { " " (pill("warn", hold_name(hold.kind))) }
            @if let Some(until) = until { " " span.faint { "for " (until) } }
            @if let Some(hold) = &lane.hold { span.note { (self.held(hold)) } }
            (note(lane.why.as_deref()))
            @if let Some(it) = &target.rollout { span.note.rollout { (self.rolled_out(it)) } }
            @if let Some(it) = under_way.filter(|it| lane.deployment.as_ref() == Some(&it.id)) {
                span.note {
                    a href={ "/deployments/" (it.id) } { (stage_name(it)) }
                    @if it.tasks.desired > 0 { ", " (it.tasks.running) " of " (it.tasks.desired) " tasks" }
                }
            }
        }
    }

    /// A rollout that no deployment here watches: what it brings, since when, and whose it is.
    fn rolled_out(&self, it: &RolloutRecord) -> Markup {
        html! {
            code { (it.definition) } " is being rolled out, begun " (self.ago(it.since))
            @match &it.by {
                Some(by) => { " by " code { (by) } },
                None => ", not known whether by us",
            }
        }
    }

    /// Who keeps deployments back, since when, and why.
    pub(super) fn held(&self, hold: &HoldRecord) -> Markup {
        html! {
            @if let Some(by) = &hold.by { "by " (by) } @else { "by somebody" }
            @if let Some(since) = hold.since { ", " (self.ago(since)) }
            @if let Some(reason) = &hold.reason { ": " (reason) }
        }
    }

    /// The deployments that ended and are asked for, a page of them.
    pub(super) fn list_of_ended<'b>(
        &self,
        path: &str,
        all: impl Iterator<Item = &'b DeploymentRecord>,
    ) -> Markup {
        let asked = self.asked;
        let wanted =
            Wanted { outcome: asked.outcome, after: asked.older.clone(), ..Wanted::first(MOST_ENDED) };
        let page = history::page(all.filter(|it| asked.wants_deployment(it)), &wanted);
        let newest = Asked { older: None, ..asked.clone() };
        html! {
            section #ended aria-labelledby="ended-heading" {
                h2 #ended-heading { "Ended" }
                @if self.snapshot.past_unread() > 0 {
                    p.nothing {
                        "Not all yet: what ECS remembers is still to be read of " (self.snapshot.past_unread()) " of "
                        (self.snapshot.targets.len()) " targets."
                    }
                }
                @if page.items.is_empty() {
                    p.nothing {
                        @if asked.is_narrowed() || asked.older.is_some() { "Nothing of that has ended." }
                        @else { "No deployment that ended is known." }
                    }
                } @else {
                    (table("ended", "Deployments that ended, the newest first", &["Target", "Outcome", "Rolled out", "Why", "Took", "Ended"], &html! {
                        @for it in &page.items { (self.ended_row(it)) }
                    }))
                }
                @if asked.older.is_some() || page.next.is_some() {
                    nav.pages aria-label="Pages of deployments" {
                        @if asked.older.is_some() { a href=(newest.at(path)) { "Newest" } }
                        @if let Some(next) = page.next {
                            a href=(Asked { older: Some(next), ..asked.clone() }.at(path)) rel="next" { "Older" }
                        }
                    }
                }
            }
        }
    }

    fn ended_row(&self, it: &DeploymentRecord) -> Markup {
        let outcome = html! {
            @if let Some(outcome) = it.outcome { (pill(outcome_kind(outcome), outcome_name(outcome))) }
            @if let Some(cause) = it.cause { " " span.cause { (spaced(cause.as_str())) } }
            (note(it.reason.as_deref()))
            (evidence(it))
            (note(known_from(it.known_from)))
        };
        row(&[
            ("Target", self.subject(it)),
            ("Outcome", outcome),
            ("Rolled out", what(it)),
            ("Why", why(it)),
            ("Took", html! { span.nowrap { (took(it).map(span).unwrap_or_default()) } }),
            ("Ended", html! { @if let Some(ended) = it.finished_at { (self.ago(ended)) } }),
        ])
    }

    /// The four figures and the duration, with a chart of each.
    pub(super) fn delivery(&self, path: &str, figures: &Figures) -> Markup {
        let length = |length| Option::map_or(length, "–".to_owned(), span);
        let rate = figures.failure_rate().map_or("–".to_owned(), |rate| format!("{:.0} %", rate * 100.0));
        let open = (figures.unrestored > 0).then(|| format!("{} not restored yet", figures.unrestored));
        html! {
            section #delivery aria-labelledby="delivery-heading" {
                h2 #delivery-heading { "Delivery" }
                nav.spans aria-label="Span of the figures" {
                    @for days in SPANS_DAYS {
                        a href=(self.asked.over(days).at(path)) aria-current=[(days == figures.days).then_some("true")] { (days) " days" }
                    }
                }
                dl.figures {
                    (told("Deployment frequency", &often(figures), None, &charts::frequency(figures)))
                    (told("Lead time", &length(figures.lead_time), Some("median, from the request to the end"),
                        &charts::lengths(figures, "Lead time", |part| part.lead_time)))
                    (told("Duration", &length(figures.duration), Some("median, from the first attempt to the end"),
                        &charts::lengths(figures, "Duration", |part| part.duration)))
                    (told("Change failure rate", &rate, Some(&format!("{} of {}", figures.failed, figures.failed + figures.succeeded)),
                        &charts::failures(figures)))
                    (told("Time to restore", &length(figures.time_to_restore), open.as_deref().or(Some("median, from a failure to the next success")),
                        &charts::lengths(figures, "Time to restore", |part| part.time_to_restore)))
                }
            }
        }
    }
}

fn choice(value: &str, name: &str, is_chosen: bool) -> Markup {
    html! { option value=(value) selected[is_chosen] { (name) } }
}

fn told(name: &str, value: &str, how: Option<&str>, chart: &Markup) -> Markup {
    html! {
        div {
            dt { (name) }
            dd { (value) (note(how)) (chart) }
        }
    }
}

/// In the unit in which it is a number that people can picture.
fn often(figures: &Figures) -> String {
    let per_day = figures.per_day();
    match figures.succeeded {
        0 => "–".into(),
        _ if per_day >= 1.0 => format!("{per_day:.1} a day"),
        _ if per_day * 7.0 >= 1.0 => format!("{:.1} a week", per_day * 7.0),
        count => format!("{count} in {} days", figures.days),
    }
}

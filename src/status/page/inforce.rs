//! How a target is deployed, and what its tasks read, in words.

use maud::{Markup, html};

use super::parts::fact;
use crate::{
    domain::{Base, Dependency, ImageStyle, OnDelete, OnNewer, OnPush, TargetSettings},
    report::message::span,
};

/// What a target's tasks read when they start, so that a change of it deploys it anew; or why that cannot be told.
pub(super) fn reads(dependencies: Result<&[Dependency], &str>) -> Markup {
    html! {
        section #reads aria-labelledby="reads-heading" {
            h2 #reads-heading { "Reads" }
            @match dependencies {
                Err(why) => p.nothing { (why) },
                Ok([]) => p.nothing { "Nothing that is watched." },
                Ok(all) => ul.sheet { @for it in all { li { (dependency(it)) } } },
            }
        }
    }
}

fn dependency(it: &Dependency) -> Markup {
    html! {
        @match it {
            Dependency::Repository { name, container, .. } => { "Images of " code { (name) } span.container { (container) } },
            Dependency::Parameter { name, .. } => { "Parameter " code { (name) } },
            Dependency::Secret { name, .. } => { "Secret " code { (name) } },
            Dependency::File { bucket, key } => { "File " code { "s3://" (bucket) "/" (key) } },
        }
    }
}

/// The settings by which a target is deployed.
pub(super) fn settings(it: &TargetSettings) -> Markup {
    let limit = |count: u32, name: &str| (count > 0).then(|| html! { (count) " " (name) });
    html! {
        section #settings aria-labelledby="settings-heading" {
            h2 #settings-heading { "Settings in force" }
            dl.facts {
                (fact("A push", Some(&push(it))))
                (fact("Starts from", Some(&html! { @match &it.base {
                    Base::Running => "the definition that runs",
                    Base::Latest(None) => "the newest revision of its family",
                    Base::Latest(Some(family)) => { "the newest revision of " code { (family) } },
                } })))
                (fact("Gathers for", Some(&html! { (span(it.quiet)) })))
                (fact("Gives up after", Some(&html! { (span(it.timeout)) " without progress" @if it.rollback { ", and goes back" } })))
                (fact("Tries again", Some(&html! { (it.retries) " times what may pass" })))
                (fact("Something newer", Some(&html! { @match it.on_newer {
                    OnNewer::Queue => "waits for the end of what is under way",
                    OnNewer::Interrupt => "supersedes what is under way",
                    OnNewer::WhenFailing => "supersedes what is under way only if that fails",
                } })))
                (fact("Of one event", limit(it.max_parallel, "at a time").as_ref()))
                (fact("Stops after", limit(it.stop_after, "of one event have failed").as_ref()))
                (fact("Branches", (!it.branches.is_empty()).then(|| listed(&it.branches)).as_ref()))
                (fact("A deletion", Some(&html! { @match it.on_delete { OnDelete::Warn => "only warns", OnDelete::Deploy => "deploys" } })))
                (fact("Switched off", switched_off(it).as_ref()))
                (fact("Dry run", it.dry_run.then(|| html! { "nothing is changed" }).as_ref()))
            }
        }
    }
}

fn push(it: &TargetSettings) -> Markup {
    let style = match it.image_reference {
        ImageStyle::Tag => "tag",
        ImageStyle::Digest => "digest",
    };
    html! {
        @match it.on_push {
            OnPush::Follow => "of the tag that runs deploys it anew",
            OnPush::Pin => { "of a tag that " code { (it.tags) } " takes is deployed by its " (style) },
            OnPush::Always => "of any tag deploys it anew",
            OnPush::Ignore => "does nothing",
        }
        @if !it.ignore_tags.is_empty() { "; never " (listed(&it.ignore_tags)) }
    }
}

fn switched_off(it: &TargetSettings) -> Option<Markup> {
    let switches = [
        ("images", it.triggers.images),
        ("parameters", it.triggers.parameters),
        ("secrets", it.triggers.secrets),
        ("files", it.triggers.files),
        ("requests", it.triggers.requests),
    ];
    let off: Vec<&str> = switches.into_iter().filter(|(_, on)| !on).map(|(name, _)| name).collect();
    (!off.is_empty()).then(|| html! { (off.join(", ")) })
}

fn listed(all: &[impl ToString]) -> Markup {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    html! { code { (all.join(", ")) } }
}

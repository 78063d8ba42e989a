//! What stands around every page, and the dialogs in which somebody signs in or confirms. They open only where scripts are on.

use maud::{DOCTYPE, Markup, html};

use super::{Asked, View, parts::clock_time};

/// How often the page loads itself anew where there are no scripts, and that was asked for.
const REFRESH_SECONDS: u32 = 5;

impl View<'_> {
    /// What stands around every page; `path` is its own.
    pub(super) fn framed(&self, path: &str, title: &str, main: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="version" content=(self.about.version);
                    @if self.asked.live { noscript { meta http-equiv="refresh" content=(REFRESH_SECONDS); } }
                    title { (title) }
                    link rel="icon" href={ "/icon.svg?v=" (self.about.version) };
                    link rel="stylesheet" href={ "/style.css?v=" (self.about.version) };
                    script src={ "/live.js?v=" (self.about.version) } defer {}
                }
                body {
                    a.skip href="#main" { "Skip to what is so" }
                    (self.header(path))
                    p #said.said role="status" hidden {}
                    p #news.unseen role="status" aria-live="polite" {}
                    main #main tabindex="-1" { (main) }
                    (self.footer())
                    (sign_in())
                    (confirm())
                    (raw())
                }
            }
        }
    }

    pub(super) fn title(&self) -> String {
        let place = self.place();
        let separator = if place.is_empty() { "" } else { " · " };
        format!("Lockkeeper{separator}{place}")
    }

    fn place(&self) -> String {
        let names = [&self.about.project, &self.about.environment];
        names.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    fn header(&self, path: &str) -> Markup {
        html! {
            header {
                @if path == "/" { h1.brand { "Lockkeeper" } } @else { p.brand { a href="/" { "Lockkeeper" } } }
                p.place { (self.place()) }
                @if let Some((account, region)) = &self.snapshot.home {
                    p.home { "account " (account) ", " (region) }
                }
                (self.liveliness(path))
            }
        }
    }

    fn liveliness(&self, path: &str) -> Markup {
        let other = Asked { live: !self.asked.live, ..self.asked.clone() };
        html! {
            div.live {
                span #live role="status" hidden {}
                span #as-of { (clock_time(self.at)) " UTC" }
                noscript {
                    @if self.asked.live {
                        ", anew every " (REFRESH_SECONDS) " s · " a href=(other.at(path)) { "Hold still" }
                    } @else {
                        " · " a href=(other.at(path)) { "Keep it live" }
                    }
                }
                button #hold type="button" aria-pressed="false" hidden { "Hold still" }
                button #sign type="button" hidden { "Sign in" }
            }
        }
    }

    fn footer(&self) -> Markup {
        html! {
            footer {
                p { "Lockkeeper " (self.about.version) }
                nav aria-label="For machines" {
                    a href="/api/v1/targets" { "Targets" } " "
                    a href="/api/v1/deployments" { "Deployments" } " "
                    a href="/health" { "Health" } " "
                    a href="/metrics" { "Metrics" }
                }
            }
        }
    }
}

fn sign_in() -> Markup {
    html! {
        dialog #sign-in aria-labelledby="sign-in-title" {
            form method="dialog" {
                h2 #sign-in-title { "Sign in" }
                p { "A token of the settings lets you deploy, roll back, cancel, pause, resume and replay. It is kept until this tab is closed." }
                label { "Token" input name="token" type="password" autocomplete="off" required maxlength="4096"; }
                p.wrong role="alert" hidden {}
                div.buttons {
                    button type="button" data-close { "Back" }
                    button.does type="submit" { "Sign in" }
                }
            }
        }
    }
}

fn confirm() -> Markup {
    let field = |name: &str, label: &str, hint: &str| {
        html! {
            label data-field=(name) { (label) input name=(name) autocomplete="off" maxlength="1000" placeholder=(hint); }
        }
    };
    html! {
        dialog #confirm aria-labelledby="confirm-title" aria-describedby="confirm-says" {
            form method="dialog" {
                h2 #confirm-title {}
                p #confirm-says {}
                (field("tag", "Tag", "empty: what runs, with new tasks"))
                (field("to", "Back to", "a revision, tag or digest; empty: the last good one"))
                (field("reason", "Reason", "shown to whoever asks why"))
                div #confirm-would role="status" hidden {}
                p.wrong role="alert" hidden {}
                div.buttons {
                    button type="button" data-close { "Back" }
                    button #confirm-do.does type="submit" {}
                }
            }
        }
    }
}

/// What is for machines, shown to whoever has a token where seeing it needs one: a link cannot carry it.
fn raw() -> Markup {
    html! {
        dialog #raw.wide aria-labelledby="raw-title" {
            h2 #raw-title {}
            pre #raw-text role="region" tabindex="0" aria-labelledby="raw-title" {}
            div.buttons {
                a #raw-save download { "Download" }
                button type="button" data-close { "Back" }
            }
        }
    }
}

//! Small charts of the figures, drawn here: a picture for whoever sees it, and a sentence for whoever does not.

use std::time::Duration;

use maud::{Markup, html};

use crate::{
    domain::Timestamp,
    report::{
        dora::{Figures, Part},
        message::span,
    },
};

/// The height of a chart, in units of its own.
const HEIGHT: f64 = 36.0;
/// How far the bars of a chart are apart.
const STEP: f64 = 10.0;
const BAR: f64 = 8.0;
/// A bar of something is never lower than this, and of nothing this line is left.
const LEAST: f64 = 3.0;
const NOTHING: f64 = 1.0;

/// One bar: what is good of it below, what is bad above.
struct Bar {
    good: f64,
    bad: f64,
    says: String,
}

/// How many deployments succeeded, part by part.
pub(super) fn frequency(figures: &Figures) -> Markup {
    let bar = |part: &Part| Bar { good: count(part.succeeded), bad: 0.0, says: deployments(part.succeeded) };
    chart(figures, "Deployments that succeeded", bar)
}

/// How many deployments failed, beside those that did not.
pub(super) fn failures(figures: &Figures) -> Markup {
    let bar = |part: &Part| Bar {
        good: count(part.succeeded),
        bad: count(part.failed),
        says: format!("{} of {} failed", part.failed, deployments(part.succeeded + part.failed)),
    };
    chart(figures, "Deployments that failed", bar)
}

/// A length of time, part by part.
pub(super) fn lengths(figures: &Figures, name: &str, of: impl Fn(&Part) -> Option<Duration>) -> Markup {
    let bar = |part: &Part| Bar {
        good: of(part).map_or(0.0, |length| length.as_secs_f64().max(0.1)),
        bad: 0.0,
        says: of(part).map_or_else(|| "none".into(), span),
    };
    chart(figures, name, bar)
}

fn chart(figures: &Figures, name: &str, bar: impl Fn(&Part) -> Bar) -> Markup {
    let bars: Vec<(Timestamp, Bar)> = figures.parts.iter().map(|part| (part.from, bar(part))).collect();
    let most = bars.iter().map(|(_, bar)| bar.good + bar.bad).fold(0.0, f64::max);
    let width = count(bars.len()) * STEP;
    let said = sentence(name, &bars);
    html! {
        svg.chart role="img" aria-label=(said) viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" {
            @for (place, (from, bar)) in bars.iter().enumerate() { (column(place, *from, bar, most)) }
        }
    }
}

fn column(place: usize, from: Timestamp, bar: &Bar, most: f64) -> Markup {
    let x = count(place) * STEP + 1.0;
    let tall = |part: f64| if part > 0.0 { (part / most * HEIGHT).max(LEAST) } else { 0.0 };
    // Both have to be seen, however small one is beside the other, and neither may leave the picture.
    let room = HEIGHT - if bar.good > 0.0 { LEAST } else { 0.0 };
    let bad = tall(bar.bad).min(room);
    let good = tall(bar.good).min(HEIGHT - bad);
    html! {
        g {
            title { (day(from)) ": " (bar.says) }
            @if good + bad == 0.0 { (rect("none", x, HEIGHT - NOTHING, NOTHING)) }
            @if good > 0.0 { (rect("good", x, HEIGHT - good, good)) }
            @if bad > 0.0 { (rect("bad", x, HEIGHT - good - bad, bad)) }
        }
    }
}

fn rect(class: &str, x: f64, y: f64, height: f64) -> Markup {
    html! { rect class=(class) x=(x) y=(format!("{y:.1}")) width=(BAR) height=(format!("{height:.1}")) {} }
}

/// What the picture shows, in words: how much there is, and the highest bar.
fn sentence(name: &str, bars: &[(Timestamp, Bar)]) -> String {
    let filled = bars.iter().filter(|(_, bar)| bar.good + bar.bad > 0.0).count();
    let highest = bars
        .iter()
        .filter(|(_, bar)| bar.good + bar.bad > 0.0)
        .max_by(|(_, a), (_, b)| (a.good + a.bad).total_cmp(&(b.good + b.bad)));
    match highest {
        None => format!("{name}: none"),
        Some((from, bar)) => {
            format!("{name}: in {filled} of {} parts; most from {}: {}", bars.len(), day(*from), bar.says)
        }
    }
}

fn deployments(count: usize) -> String {
    if count == 1 { "1 deployment".into() } else { format!("{count} deployments") }
}

fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of deployments are far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(parts: &[(usize, usize)]) -> Figures {
        let part = |(succeeded, failed): &(usize, usize)| Part {
            from: Timestamp::from_millis(1_793_534_400_000),
            succeeded: *succeeded,
            failed: *failed,
            duration: (*succeeded > 0).then_some(Duration::from_secs(90)),
            ..Part::default()
        };
        Figures {
            days: 7,
            succeeded: 0,
            failed: 0,
            lead_time: None,
            duration: None,
            time_to_restore: None,
            unrestored: 0,
            parts: parts.iter().map(part).collect(),
        }
    }

    #[test]
    fn a_chart_says_in_words_what_it_shows() {
        let html = failures(&figures(&[(3, 1), (0, 0), (1, 0)])).into_string();
        let said =
            "Deployments that failed: in 2 of 3 parts; most from 2026-11-01: 1 of 4 deployments failed";
        assert!(html.contains(said), "{html}");
        assert!(
            html.contains("role=\"img\"") && html.contains("<title>2026-11-01: 0 of 1 deployment failed")
        );
        let html = frequency(&figures(&[(0, 0)])).into_string();
        assert!(html.contains("aria-label=\"Deployments that succeeded: none\""), "{html}");
        let html = lengths(&figures(&[(1, 0)]), "Duration", |part| part.duration).into_string();
        assert!(html.contains("1 min 30 s"), "{html}");
    }

    #[test]
    fn no_bar_leaves_the_picture_and_none_that_stands_for_something_is_invisible() {
        let html = failures(&figures(&[(10_000, 1), (1, 10_000), (0, 0)])).into_string();
        let number = |rect: &str, name: &str| -> f64 {
            let value = rect.split(&format!(" {name}=\"")).nth(1).expect("an attribute");
            value.split('"').next().and_then(|it| it.parse().ok()).expect("a number")
        };
        let rects: Vec<&str> = html.split("<rect").skip(1).collect();
        assert_eq!(rects.len(), 5);
        for rect in rects {
            let (y, height) = (number(rect, "y"), number(rect, "height"));
            assert!(y >= 0.0 && y + height <= HEIGHT + 0.1 && height >= NOTHING, "{rect}");
        }
    }
}

//! A table that fits where it is shown.

use super::{
    harmless,
    paint::{Paint, Tone},
};

/// What stands between two columns.
const GAP: &str = "  ";

/// A column narrower than this says nothing.
const NARROWEST: usize = 8;

/// These rows below these heads. Where a width is given, the widest columns are cut until every line fits into it, those that
/// are to stay `whole` only where nothing else is left to cut; the last column is not padded.
pub(in crate::cli) fn table<const N: usize>(
    heads: [&str; N],
    rows: &[[String; N]],
    width: Option<usize>,
    whole: &[usize],
) -> String {
    lines(heads, rows, (width, whole), |_, _, cell| cell.to_owned())
}

/// Whether nothing of these rows has to be cut for that.
pub(in crate::cli) fn fits<const N: usize>(
    heads: [&str; N],
    rows: &[[String; N]],
    width: Option<usize>,
) -> bool {
    let heads = heads.map(str::to_owned);
    let rows: Vec<[String; N]> = std::iter::once(heads).chain(rows.iter().cloned()).collect();
    widths(&rows, width, &[]) == widths(&rows, None, &[])
}

/// The same, in colours: each cell has the tone of its row and column. The room is the width, and what is to stay whole.
pub(in crate::cli) fn painted<const N: usize>(
    heads: [&str; N],
    rows: &[[String; N]],
    room: (Option<usize>, &[usize]),
    tone: impl Fn(usize, usize) -> Tone,
    paint: Paint,
) -> String {
    lines(heads, rows, room, |row, column, cell| match row.checked_sub(1) {
        Some(row) => paint.paint(tone(row, column), cell),
        None => cell.to_owned(),
    })
}

/// What is painted is as wide as it was.
fn lines<const N: usize>(
    heads: [&str; N],
    rows: &[[String; N]],
    (width, whole): (Option<usize>, &[usize]),
    paint: impl Fn(usize, usize, &str) -> String,
) -> String {
    let rows: Vec<[String; N]> = std::iter::once(heads.map(str::to_owned))
        .chain(rows.iter().map(|row| row.clone().map(|cell| harmless(&cell))))
        .collect();
    let widths = widths(&rows, width, whole);
    let line = |(at, row): (usize, &[String; N])| {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            let cell = cut(cell, width);
            let gap = if column + 1 == N { 0 } else { width - cell.chars().count().min(width) };
            paint(at, column, &cell) + &" ".repeat(gap)
        });
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned() + "\n"
    };
    rows.iter().enumerate().map(line).collect()
}

fn widths<const N: usize>(rows: &[[String; N]], width: Option<usize>, whole: &[usize]) -> [usize; N] {
    let mut widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    });
    if let Some(room) = width.map(|width| width.saturating_sub(GAP.len() * N.saturating_sub(1))) {
        narrow(&mut widths, room, |column| !whole.contains(&column));
        narrow(&mut widths, room, |_| true);
    }
    widths
}

/// Makes the widest of these columns narrower until there is room for all, or they say nothing any more.
fn narrow<const N: usize>(widths: &mut [usize; N], room: usize, may_be_cut: impl Fn(usize) -> bool) {
    while let over @ 1.. = widths.iter().sum::<usize>().saturating_sub(room) {
        let of_these =
            || widths.iter().enumerate().filter(|(column, _)| may_be_cut(*column)).map(|(_, it)| *it);
        let widest = of_these().max().unwrap_or_default();
        if widest <= NARROWEST {
            break;
        }
        let next = of_these().filter(|it| *it < widest).max().unwrap_or(NARROWEST);
        let count = of_these().filter(|it| *it == widest).count();
        let less = (widest - next.max(NARROWEST)).min(over.div_ceil(count)).max(1);
        let is_cut = |(column, it): &(usize, &mut usize)| may_be_cut(*column) && **it == widest;
        widths.iter_mut().enumerate().filter(is_cut).for_each(|(_, it)| *it -= less);
    }
}

/// A text of at most so many characters.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [[String; 3]; 2] {
        [["a".into(), "x".repeat(30), "y".repeat(50)], ["bbbb".into(), "x".into(), "é\u{7}n\nd".into()]]
    }

    #[test]
    fn without_a_width_nothing_is_cut() {
        let text = table(["id", "one", "two"], &rows(), None, &[]);
        assert!(text.contains(&"y".repeat(50)), "{text}");
    }

    #[test]
    fn every_line_fits_into_the_width_and_the_longest_are_cut_first() {
        for width in [40, 60, 80, 200] {
            let text = table(["id", "one", "two"], &rows(), Some(width), &[]);
            let longest = text.lines().map(|line| line.chars().count()).max();
            assert!(longest <= Some(width), "{width}: {text}");
            assert!(text.contains("bbbb  x"), "{text}");
        }
        let text = table(["id", "one", "two"], &rows(), Some(80), &[]);
        assert!(text.contains(&"x".repeat(30)) && text.contains("yyy…"), "{text}");
    }

    #[test]
    fn what_is_to_stay_whole_is_cut_last() {
        for (width, whole, kept) in [(66, 2, "y".repeat(50)), (64, 1, "x".repeat(30))] {
            let text = table(["id", "one", "two"], &rows(), Some(width), &[whole]);
            assert!(text.contains(&kept), "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
        }
    }

    #[test]
    fn a_terminal_too_narrow_for_anything_still_shows_something() {
        assert_eq!(table(["id", "one", "two"], &rows(), Some(1), &[1]).lines().count(), 3);
    }

    #[test]
    fn no_text_of_an_event_can_steer_a_terminal_or_break_a_line() {
        let text = table(["id", "one", "two"], &rows(), None, &[]);
        assert!(text.ends_with("é n d\n") && text.lines().count() == 3, "{text}");
    }
}

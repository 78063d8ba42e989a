//! What somebody probably meant who wrote a key that does not exist.

use super::{catalogue, layers::PREFIX, problems::Origin};

/// What would be right instead of `key` in the table `path`, where the `known` keys belong.
pub(super) fn mend(path: &str, key: &str, known: &[&str], origin: &Origin) -> String {
    if let Some(meant) = nearest(key, known) {
        return format!("did you mean `{}`?", spelled(path, meant, origin));
    }
    if let Some(other) = catalogue::keys().into_iter().find(|it| it.key == key) {
        return format!("`{key}` belongs to `[{}]`", other.section);
    }
    format!("remove it; known here are {}", known.join(", "))
}

/// The nearest of these names, if it is near enough for a slip of the pen.
pub(super) fn nearest<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
    let furthest = (name.chars().count() / 3).max(1);
    let by_distance = names.iter().map(|it| (distance(name, it), *it));
    by_distance.min().filter(|(distance, _)| *distance <= furthest).map(|(_, it)| it)
}

/// As it is spelled where the wrong one was.
fn spelled(path: &str, key: &str, origin: &Origin) -> String {
    if origin.source.starts_with(PREFIX) {
        let path = path.replace('.', "__").to_uppercase();
        let separator = if path.is_empty() { "" } else { "__" };
        return format!("{PREFIX}{path}{separator}{}", key.to_uppercase());
    }
    key.into()
}

/// How many letters have to be added, dropped, replaced or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().take(64).collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<usize>>()];
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(a != b);
            let swapped =
                (i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b).then(|| rows[i - 1][j - 1] + 1);
            let shifted = (rows[i][j + 1] + 1).min(row[j] + 1);
            row.push(replaced.min(shifted).min(swapped.unwrap_or(usize::MAX)));
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised_and_another_word_is_not() {
        let known = ["url", "dead_letter_url", "pollers", "visibility"];
        assert_eq!(nearest("ulr", &known), Some("url"));
        assert_eq!(nearest("vizibilty", &known), Some("visibility"));
        assert_eq!(nearest("dead-letter-url", &known), Some("dead_letter_url"));
        assert_eq!(nearest("approval", &known), None);
    }

    #[test]
    fn the_distance_counts_each_slip_once() {
        for (from, to, slips) in [
            ("", "abc", 3),
            ("abc", "", 3),
            ("abxc", "abc", 1),
            ("xabc", "abc", 1),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("abc", "xbcd", 2),
        ] {
            assert_eq!(distance(from, to), slips, "{from} to {to}");
        }
    }
}

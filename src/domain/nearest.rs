//! What somebody probably meant who wrote a name that does not exist.

/// Longer names are compared by their beginnings.
const LONGEST_CHARS: usize = 64;

/// The nearest of these names, if it is near enough for a slip of the pen.
pub fn nearest<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
    within(name, names.iter().copied()).into_iter().min().map(|(_, it)| it)
}

/// So many of these names at most, that somebody may have meant: those that are near enough for a slip of the pen, the nearest
/// first, then those that contain it or are contained in it.
pub fn nearest_of<'n>(name: &str, names: impl Iterator<Item = &'n str> + Clone, most: usize) -> Vec<&'n str> {
    let mut near = within(name, names.clone());
    near.sort_unstable();
    let written = name.to_lowercase();
    let is_part = |it: &&str| {
        let it = it.to_lowercase();
        written.chars().count() > 1
            && it.chars().count() > 1
            && (it.contains(&written) || written.contains(&it))
    };
    let mut meant: Vec<&str> = Vec::new();
    for it in near.into_iter().map(|(_, it)| it).chain(names.filter(is_part)) {
        if meant.len() < most && !meant.contains(&it) {
            meant.push(it);
        }
    }
    meant
}

/// Those that are near enough, with how far they are.
fn within<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Vec<(usize, &'n str)> {
    let length = name.chars().count().min(LONGEST_CHARS);
    let furthest = (length / 3).max(1);
    let is_as_long = |it: &&str| it.chars().count().min(LONGEST_CHARS).abs_diff(length) <= furthest;
    let by_distance = names.filter(is_as_long).map(|it| (distance(name, it), it));
    by_distance.filter(|(distance, _)| *distance <= furthest).collect()
}

/// How many letters have to be added, dropped, replaced or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let [from, to] = [from, to].map(|it| it.chars().take(LONGEST_CHARS).collect::<Vec<char>>());
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
    fn of_several_the_nearest_comes_first_and_then_what_is_named_in_part() {
        let known = ["api", "api-worker", "apis", "web", "shop-api"];
        let meant = |name| nearest_of(name, known.into_iter(), 3);
        assert_eq!(meant("ap"), ["api", "api-worker", "apis"]);
        assert_eq!(meant("apu"), ["api"]);
        assert_eq!(meant("shop_api"), ["shop-api", "api"]);
        assert_eq!(meant("nobody"), [""; 0]);
        assert_eq!(meant(""), [""; 0]);
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

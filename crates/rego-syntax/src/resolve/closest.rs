//! What a name that nobody knows was probably meant to be.

/// Findings that have hints: for each, all names of the module are looked at.
pub(super) const MAX_HINTS: usize = 20;

/// Nobody means a longer name.
const LONGEST: usize = 100;

/// A hint at the candidate that `name` is probably a slip of.
pub(super) fn closest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<String> {
    let allowed = match name.chars().count() {
        0..=2 | LONGEST.. => return None,
        3..=4 => 1,
        _ => 2,
    };
    candidates
        .filter(|candidate| *candidate != name && candidate.len().abs_diff(name.len()) <= allowed)
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

/// Number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut above: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut previous_char = None;
    for (i, ca) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, &cb) in b.iter().enumerate() {
            let get = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut best =
                (get(&row, j) + usize::from(ca != cb)).min(get(&row, j + 1) + 1).min(get(&next, j) + 1);
            let swapped = j > 0 && previous_char == Some(cb) && b.get(j - 1) == Some(&ca);
            if swapped {
                best = best.min(get(&above, j - 1) + 1);
            }
            next.push(best);
        }
        above = std::mem::replace(&mut row, next);
        previous_char = Some(ca);
    }
    row.last().copied().unwrap_or(0)
}

//! The lines that are different between two texts, as `diff -u` writes them.

use std::fmt::Write as _;
use std::ops::Range;

/// Unchanged lines around what changed.
const CONTEXT: usize = 3;

/// Most cells of the table of what two texts have in common; larger ones are told apart as a whole.
const MAX_CELLS: usize = 4 << 20;

/// Lines of a text that became other lines.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Changed {
    old: Range<usize>,
    new: Range<usize>,
}

/// A part of a diff: its lines with signs, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hunk {
    /// Lines of the old text, from 0.
    pub(crate) old: Range<usize>,
    /// Lines of the new text, from 0.
    pub(crate) new: Range<usize>,
    /// Each with its sign and its end.
    pub(crate) lines: String,
}

pub(crate) fn hunks(old: &str, new: &str) -> Vec<Hunk> {
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    let mut groups: Vec<Vec<Changed>> = Vec::new();
    for change in changes(&old, &new) {
        match groups.last_mut() {
            Some(group)
                if group.last().is_some_and(|last| change.old.start <= last.old.end + 2 * CONTEXT) =>
            {
                group.push(change);
            }
            _ => groups.push(vec![change]),
        }
    }
    groups.iter().filter_map(|group| hunk(group, &old, &new)).collect()
}

fn hunk(group: &[Changed], old: &[&str], new: &[&str]) -> Option<Hunk> {
    let (first, last) = (group.first()?, group.last()?);
    let before = CONTEXT.min(first.old.start);
    let after = CONTEXT.min(old.len() - last.old.end);
    let mut lines = String::new();
    let mut put = |sign: char, line: &str| {
        let _ = write!(lines, "{sign}{line}");
        if !line.ends_with('\n') {
            lines.push_str("\n\\ No newline at end of file\n");
        }
    };
    let mut at = first.old.start - before;
    for change in group {
        old.get(at..change.old.start)?.iter().for_each(|line| put(' ', line));
        old.get(change.old.clone())?.iter().for_each(|line| put('-', line));
        new.get(change.new.clone())?.iter().for_each(|line| put('+', line));
        at = change.old.end;
    }
    old.get(at..at + after)?.iter().for_each(|line| put(' ', line));
    Some(Hunk {
        old: first.old.start - before..last.old.end + after,
        new: first.new.start - before..last.new.end + after,
        lines,
    })
}

fn changes(old: &[&str], new: &[&str]) -> Vec<Changed> {
    let first = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (old.get(first..).unwrap_or_default(), new.get(first..).unwrap_or_default());
    let last = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let old = old.get(..old.len() - last).unwrap_or_default();
    let new = new.get(..new.len() - last).unwrap_or_default();
    if old.is_empty() && new.is_empty() {
        return Vec::new();
    }
    if old.len().saturating_mul(new.len()) > MAX_CELLS {
        return vec![Changed { old: first..first + old.len(), new: first..first + new.len() }];
    }
    // How many lines both have in common from here on.
    let width = new.len() + 1;
    let mut common = vec![0_usize; (old.len() + 1) * width];
    let cell =
        |common: &[usize], row: usize, column: usize| common.get(row * width + column).copied().unwrap_or(0);
    for (row, old) in old.iter().enumerate().rev() {
        for (column, new) in new.iter().enumerate().rev() {
            let best = if old == new {
                cell(&common, row + 1, column + 1) + 1
            } else {
                cell(&common, row + 1, column).max(cell(&common, row, column + 1))
            };
            if let Some(slot) = common.get_mut(row * width + column) {
                *slot = best;
            }
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut found: Vec<Changed> = Vec::new();
    while row < old.len() || column < new.len() {
        let (start_row, start_column) = (row, column);
        while row < old.len() || column < new.len() {
            if row < old.len() && column < new.len() && old.get(row) == new.get(column) {
                break;
            }
            if row < old.len() && cell(&common, row + 1, column) >= cell(&common, row, column + 1)
                || column == new.len()
            {
                row += 1;
            } else {
                column += 1;
            }
        }
        if (row, column) != (start_row, start_column) {
            found.push(Changed {
                old: first + start_row..first + row,
                new: first + start_column..first + column,
            });
        }
        while row < old.len() && column < new.len() && old.get(row) == new.get(column) {
            row += 1;
            column += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(old: &str, new: &str) -> String {
        hunks(old, new).iter().fold(String::new(), |mut text, hunk| {
            let Hunk { old, new, lines } = hunk;
            let _ = write!(text, "{}..{} {}..{}\n{lines}", old.start, old.end, new.start, new.end);
            text
        })
    }

    #[test]
    fn changes_stand_among_the_lines_around_them() {
        assert_eq!(diff("a\nb\n", "a\nb\n"), "");
        assert_eq!(diff("a\nb\nc\nd\ne\nf\n", "a\nb\nc\nd\nX\nf\n"), "1..6 1..6\n b\n c\n d\n-e\n+X\n f\n");
        assert_eq!(diff("a\nb\n", "a\nX\nb\nY\n"), "0..2 0..4\n a\n+X\n b\n+Y\n");
        assert_eq!(diff("a\n", ""), "0..1 0..0\n-a\n");
        assert_eq!(diff("a", "b\n"), "0..1 0..1\n-a\n\\ No newline at end of file\n+b\n");
    }

    #[test]
    fn changes_far_from_each_other_are_apart() {
        let lines = |first: &str, last: &str| format!("{first}\n{}{last}\n", "x\n".repeat(9));
        let hunks = hunks(&lines("a", "b"), &lines("A", "B"));
        assert_eq!(hunks.iter().map(|hunk| hunk.old.clone()).collect::<Vec<_>>(), [0..4, 7..11]);
    }
}

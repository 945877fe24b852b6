//! Comments in manifests that let a finding pass: `# portcullis-ignore: CONSTRAINT reason`. Only with
//! `--allow-inline-ignores`: who writes manifests decides then what counts.
//!
//! A comment is about the line that it ends, or that comes next; one before the first line of an object is about
//! all of it. What could not be evaluated is never ignored.

use std::ops::Range;

use portcullis::{ConstraintKey, Document, Error, ErrorKind, Location};

const WORD: &str = "portcullis-ignore:";

/// A comment.
#[derive(Debug)]
pub struct Ignore {
    /// The name of a constraint, its kind, or `Kind/name`.
    constraint: String,
    /// Never empty.
    pub reason: String,
    /// The lines that it is about, from 1; `None` for all of the object.
    lines: Option<Range<u32>>,
}

impl Ignore {
    /// Whether it is about what a constraint finds at a place.
    pub fn covers(&self, key: &ConstraintKey, place: &Location) -> bool {
        let is_named = *self.constraint == *key.name
            || *self.constraint == *key.kind
            || self.constraint == key.to_string();
        is_named && self.lines.as_ref().is_none_or(|lines| lines.contains(&place.line()))
    }
}

/// The comments of an object, and a warning for each that gives no reason, and so ignores nothing.
pub fn ignores(document: &Document) -> (Vec<Ignore>, Vec<Error>) {
    let (mut ignores, mut problems) = (Vec::new(), Vec::new());
    let source = document.source();
    // JSON has no comments.
    if !source.text().contains(WORD) || source.text().trim_start().starts_with(['{', '[']) {
        return (ignores, problems);
    }
    let whole = document.location();
    let lines: Vec<&str> = source.text().lines().collect();
    let line = |number: u32| lines.get(number.saturating_sub(1) as usize).copied().unwrap_or_default();
    let (first, (last, _)) = (whole.line(), whole.end());
    // Comments before the object begin behind what ends the one before.
    let is_comment =
        |number: u32| line(number).trim_start().starts_with('#') || line(number).trim().is_empty();
    let mut from = first;
    while from > 1 && is_comment(from - 1) {
        from -= 1;
    }
    for number in from..=last {
        let Some((before, said)) = line(number).split_once(WORD) else { continue };
        let Some(code) = before.trim_end().strip_suffix('#') else { continue };
        let has_code = !code.trim().is_empty();
        // `x: "a#portcullis-ignore"` is no comment: one stands alone, or behind a space.
        if has_code && !code.ends_with([' ', '\t']) {
            continue;
        }
        // A line of a block scalar is a part of its text.
        let at = source.line_start(number).unwrap_or_default();
        let hash = u32::try_from(before.trim_end().len().saturating_sub(1)).unwrap_or(u32::MAX);
        if document.is_in_scalar(at.saturating_add(hash)) {
            continue;
        }
        let (constraint, reason) = said.trim().split_once(char::is_whitespace).unwrap_or((said.trim(), ""));
        if constraint.is_empty() || reason.trim().is_empty() {
            let message = format!(
                "this comment ignores nothing: it is to say of whom, and why: `# {WORD} CONSTRAINT reason`"
            );
            let place = Location::new(source.clone(), at..at);
            problems.push(Error::warning(ErrorKind::Exception, message).at(place));
            continue;
        }
        let lines = match (number < first, has_code) {
            (true, _) => None,
            (false, true) => Some(number..number + 1),
            (false, false) => Some(number..number + 2),
        };
        ignores.push(Ignore { constraint: constraint.to_owned(), reason: reason.trim().to_owned(), lines });
    }
    (ignores, problems)
}

//! What is written before a cursor: `input.review.object.sp|`, in Rego and CEL alike, also where the text around it is
//! no program yet.

use std::ops::Range;

use crate::rego::Path;

/// A path that somebody is writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// The steps that are complete, the first of which is a variable.
    pub steps: Path,
    /// The bytes of what is being written: empty behind a dot.
    pub partial: Range<usize>,
}

/// Reads backwards from a byte of a text.
pub fn before(text: &str, offset: usize) -> Before {
    let offset = text.floor_char_boundary(offset.min(text.len()));
    let mut rest = text.get(..offset).unwrap_or_default();
    let partial = word_at_end(rest);
    rest = rest.get(..rest.len() - partial.len()).unwrap_or_default();
    let partial = rest.len()..offset;
    let mut steps = Vec::new();
    // Before a field that need not be there stands `.?`.
    while let Some(left) = rest.strip_suffix('?').unwrap_or(rest).strip_suffix('.') {
        rest = left;
        // `a[x]["b"]` has a step for each pair of brackets.
        while let Some(left) = rest.strip_suffix(']') {
            let Some(open) = left
                .rfind(['[', '\n'])
                .filter(|open| left.get(*open..).is_some_and(|at| at.starts_with('[')))
            else {
                return Before { steps: Vec::new(), partial };
            };
            let index = left.get(open + 1..).unwrap_or_default().trim();
            let name = index.strip_prefix('"').and_then(|index| index.strip_suffix('"'));
            steps.push(name.map(str::to_owned));
            rest = left.get(..open).unwrap_or_default();
        }
        let name = word_at_end(rest);
        if name.is_empty() {
            return Before { steps: Vec::new(), partial };
        }
        steps.push(Some(name.to_owned()));
        rest = rest.get(..rest.len() - name.len()).unwrap_or_default();
    }
    steps.reverse();
    Before { steps, partial }
}

fn word_at_end(text: &str) -> &str {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let start = text
        .rfind(|c| !is_word(c))
        .map_or(0, |at| at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8));
    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::string_slice, reason = "a test panics when it fails")]

    use super::*;

    #[track_caller]
    fn check(text: &str, steps: &[Option<&str>], partial: &str) {
        let found = before(text, text.len());
        let steps: Path = steps.iter().map(|step| step.map(str::to_owned)).collect();
        assert_eq!((found.steps, &text[found.partial]), (steps, partial), "{text}");
    }

    #[test]
    fn what_is_before_the_cursor_is_a_path_and_a_beginning() {
        check("x := input.review.ob", &[Some("input"), Some("review")], "ob");
        check("input.parameters.", &[Some("input"), Some("parameters")], "");
        check(
            "f(input.review.object.spec.containers[_][\"a.b\"].im",
            &[
                Some("input"),
                Some("review"),
                Some("object"),
                Some("spec"),
                Some("containers"),
                None,
                Some("a.b"),
            ],
            "im",
        );
        check("object.?spec.", &[Some("object"), Some("spec")], "");
        check("é.x", &[], "x");
        check("count", &[], "count");
        check("f(x).", &[], "");
        check("x]\n].a", &[], "a");
        check("", &[], "");
    }
}

//! Errors of the Rego engine, which are texts with a drawing, turned into a sentence and a position in the template.

use super::EngineText;
use crate::document::Document;
use crate::source::Location;

/// An error text taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EngineError {
    pub(super) message: String,
    /// Number of the module, line and column, from 1.
    position: Option<(usize, usize, usize)>,
}

impl EngineError {
    /// The engine writes `\n--> <module>:<line>:<column>\n … drawing … \nerror: <sentence>`, or just a sentence.
    pub(super) fn parse(text: &str) -> Self {
        let position = text.lines().find_map(|line| parse_position(line.trim_start().strip_prefix("--> ")?));
        let sentence = text
            .split_once("error: ")
            .map_or(text, |(_, sentence)| sentence)
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or("the Rego engine failed without saying why");
        Self { message: without_positions(sentence), position }
    }

    /// The position in the document that holds the module.
    pub(super) fn locate(&self, document: &Document, texts: &[EngineText]) -> Option<Location> {
        let (module, line, column) = self.position?;
        let EngineText { template, edits } = texts.get(module)?;
        let offset = edits.original(offset_of(&edits.apply(&template.text), line, column)?);
        document.locate_in_text(&template.path, offset).or_else(|| document.locate(&template.path))
    }
}

fn parse_position(text: &str) -> Option<(usize, usize, usize)> {
    let mut parts = text.trim().splitn(3, ':').map(|part| part.trim().parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// Leaves out ` at 0:3:1`, which names a module by the number we gave it; where it is said better, by [`EngineError::locate`].
fn without_positions(sentence: &str) -> String {
    let mut words = sentence.split(' ').peekable();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        let next_is_position = words.peek().is_some_and(|next| {
            parse_position(next.trim_end_matches(|c: char| !c.is_ascii_digit())).is_some()
        });
        if word == "at" && next_is_position {
            words.next();
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
}

/// Byte offset of a line and column, both from 1.
fn offset_of(text: &str, line: usize, column: usize) -> Option<usize> {
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    Some((start + column.saturating_sub(1)).min(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_are_taken_apart() {
        let text = "\n--> 0:3:5\n  |\n3 | x y\n  |     ^\nerror: expecting `:=`";
        let error = EngineError::parse(text);
        assert_eq!(error.message, "expecting `:=`");
        assert_eq!(error.position, Some((0, 3, 5)));
    }

    #[test]
    fn module_numbers_do_not_reach_users() {
        assert_eq!(
            EngineError::parse("rule conflicts with rule at 0:3:1").message,
            "rule conflicts with rule"
        );
        assert_eq!(EngineError::parse("at 5: look at this").message, "at 5: look at this");
    }

    #[test]
    fn bare_sentences_stay() {
        let error = EngineError::parse("something broke");
        assert_eq!(error.message, "something broke");
        assert_eq!(error.position, None);
    }
}

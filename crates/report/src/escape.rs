//! Keeps what a manifest or a policy says from speaking to the terminal: control characters and characters
//! that reorder text are shown as escapes.

use std::borrow::Cow;

/// A text for one line: line breaks are shown as `\n`.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_harmful(c) || c == '\n')
}

/// A text that may have several lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful)
}

/// A piece of a source, each harmful character replaced by one that is as wide as it.
pub fn source(text: &str) -> Cow<'_, str> {
    let replaced = |c: char| is_harmful(c) && c != '\t';
    if !text.contains(replaced) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if replaced(c) { '\u{fffd}' } else { c }).collect())
}

fn escaped(text: &str, harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&harmful) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

fn is_harmful(c: char) -> bool {
    let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    (c.is_control() && c != '\n') || reorders || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_commands_are_shown_instead_of_obeyed() {
        assert_eq!(line("a\u{1b}[31mred\nb"), "a\\u{1b}[31mred\\nb");
        assert_eq!(lines("a\nb\u{9b}1m"), "a\nb\\u{9b}1m");
        assert_eq!(line("plain, ünï ✓"), "plain, ünï ✓");
        assert_eq!(source("a\u{1b}\tb\u{202e}"), "a\u{fffd}\tb\u{fffd}");
    }
}

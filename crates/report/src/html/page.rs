//! Text into HTML. Markup is `&'static str`, so that nothing that comes from a policy or an object can be
//! markup: it gets into the page through the holes of a template, and holes escape.

use std::fmt::Write as _;
use std::io::{self, Write};

/// What fills a hole, `{}`, of a template. Holes stand in elements and in quoted attributes, never inside of
/// `<style>`, `<script>` or a comment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hole<'a> {
    /// Any text, escaped.
    Text(&'a str),
    /// The beginning of a text, escaped, and how many characters are left out.
    Short(&'a str, usize),
    /// A number to read: `100,000`.
    Count(u64),
    /// A number to compute with: `100000`.
    Number(u64),
    /// Text of our own, which may be markup.
    Html(&'static str),
}

/// A page, or a part of it, that is being written.
#[derive(Default)]
pub(super) struct Page {
    html: String,
}

impl Page {
    /// Adds a template with its holes filled. A template with another number of holes is a mistake of ours,
    /// and an error rather than a page with texts in the wrong place.
    pub(super) fn put(&mut self, template: &'static str, holes: &[Hole<'_>]) -> io::Result<()> {
        let mut pieces = template.split("{}");
        self.html.push_str(pieces.next().unwrap_or_default());
        let mut holes = holes.iter();
        for piece in pieces {
            let hole = holes.next().ok_or_else(|| wrong_holes(template))?;
            self.fill(*hole);
            self.html.push_str(piece);
        }
        match holes.next() {
            Some(_) => Err(wrong_holes(template)),
            None => Ok(()),
        }
    }

    /// Adds markup as it is.
    pub(super) fn raw(&mut self, markup: &'static str) {
        self.html.push_str(markup);
    }

    /// Adds a part that was written apart.
    pub(super) fn part(&mut self, part: &Page) {
        self.html.push_str(&part.html);
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.html.len()
    }

    /// Takes back what was added since it had so many bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.html.truncate(length);
    }

    /// Writes what there is and starts anew.
    pub(super) fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.html.as_bytes())?;
        self.html.clear();
        Ok(())
    }

    fn fill(&mut self, hole: Hole<'_>) {
        match hole {
            Hole::Text(text) => escape_into(text, &mut self.html),
            Hole::Short(text, most) => {
                let Some((cut, _)) = text.char_indices().nth(most) else {
                    return escape_into(text, &mut self.html);
                };
                let (start, rest) = text.split_at(cut);
                escape_into(start, &mut self.html);
                let left = rest.chars().count() as u64;
                self.html.push_str("… (");
                group_into(left, &mut self.html);
                self.html.push_str(" more characters)");
            }
            Hole::Count(number) => group_into(number, &mut self.html),
            Hole::Number(number) => {
                // Writing into a text cannot fail.
                let _ = write!(self.html, "{number}");
            }
            Hole::Html(markup) => self.html.push_str(markup),
        }
    }
}

fn wrong_holes(template: &str) -> io::Error {
    io::Error::other(format!("a template of the HTML report has another number of holes: {template}"))
}

/// Escapes for elements and for quoted attributes alike. Characters that nobody sees, or that reorder others,
/// are shown as escapes.
fn escape_into(text: &str, html: &mut String) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c if is_unseen(c) => html.extend(c.escape_unicode()),
            c => html.push(c),
        }
    }
}

/// Control characters, marks of direction, characters without width, line separators, tags, and what is not a
/// character at all.
fn is_unseen(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' | '\u{feff}'
        )
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{fdd0}'..='\u{fdef}' | '\u{e0000}'..='\u{e0fff}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let mut text = String::new();
    group_into(number, &mut text);
    text
}

fn group_into(number: u64, text: &mut String) {
    let digits = number.to_string();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn filled(template: &'static str, holes: &[Hole<'_>]) -> String {
        let mut page = Page::default();
        page.put(template, holes).unwrap();
        page.html
    }

    #[test]
    fn texts_are_escaped_for_elements_and_attributes() {
        let hostile = "</script>\"'><img src=x onerror=a()>&amp;";
        let html = filled("<p title=\"{}\">{}</p>", &[Hole::Text(hostile), Hole::Text(hostile)]);
        let escaped = "&lt;/script&gt;&quot;&#39;&gt;&lt;img src=x onerror=a()&gt;&amp;amp;";
        assert_eq!(html, format!("<p title=\"{escaped}\">{escaped}</p>"));
    }

    #[test]
    fn what_nobody_sees_is_shown() {
        let html =
            filled("{}", &[Hole::Text("a\u{0}\u{1b}[2J\u{202e}b\u{200b}\u{2028}\u{e0041}\u{feff}\r\n\tç✓")]);
        assert_eq!(html, "a\\u{0}\\u{1b}[2J\\u{202e}b\\u{200b}\\u{2028}\\u{e0041}\\u{feff}\\u{d}\n\tç✓");
    }

    #[test]
    fn long_texts_are_cut_between_characters_and_say_so() {
        assert_eq!(filled("{}", &[Hole::Short("ééé", 3)]), "ééé");
        assert_eq!(filled("{}", &[Hole::Short("éé<é", 2)]), "éé… (2 more characters)");
    }

    #[test]
    fn numbers_are_grouped_for_readers_only() {
        let numbers = [0, 999, 1_000, 12_345_678].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "12,345,678"]);
        assert_eq!(filled("{}", &[Hole::Number(12_345)]), "12345");
    }

    #[test]
    fn a_template_takes_as_many_texts_as_it_has_holes() {
        assert!(Page::default().put("{} {}", &[Hole::Number(1)]).is_err());
        assert!(Page::default().put("{}", &[Hole::Number(1), Hole::Number(2)]).is_err());
    }
}

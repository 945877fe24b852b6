//! Code frames: a title, the lines of a source with a mark below, and notes, as rustc prints them.

use std::ops::Range;
use std::sync::LazyLock;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use portcullis::Location;

use crate::escape;

/// Long lines of a source are cut to the width of the terminal, and in a pipe to one that fits most screens.
static WIDTH: LazyLock<usize> = LazyLock::new(|| {
    const USUAL: usize = 140;
    terminal_size::terminal_size().map_or(USUAL, |(width, _)| usize::from(width.0).max(60))
});

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// The input or the object is wrong.
    Error,
    /// It works, but probably not as meant.
    Warning,
    /// Only to be known.
    Note,
}

impl Gravity {
    fn level(self) -> Level<'static> {
        match self {
            Self::Error => Level::ERROR,
            Self::Warning => Level::WARNING,
            Self::Note => Level::NOTE,
        }
    }
}

/// One thing to show.
#[derive(Debug)]
pub struct Frame<'a> {
    /// How grave it is.
    pub gravity: Gravity,
    /// Stands in brackets after the gravity.
    pub code: &'a str,
    /// The first line.
    pub title: &'a str,
    /// What is marked.
    pub location: Option<&'a Location>,
    /// Stands beside the mark.
    pub label: Option<&'a str>,
    /// Name and text of each note.
    pub notes: Vec<(&'static str, String)>,
    /// A further place, and what it is.
    pub related: Option<(&'a str, &'a Location)>,
}

impl Frame<'_> {
    /// The text, with colours; the stream takes them out if it has none.
    pub fn render(&self) -> String {
        let title = escape::lines(self.title.trim_end());
        let code = escape::line(self.code);
        let mut group = Group::with_title(self.gravity.level().primary_title(title).id(code));
        if let Some(location) = self.location {
            group = add_source(group, location, self.label);
        }
        for (name, text) in &self.notes {
            // `  = name: ` and the line number stand before it.
            let text = wrapped(&escape::lines(text.trim_end()), WIDTH.saturating_sub(name.len() + 10));
            group = group.element(Level::NOTE.with_name(Some(*name)).message(text));
        }
        let mut report = vec![group];
        if let Some((title, location)) = self.related {
            let title = Level::NOTE.secondary_title(escape::lines(title));
            report.push(add_source(Group::with_title(title), location, None));
        }
        let renderer = Renderer::styled().decor_style(DecorStyle::Ascii).term_width(*WIDTH);
        let mut text = renderer.render(&report);
        text.push('\n');
        text
    }
}

/// Breaks a text between words so that no line is longer than it may be, unless a single word is.
fn wrapped(text: &str, width: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    for line in text.lines() {
        let mut room = width;
        for (position, word) in line.split(' ').enumerate() {
            let length = word.chars().count();
            if position > 0 && length + 1 > room {
                wrapped.push('\n');
                room = width;
            } else if position > 0 {
                wrapped.push(' ');
                room -= 1;
            }
            wrapped.push_str(word);
            room = room.saturating_sub(length);
        }
        wrapped.push('\n');
    }
    wrapped.truncate(wrapped.trim_end().len());
    wrapped
}

fn add_source<'a>(group: Group<'a>, location: &'a Location, label: Option<&'a str>) -> Group<'a> {
    let path = escape::line(location.file());
    let excerpt = Excerpt::of(location);
    if excerpt.text.is_empty() {
        return group.element(Origin::path(path));
    }
    let mark = AnnotationKind::Primary.span(excerpt.mark).label(label.map(escape::line));
    let snippet = Snippet::source(excerpt.text).line_start(excerpt.first_line as usize).fold(false);
    let snippet = snippet.annotation(mark);
    if excerpt.is_cut {
        // The column in what is shown is not that in the line.
        let (line, column) = (location.line() as usize, location.column() as usize);
        return group.element(Origin::path(path).line(line).char_column(column)).element(snippet);
    }
    group.element(snippet.path(path))
}

/// The marked line with the one before it, unless that is long; of a long line what is around the mark. Only
/// these are handed on: a source may be large and of one line, findings many.
struct Excerpt {
    text: String,
    first_line: u32,
    mark: Range<usize>,
    /// Whether the line begins before what is shown.
    is_cut: bool,
}

/// Of a line that is only there to show what the marked one belongs to.
const LONGEST_ABOVE: usize = 160;
/// Of the marked line, before the mark, and of the mark with what is after it.
const LONGEST_BEFORE: usize = 1024;
const LONGEST_AFTER: usize = 4096;
/// What is left of a longer one.
const SHOWN_BEFORE: usize = 60;
const SHOWN_AFTER: usize = 200;

impl Excerpt {
    fn of(location: &Location) -> Self {
        let source = location.source();
        let text = source.text();
        let range = location.range();
        let (start, end) = (range.start as usize, range.end as usize);
        let line = location.line();
        let begin_of = |line| source.line_start(line).map_or(0, |start| start as usize);
        let above = line
            .checked_sub(1)
            .filter(|above| *above > 0 && begin_of(line) - begin_of(*above) <= LONGEST_ABOVE);
        let first_line = above.unwrap_or(line);
        let begin = begin_of(first_line);
        let line_end =
            source.line_start(line + 1).map_or(text.len(), |start| (start as usize).saturating_sub(1));
        // What is marked ends with its first line.
        let end = end.clamp(start, line_end.max(start));
        let is_cut = start - begin_of(line).min(start) > LONGEST_BEFORE;
        let (first_line, begin) =
            if is_cut { (line, text.floor_char_boundary(start - SHOWN_BEFORE)) } else { (first_line, begin) };
        let is_long = line_end.saturating_sub(start) > LONGEST_AFTER;
        let line_end = if is_long { text.floor_char_boundary(start + SHOWN_AFTER) } else { line_end };
        let end = end.min(line_end);
        let part = |range: Range<usize>| escape::source(text.get(range).unwrap_or_default());
        let before = part(begin..start);
        let marked = part(start..end);
        let after = part(end..line_end);
        let marked = marked.trim_end();
        let mark = before.len()..before.len() + marked.len();
        Self { text: format!("{before}{marked}{after}"), first_line, mark, is_cut }
    }
}

#[cfg(test)]
mod tests {
    use portcullis::Source;

    use super::*;

    #[test]
    fn texts_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), "one two\nthree");
        assert_eq!(wrapped("incomprehensible word", 4), "incomprehensible\nword");
        assert_eq!(wrapped("a\n  b", 10), "a\n  b");
        assert_eq!(wrapped("", 10), "");
    }

    #[track_caller]
    fn excerpt(text: &str, range: Range<u32>) -> (String, u32, String) {
        let excerpt = Excerpt::of(&Location::new(Source::new("x", text), range));
        let marked = excerpt.text.get(excerpt.mark.clone()).unwrap().to_owned();
        (excerpt.text, excerpt.first_line, marked)
    }

    #[test]
    fn excerpts_are_the_marked_line_and_the_one_above() {
        let text = "one\ntwo\nthree\nfour";
        assert_eq!(excerpt(text, 8..13), ("two\nthree".into(), 2, "three".into()));
        assert_eq!(excerpt(text, 0..3), ("one".into(), 1, "one".into()));
        assert_eq!(excerpt(text, 4..18), ("one\ntwo".into(), 1, "two".into()));
        assert_eq!(excerpt(text, 18..18), ("three\nfour".into(), 3, String::new()));
        assert_eq!(excerpt("", 0..0), (String::new(), 1, String::new()));
        // What cannot be shown keeps its place.
        assert_eq!(excerpt("\u{1b}x: \u{9b}y", 1..2), ("\u{fffd}x: \u{fffd}y".into(), 1, "x".into()));
        let long = format!("{}\ntwo", "x".repeat(500));
        assert_eq!(excerpt(&long, 501..504), ("two".into(), 2, "two".into()));
    }

    #[test]
    fn of_a_long_line_what_is_around_the_mark_is_shown() {
        let text = format!("one\n{}mark{}\nthree", "é".repeat(5_000), "ü".repeat(5_000));
        let (shown, line, marked) = excerpt(&text, 10_004..10_008);
        assert_eq!((shown.len(), line, &*marked), (260, 2, "mark"));
        let frame = Frame {
            gravity: Gravity::Error,
            code: "c",
            title: "t",
            location: Some(&Location::new(Source::new("x", text.as_str()), 10_004..10_008)),
            label: None,
            notes: Vec::new(),
            related: None,
        };
        let rendered = anstream::adapter::strip_str(&frame.render()).to_string();
        assert!(rendered.contains("--> x:2:5001\n"), "{rendered}");
        assert!(rendered.len() < 1000, "{rendered}");
        // All of a mark is not shown, either.
        let (shown, _, marked) = excerpt(&text, 4..20_008);
        assert_eq!((shown.len(), marked.len()), (204, 200));
    }
}

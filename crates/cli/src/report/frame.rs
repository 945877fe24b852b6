//! Code frames: a title, the lines of a source with a mark below, and notes, as rustc prints them.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use portcullis::Location;

use super::escape;

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    Error,
    Warning,
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
    pub gravity: Gravity,
    /// Stands in brackets behind the gravity.
    pub code: &'a str,
    pub title: &'a str,
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
            let text = escape::lines(text.trim_end()).into_owned();
            group = group.element(Level::NOTE.with_name(Some(*name)).message(text));
        }
        let mut report = vec![group];
        if let Some((title, location)) = self.related {
            let title = Level::NOTE.secondary_title(escape::lines(title));
            report.push(add_source(Group::with_title(title), location, None));
        }
        let mut text = Renderer::styled().decor_style(DecorStyle::Ascii).render(&report);
        text.push('\n');
        text
    }
}

fn add_source<'a>(group: Group<'a>, location: &'a Location, label: Option<&'a str>) -> Group<'a> {
    let path = escape::line(location.file());
    let excerpt = Excerpt::of(location);
    if excerpt.text.is_empty() {
        return group.element(Origin::path(path));
    }
    let mark = AnnotationKind::Primary.span(excerpt.mark).label(label.map(escape::line));
    let snippet = Snippet::source(excerpt.text).line_start(excerpt.first_line as usize).path(path).fold(false);
    group.element(snippet.annotation(mark))
}

/// The marked line with the one before it, unless that is long. Only these are handed on: a source may be large, findings
/// many.
struct Excerpt {
    text: String,
    first_line: u32,
    mark: Range<usize>,
}

impl Excerpt {
    fn of(location: &Location) -> Self {
        /// Of a line that is only there to show what the marked one belongs to.
        const LONGEST: usize = 160;
        let source = location.source();
        let text = source.text();
        let range = location.range();
        let (start, end) = (range.start as usize, range.end as usize);
        let line = location.line();
        let begin_of = |line| source.line_start(line).map_or(0, |start| start as usize);
        let above = line.checked_sub(1).filter(|above| *above > 0 && begin_of(line) - begin_of(*above) <= LONGEST);
        let first_line = above.unwrap_or(line);
        let begin = begin_of(first_line);
        let line_end = source.line_start(line + 1).map_or(text.len(), |start| (start as usize).saturating_sub(1));
        // What is marked ends with its first line.
        let end = end.clamp(start, line_end.max(start));
        let part = |range: Range<usize>| escape::source(text.get(range).unwrap_or_default());
        let before = part(begin..start);
        let marked = part(start..end);
        let after = part(end..line_end);
        let marked = marked.trim_end();
        let mark = before.len()..before.len() + marked.len();
        Self { text: format!("{before}{marked}{after}"), first_line, mark }
    }
}

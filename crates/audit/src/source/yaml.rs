//! Where the documents of a YAML stream end, and the items of its lists. What is at the left margin cannot be part of a text or of
//! anything deeper, so lines are all that is looked at.

use std::collections::VecDeque;

use super::split::{Bad, Collecting, Head, Identity, Piece, Start};

/// The scanner between two bytes.
#[derive(Debug)]
pub(super) struct Yaml {
    line: u32,
    /// The beginning of a line that is not known far enough.
    pending: Vec<u8>,
    /// The beginning of this line has been looked at.
    looked: bool,
    document: Option<Document>,
}

#[derive(Debug)]
struct Document {
    start: Start,
    head: Head,
    state: State,
    /// Has content, or a directive that what follows belongs to.
    counts: bool,
}

#[derive(Debug)]
enum State {
    /// One piece.
    Whole(Collecting),
    /// Behind `items:`; the text so far, should it be no list.
    Items(Collecting),
    /// In a list whose dashes stand behind so many spaces.
    List { indent: usize, item: Option<Collecting> },
    /// Behind the items.
    Tail,
}

/// How much of a line is looked at: as much as a kind may have.
const LOOK: usize = Head::LONGEST + 32;

impl Yaml {
    pub(super) fn new() -> Self {
        Self::at(1)
    }

    pub(super) fn at(line: u32) -> Self {
        Self { line, pending: Vec::new(), looked: false, document: None }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], most: usize, pieces: &mut VecDeque<Piece>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (part, after) = rest.split_at(end);
            rest = after;
            let ends = part.ends_with(b"\n");
            if self.looked {
                self.push(part, most);
            } else {
                self.pending.extend_from_slice(part);
                if ends || self.pending.len() >= LOOK {
                    self.look(most, pieces);
                }
            }
            if ends {
                self.looked = false;
                self.line = self.line.saturating_add(1);
            }
        }
    }

    pub(super) fn finish(mut self, most: usize, pieces: &mut VecDeque<Piece>) {
        if !self.looked && !self.pending.is_empty() {
            self.look(most, pieces);
        }
        self.end_document(most, pieces);
    }

    fn push(&mut self, bytes: &[u8], most: usize) {
        match self.document.as_mut().map(|document| &mut document.state) {
            Some(State::Whole(text) | State::Items(text) | State::List { item: Some(text), .. }) => {
                text.push(bytes, most);
            }
            Some(State::List { item: None, .. } | State::Tail) | None => {}
        }
    }

    /// Looks at the beginning of a line and keeps it where it belongs.
    fn look(&mut self, most: usize, pieces: &mut VecDeque<Piece>) {
        let line = std::mem::take(&mut self.pending);
        self.looked = true;
        let start = Start { line: self.line, column: 1 };
        if is_marker(&line, b"---") || is_marker(&line, b"...") {
            let goes_on =
                self.document.as_ref().is_some_and(|document| !document.counts && line.starts_with(b"---"));
            if !goes_on {
                self.end_document(most, pieces);
            }
        }
        let document = self.document.get_or_insert_with(|| Document {
            start,
            head: Head::default(),
            state: State::Whole(Collecting::new(start, None)),
            counts: false,
        });
        document.line(line, start, most, pieces);
    }

    fn end_document(&mut self, most: usize, pieces: &mut VecDeque<Piece>) {
        let Some(document) = self.document.take() else { return };
        match document.state {
            State::Whole(text) | State::Items(text) => {
                if document.counts {
                    pieces.push_back(text.into_piece(most));
                }
            }
            State::List { item, .. } => {
                pieces.extend(item.map(|item| item.into_piece(most)));
                let bad = document.head.fault().map(|kind| Bad { start: document.start, kind });
                pieces.extend(bad.map(Piece::Bad));
            }
            State::Tail => {
                let bad = document.head.fault().map(|kind| Bad { start: document.start, kind });
                pieces.extend(bad.map(Piece::Bad));
            }
        }
    }
}

impl Document {
    fn line(&mut self, mut line: Vec<u8>, start: Start, most: usize, pieces: &mut VecDeque<Piece>) {
        let trimmed = line.trim_ascii();
        let is_content = !trimmed.is_empty() && !trimmed.starts_with(b"#");
        self.counts |= is_content && !is_marker(&line, b"---") && !is_marker(&line, b"...")
            || (is_marker(&line, b"---") && trimmed.len() > 3);
        let at_margin = is_content && !line.starts_with(b" ") && !line.starts_with(b"\t");
        if at_margin {
            self.head_line(trimmed);
        }
        let indent = line.iter().take_while(|byte| **byte == b' ').count();
        let is_dash =
            line.get(indent) == Some(&b'-') && line.get(indent + 1).is_none_or(u8::is_ascii_whitespace);
        if let State::Items(_) = &self.state
            && is_content
        {
            let State::Items(text) = std::mem::replace(&mut self.state, State::Tail) else { return };
            self.state = if is_dash { State::List { indent, item: None } } else { State::Whole(text) };
        }
        let identity = || -> Option<Identity> { self.head.item_identity() };
        match &mut self.state {
            State::Whole(text) => {
                text.push(&line, most);
                let is_items = at_margin && line.strip_prefix(b"items:").is_some_and(is_blank);
                if is_items && self.head.may_be_list() {
                    let empty = Collecting::new(start, None);
                    let text = std::mem::replace(text, empty);
                    self.state = State::Items(text);
                }
            }
            State::Items(text) => text.push(&line, most),
            State::List { indent: dashes, item } => {
                if is_dash && indent == *dashes {
                    let identity = identity();
                    pieces.extend(item.take().map(|item| item.into_piece(most)));
                    if let Some(dash) = line.get_mut(indent) {
                        *dash = b' ';
                    }
                    let mut next = Collecting::new(start, identity);
                    next.push(&line, most);
                    *item = Some(next);
                } else if is_content && indent <= *dashes {
                    pieces.extend(item.take().map(|item| item.into_piece(most)));
                    self.state = State::Tail;
                } else if let Some(item) = item {
                    item.push(&line, most);
                }
            }
            State::Tail => {}
        }
    }

    /// A line at the left margin: a key of the document.
    fn head_line(&mut self, line: &[u8]) {
        let value = |key: &[u8]| {
            let text = line.strip_prefix(key)?.trim_ascii();
            let text = text.split(|byte| *byte == b' ').next().unwrap_or_default();
            let text = String::from_utf8_lossy(text);
            Some(text.trim_matches(['"', '\'']).to_owned()).filter(|text| !text.is_empty())
        };
        if let Some(kind) = value(b"kind:") {
            self.head.kind = Some(kind);
        } else if let Some(version) = value(b"apiVersion:") {
            self.head.api_version = Some(version);
        }
    }
}

/// Whether a line is a document marker, alone or with something behind it.
fn is_marker(line: &[u8], marker: &[u8]) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// Nothing, or a comment.
fn is_blank(rest: &[u8]) -> bool {
    let trimmed = rest.trim_ascii();
    trimmed.is_empty() || (trimmed.starts_with(b"#") && rest.first().is_some_and(u8::is_ascii_whitespace))
}

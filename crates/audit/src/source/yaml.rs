//! Where the documents of a YAML stream end: at the lines where the core cuts it, too. A document that is small is not looked into.
//! The lists among the others are cut into items by what stands at the left margin.
//!
//! An item is read for itself. That is what the core finds in the whole, because no text and no bracket is open behind a text that can
//! be read for itself, and because the list without its items is read as well: it has to have its one item exactly here, at these
//! columns. What could still be meant by what stands elsewhere, an alias, cannot be read for itself.

use std::collections::VecDeque;

use portcullis::Form;
use portcullis_yaml::lines::{Chunks, Line, Step};

use super::split::{Bad, BadKind, Collecting, Frame, Identity, ListHead, MAX_PIECES, Piece, Role, Start};

/// The scanner between two bytes.
#[derive(Debug)]
pub(super) struct Yaml {
    line: u32,
    /// The beginning of a line that is not known far enough.
    pending: Vec<u8>,
    /// The beginning of this line has been looked at.
    looked: bool,
    chunks: Chunks,
    document: Option<Document>,
    odd: OddLines,
}

#[derive(Debug)]
struct Document {
    /// All of it, as long as it is small.
    small: Option<Collecting>,
    list: List,
    /// May have more than comments and white space: its reader finds out.
    counts: bool,
    /// The line is a comment so far.
    in_comment: bool,
    /// It is the line of a separator that belongs to no document. Nobody reads it as YAML, but it has to be text.
    is_separator: bool,
}

/// A document that may be a list.
#[derive(Debug)]
struct List {
    start: Start,
    head: ListHead,
    state: State,
    is_odd: bool,
}

#[derive(Debug)]
enum State {
    /// One piece.
    Whole(Collecting),
    /// Behind `items:`; the text so far.
    Items(Collecting),
    /// In a list whose dashes stand behind so many spaces.
    List { cut: Cut, item: Option<Collecting> },
    /// Behind the items.
    Tail(Cut),
}

/// A list without its items.
#[derive(Debug)]
struct Cut {
    text: Collecting,
    at: usize,
    place: Start,
    behind: Start,
    identity: Option<Identity>,
    indent: usize,
}

/// How much of a line is looked at: as much as a kind may have.
const LOOK: usize = ListHead::LONGEST + 32;
/// As much of a line that has dashes and white space only.
const MAX_SPACE: usize = 64 << 10;

impl Yaml {
    pub(super) fn new() -> Self {
        Self::at(1)
    }

    pub(super) fn at(line: u32) -> Self {
        Self {
            line,
            pending: Vec::new(),
            looked: false,
            chunks: Chunks::default(),
            document: None,
            odd: OddLines::default(),
        }
    }

    /// Takes bytes and says how many.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        most: usize,
        small: usize,
        pieces: &mut VecDeque<Piece>,
    ) -> usize {
        let mut at = 0;
        while at < bytes.len() && pieces.len() < MAX_PIECES {
            let rest = bytes.get(at..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let part = rest.get(..end).unwrap_or_default();
            at += end;
            let ends = part.ends_with(b"\n");
            if self.odd.are_in(part)
                && self.looked
                && let Some(document) = &mut self.document
            {
                document.list.is_odd = true;
                document.counts = true;
            }
            if self.looked {
                if let Some(document) = &mut self.document {
                    document.push(part, most, small, pieces);
                }
            } else {
                self.pending.extend_from_slice(part);
                let is_known = |most| self.pending.len() >= most;
                if ends || looked_at(&self.pending).is_some_and(is_known) {
                    self.look(most, small, pieces);
                }
            }
            if ends {
                self.looked = false;
                self.line = self.line.saturating_add(1);
            }
        }
        at
    }

    pub(super) fn finish(mut self, most: usize, pieces: &mut VecDeque<Piece>) {
        if !self.looked && !self.pending.is_empty() {
            self.look(most, most, pieces);
        }
        self.end_document(most, pieces);
    }

    /// Looks at the beginning of a line and keeps it where it belongs.
    fn look(&mut self, most: usize, small: usize, pieces: &mut VecDeque<Piece>) {
        let mut pending = std::mem::take(&mut self.pending);
        let is_odd = OddLines::default().are_in(&pending);
        let looked_at = looked_at(&pending).unwrap_or(pending.len()).min(pending.len());
        let (line, rest) = pending.split_at_mut_checked(looked_at).unwrap_or_default();
        // Of more white space it is not known whether it is a separator.
        let is_cut = !line.ends_with(b"\n") && line.len() >= MAX_SPACE && is_only_dashes(line);
        self.looked = true;
        let start = Start { line: self.line, column: 1 };
        if self.document.as_ref().is_some_and(|document| document.is_separator) {
            self.end_document(most, pieces);
        }
        let known = if is_cut { Line::Glued } else { Line::of(line) };
        let step = self.chunks.line(known);
        match step {
            Step::Keep => {}
            Step::End => self.end_document(most, pieces),
            Step::Refuse => {
                self.end_document(most, pieces);
                pieces.push_back(Piece::Bad(Bad { start, kind: BadKind::Glued }));
                return;
            }
            Step::Skip => return,
        }
        let document = self.document.get_or_insert_with(|| Document::new(start));
        if step == Step::End {
            document.is_separator = true;
            // As a comment, which says whether it is text.
            if let Some(dash) = line.first_mut() {
                *dash = b'#';
            }
        }
        if is_odd {
            document.list.is_odd = true;
            document.counts = true;
        }
        document.line(line, start, most, small, pieces);
        if !rest.is_empty() {
            document.push(rest, most, small, pieces);
        }
    }

    fn end_document(&mut self, most: usize, pieces: &mut VecDeque<Piece>) {
        let Some(Document { small, list, counts, is_separator, .. }) = self.document.take() else { return };
        if !counts {
            return;
        }
        if is_separator && list.is_odd {
            // For YAML its comment would end there; nobody reads it.
            pieces.push_back(Piece::Bad(Bad { start: list.start, kind: BadKind::OddSeparator }));
            return;
        }
        match small {
            Some(text) => pieces.push_back(text.into_piece(Role::Document(Form::Yaml), most)),
            None => list.end(most, pieces),
        }
    }
}

impl Document {
    fn new(start: Start) -> Self {
        let state = State::Whole(Collecting::new(start));
        Self {
            small: Some(Collecting::new(start)),
            list: List { start, head: ListHead::default(), state, is_odd: false },
            counts: false,
            in_comment: false,
            is_separator: false,
        }
    }

    /// The beginning of a line.
    fn line(&mut self, line: &[u8], start: Start, most: usize, small: usize, pieces: &mut VecDeque<Piece>) {
        let trimmed = line.trim_ascii();
        let is_separator = Line::of(line) == Line::Separator && !line.starts_with(b"---#");
        self.in_comment = !trimmed.is_empty() && (is_separator || !is_content(trimmed));
        self.counts |= is_content(trimmed) && !is_separator || !is_plain(line);
        match &mut self.small {
            Some(text) if text.length + line.len() as u64 <= small as u64 => text.push(line, small),
            Some(_) => {
                self.look_into(most, pieces);
                self.list.line(line, start, most, pieces);
            }
            None => self.list.line(line, start, most, pieces),
        }
    }

    /// More of the line.
    fn push(&mut self, bytes: &[u8], most: usize, small: usize, pieces: &mut VecDeque<Piece>) {
        if !self.counts {
            let trimmed = bytes.trim_ascii();
            self.counts = !is_plain(bytes) || !self.in_comment && !trimmed.is_empty();
        }
        match &mut self.small {
            Some(text) if text.length + bytes.len() as u64 <= small as u64 => text.push(bytes, small),
            Some(_) => {
                self.look_into(most, pieces);
                self.list.push(bytes, most);
            }
            None => self.list.push(bytes, most),
        }
    }

    /// It is not small: looks at the lines so far.
    fn look_into(&mut self, most: usize, pieces: &mut VecDeque<Piece>) {
        let Some(text) = self.small.take() else { return };
        let mut start = text.start;
        for line in text.bytes.split_inclusive(|byte| *byte == b'\n') {
            self.list.line(line, start, most, pieces);
            start.line = start.line.saturating_add(1);
        }
    }
}

impl List {
    fn push(&mut self, bytes: &[u8], most: usize) {
        match &mut self.state {
            State::Whole(text) | State::Items(text) | State::List { item: Some(text), .. } => {
                text.push(bytes, most);
            }
            State::List { cut, item: None } | State::Tail(cut) => cut.text.push(bytes, most),
        }
    }

    /// A line, or its beginning, which is all that is looked at.
    fn line(&mut self, line: &[u8], start: Start, most: usize, pieces: &mut VecDeque<Piece>) {
        let looked_at = looked_at(line).unwrap_or(line.len());
        let (line, rest) = line.split_at_checked(looked_at).unwrap_or((line, &[]));
        self.beginning(line, start, most, pieces);
        if !rest.is_empty() {
            self.push(rest, most);
        }
    }

    fn beginning(&mut self, line: &[u8], start: Start, most: usize, pieces: &mut VecDeque<Piece>) {
        let trimmed = line.trim_ascii();
        let is_content = is_content(trimmed);
        let at_margin = is_content && !line.starts_with(b" ") && !line.starts_with(b"\t");
        if at_margin {
            self.head_line(trimmed);
        }
        let indent = line.iter().take_while(|byte| **byte == b' ').count();
        let is_dash =
            line.get(indent) == Some(&b'-') && line.get(indent + 1).is_none_or(u8::is_ascii_whitespace);
        if is_content && let State::Items(text) = &mut self.state {
            let text = std::mem::replace(text, Collecting::new(start));
            self.state =
                if is_dash { self.begin_items(text, indent, start, most) } else { State::Whole(text) };
        }
        match &mut self.state {
            State::Whole(text) => {
                text.push(line, most);
                let is_items = at_margin && line.strip_prefix(b"items:").is_some_and(is_blank);
                if is_items && self.head.may_be_list() {
                    let text = std::mem::replace(text, Collecting::new(start));
                    self.state = State::Items(text);
                }
            }
            State::Items(text) => text.push(line, most),
            State::List { cut, item } => {
                if is_dash && indent == cut.indent {
                    // What a tab behind a dash means depends on what follows.
                    self.is_odd |= line.get(indent + 1) == Some(&b'\t');
                    let role = Role::Item(Form::Yaml, cut.identity.clone());
                    pieces.extend(item.take().map(|item| item.into_piece(role, most)));
                    let mut next = Collecting::new(start);
                    next.push(line.get(..indent).unwrap_or_default(), most);
                    next.push(b" ", most);
                    next.push(line.get(indent + 1..).unwrap_or_default(), most);
                    *item = Some(next);
                } else if is_content && indent <= cut.indent {
                    let role = Role::Item(Form::Yaml, cut.identity.clone());
                    pieces.extend(item.take().map(|item| item.into_piece(role, most)));
                    // Nor is it certain where a line belongs that begins with one.
                    self.is_odd |= line.get(indent) == Some(&b'\t');
                    let text = std::mem::replace(&mut cut.text, Collecting::new(start));
                    let behind = Start { line: start.line.saturating_sub(1), column: 1 };
                    let mut cut = Cut { text, identity: cut.identity.clone(), behind, ..*cut };
                    cut.text.push(line, most);
                    self.state = State::Tail(cut);
                } else if let Some(item) = item {
                    item.push(line, most);
                } else {
                    cut.text.push(line, most);
                }
            }
            State::Tail(cut) => cut.text.push(line, most),
        }
    }

    /// The items begin in this line: something stands for them in the text around them.
    fn begin_items(&self, mut text: Collecting, indent: usize, start: Start, most: usize) -> State {
        text.push(" ".repeat(indent).as_bytes(), most);
        text.push(b"- ", most);
        let at = text.bytes.len();
        text.push(b"{}\n", most);
        let column = u32::try_from(indent).unwrap_or(u32::MAX).saturating_add(3);
        let place = Start { line: start.line, column };
        let identity = self.head.item_identity();
        State::List { cut: Cut { text, at, place, behind: start, identity, indent }, item: None }
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

    fn end(self, most: usize, pieces: &mut VecDeque<Piece>) {
        let Self { start, state, is_odd, .. } = self;
        let (cut, item) = match state {
            State::Whole(text) | State::Items(text) => {
                pieces.push_back(text.into_piece(Role::Document(Form::Yaml), most));
                return;
            }
            State::List { cut, item } => (cut, item),
            State::Tail(cut) => (cut, None),
        };
        let Cut { text, at, place, behind, identity, .. } = cut;
        let role = Role::Item(Form::Yaml, identity.clone());
        pieces.extend(item.map(|item| item.into_piece(role, most)));
        if is_odd {
            pieces.push_back(Piece::Bad(Bad { start, kind: BadKind::OddLines }));
        }
        let frame = Frame { at, place, behind, identity, is_twice: false };
        pieces.push_back(text.into_piece(Role::Frame(Form::Yaml, frame), most));
    }
}

/// Finds what ends a line for YAML 1.1, but not here: CR alone, NEL, LS and PS.
#[derive(Debug, Default)]
struct OddLines {
    /// The last bytes of the part before.
    before: [u8; 2],
}

impl OddLines {
    fn are_in(&mut self, part: &[u8]) -> bool {
        let [first, second] = self.before;
        let byte = |at: usize, back: usize| match at.checked_sub(back) {
            Some(at) => part.get(at).copied(),
            None if at + 1 == back => Some(second),
            None => Some(first),
        };
        // A CR at the end of a part shows in the next one what it is.
        let carried = second == b'\r' && part.first().is_some_and(|byte| *byte != b'\n');
        let found = carried
            || memchr::memchr(b'\r', part).is_some_and(|_| {
                memchr::memchr_iter(b'\r', part).any(|at| part.get(at + 1).is_some_and(|byte| *byte != b'\n'))
            })
            || memchr::memchr3_iter(0x85, 0xa8, 0xa9, part).any(|at| match part.get(at) {
                Some(0x85) => byte(at, 1) == Some(0xc2),
                _ => byte(at, 1) == Some(0x80) && byte(at, 2) == Some(0xe2),
            });
        self.before = match part {
            [] => self.before,
            [only] => [second, *only],
            [.., first, second] => [*first, *second],
        };
        found
    }
}

/// How much of a line is looked at, if enough of it is there to tell: the same whatever portions it comes in.
fn looked_at(line: &[u8]) -> Option<usize> {
    let Some(rest) = line.strip_prefix(b"---") else { return Some(LOOK) };
    match rest.iter().position(|byte| !byte.is_ascii_whitespace()) {
        Some(first) => Some((first + 4).clamp(LOOK, MAX_SPACE)),
        None => (line.len() >= MAX_SPACE).then_some(MAX_SPACE),
    }
}

/// What may become a separator.
fn is_only_dashes(line: &[u8]) -> bool {
    line.strip_prefix(b"---").is_some_and(|rest| rest.trim_ascii().is_empty())
}

/// More than a comment and white space.
fn is_content(trimmed: &[u8]) -> bool {
    !trimmed.is_empty() && !trimmed.starts_with(b"#")
}

/// Whether YAML allows it all in a comment, and it ends no comment. There is more that it allows.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n'))
}

/// Nothing, or a comment.
fn is_blank(rest: &[u8]) -> bool {
    let trimmed = rest.trim_ascii();
    trimmed.is_empty() || (trimmed.starts_with(b"#") && rest.first().is_some_and(u8::is_ascii_whitespace))
}

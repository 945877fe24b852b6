//! Where the values of a JSON stream end, and the items of its lists. Nothing is understood but nesting, texts and the keys `kind`,
//! `apiVersion` and `items` of a value itself.
//!
//! What comes out is JSON if and only if the source is: an item is read for itself, the list without its items as a frame, and
//! between items there is one comma and white space, or that is reported.
//!
//! A broken value must not swallow what follows it. No text goes on in the next line, and no value begins at the left margin
//! inside of an object, so there a new one begins.

use std::collections::VecDeque;

use portcullis::Form;

use super::split::{Bad, BadKind, Collecting, Frame, Identity, ListHead, MAX_PIECES, Piece, Role, Start};

/// The scanner between two bytes. Its size does not depend on the source, but for what it collects.
#[derive(Debug)]
pub(super) struct Json {
    line: u32,
    /// Characters of this line before the next byte.
    column: u32,
    /// The byte before the next one.
    before: u8,
    open: Nesting,
    text_state: InText,
    /// The last byte that was neither white space nor part of a text; a quote stands for a text.
    last: u8,
    collected: Option<Collecting>,
    list: Option<List>,
    /// Of the value itself: its keys, as far as they are known.
    head: ListHead,
    /// The last text directly in the value.
    text: Vec<u8>,
    key: Vec<u8>,
    /// Where the value began.
    value_line: u32,
    /// A value ended in its own line: then every line is one.
    one_per_line: bool,
    separator: Separator,
    /// The source is called `.json`: there is nothing else in it than JSON, and separators between values mean nothing.
    is_named: bool,
    /// It goes on as YAML, from this line.
    leaves: Option<u32>,
}

/// A `---` between values, where it means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separator {
    None,
    /// So many dashes, from here.
    Dashes(u8, Start),
}

/// The list whose items come out.
#[derive(Debug)]
struct List {
    start: Start,
    /// What is around the items, while they come.
    frame: Option<Collecting>,
    at: usize,
    place: Start,
    behind: Start,
    identity: Option<Identity>,
    is_twice: bool,
    /// What may come next among the items.
    next: Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// An item, or the end.
    First,
    /// An item.
    Item,
    /// A comma, or the end.
    Comma,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InText {
    No,
    Yes,
    /// Behind a backslash.
    Escaped,
}

/// What is open: how deep, and of the outermost levels whether it is an object. No document is read that is deeper.
#[derive(Debug, Default)]
struct Nesting {
    depth: u64,
    objects: [u64; Nesting::WORDS],
}

impl Nesting {
    const WORDS: usize = 16;

    fn push(&mut self, is_object: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if let Some(word) = usize::try_from(word).ok().and_then(|word| self.objects.get_mut(word)) {
            *word = *word & !(1 << bit) | u64::from(is_object) << bit;
        }
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Whether the innermost one is an object, or too deep to be known; `None` if nothing is open.
    fn is_object(&self) -> Option<bool> {
        let last = self.depth.checked_sub(1)?;
        let word = usize::try_from(last / 64).ok().and_then(|word| self.objects.get(word));
        Some(word.is_none_or(|word| word >> (last % 64) & 1 == 1))
    }
}

/// The bytes at hand.
struct Chunk<'a> {
    bytes: &'a [u8],
    /// Where the part begins that is not yet collected.
    from: usize,
    /// How far lines and columns are counted.
    counted: usize,
}

impl Json {
    /// `is_named` as a file that has JSON only.
    pub(super) fn new(is_named: bool) -> Self {
        Self {
            line: 1,
            column: 0,
            before: b'\n',
            open: Nesting::default(),
            text_state: InText::No,
            last: 0,
            collected: None,
            list: None,
            head: ListHead::default(),
            text: Vec::new(),
            key: Vec::new(),
            value_line: 0,
            one_per_line: false,
            separator: Separator::None,
            is_named,
            leaves: None,
        }
    }

    /// The line from which on the stream is YAML, if it is one: where dashes stand at the left margin. No more is taken then.
    pub(super) fn leaves(&self) -> Option<u32> {
        self.leaves
    }

    /// Where a byte stands.
    fn place(&mut self, chunk: &mut Chunk<'_>, at: usize) -> Start {
        let passed = chunk.bytes.get(chunk.counted..at).unwrap_or_default();
        chunk.counted = at.max(chunk.counted);
        let lines = memchr::memchr_iter(b'\n', passed).count();
        let in_line = match memchr::memrchr(b'\n', passed) {
            None => passed,
            Some(end) => {
                self.column = 0;
                passed.get(end + 1..).unwrap_or_default()
            }
        };
        let characters = in_line.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        self.line = self.line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        self.column = self.column.saturating_add(u32::try_from(characters).unwrap_or(u32::MAX));
        Start { line: self.line, column: self.column.saturating_add(1) }
    }

    /// Whether a byte is the first of its line.
    fn at_margin(&self, chunk: &Chunk<'_>, at: usize) -> bool {
        at.checked_sub(1).map_or(Some(&self.before), |before| chunk.bytes.get(before)) == Some(&b'\n')
    }

    /// Takes bytes and says how many.
    pub(super) fn feed(&mut self, bytes: &[u8], most: usize, pieces: &mut VecDeque<Piece>) -> usize {
        let mut chunk = Chunk { bytes, from: 0, counted: 0 };
        let chunk = &mut chunk;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if pieces.len() >= MAX_PIECES {
                break;
            }
            if byte == b'{' && self.at_margin(chunk, at) && self.is_broken() {
                self.keep(chunk, at, most);
                self.abandon(most, pieces);
                chunk.from = at;
            }
            if self.text_state != InText::No {
                at = self.pass_text(bytes, at);
                continue;
            }
            match byte {
                b'\n' if self.open.depth == 0 && self.collected.is_some() => {
                    // No value: garbage to the end of the line.
                    self.keep(chunk, at, most);
                    self.emit(most, pieces);
                }
                b' ' | b'\t' | b'\r' | b'\n' if !matches!(self.separator, Separator::Dashes(..)) => {}
                _ => self.significant(byte, chunk, at, most, pieces),
            }
            if self.leaves.is_some() {
                // The byte is that of what follows.
                break;
            }
            at += 1;
        }
        self.keep(chunk, at, most);
        self.place(chunk, at);
        if let Some(before) = at.checked_sub(1).and_then(|before| bytes.get(before)) {
            self.before = *before;
        }
        at
    }

    /// Passes over a text, to its end, the end of the line or of the bytes. Returns where it is then.
    fn pass_text(&mut self, bytes: &[u8], from: usize) -> usize {
        let mut at = from;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.text_state == InText::Escaped {
                self.text_state = InText::Yes;
                // A line ends in any case.
                if rest.first() != Some(&b'\n') {
                    at += 1;
                    continue;
                }
            }
            let Some(found) = memchr::memchr3(b'"', b'\\', b'\n', rest) else {
                at = bytes.len();
                break;
            };
            at += found + 1;
            match rest.get(found) {
                Some(b'\\') => self.text_state = InText::Escaped,
                Some(b'"') => {
                    self.text_state = InText::No;
                    self.last = b'"';
                    break;
                }
                // It is broken, and what is open is not known any more.
                _ => {
                    self.last = b'\n';
                    break;
                }
            }
        }
        if self.open.depth == 1 {
            // The closing quote is no part of it.
            let end = if self.text_state == InText::No { at.saturating_sub(1) } else { at };
            let room = ListHead::LONGEST.saturating_sub(self.text.len());
            let part = bytes.get(from..end).unwrap_or_default();
            self.text.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
        }
        at
    }

    /// A byte outside of texts that is no white space.
    fn significant(
        &mut self,
        byte: u8,
        chunk: &mut Chunk<'_>,
        at: usize,
        most: usize,
        pieces: &mut VecDeque<Piece>,
    ) {
        if self.open.depth == 0 && self.collected.is_none() && !self.begins(byte, chunk, at, most) {
            return;
        }
        let in_items = self.is_in_items();
        let begins_item = self.collected.is_none();
        if in_items && self.open.depth == 2 && begins_item {
            self.between(byte, chunk, at, pieces);
        }
        match byte {
            b'"' => {
                self.text_state = InText::Yes;
                self.text.clear();
            }
            b'{' | b'[' => {
                let is_items = byte == b'['
                    && self.open.depth == 1
                    && self.open.is_object() == Some(true)
                    && self.last == b':'
                    && self.key == b"items";
                if in_items && self.open.depth == 2 && !begins_item {
                    // Behind a word, which is no item of its own then.
                    let start = self.place(chunk, at);
                    pieces.push_back(Piece::Bad(Bad { start, kind: BadKind::Between }));
                }
                self.open.push(byte == b'{');
                if is_items {
                    self.begin_items(chunk, at, most, pieces);
                }
            }
            b'}' | b']' => self.closes(chunk, at, most, pieces),
            b':' if self.open.depth == 1 => self.key = std::mem::take(&mut self.text),
            b',' if self.open.depth == 1 => self.value_ends(),
            b',' if in_items && self.open.depth == 2 && self.collected.is_some() => {
                self.keep(chunk, at, most);
                self.emit(most, pieces);
                self.expect(Next::Item);
            }
            _ => {}
        }
        self.last = byte;
    }

    /// Looks at what stands between two values. True if a value begins with the byte.
    fn begins(&mut self, byte: u8, chunk: &mut Chunk<'_>, at: usize, most: usize) -> bool {
        let is_space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        match self.separator {
            Separator::Dashes(3, _) if is_space => {
                self.separator = Separator::None;
                return false;
            }
            Separator::Dashes(dashes, start) if byte == b'-' && dashes < 3 => {
                self.separator = Separator::Dashes(dashes + 1, start);
                return false;
            }
            Separator::Dashes(dashes, start) => {
                // It was none.
                self.separator = Separator::None;
                let mut collected = Collecting::new(start);
                collected.push(b"---".get(..usize::from(dashes)).unwrap_or_default(), most);
                self.collected = Some(collected);
                self.value_line = start.line;
                self.head = ListHead::default();
                chunk.from = at;
                return !is_space;
            }
            Separator::None if byte == b'-' && self.at_margin(chunk, at) => {
                let start = self.place(chunk, at);
                if self.is_named {
                    self.separator = Separator::Dashes(1, start);
                } else {
                    self.leaves = Some(start.line);
                }
                return false;
            }
            Separator::None => {}
        }
        let start = self.place(chunk, at);
        self.collected = Some(Collecting::new(start));
        self.value_line = start.line;
        self.head = ListHead::default();
        chunk.from = at;
        true
    }

    fn is_in_items(&self) -> bool {
        self.list.as_ref().is_some_and(|list| list.frame.is_some())
    }

    fn expect(&mut self, next: Next) {
        if let Some(list) = &mut self.list {
            list.next = next;
        }
    }

    /// A byte between items: a comma, the end of the items, or the first of one.
    fn between(&mut self, byte: u8, chunk: &mut Chunk<'_>, at: usize, pieces: &mut VecDeque<Piece>) {
        let Some(next) = self.list.as_ref().map(|list| list.next) else { return };
        let begins = !matches!(byte, b',' | b']' | b'}');
        let fits = match byte {
            b',' => next == Next::Comma,
            b']' | b'}' => next != Next::Item,
            _ => next != Next::Comma,
        };
        if !fits {
            let start = self.place(chunk, at);
            pieces.push_back(Piece::Bad(Bad { start, kind: BadKind::Between }));
        }
        if begins {
            let start = self.place(chunk, at);
            self.collected = Some(Collecting::new(start));
            chunk.from = at;
        }
        self.expect(if begins { Next::Comma } else { Next::Item });
    }

    /// The items of a list begin behind this bracket.
    fn begin_items(&mut self, chunk: &mut Chunk<'_>, at: usize, most: usize, pieces: &mut VecDeque<Piece>) {
        let is_first = self.list.is_none();
        if is_first && !self.head.may_be_list() {
            return;
        }
        self.keep(chunk, at + 1, most);
        let bracket = self.place(chunk, at);
        let Some(mut frame) = self.collected.take() else { return };
        let place = self.place(chunk, at + 1);
        let cut = frame.bytes.len();
        frame.push(b"{}", most);
        match &mut self.list {
            Some(list) => {
                pieces.push_back(Piece::Bad(Bad { start: bracket, kind: BadKind::Twice }));
                list.is_twice = true;
                list.frame = Some(frame);
                list.next = Next::First;
            }
            list => {
                *list = Some(List {
                    start: frame.start,
                    frame: Some(frame),
                    at: cut,
                    place,
                    behind: place,
                    identity: self.head.item_identity(),
                    is_twice: false,
                    next: Next::First,
                });
            }
        }
    }

    fn closes(&mut self, chunk: &mut Chunk<'_>, at: usize, most: usize, pieces: &mut VecDeque<Piece>) {
        self.value_ends();
        let in_items = self.is_in_items();
        let ends_items = in_items && self.open.depth == 2;
        if ends_items && self.collected.is_some() {
            // An item that is a bare word.
            self.keep(chunk, at, most);
            self.emit(most, pieces);
        }
        self.open.pop();
        if ends_items {
            let behind = self.place(chunk, at);
            chunk.from = at;
            if let Some(list) = &mut self.list {
                list.behind = if list.is_twice { list.behind } else { behind };
                self.collected = list.frame.take();
            }
        } else if in_items && self.open.depth == 2 || self.open.depth == 0 {
            self.keep(chunk, at + 1, most);
            if self.open.depth == 0 {
                let line = self.place(chunk, at).line;
                self.one_per_line |= self.value_line == line;
            }
            self.emit(most, pieces);
        }
    }

    /// A value directly in the document has ended.
    fn value_ends(&mut self) {
        if self.open.depth != 1 || self.last != b'"' {
            return;
        }
        let text = || Some(String::from_utf8_lossy(&self.text).into_owned());
        match &*self.key {
            b"kind" => self.head.kind = text(),
            b"apiVersion" => self.head.api_version = text(),
            _ => {}
        }
    }

    /// Whether a brace at the left margin shows that the value before it is broken.
    fn is_broken(&self) -> bool {
        match self.open.is_object() {
            None => false,
            Some(_) if self.text_state != InText::No || self.one_per_line => true,
            // Between the items of a list it may well stand there.
            Some(is_object) => is_object || !matches!(self.last, b',' | b'['),
        }
    }

    /// Leaves a value that does not end. What comes out is no JSON, or it is reported.
    fn abandon(&mut self, most: usize, pieces: &mut VecDeque<Piece>) {
        match &mut self.list {
            // Around the items; that does not help anybody.
            Some(list) if list.frame.is_none() => self.collected = None,
            _ => self.emit(most, pieces),
        }
        if let Some(list) = self.list.take() {
            pieces.push_back(Piece::Bad(Bad { start: list.start, kind: BadKind::ListBreaks }));
        }
        self.open = Nesting::default();
        self.text_state = InText::No;
        self.separator = Separator::None;
    }

    /// Collects up to a byte.
    fn keep(&mut self, chunk: &mut Chunk<'_>, to: usize, most: usize) {
        if let Some(collected) = &mut self.collected {
            collected.push(chunk.bytes.get(chunk.from..to).unwrap_or_default(), most);
        }
        chunk.from = to;
    }

    /// Hands out what was collected, for what it is.
    fn emit(&mut self, most: usize, pieces: &mut VecDeque<Piece>) {
        let Some(collected) = self.collected.take() else { return };
        let role = match &self.list {
            None => Role::Document(Form::Json),
            Some(List { frame: Some(_), identity, .. }) => Role::Item(Form::Json, identity.clone()),
            Some(List { at, place, behind, identity, is_twice, .. }) => {
                let (at, place, behind, is_twice) = (*at, *place, *behind, *is_twice);
                Role::Frame(Form::Json, Frame { at, place, behind, identity: identity.clone(), is_twice })
            }
        };
        if matches!(role, Role::Frame(..)) {
            self.list = None;
        }
        pieces.push_back(collected.into_piece(role, most));
    }

    pub(super) fn finish(mut self, most: usize, pieces: &mut VecDeque<Piece>) {
        if let Separator::Dashes(dashes @ 1..3, start) = self.separator {
            let mut collected = Collecting::new(start);
            collected.push(b"--".get(..usize::from(dashes)).unwrap_or_default(), most);
            self.collected = Some(collected);
        }
        self.abandon(most, pieces);
    }
}

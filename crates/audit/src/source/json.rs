//! Where the values of a JSON stream end, and the items of its lists. Nothing is understood but nesting, texts and the keys `kind`,
//! `apiVersion` and `items` of a value itself.
//!
//! A broken value must not swallow what follows it. No text goes on in the next line, and no value begins at the left margin
//! inside of an object, so there a new one begins.

use std::collections::VecDeque;

use super::split::{Bad, BadKind, Collecting, Head, Piece, Start};

/// The scanner between two bytes.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the text so far")]
pub(super) struct Json {
    line: u32,
    /// Characters of this line before the next byte.
    column: u32,
    /// What is open: true for objects.
    open: Vec<bool>,
    in_text: bool,
    escaped: bool,
    /// The last byte that was neither white space nor part of a text; a quote stands for a text.
    last: u8,
    document: Option<Collecting>,
    list: Option<List>,
    /// Of the value itself: its keys, as far as they are told.
    head: Head,
    /// The last text directly in the value, and whether it is a key.
    text: Vec<u8>,
    key: Vec<u8>,
    /// The value began at the left margin, and it is still that line.
    value_line: u32,
    /// A value ended in its own line: then every line is one.
    one_per_line: bool,
    separated: bool,
}

/// The list whose items come out.
#[derive(Debug)]
struct List {
    start: Start,
    /// In the items, not before or behind them.
    inside: bool,
}

impl Json {
    pub(super) fn new() -> Self {
        Self {
            line: 1,
            column: 0,
            open: Vec::new(),
            in_text: false,
            escaped: false,
            last: 0,
            document: None,
            list: None,
            head: Head::default(),
            text: Vec::new(),
            key: Vec::new(),
            value_line: 0,
            one_per_line: false,
            separated: false,
        }
    }

    fn start(&self) -> Start {
        Start { line: self.line, column: self.column + 1 }
    }

    /// Takes bytes. If YAML follows, says from which byte on, and where that stands.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        most: usize,
        pieces: &mut VecDeque<Piece>,
    ) -> Option<(usize, Start)> {
        // Where the part of the document begins that is not yet kept.
        let mut from = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            if self.column == 0 && byte == b'{' && self.is_broken() {
                self.keep(bytes, from, at, most);
                self.abandon(most, pieces);
                from = at;
            }
            if self.in_text {
                self.in_text(byte);
            } else if !byte.is_ascii_whitespace() {
                if self.open.is_empty() && self.document.is_none() {
                    match byte {
                        b'{' | b'[' => {}
                        // Only as a whole line, which is looked at when it is there.
                        b'-' => self.separated = true,
                        _ if self.separated && self.column == 0 => return Some((at, self.start())),
                        _ => {}
                    }
                    if byte != b'-' {
                        self.document = Some(Collecting::new(self.start(), None));
                        self.value_line = self.line;
                        self.head = Head::default();
                        from = at;
                    }
                }
                self.significant(byte, bytes, &mut from, at, most, pieces);
            }
            if byte == b'\n' {
                if self.open.is_empty() && self.document.is_some() {
                    // No value: garbage to the end of the line.
                    self.keep(bytes, from, at, most);
                    self.emit(most, pieces);
                }
                self.line = self.line.saturating_add(1);
                self.column = 0;
            } else if byte & 0xc0 != 0x80 {
                self.column = self.column.saturating_add(1);
            }
        }
        self.keep(bytes, from, bytes.len(), most);
        None
    }

    fn in_text(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => {
                self.in_text = false;
                self.last = b'"';
                return;
            }
            // It is broken, and what is open is not known any more.
            b'\n' => self.last = b'\n',
            _ => {}
        }
        if self.open.len() == 1 && self.text.len() < Head::LONGEST {
            self.text.push(byte);
        }
    }

    /// A byte outside of texts that is no white space.
    fn significant(
        &mut self,
        byte: u8,
        bytes: &[u8],
        from: &mut usize,
        at: usize,
        most: usize,
        pieces: &mut VecDeque<Piece>,
    ) {
        let in_items = self.list.as_ref().is_some_and(|list| list.inside);
        // An item begins with anything but what stands between items.
        if in_items && self.open.len() == 2 && self.document.is_none() && !matches!(byte, b',' | b']') {
            self.document = Some(Collecting::new(self.start(), self.head.item_identity()));
            *from = at;
        }
        match byte {
            b'"' => {
                self.in_text = true;
                self.text.clear();
                self.last = byte;
                return;
            }
            b'{' | b'[' => {
                let is_items =
                    byte == b'[' && self.open == [true] && self.last == b':' && self.key == b"items";
                self.open.push(byte == b'{');
                if is_items && self.list.is_none() && self.head.may_be_list() {
                    let start = self.document.take().map_or_else(|| self.start(), |document| document.start);
                    self.list = Some(List { start, inside: true });
                }
            }
            b'}' | b']' => {
                self.value_ends();
                let ends_items = in_items && self.open.len() == 2;
                if ends_items && self.document.is_some() {
                    // An item that is a bare word.
                    self.keep(bytes, *from, at, most);
                    self.emit(most, pieces);
                }
                self.open.pop();
                if ends_items && let Some(list) = &mut self.list {
                    list.inside = false;
                } else if in_items && self.open.len() == 2 {
                    self.keep(bytes, *from, at + 1, most);
                    self.emit(most, pieces);
                } else if self.open.is_empty() {
                    self.keep(bytes, *from, at + 1, most);
                    *from = at + 1;
                    self.one_per_line |= self.value_line == self.line;
                    self.end_of_list(pieces);
                    self.emit(most, pieces);
                }
            }
            b':' if self.open.len() == 1 => self.key = std::mem::take(&mut self.text),
            b',' if self.open.len() == 1 => self.value_ends(),
            b',' if in_items && self.open.len() == 2 && self.document.is_some() => {
                self.keep(bytes, *from, at, most);
                self.emit(most, pieces);
            }
            _ => {}
        }
        self.last = byte;
    }

    /// A value directly in the document has ended.
    fn value_ends(&mut self) {
        if self.open.len() != 1 || self.last != b'"' {
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
        match self.open.last() {
            None => false,
            Some(_) if self.in_text || self.one_per_line => true,
            // Between the items of a list it may well stand there.
            Some(is_object) => *is_object || !matches!(self.last, b',' | b'['),
        }
    }

    /// Leaves a value that does not end.
    fn abandon(&mut self, most: usize, pieces: &mut VecDeque<Piece>) {
        self.emit(most, pieces);
        if let Some(list) = self.list.take() {
            pieces.push_back(Piece::Bad(Bad { start: list.start, kind: BadKind::ListBreaks }));
        }
        self.open.clear();
        self.in_text = false;
        self.escaped = false;
    }

    fn end_of_list(&mut self, pieces: &mut VecDeque<Piece>) {
        if let Some(list) = self.list.take() {
            // The text around the items is no document.
            self.document = None;
            pieces.extend(self.head.fault().map(|kind| Piece::Bad(Bad { start: list.start, kind })));
        }
    }

    fn keep(&mut self, bytes: &[u8], from: usize, to: usize, most: usize) {
        if let Some(document) = &mut self.document {
            document.push(bytes.get(from..to).unwrap_or_default(), most);
        }
    }

    fn emit(&mut self, most: usize, pieces: &mut VecDeque<Piece>) {
        pieces.extend(self.document.take().map(|document| document.into_piece(most)));
    }

    pub(super) fn finish(mut self, most: usize, pieces: &mut VecDeque<Piece>) {
        self.abandon(most, pieces);
    }
}

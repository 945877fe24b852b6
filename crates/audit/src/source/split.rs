//! Bytes in, pieces of one document each out, in bounded memory: the items of lists one by one, the values of a JSON stream, the
//! documents of a YAML stream. What a piece means is for the core to say; here is only found out where it ends.
//!
//! ```text
//! bytes ── json.rs or yaml.rs ──> Piece { text of one document, its line and column in the source }
//! ```

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::sync::Arc;

use super::json::Json;
use super::yaml::Yaml;

/// What a source consists of, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The text of one document, or of what was meant for one.
    Text(Text),
    /// Something that cannot be judged.
    Bad(Bad),
}

/// The text of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// As it stands in the source; the dash of a YAML list's item is a space.
    pub bytes: Vec<u8>,
    /// Where its first byte stands.
    pub start: Start,
    /// API version and kind of an item of a typed list, if the list says them before its items.
    pub identity: Option<Identity>,
    /// The source broke off somewhere behind its first byte, so that it may lack its end.
    pub is_cut: bool,
}

/// Line and column, from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// API version and kind.
pub type Identity = Arc<(String, String)>;

/// Something that cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Where it starts.
    pub start: Start,
    /// What it is.
    pub kind: BadKind,
}

/// Why a part of a source cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadKind {
    /// The document has more bytes than fit.
    TooLarge(u64),
    /// The items of something were judged as those of a list, but at its end it turns out to be none, and has this kind.
    NoList(String),
    /// A list stops before its end.
    ListBreaks,
}

/// What the lists of a source have in their heads.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub(super) api_version: Option<String>,
    pub(super) kind: Option<String>,
}

impl Head {
    /// Longest text of `kind` and `apiVersion` that is looked at.
    pub(super) const LONGEST: usize = 256;

    /// Whether the items may be those of a list, by what is known so far.
    pub(super) fn may_be_list(&self) -> bool {
        self.kind.as_ref().is_none_or(|kind| kind.ends_with("List"))
    }

    /// What items of a typed list leave out.
    pub(super) fn item_identity(&self) -> Option<Identity> {
        let kind = self.kind.as_ref()?.strip_suffix("List").filter(|kind| !kind.is_empty())?;
        Some(Arc::new((self.api_version.clone()?, kind.to_owned())))
    }

    /// What is wrong with it, when all of it is known.
    pub(super) fn fault(&self) -> Option<BadKind> {
        match &self.kind {
            Some(kind) if kind.ends_with("List") => None,
            kind => Some(BadKind::NoList(kind.clone().unwrap_or_default())),
        }
    }
}

/// The document that is being collected.
#[derive(Debug)]
pub(super) struct Collecting {
    pub(super) bytes: Vec<u8>,
    pub(super) start: Start,
    pub(super) identity: Option<Identity>,
    /// All bytes, also those that do not fit and are not kept.
    pub(super) length: u64,
}

impl Collecting {
    pub(super) fn new(start: Start, identity: Option<Identity>) -> Self {
        Self { bytes: Vec::new(), start, identity, length: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8], most: usize) {
        self.length += bytes.len() as u64;
        if self.length <= most as u64 {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.bytes = Vec::new();
        }
    }

    pub(super) fn into_piece(self, most: usize) -> Piece {
        let Self { bytes, start, identity, length } = self;
        if length > most as u64 {
            return Piece::Bad(Bad { start, kind: BadKind::TooLarge(length) });
        }
        Piece::Text(Text { bytes, start, identity, is_cut: false })
    }
}

enum Mode {
    /// Nothing but white space so far.
    Undecided,
    Json(Json),
    Yaml(Yaml),
}

/// Splits a stream.
pub struct Splitter<R> {
    stream: R,
    mode: Mode,
    /// White space that came before it was known what the source is.
    pending: Vec<u8>,
    pieces: VecDeque<Piece>,
    most: usize,
    read: u64,
    ended: bool,
}

impl<R: BufRead> Splitter<R> {
    /// Of a stream, with the most bytes that a document may have.
    pub fn new(stream: R, most: usize) -> Self {
        let (mode, pending, pieces) = (Mode::Undecided, Vec::new(), VecDeque::new());
        Self { stream, mode, pending, pieces, most, read: 0, ended: false }
    }

    /// How many bytes were read so far.
    pub fn bytes(&self) -> u64 {
        self.read
    }

    /// The next piece; `None` at the end. After an error of the stream, what was collected comes out, which may be part of a
    /// document, then nothing more.
    pub fn next_piece(&mut self) -> io::Result<Option<Piece>> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Ok(Some(piece));
            }
            if self.ended {
                return Ok(None);
            }
            match self.stream.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended = true;
                    self.finish();
                    return Err(error);
                }
                Ok([]) => {
                    self.ended = true;
                    self.finish();
                }
                Ok(bytes) => {
                    let length = bytes.len();
                    feed(&mut self.mode, &mut self.pending, bytes, self.most, &mut self.pieces);
                    self.stream.consume(length);
                    self.read += length as u64;
                }
            }
        }
    }

    fn finish(&mut self) {
        match std::mem::replace(&mut self.mode, Mode::Undecided) {
            Mode::Undecided => {}
            Mode::Json(json) => json.finish(self.most, &mut self.pieces),
            Mode::Yaml(yaml) => yaml.finish(self.most, &mut self.pieces),
        }
    }
}

fn feed(mode: &mut Mode, pending: &mut Vec<u8>, bytes: &[u8], most: usize, pieces: &mut VecDeque<Piece>) {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    /// After so much white space it is YAML.
    const PATIENCE: usize = 1 << 16;
    if matches!(mode, Mode::Undecided) {
        pending.extend_from_slice(bytes);
        if pending.len() < MARK.len() && MARK.starts_with(pending) {
            return;
        }
        if pending.starts_with(MARK) {
            pending.drain(..MARK.len());
        }
        match pending.iter().find(|byte| !byte.is_ascii_whitespace()) {
            // White space is counted, not kept.
            None if pending.len() < PATIENCE => return,
            Some(b'{' | b'[') => *mode = Mode::Json(Json::new()),
            _ => *mode = Mode::Yaml(Yaml::new()),
        }
        let first = std::mem::take(pending);
        return feed(mode, pending, &first, most, pieces);
    }
    match mode {
        Mode::Undecided => {}
        Mode::Yaml(yaml) => yaml.feed(bytes, most, pieces),
        Mode::Json(json) => {
            // What follows a `---` need not be JSON.
            if let Some((rest, start)) = json.feed(bytes, most, pieces) {
                let mut yaml = Yaml::at(start.line);
                yaml.feed(bytes.get(rest..).unwrap_or_default(), most, pieces);
                *mode = Mode::Yaml(yaml);
            }
        }
    }
}

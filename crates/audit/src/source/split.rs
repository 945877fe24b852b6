//! Bytes in, pieces out, in bounded memory: the items of lists one by one, the values of a JSON stream, the documents of a YAML
//! stream. What a piece means is for the core to say; here is only found out where it ends.
//!
//! ```text
//! bytes ── json.rs or yaml.rs ──> Piece { text of one document, its line and column in the source }
//! ```
//!
//! Nothing else than the core's reader may come out, so nothing here is believed. A small source is one piece, which the core reads
//! as it reads any file. Of a list that is cut, what is left without its items comes out as well, as a [`Role::Frame`]: its reader
//! sees whether the items stood where the core finds a list's items. Every byte is in some piece, or is white space or a comma
//! between two, or is reported.

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::sync::Arc;

use portcullis::Form;

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

/// The text of one document, or of several that are read together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// As it stands in the source; the dash of a YAML list's item is a space, and the items of a frame are `{}`.
    pub bytes: Vec<u8>,
    /// Where its first byte stands.
    pub start: Start,
    /// What it is of its source.
    pub role: Role,
    /// The source broke off somewhere behind its first byte, so that it may lack its end.
    pub is_cut: bool,
}

/// What a text is of its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// All of it.
    Source,
    /// Something between two documents.
    Document(Form),
    /// An item of a list, with the API version and kind that the list gives its items, if it says so before them.
    Item(Form, Option<Identity>),
    /// A list whose items came before, without them.
    Frame(Form, Frame),
}

/// How the items were cut out of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where in the text the `{}` is that stands for them.
    pub at: usize,
    /// Where that is in the source.
    pub place: Start,
    /// Where in the source the text goes on behind it.
    pub behind: Start,
    /// What the items were given.
    pub identity: Option<Identity>,
    /// It had items in two places, which is reported already.
    pub is_twice: bool,
}

/// Line and column, from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadKind {
    /// The document has more bytes than fit.
    TooLarge(u64),
    /// What is left of a list without its items has more bytes than fit.
    FrameTooLarge(u64),
    /// A list stops before its end.
    ListBreaks,
    /// A list has `items` a second time.
    Twice,
    /// Something stands between two items of a list, or nothing.
    Between,
    /// `---` with text behind it in the same line.
    Glued,
    /// The line of a separator has characters that end lines for YAML only.
    OddSeparator,
    /// A list has characters that end lines for YAML only, so that it is not certain where its items are.
    OddLines,
}

/// What the lists of a source have in their heads, as far as it is known without reading them.
#[derive(Clone, Debug, Default)]
pub(super) struct ListHead {
    pub(super) api_version: Option<String>,
    pub(super) kind: Option<String>,
}

impl ListHead {
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
}

/// Text that is being collected.
#[derive(Debug)]
pub(super) struct Collecting {
    pub(super) bytes: Vec<u8>,
    pub(super) start: Start,
    /// All bytes, also those that do not fit and are not kept.
    pub(super) length: u64,
}

impl Collecting {
    pub(super) fn new(start: Start) -> Self {
        Self { bytes: Vec::new(), start, length: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8], most: usize) {
        self.length += bytes.len() as u64;
        if self.length > most as u64 {
            self.bytes = Vec::new();
            return;
        }
        // Doubling, but never beyond what may be kept.
        let needed = self.bytes.len() + bytes.len();
        if needed > self.bytes.capacity() {
            let wanted = needed.max(self.bytes.capacity() * 2).min(most);
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn into_piece(self, role: Role, most: usize) -> Piece {
        let Self { mut bytes, start, length } = self;
        if length > most as u64 {
            let is_frame = matches!(role, Role::Frame(..));
            let kind = if is_frame { BadKind::FrameTooLarge(length) } else { BadKind::TooLarge(length) };
            return Piece::Bad(Bad { start, kind });
        }
        bytes.shrink_to_fit();
        Piece::Text(Text { bytes, start, role, is_cut: false })
    }
}

/// Pieces that wait are no more than this and what ends with the same byte: the feeder goes on when they have been taken.
pub(super) const MAX_PIECES: usize = 64;

/// A source that is no larger is not cut into pieces, nor is such a document of a YAML stream: enough for what people write, and
/// little enough that a large one is work for all cores, and that as many documents as it may have (`{}{}…`) fit into memory together.
pub const SMALL: usize = 64 << 10;

enum Mode {
    /// Everything so far, which may be all.
    Small(Vec<u8>),
    Json(Json),
    Yaml(Yaml),
}

/// Splits a stream.
pub struct Splitter<R> {
    stream: R,
    mode: Mode,
    /// Bytes that were read before it was known what the source is, and how many of them are done with.
    first: (Vec<u8>, usize),
    pieces: VecDeque<Piece>,
    most: usize,
    small: usize,
    /// The source is called `.json`.
    is_json: bool,
    read: u64,
    ended: bool,
}

impl<R: BufRead> Splitter<R> {
    /// Of a stream, with the most bytes that a document may have.
    pub fn new(stream: R, name: &str, most: usize) -> Self {
        Self::with_small(stream, name, most, SMALL)
    }

    /// With another size up to which nothing is cut; [`SMALL`] is the usual one.
    pub fn with_small(stream: R, name: &str, most: usize, small: usize) -> Self {
        Self {
            stream,
            mode: Mode::Small(Vec::new()),
            first: (Vec::new(), 0),
            pieces: VecDeque::new(),
            most,
            small: small.min(most),
            is_json: name.to_lowercase().ends_with(".json"),
            read: 0,
            ended: false,
        }
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
            let (first, done) = &mut self.first;
            if *done < first.len() {
                let rest = first.get(*done..).unwrap_or_default();
                *done += feed(&mut self.mode, rest, self.most, self.small, &mut self.pieces);
                if *done >= first.len() {
                    self.first = (Vec::new(), 0);
                }
                continue;
            }
            if self.ended {
                match std::mem::replace(&mut self.mode, Mode::Small(Vec::new())) {
                    Mode::Small(_) => return Ok(None),
                    Mode::Json(json) => json.finish(self.most, &mut self.pieces),
                    Mode::Yaml(yaml) => yaml.finish(self.most, &mut self.pieces),
                }
                continue;
            }
            match self.stream.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended = true;
                    self.decide();
                    return Err(error);
                }
                Ok([]) => {
                    self.ended = true;
                    if let Mode::Small(text) = &mut self.mode {
                        let bytes = std::mem::take(text);
                        let start = Start { line: 1, column: 1 };
                        let text = Text { bytes, start, role: Role::Source, is_cut: false };
                        return Ok((!text.bytes.is_empty()).then_some(Piece::Text(text)));
                    }
                }
                Ok(bytes) => {
                    let taken = feed(&mut self.mode, bytes, self.most, self.small, &mut self.pieces);
                    self.stream.consume(taken);
                    self.read += taken as u64;
                    if let Mode::Small(text) = &self.mode
                        && text.len() > self.small
                        && (text.len() >= MARK.len() + Form::LOOKS_AT
                            || shows(text)
                            || text.len() >= self.most)
                    {
                        self.decide();
                    }
                }
            }
        }
    }

    /// It is not small, or breaks off: says what it is, as the core does.
    fn decide(&mut self) {
        let Mode::Small(first) = &mut self.mode else { return };
        let first = std::mem::take(first);
        // With two of them it is refused by its reader.
        let behind = first.strip_prefix(MARK).filter(|rest| !rest.starts_with(MARK));
        let marked = first.len() - behind.unwrap_or(&first).len();
        let begins = first.iter().skip(marked).position(|byte| !is_space(*byte));
        let brace = begins.filter(|at| marked == 0 && *at < Form::LOOKS_AT);
        let looks_like_json = brace.is_some_and(|at| matches!(first.get(at), Some(b'{' | b'[')));
        self.mode = if self.is_json || looks_like_json {
            Mode::Json(Json::new(self.is_json))
        } else {
            Mode::Yaml(Yaml::new())
        };
        self.first = (first, marked);
    }
}

const MARK: &[u8] = b"\xef\xbb\xbf";

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Whether the first bytes of a source tell its form.
fn shows(text: &[u8]) -> bool {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    // Part of a mark, which may be the second.
    if text.len() < MARK.len() && MARK.starts_with(text) {
        return false;
    }
    text.iter().any(|byte| !is_space(*byte))
}

/// Takes bytes and says how many: not all of them, if pieces have to be taken first.
fn feed(mode: &mut Mode, bytes: &[u8], most: usize, small: usize, pieces: &mut VecDeque<Piece>) -> usize {
    match mode {
        Mode::Small(text) => {
            let room = (small + 1).saturating_sub(text.len()).max(1).min(bytes.len());
            text.extend_from_slice(bytes.get(..room).unwrap_or_default());
            room
        }
        Mode::Yaml(yaml) => yaml.feed(bytes, most, small, pieces),
        Mode::Json(json) => {
            let taken = json.feed(bytes, most, pieces);
            if let Some(line) = json.leaves() {
                *mode = Mode::Yaml(Yaml::at(line));
            }
            taken
        }
    }
}

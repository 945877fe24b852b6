//! What an audit of files reads: which files there are, unpacked, one document at a time.

#[cfg(test)]
mod equals;
mod json;
mod objects;
mod open;
mod read;
mod split;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use portcullis::{Document, ErrorKind, Limits};
use portcullis_report::{Place, Problem};
use portcullis_sources::InputFile;
pub use portcullis_sources::show_size as size;

pub use objects::{Read, read};
pub use open::{Bytes, Source};
pub use read::{Gathered, documents};
pub use split::{Bad, BadKind, Frame, Identity, Piece, Role, SMALL, Splitter, Start, Text};

use crate::memory::Ceiling;
use crate::pipeline::{Feed, Item};

/// The documents of some sources, in the order of the sources.
pub struct Files {
    sources: Vec<Arc<Source>>,
    next: usize,
    splitter: Option<Splitter<Bytes>>,
    waiting: VecDeque<Item>,
    ceiling: Ceiling,
    bytes: u64,
}

impl Files {
    /// Of sources that are read one after the other.
    pub fn new(sources: Vec<Arc<Source>>, ceiling: Ceiling) -> Self {
        Self { sources, next: 0, splitter: None, waiting: VecDeque::new(), ceiling, bytes: 0 }
    }

    /// The source that is being read.
    fn current(&self) -> Option<Arc<Source>> {
        self.sources.get(self.next.checked_sub(1)?).cloned()
    }

    fn unreadable(source: &Source, error: &io::Error) -> Item {
        let place = Place::File { file: source.name.clone(), line: 0, column: 0, end_column: 0 };
        let text = if error.kind() == io::ErrorKind::UnexpectedEof {
            "it is cut off".to_owned()
        } else {
            portcullis_sources::reason(error)
        };
        let message = format!("the file could not be read to its end: {text}");
        Item::Unread(Problem {
            place: Some(place),
            help: Some("what was read before that is audited; the rest was not seen".to_owned()),
            ..Problem::error(ErrorKind::Unreadable, message)
        })
    }

    fn bad(&self, source: &Source, bad: &Bad) -> Item {
        let Start { line, column } = bad.start;
        let most = size(self.ceiling.document() as u64);
        let (kind, message, help) = match &bad.kind {
            BadKind::TooLarge(bytes) => (
                ErrorKind::Limit,
                format!("the document has {}, more than the {most} that fit", size(*bytes)),
                "it is not audited; raise `--max-memory` to have it audited",
            ),
            BadKind::FrameTooLarge(bytes) => (
                ErrorKind::Limit,
                format!("this list has {} beside its items, more than the {most} that fit", size(*bytes)),
                "what is there is not read; raise `--max-memory` to have it read",
            ),
            BadKind::ListBreaks => (
                ErrorKind::Syntax,
                "the list that begins here does not end".to_owned(),
                "its items up to there are audited; whether there were more is not known",
            ),
            BadKind::Twice => (
                ErrorKind::DuplicateKey,
                "the key `items` is set a second time in this list".to_owned(),
                "the items of both are audited, but only the last ones count for a reader of the list",
            ),
            BadKind::Between => (
                ErrorKind::Syntax,
                "expected one comma between the items of a list".to_owned(),
                "what can be read is audited; a list that has no commas, or too many, is no JSON",
            ),
            BadKind::Glued => (
                ErrorKind::Syntax,
                "expected `---` alone in its line, found text behind it".to_owned(),
                "what follows is not audited, up to the next line of `---`; put the text into a line of its own",
            ),
            BadKind::OddSeparator => (
                ErrorKind::Syntax,
                "the line of this `---` has a character that ends lines for YAML only".to_owned(),
                "what stands behind it in the line is read by nobody; put it into a line of its own",
            ),
            BadKind::OddLines => (
                ErrorKind::Syntax,
                "this list has tabs at the start of lines, or characters that end a line for YAML only"
                    .to_owned(),
                "its items were audited, but may be others for a reader of the list; write such characters as escapes in double quotes",
            ),
        };
        let file = source.name.clone();
        Item::Unread(Problem {
            place: Some(Place::File { file, line, column, end_column: column }),
            help: Some(help.to_owned()),
            ..Problem::error(kind, message)
        })
    }
}

impl Feed for Files {
    fn next_item(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.waiting.pop_front() {
                return Some(item);
            }
            if self.splitter.is_none() {
                let source = self.sources.get(self.next)?;
                self.next += 1;
                match source.open(self.ceiling.window()) {
                    Ok(bytes) => {
                        self.splitter = Some(Splitter::new(bytes, &source.name, self.ceiling.document()));
                    }
                    Err(error) => return Some(Self::unreadable(source, &error)),
                }
            }
            let (Some(source), Some(splitter)) = (self.current(), &mut self.splitter) else { continue };
            match splitter.next_piece() {
                Ok(Some(Piece::Text(text))) => return Some(Item::Text { file: source.name.clone(), text }),
                Ok(Some(Piece::Bad(bad))) => return Some(self.bad(&source, &bad)),
                Ok(None) => {
                    self.bytes += splitter.bytes();
                    self.splitter = None;
                }
                // What was collected comes out first.
                Err(error) => {
                    self.bytes += splitter.bytes();
                    while let Ok(Some(piece)) = splitter.next_piece() {
                        self.waiting.push_back(match piece {
                            Piece::Text(text) => Item::Text { file: source.name.clone(), text },
                            Piece::Bad(_) => continue,
                        });
                    }
                    self.splitter = None;
                    if let Some(Item::Text { text, .. }) = self.waiting.back_mut() {
                        text.is_cut = true;
                    }
                    self.waiting.push_back(Self::unreadable(&source, &error));
                }
            }
        }
    }

    fn bytes(&self) -> u64 {
        self.bytes + self.splitter.as_ref().map_or(0, Splitter::bytes)
    }
}

/// All documents of some bytes and what is wrong with them, piece by piece: what an audit reads in a source of these bytes, with the
/// most bytes that a document may have, and the size up to which nothing is cut.
pub fn read_pieces(name: &str, bytes: &[u8], most: usize, small: usize) -> (Vec<Document>, Vec<Problem>) {
    let source = Arc::new(Source::plain(InputFile { path: name.into(), name: name.to_owned() }));
    let splitter =
        Splitter::with_small(Box::new(io::Cursor::new(bytes.to_vec())) as Bytes, name, most, small);
    let mut files = Files::new(vec![source], Ceiling::new(u64::MAX));
    (files.splitter, files.next) = (Some(splitter), 1);
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    while let Some(item) = files.next_item() {
        match item {
            Item::Text { file, text } => {
                let (more, wrong) = documents(&file, text, &Limits::default());
                found.extend(more);
                problems.extend(wrong);
            }
            Item::Unread(problem) => problems.push(problem),
            _ => {}
        }
    }
    (found, problems)
}

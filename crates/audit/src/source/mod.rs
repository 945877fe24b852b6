//! What an audit of files reads: which files there are, unpacked, one document at a time.

mod json;
mod open;
mod split;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use portcullis_report::audit::{Place, Problem};

pub use open::{Bytes, Source};
pub use split::{Bad, BadKind, Identity, Piece, Splitter, Start, Text};

use crate::pipeline::{Feed, Item};

/// The documents of some sources, in the order of the sources.
pub struct Files {
    sources: Vec<Arc<Source>>,
    next: usize,
    splitter: Option<Splitter<Bytes>>,
    waiting: VecDeque<Item>,
    most: usize,
    bytes: u64,
}

impl Files {
    /// With the most bytes that a document may have.
    pub fn new(sources: Vec<Arc<Source>>, most: usize) -> Self {
        Self { sources, next: 0, splitter: None, waiting: VecDeque::new(), most, bytes: 0 }
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
            // Without the number that the system gave it.
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_lowercase()
        };
        Item::Unread(Problem {
            is_error: true,
            code: "unreadable",
            object: None,
            place: Some(place),
            message: format!("the file could not be read to its end: {text}"),
            help: Some("what was read before that is audited; the rest was not seen".to_owned()),
        })
    }

    fn bad(&self, source: &Source, bad: &Bad) -> Item {
        let Start { line, column } = bad.start;
        let (code, message, help) = match &bad.kind {
            BadKind::TooLarge(bytes) => (
                "limit",
                format!(
                    "the document has {}, more than the {} that fit",
                    size(*bytes),
                    size(self.most as u64)
                ),
                "it is not audited; raise `--max-memory` to have it audited",
            ),
            BadKind::NoList(kind) if kind.is_empty() => (
                "missing-field",
                "this has `items`, but no `kind` that says what list it is".to_owned(),
                "its items were audited; a list of objects is of the kind `List`",
            ),
            BadKind::NoList(kind) => (
                "not-an-object",
                format!("this has `items`, which were audited one by one, but it is a `{kind}` and no list"),
                "put `kind` before `items`",
            ),
            BadKind::ListBreaks => (
                "syntax",
                "the list that begins here does not end".to_owned(),
                "its items up to there are audited; whether there were more is not known",
            ),
        };
        let file = source.name.clone();
        Item::Unread(Problem {
            is_error: true,
            code,
            object: None,
            place: Some(Place::File { file, line, column, end_column: column }),
            message,
            help: Some(help.to_owned()),
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
                match source.open() {
                    Ok(bytes) => self.splitter = Some(Splitter::new(bytes, self.most)),
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

/// The size in the largest unit that keeps it readable.
pub fn size(bytes: u64) -> String {
    const UNITS: &[(u64, &str)] = &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = UNITS.iter().find(|(size, _)| bytes >= *size);
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |(size, name)| match bytes.saturating_mul(10) / size {
            tenths if tenths % 10 == 0 => format!("{} {name}", tenths / 10),
            tenths => format!("{}.{} {name}", tenths / 10, tenths % 10),
        },
    )
}

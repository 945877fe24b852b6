//! The problems of one source, bounded: a hostile or hopeless text must not cost more memory than it has
//! bytes.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Severity};
use crate::source::{Location, Source, clamp};

/// Byte range in the source.
pub(super) type Span = Range<u32>;

/// So many are listed; nobody reads more.
const LISTED: usize = 1_000;

pub(super) struct Problems {
    source: Arc<Source>,
    list: Vec<Error>,
    unlisted: usize,
    /// Whether an error is among those that are not listed.
    unlisted_error: bool,
}

impl Problems {
    pub(super) fn new(source: &Arc<Source>) -> Self {
        Self { source: source.clone(), list: Vec::new(), unlisted: 0, unlisted_error: false }
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    pub(super) fn location(&self, span: Span) -> Location {
        Location::new(self.source.clone(), span)
    }

    pub(super) fn push(&mut self, error: Error) {
        if self.list.len() < LISTED {
            self.list.push(error);
        } else {
            self.unlisted += 1;
            self.unlisted_error |= error.severity() == Severity::Error;
        }
    }

    pub(super) fn has(&self, kind: ErrorKind) -> bool {
        self.list.iter().any(|error| error.kind() == kind)
    }

    /// The listed problems, and one more that says how many are not.
    pub(super) fn into_list(mut self) -> Vec<Error> {
        if self.unlisted > 0 {
            let message = format!("{} more problems in this source are not listed", self.unlisted);
            let make = if self.unlisted_error { Error::new } else { Error::warning };
            let end = clamp(self.source.text().len());
            self.list.push(make(ErrorKind::Limit, message).at(self.location(end..end)));
        }
        self.list
    }
}

/// A piece of the text for a message, which is one line: cut, and without line breaks and control characters.
pub(super) fn quote(text: &str) -> String {
    const LONGEST: usize = 40;
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let mut quoted: String = text.trim().chars().take(LONGEST).map(visible).collect();
    if text.trim().chars().nth(LONGEST).is_some() {
        quoted.push('…');
    }
    quoted
}

//! What can be wrong with policies from elsewhere.

use std::fmt::Write as _;

/// What a problem is about. To decide on; the message is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemoteErrorKind {
    /// What was written names nothing that could be fetched.
    Reference,
    /// Nobody answered, or not in time.
    Unreachable,
    /// The other side does not let us.
    Refused,
    /// There is no such artifact, tag, repository, commit or folder.
    NotFound,
    /// What came is not what was promised: another digest, another size, no manifest.
    Untrue,
    /// More bytes, files or time than allowed.
    Limit,
    /// What is in it cannot be used: links, paths that lead out, formats that are not read.
    Unusable,
    /// It is not signed by the key.
    Signature,
    /// It is not what the lock file says, or the lock file is broken.
    Lock,
    /// Something on this machine: files, credentials, programs.
    Local,
}

/// A problem: its kind, a sentence, and what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{message}")]
pub struct RemoteError {
    kind: RemoteErrorKind,
    message: String,
    hint: Option<String>,
}

impl RemoteError {
    /// A problem. What others wrote may stand in the message: it is cut, and nothing in it moves a terminal.
    pub fn new(kind: RemoteErrorKind, message: impl AsRef<str>) -> Self {
        Self { kind, message: shown(message.as_ref()), hint: None }
    }

    /// The same, and what can be done about it.
    #[must_use]
    pub fn hint(mut self, hint: impl AsRef<str>) -> Self {
        self.hint = Some(shown(hint.as_ref()));
        self
    }

    /// The same, of a part of something.
    pub(crate) fn of(mut self, whole: &str) -> Self {
        self.message = shown(&format!("{whole}: {}", self.message));
        self
    }

    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> RemoteErrorKind {
        self.kind
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What can be done about it.
    #[must_use]
    pub fn what_to_do(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// Most bytes of a message: what a server says may be of any length.
const LONGEST: usize = 2048;

/// A text without what a terminal would take for orders, and not too long.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if shown.len() >= LONGEST {
            shown.push('…');
            break;
        }
        if c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            // Writing to a string does not fail.
            let _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Something on this machine that does not work.
pub(crate) fn local(what: &str, error: &std::io::Error) -> RemoteError {
    RemoteError::new(RemoteErrorKind::Local, format!("{what}: {error}"))
}

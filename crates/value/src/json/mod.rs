//! JSON texts: read as strictly as Go reads them, written as Go writes them; and values as serde takes them.

mod read;
mod serde;
mod write;

pub use read::{is_valid, parse};
use write::write_plain;
pub use write::{Layout, write};

use std::fmt;

use crate::budget::{Budget, Exceeded, Limits};
use crate::{Output, Value};

/// Why a text is not a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is no JSON: one sentence, as Go has it.
    #[error("{0}")]
    Invalid(String),
    /// It takes more than there is.
    #[error(transparent)]
    Limit(#[from] Exceeded),
}

impl Value {
    /// The value of a text of JSON. Of the same key twice, the last counts.
    ///
    /// # Errors
    ///
    /// If it is no JSON, is nested too deep or has numbers of too many digits.
    pub fn from_json(text: &str) -> Result<Self, JsonError> {
        let limits = Limits { steps: u64::MAX, memory: u64::MAX, ..Limits::default() };
        parse(&mut Budget::new(limits, None), text)
    }

    /// The text of JSON, as Go writes it: keys sorted, no spaces, sets as arrays. What is deeper than values
    /// may be is left out.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = Output::new(usize::MAX);
        // There is room for all of it, and what is too deep ends it.
        let _ = write(&mut out, self, None);
        out.into_text()
    }
}

/// As JSON has it, sets as arrays; as far as it is not deeper than values may be.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Output::new(usize::MAX);
        match write_plain(&mut out, self) {
            Ok(()) => f.write_str(out.as_str()),
            Err(_) => write!(f, "{}…", out.as_str()),
        }
    }
}

//! What is wrong with a policy or with the input: the same in the reports of all commands.

use std::fmt;

use portcullis::{Error, ErrorKind, Location, Severity};
use serde::{Serialize, Serializer};

use crate::{ObjectName, Place};

/// Something that is wrong with a policy or with the input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// An error makes what is reported incomplete, a warning does not.
    #[serde(rename = "isError", serialize_with = "is_error")]
    pub severity: Severity,
    /// What it is about; reports name it by its code.
    #[serde(rename = "code", serialize_with = "code")]
    pub kind: ErrorKind,
    /// The object that it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectName>,
    /// The policy that it is about, if it is about one: `Kind/name`.
    #[serde(skip)]
    pub subject: Option<String>,
    /// Where, if it has a place.
    pub place: Option<Place>,
    /// The field that it is about, if it is about one.
    #[serde(skip)]
    pub field: Option<String>,
    /// What is wrong, in one line, without the name of the object: objects with the same message have the
    /// same cause.
    pub message: String,
    /// What to do about it, if that is known.
    pub help: Option<String>,
    /// The text around it, where that is in memory.
    #[serde(skip)]
    pub location: Option<Location>,
    /// As [`Error::topic`]: what it has in common with others of its kind.
    #[serde(skip)]
    pub topic: Option<String>,
}

/// With all that the error knows, and with the text that it is about.
impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        Self {
            severity: error.severity(),
            kind: error.kind(),
            object: None,
            subject: error.subject().map(str::to_owned),
            place: error.location().map(Place::of),
            field: error.path().filter(|path| !path.is_root()).map(ToString::to_string),
            message: error.message().to_owned(),
            help: error.help().map(str::to_owned),
            location: error.location().cloned(),
            topic: error.topic().map(str::to_owned),
        }
    }
}

impl Problem {
    /// An error that has no place.
    pub fn error(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, kind, message.into())
    }

    /// A warning that has no place.
    pub fn warning(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, kind, message.into())
    }

    fn new(severity: Severity, kind: ErrorKind, message: String) -> Self {
        Self {
            severity,
            kind,
            object: None,
            subject: None,
            place: None,
            field: None,
            message,
            help: None,
            location: None,
            topic: None,
        }
    }

    /// Of an error of the core, as an audit keeps it.
    pub fn of(error: &Error) -> Self {
        Self::from(error).kept()
    }

    /// Of many errors.
    pub fn all(errors: &[Error]) -> Vec<Self> {
        errors.iter().map(Self::from).collect()
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// How many bytes of a message and of a help are kept.
    pub const MAX_TEXT: usize = 1024;

    /// As it can be kept a thousand times: without the text that it is about, and with texts that are cut,
    /// and say so, if they are too long. The message then says which policy it is about.
    #[must_use]
    pub fn kept(mut self) -> Self {
        if let Some(subject) = self.subject.take() {
            self.message = format!("{subject}: {}", self.message);
        }
        for text in std::iter::once(&mut self.message).chain(&mut self.help) {
            if text.len() > Self::MAX_TEXT {
                *text = crate::clip::text(text, Self::MAX_TEXT).into_owned();
            }
        }
        Self { field: None, location: None, topic: None, ..self }
    }

    /// `object: message; help`: without the place, for forms that have it beside the text.
    pub fn text(&self) -> String {
        Self { place: None, field: None, location: None, ..self.clone() }.to_string()
    }
}

/// `file:line:column: object: message (at `field`); help`. A file without a text, such as one that is not
/// there, has no lines.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if let Some(subject) = &self.subject {
            write!(f, "{subject}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(field) = &self.field {
            write!(f, " (at `{field}`)")?;
        }
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
pub(crate) fn is_error<S: Serializer>(severity: &Severity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(*severity == Severity::Error)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
pub(crate) fn code<S: Serializer>(kind: &ErrorKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.code())
}

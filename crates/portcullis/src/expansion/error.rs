//! Why an object cannot be expanded.

use std::fmt;
use std::sync::Arc;

use portcullis_value::Questions;
use thiserror::Error;

use super::bounds::{DEPTH, MAX_BYTES, MAX_RESULTANTS};
use crate::error::{Error, ErrorKind};
use crate::mutation::MutationError;
use crate::object::Object;
use crate::path::FieldPath;
use crate::source::Location;

/// Why it is not known what an object implies. Printed in Gatekeeper's words where it has some, since users
/// may have them in their alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpansionError {
    pub(super) reason: Reason,
    /// The template that was applied; empty if it is about all of them.
    pub(super) template: Arc<str>,
    /// Where in the object's document.
    pub(super) location: Option<Location>,
    pub(super) path: FieldPath,
    pub(super) questions: Questions,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Reason {
    #[error("could not find source field {source_field:?} in resource {parent}")]
    NoSource { source_field: Arc<str>, parent: String },
    #[error("could not extract source field from unstructured: {found}")]
    SourceIsNoObject { found: String },
    #[error("could not extract namespace field {source_field:?} in parent resource {parent}")]
    NoNamespace { source_field: Arc<str>, parent: String },
    #[error("maximum recursion depth of {DEPTH} reached")]
    TooDeep,
    #[error("more than {MAX_RESULTANTS} resources are generated of one")]
    TooMany,
    #[error("more than {} MiB are generated of one resource", MAX_BYTES >> 20)]
    TooLarge,
    #[error("error mutating base resource {name}: {reason}")]
    ParentNotMutated { name: String, reason: String },
    #[error("failed to mutate resultant resource {name}: {reason}")]
    NotMutated { name: String, reason: String },
    #[error("the generated resource {name} cannot be judged: {reason}")]
    NotJudged { name: String, reason: String },
}

impl ExpansionError {
    /// An object that cannot be mutated, though it has to be before it is expanded.
    pub(super) fn of_parent(object: &Object, error: &MutationError) -> Self {
        Self {
            reason: Reason::ParentNotMutated { name: object.name().to_string(), reason: error.to_string() },
            template: "".into(),
            location: error.location().cloned(),
            path: error.path().cloned().unwrap_or_default(),
            questions: error.questions().clone(),
        }
    }

    /// An object that admission policies do not let in, though they have to be asked before it is expanded.
    pub(super) fn of_denied_parent(object: &Object, reason: String, questions: Questions) -> Self {
        Self {
            reason: Reason::ParentNotMutated { name: object.name().to_string(), reason },
            template: "".into(),
            location: object.location(),
            path: FieldPath::root(),
            questions,
        }
    }

    /// What mutators ask of the world outside, of all that would be generated: with answers to it, more is known.
    #[must_use]
    pub fn questions(&self) -> &Questions {
        &self.questions
    }

    /// Takes over what another one asks. What there is no room for is asked next time.
    pub(super) fn ask(&mut self, other: &Self) {
        for question in other.questions.iter() {
            if self.questions.ask(question.clone()).is_err() {
                break;
            }
        }
    }

    /// The template that was applied; `None` if it is about what all of them generate together.
    #[must_use]
    pub fn template(&self) -> Option<&str> {
        Some(&*self.template).filter(|name| !name.is_empty())
    }

    /// Where in the object's document it is, if the object has one.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }

    /// As a problem of an input.
    #[must_use]
    pub fn to_error(&self) -> Error {
        let by = self.template().map(|name| format!(" by ExpansionTemplate `{name}`")).unwrap_or_default();
        let kind = match self.reason {
            Reason::TooDeep | Reason::TooMany | Reason::TooLarge => ErrorKind::Limit,
            _ => ErrorKind::NotExpanded,
        };
        let error = Error::new(kind, format!("it cannot be expanded{by}: {self}"));
        let error = error.hint("what it will become is not known, so that it cannot pass");
        error.at(self.location.clone()).in_field(self.path.clone())
    }
}

impl fmt::Display for ExpansionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for ExpansionError {}

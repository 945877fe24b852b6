//! What the API server is answered.

use std::sync::Arc;

use portcullis::Outcome;

use super::explain::Explanations;
use super::patch::Patch;
use crate::bounds::{self, fit};

/// How a request ended, as metrics count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Let in.
    Allow,
    /// Denied by a violation.
    Deny,
    /// Refused because it could not be judged.
    Error,
    /// Answered before anything was judged: excluded by a Config, or a policy that is itself wrong. Not counted, as in Gatekeeper.
    Unjudged,
}

impl Status {
    /// The word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Error => "error",
            Self::Unjudged => "unknown",
        }
    }
}

/// How often all mutators were gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passes {
    pub(crate) number: u32,
    /// Whether they came to an end.
    pub(crate) is_done: bool,
}

impl Passes {
    pub(super) fn of(number: usize, is_done: bool) -> Self {
        Self { number: u32::try_from(number).unwrap_or(u32::MAX), is_done }
    }
}

/// What the API server is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) allowed: bool,
    pub(super) code: u16,
    pub(super) reason: Option<&'static str>,
    pub(super) message: String,
    pub(super) warnings: Vec<String>,
    /// How it ended.
    pub status: Status,
    /// What the constraints said; `None` if they were not asked.
    pub outcome: Option<Box<Outcome>>,
    /// Why they said it, by constraint and message, if that was asked for.
    pub(crate) explanations: Option<Box<Explanations>>,
    /// The name in the object, which the request may not have.
    pub(super) object_name: Arc<str>,
    /// What makes the mutated object; only of an answer that lets it in.
    pub patch: Option<Box<Patch>>,
    /// Of a request that mutators were asked about.
    pub(crate) passes: Option<Passes>,
    /// Whether the message repeats parts of the object, in any form.
    pub(super) quotes_object: bool,
}

impl Answer {
    pub(super) fn new(status: Status, code: u16, message: impl Into<String>) -> Self {
        Self::of_lines(status, code, [message.into()], "lines")
    }

    /// With as many lines as there is room for.
    pub(super) fn of_lines(
        status: Status,
        code: u16,
        lines: impl IntoIterator<Item = String>,
        what: &str,
    ) -> Self {
        Self {
            allowed: matches!(status, Status::Allow),
            code,
            reason: None,
            message: fit(lines, what, bounds::ANSWER).join("\n"),
            warnings: Vec::new(),
            status,
            outcome: None,
            explanations: None,
            object_name: "".into(),
            patch: None,
            passes: None,
            quotes_object: false,
        }
    }

    /// A refusal of a request that is not what it should be.
    #[must_use]
    pub fn malformed(code: u16, message: impl Into<String>) -> Self {
        Self { reason: Some("BadRequest"), ..Self::new(Status::Error, code, message) }
    }

    /// A refusal because the webhook could not judge.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self { reason: Some("InternalError"), ..Self::new(Status::Error, 500, message) }
    }

    /// Whether the request may pass.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// The code of the answer.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// What the user sees.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same verdict without what may be long. A patch is no reason: without it the object would pass as it is, so it is refused.
    #[must_use]
    pub fn without_reasons(&self) -> Self {
        const LEFT_OUT: &str = "the reasons are left out: too many answers wait for their readers";
        if self.patch.is_some() {
            return Self::failed("the object could not be mutated: too many answers wait for their readers");
        }
        Self { allowed: self.allowed, code: self.code, ..Self::new(self.status, self.code, LEFT_OUT) }
    }

    /// Whether the message may repeat parts of the object, and not only between quotes.
    #[must_use]
    pub fn quotes_object(&self) -> bool {
        self.quotes_object
    }

    /// Whether the message may repeat parts of a request that was not judged.
    #[must_use]
    pub fn repeats_request(&self) -> bool {
        self.outcome.is_none() && matches!(self.code, 400..500)
    }
}

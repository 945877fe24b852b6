//! Exceptions, compiled: which objects they are about, and what of whom does not count.
//!
//! An exception is asked only about violations. What could not be evaluated, matched or read stays an error: an
//! exception says that something known is let pass.

use std::sync::Arc;

use super::ConstraintInfo;
use crate::api::exception::{Expiry, PolicyException};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::matcher::{Matcher, Subject};
use crate::names::ConstraintKey;
use crate::source::Location;

/// What callers may know about an exception.
#[derive(Debug, PartialEq, Eq)]
pub struct ExceptionInfo {
    name: Arc<str>,
    reason: Arc<str>,
    owner: Option<Arc<str>>,
    expires: Option<Expiry>,
    location: Location,
    constraints: Vec<ConstraintKey>,
    templates: Vec<Arc<str>>,
}

impl ExceptionInfo {
    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why it is there; never empty.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Who answers for it, if somebody does.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// When it ends, as written.
    #[must_use]
    pub fn expires_at(&self) -> Option<&str> {
        self.expires.as_ref().map(|expires| &*expires.text)
    }

    /// Where it stands.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Whether it has no effect at a time, in nanoseconds since 1970. One that ends has none where no time is
    /// known.
    #[must_use]
    pub fn is_expired(&self, now_ns: Option<i64>) -> bool {
        self.expires.as_ref().is_some_and(|expires| now_ns.is_none_or(|now| now >= expires.at_ns))
    }

    /// Whether it names a constraint.
    #[must_use]
    pub fn names(&self, key: &ConstraintKey) -> bool {
        self.constraints.contains(key) || self.templates.contains(&key.kind)
    }

    fn subject(&self) -> String {
        format!("{}/{}", PolicyException::KIND, self.name)
    }

    /// A warning if it has no effect any more.
    pub(super) fn expired(&self, now_ns: Option<i64>) -> Option<Error> {
        let text = self.expires_at().filter(|_| self.is_expired(now_ns))?;
        let message = match now_ns {
            Some(_) => format!("the exception ended at {text}, and has no effect"),
            None => {
                format!("the exception ends at {text}, and has no effect, since the time is not known here")
            }
        };
        let warning = Error::warning(ErrorKind::Exception, message).about(self.subject());
        Some(warning.at(self.location.clone()).hint("remove it, or decide about it once more"))
    }

    /// A warning for each name of which there is no constraint.
    pub(super) fn nameless(&self, known: &[&ConstraintInfo]) -> Vec<Error> {
        let warn = |message: String| {
            Error::warning(ErrorKind::Exception, message).about(self.subject()).at(self.location.clone())
        };
        let constraints = self.constraints.iter().filter(|key| known.iter().all(|info| info.key() != *key));
        let templates =
            self.templates.iter().filter(|kind| known.iter().all(|info| info.key().kind != **kind));
        constraints
            .map(|key| warn(format!("there is no constraint `{key}` for this exception")))
            .chain(
                templates
                    .map(|kind| warn(format!("there is no constraint of kind `{kind}` for this exception"))),
            )
            .collect()
    }
}

/// An exception ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct CompiledException {
    pub(crate) info: Arc<ExceptionInfo>,
    matcher: Matcher,
    /// As it was written.
    pub(super) document: Document,
}

impl CompiledException {
    pub(super) fn compile(api: &PolicyException) -> Self {
        let info = ExceptionInfo {
            name: api.name.clone(),
            reason: api.reason.clone(),
            owner: api.owner.clone(),
            expires: api.expires.clone(),
            location: api.document.location(),
            constraints: api.constraints.clone(),
            templates: api.templates.clone(),
        };
        Self {
            info: Arc::new(info),
            matcher: Matcher::compile(&api.matching),
            document: api.document.clone(),
        }
    }

    /// Whether it is about an object. If that is not known, it is not.
    pub(crate) fn covers(&self, subject: &Subject<'_>) -> bool {
        self.matcher.matches(subject) == Ok(true)
    }
}

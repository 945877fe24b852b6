//! Where the results of an audit go: as they come, or at its end.

use std::io;

use crate::{AuditReport, Finding, Form, Policy, Timestamp};

pub use crate::output::{Output, Target};

/// Takes the results of one audit. Called in the order `begin`, `finding` for each, `end`.
pub trait Sink {
    /// The audit begins.
    ///
    /// # Errors
    ///
    /// If nothing can be written there.
    fn begin(&mut self, start: &Start<'_>) -> io::Result<()>;

    /// One finding; they come in the order of the objects.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    fn finding(&mut self, start: &Start<'_>, finding: &Finding) -> io::Result<()>;

    /// The audit has ended, or was ended: the report says which. All findings can be read once more.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    fn end(&mut self, report: &AuditReport) -> io::Result<()>;
}

/// What is known when an audit begins.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// When that is.
    pub started: Timestamp,
    /// By what is judged.
    pub policies: &'a [Policy],
}

/// Writes a form that needs everything before it can be written.
pub(crate) struct AtEnd {
    form: Form,
    target: Target,
}

impl AtEnd {
    pub(crate) fn new(form: Form, target: Target) -> Self {
        Self { form, target }
    }
}

impl Sink for AtEnd {
    fn begin(&mut self, _: &Start<'_>) -> io::Result<()> {
        // Better now than after an hour.
        self.target.check()
    }

    fn finding(&mut self, _: &Start<'_>, _: &Finding) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, report: &AuditReport) -> io::Result<()> {
        let mut output = self.target.open(self.form.is_for_people())?;
        self.form.write(report, &mut output)?;
        output.finish()
    }
}

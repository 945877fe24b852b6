//! Results in, text out. No form decides anything.
//!
//! ```text
//! a command's report            what is in it                    where it goes
//! TestReport ────┐              Finding, Verdict, Action         Form ── Spec: one row for each form,
//! VerifyReport ──┼── made of ── Problem, Place                     which commands have it, and its file
//! LintReport ────┤              Policy                           Sink ── Target: standard output, a file
//! AuditReport ───┘              Totals, Coverage
//! ```
//!
//! Forms are added to the list in `form.rs`; command lines, help and files of outputs follow it.

mod audit;
mod azure;
pub mod bench;
mod causes;
mod checkstyle;
pub mod clip;
mod compact;
mod covered;
mod csv;
pub mod destination;
pub mod escape;
pub mod eval;
pub mod exceptions;
mod exit;
mod explained;
mod finding;
mod fingerprint;
pub mod fixes;
mod form;
pub mod gator;
mod github;
mod gitlab;
mod html;
pub mod human;
mod jinja;
mod json;
mod junit;
mod lcov;
pub mod lint;
mod markdown;
mod metrics;
mod mutants;
pub mod mutate;
mod ndjson;
mod output;
mod place;
mod policy;
pub mod policy_report;
mod problem;
pub mod reference;
mod rows;
mod sarif;
pub mod sink;
pub mod status;
mod subject;
mod tap;
mod template;
mod test;
mod time;
mod told;
pub mod verify;
pub mod why;
mod yaml;

pub use audit::{
    AuditReport, Completion, Coverage, Explanations, KindCoverage, Objects, Standing, StatusLimits, Tally,
    Totals, Unjudged,
};
pub use causes::{Cause, Example, MAX_PROBLEMS, Problems};
pub use destination::Destination;
pub use exit::ExitStatus;
pub use finding::{Action, Details, Finding, Findings, Implied, InText, ObjectName, Reading, Verdict};
pub use form::{Form, Report};
pub use html::reference::write as write_html_reference;
pub use html::test::write as write_html_explanations;
pub use jinja::ReportTemplate;
pub use output::stdout;
pub use place::{Place, in_checkout};
pub use policy::{Origin, Policy, PolicySeverity, Template};
pub use portcullis_sources::usage;
pub use problem::Problem;
pub use subject::Subject;
pub use test::{
    Counts, Exception, Explained, Placed, Reviewed, RuleFiles, Suppressed, Suppression, TestReport, Wanted,
};
pub use time::Timestamp;
pub use told::{Explanation, Told, Untold};

/// `1 object`, `2 objects`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    let word = if number == 1 { one } else { many };
    format!("{number} {word}")
}

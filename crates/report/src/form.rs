//! The forms of reports: one list, and a file for each form.
//!
//! ```text
//! command ── builds ──> TestReport, VerifyReport, LintReport, AuditReport ── Form::write ──> text
//!                                        which forms each has, and what they are like there: Spec
//! ```

use std::io::{self, Write};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::bench::BenchReport;
use crate::lint::LintReport;
use crate::sink::{Sink, Target};
use crate::verify::VerifyReport;
use crate::{AuditReport, TestReport};
use crate::{
    azure, checkstyle, compact, covered, csv, github, gitlab, html, human, json, junit, markdown, metrics,
    ndjson, policy_report, sarif, status, tap, template, yaml,
};

/// What there is to know of a form. A command that has no writer does not have the form.
pub struct Spec {
    /// The word on the command line; for audits also the flag that takes a file.
    pub name: &'static str,
    /// Words that are accepted for it.
    pub aliases: &'static [&'static str],
    /// For people: it may have colours, and goes to standard output only.
    pub is_for_people: bool,
    /// Says what is wrong with the input of a test. If not, as a form that says nothing of it, people get it
    /// on standard error.
    pub has_problems: bool,
    /// The reports of `test`.
    pub test: Option<Writer<TestReport>>,
    /// Those of `verify`.
    pub verify: Option<Writer<VerifyReport>>,
    /// Those of `lint`.
    pub lint: Option<Writer<LintReport>>,
    /// Those of `bench`.
    pub bench: Option<Writer<BenchReport>>,
    /// Those of audits.
    pub audit: Option<Writer<AuditReport>>,
    /// Those of audits, written as findings come instead of at the end.
    pub as_found: Option<AsFound>,
}

impl Spec {
    /// A form that no command has yet.
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            is_for_people: false,
            has_problems: false,
            test: None,
            verify: None,
            lint: None,
            bench: None,
            audit: None,
            as_found: None,
        }
    }
}

/// How a report is written in a form.
pub struct Writer<R> {
    /// What the form is like there, for the command line's help: without a capital letter and a period.
    pub about: &'static str,
    /// Writes a report to its end.
    pub write: fn(&R, &mut dyn Write) -> io::Result<()>,
}

/// How an audit is written in a form as findings come.
pub struct AsFound {
    /// As [`Writer::about`].
    pub about: &'static str,
    /// Makes what writes it.
    pub sink: fn(Target) -> Box<dyn Sink>,
}

// A macro, because the enum, the list of all and what each is must not drift apart.
macro_rules! forms {
    ($($form:ident = $spec:path;)*) => {
        /// The forms of reports.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Form { $(#[doc = concat!("As `", stringify!($spec), "` says.")] $form,)* }

        impl Form {
            /// All of them, in the order of the help.
            pub const ALL: &'static [Self] = &[$(Self::$form,)*];

            const fn spec(self) -> &'static Spec {
                match self { $(Self::$form => &$spec,)* }
            }
        }
    };
}

forms! {
    Human = human::FORM;
    Compact = compact::FORM;
    Markdown = markdown::FORM;
    Json = json::FORM;
    Yaml = yaml::FORM;
    Junit = junit::FORM;
    Sarif = sarif::FORM;
    Github = github::FORM;
    Gitlab = gitlab::FORM;
    Azure = azure::FORM;
    Tap = tap::FORM;
    Csv = csv::FORM;
    Checkstyle = checkstyle::FORM;
    Template = template::FORM;
    Ndjson = ndjson::FORM;
    PolicyReport = policy_report::POLICY_REPORT;
    OpenReports = policy_report::OPEN_REPORTS;
    Metrics = metrics::FORM;
    Status = status::FORM;
    Html = html::FORM;
    Lcov = covered::FORM;
}

/// What a command reports.
pub trait Report: Sized + 'static {
    /// How it is written in a form, if it can be.
    #[doc(hidden)]
    fn writer(spec: &'static Spec) -> Option<&'static Writer<Self>>;

    /// What the form is like, if it has it.
    #[doc(hidden)]
    fn about(spec: &'static Spec) -> Option<&'static str> {
        Some(Self::writer(spec)?.about)
    }
}

impl Report for TestReport {
    fn writer(spec: &'static Spec) -> Option<&'static Writer<Self>> {
        spec.test.as_ref()
    }
}

impl Report for VerifyReport {
    fn writer(spec: &'static Spec) -> Option<&'static Writer<Self>> {
        spec.verify.as_ref()
    }
}

impl Report for LintReport {
    fn writer(spec: &'static Spec) -> Option<&'static Writer<Self>> {
        spec.lint.as_ref()
    }
}

impl Report for BenchReport {
    fn writer(spec: &'static Spec) -> Option<&'static Writer<Self>> {
        spec.bench.as_ref()
    }
}

impl Report for AuditReport {
    fn writer(spec: &'static Spec) -> Option<&'static Writer<Self>> {
        spec.audit.as_ref()
    }

    fn about(spec: &'static Spec) -> Option<&'static str> {
        spec.audit.as_ref().map(|writer| writer.about).or(spec.as_found.as_ref().map(|found| found.about))
    }
}

impl Form {
    /// The forms that a report can be written in.
    pub fn of<R: Report>() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|form| form.about::<R>().is_some())
    }

    /// The word on the command line.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// What the form of a report is like, without a capital letter and a period; `None` if the report does
    /// not have it.
    pub fn about<R: Report>(self) -> Option<&'static str> {
        R::about(self.spec())
    }

    /// Whether it is for people: with colours.
    pub fn is_for_people(self) -> bool {
        self.spec().is_for_people
    }

    /// Whether it says what is wrong with the input of a test.
    pub fn has_problems(self) -> bool {
        self.spec().has_problems
    }

    /// Writes a report.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or the report does not have this form, which [`Form::parser`] refuses.
    pub fn write<R: Report>(self, report: &R, out: &mut dyn Write) -> io::Result<()> {
        let Some(writer) = R::writer(self.spec()) else {
            return Err(io::Error::other(format!("this report has no form `{}`", self.name())));
        };
        (writer.write)(report, out)
    }

    /// What writes an audit in this form, at its end or as findings come.
    pub fn sink(self, target: Target) -> Box<dyn Sink> {
        match &self.spec().as_found {
            Some(AsFound { sink, .. }) => sink(target),
            None => Box::new(crate::sink::AtEnd::new(self, target)),
        }
    }

    /// Reads the forms of a report on a command line, and lists them in its help.
    pub fn parser<R: Report>() -> impl TypedValueParser<Value = Self> {
        let values = Self::of::<R>().map(|form| {
            let about = form.about::<R>().map(capital).unwrap_or_default();
            let value = PossibleValue::new(form.name()).help(about);
            form.spec().aliases.iter().fold(value, |value, alias| value.alias(*alias))
        });
        PossibleValuesParser::new(values.collect::<Vec<_>>()).try_map(|word| {
            let is_named = |form: &Self| form.name() == word || form.spec().aliases.contains(&word.as_str());
            Self::of::<R>().find(is_named).ok_or("there is no such form")
        })
    }
}

/// With a capital letter, for where a sentence begins.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abouts(form: Form) -> [Option<&'static str>; 5] {
        [
            form.about::<TestReport>(),
            form.about::<VerifyReport>(),
            form.about::<LintReport>(),
            form.about::<BenchReport>(),
            form.about::<AuditReport>(),
        ]
    }

    #[test]
    fn each_form_has_a_name_of_its_own_and_is_described_where_it_can_be_had() {
        let mut names: Vec<_> = Form::ALL.iter().map(|form| form.name()).collect();
        names.extend(Form::ALL.iter().flat_map(|form| form.spec().aliases));
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        for form in Form::ALL {
            let abouts = abouts(*form);
            assert!(abouts.iter().any(Option::is_some), "{form:?} is of no command");
            for about in abouts.into_iter().flatten() {
                assert!(!about.is_empty() && !about.ends_with('.'), "{form:?}: {about}");
            }
        }
    }

    /// People do not find a form that the manual does not name.
    #[test]
    fn the_manual_lists_each_form_with_its_commands() {
        let manual = include_str!("../../../docs/reports.md");
        for form in Form::ALL {
            let commands = abouts(*form).map(|about| if about.is_some() { " yes |" } else { " |" });
            let row = format!("| `{}` |{}", form.name(), commands.concat());
            assert!(manual.lines().any(|line| line == row), "docs/reports.md has no row `{row}`");
        }
        // Whom those of `test` are for, some in a row with others.
        let (_, whom) = manual.split_once("\nOf `test`:\n").unwrap_or_default();
        let first_cells: Vec<&str> = whom.lines().filter_map(|line| line.split('|').nth(1)).collect();
        for form in Form::of::<TestReport>() {
            let name = format!("`{}`", form.name());
            let is_there = first_cells.iter().any(|cell| cell.contains(&name));
            assert!(is_there, "docs/reports.md does not say what {name} of `test` is for");
        }
    }
}

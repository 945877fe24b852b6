//! Findings and problems as rows: what the forms have in common that say one line of each.

use std::borrow::Cow;
use std::collections::BTreeMap;

use portcullis::Severity;

use crate::fingerprint::Fingerprints;
use crate::lint::LintReport;
use crate::{Finding, Place, Policy, Problem, Suppressed, Suppression, TestReport, Verdict};

/// One row: a finding, or something that is wrong with the input or with a policy.
pub(crate) struct Row<'a> {
    /// Where, if it has a place.
    pub place: Option<&'a Place>,
    /// How grave it is.
    pub level: Level,
    /// The constraint, or the rule of the problem.
    pub code: String,
    /// What it is about, if that is one object or one policy.
    pub object: Option<String>,
    /// The field that it is about; empty if that is not one.
    pub field: &'a str,
    /// What is wrong.
    pub message: Cow<'a, str>,
    /// What to do about it.
    pub help: Option<&'a str>,
    /// The finding, with its policy.
    pub finding: Option<(&'a Policy, &'a Finding)>,
    /// Why it does not count, if it does not.
    pub suppressed: Option<&'a Suppression>,
}

/// How grave a row is, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Error,
    Warning,
    Note,
}

impl Level {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Error => Self::Error,
            Severity::Warning => Self::Warning,
        }
    }
}

impl<'a> Row<'a> {
    /// All of a test: problems, then findings, each in their order.
    pub(crate) fn of_test(report: &'a TestReport) -> Vec<Self> {
        let problems = report.problems.iter().map(Self::of_problem);
        let findings = report.each().map(|(reviewed, policy, finding)| Self {
            place: Some(&finding.place),
            level: match finding.action().0 {
                portcullis::EnforcementAction::Deny => Level::Error,
                portcullis::EnforcementAction::Warn => Level::Warning,
                portcullis::EnforcementAction::Dryrun => Level::Note,
            },
            code: policy.key.to_string(),
            object: Some(reviewed.subject.to_string()),
            field: &finding.field,
            message: finding.says(),
            help: None,
            finding: Some((policy, finding)),
            suppressed: None,
        });
        problems.chain(findings).collect()
    }

    /// Findings of a test that do not count: notes, of which the help says why.
    pub(crate) fn suppressed(report: &'a TestReport) -> Vec<Self> {
        let row = |one: &'a Suppressed| {
            let policy = report.policies.get(one.finding.policy)?;
            Some(Self {
                place: Some(&one.finding.place),
                level: Level::Note,
                code: policy.key.to_string(),
                object: Some(one.finding.object.to_string()),
                field: &one.finding.field,
                message: one.finding.says(),
                help: match &one.why {
                    Suppression::Exception { reason, .. } | Suppression::Inline { reason } => Some(reason),
                    Suppression::Rule { .. } | Suppression::Baseline => None,
                },
                finding: Some((policy, &one.finding)),
                suppressed: Some(&one.why),
            })
        };
        report.suppressed.iter().filter_map(row).collect()
    }

    /// All of a lint.
    pub(crate) fn of_lint(report: &'a LintReport) -> Vec<Self> {
        report.problems.iter().map(Self::of_problem).collect()
    }

    fn of_problem(problem: &'a Problem) -> Self {
        Self {
            place: problem.place.as_ref(),
            level: problem.severity.into(),
            code: problem.kind.code().to_owned(),
            object: problem.object.as_ref().map(ToString::to_string).or_else(|| problem.subject.clone()),
            field: problem.field.as_deref().unwrap_or_default(),
            message: Cow::Borrowed(&problem.message),
            help: problem.help.as_deref(),
            finding: None,
            suppressed: None,
        }
    }

    /// The file, as it was named; none if it has no place in one.
    pub(crate) fn file(&self) -> Option<&'a str> {
        self.place.map(Place::file).filter(|file| !file.is_empty())
    }

    /// Line and column, from 1; 0 for a file as a whole and for what is in none.
    pub(crate) fn line_column(&self) -> (u32, u32) {
        match self.place {
            Some(Place::File { line, column, .. }) => (*line, *column),
            Some(Place::Cluster) | None => (0, 0),
        }
    }

    /// `object: message`, and what to do about it.
    pub(crate) fn text(&self) -> String {
        let object = self.object.iter().map(|object| format!("{object}: "));
        let help = self.help.iter().map(|help| format!("; {help}"));
        object.chain([self.message.clone().into_owned()]).chain(help).collect()
    }

    /// Whether nobody knows what should be known.
    pub(crate) fn is_unknown(&self) -> bool {
        self.finding.is_none_or(|(_, finding)| finding.verdict == Verdict::Unknown)
    }

    /// What stays the same when lines are moved.
    pub(crate) fn fingerprint(&self, fingerprints: &mut Fingerprints) -> String {
        let object = self.object.as_deref().unwrap_or_default();
        fingerprints.of(&[self.file().unwrap_or_default(), &self.code, object, self.field, &self.message])
    }

    /// Rows by file, and in it by line, column, gravity, code and message. What is in no file comes first.
    pub(crate) fn by_file(rows: Vec<Self>) -> BTreeMap<Option<&'a str>, Vec<Self>> {
        let mut files: BTreeMap<Option<&str>, Vec<Self>> = BTreeMap::new();
        for row in rows {
            files.entry(row.file()).or_default().push(row);
        }
        for rows in files.values_mut() {
            rows.sort_by(|a, b| {
                let key = |row: &Self| (row.line_column(), row.level);
                key(a).cmp(&key(b)).then_with(|| a.code.cmp(&b.code)).then_with(|| a.message.cmp(&b.message))
            });
        }
        files
    }
}

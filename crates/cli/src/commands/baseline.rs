//! Baselines: findings that were known when somebody began, and fail no run until they are gone.
//!
//! A known finding is known by what it says: constraint, object and message, and how often. Not by file, line and
//! field, so that it stays known when text is moved and formatted anew, and nothing else becomes known by it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use portcullis::{Error, ErrorKind, Limits, Node};
use portcullis_report::sink::Target;
use portcullis_report::{Finding, Problem, Suppressed, Suppression, TestReport, Verdict, count};
use portcullis_sources::{InputFile, read_file};
use serde_json::Value;

/// What makes a finding the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    constraint: String,
    object: String,
    message: String,
}

/// Findings that are known, and how many there are of each.
#[derive(Debug, Default)]
pub struct Baseline(BTreeMap<Identity, u64>);

/// How many findings a message names.
const NAMED: usize = 3;

impl Baseline {
    /// Reads a baseline. What is wrong in it is an error, and then nothing is known by it.
    pub fn read(path: &Path) -> Result<Self, Vec<Error>> {
        let (documents, mut errors) = read_file(&InputFile::new(path), &Limits::default());
        let [document] = documents.as_slice() else {
            if errors.is_empty() {
                let message = "expected one document, a baseline as `--write-baseline` writes it";
                errors.push(Error::new(ErrorKind::Suite, message).at(document_place(path)));
            }
            return Err(errors);
        };
        let root = Node::root(document);
        root.check_fields(&["version", "findings"], &mut errors);
        match root.required("version", &mut errors) {
            Some(version) if version.to_json() != 1 => errors.push(version.expected("the version 1")),
            _ => {}
        }
        let mut known: BTreeMap<Identity, u64> = BTreeMap::new();
        for entry in root.list("findings", &mut errors) {
            entry.check_fields(&["constraint", "object", "message", "count"], &mut errors);
            let [constraint, object, message] = ["constraint", "object", "message"]
                .map(|field| entry.required_text(field, &mut errors).map(|text| text.to_string()));
            let number = match entry.field("count").map(|field| (field.to_json().as_u64(), field)) {
                None => 1,
                Some((Some(number @ 1..), _)) => number,
                Some((_, field)) => {
                    errors.push(field.expected("a number from 1"));
                    1
                }
            };
            if let (Some(constraint), Some(object), Some(message)) = (constraint, object, message) {
                let all = known.entry(Identity { constraint, object, message }).or_default();
                *all = all.saturating_add(number);
            }
        }
        let is_broken = errors.iter().any(|error| error.severity() == portcullis::Severity::Error);
        if is_broken { Err(errors) } else { Ok(Self(known)) }
    }

    /// The baseline in which all findings of a report are known that could be evaluated.
    pub fn of(report: &TestReport) -> Self {
        let mut known: BTreeMap<Identity, u64> = BTreeMap::new();
        for finding in &report.findings {
            if let Some(identity) = identity(report, finding) {
                *known.entry(identity).or_default() += 1;
            }
        }
        Self(known)
    }

    /// Takes what is known out of the findings of a report, and says in a warning what is gone. Of a report that is
    /// incomplete nothing is known to be gone.
    pub fn apply(mut self, report: &mut TestReport, path: &Path) {
        let mut left = Vec::new();
        for finding in std::mem::take(&mut report.findings) {
            let known = identity(report, &finding).and_then(|identity| self.0.get_mut(&identity));
            match known {
                Some(number) if *number > 0 => {
                    *number -= 1;
                    report.suppressed.push(Suppressed { finding, why: Suppression::Baseline });
                }
                _ => left.push(finding),
            }
        }
        report.findings = left;
        self.0.retain(|_, number| *number > 0);
        let gone = usize::try_from(self.0.values().sum::<u64>()).unwrap_or(usize::MAX);
        if gone == 0 || report.problems.iter().any(Problem::is_error) {
            return;
        }
        let named = self.0.keys().take(NAMED);
        let named: Vec<String> =
            named.map(|one| format!("{} in {}: {}", one.constraint, one.object, one.message)).collect();
        let more = if self.0.len() > NAMED { "; …" } else { "" };
        let message = format!(
            "{} of the baseline {} gone: {}{more}",
            count(gone, "finding", "findings"),
            if gone == 1 { "is" } else { "are" },
            named.join("; ")
        );
        let warning = Error::warning(ErrorKind::Baseline, message).at(document_place(path));
        let warning = warning.hint("write it anew with `--write-baseline`, or they may come back unseen");
        report.problems.push(Problem::from(&warning));
        report.problems.sort();
    }

    /// Writes it, sorted, a line for each finding.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = String::from(
            "# Findings that are known, and fail no run: written by `portcullis test --baseline FILE --write-baseline`.\nversion: 1\n",
        );
        text.push_str(if self.0.is_empty() { "findings: []\n" } else { "findings:\n" });
        for (Identity { constraint, object, message }, number) in &self.0 {
            // JSON's strings are YAML's.
            let [constraint, object, message] =
                [constraint, object, message].map(|text| Value::from(&**text));
            let number = if *number == 1 { String::new() } else { format!(", count: {number}") };
            writeln!(text, "- {{constraint: {constraint}, object: {object}, message: {message}{number}}}")?;
        }
        let mut output = Target::File(path.to_owned()).open(false)?;
        output.write_all(text.as_bytes())?;
        Ok(output.finish()?)
    }
}

/// What could not be evaluated is never known.
fn identity(report: &TestReport, finding: &Finding) -> Option<Identity> {
    let policy = report.policies.get(finding.policy).filter(|_| finding.verdict == Verdict::Violation)?;
    let object = format!("{} {}", finding.object.api_version(), finding.object);
    Some(Identity { constraint: policy.key.to_string(), object, message: finding.message.clone() })
}

fn document_place(path: &Path) -> portcullis::Location {
    let text = fs::read_to_string(path).unwrap_or_default();
    portcullis::Location::new(portcullis::Source::new(InputFile::new(path).name, text), 0..0)
}

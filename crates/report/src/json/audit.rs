//! The whole audit as one JSON or YAML document. Findings are written one by one, however many there are.

use std::cell::RefCell;
use std::io::{self, Write};

use crate::{
    AuditReport, Cause, Completion, Coverage, Explanation, Explanations, Finding, Findings, Objects, Policy,
    Problem, Standing, Tally, Timestamp,
};
use serde::ser::{Error as _, SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    id: String,
    started: Timestamp,
    ended: Timestamp,
    standing: Standing,
    completion: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    policy_digest: &'a str,
    totals: Totals<'a>,
    coverage: &'a Coverage,
    objects: Objects,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanations: Option<Explanations>,
    problem_counts: ProblemCounts,
    causes: Vec<&'a Cause>,
    problems: Vec<&'a Problem>,
    policies: Policies<'a>,
    findings: Stream<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Totals<'a> {
    #[serde(flatten)]
    all: Tally,
    by_namespace: &'a std::collections::BTreeMap<std::sync::Arc<str>, Tally>,
    by_action: &'a std::collections::BTreeMap<crate::Action, Tally>,
}

#[derive(Serialize)]
struct ProblemCounts {
    errors: u64,
    warnings: u64,
}

#[derive(Serialize)]
struct Counted<'a> {
    #[serde(flatten)]
    policy: &'a Policy,
    #[serde(flatten)]
    tally: Tally,
}

struct Policies<'a>(&'a AuditReport);

impl Serialize for Policies<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tallies = self.0.totals.by_policy.iter().copied().chain(std::iter::repeat(Tally::default()));
        let counted = self.0.policies.iter().zip(tallies);
        serializer.collect_seq(counted.map(|(policy, tally)| Counted { policy, tally }))
    }
}

struct Stream<'a> {
    policies: &'a [Policy],
    findings: &'a dyn Findings,
    /// Serializers have errors of their own.
    failed: &'a RefCell<Option<io::Error>>,
}

impl Serialize for Stream<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fail = |error: io::Error| {
            let text = error.to_string();
            self.failed.replace(Some(error));
            S::Error::custom(text)
        };
        let mut list = serializer.serialize_seq(None)?;
        for finding in self.findings.read().map_err(fail)? {
            let finding = finding.map_err(fail)?;
            let policy = self.policies.get(finding.policy);
            list.serialize_element(&Named { finding: &finding, policy })?;
        }
        list.end()
    }
}

/// A finding with the name of its constraint instead of a number.
struct Named<'a> {
    finding: &'a Finding,
    policy: Option<&'a Policy>,
}

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let finding = self.finding;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("object", &finding.object)?;
        map.serialize_entry("constraint", &self.policy.map(|policy| policy.key.to_string()))?;
        map.serialize_entry("verdict", &finding.verdict)?;
        map.serialize_entry("message", &finding.message)?;
        map.serialize_entry("actions", &finding.actions)?;
        map.serialize_entry("field", &finding.field)?;
        map.serialize_entry("place", &finding.place)?;
        map.serialize_entry("details", &finding.details)?;
        let why = finding.explanation.as_deref().map(Explanation::to_json).transpose();
        let (explanation, unexplained) = why.map_err(S::Error::custom)?.unwrap_or_default();
        if let Some(explanation) = explanation {
            map.serialize_entry("explanation", &explanation)?;
        }
        if let Some(unexplained) = unexplained {
            map.serialize_entry("unexplained", &unexplained)?;
        }
        map.end()
    }
}

fn with_document<T>(
    report: &AuditReport,
    write: impl FnOnce(&Document<'_>) -> io::Result<T>,
) -> io::Result<T> {
    let failed = RefCell::new(None);
    let document = Document {
        id: report.id(),
        started: report.started,
        ended: report.ended,
        standing: report.standing(),
        completion: report.completion.as_str(),
        reason: match &report.completion {
            Completion::Unfinished { reason } => Some(reason.clone()),
            Completion::Complete | Completion::Partial => report.unjudged().map(|why| why.to_string()),
        },
        policy_digest: &report.policy_digest,
        totals: Totals {
            all: report.totals.all,
            by_namespace: &report.totals.by_namespace,
            by_action: &report.totals.by_action,
        },
        coverage: &report.coverage,
        objects: report.coverage.objects(),
        explanations: report.explanations,
        problem_counts: ProblemCounts {
            errors: report.problems.errors(),
            warnings: report.problems.warnings(),
        },
        causes: report.problems.causes().collect(),
        problems: report.problems.listed().collect(),
        policies: Policies(report),
        findings: Stream { policies: &report.policies, findings: &*report.findings, failed: &failed },
    };
    let written = write(&document);
    match failed.take() {
        Some(error) => Err(error),
        None => written,
    }
}

/// Writes JSON, indented.
pub(super) fn write(report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    with_document(report, |document| {
        serde_json::to_writer_pretty(&mut *out, document)?;
        out.write_all(b"\n")
    })
}

/// Writes YAML.
pub(crate) fn write_yaml(report: &AuditReport, mut out: &mut dyn Write) -> io::Result<()> {
    with_document(report, |document| serde_saphyr::to_io_writer(&mut out, document).map_err(io::Error::other))
}

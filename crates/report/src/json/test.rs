//! gator's JSON, with positions.
//!
//! An array, `[]` if nothing was found, of
//! `{target, msg, metadata?, constraint, enforcementAction, scopedActions?, violatingObject, trace,
//! location}`. Additions to gator: `location`, and `evaluationError:
//! true` where the message is not the policy's because it could not be evaluated.
//!
//! Of a rule of a file of Rego, `constraint` is what identifies it, its package as the kind, and `query` is how
//! it is asked for.
//!
//! `violatingObject` and `constraint` are repeated in each finding, as in gator, up to 2 MiB of each: from
//! there on they are what identifies them, with `leftOutBytes`.

use std::io::{self, Write};

use portcullis::{ConstraintKey, Engine, Object};
use serde::Serialize;

use super::{Start, write_indented};
use crate::bench::StatsEntry;
use crate::clip::{Copies, Copy};
use crate::fixes::JsonFix;
use crate::test::Explained;
use crate::why;
use crate::{Details, Finding, ObjectName, Origin, Policy, Reviewed, Subject, TestReport, Verdict};

/// The only target there is.
const TARGET: &str = "admission.k8s.gatekeeper.sh";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    target: &'static str,
    msg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    constraint: Constraint<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    enforcement_action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scoped_actions: Option<Vec<&'static str>>,
    violating_object: Copy<'a, Subject>,
    /// Always there in gator, and `null` unless asked for.
    trace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<JsonFix>,
    location: Found<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    evaluation_error: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Constraint<'a> {
    Copy(Copy<'a, Object>),
    Rule { kind: &'a str, metadata: Name<'a> },
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Metadata<'a> {
    details: &'a Details,
}

#[derive(Serialize)]
struct Found<'a> {
    #[serde(flatten)]
    start: Start<'a>,
    path: &'a str,
    precision: String,
}

/// Writes all findings.
pub(super) fn write(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    let results = items(report);
    match &report.stats {
        // As gator has it.
        Some(stats) => write_indented(&WithStats { results, stats }, out),
        None => write_indented(&results, out),
    }
}

/// Findings beside what they cost.
#[derive(Serialize)]
pub(crate) struct WithStats<'a, R> {
    pub results: R,
    pub stats: &'a [StatsEntry],
}

/// What the JSON and the YAML report have in them.
pub(crate) fn items(report: &TestReport) -> Vec<impl Serialize + '_> {
    let mut copies = Copies::default();
    let each = report.each().map(|(reviewed, policy, finding)| {
        let trace = report.traces.get(&(finding.ordinal, finding.policy));
        let mut item = item(reviewed, policy, finding, trace.map(String::as_str), &mut copies);
        let is_of = |one: &&Explained| (one.ordinal, one.policy) == (finding.ordinal, finding.policy);
        let explained = report.explanations.iter().find(is_of);
        item.explanation = explained.and_then(|one| why::json_of(&one.why, &finding.message));
        item.fixes = report.fix_of(finding).map(|(_, fix)| JsonFix::of(fix)).into_iter().collect();
        item
    });
    each.collect()
}

fn item<'a>(
    reviewed: &'a Reviewed,
    policy: &'a Policy,
    finding: &'a Finding,
    trace: Option<&'a str>,
    copies: &mut Copies,
) -> Item<'a> {
    let (constraint, query) = match &policy.origin {
        Origin::Constraint(object, _) => {
            (Constraint::Copy(copies.of(object, || ObjectName::of(object))), None)
        }
        Origin::Rule(query) => {
            let ConstraintKey { kind, name } = &policy.key;
            (Constraint::Rule { kind, metadata: Name { name } }, Some(&**query))
        }
    };
    // CEL says no more than a message: gator leaves them out.
    let has_details = !matches!(policy.origin, Origin::Constraint(_, Engine::Cel));
    let precision = finding.text.as_ref().map(|text| text.precision.to_string());
    Item {
        target: TARGET,
        msg: &finding.message,
        metadata: has_details.then_some(Metadata { details: &finding.details }),
        constraint,
        query,
        enforcement_action: policy.declared_for(finding),
        scoped_actions: policy
            .is_scoped_for(finding)
            .then(|| finding.actions.iter().map(|action| action.as_str()).collect()),
        violating_object: copies.of(&reviewed.subject, || reviewed.subject.name()),
        trace,
        explanation: None,
        fixes: Vec::new(),
        location: Found {
            start: Start::of(&finding.place),
            path: &finding.field,
            precision: precision.unwrap_or_default(),
        },
        evaluation_error: finding.verdict == Verdict::Unknown,
    }
}

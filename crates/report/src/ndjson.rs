//! One JSON object per line, in the keys of Gatekeeper's export: the start, every violation, the end.
//! Violations are written as they are found. Keys of ours beside theirs say what they have no word for.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::form::{AsFound, Spec};
use crate::sink::{Output, Sink, Start, Target};
use crate::{
    AuditReport, Completion, Details, Explanation, Finding, Place, Policy, Standing, Tally, Verdict,
};

pub(crate) const FORM: Spec = Spec {
    as_found: Some(AsFound {
        about: "one JSON object per line, as Gatekeeper exports violations; written as they are found",
        sink,
    }),
    ..Spec::new("ndjson")
};

/// The group of constraints, and the version that they are stored in.
const GROUP: &str = "constraints.gatekeeper.sh";
const VERSION: &str = "v1beta1";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Details::is_empty")]
    details: &'a Details,
    event_type: &'static str,
    group: &'static str,
    version: &'static str,
    kind: &'a str,
    name: &'a str,
    message: &'a str,
    enforcement_action: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    enforcement_actions: Vec<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    constraint_annotations: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    resource_group: &'a str,
    #[serde(rename = "resourceAPIVersion")]
    resource_api_version: &'a str,
    resource_kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    resource_namespace: &'a str,
    resource_name: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    resource_labels: &'a BTreeMap<String, String>,
    verdict: Verdict,
    #[serde(skip_serializing_if = "str::is_empty")]
    field: &'a str,
    place: &'a Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unexplained: Option<String>,
}

#[derive(Serialize)]
struct Begin<'a> {
    id: &'a str,
    message: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct End<'a> {
    id: &'a str,
    /// Gatekeeper's sentence, if it is true.
    message: String,
    completion: &'static str,
    standing: Standing,
    #[serde(flatten)]
    tally: Tally,
    unread_objects: u64,
    policy_digest: &'a str,
}

/// Writes lines as findings come.
struct Ndjson {
    target: Target,
    output: Option<Output>,
}

fn sink(target: Target) -> Box<dyn Sink> {
    Box::new(Ndjson { target, output: None })
}

impl Sink for Ndjson {
    fn begin(&mut self, start: &Start<'_>) -> io::Result<()> {
        let mut output = self.target.open(false)?;
        begin(&start.started.to_string(), &mut output)?;
        self.output = Some(output);
        Ok(())
    }

    fn finding(&mut self, start: &Start<'_>, finding: &Finding) -> io::Result<()> {
        let Some(output) = &mut self.output else { return Ok(()) };
        line(&start.started.to_string(), start.policies, finding, output)
    }

    fn end(&mut self, report: &AuditReport) -> io::Result<()> {
        let Some(mut output) = self.output.take() else { return Ok(()) };
        end(report, &mut output)?;
        output.finish()
    }
}

fn begin(id: &str, out: &mut dyn Write) -> io::Result<()> {
    put(&Begin { id, message: "audit is started" }, out)
}

fn end(report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    let message = match &report.completion {
        Completion::Unfinished { reason } => {
            format!("audit is unfinished: {reason}")
        }
        _ => "audit is completed".to_owned(),
    };
    let end = End {
        id: &report.id(),
        message,
        completion: report.completion.as_str(),
        standing: report.standing(),
        tally: report.totals.all,
        unread_objects: report.coverage.unread_objects,
        policy_digest: &report.policy_digest,
    };
    put(&end, out)
}

fn line(id: &str, policies: &[Policy], finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let Some(policy) = policies.get(finding.policy) else { return Ok(()) };
    let object = &finding.object;
    let why = finding.explanation.as_deref().map(Explanation::to_json).transpose()?;
    let (explanation, unexplained) = why.unwrap_or_default();
    let line = Line {
        id,
        details: &finding.details,
        event_type: "violation_audited",
        group: GROUP,
        version: VERSION,
        kind: &policy.key.kind,
        name: &policy.key.name,
        message: &finding.message,
        enforcement_action: policy.declared_for(finding),
        enforcement_actions: if policy.is_scoped_for(finding) {
            finding.actions.iter().map(|action| action.as_str()).collect()
        } else {
            Vec::new()
        },
        constraint_annotations: &policy.annotations,
        resource_group: &object.group,
        resource_api_version: &object.version,
        resource_kind: &object.kind,
        resource_namespace: &object.namespace,
        resource_name: &object.name,
        resource_labels: &finding.labels,
        verdict: finding.verdict,
        field: &finding.field,
        place: &finding.place,
        explanation,
        unexplained,
    };
    put(&line, out)
}

fn put(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

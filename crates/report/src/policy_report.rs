//! Policy reports: objects that dashboards of clusters read. One report per namespace and five hundred
//! results, so that none grows beyond what etcd takes, and one for the cluster's own objects. Nothing in them
//! changes unless the results do.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

use portcullis::EnforcementAction;
use serde_json::{Map, Value, json};

use crate::form::{Spec, Writer};
use crate::{AuditReport, Completion, Finding, Verdict, clip};

pub(crate) const POLICY_REPORT: Spec = Spec {
    audit: Some(Writer {
        about: "PolicyReport objects (wgpolicyk8s.io/v1alpha2), a List in JSON, one report per namespace and 500 results",
        write: |report, out| write(Api::PolicyReport, report, out),
    }),
    ..Spec::new("policy-report")
};

pub(crate) const OPEN_REPORTS: Spec = Spec {
    audit: Some(Writer {
        about: "the same as openreports.io/v1alpha1",
        write: |report, out| write(Api::OpenReports, report, out),
    }),
    ..Spec::new("openreports")
};

/// Most results of one report: some 300 KB, far below etcd's 1.5 MB.
const MAX_RESULTS: usize = 500;
/// Most bytes of the texts in them.
const MAX_BYTES: usize = 512 << 10;
/// Most bytes of one message.
const MAX_MESSAGE: usize = 16 << 10;
/// What shows that reports are ours.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "portcullis-audit");

/// The two APIs, which differ in names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Api {
    /// wgpolicyk8s.io/v1alpha2, `PolicyReport` and `ClusterPolicyReport`.
    PolicyReport,
    /// openreports.io/v1alpha1, `Report` and `ClusterReport`.
    #[value(name = "openreports")]
    OpenReports,
}

impl Api {
    /// The API version of its objects.
    pub const fn version(self) -> &'static str {
        match self {
            Self::PolicyReport => "wgpolicyk8s.io/v1alpha2",
            Self::OpenReports => "openreports.io/v1alpha1",
        }
    }

    /// The kind of its objects in a namespace, or of the cluster.
    pub const fn kind(self, namespaced: bool) -> &'static str {
        match (self, namespaced) {
            (Self::PolicyReport, true) => "PolicyReport",
            (Self::PolicyReport, false) => "ClusterPolicyReport",
            (Self::OpenReports, true) => "Report",
            (Self::OpenReports, false) => "ClusterReport",
        }
    }
}

/// Writes all reports as one List.
fn write(api: Api, report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[")?;
    let mut first = true;
    each(api, report, |object| {
        out.write_all(if first { b"\n" } else { b",\n" })?;
        first = false;
        serde_json::to_writer(&mut *out, &object)?;
        Ok(())
    })?;
    out.write_all(b"\n]}\n")
}

/// Makes the reports one by one: those of the cluster, then those of namespaces by name.
///
/// # Errors
///
/// Those of `take`, and if findings cannot be read any more.
pub fn each(api: Api, report: &AuditReport, mut take: impl FnMut(Value) -> io::Result<()>) -> io::Result<()> {
    let empty: Arc<str> = "".into();
    let found = report.findings.namespaces();
    let namespaces: BTreeSet<&Arc<str>> =
        report.totals.by_namespace.keys().chain(&found).chain([&empty]).collect();
    for namespace in namespaces {
        let mut shard = Shard::new(api, namespace, report);
        if let Some(result) = unseen(report).filter(|_| namespace.is_empty()) {
            shard.push(result);
        }
        for finding in report.findings.of_namespace(namespace) {
            let finding = finding?;
            let bytes = finding.message.len().min(MAX_MESSAGE) + finding.field.len() + 256;
            let is_full = shard.results.len() >= MAX_RESULTS || shard.bytes + bytes > MAX_BYTES;
            if is_full && !shard.results.is_empty() {
                let next = shard.next();
                take(std::mem::replace(&mut shard, next).into_object(report))?;
            }
            if let Some(result) = result(report, &finding) {
                shard.bytes += bytes;
                shard.push(result);
            }
        }
        take(shard.into_object(report))?;
    }
    Ok(())
}

/// One report, being made.
struct Shard<'a> {
    api: Api,
    namespace: &'a str,
    number: usize,
    passes: u64,
    bytes: usize,
    results: Vec<Value>,
}

impl<'a> Shard<'a> {
    fn new(api: Api, namespace: &'a str, report: &AuditReport) -> Self {
        let passes = report.totals.by_namespace.get(namespace).map_or(0, |tally| tally.passes);
        Self { api, namespace, number: 1, passes, bytes: 0, results: Vec::new() }
    }

    /// Passes are counted in the first report of a namespace.
    fn next(&self) -> Self {
        let Self { api, namespace, number, .. } = *self;
        Self { api, namespace, number: number + 1, passes: 0, bytes: 0, results: Vec::new() }
    }

    fn push(&mut self, result: Value) {
        self.results.push(result);
    }

    fn into_object(self, report: &AuditReport) -> Value {
        let count = |word: &str| {
            self.results
                .iter()
                .filter(|result| result.get("result").is_some_and(|result| result == word))
                .count()
        };
        let mut metadata = json!({
            "name": format!("portcullis-audit-{}", self.number),
            "labels": {MANAGED_BY.0: MANAGED_BY.1},
            "annotations": {"portcullis-audit/completion": report.completion.as_str()},
        });
        if !self.namespace.is_empty() {
            set(&mut metadata, "namespace", self.namespace);
        }
        let summary = json!({
            "pass": self.passes,
            "fail": count("fail"),
            "warn": count("warn"),
            "error": count("error"),
            "skip": 0,
        });
        let mut object = json!({
            "apiVersion": self.api.version(),
            "kind": self.api.kind(!self.namespace.is_empty()),
            "metadata": metadata,
            "summary": summary,
            "results": self.results,
        });
        if self.api == Api::OpenReports {
            set(&mut object, "source", "portcullis");
        }
        object
    }
}

/// What an audit did not see, or that it judged nothing, is an error of the cluster's report, which would
/// look green otherwise.
fn unseen(report: &AuditReport) -> Option<Value> {
    let message = match &report.completion {
        Completion::Complete => match report.unjudged() {
            Some(why) => format!("nothing was judged: {why}"),
            None => return None,
        },
        Completion::Unfinished { reason } => format!("the audit is unfinished: {reason}"),
        Completion::Partial => {
            format!("the audit could not read everything: {} objects", report.coverage.unread_objects)
        }
    };
    Some(json!({
        "source": "portcullis", "policy": "portcullis-audit", "result": "error", "scored": true, "message": message,
    }))
}

fn result(report: &AuditReport, finding: &Finding) -> Option<Value> {
    let policy = report.policies.get(finding.policy)?;
    let object = &finding.object;
    let word = match (finding.verdict, finding.action().0) {
        (Verdict::Unknown, _) => "error",
        (Verdict::Violation, EnforcementAction::Deny) => "fail",
        (Verdict::Violation, EnforcementAction::Warn | EnforcementAction::Dryrun) => "warn",
    };
    let mut resource = json!({"apiVersion": object.api_version(), "kind": object.kind, "name": object.name});
    if !object.namespace.is_empty() {
        set(&mut resource, "namespace", &object.namespace);
    }
    let mut properties = Map::new();
    properties.insert("enforcementAction".to_owned(), policy.declared_for(finding).into());
    if !finding.field.is_empty() {
        properties.insert("field".to_owned(), finding.field.as_str().into());
    }
    let mut result = json!({
        "source": "portcullis",
        "policy": policy.key.kind,
        "rule": policy.key.name,
        "result": word,
        "scored": finding.action().0 == EnforcementAction::Deny,
        "message": clip::text(&finding.message, MAX_MESSAGE),
        "resources": [resource],
        "properties": properties,
    });
    if let Some(severity) = policy.severity {
        set(&mut result, "severity", severity.as_str());
    }
    Some(result)
}

fn set(object: &mut Value, key: &str, text: &str) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), text.into());
    }
}

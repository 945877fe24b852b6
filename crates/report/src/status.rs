//! The `status` of constraints, as Gatekeeper's audit writes it: the time, how many violations there are, and
//! some of them, the same ones every time.

use std::collections::BinaryHeap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use crate::form::{Spec, Writer};
use crate::{AuditReport, Finding, Policy, Timestamp};

pub(crate) const FORM: Spec = Spec {
    audit: Some(Writer {
        about: "the `status` of every constraint as Gatekeeper's audit writes it, a List in JSON",
        write,
    }),
    ..Spec::new("status")
};

/// A violation as the status has it. The order of the fields is that in which Gatekeeper chooses: the
/// smallest are kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// API group of the object.
    pub group: String,
    /// Its version.
    pub version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub message: String,
    /// The constraint's word for what it leads to.
    pub enforcement_action: &'static str,
    /// The actions, if that word is `scoped`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub enforcement_actions: Vec<&'static str>,
}

/// What an audit writes into the status of one constraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The start of the audit.
    pub audit_timestamp: Timestamp,
    /// All violations; what could not be evaluated counts as one.
    pub total_violations: u64,
    /// Those that are listed, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
}

/// The status of each constraint, in the order of the policies.
///
/// # Errors
///
/// If the findings cannot be read any more.
pub fn statuses(report: &AuditReport) -> io::Result<Vec<Status>> {
    let mut kept: Vec<BinaryHeap<Violation>> = report.policies.iter().map(|_| BinaryHeap::new()).collect();
    for finding in report.findings.read()? {
        let finding = finding?;
        let (Some(policy), Some(heap)) = (report.policies.get(finding.policy), kept.get_mut(finding.policy))
        else {
            continue;
        };
        heap.push(violation(&finding, policy, report.status_limits.message));
        if heap.len() > report.status_limits.violations {
            heap.pop();
        }
    }
    let statuses = kept.into_iter().zip(&report.totals.by_policy).map(|(heap, tally)| {
        let mut violations = heap.into_sorted_vec();
        violations.reverse();
        Status {
            audit_timestamp: report.started,
            total_violations: tally.violations + tally.unknown,
            violations,
        }
    });
    Ok(statuses.collect())
}

fn violation(finding: &Finding, policy: &Policy, message_limit: usize) -> Violation {
    let object = &finding.object;
    let actions = finding.actions.iter().map(|action| action.as_str());
    Violation {
        group: object.group.to_string(),
        version: object.version.to_string(),
        kind: object.kind.to_string(),
        namespace: object.namespace.to_string(),
        name: object.name.to_string(),
        message: truncated(&finding.message, message_limit),
        enforcement_action: policy.declared_for(finding),
        enforcement_actions: if policy.is_scoped_for(finding) { actions.collect() } else { Vec::new() },
    }
}

/// A message of at most so many bytes, with dots at its end if it was longer. It is cut between characters.
fn truncated(message: &str, limit: usize) -> String {
    const DOTS: &str = "...";
    if limit == 0 || message.len() <= limit {
        return message.to_owned();
    }
    let end = message.floor_char_boundary(limit.saturating_sub(DOTS.len()));
    format!("{}{DOTS}", message.get(..end).unwrap_or_default())
}

/// Writes the statuses as constraints that have nothing else, which
/// `kubectl apply --server-side --subresource=status` takes.
fn write(report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    let items: Vec<Value> = statuses(report)?
        .into_iter()
        .zip(&report.policies)
        .map(|(status, policy)| {
            json!({
                "apiVersion": "constraints.gatekeeper.sh/v1beta1",
                "kind": policy.key.kind,
                "metadata": {"name": policy.key.name},
                "status": status,
            })
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &json!({"apiVersion": "v1", "kind": "List", "items": items}))?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_between_characters() {
        assert_eq!(truncated("short", 256), "short");
        let long = "x".repeat(300);
        assert_eq!(truncated(&long, 256), format!("{}...", "x".repeat(253)));
        assert_eq!(truncated(&"x".repeat(256), 256), "x".repeat(256));
        assert_eq!(truncated(&long, 0), long);
        // 252 bytes and a character of three: it does not fit any more.
        let wide = format!("{}€€", "x".repeat(252));
        assert_eq!(truncated(&wide, 256), format!("{}...", "x".repeat(252)));
        assert_eq!(truncated("€€", 2), "...");
    }
}

//! What is written into a cluster: statuses of constraints, and reports.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use portcullis_cluster::{
    ApiResource, AuditStatus, AuditViolation, Cluster, Leadership, ObjectId, delete_others,
    write_audit_status, write_object,
};
use portcullis_report::policy_report::{self, Api};
use portcullis_report::sink::{Sink, Start};
use portcullis_report::status::statuses;
use portcullis_report::{AuditReport, Completion, Finding};
use serde_json::Value;
use tokio::runtime::Handle;

use super::Connection;

/// Writes to the cluster what was found, where that has changed. An audit that did not come to its end writes nothing: what is there
/// is more than it knows.
pub struct ClusterSink {
    handle: Handle,
    cluster: Cluster,
    update_status: bool,
    refresh: Duration,
    reports: Vec<Api>,
    leadership: Option<Arc<Leadership>>,
}

impl ClusterSink {
    /// To be written to only while the Lease is held.
    pub(super) fn while_led(self, leadership: Option<Arc<Leadership>>) -> Self {
        Self { leadership, ..self }
    }

    fn is_leader(&self) -> io::Result<()> {
        match &self.leadership {
            Some(leadership) if !leadership.is_held() => {
                Err(io::Error::other("the Lease was lost: another audits now, so nothing more is written"))
            }
            _ => Ok(()),
        }
    }

    fn statuses(&self, report: &AuditReport) -> io::Result<()> {
        let statuses = statuses(report)?;
        let mut failed = None;
        for (policy, status) in report.policies.iter().zip(statuses) {
            self.is_leader()?;
            let violations = status.violations.into_iter().map(|violation| AuditViolation {
                group: violation.group,
                version: violation.version,
                kind: violation.kind,
                name: violation.name,
                namespace: violation.namespace,
                message: violation.message,
                enforcement_action: violation.enforcement_action.to_owned(),
                enforcement_actions: violation.enforcement_actions.into_iter().map(str::to_owned).collect(),
            });
            let status = AuditStatus {
                timestamp: status.audit_timestamp.to_string(),
                total: status.total_violations,
                violations: violations.collect(),
            };
            // One constraint whose status cannot be written does not keep the others from theirs.
            let written =
                self.handle.block_on(write_audit_status(&self.cluster, &policy.key, &status, self.refresh));
            failed = failed.or(written.err());
        }
        failed.map_or(Ok(()), |error| Err(io::Error::other(error)))
    }

    fn reports(&self, api: Api, report: &AuditReport) -> io::Result<()> {
        let resource = |namespaced: bool| {
            let kind = api.kind(namespaced);
            ApiResource::new(api.version(), kind, &format!("{}s", kind.to_lowercase()), namespaced)
        };
        let resources = [resource(false), resource(true)];
        let mut kept: BTreeSet<ObjectId> = BTreeSet::new();
        policy_report::each(api, report, |object| {
            self.is_leader()?;
            let part = |key| object.pointer(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (namespace, name) = (part("/metadata/namespace"), part("/metadata/name"));
            let [of_cluster, of_namespaces] = &resources;
            let resource = if namespace.is_empty() { of_cluster } else { of_namespaces };
            kept.insert((namespace, name));
            let written = self.handle.block_on(write_object(&self.cluster, resource, &object));
            written.map(|_| ()).map_err(io::Error::other)
        })?;
        self.is_leader()?;
        for resource in &resources {
            let deleted = delete_others(&self.cluster, resource, policy_report::MANAGED_BY, &kept);
            self.handle.block_on(deleted).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

impl Sink for ClusterSink {
    fn begin(&mut self, _: &Start<'_>) -> io::Result<()> {
        self.is_leader()
    }

    fn finding(&mut self, _: &Start<'_>, _: &Finding) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, report: &AuditReport) -> io::Result<()> {
        if matches!(report.completion, Completion::Unfinished { .. }) {
            return Ok(());
        }
        if self.update_status {
            self.statuses(report)?;
        }
        self.reports.iter().try_for_each(|api| self.reports(*api, report))
    }
}

impl Connection {
    /// What writes to the cluster: statuses if it is said how old their time may become, and reports.
    pub fn writer(&self, refresh: Option<Duration>, reports: &[Api]) -> ClusterSink {
        ClusterSink {
            handle: self.runtime.handle().clone(),
            cluster: self.cluster.clone(),
            update_status: refresh.is_some(),
            refresh: refresh.unwrap_or_default(),
            reports: reports.to_vec(),
            leadership: None,
        }
    }
}

//! What the controllers of Kubernetes make of its workloads, without anybody's templates.

use std::sync::Arc;

use super::template::Template;
use crate::api::expansion_template::ApplyTo;
use crate::names::Gvk;

/// What messages name instead of a template: the flag that asked for it. No template can be called so.
pub(super) const NAME: &str = "--expand workloads";

/// A kind of which Pods are made.
pub(super) struct Workload {
    group: &'static str,
    versions: &'static [&'static str],
    pub(super) kind: &'static str,
    /// The part of it that is a Pod's.
    source: &'static str,
}

/// Those that generate others come last: a template may lead from them to the ones before.
pub(super) const ALL: &[Workload] = &[
    Workload { group: "", versions: &["v1"], kind: "ReplicationController", source: "spec.template" },
    Workload { group: "apps", versions: &["v1"], kind: "ReplicaSet", source: "spec.template" },
    Workload { group: "apps", versions: &["v1"], kind: "StatefulSet", source: "spec.template" },
    Workload { group: "apps", versions: &["v1"], kind: "DaemonSet", source: "spec.template" },
    Workload { group: "batch", versions: &["v1"], kind: "Job", source: "spec.template" },
    Workload { group: "apps", versions: &["v1"], kind: "Deployment", source: "spec.template" },
    Workload {
        group: "batch",
        versions: &["v1", "v1beta1"],
        kind: "CronJob",
        source: "spec.jobTemplate.spec.template",
    },
];

impl Workload {
    pub(super) fn gvks(&self) -> impl Iterator<Item = Gvk> {
        self.versions.iter().map(|version| Gvk {
            group: self.group.into(),
            version: (*version).into(),
            kind: self.kind.into(),
        })
    }

    pub(super) fn template(&self) -> Template {
        let applies = ApplyTo {
            groups: vec![self.group.into()],
            versions: self.versions.iter().map(|version| Arc::from(*version)).collect(),
            kinds: vec![self.kind.into()],
        };
        Template {
            name: NAME.into(),
            apply_to: vec![applies],
            source: self.source.into(),
            steps: self.source.split('.').map(Arc::from).collect(),
            generated: Gvk { group: "".into(), version: "v1".into(), kind: "Pod".into() },
            action: None,
            object: None,
        }
    }
}

//! The kinds of Kubernetes itself, and where their objects live: those that an API server of 1.36 serves, with what older ones served
//! under the same groups. A kind lives in the same place in all of its versions.
//!
//! Not here are kinds of which the request decides: `Scale` (autoscaling) is that of a Deployment or of a cluster-scoped custom
//! resource.

use super::Scope;

/// A group, its kinds that live in a namespace, its kinds that do not.
type Group = (&'static str, &'static [&'static str], &'static [&'static str]);

const GROUPS: &[Group] = &[
    (
        "",
        &[
            "Binding",
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
            // What is asked of a subresource: `pods/exec`, `services/proxy`, …
            "PodAttachOptions",
            "PodExecOptions",
            "PodLogOptions",
            "PodPortForwardOptions",
            "PodProxyOptions",
            "PodStatusResult",
            "ServiceProxyOptions",
        ],
        &["ComponentStatus", "Namespace", "Node", "NodeProxyOptions", "PersistentVolume"],
    ),
    (
        "admissionregistration.k8s.io",
        &[],
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &[], &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &[], &["APIService"]),
    (
        "apps",
        &["ControllerRevision", "DaemonSet", "Deployment", "DeploymentRollback", "ReplicaSet", "StatefulSet"],
        &[],
    ),
    ("auditregistration.k8s.io", &[], &["AuditSink"]),
    ("authentication.k8s.io", &["TokenRequest"], &["SelfSubjectReview", "TokenReview"]),
    (
        "authorization.k8s.io",
        &["LocalSubjectAccessReview"],
        &["SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"],
    ),
    ("autoscaling", &["HorizontalPodAutoscaler"], &[]),
    ("batch", &["CronJob", "Job", "ScheduledJob"], &[]),
    ("certificates.k8s.io", &["PodCertificateRequest"], &["CertificateSigningRequest", "ClusterTrustBundle"]),
    ("coordination.k8s.io", &["Lease", "LeaseCandidate"], &[]),
    ("discovery.k8s.io", &["EndpointSlice"], &[]),
    ("events.k8s.io", &["Event"], &[]),
    (
        "extensions",
        &["DaemonSet", "Deployment", "DeploymentRollback", "Ingress", "NetworkPolicy", "ReplicaSet"],
        &["PodSecurityPolicy"],
    ),
    ("flowcontrol.apiserver.k8s.io", &[], &["FlowSchema", "PriorityLevelConfiguration"]),
    ("imagepolicy.k8s.io", &[], &["ImageReview"]),
    ("internal.apiserver.k8s.io", &[], &["StorageVersion"]),
    ("metrics.k8s.io", &["PodMetrics"], &["NodeMetrics"]),
    (
        "networking.k8s.io",
        &["Ingress", "NetworkPolicy"],
        &["ClusterCIDR", "IPAddress", "IngressClass", "ServiceCIDR"],
    ),
    ("node.k8s.io", &[], &["RuntimeClass"]),
    ("policy", &["Eviction", "PodDisruptionBudget"], &["PodSecurityPolicy"]),
    ("rbac.authorization.k8s.io", &["Role", "RoleBinding"], &["ClusterRole", "ClusterRoleBinding"]),
    (
        "resource.k8s.io",
        &[
            "PodSchedulingContext",
            "ResourceClaim",
            "ResourceClaimParameters",
            "ResourceClaimTemplate",
            "ResourceClassParameters",
        ],
        &["DeviceClass", "DeviceTaintRule", "ResourceClass", "ResourcePoolStatusRequest", "ResourceSlice"],
    ),
    ("scheduling.k8s.io", &["PodGroup", "Workload"], &["PriorityClass"]),
    ("settings.k8s.io", &["PodPreset"], &[]),
    (
        "storage.k8s.io",
        &["CSIStorageCapacity"],
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"],
    ),
    ("storagemigration.k8s.io", &[], &["StorageVersionMigration"]),
];

/// Where objects of a kind of Kubernetes live; [`Scope::ByObject`] if it is none.
pub(super) fn scope(group: &str, kind: &str) -> Scope {
    let Some((_, namespaced, cluster)) = GROUPS.iter().find(|(name, ..)| *name == group) else {
        return Scope::ByObject;
    };
    match (namespaced.contains(&kind), cluster.contains(&kind)) {
        (true, _) => Scope::Namespaced,
        (false, true) => Scope::Cluster,
        (false, false) => Scope::ByObject,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_kind_stands_in_one_place() {
        let mut seen = BTreeSet::new();
        for (group, namespaced, cluster) in GROUPS {
            for kind in namespaced.iter().chain(*cluster) {
                assert!(seen.insert((group, kind)), "{group} {kind} stands here twice");
            }
        }
    }

    #[test]
    fn kinds_are_told_by_their_group() {
        for (group, kind, expected) in [
            ("", "Pod", Scope::Namespaced),
            ("", "PodExecOptions", Scope::Namespaced),
            ("", "NodeProxyOptions", Scope::Cluster),
            ("", "Namespace", Scope::Cluster),
            ("rbac.authorization.k8s.io", "ClusterRole", Scope::Cluster),
            ("rbac.authorization.k8s.io", "RoleBinding", Scope::Namespaced),
            ("example.com", "Pod", Scope::ByObject),
            ("", "ClusterRole", Scope::ByObject),
            ("autoscaling", "Scale", Scope::ByObject),
        ] {
            assert_eq!(scope(group, kind), expected, "{group} {kind}");
        }
    }
}

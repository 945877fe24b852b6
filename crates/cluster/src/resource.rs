//! Kinds as an API server serves them, and the paths below which their objects are.

use std::fmt;
use std::sync::Arc;

use portcullis::{Gvk, MutatorKind};

/// A kind that is served: its names, its scope, and what can be done with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiResource {
    /// Group, version and kind.
    pub gvk: Gvk,
    /// The kind in paths: `pods`.
    pub plural: Arc<str>,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
}

impl ApiResource {
    /// A kind of which the names are known without asking.
    #[must_use]
    pub fn new(api_version: &str, kind: &str, plural: &str, namespaced: bool) -> Self {
        Self { gvk: Gvk::new(api_version, kind), plural: plural.into(), namespaced }
    }

    /// `templates.gatekeeper.sh/v1` ConstraintTemplates.
    #[must_use]
    pub fn templates() -> Self {
        Self::new("templates.gatekeeper.sh/v1", "ConstraintTemplate", "constrainttemplates", false)
    }

    /// The constraints of one kind. Their plural is the kind in lower case, as Gatekeeper makes it.
    #[must_use]
    pub fn constraints(kind: &str) -> Self {
        Self::new("constraints.gatekeeper.sh/v1beta1", kind, &kind.to_lowercase(), false)
    }

    /// `config.gatekeeper.sh/v1alpha1` Configs.
    #[must_use]
    pub fn configs() -> Self {
        Self::new("config.gatekeeper.sh/v1alpha1", "Config", "configs", true)
    }

    /// `syncset.gatekeeper.sh/v1alpha1` SyncSets.
    #[must_use]
    pub fn sync_sets() -> Self {
        Self::new("syncset.gatekeeper.sh/v1alpha1", "SyncSet", "syncsets", false)
    }

    /// `policy.portcullis.dev/v1alpha1` PolicyExceptions.
    #[must_use]
    pub fn exceptions() -> Self {
        Self::new("policy.portcullis.dev/v1alpha1", "PolicyException", "policyexceptions", false)
    }

    /// The mutators of one kind, in the newest version. Their plural is the kind in lower case.
    #[must_use]
    pub fn mutators(kind: MutatorKind) -> Self {
        let version = match kind {
            MutatorKind::Assign | MutatorKind::AssignMetadata | MutatorKind::ModifySet => "v1",
            MutatorKind::AssignImage => "v1alpha1",
        };
        let plural = kind.as_str().to_lowercase();
        Self::new(&format!("mutations.gatekeeper.sh/{version}"), kind.as_str(), &plural, false)
    }

    /// `expansion.gatekeeper.sh/v1beta1` ExpansionTemplates. Their plural is the kind in lower case.
    #[must_use]
    pub fn expansion_templates() -> Self {
        Self::new("expansion.gatekeeper.sh/v1beta1", "ExpansionTemplate", "expansiontemplate", false)
    }

    /// `externaldata.gatekeeper.sh/v1beta1` Providers.
    #[must_use]
    pub fn providers() -> Self {
        Self::new("externaldata.gatekeeper.sh/v1beta1", "Provider", "providers", false)
    }

    /// What its CRD is called, if it has one.
    pub(crate) fn definition_name(&self) -> String {
        format!("{}.{}", self.plural, self.gvk.group)
    }

    /// CRDs.
    #[must_use]
    pub fn definitions() -> Self {
        Self::new("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false)
    }

    /// Namespaces.
    #[must_use]
    pub fn namespaces() -> Self {
        Self::new("v1", "Namespace", "namespaces", false)
    }

    /// The path of all objects of the kind, of those in one namespace, or of one object. The names have to be Kubernetes names.
    #[must_use]
    pub fn path(&self, namespace: Option<&str>, name: Option<&str>) -> String {
        let mut path = match &*self.gvk.group {
            "" => format!("/api/{}", self.gvk.version),
            group => format!("/apis/{group}/{}", self.gvk.version),
        };
        if let Some(namespace) = namespace.filter(|_| self.namespaced) {
            path.push_str("/namespaces/");
            path.push_str(&escape(namespace));
        }
        path.push('/');
        path.push_str(&self.plural);
        if let Some(name) = name {
            path.push('/');
            path.push_str(&escape(name));
        }
        path
    }
}

/// As messages name it: `pods.v1`, `ingresses.networking.k8s.io/v1`.
impl fmt::Display for ApiResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.plural)?;
        if !self.gvk.group.is_empty() {
            write!(f, "{}/", self.gvk.group)?;
        }
        f.write_str(&self.gvk.version)
    }
}

/// A text as a part of a path or of a query.
pub(crate) fn escape(text: &str) -> String {
    const PLAIN: &[u8] = b"-._~";
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            for half in [byte >> 4, byte & 15] {
                escaped.push(char::from_digit(u32::from(half), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api() {
        let pods = ApiResource::new("v1", "Pod", "pods", true);
        assert_eq!(pods.path(None, None), "/api/v1/pods");
        assert_eq!(pods.path(Some("shop"), Some("web")), "/api/v1/namespaces/shop/pods/web");
        let roles = ApiResource::new("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false);
        assert_eq!(
            roles.path(Some("ignored"), Some("system:a/b")),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aa%2Fb"
        );
        assert_eq!(roles.to_string(), "clusterroles.rbac.authorization.k8s.io/v1");
    }
}

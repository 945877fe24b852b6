//! What kinds are called in paths and rules: `Deployment` of `apps` is `deployments`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::names::GroupKind;
use crate::object::Object;
use crate::scope::{self, Scope, Scopes};
use crate::value;

/// Kinds and their resources: those of Kubernetes, and what was learned of others. Cheap to clone.
///
/// ```
/// use portcullis::{Kinds, Scope};
///
/// let kinds = Kinds::default();
/// assert_eq!(kinds.get("networking.k8s.io", "Ingress"), Some(("ingresses".into(), Scope::Namespaced)));
/// assert_eq!(kinds.get("example.com", "Widget"), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Kinds(Arc<BTreeMap<GroupKind, (Arc<str>, Scope)>>);

impl Kinds {
    /// The resource of a kind, and where its objects live; none if the kind is not known.
    #[must_use]
    pub fn get(&self, group: &str, kind: &str) -> Option<(Arc<str>, Scope)> {
        let built_in = scope::resources().find(|(name, known, _)| *name == group && *known == kind);
        if let Some((_, kind, scope)) = built_in {
            return Some((scope::plural(group, kind).into(), scope));
        }
        self.0.get(&GroupKind { group: group.into(), kind: kind.into() }).cloned()
    }

    /// The groups that have a kind of this name, in their order.
    #[must_use]
    pub fn groups_of(&self, kind: &str) -> Vec<Arc<str>> {
        let built_in =
            scope::resources().filter(|(_, known, _)| *known == kind).map(|(group, ..)| group.into());
        let learned = self.0.keys().filter(|known| *known.kind == *kind).map(|known| known.group.clone());
        let mut groups: Vec<Arc<str>> = built_in.chain(learned).collect();
        groups.sort();
        groups.dedup();
        groups
    }

    /// Takes what a CustomResourceDefinition says of its kind; other objects say nothing.
    pub fn learn(&mut self, object: &Object) {
        let gvk = object.gvk();
        if &*gvk.kind != Scopes::DEFINITION || &*gvk.group != "apiextensions.k8s.io" {
            return;
        }
        let text = |path: &[&str]| value::str_at(object.value(), path);
        let (group, kind) = (text(&["spec", "group"]), text(&["spec", "names", "kind"]));
        let (plural, scope) = (text(&["spec", "names", "plural"]), text(&["spec", "scope"]));
        if let (Some(group), Some(kind), Some(plural)) = (group, kind, plural) {
            let scope = match scope {
                Some("Namespaced") => Scope::Namespaced,
                Some("Cluster") => Scope::Cluster,
                _ => Scope::ByObject,
            };
            self.insert(GroupKind { group: group.into(), kind: kind.into() }, plural, scope);
        }
    }

    /// Takes what a cluster says of a kind. The last word counts.
    pub fn insert(&mut self, kind: GroupKind, plural: &str, scope: Scope) {
        Arc::make_mut(&mut self.0).insert(kind, (plural.into(), scope));
    }
}

/// What a kind that is not known is likely to be called, as API machinery guesses it.
pub(super) fn guess(kind: &str) -> String {
    scope::plural("", kind)
}

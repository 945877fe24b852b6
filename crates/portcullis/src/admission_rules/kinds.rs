//! What kinds are called in paths and rules: `Deployment` of `apps` is `deployments`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ANY, parts};
use crate::names::GroupKind;
use crate::object::Object;
use crate::scope::{self, Scope, Scopes};
use crate::value::{self, Value, View};

/// Kinds and their resources: those of Kubernetes, and what was learned of others. Cheap to clone.
///
/// ```
/// use portcullis::{Kinds, Scope};
///
/// let kinds = Kinds::default();
/// let ingress = kinds.get("networking.k8s.io", "Ingress").unwrap();
/// assert_eq!((&*ingress.resource, &*ingress.version, ingress.scope), ("ingresses", "v1", Scope::Namespaced));
/// assert_eq!(kinds.get("example.com", "Widget"), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Kinds(Arc<BTreeMap<GroupKind, KnownKind>>);

/// What is known of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKind {
    /// Its name in paths and rules.
    pub resource: Arc<str>,
    /// A version of its group that has it.
    pub version: Arc<str>,
    /// Where its objects live.
    pub scope: Scope,
}

impl Kinds {
    /// What is known of a kind; none if it is not, or is not a resource of its own.
    #[must_use]
    pub fn get(&self, group: &str, kind: &str) -> Option<KnownKind> {
        let built_in = scope::resources().find(|(name, known, _)| *name == group && *known == kind);
        if let Some((_, kind, scope)) = built_in {
            let resource = scope::plural(group, kind).into();
            return Some(KnownKind { resource, version: scope::version(group).into(), scope });
        }
        self.0.get(&GroupKind { group: group.into(), kind: kind.into() }).cloned()
    }

    /// The groups that have a kind of this name, in their order, without those that no API server serves any
    /// more.
    #[must_use]
    pub fn groups_of(&self, kind: &str) -> Vec<Arc<str>> {
        let is_one = |(group, known, _): &(&str, &str, Scope)| *known == kind && !parts::is_gone(group, kind);
        let built_in = scope::resources().filter(is_one).map(|(group, ..)| group.into());
        let learned = self.0.keys().filter(|known| *known.kind == *kind).map(|known| known.group.clone());
        let mut groups: Vec<Arc<str>> = built_in.chain(learned).collect();
        groups.sort();
        groups.dedup();
        groups
    }

    /// The kinds of a resource of a group, or of any.
    pub(super) fn of_resource(&self, group: &str, resource: &str) -> Vec<(Arc<str>, Arc<str>)> {
        let is_one = |name: &str| [ANY, name].contains(&group);
        let built_in = scope::resources()
            .filter(|(name, kind, _)| is_one(name) && scope::plural(name, kind) == resource)
            .map(|(group, kind, _)| (group.into(), kind.into()));
        let learned =
            self.0.iter().filter(|(kind, known)| is_one(&kind.group) && *known.resource == *resource);
        built_in.chain(learned.map(|(kind, _)| (kind.group.clone(), kind.kind.clone()))).collect()
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
            let versions = value::get_path(object.value(), &["spec", "versions"]).into_iter();
            let stored = versions.flat_map(value::items).find(|version| {
                matches!(value::get(version, "storage").map(Value::view), Some(View::Bool(true)))
            });
            let version = stored.and_then(|version| value::str_at(version, &["name"])).unwrap_or("v1");
            let known = KnownKind { resource: plural.into(), version: version.into(), scope };
            self.insert(GroupKind { group: group.into(), kind: kind.into() }, known);
        }
    }

    /// Takes what a cluster says of a kind. The last word counts.
    pub fn insert(&mut self, kind: GroupKind, known: KnownKind) {
        Arc::make_mut(&mut self.0).insert(kind, known);
    }
}

/// What a kind that is not known is likely to be called, as API machinery guesses it.
pub(super) fn guess(kind: &str) -> String {
    scope::plural("", kind)
}

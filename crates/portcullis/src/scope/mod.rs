//! Where objects live: the one place that knows which kinds live in a namespace.
//!
//! An API server does not ask the object. It knows the kind: what lives in no namespace loses a
//! `metadata.namespace` before anybody judges it, and what lives in one gets that of the request.
//! [`Places::settle`] does the same with what comes from files, so that all that is after it may go by the
//! object's own field. Requests say for themselves where they are, which `review/request.rs` reads.
//!
//! | what is asked, in this order | file |
//! |---|---|
//! | the kinds of Kubernetes and of Gatekeeper | [`builtin`], `api/` |
//! | what was learned: CRDs among the input, what a cluster says of its kinds | here |
//! | the object's own field | here |

pub(crate) mod builtin;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use builtin::{is_built_in, is_known, plural, resources, version};

use crate::api;
pub use crate::names::Scope;

use crate::names::GroupKind;
use crate::object::Object;
use crate::value;

/// What is known of kinds beside those of Kubernetes and Gatekeeper. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Scopes(Arc<BTreeMap<GroupKind, Scope>>);

impl Scopes {
    /// Where objects of a kind live.
    #[must_use]
    pub fn of(&self, group: &str, kind: &str) -> Scope {
        match builtin::scope(group, kind) {
            Scope::ByObject => {}
            known => return known,
        }
        match api::scope(group, kind) {
            Scope::ByObject if self.0.is_empty() => Scope::ByObject,
            Scope::ByObject => {
                let key = GroupKind { group: group.into(), kind: kind.into() };
                self.0.get(&key).copied().unwrap_or(Scope::ByObject)
            }
            known => known,
        }
    }

    /// Whether a kind was learnt.
    pub(crate) fn knows(&self, group: &str, kind: &str) -> bool {
        self.0.contains_key(&GroupKind { group: group.into(), kind: kind.into() })
    }

    /// The groups in which a kind was learnt.
    pub(crate) fn groups_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.keys().filter(move |known| *known.kind == *kind).map(|known| &*known.group)
    }

    /// Takes what a CustomResourceDefinition says of its kind; other objects say nothing.
    pub fn learn(&mut self, object: &Object) {
        let gvk = object.gvk();
        if &*gvk.kind != Self::DEFINITION || &*gvk.group != "apiextensions.k8s.io" {
            return;
        }
        let text = |path: &[&str]| value::str_at(object.value(), path);
        let (group, kind) = (text(&["spec", "group"]), text(&["spec", "names", "kind"]));
        let scope = match text(&["spec", "scope"]) {
            Some("Namespaced") => Scope::Namespaced,
            Some("Cluster") => Scope::Cluster,
            _ => return,
        };
        if let (Some(group), Some(kind)) = (group, kind) {
            self.insert(GroupKind { group: group.into(), kind: kind.into() }, scope);
        }
    }

    /// The kind that [`Scopes::learn`] looks at.
    pub const DEFINITION: &'static str = "CustomResourceDefinition";

    /// Takes what a cluster says of a kind.
    pub fn insert(&mut self, kind: GroupKind, scope: Scope) {
        let known = Arc::make_mut(&mut self.0).entry(kind).or_insert(scope);
        // An API server has one of them at most; which one, nothing here says.
        if *known != scope {
            *known = Scope::ByObject;
        }
    }

    /// About how many bytes of memory it takes. Cost: a look at each kind.
    #[must_use]
    pub fn weight(&self) -> usize {
        /// What an entry takes beside its texts.
        const ENTRY: usize = 192;
        self.0.keys().map(|kind| ENTRY + kind.group.len() + kind.kind.len()).sum()
    }

    /// Takes what others know.
    pub fn extend(&mut self, others: &Self) {
        for (kind, scope) in &*others.0 {
            self.insert(kind.clone(), *scope);
        }
    }
}

/// Puts objects where they live.
///
/// ```
/// use portcullis::{Document, Object, Place, Places};
///
/// let (documents, _) = Document::read_all("pod.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: web}}");
/// let object = Object::from_document(documents[0].clone())?;
/// let settled = Places::default().settle(object);
/// assert_eq!((&**settled.object.namespace(), settled.place), ("default", Place::Assumed));
/// # Ok::<(), portcullis::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Places {
    scopes: Scopes,
    /// Where objects are put that name no namespace; `None` if nobody says.
    namespace: Option<Arc<str>>,
}

/// An object where it lives.
#[derive(Clone, Debug)]
pub struct Settled {
    /// As an API server would judge it: `metadata.namespace` is where it lives. Its document is still as it
    /// was written.
    pub object: Object,
    /// How that is known.
    pub place: Place,
}

/// How it is known where an object lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The object is right: it names its namespace, or lives in none and names none.
    AsWritten,
    /// It names none; the caller does.
    Given,
    /// It names none, and nobody does: [`Places::DEFAULT`], as for kubectl.
    Assumed,
    /// It names one, but its kind lives in none.
    Dropped,
    /// It names none, and its kind is not known: it may as well live in a namespace.
    Unknown,
}

impl Places {
    /// Where kubectl puts what names no namespace.
    pub const DEFAULT: &'static str = "default";

    /// Goes by what is known of kinds.
    #[must_use]
    pub fn new(scopes: Scopes) -> Self {
        Self { scopes, namespace: None }
    }

    /// The same, going by this knowledge of kinds.
    #[must_use]
    pub fn knowing(self, scopes: Scopes) -> Self {
        Self { scopes, ..self }
    }

    /// Says in which namespace objects are that name none.
    #[must_use]
    pub fn with_namespace(self, name: Option<&str>) -> Self {
        Self { namespace: name.map(Into::into).or(self.namespace), ..self }
    }

    /// The namespace of objects that name none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or(Self::DEFAULT)
    }

    /// Whether somebody said which it is.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.namespace.is_some()
    }

    /// What is known of kinds.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// Puts an object where it lives. Cost: for one that is right, a look at its kind; else a copy of its
    /// outermost fields.
    #[must_use]
    pub fn settle(&self, object: Object) -> Settled {
        let gvk = object.gvk();
        match (self.scopes.of(&gvk.group, &gvk.kind), object.namespace().is_empty()) {
            (Scope::Cluster, false) => Settled { object: object.in_namespace(None), place: Place::Dropped },
            (Scope::Namespaced, true) => Settled {
                object: object.in_namespace(Some(self.namespace())),
                place: if self.is_given() { Place::Given } else { Place::Assumed },
            },
            (Scope::ByObject, true) => Settled { object, place: Place::Unknown },
            (Scope::Cluster, true) | (Scope::Namespaced | Scope::ByObject, false) => {
                Settled { object, place: Place::AsWritten }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(json: &serde_json::Value) -> Object {
        Object::from_json(json).expect("an object")
    }

    fn definition(group: &str, kind: &str, scope: &str) -> Object {
        object(&json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"},
            "spec": {"group": group, "names": {"kind": kind}, "scope": scope},
        }))
    }

    fn settle(
        places: &Places,
        api_version: &str,
        kind: &str,
        metadata: &serde_json::Value,
    ) -> (String, Place) {
        let settled =
            places.settle(object(&json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})));
        let namespace = settled.object.namespace().to_string();
        let shown = settled.object.to_json();
        let written = shown["metadata"]["namespace"].as_str().unwrap_or_default();
        assert_eq!(written, namespace, "{shown}");
        (namespace, settled.place)
    }

    #[test]
    fn objects_live_where_their_kind_says() {
        let places = Places::default();
        let pod = |metadata| settle(&places, "v1", "Pod", &metadata);
        assert_eq!(pod(json!({"name": "a"})), ("default".to_owned(), Place::Assumed));
        assert_eq!(pod(json!(null)), ("default".to_owned(), Place::Assumed));
        assert_eq!(pod(json!({"namespace": null})), ("default".to_owned(), Place::Assumed));
        assert_eq!(pod(json!({"namespace": "shop"})), ("shop".to_owned(), Place::AsWritten));
        let role = |metadata| settle(&places, "rbac.authorization.k8s.io/v1", "ClusterRole", &metadata);
        assert_eq!(role(json!({"namespace": "shop"})), (String::new(), Place::Dropped));
        assert_eq!(role(json!({})), (String::new(), Place::AsWritten));
        let other = |metadata| settle(&places, "example.com/v1", "Widget", &metadata);
        assert_eq!(other(json!({"namespace": "shop"})), ("shop".to_owned(), Place::AsWritten));
        assert_eq!(other(json!({})), (String::new(), Place::Unknown));
        let given = Places::default().with_namespace(Some("bank"));
        assert_eq!(settle(&given, "v1", "Pod", &json!({})), ("bank".to_owned(), Place::Given));
    }

    #[test]
    fn definitions_say_where_their_kind_lives_and_cannot_move_kinds_of_kubernetes() {
        let mut scopes = Scopes::default();
        scopes.learn(&definition("example.com", "Widget", "Namespaced"));
        scopes.learn(&definition("example.com", "ClusterWidget", "Cluster"));
        scopes.learn(&definition("", "Pod", "Cluster"));
        scopes.learn(&definition("apps", "Deployment", "Cluster"));
        scopes.learn(&definition("constraints.gatekeeper.sh", "Always", "Namespaced"));
        assert_eq!(scopes.of("example.com", "Widget"), Scope::Namespaced);
        assert_eq!(scopes.of("example.com", "ClusterWidget"), Scope::Cluster);
        assert_eq!(scopes.of("", "Pod"), Scope::Namespaced);
        assert_eq!(scopes.of("apps", "Deployment"), Scope::Namespaced);
        assert_eq!(scopes.of("constraints.gatekeeper.sh", "Always"), Scope::Cluster);
        scopes.learn(&definition("example.com", "Widget", "Namespaced"));
        assert_eq!(scopes.of("example.com", "Widget"), Scope::Namespaced);
        scopes.learn(&definition("example.com", "Widget", "Cluster"));
        assert_eq!(scopes.of("example.com", "Widget"), Scope::ByObject, "two say different things");
        scopes.learn(&definition("example.com", "Widget", "Cluster"));
        assert_eq!(scopes.of("example.com", "Widget"), Scope::ByObject, "whatever comes then");
    }
}

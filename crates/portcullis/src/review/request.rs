//! What is under review, in the shape policies see as `input.review`.
//!
//! The keys and their presence are those of an `AdmissionRequest` of admission.k8s.io/v1 as Go writes it,
//! whether the review comes from an API server or from a plain object: absent parts are empty texts, `{}` or
//! `null`, never undefined, except `name`, `namespace`, `subResource`, `dryRun` and the `request…` fields,
//! which are left out when empty.
//!
//! An object that comes alone is put where it lives before ([`crate::scope`]); a request says where that is.
//!
//! On DELETE policies see the old object as `object` too. A Namespace is not inside a namespace: its own
//! requests carry no `namespace`.

use std::sync::Arc;

use super::implied::ImpliedBy;
use crate::api::{AdmissionReview, Operation};
use crate::error::{Error, ErrorKind};
use crate::expansion::{Expansion, ExpansionError, Resultant};
use crate::matcher::{Home as HomeOf, Source};
use crate::object::Object;
use crate::scope::{Place, Places, Scope, Scopes, Settled};
use crate::value::{self, Value};
use crate::world::World;

/// One object or admission request to be judged. Made once, reviewed against any number of policy sets.
///
/// ```
/// use portcullis::{Document, Object, Review};
///
/// let (documents, _) = Document::read_all("pod.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}}");
/// let review = Review::from_object(Object::from_document(documents[0].clone())?);
/// assert_eq!(review.object().unwrap().to_string(), "Pod shop/web");
/// # Ok::<(), portcullis::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Review {
    /// `input.review`, in which `namespaceObject` is null: what it is depends on the world.
    pub(super) request: Value,
    pub(super) operation: Operation,
    pub(crate) object: Option<Object>,
    pub(super) old_object: Option<Object>,
    home: Home,
    /// How it is known where the object lives.
    place: Place,
    namespace: Known,
    source: Source,
    /// What it is implied by, if it is of what another object implies, and the review of that object.
    implied: Option<(ImpliedBy, Arc<Review>)>,
}

/// Where `input.review` has the Namespace that the object lives in.
const NAMESPACE_OBJECT: &str = "namespaceObject";

/// Where what is reviewed lives. Namespaces, which are compared by their own names, live in none.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Home {
    Cluster,
    Namespace(Arc<str>),
    Unnamed,
}

impl Home {
    fn named(name: &Arc<str>) -> Self {
        if name.is_empty() { Self::Cluster } else { Self::Namespace(name.clone()) }
    }
}

/// What the caller knows of the Namespace.
#[derive(Clone, Debug)]
enum Known {
    /// Nothing; the inventory is asked.
    Ask,
    Is(Object),
    /// It is not known, and why.
    Missing(Arc<str>),
}

/// How an admission request says where its object lives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// As API servers send it.
    Sent,
    /// As gator's suites read it.
    AsWritten,
}

impl Review {
    /// A review of an object where it lives, as [`Places`] tell that know no other kinds than those of
    /// Kubernetes: one that names no namespace though its kind lives in one is taken to be in `default`.
    #[must_use]
    pub fn from_object(object: Object) -> Self {
        Self::settled(Places::default().settle(object))
    }

    /// A review of an object that was put where it lives, as audits and the command line make them.
    #[must_use]
    pub fn settled(settled: Settled) -> Self {
        Self { place: settled.place, ..Self::as_written(settled.object) }
    }

    /// A review of an object that lives where its own field says, whatever its kind, as gator's suites have
    /// it.
    #[must_use]
    pub fn as_written(object: Object) -> Self {
        let gvk = object.gvk();
        let text = |text: &Arc<str>| Value::from(text.clone());
        let empty = || Value::from("");
        let kind = value::object([
            ("group", text(&gvk.group)),
            ("version", text(&gvk.version)),
            ("kind", text(&gvk.kind)),
        ]);
        let resource = value::object([("group", empty()), ("version", empty()), ("resource", empty())]);
        let mut entries: Vec<(&str, Value)> = vec![
            ("uid", empty()),
            ("kind", kind),
            ("resource", resource),
            ("operation", empty()),
            ("userInfo", Value::new_object()),
            ("object", object.value().clone()),
            ("oldObject", Value::NULL),
            ("options", Value::NULL),
            (NAMESPACE_OBJECT, Value::NULL),
        ];
        for (key, name) in [("name", object.name()), ("namespace", object.namespace())] {
            if !name.is_empty() {
                entries.push((key, text(name)));
            }
        }
        Self {
            request: value::object(entries),
            operation: Operation::None,
            home: if object.is_namespace() { Home::Cluster } else { Home::named(object.namespace()) },
            place: Place::AsWritten,
            object: Some(object),
            old_object: None,
            namespace: Known::Ask,
            source: Source::Original,
            implied: None,
        }
    }

    /// Reviews of what controllers will make of the object: results of them are about this object. None if
    /// there is no object, it goes away, or it was generated itself. The world has the Namespace that mutators may ask for.
    ///
    /// # Errors
    ///
    /// If it cannot be expanded, or something that cannot be judged would come of it. Then it is not known
    /// what it implies, and it must not pass.
    pub fn implied(&self, expansion: &Expansion<'_>, world: &World<'_>) -> Result<Vec<Self>, ExpansionError> {
        let has_future = self.source == Source::Original && self.operation != Operation::Delete;
        let Some(object) = self.object.as_ref().filter(|_| has_future) else { return Ok(Vec::new()) };
        let namespace = Some(self.namespace_name()).filter(|name| !name.is_empty());
        let resultants =
            expansion.expand_watched(object, namespace, self.known_namespace(world), world.watch())?;
        if resultants.is_empty() {
            return Ok(Vec::new());
        }
        let parent = Arc::new(self.clone());
        resultants.iter().map(|resultant| Self::of_resultant(&parent, resultant)).collect()
    }

    /// It lives where this one lives, is being done what is being done to this one, and nobody asked for it.
    fn of_resultant(parent: &Arc<Self>, resultant: &Resultant) -> Result<Self, ExpansionError> {
        let object = resultant.object()?.clone();
        let home = match (&parent.home, scope_of(&object)) {
            _ if object.is_namespace() => Home::Cluster,
            (_, Scope::Cluster) => Home::Cluster,
            (Home::Cluster, _) => Home::named(object.namespace()),
            (home, _) => home.clone(),
        };
        let operation = Value::from(parent.operation.as_str());
        let written = Self::as_written(object);
        let request = value::object(value::entries(&written.request).map(|(key, value)| {
            let value = if key == "operation" { &operation } else { value };
            (key, value.clone())
        }));
        Ok(Self {
            request,
            operation: parent.operation,
            home,
            place: parent.place,
            namespace: parent.namespace.clone(),
            source: Source::Generated,
            implied: Some((ImpliedBy::of(resultant), parent.clone())),
            ..written
        })
    }

    /// A review of an admission request. Where the object lives is what its kind says, if that is one of
    /// Kubernetes, and what the request says: API servers name a namespace exactly where there is one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::MissingField`] if a DELETE comes without the old object, or a request without any object.
    pub fn from_admission(admission: &AdmissionReview) -> Result<Self, Error> {
        Self::of_request(admission, Reading::Sent)
    }

    /// A review of an admission request that somebody wrote, as gator's suites have it: where it names no
    /// namespace, the object's own field counts.
    ///
    /// # Errors
    ///
    /// As [`Review::from_admission`].
    pub fn from_admission_as_written(admission: &AdmissionReview) -> Result<Self, Error> {
        Self::of_request(admission, Reading::AsWritten)
    }

    fn of_request(admission: &AdmissionReview, reading: Reading) -> Result<Self, Error> {
        let operation = admission.operation;
        let mut object = admission.object.clone();
        let old_object = admission.old_object.clone();
        if operation == Operation::Delete {
            if old_object.is_none() {
                let message = "`oldObject` cannot be absent for DELETE operations";
                return Err(Error::new(ErrorKind::MissingField, message));
            }
            object.clone_from(&old_object);
        }
        let Some(shown) = object.as_ref().or(old_object.as_ref()) else {
            let message = "the request has neither `object` nor `oldObject`";
            return Err(Error::new(ErrorKind::MissingField, message));
        };
        let is_namespace = shown.is_namespace();
        let home = home_of(shown, &admission.namespace, reading);
        let request = admission_request(&admission.request, object.as_ref(), is_namespace);
        Ok(Self {
            request,
            operation,
            object,
            old_object,
            home,
            place: Place::AsWritten,
            namespace: Known::Ask,
            source: Source::Original,
            implied: None,
        })
    }

    /// Adds the Namespace the object lives in. Without it, the inventory is asked. What lives in no namespace
    /// by its kind stays there; what names no namespace is in this one.
    #[must_use]
    pub fn with_namespace(self, namespace: Object) -> Self {
        let name = namespace.name().clone();
        let is_open =
            matches!(self.place, Place::Assumed | Place::Unknown) && self.namespace_name() != &*name;
        let moved = match &self.object {
            Some(object) if is_open && !object.is_namespace() => {
                let object = object.in_namespace(Some(&name));
                let source = self.source;
                Self::settled(Settled { object, place: Place::Given }).with_source(source)
            }
            _ => self,
        };
        let home = match moved.object() {
            Some(object) if object.is_namespace() => Home::Cluster,
            Some(object) if scope_of(object) == Scope::Cluster => Home::Cluster,
            _ => Home::named(&name),
        };
        Self { home, namespace: Known::Is(namespace), ..moved }
    }

    /// Says that the Namespace the object lives in should be known and is not, and why. What needs it is an
    /// error then: a selector of namespaces, and a policy that reads `namespaceObject`.
    #[must_use]
    pub fn without_namespace(self, reason: &str) -> Self {
        Self { namespace: Known::Missing(reason.into()), ..self }
    }

    /// Says how the object came to be; [`Source::Original`] unless said otherwise.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// The same review of another object: that of this one, changed. What is said of where it lives stays.
    pub(crate) fn with_object(&self, object: Object) -> Self {
        let request = value::object(value::entries(&self.request).map(|(key, value)| {
            let value = if key == "object" { object.value() } else { value };
            (key, value.clone())
        }));
        Self { request, object: Some(object), ..self.clone() }
    }

    /// The uid of the request, which its answer repeats; empty for an object that came alone.
    #[must_use]
    pub fn uid(&self) -> &str {
        value::str_at(&self.request, &["uid"]).unwrap_or_default()
    }

    /// What is being done.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The object under review; on DELETE, the one being deleted.
    #[must_use]
    pub fn object(&self) -> Option<&Object> {
        self.object.as_ref().or(self.old_object.as_ref())
    }

    /// Name of the namespace the object lives in; empty if in none, or if nobody says in which.
    #[must_use]
    pub fn namespace_name(&self) -> &str {
        match &self.home {
            Home::Namespace(name) => name,
            Home::Cluster | Home::Unnamed => "",
        }
    }

    /// How it is known where the object lives.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// The Namespace that the caller knows.
    pub(crate) fn namespace(&self) -> Option<&Object> {
        match &self.namespace {
            Known::Is(namespace) => Some(namespace),
            Known::Ask | Known::Missing(_) => None,
        }
    }

    /// Why the Namespace is not known, if it should be.
    pub(crate) fn missing_namespace(&self) -> Option<&str> {
        match (&self.namespace, &self.home) {
            (Known::Missing(reason), Home::Namespace(_) | Home::Unnamed) => Some(reason),
            _ => None,
        }
    }

    /// Where it lives, for matching.
    pub(crate) fn home<'a>(&'a self, namespace: Option<&'a Object>) -> HomeOf<'a> {
        match &self.home {
            Home::Cluster => HomeOf::Cluster,
            Home::Namespace(name) => HomeOf::Namespace { name, object: namespace },
            Home::Unnamed => HomeOf::Unnamed,
        }
    }

    /// The Namespace that the object lives in, as the caller knows it or the inventory has it.
    pub(super) fn known_namespace<'a>(&'a self, world: &World<'a>) -> Option<&'a Object> {
        if self.missing_namespace().is_some() {
            return None;
        }
        self.namespace().or_else(|| {
            let name = self.namespace_name();
            if name.is_empty() { None } else { world.inventory()?.namespace(name) }
        })
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// What it is implied by, if it is of what another object implies.
    #[must_use]
    pub fn implied_by(&self) -> Option<&ImpliedBy> {
        self.implied.as_ref().map(|(implied_by, _)| implied_by)
    }

    /// The review of the object that implies this one.
    pub(crate) fn parent(&self) -> Option<&Self> {
        self.implied.as_ref().map(|(_, parent)| &**parent)
    }

    /// The objects that matching looks at, in this order; a constraint applies if either matches.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = &Object> {
        // On DELETE both are the same object; asking it once is enough.
        let old =
            self.old_object.as_ref().filter(|_| self.operation != Operation::Delete || self.object.is_none());
        self.object.iter().chain(old)
    }

    /// `input.review`, with the Namespace the object lives in if it is known.
    pub(crate) fn input(&self, namespace: Option<&Object>) -> Value {
        let Some(namespace) = namespace else { return self.request.clone() };
        value::object(value::entries(&self.request).map(|(key, value)| {
            let value = if key == NAMESPACE_OBJECT { namespace.value() } else { value };
            (key, value.clone())
        }))
    }
}

fn scope_of(object: &Object) -> Scope {
    let gvk = object.gvk();
    Scopes::default().of(&gvk.group, &gvk.kind)
}

/// Where the object of a request lives.
fn home_of(object: &Object, requested: &Arc<str>, reading: Reading) -> Home {
    if object.is_namespace() {
        return Home::Cluster;
    }
    let own = object.namespace();
    match (scope_of(object), reading) {
        (Scope::Cluster, Reading::Sent) => Home::Cluster,
        _ if !requested.is_empty() => Home::Namespace(requested.clone()),
        (_, Reading::AsWritten) => Home::named(own),
        // No API server sends this.
        (Scope::Namespaced, Reading::Sent) if own.is_empty() => Home::Unnamed,
        (Scope::Namespaced, Reading::Sent) => Home::Namespace(own.clone()),
        (Scope::ByObject, Reading::Sent) => Home::Cluster,
    }
}

fn admission_request(request: &Value, object: Option<&Object>, is_namespace: bool) -> Value {
    const DROPPED_WHEN_EMPTY: &[&str] = &["name", "namespace", "subResource", "requestSubResource"];
    let empty = || Value::from("");
    let defaults = [
        ("uid", empty()),
        ("kind", value::object([("group", empty()), ("version", empty()), ("kind", empty())])),
        ("resource", value::object([("group", empty()), ("version", empty()), ("resource", empty())])),
        ("operation", empty()),
        ("userInfo", Value::new_object()),
        ("oldObject", Value::NULL),
        ("options", Value::NULL),
    ];
    let object = object.map_or(Value::NULL, |object| object.value().clone());
    let mut entries: Vec<(&str, Value)> = vec![("object", object), (NAMESPACE_OBJECT, Value::NULL)];
    for (key, default) in defaults {
        let given = value::get(request, key).filter(|value| !value.is_null());
        entries.push((key, given.cloned().unwrap_or(default)));
    }
    for key in
        ["name", "namespace", "subResource", "requestKind", "requestResource", "requestSubResource", "dryRun"]
    {
        if key == "namespace" && is_namespace {
            continue;
        }
        let given = value::get(request, key).filter(|value| !value.is_null());
        let kept =
            given.filter(|value| !DROPPED_WHEN_EMPTY.contains(&key) || value::as_str(value) != Some(""));
        if let Some(value) = kept {
            entries.push((key, value.clone()));
        }
    }
    value::object(entries)
}

//! STAGE 1: documents in, typed resources out.
//!
//! [`Resource::read`] is the only code that knows API groups, kinds and versions. All versions of a kind are folded into
//! one type per file. Wire types have no behaviour; what they mean is decided in [`crate::policy`].

pub(crate) mod admission;
pub(crate) mod config;
pub(crate) mod constraint;
pub(crate) mod matching;
pub(crate) mod node;
pub(crate) mod suite;
pub(crate) mod sync_set;
pub(crate) mod template;

use crate::document::Document;
use crate::error::{Error, ErrorKind, did_you_mean};
use crate::names::Gvk;
use crate::object::Object;
use crate::path::FieldPath;

pub use admission::{AdmissionReview, Operation};
pub use config::{Config, ExclusionRule, Process};
pub use constraint::Constraint;
pub use suite::{Assertion, Case, Expected, Suite, Test};
pub use sync_set::SyncSet;
pub use template::{ConstraintTemplate, RegoVersion};

/// What a document is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Resource {
    /// Defines a kind of constraint and the program behind it.
    Template(Box<ConstraintTemplate>),
    /// One use of a template: parameters, what it applies to, what happens on a violation.
    Constraint(Box<Constraint>),
    /// The engine's configuration: what to cache, which namespaces to leave alone.
    Config(Config),
    /// Kinds to cache.
    SyncSet(SyncSet),
    /// Tests for policies.
    Suite(Suite),
    /// A recorded admission request.
    AdmissionReview(Box<AdmissionReview>),
    /// A kind of ours that takes no part in validation: mutators, expansion templates, providers, status.
    Inert(Object),
    /// Any other Kubernetes object.
    Object(Object),
    /// A template or constraint that is wrong in some place, as far as it could be read. It is never used; the policy stage
    /// checks the rest of it, so that one run reports all mistakes.
    Rejected(Box<Self>),
}

/// The groups that hold policy documents, with their kinds, and for each kind the versions that exist.
const GROUPS: &[(&str, &[KnownKind])] = &[
    ("templates.gatekeeper.sh", &[("ConstraintTemplate", Kind::Template, &["v1", "v1beta1", "v1alpha1"])]),
    ("config.gatekeeper.sh", &[("Config", Kind::Config, &["v1alpha1"])]),
    ("syncset.gatekeeper.sh", &[("SyncSet", Kind::SyncSet, &["v1alpha1"])]),
    (SUITE_GROUP, &[("Suite", Kind::Suite, &[])]),
    (AdmissionReview::GROUP, &[(AdmissionReview::KIND, Kind::AdmissionReview, AdmissionReview::VERSIONS)]),
    (
        "mutations.gatekeeper.sh",
        &[
            ("Assign", Kind::Inert, &["v1", "v1beta1", "v1alpha1"]),
            ("AssignMetadata", Kind::Inert, &["v1", "v1beta1", "v1alpha1"]),
            ("ModifySet", Kind::Inert, &["v1", "v1beta1", "v1alpha1"]),
            ("AssignImage", Kind::Inert, &["v1alpha1"]),
        ],
    ),
    ("expansion.gatekeeper.sh", &[("ExpansionTemplate", Kind::Inert, &["v1beta1", "v1alpha1"])]),
    ("externaldata.gatekeeper.sh", &[("Provider", Kind::Inert, &["v1beta1", "v1alpha1"])]),
];

/// Name, meaning, versions; no versions means any.
type KnownKind = (&'static str, Kind, &'static [&'static str]);

/// The group of all constraints. Its kinds are whatever the templates define.
pub(crate) const CONSTRAINT_GROUP: &str = "constraints.gatekeeper.sh";
const CONSTRAINT_VERSIONS: &[&str] = &["v1beta1", "v1alpha1"];
/// The group of tests for policies.
const SUITE_GROUP: &str = "test.gatekeeper.sh";
/// What all groups of policies end with.
const DOMAIN: &str = ".gatekeeper.sh";
/// Groups of Gatekeeper in which nothing is a policy: what it writes for itself.
const SILENT: &[&str] = &["status.gatekeeper.sh", "connection.gatekeeper.sh", "gvkmanifest.gatekeeper.sh"];

impl Gvk {
    /// Whether this is a group of policies, or was meant for one: what is wrong in it must not be taken for any other object.
    #[must_use]
    pub fn is_policy(&self) -> bool {
        let group = &*self.group;
        group.ends_with(DOMAIN) && group != SUITE_GROUP && !SILENT.contains(&group)
    }

    /// Whether this is a kind of tests for policies.
    #[must_use]
    pub fn is_suite(&self) -> bool {
        &*self.group == SUITE_GROUP
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Template,
    Config,
    SyncSet,
    Suite,
    AdmissionReview,
    Inert,
}

impl Resource {
    /// Reads a document as what its `apiVersion` and `kind` say it is.
    ///
    /// Problems come back beside the resource. If a problem is an error the resource is `None`, or [`Resource::Rejected`]: a
    /// document that is wrong in any place is not used. Reading goes on after the first mistake, even after a misspelt kind,
    /// so that all of them are reported.
    #[must_use]
    pub fn read(document: &Document) -> (Option<Self>, Vec<Error>) {
        let mut errors = Vec::new();
        let resource = match Object::from_document(document.clone()) {
            Ok(object) => read_object(document, object, &mut errors),
            Err(error) => {
                errors.push(error);
                None
            }
        };
        let broken = errors.iter().any(|error| error.severity() == crate::error::Severity::Error);
        let resource = match resource {
            Some(resource @ (Self::Template(_) | Self::Constraint(_))) if broken => {
                Some(Self::Rejected(Box::new(resource)))
            }
            resource => resource.filter(|_| !broken),
        };
        (resource, errors)
    }
}

fn read_object(document: &Document, object: Object, errors: &mut Vec<Error>) -> Option<Resource> {
    let gvk = object.gvk().clone();
    if &*gvk.group == CONSTRAINT_GROUP {
        check_version(document, &object, CONSTRAINT_VERSIONS, errors);
        let constraint = Constraint::read(document, object, errors);
        return Some(Resource::Constraint(Box::new(constraint)));
    }
    let Some((group, kinds)) = GROUPS.iter().find(|(group, _)| *group == &*gvk.group) else {
        check_group(document, &object, errors);
        return Some(Resource::Object(object));
    };
    let names = || kinds.iter().map(|(name, ..)| *name);
    let exact = kinds.iter().find(|(name, ..)| *name == &*gvk.kind);
    let meant = exact.or_else(|| {
        let suggestion = did_you_mean(&gvk.kind, names());
        let error = Error::new(ErrorKind::UnknownKind, format!("group `{group}` has no kind `{}`", gvk.kind));
        let hint = match suggestion {
            Some(name) => format!("did you mean `{name}`?"),
            None => {
                format!("it has {}", names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
            }
        };
        errors.push(error.hint(hint).at(at(document, "kind")).in_field(field("kind")));
        kinds.iter().find(|(name, ..)| Some(*name) == suggestion)
    });
    let (_, kind, versions) = meant?;
    check_version(document, &object, versions, errors);
    match kind {
        Kind::Template => ConstraintTemplate::read(document, &object, errors)
            .map(|template| Resource::Template(Box::new(template))),
        Kind::Config => Some(Resource::Config(Config::read(document, &object, errors))),
        Kind::SyncSet => SyncSet::read(document, &object, errors).map(Resource::SyncSet),
        Kind::Suite => Some(Resource::Suite(Suite::read(document, errors))),
        Kind::AdmissionReview => {
            AdmissionReview::read(document, errors).map(|review| Resource::AdmissionReview(Box::new(review)))
        }
        Kind::Inert => Some(Resource::Inert(object)),
    }
}

fn check_version(document: &Document, object: &Object, versions: &[&str], errors: &mut Vec<Error>) {
    let gvk = object.gvk();
    if versions.is_empty() || versions.contains(&&*gvk.version) {
        return;
    }
    let list: Vec<_> = versions.iter().map(|version| format!("`{}/{version}`", gvk.group)).collect();
    errors.push(
        Error::new(ErrorKind::UnknownKind, format!("`{}` has no version `{}`", gvk.kind, gvk.version))
            .hint(format!("use {}", list.join(" or ")))
            .at(at(document, "apiVersion"))
            .in_field(field("apiVersion")),
    );
}

/// A group that is nearly one of ours would make a policy pass as an ordinary object, unseen.
fn check_group(document: &Document, object: &Object, errors: &mut Vec<Error>) {
    let group = &*object.gvk().group;
    if group.is_empty() || !group.contains("gatekeeper") {
        return;
    }
    if SILENT.contains(&group) {
        return;
    }
    let known = GROUPS.iter().map(|(group, _)| *group).chain([CONSTRAINT_GROUP]);
    let suggestion = did_you_mean(group, known);
    errors.push(
        Error::new(ErrorKind::UnknownKind, format!("unknown policy group `{group}`"))
            .maybe_hint(suggestion.map(|name| format!("did you mean `{name}`?")))
            .at(at(document, "apiVersion"))
            .in_field(field("apiVersion")),
    );
}

fn field(name: &str) -> FieldPath {
    FieldPath::root().child(name)
}

fn at(document: &Document, name: &str) -> crate::source::Location {
    document.locate_nearest(&field(name)).0
}

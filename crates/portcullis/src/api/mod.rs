//! Resources: documents in, typed resources out.
//!
//! [`Resource::read`] is the only code that knows API groups, kinds and versions. All versions of a kind are
//! folded into one type per file. Wire types have no behaviour; what they mean is decided in
//! [`crate::policy`].

pub(crate) mod admission;
pub(crate) mod admission_policy;
pub(crate) mod cel;
pub(crate) mod config;
pub(crate) mod constraint;
mod crd;
pub(crate) mod exception;
pub(crate) mod expansion_template;
pub(crate) mod matching;
pub(crate) mod mutator;
pub(crate) mod provider;
pub(crate) mod sync_set;
pub(crate) mod template;
pub(crate) mod text;

use crate::document::Document;
use crate::error::{Error, ErrorKind, Severity, did_you_mean};
use crate::names::{AdmissionEffect, Gvk, MutatorKind, Scope};
use crate::object::Object;
use crate::path::FieldPath;

pub use admission::{AdmissionReview, Operation};
pub use admission_policy::{AdmissionPolicy, AdmissionPolicyBinding};
pub use config::{Config, ExclusionRule, Process};
pub use constraint::Constraint;
pub use exception::PolicyException;
pub use expansion_template::ExpansionTemplate;
pub use mutator::Mutator;
pub use provider::Provider;
pub use sync_set::SyncSet;
pub use template::{ConstraintTemplate, Engine, EngineChoice, PolicyLanguage, PolicyText, RegoVersion};

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
    /// What of some objects does not count, for a reason.
    Exception(Box<PolicyException>),
    /// Tests for policies: no policy and no object, and for others to read.
    Suite,
    /// A recorded admission request.
    AdmissionReview(Box<AdmissionReview>),
    /// A kind of Gatekeeper's that nothing is done for: mutators, expansion templates, providers,
    /// connections. It comes with an error of [`ErrorKind::Unsupported`], which callers may turn into a
    /// warning.
    Unsupported(Object),
    /// Changes objects before they are judged. Only who says that it uses mutators gets them
    /// ([`Resource::read_for`]); for all others they are [`Resource::Unsupported`].
    Mutator(Box<Mutator>),
    /// Says which objects stand for others that will be made of them. Only who says that it expands objects gets
    /// them ([`Resource::read_for`]); for all others they are [`Resource::Unsupported`].
    ExpansionTemplate(Box<ExpansionTemplate>),
    /// Somebody outside whom policies ask. Only who can ask providers gets them ([`Resource::read_for`]); for all others
    /// they are [`Resource::Unsupported`].
    Provider(Provider),
    /// One of the API server's own policies: what has to hold, or what is changed. Those that change objects are
    /// [`Resource::Unsupported`] for who does not use mutators.
    AdmissionPolicy(Box<AdmissionPolicy>),
    /// Where such a policy applies, and what a violation leads to.
    AdmissionPolicyBinding(Box<AdmissionPolicyBinding>),
    /// Any other Kubernetes object.
    Object(Object),
    /// A template, constraint, mutator or expansion template that is wrong in some place, as far as it could be
    /// read. It is never used; the stage that compiles it checks the rest of it, so that one run reports all mistakes.
    Rejected(Box<Self>),
}

/// Gatekeeper's groups, our own and that of requests, with their kinds, and for each kind where its objects live and
/// the versions that exist. Its other groups are [`CONSTRAINT_GROUP`] and [`STATUS_GROUP`]. The list is
/// closed: another group is somebody else's, whatever it is called, unless it is a misspelling below
/// Gatekeeper's own domain.
const GROUPS: &[(&str, &[KnownKind])] = &[
    (
        "templates.gatekeeper.sh",
        &[("ConstraintTemplate", Kind::Template, Scope::Cluster, &["v1", "v1beta1", "v1alpha1"])],
    ),
    ("config.gatekeeper.sh", &[("Config", Kind::Config, Scope::Namespaced, &["v1alpha1"])]),
    (
        PolicyException::GROUP,
        &[(PolicyException::KIND, Kind::Exception, Scope::Cluster, PolicyException::VERSIONS)],
    ),
    ("syncset.gatekeeper.sh", &[("SyncSet", Kind::SyncSet, Scope::Cluster, &["v1alpha1"])]),
    (SUITE_GROUP, &[("Suite", Kind::Suite, Scope::ByObject, &[])]),
    (
        AdmissionReview::GROUP,
        &[(AdmissionReview::KIND, Kind::AdmissionReview, Scope::ByObject, AdmissionReview::VERSIONS)],
    ),
    (
        "mutations.gatekeeper.sh",
        &[
            ("Assign", Kind::Mutator(MutatorKind::Assign), Scope::Cluster, &["v1", "v1beta1", "v1alpha1"]),
            (
                "AssignMetadata",
                Kind::Mutator(MutatorKind::AssignMetadata),
                Scope::Cluster,
                &["v1", "v1beta1", "v1alpha1"],
            ),
            (
                "ModifySet",
                Kind::Mutator(MutatorKind::ModifySet),
                Scope::Cluster,
                &["v1", "v1beta1", "v1alpha1"],
            ),
            ("AssignImage", Kind::Mutator(MutatorKind::AssignImage), Scope::Cluster, &["v1alpha1"]),
        ],
    ),
    (
        "expansion.gatekeeper.sh",
        &[("ExpansionTemplate", Kind::ExpansionTemplate, Scope::Cluster, &["v1beta1", "v1alpha1"])],
    ),
    ("externaldata.gatekeeper.sh", &[("Provider", Kind::Provider, Scope::Cluster, &["v1beta1", "v1alpha1"])]),
    (
        "connection.gatekeeper.sh",
        &[("Connection", Kind::Unsupported("nothing is exported to it"), Scope::Namespaced, &["v1alpha1"])],
    ),
    (
        "gvkmanifest.gatekeeper.sh",
        &[("GVKManifest", Kind::Unsupported("nothing is compared with it"), Scope::Cluster, &["v1alpha1"])],
    ),
];

/// What a program leaves out that does not use mutators.
const WITHOUT_MUTATORS: &str = "objects are not mutated";
/// What a program leaves out that does not expand objects.
const WITHOUT_EXPANSION: &str = "what workloads generate is not judged";
/// What is left out without providers of external data.
const WITHOUT_DATA: &str = "no data is asked for";

/// Name, meaning, where its objects live, versions; no versions means any.
type KnownKind = (&'static str, Kind, Scope, &'static [&'static str]);

/// The group of all constraints. Its kinds are whatever the templates define.
pub(crate) const CONSTRAINT_GROUP: &str = "constraints.gatekeeper.sh";
const CONSTRAINT_VERSIONS: &[&str] = &["v1beta1", "v1alpha1"];
/// What Gatekeeper's pods note for themselves in a cluster: nobody writes it, it is not a policy and asks for
/// nothing. Ordinary objects.
const STATUS_GROUP: &str = "status.gatekeeper.sh";
/// The group of tests for policies.
const SUITE_GROUP: &str = "test.gatekeeper.sh";
/// Gatekeeper's own domain, in which nobody else has a group.
const DOMAIN: &str = ".gatekeeper.sh";

/// Where objects of a kind of Gatekeeper's live; by the object, if it is none.
pub(crate) fn scope(group: &str, kind: &str) -> Scope {
    match group {
        CONSTRAINT_GROUP => Scope::Cluster,
        STATUS_GROUP => Scope::Namespaced,
        _ => known_kinds(group)
            .and_then(|kinds| kinds.iter().find(|(name, ..)| *name == kind))
            .map_or(Scope::ByObject, |(_, _, scope, _)| *scope),
    }
}

fn known_kinds(group: &str) -> Option<&'static [KnownKind]> {
    GROUPS.iter().find(|(name, _)| *name == group).map(|(_, kinds)| *kinds)
}

/// The group of policies that was meant by one that is none of Gatekeeper's.
fn meant(group: &str) -> Option<&'static str> {
    if known_kinds(group).is_some() || [CONSTRAINT_GROUP, STATUS_GROUP].contains(&group) {
        return None;
    }
    did_you_mean(group, GROUPS.iter().map(|(group, _)| *group).chain([CONSTRAINT_GROUP]))
}

/// Whether a group is below Gatekeeper's domain, however it is spelt.
fn is_in_domain(group: &str) -> bool {
    group.to_lowercase().ends_with(DOMAIN)
}

impl Gvk {
    /// Whether this is a group of policies, or was meant for one: what is wrong in it must not be taken for
    /// any other object.
    #[must_use]
    pub fn is_policy(&self) -> bool {
        match &*self.group {
            SUITE_GROUP | STATUS_GROUP | AdmissionReview::GROUP => false,
            CONSTRAINT_GROUP => true,
            group => known_kinds(group).is_some() || (is_in_domain(group) && meant(group).is_some()),
        }
    }

    /// Whether this is an admission policy of the API server's or a binding of one. Who applies them to a cluster does
    /// not ask us.
    #[must_use]
    pub fn is_admission_policy(&self) -> bool {
        &*self.group == ADMISSION_GROUP && admission_kind(&self.kind).is_some()
    }

    /// Whether this is a kind of tests for policies.
    #[must_use]
    pub fn is_suite(&self) -> bool {
        &*self.group == SUITE_GROUP
    }
}

/// The groups of policies that something is done for.
pub(crate) fn policy_groups() -> impl Iterator<Item = &'static str> {
    let is_used = |kinds: &&[KnownKind]| {
        kinds.iter().any(|(_, kind, ..)| {
            matches!(kind, Kind::Template | Kind::Config | Kind::SyncSet | Kind::Exception)
        })
    };
    let known = GROUPS.iter().filter(move |(_, kinds)| is_used(kinds)).map(|(group, _)| *group);
    known.chain([CONSTRAINT_GROUP])
}

/// The groups that are used beside those of policies.
pub(crate) fn used_groups(uses: Uses) -> impl Iterator<Item = &'static str> {
    let is_used = move |kind: &Kind| match kind {
        Kind::Mutator(_) => uses.mutators,
        Kind::ExpansionTemplate => uses.expansions,
        Kind::Provider => uses.providers,
        _ => false,
    };
    let used = GROUPS.iter().filter(move |(_, kinds)| kinds.iter().any(|(_, kind, ..)| is_used(kind)));
    used.map(|(group, _)| *group)
}

/// The kinds of Gatekeeper's that a program does nothing for that uses these, each in its newest version: what
/// a cluster has of them is to be reported.
pub fn unsupported_kinds(uses: Uses) -> impl Iterator<Item = Gvk> {
    GROUPS.iter().flat_map(move |(group, kinds)| {
        let is_unsupported = move |kind: &Kind| match kind {
            Kind::Unsupported(_) => true,
            Kind::Mutator(_) => !uses.mutators,
            Kind::ExpansionTemplate => !uses.expansions,
            Kind::Provider => !uses.providers,
            _ => false,
        };
        let unsupported = kinds.iter().filter(move |(_, kind, ..)| is_unsupported(kind));
        unsupported.map(move |(name, _, _, versions)| {
            let version = versions.first().copied().unwrap_or_default();
            Gvk { group: (*group).into(), version: version.into(), kind: (*name).into() }
        })
    })
}

/// What becomes of policies of Gatekeeper's that nothing is done for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsupported {
    /// They are errors: what they would do is missing, and nobody would see it.
    #[default]
    Refused,
    /// They are warnings: somebody said that it may be missing.
    Allowed,
}

impl Unsupported {
    /// As `--allow-unsupported` has it.
    #[must_use]
    pub fn allowed(allowed: bool) -> Self {
        if allowed { Self::Allowed } else { Self::Refused }
    }

    /// Problems as they count.
    #[must_use]
    pub fn judge(self, problems: Vec<Error>) -> Vec<Error> {
        if self == Self::Refused {
            return problems;
        }
        let as_warning = |problem: Error| match problem.kind() {
            ErrorKind::Unsupported => problem.into_warning().hint("`--allow-unsupported` goes on without it"),
            _ => problem,
        };
        problems.into_iter().map(as_warning).collect()
    }
}

/// Which kinds of Gatekeeper's a program does something for, beside policies. It is told of all others that
/// they are not supported, so that no effect is missing unseen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uses {
    /// Mutators: objects are changed by them.
    pub mutators: bool,
    /// Expansion templates: what objects imply is judged.
    pub expansions: bool,
    /// Providers of external data: they are asked, or somebody has recorded what they say.
    pub providers: bool,
}

impl Uses {
    /// Nothing but policies.
    pub const POLICIES: Self = Self { mutators: false, expansions: false, providers: false };

    /// The same, and mutators if so.
    #[must_use]
    pub const fn with_mutators(self, mutators: bool) -> Self {
        Self { mutators, ..self }
    }

    /// The same, and expansion templates if so.
    #[must_use]
    pub const fn with_expansions(self, expansions: bool) -> Self {
        Self { expansions, ..self }
    }

    /// The same, and providers if so.
    #[must_use]
    pub const fn with_providers(self, providers: bool) -> Self {
        Self { providers, ..self }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Template,
    Config,
    SyncSet,
    Exception,
    Suite,
    AdmissionReview,
    Mutator(MutatorKind),
    ExpansionTemplate,
    Provider,
    /// Known, and nothing is done for it: what that means.
    Unsupported(&'static str),
}

impl Resource {
    /// Whether it is an expansion template, usable or not.
    #[must_use]
    pub fn is_expansion(&self) -> bool {
        match self {
            Self::ExpansionTemplate(_) => true,
            Self::Rejected(resource) => resource.is_expansion(),
            _ => false,
        }
    }

    /// The texts of its programs, of templates and admission policies, usable or not; of a template the main module
    /// first. None of all others.
    #[must_use]
    pub fn texts(&self) -> Vec<PolicyText<'_>> {
        match self {
            Self::Template(template) => template.texts(),
            Self::AdmissionPolicy(policy) => {
                let all = policy.expressions().into_iter();
                all.filter_map(|text| PolicyText::of(text, PolicyLanguage::Cel)).collect()
            }
            Self::Rejected(resource) => resource.texts(),
            _ => Vec::new(),
        }
    }

    /// Whether it is a mutator, usable or not.
    #[must_use]
    pub fn is_mutator(&self) -> bool {
        match self {
            Self::Mutator(_) => true,
            Self::AdmissionPolicy(policy) => policy.key().effect == AdmissionEffect::Mutating,
            Self::AdmissionPolicyBinding(binding) => binding.policy().effect == AdmissionEffect::Mutating,
            Self::Rejected(resource) => resource.is_mutator(),
            _ => false,
        }
    }

    /// Reads a document as what its `apiVersion` and `kind` say it is.
    ///
    /// Problems come back beside the resource. If a problem is an error the resource is `None`, or
    /// [`Resource::Rejected`]: a document that is wrong in any place is not used. Reading goes on after the
    /// first mistake, even after a misspelt kind, so that all of them are reported.
    ///
    /// This is for programs that use policies only: [`Resource::read_for`] is for others.
    #[must_use]
    pub fn read(document: &Document) -> (Option<Self>, Vec<Error>) {
        Self::read_for(document, Uses::POLICIES)
    }

    /// As [`Resource::read`], for a program that also uses other kinds of Gatekeeper's.
    #[must_use]
    pub fn read_for(document: &Document, uses: Uses) -> (Option<Self>, Vec<Error>) {
        let mut errors = Vec::new();
        let resource = match Object::from_document(document.clone()) {
            Ok(object) => read_object(document, object, uses, &mut errors),
            Err(error) => {
                errors.push(error);
                None
            }
        };
        let is_error = |error: &Error| error.severity() == Severity::Error;
        if matches!(resource, Some(Self::Unsupported(_))) {
            // Its own error is about what is not done; with another one beside it, it is not a document of
            // its kind.
            let broken = errors.iter().any(|error| is_error(error) && error.kind() != ErrorKind::Unsupported);
            return (resource.filter(|_| !broken), errors);
        }
        let broken = errors.iter().any(is_error);
        let resource = match resource {
            Some(
                resource @ (Self::Template(_)
                | Self::Constraint(_)
                | Self::Mutator(_)
                | Self::AdmissionPolicy(_)
                | Self::AdmissionPolicyBinding(_)
                | Self::ExpansionTemplate(_)),
            ) if broken => Some(Self::Rejected(Box::new(resource))),
            resource => resource.filter(|_| !broken),
        };
        (resource, errors)
    }
}

fn read_object(document: &Document, object: Object, uses: Uses, errors: &mut Vec<Error>) -> Option<Resource> {
    let gvk = object.gvk().clone();
    if &*gvk.group == CONSTRAINT_GROUP {
        check_version(document, &object, CONSTRAINT_VERSIONS, errors);
        let constraint = Constraint::read(document, object, errors);
        return Some(Resource::Constraint(Box::new(constraint)));
    }
    let group = &*gvk.group;
    if group == ADMISSION_GROUP
        && let Some((effect, is_binding)) = admission_kind(&gvk.kind)
    {
        return read_admission(document, object, effect, is_binding, uses, errors);
    }
    let Some(kinds) = known_kinds(group) else {
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
    let (_, kind, _, versions) = meant?;
    check_version(document, &object, versions, errors);
    match kind {
        Kind::Template => ConstraintTemplate::read(document, &object, errors)
            .map(|template| Resource::Template(Box::new(template))),
        Kind::Config => Some(Resource::Config(Config::read(document, &object, errors))),
        Kind::SyncSet => SyncSet::read(document, &object, errors).map(Resource::SyncSet),
        Kind::Exception => PolicyException::read(document, &object, errors)
            .map(|exception| Resource::Exception(Box::new(exception))),
        Kind::Suite => Some(Resource::Suite),
        Kind::AdmissionReview => {
            AdmissionReview::read(document, errors).map(|review| Resource::AdmissionReview(Box::new(review)))
        }
        Kind::Mutator(kind) if uses.mutators => {
            let mutator = Mutator::read(document, object, *kind, errors);
            Some(Resource::Mutator(Box::new(mutator)))
        }
        Kind::ExpansionTemplate if uses.expansions => {
            let template = ExpansionTemplate::read(document, object, errors);
            Some(Resource::ExpansionTemplate(Box::new(template)))
        }
        Kind::Provider if uses.providers => Provider::read(document, &object, errors).map(Resource::Provider),
        // A misspelt one is reported already.
        Kind::Mutator(_) | Kind::ExpansionTemplate | Kind::Provider | Kind::Unsupported(_)
            if exact.is_none() =>
        {
            None
        }
        Kind::Mutator(_) | Kind::ExpansionTemplate | Kind::Provider | Kind::Unsupported(_) => {
            let undone = match kind {
                Kind::Unsupported(undone) => undone,
                Kind::ExpansionTemplate => WITHOUT_EXPANSION,
                Kind::Provider => WITHOUT_DATA,
                _ => WITHOUT_MUTATORS,
            };
            let message = format!("`{}` of Gatekeeper is not supported: {undone}", gvk.kind);
            let error = Error::new(ErrorKind::Unsupported, message).hint(ALLOW_UNSUPPORTED);
            errors.push(error.about(object.to_string()).at(at(document, "kind")).in_field(field("kind")));
            Some(Resource::Unsupported(object))
        }
    }
}

/// The group of the API server's own admission policies, and of what configures its webhooks.
const ADMISSION_GROUP: &str = "admissionregistration.k8s.io";
/// The versions in which it has policies. What alpha versions had is not what there is now.
const ADMISSION_VERSIONS: &[&str] = &["v1", "v1beta1"];

/// Which kind of admission policy it is, and whether it is a binding; none if it is neither.
fn admission_kind(kind: &str) -> Option<(AdmissionEffect, bool)> {
    [AdmissionEffect::Validating, AdmissionEffect::Mutating].into_iter().find_map(|effect| match kind {
        _ if kind == effect.policy_kind() => Some((effect, false)),
        _ if kind == effect.binding_kind() => Some((effect, true)),
        _ => None,
    })
}

fn read_admission(
    document: &Document,
    object: Object,
    effect: AdmissionEffect,
    is_binding: bool,
    uses: Uses,
    errors: &mut Vec<Error>,
) -> Option<Resource> {
    check_version(document, &object, ADMISSION_VERSIONS, errors);
    if effect == AdmissionEffect::Mutating && !uses.mutators {
        let message = format!("`{}` is not supported here: {WITHOUT_MUTATORS}", object.gvk().kind);
        let error = Error::new(ErrorKind::Unsupported, message).hint(ALLOW_UNSUPPORTED);
        errors.push(error.about(object.to_string()).at(at(document, "kind")).in_field(field("kind")));
        return Some(Resource::Unsupported(object));
    }
    if is_binding {
        let binding = AdmissionPolicyBinding::read(document, &object, effect, errors)?;
        return Some(Resource::AdmissionPolicyBinding(Box::new(binding)));
    }
    let policy = AdmissionPolicy::read(document, &object, effect, errors)?;
    Some(Resource::AdmissionPolicy(Box::new(policy)))
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

/// What to do about a policy that is Gatekeeper's and not supported.
pub(crate) const ALLOW_UNSUPPORTED: &str = "take it away, or go on without it by `--allow-unsupported`";

/// A group that is nearly one of ours would make a policy pass as an ordinary object, unseen. Below another
/// domain it may be somebody's.
fn check_group(document: &Document, object: &Object, errors: &mut Vec<Error>) {
    let group = &*object.gvk().group;
    let Some(suggestion) = meant(group) else { return };
    let error = if is_in_domain(group) {
        Error::new(ErrorKind::UnknownKind, format!("unknown policy group `{group}`"))
            .hint(format!("did you mean `{suggestion}`?"))
    } else {
        Error::warning(ErrorKind::UnknownKind, format!("`{group}` is taken for a group of somebody else's"))
            .hint(format!("if this is a policy, it is `{suggestion}`"))
    };
    errors.push(error.at(at(document, "apiVersion")).in_field(field("apiVersion")));
}

fn field(name: &str) -> FieldPath {
    FieldPath::root().child(name)
}

fn at(document: &Document, name: &str) -> crate::source::Location {
    document.locate_nearest(&field(name)).0
}

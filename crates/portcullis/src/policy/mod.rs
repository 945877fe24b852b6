//! Policies: typed resources in, an immutable compiled policy set out.
//!
//! ```text
//! Resource --template.rs, constraint.rs--> compiled --store.rs--> PolicySet --index.rs--> candidates of a review
//! ```
//!
//! All that does not depend on the object is done here, once: Rego is compiled, `spec.match` too, parameters
//! have their defaults, and each constraint knows its action at each enforcement point. A constraint is
//! judged with its template; one whose template is missing or broken is reported and not in force.

mod admission;
mod configs;
mod constraint;
mod exceptions;
mod exclusions;
mod index;
mod match_kinds;
mod object_fields;
mod prepared;
mod rests_on;
mod store;
mod template;
mod unreadable;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use configs::ConfigHomes;
pub use constraint::ConstraintInfo;
pub(crate) use constraint::{CompiledConstraint, REVIEW};
pub(crate) use exceptions::CompiledException;
pub use exceptions::ExceptionInfo;
pub use prepared::Prepared;
pub use store::{Change, PolicyStore};
pub use template::TemplateInfo;
pub(crate) use template::{CompiledTemplate, Template};
pub use unreadable::Unjudgeable;

use exclusions::Exclusions;
use index::Index;

use crate::api::template::EngineChoice;
use crate::api::{Config, Process, Provider, Resource};
use crate::document::Document;
use crate::error::{Error, ErrorKind, did_you_mean};
use crate::names::{Gvk, TemplateName};
use crate::object::Object;
use crate::program::{PolicyCoverage, Program};
use crate::scope::Scopes;

/// Kinds that every review may need to know: the Namespaces, and what says where the objects of a kind live.
const ALWAYS_READ: [&str; 2] = ["Namespace", Scopes::DEFINITION];

/// What is not said by policies themselves.
///
/// ```
/// use portcullis::{EngineChoice, PolicySet, PolicySettings, Resource};
///
/// let settings = PolicySettings { engines: EngineChoice::RegoOnly, ..PolicySettings::default() };
/// let (policies, errors) = PolicySet::from_resources_in(Vec::<Resource>::new(), &settings);
/// assert_eq!(policies.engines(), EngineChoice::RegoOnly);
/// # assert!(errors.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicySettings {
    /// Where the Config may be that counts.
    pub homes: ConfigHomes,
    /// Which program of templates is run.
    pub engines: EngineChoice,
}

/// Compiled templates and constraints: immutable, cheap to clone, `Send + Sync`.
///
/// ```
/// use portcullis::{Decision, Document, EnforcementPoint, Inventory, Object, PolicySet, Review, World};
///
/// let (documents, _) = Document::read_all("policy.yaml", r#"
/// apiVersion: templates.gatekeeper.sh/v1
/// kind: ConstraintTemplate
/// metadata: {name: nohostpid}
/// spec:
///   crd: {spec: {names: {kind: NoHostPid}}}
///   targets:
///   - target: admission.k8s.gatekeeper.sh
///     rego: |
///       package nohostpid
///       violation[{"msg": "share no process namespace"}] { input.review.object.spec.hostPID }
/// ---
/// apiVersion: constraints.gatekeeper.sh/v1beta1
/// kind: NoHostPid
/// metadata: {name: no-host-pid}
/// "#);
/// let (policies, errors) = PolicySet::compile(documents);
/// assert!(errors.is_empty(), "{errors:?}");
///
/// let (documents, _) = Document::read_all("pod.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {hostPID: true}}");
/// let review = Review::from_object(Object::from_document(documents[0].clone())?);
/// let outcome = policies.review(&review, &World::new(&Inventory::empty()), EnforcementPoint::Webhook);
/// let decision = Decision::from(&outcome);
/// assert!(!decision.allowed());
/// assert_eq!(decision.denials(), ["[no-host-pid] share no process namespace"]);
/// # Ok::<(), portcullis::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PolicySet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    templates: BTreeMap<TemplateName, Arc<Template>>,
    /// Ordered by key, which makes every outcome ordered by key.
    constraints: Box<[Arc<CompiledConstraint>]>,
    index: Index,
    exclusions: Exclusions,
    /// By name.
    exceptions: Box<[CompiledException]>,
    /// Which Config may count, and the name of the one that does.
    homes: ConfigHomes,
    engines: EngineChoice,
    config: Option<Arc<str>>,
    /// Kinds that the Config and SyncSets ask to cache.
    synced: Vec<Gvk>,
    /// By name.
    providers: Box<[Provider]>,
    /// What others know it by.
    identity: Arc<()>,
}

impl PolicySet {
    /// A set without policies: everything passes.
    #[must_use]
    pub fn empty() -> Self {
        PolicyStore::new().snapshot()
    }

    /// Compiles all policy documents among `documents`; others are left alone. Order does not matter, except
    /// that of two documents of the same resource the last one counts.
    ///
    /// What could be compiled comes back beside what is wrong with the rest. Policies that are wrong are not
    /// in the set, so a caller that enforces has to look at the errors.
    #[must_use]
    pub fn compile(documents: impl IntoIterator<Item = Document>) -> (Self, Vec<Error>) {
        let mut errors = Vec::new();
        let mut resources = Vec::new();
        for document in documents {
            let (resource, problems) = Resource::read(&document);
            resources.extend(resource);
            errors.extend(problems);
        }
        let (policies, problems) = Self::from_resources(resources);
        errors.extend(problems);
        errors.sort();
        (policies, errors)
    }

    /// As [`PolicySet::compile`], of resources that were read already, and may be [`Prepared`].
    #[must_use]
    pub fn from_resources(resources: impl IntoIterator<Item = impl Into<Prepared>>) -> (Self, Vec<Error>) {
        Self::from_resources_in(resources, &PolicySettings::default())
    }

    /// Tells a coverage what there is of templates to be reached, so that what is never evaluated is not left out.
    pub fn expect_in(&self, coverage: &PolicyCoverage) {
        for template in self.0.templates.values() {
            template.program.expect_in(coverage);
        }
    }

    /// As [`PolicySet::from_resources`], with settings.
    #[must_use]
    pub fn from_resources_in(
        resources: impl IntoIterator<Item = impl Into<Prepared>>,
        settings: &PolicySettings,
    ) -> (Self, Vec<Error>) {
        let mut store = PolicyStore::with_settings(settings);
        let mut errors = Vec::new();
        for resource in resources {
            let prepared = resource.into();
            errors.extend(store.duplicate(prepared.resource()));
            errors.extend(store.upsert(prepared));
        }
        errors.extend(store.pending());
        errors.extend(store.unbound());
        errors.extend(store.ignored_configs());
        errors.sort();
        (store.snapshot(), errors)
    }

    /// The templates, by name.
    pub fn templates(&self) -> impl Iterator<Item = &TemplateInfo> {
        self.0.templates.values().map(|template| &*template.info)
    }

    /// Which program of templates is run.
    #[must_use]
    pub fn engines(&self) -> EngineChoice {
        self.0.engines
    }

    /// The constraints, by kind and name.
    pub fn constraints(&self) -> impl Iterator<Item = &Arc<ConstraintInfo>> {
        self.0.constraints.iter().map(|constraint| &constraint.info)
    }

    /// The exceptions, by name, also those that ended.
    pub fn exceptions(&self) -> impl Iterator<Item = &Arc<ExceptionInfo>> {
        self.0.exceptions.iter().map(|exception| &exception.info)
    }

    /// The exceptions as they were written, by name.
    pub fn exception_documents(&self) -> impl Iterator<Item = &Document> {
        self.0.exceptions.iter().map(|exception| &exception.document)
    }

    /// A warning for each exception that has no effect at a time (nanoseconds since 1970), and for each name in an
    /// exception of which there is no constraint.
    #[must_use]
    pub fn idle_exceptions(&self, now_ns: Option<i64>) -> Vec<Error> {
        let known: Vec<&ConstraintInfo> = self.constraints().map(|info| &**info).collect();
        let idle = |info: &Arc<ExceptionInfo>| info.expired(now_ns).into_iter().chain(info.nameless(&known));
        self.exceptions().flat_map(idle).collect()
    }

    /// These policies without any exception: for who does not know which exceptions there are. More is denied by
    /// them, and never less.
    #[must_use]
    pub fn without_exceptions(&self) -> Self {
        if self.0.exceptions.is_empty() {
            return self.clone();
        }
        Self(Arc::new(Inner {
            templates: self.0.templates.clone(),
            constraints: self.0.constraints.clone(),
            index: Index::build(&self.0.constraints),
            exclusions: self.0.exclusions.clone(),
            exceptions: Box::default(),
            homes: self.0.homes.clone(),
            engines: self.0.engines,
            providers: self.0.providers.clone(),
            config: self.0.config.clone(),
            synced: self.0.synced.clone(),
            identity: Arc::new(()),
        }))
    }

    pub(crate) fn compiled_exceptions(&self) -> &[CompiledException] {
        &self.0.exceptions
    }

    /// Whether a Config keeps an object, which is where it lives, out of the inventory.
    /// [`InventoryStore::sync`] goes by it.
    ///
    /// [`InventoryStore::sync`]: crate::InventoryStore::sync
    #[must_use]
    pub fn keeps_out(&self, object: &Object) -> bool {
        self.0.exclusions.exclude_object(Process::Sync, object)
    }

    pub(crate) fn excludes_name(&self, process: Process, namespace: &str) -> bool {
        self.0.exclusions.exclude_name(process, namespace)
    }

    /// The Config that counts, as `namespace/name`; `None` if there is none.
    #[must_use]
    pub fn config(&self) -> Option<&str> {
        self.0.config.as_deref()
    }

    /// Why a Config would not count beside these policies; `None` if it would.
    #[must_use]
    pub fn ignores(&self, config: &Config) -> Option<Error> {
        let both = [self.0.config.clone(), Some(config.name.clone())].into_iter().flatten();
        let both = both.map(|name| (name.clone(), Config { name, ..Config::default() })).collect();
        let counted = self.0.homes.choose(&both).map(|config| &*config.name);
        self.0.homes.ignored(config, counted)
    }

    /// The kinds that the Config and SyncSets ask to cache.
    #[must_use]
    pub fn synced_kinds(&self) -> &[Gvk] {
        &self.0.synced
    }

    /// The providers of external data, by name. Those who can ask do ([`crate::PolicySet::review_asking`]); nothing here
    /// does.
    #[must_use]
    pub fn providers(&self) -> &[Provider] {
        &self.0.providers
    }

    /// A warning for each call of a template that asks a provider which there is not.
    #[must_use]
    pub fn missing_providers(&self) -> Vec<Error> {
        let mut warnings = Vec::new();
        let names = || self.providers().iter().map(|provider| &*provider.name);
        for template in self.0.templates.values() {
            for asked in template.program.asked() {
                let Some(name) = asked.provider.as_deref().filter(|name| names().all(|known| known != *name))
                else {
                    continue;
                };
                let message =
                    format!("`{}` asks a provider `{name}`, which there is not", template.info.kind());
                let hint = match did_you_mean(name, names()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "give its Provider beside the policies".to_owned(),
                };
                let place = asked.location.clone().unwrap_or_else(|| template.info.location().clone());
                warnings.push(Error::warning(ErrorKind::UnknownProvider, message).hint(hint).at(place));
            }
        }
        warnings
    }

    /// What of an object the policies may compare others with: the fields that they read, or all of it where
    /// that is not certain. `None` if none reads its kind. Namespaces are kept whole, for matching and for
    /// `namespaceObject`. The result holds no text.
    #[must_use]
    pub fn for_inventory(&self, object: &Object) -> Option<Object> {
        let mut read = false;
        let mut fields: Vec<&[Option<Arc<str>>]> = Vec::new();
        for template in self.used_templates() {
            for asked in template.info.inventory_reads().iter().filter(|asked| asked.covers(object.gvk())) {
                read = true;
                match &asked.fields {
                    None => fields.push(&[]),
                    Some(paths) => fields.extend(paths.iter().map(Vec::as_slice)),
                }
            }
        }
        match (object.is_namespace(), read) {
            (true, _) => Some(object.without_document()),
            // It says which resource a custom kind is, and which versions are the same.
            (false, _) if self.has_admission_policies() && &*object.gvk().kind == Scopes::DEFINITION => {
                Some(object.without_document())
            }
            (false, true) => Some(object.only(&fields)),
            (false, false) => None,
        }
    }

    /// Whether an object of a kind may be one that [`PolicySet::for_inventory`] keeps, or says where others
    /// live ([`Scopes::learn`]); `None` asks whether that is any kind.
    ///
    /// [`Scopes::learn`]: crate::Scopes::learn
    #[must_use]
    pub fn keeps_kind(&self, kind: Option<&str>) -> bool {
        kind.is_some_and(|kind| ALWAYS_READ.contains(&kind))
            || self.used_templates().flat_map(|template| template.info.inventory_reads()).any(|asked| match (
                &asked.kind,
                kind,
            ) {
                (None, _) => true,
                (Some(asked), Some(kind)) => **asked == *kind,
                (Some(_), None) => false,
            })
    }

    /// The kinds of which [`PolicySet::keeps_kind`] holds, as far as templates name them.
    pub fn kept_kinds(&self) -> impl Iterator<Item = &str> {
        let read = self.used_templates().flat_map(|template| template.info.inventory_reads());
        ALWAYS_READ.into_iter().chain(read.filter_map(|asked| asked.kind.as_deref()))
    }

    /// Whether there is an admission policy among the policies.
    pub(crate) fn has_admission_policies(&self) -> bool {
        self.0.constraints.iter().any(|constraint| constraint.policy.is_some())
    }

    /// Whether any constraint may apply to objects of a kind, whatever their group.
    #[must_use]
    pub fn concerns_kind(&self, kind: &str) -> bool {
        !self.0.index.candidates(kind).is_empty()
    }

    /// Whether any constraint may have something to say of objects of a kind: by its `match.kinds`, and by
    /// what its Rego says of kinds.
    #[must_use]
    pub fn concerns(&self, gvk: &Gvk) -> bool {
        let positions = self.0.index.candidates(&gvk.kind).iter();
        let mut constraints = positions.filter_map(|&position| self.0.constraints.get(position));
        constraints.any(|constraint| constraint.concerns(gvk))
    }

    pub(crate) fn compiled(&self) -> impl Iterator<Item = &Arc<CompiledConstraint>> {
        self.0.constraints.iter()
    }

    /// The templates that have a constraint.
    pub(crate) fn used_templates(&self) -> impl Iterator<Item = &Arc<Template>> {
        let mut last: Option<&Arc<Template>> = None;
        // Constraints of a template stand together: they are ordered by kind.
        self.0.constraints.iter().map(|constraint| &constraint.template).filter(move |template| {
            let new = last.is_none_or(|last| !Arc::ptr_eq(last, template));
            last = Some(template);
            new
        })
    }

    /// The programs that some constraint runs.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &Program> {
        self.used_templates().map(|template| &template.program)
    }

    /// What distinguishes it from other sets; the same for all clones of it.
    pub(crate) fn identity(&self) -> &Arc<()> {
        &self.0.identity
    }

    /// The constraints that may apply to objects of a kind; all of them where the kind is not known.
    pub(crate) fn candidates(&self, kind: Option<&str>) -> impl Iterator<Item = &Arc<CompiledConstraint>> {
        let (positions, all): (&[usize], &[_]) = match kind {
            Some(kind) => (self.0.index.candidates(kind), &[]),
            None => (&[], &self.0.constraints),
        };
        positions.iter().filter_map(|&position| self.0.constraints.get(position)).chain(all)
    }
}

impl Default for PolicySet {
    fn default() -> Self {
        Self::empty()
    }
}

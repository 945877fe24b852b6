//! The writer's side of policies: changes in, snapshots out.
//!
//! Recompiles only what a change touches: a template and its constraints, or one constraint. What was good
//! stays in force when its update fails. Whatever the order of the changes, the snapshot equals that of
//! compiling the documents that are left, as long as none of them is broken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::admission::AdmissionEntries;
use super::exceptions::CompiledException;
use super::index::Index;
use super::{
    CompiledConstraint, CompiledTemplate, ConfigHomes, Exclusions, Inner, PolicySet, PolicySettings,
    Prepared, Template,
};
use crate::api::template::EngineChoice;
use crate::api::{Config, Constraint, ConstraintTemplate, PolicyException, Provider, Resource, SyncSet};
use crate::error::{Error, ErrorKind};
use crate::names::{AdmissionPolicyKey, ConstraintKey, Gvk, TemplateName};
use crate::path::FieldPath;
use crate::schema::ConstraintSchema;

/// A change of the policies.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// A resource is new or has a new text. Resources that are not policies change nothing.
    Upsert(Resource),
    /// A template is gone, and its constraints with it until it comes back.
    RemoveTemplate(TemplateName),
    /// A constraint is gone.
    RemoveConstraint(ConstraintKey),
    /// A Config is gone; its `namespace/name`.
    RemoveConfig(Arc<str>),
    /// A SyncSet is gone; its name.
    RemoveSyncSet(Arc<str>),
    /// A provider of external data is gone; its name.
    RemoveProvider(Arc<str>),
    /// An exception is gone; its name.
    RemoveException(Arc<str>),
    /// An admission policy is gone. Its bindings wait for it.
    RemoveAdmissionPolicy(AdmissionPolicyKey),
    /// The binding of an admission policy that validates is gone; its name.
    RemoveAdmissionPolicyBinding(Arc<str>),
}

/// Takes changes and gives out [`PolicySet`]s.
///
/// ```
/// use portcullis::{Change, Document, PolicyStore, Resource};
///
/// let mut store = PolicyStore::new();
/// let (documents, _) = Document::read_all("c.yaml",
///     "{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: NoHostPid, metadata: {name: no-host-pid}}");
/// let (resource, _) = Resource::read(&documents[0]);
/// // Templates and constraints may arrive in any order: this one waits for its template.
/// assert!(store.apply(Change::Upsert(resource.unwrap())).is_empty());
/// assert_eq!(store.pending().len(), 1);
/// assert_eq!(store.snapshot().constraints().count(), 0);
/// ```
#[derive(Debug, Default)]
pub struct PolicyStore {
    templates: BTreeMap<TemplateName, TemplateEntry>,
    constraints: BTreeMap<ConstraintKey, ConstraintEntry>,
    configs: BTreeMap<Arc<str>, Config>,
    sync_sets: BTreeMap<Arc<str>, SyncSet>,
    providers: BTreeMap<Arc<str>, Provider>,
    exceptions: BTreeMap<Arc<str>, PolicyException>,
    admission: AdmissionEntries,
    homes: ConfigHomes,
    engines: EngineChoice,
}

/// Whether a resource was read without errors. A rejected one is compiled for what else is wrong with it, and
/// never used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Sound,
    Rejected,
}

#[derive(Debug)]
struct TemplateEntry {
    api: ConstraintTemplate,
    /// The last version that compiled.
    good: Option<Arc<Template>>,
}

#[derive(Debug)]
struct ConstraintEntry {
    api: Constraint,
    standing: Standing,
    /// The last version that compiled, with the template it was compiled against.
    good: Option<Arc<CompiledConstraint>>,
    /// That version as written, to be compiled against a new template while `api` is no better.
    good_api: Option<Constraint>,
}

impl PolicyStore {
    /// A store without policies.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store without policies, with settings.
    #[must_use]
    pub fn with_settings(settings: &PolicySettings) -> Self {
        let PolicySettings { homes, engines } = settings.clone();
        Self { homes, engines, ..Self::default() }
    }

    /// One warning per Config that does not count.
    #[must_use]
    pub fn ignored_configs(&self) -> Vec<Error> {
        let counted = self.homes.choose(&self.configs).map(|config| &*config.name);
        self.configs.values().filter_map(|config| self.homes.ignored(config, counted)).collect()
    }

    /// Applies a change and returns what is wrong with it. A constraint whose template has not come yet is
    /// not wrong: it waits, and [`PolicyStore::pending`] lists it.
    pub fn apply(&mut self, change: Change) -> Vec<Error> {
        match change {
            Change::Upsert(resource) => self.upsert(resource.into()),
            Change::RemoveTemplate(name) => {
                self.templates.remove(&name);
                for entry in self.constraints_of(&name) {
                    entry.good = None;
                }
                Vec::new()
            }
            Change::RemoveConstraint(key) => {
                self.constraints.remove(&key);
                Vec::new()
            }
            Change::RemoveConfig(name) => {
                self.configs.remove(&name);
                Vec::new()
            }
            Change::RemoveSyncSet(name) => {
                self.sync_sets.remove(&name);
                Vec::new()
            }
            Change::RemoveProvider(name) => {
                self.providers.remove(&name);
                Vec::new()
            }
            Change::RemoveException(name) => {
                self.exceptions.remove(&name);
                Vec::new()
            }
            Change::RemoveAdmissionPolicy(key) => {
                self.admission.remove_policy(&key);
                Vec::new()
            }
            Change::RemoveAdmissionPolicyBinding(name) => {
                self.admission.remove_binding(&name);
                Vec::new()
            }
        }
    }

    /// As [`PolicyStore::apply`] of [`Change::Upsert`], for a resource that may be compiled already.
    pub fn upsert(&mut self, prepared: Prepared) -> Vec<Error> {
        let Prepared { resource, compiled } = prepared;
        let (resource, standing) = match resource {
            Resource::Rejected(resource) => (*resource, Standing::Rejected),
            resource => (resource, Standing::Sound),
        };
        match (resource, standing) {
            (Resource::Template(template), standing) => self.upsert_template(*template, compiled, standing),
            (Resource::Constraint(constraint), standing) => self.upsert_constraint(*constraint, standing),
            (Resource::Config(config), Standing::Sound) => {
                self.configs.insert(config.name.clone(), config);
                Vec::new()
            }
            (Resource::SyncSet(sync_set), Standing::Sound) => {
                self.sync_sets.insert(sync_set.name.clone(), sync_set);
                Vec::new()
            }
            (Resource::Provider(provider), Standing::Sound) => {
                self.providers.insert(provider.name.clone(), provider);
                Vec::new()
            }
            (Resource::AdmissionPolicy(policy), standing) => {
                self.admission.upsert_policy(*policy, standing == Standing::Sound)
            }
            (Resource::AdmissionPolicyBinding(binding), standing) => {
                self.admission.upsert_binding(*binding, standing == Standing::Sound);
                Vec::new()
            }
            (Resource::Exception(exception), Standing::Sound) => {
                self.exceptions.insert(exception.name.clone(), *exception);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// One error per constraint that waits for its template, with what is wrong with it whatever its template
    /// says.
    #[must_use]
    pub fn pending(&self) -> Vec<Error> {
        let waiting = self.constraints.values().filter_map(|entry| {
            let name = TemplateName::of_kind(&entry.api.key.kind);
            let template = self.templates.get(&name);
            match template {
                Some(template) if template.good.is_some() => None,
                _ => Some((entry, template)),
            }
        });
        waiting
            .flat_map(|(entry, template)| {
                let api = &entry.api;
                let problems = ConstraintSchema::of_any_template().validate(api.object.value()).into_iter();
                let errors = problems.map(|problem| {
                    problem.into_error(&api.document, &FieldPath::root()).about(api.key.to_string())
                });
                errors.chain([self.missing_template(api, template)])
            })
            .chain(self.admission.pending())
            .collect()
    }

    /// A warning for each admission policy that applies to nothing, as it has no binding.
    #[must_use]
    pub fn unbound(&self) -> Vec<Error> {
        self.admission.unbound()
    }

    fn missing_template(&self, constraint: &Constraint, template: Option<&TemplateEntry>) -> Error {
        let kind = &constraint.key.kind;
        let error = if template.is_some() {
            let message = format!("the constraint is not enforced: its template `{kind}` was rejected");
            Error::new(ErrorKind::MissingTemplate, message).hint("fix the template first")
        } else {
            let message = format!("no ConstraintTemplate defines the kind `{kind}`");
            let known = self.templates.values().map(|entry| &*entry.api.kind);
            let suggestion = crate::error::did_you_mean(kind, known);
            Error::new(ErrorKind::MissingTemplate, message).hint(match suggestion {
                Some(kind) => format!("did you mean `{kind}`?"),
                None => "give the template beside its constraints, in any order".to_owned(),
            })
        };
        let path = FieldPath::root().child("kind");
        error.at(constraint.document.locate(&path)).in_field(path).about(constraint.key.to_string())
    }

    /// A warning if a resource of the same name is there already. For callers whose documents are all meant
    /// to hold at the same time, such as files.
    #[must_use]
    pub fn duplicate(&self, resource: &Resource) -> Option<Error> {
        let resource = match resource {
            Resource::Rejected(resource) => resource,
            resource => resource,
        };
        let (document, earlier, subject) = match resource {
            Resource::Template(template) => {
                let name = TemplateName::of_kind(&template.kind);
                let earlier = self.templates.get(&name)?.api.document.location();
                (&template.document, earlier, format!("ConstraintTemplate/{name}"))
            }
            Resource::Constraint(constraint) => {
                let earlier = self.constraints.get(&constraint.key)?.api.document.location();
                (&constraint.document, earlier, constraint.key.to_string())
            }
            Resource::Exception(exception) => {
                let earlier = self.exceptions.get(&exception.name)?.document.location();
                (&exception.document, earlier, exception.subject())
            }
            Resource::AdmissionPolicy(policy) => {
                let earlier = self.admission.policy(policy.key())?.document.location();
                (&policy.document, earlier, policy.subject())
            }
            Resource::AdmissionPolicyBinding(binding) => {
                let earlier = self.admission.binding(binding)?.document.location();
                (&binding.document, earlier, binding.subject())
            }
            _ => return None,
        };
        let message = format!("defined a second time; the first is at {earlier}");
        let warning = Error::warning(ErrorKind::DuplicateResource, message);
        Some(warning.hint("only the last one counts").at(document.location()).about(subject))
    }

    /// The policies as they are now. Cost: a few pointers per constraint, and the match index.
    #[must_use]
    pub fn snapshot(&self) -> PolicySet {
        let mut constraints: Vec<_> =
            self.constraints.values().filter_map(|entry| entry.good.clone()).collect();
        constraints.extend(self.admission.bound());
        constraints.sort_by(|a, b| a.info.key().cmp(b.info.key()));
        let constraints: Box<[_]> = constraints.into();
        let templates = self
            .templates
            .iter()
            .filter_map(|(name, entry)| Some((name.clone(), entry.good.clone()?)))
            .collect();
        let config = self.homes.choose(&self.configs);
        let synced: BTreeSet<Gvk> = config
            .into_iter()
            .flat_map(|config| &config.sync_only)
            .chain(self.sync_sets.values().flat_map(|sync_set| &sync_set.gvks))
            .cloned()
            .collect();
        PolicySet(Arc::new(Inner {
            templates,
            index: Index::build(&constraints),
            constraints,
            exclusions: Exclusions::compile(config),
            exceptions: self.exceptions.values().map(CompiledException::compile).collect(),
            homes: self.homes.clone(),
            engines: self.engines,
            providers: self.providers.values().cloned().collect(),
            config: config.map(|config| config.name.clone()),
            synced: synced.into_iter().collect(),
            identity: Arc::new(()),
        }))
    }

    fn upsert_template(
        &mut self,
        api: ConstraintTemplate,
        compiled: Option<(Option<CompiledTemplate>, Vec<Error>)>,
        standing: Standing,
    ) -> Vec<Error> {
        let name = TemplateName::of_kind(&api.kind);
        let (compiled, mut errors) = compiled.unwrap_or_else(|| CompiledTemplate::of(&api));
        let compiled = compiled.and_then(|compiled| match Template::of(compiled, &api, self.engines) {
            Ok(template) => Some(template),
            Err(error) => {
                errors.push(error);
                None
            }
        });
        let good = if let Some(template) = compiled.filter(|_| standing == Standing::Sound) {
            let template = Arc::new(template);
            for entry in self.constraints_of(&name) {
                errors.extend(entry.compile(&template));
            }
            Some(template)
        } else {
            // The version before stays in force, and its constraints with it.
            self.templates.get(&name).and_then(|entry| entry.good.clone())
        };
        self.templates.insert(name, TemplateEntry { api, good });
        errors
    }

    fn upsert_constraint(&mut self, api: Constraint, standing: Standing) -> Vec<Error> {
        let template =
            self.templates.get(&TemplateName::of_kind(&api.key.kind)).and_then(|entry| entry.good.clone());
        let good = self.constraints.get(&api.key).and_then(|entry| entry.good.clone());
        let good_api = self.constraints.get(&api.key).and_then(|entry| entry.good_api.clone());
        let mut entry = ConstraintEntry { api, standing, good, good_api };
        let errors = template.map(|template| entry.compile(&template)).unwrap_or_default();
        self.constraints.insert(entry.api.key.clone(), entry);
        errors
    }

    fn constraints_of(&mut self, template: &TemplateName) -> impl Iterator<Item = &mut ConstraintEntry> {
        self.constraints
            .iter_mut()
            .filter(move |(key, _)| TemplateName::of_kind(&key.kind) == *template)
            .map(|(_, entry)| entry)
    }
}

impl ConstraintEntry {
    fn compile(&mut self, template: &Arc<Template>) -> Vec<Error> {
        if template.info.kind() != &*self.api.key.kind {
            let message = format!("the template's kind is spelt `{}`", template.info.kind());
            let path = FieldPath::root().child("kind");
            self.good = None;
            return vec![
                Error::new(ErrorKind::MissingTemplate, message)
                    .hint("kinds are case sensitive")
                    .at(self.api.document.locate(&path))
                    .in_field(path)
                    .about(self.api.key.to_string()),
            ];
        }
        let (compiled, errors) = CompiledConstraint::compile(&self.api, template);
        if let Some(compiled) = compiled.filter(|_| self.standing == Standing::Sound) {
            self.good = Some(Arc::new(compiled));
            self.good_api = Some(self.api.clone());
        } else if let Some(api) = self.good_api.as_ref().filter(|_| self.good.is_some()) {
            // What is wrong with it was reported when it was new.
            if let (Some(compiled), _) = CompiledConstraint::compile(api, template) {
                self.good = Some(Arc::new(compiled));
            }
        }
        errors
    }
}

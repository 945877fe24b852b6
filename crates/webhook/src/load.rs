//! From files to what is served: all of it, or every reason why not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use portcullis::{
    AdmissionMutators, Error, ErrorKind, ExpansionSet, InventoryStore, Limits, MutatorSet, MutatorStore,
    Object, Places, PolicySet, PolicySettings, PolicyStore, Prepared, Resource, Scopes, Severity,
    TemplateName, Unsupported, Uses,
};
use portcullis_providers::{ProviderOptions, Providers};
use portcullis_sources::{Choice, documents, is_policy, list};
use rayon::prelude::*;

use crate::digest;
use crate::pool::STACK_BYTES;
use crate::serving::Serving;

const POLICIES: Choice = Choice::Watched { policies: true };
const RESOURCES: Choice = Choice::Watched { policies: false };

/// Where policies and objects are read from.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Templates, constraints, Configs, SyncSets.
    pub policies: Vec<PathBuf>,
    /// Objects that policies may compare with, and Namespaces.
    pub resources: Vec<PathBuf>,
    /// What is read of a file.
    pub limits: Limits,
    /// What becomes of policies that are not supported.
    pub unsupported: Unsupported,
    /// Which Config counts, and which program of templates is run.
    pub settings: PolicySettings,
    /// Whether mutators are served; without it, they are not supported.
    pub mutates: bool,
}

/// What was read, and what is worth knowing about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is served.
    pub serving: Serving,
    /// What works, but probably not as meant.
    pub warnings: Vec<Error>,
    /// How long each template took to compile.
    pub ingested: Vec<Duration>,
    /// The same of each mutator.
    pub ingested_mutators: Vec<Duration>,
}

/// Reads and compiles everything.
///
/// # Errors
///
/// Everything that is wrong with any file, in order. A set with a mistake is not served in part: which of its constraints are
/// missing would be seen by nobody.
pub fn load(paths: &Paths) -> Result<Loaded, Vec<Error>> {
    // Deep documents and policies are worked on recursively.
    let pool = rayon::ThreadPoolBuilder::new().stack_size(STACK_BYTES).build().map_err(|error| {
        let message = format!("the threads that read policies could not be started: {error}");
        vec![Error::new(ErrorKind::Unreadable, message).hint("allow the process more threads")]
    })?;
    pool.install(|| load_here(paths))
}

fn load_here(paths: &Paths) -> Result<Loaded, Vec<Error>> {
    let input = documents(&paths.policies, POLICIES, &paths.limits);
    let mut problems = input.problems;
    let (mut resources, mut read, mut scopes) = (Vec::new(), Vec::new(), Scopes::default());
    for document in &input.documents {
        let (resource, errors) = Resource::read_for(
            document,
            Uses::POLICIES.with_expansions(true).with_mutators(paths.mutates).with_providers(true),
        );
        if is_policy(resource.as_ref(), document) {
            problems.extend(errors);
            resources.extend(resource);
            read.push(document);
        } else if let Ok(object) = Object::from_document(document.clone()) {
            scopes.learn(&object);
        }
    }
    let policies_digest = digest::of_documents(read).into();
    let templates: BTreeMap<TemplateName, Resource> = resources
        .iter()
        .filter_map(|resource| match resource {
            Resource::Template(template) => Some((TemplateName::of_kind(template.kind()), resource.clone())),
            _ => None,
        })
        .collect();
    let (mutating, resources): (Vec<_>, Vec<_>) = resources.into_iter().partition(Resource::is_mutator);
    let (of_server, mutating): (Vec<_>, Vec<_>) = mutating.into_iter().partition(is_of_server);
    let (admission, errors) = AdmissionMutators::from_resources(of_server);
    problems.extend(errors);
    let admission = Some(admission).filter(|admission| !admission.is_empty());
    let (mutators, ingested_mutators, errors) = compile_mutators(&mutating);
    problems.extend(errors);
    let (expansions, resources): (Vec<_>, Vec<_>) = resources.into_iter().partition(Resource::is_expansion);
    let (expansions, errors) = ExpansionSet::from_resources(expansions);
    problems.extend(errors);
    let (policies, ingested, errors) = compile(resources, &paths.settings);
    problems.extend(errors);
    for error in Providers::new(ProviderOptions::default()).set(policies.providers()) {
        problems.push(Error::new(ErrorKind::InvalidValue, error.to_string()));
    }

    let input = documents(&paths.resources, RESOURCES, &paths.limits);
    problems.extend(input.problems);
    let inventory_digest = digest::of_documents(&input.documents).into();
    let mut objects = Vec::with_capacity(input.documents.len());
    for document in input.documents {
        match Object::from_document(document) {
            Ok(object) => {
                scopes.learn(&object);
                // Nobody asks where it stands in its file, which need not stay in memory.
                objects.push(object.without_document());
            }
            Err(error) => problems.push(error),
        }
    }
    let places = Places::new(scopes);
    let mut inventory = InventoryStore::new();
    for object in objects {
        inventory.sync(places.settle(object).object, &policies);
    }
    let inventory = inventory.snapshot();
    problems.extend(policies.missing_inventory(&inventory));
    problems = paths.unsupported.judge(problems);

    let is_error = |problem: &Error| problem.severity() == Severity::Error;
    // An emptied directory looks like one whose volume is not mounted.
    if policies.constraints().next().is_none() && !problems.iter().any(is_error) {
        let error = Error::new(ErrorKind::NoInput, "there are no constraints, so every request would pass");
        problems.push(error.hint("name the directory of the ConstraintTemplates and their constraints"));
    }
    if paths.mutates && mutators.is_empty() && admission.is_none() && !problems.iter().any(is_error) {
        let error = Error::new(ErrorKind::NoInput, "there are no mutators, so nothing would be mutated");
        problems.push(error.hint("name the directory of the mutators, or leave out `--mutate`"));
    }
    problems.retain(|problem| !problem.kind().is_style());
    problems.sort();
    problems.dedup();
    if problems.iter().any(is_error) {
        problems.retain(is_error);
        return Err(problems);
    }
    // Here, so that no request waits for it.
    inventory.prepare(&policies);
    let mutators = Ok(mutators);
    let serving = Serving {
        policies,
        expansions,
        mutators,
        admission,
        inventory,
        templates,
        policies_digest,
        inventory_digest,
    };
    Ok(Loaded { serving, warnings: problems, ingested, ingested_mutators })
}

/// Whether a mutator is a policy of the API server's, or the binding of one.
fn is_of_server(resource: &Resource) -> bool {
    match resource {
        Resource::AdmissionPolicy(_) | Resource::AdmissionPolicyBinding(_) => true,
        Resource::Rejected(resource) => is_of_server(resource),
        _ => false,
    }
}

/// The mutators among what was read, and what is wrong with them. One that contradicts another is an error as well: neither would be
/// applied, and nobody would see it.
fn compile_mutators(resources: &[Resource]) -> (MutatorSet, Vec<Duration>, Vec<Error>) {
    let (mut store, mut ingested, mut errors) = (MutatorStore::new(), Vec::new(), Vec::new());
    for resource in resources {
        errors.extend(store.duplicate(resource));
        let start = Instant::now();
        errors.extend(store.upsert(resource));
        ingested.push(start.elapsed());
    }
    let mutators = store.snapshot();
    errors.extend(mutators.conflicts());
    (mutators, ingested, errors)
}

/// As [`PolicySet::from_resources_in`], and measures the templates.
fn compile(resources: Vec<Resource>, settings: &PolicySettings) -> (PolicySet, Vec<Duration>, Vec<Error>) {
    let mut store = PolicyStore::with_settings(settings);
    let (mut ingested, mut errors) = (Vec::new(), Vec::new());
    let prepared = resources.into_par_iter().map(|resource| {
        let is_template = matches!(resource, Resource::Template(_));
        let start = Instant::now();
        let prepared = Prepared::of(resource);
        (prepared, is_template.then(|| start.elapsed()))
    });
    for (prepared, took) in prepared.collect::<Vec<_>>() {
        errors.extend(store.duplicate(prepared.resource()));
        errors.extend(store.upsert(prepared));
        ingested.extend(took);
    }
    errors.extend(store.pending());
    errors.extend(store.unbound());
    errors.extend(store.ignored_configs());
    let policies = store.snapshot();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    errors.extend(policies.idle_exceptions(Some(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))));
    (policies, ingested, errors)
}

/// What distinguishes one state of some files from another without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(Vec<(PathBuf, Option<Stamp>)>, usize);

/// The real path is part of it: mounted volumes are changed by putting a link elsewhere.
type Stamp = (PathBuf, Option<SystemTime>, u64);

impl Fingerprint {
    /// Of policies and objects.
    #[must_use]
    pub fn of_paths(paths: &Paths) -> Self {
        let (policies, problems) = list(&paths.policies, POLICIES);
        let (resources, more) = list(&paths.resources, RESOURCES);
        let files = policies.into_iter().chain(resources).map(|file| file.path);
        Self(files.map(stamp).collect(), problems.len() + more.len())
    }

    /// Of some files.
    #[must_use]
    pub fn of_files<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        Self(files.into_iter().cloned().map(stamp).collect(), 0)
    }
}

fn stamp(path: PathBuf) -> (PathBuf, Option<Stamp>) {
    let metadata = std::fs::metadata(&path).ok();
    let real = std::fs::canonicalize(&path).ok();
    let stamp = metadata.zip(real).map(|(data, real)| (real, data.modified().ok(), data.len()));
    (path, stamp)
}

//! `portcullis expand`: prints what controllers will make of objects, as `gator expand` does.
//!
//! Standard output is gator's, byte for byte. If something is wrong, the first line of standard error is
//! gator's; what follows says where.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;

use anyhow::Context as _;
use portcullis::{
    Answers, Error, Expansion, ExpansionSet, ExpansionStore, Limits, MutatorKey, MutatorSet, MutatorStore,
    Object, Parent, Places, Provider, Questions, Resource, Resultant, Scopes, Severity, Uses,
};
use portcullis_report::{self as report, ExitStatus, Problem, gator, human};
use portcullis_sources::{self as read, Choice};
use serde_json::json;

use crate::commands::asking;
use crate::commands::mutating::{Admission, expanding, is_admission, left_undone};
use crate::mutate_args::ExpandArgs;

/// How objects are printed.
#[derive(Clone, Copy)]
enum Format {
    Yaml,
    Json,
}

/// What was read.
#[derive(Default)]
struct Loaded {
    expansions: Vec<Resource>,
    mutators: Vec<Resource>,
    objects: Vec<Object>,
    providers: Vec<Provider>,
    scopes: Scopes,
    problems: Vec<Error>,
}

/// Expands and prints.
pub fn run(args: &ExpandArgs) -> anyhow::Result<ExitStatus> {
    let format = match &*args.format {
        "yaml" => Format::Yaml,
        "json" => Format::Json,
        other => return fail(&format!("unrecognized value for format flag: {other}"), &[]),
    };
    let Some(loaded) = load(args) else { return fail("no input data identified", &[]) };
    let Loaded { expansions, mutators, objects, providers, scopes, mut problems } = loaded;
    if problems.iter().any(is_error) {
        return fail("error reading: some of the input cannot be used", &problems);
    }
    let refused = ExpansionStore::refused_by_gatekeeper(&expansions);
    let (set, found) = ExpansionSet::from_resources(expansions);
    problems.extend(found);
    if let Some((name, reason)) = refused {
        let line = format!("error expanding resources: error upserting template {name}: {reason}");
        return fail(&line, &problems);
    }
    let (of_server, mutators): (Vec<Resource>, Vec<Resource>) = mutators.into_iter().partition(is_admission);
    // gator takes these policies for objects like others. What is wrong with one would leave out what it changes.
    let (admission, found) = Admission::new(of_server, &objects, &Places::new(scopes));
    let is_wrong = found.iter().any(is_error);
    problems.extend(found);
    if is_wrong {
        return fail("error expanding resources: a mutating admission policy cannot be used", &problems);
    }
    let mutators = match mutators_of(&mutators, &mut problems) {
        Ok(mutators) => mutators,
        Err(reason) => return fail(&format!("error expanding resources: {reason}"), &problems),
    };
    let expansion = Expansion::new(&set).with_mutators(&mutators).of_parents(Parent::AsWritten);
    let expansion = expanding(expansion, admission.as_ref());
    let namespaces = Namespaces::of(&objects);
    let (answering, found) = args.providers.open(&providers);
    let is_wrong = found.iter().any(is_error);
    problems.extend(found);
    if is_wrong {
        return fail("error expanding resources: providers cannot be asked", &problems);
    }
    let expansion = match answering.username() {
        Some(username) => expansion.with_username(username),
        None => expansion,
    };
    let mut answers = Answers::new();
    if expansion.may_ask() {
        asking::gather(&answering, &mut answers, &objects, |object, known| {
            let (name, namespace) = namespaces.of_object(object);
            match expansion.with_answers(known).expand(object, name, namespace) {
                Err(error) => error.questions().clone(),
                Ok(_) => Questions::default(),
            }
        });
    }
    problems.extend(answering.problems());
    let expansion = expansion.with_answers(&answers);
    if let Err(error) = args.providers.finish(&answering) {
        return fail(&format!("error expanding resources: {error}"), &problems);
    }
    let mut resultants = Vec::new();
    for object in &objects {
        let (name, known) = namespaces.of_object(object);
        match expansion.expand(object, name, known) {
            Ok(found) => {
                let ignored = found.iter().flat_map(Resultant::ignored);
                problems.extend(left_undone(object, object.location(), ignored));
                resultants.extend(found);
            }
            Err(error) => {
                let name = object.name();
                let line = format!("error expanding resources: error expanding resource {name}: {error}");
                problems.push(error.to_error().about(object.to_string()).at(error.location().cloned()));
                return fail(&line, &problems);
            }
        }
    }
    human::write_problems(&Problem::all(&problems), &mut anstream::stderr().lock())?;
    let text = print(resultants, format);
    let mut out = report::stdout(false);
    match &args.outputfile {
        None => writeln!(out, "{text}")?,
        Some(file) => {
            fs::write(file, text).with_context(|| format!("`{}` cannot be written", file.display()))?;
            writeln!(out, "Writing output to file: {}", file.display())?;
        }
    }
    out.flush()?;
    Ok(ExitStatus::Success)
}

fn is_error(problem: &Error) -> bool {
    problem.severity() == Severity::Error
}

/// Says what is wrong: one line as gator has it, then where it is.
fn fail(line: &str, problems: &[Error]) -> anyhow::Result<ExitStatus> {
    let mut err = anstream::stderr().lock();
    writeln!(err, "{line}")?;
    human::write_problems(&Problem::all(problems), &mut err)?;
    Ok(ExitStatus::Error)
}

/// Reads all that is named, and standard input if somebody writes into it; `None` if there is nothing.
fn load(args: &ExpandArgs) -> Option<Loaded> {
    let limits = Limits { source_bytes: args.max_size, ..Limits::default() };
    let mut paths = args.filenames.clone();
    if !paths.iter().any(|path| read::is_stdin(path)) && read::stdin_is_stream() {
        paths.push(read::stdin_path());
    }
    let input = read::documents(&paths, Choice::Manifests, &limits);
    if input.documents.is_empty() && input.problems.is_empty() {
        return None;
    }
    let mut loaded = Loaded { problems: input.problems, ..Loaded::default() };
    for document in input.documents {
        let uses = Uses::POLICIES.with_expansions(true).with_mutators(true).with_providers(true);
        let (resource, problems) = Resource::read_for(&document, uses);
        match resource {
            Some(resource) if resource.is_expansion() => {
                loaded.problems.extend(problems);
                loaded.expansions.push(resource);
                continue;
            }
            Some(resource) if resource.is_mutator() => {
                loaded.problems.extend(problems);
                loaded.mutators.push(resource);
                continue;
            }
            Some(Resource::Provider(provider)) => {
                loaded.problems.extend(problems);
                loaded.providers.push(provider);
            }
            // Whatever else a policy may be, here it is an object, and mistakes in it are somebody else's.
            _ => {}
        }
        match Object::from_document(document) {
            Ok(object) => {
                loaded.scopes.learn(&object);
                loaded.objects.push(object);
            }
            Err(error) => loaded.problems.push(error),
        }
    }
    Some(loaded)
}

/// The mutators, or why gator would not take them.
fn mutators_of(resources: &[Resource], problems: &mut Vec<Error>) -> Result<MutatorSet, String> {
    let mut store = MutatorStore::new();
    for resource in resources {
        let errors = store.upsert(resource);
        problems.extend(errors.iter().cloned());
        if let Some(error) = errors.iter().find(|error| is_error(error)) {
            return Err(format!("error parsing resources: {}", error.message()));
        }
        let Resource::Mutator(mutator) = resource else { continue };
        let set = store.snapshot();
        let shown = |key: &MutatorKey| format!("{}.mutations.gatekeeper.sh /{}", key.kind, key.name);
        let conflicting: Vec<String> = set.conflicts_of(mutator.key()).map(shown).collect();
        if !conflicting.is_empty() {
            problems.extend(set.conflicts());
            let list = conflicting.join(",");
            return Err(format!(
                "error upserting mutator: the following mutators have conflicting schemas: [{list}]"
            ));
        }
    }
    Ok(store.snapshot())
}

/// The Namespaces that objects live in, as gator has them: what names none lives in one without a name.
struct Namespaces<'a> {
    named: BTreeMap<&'a str, &'a Object>,
    unnamed: Option<Object>,
    default: Option<Object>,
}

impl<'a> Namespaces<'a> {
    fn of(objects: &'a [Object]) -> Self {
        let named = objects.iter().filter(|object| object.is_namespace());
        let made = |metadata: serde_json::Value| {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
            Object::from_json(&namespace).ok()
        };
        Self {
            named: named.map(|object| (&**object.name(), object)).collect(),
            unnamed: made(json!({})),
            default: made(json!({"name": "default"})),
        }
    }

    /// Its name, if it is known, and the Namespace.
    fn of_object(&'a self, object: &'a Object) -> (Option<&'a str>, Option<&'a Object>) {
        let known = match &**object.namespace() {
            "" => self.unnamed.as_ref(),
            name => self.named.get(name).copied().or(self.default.as_ref().filter(|_| name == "default")),
        };
        (known.map(|namespace| &**namespace.name()), known)
    }
}

/// All of them, the last names first.
fn print(resultants: Vec<Resultant>, format: Format) -> String {
    let mut printed: Vec<(String, String)> = resultants
        .iter()
        .map(|resultant| {
            let value = resultant.to_json();
            let text =
                |pointer: &str| value.pointer(pointer).and_then(|text| text.as_str()).unwrap_or_default();
            let key = [text("/metadata/name"), text("/apiVersion"), text("/kind")].concat();
            let shown = match format {
                Format::Yaml => gator::yaml(&value),
                Format::Json => gator::json(&value),
            };
            (key, shown)
        })
        .collect();
    printed.sort_by(|(a, _), (b, _)| b.cmp(a));
    printed.into_iter().map(|(_, shown)| shown).collect::<Vec<_>>().join("---\n")
}

//! What `test`, `mutate` and `bench` read: policies, mutators, objects to judge, and what they may be compared
//! with.
//!
//! ```text
//! paths ── read ──> documents ── Resource::read ──> policies
//!                                              └──> mutators, if they are used
//!                                              └──> subjects (objects, requests)
//!                                              └──> inventory, scopes
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis::{
    DataForm, Document, Error, ErrorKind, Limits, Location, Mutation, Node, Object, Packages, Place,
    Resource, Review, Scopes, Settled, Severity, Source, Uses,
};
use portcullis_sources::{self as read, Choice, Ignores, Input, InputFile, RenderArgs, is_policy, is_suite};
use rayon::prelude::*;

use crate::commands::rego_files::modules;
use crate::conftest_args::RegoArgs;

/// Something to judge.
pub struct Subject {
    /// As it was written.
    pub object: Object,
    pub kind: SubjectKind,
    /// The review of a request; an object's depends on what is known of all kinds.
    pub request: Option<Review>,
    /// As mutators left it, where it lives.
    pub mutated: Option<Changed>,
}

/// What mutators made of an object, and how it is known where that lives.
#[derive(Debug)]
pub struct Changed {
    pub place: Place,
    pub mutation: Mutation,
}

impl Changed {
    /// The object as the mutators left it.
    pub fn after(&self) -> Settled {
        Settled { object: self.mutation.object().clone(), place: self.place }
    }

    /// The object as it was.
    pub fn before(&self) -> Settled {
        Settled { object: self.mutation.original().clone(), place: self.place }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    Object,
    /// A template, a constraint or another of our kinds: judged like all objects.
    Policy,
    /// An admission request; of one object there may be any number.
    Request,
}

/// What the sources hold.
#[derive(Default)]
pub struct Loaded {
    pub policies: Vec<Resource>,
    /// None, unless they are used: then they are among what is not supported.
    pub mutators: Vec<Resource>,
    pub subjects: Vec<Subject>,
    /// What policies may compare with, in the order given: of two objects of the same name the last one counts.
    /// First come the subjects that are no requests, in their order.
    pub inventory: Vec<Object>,
    /// What the CRDs among all that was read say of their kinds.
    pub scopes: Scopes,
    /// Some of the objects could not be read.
    pub is_unread: bool,
    pub problems: Vec<Error>,
    /// The files of Rego, if these are used.
    pub rego: Vec<InputFile>,
    /// What they are asked about; none if there are none.
    pub documents: Vec<Given>,
    /// Where the policies are that were given as such.
    taken: BTreeSet<(Arc<str>, u32)>,
    /// What was left out of folders.
    pub ignores: Ignores,
}

/// A document for files of Rego.
pub struct Given {
    pub document: Document,
    /// Its number in its file, from 1, if there are several.
    pub number: Option<usize>,
    /// Where the file is; none of standard input.
    pub path: Option<PathBuf>,
}

/// What a document is, and what is wrong with it.
struct Classified<'d> {
    document: &'d Document,
    resource: Option<Resource>,
    object: Option<Object>,
    problems: Vec<Error>,
}

/// Where to read.
pub struct Sources<'a> {
    /// Policies and objects.
    pub paths: Vec<PathBuf>,
    /// Only the policies are taken.
    pub policies: &'a [PathBuf],
    /// Objects that are not judged.
    pub inventory: &'a [PathBuf],
    /// The largest file.
    pub max_size: usize,
    /// What it is read for.
    pub purpose: Purpose,
    /// What is done with folders that are no manifests.
    pub render: &'a RenderArgs,
    /// How documents are read for files of Rego, if these are used.
    pub rego: Option<&'a RegoArgs>,
    /// What is left out of folders.
    pub ignores: Ignores,
}

/// What is done with the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Objects are judged by policies, again and again.
    Measure,
    /// Objects are judged by policies, with what they imply.
    Judge,
    /// Objects are mutated, and then judged by policies, with what they imply.
    MutateAndJudge,
    /// Objects are mutated. What is wrong with policies that are no mutators does not matter.
    Mutate,
}

impl Purpose {
    fn uses(self) -> Uses {
        let is_judged = matches!(self, Self::Judge | Self::MutateAndJudge);
        Uses::POLICIES
            .with_mutators(self != Self::Measure)
            .with_expansions(is_judged)
            .with_providers(self != Self::Measure)
    }

    /// Whether it matters what is wrong with a document.
    fn asks_about(self, resource: Option<&Resource>, document: &Document) -> bool {
        let is_used =
            |resource: &Resource| resource.is_mutator() || matches!(resource, Resource::Provider(_));
        self != Self::Mutate || resource.is_none_or(is_used) || !is_policy(resource, document)
    }
}

fn is_mutator(resource: Option<&Resource>) -> bool {
    resource.is_some_and(Resource::is_mutator)
}

/// Reads all that is named, and standard input if nothing says otherwise and somebody writes into it.
pub fn load(sources: Sources<'_>) -> Loaded {
    let Sources { mut paths, policies, inventory, max_size, purpose, render, rego, ignores } = sources;
    let limits = Limits { source_bytes: max_size, ..Limits::default() };
    let named = paths.iter().chain(policies).chain(inventory).any(|path| read::is_stdin(path));
    if !named && read::stdin_is_stream() {
        paths.push(read::stdin_path());
    }
    let (rego_files, problems) = rego.map(|_| rego_files(policies, &paths, &ignores)).unwrap_or_default();
    let mut loaded = Loaded { rego: rego_files, problems, ignores, ..Loaded::default() };
    if let Some(rego) = rego.filter(|_| !loaded.rego.is_empty()) {
        loaded.add_with_rego(policies, &paths, &limits, purpose, rego, render);
    } else {
        let ignores = loaded.ignores.clone();
        let none = RenderArgs::default();
        loaded.add_policies(
            read::documents_without(policies, Choice::Policies, &limits, &none, &ignores),
            purpose,
        );
        loaded
            .add_all(read::documents_without(&paths, Choice::Manifests, &limits, render, &ignores), purpose);
    }
    let further = read::documents_without(inventory, Choice::Manifests, &limits, render, &loaded.ignores);
    loaded.add_inventory(further);
    if paths.is_empty() && policies.is_empty() && inventory.is_empty() {
        let error = Error::new(ErrorKind::NoInput, "there is nothing to read");
        loaded
            .problems
            .push(error.hint("name files and directories with `-f`, or pipe manifests in; see `--help`"));
    }
    loaded
}

/// The files of Rego among policies and among all others, each once; and what is named like one and cannot be read.
fn rego_files(policies: &[PathBuf], paths: &[PathBuf], ignores: &Ignores) -> (Vec<InputFile>, Vec<Error>) {
    let (of_policies, problems) = read::list_sorted_without(policies, Choice::Policies, ignores);
    let (of_paths, found) = read::list_sorted_without(paths, Choice::Manifests, ignores);
    let mut seen = BTreeSet::new();
    let all = of_policies.rego.into_iter().chain(of_paths.rego);
    let is_new =
        |file: &InputFile| seen.insert(file.path.canonicalize().unwrap_or_else(|_| file.path.clone()));
    let is_rego = |problem: &Error| problem.location().is_some_and(|at| at.file().ends_with(".rego"));
    (all.filter(is_new).collect(), problems.into_iter().chain(found).filter(is_rego).collect())
}

/// Whether any of the files says what is wrong, in the package that is asked if nobody names one.
fn has_rules(files: &[InputFile], rego: &RegoArgs, limits: &Limits) -> bool {
    let (files, _) = modules(files, rego.rego_version, limits);
    files.par_iter().any(|file| file.has_rules_of(&Packages::default()))
}

/// What a text to judge is, for templates and for files of Rego.
struct Twofold {
    manifests: Input,
    given: Vec<Given>,
    problems: Vec<Error>,
}

impl Twofold {
    fn of(
        name: &str,
        path: Option<PathBuf>,
        bytes: Result<Vec<u8>, Error>,
        form: DataForm,
        limits: &Limits,
    ) -> Self {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                let manifests = Input { problems: vec![error.clone()], ..Input::default() };
                return Self { manifests, given: Vec::new(), problems: vec![error] };
            }
        };
        let manifests = match form {
            DataForm::Toml => Input::default(),
            DataForm::Json | DataForm::Yaml => {
                let (documents, problems) = Document::read_bytes(name, bytes.clone(), limits);
                Input { documents, problems, ..Input::default() }
            }
        };
        let (documents, problems) = Document::read_data_bytes(name, bytes, form, limits);
        let is_several = documents.len() > 1;
        let given = documents.into_iter().zip(1..).map(|(document, number)| Given {
            document,
            number: is_several.then_some(number),
            path: path.clone(),
        });
        Self { manifests, given: given.collect(), problems }
    }
}

/// The parser that conftest has for a file and we do not, by its name. Read as YAML, most of these would be one text, in which no
/// rule finds anything.
fn other_parser(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    Some(match (name.as_str(), end) {
        ("dockerfile" | "containerfile", _) | (_, "dockerfile") => "dockerfile",
        (name, _) if name.starts_with("dockerfile.") => "dockerfile",
        (".env", _) | (_, "env") => "dotenv",
        (name, _) if name.starts_with(".env.") => "dotenv",
        (".gitignore" | ".dockerignore", _) => "ignore",
        (_, "hcl" | "tf" | "tfvars") => "hcl2",
        (_, "textproto" | "textpb") => "textproto",
        (_, "cue") => "cue",
        (_, "edn") => "edn",
        (_, "hocon") => "hocon",
        (_, "ini") => "ini",
        (_, "jsonc") => "jsonc",
        (_, "jsonnet") => "jsonnet",
        (_, "properties") => "properties",
        (_, "vcl") => "vcl",
        (_, "xml") => "xml",
        _ => return None,
    })
}

fn not_parsed(file: &InputFile, parser: &str) -> Error {
    let place = Location::new(Source::new(file.name.as_str(), ""), 0..0);
    Error::new(ErrorKind::Unreadable, format!("files for conftest's parser `{parser}` are not read"))
        .at(place)
        .hint("turn it into JSON before, such as with `conftest parse`, or say what it is with `--parser`")
}

impl Loaded {
    /// Where there are files of Rego: all that is to be judged is read for them, too, and if there are no
    /// templates and constraints, for them alone, so that it need not be manifests.
    fn add_with_rego(
        &mut self,
        policies: &[PathBuf],
        paths: &[PathBuf],
        limits: &Limits,
        purpose: Purpose,
        rego: &RegoArgs,
        render: &RenderArgs,
    ) {
        let ignores = self.ignores.clone();
        let (of_policies, problems) = read::list_sorted_without(policies, Choice::Policies, &ignores);
        let (documents, found): (Vec<_>, Vec<_>) =
            of_policies.manifests.par_iter().map(|file| read::read_file(file, limits)).unzip();
        let problems = problems.into_iter().chain(found.into_iter().flatten()).collect();
        let documents = documents.into_iter().flatten().collect();
        self.add_policies(Input { documents, problems, ..Input::default() }, purpose);
        let (files, mut problems) = read::list_sorted_without(paths, Choice::Manifests, &ignores);
        let is_left_out =
            |file: &InputFile| rego.ignore.as_ref().is_some_and(|ignore| ignore.is_match(&file.name));
        let mut files: Vec<InputFile> = files.manifests.into_iter().chain(files.toml).collect();
        files.retain(|file| !is_left_out(file));
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let mut read: Vec<Twofold> = files
            .par_iter()
            .map(|file| {
                let form = rego.parser.unwrap_or_else(|| DataForm::of_name(&file.name));
                let other = other_parser(&file.path).filter(|_| rego.parser.is_none());
                let bytes = match other {
                    Some(parser) => Err(not_parsed(file, parser)),
                    None => read::read_bytes(file, limits),
                };
                Twofold::of(&file.name, Some(file.path.clone()), bytes, form, limits)
            })
            .collect();
        if paths.iter().any(|path| read::is_stdin(path)) {
            let name = rego.stdin_filename.as_deref().unwrap_or(read::STDIN_NAME);
            let form = rego.parser.unwrap_or(DataForm::Yaml);
            read.push(Twofold::of(name, None, read::read_stdin(limits), form, limits));
        }
        let mut manifests = Input::default();
        let mut of_data = Vec::new();
        for twofold in read {
            of_data.extend(twofold.problems);
            self.documents.extend(twofold.given);
            manifests.documents.extend(twofold.manifests.documents);
            manifests.problems.extend(twofold.manifests.problems);
        }
        // Of what has to be rendered, templates judge what comes of it.
        let folders = read::folders(paths, &ignores);
        let is_rendered = |name: &str| {
            let is_below = |folder: &read::Folder| {
                name.strip_prefix(&*folder.name).is_some_and(|rest| rest.starts_with('/'))
            };
            folders.iter().any(is_below) || read::is_kustomization_file(Path::new(name))
        };
        manifests.documents.retain(|document| !is_rendered(document.source().name()));
        manifests.problems.retain(|problem| !problem.location().is_some_and(|at| is_rendered(at.file())));
        let is_named = |file: &InputFile| paths.contains(&file.path);
        manifests.found = files.iter().filter(|file| !is_named(file)).map(|file| file.name.clone()).collect();
        manifests.extend(read::of_folders(&folders, limits, render));
        let mut others = Self { taken: self.taken.clone(), ..Self::default() };
        others.add_all(manifests, purpose);
        if self.policies.is_empty() && others.policies.is_empty() {
            // No manifests need be among them.
            problems.append(&mut of_data);
            self.is_unread |= has_errors(&problems);
        } else {
            if rego.asks_nothing() && !has_rules(&self.rego, rego, limits) {
                // Sources of templates, or their libraries.
                self.rego.clear();
                self.documents.clear();
            } else {
                problems.append(&mut of_data);
            }
            self.policies.append(&mut others.policies);
            self.mutators.append(&mut others.mutators);
            self.subjects.append(&mut others.subjects);
            self.inventory.append(&mut others.inventory);
            self.is_unread |= others.is_unread;
            self.problems.append(&mut others.problems);
        }
        self.scopes.extend(&others.scopes);
        self.problems.append(&mut problems);
    }

    fn add_all(&mut self, mut input: Input, purpose: Purpose) {
        self.problems.extend(without_others(&mut input));
        self.is_unread |= has_errors(&input.problems);
        self.problems.extend(input.problems);
        for Classified { document, resource, object, problems } in classify(&input.documents, purpose.uses())
        {
            // Suites are for `verify`, which also says what is wrong with them.
            if object.as_ref().is_some_and(is_suite) {
                continue;
            }
            self.is_unread |= object.is_none() && has_errors(&problems);
            if purpose.asks_about(resource.as_ref(), document) {
                self.problems.extend(problems);
            }
            let (Some(resource), Some(object)) = (resource, object) else { continue };
            let kind = match &resource {
                Resource::AdmissionReview(request) => {
                    match Review::from_admission(request) {
                        Ok(review) => self.add_request(review),
                        Err(error) => self.problems.push(error.at(object.location())),
                    }
                    continue;
                }
                Resource::Object(_) => SubjectKind::Object,
                _ => SubjectKind::Policy,
            };
            self.scopes.learn(&object);
            self.inventory.push(object.clone());
            let place = object.location().map(|at| (at.file().clone(), at.range().start));
            self.subjects.push(Subject { object, kind, request: None, mutated: None });
            // A folder of policies may lie in what is judged: each is read once.
            if kind == SubjectKind::Policy && place.is_none_or(|place| !self.taken.contains(&place)) {
                self.add_policy(resource);
            }
        }
    }

    fn add_policy(&mut self, resource: Resource) {
        if is_mutator(Some(&resource)) {
            self.mutators.push(resource);
        } else {
            self.policies.push(resource);
        }
    }

    fn add_request(&mut self, review: Review) {
        // A request without any object is an error already.
        if let Some(object) = review.object().cloned() {
            self.subjects.push(Subject {
                object,
                kind: SubjectKind::Request,
                request: Some(review),
                mutated: None,
            });
        }
    }

    /// Takes the policies, and is silent about everything else: samples may be broken on purpose.
    fn add_policies(&mut self, input: Input, purpose: Purpose) {
        self.problems.extend(input.problems);
        for Classified { document, resource, object, problems } in classify(&input.documents, purpose.uses())
        {
            if is_policy(resource.as_ref(), document) {
                if purpose.asks_about(resource.as_ref(), document) {
                    self.problems.extend(problems);
                }
                if let Some(resource) = resource {
                    let location = document.location();
                    self.taken.insert((location.file().clone(), location.range().start));
                    self.add_policy(resource);
                }
            } else if let Some(object) = &object {
                self.scopes.learn(object);
            }
        }
    }

    fn add_inventory(&mut self, mut input: Input) {
        self.problems.extend(without_others(&mut input));
        self.is_unread |= has_errors(&input.problems);
        self.problems.extend(input.problems);
        for document in input.documents {
            match Object::from_document(document) {
                Ok(object) => {
                    self.scopes.learn(&object);
                    self.inventory.push(object);
                }
                Err(error) => {
                    self.is_unread = true;
                    self.problems.push(error);
                }
            }
        }
    }
}

/// Takes out the files of a folder that nobody would take for manifests: in none of their documents there is an
/// `apiVersion` or a `kind`. Such are the values of a chart and the files of other tools. A file that was named is
/// meant, and so is one of which something cannot be read.
fn without_others(input: &mut Input) -> Option<Error> {
    /// How many files are named.
    const NAMED: usize = 5;
    let is_manifest = |document: &Document| {
        let root = Node::root(document);
        root.field("apiVersion").is_some() || root.field("kind").is_some()
    };
    // A list or a scalar is a problem of reading already.
    let is_no_object = |problem: &Error| problem.kind() == ErrorKind::NotAnObject;
    let mut files: BTreeMap<Arc<str>, bool> = BTreeMap::new();
    for document in &input.documents {
        *files.entry(document.source().name().clone()).or_default() |= is_manifest(document);
    }
    for problem in &input.problems {
        if let (Some(place), Severity::Error) = (problem.location(), problem.severity()) {
            *files.entry(place.file().clone()).or_default() |= !is_no_object(problem);
        }
    }
    files.retain(|file, is_manifest| !*is_manifest && input.found.contains(&**file));
    input.documents.retain(|document| !files.contains_key(document.source().name()));
    let is_of_others =
        |problem: &Error| problem.location().is_some_and(|place| files.contains_key(place.file()));
    input.problems.retain(|problem| !is_of_others(problem));
    let (first, count) = (files.keys().next()?, files.len());
    let names: Vec<String> = files.keys().take(NAMED).map(|file| format!("`{file}`")).collect();
    let message = match count.saturating_sub(NAMED) {
        _ if count == 1 => {
            "this file is no manifest, and is not judged: it has neither `apiVersion` nor `kind`".to_owned()
        }
        0 => format!("{count} files are no manifests, and are not judged: {}", names.join(", ")),
        more => format!(
            "{count} files are no manifests, and are not judged: {} and {more} more",
            names.join(", ")
        ),
    };
    let place = Location::new(Source::new(&**first, ""), 0..0);
    Some(
        Error::warning(ErrorKind::NoManifest, message)
            .at(place)
            .hint("a file that is named is read as a manifest whatever is in it"),
    )
}

pub fn has_errors(problems: &[Error]) -> bool {
    problems.iter().any(|problem| problem.severity() == Severity::Error)
}

fn classify(documents: &[Document], uses: Uses) -> Vec<Classified<'_>> {
    documents
        .par_iter()
        .map(|document| {
            let (resource, problems) = Resource::read_for(document, uses);
            let object = Object::from_document(document.clone()).ok();
            Classified { document, resource, object, problems }
        })
        .collect()
}

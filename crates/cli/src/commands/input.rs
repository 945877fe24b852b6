//! What `test` and `bench` read: policies, objects to judge, and what they may be compared with.
//!
//! ```text
//! paths ── read ──> documents ── Resource::read ──> policies
//!                                              └──> subjects (objects, requests)
//!                                              └──> inventory, scopes
//! ```

use std::path::PathBuf;

use portcullis::{Document, Error, ErrorKind, Limits, Object, Resource, Review, Scopes, Severity, Uses};
use portcullis_sources::{self as read, Choice, Input, is_policy, is_suite};
use rayon::prelude::*;

/// Something to judge.
pub struct Subject {
    /// As it was written.
    pub object: Object,
    pub kind: SubjectKind,
    /// The review of a request; an object's depends on what is known of all kinds.
    pub request: Option<Review>,
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
    pub subjects: Vec<Subject>,
    /// What policies may compare with, in the order given: of two objects of the same name the last one counts.
    pub inventory: Vec<Object>,
    /// What the CRDs among all that was read say of their kinds.
    pub scopes: Scopes,
    /// Some of the objects could not be read.
    pub is_unread: bool,
    pub problems: Vec<Error>,
}

/// What a document is, and what is wrong with it.
struct Classified {
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
    /// What is done about kinds of Gatekeeper's that are no policies.
    pub uses: Uses,
}

/// Reads all that is named, and standard input if nothing says otherwise and somebody writes into it.
pub fn load(sources: Sources<'_>) -> Loaded {
    let Sources { mut paths, policies, inventory, max_size, uses } = sources;
    let limits = Limits { source_bytes: max_size, ..Limits::default() };
    let named = paths.iter().chain(policies).chain(inventory).any(|path| read::is_stdin(path));
    if !named && read::stdin_is_stream() {
        paths.push(read::stdin_path());
    }
    let mut loaded = Loaded::default();
    loaded.add_policies(read::documents(policies, Choice::Policies, &limits), uses);
    loaded.add_all(read::documents(&paths, Choice::Manifests, &limits), uses);
    loaded.add_inventory(read::documents(inventory, Choice::Manifests, &limits));
    if paths.is_empty() && policies.is_empty() && inventory.is_empty() {
        let error = Error::new(ErrorKind::NoInput, "there is nothing to read");
        loaded
            .problems
            .push(error.hint("name files and directories with `-f`, or pipe manifests in; see `--help`"));
    }
    loaded
}

impl Loaded {
    fn add_all(&mut self, input: Input, uses: Uses) {
        self.is_unread |= has_errors(&input.problems);
        self.problems.extend(input.problems);
        for Classified { resource, object, problems } in classify(&input.documents, uses) {
            // Suites are for `verify`, which also says what is wrong with them.
            if object.as_ref().is_some_and(is_suite) {
                continue;
            }
            self.is_unread |= object.is_none() && has_errors(&problems);
            self.problems.extend(problems);
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
            self.subjects.push(Subject { object, kind, request: None });
            if kind == SubjectKind::Policy {
                self.policies.push(resource);
            }
        }
    }

    fn add_request(&mut self, review: Review) {
        // A request without any object is an error already.
        if let Some(object) = review.object().cloned() {
            self.subjects.push(Subject { object, kind: SubjectKind::Request, request: Some(review) });
        }
    }

    /// Takes the policies, and is silent about everything else: samples may be broken on purpose.
    fn add_policies(&mut self, input: Input, uses: Uses) {
        self.problems.extend(input.problems);
        for Classified { resource, object, problems } in classify(&input.documents, uses) {
            if is_policy(resource.as_ref(), object.as_ref()) {
                self.problems.extend(problems);
                self.policies.extend(resource);
            } else if let Some(object) = &object {
                self.scopes.learn(object);
            }
        }
    }

    fn add_inventory(&mut self, input: Input) {
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

pub fn has_errors(problems: &[Error]) -> bool {
    problems.iter().any(|problem| problem.severity() == Severity::Error)
}

fn classify(documents: &[Document], uses: Uses) -> Vec<Classified> {
    documents
        .par_iter()
        .map(|document| {
            let (resource, problems) = Resource::read_for(document, uses);
            let object = Object::from_document(document.clone()).ok();
            Classified { resource, object, problems }
        })
        .collect()
}

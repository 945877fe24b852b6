//! What there is in the folders of an editor: the policies, and where they stand. Texts that are open count as they are
//! in the editor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis::{
    Constraint, ConstraintTemplate, CustomKind, Document, Limits, Node, Object, Resource, Scopes,
    TemplateName, Uses,
};
use portcullis_sources::{InputFile, elsewhere, read_file};
use portcullis_suite::Suite;

use crate::uri::without_detours;

/// Most custom kinds that are known. What reads fields that there are not is compared with all of them.
pub const MOST_CUSTOM_KINDS: usize = 1000;

/// A document, and what it is.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its file.
    pub path: PathBuf,
    /// The document.
    pub document: Document,
    /// What it is of ours, usable or not.
    pub resource: Option<Arc<Resource>>,
    /// If it is a suite that can be run.
    pub suite: Option<Arc<Suite>>,
    /// The custom kind that it defines, if it does.
    pub custom_kind: Option<CustomKind>,
}

impl Entry {
    /// Reads a document.
    pub fn of(root: &Path, document: Document) -> Self {
        let uses = Uses::POLICIES.with_expansions(true).with_mutators(true).with_providers(true);
        let resource = Resource::read_for(&document, uses).0;
        let suite = match &resource {
            Some(Resource::Suite) => Suite::read(&document).0.map(Arc::new),
            _ => None,
        };
        let kind = Node::root(&document).optional_text("kind", &mut Vec::new());
        let is_definition = kind.as_deref() == Some(Scopes::DEFINITION);
        let definition = is_definition.then(|| Object::from_document(document.clone()).ok()).flatten();
        let custom_kind = definition.as_ref().and_then(CustomKind::of);
        let resource = resource.filter(|resource| !matches!(resource, Resource::Object(_))).map(Arc::new);
        Self { path: path_of(root, document.location().file()), document, resource, suite, custom_kind }
    }

    /// As a template, usable or not.
    pub fn template(&self) -> Option<&ConstraintTemplate> {
        match unwrapped(self.resource.as_deref()?) {
            Resource::Template(template) => Some(template),
            _ => None,
        }
    }

    /// As a constraint, usable or not.
    pub fn constraint(&self) -> Option<&Constraint> {
        match unwrapped(self.resource.as_deref()?) {
            Resource::Constraint(constraint) => Some(constraint),
            _ => None,
        }
    }

    /// Whether it is a part of an admission policy: what is wrong with one depends on the others.
    pub fn is_of_admission(&self) -> bool {
        let resource = self.resource.as_deref().map(unwrapped);
        matches!(resource, Some(Resource::AdmissionPolicy(_) | Resource::AdmissionPolicyBinding(_)))
    }
}

fn unwrapped(resource: &Resource) -> &Resource {
    match resource {
        Resource::Rejected(resource) => resource,
        resource => resource,
    }
}

/// The path of what messages call so.
pub fn path_of(root: &Path, name: &str) -> PathBuf {
    without_detours(&root.join(elsewhere::path_of(name)))
}

/// What messages call a file: as the commands do that are run in the folder.
pub fn name_of(root: &Path, path: &Path) -> String {
    let short = path.strip_prefix(root).ok().filter(|short| !short.as_os_str().is_empty());
    portcullis_sources::InputFile::new(short.unwrap_or(path)).name
}

/// The documents that there are.
#[derive(Debug, Default)]
pub struct Index {
    files: BTreeMap<PathBuf, Vec<Entry>>,
    /// The custom kinds that files define: those of which there are any. What is read of a definition is kept, so that
    /// to ask for all of them at a keystroke costs no more than to count them.
    defining: BTreeMap<PathBuf, Vec<CustomKind>>,
}

impl Index {
    /// Of all documents that were read.
    pub fn of(root: &Path, documents: Vec<Document>) -> Self {
        let mut index = Self::default();
        for document in documents {
            let entry = Entry::of(root, document);
            if let Some(kind) = &entry.custom_kind {
                index.defining.entry(entry.path.clone()).or_default().push(kind.clone());
            }
            index.files.entry(entry.path.clone()).or_default().push(entry);
        }
        index
    }

    /// How many definitions of custom kinds there are beyond those that are used.
    pub fn custom_kinds_left_out(&self) -> usize {
        self.defining.values().map(Vec::len).sum::<usize>().saturating_sub(MOST_CUSTOM_KINDS)
    }

    /// The custom kinds that files define, but one: the first ones in the order of the files.
    pub fn custom_kinds(&self, but: Option<&Path>) -> Vec<CustomKind> {
        let all = self.defining.iter().filter(|(path, _)| but != Some(path.as_path()));
        all.flat_map(|(_, kinds)| kinds).take(MOST_CUSTOM_KINDS).cloned().collect()
    }

    /// Adds the constraints that suites name and that lie among samples, where nobody looks for policies: who asks which
    /// kinds a template is about, or where a parameter is used, means them, too.
    pub fn add_named(&mut self, root: &Path) {
        /// Most files that are read, and how large each may be.
        const MOST: usize = 5000;
        const BYTES: usize = 1 << 20;
        let limits = Limits { source_bytes: BYTES, ..Limits::default() };
        let mut named = BTreeSet::new();
        for entry in self.entries() {
            let (Some(suite), Some(folder)) = (&entry.suite, entry.path.parent()) else { continue };
            let constraints = suite.tests.iter().filter_map(|test| test.policy.as_ref());
            named.extend(constraints.map(|policy| without_detours(&folder.join(&*policy.constraint))));
        }
        named.retain(|path| !self.files.contains_key(path));
        for path in named.into_iter().take(MOST) {
            let file = InputFile { name: name_of(root, &path), path: path.clone() };
            let documents = read_file(&file, &limits).0;
            let entries = documents.into_iter().map(|document| Entry::of(root, document)).collect();
            self.put(&path, entries);
        }
    }

    /// Takes the documents of a file in the place of those that it had.
    pub fn put(&mut self, path: &Path, entries: Vec<Entry>) {
        let defined: Vec<CustomKind> = entries.iter().filter_map(|entry| entry.custom_kind.clone()).collect();
        if defined.is_empty() {
            self.defining.remove(path);
        } else {
            self.defining.insert(path.to_owned(), defined);
        }
        self.files.insert(path.to_owned(), entries);
    }

    /// Takes what another one has of a file, if anything.
    pub fn forget(&mut self, path: &Path) {
        self.files.remove(path);
        self.defining.remove(path);
    }

    /// The documents of a file.
    pub fn file(&self, path: &Path) -> &[Entry] {
        self.files.get(path).map(Vec::as_slice).unwrap_or_default()
    }

    /// All documents, by file.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.files.values().flatten()
    }

    /// The templates of a kind: one, unless something is wrong.
    pub fn templates<'i>(&'i self, kind: &str) -> impl Iterator<Item = &'i Entry> + use<'i> {
        let name = TemplateName::of_kind(kind);
        self.entries().filter(move |entry| {
            entry.template().is_some_and(|template| TemplateName::of_kind(template.kind()) == name)
        })
    }

    /// The constraints of a kind.
    pub fn constraints<'i>(&'i self, kind: &str) -> impl Iterator<Item = &'i Entry> + use<'i> {
        let name = TemplateName::of_kind(kind);
        self.entries().filter(move |entry| {
            entry.constraint().is_some_and(|constraint| TemplateName::of_kind(&constraint.key().kind) == name)
        })
    }

    /// What some documents of a file are looked at with: templates with their constraints, and the other way round.
    pub fn beside(&self, path: &Path, own: &[Entry]) -> Vec<Document> {
        /// Most that are compiled for one keystroke.
        const MOST: usize = 64;
        let mut found: Vec<&Entry> = Vec::new();
        for entry in own {
            if let Some(template) = entry.template() {
                found.extend(self.constraints(template.kind()));
            }
            if let Some(constraint) = entry.constraint() {
                found.extend(self.templates(&constraint.key().kind));
            }
            if entry.is_of_admission() {
                found.extend(self.entries().filter(|other| other.is_of_admission()));
            }
        }
        found.retain(|entry| entry.path != path);
        let mut documents: BTreeMap<(PathBuf, u32), Document> = BTreeMap::new();
        for entry in found.into_iter().take(MOST) {
            let key = (entry.path.clone(), entry.document.location().range().start);
            documents.insert(key, entry.document.clone());
        }
        documents.into_values().collect()
    }

    /// The tests of suites whose template is in a file, each with the folder that its paths start from.
    pub fn tests_of<'i>(&'i self, template: &Path) -> Vec<(PathBuf, &'i portcullis_suite::Test)> {
        let mut tests = Vec::new();
        for entry in self.entries() {
            let (Some(suite), Some(folder)) = (&entry.suite, entry.path.parent()) else { continue };
            for test in &suite.tests {
                let named =
                    test.policy.as_ref().map(|policy| without_detours(&folder.join(&*policy.template)));
                if named.as_deref() == Some(template) {
                    tests.push((folder.to_owned(), test));
                }
            }
        }
        tests
    }
}

//! `portcullis sync test`: whether what templates compare objects with is synced, by what they say of themselves.
//!
//! A template names in an annotation what it needs: a list of requirements, each of which is a list of clauses of
//! groups, versions and kinds. A requirement is met if SyncSets and the Config have one kind of any of its clauses that
//! the cluster knows. The text of what is missing is gator's.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use portcullis::{Document, Error, ErrorKind, FieldPath, Limits, Location, Node, Object, Resource, Severity};
use portcullis_report::{ExitStatus, Problem, human};
use portcullis_sources::{self as read, Choice};
use serde_json::Value;

use crate::sync_args::SyncTestArgs;

/// The annotation in which a template says what it needs.
const REQUIRES: &str = "metadata.gatekeeper.sh/requires-sync-data";

/// How many kinds of a requirement are named.
const NAMED: usize = 50;

/// A kind as it is synced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Synced {
    group: String,
    version: String,
    kind: String,
}

/// Kinds of which each would do: every combination of these.
#[derive(Debug, Default)]
struct Clause {
    groups: BTreeSet<String>,
    versions: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

impl Clause {
    fn has(&self, one: &Synced) -> bool {
        self.groups.contains(&one.group)
            && self.versions.contains(&one.version)
            && self.kinds.contains(&one.kind)
    }

    fn all(&self) -> impl Iterator<Item = String> + '_ {
        self.groups.iter().flat_map(move |group| {
            self.versions.iter().flat_map(move |version| {
                self.kinds.iter().map(move |kind| format!("{group}/{version}:{kind}"))
            })
        })
    }
}

/// What there is to compare.
#[derive(Default)]
struct Loaded {
    /// By template.
    requirements: BTreeMap<String, Vec<Vec<Clause>>>,
    synced: BTreeSet<Synced>,
    /// What the cluster knows, if somebody said so.
    known: Option<BTreeSet<Synced>>,
    has_config: bool,
    skipped: Vec<String>,
    problems: Vec<Error>,
}

/// Compares and reports.
pub fn run(args: &SyncTestArgs) -> anyhow::Result<ExitStatus> {
    let limits = Limits { source_bytes: args.max_size, ..Limits::default() };
    let mut paths = args.filenames.clone();
    if !paths.iter().any(|path| read::is_stdin(path)) && read::stdin_is_stream() {
        paths.push(read::stdin_path());
    }
    let input = read::documents(&paths, Choice::Policies, &limits);
    let mut loaded = Loaded { problems: input.problems, ..Loaded::default() };
    for document in &input.documents {
        loaded.add(document);
    }
    let is_broken = |problems: &[Error]| problems.iter().any(|one| one.severity() == Severity::Error);
    if !is_broken(&loaded.problems) {
        if input.documents.is_empty() {
            let error = Error::new(ErrorKind::NoInput, "there is nothing to read");
            loaded
                .problems
                .push(error.hint("name templates, SyncSets and the Config with `-n`, or pipe them in"));
        } else if loaded.requirements.is_empty() {
            let error = Error::new(ErrorKind::NoInput, "no templates were given: nothing is compared");
            loaded.problems.push(error.hint("name files and directories with ConstraintTemplates"));
        } else if loaded.known.is_none() && !args.omit_gvk_manifest {
            let message = "no GVKManifest was given, which says what kinds the cluster knows";
            let error = Error::new(ErrorKind::NoInput, message);
            loaded
                .problems
                .push(error.hint("give one, or take all kinds for known with `--force-omit-gvk-manifest`"));
        }
    }
    loaded.problems.sort();
    loaded.problems.dedup();
    let mut err = anstream::stderr().lock();
    human::write_problems(&Problem::all(&loaded.problems), &mut err)?;
    let mut out = portcullis_report::stdout(false);
    for name in &loaded.skipped {
        writeln!(out, "skipping {name} because it is not a syncset, config, gvk manifest, or template")?;
    }
    out.flush()?;
    if is_broken(&loaded.problems) {
        return Ok(ExitStatus::Error);
    }
    let missing = loaded.missing(args.omit_gvk_manifest);
    if missing.is_empty() {
        return Ok(ExitStatus::Success);
    }
    writeln!(err, "the following requirements were not met: ")?;
    for (template, requirements) in missing {
        writeln!(err, "{template}:")?;
        for requirement in requirements {
            writeln!(err, "- {}", text(requirement))?;
        }
    }
    Ok(ExitStatus::Violations)
}

/// `apps/v1:Deployment OR extensions/v1beta1:Deployment`.
fn text(requirement: &[Clause]) -> String {
    let mut all: Vec<String> = Vec::new();
    for one in requirement.iter().flat_map(Clause::all) {
        if all.len() > NAMED {
            break;
        }
        if !all.contains(&one) {
            all.push(one);
        }
    }
    let more = if all.len() > NAMED { " OR …" } else { "" };
    all.truncate(NAMED);
    all.sort();
    format!("{}{more}", all.join(" OR "))
}

impl Loaded {
    /// The requirements of each template that nothing meets.
    fn missing(&self, are_all_known: bool) -> BTreeMap<&str, Vec<&[Clause]>> {
        let is_known =
            |one: &Synced| are_all_known || self.known.as_ref().is_some_and(|known| known.contains(one));
        let is_met = |clauses: &[Clause]| {
            let mut there = self.synced.iter().filter(|one| is_known(one));
            there.any(|one| clauses.iter().any(|clause| clause.has(one)))
        };
        let mut missing: BTreeMap<&str, Vec<&[Clause]>> = BTreeMap::new();
        for (template, requirements) in &self.requirements {
            let unmet: Vec<&[Clause]> =
                requirements.iter().map(Vec::as_slice).filter(|clauses| !is_met(clauses)).collect();
            if !unmet.is_empty() {
                missing.insert(template, unmet);
            }
        }
        missing
    }

    fn add(&mut self, document: &Document) {
        let object = match Object::from_document(document.clone()) {
            Ok(object) => object,
            Err(error) => {
                self.problems.push(error);
                return;
            }
        };
        let (group, kind) = (object.gvk().group.to_string(), object.gvk().kind.to_string());
        let root = Node::root(document);
        match (group.as_str(), kind.as_str()) {
            ("syncset.gatekeeper.sh", "SyncSet") => {
                self.read(document);
                let gvks = root.field("spec").map(|spec| spec.list("gvks", &mut Vec::new()));
                self.sync(&gvks.unwrap_or_default());
            }
            ("config.gatekeeper.sh", "Config") => {
                self.read(document);
                if self.has_config {
                    let message = "this is a second Config: there is one";
                    self.problems
                        .push(Error::new(ErrorKind::DuplicateResource, message).at(document.location()));
                }
                self.has_config = true;
                let sync = root.field("spec").and_then(|spec| spec.field("sync"));
                self.sync(&sync.map(|sync| sync.list("syncOnly", &mut Vec::new())).unwrap_or_default());
            }
            ("templates.gatekeeper.sh", "ConstraintTemplate") => {
                self.read(document);
                let found = requirements(&object, document, &mut self.problems);
                self.requirements.entry(object.name().to_string()).or_default().extend(found);
            }
            ("gvkmanifest.gatekeeper.sh", "GVKManifest") => self.manifest(&root),
            _ => self.skipped.push(format!("{object}")),
        }
    }

    /// What is wrong with a document of a kind that we know.
    fn read(&mut self, document: &Document) {
        let (_, problems) = Resource::read(document);
        self.problems.extend(problems.into_iter().filter(|problem| !problem.kind().is_style()));
    }

    /// What is wrong with the entries was said when their document was read.
    fn sync(&mut self, entries: &[Node<'_>]) {
        for entry in entries {
            let text = |key| {
                entry
                    .field(key)
                    .and_then(|field| field.to_json().as_str().map(str::to_owned))
                    .unwrap_or_default()
            };
            self.synced.insert(Synced { group: text("group"), version: text("version"), kind: text("kind") });
        }
    }

    /// Kinds by group and version: objects by name, or lists of `{name, …}`, as gator's manual has it.
    fn manifest(&mut self, root: &Node<'_>) {
        if self.known.is_some() {
            let message = "this is a second GVKManifest: one says what kinds the cluster knows";
            self.problems.push(root.error(ErrorKind::DuplicateResource, message));
        }
        let errors = &mut self.problems;
        let known = self.known.get_or_insert_default();
        let groups = root.required("spec", errors).and_then(|spec| spec.field("groups"));
        for (group, versions) in
            groups.iter().flat_map(|groups| named(groups, "versions", errors)).collect::<Vec<_>>()
        {
            for (version, kinds) in named(&versions, "kinds", errors) {
                for kind in kinds.items(errors) {
                    if let Some(kind) = kind.text(errors) {
                        let (group, version) = (group.clone(), version.clone());
                        known.insert(Synced { group, version, kind: kind.to_string() });
                    }
                }
            }
        }
    }
}

/// The entries of an object by their names, or of a list of objects by their field `name`.
fn named<'a>(node: &Node<'a>, below: &str, errors: &mut Vec<Error>) -> Vec<(String, Node<'a>)> {
    match node.to_json() {
        Value::Object(fields) => {
            fields.keys().filter_map(|name| Some((name.clone(), node.field(name)?))).collect()
        }
        Value::Array(_) => {
            let entries = node.items(errors);
            let one = |entry: Node<'a>| {
                let name = entry.field("name").and_then(|name| name.to_json().as_str().map(str::to_owned));
                Some((name.unwrap_or_default(), entry.required(below, errors)?))
            };
            entries.into_iter().filter_map(one).collect()
        }
        _ => {
            errors.push(node.expected("an object, or a list"));
            Vec::new()
        }
    }
}

/// What a template says that it needs. What cannot be read is an error: it may be what is missing.
fn requirements(object: &Object, document: &Document, errors: &mut Vec<Error>) -> Vec<Vec<Clause>> {
    let Some(annotation) = object.annotation(REQUIRES) else { return Vec::new() };
    let path = FieldPath::root().child("metadata").child("annotations").child(REQUIRES);
    let at: Location = document.locate_nearest(&path).0;
    let wrong = |message: String| {
        Error::new(ErrorKind::InvalidValue, message).at(at.clone()).in_field(path.clone()).hint(
            "it is a list of requirements, each a list of `{\"groups\": […], \"versions\": […], \"kinds\": […]}`, in JSON",
        )
    };
    let Some(text) = annotation.text() else {
        errors.push(wrong("expected a text".to_owned()));
        return Vec::new();
    };
    let all: Value = match serde_json::from_str(text.trim_matches(['\n', '"'])) {
        Ok(all) => all,
        Err(error) => {
            errors.push(wrong(format!("expected JSON: {error}")));
            return Vec::new();
        }
    };
    let read = || {
        let mut requirements = Vec::new();
        for requirement in all.as_array().ok_or("expected a list of requirements")? {
            let mut clauses = Vec::new();
            for one in requirement.as_array().ok_or("expected a list of clauses in each requirement")? {
                clauses.push(clause(one)?);
            }
            requirements.push(clauses);
        }
        Ok::<_, &str>(requirements)
    };
    read().unwrap_or_else(|message| {
        errors.push(wrong(message.to_owned()));
        Vec::new()
    })
}

fn clause(value: &Value) -> Result<Clause, &'static str> {
    let mut clause = Clause::default();
    for (key, list) in value.as_object().ok_or("expected an object for each clause")? {
        let texts = match key.as_str() {
            "groups" => &mut clause.groups,
            "versions" => &mut clause.versions,
            "kinds" => &mut clause.kinds,
            _ => return Err("expected `groups`, `versions` and `kinds` in each clause, and nothing else"),
        };
        for text in list.as_array().ok_or("expected lists of texts in each clause")? {
            texts.insert(text.as_str().ok_or("expected lists of texts in each clause")?.to_owned());
        }
    }
    Ok(clause)
}

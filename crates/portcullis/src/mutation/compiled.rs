//! A mutator, compiled: its location and what may stand at the end of it, what it applies to, what it sets.

use std::sync::Arc;

use super::image;
use super::location::{Location, NoLocation, Step, Wanted};
use super::path_tests::{Complaint, PathTests};
use crate::api::Operation;
use crate::api::matching::Match;
use crate::api::mutator::{
    Action, ApplyTo, Assigned, ExternalData, KeySource, MetadataField, Mutator, SetChange, never,
};
use crate::document::Document;
use crate::error::{Error, ErrorKind, Severity};
use crate::matcher::Matcher;
use crate::names::{Gvk, MutatorKey, MutatorKind};
use crate::node::Node;
use crate::object::Object;
use crate::path::FieldPath;
use crate::source::Location as Place;
use crate::value::{self, Value, View};

/// What callers may know about a mutator.
#[derive(Debug)]
pub struct MutatorInfo {
    pub(super) key: MutatorKey,
    pub(super) object: Object,
    pub(super) place: Place,
    pub(super) location: Location,
    pub(super) generation: i64,
}

impl MutatorInfo {
    /// Kind and name.
    #[must_use]
    pub fn key(&self) -> &MutatorKey {
        &self.key
    }

    /// The mutator as an object.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Where it stands.
    #[must_use]
    pub fn location(&self) -> &Place {
        &self.place
    }

    /// An error or warning about the mutator, placed at its `spec.location`.
    pub(crate) fn blame(&self, error: Error) -> Error {
        self.blame_at(&["spec", "location"], error)
    }

    /// An error or warning about the mutator, placed at one of its fields.
    pub(crate) fn blame_at(&self, field: &[&str], error: Error) -> Error {
        let path = field.iter().fold(FieldPath::root(), |path, step| path.child(*step));
        let place = self.object.document().map(|document| document.locate_nearest(&path).0);
        let place = place.unwrap_or_else(|| self.place.clone());
        error.at(place).in_field(path).about(self.key.to_string())
    }

    /// Which field it changes, as `spec.location` has it.
    #[must_use]
    pub fn target(&self) -> String {
        self.location.to_string()
    }
}

/// A mutator ready to be applied.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) info: Arc<MutatorInfo>,
    /// Exact names; `None` for any kind.
    apply_to: Option<Box<[ApplyTo]>>,
    pub(super) matcher: Matcher,
    /// What the matcher was compiled of.
    pub(super) wanted: Match,
    /// Steps that it takes to ask whether it applies: the more names it lists, the more.
    pub(super) asking: u64,
    pub(super) tests: PathTests,
    pub(super) setter: Setter,
}

/// What a mutator does at the end of its location.
#[derive(Clone, Debug)]
pub(super) enum Setter {
    Value(Value),
    Metadata(MetadataField),
    External(Arc<ExternalData>),
    Set { change: SetChange, values: Box<[Value]> },
    Image { domain: Arc<str>, path: Arc<str>, tag: Arc<str> },
}

/// Most groups times versions times kinds of one mutator: conflicts are looked for in each of them.
const MOST_KINDS: usize = 1024;

impl Compiled {
    /// Compiles a mutator. Problems come beside it; if one is an error, there is no mutator.
    pub(super) fn compile(api: &Mutator) -> (Option<Self>, Vec<Error>) {
        let mut errors = Vec::new();
        let compiled = compile(api, &mut errors);
        let errors: Vec<Error> = errors.into_iter().map(|error| error.about(api.key.to_string())).collect();
        let broken = errors.iter().any(|error| error.severity() == Severity::Error);
        (compiled.filter(|_| !broken), errors)
    }

    pub(super) fn location(&self) -> &Location {
        &self.info.location
    }

    /// Whether an entry of `applyTo` takes this kind and this operation.
    pub(super) fn applies_to(&self, gvk: &Gvk, operation: Operation) -> bool {
        let takes = |entry: &ApplyTo| {
            entry.kinds.contains(&gvk.kind)
                && entry.groups.contains(&gvk.group)
                && entry.versions.contains(&gvk.version)
                && is_among(operation, entry)
        };
        self.apply_to.as_ref().is_none_or(|entries| entries.iter().any(takes))
    }

    /// Whom it asks, if it assigns what a provider says.
    pub(super) fn external(&self) -> Option<&Arc<ExternalData>> {
        match &self.setter {
            Setter::External(external) => Some(external),
            Setter::Value(_) | Setter::Metadata(_) | Setter::Set { .. } | Setter::Image { .. } => None,
        }
    }

    /// The kinds that it can apply to, in any group; `None` if any.
    pub(super) fn kinds(&self) -> Option<Vec<&str>> {
        match &self.apply_to {
            Some(entries) => {
                Some(entries.iter().flat_map(|entry| entry.kinds.iter().map(|kind| &**kind)).collect())
            }
            None => self.matcher.kinds().map(Iterator::collect),
        }
    }

    /// The kinds whose form it says something about, with the operations for which it does.
    pub(super) fn bindings(&self) -> impl Iterator<Item = (Gvk, Operation)> {
        self.apply_to.iter().flatten().flat_map(|entry| {
            let gvks = entry.groups.iter().flat_map(move |group| {
                let versions = entry.versions.iter().map(move |version| (group, version));
                versions.flat_map(move |(group, version)| {
                    entry.kinds.iter().map(move |kind| Gvk {
                        group: group.clone(),
                        version: version.clone(),
                        kind: kind.clone(),
                    })
                })
            });
            gvks.flat_map(move |gvk| {
                let operations = [Operation::Create, Operation::Update].into_iter();
                operations
                    .filter(|operation| is_among(*operation, entry))
                    .map(move |operation| (gvk.clone(), operation))
            })
        })
    }
}

/// Whether an entry has an operation. What is there without one is taken by entries that have all.
fn is_among(operation: Operation, entry: &ApplyTo) -> bool {
    let operations = entry.operations;
    match operation {
        Operation::None => operations.create && operations.update,
        Operation::Create => operations.create,
        Operation::Update => operations.update,
        Operation::Delete | Operation::Connect => false,
    }
}

fn compile(api: &Mutator, errors: &mut Vec<Error>) -> Option<Compiled> {
    let location = read_location(api, errors);
    let setter = read_setter(api, errors);
    check_bindings(api, errors);
    let location = location?;
    let before = errors.len();
    check_end(api, &location, errors);
    let tests = if api.key.kind == MutatorKind::AssignMetadata {
        Some(PathTests::missing_at_end(&location))
    } else {
        read_tests(api, &location, errors)
    };
    if errors.len() > before {
        return None;
    }
    let tests = tests?;
    if tests.never_hold() {
        let field = Field::new(api, &["spec", "parameters", "pathTests"]);
        let message = "no object fulfils these tests, so that the mutator changes nothing";
        errors.push(field.error(Error::warning(ErrorKind::NeverApplies, message)));
    }
    let info = MutatorInfo {
        key: api.key.clone(),
        object: api.object.clone(),
        place: api.document.location(),
        location,
        generation: api.generation,
    };
    Some(Compiled {
        info: Arc::new(info),
        apply_to: api.apply_to.as_deref().map(Into::into),
        matcher: Matcher::compile(&api.matching),
        wanted: api.matching.clone(),
        asking: asking(api),
        tests,
        setter: setter?,
    })
}

fn asking(api: &Mutator) -> u64 {
    /// Steps that every mutator takes.
    const BASE: u64 = 4;
    /// Names that are compared in one step.
    const NAMES: usize = 4;
    let Match { kinds, namespaces, excluded_namespaces, label_selector, namespace_selector, .. } =
        &api.matching;
    let selectors = [label_selector, namespace_selector].into_iter().flatten();
    let of_selectors = selectors.map(|selector| {
        let values = selector.match_expressions.iter().map(|expression| expression.values.len() + 1);
        selector.match_labels.len() + values.sum::<usize>()
    });
    let entries = api.apply_to.iter().flatten();
    let of_entries = entries.map(|entry| entry.groups.len() + entry.versions.len() + entry.kinds.len());
    let of_kinds = kinds.iter().map(|kinds| kinds.api_groups.len() + kinds.kinds.len() + 1);
    let names = of_entries.chain(of_kinds).chain(of_selectors).sum::<usize>();
    BASE + ((names + namespaces.len() + excluded_namespaces.len()) / NAMES) as u64
}

/// A field of a mutator's document, to say what is wrong with it.
struct Field<'a> {
    document: &'a Document,
    path: FieldPath,
}

impl<'a> Field<'a> {
    fn new(api: &'a Mutator, path: &[&str]) -> Self {
        let path = path.iter().fold(FieldPath::root(), |path, step| path.child(*step));
        Self { document: &api.document, path }
    }

    fn error(&self, error: Error) -> Error {
        let (place, _) = self.document.locate_nearest(&self.path);
        error.at(place).in_field(self.path.clone())
    }

    /// At a byte of the field's text.
    fn no_location(&self, why: &NoLocation, text: &str) -> Error {
        let message = format!("`{text}` is no location: {}", why.message);
        let error = self.error(Error::new(ErrorKind::InvalidLocation, message));
        match self.document.locate_in_text(&self.path, why.at) {
            Some(place) => error.at(place),
            None => error,
        }
    }
}

fn read_location(api: &Mutator, errors: &mut Vec<Error>) -> Option<Location> {
    let field = Field::new(api, &["spec", "location"]);
    let location = match Location::parse(&api.location) {
        Ok(location) => location,
        Err(why) => {
            errors.push(field.no_location(&why, &api.location));
            return None;
        }
    };
    // That it is missing was said by the reader; white space is a location of no steps as well.
    if location.is_empty() {
        if !api.location.is_empty() {
            errors.push(field.error(Error::new(ErrorKind::InvalidLocation, "the location is empty")));
        }
        return None;
    }
    Some(location)
}

/// What may stand at the beginning and the end of a location depends on the kind of mutator.
fn check_end(api: &Mutator, location: &Location, errors: &mut Vec<Error>) {
    let field = Field::new(api, &["spec", "location"]);
    let mut refuse = |message: String| {
        errors.push(field.error(Error::new(ErrorKind::InvalidLocation, message)));
    };
    let kind = api.key.kind;
    let steps = location.steps();
    let is_metadata = |step: &Step| matches!(step, Step::Field(name) if &**name == "metadata");
    if kind == MutatorKind::AssignMetadata {
        let is_part =
            |step: &Step| matches!(step, Step::Field(name) if matches!(&**name, "labels" | "annotations"));
        let fits = matches!(steps, [root, part, Step::Field(_)] if is_metadata(root) && is_part(part));
        if !fits {
            refuse(format!(
                "an AssignMetadata sets a label or an annotation (`metadata.labels.…`), not `{location}`"
            ));
        }
        return;
    }
    if steps.first().is_some_and(is_metadata) {
        refuse(format!(
            "a mutator of kind {kind} cannot change `metadata`; an AssignMetadata adds labels and annotations"
        ));
    }
    let changes_key = match steps {
        [.., Step::Elements { key, .. }, Step::Field(name)] => key == name,
        _ => false,
    };
    if changes_key && kind != MutatorKind::ModifySet {
        refuse(
            "the key of an element of a list cannot be changed: it is how the element is found".to_owned(),
        );
    }
    let Some(Step::Elements { key, wanted }) = steps.last() else { return };
    let Action::Assign(assigned) = &api.action else {
        refuse(format!("a mutator of kind {kind} changes fields, and no elements of a list of objects"));
        return;
    };
    if *wanted == Wanted::All {
        refuse("an element cannot be assigned to all places of a list".to_owned());
        return;
    }
    let complaint = match assigned {
        Assigned::Metadata(_) => Some("a field of `metadata` is no element of a list of objects".to_owned()),
        Assigned::External(_) => Some("what a provider says is no element of a list of objects".to_owned()),
        Assigned::Unclear => None,
        Assigned::Value(value) => match value.view() {
            View::Object(_) => check_key(value::get(value, key), key, wanted),
            _ => Some(format!(
                "only objects can be elements of a list with the key `{key}`, found {}",
                value::describe(value)
            )),
        },
    };
    if let Some(message) = complaint {
        let value = Field::new(api, &["spec", "parameters", "assign", "value"]);
        errors.push(value.error(Error::new(ErrorKind::InvalidValue, message)));
    }
}

fn check_key(found: Option<&Value>, key: &str, wanted: &Wanted) -> Option<String> {
    if found.is_some_and(|found| wanted.is(found)) {
        return None;
    }
    let location = match wanted {
        Wanted::Text(text) => format!("`{text}`"),
        Wanted::Integer(number) => format!("the integer `{number}`"),
        Wanted::All => "all".to_owned(),
    };
    let found_text = found.map_or_else(|| "nothing".to_owned(), value::describe);
    let also = match (wanted, found.map(Value::view)) {
        (Wanted::Integer(_), Some(View::Number(_))) => {
            ": Gatekeeper takes numbers of values for floats, which are no key; set fields of the element instead"
        }
        _ => "",
    };
    Some(format!(
        "the element's key `{key}` has to be {location} as in the location, found {found_text}{also}"
    ))
}

fn read_setter(api: &Mutator, errors: &mut Vec<Error>) -> Option<Setter> {
    match &api.action {
        Action::Assign(Assigned::Unclear) => None,
        Action::Assign(Assigned::Metadata(field)) => Some(Setter::Metadata(*field)),
        Action::Assign(Assigned::External(external)) => {
            // It only sets what is not there.
            if api.key.kind == MutatorKind::AssignMetadata && external.key == KeySource::ValueAtLocation {
                let field = Field::new(api, &["spec", "parameters", "assign", "externalData"]);
                let message = "an AssignMetadata asks about the user: `dataSource` has to be `Username`";
                errors.push(field.error(Error::new(ErrorKind::InvalidValue, message)));
            }
            Some(Setter::External(external.clone()))
        }
        Action::Assign(Assigned::Value(value)) => {
            if api.key.kind == MutatorKind::AssignMetadata && value.as_str().is_none() {
                let field = Field::new(api, &["spec", "parameters", "assign", "value"]);
                let message = format!("labels and annotations are strings, found {}", value::describe(value));
                let error = Error::new(ErrorKind::InvalidValue, message).hint("put it in quotes");
                errors.push(field.error(error));
            }
            Some(Setter::Value(value.clone()))
        }
        Action::ModifySet { change, values } => {
            Some(Setter::Set { change: *change, values: values.as_slice().into() })
        }
        Action::AssignImage { domain, path, tag } => {
            for (name, message) in image::complaints(domain, path, tag) {
                let mut field = Field::new(api, &["spec", "parameters"]);
                if !name.is_empty() {
                    field.path = field.path.child(name);
                }
                errors.push(field.error(Error::new(ErrorKind::InvalidValue, message)));
            }
            Some(Setter::Image { domain: domain.clone(), path: path.clone(), tag: tag.clone() })
        }
    }
}

fn read_tests(api: &Mutator, location: &Location, errors: &mut Vec<Error>) -> Option<PathTests> {
    let complaints = match PathTests::compile(location, &api.path_tests) {
        Ok(tests) => return Some(tests),
        Err(complaints) => complaints,
    };
    for (position, complaint) in complaints {
        let mut field = Field::new(api, &["spec", "parameters", "pathTests"]);
        field.path = field.path.child(position);
        let text = api.path_tests.get(position).map_or("", |test| &*test.sub_path);
        errors.push(match complaint {
            Complaint::NoLocation(why) => {
                field.path = field.path.child("subPath");
                field.no_location(&why, text)
            }
            Complaint::Other(message) => field.error(Error::new(ErrorKind::InvalidValue, message)),
        });
    }
    None
}

fn check_bindings(api: &Mutator, errors: &mut Vec<Error>) {
    let count = |entry: &ApplyTo| {
        entry.groups.len().saturating_mul(entry.versions.len()).saturating_mul(entry.kinds.len())
    };
    let all = api.apply_to.iter().flatten().map(count).fold(0, usize::saturating_add);
    if all > MOST_KINDS {
        let message = format!("`applyTo` names {all} kinds, more than the {MOST_KINDS} of one mutator");
        errors.push(Field::new(api, &["spec", "applyTo"]).error(Error::new(ErrorKind::Limit, message)));
    }
    // A mutator whose `match` takes none of the kinds in `applyTo` applies to nothing.
    let matcher = Matcher::compile(&api.matching);
    let takes = |entry: &ApplyTo| {
        entry.kinds.iter().any(|kind| {
            entry.groups.iter().any(|group| {
                let gvk = Gvk { group: group.clone(), version: "".into(), kind: kind.clone() };
                matcher.concerns(&gvk)
            })
        })
    };
    let entries = api.apply_to.as_deref().unwrap_or_default();
    if all <= MOST_KINDS && !entries.is_empty() && !entries.iter().any(takes) {
        let root = Node::root(&api.document);
        if let Some(kinds) =
            root.field("spec").and_then(|spec| spec.field("match")).and_then(|node| node.field("kinds"))
        {
            errors.push(never(
                &kinds,
                "`match.kinds` has none of the kinds in `applyTo`: the mutator changes nothing",
            ));
        }
    }
}

//! Mutators: Assign, AssignImage, AssignMetadata and ModifySet of all versions in one type.
//!
//! This is their form. What a location is, and what may stand at its end, is decided in [`crate::mutation`].

use std::sync::Arc;

use super::matching::Match;
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::names::{MutatorKey, MutatorKind};
use crate::node::Node;
use crate::object::Object;
use crate::schema::match_problems;
use crate::value::{self, Value, View};

/// A mutator as written.
#[derive(Clone, Debug)]
pub struct Mutator {
    pub(crate) object: Object,
    pub(crate) document: Document,
    pub(crate) key: MutatorKey,
    /// `metadata.generation`, which annotations name; 0 in files.
    pub(crate) generation: i64,
    pub(crate) matching: Match,
    /// `None` for an AssignMetadata, which may apply to any kind.
    pub(crate) apply_to: Option<Vec<ApplyTo>>,
    /// Empty if it is missing.
    pub(crate) location: Arc<str>,
    pub(crate) path_tests: Vec<PathTest>,
    pub(crate) action: Action,
}

/// One entry of `spec.applyTo`: exact names, and no wildcards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ApplyTo {
    pub(crate) groups: Vec<Arc<str>>,
    pub(crate) versions: Vec<Arc<str>>,
    pub(crate) kinds: Vec<Arc<str>>,
    pub(crate) operations: Operations,
}

/// The operations of an entry. One that lists none has all that are mutated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operations {
    pub(crate) create: bool,
    pub(crate) update: bool,
}

impl Default for Operations {
    fn default() -> Self {
        Self { create: true, update: true }
    }
}

/// One entry of `spec.parameters.pathTests`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathTest {
    pub(crate) sub_path: Arc<str>,
    /// None holds nowhere.
    pub(crate) condition: Option<Condition>,
}

/// What has to be at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    MustExist,
    MustNotExist,
}

/// What a mutator does at its location.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Sets what is there. Of an AssignMetadata: if nothing is.
    Assign(Assigned),
    ModifySet {
        change: SetChange,
        values: Vec<Value>,
    },
    AssignImage {
        domain: Arc<str>,
        path: Arc<str>,
        tag: Arc<str>,
    },
}

/// What is assigned.
#[derive(Clone, Debug)]
pub(crate) enum Assigned {
    Value(Value),
    Metadata(MetadataField),
    External(Arc<ExternalData>),
    /// None or several: it is refused.
    Unclear,
}

/// What a provider of external data says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExternalData {
    pub(crate) provider: Arc<str>,
    pub(crate) key: KeySource,
    pub(crate) on_failure: OnFailure,
}

/// What a provider is asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// What is at the location before; an empty text if nothing is.
    #[default]
    ValueAtLocation,
    /// Who makes the request.
    Username,
}

/// What is assigned if a provider does not answer as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Nothing: the object cannot be mutated.
    Fail,
    /// The key.
    Ignore,
    /// This text, which is not empty.
    UseDefault(Arc<str>),
}

/// The field of `metadata` that is assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetadataField {
    Name,
    Namespace,
}

/// `spec.parameters.operation` of a ModifySet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SetChange {
    #[default]
    Merge,
    Prune,
}

impl Mutator {
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

    pub(super) fn read(
        document: &Document,
        object: Object,
        kind: MutatorKind,
        errors: &mut Vec<Error>,
    ) -> Self {
        let root = Node::root(document);
        let key = MutatorKey { kind, name: object.name().clone() };
        let before = errors.len();
        root.check_fields(&["apiVersion", "kind", "metadata", "spec", "status"], errors);
        check_name(&root, &key, errors);
        let mut mutator = Self {
            generation: generation(&object),
            object,
            document: document.clone(),
            matching: Match::default(),
            apply_to: (kind != MutatorKind::AssignMetadata).then(Vec::new),
            location: "".into(),
            path_tests: Vec::new(),
            action: Action::Assign(Assigned::Unclear),
            key,
        };
        match root.field("spec") {
            Some(spec) => mutator.read_spec(&spec, errors),
            None => errors.push(root.error(ErrorKind::MissingField, "the mutator has no `spec`")),
        }
        for error in errors.iter_mut().skip(before) {
            *error = error.clone().about(mutator.key.to_string());
        }
        mutator
    }

    fn read_spec(&mut self, spec: &Node<'_>, errors: &mut Vec<Error>) {
        let known: &[&str] = match self.key.kind {
            MutatorKind::AssignMetadata => &["match", "location", "parameters"],
            _ => &["applyTo", "match", "location", "parameters"],
        };
        spec.check_fields(known, errors);
        if let Some(matching) = spec.field("match") {
            for problem in match_problems(matching.value()) {
                errors.push(problem.into_error(&self.document, matching.path()));
            }
            self.matching = Match::read(&matching, errors);
        }
        if self.apply_to.is_some() {
            self.apply_to = Some(read_apply_to(spec, errors));
        }
        match spec.field("location").map(|location| (location.value().as_str().map(Arc::from), location)) {
            Some((Some(text), _)) => self.location = text,
            Some((None, location)) => errors.push(location.expected("a string")),
            None => {}
        }
        if self.location.is_empty() {
            let message = "required field `location` is missing: which field is to be changed";
            errors.push(spec.error(ErrorKind::MissingField, message));
        }
        let parameters = spec.field("parameters");
        let at = parameters.as_ref().unwrap_or(spec);
        let parameters = parameters.as_ref();
        self.action = match self.key.kind {
            MutatorKind::Assign => read_assign(parameters, &["assign", "pathTests"], at, errors),
            MutatorKind::AssignMetadata => read_assign(parameters, &["assign"], at, errors),
            MutatorKind::ModifySet => read_modify_set(parameters, at, errors),
            MutatorKind::AssignImage => read_assign_image(parameters, errors),
        };
        if self.key.kind != MutatorKind::AssignMetadata
            && let Some(parameters) = parameters
        {
            self.path_tests = read_path_tests(parameters, errors);
        }
    }
}

fn read_assign(
    parameters: Option<&Node<'_>>,
    known: &[&str],
    at: &Node<'_>,
    errors: &mut Vec<Error>,
) -> Action {
    if let Some(parameters) = parameters {
        parameters.check_fields(known, errors);
    }
    if let Some(assign) = parameters.and_then(|parameters| parameters.field("assign")) {
        return Action::Assign(read_assigned(&assign, errors));
    }
    let message = "nothing is assigned: `parameters.assign` needs `value`, `fromMetadata` or `externalData`";
    errors.push(at.error(ErrorKind::MissingField, message));
    Action::Assign(Assigned::Unclear)
}

fn read_modify_set(parameters: Option<&Node<'_>>, at: &Node<'_>, errors: &mut Vec<Error>) -> Action {
    const CHANGES: &[(&str, SetChange)] = &[("merge", SetChange::Merge), ("prune", SetChange::Prune)];
    let (mut change, mut values) = (SetChange::default(), Vec::new());
    if let Some(parameters) = parameters {
        parameters.check_fields(&["operation", "values", "pathTests"], errors);
        let written = parameters.field("operation");
        change = written.and_then(|written| written.one_of(CHANGES, errors)).unwrap_or_default();
        if let Some(set) = parameters.field("values") {
            set.check_fields(&["fromList"], errors);
            values = set.list("fromList", errors).iter().map(|node| node.value().clone()).collect();
        }
    }
    if values.is_empty() {
        errors.push(never(at, "`parameters.values.fromList` is empty: no element is added or taken away"));
    }
    Action::ModifySet { change, values }
}

fn read_assign_image(parameters: Option<&Node<'_>>, errors: &mut Vec<Error>) -> Action {
    const FIELDS: [&str; 3] = ["assignDomain", "assignPath", "assignTag"];
    if let Some(parameters) = parameters {
        let [domain, path, tag] = FIELDS;
        parameters.check_fields(&[domain, path, tag, "pathTests"], errors);
    }
    let mut text = |field| match parameters {
        Some(parameters) => optional_string(parameters, field, errors),
        None => "".into(),
    };
    let [domain, path, tag] = FIELDS.map(&mut text);
    Action::AssignImage { domain, path, tag }
}

/// A warning for what makes a mutator useless.
pub(crate) fn never(node: &Node<'_>, message: impl Into<String>) -> Error {
    let error = Error::warning(ErrorKind::NeverApplies, message);
    error.at(node.location()).in_field(node.path().clone())
}

/// Most bytes in the name of a mutator: Gatekeeper's statuses have it as a label.
const NAME_LENGTH: usize = 63;

fn check_name(root: &Node<'_>, key: &MutatorKey, errors: &mut Vec<Error>) {
    let length = key.name.len();
    if length == 0 {
        errors.push(root.error(ErrorKind::MissingField, "the mutator has no `metadata.name`"));
    } else if length > NAME_LENGTH {
        let name = root.field("metadata").and_then(|metadata| metadata.field("name"));
        let message = format!("expected at most {NAME_LENGTH} characters, found {length}");
        errors.push(name.as_ref().unwrap_or(root).error(ErrorKind::InvalidValue, message));
    }
}

fn generation(object: &Object) -> i64 {
    let found = value::get_path(object.value(), &["metadata", "generation"]);
    found.and_then(Value::as_number).and_then(portcullis_value::Number::as_i64).unwrap_or_default()
}

fn optional_string(node: &Node<'_>, field: &str, errors: &mut Vec<Error>) -> Arc<str> {
    let Some(found) = node.field(field) else { return "".into() };
    if let Some(text) = found.value().as_str() {
        return text.into();
    }
    errors.push(found.expected("a string"));
    "".into()
}

fn read_apply_to(spec: &Node<'_>, errors: &mut Vec<Error>) -> Vec<ApplyTo> {
    let entries = spec.list("applyTo", errors);
    if entries.is_empty() {
        let message = "required field `applyTo` is missing: which kinds of objects are mutated";
        let at = spec.field("applyTo");
        errors.push(at.as_ref().unwrap_or(spec).error(ErrorKind::MissingField, message));
    }
    entries.iter().map(|entry| read_entry(entry, errors)).collect()
}

fn read_entry(entry: &Node<'_>, errors: &mut Vec<Error>) -> ApplyTo {
    entry.check_fields(&["groups", "versions", "kinds", "operations"], errors);
    let mut names = |field: &str| {
        let wrong = errors.len();
        let names = entry.texts(field, errors);
        if names.is_empty() && errors.len() == wrong {
            let message = format!("`{field}` must name at least one");
            let hint = "an entry needs `groups`, `versions` and `kinds`; the group of Pods is \"\"";
            errors.push(entry.error(ErrorKind::MissingField, message).hint(hint));
        }
        if names.iter().any(|name| &**name == "*") {
            let message = format!("`*` in `{field}` is no wildcard here: only what is called `*` is meant");
            errors.push(never(entry, message).hint("name each of them"));
        }
        names
    };
    let (groups, versions, kinds) = (names("groups"), names("versions"), names("kinds"));
    ApplyTo { groups, versions, kinds, operations: read_operations(entry, errors) }
}

fn read_operations(entry: &Node<'_>, errors: &mut Vec<Error>) -> Operations {
    const WORDS: &[(&str, Operations)] = &[
        ("CREATE", Operations { create: true, update: false }),
        ("UPDATE", Operations { create: false, update: true }),
        ("*", Operations { create: true, update: true }),
    ];
    let listed = entry.list("operations", errors);
    if listed.is_empty() {
        return Operations::default();
    }
    let mut found = Operations { create: false, update: false };
    let mut seen: Vec<&str> = Vec::new();
    for node in &listed {
        let Some(operations) = node.one_of(WORDS, errors) else { continue };
        let word = node.value().as_str().unwrap_or_default();
        if seen.contains(&word) {
            errors.push(node.error(ErrorKind::InvalidValue, format!("`{word}` is listed twice")));
        }
        if word == "*" && listed.len() > 1 {
            let message = "`*` must not be combined with other operations";
            errors.push(node.error(ErrorKind::InvalidValue, message));
        }
        seen.push(word);
        found.create |= operations.create;
        found.update |= operations.update;
    }
    found
}

fn read_path_tests(parameters: &Node<'_>, errors: &mut Vec<Error>) -> Vec<PathTest> {
    const CONDITIONS: &[(&str, Condition)] =
        &[("MustExist", Condition::MustExist), ("MustNotExist", Condition::MustNotExist)];
    let tests = parameters.list("pathTests", errors);
    let read = |test: &Node<'_>| {
        test.check_fields(&["subPath", "condition"], errors);
        let sub_path = optional_string(test, "subPath", errors);
        let condition = test.field("condition").and_then(|condition| condition.one_of(CONDITIONS, errors));
        if sub_path.is_empty() {
            errors.push(never(test, "a test without `subPath` tests nothing"));
        } else if test.field("condition").is_none() {
            let message = "a test without `condition` never holds, so that the mutator changes nothing";
            errors.push(never(test, message));
        }
        PathTest { sub_path, condition }
    };
    tests.iter().map(read).collect()
}

fn read_assigned(assign: &Node<'_>, errors: &mut Vec<Error>) -> Assigned {
    const FIELDS: &[(&str, MetadataField)] =
        &[("name", MetadataField::Name), ("namespace", MetadataField::Namespace)];
    assign.check_fields(&["value", "fromMetadata", "externalData"], errors);
    let [value, metadata, external] =
        ["value", "fromMetadata", "externalData"].map(|field| assign.field(field));
    match (value, metadata, external) {
        (Some(value), None, None) => Assigned::Value(floats(value.value(), &value, errors)),
        (None, Some(metadata), None) => {
            metadata.check_fields(&["field"], errors);
            let field = metadata.required("field", errors);
            field.and_then(|field| field.one_of(FIELDS, errors)).map_or(Assigned::Unclear, Assigned::Metadata)
        }
        (None, None, Some(external)) => read_external(&external, errors)
            .map_or(Assigned::Unclear, |external| Assigned::External(Arc::new(external))),
        (None, None, None) => {
            let message = "nothing is assigned: one of `value`, `fromMetadata` and `externalData` is needed; null counts as none";
            errors.push(assign.error(ErrorKind::MissingField, message));
            Assigned::Unclear
        }
        _ => {
            let message = "only one of `value`, `fromMetadata` and `externalData` can be assigned";
            errors.push(assign.error(ErrorKind::InvalidValue, message));
            Assigned::Unclear
        }
    }
}

/// What is left out has the values that Gatekeeper's CRDs say.
fn read_external(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<ExternalData> {
    const KEYS: &[(&str, KeySource)] =
        &[("ValueAtLocation", KeySource::ValueAtLocation), ("Username", KeySource::Username)];
    const POLICIES: &[(&str, Policy)] =
        &[("Fail", Policy::Fail), ("Ignore", Policy::Ignore), ("UseDefault", Policy::UseDefault)];
    #[derive(Clone, Copy)]
    enum Policy {
        Fail,
        Ignore,
        UseDefault,
    }
    node.check_fields(&["provider", "dataSource", "failurePolicy", "default"], errors);
    let provider = node.required_text("provider", errors);
    let key = node.field("dataSource").and_then(|field| field.one_of(KEYS, errors)).unwrap_or_default();
    let policy = match node.field("failurePolicy") {
        None => Some(Policy::Fail),
        Some(field) => field.one_of(POLICIES, errors),
    };
    let default = optional_string(node, "default", errors);
    let on_failure = match policy? {
        Policy::Fail => OnFailure::Fail,
        Policy::Ignore => OnFailure::Ignore,
        Policy::UseDefault if default.is_empty() => {
            let message = "`failurePolicy: UseDefault` needs a `default` that is not empty";
            errors.push(node.error(ErrorKind::MissingField, message));
            return None;
        }
        Policy::UseDefault => OnFailure::UseDefault(default.clone()),
    };
    if !default.is_empty() && !matches!(on_failure, OnFailure::UseDefault(_)) {
        let field = node.field("default");
        let message = "`default` has no effect without `failurePolicy: UseDefault`";
        errors.push(never(field.as_ref().unwrap_or(node), message));
    }
    Some(ExternalData { provider: provider?, key, on_failure })
}

/// All numbers of a value as Gatekeeper takes them: floats. Which digits get lost by that is said.
fn floats(value: &Value, node: &Node<'_>, errors: &mut Vec<Error>) -> Value {
    match value.view() {
        View::Number(number) => {
            let float = portcullis_value::Number::kept_as_float(number.to_f64());
            if float != *number {
                let message = format!("`{value}` becomes `{}`: numbers of values are floats", float.text());
                let warning = Error::warning(ErrorKind::InvalidValue, message);
                errors.push(warning.at(node.location()).in_field(node.path().clone()));
            }
            Value::from(float)
        }
        View::Array(items) => items.iter().map(|item| floats(item, node, errors)).collect(),
        View::Object(fields) => {
            let each = |(key, item): (&Value, &Value)| (key.clone(), floats(item, node, errors));
            Value::from(fields.iter().map(each).collect::<portcullis_value::Object>())
        }
        _ => value.clone(),
    }
}

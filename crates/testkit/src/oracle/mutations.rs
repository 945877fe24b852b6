//! Mutators, an object, and what Gatekeeper's mutation makes of it.
//!
//! A case is read as a cluster or a file would have it: each mutator as a document, the object as one. What is
//! compared: which mutators are refused, which contradict each other, whether the object can be mutated and if
//! not, why and by whom, and the object that comes out.

use portcullis::{
    Document, Mutable, MutationError, MutationFailure, MutationLimits, MutatorKey, MutatorKind, MutatorSet,
    MutatorStore, Object, ObjectSource, Operation, Resource, Severity, Uses,
};
use serde::Deserialize;
use serde_json::Value;

use super::Judgement;

#[derive(Deserialize)]
struct Case {
    name: String,
    mutators: Vec<Value>,
    #[serde(default)]
    updates: Vec<Update>,
    object: Value,
    namespace: Value,
    source: String,
    operation: String,
    #[serde(default)]
    annotations: bool,
    #[serde(default, rename = "mutatorErrors")]
    mutator_errors: Vec<MutatorError>,
    #[serde(default)]
    conflicts: std::collections::BTreeMap<String, Vec<String>>,
    result: Answer,
}

#[derive(Deserialize)]
struct Update {
    upsert: Option<Value>,
    remove: Option<Key>,
}

#[derive(Deserialize)]
struct Key {
    kind: String,
    name: String,
}

#[derive(Deserialize)]
struct MutatorError {
    r#in: String,
    index: usize,
    phase: String,
    error: String,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    mutated: bool,
    object: Option<Value>,
    error: Option<String>,
}

/// The id of all recorded mutations.
const ID: &str = "11111111-2222-3333-4444-555555555555";

pub(super) fn judge(case: &Value) -> Result<Judgement, String> {
    let text = case.to_string();
    let case = Case::deserialize(case).map_err(|error| error.to_string())?;
    let difference = difference(&case)?;
    let difference = difference.map(|difference| format!("{}: {difference}", case.name));
    Ok(Judgement { text: format!("{text}{}", marks(&case)), difference, notes: Vec::new() })
}

/// What a list of known differences can name that is not in the text.
fn marks(case: &Case) -> String {
    fn is_float(value: &Value) -> bool {
        match value {
            Value::Number(number) => {
                number.is_f64() && number.as_f64().is_some_and(|float| float.fract() == 0.0)
                    || number.as_i64().is_none() && number.as_f64().is_some_and(|float| float >= 9.3e18)
            }
            Value::Array(items) => items.iter().any(is_float),
            Value::Object(fields) => fields.values().any(is_float),
            _ => false,
        }
    }
    let all = || case.mutators.iter().chain(case.updates.iter().filter_map(|update| update.upsert.as_ref()));
    let sets = || all().filter(|mutator| mutator.get("kind").and_then(Value::as_str) == Some("ModifySet"));
    let is_empty = |set: &Value| {
        let values = set.pointer("/spec/parameters/values/fromList").and_then(Value::as_array);
        values.is_none_or(Vec::is_empty)
    };
    let is_spread = |mutator: &Value| {
        let location = mutator.pointer("/spec/location").and_then(Value::as_str).unwrap_or_default();
        let value = mutator.pointer("/spec/parameters/assign/value");
        let value = value.or_else(|| mutator.pointer("/spec/parameters/values/fromList"));
        location.contains('*') && value.is_some_and(|value| value.is_object() || value.is_array())
    };
    let mut marks = String::new();
    if is_float(&case.object) || sets().any(is_float) {
        marks.push_str("\n[a whole number is written as a float]");
    }
    if sets().any(is_empty) {
        marks.push_str("\n[a ModifySet has no values]");
    }
    if all().any(is_spread) {
        marks.push_str("\n[one value comes to several places]");
    }
    marks
}

fn difference(case: &Case) -> Result<Option<String>, String> {
    let mut store = MutatorStore::new();
    for (index, mutator) in case.mutators.iter().enumerate() {
        if let Some(difference) = upsert(&mut store, mutator, case, "mutators", index) {
            return Ok(Some(difference));
        }
    }
    for (index, update) in case.updates.iter().enumerate() {
        if let Some(key) = &update.remove {
            let kind = MutatorKind::named(&key.kind).ok_or("an update removes what is no mutator")?;
            store.remove(&MutatorKey { kind, name: key.name.as_str().into() });
        }
        if let Some(mutator) = &update.upsert
            && let Some(difference) = upsert(&mut store, mutator, case, "updates", index)
        {
            return Ok(Some(difference));
        }
    }
    let set = store.snapshot();
    if let Some(difference) = conflicts(&set, case) {
        return Ok(Some(difference));
    }
    result(&set, case)
}

/// Takes a mutator, and says if that was refused here and not there, or the other way round.
fn upsert(
    store: &mut MutatorStore,
    mutator: &Value,
    case: &Case,
    list: &str,
    index: usize,
) -> Option<String> {
    let text = mutator.to_string();
    let (documents, mut problems) = Document::read_all("mutator.json", &text);
    let mut key = None;
    for document in &documents {
        let (resource, found) = Resource::read_for(document, Uses::POLICIES.with_mutators(true));
        problems.extend(found);
        if let Some(resource) = resource {
            problems.extend(store.upsert(&resource));
            if let Resource::Mutator(mutator) = &resource {
                key = Some(mutator.key().clone());
            }
        }
    }
    let error = problems.iter().find(|problem| problem.severity() == Severity::Error);
    let recorded = case.mutator_errors.iter().find(|error| error.r#in == list && error.index == index);
    let is_conflict = key.is_some_and(|key| store.snapshot().conflicts_of(&key).next().is_some());
    let phase = match error {
        Some(_) => Some("validate"),
        None => is_conflict.then_some("conflict"),
    };
    if phase == recorded.map(|error| error.phase.as_str()) {
        return None;
    }
    let here = error.map_or_else(|| phase.unwrap_or("taken").to_owned(), |error| format!("refused: {error}"));
    let there =
        recorded.map_or_else(|| "taken".to_owned(), |error| format!("{}: {}", error.phase, error.error));
    Some(format!("{list}[{index}] {mutator} is here {here}; there {there}"))
}

fn conflicts(set: &MutatorSet, case: &Case) -> Option<String> {
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let here: std::collections::BTreeMap<String, Vec<String>> = set
        .mutators()
        .map(|info| {
            let others = set.conflicts_of(info.key()).map(ToString::to_string);
            (info.key().to_string(), sorted(others.collect()))
        })
        .filter(|(_, others)| !others.is_empty())
        .collect();
    let there = case.conflicts.iter().map(|(name, others)| (name.clone(), sorted(others.clone()))).collect();
    (here != there).then(|| format!("conflicts are here {here:?}; there {there:?}"))
}

fn result(set: &MutatorSet, case: &Case) -> Result<Option<String>, String> {
    let there = match (&case.result.error, &case.result.object) {
        (Some(error), _) => Err(error),
        (None, Some(object)) => Ok(object),
        (None, None) => return Err("a result has neither an object nor an error".to_owned()),
    };
    let object = match read(&case.object) {
        Ok(object) => object,
        Err(error) => {
            let there = there.map(|_| "mutated");
            return Ok(there
                .ok()
                .map(|there| format!("the object is here no object: {error}; there {there}")));
        }
    };
    let mut mutable = Mutable::new(object);
    if !case.namespace.is_null() {
        mutable = mutable.with_namespace(read(&case.namespace)?);
    }
    mutable = mutable.with_source(match case.source.as_str() {
        "Generated" => ObjectSource::Generated,
        "Original" => ObjectSource::Original,
        other => return Ok(Some(unknown_source(other, &there))),
    });
    mutable = mutable.with_operation(match case.operation.as_str() {
        "CREATE" => Operation::Create,
        "UPDATE" => Operation::Update,
        "DELETE" => Operation::Delete,
        "CONNECT" => Operation::Connect,
        _ => Operation::None,
    });
    if case.annotations {
        mutable = mutable.annotated(ID);
    }
    let here = set.mutate(&mutable, MutationLimits::default(), None);
    Ok(match (here, there) {
        (Ok(here), Ok(there)) => {
            let is_mutated = here.applied().next().is_some();
            if !is_equal(&here.object().to_json(), there) {
                Some(format!("the object is here {}; there {there}", here.object().to_json()))
            } else if is_mutated == case.result.mutated {
                None
            } else {
                Some(format!("the object is the same; mutated is here {is_mutated}; there {}", !is_mutated))
            }
        }
        (Err(here), Err(there)) => {
            (!is_same_error(&here, there)).then(|| format!("the error is here `{here}`; there `{there}`"))
        }
        (Ok(here), Err(there)) => Some(format!("here {}; there an error: {there}", here.object().to_json())),
        (Err(here), Ok(there)) => Some(format!("here an error ({:?}): {here}; there {there}", here.kind())),
    })
}

/// Objects are written by somebody, or generated; for Gatekeeper's functions there are also none and both.
fn unknown_source(source: &str, there: &Result<&Value, &String>) -> String {
    let there = match there {
        Ok(object) => object.to_string(),
        Err(error) => (*error).clone(),
    };
    format!("there is no source `{source}` here; there {there}")
}

fn read(value: &Value) -> Result<Object, String> {
    let (documents, errors) = Document::read_all("object.json", &value.to_string());
    let document = documents.into_iter().next().ok_or_else(|| format!("no document: {errors:?}"))?;
    Object::from_document(document).map_err(|error| error.to_string())
}

/// Numbers by what they are worth: Go writes the float 2.0 as `2`.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || (one.as_f64() == other.as_f64() && (one.is_f64() || other.is_f64()))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| is_equal(one, other)))
        }
        _ => one == other,
    }
}

/// Whether an error is of the kind that Gatekeeper's text says, and about the mutator that it says.
fn is_same_error(here: &MutationError, there: &str) -> bool {
    // Nobody answers there, either.
    if there.starts_with("failed to resolve external data placeholders: ") {
        return here.kind() == MutationFailure::Unanswered;
    }
    let kind = if there.starts_with("matching for mutator ") {
        MutationFailure::Match
    } else if there.starts_with("mutation not converging: ") {
        MutationFailure::NotConverging
    } else {
        MutationFailure::Mismatch
    };
    let mutator = here
        .mutator()
        .map(|key| format!("for mutator {}.mutations.gatekeeper.sh /{} failed", key.kind, key.name));
    here.kind() == kind && mutator.is_none_or(|mutator| there.contains(&mutator))
}

//! What suites say about mutated objects.

use portcullis::{
    Answers, Error, Location, Mutation, MutatorSet, Object, Operation, PatchOperation, Place, PolicySet,
    Questions, Settled,
};
use portcullis_report::verify::{Failure, Status};
use serde_json::Value;

use crate::commands::mutating::{Admission, Mutating, Outside};

/// How much of a value is shown, in characters.
const SHOWN: usize = 200;

/// An object as mutators leave it when it is created. It stays where its text says that it lives, and the
/// Namespaces are those of the case.
pub fn mutate(
    mutators: &MutatorSet,
    admission: Option<Admission>,
    object: &Object,
    inventory: &[Object],
    outside: &mut Outside,
    answer: impl Fn(&Questions) -> Answers,
) -> Result<Mutation, Error> {
    let policies = PolicySet::empty();
    let mutating = Mutating::of(mutators.clone(), Operation::Create, &policies, inventory);
    let mutating = mutating.with_admission(admission).with_outside(outside.clone());
    let settled = Settled { object: object.clone(), place: Place::AsWritten };
    for _ in 0..PolicySet::MAX_ROUNDS {
        let questions = mutating.questions(&settled, &outside.answers);
        let found = if questions.is_empty() { Answers::new() } else { answer(&questions) };
        if found.is_empty() {
            break;
        }
        outside.answers.extend(found);
    }
    mutating.with_outside(outside.clone()).mutate(&settled)
}

/// Whether the mutators made the object that they should; if not, where it is another one, and who made it so.
pub fn check(mutation: &Mutation, expected: &Object, path: &str, at: &Location) -> Option<Failure> {
    let got = mutation.object();
    let between = PatchOperation::between(got, expected);
    if between.is_empty() {
        return None;
    }
    let got = got.to_json();
    let different = |operation: &PatchOperation| {
        let wanted = operation.value().as_ref().map_or_else(nothing, shown);
        let came = got.pointer(&operation.pointer()).filter(|_| operation.op() != "add");
        format!("{}: expected {wanted}, got {}", operation.path(), came.map_or_else(nothing, shown))
    };
    let mut details: Vec<String> = between.iter().map(different).collect();
    details.extend(mutation.policies().map(|policy| format!("mutated by the admission policy {policy}")));
    details.extend(mutation.changes().iter().map(|change| format!("mutated: {change}")));
    if mutation.policies().next().is_none() && mutation.changes().is_empty() {
        details.push("no mutator changed the object".to_owned());
    }
    Some(Failure {
        location: at.clone(),
        message: format!("expected the object of `{path}`, got another one"),
        details,
        status: Status::Failed,
    })
}

fn nothing() -> String {
    "nothing".to_owned()
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

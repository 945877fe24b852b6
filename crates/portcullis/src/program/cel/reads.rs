//! The places that a program reads, for positions, and for what its answers rest on.

use std::collections::BTreeSet;

use portcullis_cel::ReadStep;
use portcullis_rego::Base;

use super::{CelProgram, Numbers, Variable};
use crate::analysis::ObjectRead;
use crate::api::cel::ANY_OBJECT;

/// Most places that an expression is said to read, and the steps to each.
const MAX_READS: usize = 64;
const MAX_STEPS: usize = 16;

impl CelProgram {
    /// Whether its answers may rest on what is at a place of `input`, or below it. Never too few: whichever
    /// object is read, a field of either is taken for read.
    pub(in crate::program) fn may_rest_on(&self, base: Base, place: &[Option<&str>]) -> bool {
        // There is no `data`.
        if base != Base::Input {
            return false;
        }
        let [Some("review"), Some(field), below @ ..] = place else { return true };
        let meets = |variables: &[&str], below: &[Option<&str>]| {
            self.reads.iter().filter(|(variable, _)| variables.contains(&variable.as_str())).any(
                |(_, path)| {
                    let mut steps = path.iter().zip(below);
                    steps.all(|(read, step)| match (read.as_deref(), step) {
                        (Some(read), Some(step)) => read == *step,
                        _ => true,
                    })
                },
            )
        };
        match *field {
            // On DELETE, either may be the other.
            "object" | "oldObject" => meets(&["object", "oldObject"], below),
            "namespaceObject" => meets(&["namespaceObject"], below),
            // What a review is made of is taken from these as well.
            "kind" | "requestKind" => {
                meets(&["request"], &[Some("kind")]) || meets(&["request"], &[Some("requestKind")])
            }
            "resource" | "requestResource" => {
                meets(&["request"], &[Some("resource")]) || meets(&["request"], &[Some("requestResource")])
            }
            "subResource" | "requestSubResource" => {
                meets(&["request"], &[Some("subResource")])
                    || meets(&["request"], &[Some("requestSubResource")])
            }
            // Whether it is a DELETE decides which object is seen.
            "operation" => true,
            "uid" => false,
            field => {
                let place: Vec<Option<&str>> =
                    std::iter::once(Some(field)).chain(below.iter().copied()).collect();
                meets(&["request"], &place)
            }
        }
    }
}

/// The variables that an expression reads, by name; `None` is any of them.
pub(super) fn read_variables(program: &portcullis_cel::Program) -> impl Iterator<Item = Option<String>> {
    let reads = program.reads().into_iter().filter(|read| read.variable == "variables");
    reads.map(|read| match read.path.into_iter().next() {
        Some(ReadStep::Field(name)) => Some(name),
        _ => None,
    })
}

/// What an expression may read, through the variables that it reads.
pub(super) fn reads_of(
    variables: &[Variable],
    known: &Numbers,
    program: &portcullis_cel::Program,
) -> BTreeSet<(String, ObjectRead)> {
    let mut found = BTreeSet::new();
    for read in program.reads() {
        let path = |steps: &[ReadStep]| -> ObjectRead {
            let step = |step: &ReadStep| match step {
                ReadStep::Field(name) => Some(name.as_str().into()),
                ReadStep::Index(_) => None,
            };
            // What is below counts as read.
            steps.iter().take(MAX_STEPS).map(step).collect()
        };
        if read.variable != "variables" {
            let path = path(&read.path);
            found.insert((read.variable, path));
            continue;
        }
        match read.path.split_first() {
            Some((ReadStep::Field(name), rest)) if name == ANY_OBJECT => {
                // Which of them it is rests on the operation.
                found.insert(("object".to_owned(), path(rest)));
                found.insert(("oldObject".to_owned(), path(rest)));
                found.insert(("request".to_owned(), vec![Some("operation".into())]));
            }
            Some((ReadStep::Field(name), _)) => {
                let number = known.get(&**name).copied().flatten();
                let variable = number.and_then(|number| variables.get(number));
                found.extend(variable.into_iter().flat_map(|variable| variable.reads.iter().cloned()));
            }
            _ => found.extend(variables.iter().flat_map(|variable| variable.reads.iter().cloned())),
        }
    }
    found
}

/// The same, or where these are very many, all of the variables that they are of: each variable of a template
/// has all that those before it read.
pub(super) fn bounded(reads: BTreeSet<(String, ObjectRead)>) -> BTreeSet<(String, ObjectRead)> {
    if reads.len() <= MAX_READS {
        return reads;
    }
    reads.into_iter().map(|(variable, _)| (variable, ObjectRead::new())).collect()
}

pub(super) fn object_reads(reads: &BTreeSet<(String, ObjectRead)>) -> Vec<ObjectRead> {
    let of_object = reads.iter().filter(|(variable, path)| variable == "object" && !path.is_empty());
    of_object.map(|(_, path)| path.clone()).collect()
}

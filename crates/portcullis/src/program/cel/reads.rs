//! The places that a program reads, for positions, and for what its answers rest on.

use std::collections::BTreeSet;

use portcullis_cel::ReadStep;
use portcullis_rego::Base;

use super::{CelProgram, Variable};
use crate::analysis::ObjectRead;
use crate::api::cel::ANY_OBJECT;

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

/// Whether any variable may be read.
pub(super) fn is_all_variables(read: &portcullis_cel::Read) -> bool {
    read.variable == "variables" && !matches!(read.path.first(), Some(ReadStep::Field(_)))
}

pub(super) fn read_variables(program: &portcullis_cel::Program) -> impl Iterator<Item = String> {
    program.reads().into_iter().filter(|read| read.variable == "variables").filter_map(|read| {
        match read.path.into_iter().next() {
            Some(ReadStep::Field(name)) => Some(name),
            _ => None,
        }
    })
}

/// What an expression may read, through the variables that it reads.
pub(super) fn reads_of(
    variables: &[Variable],
    program: &portcullis_cel::Program,
) -> BTreeSet<(String, ObjectRead)> {
    let mut found = BTreeSet::new();
    for read in program.reads() {
        let path = |steps: &[ReadStep]| -> ObjectRead {
            let step = |step: &ReadStep| match step {
                ReadStep::Field(name) => Some(name.as_str().into()),
                ReadStep::Index(_) => None,
            };
            steps.iter().map(step).collect()
        };
        if is_all_variables(&read) {
            found.extend(variables.iter().flat_map(|variable| variable.reads.iter().cloned()));
            continue;
        }
        match read.path.split_first() {
            Some((ReadStep::Field(name), rest)) if read.variable == "variables" => {
                if name == ANY_OBJECT {
                    // Which of them it is rests on the operation.
                    found.insert(("object".to_owned(), path(rest)));
                    found.insert(("oldObject".to_owned(), path(rest)));
                    found.insert(("request".to_owned(), vec![Some("operation".into())]));
                    continue;
                }
                let variable = variables.iter().rev().find(|variable| *variable.name == **name);
                found.extend(variable.into_iter().flat_map(|variable| variable.reads.iter().cloned()));
            }
            _ => {
                found.insert((read.variable.clone(), path(&read.path)));
            }
        }
    }
    found
}

pub(super) fn object_reads(reads: &BTreeSet<(String, ObjectRead)>) -> Vec<ObjectRead> {
    let of_object = reads.iter().filter(|(variable, path)| variable == "object" && !path.is_empty());
    of_object.map(|(_, path)| path.clone()).collect()
}

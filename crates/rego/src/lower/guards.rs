//! Tests of arguments, taken out of the bodies of functions: a table written as a function, such as
//! `size("Ki") = 1024`, is gone through without running anything but the row that fits.

use portcullis_value::{Value, View};

use crate::normal_form::{Arg, Branch, Comparison, Definition, Group, GroupKind, Guard, Op, OpKind, Pattern};

pub(super) fn split(groups: &mut [Group]) {
    for group in groups {
        let GroupKind::Function { arity } = group.kind else { continue };
        let definitions = group.definitions.iter_mut().chain(&mut group.default);
        for branch in definitions.flat_map(|definition: &mut Definition| &mut definition.branches) {
            split_branch(branch, arity);
        }
    }
}

/// Only what comes first: whatever is before a test may be an error.
fn split_branch(branch: &mut Branch, arity: usize) {
    let mut ops = std::mem::take(&mut branch.ops).into_vec();
    let guards: Vec<Guard> = ops.iter().map_while(|op| guard(op, arity)).collect();
    ops.drain(..guards.len());
    branch.guards = guards.into();
    branch.ops = ops.into();
}

fn guard(op: &Op, arity: usize) -> Option<Guard> {
    let (slot, value) = match &op.kind {
        OpKind::Match { value: Arg::Slot(slot), pattern: Pattern::Equal(Arg::Const(value)) }
        | OpKind::Match { value: Arg::Const(value), pattern: Pattern::Equal(Arg::Slot(slot)) }
        | OpKind::Compare { operator: Comparison::Equal, left: Arg::Slot(slot), right: Arg::Const(value) }
        | OpKind::Compare { operator: Comparison::Equal, left: Arg::Const(value), right: Arg::Slot(slot) } => {
            (*slot, value)
        }
        _ => return None,
    };
    let position = usize::try_from(slot).ok().filter(|position| *position < arity)?;
    is_short(value).then(|| Guard { position, value: value.clone() })
}

/// Whether comparing with it costs next to nothing.
fn is_short(value: &Value) -> bool {
    match value.view() {
        View::String(text) => text.len() <= 64,
        View::Number(number) => number.as_i64().is_some(),
        View::Bool(_) | View::Null => true,
        View::Array(_) | View::Set(_) | View::Object(_) | View::Undefined => false,
    }
}

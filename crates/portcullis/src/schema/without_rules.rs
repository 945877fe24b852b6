//! Rules in CEL in a build without it: each of them is an error of its schema, so that there is none to check.

use super::Problem;
use super::node::{At, Node, Rule};
use crate::cel::{LEFT_OUT, WHAT_TO_DO};
use crate::error::ErrorKind;
use crate::value::{self, Value};

/// Nothing is compiled, whatever that would take.
#[derive(Debug, Default)]
pub(super) struct Allowance;

/// Nothing is evaluated.
#[derive(Debug, Default)]
pub(super) struct Work;

/// An error for each rule.
pub(super) fn compile(
    _node: &Node,
    rules: &Value,
    _is_resource: bool,
    at: &At<'_>,
    _allowance: &mut Allowance,
    problems: &mut Vec<Problem>,
) -> Vec<Rule> {
    let refused =
        |(index, _)| Problem::error(ErrorKind::Cel, &at.index(index), LEFT_OUT).hint(WHAT_TO_DO.to_owned());
    problems.extend(value::items(rules).enumerate().map(refused));
    Vec::new()
}

/// Of a schema that was not refused there are no rules.
pub(super) fn check(
    _node: &Node,
    _value: &Value,
    _at: &At<'_>,
    _work: &mut Work,
    _problems: &mut Vec<Problem>,
) {
}

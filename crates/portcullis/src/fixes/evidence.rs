//! What an evaluation that was followed tells of a violation: the fields that it read, and the values that the policy
//! knows.

use crate::path::FieldPath;
use crate::program::{FollowedFact, FollowedRule};
use crate::review::field_path;
use crate::value::{self, Value, View};

use super::place::{self, is_scalar};

/// Most fields that are looked at.
const MOST_READS: usize = 128;
/// Most values that are tried.
const MOST_VALUES: usize = 64;
/// How deep parameters are looked into.
const DEEPEST: usize = 6;

/// A value that the policy knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) value: Value,
    /// It is a parameter, and does not only stand in the policy's text.
    pub(super) is_parameter: bool,
}

#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Fields of the object, whether or not they are there.
    pub(super) reads: Vec<FieldPath>,
    /// Scalars, lists of scalars, and objects of scalars.
    pub(super) known: Vec<Known>,
}

impl Evidence {
    /// Of the ways in which a violation came about.
    pub(super) fn of<'r>(
        ways: impl Iterator<Item = &'r FollowedRule>,
        parameters: &Value,
        object: &Value,
    ) -> Self {
        let mut evidence = Self::default();
        evidence.parameters(parameters, 0);
        for way in ways {
            evidence.rule(way);
        }
        // What the object says itself is nothing that the policy asks for; numbers next to it may be.
        let said: Vec<&Value> =
            evidence.reads.iter().filter_map(|path| place::at(object, path.segments())).collect();
        evidence.known.retain(|known| {
            known.is_parameter || known.value.as_number().is_some() || !said.contains(&&known.value)
        });
        evidence
    }

    fn parameters(&mut self, parameters: &Value, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        match parameters.view() {
            View::Array(items) => {
                if !items.is_empty() && items.iter().all(is_scalar) {
                    self.know(parameters, true);
                }
                for item in items {
                    self.parameters(item, depth + 1);
                }
            }
            View::Object(_) => {
                if value::entries(parameters).all(|(_, part)| is_scalar(part)) && depth > 0 {
                    self.know(parameters, true);
                }
                for (_, part) in value::entries(parameters) {
                    self.parameters(part, depth + 1);
                }
            }
            _ => self.know(parameters, true),
        }
    }

    fn know(&mut self, value: &Value, is_parameter: bool) {
        let is_telling = !matches!(value.view(), View::Null | View::Undefined | View::Bool(_));
        let is_new = !self.known.iter().any(|known| known.value == *value);
        if is_telling && is_new && self.known.len() < MOST_VALUES {
            self.known.push(Known { value: value.clone(), is_parameter });
        }
    }

    fn rule(&mut self, rule: &FollowedRule) {
        for fact in &rule.head {
            self.fact(fact);
        }
        for condition in &rule.conditions {
            for fact in &condition.facts {
                self.fact(fact);
            }
            for rule in &condition.rules {
                self.rule(rule);
            }
        }
    }

    fn fact(&mut self, fact: &FollowedFact) {
        match fact {
            FollowedFact::Read { path, .. } => {
                let keys: Vec<Option<&str>> = path.iter().take(2).map(value::as_str).collect();
                if keys != [Some("review"), Some("object")] {
                    return;
                }
                let Some(path) = field_path(path.get(2..).unwrap_or_default()) else { return };
                if !path.is_root() && self.reads.len() < MOST_READS && !self.reads.contains(&path) {
                    self.reads.push(path);
                }
            }
            // In CEL a list may be written where it is asked for.
            FollowedFact::Compared { operator: "in", left, right, .. } => {
                let items = right.as_array().unwrap_or_default().iter();
                items.chain([left]).filter(|item| is_scalar(item)).for_each(|item| self.know(item, false));
            }
            FollowedFact::Compared { left, right, .. } => {
                [left, right]
                    .into_iter()
                    .filter(|side| is_scalar(side))
                    .for_each(|side| self.know(side, false));
            }
            FollowedFact::Known { name, value } => {
                let is_params = name == "params" || name.starts_with("params.");
                let items =
                    value.iter().flat_map(|value| value.as_array().unwrap_or(std::slice::from_ref(value)));
                items.filter(|item| is_scalar(item)).for_each(|item| self.know(item, is_params));
            }
            FollowedFact::Called { args, .. } => {
                args.iter().filter(|arg| is_scalar(arg)).for_each(|arg| self.know(arg, false));
            }
        }
    }
}

//! What an expression may read, known without evaluating it.

use std::collections::BTreeSet;
use std::fmt;

use crate::plan::{Action, Attribute, By, Plan, Qualifier, Root, Seen, StepId};
use crate::value::CelValue;

/// Something that an expression may read: a part of a variable, with all that is in it.
///
/// ```
/// use portcullis_cel::{Environment, Program, Type};
///
/// let environment = Environment::default().with_variable("object", Type::Dyn);
/// let text = "object.spec.containers.all(c, c.image != '') && object.metadata.?labels.hasValue()";
/// let program = Program::compile(text, &environment).unwrap();
/// let reads: Vec<String> = program.reads().iter().map(ToString::to_string).collect();
/// assert_eq!(reads, ["object.metadata.labels", "object.spec.containers"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    /// The variable.
    pub variable: String,
    /// Which part of it.
    pub path: Vec<ReadStep>,
}

/// A step from a value into it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadStep {
    /// By the name of a field, or by a key.
    Field(String),
    /// By a place in a list.
    Index(i64),
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.variable)?;
        for step in &self.path {
            match step {
                ReadStep::Field(field) => write!(f, ".{field}")?,
                ReadStep::Index(place) => write!(f, "[{place}]")?,
            }
        }
        Ok(())
    }
}

/// What a plan may read, in order. Of what is read by a key that is not known before, all that it may be part of.
pub(crate) fn reads(plan: &Plan) -> BTreeSet<Read> {
    let mut walk = Walk {
        waiting: vec![plan.root],
        seen: vec![false; plan.steps.len()],
        found: BTreeSet::new(),
        attributes: Seen::default(),
    };
    while let Some(id) = walk.waiting.pop() {
        match walk.seen.get_mut(id as usize) {
            Some(seen) if !*seen => *seen = true,
            _ => continue,
        }
        match &plan.step(id).action {
            Action::Const(_) => {}
            Action::Attribute { attribute, .. } => walk.attribute(attribute),
            Action::Logical { terms, .. } | Action::Equal { terms, .. } => walk.waiting.extend(terms),
            Action::Call(call) => walk.waiting.extend(&call.args),
            Action::Member { value, .. } => walk.waiting.push(*value),
            Action::Or { first, second, .. } => walk.waiting.extend([*first, *second]),
            Action::List(items) => walk.waiting.extend(items.iter().map(|(item, _)| *item)),
            Action::Map(entries) => {
                walk.waiting.extend(entries.iter().flat_map(|(key, value, _)| [*key, *value]));
            }
            Action::Message { fields, .. } => walk.waiting.extend(fields.iter().map(|(_, value, _)| *value)),
            Action::Fold(fold) => {
                walk.waiting.extend([fold.range, fold.condition, fold.step, fold.result]);
                walk.waiting.extend(plan.accumulators.get(fold.slot));
            }
        }
    }
    walk.found
}

struct Walk {
    waiting: Vec<StepId>,
    seen: Vec<bool>,
    found: BTreeSet<Read>,
    attributes: Seen,
}

impl Walk {
    fn attribute(&mut self, attribute: &Attribute) {
        match &attribute.root {
            Root::Variable(name, _) => {
                let path = attribute.qualifiers.iter().map_while(step).collect();
                self.found.insert(Read { variable: name.to_string(), path });
            }
            Root::Step(step) => self.waiting.push(*step),
            Root::Conditional(parts) => {
                self.waiting.push(parts.0);
                self.attribute(&parts.1);
                self.attribute(&parts.2);
            }
            Root::Accumulator(_) | Root::Passed(_) | Root::First(_) | Root::Second(_) => {}
        }
        for qualifier in &attribute.qualifiers {
            match &qualifier.by {
                By::Attribute(key) if self.attributes.is_new(key) => self.attribute(key),
                By::Key(_) | By::Attribute(_) => {}
                By::Step(key) => self.waiting.push(*key),
            }
        }
    }
}

fn step(qualifier: &Qualifier) -> Option<ReadStep> {
    match &qualifier.by {
        By::Key(CelValue::String(field)) => Some(ReadStep::Field(field.as_str().to_owned())),
        By::Key(CelValue::Int(place)) => Some(ReadStep::Index(*place)),
        _ => None,
    }
}

//! What is evaluated briefly: a plan without what only counting needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::call::{Written, looks_at_types};
use crate::cost::Rule;
use crate::functions::{Declaration, Function};
use crate::plan::{Action, Attribute, By, Call, FoldStep, NOT_KEPT, Plan, Qualifier, Root, Shape, StepId};
use crate::value::{CelValue, Key, Text};

/// Most parts: what is in an expression twice is here twice.
const MOST_PARTS: usize = 10_000;

/// So many fields are looked through for one that is the same.
const MOST_COMPARED: usize = 64;

/// An expression.
#[derive(Debug)]
pub(crate) struct Outline {
    pub(super) root: Node,
    /// What evaluating it takes at most, but for the turns of its folds and the sizes of values.
    pub(super) units: u64,
    pub(super) frames: usize,
    pub(super) kept: usize,
    pub(super) variables: usize,
    pub(super) constants: Vec<CelValue>,
    /// The variables and fields of [`Node::Field`], with what is known of their places.
    pub(super) names: Vec<Arc<str>>,
    pub(super) fields: Vec<(Text, Option<u32>)>,
    pub(super) patterns: Written,
}

/// A part of it. It takes sixteen bytes: of all policies of a cluster, more of what is small stays near.
#[derive(Debug)]
pub(super) enum Node {
    /// Which of the constants.
    Const(u32),
    /// A field of a variable, as most of what is read is: which of the variables of the expression, and which of its fields.
    Field(u32, u32),
    Path(Box<Path>),
    Choice(Box<[Node; 3]>),
    Logical {
        is_or: bool,
        terms: Box<[Node; 2]>,
    },
    Equal {
        negated: bool,
        terms: Box<[Node; 2]>,
    },
    Not(Box<Node>),
    Call(Box<(Called, Box<[Node]>)>),
    Concatenation(Box<Concatenation>),
    /// Whether a value is one of constants.
    Member(Box<(Node, BTreeSet<Key>)>),
    List(Box<Listed>),
    Map(Box<Mapped>),
    Fold(Box<Folded>),
    /// The same at each turn of a fold around it.
    Kept(u32, Box<Node>),
    /// What is left to who counts.
    Unsure,
}

#[derive(Debug)]
pub(super) struct Listed(pub(super) Box<[Node]>);

#[derive(Debug)]
pub(super) struct Mapped(pub(super) Box<[(Node, Node)]>);

/// Something that is read, and what is selected of it.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) root: Origin,
    pub(super) selected: Box<[Selected]>,
}

#[derive(Debug)]
pub(super) enum Origin {
    /// The variable of a name, and which of those of the expression it is.
    Variable(Arc<str>, usize),
    First(usize),
    Second(usize),
    Node(Node),
}

#[derive(Debug)]
pub(super) struct Selected {
    pub(super) by: Selector,
    pub(super) test_only: bool,
    /// Of a field of a variable that has a type with fields: which of them it is.
    pub(super) place: Option<u32>,
}

#[derive(Debug)]
pub(super) enum Selector {
    /// A text.
    Field(Text),
    Node(Node),
}

/// The functions that are called most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    In,
    Add,
    Size,
    String,
    Dyn,
    StartsWith,
    EndsWith,
    Less,
    LessEquals,
    Greater,
    GreaterEquals,
    Join,
    Other,
}

/// `a + b + c`.
#[derive(Debug)]
pub(super) struct Concatenation {
    pub(super) terms: Vec<Node>,
    /// Of each term but the first, how it is added.
    pub(super) calls: Vec<Called>,
}

#[derive(Debug)]
pub(super) struct Called {
    pub(super) op: Op,
    pub(super) declaration: &'static Declaration,
    pub(super) overload: Option<usize>,
    pub(super) rule: Rule,
    /// Whether arguments after one that has no value are left out.
    pub(super) stops: bool,
    pub(super) is_guarded: bool,
    /// Whether it takes whatever one of the functions that are called most is quick about: of several overloads, one does.
    pub(super) takes_any: bool,
}

#[derive(Debug)]
pub(super) struct Folded {
    pub(super) slot: usize,
    pub(super) has_two: bool,
    pub(super) range: Node,
    pub(super) gathers: Gathers,
    /// What a turn takes at most, but for the turns of folds in it and the sizes of values.
    pub(super) units: u64,
}

#[derive(Debug)]
pub(super) enum Gathers {
    Truth { is_any: bool, test: Node },
    Items { test: Option<Node>, made: Node, none: Option<CelValue> },
}

impl Outline {
    /// None of an expression that is too large.
    pub(crate) fn of(plan: &Plan) -> Option<Self> {
        let names = vec![Arc::from(""); plan.variables];
        let (constants, fields) = (Vec::new(), Vec::new());
        let mut outlining = Outlining { plan, parts: 0, constants, names, fields };
        let (root, units) = outlining.step(plan.root)?;
        Some(Self {
            root,
            units,
            frames: plan.accumulators.len(),
            kept: plan.kept,
            variables: plan.variables,
            constants: outlining.constants,
            names: outlining.names,
            fields: outlining.fields,
            patterns: plan.patterns.clone(),
        })
    }
}

/// A part, and the units that it takes.
type Part = (Node, u64);

struct Outlining<'p> {
    plan: &'p Plan,
    parts: usize,
    constants: Vec<CelValue>,
    names: Vec<Arc<str>>,
    fields: Vec<(Text, Option<u32>)>,
}

impl Outlining<'_> {
    fn step(&mut self, id: StepId) -> Option<Part> {
        let step = self.plan.step(id);
        let (node, units) = self.action(&step.action)?;
        if step.kept == NOT_KEPT {
            return Some((node, units));
        }
        Some((Node::Kept(step.kept, Box::new(node)), units))
    }

    fn action(&mut self, action: &Action) -> Option<Part> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return None;
        }
        Some(match action {
            Action::Const(value) if !matches!(value, CelValue::Optional(_) | CelValue::Unreadable(_)) => {
                (self.constant(value), 1)
            }
            // Asking for a field of a choice takes one off the cost, which may be none yet.
            Action::Attribute { attribute, test_only: true }
                if matches!(attribute.root, Root::Conditional(_)) =>
            {
                (Node::Unsure, 1)
            }
            Action::Attribute { attribute, .. } => self.attribute(attribute)?,
            Action::Logical { is_or, terms } => {
                let (terms, units) = self.both(*terms)?;
                (Node::Logical { is_or: *is_or, terms }, units)
            }
            Action::Equal { negated, terms } => {
                let (terms, units) = self.both(*terms)?;
                (Node::Equal { negated: *negated, terms }, units)
            }
            Action::Call(call) => self.call(call)?,
            Action::Member { value, of } => {
                let (value, units) = self.step(*value)?;
                (Node::Member(Box::new((value, of.clone()))), units + 1)
            }
            Action::List(items) if items.iter().all(|(_, optional)| !optional) => {
                let parts: Vec<Part> =
                    items.iter().map(|(item, _)| self.step(*item)).collect::<Option<_>>()?;
                let (parts, units) = nodes(parts);
                (Node::List(Box::new(Listed(parts))), units + 3 + items.len() as u64)
            }
            Action::Map(entries) if entries.iter().all(|(_, _, optional)| !optional) => {
                let mut units = 5 + 2 * entries.len() as u64;
                let mut parts = Vec::with_capacity(entries.len());
                for (key, value, _) in entries {
                    let ((key, of_key), (value, of_value)) = (self.step(*key)?, self.step(*value)?);
                    units = units.saturating_add(of_key).saturating_add(of_value);
                    parts.push((key, value));
                }
                (Node::Map(Box::new(Mapped(parts.into()))), units)
            }
            Action::Fold(fold) => self.fold(fold)?,
            Action::Const(_)
            | Action::List(_)
            | Action::Map(_)
            | Action::Or { .. }
            | Action::Message { .. } => (Node::Unsure, 1),
        })
    }

    fn constant(&mut self, value: &CelValue) -> Node {
        let Ok(number) = u32::try_from(self.constants.len()) else { return Node::Unsure };
        self.constants.push(value.clone());
        Node::Const(number)
    }

    fn both(&mut self, [one, other]: [StepId; 2]) -> Option<(Box<[Node; 2]>, u64)> {
        let ((one, a), (other, b)) = (self.step(one)?, self.step(other)?);
        Some((Box::new([one, other]), a.saturating_add(b).saturating_add(1)))
    }

    fn attribute(&mut self, attribute: &Attribute) -> Option<Part> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return None;
        }
        let (root, mut units) = match &attribute.root {
            Root::Conditional(parts) => {
                let (test, a) = self.step(parts.0)?;
                let ((one, b), (other, c)) = (self.attribute(&parts.1)?, self.attribute(&parts.2)?);
                let units = a.saturating_add(b).saturating_add(c).saturating_add(1);
                return Some((Node::Choice(Box::new([test, one, other])), units));
            }
            Root::Variable(name, place) => (Origin::Variable(name.clone(), *place), 1),
            Root::First(slot) => (Origin::First(*slot), 1),
            Root::Second(slot) => (Origin::Second(*slot), 1),
            Root::Step(step) => {
                let (node, units) = self.step(*step)?;
                if attribute.qualifiers.is_empty() {
                    return Some((node, units + 1));
                }
                (Origin::Node(node), units + 1)
            }
            Root::Accumulator(_) | Root::Passed(_) => return Some((Node::Unsure, 1)),
        };
        let mut selected = Vec::with_capacity(attribute.qualifiers.len());
        for qualifier in &attribute.qualifiers {
            if qualifier.optional {
                return Some((Node::Unsure, 1));
            }
            let (by, more) = self.qualifier(qualifier)?;
            units = units.saturating_add(more);
            selected.push(Selected { by, test_only: qualifier.test_only, place: qualifier.place });
        }
        Some((self.path(root, selected), units))
    }

    fn path(&mut self, root: Origin, selected: Vec<Selected>) -> Node {
        if let (
            Origin::Variable(name, place),
            [Selected { by: Selector::Field(field), test_only: false, place: of_field }],
        ) = (&root, selected.as_slice())
            && let Some(known) = self.names.get_mut(*place)
        {
            let field = (field.clone(), *of_field);
            let known_to_be = self.fields.iter().take(MOST_COMPARED).position(|known| *known == field);
            let number = known_to_be.unwrap_or(self.fields.len());
            if let (Ok(place), Ok(number)) = (u32::try_from(*place), u32::try_from(number)) {
                *known = name.clone();
                if number as usize == self.fields.len() {
                    self.fields.push(field);
                }
                return Node::Field(place, number);
            }
        }
        Node::Path(Box::new(Path { root, selected: selected.into() }))
    }

    fn qualifier(&mut self, qualifier: &Qualifier) -> Option<(Selector, u64)> {
        let (node, units) = match &qualifier.by {
            By::Key(CelValue::String(text)) => {
                return Some((Selector::Field(text.clone()), 1));
            }
            By::Key(key) => (self.constant(key), 1),
            By::Attribute(attribute) => self.attribute(attribute)?,
            By::Step(step) => self.step(*step)?,
        };
        Some((Selector::Node(node), units.saturating_add(1)))
    }

    fn call(&mut self, call: &Call) -> Option<Part> {
        let parts: Vec<Part> = call.args.iter().map(|arg| self.step(*arg)).collect::<Option<_>>()?;
        let (args, units) = nodes(parts);
        let units = units.saturating_add(2);
        let function = call.declaration.function;
        if call.takes || function == Function::NotStrictlyFalse {
            return Some((Node::Unsure, 1));
        }
        let mut args = args.into_vec();
        if function == Function::Not && args.len() == 1 {
            return args.pop().map(|arg| (Node::Not(Box::new(arg)), units));
        }
        let op = match (function, args.len()) {
            (Function::In, 2) => Op::In,
            (Function::Add, 2) => Op::Add,
            (Function::Size, 1) => Op::Size,
            (Function::String, 1) => Op::String,
            (Function::Dyn, 1) => Op::Dyn,
            (Function::StartsWith, 2) => Op::StartsWith,
            (Function::EndsWith, 2) => Op::EndsWith,
            (Function::Less, 2) => Op::Less,
            (Function::LessEquals, 2) => Op::LessEquals,
            (Function::Greater, 2) => Op::Greater,
            (Function::GreaterEquals, 2) => Op::GreaterEquals,
            (Function::Join, 1 | 2) => Op::Join,
            _ => Op::Other,
        };
        let called = Called {
            op,
            declaration: call.declaration,
            overload: call.overload,
            rule: call.rule,
            stops: call.stops,
            is_guarded: call.is_guarded,
            takes_any: call.overload.is_none() || !(call.is_guarded && looks_at_types(call.declaration)),
        };
        let overload = call.overload.and_then(|place| call.declaration.overloads.get(place));
        if op == Op::Add && overload.is_none_or(|overload| overload.id == "add_string") {
            return Some((concatenation(called, args), units));
        }
        Some((Node::Call(Box::new((called, args.into()))), units))
    }

    fn fold(&mut self, fold: &FoldStep) -> Option<Part> {
        let (range, units) = self.step(fold.range)?;
        let (gathers, turn) = match fold.shape {
            Shape::Quantifier { is_any, test } => {
                let (test, turn) = self.step(test)?;
                (Gathers::Truth { is_any, test }, turn.saturating_add(1))
            }
            Shape::Collection { test, made } => {
                let (test, of_test) = match test {
                    Some(test) => {
                        let (test, units) = self.step(test)?;
                        (Some(test), units)
                    }
                    None => (None, 0),
                };
                let (made, of_made) = self.step(made)?;
                let init = self.plan.accumulators.get(fold.slot).map(|init| &self.plan.step(*init).action);
                let none = match init {
                    Some(Action::Const(none)) => Some(none.clone()),
                    _ => None,
                };
                (Gathers::Items { test, made, none }, of_test.saturating_add(of_made).saturating_add(4))
            }
            Shape::Other => return Some((Node::Unsure, 1)),
        };
        let folded = Folded { slot: fold.slot, has_two: fold.has_two, range, gathers, units: turn };
        Some((Node::Fold(Box::new(folded)), units.saturating_add(1)))
    }
}

fn nodes(parts: Vec<Part>) -> (Box<[Node]>, u64) {
    let units = parts.iter().fold(0_u64, |sum, (_, units)| sum.saturating_add(*units));
    (parts.into_iter().map(|(node, _)| node).collect(), units)
}

/// A sum, with the sums that are its first term.
fn concatenation(call: Called, args: Vec<Node>) -> Node {
    let mut args = args.into_iter();
    let mut made = match args.next() {
        Some(Node::Concatenation(made)) => *made,
        first => Concatenation { terms: first.into_iter().collect(), calls: Vec::new() },
    };
    for term in args {
        made.terms.push(term);
    }
    made.calls.push(call);
    Node::Concatenation(Box::new(made))
}

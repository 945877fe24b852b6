//! Why expressions are worth what they are worth: which of their parts decide, what these read, and the variables that
//! they use. Each part is an expression by itself, and is evaluated by itself: so that whoever evaluates pays nothing for
//! it, and what is told is what was asked.
//!
//! ```text
//! validation is false --parts--> the terms, sides and elements that decide --evaluate--> conditions with facts
//!                                             \--variables that they read--> the same of these
//! ```

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_cel::{
    AccessAnswer, AccessQuestion, Activation, CelValue, Environment, EvalError, EvalErrorKind, Part,
    PartKind, Quantifier, Read, ReadStep, Type,
};
use portcullis_rego_syntax::Span;

use super::super::admission::Asking;
use super::super::follow::{Followed, FollowedCondition, FollowedFact, FollowedRule, RuleKind};
use super::evaluate::{Answer, BUDGET, OUT_OF_BUDGET, Phase, STEPS, Tank, aggregated};
use super::kept::Kept;
use super::names::{AUTHORIZER, AUTHORIZER_TYPE, REQUEST_RESOURCE, RESOURCE_CHECK_TYPE, Seen, environment};
use super::places::{Places, at, is_same, key, plain};
use super::{CelProgram, EvaluationError, Surroundings, VARIABLES};
use crate::analysis;
use crate::api::Resource;
use crate::api::cel::{ANY_OBJECT, Named, PARAMS};
use crate::api::template::{EngineSource, Text};
use crate::document::Document;
use crate::source::Location;
use crate::value::Value;

/// Most parts of expressions that are evaluated for an explanation.
const MOST_PARTS: usize = 4_000;
/// How many bytes of a text to compile count as a part.
const BYTES_OF_PART: usize = 256;
/// Most elements of one range that are looked at, and most that are told of those that decide.
const MOST_ELEMENTS: usize = 1_000;
const MOST_TOLD: usize = 3;
/// Most facts of one condition.
const MOST_FACTS: usize = 50;
/// How deep variables are told that variables use.
const DEEPEST: usize = 4;
/// How many times the limits of an evaluation an explanation may take.
const TIMES: u64 = 4;

impl CelProgram {
    /// Why it says what it says of an input, by evaluating its parts. Never panics.
    pub(in crate::program) fn follow(
        &self,
        input: &[(Value, Value)],
        surroundings: &Surroundings<'_>,
    ) -> Followed {
        let review = input.iter().find(|(key, _)| key.as_str() == Some("review")).map(|(_, review)| review);
        let seen = Seen::of(review.unwrap_or(&Value::NULL), surroundings.constraint);
        let (kept, asking) = (Kept::default(), Asking::nobody());
        let (limits, watch) = (surroundings.limits, surroundings.watch);
        let (followed, _) = self.within(limits, STEPS * TIMES, watch, &kept, &asking, |tank, cost| {
            Ok(self.explained(&seen, &seen, tank, cost, BUDGET, Whose::Template))
        });
        followed.unwrap_or_else(Followed::of_error)
    }

    /// The match conditions, and the validations if these hold.
    pub(super) fn explained(
        &self,
        conditions: &Seen,
        seen: &Seen,
        tank: &Tank<'_>,
        cost: &Cell<u64>,
        budget: u64,
        whose: Whose,
    ) -> Followed {
        let mut followed = Followed::default();
        let written = Written::of(&self.document);
        let left = Cell::new(MOST_PARTS);
        let environment = self.environment();
        let explainer = |seen, phase| Explainer {
            program: self,
            written: &written,
            environment: &environment,
            seen,
            phase,
            tank,
            whose,
            left: &left,
            told: RefCell::default(),
            programs: RefCell::default(),
            places: OnceCell::new(),
        };
        let mut phase = Phase::of_conditions(self, conditions, tank);
        let (mut held, mut failed) = (Vec::new(), Vec::new());
        for (number, condition) in self.match_conditions.iter().enumerate() {
            let answer = phase.evaluate(condition, cost);
            let name =
                written.conditions.get(number).map_or_else(|| number.to_string(), |one| one.name.to_string());
            let rule = |holds: bool| {
                let explainer = explainer(conditions, Phase::of_conditions(self, conditions, tank));
                explainer.rule(RuleKind::MatchCondition, name, &condition.text, holds)
            };
            match answer {
                Ok(Answer::Value(value)) if value.as_bool() == Some(true) => held.push(rule(true)),
                Ok(Answer::Value(_)) => followed.missed.push(rule(false)),
                Ok(Answer::Error(error)) => failed.push(error),
                Ok(Answer::Unknown(error)) | Err(error) => followed.error = followed.error.or(Some(error)),
                Ok(Answer::OutOfBudget) => failed.push(EvaluationError::new(OUT_OF_BUDGET)),
            }
        }
        if !followed.missed.is_empty() {
            followed.error = None;
            followed.is_cut = left.get() == 0;
            return followed;
        }
        if !failed.is_empty() {
            followed.error = followed.error.or(Some(aggregated(failed)));
        }
        followed.held = held;
        if followed.error.is_some() {
            return followed;
        }
        let mut phase = Phase::new(self, seen, tank, budget);
        let mut answers = Vec::new();
        for validation in &self.validations {
            answers.push(phase.evaluate(&validation.expression, cost));
        }
        let mut messages = Phase::of_texts(self, seen, tank, phase.left);
        for (number, (validation, answer)) in self.validations.iter().zip(answers).enumerate() {
            let rule = |holds: bool| {
                let explainer = explainer(seen, Phase::new(self, seen, tank, budget));
                let name = format!("validations[{number}]");
                explainer.rule(RuleKind::Validation, name, &validation.expression.text, holds)
            };
            match answer {
                Ok(Answer::Value(value)) if value.as_bool() == Some(true) => followed.held.push(rule(true)),
                Ok(Answer::Value(_)) => {
                    let made = validation.message_expression.as_ref();
                    let made = made.and_then(|made| match messages.evaluate(made, cost) {
                        Ok(Answer::Value(value)) => value.as_str().map(str::to_owned),
                        _ => None,
                    });
                    followed.found.push((validation.said(made), rule(false)));
                }
                Ok(Answer::Error(error) | Answer::Unknown(error)) | Err(error) => {
                    followed.missed.push(rule(false));
                    followed.error = followed.error.or(Some(error));
                }
                Ok(Answer::OutOfBudget) => {
                    followed.error = followed.error.or(Some(EvaluationError::new(OUT_OF_BUDGET)));
                }
            }
        }
        followed.is_cut = left.get() == 0;
        followed
    }

    /// What its expressions may name, all of them together: what was compiled is known to be sound.
    fn environment(&self) -> Environment {
        let fields =
            self.variables.iter().map(|variable| (&*variable.name, variable.program.result().clone()));
        environment()
            .with_variable(PARAMS, Type::Dyn)
            .with_variable(AUTHORIZER, Type::object(AUTHORIZER_TYPE))
            .with_variable(REQUEST_RESOURCE, Type::object(RESOURCE_CHECK_TYPE))
            .with_object(VARIABLES, fields)
    }
}

/// What an expression is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// A template: `variables.params` and `variables.anyObject` are there without being written.
    Template,
    /// An admission policy, with `params`.
    Policy,
}

/// The texts that have names.
#[derive(Default)]
struct Written {
    conditions: Vec<Named>,
    variables: Vec<Named>,
}

impl Written {
    fn of(document: &Document) -> Self {
        match Resource::read(document).0 {
            Some(Resource::Template(template)) => {
                let cel = template.engines.into_iter().find_map(|engine| match engine {
                    EngineSource::Cel(source) => Some(source),
                    EngineSource::Rego(_) => None,
                });
                cel.map(|source| Self { conditions: source.match_conditions, variables: source.variables })
                    .unwrap_or_default()
            }
            Some(Resource::AdmissionPolicy(policy)) => {
                Self { conditions: policy.match_conditions, variables: policy.variables }
            }
            _ => Self::default(),
        }
    }

    fn variable(&self, name: &str) -> Option<&Named> {
        self.variables.iter().rev().find(|variable| &*variable.name == name)
    }
}

/// Which elements of a range are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Those that fail a test which all have to pass.
    Failing,
    /// The first that passes.
    First,
    /// Those that pass.
    Passing,
}

/// An element that an expression has a name for.
#[derive(Clone)]
struct Binding {
    name: Arc<str>,
    value: CelValue,
    /// Which part of the input it is, if it is one.
    path: Option<Vec<Value>>,
}

/// The names of an expression, with those of elements.
struct Bound<'a> {
    names: &'a dyn Activation,
    bindings: &'a [Binding],
}

impl Activation for Bound<'_> {
    fn variable(&self, name: &str) -> Option<&CelValue> {
        let own = self.bindings.iter().rev().find(|binding| &*binding.name == name);
        own.map(|binding| &binding.value).or_else(|| self.names.variable(name))
    }

    fn field(&self, object: &str, field: &str, place: Option<u32>) -> Result<Option<&CelValue>, EvalError> {
        self.names.field(object, field, place)
    }

    fn access(&self, question: &AccessQuestion) -> Option<AccessAnswer> {
        self.names.access(question)
    }
}

/// Parts by their texts and the names of elements; none of those that are no expression by themselves.
type Programs = BTreeMap<(String, Vec<Arc<str>>), Option<portcullis_cel::Program>>;

struct Explainer<'a> {
    program: &'a CelProgram,
    written: &'a Written,
    environment: &'a Environment,
    seen: &'a Seen,
    phase: Phase<'a>,
    tank: &'a Tank<'a>,
    whose: Whose,
    /// How many parts may be evaluated yet.
    left: &'a Cell<usize>,
    /// The variables that were told.
    told: RefCell<Vec<String>>,
    /// The parts that were compiled, by their texts and the names of elements.
    programs: RefCell<Programs>,
    /// Where the parts of the object are.
    places: OnceCell<Places>,
}

impl Explainer<'_> {
    fn rule(&self, kind: RuleKind, name: String, text: &Text, holds: bool) -> FollowedRule {
        let mut conditions = Vec::new();
        match portcullis_cel::parts(&text.text) {
            Some(whole) => self.decide(text, &whole, &[], 0, &mut conditions),
            None => conditions.push(self.unread(text, holds)),
        }
        let end = u32::try_from(text.text.len()).unwrap_or(u32::MAX);
        FollowedRule {
            kind,
            name,
            location: self.locate(text, 0, end),
            holds,
            is_inside: false,
            conditions,
            head: Vec::new(),
        }
    }

    /// The whole of an expression, of which no parts are known.
    fn unread(&self, text: &Text, holds: bool) -> FollowedCondition {
        let end = u32::try_from(text.text.len()).unwrap_or(u32::MAX);
        FollowedCondition {
            location: self.locate(text, 0, end),
            text: text.text.to_string(),
            holds,
            facts: Vec::new(),
            rules: Vec::new(),
        }
    }

    fn locate(&self, text: &Text, start: u32, end: u32) -> Option<Location> {
        analysis::locate(&self.program.document, text, Span { start, end })
    }

    /// What a part is worth, if that can be said.
    fn value(&self, text: &Text, part: &Part, bindings: &[Binding]) -> Option<CelValue> {
        self.evaluated(text.text.get(part.range.clone())?, bindings)
    }

    fn evaluated(&self, text: &str, bindings: &[Binding]) -> Option<CelValue> {
        let left = self.left.get().checked_sub(1)?;
        self.left.set(left);
        let program = self.compiled(text, bindings)?;
        let names = Bound { names: self.phase.names(), bindings };
        let (evaluation, _, _) = self.tank.evaluate(&program, &names);
        match evaluation.result {
            Ok(value) => Some(value),
            Err(EvalError { kind: EvalErrorKind::Limit(_), .. }) => {
                self.left.set(0);
                None
            }
            Err(_) => None,
        }
    }

    /// A part as an expression by itself. Each is compiled once: what is asked of elements is asked of many.
    fn compiled(&self, text: &str, bindings: &[Binding]) -> Option<portcullis_cel::Program> {
        let names = bindings.iter().map(|binding| binding.name.clone()).collect();
        let key = (text.to_owned(), names);
        if let Some(known) = self.programs.borrow().get(&key) {
            return known.clone();
        }
        // Long ones count for more.
        let left = self.left.get().checked_sub(1 + text.len() / BYTES_OF_PART)?;
        self.left.set(left);
        let program = self.compile(text, bindings);
        self.programs.borrow_mut().insert(key, program.clone());
        program
    }

    fn compile(&self, text: &str, bindings: &[Binding]) -> Option<portcullis_cel::Program> {
        let mut environment = self.environment.clone();
        for binding in bindings {
            environment = environment.with_variable(&binding.name, Type::Dyn);
        }
        portcullis_cel::Program::compile(text, &environment).ok()
    }

    fn truth(&self, text: &Text, part: &Part, bindings: &[Binding]) -> Option<bool> {
        self.value(text, part, bindings)?.as_bool()
    }

    /// The parts of a part that decide what it is worth.
    fn decide(
        &self,
        text: &Text,
        part: &Part,
        bindings: &[Binding],
        depth: usize,
        found: &mut Vec<FollowedCondition>,
    ) {
        match &part.kind {
            PartKind::And(terms) => self.terms(text, terms, false, bindings, depth, found),
            PartKind::Or(terms) => self.terms(text, terms, true, bindings, depth, found),
            PartKind::Not(of) => self.decide(text, of, bindings, depth, found),
            PartKind::If(parts) => {
                let [condition, then, other] = &**parts;
                self.decide(text, condition, bindings, depth, found);
                match self.truth(text, condition, bindings) {
                    Some(true) => self.decide(text, then, bindings, depth, found),
                    Some(false) => self.decide(text, other, bindings, depth, found),
                    None => {}
                }
            }
            PartKind::Each { quantifier, range, names, test } => {
                let told = match quantifier {
                    Quantifier::All => Told::Failing,
                    Quantifier::Exists => Told::First,
                };
                let is_told = self.each(text, (told, range, names, test), bindings, depth, found);
                if !is_told {
                    found.push(self.leaf(text, part, bindings, depth));
                }
            }
            PartKind::Collect { range, names, test } => {
                self.collected(text, (range, names, test.as_deref()), bindings, depth, found);
            }
            kind => {
                found.push(self.leaf(text, part, bindings, depth));
                // What is counted or looked for may be some of many: which, and why they.
                let operands = match kind {
                    PartKind::Compare { sides, .. } => &sides[..],
                    PartKind::Call { args, .. } => args,
                    _ => &[],
                };
                for operand in operands.iter().filter_map(collecting) {
                    self.decide(text, operand, bindings, depth, found);
                }
            }
        }
    }

    /// Why elements are taken; if none is, why not.
    fn collected(
        &self,
        text: &Text,
        (range, names, test): (&Part, &[Arc<str>], Option<&Part>),
        bindings: &[Binding],
        depth: usize,
        found: &mut Vec<FollowedCondition>,
    ) {
        let is_told = test
            .is_some_and(|test| self.each(text, (Told::Passing, range, names, test), bindings, depth, found));
        match collecting(range) {
            Some(inner) => self.decide(text, inner, bindings, depth, found),
            None if !is_told => found.push(self.leaf(text, range, bindings, depth)),
            None => {}
        }
    }

    /// Terms of which one decides that is worth something, and else all of them.
    fn terms(
        &self,
        text: &Text,
        terms: &[Part],
        decides: bool,
        bindings: &[Binding],
        depth: usize,
        found: &mut Vec<FollowedCondition>,
    ) {
        let worth: Vec<Option<bool>> = terms.iter().map(|term| self.truth(text, term, bindings)).collect();
        let is_decided = worth.contains(&Some(decides));
        let is_unknown = worth.contains(&None);
        for (term, worth) in terms.iter().zip(worth) {
            let is_wanted = match worth {
                Some(worth) if is_decided => worth == decides,
                Some(_) => !is_unknown,
                None => !is_decided,
            };
            if is_wanted {
                self.decide(text, term, bindings, depth, found);
            }
            // One that is true is enough; of those that are false each has to change.
            if is_wanted && is_decided && decides {
                return;
            }
        }
    }

    /// The elements that decide. Says whether there are such.
    fn each(
        &self,
        text: &Text,
        (told, range, names, test): (Told, &Part, &[Arc<str>], &Part),
        bindings: &[Binding],
        depth: usize,
        found: &mut Vec<FollowedCondition>,
    ) -> bool {
        let Some(over) = self.value(text, range, bindings) else { return false };
        let place = self.path_of(text, range, &over, bindings);
        let decides = told != Told::Failing;
        let (mut deciding, mut unknown, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for element in self.elements(&over, place.as_deref(), names) {
            let inner: Vec<Binding> = bindings.iter().cloned().chain(element).collect();
            match self.truth(text, test, &inner) {
                Some(worth) if worth == decides => deciding.push(inner),
                Some(_) => others.push(inner),
                None => unknown.push(inner),
            }
            if self.left.get() == 0 || told == Told::First && !deciding.is_empty() {
                break;
            }
        }
        let all = match (deciding.is_empty(), unknown.is_empty()) {
            (false, _) => deciding,
            (true, false) => unknown,
            // All pass a test, or none does: of many it is enough to say so.
            (true, true) if others.len() <= MOST_TOLD => others,
            (true, true) => return false,
        };
        for inner in all.iter().take(MOST_TOLD) {
            self.decide(text, test, inner, depth, found);
        }
        !all.is_empty()
    }

    /// The elements of a range as they are named: elements of lists, keys of maps, and with two names both.
    fn elements(&self, over: &CelValue, place: Option<&[Value]>, names: &[Arc<str>]) -> Vec<Vec<Binding>> {
        let below = |key: Value| -> Option<Vec<Value>> { Some([place?, &[key]].concat()) };
        let named = |key: CelValue, value: CelValue, path: Option<Vec<Value>>, is_list: bool| match names {
            [one] if is_list => vec![Binding { name: one.clone(), value, path }],
            [one] => vec![Binding { name: one.clone(), value: key, path: None }],
            [one, two] => vec![
                Binding { name: one.clone(), value: key, path: None },
                Binding { name: two.clone(), value, path },
            ],
            _ => Vec::new(),
        };
        match over {
            CelValue::List(list) => {
                let items = list.iter().take(MOST_ELEMENTS).enumerate();
                let item = |(position, value): (usize, CelValue)| {
                    let number = i64::try_from(position).unwrap_or(i64::MAX);
                    let path = below(Value::from(number)).or_else(|| self.place_of(&value));
                    named(CelValue::Int(number), value, path, true)
                };
                items.map(item).collect()
            }
            CelValue::Map(map) => {
                let entries = map.entries().into_iter().take(MOST_ELEMENTS);
                let entry = |(key, value): (CelValue, CelValue)| {
                    let path =
                        key.as_str().map(Value::from).and_then(below).or_else(|| self.place_of(&value));
                    named(key, value, path, false)
                };
                entries.map(entry).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Which part of the input a range is: by what it reads if it is nothing but that, or else by where it lies.
    fn path_of(
        &self,
        text: &Text,
        range: &Part,
        over: &CelValue,
        bindings: &[Binding],
    ) -> Option<Vec<Value>> {
        if range.kind == PartKind::Other
            && let Some(program) = self.compiled(text.text.get(range.range.clone())?, bindings)
        {
            let mut reads = program.reads().into_iter();
            if let (Some(read), None) = (reads.next(), reads.next())
                && let Some((path, Some(value))) = self.input_path(&read, bindings)
                && is_same(&value, over)
            {
                return Some(path);
            }
        }
        self.place_of(over)
    }

    /// A part that is told as it is: its value, what it read, and the variables that it uses.
    fn leaf(&self, text: &Text, part: &Part, bindings: &[Binding], depth: usize) -> FollowedCondition {
        let written = text.text.get(part.range.clone()).unwrap_or_default();
        let answer = self.evaluated(written, bindings);
        let holds = answer.as_ref().is_some_and(|answer| answer.as_bool().unwrap_or(true));
        let (mut facts, mut rules) = (Vec::new(), Vec::new());
        if let Some(program) = self.compiled(written, bindings) {
            for read in program.reads() {
                facts.extend(self.fact(&read, bindings));
                rules.extend(self.variable_rule(&read, depth));
            }
        }
        facts.extend(self.operation(text, part, answer.as_ref(), bindings));
        facts.truncate(MOST_FACTS);
        let (start, end) = (part.range.start, part.range.end);
        let place = u32::try_from(start).ok().zip(u32::try_from(end).ok());
        FollowedCondition {
            location: place.and_then(|(start, end)| self.locate(text, start, end)),
            text: written.to_owned(),
            holds,
            facts,
            rules,
        }
    }

    /// What a comparison or a call came to.
    fn operation(
        &self,
        text: &Text,
        part: &Part,
        answer: Option<&CelValue>,
        bindings: &[Binding],
    ) -> Option<FollowedFact> {
        let told = |part: &Part| self.value(text, part, bindings).map(|value| plain(&value));
        match &part.kind {
            PartKind::Compare { operator, sides } => {
                let [left, right] = &**sides;
                let holds = answer?.as_bool()?;
                Some(FollowedFact::Compared { operator, left: told(left)?, right: told(right)?, holds })
            }
            PartKind::Call { name, args } => {
                let functions = portcullis_cel::functions();
                let name = functions.iter().find(|function| *function.name == **name)?.name;
                let args: Option<Vec<Value>> = args.iter().map(told).collect();
                Some(FollowedFact::Called { name, args: args?, answer: answer.map(plain) })
            }
            _ => None,
        }
    }

    /// A variable that is read, told by its own expression; each once.
    fn variable_rule(&self, read: &Read, depth: usize) -> Option<FollowedRule> {
        let (Some(ReadStep::Field(name)), true) = (read.path.first(), read.variable == "variables") else {
            return None;
        };
        let variable = self.written.variable(name).filter(|_| depth < DEEPEST)?;
        let is_new = !self.told.borrow().contains(name);
        if !is_new {
            return None;
        }
        self.told.borrow_mut().push(name.clone());
        let value = self.phase.names().field(VARIABLES, name, None).ok().flatten();
        let truth = value.and_then(CelValue::as_bool);
        let text = &variable.expression;
        let whole = portcullis_cel::parts(&text.text)?;
        let mut conditions = Vec::new();
        let is_told = matches!(whole.kind, PartKind::If(_)) || collecting(&whole).is_some();
        if truth.is_some() || is_told {
            let whole = collecting(&whole).unwrap_or(&whole);
            self.decide(text, whole, &[], depth + 1, &mut conditions);
        } else {
            conditions.push(self.leaf(text, &whole, &[], depth + 1));
        }
        let end = u32::try_from(text.text.len()).unwrap_or(u32::MAX);
        Some(FollowedRule {
            kind: RuleKind::Variable,
            name: name.clone(),
            location: self.locate(text, 0, end),
            holds: truth.unwrap_or(value.is_some()),
            is_inside: false,
            conditions,
            head: Vec::new(),
        })
    }

    /// What is read, as a part of the input where it is one, or by its name.
    fn fact(&self, read: &Read, bindings: &[Binding]) -> Option<FollowedFact> {
        if let Some((path, value)) = self.input_path(read, bindings) {
            let value = value.map(|value| plain(&value));
            return Some(FollowedFact::Read { path, value });
        }
        let (name, value) = self.named(read, bindings)?;
        Some(FollowedFact::Known { name, value: value.map(|value| plain(&value)) })
    }

    /// Where in the input something is that is read, and what is there.
    fn input_path(&self, read: &Read, bindings: &[Binding]) -> Option<(Vec<Value>, Option<CelValue>)> {
        let own = bindings.iter().rev().find(|binding| *binding.name == *read.variable);
        let keys = |steps: &[ReadStep]| steps.iter().map(key).collect::<Vec<Value>>();
        if let Some(binding) = own {
            let path = [binding.path.clone()?, keys(&read.path)].concat();
            return Some((path, at(&binding.value, &read.path)));
        }
        let base = |names: &[&str]| names.iter().map(|name| Value::from(*name)).collect::<Vec<Value>>();
        match read.variable.as_str() {
            "object" => {
                let path = [base(&["review", "object"]), keys(&read.path)].concat();
                Some((path, at(&self.seen.object, &read.path)))
            }
            "oldObject" => {
                let path = [base(&["review", "oldObject"]), keys(&read.path)].concat();
                Some((path, at(&self.seen.old_object, &read.path)))
            }
            "variables" => {
                let (first, rest) = read.path.split_first()?;
                let ReadStep::Field(name) = first else { return None };
                let value = self.phase.names().field(VARIABLES, name, None).ok().flatten()?;
                let is_given = self.whose == Whose::Template && self.written.variable(name).is_none();
                let path = match name.as_str() {
                    PARAMS if is_given => base(&["parameters"]),
                    ANY_OBJECT if is_given => self.place_of(value)?,
                    _ => self.place_of(value)?,
                };
                Some(([path, keys(rest)].concat(), at(value, rest)))
            }
            _ => None,
        }
    }

    /// What is read by its name, and what it is worth.
    fn named(&self, read: &Read, bindings: &[Binding]) -> Option<(String, Option<CelValue>)> {
        let names = Bound { names: self.phase.names(), bindings };
        let name = read.to_string();
        if read.variable == "variables" {
            let (first, rest) = read.path.split_first()?;
            let ReadStep::Field(field) = first else { return None };
            let value = self.phase.names().field(VARIABLES, field, None).ok().flatten();
            return Some((name, value.and_then(|value| at(value, rest))));
        }
        let value = names.variable(&read.variable).filter(|value| !matches!(value, CelValue::Rights(_)))?;
        Some((name, at(value, &read.path)))
    }

    /// Which part of the object a value is, by where it lies.
    fn place_of(&self, value: &CelValue) -> Option<Vec<Value>> {
        self.places.get_or_init(|| Places::of(self.seen)).of_value(value)
    }
}

/// What collects elements, if a part is that, or made of what is collected.
fn collecting(part: &Part) -> Option<&Part> {
    match &part.kind {
        PartKind::Collect { .. } => Some(part),
        PartKind::Call { args, .. } => args.first().and_then(collecting),
        _ => None,
    }
}

impl Followed {
    /// Nothing is known but that it could not be evaluated.
    pub(super) fn of_error(error: EvaluationError) -> Self {
        Self { error: Some(error), ..Self::default() }
    }
}

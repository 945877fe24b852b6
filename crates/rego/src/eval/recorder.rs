//! Why a document has the elements that it has, and which it nearly had: what `explain` shows. A second evaluation,
//! by a program with marks, writes what it does into a list; an attempt that ends takes its part of the list back.
//!
//! Values are never copied while an evaluation runs, so that where one lies tells which part of the input it is.

use std::collections::{BTreeMap, HashMap};

use portcullis_rego_syntax::Span;
use portcullis_value::{Value, View};

use super::tracer::Tracer;
use crate::normal_form::{Comparison, GroupId, NormalForm};

/// Most that is written down at once, and of all elements together.
const MOST_EVENTS: usize = 100_000;
/// Most parts of the input whose places are known.
const MOST_PLACES: usize = 2_000_000;

/// Why a document of rules is what it is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Reasons {
    /// How each element came about, in the order in which they were found; one that came about in several ways
    /// has several.
    pub found: Vec<Derivation>,
    /// Of each body that was tried: the attempt that came furthest and did not hold.
    pub missed: Vec<RuleStep>,
    /// Whether there was more than is written down.
    pub is_cut: bool,
}

/// How an element came about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Derivation {
    /// The element.
    pub element: Value,
    /// The rule that made it.
    pub step: RuleStep,
}

/// A body of a rule, and its conditions as far as they were looked at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RuleStep {
    /// The name of the document or function, below `data`.
    pub path: Vec<Value>,
    /// The module, by its position in the list given to [`crate::Program::compile`].
    pub module: usize,
    /// Where its head is.
    pub span: Span,
    /// Whether it holds.
    pub holds: bool,
    /// Whether it was asked inside of a `not`, an `every` or a comprehension, and so perhaps one of several.
    pub is_inside: bool,
    /// In the order in which they were evaluated. The last one of a body that does not hold is the one that fails.
    pub conditions: Vec<ConditionStep>,
    /// What its head looked at before any condition: all that a rule without a body looks at.
    pub head: Vec<Fact>,
}

impl RuleStep {
    /// What it looked at, and the rules that it asked.
    fn all_facts(self) -> Vec<Fact> {
        let of_conditions = self.conditions.into_iter().flat_map(|condition| {
            let below = condition.rules.into_iter().flat_map(Self::all_facts);
            condition.facts.into_iter().chain(below).collect::<Vec<_>>()
        });
        self.head.into_iter().chain(of_conditions).collect()
    }
}

/// A statement of a body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConditionStep {
    /// Where it stands.
    pub span: Span,
    /// Whether it holds.
    pub holds: bool,
    /// What it looked at, in this order.
    pub facts: Vec<Fact>,
    /// The rules that it asked. Of one that it asked with `not`, why that does not hold.
    pub rules: Vec<RuleStep>,
}

/// What a statement looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A part of the input, by its path, and what is there; none if there is nothing.
    Read {
        /// Keys from the input on.
        path: Vec<Value>,
        /// What is there.
        value: Option<Value>,
    },
    /// A comparison.
    Compared {
        /// As it is written.
        operator: &'static str,
        /// Its sides.
        left: Value,
        /// Its sides.
        right: Value,
        /// Whether it holds.
        holds: bool,
    },
    /// A builtin, its arguments, and its answer; none if it is not defined for them.
    Called {
        /// Its name.
        name: &'static str,
        /// The arguments.
        args: Vec<Value>,
        /// The answer.
        answer: Option<Value>,
    },
}

/// Something that happened.
#[derive(Clone)]
enum Event {
    Statement(Span),
    Fact(Fact),
    /// A body of a document or function begins; whether it held.
    Begin(GroupId, usize, Span, bool),
    End,
    /// Operations inside of a statement begin and end.
    Inner,
    InnerEnd,
    /// A document was asked for.
    Asked(GroupId),
    /// An element of a collection was taken.
    Picked(Value),
}

/// A body that is being run.
struct Frame {
    group: GroupId,
    module: usize,
    span: Span,
    /// Where its events begin.
    at: usize,
    /// In how many statements it is inside.
    inside: usize,
}

/// A way in which an element was found.
struct Found {
    element: Value,
    events: Vec<Event>,
}

/// Writes down what an evaluation does.
pub(super) struct Recorder<'p> {
    form: &'p NormalForm,
    origins: Origins,
    events: Vec<Event>,
    frames: Vec<Frame>,
    inside: usize,
    found: BTreeMap<GroupId, Vec<Found>>,
    /// By group and head: how many statements were reached, and what happened.
    missed: BTreeMap<(GroupId, usize, Span), (usize, Vec<Event>)>,
    kept: usize,
    is_cut: bool,
}

/// Where the parts of the input lie.
#[derive(Default)]
struct Origins {
    /// By address: the part it is in, and its key there.
    places: HashMap<usize, (usize, Value)>,
    /// The addresses of contents that are shared when a value is copied.
    contents: HashMap<usize, usize>,
}

const ROOT: usize = 0;

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

/// What a copy of a value has in common with it.
fn content(value: &Value) -> Option<usize> {
    match value.view() {
        View::Array(items) => items.first().map(address),
        View::Object(object) => object.values().next().map(address),
        View::String(text) if text.len() > 32 => Some(text.as_ptr().addr()),
        _ => None,
    }
}

impl Origins {
    fn of(entries: &[(Value, Value)]) -> Self {
        let mut origins = Self::default();
        let mut rest = Vec::new();
        for (key, value) in entries {
            rest.push((ROOT, key.clone(), value));
        }
        while let Some((parent, key, value)) = rest.pop() {
            if origins.places.len() >= MOST_PLACES {
                break;
            }
            let own = address(value);
            // Of a part that stands in two places, the first counts.
            if origins.places.contains_key(&own) {
                continue;
            }
            origins.places.insert(own, (parent, key));
            if let Some(content) = content(value) {
                origins.contents.entry(content).or_insert(own);
            }
            match value.view() {
                View::Array(items) => {
                    rest.extend(
                        items.iter().enumerate().map(|(index, item)| (own, Value::from(index), item)),
                    );
                }
                View::Object(object) => {
                    rest.extend(object.iter().map(|(key, item)| (own, key.clone(), item)));
                }
                _ => {}
            }
        }
        origins
    }

    fn path(&self, value: &Value) -> Option<Vec<Value>> {
        let own = address(value);
        let is_known = self.places.contains_key(&own);
        let mut at = if is_known { own } else { *self.contents.get(&content(value)?)? };
        let mut path = Vec::new();
        while at != ROOT {
            let (parent, key) = self.places.get(&at)?;
            path.push(key.clone());
            at = *parent;
        }
        path.reverse();
        Some(path)
    }
}

impl<'p> Recorder<'p> {
    pub(super) fn new(form: &'p NormalForm, entries: &[(Value, Value)]) -> Self {
        Self {
            form,
            origins: Origins::of(entries),
            events: Vec::new(),
            frames: Vec::new(),
            inside: 0,
            found: BTreeMap::new(),
            missed: BTreeMap::new(),
            kept: 0,
            is_cut: false,
        }
    }

    fn add(&mut self, event: Event) {
        if self.events.len() >= MOST_EVENTS {
            self.is_cut = true;
        } else {
            self.events.push(event);
        }
    }

    /// That `object.get` read a part of the input. Its default tells nothing of that.
    fn looked_up(&mut self, args: &[&Value]) -> bool {
        let [object, key, _] = args else { return false };
        let Some(mut path) = self.origins.path(object) else { return false };
        let keys: Vec<&Value> = match key.view() {
            View::Array(keys) => keys.iter().collect(),
            _ => vec![key],
        };
        let mut value = Some(*object);
        for key in keys {
            value = value.and_then(|value| crate::collections::get(value, key));
            path.push(key.clone());
        }
        self.add(Event::Fact(Fact::Read { path, value: value.cloned() }));
        true
    }

    /// What happened since some position.
    fn since(&mut self, at: usize) -> Option<Vec<Event>> {
        let events = self.events.get(at..).unwrap_or_default();
        if self.kept + events.len() > MOST_EVENTS {
            self.is_cut = true;
            return None;
        }
        self.kept += events.len();
        Some(events.to_vec())
    }

    /// How many statements of the body that is being run were reached.
    fn progress(&self, at: usize) -> usize {
        let mut depth = 0_usize;
        let mut reached = 0;
        for event in self.events.get(at..).unwrap_or_default() {
            match event {
                Event::Begin(..) | Event::Inner => depth += 1,
                Event::End | Event::InnerEnd => depth = depth.saturating_sub(1),
                Event::Statement(_) if depth == 0 => reached += 1,
                _ => {}
            }
        }
        reached
    }

    /// Why a document is what it is, after the evaluation.
    pub(super) fn reasons(&self, path: &[Value]) -> Reasons {
        let mut reasons = Reasons { is_cut: self.is_cut, ..Reasons::default() };
        let Some(group) = self.form.groups.iter().position(|group| *group.path == *path) else {
            return reasons;
        };
        for found in self.found.get(&group).into_iter().flatten() {
            if let Some(step) = self.steps(&found.events, 0).into_iter().next() {
                reasons.found.push(Derivation { element: found.element.clone(), step });
            }
        }
        reasons.missed = self.misses(group, 0);
        reasons
    }

    /// The bodies of a document that came near.
    fn misses(&self, group: GroupId, depth: usize) -> Vec<RuleStep> {
        let own = self.missed.iter().filter(|((of, ..), _)| *of == group);
        let steps = own.filter_map(|((_, module, span), (_, events))| {
            let mut whole = vec![Event::Begin(group, *module, *span, false)];
            whole.extend(events.iter().cloned());
            whole.push(Event::End);
            self.steps(&whole, depth).into_iter().next()
        });
        steps.collect()
    }

    /// The bodies that events are about.
    fn steps(&self, events: &[Event], depth: usize) -> Vec<RuleStep> {
        let mut reader = Reader { recorder: self, events, at: 0, depth };
        let mut steps = Vec::new();
        while reader.at < events.len() {
            match reader.next() {
                Some(Event::Begin(group, module, span, holds)) => {
                    steps.push(reader.body(group, module, span, holds));
                }
                Some(_) => {}
                None => break,
            }
        }
        steps
    }
}

/// How deep rules are told that ask rules.
const DEEPEST: usize = 16;

struct Reader<'r> {
    recorder: &'r Recorder<'r>,
    events: &'r [Event],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<Event> {
        let event = self.events.get(self.at).cloned();
        self.at += 1;
        event
    }

    /// A body, up to its end.
    fn body(&mut self, group: GroupId, module: usize, span: Span, holds: bool) -> RuleStep {
        let mut conditions: Vec<ConditionStep> = Vec::new();
        self.depth += 1;
        // What comes before the first statement is of no condition.
        let mut before = ConditionStep { span, holds: true, facts: Vec::new(), rules: Vec::new() };
        while let Some(event) = self.next() {
            match event {
                Event::End => break,
                Event::Statement(span) => match conditions.iter_mut().find(|known| known.span == span) {
                    // It goes on where it was interrupted.
                    Some(_) => {
                        if let Some(position) = conditions.iter().position(|known| known.span == span) {
                            let known = conditions.remove(position);
                            conditions.push(known);
                        }
                    }
                    None => {
                        conditions.push(ConditionStep {
                            span,
                            holds: true,
                            facts: Vec::new(),
                            rules: Vec::new(),
                        });
                    }
                },
                event => {
                    let mut current = conditions.pop();
                    self.inside(event, current.as_mut().unwrap_or(&mut before));
                    conditions.extend(current);
                }
            }
        }
        self.depth -= 1;
        if !holds && let Some(last) = conditions.last_mut() {
            last.holds = false;
        }
        let path = self.recorder.form.groups.get(group).map(|group| group.path.to_vec()).unwrap_or_default();
        let head =
            before.rules.into_iter().fold(before.facts, |facts, rule| [facts, rule.all_facts()].concat());
        RuleStep { path, module, span, holds, is_inside: false, conditions, head }
    }

    /// Something that belongs to a statement.
    fn inside(&mut self, event: Event, condition: &mut ConditionStep) {
        match event {
            Event::Fact(fact) if !condition.facts.contains(&fact) => condition.facts.push(fact),
            Event::Fact(_) | Event::Statement(_) | Event::End | Event::InnerEnd | Event::Picked(_) => {}
            Event::Begin(group, module, span, holds) => {
                let step = self.body(group, module, span, holds);
                if holds {
                    condition.rules.retain(|known| known.holds || known.path != step.path);
                    condition.rules.push(step);
                } else if !condition.rules.iter().any(|known| known.path == step.path && known.holds) {
                    condition.rules.push(step);
                }
            }
            Event::Inner => {
                let mut inner =
                    ConditionStep { span: condition.span, holds: true, facts: Vec::new(), rules: Vec::new() };
                while let Some(event) = self.next() {
                    if matches!(event, Event::InnerEnd) {
                        break;
                    }
                    self.inside(event, &mut inner);
                }
                for rule in &mut inner.rules {
                    rule.is_inside = true;
                }
                condition.rules.extend(inner.rules);
                inner.facts.retain(|fact| !condition.facts.contains(fact));
                condition.facts.extend(inner.facts);
            }
            Event::Asked(group) => self.asked(group, condition),
        }
    }

    /// A document that was asked for: how the element came about that was taken, or else why there is none.
    fn asked(&mut self, group: GroupId, condition: &mut ConditionStep) {
        if self.depth > DEEPEST {
            return;
        }
        let known = self.recorder.found.get(&group).map(Vec::as_slice).unwrap_or_default();
        let picked = self.events.get(self.at..).unwrap_or_default().iter();
        let picked = picked
            .take_while(|event| !matches!(event, Event::Statement(_) | Event::Asked(_)))
            .find_map(|event| match event {
                Event::Picked(value) => Some(value),
                _ => None,
            });
        let is_set = self.recorder.form.groups.get(group).is_some_and(|group| {
            matches!(group.kind, crate::normal_form::GroupKind::Set | crate::normal_form::GroupKind::Object)
        });
        let found = match picked {
            Some(picked) if is_set => known.iter().find(|found| found.element == *picked),
            _ => known.first(),
        };
        match found {
            Some(found) => condition.rules.extend(self.recorder.steps(&found.events, self.depth)),
            None if known.is_empty() => condition.rules.extend(self.recorder.misses(group, self.depth + 1)),
            None => {}
        }
    }
}

const fn symbol(operator: Comparison) -> &'static str {
    match operator {
        Comparison::Equal => "==",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

impl<'v> Tracer<'v> for Recorder<'_> {
    const RECORDS: bool = true;

    fn reach(&mut self, mark: usize) {
        use crate::normal_form::MarkKind;
        let Some(mark) = self.form.marks.get(mark) else { return };
        if mark.kind == MarkKind::Statement {
            self.add(Event::Statement(mark.span));
        }
    }

    fn fail(&mut self, _module: usize, _span: Span) {
        let Some(frame) = self.frames.last() else { return };
        if self.inside != frame.inside {
            return;
        }
        let (key, at) = ((frame.group, frame.module, frame.span), frame.at);
        let progress = self.progress(at);
        if progress == 0 || self.missed.get(&key).is_some_and(|(known, _)| *known >= progress) {
            return;
        }
        if let Some(events) = self.since(at) {
            self.missed.insert(key, (progress, events));
        }
    }

    fn enter(&mut self, _module: usize, _span: Span) {
        self.inside += 1;
        self.add(Event::Inner);
    }

    fn leave(&mut self) {
        self.inside = self.inside.saturating_sub(1);
        // The list has to stay in pairs.
        self.events.push(Event::InnerEnd);
    }

    fn position(&self) -> usize {
        self.events.len()
    }

    fn back_to(&mut self, position: usize) {
        // Why nothing holds is shown by all that was tried.
        if self.inside == 0 {
            self.events.truncate(position);
        }
    }

    fn read(&mut self, base: Option<&'v Value>, keys: &[&Value], found: Option<&'v Value>) {
        let path = match base {
            None => Some(Vec::new()),
            Some(base) => self.origins.path(base),
        };
        if let Some(mut path) = path {
            path.extend(keys.iter().map(|key| (*key).clone()));
            self.add(Event::Fact(Fact::Read { path, value: found.cloned() }));
        } else if let Some(found) = found {
            self.add(Event::Picked(found.clone()));
        }
    }

    fn pick(&mut self, element: &'v Value) {
        self.add(Event::Picked(element.clone()));
        if let Some(path) = self.origins.path(element) {
            self.add(Event::Fact(Fact::Read { path, value: Some(element.clone()) }));
        }
    }

    fn compare(&mut self, operator: Comparison, left: &'v Value, right: &'v Value, holds: bool) {
        let (left, right) = (left.clone(), right.clone());
        self.add(Event::Fact(Fact::Compared { operator: symbol(operator), left, right, holds }));
    }

    fn call(&mut self, name: &'static str, args: &[&'v Value], answer: Option<&'v Value>) {
        if name == "object.get" && self.looked_up(args) {
            return;
        }
        let is_telling = answer.is_none_or(|answer| matches!(answer.view(), View::Bool(_)));
        if is_telling {
            let args = args.iter().map(|arg| (*arg).clone()).collect();
            self.add(Event::Fact(Fact::Called { name, args, answer: answer.cloned() }));
        }
    }

    fn asked(&mut self, group: GroupId) {
        self.add(Event::Asked(group));
    }

    fn begin(&mut self, group: GroupId, module: usize, span: Span) -> usize {
        let at = self.events.len();
        self.events.push(Event::Begin(group, module, span, false));
        self.frames.push(Frame { group, module, span, at: at + 1, inside: self.inside });
        at
    }

    fn answered(&mut self, at: usize, element: &'v Value) {
        let Some(frame) = self.frames.last() else { return };
        let (group, module, span) = (frame.group, frame.module, frame.span);
        let Some(mut events) = self.since(at + 1) else { return };
        events.insert(0, Event::Begin(group, module, span, true));
        events.push(Event::End);
        self.found.entry(group).or_default().push(Found { element: element.clone(), events });
    }

    fn end(&mut self, at: usize, is_document: bool, before: usize) {
        let Some(frame) = self.frames.pop() else { return };
        if is_document {
            // How its elements came about is kept apart.
            self.events.truncate(at);
            return;
        }
        // The first answer of a function is what its caller goes on with.
        let answers = self.found.get_mut(&frame.group);
        let own = answers.map(|answers| answers.split_off(before.min(answers.len()))).unwrap_or_default();
        match own.into_iter().next() {
            Some(found) => {
                self.events.truncate(at);
                self.kept = self.kept.saturating_sub(found.events.len());
                self.events.extend(found.events);
            }
            None => self.events.push(Event::End),
        }
    }

    fn answers(&self, group: GroupId) -> usize {
        self.found.get(&group).map_or(0, Vec::len)
    }
}

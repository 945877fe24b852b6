//! Expressions as steps that are evaluated: what is constant is worked out, names are resolved to what they mean,
//! and what is selected one after the other is one step, as in the API server, where costs follow these steps. `shapes.rs` knows
//! what most folds are, `invariants.rs` what is the same at each of their turns.

mod invariants;
mod shapes;

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_value::{Budget, Limits};
use smallvec::smallvec;

use crate::activation::Variables;
use crate::ast::{Ast, ExprId, Fold, Kind};
use crate::call::{self, Context, Patterns, Written};
use crate::check::{Checked, Reference};
use crate::cost::{Rule, rule};
use crate::diagnostic::{Diagnostic, DiagnosticKind};
use crate::environment::{Environment, Message, NULL_VALUE, is_patch_type, named_type};
use crate::error::Fault;
use crate::functions::{Declaration, Function};
use crate::types::Type;
use crate::value::{AsKey, CelValue, Entries, Key, Map};

pub(crate) use shapes::Shape;

/// The place of a step.
pub(crate) type StepId = u32;

/// The part of what nobody asks about when costs are reckoned, so that it need not be remembered.
pub(crate) const NOT_ASKED: u32 = u32::MAX;

/// What is made of fields.
#[derive(Clone, Debug)]
pub(crate) enum Made {
    /// A message of protobuf, which becomes a plain value.
    Message(Message),
    /// A value of a type for patches, by its name.
    Patch(Arc<str>),
}

#[derive(Debug)]
pub(crate) struct Step {
    /// The part of the expression that it stands for when costs are reckoned.
    pub part: u32,
    pub at: u32,
    /// Where its value is kept, if it is the same at each turn of a fold around it, or [`NOT_KEPT`].
    pub kept: u32,
    pub action: Action,
}

/// The place of what is not kept.
pub(crate) const NOT_KEPT: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) enum Action {
    Const(CelValue),
    Attribute {
        attribute: Attribute,
        test_only: bool,
    },
    Logical {
        is_or: bool,
        terms: [StepId; 2],
    },
    Equal {
        negated: bool,
        terms: [StepId; 2],
    },
    Call(Call),
    /// Whether a value is one of constants.
    Member {
        value: StepId,
        of: BTreeSet<Key>,
    },
    /// The value of the first if there is one, otherwise the second.
    Or {
        first: StepId,
        second: StepId,
        unwraps: bool,
    },
    List(Vec<(StepId, bool)>),
    Map(Vec<(StepId, StepId, bool)>),
    Message {
        message: Made,
        fields: Vec<(Arc<str>, StepId, bool)>,
    },
    Fold(FoldStep),
}

#[derive(Debug)]
pub(crate) struct Call {
    pub declaration: &'static Declaration,
    pub overload: Option<usize>,
    pub args: Vec<StepId>,
    /// Whether arguments after one that is an error are left out.
    pub stops: bool,
    pub rule: Rule,
    /// Whether the first argument is an accumulator that nobody else reads any more.
    pub takes: bool,
    /// Whether the types of arguments are looked at before it is called.
    pub is_guarded: bool,
}

#[derive(Debug)]
pub(crate) struct FoldStep {
    pub slot: usize,
    pub has_two: bool,
    pub range: StepId,
    pub condition: StepId,
    pub step: StepId,
    pub result: StepId,
    pub shape: Shape,
}

/// Something that is read, and what is selected of it.
#[derive(Debug)]
pub(crate) struct Attribute {
    pub root: Root,
    pub part: u32,
    pub qualifiers: Vec<Qualifier>,
}

#[derive(Debug)]
pub(crate) enum Root {
    /// The variable of a name, and which of those of the expression it is.
    Variable(Arc<str>, usize),
    Accumulator(usize),
    /// The accumulator of a fold, as what the fold goes on with: nobody looks at it.
    Passed(usize),
    First(usize),
    Second(usize),
    Step(StepId),
    Conditional(Box<(StepId, Attribute, Attribute)>),
}

#[derive(Clone, Debug)]
pub(crate) struct Qualifier {
    /// Of a field of a variable that has a type with fields: which of them it is.
    pub place: Option<u32>,
    pub part: u32,
    pub at: u32,
    pub by: By,
    pub optional: bool,
    pub test_only: bool,
}

/// What is selected.
#[derive(Clone, Debug)]
pub(crate) enum By {
    Key(CelValue),
    /// What something else is worth.
    Attribute(Arc<Attribute>),
    Step(StepId),
}

impl Attribute {
    /// The part by which it is known when costs are reckoned.
    pub(crate) fn last_part(&self) -> u32 {
        if let Root::Conditional(parts) = &self.root {
            let (one, other) = (parts.1.last_part(), parts.2.last_part());
            return if one == other { one } else { self.part };
        }
        self.qualifiers.last().map_or(self.part, |last| last.part)
    }

    /// Whether the API server finds its value as Go has it, and not as one of CEL's: of variables, but for those that are
    /// expressions, and not of what folds go over. Of a choice, as one of its parts does.
    pub(crate) fn is_native(&self) -> bool {
        match &self.root {
            Root::Conditional(parts) => parts.1.is_native() || parts.2.is_native(),
            Root::Variable(..) => self.qualifiers.first().is_none_or(|first| first.place.is_none()),
            Root::Accumulator(_) | Root::Passed(_) | Root::First(_) | Root::Second(_) | Root::Step(_) => {
                false
            }
        }
    }

    /// Shows its qualifiers, but for those of what is selected by.
    fn each_qualifier(&mut self, show: &mut dyn FnMut(&mut Qualifier)) {
        if let Root::Conditional(parts) = &mut self.root {
            parts.1.each_qualifier(show);
            parts.2.each_qualifier(show);
        }
        self.qualifiers.iter_mut().for_each(show);
    }

    /// How many attributes one stands for.
    fn leaves(&self) -> usize {
        match &self.root {
            Root::Conditional(parts) => parts.1.leaves() + parts.2.leaves(),
            _ => 1,
        }
    }

    fn select(&mut self, qualifier: &Qualifier) {
        if let Root::Conditional(parts) = &mut self.root {
            parts.1.select(qualifier);
            parts.2.select(qualifier);
        } else {
            self.qualifiers.push(qualifier.clone());
        }
    }
}

/// An expression, ready to be evaluated.
#[derive(Debug)]
pub(crate) struct Plan {
    pub steps: Vec<Step>,
    pub root: StepId,
    /// What the accumulators of folds are in the beginning.
    pub accumulators: Vec<StepId>,
    /// How many variables the expression reads.
    pub variables: usize,
    /// How many steps have values that are kept.
    pub kept: usize,
    /// How many parts the expression has.
    pub parts: usize,
    pub patterns: Written,
}

static NOTHING: Step = Step { part: 0, at: 0, kept: NOT_KEPT, action: Action::Const(CelValue::Null) };

impl Plan {
    pub(crate) fn step(&self, id: StepId) -> &Step {
        self.steps.get(id as usize).unwrap_or(&NOTHING)
    }
}

/// Plans an expression, or says which constant parts of it can have no value.
pub(crate) fn plan(ast: &Ast, checked: &Checked, environment: &Environment) -> Result<Plan, Vec<Diagnostic>> {
    let mut planner = Planner {
        environment,
        ast,
        checked,
        steps: Vec::new(),
        scopes: Vec::new(),
        accumulators: Vec::new(),
        variables: Vec::new(),
        patterns: Written::new(),
        diagnostics: Vec::new(),
        budget: Budget::new(Limits::default(), None),
        known: Patterns::default(),
    };
    let root = planner.plan(ast.root);
    if !planner.diagnostics.is_empty() {
        return Err(planner.diagnostics);
    }
    let mut plan = Plan {
        steps: planner.steps,
        root,
        accumulators: planner.accumulators,
        variables: planner.variables.len(),
        kept: 0,
        parts: ast.nodes.len(),
        patterns: planner.patterns,
    };
    let mut asked: Vec<u32> = Vec::new();
    for step in &plan.steps {
        asked_by(&plan, step, &mut asked);
    }
    let mut is_asked = vec![false; ast.nodes.len()];
    for part in asked {
        if let Some(place) = is_asked.get_mut(part as usize) {
            *place = true;
        }
    }
    let forget = |part: &mut u32| {
        if !is_asked.get(*part as usize).copied().unwrap_or(false) {
            *part = NOT_ASKED;
        }
    };
    for step in &mut plan.steps {
        forget(&mut step.part);
        if let Action::Attribute { attribute, .. } = &mut step.action {
            attribute.each_qualifier(&mut |qualifier| forget(&mut qualifier.part));
        }
    }
    invariants::mark(&mut plan);
    Ok(plan)
}

/// Attributes that were looked at. What is selected of a choice by another attribute is selected of both sides by the same
/// one: choices in each other would be looked at twice as often at each level.
#[derive(Debug, Default)]
pub(crate) struct Seen(BTreeSet<usize>);

impl Seen {
    /// Whether it is the first time, from now on.
    pub(crate) fn is_new(&mut self, attribute: &Arc<Attribute>) -> bool {
        self.0.insert(Arc::as_ptr(attribute).addr())
    }
}

/// The parts that a step takes off the stack of costs.
fn asked_by(plan: &Plan, step: &Step, asked: &mut Vec<u32>) {
    let part = |id: &StepId| plan.step(*id).part;
    match &step.action {
        Action::Const(_) | Action::Member { .. } | Action::Or { .. } => {}
        Action::Attribute { attribute, .. } => {
            asked_by_attribute(plan, attribute, asked, &mut Seen::default());
        }
        Action::Logical { terms, .. } | Action::Equal { terms, .. } => asked.extend(terms.iter().map(part)),
        Action::Call(call) => asked.extend(call.args.iter().map(part)),
        Action::List(items) => asked.extend(items.iter().map(|(item, _)| part(item))),
        Action::Map(entries) => {
            asked.extend(entries.iter().flat_map(|(key, value, _)| [part(key), part(value)]));
        }
        Action::Message { fields, .. } => asked.extend(fields.iter().map(|(_, value, _)| part(value))),
        Action::Fold(fold) => asked.push(part(&fold.range)),
    }
}

fn asked_by_attribute(plan: &Plan, attribute: &Attribute, asked: &mut Vec<u32>, seen: &mut Seen) {
    asked.push(attribute.last_part());
    if let Root::Conditional(parts) = &attribute.root {
        asked.push(plan.step(parts.0).part);
        for branch in [&parts.1, &parts.2] {
            asked_by_attribute(plan, branch, asked, seen);
        }
    }
    for qualifier in &attribute.qualifiers {
        match &qualifier.by {
            By::Attribute(inner) if seen.is_new(inner) => asked_by_attribute(plan, inner, asked, seen),
            By::Key(_) | By::Attribute(_) => {}
            By::Step(_) => asked.push(qualifier.part),
        }
    }
}

/// A variable of a fold.
enum Local {
    Accumulator(usize),
    First(usize),
    Second(usize),
}

struct Planner<'a> {
    environment: &'a Environment,
    ast: &'a Ast,
    checked: &'a Checked,
    steps: Vec<Step>,
    /// The innermost last.
    scopes: Vec<(Arc<str>, Local)>,
    accumulators: Vec<StepId>,
    variables: Vec<Arc<str>>,
    patterns: Written,
    diagnostics: Vec<Diagnostic>,
    budget: Budget<'static>,
    known: Patterns<'static>,
}

impl Planner<'_> {
    fn add(&mut self, part: u32, at: u32, action: Action) -> StepId {
        let id = StepId::try_from(self.steps.len()).unwrap_or(StepId::MAX);
        self.steps.push(Step { part, at, kept: NOT_KEPT, action });
        id
    }

    fn constant(&mut self, id: ExprId, value: CelValue) -> StepId {
        self.add(id, self.ast.node(id).at, Action::Const(value))
    }

    fn attribute(&mut self, id: ExprId, root: Root) -> StepId {
        let attribute = Attribute { root, part: id, qualifiers: Vec::new() };
        self.add(id, self.ast.node(id).at, Action::Attribute { attribute, test_only: false })
    }

    fn refuse(&mut self, id: ExprId, fault: Fault) -> StepId {
        let at = self.ast.node(id).at;
        let kind = if fault.is_absorbable() { DiagnosticKind::Constant } else { DiagnosticKind::Limit };
        // What is left of a limit is not told again.
        if kind != DiagnosticKind::Limit || self.diagnostics.iter().all(|known| known.kind != kind) {
            self.diagnostics.push(Diagnostic::new(kind, at, fault.told().message));
        }
        self.constant(id, CelValue::Null)
    }

    fn value_of(&self, step: StepId) -> Option<&CelValue> {
        match self.steps.get(step as usize).map(|step| &step.action) {
            Some(Action::Const(value)) => Some(value),
            _ => None,
        }
    }

    fn plan(&mut self, id: ExprId) -> StepId {
        let ast = self.ast;
        if let Some(Reference::Ident(name)) = self.checked.reference(id)
            && !matches!(ast.node(id).kind, Kind::Struct { .. })
        {
            return self.ident(id, &name.clone());
        }
        match &ast.node(id).kind {
            Kind::Error | Kind::Ident(_) => self.constant(id, CelValue::Null),
            Kind::Literal(literal) => self.constant(id, literal.into()),
            Kind::Select { operand, field, test_only } => {
                let operand = self.plan(*operand);
                let by = By::Key(CelValue::from(&**field));
                self.select(id, operand, by, false, *test_only)
            }
            Kind::Call { target, args, .. } => self.call(id, *target, args),
            Kind::List(items) => {
                let items: Vec<(StepId, bool)> =
                    items.iter().map(|item| (self.plan(item.value), item.optional)).collect();
                match self.constant_list(&items) {
                    Some(value) => self.constant(id, value),
                    None => self.add(id, ast.node(id).at, Action::List(items)),
                }
            }
            Kind::Map(entries) => {
                let mut planned = Vec::new();
                for entry in entries {
                    let key = self.plan(entry.key);
                    planned.push((key, self.plan(entry.value), entry.optional));
                }
                match self.constant_map(&planned) {
                    Some(value) => self.constant(id, value),
                    None => self.add(id, ast.node(id).at, Action::Map(planned)),
                }
            }
            Kind::Struct { fields, .. } => {
                let name = match self.checked.reference(id) {
                    Some(Reference::Ident(name)) => name.clone(),
                    _ => "".into(),
                };
                let message = match Message::named(&name) {
                    Some(message) => Made::Message(message),
                    None if is_patch_type(&name) => Made::Patch(name),
                    None => return self.refuse(id, Fault::error(format!("unknown type: {name}"))),
                };
                let fields =
                    fields.iter().map(|field| (field.name.clone(), self.plan(field.value), field.optional));
                let fields = fields.collect();
                self.add(id, ast.node(id).at, Action::Message { message, fields })
            }
            Kind::Fold(fold) => self.fold(id, fold),
        }
    }

    /// A list of constants, or the error that it is: no constant is an optional value.
    fn constant_list(&self, items: &[(StepId, bool)]) -> Option<CelValue> {
        let values = items.iter().map(|(item, _)| self.value_of(*item).cloned());
        let values: Vec<CelValue> = values.collect::<Option<_>>()?;
        let wrong = items.iter().zip(&values).find(|((_, optional), _)| *optional);
        Some(match wrong {
            Some((_, value)) => CelValue::Unreadable(not_optional(value).into()),
            None => CelValue::list(values),
        })
    }

    fn constant_map(&self, entries: &[(StepId, StepId, bool)]) -> Option<CelValue> {
        let mut made = Entries::default();
        let mut wrong = None;
        for (key, value, optional) in entries {
            let (key, value) = (self.value_of(*key)?.clone(), self.value_of(*value)?.clone());
            if *optional && wrong.is_none() {
                let message = no_optional_entry(&key, &value);
                wrong = Some(CelValue::Unreadable(message.into()));
            }
            made.insert(key, value)?;
        }
        Some(wrong.unwrap_or_else(|| CelValue::Map(Map::from(made))))
    }

    fn ident(&mut self, id: ExprId, name: &Arc<str>) -> StepId {
        if &**name == NULL_VALUE {
            return self.constant(id, CelValue::Int(0));
        }
        if let Type::Type(_) = self.checked.ty(id) {
            let is_local = self.scopes.iter().any(|(known, _)| known == name);
            return match named_type(name).filter(|_| !is_local) {
                Some(ty) => self.constant(id, CelValue::Type(ty.runtime_name().into())),
                None => self.refuse(id, Fault::error(format!("reference to undefined type: {name}"))),
            };
        }
        let local = self.scopes.iter().rev().find(|(known, _)| known == name);
        let root = match local.map(|(_, local)| local) {
            Some(Local::Accumulator(slot)) => Root::Accumulator(*slot),
            Some(Local::First(slot)) => Root::First(*slot),
            Some(Local::Second(slot)) => Root::Second(*slot),
            None => Root::Variable(name.clone(), self.variable(name)),
        };
        self.attribute(id, root)
    }

    /// Which of the variables of the expression has a name.
    fn variable(&mut self, name: &Arc<str>) -> usize {
        let known = self.variables.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            self.variables.push(name.clone());
            self.variables.len() - 1
        })
    }

    /// A selection of an operand: one more of it, if it is an attribute already.
    fn select(&mut self, id: ExprId, operand: StepId, by: By, optional: bool, test_only: bool) -> StepId {
        let at = self.ast.node(id).at;
        let mut attribute = self.attribute_of(operand);
        let place = match (&attribute.root, &by) {
            (Root::Variable(name, _), By::Key(CelValue::String(field)))
                if attribute.qualifiers.is_empty() =>
            {
                self.environment.place(name, field.as_str())
            }
            _ => None,
        };
        let qualifier = Qualifier { place, part: id, at, by, optional, test_only };
        // A few selections of a choice between thousands are many thousands.
        if let Err(exceeded) = self.budget.make_items(attribute.leaves()) {
            return self.refuse(id, exceeded.into());
        }
        attribute.select(&qualifier);
        let part = if test_only { id } else { attribute.last_part() };
        self.add(part, at, Action::Attribute { attribute, test_only })
    }

    /// A step as an attribute. One that is none becomes its root.
    fn attribute_of(&mut self, step: StepId) -> Attribute {
        let part = self.steps.get(step as usize).map_or(0, |step| step.part);
        let whole = Attribute { root: Root::Step(step), part, qualifiers: Vec::new() };
        match self.steps.get_mut(step as usize).map(|step| &mut step.action) {
            Some(action @ Action::Attribute { .. }) => {
                match std::mem::replace(action, Action::Const(CelValue::Null)) {
                    Action::Attribute { attribute, .. } => attribute,
                    _ => whole,
                }
            }
            _ => whole,
        }
    }

    fn call(&mut self, id: ExprId, target: Option<ExprId>, args: &[ExprId]) -> StepId {
        let at = self.ast.node(id).at;
        let Some(Reference::Call { declaration, member, overloads }) = self.checked.reference(id).cloned()
        else {
            return self.constant(id, CelValue::Null);
        };
        let target = target.filter(|_| member);
        let args: Vec<StepId> = target.iter().chain(args).map(|arg| self.plan(*arg)).collect();
        match (declaration.function, args.as_slice()) {
            (Function::And | Function::Or, [a, b]) => {
                let is_or = declaration.function == Function::Or;
                self.add(id, at, Action::Logical { is_or, terms: [*a, *b] })
            }
            (Function::Equals | Function::NotEquals, [a, b]) => {
                let negated = declaration.function == Function::NotEquals;
                self.add(id, at, Action::Equal { negated, terms: [*a, *b] })
            }
            (Function::Conditional, [condition, one, other]) => {
                let (one, other) = (self.attribute_of(*one), self.attribute_of(*other));
                let root = Root::Conditional(Box::new((*condition, one, other)));
                let step = self.attribute(id, root);
                let part = match self.steps.get(step as usize).map(|step| &step.action) {
                    Some(Action::Attribute { attribute, .. }) => attribute.last_part(),
                    _ => id,
                };
                if let Some(step) = self.steps.get_mut(step as usize) {
                    step.part = part;
                }
                step
            }
            (Function::Index, [operand, index]) => self.index(id, *operand, *index, false),
            (Function::OptIndex | Function::OptSelect, [operand, index]) => {
                self.index(id, *operand, *index, true)
            }
            (Function::OptionalOr | Function::OptionalOrValue, [first, second]) => {
                let unwraps = declaration.function == Function::OptionalOrValue;
                self.add(id, at, Action::Or { first: *first, second: *second, unwraps })
            }
            _ => self.function(id, declaration, &overloads, args),
        }
    }

    fn index(&mut self, id: ExprId, operand: StepId, index: StepId, optional: bool) -> StepId {
        let by = match self.steps.get(index as usize).map(|step| &step.action) {
            Some(Action::Const(value)) => {
                if !is_key(value) {
                    let message = format!("invalid qualifier type: {}", value.go_type());
                    return self.refuse(id, Fault::error(message));
                }
                By::Key(value.clone())
            }
            Some(Action::Attribute { .. }) => By::Attribute(Arc::new(self.attribute_of(index))),
            _ => By::Step(index),
        };
        self.select(id, operand, by, optional, false)
    }

    fn function(
        &mut self,
        id: ExprId,
        declaration: &'static Declaration,
        overloads: &[usize],
        args: Vec<StepId>,
    ) -> StepId {
        let at = self.ast.node(id).at;
        let function = declaration.function;
        let overload = if let [one] = overloads { Some(*one) } else { None };
        let name = overload.and_then(|place| declaration.overloads.get(place)).map(|overload| overload.id);
        if name == Some("in_list")
            && let [value, list] = args.as_slice()
            && let Some(CelValue::List(list)) = self.value_of(*list)
        {
            if list.is_empty() {
                return self.constant(id, CelValue::Bool(false));
            }
            if let Some(of) = constants(list.iter()) {
                return self.add(id, at, Action::Member { value: *value, of });
            }
        }
        if is_conversion(function)
            && let [arg] = args.as_slice()
            && let Some(value) = self.value_of(*arg).cloned()
        {
            if let Err(fault) = value.opened() {
                return self.refuse(id, fault);
            }
            let nobody = Variables::default();
            let mut context =
                Context { budget: &mut self.budget, patterns: &mut self.known, activation: &nobody };
            return match call::call(&mut context, declaration, overload, true, smallvec![value]) {
                Ok(value) => self.constant(id, value),
                Err(fault) => self.refuse(id, fault),
            };
        }
        let mut is_guarded = true;
        let mut stops = args.len() > 2
            || !declaration.singleton && overload.is_none() && declaration.overloads.len() > 1
            || function == Function::Format;
        if matches!(function, Function::Matches | Function::Find | Function::FindAll)
            && let Some(CelValue::String(text)) = args.get(1).and_then(|arg| self.value_of(*arg))
        {
            let text = text.as_str().to_owned();
            match call::compile(&text) {
                Ok(pattern) => {
                    self.patterns.insert(text, Arc::new(pattern));
                }
                Err(fault) => return self.refuse(id, fault),
            }
            stops = true;
            is_guarded = false;
        }
        let rule = rule(function, name);
        self.add(
            id,
            at,
            Action::Call(Call { declaration, overload, args, stops, rule, takes: false, is_guarded }),
        )
    }

    fn fold(&mut self, id: ExprId, fold: &Fold) -> StepId {
        let init = self.plan(fold.init);
        let range = self.plan(fold.range);
        let slot = self.accumulators.len();
        self.accumulators.push(init);
        let outer = self.scopes.len();
        self.scopes.push((fold.accu.clone(), Local::Accumulator(slot)));
        let inner = self.scopes.len();
        self.scopes.push((fold.iter.clone(), Local::First(slot)));
        if let Some(second) = &fold.iter2 {
            self.scopes.push((second.clone(), Local::Second(slot)));
        }
        let condition = self.plan(fold.condition);
        let step = self.plan(fold.step);
        self.scopes.truncate(inner);
        let result = self.plan(fold.result);
        self.scopes.truncate(outer);
        self.take_accumulator(step, slot);
        let has_two = fold.iter2.is_some();
        let shape = Shape::Other;
        let mut fold = FoldStep { slot, has_two, range, condition, step, result, shape };
        fold.shape = shapes::shape_of(&self.steps, &fold, init);
        self.pass_accumulator(step, slot);
        self.add(id, self.ast.node(id).at, Action::Fold(fold))
    }

    /// Where a fold leaves its accumulator as it is, nobody else gets to have it.
    fn pass_accumulator(&mut self, step: StepId, slot: usize) {
        if let Some(Action::Attribute { attribute, .. }) =
            self.steps.get_mut(step as usize).map(|step| &mut step.action)
            && attribute.qualifiers.is_empty()
            && let Root::Conditional(parts) = &mut attribute.root
            && matches!(parts.2.root, Root::Accumulator(known) if known == slot)
            && parts.2.qualifiers.is_empty()
        {
            parts.2.root = Root::Passed(slot);
        }
    }

    /// Where a fold adds to its accumulator, it may change it in its place: what it was before is not read again.
    fn take_accumulator(&mut self, step: StepId, slot: usize) {
        let mut adding = step;
        if let Some(Action::Attribute { attribute, .. }) =
            self.steps.get(step as usize).map(|step| &step.action)
            && let Root::Conditional(parts) = &attribute.root
            && let Root::Step(inner) = &parts.1.root
            && attribute.qualifiers.is_empty()
            && parts.1.qualifiers.is_empty()
        {
            adding = *inner;
        }
        let Some(Action::Call(call)) = self.steps.get(adding as usize).map(|step| &step.action) else {
            return;
        };
        let first =
            call.args.first().and_then(|first| self.steps.get(*first as usize)).map(|step| &step.action);
        let is_ours = matches!(
            first,
            Some(Action::Attribute { attribute: Attribute { root: Root::Accumulator(known), qualifiers, .. }, .. })
                if *known == slot && qualifiers.is_empty()
        );
        let adds = matches!(call.declaration.function, Function::Add | Function::MapInsert);
        if let Some(Action::Call(call)) = self.steps.get_mut(adding as usize).map(|step| &mut step.action) {
            call.takes = is_ours && adds;
        }
    }
}

/// The message for an optional element that is none.
pub(crate) fn not_optional(value: &CelValue) -> String {
    format!("cannot initialize optional list element from non-optional value {value}")
}

/// The message for an optional entry or field that is none.
pub(crate) fn no_optional_entry(name: &dyn std::fmt::Display, value: &CelValue) -> String {
    format!("cannot initialize optional entry '{name}' from non-optional value {value}")
}

/// Whether a value may be what is selected.
pub(crate) const fn is_key(value: &CelValue) -> bool {
    matches!(
        value,
        CelValue::String(_) | CelValue::Int(_) | CelValue::Uint(_) | CelValue::Bool(_) | CelValue::Double(_)
    )
}

const fn is_conversion(function: Function) -> bool {
    matches!(
        function,
        Function::Bool
            | Function::Bytes
            | Function::Double
            | Function::Duration
            | Function::Dyn
            | Function::Int
            | Function::String
            | Function::Timestamp
            | Function::Type
            | Function::Uint
    )
}

fn key(value: &CelValue) -> Option<Key> {
    if let AsKey::Is(key) = Key::of(value) { Some(key) } else { None }
}

/// Constants as keys, with those of other types of number that are worth the same.
#[expect(clippy::cast_precision_loss, reason = "as the API server compares")]
fn constants(items: impl Iterator<Item = CelValue>) -> Option<BTreeSet<Key>> {
    let mut keys = BTreeSet::new();
    for item in items {
        match &item {
            CelValue::Int(value) => keys.extend(key(&CelValue::Double(*value as f64))),
            CelValue::Uint(value) => keys.extend(key(&CelValue::Double(*value as f64))),
            CelValue::Bool(_) | CelValue::Double(_) | CelValue::String(_) => {}
            _ => return None,
        }
        keys.extend(key(&item).into_iter().flat_map(Key::with_equals));
    }
    Some(keys)
}

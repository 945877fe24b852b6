//! The model: a small part of Rego written down as plainly as can be, over the syntax tree. Slow on purpose.
//!
//! An expression has any number of answers, each with the variables it binds; none is undefined. A body is
//! all ways through its statements, one after the other, in the order they are written. Nothing is
//! remembered, reordered or skipped. It knows what `generate` writes: locals that are bound before they are
//! used, rules that ask only rules before them.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use portcullis_rego_syntax::Module;
use portcullis_rego_syntax::ast::{
    Binary, BinaryOp, Body, Clause, ComprehensionHead, Expr, ExprKind, RefArg, RefArgKind, Rule, RuleKind,
    Statement, StatementKind,
};
use portcullis_value::{Value, View};

/// Why the model has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A rule, function or object has two values.
    Conflict,
    /// It takes the model too long.
    Fuel,
}

type Locals = BTreeMap<String, Value>;
/// The answers of an expression, each with the variables as they are then.
type Answers = Result<Vec<(Value, Locals)>, Stop>;

pub struct Model<'m> {
    module: &'m Module,
    input: Value,
    fuel: &'m Cell<u32>,
}

impl<'m> Model<'m> {
    pub fn new(module: &'m Module, input: Value, fuel: &'m Cell<u32>) -> Self {
        Self { module, input, fuel }
    }

    /// The package as an object: every rule that has a value.
    pub fn package(&self) -> Result<Value, Stop> {
        let mut package = BTreeMap::new();
        for rule in self.module.rules.iter().filter(|rule| rule.kind() != RuleKind::Function) {
            if let Some(value) = self.rule(rule.name())? {
                package.insert(Value::from(rule.name()), value);
            }
        }
        Ok(Value::from(package))
    }

    fn burn(&self) -> Result<(), Stop> {
        let left = self.fuel.get().checked_sub(1).ok_or(Stop::Fuel)?;
        self.fuel.set(left);
        Ok(())
    }

    fn rule(&self, name: &str) -> Result<Option<Value>, Stop> {
        let rules: Vec<&Rule> = self.module.rules_named(name).collect();
        // A constant step in a head (`r["x"] := 1`) makes no other document than a computed one.
        let kind_of = |rule: &&Rule| match rule.kind() {
            RuleKind::Complete if !rule.head.path.is_empty() => RuleKind::PartialObject,
            kind => kind,
        };
        let kind = rules.iter().map(kind_of).find(|kind| *kind != RuleKind::Complete);
        match kind {
            Some(RuleKind::PartialSet) => {
                let mut set = BTreeSet::new();
                for rule in rules {
                    let key = rule.head.key.as_ref().expect("a set has a key");
                    for locals in self.heads(rule)? {
                        set.extend(self.expr(key, &locals)?.into_iter().map(|(value, _)| value));
                    }
                }
                Ok(Some(Value::from(set)))
            }
            Some(RuleKind::PartialObject) => {
                let mut object = BTreeMap::new();
                for rule in rules {
                    let key = rule.head.path[0].bracket().expect("an object has a key");
                    let value = &rule.head.value.as_ref().expect("and a value").expr;
                    for locals in self.heads(rule)? {
                        for (key, locals) in self.expr(key, &locals)? {
                            for (value, _) in self.expr(value, &locals)? {
                                insert(&mut object, key.clone(), value)?;
                            }
                        }
                    }
                }
                Ok(Some(Value::from(object)))
            }
            _ => self.complete(&rules, &[]),
        }
    }

    /// The variables of every way through the bodies of a partial rule.
    fn heads(&self, rule: &Rule) -> Result<Vec<Locals>, Stop> {
        if rule.clauses.is_empty() {
            return Ok(vec![Locals::new()]);
        }
        let mut found = Vec::new();
        for clause in &rule.clauses {
            found.extend(self.body(&clause.body, &Locals::new())?);
        }
        Ok(found)
    }

    /// The value of a rule, or of a function for arguments: that of all definitions, which agree.
    fn complete(&self, rules: &[&Rule], args: &[Value]) -> Result<Option<Value>, Stop> {
        let mut values = BTreeSet::new();
        for rule in rules.iter().filter(|rule| !rule.is_default) {
            let mut locals = vec![Locals::new()];
            for (param, arg) in rule.head.params.iter().flatten().zip(args) {
                let mut bound = Vec::new();
                for locals in locals {
                    bound.extend(self.unify(param, arg, &locals)?);
                }
                locals = bound;
            }
            for locals in locals {
                values.extend(self.definition(rule, &locals)?);
            }
        }
        if values.is_empty() {
            let default = rules.iter().find(|rule| rule.is_default).and_then(|rule| rule.head.value.as_ref());
            let Some(default) = default else { return Ok(None) };
            return Ok(self.expr(&default.expr, &Locals::new())?.into_iter().next().map(|(value, _)| value));
        }
        if values.len() > 1 { Err(Stop::Conflict) } else { Ok(values.pop_first()) }
    }

    /// The values of one definition: of its bodies, or of the first `else` that has one.
    fn definition(&self, rule: &Rule, locals: &Locals) -> Result<BTreeSet<Value>, Stop> {
        let value = rule.head.value.as_ref().map(|value| &value.expr);
        let mut values = BTreeSet::new();
        if rule.clauses.is_empty() {
            values.extend(self.value(None, value, locals)?);
        }
        for clause in &rule.clauses {
            values.extend(self.value(Some(clause), value, locals)?);
        }
        for clause in &rule.elses {
            if values.is_empty() {
                let value = clause.value.as_ref().map(|value| &value.expr);
                values.extend(self.value(clause.clause.as_ref(), value, locals)?);
            }
        }
        Ok(values)
    }

    fn value(
        &self,
        clause: Option<&Clause>,
        value: Option<&Expr>,
        locals: &Locals,
    ) -> Result<Vec<Value>, Stop> {
        let ways = match clause {
            Some(clause) => self.body(&clause.body, locals)?,
            None => vec![locals.clone()],
        };
        let mut values = Vec::new();
        for locals in ways {
            match value {
                Some(value) => values.extend(self.expr(value, &locals)?.into_iter().map(|(value, _)| value)),
                None => values.push(Value::from(true)),
            }
        }
        Ok(values)
    }

    /// All ways through a body.
    fn body(&self, body: &Body, locals: &Locals) -> Result<Vec<Locals>, Stop> {
        let mut ways = vec![locals.clone()];
        for statement in &body.statements {
            let mut next = Vec::new();
            for locals in ways {
                next.extend(self.statement(statement, &locals)?);
            }
            ways = next;
        }
        Ok(ways)
    }

    fn statement(&self, statement: &Statement, locals: &Locals) -> Result<Vec<Locals>, Stop> {
        self.burn()?;
        let mut input = self.input.clone();
        for with in &statement.with {
            let Some((value, _)) = self.expr(&with.value, locals)?.into_iter().next() else {
                return Ok(vec![]);
            };
            let path: Vec<Value> =
                with.target.static_prefix().into_iter().skip(1).map(|(name, _)| Value::from(name)).collect();
            input = replaced(&input, &path, value);
        }
        let there = Model { module: self.module, input, fuel: self.fuel };
        match &statement.kind {
            StatementKind::Expr(expr) => Ok(there
                .expr(expr, locals)?
                .into_iter()
                .filter(|(value, _)| *value != Value::from(false))
                .map(|(_, locals)| locals)
                .collect()),
            StatementKind::Not(expr) => {
                // OPA asks for what a negated call is given before it negates, and `!=` is a call where `==`
                // is none.
                if let ExprKind::Binary(binary) = &expr.kind
                    && !matches!(binary.op, BinaryOp::Eq | BinaryOp::Unify)
                    && there.expr(&binary.lhs, locals)?.is_empty()
                {
                    return Ok(vec![]);
                }
                let mut answers = there.expr(expr, locals)?.into_iter();
                let holds = answers.any(|(value, _)| value != Value::from(false));
                Ok(if holds { vec![] } else { vec![locals.clone()] })
            }
            StatementKind::Some(names) => {
                let mut locals = locals.clone();
                for name in names {
                    locals.remove(&name.text);
                }
                Ok(vec![locals])
            }
            StatementKind::SomeIn(some) => {
                let mut ways = Vec::new();
                for (collection, locals) in there.expr(&some.collection, locals)? {
                    for (key, value) in entries(&collection) {
                        for locals in self.declare(&some.value, &value, &locals)? {
                            match &some.key {
                                Some(pattern) => ways.extend(self.declare(pattern, &key, &locals)?),
                                None => ways.push(locals),
                            }
                        }
                    }
                }
                Ok(ways)
            }
            StatementKind::Every(every) => {
                let Some((collection, _)) = there.expr(&every.collection, locals)?.into_iter().next() else {
                    return Ok(vec![]);
                };
                for (key, value) in entries(&collection) {
                    let mut inner = locals.clone();
                    inner.insert(every.value.text.clone(), value);
                    if let Some(name) = &every.key {
                        inner.insert(name.text.clone(), key);
                    }
                    if there.body(&every.body, &inner)?.is_empty() {
                        return Ok(vec![]);
                    }
                }
                Ok(vec![locals.clone()])
            }
        }
    }

    /// Unifies with a pattern whose variables are new here, whatever is called like them outside.
    fn declare(&self, pattern: &Expr, value: &Value, locals: &Locals) -> Result<Vec<Locals>, Stop> {
        let mut locals = locals.clone();
        forget(pattern, &mut locals);
        self.unify(pattern, value, &locals)
    }

    /// The ways in which a pattern is a value.
    fn unify(&self, pattern: &Expr, value: &Value, locals: &Locals) -> Result<Vec<Locals>, Stop> {
        self.burn()?;
        match (&pattern.kind, value.view()) {
            (ExprKind::Var(name), _) if name == "_" => Ok(vec![locals.clone()]),
            (ExprKind::Var(name), _) if self.is_free(name, locals) => {
                let mut locals = locals.clone();
                locals.insert(name.clone(), value.clone());
                Ok(vec![locals])
            }
            (ExprKind::Array(patterns), View::Array(values)) => {
                if patterns.len() != values.len() {
                    return Ok(vec![]);
                }
                let mut ways = vec![locals.clone()];
                for (pattern, value) in patterns.iter().zip(values.iter()) {
                    let mut next = Vec::new();
                    for locals in ways {
                        next.extend(self.unify(pattern, value, &locals)?);
                    }
                    ways = next;
                }
                Ok(ways)
            }
            (ExprKind::Array(_), _) => Ok(vec![]),
            _ => {
                let answers = self.expr(pattern, locals)?.into_iter();
                Ok(answers.filter(|(found, _)| found == value).map(|(_, locals)| locals).collect())
            }
        }
    }

    /// Whether a name stands for nothing yet.
    fn is_free(&self, name: &str, locals: &Locals) -> bool {
        !locals.contains_key(name) && name != "input" && self.module.rules_named(name).next().is_none()
    }

    fn expr(&self, expr: &Expr, locals: &Locals) -> Answers {
        self.burn()?;
        let one = |value: Value| Ok(vec![(value, locals.clone())]);
        match &expr.kind {
            ExprKind::Null => one(Value::NULL),
            ExprKind::Bool(value) => one(Value::from(*value)),
            ExprKind::Number(text) => one(Value::from_json(text).expect("a number")),
            ExprKind::String(text) => one(Value::from(text.as_str())),
            ExprKind::Paren(inner) => self.expr(inner, locals),
            ExprKind::Var(name) if name == "input" => one(self.input.clone()),
            ExprKind::Var(name) => match locals.get(name) {
                Some(value) => one(value.clone()),
                None => Ok(self.rule(name)?.map(|value| (value, locals.clone())).into_iter().collect()),
            },
            ExprKind::Ref(reference) => {
                let mut found = self.expr(&reference.head, locals)?;
                for arg in &reference.args {
                    let mut next = Vec::new();
                    for (value, locals) in found {
                        next.extend(self.step(&value, arg, &locals)?);
                    }
                    found = next;
                }
                Ok(found)
            }
            ExprKind::Array(items) => self.collect(items, locals, |values| Ok(Some(Value::from(values)))),
            ExprKind::Set(items) => self.collect(items, locals, |values| {
                Ok(Some(Value::from(values.into_iter().collect::<BTreeSet<_>>())))
            }),
            ExprKind::Object(pairs) => {
                let items: Vec<Expr> =
                    pairs.iter().flat_map(|pair| [pair.key.clone(), pair.value.clone()]).collect();
                self.collect(&items, locals, |values| {
                    let mut object = BTreeMap::new();
                    for pair in values.chunks(2) {
                        insert(&mut object, pair[0].clone(), pair[1].clone())?;
                    }
                    Ok(Some(Value::from(object)))
                })
            }
            ExprKind::Comprehension(comprehension) => {
                let ways = self.body(&comprehension.body, locals)?;
                let mut values = Vec::new();
                let mut object = BTreeMap::new();
                for inner in ways {
                    match &comprehension.head {
                        ComprehensionHead::Array(term) | ComprehensionHead::Set(term) => {
                            values.extend(self.expr(term, &inner)?.into_iter().map(|(value, _)| value));
                        }
                        ComprehensionHead::Object(pair) => {
                            for (key, inner) in self.expr(&pair.key, &inner)? {
                                for (value, _) in self.expr(&pair.value, &inner)? {
                                    insert(&mut object, key.clone(), value)?;
                                }
                            }
                        }
                    }
                }
                one(match &comprehension.head {
                    ComprehensionHead::Array(_) => Value::from(values),
                    ComprehensionHead::Set(_) => Value::from(values.into_iter().collect::<BTreeSet<_>>()),
                    ComprehensionHead::Object(_) => Value::from(object),
                })
            }
            ExprKind::Binary(binary) if binary.op.binds() => {
                let mut found = Vec::new();
                for (value, locals) in self.expr(&binary.rhs, locals)? {
                    let ways = if binary.op == BinaryOp::Assign {
                        self.declare(&binary.lhs, &value, &locals)?
                    } else {
                        self.unify(&binary.lhs, &value, &locals)?
                    };
                    found.extend(ways.into_iter().map(|locals| (Value::from(true), locals)));
                }
                Ok(found)
            }
            ExprKind::Binary(binary) => {
                self.collect(&[binary.lhs.clone(), binary.rhs.clone()], locals, |values| {
                    Ok(operate(binary, &values[0], &values[1]))
                })
            }
            ExprKind::Membership(membership) => {
                self.collect(&[membership.value.clone(), membership.collection.clone()], locals, |values| {
                    let is_member = entries(&values[1]).iter().any(|(_, value)| *value == values[0]);
                    Ok(Some(Value::from(is_member)))
                })
            }
            ExprKind::Call(call) => {
                let name = call.name().expect("a plain name");
                self.collect(&call.args, locals, |values| {
                    if name == "count" {
                        return Ok(count(&values[0]));
                    }
                    let rules: Vec<&Rule> = self.module.rules_named(&name).collect();
                    self.complete(&rules, &values)
                })
            }
            ExprKind::Template(_) => panic!("not part of the model"),
        }
    }

    /// All ways in which each of the terms has a value, and what is made of the values.
    fn collect(
        &self,
        terms: &[Expr],
        locals: &Locals,
        make: impl Fn(Vec<Value>) -> Result<Option<Value>, Stop>,
    ) -> Answers {
        let mut ways = vec![(Vec::new(), locals.clone())];
        for term in terms {
            let mut next = Vec::new();
            if ways.is_empty() {
                // Nobody says which of them is asked first: a conflict in any of them may be met.
                self.expr(term, locals)?;
            }
            for (values, locals) in ways {
                for (value, locals) in self.expr(term, &locals)? {
                    let mut values = values.clone();
                    values.push(value);
                    next.push((values, locals));
                }
            }
            ways = next;
        }
        let mut answers = Vec::new();
        for (values, locals) in ways {
            answers.extend(make(values)?.map(|value| (value, locals)));
        }
        Ok(answers)
    }

    fn step(&self, value: &Value, arg: &RefArg, locals: &Locals) -> Answers {
        let index = match &arg.kind {
            RefArgKind::Dot(name) => {
                return Ok(look_up(value, &Value::from(name.text.as_str()))
                    .map(|value| (value, locals.clone()))
                    .into_iter()
                    .collect());
            }
            RefArgKind::Bracket(index) => index,
        };
        let mut found = Vec::new();
        match index.as_var() {
            Some(name) if name == "_" || self.is_free(name, locals) => {
                for (key, element) in entries(value) {
                    // The element of a set is its own key.
                    let key = if matches!(value.view(), View::Set(_)) { element.clone() } else { key };
                    found.extend(
                        self.unify(index, &key, locals)?.into_iter().map(|locals| (element.clone(), locals)),
                    );
                }
            }
            _ => {
                for (key, locals) in self.expr(index, locals)? {
                    found.extend(look_up(value, &key).map(|element| (element, locals)));
                }
            }
        }
        Ok(found)
    }
}

fn forget(pattern: &Expr, locals: &mut Locals) {
    match &pattern.kind {
        ExprKind::Var(name) => {
            locals.remove(name);
        }
        ExprKind::Array(items) => items.iter().for_each(|item| forget(item, locals)),
        _ => {}
    }
}

fn insert(object: &mut BTreeMap<Value, Value>, key: Value, value: Value) -> Result<(), Stop> {
    match object.get(&key) {
        Some(other) if *other != value => Err(Stop::Conflict),
        _ => {
            object.insert(key, value);
            Ok(())
        }
    }
}

/// Keys and values of a collection; nothing else has any.
fn entries(value: &Value) -> Vec<(Value, Value)> {
    match value.view() {
        View::Array(items) => {
            items.iter().enumerate().map(|(at, item)| (Value::from(at), item.clone())).collect()
        }
        View::Set(items) => items.iter().map(|item| (item.clone(), item.clone())).collect(),
        View::Object(pairs) => pairs.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        _ => Vec::new(),
    }
}

fn look_up(value: &Value, key: &Value) -> Option<Value> {
    entries(value).into_iter().find(|(known, _)| known == key).map(|(_, value)| value)
}

fn count(value: &Value) -> Option<Value> {
    match value.view() {
        View::String(text) => Some(Value::from(text.chars().count())),
        View::Array(_) | View::Set(_) | View::Object(_) => Some(Value::from(entries(value).len())),
        _ => None,
    }
}

/// An object in which what is at a path is replaced.
fn replaced(value: &Value, path: &[Value], by: Value) -> Value {
    let Some((first, rest)) = path.split_first() else { return by };
    let mut object: BTreeMap<Value, Value> = match value.view() {
        View::Object(_) => entries(value).into_iter().collect(),
        _ => BTreeMap::new(),
    };
    let inner = object.get(first).cloned().unwrap_or(Value::NULL);
    object.insert(first.clone(), replaced(&inner, rest, by));
    Value::from(object)
}

fn operate(binary: &Binary, lhs: &Value, rhs: &Value) -> Option<Value> {
    let order = compare(lhs, rhs);
    let number = |value: &Value| value.as_number().and_then(portcullis_value::Number::as_i64);
    let set = |value: &Value| -> Option<BTreeSet<Value>> {
        matches!(value.view(), View::Set(_))
            .then(|| entries(value).into_iter().map(|(_, value)| value).collect())
    };
    let arithmetic =
        |operation: fn(i64, i64) -> i64| Some(Value::from(operation(number(lhs)?, number(rhs)?)));
    Some(match binary.op {
        BinaryOp::Eq => Value::from(order == Ordering::Equal),
        BinaryOp::Ne => Value::from(order != Ordering::Equal),
        BinaryOp::Lt => Value::from(order == Ordering::Less),
        BinaryOp::Le => Value::from(order != Ordering::Greater),
        BinaryOp::Gt => Value::from(order == Ordering::Greater),
        BinaryOp::Ge => Value::from(order != Ordering::Less),
        BinaryOp::Add => arithmetic(|a, b| a + b)?,
        BinaryOp::Mul => arithmetic(|a, b| a * b)?,
        BinaryOp::Sub => match (set(lhs), set(rhs)) {
            (Some(lhs), Some(rhs)) => Value::from(lhs.difference(&rhs).cloned().collect::<BTreeSet<_>>()),
            _ => arithmetic(|a, b| a - b)?,
        },
        BinaryOp::Or => Value::from(set(lhs)?.union(&set(rhs)?).cloned().collect::<BTreeSet<_>>()),
        BinaryOp::And => Value::from(set(lhs)?.intersection(&set(rhs)?).cloned().collect::<BTreeSet<_>>()),
        BinaryOp::Div | BinaryOp::Rem | BinaryOp::Assign | BinaryOp::Unify => {
            panic!("not part of the model")
        }
    })
}

/// The order of all values: by type first, and in OPA an object comes before a set.
fn compare(one: &Value, other: &Value) -> Ordering {
    let rank = |value: &Value| match value.view() {
        View::Undefined => 0,
        View::Null => 1,
        View::Bool(_) => 2,
        View::Number(_) => 3,
        View::String(_) => 4,
        View::Array(_) => 5,
        View::Object(_) => 6,
        View::Set(_) => 7,
    };
    let flat = |value: &Value| -> Vec<Value> {
        let pairs = entries(value).into_iter();
        match value.view() {
            View::Object(_) => pairs.flat_map(|(key, value)| [key, value]).collect(),
            _ => pairs.map(|(_, value)| value).collect(),
        }
    };
    rank(one).cmp(&rank(other)).then_with(|| match one.view() {
        View::Array(_) | View::Object(_) | View::Set(_) => {
            let (ours, theirs) = (flat(one), flat(other));
            let first = ours.iter().zip(&theirs).map(|(one, other)| compare(one, other));
            let first = first.into_iter().find(|order| *order != Ordering::Equal);
            first.unwrap_or_else(|| ours.len().cmp(&theirs.len()))
        }
        _ => one.cmp(other),
    })
}

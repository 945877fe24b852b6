//! Conditions that never hold: literals, comparisons, contradictions, references to nothing. And what follows
//! for `violation`.

use std::collections::BTreeMap;

use portcullis_rego_syntax::analysis::Usage;
use portcullis_rego_syntax::ast::{
    BinaryOp, Body, Clause, Expr, ExprKind, Head, Rule, Statement, StatementKind,
};
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_rego_syntax::{Resolution, Span};

use super::constant::{self, Constant};
use super::facts::{Fact, Facts};
use super::program::{Program, Scope};
use crate::analysis::call_graph::RuleId;
use crate::analysis::template_rules::unknown_parameter;
use crate::error::{Error, ErrorKind};
use crate::schema::PathCheck;
use crate::value::Value;

/// Rules without a value may be needed by rules that then have none: this often that is followed.
const ROUNDS: usize = 8;

/// Why something never holds. Ordered: of several reasons that are all needed, the last one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// Whatever the input.
    Certain,
    /// A `false`: how a rule is switched off on purpose.
    Off,
    /// No constraint that fits the template's schema makes it hold.
    Schema,
}

/// Something that never holds.
struct Never {
    why: Why,
    span: Span,
    /// What to say about it; none if another check says it.
    said: Option<(String, Option<String>)>,
}

/// The rules that never have a value, or, of a set, an element.
type Dead = BTreeMap<RuleId, Why>;

/// Reports the conditions of all bodies that never hold.
pub(super) fn check_conditions(program: &Program<'_>) -> Vec<Error> {
    let mut found = Vec::new();
    for scope in program.scopes() {
        let mut conditions = Conditions { scope, found: Vec::new() };
        visit::walk_module(&mut conditions, &scope.parsed.module);
        found.extend(conditions.found.into_iter().filter_map(|never| {
            let (message, hint) = never.said?;
            let location = scope.location(never.span);
            Some(Error::warning(ErrorKind::NeverTrue, message).maybe_hint(hint).at(location))
        }));
    }
    found
}

/// Reports parameters that the schema does not have and that are read through a variable:
/// `x := input.parameters`, `x.nothing`.
pub(super) fn check_parameters(program: &Program<'_>) -> Vec<Error> {
    let mut found = Vec::new();
    for scope in program.scopes() {
        let mut parameters = Parameters { scope, found: Vec::new() };
        visit::walk_module(&mut parameters, &scope.parsed.module);
        found.extend(parameters.found);
    }
    found
}

struct Parameters<'p, 'a> {
    scope: Scope<'p, 'a>,
    found: Vec<Error>,
}

impl<'a> Visitor<'a> for Parameters<'_, 'a> {
    fn visit_expr(&mut self, expr: &'a Expr) {
        visit::walk_expr(self, expr);
        let program = self.scope.program;
        let (Some(schema), ExprKind::Ref(reference)) = (program.schema, &expr.kind) else { return };
        if program.replaces_input
            || !matches!(self.scope.resolution(&reference.head), Some(Resolution::Local(_)))
        {
            return;
        }
        let unknown = |expr| {
            let path = self.scope.input_path(expr)?;
            let steps: Vec<Option<&str>> = path.iter().map(Option::as_deref).collect();
            let [Some("input"), Some("parameters"), below @ ..] = steps.as_slice() else { return None };
            unknown_parameter(schema, below)
        };
        // What the variable stands for is reported where it is written.
        if unknown(&reference.head).is_none()
            && let Some(warning) = unknown(expr)
        {
            self.found.push(warning.at(self.scope.location(expr.span)));
        }
    }
}

/// Reports what is read from libraries that do not have it. Calls are errors, and found elsewhere.
pub(super) fn check_libraries(program: &Program<'_>) -> Vec<Error> {
    let mut found = Vec::new();
    for scope in program.scopes() {
        for reference in scope.references() {
            let path: Vec<&str> = reference.path.iter().map_while(|step| *step).collect();
            let is_library = matches!(path.as_slice(), ["data", "lib", ..]);
            let below = path.get(1..).unwrap_or_default();
            if reference.root == Resolution::Rule
                || reference.usage != Usage::Read
                || !is_library
                || program.graph.exists(below)
            {
                continue;
            }
            let message = format!("there is no `{}`, so this is never true", path.join("."));
            let location = scope.location(reference.span);
            found.push(Error::warning(ErrorKind::NeverTrue, message).at(location));
        }
    }
    found
}

/// Reports a `violation` of which no definition ever holds.
pub(super) fn check_violation(program: &Program<'_>) -> Option<Error> {
    let dead = dead_rules(program);
    let scope = program.scope(0)?;
    let violation = program.graph.violation()?;
    let (_, rule) = program.graph.definitions(Some(violation)).first()?;
    let why = dead.get(&violation)?;
    let message = "`violation` can never fire: each of its bodies has a condition that is never true";
    let error = match why {
        Why::Certain => Error::new(ErrorKind::NeverFires, message),
        // Said of the `false`.
        Why::Off => return None,
        Why::Schema => Error::warning(ErrorKind::NeverFires, message)
            .hint("no constraint with parameters that the schema allows makes it true"),
    };
    Some(error.at(scope.location(rule.name_span())))
}

/// Whether what `violation` needs looks at other parts of `input` than there are, and never at the review:
/// then, what it may find in other tools' input is not there, whatever the conditions.
pub(super) fn sees_no_review(program: &Program<'_>) -> bool {
    if program.replaces_input || program.replaces_others {
        return false;
    }
    let mut is_elsewhere = false;
    for scope in program.scopes() {
        for reference in scope.references() {
            if !scope.is_reached(reference.rule) || reference.root != Resolution::Input {
                continue;
            }
            match reference.path.get(1) {
                Some(Some("parameters")) => {}
                Some(Some("review") | None) | None => return false,
                Some(Some(_)) => is_elsewhere = true,
            }
        }
    }
    is_elsewhere
}

fn dead_rules(program: &Program<'_>) -> Dead {
    let mut dead = Dead::new();
    for _ in 0..ROUNDS {
        let mut found = Dead::new();
        for (number, node) in program.graph.rules().iter().enumerate() {
            let whys = node.definitions.iter();
            let whys: Option<Vec<Why>> =
                whys.map(|(module, rule)| dead_definition(program, *module, rule, &dead)).collect();
            if let Some(why) = whys.and_then(|whys| whys.into_iter().max()) {
                found.insert(number, why);
            }
        }
        // What `with` replaces may have a value after all.
        if found == dead || program.replaces_others {
            return found;
        }
        dead = found;
    }
    dead
}

fn dead_definition<'a>(program: &Program<'a>, module: usize, rule: &'a Rule, dead: &Dead) -> Option<Why> {
    let scope = program.scope(module)?;
    if rule.is_default || !rule.head.path.is_empty() {
        return None;
    }
    if let Some(why) = head_exprs(&rule.head).filter_map(|expr| undefined(scope, expr, dead)).min() {
        return Some(why);
    }
    let mut bodies: Vec<Option<&Clause>> = rule.clauses.iter().map(Some).collect();
    bodies.extend(rule.elses.iter().map(|other| other.clause.as_ref()));
    let whys: Option<Vec<Why>> =
        bodies.into_iter().map(|clause| dead_body(scope, &clause?.body, dead)).collect();
    whys?.into_iter().max()
}

fn head_exprs(head: &Head) -> impl Iterator<Item = &Expr> {
    head.key.iter().chain(head.value.iter().map(|value| &value.expr))
}

/// Why a body never holds: the strongest reason.
fn dead_body<'a>(scope: Scope<'_, 'a>, body: &'a Body, dead: &Dead) -> Option<Why> {
    let mut facts = Facts::default();
    body.statements
        .iter()
        .filter_map(|statement| {
            let never = never_holds(scope, statement, &mut facts).map(|never| never.why);
            never.or_else(|| undefined_statement(scope, statement, dead))
        })
        .min()
}

struct Conditions<'p, 'a> {
    scope: Scope<'p, 'a>,
    found: Vec<Never>,
}

impl<'a> Visitor<'a> for Conditions<'_, 'a> {
    fn visit_body(&mut self, body: &'a Body) {
        let mut facts = Facts::default();
        for statement in &body.statements {
            self.found.extend(never_holds(self.scope, statement, &mut facts));
            self.visit_statement(statement);
        }
    }
}

/// Whether a statement never holds, by itself or beside those whose facts are known.
fn never_holds<'a>(scope: Scope<'_, 'a>, statement: &'a Statement, facts: &mut Facts) -> Option<Never> {
    // Under `with`, a text means something else than it says.
    if !statement.with.is_empty() {
        return None;
    }
    match &statement.kind {
        StatementKind::Expr(expr) => condition(scope, expr.peeled(), facts),
        StatementKind::Not(expr) => negation(scope, expr.peeled(), facts),
        StatementKind::Some(_) | StatementKind::SomeIn(_) | StatementKind::Every(_) => None,
    }
}

fn certain(span: Span, message: String, hint: Option<&str>) -> Never {
    Never { why: Why::Certain, span, said: Some((message, hint.map(str::to_owned))) }
}

fn condition<'a>(scope: Scope<'_, 'a>, expr: &'a Expr, facts: &mut Facts) -> Option<Never> {
    if let ExprKind::Bool(false) = expr.kind {
        let message = "`false` is never true".to_owned();
        let hint = "what stands beside it never matters; take the rule out if it is not wanted";
        return Some(Never { why: Why::Off, span: expr.span, said: Some((message, Some(hint.to_owned()))) });
    }
    let ExprKind::Binary(binary) = &expr.kind else {
        if matches!(scope.constant(expr), Some(Constant::Bool(false))) {
            let message = format!("`{}` is `false`, so this is never true", scope.text(expr.span));
            return Some(Never { why: Why::Off, span: expr.span, said: Some((message, None)) });
        }
        return about(scope, expr, expr, Fact::Holds, facts);
    };
    let (lhs, rhs) = (&binary.lhs, &binary.rhs);
    if let (Some(a), Some(b)) = (scope.constant(lhs), scope.constant(rhs)) {
        if constant::holds(binary.op, &a, &b) == Some(false) {
            let message = format!("{} is never true", shown_comparison(scope, expr, &a, binary.op, &b));
            return Some(certain(expr.span, message, None));
        }
        return None;
    }
    let (value, other) = match (scope.constant(lhs), scope.constant(rhs)) {
        (None, Some(constant)) => (lhs, constant),
        (Some(constant), None) => (rhs, constant),
        _ => return unequal_shapes(scope, expr, binary.op, lhs, rhs),
    };
    match binary.op {
        BinaryOp::Eq | BinaryOp::Unify => never_equal(scope, expr, value, &other)
            .or_else(|| about(scope, expr, value, Fact::Is(other), facts)),
        BinaryOp::Ne => about(scope, expr, value, Fact::IsNot(other), facts),
        _ => None,
    }
}

/// `1 == 2`, or what it says in other words: `x == y`, which is `1 == 2`.
fn shown_comparison(scope: Scope<'_, '_>, expr: &Expr, a: &Constant, op: BinaryOp, b: &Constant) -> String {
    let written = scope.text(expr.span);
    let values = format!("{a} {op} {b}");
    if written == values { format!("`{written}`") } else { format!("`{written}`, which is `{values}`,") }
}

fn unequal_shapes<'a>(
    scope: Scope<'_, 'a>,
    expr: &'a Expr,
    op: BinaryOp,
    lhs: &'a Expr,
    rhs: &'a Expr,
) -> Option<Never> {
    if !matches!(op, BinaryOp::Eq | BinaryOp::Unify) {
        return None;
    }
    let (a, b) = (scope.shape(lhs)?, scope.shape(rhs)?);
    // Patterns of the same type are unified part by part.
    (a != b).then_some(())?;
    Some(certain(expr.span, format!("{a} and {b} are never equal"), None))
}

/// A comparison with a constant of another type, or one that the parameter schema does not allow.
fn never_equal<'a>(
    scope: Scope<'_, 'a>,
    expr: &'a Expr,
    value: &'a Expr,
    constant: &Constant,
) -> Option<Never> {
    if let Some(shape) = scope.shape(value)
        && shape != super::shape::of_constant(constant)
    {
        let message = format!("`{}` is {shape}, and never equal to {constant}", scope.text(value.span));
        return Some(certain(expr.span, message, None));
    }
    let schema = scope.program.schema.filter(|_| !scope.program.replaces_input)?;
    let path = scope.input_path(value)?;
    let steps: Vec<Option<&str>> = path.iter().map(Option::as_deref).collect();
    let [Some("input"), Some("parameters"), below @ ..] = steps.as_slice() else { return None };
    let reason = schema.rules_out(below, &to_value(constant)?)?;
    let message = format!(
        "by the parameter schema `{}` is {reason}, and never equal to {constant}",
        scope.text(value.span)
    );
    Some(Never { why: Why::Schema, span: expr.span, said: Some((message, None)) })
}

fn to_value(constant: &Constant) -> Option<Value> {
    match constant {
        Constant::Null => Some(Value::NULL),
        Constant::Bool(value) => Some(Value::from(*value)),
        Constant::Number(digits) => Value::from_json(digits).ok(),
        Constant::String(text) => Some(Value::from(text.as_str())),
    }
}

fn negation<'a>(scope: Scope<'_, 'a>, expr: &'a Expr, facts: &mut Facts) -> Option<Never> {
    if scope.always_holds(expr) {
        let text = scope.text(expr.span);
        let subject = if text.contains('\n') { "this".to_owned() } else { format!("`{text}`") };
        let message = format!("{subject} always has a value, so `not` of it is never true");
        let hint = match &expr.kind {
            ExprKind::Comprehension(_) | ExprKind::Var(_) | ExprKind::Ref(_) => {
                "to ask whether it is empty, write `count(…) == 0`"
            }
            _ => "leave it out",
        };
        return Some(certain(expr.span, message, Some(hint)));
    }
    if let ExprKind::Binary(binary) = &expr.kind
        && binary.op == BinaryOp::Eq
    {
        let (value, other) = match (scope.constant(&binary.lhs), scope.constant(&binary.rhs)) {
            (None, Some(constant)) => (&binary.lhs, constant),
            (Some(constant), None) => (&binary.rhs, constant),
            _ => return None,
        };
        return about(scope, expr, value, Fact::IsNot(other), facts);
    }
    let is_reference = matches!(expr.kind, ExprKind::Var(_) | ExprKind::Ref(_) | ExprKind::Call(_));
    if is_reference { about(scope, expr, expr, Fact::Fails, facts) } else { None }
}

/// Adds what a statement says of a value, and returns whether an earlier one says otherwise.
fn about<'a>(
    scope: Scope<'_, 'a>,
    statement: &'a Expr,
    value: &'a Expr,
    fact: Fact,
    facts: &mut Facts,
) -> Option<Never> {
    let key = scope.key(value)?;
    let earlier = facts.add(key, fact.clone())?;
    let text = scope.text(value.peeled().span);
    let message = match (&earlier, &fact) {
        (Fact::Is(a), Fact::Is(b)) => format!("`{text}` cannot be both {a} and {b}"),
        (Fact::Is(a), Fact::IsNot(_)) | (Fact::IsNot(_), Fact::Is(a)) => {
            format!("`{text}` cannot be {a} and at the same time not be {a}")
        }
        (Fact::Is(a), _) | (_, Fact::Is(a)) => {
            format!("`{text}` is {a} by another condition, so this is never true")
        }
        _ => format!("`{text}` cannot both hold and not hold"),
    };
    let hint = "all conditions of a body have to hold; write one body for each case";
    Some(certain(statement.span, message, Some(hint)))
}

/// Why a collection has no elements: a comprehension whose body never holds, a set rule without one that
/// does.
fn empty<'a>(scope: Scope<'_, 'a>, expr: &'a Expr, dead: &Dead) -> Option<Why> {
    if !scope.program.may_look_on() {
        return None;
    }
    let expr = scope.followed(expr);
    match &expr.kind {
        ExprKind::Comprehension(comprehension) => dead_body(scope, &comprehension.body, dead),
        ExprKind::Binary(binary) => {
            let (lhs, rhs) = (&binary.lhs, &binary.rhs);
            match binary.op {
                BinaryOp::Or => empty(scope, lhs, dead)?.max(empty(scope, rhs, dead)?).into(),
                BinaryOp::And => empty(scope, lhs, dead).or_else(|| empty(scope, rhs, dead)),
                BinaryOp::Sub => empty(scope, lhs, dead),
                _ => None,
            }
        }
        ExprKind::Var(_) | ExprKind::Ref(_) => {
            let meaning = scope.meaning(expr)?;
            let is_empty = meaning.beyond == 0 && is_set(scope.program, meaning.rule?);
            dead.get(&meaning.rule?).copied().filter(|_| is_empty)
        }
        _ => None,
    }
}

fn is_set(program: &Program<'_>, rule: RuleId) -> bool {
    program.graph.definitions(Some(rule)).iter().any(|(_, rule)| rule.head.key.is_some())
}

/// Why a comparison of how many elements there are never holds: there are none.
fn counts_none<'a>(scope: Scope<'_, 'a>, expr: &'a Expr, dead: &Dead) -> Option<Why> {
    match &expr.peeled().kind {
        ExprKind::Binary(binary) => {
            let none = Constant::Number("0".to_owned());
            let of = |counted: &'a Expr| match &scope.followed(counted).kind {
                ExprKind::Call(call) if call.name().as_deref() == Some("count") => {
                    call.args.first().and_then(|counted| empty(scope, counted, dead))
                }
                _ => None,
            };
            let holds = match (scope.constant(&binary.lhs), scope.constant(&binary.rhs)) {
                (None, Some(number)) => (of(&binary.lhs)?, constant::holds(binary.op, &none, &number)),
                (Some(number), None) => (of(&binary.rhs)?, constant::holds(binary.op, &number, &none)),
                _ => return None,
            };
            (holds.1 == Some(false)).then_some(holds.0)
        }
        ExprKind::Membership(membership) => empty(scope, &membership.collection, dead),
        _ => None,
    }
}

/// Why a statement has no value because of what it refers to.
fn undefined_statement<'a>(scope: Scope<'_, 'a>, statement: &'a Statement, dead: &Dead) -> Option<Why> {
    if !statement.with.is_empty() {
        return None;
    }
    match &statement.kind {
        StatementKind::Expr(expr) => undefined(scope, expr, dead).or_else(|| counts_none(scope, expr, dead)),
        StatementKind::SomeIn(some) => {
            undefined(scope, &some.collection, dead).or_else(|| empty(scope, &some.collection, dead))
        }
        StatementKind::Every(every) => undefined(scope, &every.collection, dead),
        StatementKind::Not(_) | StatementKind::Some(_) => None,
    }
}

/// Why an expression never has a value: a part of it has none, and that makes the whole undefined.
fn undefined<'a>(scope: Scope<'_, 'a>, expr: &'a Expr, dead: &Dead) -> Option<Why> {
    let mut parts = Parts { scope, dead, why: None };
    parts.visit_expr(expr);
    parts.why
}

struct Parts<'d, 'p, 'a> {
    scope: Scope<'p, 'a>,
    dead: &'d Dead,
    why: Option<Why>,
}

impl<'a> Parts<'_, '_, 'a> {
    fn add(&mut self, why: Why) {
        self.why = Some(self.why.map_or(why, |known| known.min(why)));
    }

    fn reference(&mut self, expr: &'a Expr, is_call: bool) {
        let program = self.scope.program;
        let meaning = self.scope.meaning(expr);
        if let Some((rule, beyond)) = meaning.and_then(|meaning| Some((meaning.rule?, meaning.beyond))) {
            let Some(why) = self.dead.get(&rule) else { return };
            // A set without elements is still a set.
            if is_call || !is_set(program, rule) || beyond > 0 {
                self.add(*why);
            }
            return;
        }
        if let Some(reference) = expr.as_ref().filter(|reference| !reference.args.is_empty())
            && let Some(why) = empty(self.scope, &reference.head, self.dead)
        {
            self.add(why);
        }
        if program.replaces_input {
            return;
        }
        let path = self.scope.input_path(expr).unwrap_or_default();
        let steps: Vec<Option<&str>> = path.iter().map(Option::as_deref).collect();
        match steps.as_slice() {
            [Some("input"), Some("parameters"), below @ ..] => {
                let check = program.schema.map(|schema| schema.allows(below));
                if let Some(PathCheck::Unknown { .. }) = check {
                    self.add(Why::Schema);
                }
            }
            [Some("input"), Some("review"), ..] => {}
            [Some("input"), Some(_), ..] => self.add(Why::Certain),
            _ => {}
        }
    }
}

impl<'a> Visitor<'a> for Parts<'_, '_, 'a> {
    fn visit_body(&mut self, _: &'a Body) {}

    fn visit_expr(&mut self, expr: &'a Expr) {
        match &expr.kind {
            // What has no value in them is left out, or shown as such.
            ExprKind::Comprehension(_) | ExprKind::Template(_) => {}
            ExprKind::Call(call) => {
                let callee = call.callee.as_ref().map_or(&call.callee, |reference| &reference.head);
                let is_builtin = self.scope.parsed.names.at(callee.span) == Some(Resolution::Builtin);
                if is_builtin && call.name().as_deref() == Some("print") {
                    return;
                }
                if !is_builtin {
                    self.reference(&call.callee, true);
                }
                call.args.iter().for_each(|arg| self.visit_expr(arg));
            }
            ExprKind::Var(_) => self.reference(expr, false),
            ExprKind::Ref(reference) => {
                self.reference(expr, false);
                if reference.head.as_var().is_none() {
                    self.visit_expr(&reference.head);
                }
                reference.args.iter().for_each(|arg| self.visit_ref_arg(arg));
            }
            _ => visit::walk_expr(self, expr),
        }
    }
}

//! Which variables of a body nothing binds.
//!
//! Statements become [`Constraint`]s: given that these variables are bound, those become bound, too. A
//! reference binds the variables in its brackets once its head is bound, an equation those of one side
//! once the other is, a call with one argument more than the function takes those of the last one. What
//! is negated binds nothing. The order of statements does not matter, as in OPA. From the variables that
//! are bound from outside the constraints are followed until nothing changes; each is looked at a
//! constant number of times per variable in it.
//!
//! OPA reports every variable of a statement it cannot order. Here a variable that would be bound if
//! another were is left out: in `x := imput.y` only `imput` is wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::closest::{MAX_HINTS, closest};
use super::{LocalId, LocalOrigin, Resolution, Resolver, comprehension_terms};
use crate::ast::{BinaryOp, Body, Expr, ExprKind, Statement, StatementKind, TemplatePart};
use crate::diagnostic::DiagnosticCode;
use crate::span::Span;
use crate::visit::{self, Visitor};

type Mentions = Vec<(LocalId, Span)>;

/// Holds as soon as everything needed for one of its ways is bound.
#[derive(Debug, Default)]
struct Constraint {
    ways: Vec<Way>,
}

#[derive(Debug, Default)]
struct Way {
    needs: Mentions,
    gives: Vec<LocalId>,
}

impl<'m> Resolver<'m> {
    /// Checks a body of a rule and everything in it.
    pub(super) fn check_safety(&mut self, statements: &'m [Statement], outputs: &[&'m Expr], span: Span) {
        debug_assert!(
            statements.iter().all(|statement| span.contains(statement.span)),
            "a body of another rule"
        );
        self.check_body(statements, outputs, &[], 1);
    }

    /// Checks a body that `depth` scopes enclose, and the bodies in it. `bound` are bound on entry, and
    /// so is everything from further out: if it is not, that has been reported there.
    fn check_body(
        &mut self,
        statements: &'m [Statement],
        outputs: &[&'m Expr],
        bound: &[LocalId],
        depth: usize,
    ) {
        let mut builder = Builder { resolver: self, depth, negated: false, constraints: Vec::new() };
        for statement in statements {
            builder.statement(statement);
        }
        for output in outputs {
            builder.demand(output);
        }
        let constraints = builder.constraints;
        self.report_unsafe(unbound(&constraints, bound));
        let mut inner = InnerBodies::default();
        for statement in statements {
            inner.visit_statement(statement);
        }
        for output in outputs {
            inner.visit_expr(output);
        }
        for (body, terms, variables) in inner.0 {
            let bound: Vec<LocalId> = variables.into_iter().filter_map(|span| self.local_at(span)).collect();
            self.check_body(&body.statements, &terms, &bound, depth + 1);
        }
    }

    fn report_unsafe(&mut self, unsafe_vars: Vec<(LocalId, Span)>) {
        if unsafe_vars.is_empty() {
            return;
        }
        let mut suggestions: Vec<&str> = vec!["input", "data"];
        suggestions.extend(self.rules.keys());
        suggestions.extend(self.imports.keys());
        let mut findings = Vec::new();
        for (id, span) in unsafe_vars {
            let Some(local) = self.names.locals.get(id.0) else { continue };
            let hint = if local.origin == LocalOrigin::Undeclared && self.names.diagnostics.len() < MAX_HINTS
            {
                closest(&local.name, suggestions.iter().copied())
            } else {
                None
            };
            findings.push((id, span, format!("var {} is unsafe", local.name), hint));
        }
        for (id, span, message, hint) in findings {
            if self.unresolved.insert(id) {
                self.report(span, DiagnosticCode::UnsafeVar, message, hint);
            }
        }
    }

    fn local_at(&self, span: Span) -> Option<LocalId> {
        match self.names.at(span) {
            Some(Resolution::Local(id)) => Some(id),
            _ => None,
        }
    }

    fn depth_of(&self, id: LocalId) -> usize {
        self.names.locals.get(id.0).map_or(0, |local| local.depth)
    }
}

/// Makes constraints of the statements of one body.
struct Builder<'r, 'm> {
    resolver: &'r Resolver<'m>,
    /// Locals of lesser depth are bound.
    depth: usize,
    /// Within `not`: references and calls bind nothing.
    negated: bool,
    constraints: Vec<Constraint>,
}

impl<'m> Builder<'_, 'm> {
    fn push(&mut self, needs: Mentions, gives: Vec<LocalId>) {
        self.constraints.push(Constraint { ways: vec![Way { needs, gives }] });
    }

    /// Everything in `expr` must be bound.
    fn demand(&mut self, expr: &'m Expr) {
        let mut needs = Vec::new();
        self.input(expr, &mut needs);
        self.push(needs, Vec::new());
    }

    fn statement(&mut self, statement: &'m Statement) {
        for with in &statement.with {
            self.demand(&with.target);
            self.demand(&with.value);
        }
        match &statement.kind {
            StatementKind::Expr(expr) => match &expr.kind {
                ExprKind::Binary(binary) if binary.op.binds() => {
                    self.equate(&binary.lhs, &binary.rhs, binary.op == BinaryOp::Unify);
                }
                _ => self.demand(expr),
            },
            StatementKind::Not(expr) => {
                let outer = std::mem::replace(&mut self.negated, true);
                self.demand(expr);
                self.negated = outer;
            }
            StatementKind::Some(_) => {}
            StatementKind::SomeIn(some) => {
                let (mut needs, mut gives) = (Vec::new(), Vec::new());
                self.input(&some.collection, &mut needs);
                for pattern in some.key.iter().chain(std::iter::once(&some.value)) {
                    self.pattern(pattern, &mut needs, &mut gives);
                }
                self.push(needs, gives);
            }
            StatementKind::Every(every) => {
                let mut needs = Vec::new();
                self.input(&every.collection, &mut needs);
                self.outer(|mentions| mentions.visit_body(&every.body), &mut needs);
                self.push(needs, Vec::new());
            }
        }
    }

    /// `lhs = rhs`: whichever side is bound binds the other, part by part where both are spelled out.
    fn equate(&mut self, lhs: &'m Expr, rhs: &'m Expr, both_ways: bool) {
        let (lhs, rhs) = (lhs.peeled(), rhs.peeled());
        match (&lhs.kind, &rhs.kind) {
            (ExprKind::Array(left), ExprKind::Array(right)) if left.len() == right.len() => {
                for (left, right) in left.iter().zip(right) {
                    self.equate(left, right, both_ways);
                }
                return;
            }
            (ExprKind::Object(left), ExprKind::Object(right)) if left.len() == right.len() => {
                let is_text = |entry: &crate::ast::Entry| entry.key.as_string().is_some();
                if left.iter().chain(right).all(is_text) {
                    let (mut rest, known) = (Vec::new(), by_key(right));
                    for entry in left {
                        match entry.key.as_string().and_then(|key| known.get(key)) {
                            Some(other) => self.equate(&entry.value, other, both_ways),
                            None => rest.push(&entry.value),
                        }
                    }
                    let left = by_key(left);
                    let is_alone = |key: &str| !left.contains_key(key);
                    rest.extend(known.into_iter().filter(|(key, _)| is_alone(key)).map(|(_, value)| value));
                    // What the other side does not have at all is bound by nothing.
                    for value in rest {
                        self.demand(value);
                    }
                    return;
                }
            }
            _ => {}
        }
        if never_match(lhs, rhs) {
            self.demand(lhs);
            self.demand(rhs);
            return;
        }
        let mut ways = vec![self.way(lhs, rhs)];
        if both_ways {
            ways.push(self.way(rhs, lhs));
        }
        self.constraints.push(Constraint { ways });
    }

    fn way(&mut self, pattern: &'m Expr, value: &'m Expr) -> Way {
        let mut way = Way::default();
        self.input(value, &mut way.needs);
        self.pattern(pattern, &mut way.needs, &mut way.gives);
        way
    }

    /// What is bound by matching `expr` against a value.
    fn pattern(&mut self, expr: &'m Expr, needs: &mut Mentions, gives: &mut Vec<LocalId>) {
        match &expr.kind {
            ExprKind::Var(_) => gives.extend(self.resolver.local_at(expr.span)),
            ExprKind::Array(items) => {
                for item in items {
                    self.pattern(item, needs, gives);
                }
            }
            ExprKind::Object(entries) => {
                for entry in entries {
                    self.input(&entry.key, needs);
                    self.pattern(&entry.value, needs, gives);
                }
            }
            ExprKind::Paren(inner) => self.pattern(inner, needs, gives),
            _ => self.input(expr, needs),
        }
    }

    /// What must be bound to evaluate `expr`; adds constraints for what evaluating it binds.
    fn input(&mut self, expr: &'m Expr, needs: &mut Mentions) {
        match &expr.kind {
            ExprKind::Var(_) => self.mention(expr, needs),
            ExprKind::Null | ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::String(_) => {}
            ExprKind::Ref(reference) => {
                let (mut given_by, mut gives) = (Vec::new(), Vec::new());
                self.input(&reference.head, &mut given_by);
                for bracket in reference.args.iter().filter_map(|arg| arg.bracket()) {
                    if self.negated {
                        self.input(bracket, needs);
                    } else {
                        // A variable in brackets is bound here, but the use of the value needs it bound.
                        self.pattern(bracket, &mut given_by, &mut gives);
                        self.mentions_of_pattern(bracket, needs);
                    }
                }
                needs.extend(given_by.iter().copied());
                if !gives.is_empty() {
                    self.push(given_by, gives);
                }
            }
            ExprKind::Call(call) => {
                let arity = self.resolver.arity(&call.callee, call.name().as_deref());
                // Of functions of other modules the arity is unknown: their last argument may be a result.
                let inputs = arity.unwrap_or(call.args.len().saturating_sub(1).max(1)).min(call.args.len());
                let (args, results) = call.args.split_at_checked(inputs).unwrap_or((&call.args, &[]));
                let mut given_by = Vec::new();
                if let ExprKind::Ref(reference) = &call.callee.kind {
                    for bracket in reference.args.iter().filter_map(|arg| arg.bracket()) {
                        self.input(bracket, &mut given_by);
                    }
                }
                for arg in args {
                    self.input(arg, &mut given_by);
                }
                let mut gives = Vec::new();
                for result in results {
                    if self.negated {
                        self.input(result, needs);
                    } else {
                        self.pattern(result, &mut given_by, &mut gives);
                        self.mentions_of_pattern(result, needs);
                    }
                }
                needs.extend(given_by.iter().copied());
                if !gives.is_empty() {
                    self.push(given_by, gives);
                }
            }
            ExprKind::Array(items) | ExprKind::Set(items) => {
                for item in items {
                    self.input(item, needs);
                }
            }
            ExprKind::Object(entries) => {
                for entry in entries {
                    self.input(&entry.key, needs);
                    self.input(&entry.value, needs);
                }
            }
            ExprKind::Binary(binary) => {
                self.input(&binary.lhs, needs);
                self.input(&binary.rhs, needs);
            }
            ExprKind::Membership(membership) => {
                for part in membership.key.iter().chain([&membership.value, &membership.collection]) {
                    self.input(part, needs);
                }
            }
            ExprKind::Paren(inner) => self.input(inner, needs),
            ExprKind::Template(template) => {
                for part in &template.parts {
                    if let TemplatePart::Expr(statement) = part
                        && let StatementKind::Expr(expr) = &statement.kind
                    {
                        self.input(expr, needs);
                    }
                }
            }
            ExprKind::Comprehension(_) => self.outer(|mentions| mentions.visit_expr(expr), needs),
        }
    }

    fn mention(&self, var: &Expr, needs: &mut Mentions) {
        if let Some(id) =
            self.resolver.local_at(var.span).filter(|id| self.resolver.depth_of(*id) >= self.depth)
        {
            needs.push((id, var.span));
        }
    }

    fn mentions_of_pattern(&self, pattern: &'m Expr, needs: &mut Mentions) {
        match &pattern.kind {
            ExprKind::Var(_) => self.mention(pattern, needs),
            ExprKind::Array(items) => {
                for item in items {
                    self.mentions_of_pattern(item, needs);
                }
            }
            ExprKind::Object(entries) => {
                for entry in entries {
                    self.mentions_of_pattern(&entry.value, needs);
                }
            }
            ExprKind::Paren(inner) => self.mentions_of_pattern(inner, needs),
            _ => {}
        }
    }

    /// The locals of this body that an inner body mentions: it does not bind them. One that is looked
    /// through again at each level, of which [`crate::MAX_NESTING`] bounds the number.
    fn outer(&self, visit: impl FnOnce(&mut AllVars<'m>), needs: &mut Mentions) {
        let mut vars = AllVars::default();
        visit(&mut vars);
        for var in vars.0 {
            if let Some(id) = self.resolver.local_at(var.span)
                && self.resolver.depth_of(id) == self.depth
            {
                needs.push((id, var.span));
            }
        }
    }
}

/// The values of an object that is spelled out, by those of its keys that are texts.
fn by_key(entries: &[crate::ast::Entry]) -> BTreeMap<&str, &Expr> {
    entries.iter().filter_map(|entry| Some((entry.key.as_string()?, &entry.value))).collect()
}

/// Whether two sides are spelled out so that neither binds anything of the other: `[a, b] := [1]`.
fn never_match(lhs: &Expr, rhs: &Expr) -> bool {
    use ExprKind::{Array, Bool, Null, Number, Object, Set, String};
    match (&lhs.kind, &rhs.kind) {
        (Object(left), Object(right)) => left.len() != right.len(),
        (Array(_) | Object(_), Null | Bool(_) | Number(_) | String(_) | Array(_) | Object(_) | Set(_))
        | (Null | Bool(_) | Number(_) | String(_) | Set(_), Array(_) | Object(_)) => true,
        _ => false,
    }
}

#[derive(Default)]
struct AllVars<'m>(Vec<&'m Expr>);

impl<'m> Visitor<'m> for AllVars<'m> {
    fn visit_expr(&mut self, expr: &'m Expr) {
        if expr.as_var().is_some() {
            self.0.push(expr);
        }
        visit::walk_expr(self, expr);
    }
}

/// The bodies directly within a body: each with the terms evaluated under it and where the variables
/// stand that are bound on entry.
#[derive(Default)]
struct InnerBodies<'m>(Vec<(&'m Body, Vec<&'m Expr>, Vec<Span>)>);

impl<'m> Visitor<'m> for InnerBodies<'m> {
    fn visit_expr(&mut self, expr: &'m Expr) {
        match &expr.kind {
            ExprKind::Comprehension(comprehension) => {
                self.0.push((&comprehension.body, comprehension_terms(comprehension), Vec::new()));
            }
            _ => visit::walk_expr(self, expr),
        }
    }

    fn visit_statement(&mut self, statement: &'m Statement) {
        let StatementKind::Every(every) = &statement.kind else {
            return visit::walk_statement(self, statement);
        };
        self.visit_expr(&every.collection);
        for with in &statement.with {
            self.visit_with(with);
        }
        let variables = every.key.iter().chain(std::iter::once(&every.value)).map(|name| name.span);
        self.0.push((&every.body, Vec::new(), variables.collect()));
    }
}

/// The variables that are needed but never bound, with their first mention, in text order.
fn unbound(constraints: &[Constraint], bound: &[LocalId]) -> Vec<(LocalId, Span)> {
    let ways: Vec<&Way> = constraints.iter().flat_map(|constraint| &constraint.ways).collect();
    let mut waiting: BTreeMap<LocalId, Vec<usize>> = BTreeMap::new();
    let mut missing: Vec<usize> = Vec::with_capacity(ways.len());
    let mut ready: Vec<usize> = Vec::new();
    for (index, way) in ways.iter().enumerate() {
        let needs: BTreeSet<LocalId> = way.needs.iter().map(|(id, _)| *id).collect();
        missing.push(needs.len());
        if needs.is_empty() {
            ready.push(index);
        }
        for id in needs {
            waiting.entry(id).or_default().push(index);
        }
    }
    let mut safe: BTreeSet<LocalId> = BTreeSet::new();
    let mut news: Vec<LocalId> = bound.to_vec();
    loop {
        while let Some(id) = news.pop() {
            if !safe.insert(id) {
                continue;
            }
            for &index in waiting.get(&id).into_iter().flatten() {
                if let Some(count) = missing.get_mut(index) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push(index);
                    }
                }
            }
        }
        let Some(index) = ready.pop() else { break };
        news.extend(ways.get(index).into_iter().flat_map(|way| way.gives.iter().copied()));
    }
    let mut first: BTreeMap<LocalId, Span> = BTreeMap::new();
    let mut derivable: BTreeSet<LocalId> = BTreeSet::new();
    for way in ways {
        for (id, span) in way.needs.iter().filter(|(id, _)| !safe.contains(id)) {
            first.entry(*id).and_modify(|known| *known = (*known).min(*span)).or_insert(*span);
        }
        derivable.extend(way.gives.iter().filter(|id| !safe.contains(id)));
    }
    let has_roots = first.keys().any(|id| !derivable.contains(id));
    let mut found: Vec<(LocalId, Span)> =
        first.into_iter().filter(|(id, _)| !has_roots || !derivable.contains(id)).collect();
    found.sort_by_key(|(_, span)| *span);
    found
}

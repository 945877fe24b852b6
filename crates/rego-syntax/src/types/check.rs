//! The types of rules, body by body, and what cannot be right about them.

use std::collections::HashMap;
use std::rc::Rc;

use super::declared;
use super::env::{Outcome, Scopes, Tree, reference_type};
use super::lattice::{Function, Type};
use super::messages;
use super::normal::{Arities, Callee, Closure, ClosureKind, Expr, ExprKind, NormalRule, Term, TermKind};
use super::normal::{Variables, With};
use super::operations::Work;
use crate::diagnostic::Diagnostic;

/// What a term of a statement costs, against a node of a type that is looked at.
const STATEMENT: u64 = 10;

/// Checks rules one after the other: those that a rule needs come before it.
pub(super) struct Checker<'p> {
    pub(super) vars: &'p Variables,
    pub(super) arities: &'p Arities,
    pub(super) work: &'p Work,
    pub(super) tree: Tree,
    pub(super) scopes: Scopes,
    builtins: HashMap<String, Option<Type>>,
}

impl<'p> Checker<'p> {
    pub(super) fn new(vars: &'p Variables, arities: &'p Arities, work: &'p Work) -> Self {
        Self {
            vars,
            arities,
            work,
            tree: Tree::default(),
            scopes: Scopes::default(),
            builtins: HashMap::new(),
        }
    }

    /// Checks a rule and adds the type of its document to the tree.
    pub(super) fn rule(&mut self, rule: &NormalRule) -> Vec<Diagnostic> {
        self.scopes.enter();
        let findings = self.body(&rule.body);
        if findings.is_empty() {
            self.document(rule);
        } else {
            // What follows from a rule that is wrong is noise.
            self.tree.insert_any(&rule.path);
        }
        self.scopes.leave();
        findings
    }

    fn document(&mut self, rule: &NormalRule) {
        if let Some(args) = &rule.args {
            for arg in args {
                self.unused_params(arg);
            }
            let params: Vec<Type> = args.iter().map(|arg| self.type_of(arg)).collect();
            let of = Type::function(params, self.type_of(&rule.value), Vec::new());
            return self.tree.insert(&rule.path, of, false, self.work);
        }
        let of = match &rule.key {
            Some(key) => {
                let of = self.type_of(key);
                if of.is_unknown() { of } else { Type::set(of) }
            }
            None => rule.tail.iter().rev().fold(self.type_of(&rule.value), |value, step| {
                let key = self.type_of(step);
                if key.is_unknown() || value.is_unknown() {
                    return Type::Unknown;
                }
                Type::object(Vec::new(), Some((key, value)))
            }),
        };
        if !of.is_unknown() {
            let is_below = rule.key.is_some() && !rule.tail.is_empty();
            self.tree.insert(&rule.path, of, is_below, self.work);
        }
    }

    /// A parameter that the body says nothing about may be anything.
    fn unused_params(&mut self, arg: &Term) {
        match &arg.kind {
            TermKind::Var(var) if self.scopes.get(*var).is_unknown() => self.scopes.set(*var, Type::Any),
            TermKind::Array(items) => {
                for item in items {
                    self.unused_params(item);
                }
            }
            TermKind::Object(entries) => {
                for (key, value) in entries {
                    self.unused_params(key);
                    self.unused_params(value);
                }
            }
            _ => {}
        }
    }

    /// Checks a body in the innermost scope.
    fn body(&mut self, body: &[Expr]) -> Vec<Diagnostic> {
        let mut findings = Vec::new();
        for expr in body {
            if !self.work.spend(STATEMENT * expr.terms()) {
                break;
            }
            self.scopes.forget();
            let in_closures = self.closures_of(expr);
            let in_references = self.references_of(expr);
            let is_explained = !in_closures.is_empty() || !in_references.is_empty();
            findings.extend(in_closures);
            findings.extend(in_references);
            if let Some((finding, has_unknown)) = self.expr(expr)
                && !(is_explained && has_unknown)
            {
                findings.push(finding);
            }
        }
        findings
    }

    /// Checks the comprehensions of a statement, also those within others, with what is known outside of all
    /// of them.
    fn closures_of(&mut self, expr: &Expr) -> Vec<Diagnostic> {
        let mut closures = Vec::new();
        collect_expr(expr, &mut closures);
        // The last of the outer ones that is wrong explains the statement.
        let mut findings = Vec::new();
        let mut skipped = 0;
        for (closure, inner) in closures {
            if skipped > 0 {
                skipped -= 1;
                continue;
            }
            let (_, found) = self.closure(closure);
            if !found.is_empty() {
                findings = found.to_vec();
                skipped = inner;
            }
        }
        findings
    }

    /// The type of a comprehension, and what is wrong in it. Its type is unknown if something is.
    fn closure(&mut self, closure: &Closure) -> Outcome {
        if let Some(outcome) = self.scopes.outcome(closure.id) {
            return outcome;
        }
        self.scopes.enter();
        let findings: Rc<[Diagnostic]> = self.body(&closure.body).into();
        let of = if findings.is_empty() {
            let mut terms = closure.terms.iter().map(|term| self.type_of(term));
            match closure.kind {
                ClosureKind::Array => Type::array(Vec::new(), terms.next().unwrap_or_default()),
                ClosureKind::Set => Type::set(terms.next().unwrap_or_default()),
                ClosureKind::Object => Type::object(Vec::new(), terms.next().zip(terms.next())),
            }
        } else {
            Type::Unknown
        };
        self.scopes.leave();
        self.scopes.keep(closure.id, (of.clone(), Rc::clone(&findings)));
        (of, findings)
    }

    /// Checks a statement. Also returns whether what is wrong is that something is unknown.
    fn expr(&mut self, expr: &Expr) -> Option<(Diagnostic, bool)> {
        for with in expr.with.iter() {
            if let Some(finding) = self.with(with) {
                return Some((finding, false));
            }
        }
        match &expr.kind {
            ExprKind::Call(Callee::Unify | Callee::Equal, args) => {
                let [a, b] = args.as_slice() else { return None };
                let (left, right) = (self.type_of(a), self.type_of(b));
                if self.unify_both(a, &left, b, &right) {
                    return None;
                }
                let has_unknown = left.has_unknown() || right.has_unknown();
                Some((messages::mismatch(expr.span, &left, &right), has_unknown))
            }
            ExprKind::Call(callee, args) => self.call(expr, callee, args),
            ExprKind::Term(_) | ExprKind::Every(_) => None,
        }
    }

    /// A function can stand for another one if it takes as many arguments of the same types.
    fn with(&mut self, with: &With) -> Option<Diagnostic> {
        let target = self.type_of(&with.target);
        let value = self.type_of(&with.value);
        let (Type::Function(wanted), Type::Function(given)) = (&target, &value) else { return None };
        if self.work.unifies(&target, &value) {
            return None;
        }
        let name = messages::callee_text(&with.target, self.vars);
        Some(messages::replacement(with.span, &name, given, wanted))
    }

    fn call(&mut self, expr: &Expr, callee: &Callee, args: &[Term]) -> Option<(Diagnostic, bool)> {
        let (name, of) = self.callee(callee);
        let function: Rc<Function> = match of {
            Type::Function(function) => function,
            Type::Any => return None,
            _ => return Some((messages::undefined_function(expr.span, &name), false)),
        };
        let result = Some(&function.result).filter(|result| !result.is_unknown());
        for (arg, wanted) in args.iter().zip(function.params.iter().chain(result)) {
            if !self.unify(arg, wanted, false) {
                let have: Vec<Type> = args.iter().map(|arg| self.type_of(arg)).collect();
                let has_unknown = have.iter().any(Type::has_unknown);
                return Some((messages::arguments(expr.span, &name, &have, &function), has_unknown));
            }
        }
        None
    }

    /// The name and the type of a function.
    pub(super) fn callee(&mut self, callee: &Callee) -> (String, Type) {
        match callee {
            Callee::Unify | Callee::Equal => self.callee(&Callee::Builtin("eq".to_owned())),
            Callee::Builtin(name) => (name.clone(), self.builtin(name)),
            Callee::Rule(path) => {
                let of = reference_type(path, &self.scopes, &self.tree, self.work);
                (messages::reference_text(path, self.vars), of)
            }
        }
    }

    fn builtin(&mut self, name: &str) -> Type {
        if let Some(known) = self.builtins.get(name) {
            return known.clone().unwrap_or(Type::Any);
        }
        let of = declared::builtin(name);
        self.builtins.insert(name.to_owned(), of.clone());
        of.unwrap_or(Type::Any)
    }

    /// The type of a term, as far as it is known.
    pub(super) fn type_of(&mut self, term: &Term) -> Type {
        self.work.spend(1);
        match &term.kind {
            TermKind::Null => Type::Null,
            TermKind::Bool(_) => Type::Boolean,
            TermKind::Number(_) => Type::Number,
            TermKind::String(_) => Type::String,
            TermKind::Var(var) => self.scopes.get(*var),
            TermKind::Ref(reference) => reference_type(reference, &self.scopes, &self.tree, self.work),
            TermKind::Builtin(name) => self.builtin(name),
            TermKind::Array(items) => {
                let dynamic = if items.is_empty() { Type::Any } else { Type::Unknown };
                Type::array(items.iter().map(|item| self.type_of(item)).collect(), dynamic)
            }
            TermKind::Set(items) => {
                let of = items.iter().fold(Type::Unknown, |of, item| {
                    let item = self.type_of(item);
                    self.work.or(of, item)
                });
                Type::set(if of.is_unknown() { Type::Any } else { of })
            }
            TermKind::Object(entries) => {
                let mut fixed = Vec::new();
                let mut dynamic = None;
                for (key, value) in entries {
                    let of = self.type_of(value);
                    match key.constant() {
                        Some(key) => fixed.push((key, of)),
                        None => dynamic = Some((self.type_of(key), of)),
                    }
                }
                if entries.is_empty() {
                    dynamic = Some((Type::Any, Type::Any));
                }
                Type::object(fixed, dynamic)
            }
            TermKind::Closure(closure) => self.closure(closure).0,
            TermKind::Call(..) => Type::Unknown,
        }
    }
}

/// The comprehensions of a statement, each before those in it, with how many those are.
fn collect_expr<'e>(expr: &'e Expr, closures: &mut Vec<(&'e Closure, usize)>) {
    match &expr.kind {
        ExprKind::Term(term) => collect_term(term, closures),
        ExprKind::Call(_, args) => {
            for arg in args {
                collect_term(arg, closures);
            }
        }
        ExprKind::Every(every) => {
            collect_term(&every.domain, closures);
            for expr in &every.body {
                collect_expr(expr, closures);
            }
        }
    }
    for with in expr.with.iter() {
        collect_term(&with.value, closures);
    }
}

fn collect_term<'e>(term: &'e Term, closures: &mut Vec<(&'e Closure, usize)>) {
    match &term.kind {
        TermKind::Closure(closure) => {
            let at = closures.len();
            closures.push((closure, 0));
            for term in &closure.terms {
                collect_term(term, closures);
            }
            for expr in &closure.body {
                collect_expr(expr, closures);
            }
            let inner = closures.len() - at - 1;
            if let Some((_, count)) = closures.get_mut(at) {
                *count = inner;
            }
        }
        TermKind::Ref(reference) => {
            for arg in &reference.args {
                collect_term(arg, closures);
            }
        }
        TermKind::Array(items) | TermKind::Set(items) | TermKind::Call(_, items) => {
            for item in items {
                collect_term(item, closures);
            }
        }
        TermKind::Object(entries) => {
            for (key, value) in entries {
                collect_term(key, closures);
                collect_term(value, closures);
            }
        }
        _ => {}
    }
}

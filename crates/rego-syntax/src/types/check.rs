//! The types of rules, body by body, and what cannot be right about them.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::declared;
use super::env::{Scopes, Tree, reference_type};
use super::lattice::{Function, Key, Type};
use super::messages::{self, Finding};
use super::normal::{Arities, Callee, Closure, ClosureKind, Expr, ExprKind, NormalRule, Term, TermKind};
use super::normal::{Var, Variables, With};
use super::operations::Work;

/// Checks rules one after the other: those that a rule needs come before it.
pub(super) struct Checker<'p> {
    pub(super) vars: &'p Variables,
    pub(super) arities: &'p Arities,
    pub(super) work: &'p Work,
    pub(super) tree: Tree,
    pub(super) scopes: Scopes,
    builtins: HashMap<String, Option<Type>>,
    /// What came of comprehensions, by what was known of the variables around them.
    closures: HashMap<(u32, u64), (Type, Rc<[Finding]>)>,
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
            closures: HashMap::new(),
        }
    }

    /// Checks a rule and adds the type of its document to the tree.
    pub(super) fn rule(&mut self, rule: &NormalRule) -> Vec<Finding> {
        self.scopes.enter();
        let findings = self.body(&rule.body);
        if findings.is_empty() {
            self.document(rule);
        } else {
            // What follows from a rule that is wrong is noise.
            self.tree.insert_any(&rule.path);
        }
        self.scopes.leave();
        self.closures.clear();
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
            TermKind::Var(var) => {
                if self.scopes.get(*var).is_unknown() {
                    self.scopes.set(*var, Type::Any);
                }
            }
            TermKind::Array(items) => items.iter().for_each(|item| self.unused_params(item)),
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
    fn body(&mut self, body: &[Expr]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for expr in body {
            if !self.work.spend(expr.terms()) {
                break;
            }
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

    /// Checks the comprehensions of a statement, also those within others, with what is known outside of all of them.
    fn closures_of(&mut self, expr: &Expr) -> Vec<Finding> {
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
    fn closure(&mut self, closure: &Closure) -> (Type, Rc<[Finding]>) {
        let key = (closure.id, self.scopes.stamp());
        if let Some((of, findings)) = self.closures.get(&key) {
            return (of.clone(), Rc::clone(findings));
        }
        self.scopes.enter();
        let findings: Rc<[Finding]> = self.body(&closure.body).into();
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
        self.closures.insert(key, (of.clone(), Rc::clone(&findings)));
        (of, findings)
    }

    /// Checks a statement. Also tells whether what is wrong is that something is unknown.
    fn expr(&mut self, expr: &Expr) -> Option<(Finding, bool)> {
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
    fn with(&mut self, with: &With) -> Option<Finding> {
        let target = self.type_of(&with.target);
        let value = self.type_of(&with.value);
        let (Type::Function(wanted), Type::Function(given)) = (&target, &value) else { return None };
        if self.work.unifies(&target, &value) {
            return None;
        }
        let name = messages::callee_text(&with.target, self.vars);
        Some(messages::replacement(with.span, &name, given, wanted))
    }

    fn call(&mut self, expr: &Expr, callee: &Callee, args: &[Term]) -> Option<(Finding, bool)> {
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

    /// Makes both terms have one type. What is unknown on one side is learnt from the other.
    fn unify_both(&mut self, a: &Term, left: &Type, b: &Term, right: &Type) -> bool {
        match (left.has_unknown(), right.has_unknown()) {
            (true, false) => return self.unify(a, right, false),
            (false, true) => return self.unify(b, left, false),
            (false, false) => return self.work.unifies(left, right),
            (true, true) => {}
        }
        match (&a.kind, &b.kind) {
            (TermKind::Array(x), TermKind::Array(y)) => {
                x.len() == y.len() && x.iter().zip(y).all(|(a, b)| self.unify_terms(a, b))
            }
            (TermKind::Object(x), TermKind::Object(y)) => self.unify_objects(x, y),
            (TermKind::Array(_) | TermKind::Object(_), TermKind::Var(_)) => self.take_over(a, b),
            (TermKind::Var(_), TermKind::Var(_)) => self.take_over(a, b),
            (TermKind::Var(_), TermKind::Array(_) | TermKind::Object(_)) => self.take_over(b, a),
            _ => false,
        }
    }

    /// Nothing is known of either: `from` may be anything, and `to` is that.
    fn take_over(&mut self, from: &Term, to: &Term) -> bool {
        if !self.unify(from, &Type::Any, false) {
            return false;
        }
        let of = self.type_of(from);
        self.unify(to, &of, false)
    }

    fn unify_terms(&mut self, a: &Term, b: &Term) -> bool {
        let (left, right) = (self.type_of(a), self.type_of(b));
        self.unify_both(a, &left, b, &right)
    }

    fn unify_objects(&mut self, x: &[(Term, Term)], y: &[(Term, Term)]) -> bool {
        let others: BTreeMap<EntryKey, &Term> =
            y.iter().filter_map(|(key, value)| Some((entry_key(key)?, value))).collect();
        x.len() == y.len()
            && x.iter().all(|(key, value)| {
                // A key that is computed from parts may be any.
                let Some(key) = entry_key(key) else { return true };
                others.get(&key).is_some_and(|other| self.unify_terms(value, other))
            })
    }

    /// Makes a term have a type, if it can. With `is_part`, the type is one of several that its variables may have.
    pub(super) fn unify(&mut self, term: &Term, of: &Type, is_part: bool) -> bool {
        if !self.work.spend(1) {
            return true;
        }
        match &term.kind {
            TermKind::Var(var) => {
                let known = self.scopes.get(*var);
                if is_part {
                    let all = self.work.or(known, of.clone());
                    self.scopes.set(*var, all);
                } else if known.is_unknown() {
                    self.scopes.set(*var, of.clone());
                } else {
                    return self.work.unifies(&known, of);
                }
                true
            }
            TermKind::Array(_) | TermKind::Object(_) | TermKind::Set(_) => match of {
                Type::Any => {
                    self.unify_parts_with_any(term);
                    true
                }
                Type::Union(union) => {
                    let mut is_one = false;
                    for part in &union.of {
                        is_one |= self.unify(term, part, true);
                    }
                    is_one
                }
                _ => self.unify_collection(term, of, is_part),
            },
            _ => {
                let known = self.type_of(term);
                self.work.unifies(&known, of)
            }
        }
    }

    fn unify_parts_with_any(&mut self, term: &Term) {
        match &term.kind {
            TermKind::Array(items) | TermKind::Set(items) => {
                for item in items {
                    self.unify(item, &Type::Any, true);
                }
            }
            TermKind::Object(entries) => {
                for (key, value) in entries {
                    self.unify(key, &Type::Any, true);
                    self.unify(value, &Type::Any, true);
                }
            }
            _ => {}
        }
    }

    fn unify_collection(&mut self, term: &Term, of: &Type, is_part: bool) -> bool {
        match (&term.kind, of) {
            (TermKind::Array(items), Type::Array(array)) => {
                (items.len() == array.fixed.len() || !array.dynamic.is_unknown())
                    && items
                        .iter()
                        .enumerate()
                        .all(|(position, item)| self.unify(item, array.at(position), is_part))
            }
            (TermKind::Set(items), Type::Set(set)) => {
                items.iter().all(|item| self.unify(item, &set.of, is_part))
            }
            (TermKind::Object(entries), Type::Object(object)) => {
                let has_dynamic = object.dynamic.as_ref().is_some_and(|(_, value)| !value.is_unknown());
                (entries.len() == object.fixed.len() || has_dynamic)
                    && entries.iter().all(|(key, value)| match key.constant() {
                        Some(key) => self.unify_entry(&key, value, of, is_part),
                        None => {
                            self.unify(value, &Type::Any, is_part);
                            true
                        }
                    })
            }
            _ => false,
        }
    }

    fn unify_entry(&mut self, key: &Key, value: &Term, of: &Type, is_part: bool) -> bool {
        let of = self.work.select(of, key);
        !of.is_unknown() && self.unify(value, &of, is_part)
    }
}

/// What two keys of objects have in common that are the same.
type EntryKey = Result<Key, Var>;

fn entry_key(key: &Term) -> Option<EntryKey> {
    match &key.kind {
        TermKind::Var(var) => Some(Err(*var)),
        _ => key.constant().map(Ok),
    }
}

/// The comprehensions of a statement, each before those in it, with how many those are.
fn collect_expr<'e>(expr: &'e Expr, closures: &mut Vec<(&'e Closure, usize)>) {
    match &expr.kind {
        ExprKind::Term(term) => collect_term(term, closures),
        ExprKind::Call(_, args) => args.iter().for_each(|arg| collect_term(arg, closures)),
        ExprKind::Every(every) => {
            collect_term(&every.domain, closures);
            every.body.iter().for_each(|expr| collect_expr(expr, closures));
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
            closure.terms.iter().for_each(|term| collect_term(term, closures));
            closure.body.iter().for_each(|expr| collect_expr(expr, closures));
            let inner = closures.len() - at - 1;
            if let Some((_, count)) = closures.get_mut(at) {
                *count = inner;
            }
        }
        TermKind::Ref(reference) => reference.args.iter().for_each(|arg| collect_term(arg, closures)),
        TermKind::Array(items) | TermKind::Set(items) | TermKind::Call(_, items) => {
            items.iter().for_each(|item| collect_term(item, closures));
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

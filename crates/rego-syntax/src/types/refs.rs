//! References that cannot lead to anything: into values without parts, by keys that are not there.

use super::check::Checker;
use super::env::{Tree, reference_type};
use super::lattice::{Key, Type};
use super::messages;
use super::normal::{Expr, ExprKind, RefHead, Reference, Term, TermKind};
use crate::diagnostic::Diagnostic;

impl Checker<'_> {
    /// Checks the references of a statement, comprehensions aside. Variables in brackets learn what they can
    /// be.
    pub(super) fn references_of(&mut self, expr: &Expr) -> Vec<Diagnostic> {
        let mut findings = Vec::new();
        self.references_in(expr, &mut findings);
        findings
    }

    fn references_in(&mut self, expr: &Expr, findings: &mut Vec<Diagnostic>) {
        match &expr.kind {
            ExprKind::Term(term) => self.references_in_term(term, findings),
            ExprKind::Call(_, args) => {
                for arg in args {
                    self.references_in_term(arg, findings);
                }
            }
            ExprKind::Every(every) => {
                self.references_in_term(&every.domain, findings);
                for expr in &every.body {
                    self.references_in(expr, findings);
                }
            }
        }
    }

    fn references_in_term(&mut self, term: &Term, findings: &mut Vec<Diagnostic>) {
        match &term.kind {
            TermKind::Ref(reference) => {
                let of = reference_type(reference, &self.scopes, &self.tree, self.work);
                if of.is_function() {
                    let last = reference.args.len();
                    return findings.push(messages::no_parts(term.span, reference, last, &of, self.vars));
                }
                if let Err(finding) = self.reference(term, reference) {
                    findings.push(finding);
                }
                for arg in &reference.args {
                    self.references_in_term(arg, findings);
                }
            }
            TermKind::Array(items) | TermKind::Set(items) => {
                for item in items {
                    self.references_in_term(item, findings);
                }
            }
            TermKind::Object(entries) => {
                for (key, value) in entries {
                    self.references_in_term(key, findings);
                    self.references_in_term(value, findings);
                }
            }
            _ => {}
        }
    }

    fn reference(&mut self, term: &Term, reference: &Reference) -> Result<(), Diagnostic> {
        match &reference.head {
            RefHead::Data => self.below_data(term, reference),
            RefHead::Var(var) => {
                let mut known = self.scopes.get(*var);
                if known.is_unknown() {
                    known = Type::Any;
                    self.scopes.set(*var, Type::Any);
                }
                self.below(term, reference, known, 0)
            }
            RefHead::Input | RefHead::Term(_) => self.below(term, reference, Type::Any, 0),
        }
    }

    /// Follows a reference through the documents of rules. What is not made by rules may be anything.
    fn below_data(&mut self, term: &Term, reference: &Reference) -> Result<(), Diagnostic> {
        let tree = std::mem::take(&mut self.tree);
        let result = self.below_tree(&tree, term, reference);
        self.tree = tree;
        result
    }

    fn below_tree(&mut self, tree: &Tree, term: &Term, reference: &Reference) -> Result<(), Diagnostic> {
        let mut node = tree;
        for (position, arg) in reference.args.iter().enumerate() {
            let is_name = matches!(arg.kind, TermKind::Var(_) | TermKind::String(_));
            if position < 2 && !is_name {
                let have = self.type_of(arg);
                let one_of: Vec<Key> = node.children.keys().cloned().collect();
                let wrong = messages::Wrong { have: Some(&have), want: &Type::String, one_of: &one_of };
                return Err(messages::no_such_part(term.span, reference, position, &wrong, self.vars));
            }
            if let TermKind::Var(var) = &arg.kind {
                let keys = self.work.keys(&node.extent(self.work));
                let known = self.scopes.get(*var);
                if known.is_unknown() {
                    self.scopes.set(*var, keys);
                } else if !self.work.unifies(&keys, &known) {
                    let one_of: Vec<Key> = node.children.keys().cloned().collect();
                    let wrong = messages::Wrong { have: Some(&known), want: &keys, one_of: &one_of };
                    return Err(messages::no_such_part(term.span, reference, position, &wrong, self.vars));
                }
            }
            let child = arg.constant().and_then(|key| node.children.get(&key));
            let Some(child) = child else { return self.below(term, reference, Type::Any, 0) };
            if child.is_leaf() {
                return self.below(term, reference, child.of.clone(), position + 1);
            }
            node = child;
        }
        Ok(())
    }

    /// Follows a reference from one of its steps on, below a value of the type `of`.
    fn below(
        &mut self,
        term: &Term,
        reference: &Reference,
        mut of: Type,
        from: usize,
    ) -> Result<(), Diagnostic> {
        for (position, arg) in reference.args.iter().enumerate().skip(from) {
            let keys = self.work.keys(&of);
            if keys.is_unknown() {
                return Err(messages::no_parts(term.span, reference, position, &of, self.vars));
            }
            let wrong = |have: Option<Type>, is_listed: bool, this: &Self| {
                let one_of = if is_listed { fixed_keys(&of) } else { Vec::new() };
                let wrong = messages::Wrong { have: have.as_ref(), want: &keys, one_of: &one_of };
                Err(messages::no_such_part(term.span, reference, position, &wrong, this.vars))
            };
            let below = match &arg.kind {
                TermKind::Var(var) => {
                    let known = self.scopes.get(*var);
                    if known.is_unknown() {
                        self.scopes.set(*var, keys.clone());
                    } else if !self.work.unifies(&known, &keys) {
                        return wrong(Some(known), true, self);
                    }
                    self.work.values(&of)
                }
                TermKind::Ref(inner) => {
                    let known = reference_type(inner, &self.scopes, &self.tree, self.work);
                    if !known.is_unknown() && !self.work.unifies(&known, &keys) {
                        return wrong(Some(known), true, self);
                    }
                    self.work.values(&of)
                }
                TermKind::Array(_) | TermKind::Object(_) | TermKind::Set(_) => {
                    if !self.unify(arg, &keys, false) {
                        let have = self.type_of(arg);
                        return wrong(Some(have), false, self);
                    }
                    self.work.values(&of)
                }
                _ => {
                    let key = arg.constant();
                    let below = key.map_or(Type::Unknown, |key| self.work.select(&of, &key));
                    if below.is_unknown() {
                        return wrong(None, true, self);
                    }
                    below
                }
            };
            of = below;
        }
        Ok(())
    }
}

/// The keys that a type spells out.
fn fixed_keys(of: &Type) -> Vec<Key> {
    match of {
        Type::Object(object) => object.fixed.iter().map(|(key, _)| key.clone()).collect(),
        Type::Union(union) => {
            let mut keys: Vec<Key> = union.of.iter().flat_map(fixed_keys).collect();
            keys.sort();
            keys.dedup();
            keys
        }
        _ => Vec::new(),
    }
}

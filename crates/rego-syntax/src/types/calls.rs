//! What is wrong with calls and with `with`, whatever the types: numbers of arguments, values of functions
//! without one, what cannot be replaced.

use super::check::Checker;
use super::lattice::{Key, Type};
use super::messages;
use super::normal::{Callee, Closure, Expr, ExprKind, NormalRule, RefHead, Term, TermKind, With};
use crate::builtins;
use crate::diagnostic::Diagnostic;

impl Checker<'_> {
    /// Checks the calls of a rule.
    pub(super) fn calls_of(&mut self, rule: &NormalRule) -> Vec<Diagnostic> {
        let mut findings = Vec::new();
        for expr in &rule.body {
            self.calls_in(expr, &mut findings);
        }
        findings
    }

    fn calls_in(&mut self, expr: &Expr, findings: &mut Vec<Diagnostic>) {
        for with in expr.with.iter() {
            findings.extend(self.target(with));
            self.calls_in_term(&with.value, findings);
        }
        match &expr.kind {
            ExprKind::Term(term) => self.calls_in_term(term, findings),
            ExprKind::Every(every) => {
                self.calls_in_term(&every.domain, findings);
                for expr in &every.body {
                    self.calls_in(expr, findings);
                }
            }
            ExprKind::Call(callee, args) => {
                findings.extend(self.arguments(expr, callee, args));
                for arg in args {
                    self.calls_in_term(arg, findings);
                }
            }
        }
    }

    fn calls_in_term(&mut self, term: &Term, findings: &mut Vec<Diagnostic>) {
        match &term.kind {
            TermKind::Closure(closure) => {
                let Closure { body, .. } = &**closure;
                for expr in body {
                    self.calls_in(expr, findings);
                }
            }
            TermKind::Ref(reference) => {
                for arg in &reference.args {
                    self.calls_in_term(arg, findings);
                }
            }
            TermKind::Array(items) | TermKind::Set(items) => {
                for item in items {
                    self.calls_in_term(item, findings);
                }
            }
            TermKind::Object(entries) => {
                for (key, value) in entries {
                    self.calls_in_term(key, findings);
                    self.calls_in_term(value, findings);
                }
            }
            _ => {}
        }
    }

    fn arguments(&mut self, expr: &Expr, callee: &Callee, args: &[Term]) -> Option<Diagnostic> {
        self.work.spend(1);
        let given = args.len() - usize::from(expr.is_generated && !args.is_empty());
        let fits = |arity: usize| given == arity || (!expr.is_generated && given == arity + 1);
        match callee {
            Callee::Unify | Callee::Equal => None,
            Callee::Builtin(name) if name == "print" => {
                expr.is_generated.then(|| messages::used_as_value(expr.span, name))
            }
            Callee::Builtin(name) => {
                let (_, Type::Function(function)) = self.callee(callee) else { return None };
                if expr.is_generated && function.result.is_unknown() {
                    return Some(messages::used_as_value(expr.span, name));
                }
                if fits(function.params.len()) {
                    return None;
                }
                let have: Vec<Type> = args.iter().map(|arg| self.type_of(arg)).collect();
                Some(messages::arity(expr.span, name, &have, &function))
            }
            Callee::Rule(path) => {
                let takes = *self.arities.get(&path.path()?)?;
                if fits(takes) {
                    return None;
                }
                let name = messages::reference_text(path, self.vars);
                Some(messages::arity_of_rule(expr.span, &name, takes, given))
            }
        }
    }

    /// Whether a `with` replaces what it can.
    fn target(&mut self, with: &With) -> Option<Diagnostic> {
        let wrong = |message: String| Some(messages::with_target(with.target.span, message));
        match &with.target.kind {
            TermKind::Ref(reference) if matches!(reference.head, RefHead::Input) => None,
            TermKind::Ref(reference) if matches!(reference.head, RefHead::Data) => {
                let steps = reference.args.iter().map_while(Term::constant);
                let path: Vec<Key> = steps.collect();
                let is_within = (1..reference.args.len())
                    .filter_map(|length| path.get(..length))
                    .any(|path| self.arities.contains_key(path));
                if is_within {
                    return wrong("with keyword cannot partially replace virtual document(s)".to_owned());
                }
                None
            }
            TermKind::Builtin(name) => {
                let what = match name.as_str() {
                    "eq" | "rego.metadata.chain" | "rego.metadata.rule" => "it is a part of the language",
                    "walk" => "it has several results",
                    "print" => "it returns nothing",
                    name if name.starts_with("internal.") => "it is not for policies",
                    name if builtins::arity(name).is_none() => return None,
                    _ => return None,
                };
                wrong(format!("with keyword cannot replace the built-in function {name}: {what}"))
            }
            _ => wrong("with keyword target must reference existing input, data, or a function".to_owned()),
        }
    }
}

//! Terms of syntax trees, with resolved names.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::operations::Work;
use super::{
    Arities, Callee, Closure, ClosureKind, Every, Expr, ExprKind, NormalRule, RefHead, Reference, Term,
    TermKind,
};
use super::{Var, Variables, With, expand, order};
use crate::ast::{self, BinaryOp, ComprehensionHead, Module, RefArg, RefArgKind, Rule, RuleKind, Statement};
use crate::ast::{StatementKind, TemplatePart};
use crate::resolve::{LocalId, Names, Resolution};
use crate::span::Span;
use crate::types::lattice::Key;

/// A module of a program, and what its names mean.
#[derive(Clone, Copy, Debug)]
pub(in crate::types) struct Unit<'m> {
    pub(in crate::types) module: &'m Module,
    pub(in crate::types) names: &'m Names,
}

/// The rules of all modules, in their order.
pub(in crate::types) fn rules(
    units: &[Unit<'_>],
    vars: &mut Variables,
    arities: &Arities,
    work: &Work,
) -> Vec<NormalRule> {
    let mut rules = Vec::new();
    let mut closures = 0;
    for (number, unit) in units.iter().enumerate() {
        let mut builder = Builder {
            unit: *unit,
            number,
            clause: None,
            vars,
            locals: BTreeMap::new(),
            unresolved: BTreeMap::new(),
            closures: &mut closures,
            work,
        };
        for rule in &unit.module.rules {
            builder.rule(rule, arities, &mut rules);
        }
    }
    rules
}

struct Builder<'b, 'm> {
    unit: Unit<'m>,
    number: usize,
    /// The body that is at hand: names in a head mean something else under each.
    clause: Option<&'m ast::Clause>,
    vars: &'b mut Variables,
    locals: BTreeMap<LocalId, Var>,
    unresolved: BTreeMap<&'m str, Var>,
    closures: &'b mut u32,
    work: &'b Work,
}

impl<'m> Builder<'_, 'm> {
    fn rule(&mut self, rule: &'m Rule, arities: &Arities, rules: &mut Vec<NormalRule>) {
        let value = rule.head.value.as_ref().map(|value| &value.expr);
        if rule.clauses.is_empty() {
            rules.extend(self.clause(rule, rule.span, None, value, arities));
        }
        for clause in &rule.clauses {
            rules.extend(self.clause(rule, rule.span, Some(clause), value, arities));
        }
        for other in &rule.elses {
            let value = other.value.as_ref().map(|value| &value.expr);
            rules.extend(self.clause(rule, other.span, other.clause.as_ref(), value, arities));
        }
    }

    fn clause(
        &mut self,
        rule: &'m Rule,
        span: Span,
        clause: Option<&'m ast::Clause>,
        value: Option<&'m ast::Expr>,
        arities: &Arities,
    ) -> Option<NormalRule> {
        if !self.work.spend(1) {
            return None;
        }
        self.clause = clause.filter(|_| rule.clauses.len() > 1);
        self.unresolved.clear();
        let mut body = Vec::new();
        for statement in clause.iter().flat_map(|clause| &clause.body.statements) {
            self.statement(statement, &mut body);
        }
        let head = &rule.head;
        let truth = Term::new(span, TermKind::Bool(true));
        let mut normal = NormalRule {
            module: self.number,
            path: self.package(),
            tail: Vec::new(),
            args: head.params.as_ref().map(|params| params.iter().map(|param| self.term(param)).collect()),
            key: head.key.as_ref().filter(|_| rule.kind() == RuleKind::PartialSet).map(|key| self.term(key)),
            value: value.map_or(truth, |value| self.term(value)),
            body,
        };
        normal.args = normal.args.filter(|args| !args.is_empty());
        normal.path.push(Key::string(rule.name()));
        for arg in &head.path {
            let step = self.step(arg);
            match step.constant().filter(|_| normal.tail.is_empty() && step.is_scalar()) {
                Some(key) => normal.path.push(key),
                None => normal.tail.push(step),
            }
        }
        self.clause = None;
        expand::rule(&mut normal, arities, self.vars);
        order::rule(&mut normal, arities, self.work);
        super::hoist::rule(&mut normal, self.vars);
        Some(normal)
    }

    fn package(&self) -> Vec<Key> {
        self.unit.module.package_path().into_iter().map(Key::string).collect()
    }

    fn body(&mut self, body: &'m ast::Body) -> Vec<Expr> {
        let mut exprs = Vec::new();
        for statement in &body.statements {
            self.statement(statement, &mut exprs);
        }
        if exprs.is_empty() {
            exprs.push(truth(body.span));
        }
        exprs
    }

    fn statement(&mut self, statement: &'m Statement, body: &mut Vec<Expr>) {
        if !self.work.spend(1) {
            return;
        }
        let (kind, is_negated) = match &statement.kind {
            StatementKind::Some(_) => return,
            StatementKind::Expr(expr) => (self.expr(expr), false),
            StatementKind::Not(expr) => (self.expr(expr), true),
            StatementKind::SomeIn(some) => (self.some_in(some), false),
            StatementKind::Every(every) => (self.every(every), false),
        };
        // OPA leaves them out where nobody asked for prints, as Gatekeeper does.
        if matches!(&kind, ExprKind::Call(Callee::Builtin(name), _) if name == "print") {
            return;
        }
        let with = self.replacements(statement);
        body.push(Expr { span: statement.span, kind, is_negated, is_generated: false, with });
    }

    /// What a statement replaces by `with`.
    fn replacements(&mut self, statement: &'m ast::Statement) -> Rc<[With]> {
        let with = statement.with.iter().map(|with| With {
            span: with.span,
            target: self.target(&with.target),
            value: self.term(&with.value),
        });
        with.collect()
    }

    /// What `with` replaces. A local variable may hide `input`; as a target it is the root all the same.
    fn target(&mut self, target: &'m ast::Expr) -> Term {
        let term = self.term(target);
        let head = target.as_ref().map_or(target, |reference| &reference.head);
        let args = match term.kind {
            _ if head.as_var() != Some("input") => return term,
            TermKind::Ref(reference) => reference.args,
            _ => Vec::new(),
        };
        Term::new(target.span, TermKind::Ref(Box::new(Reference { head: RefHead::Input, args })))
    }

    fn expr(&mut self, expr: &'m ast::Expr) -> ExprKind {
        let expr = expr.peeled();
        if let ast::ExprKind::Binary(binary) = &expr.kind {
            let args = vec![self.term(&binary.lhs), self.term(&binary.rhs)];
            return ExprKind::Call(
                match binary.op {
                    BinaryOp::Assign | BinaryOp::Unify => Callee::Unify,
                    BinaryOp::Eq => Callee::Equal,
                    op => Callee::Builtin(operator(op).to_owned()),
                },
                args,
            );
        }
        match self.term(expr) {
            // A template is a call within a term.
            Term { kind: TermKind::Call(callee, args), .. }
                if !matches!(expr.kind, ast::ExprKind::Template(_)) =>
            {
                ExprKind::Call(callee, args)
            }
            term => ExprKind::Term(term),
        }
    }

    /// `some k, v in xs` is `v = xs[k]`.
    fn some_in(&mut self, some: &'m ast::SomeIn) -> ExprKind {
        let key = match &some.key {
            Some(key) => self.term(key),
            None => Term::var(some.span, self.vars.fresh()),
        };
        let value = self.term(&some.value);
        let collection = self.term(&some.collection);
        let span = collection.span;
        let mut reference = reference(collection);
        reference.args.push(key);
        ExprKind::Call(Callee::Unify, vec![value, Term::new(span, TermKind::Ref(Box::new(reference)))])
    }

    fn every(&mut self, every: &'m ast::Every) -> ExprKind {
        let vars = every.key.iter().chain([&every.value]);
        let vars = vars.map(|name| self.resolved(&name.text, name.span));
        let vars: Vec<Var> = vars
            .filter_map(|term| match term.kind {
                TermKind::Var(var) => Some(var),
                _ => None,
            })
            .collect();
        let domain = self.term(&every.collection);
        ExprKind::Every(Box::new(Every { vars, domain, body: self.body(&every.body) }))
    }

    fn term(&mut self, expr: &'m ast::Expr) -> Term {
        self.work.spend(1);
        let kind = match &expr.kind {
            ast::ExprKind::Null => TermKind::Null,
            ast::ExprKind::Bool(value) => TermKind::Bool(*value),
            ast::ExprKind::Number(digits) => TermKind::Number(digits.clone()),
            ast::ExprKind::String(text) => TermKind::String(text.clone()),
            ast::ExprKind::Paren(inner) => return self.term(inner),
            ast::ExprKind::Var(name) => return self.resolved(name, expr.span),
            ast::ExprKind::Ref(written) => return self.reference(written, expr.span),
            ast::ExprKind::Array(items) => TermKind::Array(self.terms(items)),
            ast::ExprKind::Set(items) => TermKind::Set(self.terms(items)),
            ast::ExprKind::Object(entries) => {
                let entries = entries.iter().map(|entry| (self.term(&entry.key), self.term(&entry.value)));
                TermKind::Object(entries.collect())
            }
            ast::ExprKind::Comprehension(written) => {
                let body = self.body(&written.body);
                let (kind, terms) = match &written.head {
                    ComprehensionHead::Array(term) => (ClosureKind::Array, vec![self.term(term)]),
                    ComprehensionHead::Set(term) => (ClosureKind::Set, vec![self.term(term)]),
                    ComprehensionHead::Object(entry) => {
                        (ClosureKind::Object, vec![self.term(&entry.key), self.term(&entry.value)])
                    }
                };
                self.closure(kind, terms, body)
            }
            ast::ExprKind::Call(call) => {
                let args = self.terms(&call.args);
                TermKind::Call(self.callee(call), args)
            }
            ast::ExprKind::Binary(binary) => {
                let name = operator(binary.op).to_owned();
                TermKind::Call(Callee::Builtin(name), vec![self.term(&binary.lhs), self.term(&binary.rhs)])
            }
            ast::ExprKind::Membership(membership) => {
                let name = if membership.key.is_some() { "internal.member_3" } else { "internal.member_2" };
                let parts = membership.key.iter().chain([&membership.value, &membership.collection]);
                let args = parts.map(|part| self.term(part)).collect();
                TermKind::Call(Callee::Builtin(name.to_owned()), args)
            }
            ast::ExprKind::Template(template) => {
                let parts = template.parts.iter().map(|part| self.part(part)).collect();
                let parts = Term::new(expr.span, TermKind::Array(parts));
                TermKind::Call(Callee::Builtin("internal.template_string".to_owned()), vec![parts])
            }
        };
        Term::new(expr.span, kind)
    }

    fn terms(&mut self, exprs: &'m [ast::Expr]) -> Vec<Term> {
        exprs.iter().map(|expr| self.term(expr)).collect()
    }

    fn closure(&mut self, kind: ClosureKind, terms: Vec<Term>, body: Vec<Expr>) -> TermKind {
        *self.closures += 1;
        TermKind::Closure(Box::new(Closure { id: *self.closures, kind, terms, body }))
    }

    /// An expression of a template is the set of its values.
    fn part(&mut self, part: &'m TemplatePart) -> Term {
        match part {
            TemplatePart::Text(text) => Term::new(text.span, TermKind::String(text.text.clone())),
            TemplatePart::Expr(statement) => {
                let span = statement.span;
                let value = match &statement.kind {
                    StatementKind::Expr(expr) | StatementKind::Not(expr) => self.term(expr),
                    _ => Term::new(span, TermKind::Null),
                };
                let (mut naming, var) = Expr::naming(self.vars, value);
                naming.with = self.replacements(statement);
                Term::new(span, self.closure(ClosureKind::Set, vec![var], vec![naming]))
            }
        }
    }

    fn callee(&mut self, call: &'m ast::Call) -> Callee {
        let name = call.name();
        let head = call.callee.as_ref().map_or(&call.callee, |reference| &reference.head);
        match (name, self.unit.names.at(head.span)) {
            (Some(name), Some(Resolution::Builtin | Resolution::Unresolved) | None) => match name.as_str() {
                "eq" | "assign" if call.args.len() == 2 => Callee::Unify,
                "equal" if call.args.len() == 2 => Callee::Equal,
                _ => Callee::Builtin(name),
            },
            _ => Callee::Rule(Box::new(reference(self.term(&call.callee)))),
        }
    }

    fn reference(&mut self, written: &'m ast::Ref, span: Span) -> Term {
        let names = || written.pattern().into_iter().collect::<Option<Vec<&str>>>();
        if self.unit.names.at(written.head.span) == Some(Resolution::Builtin)
            && written.head.as_var().is_some()
            && let Some(names) = names()
        {
            return Term::new(span, TermKind::Builtin(names.join(".")));
        }
        let mut reference = reference(self.term(&written.head));
        for arg in &written.args {
            reference.args.push(self.step(arg));
        }
        Term::new(span, TermKind::Ref(Box::new(reference)))
    }

    fn step(&mut self, arg: &'m RefArg) -> Term {
        match &arg.kind {
            RefArgKind::Dot(name) => Term::new(arg.span, TermKind::String(name.text.clone())),
            RefArgKind::Bracket(expr) => self.term(expr),
        }
    }

    /// What a name stands for.
    fn resolved(&mut self, name: &'m str, span: Span) -> Term {
        let names = self.unit.names;
        let meaning = match self.clause {
            Some(clause) => names.at_under(clause, span),
            None => names.at(span),
        };
        let path = |head, steps: Vec<String>| {
            let args = steps.into_iter().map(|step| Term::new(span, TermKind::String(step))).collect();
            Term::new(span, TermKind::Ref(Box::new(Reference { head, args })))
        };
        match meaning {
            Some(Resolution::Local(id)) => {
                let vars = &mut *self.vars;
                let var = *self.locals.entry(id).or_insert_with(|| vars.named(name));
                Term::var(span, var)
            }
            Some(Resolution::Wildcard) => Term::var(span, self.vars.named("_")),
            Some(Resolution::Input) => path(RefHead::Input, Vec::new()),
            Some(Resolution::Data) => path(RefHead::Data, Vec::new()),
            Some(Resolution::Rule) => {
                let package = self.unit.module.package_path().into_iter().map(str::to_owned);
                path(RefHead::Data, package.chain([name.to_owned()]).collect())
            }
            Some(Resolution::Import(index)) => {
                let import = self.unit.module.imports.get(index);
                let mut steps = import.map(ast::Import::segments).unwrap_or_default().into_iter();
                let head = if steps.next() == Some("input") { RefHead::Input } else { RefHead::Data };
                path(head, steps.map(str::to_owned).collect())
            }
            Some(Resolution::Builtin) => Term::new(span, TermKind::Builtin(name.to_owned())),
            Some(Resolution::Unresolved) | None => {
                let vars = &mut *self.vars;
                Term::var(span, *self.unresolved.entry(name).or_insert_with(|| vars.named(name)))
            }
        }
    }
}

/// A reference that begins with a term.
fn reference(head: Term) -> Reference {
    match head.kind {
        TermKind::Ref(reference) => *reference,
        TermKind::Var(var) => Reference { head: RefHead::Var(var), args: Vec::new() },
        _ => Reference { head: RefHead::Term(head), args: Vec::new() },
    }
}

/// The statement that stands in a body that has no other.
fn truth(span: Span) -> Expr {
    Expr {
        span,
        kind: ExprKind::Term(Term::new(span, TermKind::Bool(true))),
        is_negated: false,
        is_generated: false,
        with: Rc::from([]),
    }
}

/// The builtin function of an operator.
const fn operator(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Assign => "assign",
        BinaryOp::Unify => "eq",
        BinaryOp::Eq => "equal",
        BinaryOp::Ne => "neq",
        BinaryOp::Lt => "lt",
        BinaryOp::Le => "lte",
        BinaryOp::Gt => "gt",
        BinaryOp::Ge => "gte",
        BinaryOp::Or => "or",
        BinaryOp::And => "and",
        BinaryOp::Add => "plus",
        BinaryOp::Sub => "minus",
        BinaryOp::Mul => "mul",
        BinaryOp::Div => "div",
        BinaryOp::Rem => "rem",
    }
}

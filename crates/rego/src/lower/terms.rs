//! Syntax trees as literals: names become slots or paths, calls are taken out of expressions.
//!
//! A call inside an expression stands before the statement, also before one under `not`: if it is undefined,
//! so is the whole body (OPA's rewriting of terms does the same).

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use portcullis_rego_syntax::ast::{
    self, Binary, BinaryOp, Body, Clause, Expr, ExprKind, RefArgKind, Statement, StatementKind, TemplatePart,
};
use portcullis_rego_syntax::builtins::Answers;
use portcullis_rego_syntax::resolve::LocalId;
use portcullis_rego_syntax::{Names, Resolution, Span};
use portcullis_value::Value;

use super::literal::{
    Comprehension, ComprehensionHead, Literal, LiteralKind, RefHead, Reference, Term, With, WithFunction,
};
use super::tree::Tree;
use crate::builtins;
use crate::error::CompileError;
use crate::normal_form::{Callee, Comparison, GroupKind, Slot, Target};

/// Lowers the expressions of one branch of a rule.
pub(super) struct Terms<'l, 'm> {
    pub(super) tree: &'l Tree<'m>,
    pub(super) module: usize,
    pub(super) unit: &'l super::UnitInfo<'m>,
    /// The body that head names are looked up under.
    pub(super) clause: Option<&'m Clause>,
    pub(super) slots: u32,
    locals: HashMap<LocalId, Slot>,
    /// Slots that nothing reads.
    wildcards: BTreeSet<Slot>,
    pub(super) errors: Vec<CompileError>,
}

impl<'l, 'm> Terms<'l, 'm> {
    pub(super) fn new(tree: &'l Tree<'m>, module: usize, unit: &'l super::UnitInfo<'m>) -> Self {
        Self {
            tree,
            module,
            unit,
            clause: None,
            slots: 0,
            locals: HashMap::new(),
            wildcards: BTreeSet::new(),
            errors: Vec::new(),
        }
    }

    pub(super) fn fresh(&mut self) -> Slot {
        self.slots += 1;
        self.slots - 1
    }

    fn wildcard(&mut self) -> Term {
        let slot = self.fresh();
        self.wildcards.insert(slot);
        Term::Var(slot)
    }

    /// Whether nothing reads the slot.
    pub(super) fn is_wildcard(&self, slot: Slot) -> bool {
        self.wildcards.contains(&slot)
    }

    /// Gives a parameter its slot; none if the variable has one.
    pub(super) fn bind_param(&mut self, expr: &Expr, slot: Slot) -> bool {
        match self.resolution(expr.span) {
            Some(Resolution::Local(id)) if expr.as_var().is_some() && !self.locals.contains_key(&id) => {
                self.locals.insert(id, slot);
                true
            }
            Some(Resolution::Wildcard) => true,
            _ => false,
        }
    }

    /// The named variables that got a slot.
    pub(super) fn named(&self) -> impl Iterator<Item = (LocalId, Slot)> {
        let mut named: Vec<_> = self.locals.iter().map(|(id, slot)| (*id, *slot)).collect();
        named.sort_unstable();
        named.into_iter()
    }

    fn names(&self) -> &'m Names {
        self.unit.names
    }

    fn resolution(&self, span: Span) -> Option<Resolution> {
        match self.clause {
            Some(clause) => self.names().at_under(clause, span),
            None => self.names().at(span),
        }
    }

    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.errors.push(CompileError::rego(self.module, span, message));
    }

    fn unavailable(&mut self, span: Span, name: &str) {
        self.errors.push(super::available::unavailable(self.module, span, name));
    }

    pub(super) fn body(&mut self, body: &'m Body) -> Vec<Literal> {
        self.statements(&body.statements)
    }

    fn statements(&mut self, statements: &'m [Statement]) -> Vec<Literal> {
        let mut literals = Vec::new();
        for statement in statements {
            self.statement(statement, &mut literals);
        }
        literals
    }

    fn statement(&mut self, statement: &'m Statement, out: &mut Vec<Literal>) {
        let with: Rc<[With]> = statement.with.iter().filter_map(|with| self.with(with, out)).collect();
        let span = statement.span;
        let push = |kind, is_negated, out: &mut Vec<Literal>| {
            out.push(Literal { kind, is_negated, with: with.clone(), span });
        };
        match &statement.kind {
            StatementKind::Expr(expr) => {
                let kind = self.top(expr, false, &with, out);
                push(kind, false, out);
            }
            StatementKind::Not(expr) => {
                let kind = self.top(expr, true, &with, out);
                push(kind, true, out);
            }
            StatementKind::Some(_) => {}
            StatementKind::SomeIn(some) => {
                let collection = self.term(&some.collection, &with, out);
                let key = match &some.key {
                    Some(key) => self.term(key, &with, out),
                    None => self.wildcard(),
                };
                let value = self.term(&some.value, &with, out);
                let right = self.step(collection, key, some.span, &with, out);
                push(LiteralKind::Unify { left: value, right, binds: true }, false, out);
            }
            StatementKind::Every(every) => {
                let domain = self.term(&every.collection, &with, out);
                // What the domain binds is there for the body, too.
                let domain = self.apart(domain, span, &with, out);
                let key = every.key.as_ref().and_then(|name| self.declared(name.span));
                let value = self.declared(every.value.span);
                let body = self.body(&every.body);
                push(LiteralKind::Every { domain, key, value, body }, false, out);
            }
        }
    }

    /// The slot of a declared name; none for `_`.
    fn declared(&mut self, span: Span) -> Option<Slot> {
        match self.resolution(span) {
            Some(Resolution::Local(id)) => Some(self.local(id)),
            _ => None,
        }
    }

    fn local(&mut self, id: LocalId) -> Slot {
        if let Some(slot) = self.locals.get(&id) {
            return *slot;
        }
        let slot = self.fresh();
        self.locals.insert(id, slot);
        slot
    }

    /// A term with one step more.
    fn step(
        &mut self,
        base: Term,
        step: Term,
        span: Span,
        with: &Rc<[With]>,
        out: &mut Vec<Literal>,
    ) -> Term {
        match base {
            Term::Ref(mut reference) => {
                reference.steps.push(step);
                reference.span = span;
                Term::Ref(reference)
            }
            base => {
                let head = RefHead::Var(self.named_value(base, span, with, out));
                Term::Ref(Box::new(Reference { head, steps: vec![step], span }))
            }
        }
    }

    /// Gives a value a variable.
    fn named_value(&mut self, term: Term, span: Span, with: &Rc<[With]>, out: &mut Vec<Literal>) -> Slot {
        if let Term::Var(slot) = term {
            return slot;
        }
        let slot = self.fresh();
        let kind = LiteralKind::Unify { left: Term::Var(slot), right: term, binds: true };
        out.push(Literal { kind, is_negated: false, with: with.clone(), span });
        slot
    }

    /// A variable for a value that has to be evaluated.
    fn apart(&mut self, term: Term, span: Span, with: &Rc<[With]>, out: &mut Vec<Literal>) -> Term {
        match term {
            Term::Const(_) | Term::Var(_) => term,
            term => Term::Var(self.named_value(term, span, with, out)),
        }
    }

    /// An expression that is a whole statement.
    fn top(
        &mut self,
        expr: &'m Expr,
        is_negated: bool,
        with: &Rc<[With]>,
        out: &mut Vec<Literal>,
    ) -> LiteralKind {
        let expr = expr.peeled();
        match &expr.kind {
            ExprKind::Binary(binary)
                if matches!(binary.op, BinaryOp::Assign | BinaryOp::Unify | BinaryOp::Eq) =>
            {
                let binds = binary.op != BinaryOp::Eq;
                if binds && !is_negated {
                    // `x = f(y)` is the call with an output.
                    for (call, other) in [(&binary.rhs, &binary.lhs), (&binary.lhs, &binary.rhs)] {
                        if is_call(call) {
                            let answer = self.term(other, with, out);
                            return self.call_kind(call, Some(answer), with, out);
                        }
                    }
                }
                let left = self.term(&binary.lhs, with, out);
                let right = self.term(&binary.rhs, with, out);
                LiteralKind::Unify { left, right, binds }
            }
            _ if is_call(expr) => self.call_kind(expr, None, with, out),
            _ => LiteralKind::Holds(self.term(expr, with, out)),
        }
    }

    fn call_kind(
        &mut self,
        expr: &'m Expr,
        answer: Option<Term>,
        with: &Rc<[With]>,
        out: &mut Vec<Literal>,
    ) -> LiteralKind {
        let expr = expr.peeled();
        let call = |callee, args| LiteralKind::Call { callee, is_relation: false, args, out: answer.clone() };
        match &expr.kind {
            ExprKind::Membership(membership) => {
                let key = membership.key.as_ref().map(|key| self.term(key, with, out));
                let callee = if key.is_some() { Callee::MemberAt } else { Callee::Member };
                let value = self.term(&membership.value, with, out);
                let collection = self.term(&membership.collection, with, out);
                call(callee, key.into_iter().chain([value, collection]).collect())
            }
            ExprKind::Template(template) => {
                let mut parts = Vec::new();
                for part in &template.parts {
                    match part {
                        TemplatePart::Text(text) => parts.push(Term::Const(Value::from(text.text.as_str()))),
                        TemplatePart::Expr(statement) => parts.push(self.maybe_statement(statement)),
                    }
                }
                call(Callee::Template, vec![Term::Array(parts)])
            }
            ExprKind::Binary(binary) => {
                let Some(callee) = operator(binary) else {
                    self.error(expr.span, format!("`{}` cannot stand inside an expression", binary.op));
                    return LiteralKind::Holds(Term::Const(Value::UNDEFINED));
                };
                let left = self.term(&binary.lhs, with, out);
                let right = self.term(&binary.rhs, with, out);
                call(callee, vec![left, right])
            }
            ExprKind::Call(written) => {
                if written.name().as_deref() == Some("print") && self.is_builtin(&written.callee) {
                    let args = written.args.iter().map(|arg| self.maybe(arg, with)).collect();
                    return LiteralKind::Print { args };
                }
                if written.args.is_empty()
                    && let Some(rule) = self.rule_without_params(&written.callee)
                {
                    return match answer {
                        Some(answer) => LiteralKind::Unify { left: answer, right: rule, binds: true },
                        None => LiteralKind::Holds(rule),
                    };
                }
                let callee = self.callee(&written.callee);
                let mut args: Vec<Term> = written.args.iter().map(|arg| self.term(arg, with, out)).collect();
                let Some((callee, arity, is_relation)) = callee else {
                    // Reported; what would read the answer is not to be reported as well.
                    let undefined = Term::Const(Value::UNDEFINED);
                    return match answer {
                        Some(answer) => LiteralKind::Unify { left: answer, right: undefined, binds: true },
                        None => LiteralKind::Holds(undefined),
                    };
                };
                let mut answer = answer;
                if args.len() == arity + 1
                    && let Some(last) = args.pop()
                {
                    // The answer as the last argument; what is compared with it is then `true`.
                    if let Some(outer) = answer.replace(last) {
                        let truth = Literal {
                            kind: LiteralKind::Unify {
                                left: outer,
                                right: Term::Const(Value::TRUE),
                                binds: true,
                            },
                            is_negated: false,
                            with: Rc::from([]),
                            span: expr.span,
                        };
                        out.push(truth);
                    }
                } else if args.len() != arity {
                    let name = written.name().unwrap_or_default();
                    let message =
                        format!("{name}: arity mismatch: takes {arity} arguments, has {}", args.len());
                    self.error(expr.span, message);
                }
                LiteralKind::Call { callee, is_relation, args, out: answer }
            }
            _ => LiteralKind::Holds(Term::Const(Value::UNDEFINED)),
        }
    }

    /// `f()` is what the rule `f` has.
    fn rule_without_params(&self, callee: &'m Expr) -> Option<Term> {
        let path = self.data_path(callee)?;
        let kind = self.tree.group_at(&path).and_then(|group| self.tree.kind(group))?;
        let steps = path.into_iter().map(Term::Const).collect();
        let reference = Reference { head: RefHead::Data, steps, span: callee.span };
        (kind == GroupKind::Complete).then(|| Term::Ref(Box::new(reference)))
    }

    fn is_builtin(&self, callee: &Expr) -> bool {
        let head = callee.as_ref().map_or(callee, |reference| &reference.head);
        self.resolution(head.span) == Some(Resolution::Builtin)
    }

    /// What is called, how many arguments it takes, and whether it has several answers.
    fn callee(&mut self, callee: &'m Expr) -> Option<(Callee, usize, bool)> {
        let head = callee.as_ref().map_or(callee, |reference| &reference.head);
        let names: Vec<&str> = callee.static_prefix().into_iter().map(|(name, _)| name).collect();
        let written = names.join(".");
        if self.resolution(head.span) == Some(Resolution::Builtin) {
            let comparison = match written.as_str() {
                "eq" | "equal" | "assign" => Some(Comparison::Equal),
                "neq" => Some(Comparison::NotEqual),
                "lt" => Some(Comparison::Less),
                "lte" => Some(Comparison::LessOrEqual),
                "gt" => Some(Comparison::Greater),
                "gte" => Some(Comparison::GreaterOrEqual),
                _ => None,
            };
            if let Some(comparison) = comparison {
                return Some((Callee::Compare(comparison), 2, false));
            }
            match written.as_str() {
                "internal.member_2" => return Some((Callee::Member, 2, false)),
                "internal.member_3" => return Some((Callee::MemberAt, 3, false)),
                _ => {}
            }
            let Some(builtin) = builtins::find(&written) else {
                self.unavailable(callee.span, &written);
                return None;
            };
            return Some((Callee::Builtin(builtin), builtin.row.arity, builtin.row.answers == Answers::Each));
        }
        let path = self.data_path(callee);
        let group = path.as_deref().and_then(|path| self.tree.group_at(path));
        let function = group.map(|group| (group, self.tree.kind(group)));
        if let Some((group, Some(GroupKind::Function { arity }))) = function {
            return Some((Callee::Function(group), arity, false));
        }
        self.error(callee.span, format!("undefined function {written}"));
        None
    }

    /// The path below `data` that a name or reference of constants stands for.
    fn data_path(&self, expr: &'m Expr) -> Option<Vec<Value>> {
        let (head, args) = match &expr.kind {
            ExprKind::Var(_) => (expr, &[][..]),
            ExprKind::Ref(reference) => (&reference.head, reference.args.as_slice()),
            _ => return None,
        };
        let (RefHead::Data, mut path) = self.head_path(head)? else { return None };
        for arg in args {
            path.push(Value::from(arg.as_str()?));
        }
        Some(path)
    }

    /// What a variable that is no local stands for: a root and a path.
    fn head_path(&self, head: &Expr) -> Option<(RefHead, Vec<Value>)> {
        let name = head.as_var()?;
        match self.resolution(head.span)? {
            Resolution::Input => Some((RefHead::Input, Vec::new())),
            Resolution::Data => Some((RefHead::Data, Vec::new())),
            Resolution::Rule => {
                let path = self.unit.package.iter().cloned().chain([Value::from(name)]).collect();
                Some((RefHead::Data, path))
            }
            Resolution::Import(index) => {
                let segments = self.unit.module.imports.get(index)?.segments();
                let (root, path) = segments.split_first()?;
                let head = if *root == "input" { RefHead::Input } else { RefHead::Data };
                Some((head, path.iter().map(|segment| Value::from(*segment)).collect()))
            }
            Resolution::Local(_) | Resolution::Wildcard | Resolution::Builtin | Resolution::Unresolved => {
                None
            }
        }
    }

    /// An expression as a term; calls in it are pushed before.
    pub(super) fn term(&mut self, expr: &'m Expr, with: &Rc<[With]>, out: &mut Vec<Literal>) -> Term {
        match &expr.kind {
            ExprKind::Null => Term::Const(Value::NULL),
            ExprKind::Bool(value) => Term::Const(Value::from(*value)),
            ExprKind::Number(text) => Term::Const(self.number(text, expr.span)),
            ExprKind::String(text) => Term::Const(Value::from(text.as_str())),
            ExprKind::Var(_) => self.variable(expr),
            ExprKind::Ref(reference) => {
                let head = self.term(&reference.head, with, out);
                let (head, mut steps) = match head {
                    Term::Ref(reference) => (reference.head, reference.steps),
                    head => (RefHead::Var(self.named_value(head, expr.span, with, out)), Vec::new()),
                };
                for arg in &reference.args {
                    steps.push(match &arg.kind {
                        RefArgKind::Dot(name) => Term::Const(Value::from(name.text.as_str())),
                        RefArgKind::Bracket(expr) => self.term(expr, with, out),
                    });
                }
                Term::Ref(Box::new(Reference { head, steps, span: expr.span }))
            }
            ExprKind::Array(items) => {
                Term::Array(items.iter().map(|item| self.term(item, with, out)).collect())
            }
            ExprKind::Set(items) => Term::Set(items.iter().map(|item| self.term(item, with, out)).collect()),
            ExprKind::Object(entries) => Term::Object(
                entries
                    .iter()
                    .map(|entry| (self.term(&entry.key, with, out), self.term(&entry.value, with, out)))
                    .collect(),
            ),
            ExprKind::Comprehension(comprehension) => {
                let mut body = self.body(&comprehension.body);
                let none: Rc<[With]> = Rc::from([]);
                let head = match &comprehension.head {
                    ast::ComprehensionHead::Array(term) => {
                        ComprehensionHead::Array(self.term(term, &none, &mut body))
                    }
                    ast::ComprehensionHead::Set(term) => {
                        ComprehensionHead::Set(self.term(term, &none, &mut body))
                    }
                    ast::ComprehensionHead::Object(entry) => {
                        let key = self.term(&entry.key, &none, &mut body);
                        let value = self.term(&entry.value, &none, &mut body);
                        ComprehensionHead::Object(key, value)
                    }
                };
                Term::Comprehension(Box::new(Comprehension { body, head, span: expr.span }))
            }
            ExprKind::Paren(inner) => self.term(inner, with, out),
            ExprKind::Call(_) | ExprKind::Template(_) | ExprKind::Binary(_) | ExprKind::Membership(_) => {
                let slot = self.fresh();
                let kind = self.call_kind(expr, Some(Term::Var(slot)), with, out);
                out.push(Literal { kind, is_negated: false, with: with.clone(), span: expr.span });
                Term::Var(slot)
            }
        }
    }

    fn variable(&mut self, expr: &'m Expr) -> Term {
        match self.resolution(expr.span) {
            Some(Resolution::Local(id)) => Term::Var(self.local(id)),
            Some(Resolution::Wildcard) => self.wildcard(),
            _ => {
                if let Some((head, path)) = self.head_path(expr) {
                    return Term::Ref(Box::new(Reference {
                        head,
                        steps: path.into_iter().map(Term::Const).collect(),
                        span: expr.span,
                    }));
                }
                let name = expr.as_var().unwrap_or_default();
                self.error(expr.span, format!("var {name} is unsafe"));
                Term::Const(Value::UNDEFINED)
            }
        }
    }

    /// A set of the value, empty if it is undefined.
    fn maybe(&mut self, expr: &'m Expr, with: &Rc<[With]>) -> Term {
        let mut body = Vec::new();
        let value = self.term(expr, with, &mut body);
        let slot = self.fresh();
        let kind = LiteralKind::Unify { left: Term::Var(slot), right: value, binds: true };
        body.push(Literal { kind, is_negated: false, with: with.clone(), span: expr.span });
        let head = ComprehensionHead::Set(Term::Var(slot));
        Term::Comprehension(Box::new(Comprehension { body, head, span: expr.span }))
    }

    fn maybe_statement(&mut self, statement: &'m Statement) -> Term {
        let mut before = Vec::new();
        let with: Rc<[With]> =
            statement.with.iter().filter_map(|with| self.with(with, &mut before)).collect();
        let StatementKind::Expr(expr) = &statement.kind else {
            self.error(statement.span, "only an expression can stand in a template string");
            return Term::Const(Value::UNDEFINED);
        };
        let mut term = self.maybe(expr, &with);
        if let Term::Comprehension(comprehension) = &mut term {
            before.append(&mut comprehension.body);
            comprehension.body = before;
        }
        term
    }

    fn number(&mut self, text: &str, span: Span) -> Value {
        crate::builtins::number_from_text(text).unwrap_or_else(|| {
            self.error(span, format!("number {text} is out of range"));
            Value::UNDEFINED
        })
    }

    fn with(&mut self, with: &'m ast::With, out: &mut Vec<Literal>) -> Option<With> {
        let none: Rc<[With]> = Rc::from([]);
        let target = &with.target;
        let head = target.as_ref().map_or(target, |reference| &reference.head);
        if self.resolution(head.span) == Some(Resolution::Builtin) {
            let names: Vec<&str> = target.static_prefix().into_iter().map(|(name, _)| name).collect();
            let Some(builtin) = builtins::find(&names.join(".")) else {
                self.unavailable(target.span, &names.join("."));
                return None;
            };
            let by = self.with_function(&with.value, &none, out);
            return Some(With::Function { target: Target::Builtin(builtin.row.name), by });
        }
        // `input` may be hidden by a local variable; as a target it is the root all the same.
        let is_input = head.as_var() == Some("input");
        let (root, mut path) = match self.head_path(head) {
            Some(found) => found,
            None if is_input => (RefHead::Input, Vec::new()),
            None => {
                self.error(
                    target.span,
                    "with keyword target must reference existing input, data, or a function",
                );
                return None;
            }
        };
        for arg in target.as_ref().map_or(&[][..], |reference| reference.args.as_slice()) {
            let key = match &arg.kind {
                RefArgKind::Dot(name) => Some(Value::from(name.text.as_str())),
                RefArgKind::Bracket(expr) => match self.term(expr, &none, out) {
                    Term::Const(value) => Some(value),
                    _ => None,
                },
            };
            let Some(key) = key else {
                self.error(target.span, "the target of `with` must be made of constants");
                return None;
            };
            path.push(key);
        }
        if root == RefHead::Input {
            let value = self.with_value(&with.value, out);
            return Some(With::Input { path: path.into(), value });
        }
        let group = self.tree.group_at(&path);
        if let Some(group) = group
            && matches!(self.tree.kind(group), Some(GroupKind::Function { .. }))
        {
            let by = self.with_function(&with.value, &none, out);
            return Some(With::Function { target: Target::Function(group), by });
        }
        if self.tree.is_inside_document(&path) {
            self.error(target.span, "with keyword cannot partially replace virtual document(s)");
            return None;
        }
        let value = self.with_value(&with.value, out);
        Some(With::Data { path: path.into(), value })
    }

    /// What stands for a document: evaluated before the statement and outside of its `with`, for each of its
    /// values.
    fn with_value(&mut self, value: &'m Expr, out: &mut Vec<Literal>) -> Term {
        let none: Rc<[With]> = Rc::from([]);
        let term = self.term(value, &none, out);
        self.apart(term, value.span, &none, out)
    }

    fn with_function(&mut self, value: &'m Expr, none: &Rc<[With]>, out: &mut Vec<Literal>) -> WithFunction {
        let head = value.as_ref().map_or(value, |reference| &reference.head);
        if matches!(value.kind, ExprKind::Var(_) | ExprKind::Ref(_)) {
            if self.resolution(head.span) == Some(Resolution::Builtin) {
                if let Some((callee, ..)) = self.callee(value) {
                    return WithFunction::Callee(callee);
                }
            } else if let Some(path) = self.data_path(value)
                && let Some(group) = self.tree.group_at(&path)
                && matches!(self.tree.kind(group), Some(GroupKind::Function { .. }))
            {
                return WithFunction::Callee(Callee::Function(group));
            }
        }
        WithFunction::Value(self.term(value, none, out))
    }
}

/// Whether an expression is a call, an operator or another thing with an answer.
fn is_call(expr: &Expr) -> bool {
    match &expr.peeled().kind {
        ExprKind::Call(_) | ExprKind::Membership(_) | ExprKind::Template(_) => true,
        ExprKind::Binary(binary) => !binary.op.binds(),
        _ => false,
    }
}

/// What an operator calls; nothing for `:=` and `=`.
fn operator(binary: &Binary) -> Option<Callee> {
    let builtin = match binary.op {
        BinaryOp::Assign | BinaryOp::Unify => return None,
        BinaryOp::Eq => return Some(Callee::Compare(Comparison::Equal)),
        BinaryOp::Ne => return Some(Callee::Compare(Comparison::NotEqual)),
        BinaryOp::Lt => return Some(Callee::Compare(Comparison::Less)),
        BinaryOp::Le => return Some(Callee::Compare(Comparison::LessOrEqual)),
        BinaryOp::Gt => return Some(Callee::Compare(Comparison::Greater)),
        BinaryOp::Ge => return Some(Callee::Compare(Comparison::GreaterOrEqual)),
        BinaryOp::Or => "or",
        BinaryOp::And => "and",
        BinaryOp::Add => "plus",
        BinaryOp::Sub => "minus",
        BinaryOp::Mul => "mul",
        BinaryOp::Div => "div",
        BinaryOp::Rem => "rem",
    };
    builtins::find(builtin).map(Callee::Builtin)
}

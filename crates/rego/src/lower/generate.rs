//! Literals in order as operations.
//!
//! References inside of a literal come before it, as in OPA: `[k, xs[k]]` finds `k` in `xs`. What is
//! undefined ends the attempt where it is read. Under `not` that is inside of it for what OPA leaves there: a
//! reference that stands by itself or beside `=` and `==`. Arguments of calls, and what stands in the
//! brackets of a reference, come before the `not`, so that undefined there ends the whole body.

use portcullis_rego_syntax::Span;
use portcullis_value::Value;

use super::literal::{
    Comprehension, ComprehensionHead, Literal, LiteralKind, RefHead, Reference, Term, With, WithFunction,
};
use super::order::{self, Slots};
use super::terms::Terms;
use crate::normal_form::{
    Arg, Callee, Change, Collect, CollectHead, GroupKind, NodeId, Op, OpKind, Pattern, Replacement, Root,
    Slot,
};

pub(super) struct Generator<'g, 'l, 'm> {
    terms: &'g mut Terms<'l, 'm>,
    bound: Slots,
    /// What was bound, in order: a body's variables are forgotten at its end.
    log: Vec<Slot>,
}

impl<'g, 'l, 'm> Generator<'g, 'l, 'm> {
    pub(super) fn new(terms: &'g mut Terms<'l, 'm>, bound: Slots) -> Self {
        Self { terms, bound, log: Vec::new() }
    }

    fn bind(&mut self, slot: Slot) {
        if self.bound.insert(slot) {
            self.log.push(slot);
        }
    }

    fn forget_since(&mut self, mark: usize) {
        for slot in self.log.drain(mark.min(self.log.len())..) {
            self.bound.remove(&slot);
        }
    }

    /// The operations of a body. Variables of the body are bound afterwards.
    pub(super) fn body(&mut self, literals: Vec<Literal>, ops: &mut Vec<Op>) {
        let (ordered, unsafe_ones) = order::order(literals, &self.bound);
        for literal in unsafe_ones {
            self.terms.error(literal.span, "expression is unsafe, or its body too long to be put in order");
        }
        for literal in &ordered {
            self.literal(literal, ops);
        }
    }

    fn literal(&mut self, literal: &Literal, ops: &mut Vec<Op>) {
        let span = literal.span;
        if literal.with.is_empty() {
            self.maybe_negated(literal, ops);
            return;
        }
        let changes: Vec<Change> = literal.with.iter().map(|with| self.change(with, span, ops)).collect();
        let mut inner = Vec::new();
        self.maybe_negated(literal, &mut inner);
        push(ops, span, OpKind::With { changes: changes.into(), ops: inner.into() });
    }

    fn change(&mut self, with: &With, span: Span, ops: &mut Vec<Op>) -> Change {
        match with {
            With::Input { path, value } => {
                Change::Input { path: path.clone(), value: self.value(value, span, ops) }
            }
            With::Data { path, value } => {
                Change::Data { path: path.clone(), value: self.value(value, span, ops) }
            }
            With::Function { target, by } => {
                let by = match by {
                    WithFunction::Callee(callee) => Replacement::Callee(callee.clone()),
                    WithFunction::Value(value) => Replacement::Value(self.value(value, span, ops)),
                };
                Change::Function { target: *target, by }
            }
        }
    }

    fn maybe_negated(&mut self, literal: &Literal, ops: &mut Vec<Op>) {
        let span = literal.span;
        let kind = self.hoisted(literal, ops);
        if !literal.is_negated {
            self.positive(&kind, span, ops);
            return;
        }
        let mark = self.log.len();
        let mut inner = Vec::new();
        self.positive(&kind, span, &mut inner);
        self.forget_since(mark);
        push(ops, span, OpKind::Not { ops: inner.into() });
    }

    /// A literal with what OPA evaluates before it as variables.
    fn hoisted(&mut self, literal: &Literal, ops: &mut Vec<Op>) -> LiteralKind {
        let span = literal.span;
        match &literal.kind {
            LiteralKind::Holds(term) => LiteralKind::Holds(self.hoist_inside(term, span, ops)),
            LiteralKind::Unify { left, right, binds } => {
                let left = self.hoist_inside(left, span, ops);
                let right = self.hoist_inside(right, span, ops);
                LiteralKind::Unify { left, right, binds: *binds }
            }
            LiteralKind::Call { callee, is_relation, args, out } => {
                let args = args.iter().map(|arg| self.hoist(arg, span, ops)).collect();
                let out = out.as_ref().map(|out| {
                    // Only under `not` is the answer an argument; elsewhere it is found before it is
                    // compared.
                    if literal.is_negated {
                        self.hoist(out, span, ops)
                    } else {
                        self.hoist_inside(out, span, ops)
                    }
                });
                LiteralKind::Call { callee: callee.clone(), is_relation: *is_relation, args, out }
            }
            LiteralKind::Print { args } => LiteralKind::Print { args: args.clone() },
            LiteralKind::Every { domain, key, value, body } => {
                let domain = self.hoist(domain, span, ops);
                LiteralKind::Every { domain, key: *key, value: *value, body: body.clone() }
            }
        }
    }

    fn hoist_inside(&mut self, term: &Term, span: Span, ops: &mut Vec<Op>) -> Term {
        match term {
            Term::Ref(reference) => {
                let steps = reference.steps.iter().map(|step| self.hoist(step, span, ops)).collect();
                Term::Ref(Box::new(Reference { head: reference.head, steps, span: reference.span }))
            }
            Term::Comprehension(_) => term.clone(),
            other => self.hoist(other, span, ops),
        }
    }

    pub(super) fn hoist(&mut self, term: &Term, span: Span, ops: &mut Vec<Op>) -> Term {
        match term {
            Term::Const(_) | Term::Var(_) => term.clone(),
            Term::Array(items) => Term::Array(items.iter().map(|item| self.hoist(item, span, ops)).collect()),
            Term::Set(items) => Term::Set(items.iter().map(|item| self.hoist(item, span, ops)).collect()),
            Term::Object(entries) => Term::Object(
                entries
                    .iter()
                    .map(|(key, value)| (self.hoist(key, span, ops), self.hoist(value, span, ops)))
                    .collect(),
            ),
            Term::Ref(_) | Term::Comprehension(_) => match self.value(term, span, ops) {
                Arg::Slot(slot) => Term::Var(slot),
                Arg::Const(value) => Term::Const(value),
            },
        }
    }

    fn positive(&mut self, kind: &LiteralKind, span: Span, ops: &mut Vec<Op>) {
        match kind {
            LiteralKind::Holds(term) => {
                let value = self.value(term, span, ops);
                push(ops, span, OpKind::Holds { value });
            }
            LiteralKind::Unify { left, right, .. } => self.unify(left, right, span, ops),
            LiteralKind::Call { callee, is_relation, args, out } => {
                let args: Box<[Arg]> = args.iter().map(|arg| self.value(arg, span, ops)).collect();
                if let (Callee::Compare(operator), None, [left, right]) = (callee, out, &*args) {
                    let (left, right) = (left.clone(), right.clone());
                    push(ops, span, OpKind::Compare { operator: *operator, left, right });
                    return;
                }
                let to = match out {
                    Some(Term::Var(slot)) if !self.bound.contains(slot) => *slot,
                    _ => self.terms.fresh(),
                };
                let kind = match callee {
                    Callee::Builtin(builtin) if *is_relation => OpKind::Relation { builtin, args, to },
                    callee => OpKind::Call { callee: callee.clone(), args, to },
                };
                push(ops, span, kind);
                match out {
                    Some(Term::Var(slot)) if *slot == to => {
                        self.bind(to);
                    }
                    Some(out) => self.matches(Arg::Slot(to), out, span, ops),
                    None => push(ops, span, OpKind::Holds { value: Arg::Slot(to) }),
                }
            }
            LiteralKind::Print { args } => {
                let args = args.iter().map(|arg| self.value(arg, span, ops)).collect();
                push(ops, span, OpKind::Print { args });
            }
            LiteralKind::Every { domain, key, value, body } => {
                let domain = self.value(domain, span, ops);
                let mark = self.log.len();
                key.iter().chain(value).for_each(|slot| self.bind(*slot));
                let mut inner = Vec::new();
                self.body(body.clone(), &mut inner);
                self.forget_since(mark);
                push(ops, span, OpKind::Every { domain, key: *key, value: *value, ops: inner.into() });
            }
        }
    }

    fn unify(&mut self, left: &Term, right: &Term, span: Span, ops: &mut Vec<Op>) {
        match (left, right) {
            (Term::Array(left), Term::Array(right)) if self.has_unbound(left) && self.has_unbound(right) => {
                if left.len() == right.len() {
                    self.unify_all(left.iter().zip(right).collect(), span, ops);
                } else {
                    push(ops, span, OpKind::Fail);
                }
            }
            (Term::Object(left), Term::Object(right))
                if self.has_unbound(left.iter().map(|(_, value)| value))
                    && self.has_unbound(right.iter().map(|(_, value)| value)) =>
            {
                let pairs: Vec<_> =
                    left.iter().filter_map(|(key, value)| Some((value, order::entry(right, key)?))).collect();
                if pairs.len() == left.len() && left.len() == right.len() {
                    self.unify_all(pairs, span, ops);
                } else {
                    push(ops, span, OpKind::Fail);
                }
            }
            _ => {
                // What has a value is evaluated, into the variable on the other side if that is one.
                let (value, pattern) =
                    if order::is_known(right, &self.bound) { (right, left) } else { (left, right) };
                if let Term::Var(slot) = pattern
                    && !self.bound.contains(slot)
                    && !mentions(value, *slot)
                {
                    self.value_into(value, *slot, span, ops);
                    return;
                }
                let value = self.value(value, span, ops);
                self.matches(value, pattern, span, ops);
            }
        }
    }

    fn has_unbound<'t>(&self, terms: impl IntoIterator<Item = &'t Term>) -> bool {
        terms.into_iter().any(|term| !order::is_known(term, &self.bound))
    }

    /// Unifies pairs, those first of which one side has a value.
    fn unify_all(&mut self, mut pairs: Vec<(&Term, &Term)>, span: Span, ops: &mut Vec<Op>) {
        while !pairs.is_empty() {
            let ready = pairs.iter().position(|(left, right)| {
                order::is_known(left, &self.bound) || order::is_known(right, &self.bound)
            });
            // Pairs of collections have parts that are ready.
            let (left, right) = pairs.remove(ready.unwrap_or(0));
            self.unify(left, right, span, ops);
        }
    }

    fn matches(&mut self, value: Arg, pattern: &Term, span: Span, ops: &mut Vec<Op>) {
        let pattern = self.pattern(pattern, span, ops);
        if !matches!(pattern, Pattern::Any) {
            push(ops, span, OpKind::Match { value, pattern });
        }
    }

    fn pattern(&mut self, term: &Term, span: Span, ops: &mut Vec<Op>) -> Pattern {
        match term {
            Term::Var(slot) if !self.bound.contains(slot) => {
                self.bind(*slot);
                if self.terms.is_wildcard(*slot) { Pattern::Any } else { Pattern::Bind(*slot) }
            }
            Term::Array(items) if self.has_unbound(items) => {
                Pattern::Array(items.iter().map(|item| self.pattern(item, span, ops)).collect())
            }
            Term::Object(entries) if self.has_unbound(entries.iter().map(|(_, value)| value)) => {
                Pattern::Object(
                    entries
                        .iter()
                        .map(|(key, value)| (self.value(key, span, ops), self.pattern(value, span, ops)))
                        .collect(),
                )
            }
            term => Pattern::Equal(self.value(term, span, ops)),
        }
    }

    /// Evaluates a term into a variable that has no value yet.
    fn value_into(&mut self, term: &Term, to: Slot, span: Span, ops: &mut Vec<Op>) {
        match self.value_to(term, Some(to), span, ops) {
            Arg::Slot(slot) if slot == to => {}
            value => push(ops, span, OpKind::Match { value, pattern: Pattern::Bind(to) }),
        }
        self.bind(to);
    }

    /// Evaluates a term.
    pub(super) fn value(&mut self, term: &Term, span: Span, ops: &mut Vec<Op>) -> Arg {
        self.value_to(term, None, span, ops)
    }

    /// Evaluates a term of a head, what it refers to first.
    pub(super) fn head(&mut self, term: &Term, span: Span, ops: &mut Vec<Op>) -> Arg {
        let term = self.hoist(term, span, ops);
        self.value(&term, span, ops)
    }

    fn value_to(&mut self, term: &Term, to: Option<Slot>, span: Span, ops: &mut Vec<Op>) -> Arg {
        match term {
            Term::Const(value) => Arg::Const(value.clone()),
            Term::Var(slot) => {
                if !self.bound.contains(slot) {
                    self.terms.error(span, "expression is unsafe");
                }
                Arg::Slot(*slot)
            }
            Term::Ref(reference) => self.reference(reference, to, ops),
            Term::Array(items) => {
                let items = self.values(items, span, ops);
                if let Some(items) = constants(&items) {
                    return Arg::Const(Value::from(items));
                }
                self.made(to, span, ops, |to| OpKind::Array { items: items.into(), to })
            }
            Term::Set(items) => {
                let items = self.values(items, span, ops);
                if let Some(items) = constants(&items) {
                    return Arg::Const(Value::from(
                        items.into_iter().collect::<std::collections::BTreeSet<_>>(),
                    ));
                }
                self.made(to, span, ops, |to| OpKind::Set { items: items.into(), to })
            }
            Term::Object(entries) => {
                let entries: Vec<(Arg, Arg)> = entries
                    .iter()
                    .map(|(key, value)| (self.value(key, span, ops), self.value(value, span, ops)))
                    .collect();
                let keys = constants_of(entries.iter().map(|(key, _)| key));
                let values = constants_of(entries.iter().map(|(_, value)| value));
                if let Some((keys, values)) = keys.zip(values) {
                    let map: std::collections::BTreeMap<Value, Value> =
                        keys.into_iter().zip(values).collect();
                    // Two values of one key are a conflict, which is for the evaluation to tell.
                    if map.len() == entries.len() {
                        return Arg::Const(Value::from(map));
                    }
                }
                self.made(to, span, ops, |to| OpKind::object(entries, to))
            }
            Term::Comprehension(comprehension) => self.comprehension(comprehension, to, ops),
        }
    }

    fn values(&mut self, terms: &[Term], span: Span, ops: &mut Vec<Op>) -> Vec<Arg> {
        terms.iter().map(|term| self.value(term, span, ops)).collect()
    }

    fn made(
        &mut self,
        to: Option<Slot>,
        span: Span,
        ops: &mut Vec<Op>,
        kind: impl FnOnce(Slot) -> OpKind,
    ) -> Arg {
        let to = to.unwrap_or_else(|| self.terms.fresh());
        self.bind(to);
        push(ops, span, kind(to));
        Arg::Slot(to)
    }

    fn comprehension(&mut self, comprehension: &Comprehension, to: Option<Slot>, ops: &mut Vec<Op>) -> Arg {
        let span = comprehension.span;
        let mark = self.log.len();
        let mut inner = Vec::new();
        self.body(comprehension.body.clone(), &mut inner);
        let head = match &comprehension.head {
            ComprehensionHead::Array(term) => CollectHead::Array(self.head(term, span, &mut inner)),
            ComprehensionHead::Set(term) => CollectHead::Set(self.head(term, span, &mut inner)),
            ComprehensionHead::Object(key, value) => {
                let key = self.hoist(key, span, &mut inner);
                let value = self.head(value, span, &mut inner);
                CollectHead::Object(self.value(&key, span, &mut inner), value)
            }
        };
        self.forget_since(mark);
        let collect = Box::new(Collect { ops: inner.into(), head });
        self.made(to, span, ops, |to| OpKind::Collect { collect, to })
    }

    fn reference(&mut self, reference: &Reference, to: Option<Slot>, ops: &mut Vec<Op>) -> Arg {
        let span = reference.span;
        match reference.head {
            RefHead::Var(slot) => {
                if !self.bound.contains(&slot) {
                    self.terms.error(span, "expression is unsafe");
                }
                self.steps(Root::Arg(Arg::Slot(slot)), &reference.steps, to, span, ops)
            }
            RefHead::Input => self.steps(Root::Input, &reference.steps, to, span, ops),
            RefHead::Data => self.data(&reference.steps, to, span, ops),
        }
    }

    /// Follows constant steps through the documents of rules as far as they lead.
    fn data(&mut self, steps: &[Term], to: Option<Slot>, span: Span, ops: &mut Vec<Op>) -> Arg {
        let tree = self.terms.tree;
        let mut node = 0;
        let mut rest = steps;
        loop {
            let here = tree.nodes.get(node);
            if let Some(group) = here.and_then(|node| node.group) {
                if matches!(tree.kind(group), Some(GroupKind::Function { .. })) {
                    self.terms.error(span, "a function can only be called");
                    return Arg::Const(Value::UNDEFINED);
                }
                return self.steps_after(rest, to, span, ops, |to| OpKind::Document { group, to });
            }
            let child = match rest.first() {
                Some(Term::Const(key)) => match tree.child(node, key) {
                    Some(child) => child,
                    // Rules make nothing there.
                    None => return self.steps(Root::Data, steps, to, span, ops),
                },
                _ => return self.tree_steps(node, rest, to, span, ops),
            };
            node = child;
            rest = rest.get(1..).unwrap_or_default();
        }
    }

    /// Follows steps that only the evaluation knows, through documents of rules and data alike.
    fn tree_steps(
        &mut self,
        node: NodeId,
        steps: &[Term],
        to: Option<Slot>,
        span: Span,
        ops: &mut Vec<Op>,
    ) -> Arg {
        let mut keys = Vec::new();
        for step in steps {
            if order::is_known(step, &self.bound) {
                keys.push(self.value(step, span, ops));
                continue;
            }
            let key = self.terms.fresh();
            push(ops, span, OpKind::Keys { node, keys: keys.clone().into(), to: key });
            self.bind(key);
            self.matches(Arg::Slot(key), step, span, ops);
            keys.push(Arg::Slot(key));
        }
        self.made(to, span, ops, |to| OpKind::Tree { node, keys: keys.into(), to })
    }

    fn steps_after(
        &mut self,
        steps: &[Term],
        to: Option<Slot>,
        span: Span,
        ops: &mut Vec<Op>,
        kind: impl FnOnce(Slot) -> OpKind,
    ) -> Arg {
        if steps.is_empty() {
            return self.made(to, span, ops, kind);
        }
        let base = self.made(None, span, ops, kind);
        self.steps(Root::Arg(base), steps, to, span, ops)
    }

    fn steps(
        &mut self,
        mut root: Root,
        steps: &[Term],
        to: Option<Slot>,
        span: Span,
        ops: &mut Vec<Op>,
    ) -> Arg {
        let mut keys = Vec::new();
        let last = steps.len();
        for (position, step) in steps.iter().enumerate() {
            // A step that is a reference may bind variables of its own; what it finds is a key like any
            // other.
            if order::is_known(step, &self.bound) {
                keys.push(self.value(step, span, ops));
                continue;
            }
            if !keys.is_empty() {
                let base = self.terms.fresh();
                let keys = std::mem::take(&mut keys);
                push(ops, span, OpKind::path(root, keys.into(), base));
                root = Root::Arg(Arg::Slot(base));
            }
            let key = self.pattern(step, span, ops);
            let into = match to {
                Some(to) if position + 1 == last => to,
                _ => self.terms.fresh(),
            };
            self.bind(into);
            push(ops, span, OpKind::Scan { root, key, to: into });
            root = Root::Arg(Arg::Slot(into));
        }
        match root {
            Root::Arg(arg) if keys.is_empty() => arg,
            root => self.made(to, span, ops, |to| OpKind::path(root, keys.into(), to)),
        }
    }
}

/// Whether a term binds or reads a variable.
fn mentions(term: &Term, slot: Slot) -> bool {
    let mut vars = Slots::new();
    term.vars(&mut vars);
    vars.contains(&slot)
}

fn push(ops: &mut Vec<Op>, span: Span, kind: OpKind) {
    ops.push(Op::new(kind, span));
}

fn constants(args: &[Arg]) -> Option<Vec<Value>> {
    constants_of(args.iter())
}

fn constants_of<'a>(args: impl Iterator<Item = &'a Arg>) -> Option<Vec<Value>> {
    args.map(|arg| match arg {
        Arg::Const(value) if !value.is_undefined() => Some(value.clone()),
        Arg::Const(_) | Arg::Slot(_) => None,
    })
    .collect()
}

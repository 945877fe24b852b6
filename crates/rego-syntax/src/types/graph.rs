//! The order in which rules are checked: those that a rule needs before it.

use std::collections::{BTreeMap, BTreeSet};

use super::lattice::Key;
use super::normal::{Callee, Expr, ExprKind, NormalRule, RefHead, Reference, Term, TermKind};
use super::operations::Work;

/// Documents by their paths, and the rules that make them.
#[derive(Default)]
struct Node {
    /// Its number among the documents.
    document: Option<usize>,
    children: BTreeMap<Key, Node>,
}

/// The positions of all rules, in an order in which each comes after those it needs. Rules in a circle come
/// in some order.
pub(super) fn sorted(rules: &[NormalRule], work: &Work) -> Vec<usize> {
    let mut root = Node::default();
    let mut documents: Vec<Vec<usize>> = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        let node =
            rule.path.iter().fold(&mut root, |node, key| node.children.entry(key.clone()).or_default());
        let document = *node.document.get_or_insert(documents.len());
        if document == documents.len() {
            documents.push(Vec::new());
        }
        if let Some(rules) = documents.get_mut(document) {
            rules.push(number);
        }
    }
    let needs: Vec<Vec<usize>> = documents
        .iter()
        .map(|numbers| {
            let mut needs = Needs { root: &root, work, found: BTreeSet::new() };
            numbers.iter().filter_map(|number| rules.get(*number)).for_each(|rule| needs.rule(rule));
            needs.found.into_iter().collect()
        })
        .collect();
    let mut order = Vec::new();
    let mut entered = vec![false; documents.len()];
    for document in 0..documents.len() {
        // A document, and which of its needs is next.
        let mut open = vec![(document, 0)];
        if entered.get(document).copied().unwrap_or(true) {
            continue;
        }
        while let Some((document, next)) = open.pop() {
            if let Some(entered) = entered.get_mut(document) {
                *entered = true;
            }
            match needs.get(document).and_then(|needs| needs.get(next)) {
                None => order.extend(documents.get(document).into_iter().flatten().copied()),
                Some(needed) => {
                    open.push((document, next + 1));
                    if !entered.get(*needed).copied().unwrap_or(true) {
                        open.push((*needed, 0));
                    }
                }
            }
        }
    }
    order
}

/// Collects the documents that rules need.
struct Needs<'n> {
    root: &'n Node,
    work: &'n Work,
    found: BTreeSet<usize>,
}

impl Needs<'_> {
    fn rule(&mut self, rule: &NormalRule) {
        let heads = rule.tail.iter().chain(rule.args.iter().flatten()).chain(&rule.key).chain([&rule.value]);
        heads.for_each(|term| self.term(term));
        for expr in &rule.body {
            self.expr(expr);
        }
    }

    fn expr(&mut self, expr: &Expr) {
        for with in expr.with.iter() {
            self.term(&with.target);
            self.term(&with.value);
        }
        match &expr.kind {
            ExprKind::Term(term) => self.term(term),
            ExprKind::Call(callee, args) => {
                if let Callee::Rule(path) = callee {
                    self.reference(path);
                }
                for arg in args {
                    self.term(arg);
                }
            }
            ExprKind::Every(every) => {
                self.term(&every.domain);
                for expr in &every.body {
                    self.expr(expr);
                }
            }
        }
    }

    fn term(&mut self, term: &Term) {
        match &term.kind {
            TermKind::Ref(reference) => {
                self.reference(reference);
                for arg in &reference.args {
                    self.term(arg);
                }
            }
            TermKind::Array(items) | TermKind::Set(items) | TermKind::Call(_, items) => {
                for item in items {
                    self.term(item);
                }
            }
            TermKind::Object(entries) => {
                for (key, value) in entries {
                    self.term(key);
                    self.term(value);
                }
            }
            TermKind::Closure(closure) => {
                for term in &closure.terms {
                    self.term(term);
                }
                for expr in &closure.body {
                    self.expr(expr);
                }
            }
            _ => {}
        }
    }

    fn reference(&mut self, reference: &Reference) {
        if matches!(reference.head, RefHead::Data) {
            self.follow(self.root, &reference.args);
        }
    }

    /// The documents that a reference leads through, and those below what it leads to.
    fn follow(&mut self, node: &Node, args: &[Term]) {
        if !self.work.spend(1) {
            return;
        }
        self.found.extend(node.document);
        match args.split_first() {
            None => node.children.values().for_each(|child| self.follow(child, &[])),
            Some((arg, rest)) => match arg.constant() {
                Some(key) => {
                    if let Some(child) = node.children.get(&key) {
                        self.follow(child, rest);
                    }
                }
                None => node.children.values().for_each(|child| self.follow(child, rest)),
            },
        }
    }
}

//! What is known of the types of variables and of the documents of rules while a program is checked.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::lattice::{Key, Type};
use super::normal::{RefHead, Reference, Term, TermKind, Var};
use super::operations::Work;
use crate::diagnostic::Diagnostic;

/// A variable's types: a scope for each body within another, the innermost last.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    scopes: Vec<Scope>,
}

#[derive(Debug, Default)]
struct Scope {
    vars: HashMap<Var, Type>,
    /// What came of the comprehensions of the statement at hand since it was last changed.
    closures: HashMap<u32, Outcome>,
}

/// The type of a comprehension, and what is wrong in it.
pub(super) type Outcome = (Type, Rc<[Diagnostic]>);

impl Scopes {
    pub(super) fn enter(&mut self) {
        self.scopes.push(Scope::default());
    }

    pub(super) fn leave(&mut self) {
        self.scopes.pop();
    }

    pub(super) fn get(&self, var: Var) -> Type {
        let found = self.scopes.iter().rev().find_map(|scope| scope.vars.get(&var));
        found.cloned().unwrap_or(Type::Unknown)
    }

    /// Sets it in the innermost scope. What stays unknown is not set.
    pub(super) fn set(&mut self, var: Var, of: Type) {
        if let Some(scope) = self.scopes.last_mut().filter(|_| !of.is_unknown()) {
            scope.closures.clear();
            scope.vars.insert(var, of);
        }
    }

    /// What came of a comprehension since a variable was last set. Only the innermost scope changes while it
    /// is the innermost.
    pub(super) fn outcome(&self, closure: u32) -> Option<Outcome> {
        self.scopes.last()?.closures.get(&closure).cloned()
    }

    pub(super) fn keep(&mut self, closure: u32, outcome: Outcome) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.closures.insert(closure, outcome);
        }
    }

    /// Forgets the comprehensions of a statement that has been checked.
    pub(super) fn forget(&mut self) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.closures.clear();
        }
    }
}

/// The types of documents by their paths below `data`.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Unknown where no rule makes the whole document.
    pub(super) of: Type,
    pub(super) children: BTreeMap<Key, Tree>,
}

impl Tree {
    pub(super) const fn is_leaf(&self) -> bool {
        !self.of.is_unknown()
    }

    /// The type of all that is below a path.
    pub(super) fn extent(&self, work: &Work) -> Type {
        if self.is_leaf() {
            return self.of.clone();
        }
        work.spend(self.children.len() as u64 + 1);
        let is_shown = |key: &&Key| matches!(key, Key::String(_) | Key::Number(_) | Key::Bool(_));
        let children = self.children.iter().filter(|(key, _)| is_shown(key));
        let fixed = children.map(|(key, child)| (key.clone(), child.extent(work))).collect();
        // Documents that no rule makes may be there, too.
        Type::object(fixed, Some((Type::String, Type::Any)))
    }

    /// The type of what a reference below `data` leads to.
    pub(super) fn select(&self, args: &[Term], work: &Work) -> Type {
        let mut node = self;
        let mut rest = args;
        loop {
            let Some((arg, tail)) = rest.split_first() else { return node.extent(work) };
            work.spend(1);
            let child = arg.constant().and_then(|key| node.children.get(&key));
            if node.is_leaf() {
                let Some(child) = child else { return select(&node.of, rest, work) };
                node = child;
            } else if arg.constant().is_none() {
                return select(&node.extent(work), rest, work);
            } else {
                let Some(child) = child else { return Type::Any };
                node = child;
            }
            rest = tail;
        }
    }

    /// Adds what a rule makes. `tail` is the part of its path that is not constant, where its document is not
    /// an object: it hides what is below the path.
    pub(super) fn insert(&mut self, path: &[Key], of: Type, has_tail: bool, work: &Work) {
        let mut node = self;
        for (depth, key) in path.iter().enumerate() {
            node = node.children.entry(key.clone()).or_default();
            let rest = path.get(depth + 1..).unwrap_or_default();
            if !rest.is_empty() && matches!(node.of, Type::Object(_)) {
                node.of = with_entry(&node.of, rest, &of, work);
            }
        }
        if has_tail {
            return;
        }
        let is_object = matches!(of, Type::Object(_));
        node.of = work.merge(std::mem::take(&mut node.of), of);
        if is_object && !node.children.is_empty() {
            let mut leaves = Vec::new();
            for (key, child) in &node.children {
                child.leaves(&mut vec![key.clone()], &mut leaves);
            }
            for (path, of) in leaves {
                node.of = with_entry(&node.of, &path, &of, work);
            }
        }
    }

    /// What is not known must refuse nothing.
    pub(super) fn insert_any(&mut self, path: &[Key]) {
        let node = path.iter().fold(self, |node, key| node.children.entry(key.clone()).or_default());
        node.of = Type::Any;
    }

    fn leaves(&self, path: &mut Vec<Key>, leaves: &mut Vec<(Vec<Key>, Type)>) {
        if self.is_leaf() {
            leaves.push((path.clone(), self.of.clone()));
            return;
        }
        for (key, child) in &self.children {
            path.push(key.clone());
            child.leaves(path, leaves);
            path.pop();
        }
    }
}

/// An object that also has an entry at a path. Other types stay as they are.
fn with_entry(of: &Type, path: &[Key], entry: &Type, work: &Work) -> Type {
    let (Type::Object(object), Some((key, rest))) = (of, path.split_first()) else { return of.clone() };
    let value = if rest.is_empty() {
        entry.clone()
    } else {
        with_entry(&Type::object(Vec::new(), None), rest, entry, work)
    };
    let dynamic = match &object.dynamic {
        Some((keys, values)) => (work.or(keys.clone(), key.type_of()), work.or(values.clone(), value)),
        None => (key.type_of(), value),
    };
    work.spend(object.fixed.len() as u64);
    Type::object(object.fixed.clone(), Some(dynamic))
}

/// The type of what the values of a type have below them: a union where steps are computed.
pub(super) fn select(of: &Type, args: &[Term], work: &Work) -> Type {
    args.iter().fold(of.clone(), |of, arg| match &arg.kind {
        _ if of.is_unknown() => of,
        TermKind::Null | TermKind::Bool(_) | TermKind::Number(_) | TermKind::String(_) => {
            arg.constant().map_or(Type::Unknown, |key| work.select(&of, &key))
        }
        _ => work.values(&of),
    })
}

/// The type of a reference.
pub(super) fn reference_type(reference: &Reference, scopes: &Scopes, tree: &Tree, work: &Work) -> Type {
    match &reference.head {
        RefHead::Var(var) => select(&scopes.get(*var), &reference.args, work),
        RefHead::Data => tree.select(&reference.args, work),
        RefHead::Input | RefHead::Term(_) => Type::Any,
    }
}

//! Which documents the rules of all modules make: a tree of paths below `data`.
//!
//! Rules of one path make one document. A rule whose head has a variable in its path makes an object, and
//! every rule below that object's path is part of it.

use std::collections::BTreeMap;

use portcullis_rego_syntax::ast::{Expr, ExprKind, RefArg, Rule, RuleKind};
use portcullis_value::{Value, View};

use super::UnitInfo;
use crate::error::CompileError;
use crate::normal_form::{GroupId, GroupKind, Node, NodeId};

/// All rules of one document.
pub(super) struct GroupPlan<'m> {
    pub(super) kind: GroupKind,
    pub(super) path: Vec<Value>,
    pub(super) rules: Vec<RulePlan<'m>>,
}

/// A rule of a document.
#[derive(Clone, Copy)]
pub(super) struct RulePlan<'m> {
    pub(super) module: usize,
    pub(super) rule: &'m Rule,
    /// How many steps of the head's path lead to the document.
    pub(super) consumed: usize,
}

pub(super) struct Tree<'m> {
    pub(super) nodes: Vec<Node>,
    pub(super) groups: Vec<GroupPlan<'m>>,
}

/// A constant step of a head's path.
pub(super) fn constant(arg: &RefArg) -> Option<Value> {
    if let Some(text) = arg.as_str() {
        return Some(Value::from(text));
    }
    match &arg.bracket()?.kind {
        ExprKind::Null => Some(Value::NULL),
        ExprKind::Bool(value) => Some(Value::from(*value)),
        ExprKind::Number(text) => crate::builtins::number_from_text(text),
        _ => None,
    }
}

impl<'m> Tree<'m> {
    /// Finds the documents. Rules that cannot be of one document are errors.
    pub(super) fn of(units: &[UnitInfo<'m>], errors: &mut Vec<CompileError>) -> Self {
        let mut by_path: BTreeMap<Vec<Value>, Vec<RulePlan<'m>>> = BTreeMap::new();
        for (module, unit) in units.iter().enumerate() {
            for rule in &unit.module.rules {
                let mut path = unit.package.clone();
                path.push(Value::from(rule.name()));
                let steps: Vec<Value> = rule.head.path.iter().map_while(constant).collect();
                let consumed = steps.len();
                path.extend(steps);
                by_path.entry(path).or_default().push(RulePlan { module, rule, consumed });
            }
        }
        let mut groups: Vec<GroupPlan<'m>> = Vec::new();
        // The documents that the path leads through: paths come in order, those below one right after it.
        let mut above: Vec<usize> = Vec::new();
        for (path, rules) in by_path {
            let leads_through =
                |group: Option<&GroupPlan<'_>>| group.is_some_and(|group| path.starts_with(&group.path));
            while above.last().is_some_and(|&group| !leads_through(groups.get(group))) {
                above.pop();
            }
            if let Some(outer) = above.last().and_then(|&group| groups.get_mut(group)) {
                if outer.kind == GroupKind::Object {
                    let base = outer.path.len();
                    outer.rules.extend(rules.iter().map(|plan| {
                        let package = units.get(plan.module).map_or(0, |unit| unit.package.len());
                        RulePlan { consumed: base.saturating_sub(package + 1), ..*plan }
                    }));
                    continue;
                }
                if let Some(plan) = rules.first() {
                    let message = format!("rule {} conflicts with {}", dotted(&path), dotted(&outer.path));
                    errors.push(CompileError::rego(plan.module, plan.rule.head.span, message));
                }
            }
            if let Some(kind) = kind(&path, &rules, errors) {
                above.push(groups.len());
                groups.push(GroupPlan { kind, path, rules });
            }
        }
        let mut tree = Self { nodes: vec![Node::default()], groups };
        for unit in units {
            tree.insert(&unit.package);
        }
        let paths: Vec<Vec<Value>> = tree.groups.iter().map(|group| group.path.clone()).collect();
        for (group, path) in paths.iter().enumerate() {
            let node = tree.insert(path);
            if let Some(node) = tree.nodes.get_mut(node) {
                node.group = Some(group);
            }
        }
        tree
    }

    fn insert(&mut self, path: &[Value]) -> NodeId {
        let mut at = 0;
        for (depth, key) in path.iter().enumerate() {
            if let Some(child) = self.child(at, key) {
                at = child;
                continue;
            }
            let id = self.nodes.len();
            let path = path.get(..=depth).unwrap_or_default().into();
            self.nodes.push(Node { path, ..Node::default() });
            if let Some(node) = self.nodes.get_mut(at) {
                node.children.insert(key.clone(), id);
            }
            at = id;
        }
        at
    }

    /// The node below a node.
    pub(super) fn child(&self, node: NodeId, key: &Value) -> Option<NodeId> {
        self.nodes.get(node)?.children.get(key).copied()
    }

    /// The document at a path.
    pub(super) fn group_at(&self, path: &[Value]) -> Option<GroupId> {
        let node = path.iter().try_fold(0, |node, key| self.child(node, key))?;
        self.nodes.get(node)?.group
    }

    pub(super) fn kind(&self, group: GroupId) -> Option<GroupKind> {
        self.groups.get(group).map(|group| group.kind)
    }

    /// Whether a path leads into a document that rules make.
    pub(super) fn is_inside_document(&self, path: &[Value]) -> bool {
        (1..path.len()).any(|length| path.get(..length).is_some_and(|above| self.group_at(above).is_some()))
    }
}

/// What kind of document rules of one path make.
fn kind(path: &[Value], rules: &[RulePlan<'_>], errors: &mut Vec<CompileError>) -> Option<GroupKind> {
    let mut found: Option<GroupKind> = None;
    for plan in rules {
        let is_whole = plan.consumed == plan.rule.head.path.len();
        let has_no_params = plan.rule.head.params.as_ref().is_some_and(Vec::is_empty);
        let kind = match plan.rule.kind() {
            // `f() = x` is the rule `f = x`, as OPA has it.
            RuleKind::Function if has_no_params => GroupKind::Complete,
            RuleKind::Function => {
                GroupKind::Function { arity: plan.rule.head.params.as_ref().map_or(0, Vec::len) }
            }
            RuleKind::Complete if is_whole => GroupKind::Complete,
            RuleKind::PartialSet if is_whole => GroupKind::Set,
            RuleKind::Complete | RuleKind::PartialSet | RuleKind::PartialObject => GroupKind::Object,
        };
        match found {
            None => found = Some(kind),
            Some(before) if before == kind => {}
            Some(_) => {
                let message = format!("conflicting rules {} found", dotted(path));
                errors.push(CompileError::rego(plan.module, plan.rule.head.span, message));
                return None;
            }
        }
    }
    found
}

/// A path below `data` as it is written.
pub(super) fn dotted(path: &[Value]) -> String {
    let mut text = "data".to_owned();
    for key in path {
        match key.view() {
            View::String(name) if is_name(name) => {
                text.push('.');
                text.push_str(name);
            }
            _ => {
                text.push('[');
                text.push_str(&key.to_string());
                text.push(']');
            }
        }
    }
    text
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether an expression is `_`.
pub(super) fn is_wildcard(expr: &Expr) -> bool {
    expr.as_var() == Some("_")
}

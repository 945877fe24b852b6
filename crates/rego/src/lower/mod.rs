//! Syntax trees to the normal form.
//!
//! ```text
//! modules --tree--> documents --terms--> literals --order--> literals --generate--> operations --joins, guards--> operations
//! ```

mod available;
mod facts;
mod generate;
mod guards;
mod joins;
mod literal;
mod marks;
mod nesting;
mod order;
mod specialise;
mod terms;
mod tree;

use portcullis_value::Value;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use portcullis_rego_syntax::ast::{Clause, Expr, Rule};
use portcullis_rego_syntax::{Module, Names, Span};

use crate::error::CompileError;
use crate::normal_form::{
    Arg, Branch, BranchHead, Definition, Entry, Group, GroupKind, NormalForm, Op, OpKind, Slot,
};
use crate::program::{Comparing, Program};

pub use available::unavailable_builtins;
use generate::Generator;
use literal::{Literal, LiteralKind, Term};
use order::Slots;
pub use specialise::Special;
use terms::Terms;
use tree::{GroupPlan, RulePlan, Tree};

/// A module with what is asked of it often.
pub(crate) struct UnitInfo<'m> {
    module: &'m Module,
    names: &'m Names,
    package: Vec<Value>,
}

impl<'m> UnitInfo<'m> {
    fn of(unit: &Unit<'m>) -> Self {
        let package = unit.module.package_path().into_iter().map(Value::from).collect();
        Self { module: unit.module, names: unit.names, package }
    }
}

/// A module that parsed and resolved without findings.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'m> {
    /// Its tree.
    pub module: &'m Module,
    /// What its names mean.
    pub names: &'m Names,
}

/// What a program is asked.
#[derive(Clone, Copy, Debug)]
pub enum Query<'q> {
    /// `data.<path>`: the answer is its value, or [`Value::UNDEFINED`].
    Path(&'q [&'q str]),
    /// The body of the only rule of this module: the answer is an array of objects, from the names of its
    /// variables to their values, one for each solution in the order they are found.
    Body(Unit<'q>),
}

impl Program {
    /// Lowers modules.
    ///
    /// # Errors
    /// Everything in the modules that OPA refuses and that needs all of them to be seen, with positions. Cost
    /// grows with their text, and with its square for bodies in the reverse order of what they need, up to a limit.
    pub fn compile(units: &[Unit<'_>], query: &Query<'_>) -> Result<Self, Vec<CompileError>> {
        Self::compile_for(units, query, Made::Indexed)
    }

    /// As [`Program::compile`]; `made` says for what.
    ///
    /// # Errors
    /// As of [`Program::compile`].
    pub fn compile_for(units: &[Unit<'_>], query: &Query<'_>, made: Made) -> Result<Self, Vec<CompileError>> {
        let (form, _, comparings) = lower(units, query, &[], made)?;
        Ok(Self::new(Arc::new(form), None, comparings))
    }

    /// Lowers modules once for several paths below `data`: a program for each, in the same order. `made` says
    /// for what.
    ///
    /// # Errors
    /// As of [`Program::compile`].
    pub fn compile_each(
        units: &[Unit<'_>],
        paths: &[&[&str]],
        made: Made,
    ) -> Result<Vec<Self>, Vec<CompileError>> {
        let queries: Vec<Query<'_>> = paths.iter().map(|path| Query::Path(path)).collect();
        let (form, entries, comparings) = lower(units, &Query::Path(&[]), &queries, made)?;
        let form = Arc::new(form);
        Ok(entries
            .into_iter()
            .map(|entry| Self::new(form.clone(), Some(entry), comparings.clone()))
            .collect())
    }
}

/// For what programs are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// To be fast: with look-ups in the place of iterations over `data`.
    Indexed,
    /// To tell which statements are reached ([`crate::Coverage`]).
    Covered,
}

fn lower(
    units: &[Unit<'_>],
    query: &Query<'_>,
    others: &[Query<'_>],
    made: Made,
) -> Result<(NormalForm, Vec<Entry>, Vec<Comparing>), Vec<CompileError>> {
    let mut errors = Vec::new();
    let units: Vec<UnitInfo<'_>> = units.iter().map(UnitInfo::of).collect();
    let tree = Tree::of(&units, &mut errors);
    let mut groups = Vec::new();
    for plan in &tree.groups {
        groups.push(group(&tree, &units, plan, &mut errors));
    }
    let own = entry(&tree, &units, query, &mut errors);
    nesting::check(&groups, &tree, &own.branch, &mut errors);
    // These are paths, and so no deeper than all of `data`, which their form's own query is.
    let entries: Vec<Entry> = others.iter().map(|query| entry(&tree, &units, query, &mut errors)).collect();
    if !errors.is_empty() {
        errors.sort_by_key(|error| (error.module, error.span));
        errors.dedup();
        return Err(errors);
    }
    let branches = groups.iter().flat_map(|group: &Group| group.definitions.iter().chain(&group.default));
    let operations =
        branches.flat_map(|definition| &definition.branches).map(|branch| count(&branch.ops)).sum();
    let (sites, marks) = (Vec::new(), Vec::new());
    let owners = BTreeMap::new();
    let mut form = NormalForm { groups, nodes: tree.nodes, entry: own, sites, operations, marks, owners };
    let comparings = match made {
        Made::Indexed => {
            let comparings = joins::index(&mut form);
            // Last, as all others look at the operations.
            guards::split(&mut form.groups);
            comparings
        }
        Made::Covered => {
            marks::mark(&mut form, units.iter().map(|unit| unit.module));
            Vec::new()
        }
    };
    Ok((form, entries, comparings))
}

fn count(ops: &[Op]) -> usize {
    ops.iter()
        .map(|op| match &op.kind {
            OpKind::Not { ops } | OpKind::Every { ops, .. } | OpKind::With { ops, .. } => 1 + count(ops),
            OpKind::Collect { collect, .. } => 1 + count(&collect.ops),
            OpKind::Join(join) => count(&join.scan),
            _ => 1,
        })
        .sum()
}

fn group(
    tree: &Tree<'_>,
    units: &[UnitInfo<'_>],
    plan: &GroupPlan<'_>,
    errors: &mut Vec<CompileError>,
) -> Group {
    let mut definitions = Vec::new();
    let mut default = None;
    for rule in &plan.rules {
        let Some(unit) = units.get(rule.module) else { continue };
        let lowering = RuleLowering { tree, unit, kind: plan.kind, plan: rule };
        if rule.rule.is_default {
            if default.is_some() {
                let message = format!("multiple default rules {} found", tree::dotted(&plan.path));
                errors.push(CompileError::rego(rule.module, rule.rule.span, message));
            }
            default = lowering.definitions(errors).into_iter().next();
        } else {
            definitions.extend(lowering.definitions(errors));
        }
    }
    let is_constant = is_constant(&definitions);
    Group {
        kind: plan.kind,
        path: plan.path.clone().into(),
        definitions: definitions.into(),
        default,
        is_constant,
        site: None,
    }
}

fn is_constant(definitions: &[Definition]) -> bool {
    let mut values =
        definitions.iter().flat_map(|definition| &definition.branches).map(|branch| match &branch.head {
            BranchHead::Value(Arg::Const(value)) => Some(value),
            _ => None,
        });
    let Some(first) = values.next() else { return false };
    first.is_some() && values.all(|value| value == first)
}

/// Lowers one rule.
struct RuleLowering<'l, 'm> {
    tree: &'l Tree<'m>,
    unit: &'l UnitInfo<'m>,
    kind: GroupKind,
    plan: &'l RulePlan<'m>,
}

impl<'m> RuleLowering<'_, 'm> {
    /// One definition for each body, or one with all `else` clauses.
    fn definitions(&self, errors: &mut Vec<CompileError>) -> Vec<Definition> {
        let rule: &'m Rule = self.plan.rule;
        let module = self.plan.module;
        let mut definitions = Vec::new();
        let clauses: Vec<Option<&'m Clause>> =
            if rule.clauses.is_empty() { vec![None] } else { rule.clauses.iter().map(Some).collect() };
        for clause in clauses {
            let value = rule.head.value.as_ref().map(|value| &value.expr);
            let mut branches = vec![self.branch(clause, value, true, rule.head.span, errors)];
            for other in &rule.elses {
                let value = other.value.as_ref().map(|value| &value.expr);
                branches.push(self.branch(other.clause.as_ref(), value, false, other.span, errors));
            }
            definitions.push(Definition { module, branches: branches.into() });
        }
        definitions
    }

    fn branch(
        &self,
        clause: Option<&'m Clause>,
        value: Option<&'m Expr>,
        is_first: bool,
        span: Span,
        errors: &mut Vec<CompileError>,
    ) -> Branch {
        let head = &self.plan.rule.head;
        let mut terms = Terms::new(self.tree, self.plan.module, self.unit);
        let params: &'m [Expr] = head.params.as_deref().unwrap_or_default();
        let known: Vec<Slot> = params.iter().map(|_| terms.fresh()).collect();
        let mut literals = Vec::new();
        let none: Rc<[literal::With]> = Rc::from([]);
        for (param, slot) in params.iter().zip(&known) {
            if !tree::is_wildcard(param) && !terms.bind_param(param, *slot) {
                let right = terms.term(param, &none, &mut literals);
                let kind = LiteralKind::Unify { left: Term::Var(*slot), right, binds: true };
                literals.push(Literal { kind, is_negated: false, with: none.clone(), span: param.span });
            }
        }
        if let Some(clause) = clause {
            literals.extend(terms.body(&clause.body));
        }
        // Names of the head are those of this body; `else` has no other names in it than its own.
        terms.clause = clause.filter(|_| is_first);
        let mut term_of = |expr: Option<&'m Expr>, literals: &mut Vec<Literal>| match expr {
            Some(expr) => terms.term(expr, &none, literals),
            None => Term::Const(Value::TRUE),
        };
        let mut path = Vec::new();
        if self.kind == GroupKind::Object {
            for arg in head.path.iter().skip(self.plan.consumed) {
                path.push(match tree::constant(arg) {
                    Some(value) => Term::Const(value),
                    None => term_of(arg.bracket(), &mut literals),
                });
            }
        }
        let is_element = head.key.is_some();
        let value = term_of(head.key.as_ref().or(value), &mut literals);
        terms.clause = None;

        let bound: Slots = known.iter().copied().collect();
        let mut generator = Generator::new(&mut terms, bound);
        let mut ops = Vec::new();
        generator.body(literals, &mut ops);
        // In `p[i] = xs[i]` the value binds what the path reads.
        let path: Vec<Term> = path.iter().map(|term| generator.hoist(term, span, &mut ops)).collect();
        let value = generator.head(&value, span, &mut ops);
        let path: Box<[Arg]> = path.iter().map(|term| generator.value(term, span, &mut ops)).collect();
        let head = match (self.kind, is_element) {
            (GroupKind::Object, true) => BranchHead::EntryElement { path, element: value },
            (GroupKind::Object, false) => BranchHead::Entry { path, value },
            (_, true) => BranchHead::Element(value),
            (_, false) => BranchHead::Value(value),
        };
        let slots = terms.slots;
        errors.append(&mut terms.errors);
        Branch { slots, guards: Box::default(), ops: ops.into(), head, span }
    }
}

/// The query as the body of a rule that nothing refers to.
fn entry(
    tree: &Tree<'_>,
    units: &[UnitInfo<'_>],
    query: &Query<'_>,
    errors: &mut Vec<CompileError>,
) -> Entry {
    match query {
        Query::Path(path) => {
            let module = Module {
                span: Span::default(),
                version: portcullis_rego_syntax::Version::V1,
                strict: true,
                package: None,
                imports: Vec::new(),
                rules: Vec::new(),
                comments: Vec::new(),
            };
            let names = portcullis_rego_syntax::resolve(&module);
            let unit = UnitInfo { module: &module, names: &names, package: Vec::new() };
            let mut terms = Terms::new(tree, units.len(), &unit);
            let steps = path.iter().map(|key| Term::Const(Value::from(*key))).collect();
            let reference = literal::Reference { head: literal::RefHead::Data, steps, span: Span::default() };
            let mut ops = Vec::new();
            let mut generator = Generator::new(&mut terms, Slots::new());
            let value = generator.value(&Term::Ref(Box::new(reference)), Span::default(), &mut ops);
            let slots = terms.slots;
            errors.append(&mut terms.errors);
            let head = BranchHead::Value(value);
            let branch =
                Branch { slots, guards: Box::default(), ops: ops.into(), head, span: Span::default() };
            Entry { module: units.len(), branch, variables: None }
        }
        Query::Body(unit) => {
            let info = UnitInfo::of(unit);
            let mut terms = Terms::new(tree, units.len(), &info);
            let clause = unit.module.rules.first().and_then(|rule| rule.clauses.first());
            let literals = clause.map(|clause| terms.body(&clause.body)).unwrap_or_default();
            let mut of_body = Slots::new();
            for literal in &literals {
                literal.vars(&mut of_body);
            }
            let variables = terms
                .named()
                .filter(|(_, slot)| of_body.contains(slot))
                .filter_map(|(id, slot)| Some((Value::from(unit.names.local(id)?.name.as_str()), slot)))
                .collect();
            let mut ops = Vec::new();
            Generator::new(&mut terms, Slots::new()).body(literals, &mut ops);
            let slots = terms.slots;
            errors.append(&mut terms.errors);
            let head = BranchHead::Value(Arg::Const(Value::TRUE));
            let branch =
                Branch { slots, guards: Box::default(), ops: ops.into(), head, span: Span::default() };
            Entry { module: units.len(), branch, variables: Some(variables) }
        }
    }
}

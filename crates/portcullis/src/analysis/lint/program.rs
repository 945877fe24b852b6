//! A template's modules as one program: what `violation` needs, what `with` replaces, and what is known of
//! local variables.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use portcullis_rego_syntax::analysis::{GlobalRef, Usage};
use portcullis_rego_syntax::ast::{BinaryOp, Expr, ExprKind, Rule, Statement, StatementKind};
use portcullis_rego_syntax::resolve::LocalId;
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_rego_syntax::{Names, Resolution, Span};

use super::constant::Constant;
use crate::analysis::call_graph::{CallGraph, Meaning, ParsedModule, RuleId};
use crate::analysis::template_rules::locate;
use crate::document::Document;
use crate::schema::Schema;
use crate::source::Location;

/// Variables that stand for variables are followed this far.
const LONGEST_CHAIN: usize = 16;
/// Most parts of an expression that identifies a value.
const KEY_FUEL: usize = 256;

/// Most looks at what collections hold.
const MAX_LOOKS: usize = 2_000;
/// Most findings that are shown of one template. To find a place in a document takes time that grows with it.
const MAX_SHOWN: usize = 200;

/// A path from `input`; `None` where a step is computed.
pub(super) type InputPath = Vec<Option<String>>;

/// The modules of a template, the main one first.
pub(super) struct Program<'a> {
    pub(super) graph: &'a CallGraph<'a>,
    pub(super) schema: Option<&'a Schema>,
    pub(super) document: &'a Document,
    /// The rules that `violation` may need, itself included.
    reached: BTreeSet<RuleId>,
    /// Whether `with` replaces (parts of) `input` somewhere: then it may have any shape.
    pub(super) replaces_input: bool,
    /// The same of anything else.
    pub(super) replaces_others: bool,
    bound: Vec<BTreeMap<LocalId, Bound<'a>>>,
    /// How many findings there are so far.
    shown: Cell<usize>,
    /// How often it may still be asked what a collection holds: each answer may ask again.
    looks: Cell<usize>,
}

/// What a local variable stands for.
#[derive(Clone, Copy)]
enum Bound<'a> {
    /// `x := e`
    To(&'a Expr),
    /// `some x in xs`, `every x in xs`
    ElementOf(&'a Expr),
}

impl<'a> Program<'a> {
    pub(super) fn new(graph: &'a CallGraph<'a>, schema: Option<&'a Schema>, document: &'a Document) -> Self {
        let bound = |parsed: &'a ParsedModule<'a>| {
            let mut binder = Binder { names: &parsed.names, bound: BTreeMap::new() };
            visit::walk_module(&mut binder, &parsed.module);
            binder.bound
        };
        let replaces = |is_input: bool| {
            let mut all = (0..graph.modules.len()).flat_map(|module| graph.references(module));
            all.any(|reference| {
                reference.usage == Usage::WithTarget
                    && (reference.path.first() == Some(&Some("input"))) == is_input
            })
        };
        Self {
            graph,
            schema,
            document,
            reached: graph.reached(),
            replaces_input: replaces(true),
            replaces_others: replaces(false),
            bound: graph.modules.iter().map(bound).collect(),
            shown: Cell::new(0),
            looks: Cell::new(MAX_LOOKS),
        }
    }

    /// Whether there may be another look at what a collection holds.
    pub(super) fn may_look_on(&self) -> bool {
        self.looks.update(|looks| looks.saturating_sub(1));
        self.looks.get() > 0
    }

    pub(super) fn scope(&self, module: usize) -> Option<Scope<'_, 'a>> {
        let (parsed, bound) = (self.graph.modules.get(module)?, self.bound.get(module)?);
        Some(Scope { program: self, module, parsed, bound })
    }

    pub(super) fn scopes(&self) -> impl Iterator<Item = Scope<'_, 'a>> {
        (0..self.graph.modules.len()).filter_map(|module| self.scope(module))
    }
}

/// One module of a program: where names mean something.
#[derive(Clone, Copy)]
pub(super) struct Scope<'p, 'a> {
    pub(super) program: &'p Program<'a>,
    module: usize,
    pub(super) parsed: &'a ParsedModule<'a>,
    bound: &'p BTreeMap<LocalId, Bound<'a>>,
}

impl<'a> Scope<'_, 'a> {
    /// Where something is; nothing from the moment on where there is too much to be shown.
    pub(super) fn location(&self, span: Span) -> Option<Location> {
        self.program.shown.update(|shown| shown + 1);
        if self.program.shown.get() > MAX_SHOWN {
            return None;
        }
        locate(self.program.document, self.parsed.text, span)
    }

    /// The text under a span.
    pub(super) fn text(&self, span: Span) -> &'a str {
        span.text(&self.parsed.text.text)
    }

    /// Whether `violation` may need a rule of the module.
    pub(super) fn is_reached(&self, name: &str) -> bool {
        self.program.graph.named(self.module, name).is_some_and(|rule| self.program.reached.contains(&rule))
    }

    /// The definitions of a rule of the module.
    pub(super) fn definitions(&self, name: &str) -> &'a [(usize, &'a Rule)] {
        self.program.graph.definitions(self.program.graph.named(self.module, name))
    }

    pub(super) fn references(&self) -> &'a [GlobalRef<'a>] {
        self.program.graph.references(self.module)
    }

    pub(super) fn resolution(&self, expr: &Expr) -> Option<Resolution> {
        expr.as_var().and_then(|_| self.parsed.names.at(expr.span))
    }

    /// What a local variable was assigned, as far as it can be followed; the expression itself if it is none.
    pub(super) fn followed(&self, expr: &'a Expr) -> &'a Expr {
        let mut expr = expr.peeled();
        for _ in 0..LONGEST_CHAIN {
            let Some(Resolution::Local(id)) = self.resolution(expr) else { break };
            let Some(Bound::To(value)) = self.bound.get(&id) else { break };
            expr = value.peeled();
        }
        expr
    }

    /// The literal that an expression stands for: directly, by a local variable, or by a rule that is nothing
    /// else.
    pub(super) fn constant(&self, expr: &'a Expr) -> Option<Constant> {
        let expr = self.followed(expr);
        if self.resolution(expr) != Some(Resolution::Rule) {
            return Constant::of(&expr.kind);
        }
        let [(_, rule)] = self.definitions(expr.as_var()?) else { return None };
        let is_plain = rule.clauses.is_empty()
            && rule.elses.is_empty()
            && !rule.is_default
            && rule.head.params.is_none()
            && rule.head.key.is_none()
            && rule.head.path.is_empty();
        let value = rule.head.value.as_ref().filter(|_| is_plain && !self.program.replaces_others)?;
        Constant::of(&value.expr.peeled().kind)
    }

    /// The path of a reference below `input`, followed through local variables.
    pub(super) fn input_path(&self, expr: &'a Expr) -> Option<InputPath> {
        self.path_within(expr, LONGEST_CHAIN)
    }

    fn path_within(&self, expr: &'a Expr, steps: usize) -> Option<InputPath> {
        let steps = steps.checked_sub(1)?;
        let expr = expr.peeled();
        match &expr.kind {
            ExprKind::Var(_) => match self.resolution(expr)? {
                Resolution::Input => Some(vec![Some("input".to_owned())]),
                Resolution::Local(id) => match *self.bound.get(&id)? {
                    Bound::To(value) => self.path_within(value, steps),
                    Bound::ElementOf(collection) => {
                        let mut path = self.path_within(collection, steps)?;
                        path.push(None);
                        Some(path)
                    }
                },
                _ => None,
            },
            ExprKind::Ref(reference) => {
                let mut path = self.path_within(&reference.head, steps)?;
                path.extend(reference.args.iter().map(|arg| arg.as_str().map(str::to_owned)));
                Some(path)
            }
            _ => None,
        }
    }

    pub(super) fn meaning(&self, expr: &Expr) -> Option<Meaning> {
        self.program.graph.meaning(self.module, expr)
    }

    /// A text that two expressions share only if they have the same value wherever both have one, for all
    /// bindings of the variables in them. `None` for what has several values, and for what is too long to be
    /// compared.
    pub(super) fn key(&self, expr: &'a Expr) -> Option<String> {
        let mut writer = KeyWriter { scope: *self, key: String::new(), fuel: KEY_FUEL };
        writer.write(expr)?;
        Some(writer.key)
    }
}

struct KeyWriter<'p, 'a> {
    scope: Scope<'p, 'a>,
    key: String,
    /// Variables stand for expressions with variables: what that unfolds to may be exponentially large.
    fuel: usize,
}

impl<'a> KeyWriter<'_, 'a> {
    fn write(&mut self, expr: &'a Expr) -> Option<()> {
        self.fuel = self.fuel.checked_sub(1)?;
        let expr = expr.peeled();
        if let Some(constant) = Constant::of(&expr.kind) {
            self.key.push_str(&constant.to_string());
            return Some(());
        }
        match &expr.kind {
            ExprKind::Var(name) => match self.scope.resolution(expr)? {
                Resolution::Local(id) => self.write_local(id),
                Resolution::Input | Resolution::Data | Resolution::Rule | Resolution::Import(_) => {
                    self.key.push_str(name);
                    Some(())
                }
                Resolution::Wildcard | Resolution::Builtin | Resolution::Unresolved => None,
            },
            ExprKind::Ref(reference) => {
                self.write(&reference.head)?;
                for arg in &reference.args {
                    self.key.push('[');
                    match (arg.as_str(), arg.bracket()) {
                        (Some(name), _) => self.key.push_str(&Constant::String(name.to_owned()).to_string()),
                        (None, Some(expr)) => self.write(expr)?,
                        (None, None) => return None,
                    }
                    self.key.push(']');
                }
                Some(())
            }
            ExprKind::Call(call) => {
                // `walk` has many results.
                let name = call.name().filter(|name| name != "walk")?;
                self.key.push_str(&name);
                self.key.push('(');
                for arg in &call.args {
                    self.write(arg)?;
                    self.key.push(',');
                }
                self.key.push(')');
                Some(())
            }
            _ => None,
        }
    }

    fn write_local(&mut self, id: LocalId) -> Option<()> {
        let length = self.key.len();
        if let Some(Bound::To(value)) = self.scope.bound.get(&id)
            && self.write(value).is_some()
        {
            return Some(());
        }
        self.key.truncate(length);
        write!(self.key, "{id:?}").ok()?;
        (self.fuel > 0).then_some(())
    }
}

/// Finds what local variables stand for. Under `with`, an expression means something else than its text says.
struct Binder<'a> {
    names: &'a Names,
    bound: BTreeMap<LocalId, Bound<'a>>,
}

impl<'a> Binder<'a> {
    fn bind(&mut self, span: Span, bound: Bound<'a>) {
        if let Some(Resolution::Local(id)) = self.names.at(span) {
            self.bound.insert(id, bound);
        }
    }
}

impl<'a> Visitor<'a> for Binder<'a> {
    fn visit_statement(&mut self, statement: &'a Statement) {
        if statement.with.is_empty() {
            match &statement.kind {
                StatementKind::Expr(Expr { kind: ExprKind::Binary(binary), .. })
                    if binary.op == BinaryOp::Assign && binary.lhs.as_var().is_some() =>
                {
                    self.bind(binary.lhs.span, Bound::To(&binary.rhs));
                }
                StatementKind::SomeIn(some) if some.value.as_var().is_some() => {
                    self.bind(some.value.span, Bound::ElementOf(&some.collection));
                }
                StatementKind::Every(every) => {
                    self.bind(every.value.span, Bound::ElementOf(&every.collection));
                }
                _ => {}
            }
        }
        visit::walk_statement(self, statement);
    }
}

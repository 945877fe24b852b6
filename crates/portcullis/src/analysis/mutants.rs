//! Mutants: templates with one small change, each of which means something else. A suite of which no case comes
//! out otherwise for a mutant does not test what was changed.
//!
//! Texts are changed, not trees: what is reported is what stands in the file, and a mutant is compiled as any
//! template is. Some do not compile, as when a condition gives a name that others need.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use portcullis_rego_syntax::Span;
use portcullis_rego_syntax::ast::{
    Binary, BinaryOp, Body, Clause, Expr, ExprKind, Rule, Statement, StatementKind,
};
use portcullis_rego_syntax::visit::{Visitor, walk_expr, walk_module, walk_rule, walk_statement};

use super::{locate, parsed};
use crate::api::ConstraintTemplate;
use crate::api::cel::CelSource;
use crate::api::template::{Engine, EngineSource, Text};
use crate::cel::changes;
use crate::source::Location;

/// One small change of a template.
#[derive(Clone, Debug)]
pub struct Mutant {
    location: Location,
    kind: MutantKind,
    rule: Arc<str>,
    /// The text that is changed.
    of: Arc<str>,
    range: Range<usize>,
    by: String,
    /// What stood there, for people.
    was: String,
}

/// What a mutant changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MutantKind {
    /// A condition is not there.
    Deleted,
    /// A condition is the other way round.
    Negated,
    /// A comparison or another operator is another one.
    Operator,
    /// A constant is another one.
    Constant,
    /// A body never holds.
    Disabled,
}

impl MutantKind {
    /// Its name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Negated => "negated",
            Self::Operator => "operator",
            Self::Constant => "constant",
            Self::Disabled => "disabled",
        }
    }
}

impl Mutant {
    /// Where the change is.
    #[must_use]
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// What is changed.
    #[must_use]
    pub const fn kind(&self) -> MutantKind {
        self.kind
    }

    /// Whose text is changed: the name of a rule or function in Rego, and in CEL `variables.NAME`,
    /// `matchConditions.NAME` or `validations[N]`. With the change it names a mutant also where lines have moved.
    #[must_use]
    pub const fn rule(&self) -> &Arc<str> {
        &self.rule
    }
}

/// As a sentence says it: ``without `not exempt(c)` ``.
impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            MutantKind::Deleted => write!(f, "without `{}`", self.was),
            MutantKind::Negated => write!(f, "`{}` negated", self.was),
            MutantKind::Operator | MutantKind::Constant => {
                let by = if self.by.is_empty() { "nothing" } else { &self.by };
                write!(f, "`{by}` for `{}`", self.was)
            }
            MutantKind::Disabled => write!(f, "`{}` never holds", self.was),
        }
    }
}

impl ConstraintTemplate {
    /// The texts of its programs, libraries included: those of two templates that are equal are one text to mutate.
    pub fn program_texts(&self) -> impl Iterator<Item = (Engine, &Arc<str>)> {
        let of = |source| texts(source).into_iter().map(|text| &text.text);
        self.engines.iter().flat_map(move |source| of(source).map(|text| (source.engine(), text)))
    }

    /// All its mutants, text by text in the order of [`Self::program_texts`], and in each in the order of its
    /// places. What only changes messages is left out as far as the text shows it.
    #[must_use]
    pub fn mutants(&self) -> Vec<Vec<Mutant>> {
        let mut all = Vec::new();
        for source in &self.engines {
            let changes: Vec<(&Text, Vec<Change>)> = match source {
                EngineSource::Rego(_) => texts(source).into_iter().map(|text| (text, rego(text))).collect(),
                EngineSource::Cel(of) => {
                    let named = texts(source).into_iter().zip(names(of));
                    named.map(|(text, name)| (text, cel(text, &name))).collect()
                }
            };
            for (text, mut changes) in changes {
                changes.sort_by(|a, b| {
                    (a.range.start, a.range.end, a.kind, &a.by).cmp(&(
                        b.range.start,
                        b.range.end,
                        b.kind,
                        &b.by,
                    ))
                });
                let mutant = |change: Change| {
                    let Change { kind, rule, range, by, was } = change;
                    let span =
                        Span { start: u32::try_from(was.start).ok()?, end: u32::try_from(was.end).ok()? };
                    let location = locate(&self.document, text, span)?;
                    let was = shown(text.text.get(was)?);
                    Some(Mutant { location, kind, rule, of: text.text.clone(), range, by, was })
                };
                all.push(changes.into_iter().filter_map(mutant).collect());
            }
        }
        all
    }

    /// The template with the change of a mutant, of itself or of another template, in its text of this number in
    /// [`Self::program_texts`]. `None` if the text is another one.
    #[must_use]
    pub fn mutated(&self, number: usize, mutant: &Mutant) -> Option<Self> {
        let mut template = self.clone();
        let mut left = number;
        for engine in &mut template.engines {
            let mut own = texts_mut(engine);
            if left >= own.len() {
                left -= own.len();
                continue;
            }
            let text = own.get_mut(left).filter(|text| text.text == mutant.of)?;
            let (before, after) = (text.text.get(..mutant.range.start)?, text.text.get(mutant.range.end..)?);
            text.text = format!("{before}{}{after}", mutant.by).into();
            return Some(template);
        }
        None
    }
}

fn texts(source: &EngineSource) -> Vec<&Text> {
    match source {
        EngineSource::Rego(source) => [&source.module].into_iter().chain(&source.libs).collect(),
        EngineSource::Cel(source) => {
            let variables = source.variables.iter().map(|named| &named.expression);
            let conditions = source.match_conditions.iter().map(|named| &named.expression);
            let validations = source.validations.iter().map(|validation| &validation.expression);
            variables.chain(conditions).chain(validations).collect()
        }
    }
}

/// The same, in the same order.
fn texts_mut(source: &mut EngineSource) -> Vec<&mut Text> {
    match source {
        EngineSource::Rego(source) => [&mut source.module].into_iter().chain(&mut source.libs).collect(),
        EngineSource::Cel(source) => {
            let variables = source.variables.iter_mut().map(|named| &mut named.expression);
            let conditions = source.match_conditions.iter_mut().map(|named| &mut named.expression);
            let validations = source.validations.iter_mut().map(|validation| &mut validation.expression);
            variables.chain(conditions).chain(validations).collect()
        }
    }
}

/// What the texts of CEL are called, in the order of [`texts`].
fn names(source: &CelSource) -> impl Iterator<Item = Arc<str>> {
    let variables = source.variables.iter().map(|named| format!("variables.{}", named.name).into());
    let conditions =
        source.match_conditions.iter().map(|named| format!("matchConditions.{}", named.name).into());
    let validations = (0..source.validations.len()).map(|number| format!("validations[{number}]").into());
    variables.chain(conditions).chain(validations)
}

/// The beginning of a text in one line.
fn shown(text: &str) -> String {
    const SHOWN: usize = 80;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{} …", line.get(..cut).unwrap_or_default()),
        None => line,
    }
}

/// A change of a text.
struct Change {
    kind: MutantKind,
    /// Whose text it is: see [`Mutant::rule`].
    rule: Arc<str>,
    /// What is replaced.
    range: Range<usize>,
    by: String,
    /// What is shown of it.
    was: Range<usize>,
}

const fn range(span: Span) -> Range<usize> {
    span.start as usize..span.end as usize
}

/// An expression in CEL: without it, negated, and with other operators and constants.
fn cel(text: &Text, name: &Arc<str>) -> Vec<Change> {
    let of =
        |kind, range: Range<usize>, by| Change { kind, rule: name.clone(), was: range.clone(), range, by };
    let all = 0..text.text.len();
    let whole = [
        of(MutantKind::Deleted, all.clone(), "true".to_owned()),
        of(MutantKind::Negated, all, format!("!({})", text.text)),
    ];
    let parts = changes(&text.text).into_iter().map(|change| {
        let kind = if change.is_constant { MutantKind::Constant } else { MutantKind::Operator };
        of(kind, change.range, change.by)
    });
    whole.into_iter().chain(parts).collect()
}

fn rego(text: &Text) -> Vec<Change> {
    let modules = parsed([text]);
    let Some(module) = modules.first().filter(|parsed| parsed.diagnostics.is_empty()) else {
        return Vec::new();
    };
    let mut finder =
        Finder { text: &text.text, rule: Arc::default(), messages: BTreeSet::new(), found: Vec::new() };
    walk_module(&mut finder, &module.module);
    finder.found
}

/// Finds what can be changed.
struct Finder<'m> {
    text: &'m str,
    /// The name of the rule at hand.
    rule: Arc<str>,
    /// The variables that the head of the rule at hand is made of, if it is of a violation: what they are given
    /// is what is said, and not whether.
    messages: BTreeSet<&'m str>,
    found: Vec<Change>,
}

impl Finder<'_> {
    fn add(&mut self, kind: MutantKind, range: Range<usize>, by: impl Into<String>, was: Range<usize>) {
        self.found.push(Change { kind, rule: self.rule.clone(), range, by: by.into(), was });
    }

    /// That a body never holds.
    fn disable(&mut self, body: &Body, head: Span) {
        if let Some(first) = body.statements.first().filter(|_| body.has_braces) {
            let at = first.span.start as usize;
            self.add(MutantKind::Disabled, at..at, "false; ", range(head));
        }
    }

    fn condition(&mut self, statement: &Statement) {
        let own = range(statement.span);
        match &statement.kind {
            StatementKind::Expr(expr) => {
                if let ExprKind::Binary(binary) = &expr.peeled().kind {
                    if binary.op == BinaryOp::Assign {
                        return;
                    }
                    if negated(binary.op).is_none() {
                        self.add(MutantKind::Negated, own.start..own.start, "not ", own.clone());
                    }
                } else {
                    self.add(MutantKind::Negated, own.start..own.start, "not ", own.clone());
                }
                self.add(MutantKind::Deleted, own.clone(), "true", own);
            }
            StatementKind::Not(inner) => {
                self.add(MutantKind::Negated, own.start..inner.span.start as usize, "", own.clone());
                self.add(MutantKind::Deleted, own.clone(), "true", own);
            }
            StatementKind::Every(_) => self.add(MutantKind::Deleted, own.clone(), "true", own),
            StatementKind::Some(_) | StatementKind::SomeIn(_) => {}
        }
    }

    fn operator(&mut self, binary: &Binary) {
        let own = range(binary.op_span);
        for by in [negated(binary.op), beside(binary.op)].into_iter().flatten() {
            self.add(MutantKind::Operator, own.clone(), by.symbol(), own.clone());
        }
    }

    fn constant(&mut self, expr: &Expr) {
        let own = range(expr.span);
        let by = match &expr.kind {
            ExprKind::Bool(is_true) => Some((!is_true).to_string()),
            ExprKind::Number(number) => {
                Some(match number.parse::<i64>().ok().and_then(|number| number.checked_add(1)) {
                    Some(next) => next.to_string(),
                    None => "0".to_owned(),
                })
            }
            ExprKind::String(_) => self.text.get(own.clone()).and_then(|written| {
                let end = written.len().checked_sub(1)?;
                Some(format!("{}_mutant{}", written.get(..end)?, written.get(end..)?))
            }),
            _ => None,
        };
        if let Some(by) = by {
            self.add(MutantKind::Constant, own.clone(), by, own);
        }
    }
}

/// The comparison that holds where another does not.
const fn negated(op: BinaryOp) -> Option<BinaryOp> {
    Some(match op {
        BinaryOp::Eq => BinaryOp::Ne,
        BinaryOp::Ne => BinaryOp::Eq,
        BinaryOp::Lt => BinaryOp::Ge,
        BinaryOp::Le => BinaryOp::Gt,
        BinaryOp::Gt => BinaryOp::Le,
        BinaryOp::Ge => BinaryOp::Lt,
        _ => return None,
    })
}

/// The comparison that differs where both sides are equal.
const fn beside(op: BinaryOp) -> Option<BinaryOp> {
    Some(match op {
        BinaryOp::Lt => BinaryOp::Le,
        BinaryOp::Le => BinaryOp::Lt,
        BinaryOp::Gt => BinaryOp::Ge,
        BinaryOp::Ge => BinaryOp::Gt,
        _ => return None,
    })
}

impl<'m> Visitor<'m> for Finder<'m> {
    fn visit_rule(&mut self, rule: &'m Rule) {
        self.messages.clear();
        self.rule = rule.name().into();
        if let Some(key) = rule.head.key.as_ref().filter(|_| rule.name() == "violation") {
            let mut names = VarNames(&mut self.messages);
            names.visit_expr(key);
        }
        for clause in &rule.clauses {
            self.disable(&clause.body, rule.head.span);
        }
        for other in &rule.elses {
            if let Some(clause) = &other.clause {
                self.disable(&clause.body, other.span);
            }
        }
        walk_rule(self, rule);
    }

    fn visit_head(&mut self, head: &'m portcullis_rego_syntax::ast::Head) {
        if head.name.text != "violation" {
            portcullis_rego_syntax::visit::walk_head(self, head);
        }
    }

    fn visit_clause(&mut self, clause: &'m Clause) {
        self.visit_body(&clause.body);
    }

    fn visit_statement(&mut self, statement: &'m Statement) {
        if let StatementKind::Expr(expr) = &statement.kind
            && let ExprKind::Binary(binary) = &expr.peeled().kind
            && binary.op.binds()
            && binary.lhs.as_var().is_some_and(|name| self.messages.contains(name))
        {
            return;
        }
        self.condition(statement);
        walk_statement(self, statement);
    }

    fn visit_expr(&mut self, expr: &'m Expr) {
        match &expr.kind {
            ExprKind::Binary(binary) => self.operator(binary),
            // What is said.
            ExprKind::Call(call) if call.name().as_deref() == Some("sprintf") => return,
            ExprKind::Template(_) => return,
            _ => self.constant(expr),
        }
        walk_expr(self, expr);
    }
}

/// The names of the variables of an expression.
struct VarNames<'s, 'm>(&'s mut BTreeSet<&'m str>);

impl<'m> Visitor<'m> for VarNames<'_, 'm> {
    fn visit_expr(&mut self, expr: &'m Expr) {
        self.0.extend(expr.as_var());
        walk_expr(self, expr);
    }
}

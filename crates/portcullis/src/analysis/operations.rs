//! Which operations a policy is about, from its text: whether it has to be asked when objects are deleted, or
//! connected to.
//!
//! A policy that says nothing of operations judges what objects look like, which changes when they are
//! created and changed. To be asked of others as well, it has to tell them apart: to hold for a deletion
//! because it is one (`== "DELETE"`), or because it is not a creation (`!= "CREATE"`). One that leaves an
//! operation out (`not is_update(input.review)`) is not about all the others.
//!
//! Conditions are worked out for each operation, through rules, functions and `not`, as true, false or
//! unknown. What cannot be worked out is unknown: then an operation is asked for rather than not.

use std::collections::BTreeSet;

use portcullis_rego_syntax::ast::{
    BinaryOp, Body, Call, Expr, ExprKind, RefArg, RefArgKind, Rule, RuleKind, Statement, StatementKind,
};
use portcullis_rego_syntax::visit::{self, Visitor};

use super::call_graph::{Answers, CallGraph, RuleId};
use super::reviewed_kinds::{self, constants};

/// What a template's text says about operations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OperationUse {
    /// Whether a condition is about being deleted.
    pub(crate) deletes: bool,
    /// Whether a condition is about being connected to.
    pub(crate) connects: bool,
    /// How the operation is mentioned.
    pub(crate) mention: Mention,
    /// The constant texts of the template that are short enough for a name, the steps of its references, and
    /// what it calls.
    pub(crate) words: BTreeSet<Box<str>>,
    /// The kinds of the objects that it can hold for; none for any.
    pub(crate) kinds: Option<BTreeSet<Box<str>>>,
}

/// How a template mentions the operation, the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mention {
    /// In no way that is known.
    #[default]
    Nowhere,
    /// Outside of conditions, such as in messages.
    Printed,
    /// In comparisons with constants.
    Compared,
    /// In conditions with what is not a constant of theirs: a parameter, a set that has a name.
    Open,
}

/// Longer texts are not names of operations, kinds or subresources.
const LONGEST_WORD: usize = 40;

/// The operations that are distinguished, and one that no policy names.
const NAMES: [&str; 5] = ["CREATE", "UPDATE", "DELETE", "CONNECT", ""];
const CREATE: usize = 0;
const DELETE: usize = 2;
const CONNECT: usize = 3;
const OTHER: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Truth {
    No,
    Unknown,
    Yes,
}

impl Truth {
    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }
}

/// How what is looked at counts: as it is, negated, or in a way that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sense {
    Plain,
    Negated,
    Either,
}

impl Sense {
    fn not(self) -> Self {
        match self {
            Self::Plain => Self::Negated,
            Self::Negated => Self::Plain,
            Self::Either => Self::Either,
        }
    }
}

/// For each of [`NAMES`], whether a condition holds; and whether it is about deleting or connecting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PerOperation {
    holds: [Truth; 5],
    deletes: bool,
    connects: bool,
}

impl PerOperation {
    const UNKNOWN: Self = Self { holds: [Truth::Unknown; 5], deletes: false, connects: false };
    const NEVER: Self = Self { holds: [Truth::No; 5], deletes: false, connects: false };
    const ALWAYS: Self = Self { holds: [Truth::Yes; 5], deletes: false, connects: false };
    const ANYTHING: Self = Self { holds: [Truth::Unknown; 5], deletes: true, connects: true };

    /// A condition that holds for these operations.
    fn of(names: &[&str], sense: Sense) -> Self {
        let holds = NAMES.map(|name| if names.contains(&name) { Truth::Yes } else { Truth::No });
        let negated = holds.map(Truth::not);
        let about = |holds: &[Truth; 5], operation: usize| {
            let at = |index: usize| holds.get(index).copied().unwrap_or(Truth::Unknown);
            at(operation) == Truth::Yes && (at(OTHER) == Truth::No || at(CREATE) == Truth::No)
        };
        let is_about = |operation| match sense {
            Sense::Plain => about(&holds, operation),
            Sense::Negated => about(&negated, operation),
            Sense::Either => about(&holds, operation) || about(&negated, operation),
        };
        Self { holds, deletes: is_about(DELETE), connects: is_about(CONNECT) }
    }

    fn not(self) -> Self {
        Self { holds: self.holds.map(Truth::not), ..self }
    }

    fn merge(self, other: Self, join: impl Fn(Truth, Truth) -> Truth) -> Self {
        let mut holds = self.holds;
        for (mine, theirs) in holds.iter_mut().zip(other.holds) {
            *mine = join(*mine, theirs);
        }
        Self { holds, deletes: self.deletes || other.deletes, connects: self.connects || other.connects }
    }

    fn and(self, other: Self) -> Self {
        self.merge(other, Ord::min)
    }

    fn or(self, other: Self) -> Self {
        self.merge(other, Ord::max)
    }

    /// The same, whose value is not known.
    fn unknown(self) -> Self {
        Self { holds: [Truth::Unknown; 5], ..self }
    }

    /// The same, where it does not hold at all; else its value is not known.
    fn at_most_unknown(self) -> Self {
        Self { holds: self.holds.map(|truth| truth.min(Truth::Unknown)), ..self }
    }

    /// What conditions are about that can hold.
    fn where_it_holds(self) -> Self {
        let may = |operation: usize| self.holds.get(operation) != Some(&Truth::No);
        Self { deletes: self.deletes && may(DELETE), connects: self.connects && may(CONNECT), ..self }
    }
}

impl OperationUse {
    /// Of expressions in CEL: the words in them, and whether the operation is read. It is taken for asked in
    /// a way that is not known.
    pub(crate) fn of_cel<'t>(texts: impl IntoIterator<Item = &'t str>, reads_operation: bool) -> Self {
        let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let words = texts.into_iter().flat_map(|text| text.split(is_end));
        let words: BTreeSet<Box<str>> =
            words.filter(|word| !word.is_empty() && word.len() <= LONGEST_WORD).map(Box::from).collect();
        Self {
            deletes: words.contains("DELETE"),
            connects: words.contains("CONNECT"),
            mention: if reads_operation { Mention::Open } else { Mention::Nowhere },
            words,
            kinds: None,
        }
    }
}

impl OperationUse {
    pub(crate) fn of(graph: &CallGraph<'_>) -> Self {
        let needed: Vec<RuleId> = graph.violation().into_iter().collect();
        let mut words = Words { graph, module: 0, needed, seen: BTreeSet::new(), found: Self::default() };
        words.all();
        let question = (graph.violation(), Sense::Plain);
        let mut looking = Looking { graph, answers: Answers::to(question), found: words.found };
        while let Some((rule, sense)) = looking.answers.next() {
            let mut all = PerOperation::NEVER;
            for (module, definition) in graph.definitions(rule) {
                all = all.or(looking.rule(*module, definition, sense));
            }
            looking.answers.add((rule, sense), all);
        }
        let found = looking.answers.get(question).unwrap_or(PerOperation::ANYTHING);
        let kinds = reviewed_kinds::of(graph);
        Self { deletes: found.deletes, connects: found.connects, kinds, ..looking.found }
    }
}

/// Collects what is said in the rules that `violation` needs.
struct Words<'g, 'p> {
    graph: &'g CallGraph<'p>,
    /// Where it is.
    module: usize,
    /// The rules that are still to be looked at.
    needed: Vec<RuleId>,
    seen: BTreeSet<RuleId>,
    found: OperationUse,
}

impl Words<'_, '_> {
    fn all(&mut self) {
        while let Some(rule) = self.needed.pop() {
            let graph = self.graph;
            for (module, definition) in graph.definitions(Some(rule)) {
                self.module = *module;
                visit::walk_rule(self, definition);
            }
        }
    }

    fn add(&mut self, text: &str) {
        if text.len() <= LONGEST_WORD {
            self.found.words.insert(text.into());
        }
    }

    /// Not all that the graph says is needed: what is taken away is left out below.
    fn need(&mut self, expr: &Expr) {
        let rule = self.graph.meaning(self.module, expr).and_then(|meaning| meaning.rule);
        self.needed.extend(rule.filter(|rule| self.seen.insert(*rule)));
    }
}

impl<'m> Visitor<'m> for Words<'_, '_> {
    fn visit_expr(&mut self, expr: &'m Expr) {
        if let Some(text) = expr.as_string() {
            self.add(text);
        }
        if is_operation(expr, &BTreeSet::new()) {
            self.found.mention = self.found.mention.max(Mention::Printed);
        }
        match &expr.kind {
            ExprKind::Var(_) | ExprKind::Ref(_) => self.need(expr),
            ExprKind::Call(call) => self.need(&call.callee),
            _ => {}
        }
        if let ExprKind::Call(call) = &expr.kind {
            if let Some(name) = call.callee.as_var() {
                self.add(name);
            }
            // What is taken away is not what it is about.
            if let (Some("object.remove"), Some(object)) = (call.name().as_deref(), call.args.first()) {
                self.visit_expr(object);
                return;
            }
        }
        visit::walk_expr(self, expr);
    }

    fn visit_ref_arg(&mut self, arg: &'m RefArg) {
        if let RefArgKind::Dot(name) = &arg.kind {
            self.add(&name.text);
        }
        visit::walk_ref_arg(self, arg);
    }
}

struct Looking<'g, 'p> {
    graph: &'g CallGraph<'p>,
    answers: Answers<(Option<RuleId>, Sense), PerOperation>,
    found: OperationUse,
}

/// Where a condition stands.
#[derive(Clone, Copy)]
struct Surroundings<'p> {
    module: usize,
    /// The local names of the operation.
    aliases: &'p BTreeSet<&'p str>,
}

impl<'p> Looking<'_, 'p> {
    fn mention(&mut self, mention: Mention) {
        self.found.mention = self.found.mention.max(mention);
    }

    fn rule(&mut self, module: usize, rule: &'p Rule, sense: Sense) -> PerOperation {
        let nowhere = BTreeSet::new();
        let head = Surroundings { module, aliases: &nowhere };
        let value = match &rule.head.value {
            None => PerOperation::ALWAYS,
            Some(value) => self.value(head, &value.expr, sense),
        };
        // A set is there, whatever is in it; what has an `else` may be that. Parameters may be patterns.
        let is_plain =
            rule.elses.is_empty() && matches!(rule.kind(), RuleKind::Complete | RuleKind::Function);
        let takes_any = rule.head.params.iter().flatten().all(|param| param.as_var().is_some());
        let mut all = if rule.clauses.is_empty() { value } else { PerOperation::NEVER };
        for clause in &rule.clauses {
            let body = self.body(module, &clause.body, sense);
            all = all.or(body.and(value));
        }
        for clause in &rule.elses {
            let value = match &clause.value {
                None => PerOperation::ALWAYS,
                Some(value) => self.value(head, &value.expr, sense),
            };
            let body = match &clause.clause {
                None => PerOperation::ALWAYS,
                Some(clause) => self.body(module, &clause.body, sense),
            };
            all = all.or(body.and(value));
        }
        for param in rule.head.params.iter().flatten() {
            if let Some(name) = param.as_string().filter(|name| is_name(name)) {
                self.mention(Mention::Compared);
                let named = PerOperation::of(&[name], sense);
                all.deletes |= named.deletes;
                all.connects |= named.connects;
            }
        }
        if is_plain && takes_any { all } else { all.at_most_unknown() }
    }

    /// The value of a rule, which has to be something else than `false` for a condition to hold.
    fn value(&mut self, place: Surroundings<'_>, expr: &'p Expr, sense: Sense) -> PerOperation {
        match &expr.peeled().kind {
            ExprKind::Bool(false) => PerOperation::NEVER,
            ExprKind::Bool(true) | ExprKind::String(_) | ExprKind::Number(_) => PerOperation::ALWAYS,
            _ => self.condition(place, expr, sense).at_most_unknown(),
        }
    }

    fn body(&mut self, module: usize, body: &'p Body, sense: Sense) -> PerOperation {
        let mut aliases = BTreeSet::new();
        for statement in &body.statements {
            let StatementKind::Expr(expr) = &statement.kind else { continue };
            let ExprKind::Binary(binary) = &expr.peeled().kind else { continue };
            if !matches!(binary.op, BinaryOp::Assign | BinaryOp::Unify) || !statement.with.is_empty() {
                continue;
            }
            for (name, value) in [(&binary.lhs, &binary.rhs), (&binary.rhs, &binary.lhs)] {
                if let Some(name) = name.as_var().filter(|_| is_operation(value, &BTreeSet::new())) {
                    aliases.insert(name);
                }
            }
        }
        let mut all = PerOperation::ALWAYS;
        for statement in &body.statements {
            all = all.and(self.statement(module, &aliases, statement, sense));
        }
        // What is negated holds where this fails.
        if sense == Sense::Plain { all.where_it_holds() } else { all }
    }

    fn statement(
        &mut self,
        module: usize,
        aliases: &BTreeSet<&'p str>,
        statement: &'p Statement,
        sense: Sense,
    ) -> PerOperation {
        let place = Surroundings { module, aliases };
        if !statement.with.is_empty() {
            let mut all = PerOperation::UNKNOWN;
            match &statement.kind {
                StatementKind::Expr(expr) | StatementKind::Not(expr) => {
                    all = all.and(self.condition(place, expr, Sense::Either));
                }
                _ => {}
            }
            for with in &statement.with {
                all = all.and(self.condition(place, &with.value, Sense::Either));
            }
            return all.unknown();
        }
        match &statement.kind {
            StatementKind::Expr(expr) => self.condition(place, expr, sense),
            StatementKind::Not(expr) => self.condition(place, expr, sense.not()).not(),
            StatementKind::Some(_) => PerOperation::ALWAYS,
            StatementKind::SomeIn(some) => {
                let mut all = self.condition(place, &some.value, Sense::Either);
                all = all.and(self.condition(place, &some.collection, Sense::Either));
                all.unknown()
            }
            StatementKind::Every(every) => {
                let collection = self.condition(place, &every.collection, Sense::Either);
                let body = self.body(module, &every.body, Sense::Either);
                collection.and(body).unknown()
            }
        }
    }

    fn condition(&mut self, place: Surroundings<'_>, expr: &'p Expr, sense: Sense) -> PerOperation {
        let expr = expr.peeled();
        if is_operation(expr, place.aliases) {
            self.mention(Mention::Open);
            return PerOperation::UNKNOWN;
        }
        match &expr.kind {
            ExprKind::Bool(false) => PerOperation::NEVER,
            ExprKind::Bool(true) => PerOperation::ALWAYS,
            ExprKind::Binary(binary) => {
                let (op, sides) = (binary.op, [(&binary.lhs, &binary.rhs), (&binary.rhs, &binary.lhs)]);
                for (side, other) in sides {
                    let is_certain = is_operation(side, place.aliases);
                    match (op, other.peeled().as_string()) {
                        (BinaryOp::Eq | BinaryOp::Unify | BinaryOp::Assign | BinaryOp::Ne, Some(name))
                            if is_certain
                                || NAMES.contains(&name.to_uppercase().as_str()) && !name.is_empty() =>
                        {
                            return self.named(place, side, &[name], op == BinaryOp::Ne, is_certain, sense);
                        }
                        // The operation gets another name.
                        (BinaryOp::Assign | BinaryOp::Unify, None)
                            if is_certain && other.as_var().is_some() =>
                        {
                            return PerOperation::ALWAYS.at_most_unknown();
                        }
                        _ => {}
                    }
                }
                let left = self.condition(place, &binary.lhs, Sense::Either);
                let right = self.condition(place, &binary.rhs, Sense::Either);
                left.and(right).unknown()
            }
            ExprKind::Membership(membership) if membership.key.is_none() => {
                let is_certain = is_operation(&membership.value, place.aliases);
                match constants(&membership.collection) {
                    Some(names) if is_certain || names.iter().any(|name| is_name(name)) => {
                        self.named(place, &membership.value, &names, false, is_certain, sense)
                    }
                    _ => {
                        let value = self.condition(place, &membership.value, Sense::Either);
                        value.and(self.condition(place, &membership.collection, Sense::Either)).unknown()
                    }
                }
            }
            ExprKind::Call(call) => self.call(place, call, sense),
            ExprKind::Var(_) | ExprKind::Ref(_) => self.reference(place, expr, sense),
            _ => self.parts(place, expr),
        }
    }

    /// A comparison of something with names of operations.
    fn named(
        &mut self,
        place: Surroundings<'_>,
        side: &'p Expr,
        names: &[&str],
        is_unlike: bool,
        is_certain: bool,
        sense: Sense,
    ) -> PerOperation {
        self.mention(Mention::Compared);
        let upper: Vec<String> = names.iter().map(|name| name.to_uppercase()).collect();
        let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
        let inner = if is_unlike { sense.not() } else { sense };
        let found = PerOperation::of(if is_certain { names } else { &upper }, inner);
        let found = if is_unlike { found.not() } else { found };
        if is_certain {
            return found;
        }
        let side = self.condition(place, side, Sense::Either);
        found.and(side).unknown()
    }

    fn call(&mut self, place: Surroundings<'_>, call: &'p Call, sense: Sense) -> PerOperation {
        /// Of these, nothing but a text comes.
        const PRINTING: [&str; 5] = ["sprintf", "print", "trace", "concat", "json.marshal"];
        let name = call.name().unwrap_or_default();
        let called = self.called(place, &call.callee, sense);
        if called.is_none() && PRINTING.contains(&&*name) {
            return PerOperation::UNKNOWN;
        }
        let mut parts = PerOperation::UNKNOWN;
        for arg in &call.args {
            parts = parts.and(self.condition(place, arg, Sense::Either));
        }
        let parts = PerOperation { holds: [Truth::Yes; 5], ..parts };
        match called {
            Some(found) => found.and(parts),
            None => parts.unknown(),
        }
    }

    fn reference(&mut self, place: Surroundings<'_>, expr: &'p Expr, sense: Sense) -> PerOperation {
        if let ExprKind::Ref(reference) = &expr.kind {
            // `{"CREATE", "DELETE"}[input.review.operation]`
            if let (Some(names), [arg]) = (constants(&reference.head), reference.args.as_slice())
                && let RefArgKind::Bracket(inner) = &arg.kind
                && (is_operation(inner, place.aliases) || names.iter().any(|name| is_name(name)))
            {
                let is_certain = is_operation(inner, place.aliases);
                return self.named(place, inner, &names, false, is_certain, sense);
            }
        }
        let called = self.called(place, expr, sense);
        let parts = self.parts(place, expr);
        match called {
            Some(found) => found.and(PerOperation {
                holds: [Truth::Yes; 5],
                deletes: parts.deletes,
                connects: parts.connects,
            }),
            None => parts,
        }
    }

    /// What stands in brackets, in lists, in comprehensions.
    fn parts(&mut self, place: Surroundings<'_>, expr: &'p Expr) -> PerOperation {
        let mut all = PerOperation::UNKNOWN;
        match &expr.kind {
            ExprKind::Ref(reference) => {
                if reference.head.as_var().is_none() {
                    all = all.and(self.condition(place, &reference.head, Sense::Either));
                }
                for arg in &reference.args {
                    if let RefArgKind::Bracket(inner) = &arg.kind {
                        all = all.and(self.condition(place, inner, Sense::Either));
                    }
                }
            }
            ExprKind::Array(items) | ExprKind::Set(items) => {
                for item in items {
                    all = all.and(self.condition(place, item, Sense::Either));
                }
            }
            ExprKind::Object(entries) => {
                for entry in entries {
                    all = all.and(self.condition(place, &entry.key, Sense::Either));
                    all = all.and(self.condition(place, &entry.value, Sense::Either));
                }
            }
            ExprKind::Comprehension(comprehension) => {
                all = all.and(self.body(place.module, &comprehension.body, Sense::Either));
            }
            ExprKind::Membership(membership) => {
                for part in membership.key.iter().chain([&membership.value, &membership.collection]) {
                    all = all.and(self.condition(place, part, Sense::Either));
                }
            }
            _ => {}
        }
        all.unknown()
    }

    /// What the rules come to that a name means, if it means any.
    fn called(&mut self, place: Surroundings<'_>, expr: &'p Expr, sense: Sense) -> Option<PerOperation> {
        let meaning = self.graph.meaning(place.module, expr)?;
        let all = self.answers.get((meaning.rule, sense)).unwrap_or(PerOperation::UNKNOWN);
        // A set is there, whatever is in it; what is looked up in something may be there or not.
        Some(match meaning.beyond {
            0 if self.graph.is_collection(meaning.rule) => all.unknown(),
            0 => all,
            _ => all.at_most_unknown(),
        })
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && NAMES.contains(&text.to_uppercase().as_str())
}

/// Whether an expression is the operation of the review: `input.review.operation`, that of a variable
/// `review`, or a local name of it.
fn is_operation(expr: &Expr, aliases: &BTreeSet<&str>) -> bool {
    let expr = expr.peeled();
    if let Some(name) = expr.as_var() {
        return aliases.contains(name);
    }
    if let ExprKind::Call(call) = &expr.kind {
        let [object, key, ..] = call.args.as_slice() else { return false };
        return call.name().as_deref() == Some("object.get")
            && key.peeled().as_string() == Some("operation")
            && is_review(object);
    }
    let Some(reference) = expr.as_ref() else { return false };
    let names: Option<Vec<&str>> = reference.pattern().into_iter().collect();
    matches!(names.as_deref(), Some(["input", "review", "operation"] | ["review", "operation"]))
}

fn is_review(expr: &Expr) -> bool {
    let expr = expr.peeled();
    let pattern =
        expr.as_ref().map_or_else(|| vec![expr.as_var()], portcullis_rego_syntax::ast::Ref::pattern);
    matches!(pattern.as_slice(), [Some("input"), Some("review")] | [Some("review")])
}

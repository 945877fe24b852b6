//! The module level: package, imports in groups, rules with their heads, bodies and `else`.

use super::Printer;
use super::page::Written;
use super::terms::{Around, Item, List, last_byte};
use crate::ast::{Clause, Else, Expr, ExprKind, Head, Import, Module, Package, RefArg, RefArgKind};
use crate::ast::{Rule, Statement, StatementKind, Value};
use crate::span::Span;

/// A rule with one body. A rule with several is written as several: they mean the same.
struct Part<'m> {
    rule: &'m Rule,
    /// None for a rule without a body.
    clause: Option<&'m Clause>,
    elses: &'m [Else],
    span: Span,
    /// Whether the head is that of a body before.
    is_chained: bool,
}

/// What is between rules.
enum Definition<'m> {
    Import(&'m Import),
    Rule(&'m Rule),
}

impl Definition<'_> {
    const fn start(&self) -> u32 {
        match self {
            Self::Import(import) => import.span.start,
            Self::Rule(rule) => rule.span.start,
        }
    }
}

impl<'m> Printer<'m> {
    pub(super) fn module(&mut self, module: &'m Module) -> Written {
        if let Some(package) = &module.package {
            self.package(package)?;
        }
        let mut definitions: Vec<Definition<'m>> = module
            .imports
            .iter()
            .filter(|import| self.style.keeps(import))
            .map(Definition::Import)
            .chain(module.rules.iter().map(Definition::Rule))
            .collect();
        definitions.sort_by_key(Definition::start);
        let mut rest = definitions.as_slice();
        while !rest.is_empty() {
            let imports: Vec<&'m Import> = rest
                .iter()
                .map_while(|definition| match definition {
                    Definition::Import(import) => Some(*import),
                    Definition::Rule(_) => None,
                })
                .collect();
            rest = rest.get(imports.len()..).unwrap_or_default();
            self.imports(&imports)?;
            let rules: Vec<&'m Rule> = rest
                .iter()
                .map_while(|definition| match definition {
                    Definition::Rule(rule) => Some(*rule),
                    Definition::Import(_) => None,
                })
                .collect();
            rest = rest.get(rules.len()..).unwrap_or_default();
            self.rules(&rules)?;
        }
        self.page.remaining_comments();
        Ok(())
    }

    fn package(&mut self, package: &'m Package) -> Written {
        self.page.visit(package.span.start)?;
        self.page.write("package ");
        if let Some((first, rest)) = package.path.split_first() {
            self.page.write(&first.text);
            for name in rest {
                self.path_segment(name);
            }
        }
        self.page.blank_line();
        Ok(())
    }

    /// Imports on neighbouring lines are a group, which is sorted.
    fn imports(&mut self, imports: &[&'m Import]) -> Written {
        let mut beside: Vec<Option<&'m str>> =
            imports.iter().map(|import| self.page.take_beside(import.span.start)).collect();
        let mut groups: Vec<Vec<(&'m Import, Option<&'m str>)>> = Vec::new();
        let mut last_row = None;
        for (import, comment) in imports.iter().zip(beside.drain(..)) {
            let row = self.page.row(import.span.start);
            match groups.last_mut() {
                Some(group) if last_row.is_some_and(|last| row <= last + 1) => group.push((import, comment)),
                _ => groups.push(vec![(import, comment)]),
            }
            last_row = Some(row);
        }
        for mut group in groups {
            if let Some((first, _)) = group.first() {
                let row = self.page.row(first.span.start);
                self.page.comments_above(row)?;
            }
            if has_distinct_names(&group) {
                group.sort_by(|(a, _), (b, _)| order(a).cmp(&order(b)));
            }
            for (import, comment) in group {
                self.import(import);
                if let Some(comment) = comment {
                    self.page.write(" ");
                    self.page.write(comment);
                }
                self.page.newline();
            }
            self.page.blank_line();
        }
        Ok(())
    }

    fn import(&mut self, import: &'m Import) {
        self.page.write("import ");
        let Some((root, rest)) = import.path.split_first() else { return };
        self.page.write(&root.text);
        for name in rest {
            if root.text == "future" {
                self.page.write(".");
                self.page.write(&name.text);
            } else {
                self.path_segment(name);
            }
        }
        if let Some(alias) = &import.alias {
            self.page.write(" as ");
            self.page.write(&alias.text);
        }
    }

    fn rules(&mut self, rules: &[&'m Rule]) -> Written {
        let parts: Vec<Part<'m>> = rules.iter().flat_map(|rule| parts(rule)).collect();
        for (index, part) in parts.iter().enumerate() {
            let next = parts.get(index + 1);
            let until = next.map_or(u32::MAX, |next| next.span.start);
            let mark = self.page.mark();
            if self.part(part, until).is_err() {
                // Nothing else has a place for some comment: the rule stays as it is.
                self.page.back_to(mark);
                if part.is_chained {
                    return Err(super::page::Stuck);
                }
                self.page.verbatim(part.span, until)?;
            }
            if !self.page.is_at_line_start() {
                self.page.newline();
            }
            let stay_together = next.is_some_and(|next| {
                self.is_groupable(part)
                    && self.is_groupable(next)
                    && self.page.row(next.span.start) == self.page.row(part.span.start) + 1
            });
            if !stay_together {
                self.page.blank_line();
            }
        }
        Ok(())
    }

    /// Whether the rule may be on one line, and so without a blank line between it and its like.
    fn is_groupable(&self, part: &Part<'_>) -> bool {
        !part.rule.is_default
            && part.clause.is_none_or(|clause| clause.body.statements.len() <= 1)
            && self.style.writes_if(&part.rule.head)
    }

    fn part(&mut self, part: &Part<'m>, until: u32) -> Written {
        let head = &part.rule.head;
        self.page.visit(part.span.start)?;
        if part.rule.is_default {
            self.page.write("default ");
        }
        let holds_always = part.elses.is_empty() && self.holds_always(part.clause);
        let has_if = part.clause.is_some_and(|clause| clause.if_span.is_some());
        let mark = self.page.mark();
        let is_bodyless = part.clause.is_none();
        let value = HeadValue { is_default: part.rule.is_default, holds_always, is_bodyless, has_if };
        let is_as_written = self.head(head, value).is_err() || self.page.has_comments(0, head.span.end);
        if is_as_written {
            self.page.back_to(mark);
            self.page.verbatim(head.span, head.span.end)?;
        }
        let head_row = if part.is_chained {
            self.page.row(part.span.start)
        } else {
            self.page.row(last_byte(head.span))
        };
        let Some(clause) = part.clause.filter(|_| !holds_always) else {
            return self.page.leave(part.span, until);
        };
        let first_else = part.elses.first().map_or(until, |other| other.span.start);
        // With `if`, brackets that are left as they are would no longer be those of a set.
        let is_of_set = is_as_written && head.key.is_some();
        let writes_if = self.style.writes_if(head) && (!is_of_set || clause.if_span.is_some());
        self.clause(clause, writes_if, head_row, first_else)?;
        let mut before = part.span.start;
        for (index, other) in part.elses.iter().enumerate() {
            let next = part.elses.get(index + 1);
            self.other(other, before, next.is_none(), next.map_or(until, |next| next.span.start))?;
            before = other.span.start;
        }
        Ok(())
    }

    /// Whether a body says nothing but `true`, so that the head says it all.
    fn holds_always(&self, clause: Option<&Clause>) -> bool {
        let Some(clause) = clause else { return true };
        let says_true = match clause.body.statements.as_slice() {
            [Statement { kind: StatementKind::Expr(expr), with, .. }] => {
                with.is_empty() && matches!(expr.peeled().kind, ExprKind::Bool(true))
            }
            _ => false,
        };
        says_true && !self.page.has_comments(clause.span.start, clause.span.end)
    }

    fn head(&mut self, head: &'m Head, how: HeadValue) -> Written {
        self.page.write(&head.name.text);
        // `a.b` by itself is no set, which `a["b"]` is in v0.
        let is_all = how.is_bodyless && head.value.is_none() && head.params.is_none() && head.key.is_none();
        match head.path.as_slice() {
            [only] if !self.style.has_long_heads && !is_all => self.bracketed(only)?,
            path => self.ref_args(path)?,
        }
        if let Some(params) = &head.params {
            let first = params.first().map_or("", |param| param.span.text(self.page.source()));
            let text = head.span.text(self.page.source());
            let begins_on_new_line = text
                .find(first)
                .and_then(|at| text.get(..at))
                .is_some_and(|before| !first.is_empty() && before.contains('\n'));
            let close_at = self.closing_paren(head);
            let items = params.iter().map(Item::Expr).collect();
            self.list(List { open: "(", close: ")", items, close_at, begins_on_new_line })?;
        }
        if let Some(key) = &head.key {
            if self.style.contains {
                self.page.write(" contains ");
                self.key(key)?;
            } else {
                self.page.write("[");
                self.key(key)?;
                self.page.write("]");
            }
            return Ok(());
        }
        let single_key = match head.path.as_slice() {
            [only] => head.params.is_none() && (!how.has_if || !is_ground(only)),
            _ => false,
        };
        match &head.value {
            Some(value) => {
                let says_true = matches!(value.expr.peeled().kind, ExprKind::Bool(true));
                if single_key || !says_true || how.holds_always || how.is_default {
                    self.value(value)?;
                }
            }
            None if how.holds_always && (!how.is_bodyless || self.style.v1 && head.params.is_none()) => {
                self.page.write(if self.style.v1 { " := true" } else { " = true" });
            }
            None => {}
        }
        Ok(())
    }

    /// Where the parameters end: after the last one and before the value.
    fn closing_paren(&self, head: &Head) -> u32 {
        let from = head.params.iter().flatten().last().map_or(head.name.span.end, |param| param.span.end);
        let to = head.value.as_ref().map_or(head.span.end, |value| value.span.start);
        let between = Span::new(from, to).text(self.page.source());
        // A comment may contain a parenthesis, so the last one counts.
        let offset = between.rfind(')').and_then(|at| u32::try_from(at).ok()).unwrap_or(0);
        from.saturating_add(offset)
    }

    fn key(&mut self, key: &'m Expr) -> Written {
        match &key.kind {
            // The `x` of `a.x { … }`.
            ExprKind::String(value) => {
                self.page.visit(key.span.start)?;
                self.string(value, key.span);
                Ok(())
            }
            _ => self.expr(key, Around::Nothing),
        }
    }

    /// The only segment of a head: in modules without longer heads, `opa fmt` always uses brackets.
    fn bracketed(&mut self, arg: &'m RefArg) -> Written {
        self.page.write("[");
        match &arg.kind {
            RefArgKind::Dot(name) => self.string(&name.text, name.span),
            RefArgKind::Bracket(expr) => self.expr(expr, Around::Nothing)?,
        }
        self.page.write("]");
        Ok(())
    }

    fn value(&mut self, value: &'m Value) -> Written {
        self.page.write(if value.is_assign || self.style.v1 { " := " } else { " = " });
        self.expr(&value.expr, Around::Nothing)
    }

    /// A body after its head, with its `if`: on the line of the head if it is one statement and is there
    /// in the source.
    fn clause(&mut self, clause: &'m Clause, writes_if: bool, head_row: usize, until: u32) -> Written {
        let body = &clause.body;
        if writes_if {
            self.page.write(" if");
            if let [only] = body.statements.as_slice()
                && self.page.row(only.span.start) == head_row
                && !is_set(only)
                && !self.page.has_comments(only.span.end, body.span.end)
            {
                self.page.write(" ");
                self.statement(only, only.span.end)?;
                self.page.leave(body.span, until)?;
                self.page.newline();
                return Ok(());
            }
        }
        self.page.write(" {");
        self.page.newline();
        self.page.indent();
        let close_at = if body.has_braces { last_byte(body.span) } else { body.span.end };
        self.is_behind_if = writes_if;
        self.statements(&body.statements, close_at)?;
        if body.has_braces {
            self.page.visit_close(close_at)?;
        } else {
            self.page.outdent();
        }
        self.page.write("}");
        self.page.leave(clause.span, until)
    }

    /// An `else`; `before` is where the rule or the `else` before it begins.
    fn other(&mut self, other: &'m Else, before: u32, is_last: bool, until: u32) -> Written {
        let row = self.page.row(other.span.start);
        let follows_brace = row > self.page.row(before)
            && !self.page.line_of(other.span.start).trim_start().starts_with("else")
            && !self.page.is_at_line_start();
        if follows_brace && !self.page.has_comments_above(row) {
            self.page.write(" ");
        } else {
            self.page.blank_line();
        }
        self.page.visit(other.span.start)?;
        self.page.write("else");
        let holds_always = is_last && self.holds_always(other.clause.as_ref());
        let head_end = other.value.as_ref().map_or(other.span.start + 4, |value| value.span.end);
        let mark = self.page.mark();
        if self.else_value(other, holds_always).is_err() || self.page.has_comments(0, head_end) {
            self.page.back_to(mark);
            if let Some(value) = &other.value {
                self.page.write(" ");
                self.page.verbatim(value.span, value.span.end)?;
            }
        }
        match other.clause.as_ref().filter(|_| !holds_always) {
            Some(clause) => {
                let writes_if = self.style.v1 || self.style.ifs;
                self.clause(clause, writes_if, self.page.row(head_end.saturating_sub(1)), until)
            }
            None => self.page.leave(other.span, until),
        }
    }

    fn else_value(&mut self, other: &'m Else, holds_always: bool) -> Written {
        match &other.value {
            Some(value) => {
                let says_true = matches!(value.expr.peeled().kind, ExprKind::Bool(true));
                if !says_true || holds_always {
                    self.value(value)?;
                }
            }
            None if holds_always => {
                self.page.write(if self.style.v1 { " := true" } else { " = true" });
            }
            None => {}
        }
        Ok(())
    }
}

/// What decides whether a head's value is written.
#[derive(Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "four facts about the rule, each on its own")]
struct HeadValue {
    is_default: bool,
    /// There is no body but the value: it has to be said.
    holds_always: bool,
    is_bodyless: bool,
    has_if: bool,
}

fn parts(rule: &Rule) -> Vec<Part<'_>> {
    let part = |clause, span, is_chained| Part { rule, clause, elses: &rule.elses, span, is_chained };
    match rule.clauses.as_slice() {
        [] => vec![part(None, rule.span, false)],
        [only] => vec![part(Some(only), rule.span, false)],
        [first, rest @ ..] => {
            let whole = Span::new(rule.span.start, first.span.end);
            std::iter::once(part(Some(first), whole, false))
                .chain(rest.iter().map(|clause| part(Some(clause), clause.span, true)))
                .collect()
        }
    }
}

/// Whether no two imports make the same name known: then their order means nothing.
fn has_distinct_names(group: &[(&Import, Option<&str>)]) -> bool {
    let mut names: Vec<&str> =
        group.iter().filter_map(|(import, _)| import.name().map(|name| name.text.as_str())).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    names.len() == count
}

fn order(import: &Import) -> (Vec<&str>, &str) {
    (import.segments(), import.alias.as_ref().map_or("", |alias| alias.text.as_str()))
}

fn is_ground(arg: &RefArg) -> bool {
    match &arg.kind {
        RefArgKind::Dot(_) => true,
        RefArgKind::Bracket(expr) => is_ground_expr(expr),
    }
}

fn is_ground_expr(expr: &Expr) -> bool {
    match &expr.peeled().kind {
        ExprKind::Array(items) | ExprKind::Set(items) => items.iter().all(is_ground_expr),
        ExprKind::Object(entries) => {
            entries.iter().all(|entry| is_ground_expr(&entry.key) && is_ground_expr(&entry.value))
        }
        _ => expr.peeled().is_scalar(),
    }
}

/// Whether a statement is nothing but a set: without braces around it, its own would be those of a body.
fn is_set(statement: &Statement) -> bool {
    matches!(&statement.kind, StatementKind::Expr(expr) if matches!(expr.peeled().kind, ExprKind::Set(_)))
}

impl super::Style {
    /// Whether `if` is written before bodies of rules with this head.
    fn writes_if(&self, head: &Head) -> bool {
        (self.v1 || self.ifs) && (self.contains || head.key.is_none())
    }
}

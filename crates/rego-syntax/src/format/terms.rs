//! Expressions: operators, references, literals, and lists that go over lines where the source does.

use super::Printer;
use super::page::Written;
use crate::ast::{Binary, BinaryOp, Comprehension, ComprehensionHead, Entry, Expr, ExprKind, Membership};
use crate::ast::{Name, Ref, RefArg, RefArgKind, Template, TemplatePart};
use crate::span::Span;

/// What stands around an expression.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Around {
    /// Nothing that binds.
    Nothing,
    /// An operator.
    Operator,
}

/// An element of a list.
#[derive(Clone, Copy)]
pub(super) enum Item<'m> {
    Expr(&'m Expr),
    Entry(&'m Entry),
}

impl Item<'_> {
    fn span(self) -> Span {
        match self {
            Self::Expr(expr) => expr.span,
            Self::Entry(entry) => entry.key.span.to(entry.value.span),
        }
    }
}

/// Where an element is in its list.
#[derive(Clone, Copy)]
struct First {
    /// The first within brackets or braces: a bar behind it may be read as that of a comprehension.
    of_brackets: bool,
    /// There is no other: no comma tells that it is none.
    is_only: bool,
}

/// Elements between brackets.
pub(super) struct List<'m> {
    pub(super) open: &'static str,
    pub(super) close: &'static str,
    pub(super) items: Vec<Item<'m>>,
    /// Where the closing bracket is in the source.
    pub(super) close_at: u32,
    /// Whether the source begins the first element on a line of its own, so that the elements stay
    /// apart from the brackets even if they are on one line.
    pub(super) begins_on_new_line: bool,
}

impl<'m> Printer<'m> {
    /// An expression as a statement: operators on its top level are written without parentheses where
    /// precedence gives the same tree. Behind `if {`, a union without them would begin a comprehension.
    pub(super) fn top_expr(&mut self, expr: &'m Expr, is_behind_if: bool) -> Written {
        let peeled = expr.peeled();
        let keeps_union = is_behind_if || matches!(expr.kind, ExprKind::Paren(_));
        self.page.visit(expr.span.start)?;
        match &peeled.kind {
            ExprKind::Binary(binary) if !(keeps_union && binary.op == BinaryOp::Or) => {
                let is_union =
                    |expr: &Expr| matches!(&expr.kind, ExprKind::Binary(binary) if binary.op == BinaryOp::Or);
                if is_behind_if && is_union(binary.lhs.peeled()) {
                    self.expr(&binary.lhs, Around::Operator)?;
                } else {
                    self.outer_operand(&binary.lhs, binary.op, true)?;
                }
                self.page.write(" ");
                self.page.write(binary.op.symbol());
                self.page.write(" ");
                self.outer_operand(&binary.rhs, binary.op, false)
            }
            ExprKind::Binary(_) => self.expr(expr, Around::Operator),
            ExprKind::Membership(membership) => self.membership(membership),
            _ => self.expr(expr, Around::Nothing),
        }
    }

    fn outer_operand(&mut self, operand: &'m Expr, op: BinaryOp, is_left: bool) -> Written {
        let needs_parens = match &operand.peeled().kind {
            ExprKind::Binary(inner) => {
                let (inside, outside) = (strength(inner.op), strength(op));
                inside < outside || inside == outside && !is_left
            }
            ExprKind::Membership(_) => !op.binds(),
            _ => false,
        };
        self.expr(operand, if needs_parens { Around::Operator } else { Around::Nothing })
    }

    /// Any expression.
    pub(super) fn expr(&mut self, expr: &'m Expr, around: Around) -> Written {
        self.page.visit(expr.span.start)?;
        let peeled = expr.peeled();
        if let (ExprKind::Paren(_), ExprKind::Number(number)) = (&expr.kind, &peeled.kind)
            && number.starts_with('-')
        {
            // On a line of its own, the sign would go with what is on the line before.
            self.page.write("(");
            self.page.write(number);
            self.page.write(")");
            return Ok(());
        }
        match &peeled.kind {
            ExprKind::Null => self.page.write("null"),
            ExprKind::Bool(true) => self.page.write("true"),
            ExprKind::Bool(false) => self.page.write("false"),
            ExprKind::Number(number) => {
                // A sign may stand apart from its number, with a comment between.
                let written = peeled.span.text(self.page.source());
                let is_whole = !written.contains(|c: char| c.is_ascii_whitespace());
                self.page.write(if is_whole { written } else { number });
            }
            ExprKind::String(value) => self.string(value, peeled.span),
            ExprKind::Template(template) => return self.template(template),
            ExprKind::Var(name) => self.page.write(name),
            ExprKind::Ref(reference) => return self.reference(reference),
            ExprKind::Call(call) => {
                self.expr(&call.callee, Around::Nothing)?;
                return self.list(List {
                    open: "(",
                    close: ")",
                    items: call.args.iter().map(Item::Expr).collect(),
                    close_at: last_byte(peeled.span),
                    begins_on_new_line: false,
                });
            }
            ExprKind::Array(items) => {
                let items = items.iter().map(Item::Expr).collect();
                return self.collection("[", "]", items, peeled.span);
            }
            ExprKind::Set(items) if items.is_empty() => self.page.write("set()"),
            ExprKind::Set(items) => {
                let items = items.iter().map(Item::Expr).collect();
                return self.collection("{", "}", items, peeled.span);
            }
            ExprKind::Object(entries) => {
                let items = entries.iter().map(Item::Entry).collect();
                return self.collection("{", "}", items, peeled.span);
            }
            ExprKind::Comprehension(comprehension) => {
                return self.comprehension(comprehension, peeled.span);
            }
            ExprKind::Binary(binary) => return self.binary(binary, around),
            ExprKind::Membership(membership) => {
                let needs_parens = around == Around::Operator || membership.key.is_some();
                return self.in_parens(needs_parens, |printer| printer.membership(membership));
            }
            ExprKind::Paren(inner) => return self.expr(inner, around),
        }
        Ok(())
    }

    fn in_parens(&mut self, needed: bool, write: impl FnOnce(&mut Self) -> Written) -> Written {
        if needed {
            self.page.write("(");
        }
        write(self)?;
        if needed {
            self.page.write(")");
        }
        Ok(())
    }

    /// Operands that are operations themselves are in parentheses, as `opa fmt` does it; but not so many that
    /// the result could not be parsed.
    fn binary(&mut self, binary: &'m Binary, around: Around) -> Written {
        self.in_parens(around == Around::Operator, |printer| {
            if operations_on_the_left(&binary.lhs) > MAX_PARENS {
                printer.outer_operand(&binary.lhs, binary.op, true)?;
            } else {
                printer.expr(&binary.lhs, Around::Operator)?;
            }
            printer.page.write(" ");
            printer.page.write(binary.op.symbol());
            printer.page.write(" ");
            printer.expr(&binary.rhs, Around::Operator)
        })
    }

    /// `k, v in xs` without parentheses around it.
    pub(super) fn membership(&mut self, membership: &'m Membership) -> Written {
        if let Some(key) = &membership.key {
            self.expr(key, Around::Operator)?;
            self.page.write(", ");
        }
        // `a in b in c` is `(a in b) in c`.
        let value_around = match &membership.value.kind {
            ExprKind::Membership(inner) if inner.key.is_none() && membership.key.is_none() => Around::Nothing,
            _ => Around::Operator,
        };
        self.expr(&membership.value, value_around)?;
        self.page.write(" in ");
        self.expr(&membership.collection, Around::Operator)
    }

    /// The term before the bar of a comprehension, a key, or what a reference begins with: where only a
    /// term may stand, parentheses are needed.
    fn single_term(&mut self, expr: &'m Expr) -> Written {
        match expr.peeled().kind {
            ExprKind::Binary(_) | ExprKind::Membership(_) => self.expr(expr, Around::Operator),
            _ => self.expr(expr, Around::Nothing),
        }
    }

    /// A literal as it is written; a name that is meant as a string in quotes.
    pub(super) fn string(&mut self, value: &str, span: Span) {
        let written = span.text(self.page.source());
        if written.starts_with(['"', '`']) {
            self.page.write(written);
        } else {
            self.page.write("\"");
            self.page.write(value);
            self.page.write("\"");
        }
    }

    fn template(&mut self, template: &'m Template) -> Written {
        let quote = if template.is_raw { "`" } else { "\"" };
        self.page.write("$");
        self.page.write(quote);
        for part in &template.parts {
            match part {
                TemplatePart::Text(text) => self.page.write(text.span.text(self.page.source())),
                TemplatePart::Expr(statement) => {
                    self.page.write("{");
                    self.page.indent();
                    self.statement(statement, u32::MAX)?;
                    self.page.outdent();
                    self.page.write("}");
                }
            }
        }
        self.page.write(quote);
        Ok(())
    }

    fn reference(&mut self, reference: &'m Ref) -> Written {
        self.single_term(&reference.head)?;
        self.ref_args(&reference.args)
    }

    pub(super) fn ref_args(&mut self, args: &'m [RefArg]) -> Written {
        for arg in args {
            match &arg.kind {
                RefArgKind::Dot(name) => {
                    self.page.write(".");
                    self.page.write(&name.text);
                }
                RefArgKind::Bracket(Expr { kind: ExprKind::String(text), span }) => {
                    self.segment(text, *span);
                }
                RefArgKind::Bracket(expr) => {
                    self.page.write("[");
                    self.expr(expr, Around::Nothing)?;
                    self.page.write("]");
                }
            }
        }
        Ok(())
    }

    /// A constant segment of a path after the first, however it is written in the source.
    pub(super) fn path_segment(&mut self, name: &Name) {
        self.segment(&name.text, name.span);
    }

    fn segment(&mut self, text: &str, span: Span) {
        let is_quoted = span.text(self.page.source()).starts_with(['"', '`']);
        let needs_quotes = !is_name(text) || self.style.is_keyword(text);
        if is_quoted && needs_quotes {
            self.page.write("[");
            self.string(text, span);
            self.page.write("]");
        } else {
            self.page.write(".");
            self.page.write(text);
        }
    }

    fn collection(
        &mut self,
        open: &'static str,
        close: &'static str,
        items: Vec<Item<'m>>,
        span: Span,
    ) -> Written {
        let first = items.first().map_or(span.start, |item| item.span().start);
        let begins_on_new_line = self.page.row(first) > self.page.row(span.start);
        self.list(List { open, close, items, close_at: last_byte(span), begins_on_new_line })
    }

    /// On one line if the source has the elements on one; else one line for each of the source.
    pub(super) fn list(&mut self, list: List<'m>) -> Written {
        let List { open, close, items, close_at, begins_on_new_line } = list;
        let breaks_before: Vec<bool> = items
            .iter()
            .zip(items.iter().skip(1))
            .map(|(before, item)| self.page.row(item.span().start) > self.page.row(before.span().start))
            .collect();
        self.page.write(open);
        let Some(first) = items.first() else {
            self.page.write(close);
            return Ok(());
        };
        let is_spread = begins_on_new_line || breaks_before.contains(&true);
        if is_spread {
            self.page.indent();
            self.page.newline_before(first.span().start);
        }
        // Within other brackets, what is before the first bar may be taken for a comprehension's.
        let is_call = open == "(";
        for (index, item) in items.iter().enumerate() {
            let until = items.get(index + 1).map_or(close_at, |next| next.span().start);
            let ends_line = is_spread && breaks_before.get(index).copied().unwrap_or(true);
            self.item(*item, First { of_brackets: !is_call && index == 0, is_only: items.len() == 1 })?;
            if ends_line {
                self.page.write(",");
                self.page.leave(item.span(), until)?;
                self.page.newline();
            } else if index + 1 < items.len() {
                self.page.write(", ");
            }
        }
        if is_spread {
            self.page.visit_close(close_at)?;
        } else {
            self.page.pass_close(close_at)?;
        }
        self.page.write(close);
        Ok(())
    }

    /// An element; as it is in the source if a comment within has no place else.
    fn item(&mut self, item: Item<'m>, first: First) -> Written {
        let span = item.span();
        self.page.visit(span.start)?;
        let mark = self.page.mark();
        let written = match item {
            Item::Expr(expr) => self.list_expr(expr, first),
            Item::Entry(entry) => self.entry(entry, first),
        };
        if written.is_ok() && !self.page.has_comments(0, span.end) {
            return Ok(());
        }
        self.page.back_to(mark);
        self.page.verbatim(span, span.end)
    }

    /// A union keeps its parentheses. In first place it gets some, if its first operand gets some: a term in
    /// front of a bar begins a comprehension.
    fn list_expr(&mut self, expr: &'m Expr, first: First) -> Written {
        let had_parens = matches!(expr.kind, ExprKind::Paren(_));
        let needs_parens = match &expr.peeled().kind {
            ExprKind::Binary(binary) if binary.op == BinaryOp::Or => {
                let gets_parens = matches!(binary.lhs.kind, ExprKind::Binary(_) | ExprKind::Membership(_));
                had_parens || first.of_brackets && (gets_parens || first.is_only)
            }
            _ => false,
        };
        self.expr(expr, if needs_parens { Around::Operator } else { Around::Nothing })
    }

    fn entry(&mut self, entry: &'m Entry, first: First) -> Written {
        self.list_expr(&entry.key, first)?;
        self.page.write(": ");
        self.list_expr(&entry.value, first)
    }

    /// The value of an object comprehension, which stays on the line of its key.
    fn beside_key(&mut self, value: &'m Expr) -> Written {
        let (open, close, items) = match &value.peeled().kind {
            ExprKind::Array(items) => ("[", "]", items.iter().map(Item::Expr).collect()),
            ExprKind::Set(items) if !items.is_empty() => ("{", "}", items.iter().map(Item::Expr).collect()),
            ExprKind::Object(entries) => ("{", "}", entries.iter().map(Item::Entry).collect()),
            _ => return self.single_term(value),
        };
        self.page.visit(value.span.start)?;
        let close_at = last_byte(value.peeled().span);
        self.list(List { open, close, items, close_at, begins_on_new_line: false })
    }

    fn comprehension(&mut self, comprehension: &'m Comprehension, span: Span) -> Written {
        let (open, close) = match &comprehension.head {
            ComprehensionHead::Array(_) => ("[", "]"),
            ComprehensionHead::Set(_) | ComprehensionHead::Object(_) => ("{", "}"),
        };
        self.page.write(open);
        let head_at = match &comprehension.head {
            ComprehensionHead::Array(term) | ComprehensionHead::Set(term) => {
                if self.page.row(term.span.start) > self.page.row(span.start) {
                    self.page.newline_before(term.span.start);
                }
                self.single_term(term)?;
                term.span.start
            }
            ComprehensionHead::Object(entry) => {
                self.list_expr(&entry.key, First { of_brackets: true, is_only: true })?;
                self.page.write(": ");
                self.beside_key(&entry.value)?;
                entry.key.span.start
            }
        };
        self.page.write(" |");
        self.block(&comprehension.body, self.page.row(head_at), last_byte(span))?;
        self.page.write(close);
        Ok(())
    }
}

/// How many parentheses a chain of operations begins with at most.
const MAX_PARENS: usize = 32;

/// How many operations are nested in first operands: of `a + b + c`, two.
fn operations_on_the_left(expr: &Expr) -> usize {
    let mut count = 0;
    let mut expr = expr.peeled();
    while let ExprKind::Binary(binary) = &expr.kind {
        count += 1;
        expr = binary.lhs.peeled();
    }
    count
}

/// Where the closing bracket of something in brackets is.
pub(super) const fn last_byte(span: Span) -> u32 {
    span.end.saturating_sub(1)
}

/// Whether a string can stand after a dot.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// How strongly an operator binds; the parser has the same order.
const fn strength(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Assign | BinaryOp::Unify => 0,
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => 1,
        BinaryOp::Or => 2,
        BinaryOp::And => 3,
        BinaryOp::Add | BinaryOp::Sub => 4,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem => 5,
    }
}

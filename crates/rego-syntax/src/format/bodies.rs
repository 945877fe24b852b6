//! Bodies and statements: `some`, `every`, `not`, `with`.

use super::Printer;
use super::page::Written;
use super::terms::{Around, last_byte};
use crate::ast::{Body, Every, ExprKind, Statement, StatementKind, With};

impl<'m> Printer<'m> {
    /// The statements of a body, each on lines of its own, up to `end`.
    pub(super) fn statements(&mut self, statements: &'m [Statement], end: u32) -> Written {
        let mut last_row = None;
        for (index, statement) in statements.iter().enumerate() {
            let until = statements.get(index + 1).map_or(end, |next| next.span.start);
            if last_row.is_some_and(|row| self.page.row(statement.span.start) > row + 1) {
                self.page.blank_line();
            }
            self.statement(statement, until)?;
            self.page.newline();
            last_row = Some(self.page.row(last_byte(statement.span)));
        }
        Ok(())
    }

    /// A body within an expression, from the space before it to before its closing bracket: on one line
    /// if it is so in the source and begins on `row`.
    pub(super) fn block(&mut self, body: &'m Body, row: usize, close_at: u32) -> Written {
        let first = body.statements.first().map_or(close_at, |statement| statement.span.start);
        let mut last_row = row;
        let is_spread = body.statements.iter().any(|statement| {
            let at = self.page.row(statement.span.start);
            std::mem::replace(&mut last_row, at) < at
        });
        if is_spread {
            self.page.newline_before(first);
            self.page.indent();
            self.statements(&body.statements, close_at)?;
            self.page.visit_close(close_at)
        } else {
            self.page.write(" ");
            for (index, statement) in body.statements.iter().enumerate() {
                if index > 0 {
                    self.page.write("; ");
                }
                self.statement(statement, statement.span.end)?;
            }
            self.page.pass_close(close_at)
        }
    }

    /// A statement; as it is in the source if a comment within has no place else. What follows it
    /// begins at `until`.
    pub(super) fn statement(&mut self, statement: &'m Statement, until: u32) -> Written {
        let mark = self.page.mark();
        if self.laid_out(statement, until).is_ok() {
            return Ok(());
        }
        self.page.back_to(mark);
        self.page.verbatim(statement.span, until)
    }

    fn laid_out(&mut self, statement: &'m Statement, until: u32) -> Written {
        let is_behind_if = std::mem::take(&mut self.is_behind_if);
        self.page.visit(statement.span.start)?;
        let end = match &statement.kind {
            StatementKind::Expr(expr) => {
                self.top_expr(expr, is_behind_if)?;
                expr.span.end
            }
            StatementKind::Not(expr) => {
                self.page.write("not ");
                self.top_expr(expr, false)?;
                expr.span.end
            }
            StatementKind::Some(names) => {
                self.page.write("some ");
                let mut row = self.page.row(statement.span.start);
                for (index, name) in names.iter().enumerate() {
                    let at = self.page.row(name.span.start);
                    if at > row {
                        self.page.newline_before(name.span.start);
                        row = at;
                    } else if index > 0 {
                        self.page.write(" ");
                    }
                    self.page.indent();
                    self.page.visit(name.span.start)?;
                    self.page.write(&name.text);
                    self.page.outdent();
                    if index + 1 < names.len() {
                        self.page.write(",");
                    }
                }
                names.last().map_or(statement.span.end, |name| name.span.end)
            }
            StatementKind::SomeIn(some) => {
                self.page.write("some ");
                if let Some(key) = &some.key {
                    self.expr(key, Around::Operator)?;
                    self.page.write(", ");
                }
                self.expr(&some.value, Around::Operator)?;
                self.page.write(" in ");
                self.expr(&some.collection, Around::Operator)?;
                some.span.end
            }
            StatementKind::Every(every) => {
                self.every(every)?;
                every.span.end
            }
        };
        self.withs(&statement.with, end)?;
        self.page.leave(statement.span, until)
    }

    fn every(&mut self, every: &'m Every) -> Written {
        self.page.write("every ");
        if let Some(key) = &every.key {
            self.page.write(&key.text);
            self.page.write(", ");
        }
        self.page.visit(every.value.span.start)?;
        self.page.write(&every.value.text);
        self.page.write(" in ");
        // Without parentheses, a second `in` would not be read.
        let around = match every.collection.peeled().kind {
            ExprKind::Membership(_) => Around::Operator,
            _ => Around::Nothing,
        };
        self.expr(&every.collection, around)?;
        self.page.write(" {");
        let row = self.page.row(every.span.start);
        self.block(&every.body, row, last_byte(every.body.span))?;
        if let [only] = every.body.statements.as_slice()
            && self.page.row(only.span.start) == row
        {
            self.page.write(" ");
        }
        self.page.write("}");
        Ok(())
    }

    /// Modifiers stay on the line where they are, and are indented on lines of their own.
    fn withs(&mut self, withs: &'m [With], end: u32) -> Written {
        let mut last_row = self.page.row(end.saturating_sub(1));
        let mut is_indented = false;
        for with in withs {
            let row = self.page.row(with.span.start);
            if row > last_row {
                self.page.newline();
                if !is_indented {
                    self.page.indent();
                    is_indented = true;
                }
            } else {
                self.page.write(" ");
            }
            last_row = row;
            self.page.visit(with.span.start)?;
            self.page.write("with ");
            self.expr(&with.target, Around::Nothing)?;
            self.page.write(" as ");
            self.expr(&with.value, Around::Nothing)?;
        }
        if is_indented {
            self.page.outdent();
        }
        Ok(())
    }
}

//! Bodies and statements: `not`, `some`, `every`, `with`, and the recovery between statements.

use super::{Fail, Parsed, Parser, import_hint};
use crate::ast::{Binary, BinaryOp, Body, Every, Expr, ExprKind, Membership, Name, SomeIn};
use crate::ast::{Statement, StatementKind, With};
use crate::diagnostic::DiagnosticCode;
use crate::lex::{Token, Word};
use crate::span::Span;

impl Parser<'_> {
    /// `{ … }`. Faulty statements are reported and left out.
    pub(super) fn braced_body(&mut self) -> Parsed<Body> {
        self.nested(Self::braced_body_inner)
    }

    fn braced_body_inner(&mut self) -> Parsed<Body> {
        let opener = self.at;
        let open = self.expect(Token::LBrace, "{")?;
        let closer = self.closer(opener);
        let mut statements = Vec::new();
        let mut height = 0;
        if self.is(Token::RBrace) {
            let span = self.bump().span;
            self.report(open.span.to(span), DiagnosticCode::UnexpectedToken, "found empty body", None);
            return Ok(Body { span: open.span.to(span), has_braces: true, statements });
        }
        loop {
            if closer.is_none() && self.begins_rule() {
                return Err(self.unexpected("\\n or ; or }"));
            }
            let start = self.at;
            let parsed = self.statement().and_then(|statement| {
                self.end_of_statement(Token::RBrace)?;
                Ok(statement)
            });
            match parsed {
                Ok(statement) => {
                    height = height.max(self.height);
                    statements.push(statement);
                }
                Err(fail) => self.next_statement(start, closer, fail)?,
            }
            if let Some(close) = self.eat(Token::RBrace) {
                self.height = height + 1;
                return Ok(Body { span: open.span.to(close.span), has_braces: true, statements });
            }
        }
    }

    /// The statements of a comprehension up to `end`, which stays. Fails as a whole.
    pub(super) fn bare_body(&mut self, end: Token) -> Parsed<Body> {
        let start = self.current().span;
        if self.is(end) {
            self.report(start, DiagnosticCode::UnexpectedToken, "found empty body", None);
            return Err(Fail);
        }
        let mut statements = Vec::new();
        let mut height = 0;
        loop {
            statements.push(self.statement()?);
            height = height.max(self.height);
            self.end_of_statement(end)?;
            if self.is(end) {
                self.height = height + 1;
                return Ok(Body { span: self.span_from(start), has_braces: false, statements });
            }
        }
    }

    /// The single statement after `if`.
    pub(super) fn single_statement(&mut self) -> Parsed<Body> {
        let statement = self.statement()?;
        self.height += 1;
        Ok(Body { span: statement.span, has_braces: false, statements: vec![statement] })
    }

    /// Consumes `;`; else a line break or `end` must come.
    fn end_of_statement(&mut self, end: Token) -> Parsed<()> {
        if self.eat(Token::Semicolon).is_some() {
            return Ok(());
        }
        if self.is(end) || self.current().newline_before && !self.at_end() {
            return Ok(());
        }
        let expected = match end {
            Token::RBrack => "\\n or ; or ]",
            _ => "\\n or ; or }",
        };
        Err(self.unexpected(expected))
    }

    /// A word on a new line, no further right than the rule: what follows a forgotten brace.
    fn begins_rule(&self) -> bool {
        let lexeme = self.current();
        lexeme.newline_before && lexeme.column <= self.rule_column && matches!(lexeme.token, Token::Word(_))
    }

    /// After a failure in the statement that began at `start`: goes to the next statement of the body
    /// or to its closing brace. Fails on when the body has no end or the nesting limit was met.
    fn next_statement(&mut self, start: usize, closer: Option<usize>, fail: Fail) -> Parsed<()> {
        let Some(closer) = closer.filter(|_| !self.too_deep) else { return Err(fail) };
        if self.at > closer {
            return Err(fail);
        }
        let reached = self.at;
        let mut index = start;
        while index < closer {
            // A bracket without a closing one cannot lie within brackets that have one.
            index = self.closer(index).map_or(index + 1, |inner| inner.max(index + 1));
            if index < reached {
                continue;
            }
            let lexeme = self.lexeme(index);
            if index == closer || lexeme.newline_before && index > start {
                break;
            }
            if lexeme.token == Token::Semicolon {
                index += 1;
                break;
            }
        }
        self.at = index.min(closer);
        Ok(())
    }

    pub(super) fn statement(&mut self) -> Parsed<Statement> {
        self.nested(Self::statement_inner)
    }

    fn statement_inner(&mut self) -> Parsed<Statement> {
        let start = self.current().span;
        let is_name = self.heads_reference();
        let kind = match self.token() {
            Token::Word(Word::Not) if !is_name => {
                self.bump();
                if !self.heads_reference() {
                    match self.token() {
                        Token::Word(Word::Some) => {
                            return Err(self.illegal_negation("illegal negation of 'some'"));
                        }
                        Token::Word(Word::Every) => {
                            return Err(self.illegal_negation("illegal negation of 'every'"));
                        }
                        _ => {}
                    }
                }
                StatementKind::Not(self.top_expr()?)
            }
            Token::Word(Word::Some) if !is_name => self.some()?,
            Token::Word(Word::Every) if !is_name => StatementKind::Every(Box::new(self.every()?)),
            _ if self.every_without_import() => {
                let span = self.current().span;
                let message = "unexpected identifier token: expected \\n or ; or }";
                self.report(span, DiagnosticCode::MissingKeyword, message, Some(import_hint(Word::Every)));
                StatementKind::Every(Box::new(self.every()?))
            }
            _ => StatementKind::Expr(self.top_expr()?),
        };
        let mut height = self.height;
        let mut with = Vec::new();
        if !matches!(kind, StatementKind::Some(_)) {
            while self.is_word(Word::With) && !self.heads_reference() {
                with.push(self.with()?);
                height = height.max(self.height);
            }
        }
        self.height = height + 1;
        Ok(Statement { span: self.span_from(start), kind, with })
    }

    fn illegal_negation(&mut self, message: &str) -> Fail {
        let span = self.current().span;
        self.report(span, DiagnosticCode::UnexpectedToken, message, None);
        Fail
    }

    /// An expression that may be an assignment or a unification.
    fn top_expr(&mut self) -> Parsed<Expr> {
        let lhs = self.expr()?;
        let op = match self.token() {
            Token::Assign => BinaryOp::Assign,
            Token::Unify => BinaryOp::Unify,
            _ => return Ok(lhs),
        };
        let left_height = self.height;
        let op_span = self.bump().span;
        let rhs = self.expr()?;
        let height = left_height.max(self.height);
        let span = lhs.span.to(rhs.span);
        self.node(span, ExprKind::Binary(Box::new(Binary { op, op_span, lhs, rhs })), height)
    }

    fn some(&mut self) -> Parsed<StatementKind> {
        let start = self.bump().span;
        let mut height = 0;
        let mut patterns = Vec::new();
        loop {
            patterns.push(self.relation()?);
            height = height.max(self.height);
            let in_allowed = patterns.len() <= 2;
            if in_allowed && (self.is_word(Word::In) || self.in_without_import()) {
                if !self.is_word(Word::In) {
                    let span = self.current().span;
                    let message = "unexpected identifier token: expected \\n or ; or }";
                    self.report(span, DiagnosticCode::MissingKeyword, message, Some(import_hint(Word::In)));
                }
                self.bump();
                let collection = self.relation()?;
                self.height = height.max(self.height) + 1;
                let value = patterns.pop().ok_or(Fail)?;
                let key = patterns.pop();
                let span = self.span_from(start);
                return Ok(StatementKind::SomeIn(Box::new(SomeIn { span, key, value, collection })));
            }
            if self.eat(Token::Comma).is_none() {
                break;
            }
        }
        let mut names = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let ExprKind::Var(text) = pattern.kind else {
                let message = "unexpected term: expected var, or `x in xs` or `x, y in xs` expression";
                self.report(pattern.span, DiagnosticCode::UnexpectedToken, message, None);
                return Err(Fail);
            };
            names.push(Name { text, span: pattern.span });
        }
        Ok(StatementKind::Some(names))
    }

    /// In v0 without the import: an `in` where the keyword would stand.
    fn in_without_import(&self) -> bool {
        self.is_spelled(Word::In) && !self.current().newline_before && !self.heads_reference()
    }

    /// In v0 without the import: `every x in` or `every k, v in`.
    fn every_without_import(&self) -> bool {
        self.is_spelled(Word::Every)
            && !self.future.every
            && matches!(self.lexeme(self.at + 1).token, Token::Word(_))
            && !self.lexeme(self.at + 1).newline_before
    }

    fn every(&mut self) -> Parsed<Every> {
        let start = self.bump().span;
        let mut value = self.variable("`x[, y] in xs { ... }` expression")?;
        let mut key = None;
        if self.eat(Token::Comma).is_some() {
            key = Some(value);
            value = self.variable("value to be a variable")?;
        }
        if !self.is_spelled(Word::In) {
            return Err(self.unexpected("`x[, y] in xs { ... }` expression"));
        }
        self.bump();
        let collection = self.relation()?;
        let height = self.height;
        if !self.is(Token::LBrace) {
            return Err(self.unexpected("`{` of the body of `every`"));
        }
        let body = self.braced_body()?;
        self.height = height.max(self.height) + 1;
        Ok(Every { span: self.span_from(start), key, value, collection, body })
    }

    /// A plain variable.
    pub(super) fn variable(&mut self, expected: &str) -> Parsed<Name> {
        if !matches!(self.token(), Token::Word(Word::Ident | Word::Contains)) {
            return Err(self.unexpected(expected));
        }
        let span = self.bump().span;
        Ok(Name { text: self.text(span).to_owned(), span })
    }

    fn with(&mut self) -> Parsed<With> {
        let start = self.bump().span;
        if !matches!(self.token(), Token::Word(Word::Ident | Word::Contains)) {
            return Err(self.unexpected("ident"));
        }
        let target = self.term()?;
        let height = self.height;
        if !matches!(target.kind, ExprKind::Var(_) | ExprKind::Ref(_)) {
            self.report(target.span, DiagnosticCode::UnexpectedToken, "expected with target path", None);
            return Err(Fail);
        }
        if !self.is_word(Word::As) {
            return Err(self.unexpected("as keyword"));
        }
        self.bump();
        let value = self.expr()?;
        self.height = height.max(self.height) + 1;
        Ok(With { span: self.span_from(start), target, value })
    }

    /// `rest in xs` after the values before `in`, repeatedly.
    pub(super) fn membership(&mut self, first: Expr, pairs: bool) -> Parsed<Expr> {
        let mut left = first;
        loop {
            let mut height = self.height;
            let mut key = None;
            if pairs && self.is(Token::Comma) {
                self.bump();
                let value = self.relation()?;
                height = height.max(self.height);
                if !self.is_word(Word::In) || self.heads_reference() {
                    return Err(self.unexpected("`in` after two values"));
                }
                key = Some(left);
                left = value;
            }
            if !self.is_word(Word::In) || self.heads_reference() {
                self.height = height;
                return Ok(left);
            }
            let in_span: Span = self.bump().span;
            let collection = self.relation()?;
            height = height.max(self.height);
            let span = key.as_ref().map_or(left.span, |key| key.span).to(collection.span);
            let membership = Membership { key, value: left, in_span, collection };
            left = self.node(span, ExprKind::Membership(Box::new(membership)), height)?;
        }
    }
}

//! Expressions and terms: operators by precedence, references, calls, collections, comprehensions,
//! template strings.
//!
//! Precedence, loosest first: `in`; the comparisons; `|`; `&`; `+ -`; `* / %`. All associate to the left.

use super::{Fail, Parsed, Parser, token_name};
use crate::ast::{
    Binary, BinaryOp, Call, Comprehension, ComprehensionHead, Entry, Expr, ExprKind, Name, Ref,
};
use crate::ast::{RefArg, RefArgKind, StatementKind, Template, TemplatePart};
use crate::diagnostic::DiagnosticCode;
use crate::lex::{Token, Word, unescape, unescape_raw};
use crate::span::Span;

/// Binding strength of the comparisons, the loosest operators of [`Parser::operators`].
const RELATION: u8 = 1;

impl Parser<'_> {
    /// An expression where `k, v in xs` is possible.
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        let first = self.relation()?;
        self.membership(first, true)
    }

    /// An expression in a list, where a comma ends it.
    fn list_expr(&mut self) -> Parsed<Expr> {
        let first = self.relation()?;
        self.membership(first, false)
    }

    /// An expression without `in`.
    pub(super) fn relation(&mut self) -> Parsed<Expr> {
        let first = self.term()?;
        self.operators(first, RELATION)
    }

    /// What follows the operand `lhs` in operators that bind at least as strongly as `strength`.
    fn operators(&mut self, lhs: Expr, strength: u8) -> Parsed<Expr> {
        let mut lhs = lhs;
        loop {
            let (op, found) = match self.token() {
                Token::Eq => (BinaryOp::Eq, 1),
                Token::Ne => (BinaryOp::Ne, 1),
                Token::Lt => (BinaryOp::Lt, 1),
                Token::Le => (BinaryOp::Le, 1),
                Token::Gt => (BinaryOp::Gt, 1),
                Token::Ge => (BinaryOp::Ge, 1),
                Token::Or => (BinaryOp::Or, 2),
                Token::And => (BinaryOp::And, 3),
                Token::Add => (BinaryOp::Add, 4),
                Token::Sub => (BinaryOp::Sub, 4),
                Token::Mul => (BinaryOp::Mul, 5),
                Token::Div => (BinaryOp::Div, 5),
                Token::Rem => (BinaryOp::Rem, 5),
                _ => return Ok(lhs),
            };
            if found < strength {
                return Ok(lhs);
            }
            let left_height = self.height;
            let op_span = self.bump().span;
            let rhs = self.term()?;
            let rhs = self.operators(rhs, found + 1)?;
            let height = left_height.max(self.height);
            let span = lhs.span.to(rhs.span);
            lhs = self.node(span, ExprKind::Binary(Box::new(Binary { op, op_span, lhs, rhs })), height)?;
        }
    }

    /// An operand: a term with what follows it closely, `.a`, `[b]` or `(c)`.
    pub(super) fn term(&mut self) -> Parsed<Expr> {
        self.nested(Self::term_inner)
    }

    fn term_inner(&mut self) -> Parsed<Expr> {
        let primary = self.primary()?;
        self.postfix(primary)
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let span = self.current().span;
        let kind = match self.token() {
            // `if.x`: a keyword that heads a reference is a name.
            Token::Word(_) if self.heads_reference() => ExprKind::Var(self.text(span).to_owned()),
            Token::Word(Word::Null) => ExprKind::Null,
            Token::Word(Word::True) => ExprKind::Bool(true),
            Token::Word(Word::False) => ExprKind::Bool(false),
            Token::Word(Word::Ident | Word::Contains) => ExprKind::Var(self.text(span).to_owned()),
            Token::Number => ExprKind::Number(number(self.text(span))),
            Token::String | Token::RawString => ExprKind::String(self.string(span)),
            Token::Template { raw, .. } => return self.template(raw),
            Token::Sub => {
                self.bump();
                let digits = self.expect(Token::Number, "number")?.span;
                let text = format!("-{}", number(self.text(digits)));
                return self.node(span.to(digits), ExprKind::Number(text), 0);
            }
            Token::LBrack => return self.array(),
            Token::LBrace => return self.set_or_object(),
            Token::LParen => {
                self.bump();
                let inner = self.expr()?;
                let height = self.height;
                let close = self.expect(Token::RParen, ")")?.span;
                return self.node(span.to(close), ExprKind::Paren(Box::new(inner)), height);
            }
            _ => return Err(self.unexpected("")),
        };
        self.bump();
        self.node(span, kind, 0)
    }

    /// The value of the string literal at `span`.
    pub(super) fn string(&self, span: Span) -> String {
        let inner = self.text(Span::new(span.start + 1, span.end.saturating_sub(1)));
        if self.text(span).starts_with('`') { inner.to_owned() } else { unescape(inner) }
    }

    fn postfix(&mut self, primary: Expr) -> Parsed<Expr> {
        let mut head = primary;
        loop {
            let mut height = self.height;
            let mut args = Vec::new();
            while self.current().adjacent && matches!(self.token(), Token::Dot | Token::LBrack) {
                self.check_ref_head(&head)?;
                args.push(self.ref_arg()?);
                height = height.max(self.height);
            }
            if !args.is_empty() {
                let span = self.span_from(head.span);
                head = self.node(span, ExprKind::Ref(Box::new(Ref { head, args })), height)?;
            }
            if !(self.current().adjacent && self.is(Token::LParen)) {
                return Ok(head);
            }
            head = self.call(head)?;
        }
    }

    fn check_ref_head(&mut self, head: &Expr) -> Parsed<()> {
        let what = match &head.peeled().kind {
            ExprKind::Null => "null",
            ExprKind::Bool(_) => "boolean",
            ExprKind::Number(_) => "number",
            ExprKind::String(_) => "string",
            ExprKind::Template(_) => "template-string",
            ExprKind::Ref(_) if matches!(head.kind, ExprKind::Paren(_)) => "ref",
            _ => return Ok(()),
        };
        let message = format!("illegal ref (head cannot be {what})");
        self.report(head.span, DiagnosticCode::UnexpectedToken, message, None);
        Err(Fail)
    }

    /// `.name` or `[expr]`; the caller has checked that it is adjacent.
    pub(super) fn ref_arg(&mut self) -> Parsed<RefArg> {
        let open = self.bump();
        if open.token == Token::Dot {
            let lexeme = self.current();
            if !lexeme.adjacent || !matches!(lexeme.token, Token::Word(_)) {
                return Err(self.unexpected("identifier"));
            }
            self.bump();
            self.height = 1;
            let name = Name { text: self.text(lexeme.span).to_owned(), span: lexeme.span };
            return Ok(RefArg { span: open.span.to(lexeme.span), kind: RefArgKind::Dot(name) });
        }
        let expr = self.expr()?;
        let close = self.expect(Token::RBrack, "]")?;
        Ok(RefArg { span: open.span.to(close.span), kind: RefArgKind::Bracket(expr) })
    }

    fn call(&mut self, callee: Expr) -> Parsed<Expr> {
        let callable = match &callee.kind {
            ExprKind::Var(_) => true,
            ExprKind::Ref(reference) => reference.head.as_var().is_some(),
            _ => false,
        };
        if !callable {
            return Err(self.unexpected("\\n or ; or }"));
        }
        let mut height = self.height;
        self.bump();
        let args = self.list(Token::RParen, Vec::new())?;
        height = height.max(self.height);
        let span = callee.span.to(self.bump().span);
        if args.is_empty() && callee.as_var() == Some("set") {
            return self.node(span, ExprKind::Set(Vec::new()), 0);
        }
        self.node(span, ExprKind::Call(Box::new(Call { callee, args })), height)
    }

    /// The rest of a list after `items`, up to `end`, which stays. A comma may precede the end.
    pub(super) fn list(&mut self, end: Token, mut items: Vec<Expr>) -> Parsed<Vec<Expr>> {
        let mut height = if items.is_empty() { 0 } else { self.height };
        while !self.is(end) {
            items.push(self.list_expr()?);
            height = height.max(self.height);
            if !self.is(end) && self.eat(Token::Comma).is_none() {
                return Err(self.unexpected(&format!("\",\" or \"{}\"", token_name(end))));
            }
        }
        self.height = height;
        Ok(items)
    }

    fn array(&mut self) -> Parsed<Expr> {
        let opener = self.at;
        let open = self.bump().span;
        // OPA tolerates a leading comma; it rules out a comprehension.
        let leading_comma = self.eat(Token::Comma).is_some();
        if self.is(Token::RBrack) && !leading_comma {
            let close = self.bump().span;
            return self.node(open.to(close), ExprKind::Array(Vec::new()), 0);
        }
        let first = self.term()?;
        if self.is(Token::Or) && !leading_comma && self.is_comprehension(opener) {
            return self.comprehension(open, ComprehensionHead::Array(first), Token::RBrack);
        }
        let first = self.operators(first, RELATION)?;
        let first = self.membership(first, false)?;
        let items = self.rest_of_list(Token::RBrack, first)?;
        let height = self.height;
        let close = self.bump().span;
        self.node(open.to(close), ExprKind::Array(items), height)
    }

    fn rest_of_list(&mut self, end: Token, first: Expr) -> Parsed<Vec<Expr>> {
        if !self.is(end) && self.eat(Token::Comma).is_none() {
            return Err(self.unexpected(&format!("\",\" or \"{}\"", token_name(end))));
        }
        self.list(end, vec![first])
    }

    fn set_or_object(&mut self) -> Parsed<Expr> {
        let opener = self.at;
        let open = self.bump().span;
        let leading_comma = self.eat(Token::Comma).is_some();
        if self.is(Token::RBrace) && !leading_comma {
            let close = self.bump().span;
            return self.node(open.to(close), ExprKind::Object(Vec::new()), 0);
        }
        let first = self.term()?;
        if self.is(Token::Or) && !leading_comma && self.is_comprehension(opener) {
            return self.comprehension(open, ComprehensionHead::Set(first), Token::RBrace);
        }
        let first = self.operators(first, RELATION)?;
        let first = self.membership(first, false)?;
        if self.is(Token::Colon) {
            return self.object(opener, open, first, leading_comma);
        }
        let items = self.rest_of_list(Token::RBrace, first)?;
        let height = self.height;
        let close = self.bump().span;
        self.node(open.to(close), ExprKind::Set(items), height)
    }

    /// The rest of an object after its first key.
    fn object(&mut self, opener: usize, open: Span, first_key: Expr, leading_comma: bool) -> Parsed<Expr> {
        let mut height = self.height;
        self.bump();
        let value = self.term()?;
        height = height.max(self.height);
        if self.is(Token::Or) && !leading_comma && self.is_comprehension(opener) {
            self.height = height;
            let head = ComprehensionHead::Object(Entry { key: first_key, value });
            return self.comprehension(open, head, Token::RBrace);
        }
        let value = self.operators(value, RELATION)?;
        let value = self.membership(value, false)?;
        height = height.max(self.height);
        let mut entries = vec![Entry { key: first_key, value }];
        while self.eat(Token::Comma).is_some() && !self.is(Token::RBrace) {
            let key = self.list_expr()?;
            height = height.max(self.height);
            self.expect(Token::Colon, "\":\"")?;
            let value = self.list_expr()?;
            height = height.max(self.height);
            entries.push(Entry { key, value });
        }
        let close = self.expect(Token::RBrace, "\",\" or \"}\"")?.span;
        self.node(open.to(close), ExprKind::Object(entries), height)
    }

    /// The rest of a comprehension, from its `|`.
    fn comprehension(&mut self, open: Span, head: ComprehensionHead, end: Token) -> Parsed<Expr> {
        let height = self.height;
        self.bump();
        let body = self.bare_body(end)?;
        let height = height.max(self.height);
        let close = self.bump().span;
        self.node(open.to(close), ExprKind::Comprehension(Box::new(Comprehension { head, body })), height)
    }

    /// At the `|` after the first term within the bracket at `opener`: whether a comprehension follows
    /// rather than a union. OPA prefers the comprehension, and takes the union only if what follows
    /// cannot be a body because of a comma: one that belongs neither to `some a, b` nor to `k, v in xs`.
    fn is_comprehension(&self, opener: usize) -> bool {
        let Some(closer) = self.closer(opener) else { return true };
        let Some(comma) = self.find(self.at + 1, closer, |token| token == Token::Comma) else { return true };
        let only_in_bodies = |token| {
            matches!(
                token,
                Token::Semicolon
                    | Token::Assign
                    | Token::Unify
                    | Token::Word(Word::Some | Word::Every | Word::Not | Word::With)
            )
        };
        if self.find(self.at + 1, comma, only_in_bodies).is_some() {
            return true;
        }
        let ends = |token| {
            matches!(
                token,
                Token::Word(Word::In)
                    | Token::Comma
                    | Token::Semicolon
                    | Token::Assign
                    | Token::Unify
                    | Token::Colon
            )
        };
        self.find(comma + 1, closer, ends).is_some_and(|index| self.token_at(index) == Token::Word(Word::In))
    }

    /// Index of the first token from `from` up to `until` that lies in no inner bracket and fulfils
    /// `wanted`. Words after a dot and words that head a reference are names and count as such.
    pub(super) fn find(&self, from: usize, until: usize, wanted: impl Fn(Token) -> bool) -> Option<usize> {
        let mut index = from;
        while index < until {
            let token = match self.token_at(index) {
                Token::Word(_) if self.is_name(index) => Token::Word(Word::Ident),
                token => token,
            };
            if wanted(token) {
                return Some(index);
            }
            index = match self.closer(index) {
                // The closing piece of a template may open its next hole: look at it again.
                Some(closer) if matches!(self.token_at(closer), Token::Template { .. }) => closer,
                Some(closer) => closer + 1,
                None => index + 1,
            };
        }
        None
    }

    /// Whether the word at `index` is part of a reference.
    pub(super) fn is_name(&self, index: usize) -> bool {
        let next = self.lexeme(index + 1);
        let after_dot = index.checked_sub(1).is_some_and(|before| self.lexeme(before).token == Token::Dot);
        after_dot || next.adjacent && matches!(next.token, Token::Dot | Token::LBrack)
    }

    fn template(&mut self, is_raw: bool) -> Parsed<Expr> {
        let start = self.current().span;
        let mut parts = Vec::new();
        let mut height = 0;
        loop {
            let piece = self.current();
            let Token::Template { first, last, .. } = piece.token else {
                return Err(self.unexpected("} to end template string expression"));
            };
            if first && piece.span != start {
                // Another template string begins where the hole should end.
                return Err(self.unexpected("} to end template string expression"));
            }
            self.bump();
            let open = if first { 2 } else { 1 };
            let inner = Span::new(piece.span.start + open, piece.span.end.saturating_sub(1));
            let text = self.text(inner);
            if !text.is_empty() {
                let text = if is_raw { unescape_raw(text) } else { unescape(text) };
                parts.push(TemplatePart::Text(Name { text, span: inner }));
            }
            if last {
                let span = self.span_from(start);
                return self.node(span, ExprKind::Template(Template { is_raw, parts }), height);
            }
            let statement = self.statement()?;
            height = height.max(self.height);
            let what = match &statement.kind {
                StatementKind::Expr(expr) => match &expr.kind {
                    ExprKind::Binary(binary) if binary.op == BinaryOp::Assign => Some("assignment (':=')"),
                    ExprKind::Binary(binary) if binary.op == BinaryOp::Unify => Some("unification ('=')"),
                    _ => None,
                },
                StatementKind::Not(_) => Some("negation ('not')"),
                StatementKind::Some(_) | StatementKind::SomeIn(_) => Some("'some'"),
                StatementKind::Every(_) => Some("'every'"),
            };
            if let Some(what) = what {
                let message = format!("unexpected {what} in template-string expression");
                self.report(statement.span, DiagnosticCode::UnexpectedToken, message, None);
            }
            parts.push(TemplatePart::Expr(Box::new(statement)));
        }
    }
}

/// A number as JSON writes it: with a digit before the point.
fn number(text: &str) -> String {
    if text.starts_with('.') { format!("0{text}") } else { text.to_owned() }
}

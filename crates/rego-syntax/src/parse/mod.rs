//! Tokens to tree. One file per level: [`rules`], [`bodies`], [`terms`]; here the cursor they share.
//!
//! The parser looks ahead but never backs up. Where OPA's grammar is ambiguous (`{a | b}`, `p if {…}`)
//! it decides by scanning over the bracket in question, jumping over inner brackets by a table made
//! once; so the work is linear in the number of tokens.
//!
//! A failure is reported where it happens and then travels up as [`Fail`] to the nearest place that can
//! resume: the next statement of a braced body, or the next rule.

mod bodies;
mod rules;
mod terms;

use crate::ast::{Expr, ExprKind, Module, Version};
use crate::diagnostic::{Diagnostic, DiagnosticCode};
use crate::lex::{self, Lexeme, Token, Word};
use crate::span::Span;

/// How deep brackets, bodies and operands may be nested in each other.
pub const MAX_NESTING: u32 = 128;

/// How high a tree may become: nesting and, for `a + b + c …`, one for each operator. Bounds the
/// recursion of everything that walks or drops the tree.
pub const MAX_HEIGHT: u32 = 512;

/// Something was reported; resume further up.
#[derive(Debug)]
struct Fail;

type Parsed<T> = Result<T, Fail>;

pub(crate) fn parse(text: &str, version: Version) -> (Module, Vec<Diagnostic>) {
    if u32::try_from(text.len()).is_err() {
        let message = "module too long".to_owned();
        let diagnostic =
            Diagnostic { span: Span::default(), code: DiagnosticCode::TooDeep, message, hint: None };
        let (module, _) = parse("", version);
        return (module, vec![diagnostic]);
    }
    let lexed = lex::lex(text);
    let mut parser = Parser {
        text,
        closers: closers(&lexed.tokens),
        tokens: lexed.tokens,
        at: 0,
        future: Keywords::of(version),
        strict: version == Version::V1,
        depth: 0,
        height: 0,
        rule_column: 0,
        too_deep: false,
        diagnostics: lexed.diagnostics,
    };
    let module = parser.module(version, lexed.comments);
    let mut diagnostics = parser.diagnostics;
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    (module, diagnostics)
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Lexeme>,
    /// For each opening bracket the index of its closing one; itself when there is none. Always greater
    /// than the index of the opening bracket, or equal.
    closers: Vec<usize>,
    at: usize,
    future: Keywords,
    /// The rules of v1 hold.
    strict: bool,
    depth: u32,
    /// Height of the tree that was parsed last.
    height: u32,
    /// Column of the rule being parsed: a word at or before it on a new line begins another rule.
    rule_column: u32,
    /// The nesting limit was reported for this rule.
    too_deep: bool,
    diagnostics: Vec<Diagnostic>,
}

/// Which of the words that became keywords over time are keywords now.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "a set of four words")]
struct Keywords {
    contains: bool,
    every: bool,
    r#if: bool,
    r#in: bool,
}

impl Keywords {
    const ALL: Self = Self { contains: true, every: true, r#if: true, r#in: true };

    fn of(version: Version) -> Self {
        match version {
            Version::V0 => Self::default(),
            Version::V1 => Self::ALL,
        }
    }

    /// False if there is no such keyword.
    fn add(&mut self, name: &str) -> bool {
        match name {
            "contains" => self.contains = true,
            // A statement with `every` needs `in`.
            "every" => {
                self.every = true;
                self.r#in = true;
            }
            "if" => self.r#if = true,
            "in" => self.r#in = true,
            _ => return false,
        }
        true
    }

    const fn has(self, word: Word) -> bool {
        match word {
            Word::Contains => self.contains,
            Word::Every => self.every,
            Word::If => self.r#if,
            Word::In => self.r#in,
            Word::Ident => false,
            _ => true,
        }
    }
}

const EOF: Lexeme =
    Lexeme { token: Token::Eof, span: Span::new(0, 0), newline_before: false, adjacent: false, column: 0 };

impl Parser<'_> {
    fn lexeme(&self, index: usize) -> Lexeme {
        // The last token is the end of the text: everything beyond is it, too.
        self.tokens.get(index).or(self.tokens.last()).copied().unwrap_or(EOF)
    }

    fn current(&self) -> Lexeme {
        self.lexeme(self.at)
    }

    /// The current token, with words that are not keywords at present as plain identifiers.
    fn token(&self) -> Token {
        self.token_at(self.at)
    }

    fn token_at(&self, index: usize) -> Token {
        match self.lexeme(index).token {
            Token::Word(word) if !self.future.has(word) => Token::Word(Word::Ident),
            token => token,
        }
    }

    fn is(&self, token: Token) -> bool {
        self.token() == token
    }

    fn is_word(&self, word: Word) -> bool {
        self.token() == Token::Word(word)
    }

    /// The current word even if it is no keyword at present.
    fn is_spelled(&self, word: Word) -> bool {
        self.current().token == Token::Word(word)
    }

    fn at_end(&self) -> bool {
        self.current().token == Token::Eof
    }

    fn bump(&mut self) -> Lexeme {
        let lexeme = self.current();
        if lexeme.token != Token::Eof {
            self.at += 1;
        }
        lexeme
    }

    fn eat(&mut self, token: Token) -> Option<Lexeme> {
        self.is(token).then(|| self.bump())
    }

    fn expect(&mut self, token: Token, expected: &str) -> Parsed<Lexeme> {
        match self.eat(token) {
            Some(lexeme) => Ok(lexeme),
            None => Err(self.unexpected(expected)),
        }
    }

    fn text(&self, span: Span) -> &str {
        span.text(self.text)
    }

    /// End of the token before the current one.
    fn last_end(&self) -> u32 {
        self.at.checked_sub(1).map_or(0, |index| self.lexeme(index).span.end)
    }

    fn span_from(&self, start: Span) -> Span {
        Span::new(start.start, self.last_end().max(start.end))
    }

    /// Whether the token after the current one continues it as a reference: `if.x`, `not["x"]`. Then
    /// the current word is a name, whatever else it may mean.
    fn heads_reference(&self) -> bool {
        let next = self.lexeme(self.at + 1);
        next.adjacent && matches!(next.token, Token::Dot | Token::LBrack)
    }

    /// Index of the bracket that closes the one at `index`, if there is one.
    fn closer(&self, index: usize) -> Option<usize> {
        self.closers.get(index).copied().filter(|&closer| closer > index)
    }

    fn report(&mut self, span: Span, code: DiagnosticCode, message: impl Into<String>, hint: Option<&str>) {
        let message = message.into();
        self.diagnostics.push(Diagnostic { span, code, message, hint: hint.map(str::to_owned) });
    }

    /// Reports the current token; `expected` says what was in order instead, or is empty.
    fn unexpected(&mut self, expected: &str) -> Fail {
        let hint = self.keyword_hint();
        self.unexpected_with_hint(expected, hint)
    }

    fn unexpected_with_hint(&mut self, expected: &str, hint: Option<&str>) -> Fail {
        let Lexeme { token, span, .. } = self.current();
        // The lexer has reported illegal tokens.
        if token != Token::Illegal {
            let (name, kind) = match self.token() {
                Token::Word(Word::Ident) => ("identifier", "token"),
                Token::Word(_) => (span.text(self.text), "keyword"),
                token => (token_name(token), "token"),
            };
            let message = if expected.is_empty() {
                format!("unexpected {name} {kind}")
            } else {
                format!("unexpected {name} {kind}: expected {expected}")
            };
            self.report(span, DiagnosticCode::UnexpectedToken, message, hint);
        }
        Fail
    }

    /// In v0: whether the trouble is a keyword that was not imported, here or one token back.
    fn keyword_hint(&self) -> Option<&'static str> {
        [self.at, self.at.wrapping_sub(1), self.at.wrapping_sub(2), self.at.wrapping_sub(3)]
            .into_iter()
            .filter_map(|index| self.tokens.get(index))
            .find_map(|lexeme| match lexeme.token {
                Token::Word(word) if word.is_future() && !self.future.has(word) => Some(import_hint(word)),
                _ => None,
            })
    }

    /// Enters one level of nesting; every successful call is paired with [`Self::leave`].
    fn enter(&mut self) -> Parsed<()> {
        if self.depth >= MAX_NESTING {
            return Err(self.report_too_deep());
        }
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn report_too_deep(&mut self) -> Fail {
        if !self.too_deep {
            self.too_deep = true;
            let span = self.current().span;
            self.report(span, DiagnosticCode::TooDeep, "max parsing recursion depth exceeded", None);
        }
        Fail
    }

    /// Makes a node over children of the given height.
    fn node(&mut self, span: Span, kind: ExprKind, child_height: u32) -> Parsed<Expr> {
        self.height = child_height + 1;
        if self.height > MAX_HEIGHT {
            return Err(self.report_too_deep());
        }
        Ok(Expr { span, kind })
    }

    /// Parses with one more level of nesting.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.enter()?;
        let result = parse(self);
        self.leave();
        result
    }
}

const fn import_hint(word: Word) -> &'static str {
    match word {
        Word::In => "`import future.keywords.in` for `x in xs` expressions",
        Word::Every => "`import future.keywords.every` for `every x in xs { ... }` expressions",
        Word::Contains => "`import future.keywords.contains` for `x contains y` rules",
        _ => "`import future.keywords.if` for `if` before rule bodies",
    }
}

/// The names OPA gives tokens in messages.
const fn token_name(token: Token) -> &'static str {
    match token {
        Token::Word(_) => "identifier",
        Token::Number => "number",
        Token::String | Token::RawString => "string",
        Token::Template { .. } => "template-string",
        Token::LBrack => "[",
        Token::RBrack => "]",
        Token::LBrace => "{",
        Token::RBrace => "}",
        Token::LParen => "(",
        Token::RParen => ")",
        Token::Comma => ",",
        Token::Colon => ":",
        Token::Semicolon => ";",
        Token::Dot => ".",
        Token::Assign => "assign",
        Token::Unify => "eq",
        Token::Eq => "equal",
        Token::Ne => "neq",
        Token::Lt => "lt",
        Token::Le => "lte",
        Token::Gt => "gt",
        Token::Ge => "gte",
        Token::Add => "plus",
        Token::Sub => "minus",
        Token::Mul => "mul",
        Token::Div => "div",
        Token::Rem => "rem",
        Token::And => "and",
        Token::Or => "or",
        Token::Illegal => "illegal",
        Token::Eof => "eof",
    }
}

/// For each opening bracket the index of the one that closes it, else the index itself. A closing
/// bracket that does not fit the innermost open one closes nothing.
fn closers(tokens: &[Lexeme]) -> Vec<usize> {
    let mut closers: Vec<usize> = (0..tokens.len()).collect();
    let mut open: Vec<(usize, Token)> = Vec::new();
    for (index, lexeme) in tokens.iter().enumerate() {
        let closes = match lexeme.token {
            Token::RBrack | Token::RBrace | Token::RParen => Some(lexeme.token),
            // A piece in the middle closes the hole before it and opens the next.
            Token::Template { first: false, .. } => Some(TEMPLATE),
            _ => None,
        };
        if let Some(closes) = closes
            && let Some(&(opener, _)) = open.last().filter(|(_, closer)| *closer == closes)
        {
            open.pop();
            if let Some(slot) = closers.get_mut(opener) {
                *slot = index;
            }
        }
        match lexeme.token {
            Token::LBrack => open.push((index, Token::RBrack)),
            Token::LBrace => open.push((index, Token::RBrace)),
            Token::LParen => open.push((index, Token::RParen)),
            Token::Template { last: false, .. } => open.push((index, TEMPLATE)),
            _ => {}
        }
    }
    closers
}

/// Stands for any closing piece of a template in [`closers`].
const TEMPLATE: Token = Token::Template { raw: false, first: false, last: false };

//! Text to tokens. Owns what a token is, comments, literals and their escapes; does not know which
//! words are keywords in which version: every word that may be one is a [`Word`], and the parser decides.
//!
//! The token list always ends in one [`Token::Eof`]; token spans ascend and do not overlap.

use crate::ast::Comment;
use crate::diagnostic::{Diagnostic, DiagnosticCode};
use crate::span::Span;

/// What [`lex`] makes of a text.
#[derive(Debug)]
pub(crate) struct Lexed {
    pub(crate) tokens: Vec<Lexeme>,
    pub(crate) comments: Vec<Comment>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// A token where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) span: Span,
    /// A line break lies between this token and the one before.
    pub(crate) newline_before: bool,
    /// This token follows the one before without white space or comment.
    pub(crate) adjacent: bool,
    /// Bytes from the start of the line.
    pub(crate) column: u32,
}

/// The kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Word(Word),
    Number,
    String,
    RawString,
    /// A piece of a template string: `$"a{`, `}b{`, `}c"`, or `$"d"` at once.
    Template {
        raw: bool,
        first: bool,
        last: bool,
    },
    LBrack,
    RBrack,
    LBrace,
    RBrace,
    LParen,
    RParen,
    Comma,
    Colon,
    Semicolon,
    Dot,
    Assign,
    Unify,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    And,
    Or,
    /// Something that is not a token; reported by the lexer.
    Illegal,
    Eof,
}

/// A word; all but `Ident` are keywords in some version or after some import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Ident,
    As,
    Default,
    Else,
    False,
    Import,
    Package,
    Not,
    Null,
    Some,
    True,
    With,
    Contains,
    Every,
    If,
    In,
}

impl Word {
    fn of(text: &str) -> Self {
        match text {
            "as" => Self::As,
            "default" => Self::Default,
            "else" => Self::Else,
            "false" => Self::False,
            "import" => Self::Import,
            "package" => Self::Package,
            "not" => Self::Not,
            "null" => Self::Null,
            "some" => Self::Some,
            "true" => Self::True,
            "with" => Self::With,
            "contains" => Self::Contains,
            "every" => Self::Every,
            "if" => Self::If,
            "in" => Self::In,
            _ => Self::Ident,
        }
    }

    /// Whether the word is a keyword only in v1 or by import.
    pub(crate) const fn is_future(self) -> bool {
        matches!(self, Self::Contains | Self::Every | Self::If | Self::In)
    }
}

/// Splits `text` into tokens; never fails, what is not a token becomes [`Token::Illegal`].
pub(crate) fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer {
        text,
        at: 0,
        templates: Vec::new(),
        out: Lexed { tokens: Vec::new(), comments: Vec::new(), diagnostics: Vec::new() },
    };
    lexer.run();
    lexer.out
}

struct Lexer<'t> {
    text: &'t str,
    /// Offset of the next character; always on a character boundary.
    at: usize,
    /// The template strings around the current position: raw or not, and how many braces are open in
    /// the expression being lexed.
    templates: Vec<(bool, u32)>,
    out: Lexed,
}

impl Lexer<'_> {
    fn run(&mut self) {
        // A byte order mark is tolerated at the start only.
        if self.peek() == Some('\u{feff}') {
            self.bump();
        }
        let mut line_start = 0;
        let mut newline_before = false;
        let mut token_end = usize::MAX;
        loop {
            let start = self.at;
            let Some(c) = self.bump() else { break };
            match c {
                ' ' | '\t' | '\r' => continue,
                '\n' => {
                    newline_before = true;
                    line_start = self.at;
                    continue;
                }
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.bump();
                    }
                    let body = self.text.get(start..self.at).unwrap_or("");
                    let end = start + body.strip_suffix('\r').unwrap_or(body).len();
                    self.out.comments.push(Comment { span: span(start, end) });
                    continue;
                }
                _ => {}
            }
            let token = self.token(c, start);
            let column = u32::try_from(start - line_start).unwrap_or(u32::MAX);
            self.push(token, start, newline_before, token_end == start, column);
            newline_before = false;
            token_end = self.at;
            // Raw strings may span lines.
            if matches!(token, Token::RawString | Token::Template { raw: true, .. }) {
                let literal = self.text.get(start..self.at).unwrap_or("");
                if let Some(last) = literal.rfind('\n') {
                    line_start = start + last + 1;
                }
            }
        }
        let column = u32::try_from(self.at - line_start).unwrap_or(u32::MAX);
        self.push(Token::Eof, self.at, newline_before, token_end == self.at, column);
    }

    fn push(&mut self, token: Token, start: usize, newline_before: bool, adjacent: bool, column: u32) {
        self.out.tokens.push(Lexeme { token, span: span(start, self.at), newline_before, adjacent, column });
    }

    fn token(&mut self, c: char, start: usize) -> Token {
        match c {
            'a'..='z' | 'A'..='Z' | '_' => {
                while self.peek().is_some_and(is_word) {
                    self.bump();
                }
                Token::Word(Word::of(self.text.get(start..self.at).unwrap_or("")))
            }
            '0'..='9' => self.number(start),
            '"' => self.string(start),
            '`' => self.raw_string(start),
            '$' => match self.peek() {
                Some(quote @ ('"' | '`')) => {
                    self.bump();
                    self.template(start, quote == '`', true)
                }
                _ => self.illegal(start, "illegal $ character"),
            },
            '}' => match self.templates.last_mut() {
                Some((raw, 0)) => {
                    let raw = *raw;
                    self.template(start, raw, false)
                }
                Some((_, open)) => {
                    *open -= 1;
                    Token::RBrace
                }
                None => Token::RBrace,
            },
            '{' => {
                if let Some((_, open)) = self.templates.last_mut() {
                    *open += 1;
                }
                Token::LBrace
            }
            '[' => Token::LBrack,
            ']' => Token::RBrack,
            '(' => Token::LParen,
            ')' => Token::RParen,
            ',' => Token::Comma,
            ';' => Token::Semicolon,
            // `.5`; after a name it is an error either way.
            '.' if self.peek().is_some_and(|c| c.is_ascii_digit()) => self.number(start),
            '.' => Token::Dot,
            '+' => Token::Add,
            '-' => Token::Sub,
            '*' => Token::Mul,
            '/' => Token::Div,
            '%' => Token::Rem,
            '&' => Token::And,
            '|' => Token::Or,
            ':' => self.maybe_equals(Token::Assign, Token::Colon),
            '=' => self.maybe_equals(Token::Eq, Token::Unify),
            '<' => self.maybe_equals(Token::Le, Token::Lt),
            '>' => self.maybe_equals(Token::Ge, Token::Gt),
            '!' if self.peek() == Some('=') => {
                self.bump();
                Token::Ne
            }
            '!' => self.illegal(start, "illegal ! character"),
            '\0' => self.illegal(start, "illegal null character"),
            '\u{feff}' => self.illegal(start, "illegal byte-order mark"),
            _ => self.illegal(start, "illegal token"),
        }
    }

    fn maybe_equals(&mut self, with: Token, without: Token) -> Token {
        if self.peek() == Some('=') {
            self.bump();
            with
        } else {
            without
        }
    }

    fn digits(&mut self) -> bool {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.bump();
        }
        self.at > start
    }

    /// `start` is at the first digit or the leading dot, which has been consumed.
    fn number(&mut self, start: usize) -> Token {
        let mut problem = None;
        self.digits();
        let integer = self.text.get(start..self.at).unwrap_or("");
        if integer.len() > 1 && integer.starts_with('0') {
            problem = Some("expected number without leading zero");
        }
        if self.peek() == Some('.') && !integer.starts_with('.') {
            self.bump();
            if !self.digits() {
                problem = Some("expected fraction");
            }
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            self.bump();
            if matches!(self.peek(), Some('+' | '-')) {
                self.bump();
            }
            if !self.digits() {
                problem = Some("expected exponent");
            }
        }
        if self.peek().is_some_and(is_word) {
            while self.peek().is_some_and(is_word) {
                self.bump();
            }
            problem = Some("illegal number format");
        }
        match problem {
            Some(problem) => self.illegal(start, problem),
            None => Token::Number,
        }
    }

    fn string(&mut self, start: usize) -> Token {
        let mut problem = None;
        loop {
            match self.peek() {
                None | Some('\n') => return self.illegal(start, "non-terminated string"),
                Some('"') => {
                    self.bump();
                    break;
                }
                Some('\\') => {
                    self.bump();
                    if !self.escape(false) {
                        problem = Some("illegal escape sequence");
                    }
                }
                Some('\0') => {
                    self.bump();
                    problem = Some("illegal null character");
                }
                Some(_) => {
                    self.bump();
                }
            }
        }
        match problem {
            Some(problem) => self.illegal(start, problem),
            None => Token::String,
        }
    }

    /// Consumes what follows a backslash; false if that is not an escape.
    fn escape(&mut self, template: bool) -> bool {
        match self.peek() {
            Some('\\' | '"' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => {
                self.bump();
                true
            }
            Some('{') if template => {
                self.bump();
                true
            }
            Some('u') => {
                self.bump();
                (0..4).all(|_| {
                    let hex = self.peek().is_some_and(|c| c.is_ascii_hexdigit());
                    if hex {
                        self.bump();
                    }
                    hex
                })
            }
            _ => false,
        }
    }

    fn raw_string(&mut self, start: usize) -> Token {
        loop {
            match self.bump() {
                None => return self.illegal(start, "non-terminated string"),
                Some('`') => return Token::RawString,
                Some(_) => {}
            }
        }
    }

    /// Lexes a piece of a template string up to its `{` or closing quote. The opening `$"` or `}` has
    /// been consumed; for the latter the top of `templates` is this template.
    fn template(&mut self, start: usize, raw: bool, first: bool) -> Token {
        if !first {
            self.templates.pop();
        }
        let mut problem = None;
        loop {
            match self.peek() {
                None => return self.illegal(start, "non-terminated string"),
                Some('\n') if !raw => return self.illegal(start, "non-terminated string"),
                Some('{') => {
                    self.bump();
                    self.templates.push((raw, 0));
                    break self.template_token(start, problem, Token::Template { raw, first, last: false });
                }
                Some(c) if c == if raw { '`' } else { '"' } => {
                    self.bump();
                    break self.template_token(start, problem, Token::Template { raw, first, last: true });
                }
                Some('\\') if raw => {
                    self.bump();
                    if self.peek() == Some('{') {
                        self.bump();
                    }
                }
                Some('\\') => {
                    self.bump();
                    if !self.escape(true) {
                        problem = Some("illegal escape sequence");
                    }
                }
                Some(_) => {
                    self.bump();
                }
            }
        }
    }

    /// A bad escape is reported but does not break up the template, so that its braces still pair.
    fn template_token(&mut self, start: usize, problem: Option<&str>, token: Token) -> Token {
        if let Some(problem) = problem {
            self.illegal(start, problem);
        }
        token
    }

    fn illegal(&mut self, start: usize, message: &str) -> Token {
        self.out.diagnostics.push(Diagnostic {
            span: span(start, self.at),
            code: DiagnosticCode::IllegalToken,
            message: message.to_owned(),
            hint: None,
        });
        Token::Illegal
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..).and_then(|rest| rest.chars().next())
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Offsets fit: `parse` refuses texts longer than `u32::MAX`.
fn span(start: usize, end: usize) -> Span {
    Span::new(u32::try_from(start).unwrap_or(u32::MAX), u32::try_from(end).unwrap_or(u32::MAX))
}

/// The value of the inside of a string or template literal: escapes resolved as JSON does, a lone
/// surrogate replaced. What is not an escape stands for itself.
pub(crate) fn unescape(inner: &str) -> String {
    if !inner.contains('\\') {
        return inner.to_owned();
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let unit = hex4(&mut rest);
                let mut ahead = rest.clone();
                let low = match (unit, ahead.next(), ahead.next()) {
                    (0xd800..0xdc00, Some('\\'), Some('u')) => Some(hex4(&mut ahead)),
                    _ => None,
                };
                if let Some(low @ 0xdc00..0xe000) = low {
                    let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                    out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    rest = ahead;
                } else {
                    out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// The value of the inside of a raw template literal, where only `\{` is an escape.
pub(crate) fn unescape_raw(inner: &str) -> String {
    inner.replace("\\{", "{")
}

fn hex4(chars: &mut std::str::Chars<'_>) -> u32 {
    chars.by_ref().take(4).filter_map(|c| c.to_digit(16)).fold(0, |value, digit| value * 16 + digit)
}

//! Words as expressions, with the limits of the API server's parser: how long a text may be, how deep brackets
//! may be nested, and how many operations may follow each other.

mod literal;
mod macros;

use std::sync::Arc;

use crate::ast::{Ast, Entry, ExprId, Field, Item, Kind, Literal, Node};
use crate::diagnostic::{Diagnostic, DiagnosticKind};
use crate::lex::{Token, Word, words};

/// Most characters of an expression.
const MAX_CHARACTERS: usize = 100_000;
/// Deepest nesting, of brackets and of operations.
const MAX_DEPTH: u32 = 250;
/// Most nodes of an expression with its macros expanded: some of them write their target twice.
const MAX_NODES: usize = 200_000;

/// Words that are kept for the language.
const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "package",
    "namespace",
    "null",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// Whether a word is kept for the language, so that nothing can be called so. A field that is called so is
/// written `__word__`.
///
/// ```
/// assert!(portcullis_cel::is_reserved("namespace") && !portcullis_cel::is_reserved("name"));
/// ```
#[must_use]
pub fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}

/// The name that a field of a schema has in expressions, as an API server escapes it; none if it cannot be said there.
///
/// ```
/// use portcullis_cel::escaped;
///
/// assert_eq!(escaped("namespace").as_deref(), Some("__namespace__"));
/// assert_eq!(escaped("a.b-c").as_deref(), Some("a__dot__b__dash__c"));
/// assert_eq!(escaped("a b"), None);
/// ```
#[must_use]
pub fn escaped(field: &str) -> Option<String> {
    if is_reserved(field) {
        return Some(format!("__{field}__"));
    }
    let first = field.chars().next()?;
    if !(first.is_ascii_alphabetic() || first == '_') {
        return None;
    }
    let mut text = String::new();
    let mut rest = field;
    while let Some(c) = rest.chars().next() {
        let (part, taken): (&str, usize) = match c {
            '_' if rest.starts_with("__") => ("__underscores__", 2),
            '.' => ("__dot__", 1),
            '-' => ("__dash__", 1),
            '/' => ("__slash__", 1),
            c if c.is_ascii_alphanumeric() || c == '_' => (rest.get(..1)?, 1),
            _ => return None,
        };
        text.push_str(part);
        rest = rest.get(taken..)?;
    }
    Some(text)
}

/// The expression of a text, or what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Ast, Vec<Diagnostic>> {
    parse_with_spans(text).map(|(ast, _)| ast)
}

/// Where a part of an expression begins and ends in its text.
pub(crate) type Span = (u32, u32);

/// The same with where each node stands, brackets around it left out. None of those that macros make.
pub(crate) fn parse_with_spans(text: &str) -> Result<(Ast, Vec<Option<Span>>), Vec<Diagnostic>> {
    let size = text.chars().count();
    if size > MAX_CHARACTERS {
        let message =
            format!("expression code point size exceeds limit: size: {size}, limit {MAX_CHARACTERS}");
        return Err(vec![Diagnostic::new(DiagnosticKind::Limit, 0, message)]);
    }
    let (words, diagnostics) = words(text);
    let mut parser = Parser {
        text,
        words,
        next: 0,
        diagnostics,
        nodes: Vec::new(),
        spans: Vec::new(),
        expr_depth: 0,
        relation_depth: 0,
        calc_depth: 0,
    };
    let root = parser.start();
    if parser.diagnostics.is_empty()
        && let Ok(root) = root
    {
        parser.spans.resize(parser.nodes.len(), None);
        return Ok((Ast { nodes: parser.nodes, root }, parser.spans));
    }
    parser.diagnostics.sort_by_key(|diagnostic| diagnostic.at);
    Err(parser.diagnostics)
}

/// The text cannot be read any further. What is wrong has been said.
struct Stop;

/// A part of an expression, and how deep operations are nested in it.
#[derive(Clone, Copy)]
struct Part {
    id: ExprId,
    depth: u32,
}

struct Parser<'t> {
    text: &'t str,
    words: Vec<Word>,
    next: usize,
    diagnostics: Vec<Diagnostic>,
    nodes: Vec<Node>,
    /// Of the nodes so far, where they stand.
    spans: Vec<Option<Span>>,
    expr_depth: u32,
    relation_depth: u32,
    calc_depth: u32,
}

const END: Word = Word { token: Token::End, start: 0, end: 0 };

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl<'t> Parser<'t> {
    fn peek_at(&self, ahead: usize) -> Word {
        let end = self.words.last().copied().unwrap_or(END);
        self.words.get(self.next + ahead).copied().unwrap_or(end)
    }

    fn peek(&self) -> Word {
        self.peek_at(0)
    }

    fn is(&self, sign: &str) -> bool {
        self.peek().token == Token::Sign(match_sign(sign))
    }

    fn take(&mut self) -> Word {
        let word = self.peek();
        self.next += 1;
        word
    }

    fn take_if(&mut self, sign: &str) -> Option<Word> {
        self.is(sign).then(|| self.take())
    }

    fn text_of(&self, word: Word) -> &'t str {
        self.text.get(word.start..word.end).unwrap_or_default()
    }

    fn report(&mut self, kind: DiagnosticKind, at: u32, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::new(kind, at, message));
    }

    /// Says that another word was expected.
    fn unexpected(&mut self, expected: &str) -> Stop {
        let word = self.peek();
        let shown = if word.token == Token::End { "<EOF>" } else { self.text_of(word) };
        let message = format!("Syntax error: mismatched input '{shown}' expecting {expected}");
        self.report(DiagnosticKind::Syntax, offset(word.start), message);
        Stop
    }

    fn expect(&mut self, sign: &str) -> Result<Word, Stop> {
        match self.take_if(sign) {
            Some(word) => Ok(word),
            None => Err(self.unexpected(&format!("'{sign}'"))),
        }
    }

    fn add(&mut self, at: u32, kind: Kind) -> ExprId {
        let id = offset(self.nodes.len());
        if self.nodes.len() < MAX_NODES {
            self.nodes.push(Node { at, kind });
        } else if !self.diagnostics.iter().any(|known| known.kind == DiagnosticKind::Limit) {
            let message = format!("the expression has more than {MAX_NODES} parts with its macros expanded");
            self.report(DiagnosticKind::Limit, at, message);
        }
        id
    }

    /// Notes that a part begins at a word and ends with the one before this place. What is known of it stays: brackets
    /// around it are no part of it.
    fn spanned(&mut self, first: Word, part: Part) -> Part {
        let place = part.id as usize;
        let last = self.next.checked_sub(1).and_then(|last| self.words.get(last)).copied().unwrap_or(END);
        if place < self.nodes.len() {
            if self.spans.len() <= place {
                self.spans.resize(place + 1, None);
            }
            if let Some(span @ None) = self.spans.get_mut(place) {
                *span = Some((offset(first.start), offset(last.end)));
            }
        }
        part
    }

    fn deeper(&mut self, depth: u32) -> Result<(), Stop> {
        if depth <= MAX_DEPTH {
            return Ok(());
        }
        self.report(DiagnosticKind::Limit, 0, format!("expression recursion limit exceeded: {MAX_DEPTH}"));
        Err(Stop)
    }

    /// The depth of an operation over others.
    fn over(&mut self, parts: &[Part]) -> Result<u32, Stop> {
        let depth = parts.iter().map(|part| part.depth).max().unwrap_or(0) + 1;
        if depth > MAX_DEPTH {
            self.report(DiagnosticKind::Limit, 0, "max recursion depth exceeded");
            return Err(Stop);
        }
        Ok(depth)
    }

    fn start(&mut self) -> Result<ExprId, Stop> {
        let expr = self.expr()?;
        if self.peek().token == Token::End { Ok(expr.id) } else { Err(self.unexpected("<EOF>")) }
    }

    /// `condition ? value : other`.
    fn expr(&mut self) -> Result<Part, Stop> {
        let first = self.peek();
        self.expr_depth += 1;
        self.deeper(self.expr_depth)?;
        let condition = self.or()?;
        let whole = if let Some(sign) = self.take_if("?") {
            let value = self.or()?;
            self.expect(":")?;
            let other = self.expr()?;
            let depth = self.over(&[condition, value, other])?;
            let id =
                self.call_or_macro(offset(sign.start), "_?_:_", None, vec![condition.id, value.id, other.id]);
            Part { id, depth }
        } else {
            condition
        };
        self.expr_depth -= 1;
        Ok(self.spanned(first, whole))
    }

    fn or(&mut self) -> Result<Part, Stop> {
        let start = self.peek();
        let first = self.and()?;
        let (mut terms, mut signs, mut depth) = (vec![first.id], Vec::new(), first.depth);
        while let Some(sign) = self.take_if("||") {
            let term = self.and()?;
            terms.push(term.id);
            signs.push(offset(sign.start));
            depth = depth.max(term.depth);
        }
        let whole = Part { id: self.balanced("_||_", &terms, &signs), depth };
        Ok(self.spanned(start, whole))
    }

    fn and(&mut self) -> Result<Part, Stop> {
        let start = self.peek();
        let first = self.relation(0)?;
        let (mut terms, mut signs, mut depth) = (vec![first.id], Vec::new(), first.depth);
        while let Some(sign) = self.take_if("&&") {
            let term = self.relation(0)?;
            terms.push(term.id);
            signs.push(offset(sign.start));
            depth = depth.max(term.depth);
        }
        let whole = Part { id: self.balanced("_&&_", &terms, &signs), depth };
        Ok(self.spanned(start, whole))
    }

    /// A tree of terms that is not deeper than it has to be. `terms` is one longer than `signs`.
    fn balanced(&mut self, function: &str, terms: &[ExprId], signs: &[u32]) -> ExprId {
        let middle = signs.len() / 2;
        let (Some(at), Some((left, right))) = (signs.get(middle), terms.split_at_checked(middle + 1)) else {
            return terms.first().copied().unwrap_or_default();
        };
        let left = self.balanced(function, left, signs.get(..middle).unwrap_or_default());
        let right = self.balanced(function, right, signs.get(middle + 1..).unwrap_or_default());
        self.add(*at, Kind::Call { function: function.into(), target: None, args: vec![left, right] })
    }

    fn relation(&mut self, level: u32) -> Result<Part, Stop> {
        self.relation_depth += 1;
        self.deeper(self.relation_depth)?;
        let start = self.peek();
        let mut left = self.calc(0)?;
        if level > 0 {
            self.relation_depth -= 1;
            return Ok(left);
        }
        loop {
            let word = self.peek();
            let function = match word.token {
                Token::In => "@in",
                Token::Sign("<") => "_<_",
                Token::Sign("<=") => "_<=_",
                Token::Sign(">") => "_>_",
                Token::Sign(">=") => "_>=_",
                Token::Sign("==") => "_==_",
                Token::Sign("!=") => "_!=_",
                _ => break,
            };
            self.take();
            let right = self.relation(1)?;
            left = self.binary(word, function, left, right)?;
            self.spanned(start, left);
        }
        self.relation_depth -= 1;
        Ok(left)
    }

    fn binary(&mut self, sign: Word, function: &str, left: Part, right: Part) -> Result<Part, Stop> {
        let depth = self.over(&[left, right])?;
        let id = self.call_or_macro(offset(sign.start), function, None, vec![left.id, right.id]);
        Ok(Part { id, depth })
    }

    /// Sums at level 0, products up to level 1, and single values at level 2.
    fn calc(&mut self, level: u32) -> Result<Part, Stop> {
        self.calc_depth += 1;
        self.deeper(self.calc_depth)?;
        let start = self.peek();
        let mut left = self.unary()?;
        loop {
            let word = self.peek();
            let (function, of) = match word.token {
                Token::Sign("*") => ("_*_", 1),
                Token::Sign("/") => ("_/_", 1),
                Token::Sign("%") => ("_%_", 1),
                Token::Sign("+") => ("_+_", 0),
                Token::Sign("-") => ("_-_", 0),
                _ => break,
            };
            if of < level {
                break;
            }
            self.take();
            let right = self.calc(of + 1)?;
            left = self.binary(word, function, left, right)?;
            self.spanned(start, left);
        }
        self.calc_depth -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Part, Stop> {
        let first = self.peek();
        let (sign, function) = match first.token {
            Token::Sign("!") => ("!", "!_"),
            Token::Sign("-") => ("-", "-_"),
            _ => return self.member(None),
        };
        let mut count = 0;
        while self.take_if(sign).is_some() {
            count += 1;
        }
        let is_number = |word: Word| matches!(word.token, Token::Int | Token::Double);
        if sign == "-" && count == 1 && is_number(self.peek()) {
            // The sign is a part of the number.
            return self.member(Some(first));
        }
        let minus = self.peek();
        let is_negative = sign == "!" && minus.token == Token::Sign("-") && is_number(self.peek_at(1));
        if is_negative {
            self.take();
        }
        let operand = self.member(is_negative.then_some(minus))?;
        if count % 2 == 0 {
            return Ok(operand);
        }
        let id = self.call_or_macro(offset(first.start), function, None, vec![operand.id]);
        Ok(self.spanned(first, Part { id, depth: operand.depth }))
    }

    fn member(&mut self, minus: Option<Word>) -> Result<Part, Stop> {
        let start = minus.unwrap_or_else(|| self.peek());
        let mut operand = self.primary(minus)?;
        loop {
            operand = self.spanned(start, operand);
            if let Some(dot) = self.take_if(".") {
                operand = self.select(dot, operand)?;
            } else if let Some(open) = self.take_if("[") {
                let optional = self.take_if("?").is_some();
                let index = self.expr()?;
                self.expect("]")?;
                let function = if optional { "_[?_]" } else { "_[_]" };
                operand = self.binary(open, function, operand, index)?;
            } else {
                return Ok(operand);
            }
        }
    }

    fn select(&mut self, dot: Word, operand: Part) -> Result<Part, Stop> {
        let optional = self.take_if("?").is_some();
        let word = self.peek();
        if !matches!(word.token, Token::Ident | Token::Escaped) {
            return Err(self.unexpected("IDENTIFIER"));
        }
        self.take();
        let name = self.field_name(word);
        if !optional
            && word.token == Token::Ident
            && let Some(open) = self.take_if("(")
        {
            let (args, depth) = self.arguments(operand.depth)?;
            let depth = self.over(&[Part { id: operand.id, depth }])?;
            let id = self.call_or_macro(offset(open.start), &name, Some(operand.id), args);
            return Ok(Part { id, depth });
        }
        let depth = self.over(&[operand])?;
        let at = offset(dot.start);
        let id = if optional {
            let field = self.add(offset(word.start), Kind::Literal(Literal::String(name)));
            self.add(at, Kind::Call { function: "_?._".into(), target: None, args: vec![operand.id, field] })
        } else {
            self.add(at, Kind::Select { operand: operand.id, field: name, test_only: false })
        };
        Ok(Part { id, depth })
    }

    fn field_name(&mut self, word: Word) -> Arc<str> {
        if word.token == Token::Escaped {
            self.report(DiagnosticKind::Syntax, offset(word.start), "unsupported syntax: '`'");
        }
        self.text_of(word).into()
    }

    /// Arguments up to the closing bracket, and the greatest depth of them and what is given.
    fn arguments(&mut self, mut depth: u32) -> Result<(Vec<ExprId>, u32), Stop> {
        let mut args = Vec::new();
        if self.take_if(")").is_some() {
            return Ok((args, depth));
        }
        loop {
            let arg = self.expr()?;
            args.push(arg.id);
            depth = depth.max(arg.depth);
            if self.take_if(",").is_none() {
                self.expect(")")?;
                return Ok((args, depth));
            }
        }
    }

    fn primary(&mut self, minus: Option<Word>) -> Result<Part, Stop> {
        let word = self.peek();
        match word.token {
            Token::Sign("(") => {
                self.take();
                let inside = self.expr()?;
                self.expect(")")?;
                Ok(inside)
            }
            Token::Sign("[") => self.list(),
            Token::Sign("{") => self.map(),
            Token::Sign(".") if self.peek_at(1).token == Token::Ident => {
                let dot = self.take();
                self.named(Some(offset(dot.start)))
            }
            Token::Ident => self.named(None),
            Token::Int | Token::Uint | Token::Double | Token::String | Token::Bytes | Token::True | Token::False
            | Token::Null => {
                self.take();
                let start = minus.map_or(word.start, |minus| minus.start);
                let literal = self.literal(word, minus.is_some(), offset(start));
                let kind = literal.map_or(Kind::Error, Kind::Literal);
                Ok(Part { id: self.add(offset(start), kind), depth: 0 })
            }
            _ => Err(self.unexpected(
                "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, \
                 BYTES, IDENTIFIER}",
            )),
        }
    }

    /// An identifier, a call of a function or a message. The dot before it has been read, and was here.
    fn named(&mut self, start: Option<u32>) -> Result<Part, Stop> {
        let dotted = start.is_some();
        if let Some(words) = self.message_name() {
            return self.message(dotted, words);
        }
        let word = self.take();
        let name = self.text_of(word);
        if is_reserved(name) {
            let at = start.unwrap_or(offset(word.start));
            self.report(DiagnosticKind::Reserved, at, format!("reserved identifier: {name}"));
        }
        let full = if dotted { format!(".{name}") } else { name.to_owned() };
        if let Some(open) = self.take_if("(") {
            let (args, depth) = self.arguments(0)?;
            let id = self.call_or_macro(offset(open.start), &full, None, args);
            return Ok(Part { id, depth });
        }
        let id = self.add(offset(word.start), Kind::Ident(full.into()));
        Ok(Part { id, depth: 0 })
    }

    /// How many words are the name of a message: identifiers and dots before a brace.
    fn message_name(&self) -> Option<usize> {
        let mut ahead = 1;
        while self.peek_at(ahead).token == Token::Sign(".") && self.peek_at(ahead + 1).token == Token::Ident {
            ahead += 2;
        }
        (self.peek_at(ahead).token == Token::Sign("{")).then_some(ahead)
    }

    fn message(&mut self, dotted: bool, words: usize) -> Result<Part, Stop> {
        let mut name = if dotted { ".".to_owned() } else { String::new() };
        for _ in 0..words {
            let word = self.take();
            name.push_str(self.text_of(word));
        }
        let open = self.expect("{")?;
        let (mut fields, mut depth) = (Vec::new(), 0);
        while !(self.is("}") || self.is(",") && self.peek_at(1).token == Token::Sign("}")) {
            let optional = self.take_if("?").is_some();
            let word = self.peek();
            if !matches!(word.token, Token::Ident | Token::Escaped) {
                return Err(self.unexpected("{'}', ',', IDENTIFIER}"));
            }
            self.take();
            let name = self.field_name(word);
            let colon = self.expect(":")?;
            let value = self.expr()?;
            depth = depth.max(value.depth);
            fields.push(Field { at: offset(colon.start), name, value: value.id, optional });
            if !self.is(",") {
                break;
            }
            if self.peek_at(1).token != Token::Sign("}") {
                self.take();
            }
        }
        self.take_if(",");
        self.close("}")?;
        Ok(Part { id: self.add(offset(open.start), Kind::Struct { name: name.into(), fields }), depth })
    }

    fn close(&mut self, sign: &str) -> Result<Word, Stop> {
        match self.take_if(sign) {
            Some(word) => Ok(word),
            None => Err(self.unexpected(&format!("{{'{sign}', ','}}"))),
        }
    }

    fn list(&mut self) -> Result<Part, Stop> {
        let open = self.take();
        let (mut items, mut depth) = (Vec::new(), 0);
        while !(self.is("]") || self.is(",") && items.is_empty()) {
            let optional = self.take_if("?").is_some();
            let value = self.expr()?;
            depth = depth.max(value.depth);
            items.push(Item { value: value.id, optional });
            if !self.is(",") || self.peek_at(1).token == Token::Sign("]") {
                break;
            }
            self.take();
        }
        self.take_if(",");
        self.close("]")?;
        Ok(Part { id: self.add(offset(open.start), Kind::List(items)), depth })
    }

    fn map(&mut self) -> Result<Part, Stop> {
        let open = self.take();
        let (mut entries, mut depth) = (Vec::new(), 0);
        while !(self.is("}") || self.is(",") && entries.is_empty()) {
            let optional = self.take_if("?").is_some();
            let key = self.expr()?;
            self.expect(":")?;
            let value = self.expr()?;
            depth = depth.max(key.depth).max(value.depth);
            entries.push(Entry { key: key.id, value: value.id, optional });
            if !self.is(",") || self.peek_at(1).token == Token::Sign("}") {
                break;
            }
            self.take();
        }
        self.take_if(",");
        self.close("}")?;
        Ok(Part { id: self.add(offset(open.start), Kind::Map(entries)), depth })
    }

    fn literal(&mut self, word: Word, negative: bool, at: u32) -> Option<Literal> {
        match literal::literal(word.token, self.text_of(word), negative) {
            Ok(literal) => Some(literal),
            Err(message) => {
                self.report(DiagnosticKind::Literal, at, message);
                None
            }
        }
    }

    /// A call, or what the macro of this name makes of it.
    fn call_or_macro(
        &mut self,
        at: u32,
        function: &str,
        target: Option<ExprId>,
        args: Vec<ExprId>,
    ) -> ExprId {
        match macros::expand(self, at, function, target, &args) {
            Some(Ok(expanded)) => expanded,
            Some(Err((place, message))) => {
                let place = self.nodes.get(place as usize).map_or(at, |node| node.at);
                self.report(DiagnosticKind::Macro, place, message);
                // What it is part of may be wrong because of it, and is so at the same place.
                self.add(place, Kind::Error)
            }
            None => self.add(at, Kind::Call { function: function.into(), target, args }),
        }
    }
}

/// The sign as the lexer has it.
fn match_sign(sign: &str) -> &'static str {
    match sign {
        "?" => "?",
        ":" => ":",
        "||" => "||",
        "&&" => "&&",
        "!" => "!",
        "-" => "-",
        "." => ".",
        "[" => "[",
        "]" => "]",
        "(" => "(",
        ")" => ")",
        "{" => "{",
        "}" => "}",
        "," => ",",
        _ => "",
    }
}

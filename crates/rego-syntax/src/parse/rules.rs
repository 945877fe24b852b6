//! The module level: package, imports, rules and their heads, and the recovery between rules.

use super::{Fail, Keywords, Parsed, Parser, import_hint};
use crate::ast::{Body, Clause, Comment, Else, Expr, ExprKind, Head, Import, Module, Name, Package};
use crate::ast::{RefArg, RefArgKind, Rule, Value, Version};
use crate::diagnostic::DiagnosticCode;
use crate::lex::{Token, Word};
use crate::span::Span;

/// What the words of v1 make obligatory.
const IF_REQUIRED: &str = "`if` keyword is required before rule body";
const CONTAINS_REQUIRED: &str = "`contains` keyword is required for partial set rules";

impl Parser<'_> {
    pub(super) fn module(&mut self, version: Version, comments: Vec<Comment>) -> Module {
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        let mut module = Module {
            span: Span::new(0, end),
            version,
            strict: false,
            package: None,
            imports: Vec::new(),
            rules: Vec::new(),
            comments,
        };
        if self.at_end() && self.diagnostics.is_empty() {
            self.report(Span::new(end, end), DiagnosticCode::Package, "empty module", None);
        } else if !self.is_word(Word::Package) {
            let span = self.current().span;
            self.report(span, DiagnosticCode::Package, "package expected", None);
        }
        while !self.at_end() {
            self.top_level(&mut module);
        }
        module.strict = self.strict;
        module
    }

    fn top_level(&mut self, module: &mut Module) {
        let start = self.at;
        let lexeme = self.current();
        self.rule_column = lexeme.column;
        self.too_deep = false;
        self.depth = 0;
        let is_name = self.heads_reference();
        let outcome = match self.token() {
            Token::Word(Word::Package) if !is_name => self.package().map(|package| {
                if module.package.is_some() || !module.imports.is_empty() || !module.rules.is_empty() {
                    self.report(package.span, DiagnosticCode::Package, "unexpected package", None);
                } else {
                    module.package = Some(package);
                }
            }),
            Token::Word(Word::Import) if !is_name => self.import().map(|import| module.imports.push(import)),
            _ => self.rule().map(|rule| module.rules.push(rule)),
        };
        if outcome.is_err() {
            self.next_rule(start);
        } else if self.at == start {
            // Cannot happen: every success consumes a token. Guards against looping all the same.
            self.bump();
        }
    }

    /// After a failure in the rule that began at `start`: goes to the next word on a new line, no
    /// further right than that rule.
    fn next_rule(&mut self, start: usize) {
        self.at = self.at.max(start + 1);
        while !self.at_end() {
            let lexeme = self.current();
            let fits = lexeme.newline_before && lexeme.column <= self.rule_column;
            if fits && matches!(lexeme.token, Token::Word(_)) {
                return;
            }
            self.bump();
        }
    }

    fn package(&mut self) -> Parsed<Package> {
        let start = self.bump().span;
        let path = self.path()?;
        Ok(Package { span: self.span_from(start), path })
    }

    /// `a.b["c"]`: constant segments only. The first may be any word, as OPA allows it.
    fn path(&mut self) -> Parsed<Vec<Name>> {
        let first = self.current();
        if !matches!(first.token, Token::Word(_)) {
            return Err(self.unexpected("path"));
        }
        self.bump();
        let mut path = vec![Name { text: self.text(first.span).to_owned(), span: first.span }];
        while self.current().adjacent && matches!(self.token(), Token::Dot | Token::LBrack) {
            let arg = self.ref_arg()?;
            match arg.kind {
                RefArgKind::Dot(name) => path.push(name),
                RefArgKind::Bracket(Expr { kind: ExprKind::String(text), span }) => {
                    path.push(Name { text, span });
                }
                RefArgKind::Bracket(expr) => {
                    let message = "unexpected token: expecting string";
                    self.report(expr.span, DiagnosticCode::UnexpectedToken, message, None);
                    return Err(Fail);
                }
            }
        }
        Ok(path)
    }

    fn import(&mut self) -> Parsed<Import> {
        let start = self.bump().span;
        let path = self.path()?;
        let mut alias = None;
        if self.is_word(Word::As) {
            self.bump();
            alias = Some(self.variable("var")?);
        }
        let import = Import { span: self.span_from(start), path, alias };
        self.check_import(&import);
        Ok(import)
    }

    /// Reports what cannot be imported; turns on the keywords that are.
    fn check_import(&mut self, import: &Import) {
        let path = import.segments();
        let path_span = import
            .path
            .first()
            .zip(import.path.last())
            .map_or(import.span, |(first, last)| first.span.to(last.span));
        let aliased = import.alias.is_some();
        let complaint: Option<String> = match path.as_slice() {
            ["future", ..] if path.get(1) != Some(&"keywords") || path.len() > 3 => {
                Some("invalid import, must be `future.keywords`".to_owned())
            }
            ["future", ..] if aliased => Some("`future` imports cannot be aliased".to_owned()),
            ["future", _] => {
                self.future = Keywords::ALL;
                None
            }
            ["future", _, keyword] => (!self.future.add(keyword))
                .then(|| "unexpected keyword, must be one of [contains every if in]".to_owned()),
            ["rego", "v1"] if aliased => Some("`rego` imports cannot be aliased".to_owned()),
            ["rego", "v1"] => {
                self.future = Keywords::ALL;
                self.strict = true;
                None
            }
            ["rego", ..] => Some(format!("invalid import `{}`, must be `rego.v1`", path.join("."))),
            ["data" | "input", ..] => None,
            _ => Some(format!(
                "unexpected import path, must begin with one of: {{data, future, input, rego}}, got: {}",
                path.first().copied().unwrap_or("")
            )),
        };
        if let Some(complaint) = complaint {
            self.report(path_span, DiagnosticCode::Import, complaint, None);
        }
    }

    fn rule(&mut self) -> Parsed<Rule> {
        let start = self.current().span;
        let is_default = self.is_word(Word::Default) && !self.heads_reference();
        if is_default {
            self.bump();
        }
        let head = self.head()?;
        if is_default {
            self.check_default(&head);
            return Ok(Rule {
                span: self.span_from(start),
                is_default,
                head,
                clauses: Vec::new(),
                elses: Vec::new(),
            });
        }
        let mut head = head;
        let mut clauses = Vec::new();
        let mut elses = Vec::new();
        let if_span = self.if_keyword();
        if if_span.is_none() && !head.has_contains {
            v0_set_key(&mut head, self.is(Token::LBrace));
        }
        if if_span.is_some() || self.is(Token::LBrace) {
            clauses.push(self.clause(if_span)?);
            if self.is_word(Word::Else) && !self.heads_reference() {
                self.check_else_allowed(&head);
                self.elses(&mut elses)?;
            }
            while self.is(Token::LBrace) {
                if !elses.is_empty() {
                    return Err(self.unexpected("else keyword"));
                }
                clauses.push(self.clause(None)?);
            }
        } else if head.value.is_none() && !head.has_contains {
            self.check_bodyless(&head)?;
        }
        let rule = Rule { span: self.span_from(start), is_default, head, clauses, elses };
        self.end_of_rule()?;
        self.check_strict(&rule);
        Ok(rule)
    }

    /// Consumes `if`; in v0 also one that was not imported, which is reported.
    fn if_keyword(&mut self) -> Option<Span> {
        if self.is_word(Word::If) && !self.heads_reference() {
            return Some(self.bump().span);
        }
        let lexeme = self.current();
        if self.is_spelled(Word::If) && !lexeme.newline_before && !self.heads_reference() {
            let message = "unexpected identifier token: expected rule body";
            self.report(lexeme.span, DiagnosticCode::MissingKeyword, message, Some(import_hint(Word::If)));
            return Some(self.bump().span);
        }
        None
    }

    fn clause(&mut self, if_span: Option<Span>) -> Parsed<Clause> {
        let start = if_span.unwrap_or(self.current().span);
        let body = self.clause_body(if_span.is_some())?;
        Ok(Clause { span: self.span_from(start), if_span, body })
    }

    fn clause_body(&mut self, after_if: bool) -> Parsed<Body> {
        if self.is(Token::LBrace) && !(after_if && self.brace_begins_term()) {
            self.braced_body()
        } else if self.at_end() {
            Err(self.unexpected("rule body"))
        } else {
            self.single_statement()
        }
    }

    /// At a `{` after `if`: whether it begins an object, a comprehension, or an operand rather than a
    /// body. A set literal alone is a body, as in OPA.
    fn brace_begins_term(&self) -> bool {
        let Some(closer) = self.closer(self.at) else { return false };
        if closer == self.at + 1 {
            return true;
        }
        let after = self.lexeme(closer + 1);
        let goes_on = match self.token_at(closer + 1) {
            Token::Dot | Token::LBrack => after.adjacent,
            Token::Word(Word::In) => !self.is_name(closer + 1),
            Token::Eq
            | Token::Ne
            | Token::Lt
            | Token::Le
            | Token::Gt
            | Token::Ge
            | Token::Or
            | Token::And
            | Token::Add
            | Token::Sub
            | Token::Mul
            | Token::Div
            | Token::Rem
            | Token::Assign
            | Token::Unify => true,
            _ => false,
        };
        if goes_on || self.find(self.at + 1, closer, |token| token == Token::Colon).is_some() {
            return true;
        }
        // `{ term | …`: tokens of one term, then the bar.
        let ends_term = |token| {
            !matches!(
                token,
                Token::Word(Word::Ident | Word::Contains | Word::Null | Word::True | Word::False)
                    | Token::Dot
                    | Token::LBrack
                    | Token::LBrace
                    | Token::LParen
                    | Token::Number
                    | Token::String
                    | Token::RawString
                    | Token::Template { .. }
            )
        };
        let negative = usize::from(self.token_at(self.at + 1) == Token::Sub);
        let Some(bar) = self.find(self.at + 1 + negative, closer, ends_term) else { return false };
        // Two terms in a row are two statements.
        let mut index = self.at + 2 + negative;
        while index < bar {
            let lexeme = self.lexeme(index);
            if !lexeme.adjacent {
                return false;
            }
            index = self.closer(index).map_or(index + 1, |inner| inner + 1);
        }
        self.token_at(bar) == Token::Or
    }

    fn elses(&mut self, elses: &mut Vec<Else>) -> Parsed<()> {
        while self.is_word(Word::Else) && !self.heads_reference() {
            let start = self.bump().span;
            let value = self.value()?;
            let if_span = self.if_keyword();
            let clause = if self.is(Token::LBrace) {
                // Unlike after a head, a brace always begins a body here.
                let from = if_span.unwrap_or(self.current().span);
                let body = self.braced_body()?;
                Some(Clause { span: self.span_from(from), if_span, body })
            } else if if_span.is_some() {
                Some(self.clause(if_span)?)
            } else if value.is_none() {
                return Err(self.unexpected("else value term or rule body"));
            } else {
                None
            };
            if let Some(clause) = &clause
                && self.strict
                && clause.if_span.is_none()
            {
                self.report(
                    start,
                    DiagnosticCode::MissingKeyword,
                    "`if` keyword is required before else body",
                    Some("write `else := value if { ... }`"),
                );
            }
            let is_last = clause.is_none();
            elses.push(Else { span: self.span_from(start), value, clause });
            if is_last {
                return Ok(());
            }
        }
        Ok(())
    }

    /// `:= expr` or `= expr`, if it follows.
    fn value(&mut self) -> Parsed<Option<Value>> {
        if !matches!(self.token(), Token::Assign | Token::Unify) {
            return Ok(None);
        }
        let op = self.bump();
        let expr = self.expr()?;
        let span = op.span.to(expr.span);
        Ok(Some(Value { span, is_assign: op.token == Token::Assign, expr }))
    }

    fn head(&mut self) -> Parsed<Head> {
        let first = self.current();
        let named = match self.token() {
            Token::Word(Word::Ident) => true,
            Token::Word(_) => self.heads_reference(),
            _ => false,
        };
        if !named {
            return Err(self.unexpected("rule head name"));
        }
        self.bump();
        let name = Name { text: self.text(first.span).to_owned(), span: first.span };
        let mut path: Vec<RefArg> = Vec::new();
        let mut params = None;
        // White space between the name and what follows it is tolerated, further on it is not.
        loop {
            let attached = self.current().adjacent || path.is_empty();
            match self.token() {
                Token::Dot | Token::LBrack if attached => path.push(self.ref_arg()?),
                Token::LParen if attached => {
                    self.bump();
                    params = Some(self.list(Token::RParen, Vec::new())?);
                    self.bump();
                    break;
                }
                _ => break,
            }
        }
        let mut head =
            Head { span: first.span, name, path, params, key: None, has_contains: false, value: None };
        if self.contains_keyword(&head) {
            self.bump();
            head.has_contains = true;
            head.key = Some(self.expr()?);
        } else {
            head.value = self.value()?;
        }
        head.span = self.span_from(first.span);
        Ok(head)
    }

    /// At `contains`, in v0 also one that was not imported, which is reported.
    fn contains_keyword(&mut self, head: &Head) -> bool {
        let lexeme = self.current();
        if !self.is_spelled(Word::Contains) {
            return false;
        }
        if !self.is_word(Word::Contains) {
            if lexeme.newline_before {
                return false;
            }
            let message = "unexpected identifier token: expected rule value or body";
            let hint = Some(import_hint(Word::Contains));
            self.report(lexeme.span, DiagnosticCode::MissingKeyword, message, hint);
        }
        if head.params.is_some() {
            let message = "unexpected contains keyword: the contains keyword can only be used with multi-value \
                           rule definitions (e.g., p contains <VALUE> { ... })";
            self.report(lexeme.span, DiagnosticCode::RuleHead, message, None);
        }
        true
    }

    /// Rules end with the line.
    fn end_of_rule(&mut self) -> Parsed<()> {
        if self.eat(Token::Semicolon).is_some() || self.at_end() || self.current().newline_before {
            return Ok(());
        }
        // OPA lets rules share a line when the first ends in a brace.
        if self.at.checked_sub(1).is_some_and(|before| self.lexeme(before).token == Token::RBrace) {
            return Ok(());
        }
        Err(self.unexpected("end of rule"))
    }

    /// A head with neither value nor body. v0 knows `a["x"]` and `f(1)`; anything else is not a rule.
    fn check_bodyless(&mut self, head: &Head) -> Parsed<()> {
        if self.current().token != Token::Eof && !self.current().newline_before {
            let expected =
                format!("rule value term (e.g., {} := <VALUE> {{ ... }}) or rule body", head.name.text);
            return Err(self.unexpected(&expected));
        }
        // OPA takes `f("a")` as it stands, in v1 too.
        let is_function = head.params.as_ref().is_some_and(|params| !params.is_empty());
        if self.strict && head.key.is_none() && !is_function {
            let message = format!("{} must have value assignment and/or body declaration", head.name.text);
            self.report(head.span, DiagnosticCode::RuleHead, message, None);
        } else if head.path.is_empty() && head.params.is_none() && head.key.is_none() {
            self.report(head.span, DiagnosticCode::RuleHead, "var cannot be used for rule name", None);
        }
        Ok(())
    }

    fn check_else_allowed(&mut self, head: &Head) {
        let span = self.current().span;
        if head.key.is_some() {
            let message = "else keyword cannot be used on multi-value rules";
            self.report(span, DiagnosticCode::RuleHead, message, None);
        } else if head.path.iter().any(|arg| !arg.is_constant()) {
            let message = "else keyword cannot be used on rules with variables in head";
            self.report(span, DiagnosticCode::RuleHead, message, None);
        }
    }

    fn check_strict(&mut self, rule: &Rule) {
        if !self.strict {
            return;
        }
        let head = &rule.head;
        if head.key.is_some() && !head.has_contains {
            let hint = format!("write `{} contains <VALUE> if {{ ... }}`", head.name.text);
            self.report(head.span, DiagnosticCode::MissingKeyword, CONTAINS_REQUIRED, Some(&hint));
        }
        let missing = rule.clauses.first().filter(|clause| clause.if_span.is_none());
        if missing.is_some() {
            let hint = "write `if {` instead of `{`";
            self.report(head.span, DiagnosticCode::MissingKeyword, IF_REQUIRED, Some(hint));
        }
    }

    fn check_default(&mut self, head: &Head) {
        let Some(value) = &head.value else {
            let message = "illegal default rule (must have a value)";
            self.report(head.span, DiagnosticCode::DefaultRule, message, None);
            return;
        };
        if let Some(what) = not_constant(&value.expr) {
            let message = format!("illegal default rule (value cannot contain {what})");
            self.report(value.expr.span, DiagnosticCode::DefaultRule, message, None);
        }
        let mut seen: Vec<&str> = Vec::new();
        for param in head.params.iter().flatten() {
            match param.as_var() {
                Some("_") => {}
                Some(name) if seen.contains(&name) => {
                    let message = format!("illegal default rule (arguments cannot be repeated {name})");
                    self.report(param.span, DiagnosticCode::DefaultRule, message, None);
                }
                Some(name) => seen.push(name),
                None => {
                    let message =
                        "illegal default rule (arguments cannot contain terms other than variables)";
                    self.report(param.span, DiagnosticCode::DefaultRule, message, None);
                }
            }
        }
    }
}

/// `a[x] { … }` and `a[x]` without `if` or value define a set: the last segment is its element. So does
/// `a.x { … }`, but only with one segment.
fn v0_set_key(head: &mut Head, has_body: bool) {
    let bracket = head.path.first().is_some_and(|arg| arg.bracket().is_some());
    if head.path.len() != 1 || head.params.is_some() || head.value.is_some() || !(has_body || bracket) {
        return;
    }
    head.key = head.path.pop().map(|arg| match arg.kind {
        RefArgKind::Bracket(expr) => expr,
        RefArgKind::Dot(name) => Expr { span: name.span, kind: ExprKind::String(name.text) },
    });
}

/// What keeps an expression from being constant; comprehensions are fine. The parser bounds its height.
fn not_constant(expr: &Expr) -> Option<&'static str> {
    match &expr.kind {
        ExprKind::Var(_) => Some("var"),
        ExprKind::Ref(_) => Some("ref"),
        ExprKind::Call(_) | ExprKind::Binary(_) | ExprKind::Membership(_) => Some("call"),
        ExprKind::Template(template) => template
            .parts
            .iter()
            .any(|part| matches!(part, crate::ast::TemplatePart::Expr(_)))
            .then_some("template-string"),
        ExprKind::Array(items) | ExprKind::Set(items) => items.iter().find_map(not_constant),
        ExprKind::Object(entries) => {
            entries.iter().find_map(|entry| not_constant(&entry.key).or_else(|| not_constant(&entry.value)))
        }
        ExprKind::Paren(inner) => not_constant(inner),
        ExprKind::Null
        | ExprKind::Bool(_)
        | ExprKind::Number(_)
        | ExprKind::String(_)
        | ExprKind::Comprehension(_) => None,
    }
}

//! The syntax tree. Every node carries the [`Span`] of its text; a child's span lies within its parent's.
//!
//! ```text
//! Module -> Package, Import*, Rule* -> Head, Clause* -> Body -> Statement* -> Expr
//! ```
//!
//! The tree says what was written, in the form OPA reads it: rules keep their chained bodies and `else`
//! clauses, parentheses stay, and `input` alone is a variable like any other. What names mean is the
//! business of [`resolve`](crate::resolve()).

use std::fmt;

use crate::span::Span;

/// The language version a module is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// Before OPA 1.0: rules without `if`, keywords by import.
    V0,
    /// Since OPA 1.0: `if` and `contains` are required.
    V1,
}

/// One parsed text.
#[derive(Clone, Debug)]
pub struct Module {
    /// The whole text.
    pub span: Span,
    /// The version the text was parsed as.
    pub version: Version,
    /// Whether the rules of v1 hold: version v1, or v0 with `import rego.v1`.
    pub strict: bool,
    /// The package clause; absent only if that was reported.
    pub package: Option<Package>,
    /// The imports, in order.
    pub imports: Vec<Import>,
    /// The rules, in order.
    pub rules: Vec<Rule>,
    /// The comments, in order.
    pub comments: Vec<Comment>,
}

impl Module {
    /// The segments of the package path, without `data`; empty when the package clause is missing.
    pub fn package_path(&self) -> Vec<&str> {
        self.package.iter().flat_map(|package| package.path.iter().map(|name| name.text.as_str())).collect()
    }

    /// The rules called `name`: those whose head begins with it.
    pub fn rules_named<'m>(&'m self, name: &str) -> impl Iterator<Item = &'m Rule> {
        self.rules.iter().filter(move |rule| rule.name() == name)
    }
}

/// A name where it was written. For `["a name"]` in a path, `text` is the string, `span` its literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub text: String,
    /// Where it is written.
    pub span: Span,
}

/// `package a.b`.
#[derive(Clone, Debug)]
pub struct Package {
    /// From `package` to the end of the path.
    pub span: Span,
    /// The path, without `data`.
    pub path: Vec<Name>,
}

/// `import data.lib.x as y`.
#[derive(Clone, Debug)]
pub struct Import {
    /// From `import` to the end of the path or alias.
    pub span: Span,
    /// The path with its root: `data`, `input`, `future` or `rego`.
    pub path: Vec<Name>,
    /// The name after `as`.
    pub alias: Option<Name>,
}

impl Import {
    /// The segments of the path.
    pub fn segments(&self) -> Vec<&str> {
        self.path.iter().map(|name| name.text.as_str()).collect()
    }

    /// The name this import makes known in the module; none for imports of language features.
    pub fn name(&self) -> Option<&Name> {
        match self.path.first().map(|root| root.text.as_str()) {
            Some("future" | "rego") | None => None,
            Some(_) => self.alias.as_ref().or(self.path.last()),
        }
    }
}

/// `# text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comment {
    /// From `#` to the end of the line, without the line break.
    pub span: Span,
}

/// A rule: a head, its bodies, and what applies else.
#[derive(Clone, Debug)]
pub struct Rule {
    /// From `default` or the head to the end of the last body.
    pub span: Span,
    /// Whether the rule begins with `default`.
    pub is_default: bool,
    /// What the rule defines.
    pub head: Head,
    /// The bodies: none for a rule that always holds, several for `{ … } { … }`.
    pub clauses: Vec<Clause>,
    /// The `else` clauses, in the order they are tried; they follow the only body.
    pub elses: Vec<Else>,
}

impl Rule {
    /// The first segment of the head: the `a` of `a`, `a.b[c]`, `a(x)`.
    pub fn name(&self) -> &str {
        &self.head.name.text
    }

    /// Where the name is written.
    pub fn name_span(&self) -> Span {
        self.head.name.span
    }

    /// What kind of document the rule defines.
    pub fn kind(&self) -> RuleKind {
        self.head.kind()
    }
}

/// What kind of document a rule defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleKind {
    /// One value: `a := v`, `a { … }`, `a.b := v`.
    Complete,
    /// A function: `f(x) := v`.
    Function,
    /// Elements of a set: `a contains x`, and in v0 `a[x] { … }`.
    PartialSet,
    /// Entries of an object: `a[k] := v`, and with `if` also `a[k] if …`.
    PartialObject,
}

/// The part of a rule before its body.
#[derive(Clone, Debug)]
pub struct Head {
    /// The whole head.
    pub span: Span,
    /// The first segment.
    pub name: Name,
    /// The segments after the name: for `a.b[c] := v` they are `.b` and `[c]`. The element of a v0 set
    /// (`a[x] { … }`) is not a segment but the key.
    pub path: Vec<RefArg>,
    /// The parameters of a function.
    pub params: Option<Vec<Expr>>,
    /// The element of a partial set.
    pub key: Option<Expr>,
    /// Whether the key was written with `contains`.
    pub has_contains: bool,
    /// The value after `:=` or `=`.
    pub value: Option<Value>,
}

impl Head {
    /// What kind of document this head defines.
    pub fn kind(&self) -> RuleKind {
        if self.params.is_some() {
            RuleKind::Function
        } else if self.key.is_some() {
            RuleKind::PartialSet
        } else if self.path.iter().any(|arg| arg.as_str().is_none() && !arg.is_constant()) {
            RuleKind::PartialObject
        } else {
            RuleKind::Complete
        }
    }
}

/// `:= v` or `= v` of a rule head or an `else`.
#[derive(Clone, Debug)]
pub struct Value {
    /// From the operator to the end of the expression.
    pub span: Span,
    /// Whether the operator is `:=`.
    pub is_assign: bool,
    /// The value.
    pub expr: Expr,
}

/// One body of a rule, with the `if` before it.
#[derive(Clone, Debug)]
pub struct Clause {
    /// From `if` or the brace to the end.
    pub span: Span,
    /// Where `if` is written, if it is.
    pub if_span: Option<Span>,
    /// The statements.
    pub body: Body,
}

/// `else := v if { … }`.
#[derive(Clone, Debug)]
pub struct Else {
    /// From `else` to the end of the value or body.
    pub span: Span,
    /// The value; `true` when absent.
    pub value: Option<Value>,
    /// The body; the clause always applies when absent.
    pub clause: Option<Clause>,
}

/// Statements that must all hold.
#[derive(Clone, Debug)]
pub struct Body {
    /// With braces if there are any.
    pub span: Span,
    /// Whether the statements stand in braces of their own (not so in comprehensions and `p if q`).
    pub has_braces: bool,
    /// The statements, in order.
    pub statements: Vec<Statement>,
}

/// One statement of a body.
#[derive(Clone, Debug)]
pub struct Statement {
    /// With `not`, `some`, `every` and all `with`.
    pub span: Span,
    /// What it says.
    pub kind: StatementKind,
    /// `with t as v`, in order.
    pub with: Vec<With>,
}

/// The kinds of statements.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "statements live in one vector per body; expressions are the common case"
)]
pub enum StatementKind {
    /// An expression. Only here and under `not` may it be an assignment or a unification.
    Expr(Expr),
    /// `not e`.
    Not(Expr),
    /// `some x, y`.
    Some(Vec<Name>),
    /// `some x in xs`, `some k, v in xs`.
    SomeIn(Box<SomeIn>),
    /// `every x in xs { … }`, `every k, v in xs { … }`.
    Every(Box<Every>),
}

/// `some k, v in xs`.
#[derive(Clone, Debug)]
pub struct SomeIn {
    /// The whole declaration.
    pub span: Span,
    /// The pattern for the key.
    pub key: Option<Expr>,
    /// The pattern for the value.
    pub value: Expr,
    /// What is iterated.
    pub collection: Expr,
}

/// `every k, v in xs { … }`.
#[derive(Clone, Debug)]
pub struct Every {
    /// The whole statement, without `with`.
    pub span: Span,
    /// The variable for the key.
    pub key: Option<Name>,
    /// The variable for the value.
    pub value: Name,
    /// What is iterated.
    pub collection: Expr,
    /// What must hold for each.
    pub body: Body,
}

/// `with target as value`.
#[derive(Clone, Debug)]
pub struct With {
    /// From `with` to the end of the value.
    pub span: Span,
    /// What is replaced: a variable or a reference.
    pub target: Expr,
    /// By what.
    pub value: Expr,
}

/// An expression or term.
#[derive(Clone, Debug)]
pub struct Expr {
    /// The whole expression.
    pub span: Span,
    /// What it is.
    pub kind: ExprKind,
}

/// The kinds of expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A number as written, a sign included: `1`, `-0.5`, `1e3`.
    Number(String),
    /// A string, escapes resolved.
    String(String),
    /// `$"… {x} …"`.
    Template(Template),
    /// A variable, `_` included.
    Var(String),
    /// `a.b[c]`.
    Ref(Box<Ref>),
    /// `f(x)`; `set()` is a [`Self::Set`].
    Call(Box<Call>),
    /// `[a, b]`.
    Array(Vec<Expr>),
    /// `{a, b}`, `set()`.
    Set(Vec<Expr>),
    /// `{k: v}`, `{}`.
    Object(Vec<Entry>),
    /// `[x | …]`, `{x | …}`, `{k: v | …}`.
    Comprehension(Box<Comprehension>),
    /// `a + b`, `a == b`, `a := b`.
    Binary(Box<Binary>),
    /// `v in xs`, `k, v in xs`.
    Membership(Box<Membership>),
    /// `(a)`.
    Paren(Box<Expr>),
}

impl Expr {
    /// The expression without the parentheses around it.
    pub fn peeled(&self) -> &Expr {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    /// The name, if this is a variable.
    pub fn as_var(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Var(name) => Some(name),
            _ => None,
        }
    }

    /// The string, if this is a string literal.
    pub fn as_string(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::String(value) => Some(value),
            _ => None,
        }
    }

    /// The reference, if this is one.
    pub fn as_ref(&self) -> Option<&Ref> {
        match &self.kind {
            ExprKind::Ref(reference) => Some(reference),
            _ => None,
        }
    }

    /// Whether this is a literal without parts: null, a boolean, a number or a string.
    pub const fn is_scalar(&self) -> bool {
        matches!(self.kind, ExprKind::Null | ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::String(_))
    }

    /// The leading constant segments of a variable or reference: `input.review["object"].x[i]` gives
    /// `input`, `review`, `object`, `x`. Empty for everything else.
    pub fn static_prefix(&self) -> Vec<(&str, Span)> {
        match &self.kind {
            ExprKind::Var(name) => vec![(name.as_str(), self.span)],
            ExprKind::Ref(reference) => reference.static_prefix(),
            _ => Vec::new(),
        }
    }
}

/// `head.a["b"][c]`.
#[derive(Clone, Debug)]
pub struct Ref {
    /// A variable, a call, or a collection.
    pub head: Expr,
    /// What follows the head; never empty.
    pub args: Vec<RefArg>,
}

impl Ref {
    /// The leading constant segments, the head included; empty when the head is not a variable.
    pub fn static_prefix(&self) -> Vec<(&str, Span)> {
        let Some(name) = self.head.as_var() else { return Vec::new() };
        let constants = self.args.iter().map_while(|arg| arg.as_str().map(|text| (text, arg.span)));
        std::iter::once((name, self.head.span)).chain(constants).collect()
    }

    /// Every segment, the head included, with none for those that are not constant strings.
    pub fn pattern(&self) -> Vec<Option<&str>> {
        std::iter::once(self.head.as_var()).chain(self.args.iter().map(RefArg::as_str)).collect()
    }
}

/// One step of a reference.
#[derive(Clone, Debug)]
pub struct RefArg {
    /// With its dot or brackets.
    pub span: Span,
    /// Which of the two notations.
    pub kind: RefArgKind,
}

/// The two notations of a step.
#[derive(Clone, Debug)]
pub enum RefArgKind {
    /// `.name`.
    Dot(Name),
    /// `[expr]`.
    Bracket(Expr),
}

impl RefArg {
    /// The segment, if it is a constant string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            RefArgKind::Dot(name) => Some(&name.text),
            RefArgKind::Bracket(expr) => expr.as_string(),
        }
    }

    /// The expression in brackets.
    pub const fn bracket(&self) -> Option<&Expr> {
        match &self.kind {
            RefArgKind::Dot(_) => None,
            RefArgKind::Bracket(expr) => Some(expr),
        }
    }

    /// Whether the segment is a literal without parts.
    pub const fn is_constant(&self) -> bool {
        match &self.kind {
            RefArgKind::Dot(_) => true,
            RefArgKind::Bracket(expr) => expr.is_scalar(),
        }
    }
}

/// `f(a, b)`.
#[derive(Clone, Debug)]
pub struct Call {
    /// The function: a variable or a reference.
    pub callee: Expr,
    /// The arguments.
    pub args: Vec<Expr>,
}

impl Call {
    /// The dotted name, such as `time.now_ns`; none when a segment of it is not constant.
    pub fn name(&self) -> Option<String> {
        let prefix = self.callee.static_prefix();
        let length = self.callee.as_ref().map_or(1, |reference| reference.args.len() + 1);
        let names: Vec<&str> = prefix.iter().map(|(text, _)| *text).collect();
        (names.len() == length).then(|| names.join("."))
    }
}

/// `key: value` of an object.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Expr,
    /// The value.
    pub value: Expr,
}

/// A comprehension.
#[derive(Clone, Debug)]
pub struct Comprehension {
    /// What it builds, from which terms.
    pub head: ComprehensionHead,
    /// For which bindings.
    pub body: Body,
}

/// What a comprehension builds.
#[derive(Clone, Debug)]
pub enum ComprehensionHead {
    /// `[x | …]`.
    Array(Expr),
    /// `{x | …}`.
    Set(Expr),
    /// `{k: v | …}`.
    Object(Entry),
}

/// A string with expressions in it.
#[derive(Clone, Debug)]
pub struct Template {
    /// Whether it is written with backticks.
    pub is_raw: bool,
    /// Text and expressions in order; empty text is left out.
    pub parts: Vec<TemplatePart>,
}

/// A part of a template string.
#[derive(Clone, Debug)]
pub enum TemplatePart {
    /// Text, escapes resolved.
    Text(Name),
    /// `{ e }`; never negated, an assignment or a declaration.
    Expr(Box<Statement>),
}

/// `lhs op rhs`.
#[derive(Clone, Debug)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Where the operator is written.
    pub op_span: Span,
    /// Its left operand.
    pub lhs: Expr,
    /// Its right operand.
    pub rhs: Expr,
}

/// The infix operators but `in`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `:=`
    Assign,
    /// `=`
    Unify,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `|`
    Or,
    /// `&`
    And,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
}

impl BinaryOp {
    /// The operator as written.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Assign => ":=",
            Self::Unify => "=",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Or => "|",
            Self::And => "&",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Rem => "%",
        }
    }

    /// Whether this is `:=` or `=`.
    pub const fn binds(self) -> bool {
        matches!(self, Self::Assign | Self::Unify)
    }
}

impl fmt::Display for BinaryOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

/// `value in collection`, `key, value in collection`.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The key, if one is asked for.
    pub key: Option<Expr>,
    /// The value.
    pub value: Expr,
    /// Where `in` is written.
    pub in_span: Span,
    /// What is searched.
    pub collection: Expr,
}

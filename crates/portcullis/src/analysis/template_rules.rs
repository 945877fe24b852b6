//! What Gatekeeper asks of a template's Rego, and what it does not tell its users, found at load with
//! positions.
//!
//! | rule | source |
//! |---|---|
//! | imports are `data.lib`, `data.lib.…` or `future.…` | Gatekeeper's module rewriter |
//! | references to `data` begin with `data.inventory` or `data.lib` | the same |
//! | libraries are packages below `lib` | the same |
//! | the main module has a rule `violation` | Gatekeeper's driver |
//! | it makes a set of objects with `msg`, as a set rule or as one value; of an object, the keys count | `violation[r]` and `r.msg` of its own query |
//! | `input` has `review` and `parameters`, and nothing else | its evaluation: anything else is undefined, so a rule that needs it never fires |

use std::collections::BTreeSet;

use portcullis_rego_syntax::analysis::{GlobalRef, Usage};
use portcullis_rego_syntax::ast::{ComprehensionHead, Expr, ExprKind, Import, Module, Rule, RuleKind};
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_rego_syntax::{Diagnostic, Span};

use super::call_graph::{CallGraph, ParsedModule};
use crate::api::template::{Text, TextPlace};
use crate::document::Document;
use crate::error::{Error, ErrorKind, did_you_mean};
use crate::schema::{PathCheck, Schema};
use crate::source::Location;

/// Most warnings of parameters that the schema does not have.
const MAX_WARNINGS: usize = 100;

/// Checks one module.
pub(super) fn check(
    graph: &CallGraph<'_>,
    number: usize,
    parsed: &ParsedModule<'_>,
    document: &Document,
) -> Vec<Error> {
    let replaced = replaced_input(graph.references(number));
    let mut rules = Rules { document, parsed, replaced, errors: Vec::new() };
    let path = parsed.module.package_path();
    if parsed.is_lib {
        if path.first() != Some(&"lib") || path.len() < 2 {
            rules.wrong(
                package_span(&parsed.module),
                format!("a library must be a package below `lib`, this one is `{}`", path.join(".")),
                Some("name it `package lib.<name>` and import it as `data.lib.<name>`".to_owned()),
            );
        }
    } else {
        check_violation(&mut rules);
    }
    visit::walk_module(&mut rules, &parsed.module);
    rules.errors
}

/// A finding of the Rego front end as an error in the template.
pub(super) fn rego_error(diagnostic: &Diagnostic, parsed: &ParsedModule<'_>, document: &Document) -> Error {
    let message = format!("{}: {}", diagnostic.code.class(), diagnostic.message);
    Error::new(ErrorKind::Rego, message).maybe_hint(diagnostic.hint.clone()).at(locate(
        document,
        parsed.text,
        diagnostic.span,
    ))
}

/// Checks references below `input.parameters` against the template's own schema: a parameter that no
/// constraint can have is always undefined. A warning, because a policy may well ask for a parameter that
/// only older constraints had.
pub(super) fn check_parameters(graph: &CallGraph<'_>, schema: &Schema, document: &Document) -> Vec<Error> {
    let mut warnings = Vec::new();
    for (number, parsed) in graph.modules.iter().enumerate() {
        for reference in graph.references(number) {
            let [Some("input"), Some("parameters"), path @ ..] = reference.path.as_slice() else { continue };
            // For each, all parameters are looked at.
            if warnings.len() >= MAX_WARNINGS {
                return warnings;
            }
            let warning = unknown_parameter(schema, path);
            warnings.extend(warning.map(|warning| warning.at(locate(document, parsed.text, reference.span))));
        }
    }
    warnings
}

/// A warning if no constraint can have a parameter.
pub(super) fn unknown_parameter(schema: &Schema, path: &[Option<&str>]) -> Option<Error> {
    let PathCheck::Unknown { at, suggestion } = schema.allows(path) else { return None };
    let shown: Vec<_> = path.iter().take(at + 1).map(|step| step.unwrap_or("_")).collect();
    let message = format!("the parameter schema has no `{}`, so this is always undefined", shown.join("."));
    let warning = Error::warning(ErrorKind::UnknownParameter, message);
    Some(warning.maybe_hint(suggestion.map(|name| format!("did you mean `{name}`?"))))
}

pub(crate) fn locate(document: &Document, text: &Text, span: Span) -> Option<Location> {
    let path = match &text.place {
        TextPlace::Within(path) => path,
        TextPlace::File(source) => return Some(Location::new(source.clone(), span.start..span.end)),
    };
    let start = document.locate_in_text(path, span.start as usize);
    let end = document.locate_in_text(path, span.end as usize);
    match (start, end) {
        (Some(start), Some(end)) if start.range().start <= end.range().start => {
            Some(Location::new(start.source().clone(), start.range().start..end.range().start))
        }
        (start, _) => start.or_else(|| document.locate(path)),
    }
}

fn package_span(module: &Module) -> Span {
    module.package.as_ref().map_or(module.span, |package| package.span)
}

/// A value of `violation` that is one of a complete rule.
fn values(rule: &Rule) -> impl Iterator<Item = Option<&Expr>> {
    let head = rule.head.value.as_ref();
    let others = rule.elses.iter().map(|other| other.value.as_ref());
    [head].into_iter().chain(others).map(|value| value.map(|value| &value.expr))
}

/// Whether the text of a value alone shows that it has no elements that are violations: it has none at all,
/// or only wrong ones. What a reference or a call gives shows when it is evaluated.
fn is_no_violations(value: &Expr) -> bool {
    match &value.peeled().kind {
        ExprKind::Null
        | ExprKind::Bool(_)
        | ExprKind::Number(_)
        | ExprKind::String(_)
        | ExprKind::Template(_)
        | ExprKind::Array(_)
        | ExprKind::Binary(_)
        | ExprKind::Membership(_) => !is_set_operation(value),
        ExprKind::Object(entries) => entries.iter().all(|entry| wrong_element(&entry.key).is_some()),
        ExprKind::Set(elements) => {
            !elements.is_empty() && elements.iter().all(|element| wrong_element(element).is_some())
        }
        ExprKind::Comprehension(comprehension) => match &comprehension.head {
            ComprehensionHead::Set(element) => wrong_element(element).is_some(),
            ComprehensionHead::Object(entry) => wrong_element(&entry.key).is_some(),
            ComprehensionHead::Array(_) => true,
        },
        _ => false,
    }
}

fn is_set_operation(value: &Expr) -> bool {
    use portcullis_rego_syntax::ast::BinaryOp::{And, Or, Sub};
    matches!(&value.peeled().kind, ExprKind::Binary(binary) if matches!(binary.op, And | Or | Sub))
}

/// Whether a definition of `violation` can only make something else than violations.
fn makes_none(rule: &Rule) -> bool {
    match (rule.kind(), rule.head.path.first()) {
        (RuleKind::Function, _) => true,
        // The keys of an object are what counts.
        (_, Some(step)) => step.is_constant(),
        // A wrong element has an error of its own.
        (RuleKind::PartialSet | RuleKind::PartialObject, None) => false,
        // Without a value, it is `true`.
        (RuleKind::Complete, None) => values(rule).all(|value| value.is_none_or(is_no_violations)),
    }
}

fn check_violation(rules: &mut Rules<'_>) {
    let module = &rules.parsed.module;
    let definitions: Vec<&Rule> = module.rules_named("violation").collect();
    let found = !definitions.is_empty();
    // As long as one makes some, the others may be what there is otherwise: `default violation = []`.
    let all_wrong = definitions.iter().all(|rule| makes_none(rule));
    for rule in definitions {
        if all_wrong || rule.kind() == RuleKind::Function {
            let message = "`violation` must be a set of objects with `msg`";
            let hint = "write `violation[{\"msg\": msg}] { … }`, or in v1 `violation contains {\"msg\": msg} if { … }`";
            rules.wrong(rule.head.span, message.to_owned(), Some(hint.to_owned()));
        } else if let Some((span, message)) = element_of(rule).and_then(wrong_element) {
            rules.wrong(span, message.to_owned(), None);
        }
    }
    if found {
        return;
    }
    const OTHER_TOOLS: &[&str] = &["deny", "warn", "violations", "denied"];
    let meant = module.rules.iter().find(|rule| {
        OTHER_TOOLS.contains(&rule.name()) || did_you_mean(rule.name(), ["violation"]).is_some()
    });
    if let Some(rule) = meant {
        let message = format!("a template needs a rule `violation`; `{}` is never asked", rule.name());
        rules.wrong(rule.name_span(), message, Some(format!("rename `{}` to `violation`", rule.name())));
    } else if rules.parsed.diagnostics.is_empty() {
        let message = "a template needs a rule `violation`".to_owned();
        let hint = "add `violation[{\"msg\": msg}] { … }`".to_owned();
        rules.wrong(package_span(module), message, Some(hint));
    }
}

/// What a definition of `violation` says one violation is: the element of a set, and the key of an object.
pub(super) fn element_of(rule: &Rule) -> Option<&Expr> {
    if rule.kind() == RuleKind::Function {
        return None;
    }
    rule.head.path.first().map_or(rule.head.key.as_ref(), |step| step.bracket())
}

/// What the text of an element of `violation` alone shows: that it is not an object, has no `msg`, or a `msg`
/// that is no string. Everything else shows when it is evaluated.
pub(super) fn wrong_element(element: &Expr) -> Option<(Span, &'static str)> {
    let element = element.peeled();
    match &element.kind {
        ExprKind::Object(entries) => {
            if entries.iter().any(|entry| entry.key.peeled().as_string().is_none()) {
                return None;
            }
            let Some(msg) = entries.iter().find(|entry| entry.key.peeled().as_string() == Some("msg")) else {
                return Some((element.span, "an element of `violation` needs `msg`"));
            };
            let is_string = !matches!(
                msg.value.peeled().kind,
                ExprKind::Null
                    | ExprKind::Bool(_)
                    | ExprKind::Number(_)
                    | ExprKind::Array(_)
                    | ExprKind::Set(_)
                    | ExprKind::Object(_)
                    | ExprKind::Comprehension(_)
            );
            (!is_string).then_some((msg.value.span, "`msg` of a violation must be a string"))
        }
        ExprKind::Null
        | ExprKind::Bool(_)
        | ExprKind::Number(_)
        | ExprKind::String(_)
        | ExprKind::Template(_)
        | ExprKind::Array(_)
        | ExprKind::Set(_) => Some((element.span, "an element of `violation` must be an object with `msg`")),
        _ => None,
    }
}

/// Checks that the functions of libraries that are called are there. The engine finds out when it calls them,
/// if it does.
pub(super) fn check_libraries(graph: &CallGraph<'_>, document: &Document) -> Vec<Error> {
    let with_heads = graph.rules().iter().flat_map(|node| {
        node.definitions.iter().map(|(_, rule)| {
            let below = rule.head.path.iter().map_while(|step| step.as_str());
            node.path.iter().copied().chain(below).collect()
        })
    });
    let defined: BTreeSet<Vec<&str>> = with_heads.collect();
    let mut errors = Vec::new();
    for (number, parsed) in graph.modules.iter().enumerate() {
        for reference in graph.references(number) {
            let Some(path) = reference.path.iter().copied().collect::<Option<Vec<_>>>() else { continue };
            let ["data", "lib", ..] = path.as_slice() else { continue };
            if reference.usage != Usage::Call || path.get(1..).is_some_and(|path| defined.contains(path)) {
                continue;
            }
            let message = format!("rego_type_error: undefined function {}", path.join("."));
            errors.push(Error::new(ErrorKind::Rego, message).at(locate(
                document,
                parsed.text,
                reference.span,
            )));
        }
    }
    errors
}

/// The fields of `input` that `with` makes somewhere in the module.
#[derive(Debug, Default)]
struct Replaced<'a> {
    /// All of it is replaced: it may have any field.
    whole: bool,
    fields: BTreeSet<&'a str>,
}

fn replaced_input<'a>(references: &[GlobalRef<'a>]) -> Replaced<'a> {
    let mut replaced = Replaced::default();
    for reference in references {
        if let (Usage::WithTarget, [Some("input"), field @ ..]) = (reference.usage, reference.path.as_slice())
        {
            match field.first() {
                Some(Some(field)) => drop(replaced.fields.insert(field)),
                Some(None) | None => replaced.whole = true,
            }
        }
    }
    replaced
}

struct Rules<'a> {
    document: &'a Document,
    parsed: &'a ParsedModule<'a>,
    replaced: Replaced<'a>,
    errors: Vec<Error>,
}

impl Rules<'_> {
    fn wrong(&mut self, span: Span, message: String, hint: Option<String>) {
        let error = Error::new(ErrorKind::TemplateRule, message).maybe_hint(hint).at(locate(
            self.document,
            self.parsed.text,
            span,
        ));
        self.errors.push(error);
    }

    /// A reference below `input`. Only a warning, unless a misspelt name or one that no tool has: modules are
    /// written for several tools, and what is for another never holds here. Where nothing is left that can
    /// fire, `lint` makes it an error. In a library it may belong to a rule that this template never asks.
    fn check_input(&mut self, expr: &Expr) {
        let prefix = expr.static_prefix();
        let mut steps = prefix.iter();
        let (Some((root, _)), Some((field, span))) = (steps.next(), steps.next()) else { return };
        let exists = matches!(*field, "review" | "parameters")
            || self.replaced.whole
            || self.replaced.fields.contains(field);
        if *root != "input" || exists {
            return;
        }
        // No tool has these.
        let is_mistake = *field == "constraint" || did_you_mean(field, ["review", "parameters"]).is_some();
        let hint = match *field {
            "constraint" if prefix.iter().any(|(step, _)| *step == "parameters") => {
                "the constraint's parameters are `input.parameters`".to_owned()
            }
            "constraint" => "policies do not see the constraint, only its `input.parameters`".to_owned(),
            "object" | "request" | "oldObject" | "userInfo" | "operation" | "kind" => {
                let below = if *field == "request" { String::new() } else { format!(".{field}") };
                format!("the request is `input.review`: write `input.review{below}`")
            }
            other => match did_you_mean(other, ["review", "parameters"]) {
                Some(name) => format!("did you mean `input.{name}`?"),
                None => "policies see `input.review` and `input.parameters`".to_owned(),
            },
        };
        let message = format!("`input.{field}` does not exist, so this is never true");
        let span = Span::new(expr.span.start, span.end);
        let location = locate(self.document, self.parsed.text, span);
        let mut error = Error::warning(ErrorKind::UnknownInput, message);
        if is_mistake && !self.parsed.is_lib {
            error.make_error();
        }
        self.errors.push(error.hint(hint).at(location));
    }

    fn check_data(&mut self, expr: &Expr) {
        let prefix = expr.static_prefix();
        if prefix.first().map(|(root, _)| *root) != Some("data") {
            return;
        }
        let field = prefix.get(1).map(|(field, _)| *field);
        if matches!(field, Some("inventory" | "lib")) {
            return;
        }
        let shown: Vec<_> = prefix.iter().map(|(step, _)| *step).collect();
        let message =
            format!("templates may read `data.inventory` and `data.lib` only, not `{}`", shown.join("."));
        let suggestion = field.and_then(|field| did_you_mean(field, ["inventory", "lib"]));
        self.wrong(expr.span, message, suggestion.map(|name| format!("did you mean `data.{name}`?")));
    }
}

impl<'m> Visitor<'m> for Rules<'_> {
    fn visit_import(&mut self, import: &'m Import) {
        let path = import.segments();
        let hint = match path.as_slice() {
            ["data", "lib", ..] | ["future", "keywords", ..] => return,
            ["rego", "v1"] => "Gatekeeper refuses it: leave it out and put `version: v1` beside `rego`",
            ["data", "inventory", ..] => "leave it out and write `data.inventory…` where it is used",
            ["input", ..] => "leave it out and write `input.review…` where it is used",
            _ => "templates may import `data.lib.…` and `future.keywords.…` only",
        };
        self.wrong(import.span, format!("`{}` cannot be imported", path.join(".")), Some(hint.to_owned()));
    }

    fn visit_expr(&mut self, expr: &'m Expr) {
        match &expr.kind {
            ExprKind::Ref(_) => {
                self.check_input(expr);
                self.check_data(expr);
                // The head is part of what was just checked; what stands in brackets is not.
                if let Some(reference) = expr.as_ref() {
                    if reference.head.as_var().is_none() {
                        self.visit_expr(&reference.head);
                    }
                    reference.args.iter().for_each(|arg| self.visit_ref_arg(arg));
                }
            }
            ExprKind::Var(name) if name == "data" => self.check_data(expr),
            _ => visit::walk_expr(self, expr),
        }
    }
}

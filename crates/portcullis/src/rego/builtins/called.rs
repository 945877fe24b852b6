//! Which builtins a module uses, and those among them that there are none of here: found at load, because an
//! evaluation may not come to them, or only for the one object that matters.

use portcullis_rego_syntax::ast::{Expr, ExprKind, Module, With};
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_rego_syntax::{Names, Resolution, Span};

use super::FAMILIES;
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::rego::template_rules::{ParsedModule, locate};

/// A builtin where a module calls it, or names it in a `with`.
#[derive(Debug)]
pub(in crate::rego) struct Use {
    pub(in crate::rego) name: String,
    span: Span,
    place: Place,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Called with so many arguments.
    Call(usize),
    /// `with <name> as …`.
    Replaced,
    /// `with … as <name>`.
    Replacement,
}

/// The builtins that a module uses.
pub(in crate::rego) fn uses(module: &Module, names: &Names) -> Vec<Use> {
    let mut collector = Collector { names, uses: Vec::new() };
    visit::walk_module(&mut collector, module);
    collector.uses
}

/// Reports the uses that cannot work.
pub(in crate::rego) fn check(uses: &[Use], parsed: &ParsedModule<'_>, document: &Document) -> Vec<Error> {
    uses.iter()
        .filter_map(|used| {
            let (message, hint) = wrong(used)?;
            let location = locate(document, parsed.text, used.span);
            Some(Error::new(ErrorKind::Rego, message).maybe_hint(hint).at(location))
        })
        .collect()
}

/// What is wrong with a use, and what to do.
pub(super) fn wrong(used: &Use) -> Option<(String, Option<String>)> {
    let name = used.name.as_str();
    let in_engine = name == "print" || regorus::unstable::BUILTINS.contains_key(name);
    let ours = FAMILIES.iter().copied().flatten().find(|builtin| builtin.name == name);
    let Some(ours) = ours else {
        return (!in_engine).then(|| (format!("builtin `{name}` is not available"), unavailable_hint(name)));
    };
    if in_engine {
        return None;
    }
    // The engine knows neither the number of arguments of a function that it does not have itself, nor its name.
    match used.place {
        Place::Call(args) if args == usize::from(ours.arity) + 1 => Some((
            format!("`{name}` cannot take its result as the last argument"),
            Some(format!("write `… = {name}(…)`")),
        )),
        Place::Replaced => Some((format!("`with` cannot replace `{name}`"), None)),
        _ => None,
    }
}

fn unavailable_hint(name: &str) -> Option<String> {
    let operator = match name {
        "plus" => "+",
        "minus" => "-",
        "mul" => "*",
        "div" => "/",
        "rem" => "%",
        "and" => "&",
        "or" => "|",
        "eq" => "=",
        "equal" => "==",
        "neq" => "!=",
        "lt" => "<",
        "lte" => "<=",
        "gt" => ">",
        "gte" => ">=",
        "assign" => ":=",
        _ => "",
    };
    let hint = match name {
        "http.send" | "net.lookup_ip_addr" => "policies are evaluated without a network",
        "external_data" => "external data providers are not supported",
        "opa.runtime" => "policies do not see where they are evaluated",
        "uuid.rfc4122" => "policies give the same result for the same input",
        _ if operator.is_empty() => return None,
        _ => return Some(format!("write `a {operator} b`")),
    };
    Some(hint.to_owned())
}

struct Collector<'n> {
    names: &'n Names,
    uses: Vec<Use>,
}

impl Collector<'_> {
    fn add(&mut self, callee: &Expr, place: Place) {
        let head = callee.as_ref().map_or(callee, |reference| &reference.head);
        if self.names.at(head.span) == Some(Resolution::Builtin) {
            let segments: Vec<&str> = callee.static_prefix().into_iter().map(|(text, _)| text).collect();
            self.uses.push(Use { name: segments.join("."), span: callee.span, place });
        }
    }
}

impl<'m> Visitor<'m> for Collector<'_> {
    fn visit_expr(&mut self, expr: &'m Expr) {
        if let ExprKind::Call(call) = &expr.kind {
            self.add(&call.callee, Place::Call(call.args.len()));
        }
        visit::walk_expr(self, expr);
    }

    fn visit_with(&mut self, with: &'m With) {
        self.add(&with.target, Place::Replaced);
        self.add(&with.value, Place::Replacement);
        visit::walk_with(self, with);
    }
}

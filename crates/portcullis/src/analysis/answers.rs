//! What a policy says of providers of external data: whom it names, and whether it looks at what says that an answer
//! is none.

use std::sync::Arc;

use portcullis_rego_syntax::ast::{Expr, ExprKind, RefArg};
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_value::ProviderFailure;

use super::{ParsedModule, locate};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::source::Location;

/// What of an answer a policy looks at: which fields its tree names where something is looked into, compared or asked for. Words of
/// messages, comments and of what it makes are no look.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Looks {
    /// `errors`.
    errors: bool,
    /// `system_error` or `status_code`.
    of_all: bool,
}

impl Looks {
    pub(crate) fn of(modules: &[ParsedModule<'_>]) -> Self {
        let mut looks = Self::default();
        for parsed in modules {
            visit::walk_module(&mut looks, &parsed.module);
        }
        looks
    }

    fn field(&mut self, name: &str) {
        match name {
            "errors" => self.errors = true,
            "system_error" | "status_code" => self.of_all = true,
            _ => {}
        }
    }

    /// A text that stands for a field, by itself or in a list.
    fn named_by(&mut self, expr: &Expr) {
        match &expr.peeled().kind {
            ExprKind::String(name) => self.field(name),
            ExprKind::Array(items) | ExprKind::Set(items) => {
                for item in items {
                    if let Some(name) = item.peeled().as_string() {
                        self.field(name);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether a failure is something that it looks at.
    pub(crate) const fn covers(self, failure: ProviderFailure) -> bool {
        match failure {
            ProviderFailure::OfAll => self.of_all,
            ProviderFailure::Silence => self.of_all || self.errors,
        }
    }
}

/// Calls whose texts are for people.
const OF_MESSAGES: &[&str] = &["sprintf", "print", "trace", "concat", "format_int"];

impl<'a> Visitor<'a> for Looks {
    fn visit_expr(&mut self, expr: &'a Expr) {
        match &expr.kind {
            ExprKind::Call(call) if !call.name().is_some_and(|name| OF_MESSAGES.contains(&&*name)) => {
                for argument in &call.args {
                    self.named_by(argument);
                }
            }
            ExprKind::Binary(binary) => {
                for side in [&binary.lhs, &binary.rhs] {
                    self.named_by(side);
                    // `{"errors": found} = answer`.
                    if let ExprKind::Object(entries) = &side.peeled().kind {
                        for entry in entries {
                            self.named_by(&entry.key);
                        }
                    }
                }
            }
            ExprKind::Membership(membership) => self.named_by(&membership.collection),
            _ => {}
        }
        visit::walk_expr(self, expr);
    }

    fn visit_ref_arg(&mut self, arg: &'a RefArg) {
        if let Some(name) = arg.as_str() {
            self.field(name);
        }
        visit::walk_ref_arg(self, arg);
    }
}

/// A call that asks a provider.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Whom, if the text says so there.
    pub(crate) provider: Option<Arc<str>>,
    pub(crate) location: Option<Location>,
}

/// The calls that ask providers, in the order of the text.
pub(crate) fn asked(modules: &[ParsedModule<'_>], document: &Document) -> Vec<Asked> {
    let mut found = Vec::new();
    for parsed in modules {
        let mut calls = Calls(Vec::new());
        visit::walk_module(&mut calls, &parsed.module);
        found.extend(calls.0.into_iter().map(|(provider, span)| Asked {
            provider: provider.map(Arc::from),
            location: locate(document, parsed.text, span),
        }));
    }
    found
}

struct Calls<'a>(Vec<(Option<&'a str>, portcullis_rego_syntax::Span)>);

impl<'a> Visitor<'a> for Calls<'a> {
    fn visit_expr(&mut self, expr: &'a Expr) {
        if let ExprKind::Call(call) = &expr.kind
            && call.name().as_deref() == Some("external_data")
        {
            let provider = call.args.first().and_then(|argument| named(argument.peeled()));
            self.0.push((provider, expr.span));
        }
        visit::walk_expr(self, expr);
    }
}

/// The provider that an argument names.
fn named(argument: &Expr) -> Option<&str> {
    let ExprKind::Object(entries) = &argument.kind else { return None };
    entries.iter().find_map(|entry| match (&entry.key.kind, &entry.value.kind) {
        (ExprKind::String(key), ExprKind::String(name)) if key.eq_ignore_ascii_case("provider") => {
            Some(name.as_str())
        }
        _ => None,
    })
}

/// A warning for a policy that passes when its provider is down or says that something is wrong, at its first call.
pub(crate) fn unchecked(asked: &[Asked], looks: Looks) -> Vec<Error> {
    let Some(first) = asked.first() else { return Vec::new() };
    let warning = |message: &str, hint: &str| {
        let warning = Error::warning(ErrorKind::UncheckedAnswer, message).hint(hint);
        match &first.location {
            Some(location) => warning.at(location.clone()),
            None => warning,
        }
    };
    let mut found = Vec::new();
    if !looks.of_all {
        found.push(warning(
            "the policy asks a provider and never looks at `system_error`: it does not know when the provider is down",
            "add a violation for `answer.system_error != \"\"`",
        ));
    }
    if !looks.errors {
        found.push(warning(
            "the policy asks a provider and never looks at `errors`: what the provider says is wrong with a key is lost",
            "add a violation for each of `answer.errors`, or say with their keys what they mean",
        ));
    }
    found
}

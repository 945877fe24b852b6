//! What a policy says of providers of external data: whom it names, and whether it looks at what says that an answer
//! is none.

use std::sync::Arc;

use portcullis_rego_syntax::ast::{Expr, ExprKind};
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_value::ProviderFailure;

use super::{ParsedModule, locate};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::source::Location;

/// What of an answer a policy looks at: by its text, without comments.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Looks {
    /// `errors`.
    errors: bool,
    /// `system_error` or `status_code`.
    of_all: bool,
}

impl Looks {
    pub(crate) fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let mut looks = Self::default();
        for line in texts.flat_map(str::lines) {
            let code = line.split('#').next().unwrap_or_default();
            looks.of_all |= code.contains("system_error") || code.contains("status_code");
            looks.errors |= code.contains("errors");
        }
        looks
    }

    /// Whether a failure is something that it looks at.
    pub(crate) const fn covers(self, failure: ProviderFailure) -> bool {
        match failure {
            ProviderFailure::OfAll => self.of_all,
            ProviderFailure::Silence => self.of_all || self.errors,
        }
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

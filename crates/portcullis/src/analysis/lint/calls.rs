//! Calls of builtins that cannot do what they are for: patterns that do not compile, formats that their
//! arguments do not fit, builtins that v1 no longer has. And wildcards where a value is needed.

use portcullis_rego_syntax::ast::{Call, Expr, ExprKind, Rule, Version};
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_rego_syntax::{Resolution, builtins};
use portcullis_value::pattern::Pattern;

use super::constant::Constant;
use super::format::{self, Verb};
use super::program::{Program, Scope};
use super::shape::Shape;
use crate::error::{Error, ErrorKind, Remedy};

/// Checks the calls of all modules.
pub(super) fn check(program: &Program<'_>) -> Vec<Error> {
    let mut found = Vec::new();
    for scope in program.scopes() {
        let mut calls = Calls { scope, is_reached: false, found: Vec::new() };
        visit::walk_module(&mut calls, &scope.parsed.module);
        found.extend(calls.found);
    }
    found
}

struct Calls<'p, 'a> {
    scope: Scope<'p, 'a>,
    /// Whether `violation` needs the rule.
    is_reached: bool,
    found: Vec<Error>,
}

impl<'a> Visitor<'a> for Calls<'_, 'a> {
    fn visit_rule(&mut self, rule: &'a Rule) {
        self.is_reached = self.scope.is_reached(rule.name());
        visit::walk_rule(self, rule);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        if let ExprKind::Call(call) = &expr.kind {
            let callee = call.callee.as_ref().map_or(&call.callee, |reference| &reference.head);
            let name = call.name().unwrap_or_default();
            // An argument more is compared with the result, and may be anything.
            let arity = builtins::arity(&name).unwrap_or_default();
            if self.scope.parsed.names.at(callee.span) == Some(Resolution::Builtin) {
                call.args.iter().take(arity).for_each(|arg| self.wildcard(arg));
                self.pattern(call, &name);
                self.deprecated(call, &name);
                if name == "sprintf" {
                    self.format(expr, call);
                }
            }
        }
        if let ExprKind::Binary(binary) = &expr.kind
            && !binary.op.binds()
        {
            self.wildcard(&binary.lhs);
            self.wildcard(&binary.rhs);
        }
        visit::walk_expr(self, expr);
    }
}

impl<'a> Calls<'_, 'a> {
    /// `_` stands for any value only where a value can be found for it: in brackets, on a side of `=`. OPA
    /// refuses it elsewhere.
    fn wildcard(&mut self, operand: &Expr) {
        let operand = operand.peeled();
        if self.scope.resolution(operand) == Some(Resolution::Wildcard) {
            let message = "rego_unsafe_var_error: var _ is unsafe";
            let hint = "`_` has no value of its own: name the value, or ask for it in brackets, `xs[_]`";
            self.found
                .push(Error::new(ErrorKind::Rego, message).hint(hint).at(self.scope.location(operand.span)));
        }
    }

    /// A pattern that does not compile makes its call undefined. Where `violation` needs the rule the policy
    /// cannot work.
    fn pattern(&mut self, call: &'a Call, name: &str) {
        let Some(position) = builtins::find(name).and_then(|row| row.pattern) else { return };
        let Some(arg) = call.args.get(position) else { return };
        let Some(Constant::String(text)) = self.scope.constant(arg) else { return };
        let Err(reason) = Pattern::compile(&text) else { return };
        let message = format!("`{text}` is not a regular expression: {reason}");
        let error = if self.is_reached {
            Error::new(ErrorKind::InvalidPattern, message)
        } else {
            Error::warning(ErrorKind::InvalidPattern, message)
        };
        let hint = "patterns have Go's syntax, RE2; a raw string in backticks needs no doubled backslashes";
        self.found.push(error.hint(hint).at(self.scope.location(arg.span)));
    }

    fn deprecated(&mut self, call: &Call, name: &str) {
        // In v1 it is an error of the language.
        if self.scope.parsed.module.version == Version::V1 || self.scope.parsed.module.strict {
            return;
        }
        let Some(replacement) = builtins::find(name).and_then(|row| row.replacement) else { return };
        let message = format!("`{name}` is deprecated, and was removed in v1");
        // Others take more than another name.
        let renamed =
            replacement.strip_suffix("`, with the same arguments").and_then(|it| it.strip_prefix('`'));
        self.found.push(
            Error::warning(ErrorKind::DeprecatedBuiltin, message)
                .hint(format!("write {replacement}"))
                .remedied_by(renamed.map(|name| Remedy::Write(name.to_owned())))
                .at(self.scope.location(call.callee.span)),
        );
    }

    fn format(&mut self, expr: &Expr, call: &'a Call) {
        let [format, values] = call.args.as_slice() else { return };
        let Some(Constant::String(text)) = self.scope.constant(format) else { return };
        let Some(verbs) = format::verbs(&text) else { return };
        let values = self.scope.followed(values);
        let ExprKind::Array(values) = &values.kind else {
            if let Some(shape) = self.scope.shape(values).filter(|shape| *shape != Shape::Array) {
                let message =
                    format!("`sprintf` takes an array of arguments, this is {shape}: it has no result");
                let hint = "put it into brackets: `[…]`";
                self.warn(values.span, message, Some(hint));
            }
            return;
        };
        let letters: Vec<char> = verbs
            .iter()
            .filter_map(|verb| match verb {
                Verb::Letter(letter) => Some(*letter),
                Verb::Missing => None,
            })
            .collect();
        if letters.len() < verbs.len() {
            let message = "the format ends with a lone `%`, which Go shows as `%!(NOVERB)`".to_owned();
            self.warn(format.span, message, Some("write `%%` for a percent sign"));
        }
        if letters.len() != values.len() {
            let count = |number: usize, noun: &str| match number {
                1 => format!("1 {noun}"),
                _ => format!("{number} {noun}s"),
            };
            let message = format!(
                "the format has {}, but is given {}",
                count(letters.len(), "verb"),
                count(values.len(), "argument")
            );
            let hint = if letters.len() > values.len() {
                "what is missing is shown as `%!v(MISSING)`"
            } else {
                "what is too much is shown as `%!(EXTRA …)`"
            };
            self.warn(expr.span, message, Some(hint));
        }
        for (letter, value) in letters.into_iter().zip(values) {
            let shape = self.scope.shape(value);
            // Go shows an integer of more than 64 bits under `%s` as well.
            let may_be_large = letter == 's' && shape == Some(Shape::Number) && !self.is_small(value);
            if format::shows(letter, shape) || may_be_large {
                continue;
            }
            let (message, hint) = match (letter, shape) {
                ('t', _) => (
                    "`%t` shows no value of Rego: Go is given the text of a boolean".to_owned(),
                    "write `%v`",
                ),
                (_, Some(shape)) if format::shows(letter, None) => {
                    (format!("`%{letter}` does not show {shape}"), "write `%v`")
                }
                _ => (format!("there is no verb `%{letter}`"), "write `%v`, or `%%` for a percent sign"),
            };
            self.warn(value.span, message, Some(hint));
        }
    }

    /// Whether a number is certainly one of at most 64 bits.
    fn is_small(&self, value: &'a Expr) -> bool {
        match self.scope.constant(value) {
            Some(Constant::Number(digits)) => digits.parse::<i64>().is_ok(),
            Some(_) => false,
            None => match &self.scope.followed(value).kind {
                ExprKind::Call(call) => call.name().as_deref() == Some("count"),
                _ => false,
            },
        }
    }

    fn warn(&mut self, span: portcullis_rego_syntax::Span, message: String, hint: Option<&str>) {
        let warning = Error::warning(ErrorKind::FormatArguments, message);
        let warning = warning.maybe_hint(hint.map(str::to_owned));
        self.found.push(warning.at(self.scope.location(span)));
    }
}

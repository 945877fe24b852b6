//! Modules of v0 rewritten in v1: `if` and `contains`, `:=` of rules, no imports of keywords, the newer names of
//! builtins. What v1 no longer has, and for which there is no other name, is refused with its place.

use std::collections::BTreeSet;

use super::{FormatError, Style, format, same, write};
use crate::ast::{Expr, ExprKind, Import, Module, Version};
use crate::builtins;
use crate::diagnostic::{Diagnostic, DiagnosticCode};
use crate::parse::parse;
use crate::resolve::{Names, Resolution, resolve};
use crate::span::Span;
use crate::visit::{Visitor, walk_expr, walk_module};

/// Rewrites a module of v0 in v1, laid out as [`format()`] does it.
///
/// The trees of both are compared: but for the imports of keywords and the names of builtins they are the
/// same, and so are the comments.
///
/// # Errors
///
/// [`FormatError::Syntax`] if the text is not a module of v0; [`FormatError::NotInV1`] if it has something that there is not in v1.
///
/// ```
/// use portcullis_rego_syntax::format::upgrade;
///
/// let text = "package k\nviolation[{\"msg\": m}] { re_match(\"a\", input.x); m := \"no\" }";
/// let upgraded = "package k\n\nviolation contains {\"msg\": m} if {\n\tregex.match(\"a\", input.x)\n\tm := \"no\"\n}\n";
/// assert_eq!(upgrade(text).unwrap(), upgraded);
/// ```
pub fn upgrade(text: &str) -> Result<String, FormatError> {
    let (module, diagnostics) = parse(text, Version::V0);
    if !diagnostics.is_empty() {
        return Err(FormatError::Syntax(diagnostics));
    }
    let names = resolve(&module);
    // What has no meaning in v0 either, such as a rule of another file of the package, is no matter of versions.
    let known: BTreeSet<String> = names.diagnostics.iter().map(|found| found.message.clone()).collect();
    let mut removed = Removed { names: &names, renamed: Vec::new(), found: Vec::new() };
    walk_module(&mut removed, &module);
    let Removed { renamed, found, .. } = removed;
    if !found.is_empty() {
        return Err(FormatError::NotInV1(found));
    }
    let (text, module) = with_names(text, renamed)?;
    let style = Style::of(&module).upgraded();
    let new = write(&text, &module, style).ok_or(FormatError::WouldChange)?;
    let (again, diagnostics) = parse(&new, Version::V1);
    let mut findings = diagnostics;
    if findings.is_empty() {
        findings = resolve(&again).diagnostics;
        findings.retain(|found| !known.contains(&found.message));
    }
    if !findings.is_empty() {
        return Err(FormatError::NotInV1(about_package(&module, &findings)));
    }
    let keeps = |import: &Import| style.keeps(import);
    let is_same = same::normal_form(&module, true, keeps) == same::normal_form(&again, true, keeps)
        && same::comments(&module, &text) == same::comments(&again, &new);
    if !is_same {
        return Err(FormatError::WouldChange);
    }
    format(&new, Version::V1)
}

/// The text with other names in some places.
fn with_names(text: &str, mut renamed: Vec<(Span, &str)>) -> Result<(String, Module), FormatError> {
    renamed.sort_unstable();
    let mut new = String::with_capacity(text.len());
    let mut done = 0;
    for (span, name) in renamed {
        new.push_str(Span::new(done, span.start).text(text));
        new.push_str(name);
        done = span.end;
    }
    new.push_str(text.get(done as usize..).unwrap_or_default());
    let (module, diagnostics) = parse(&new, Version::V0);
    if diagnostics.is_empty() { Ok((new, module)) } else { Err(FormatError::WouldChange) }
}

/// What is found in the new text, told of the old one: places are not the same there.
fn about_package(module: &Module, findings: &[Diagnostic]) -> Vec<Diagnostic> {
    let span = module.package.as_ref().map_or(Span::default(), |package| package.span);
    let told = |found: &Diagnostic| Diagnostic {
        span,
        message: format!("in v1, {}", found.message),
        ..found.clone()
    };
    findings.iter().map(told).collect()
}

/// Finds calls of builtins that v1 no longer has.
struct Removed<'n> {
    names: &'n Names,
    /// Where another name does.
    renamed: Vec<(Span, &'static str)>,
    /// Where none does.
    found: Vec<Diagnostic>,
}

impl<'m> Visitor<'m> for Removed<'_> {
    fn visit_expr(&mut self, expr: &'m Expr) {
        if let ExprKind::Call(call) = &expr.kind {
            let head = call.callee.as_ref().map_or(&call.callee, |reference| &reference.head);
            let name = call.name().unwrap_or_default();
            if self.names.at(head.span) == Some(Resolution::Builtin) && builtins::is_deprecated(&name) {
                let replacement = builtins::find(&name).and_then(|row| row.replacement).unwrap_or_default();
                let other = replacement
                    .strip_suffix("`, with the same arguments")
                    .and_then(|it| it.strip_prefix('`'));
                match other {
                    Some(other) => self.renamed.push((call.callee.span, other)),
                    None => self.found.push(Diagnostic {
                        span: call.callee.span,
                        code: DiagnosticCode::DeprecatedBuiltin,
                        message: format!("`{name}` is not in v1"),
                        hint: Some(format!("write {replacement}")),
                    }),
                }
            }
        }
        walk_expr(self, expr);
    }
}

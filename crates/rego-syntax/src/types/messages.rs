//! What is wrong, in words: with what is there and what is wanted as OPA shows it, and what to do about it.

use super::lattice::{Function, Key, Type};
use super::normal::{RefHead, Reference, Term, TermKind, Variables};
use super::show::{arguments as arguments_text, keys as keys_text, parameters, type_text};
use crate::diagnostic::{Diagnostic, DiagnosticCode};
use crate::span::Span;

fn finding(span: Span, code: DiagnosticCode, message: String, hint: Option<&str>) -> Diagnostic {
    Diagnostic { span, code, message, hint: hint.map(str::to_owned) }
}

/// An equation of values that are never equal.
pub(super) fn mismatch(span: Span, left: &Type, right: &Type) -> Diagnostic {
    let message = format!("match error: left is {}, right is {}", type_text(left), type_text(right));
    let hint = match (left, right) {
        (Type::Number, Type::String) | (Type::String, Type::Number) => {
            "a number and a string are never equal: convert one with `to_number` or `format_int`"
        }
        (Type::Set(_), Type::Array(_)) | (Type::Array(_), Type::Set(_)) => {
            "a set and an array are never equal: make a set of the array with `{x | x := xs[_]}`"
        }
        (Type::Array(_), Type::Array(_)) => {
            "arrays are equal only if they have as many elements of the same types"
        }
        (Type::Object(_), Type::Object(_)) => {
            "objects are equal only if they have the same keys with values of the same types"
        }
        _ => "values of these types are never equal",
    };
    finding(span, DiagnosticCode::Type, message, Some(hint))
}

/// A call whose arguments have other types than the function takes.
pub(super) fn arguments(span: Span, name: &str, have: &[Type], function: &Function) -> Diagnostic {
    let message = format!(
        "{name}: invalid argument(s): have {}, want {}",
        arguments_text(have),
        parameters(function, true)
    );
    finding(span, DiagnosticCode::Type, message, hint_of_arguments(name, have))
}

fn hint_of_arguments(name: &str, have: &[Type]) -> Option<&'static str> {
    let has = |wanted: fn(&Type) -> bool| have.iter().take(2).any(wanted);
    Some(match name {
        "plus" if has(|of| *of == Type::String) => {
            "`+` adds numbers; join strings with `concat(\"\", […])` or `sprintf(\"%v…\", […])`"
        }
        "plus" if has(|of| matches!(of, Type::Array(_))) => {
            "`+` adds numbers; join arrays with `array.concat`"
        }
        "plus" if has(|of| matches!(of, Type::Set(_))) => "`+` adds numbers; join sets with `|`",
        "plus" | "minus" | "mul" | "div" | "rem" if has(|of| *of == Type::String) => {
            "this takes numbers: convert the string with `to_number`"
        }
        "or" | "and" => {
            "`|` and `&` are for sets; conditions are joined by rules of one name, or by lines of a body"
        }
        "sprintf" if !matches!(have.get(1), Some(Type::Array(_) | Type::Any)) => {
            "put the values into brackets: `sprintf(\"…\", [value])`"
        }
        "count" | "sum" | "product" | "max" | "min" | "sort" | "concat" | "union" | "intersection" => {
            "this takes a collection: put the values into `[…]` or `{…}`"
        }
        "contains" | "startswith" | "endswith"
            if have.first().is_some_and(|of| !matches!(of, Type::String | Type::Any)) =>
        {
            "this looks into a string; whether a collection has an element is asked with `x in xs`, or `xs[_] == x`"
        }
        "object.get" => "this takes an object first, then the key and what to give if it is not there",
        _ => return None,
    })
}

/// A call with too few or too many arguments.
pub(super) fn arity(span: Span, name: &str, have: &[Type], function: &Function) -> Diagnostic {
    let message = format!(
        "{name}: arity mismatch: have {}, want {}",
        arguments_text(have),
        parameters(function, false)
    );
    finding(span, DiagnosticCode::Type, message, None)
}

/// The same for a function of the program.
pub(super) fn arity_of_rule(span: Span, name: &str, takes: usize, given: usize) -> Diagnostic {
    let noun = if given == 1 { "argument" } else { "arguments" };
    let message = format!("function {name} has arity {takes}, got {given} {noun}");
    finding(span, DiagnosticCode::Type, message, None)
}

/// A call of what is not a function.
pub(super) fn undefined_function(span: Span, name: &str) -> Diagnostic {
    let hint = "it is a rule: leave the parentheses out, or give the rule parameters";
    finding(span, DiagnosticCode::Type, format!("undefined function {name}"), Some(hint))
}

/// A call without a result where a value is needed.
pub(super) fn used_as_value(span: Span, name: &str) -> Diagnostic {
    let message = format!("{name} used as value: it returns nothing");
    finding(span, DiagnosticCode::Type, message, Some("write it as a line of its own"))
}

/// A function that cannot stand for another one.
pub(super) fn replacement(span: Span, name: &str, given: &Function, wanted: &Function) -> Diagnostic {
    let message = format!(
        "{name}: arity mismatch: have {}, want {}",
        arguments_text(&given.params),
        parameters(wanted, false)
    );
    let hint = "what stands for a function takes as many arguments, of the same types";
    finding(span, DiagnosticCode::Type, message, Some(hint))
}

/// A `with` that replaces what cannot be replaced.
pub(super) fn with_target(span: Span, message: String) -> Diagnostic {
    finding(span, DiagnosticCode::With, message, None)
}

/// What stands in the brackets of a reference, and what could.
pub(super) struct Wrong<'w> {
    /// The type of a computed step; none if the step is written out.
    pub(super) have: Option<&'w Type>,
    pub(super) want: &'w Type,
    pub(super) one_of: &'w [Key],
}

/// A step to what is not there.
pub(super) fn no_such_part(
    span: Span,
    reference: &Reference,
    position: usize,
    wrong: &Wrong<'_>,
    vars: &Variables,
) -> Diagnostic {
    let have = match wrong.have {
        Some(have) => format!("(type) {}", type_text(have)),
        None => reference.args.get(position).map(|arg| term_text(arg, vars)).unwrap_or_default(),
    };
    let want = if wrong.one_of.is_empty() {
        format!("(type) {}", type_text(wrong.want))
    } else {
        format!("one of {}", keys_text(wrong.one_of))
    };
    let message = format!("undefined ref: {}: have {have}, want {want}", reference_text(reference, vars));
    let before = Reference {
        head: reference.head.clone(),
        args: reference.args.get(..position).unwrap_or_default().to_vec(),
    };
    let hint = format!("`{}` has no such key, so this is never defined", reference_text(&before, vars));
    finding(span, DiagnosticCode::Type, message, Some(&hint))
}

/// A step into a value that has no parts; the value is what is before the step at `position`.
pub(super) fn no_parts(
    span: Span,
    reference: &Reference,
    position: usize,
    have: &Type,
    vars: &Variables,
) -> Diagnostic {
    let before = Reference {
        head: reference.head.clone(),
        args: reference.args.get(..position).unwrap_or_default().to_vec(),
    };
    let before = reference_text(&before, vars);
    let message = format!(
        "undefined ref: {}: have {before} of type {}",
        reference_text(reference, vars),
        type_text(have)
    );
    let hint = match have {
        Type::Function(_) => format!("`{before}` is a function: call it"),
        _ => format!("`{before}` has nothing below it, so this is never defined"),
    };
    finding(span, DiagnosticCode::Type, message, Some(&hint))
}

/// A reference as it is written, names resolved. What is computed elsewhere is `…`.
pub(super) fn reference_text(reference: &Reference, vars: &Variables) -> String {
    let mut text = match &reference.head {
        RefHead::Input => "input".to_owned(),
        RefHead::Data => "data".to_owned(),
        RefHead::Var(var) => vars.name(*var).unwrap_or("…").to_owned(),
        RefHead::Term(term) => term_text(term, vars),
    };
    for arg in &reference.args {
        match &arg.kind {
            TermKind::String(name) if is_name(name) => {
                text.push('.');
                text.push_str(name);
            }
            _ => {
                text.push('[');
                text.push_str(&term_text(arg, vars));
                text.push(']');
            }
        }
    }
    text
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The name of a function that a `with` replaces.
pub(super) fn callee_text(term: &Term, vars: &Variables) -> String {
    match &term.kind {
        TermKind::Builtin(name) => name.clone(),
        _ => term_text(term, vars),
    }
}

fn term_text(term: &Term, vars: &Variables) -> String {
    let list = |items: &[Term]| items.iter().map(|item| term_text(item, vars)).collect::<Vec<_>>().join(", ");
    match &term.kind {
        TermKind::Var(var) => vars.name(*var).unwrap_or("…").to_owned(),
        TermKind::Ref(reference) => reference_text(reference, vars),
        TermKind::Builtin(name) => name.clone(),
        TermKind::Set(items) if items.is_empty() => "set()".to_owned(),
        TermKind::Set(items) => format!("{{{}}}", list(items)),
        TermKind::Array(items) => format!("[{}]", list(items)),
        TermKind::Object(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", term_text(key, vars), term_text(value, vars)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        TermKind::Closure(_) | TermKind::Call(..) => "…".to_owned(),
        _ => term.constant().map_or_else(String::new, |key| super::show::key(&key)),
    }
}

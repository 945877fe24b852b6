//! Modules in v0, and whether OPA's compiler takes them.

use portcullis_rego::{Program, Query, Unit, unavailable_builtins};
use portcullis_rego_syntax::{Diagnostic, Version, line_col, parse, resolve, types};
use serde::Deserialize;
use serde_json::Value;

use super::Judgement;

#[derive(Deserialize)]
struct Case {
    module: String,
    refused: bool,
    /// The class of the first error.
    code: Option<String>,
    /// The errors, after the name of the file: the first begins with its line.
    error: Option<String>,
}

/// Why a module is refused: the first reason by its place.
struct Refusal {
    class: &'static str,
    line: u32,
    message: String,
}

pub(super) fn judge(case: &Value) -> Result<Judgement, String> {
    let case = Case::deserialize(case).map_err(|error| error.to_string())?;
    let refusal = refusal(&case.module);
    let shown = || case.module.replace('\n', "\\n");
    let mut notes = Vec::new();
    let difference = match (&refusal, case.refused) {
        (None, false) => None,
        (None, true) => {
            let error = case.error.as_deref().unwrap_or_default().replace('\n', " ");
            Some(format!("taken, though OPA refuses it: {} | {error}", shown()))
        }
        (Some(refusal), false) => {
            Some(format!("refused, though OPA takes it: {} | {}", shown(), refusal.message))
        }
        (Some(refusal), true) => {
            let error = case.error.as_deref().unwrap_or_default();
            let line = error.split(':').next().and_then(|line| line.parse().ok());
            notes.push(("have and want", says_the_same(error, &refusal.message)));
            let (class, agrees) = (case.code.as_deref(), line == Some(refusal.line));
            (class != Some(refusal.class) || !agrees).then(|| {
                let class = class.unwrap_or_default();
                let (is, at) = (refusal.class, refusal.line);
                format!("refused for another reason: {} | line {at}: {is}, not {class}: {error}", shown())
            })
        }
    };
    Ok(Judgement { text: case.module.clone(), difference, notes })
}

/// Whether the types that OPA reports are reported.
fn says_the_same(error: &str, message: &str) -> bool {
    let first = error.split("\na.rego:").next().unwrap_or_default();
    let told = ["have: ", "want: ", "left  : ", "right : "];
    first
        .lines()
        .filter_map(|line| told.iter().find_map(|label| line.trim_start().strip_prefix(label)))
        .all(|told| message.contains(told))
}

/// Why the module is refused, if it is.
fn refusal(text: &str) -> Option<Refusal> {
    let refused = |diagnostic: &Diagnostic| Refusal {
        class: diagnostic.code.class(),
        line: line_col(text, diagnostic.span.start).0,
        message: diagnostic.message.clone(),
    };
    let parsed = parse(text, Version::V0);
    if let Some(first) = parsed.diagnostics.first() {
        return Some(refused(first));
    }
    let names = resolve(&parsed.module);
    if let Some(first) = names.diagnostics.first() {
        return Some(refused(first));
    }
    let checked = types::check(&[(&parsed.module, &names)]);
    if let Some((_, first)) = checked.findings.first() {
        return Some(refused(first));
    }
    if !checked.is_complete {
        return Some(Refusal { class: "", line: 0, message: "too much work to check it".to_owned() });
    }
    let unit = Unit { module: &parsed.module, names: &names };
    // OPA has builtins that are not for admission policies. Their types are known all the same.
    if !unavailable_builtins(&unit, 0).is_empty() {
        return None;
    }
    let path = parsed.module.package_path();
    let error = Program::compile(&[unit], &Query::Path(&path)).err()?.into_iter().next()?;
    let line = line_col(text, error.span.start).0;
    Some(Refusal { class: "rego_compile_error", line, message: error.message })
}

//! Every module of OPA's compliance suite parses and resolves clean. None of its cases wants an error
//! before evaluation.
//!
//! The cases are no part of the project: `portcullis_testkit::shared` says where they are looked for.

use portcullis_rego_syntax::{Environment, Version, line_col, parse, resolve_in};

/// Notes of cases whose modules are expected to have findings, with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[];

#[test]
fn compliance_modules_parse_and_resolve_clean() {
    let Some(path) = portcullis_testkit::shared("opa-compliance/cases.jsonl") else { return };
    let text = std::fs::read_to_string(path).expect("the cases");
    let mut modules = 0;
    let mut failures = Vec::new();
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).expect("a case is JSON");
        let note = case["note"].as_str().unwrap_or_default();
        if EXCEPTIONS.iter().any(|(exception, _)| *exception == note) {
            continue;
        }
        let sources: Vec<&str> =
            case["modules"].as_array().into_iter().flatten().filter_map(|module| module.as_str()).collect();
        let parsed: Vec<_> = sources.iter().map(|source| parse(source, Version::V1)).collect();
        for (source, this) in sources.iter().zip(&parsed) {
            modules += 1;
            let siblings =
                parsed.iter().filter(|other| other.module.package_path() == this.module.package_path());
            let package_rules =
                siblings.flat_map(|other| &other.module.rules).map(|rule| rule.name().to_owned()).collect();
            let names = resolve_in(&this.module, &Environment { package_rules, ..Environment::default() });
            for diagnostic in this.diagnostics.iter().chain(&names.diagnostics) {
                let (line, column) = line_col(source, diagnostic.span.start);
                let text = source.lines().nth(line as usize - 1).unwrap_or_default();
                failures.push(format!("{note}: {line}:{column}: {diagnostic}\n    {text}"));
            }
        }
    }
    assert!(modules > 1000, "only {modules} modules read");
    assert!(failures.is_empty(), "{} findings:\n{}", failures.len(), failures.join("\n"));
}

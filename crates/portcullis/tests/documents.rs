//! The cases of `testdata/documents`: a text, what it reads as, and every problem with its position.
//!
//! A case file is a stream of documents with `name`, `input`, optionally `file` (the name of the source), `documents`
//! (what must come out, in order) and `problems` (lines as [`line`] prints them).

use std::fs;
use std::path::Path;

use portcullis::{Document, Error, Severity};
use serde_json::Value;

#[test]
fn cases_read_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/documents");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut failures = Vec::new();
    let mut cases = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy();
        let (documents, problems) = Document::read_all(&name, &text);
        assert_eq!(problems, [], "the cases themselves");
        for case in documents {
            cases += 1;
            if let Err(failure) = run(&case.to_json()) {
                failures.push(format!("{}: {failure}", case.location()));
            }
        }
    }
    assert!(cases > 0);
    assert!(failures.is_empty(), "{} of {cases} cases fail\n\n{}", failures.len(), failures.join("\n"));
}

fn run(case: &Value) -> Result<(), String> {
    let field = |name: &str| case.get(name).cloned();
    let name = field("name").and_then(|name| name.as_str().map(str::to_owned)).expect("a name");
    let input = field("input").and_then(|input| input.as_str().map(str::to_owned)).expect("an input");
    let file =
        field("file").and_then(|file| file.as_str().map(str::to_owned)).unwrap_or("in.yaml".to_owned());

    let (documents, problems) = Document::read_all(&file, &input);
    let documents: Vec<Value> = documents.iter().map(Document::to_json).collect();
    let problems: Vec<Value> = problems.iter().map(|problem| Value::from(line(problem))).collect();
    let expected = |name: &str| field(name).unwrap_or_else(|| Value::Array(Vec::new()));
    if Value::from(documents.clone()) == expected("documents")
        && Value::from(problems.clone()) == expected("problems")
    {
        return Ok(());
    }
    let lines: String = problems.iter().map(|problem| format!("\n  - {problem}")).collect();
    Err(format!("{name}\ndocuments: {}\nproblems:{lines}\n", Value::from(documents)))
}

/// `line:column-line:column kind: message; hint`, warnings marked as such.
fn line(problem: &Error) -> String {
    let place = problem.location().map_or_else(String::new, |location| {
        let (end_line, end_column) = location.end();
        format!("{}:{}-{end_line}:{end_column} ", location.line(), location.column())
    });
    let warning = if problem.severity() == Severity::Warning { "warning " } else { "" };
    let hint = problem.help().map_or_else(String::new, |hint| format!("; {hint}"));
    format!("{place}{warning}{}: {}{hint}", problem.kind().code(), problem.message())
}

//! What programs in other languages are told, beside what the command line tells: the same.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_embed::{Engine, NoHost};
use serde_json::{Value, json};

use super::{Run, run_in};

/// Places in other languages have ends as well, and leave out what is not there.
fn plain(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, value| match key.as_str() {
                "endLine" | "endColumn" | "constraint" => false,
                "location" | "error" => !value.is_null(),
                _ => true,
            });
            fields.values_mut().for_each(plain);
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Why and how to make it go, of all cases of some of our own policies.
#[test]
fn programs_in_other_languages_are_told_the_same() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let (mut explained, mut fixes) = (0, 0);
    let families = ["pod-security", "general", "tenancy"].map(|family| listed(&policies.join(family)));
    let folders: Vec<PathBuf> =
        families.into_iter().flatten().filter(|folder| folder.join("template.yaml").is_file()).collect();
    assert!(folders.len() > 20, "{}", folders.len());
    // Objects that are judged together are compared with each other, and those that are judged alone are not.
    let compares = |folder: &&PathBuf| {
        fs::read_to_string(folder.join("template.yaml")).unwrap().contains("data.inventory")
    };
    for folder in folders.iter().filter(|folder| !compares(folder)).step_by(4) {
        for case in listed(&folder.join("samples")) {
            let name = |file: &str| format!("samples/{}/{file}", case.file_name().unwrap().to_str().unwrap());
            let constraint = name("constraint.yaml");
            let objects: Vec<String> = listed(&case)
                .iter()
                .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
                .filter(|file| file.starts_with("violation") || file.starts_with("allowed"))
                .map(|file| name(&file))
                .collect();
            if objects.is_empty() || !folder.join(&constraint).is_file() {
                continue;
            }
            let files: Vec<&str> = objects.iter().map(String::as_str).collect();
            let with = ["--policies", "template.yaml", "--policies", &constraint, "-o", "json"];
            let run = |command: &[&str]| -> Vec<Value> {
                let Run { stdout, .. } = run_in(folder, &[command, &with[..], &files[..]].concat());
                serde_json::from_str(&stdout).unwrap()
            };
            let told = run(&["explain"]).into_iter().map(|mut one| one["explanation"].take());
            let found = run(&["test", "--fixes"]).into_iter().map(|one| {
                let fix = one.pointer("/fixes/0").cloned().unwrap_or_default();
                json!([one["msg"], fix["edits"], fix["isDecided"]])
            });

            let text = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
            let document = |name: &str| json!({"name": name, "text": text(name)});
            let request =
                json!({"version": 1, "documents": [document("template.yaml"), document(&constraint)]});
            let compiled = Engine::compile(request.to_string().as_bytes());
            let engine = compiled.engine.unwrap();
            let (mut expected, mut fixed) = (Vec::new(), Vec::new());
            for file in &objects {
                let options =
                    json!({"name": file, "point": "gator.gatekeeper.sh", "explain": "all", "fixes": true});
                let answer = engine.review(text(file).as_bytes(), options.to_string().as_bytes(), &NoHost);
                let mut answer: Value = serde_json::from_str(&answer).unwrap();
                assert_eq!(answer["unexplained"], 0, "{file}: {answer}");
                expected.extend(answer["explanations"].as_array().unwrap().clone());
                for found in answer["findings"].as_array_mut().unwrap() {
                    // The command line edits files, and no requests.
                    let is_request = text(file).contains("kind: AdmissionReview");
                    let fix = if is_request { Value::Null } else { found["fix"].take() };
                    fixed.push(json!([found["message"], fix["edits"], fix["isDecided"]]));
                }
            }
            let mut told: Vec<Value> = told.collect();
            told.iter_mut().chain(&mut expected).for_each(plain);
            assert_eq!(told, expected, "{}", case.display());
            assert_eq!(found.collect::<Vec<_>>(), fixed, "{}", case.display());
            explained += told.len();
            fixes += fixed.iter().filter(|one| !one[1].is_null()).count();
        }
    }
    assert!(explained > 100 && fixes > 10, "{explained} explanations, {fixes} fixes");
}

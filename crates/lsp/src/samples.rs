//! What objects have that a policy is tested with: the samples of the suites that name its template.

use std::collections::BTreeMap;
use std::path::Path;

use portcullis::Limits;
use portcullis_sources::{InputFile, read_file};
use serde_json::Value;

use crate::index::Index;
use crate::uri::without_detours;

/// Most samples that are read for one question, and how large each may be.
const MOST: usize = 50;
const BYTES: usize = 1 << 20;
/// Most values that are told.
const VALUES: usize = 8;
/// Most characters of each.
const LENGTH: usize = 120;

/// Values at a path, each with a sample that has it. `path` begins with `object` or `oldObject`.
pub fn values(index: &Index, template: &Path, path: &[Option<String>]) -> Vec<(String, String)> {
    let Some((root, below)) = path.split_first() else { return Vec::new() };
    let limits = Limits { source_bytes: BYTES, ..Limits::default() };
    let mut files: Vec<_> = Vec::new();
    for (folder, test) in index.tests_of(template) {
        files.extend(
            test.cases.iter().map(|case| (without_detours(&folder.join(&*case.object)), case.object.clone())),
        );
    }
    files.sort();
    files.dedup();
    // In the order of the files; each value once.
    let mut values: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for (file, name) in files.into_iter().take(MOST) {
        for document in read_file(&InputFile::new(&file), &limits).0 {
            let value = document.to_json();
            let request = value
                .get("request")
                .filter(|_| value.get("kind").is_some_and(|kind| kind == "AdmissionReview"));
            let object = match (request, root.as_deref()) {
                (Some(request), Some(root)) => request.get(root),
                (None, Some("object")) => Some(&value),
                _ => None,
            };
            let mut at = Vec::new();
            collect(object.unwrap_or(&Value::Null), below, &mut at);
            for value in at {
                let text = shown(value);
                if values.insert(text.clone(), found.len()).is_none() && found.len() < VALUES {
                    found.push((text, name.to_string()));
                }
            }
        }
    }
    found
}

fn collect<'v>(value: &'v Value, path: &[Option<String>], found: &mut Vec<&'v Value>) {
    /// Lists in lists may have very many elements together.
    const FOUND: usize = 1000;
    if found.len() >= FOUND {
        return;
    }
    match (path.split_first(), value) {
        (None, Value::Null) => {}
        (None, value) => found.push(value),
        (Some((Some(name), rest)), Value::Object(fields)) => {
            if let Some(value) = fields.get(name) {
                collect(value, rest, found);
            }
        }
        (Some((None, rest)), Value::Array(items)) => items.iter().for_each(|item| collect(item, rest, found)),
        (Some((None, rest)), Value::Object(fields)) => {
            fields.values().for_each(|field| collect(field, rest, found));
        }
        _ => {}
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= LENGTH { text } else { text.chars().take(LENGTH).chain(['…']).collect() }
}

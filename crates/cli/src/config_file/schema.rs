//! The JSON Schema of configuration files, made of the table that they are read by.

use serde_json::{Map, Value, json};

use super::program;
use super::table::{COMMANDS, COMMON, EXCLUSIONS, Key, Kind, PathIn, common_keys, keys};

/// The JSON Schema.
pub fn schema() -> Value {
    let mut program = program();
    program.build();
    let mut sections = Map::new();
    let common = section(&common_keys(&program), "Of all commands that have these flags.");
    sections.insert(COMMON.to_owned(), common);
    for name in COMMANDS {
        let Some(command) = program.find_subcommand(name) else { continue };
        let about = format!("Flags of `portcullis {name}`.");
        let mut section = section(&keys(command), &about);
        let properties = section.get_mut("properties").and_then(Value::as_object_mut);
        if let Some(properties) = properties.filter(|_| name == "test") {
            properties.insert(EXCLUSIONS.to_owned(), exclusions());
        }
        sections.insert(name.to_owned(), section);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "portcullis.yaml",
        "description": "Flags of the commands of Portcullis. Paths and globs are relative to the folder of the file.",
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": sections,
    })
}

fn section(keys: &[Key], about: &str) -> Value {
    let properties: Map<String, Value> = keys.iter().map(|key| (key.name.clone(), property(key))).collect();
    json!({"description": about, "type": ["object", "null"], "additionalProperties": false, "properties": properties})
}

fn property(key: &Key) -> Value {
    let mut property = match &key.kind {
        Kind::Switch => json!({"type": ["boolean", "null"]}),
        Kind::One(words) => json!({"anyOf": [one(key, words), {"type": "null"}]}),
        Kind::Many(words) => {
            let one = one(key, words);
            json!({"anyOf": [one, {"type": "array", "items": one}, {"type": "null"}]})
        }
    };
    if let Some(fields) = property.as_object_mut() {
        fields.insert("description".to_owned(), json!(key.about));
    }
    property
}

/// One value. What a text has to be like beyond this is said by the flag.
fn one(key: &Key, words: &[String]) -> Value {
    match (words, key.path) {
        ([], _) => json!({"type": ["string", "number"], "minLength": 1}),
        (words, PathIn::BehindForm) => {
            json!({"type": "string", "pattern": format!("^({})(=.*)?$", words.join("|"))})
        }
        (words, _) => json!({"enum": words}),
    }
}

fn exclusions() -> Value {
    let text = json!({"type": "string", "minLength": 1});
    json!({
        "description": "Constraints that are not asked of some files. What they would find is counted as excepted.",
        "type": ["array", "null"],
        "items": {
            "type": "object",
            "additionalProperties": false,
            "required": ["constraint", "files", "reason"],
            "properties": {
                "constraint": {"type": "string", "minLength": 1, "description": "`Kind/name`, `Kind` or `name`."},
                "files": {"type": "array", "minItems": 1, "items": text, "description": "Globs as in `.gitignore`."},
                "reason": {"type": "string", "minLength": 1},
                "owner": {"type": ["string", "null"], "minLength": 1},
            },
        },
    })
}

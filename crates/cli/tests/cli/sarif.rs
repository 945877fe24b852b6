//! SARIF output against the standard: the parts that we write as a schema of our own, and the whole standard
//! if its schema is at hand.

use serde_json::{Value, json};

use super::{run_in, testdata};

fn reports() -> Vec<Value> {
    let arguments: [&[&str]; 4] = [
        &["lint", "lint", "nowhere", "-o", "sarif"],
        &["test", "-f", "policies", "-f", "manifests", "-o", "sarif"],
        &["test", "-f", "policies", "-f", "manifests", "--fixes", "-o", "sarif"],
        &["test", "-f", "policies", "-f", "manifests", "-f", "broken", "-f", "nowhere", "-o", "sarif"],
    ];
    arguments.iter().map(|args| serde_json::from_str(&run_in(&testdata(), args).stdout).unwrap()).collect()
}

#[track_caller]
fn check(schema: &Value) {
    let validator = jsonschema::validator_for(schema).unwrap();
    for report in reports() {
        let errors: Vec<_> = validator
            .iter_errors(&report)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
    }
}

#[test]
fn reports_are_built_as_code_scanning_wants_them() {
    let message = json!({
        "type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}},
    });
    let position = json!({"type": "integer", "minimum": 1});
    let region = json!({
        "type": "object",
        "properties": {"startLine": position, "startColumn": position, "endLine": position, "endColumn": position},
        "required": ["startLine", "startColumn", "endLine", "endColumn"], "additionalProperties": false,
    });
    let artifact = json!({
        "type": "object", "properties": {
            "uri": {"type": "string", "pattern": "^[-._~/%A-Za-z0-9:]+$"}, "uriBaseId": {"const": "%SRCROOT%"},
        },
        "required": ["uri"], "additionalProperties": false,
    });
    let location = json!({
        "type": "object", "required": ["physicalLocation"], "properties": {"physicalLocation": {
            "type": "object", "properties": {"artifactLocation": artifact, "region": region},
            "required": ["artifactLocation"], "additionalProperties": false,
        }},
    });
    let replacement = json!({
        "type": "object", "required": ["deletedRegion", "insertedContent"], "additionalProperties": false,
        "properties": {"deletedRegion": region, "insertedContent": {
            "type": "object", "required": ["text"], "additionalProperties": false,
            "properties": {"text": {"type": "string"}},
        }},
    });
    let fix = json!({
        "type": "object", "required": ["artifactChanges"], "additionalProperties": false, "properties": {
            "description": message,
            "artifactChanges": {"type": "array", "minItems": 1, "items": {
                "type": "object", "required": ["artifactLocation", "replacements"], "additionalProperties": false,
                "properties": {
                    "artifactLocation": artifact,
                    "replacements": {"type": "array", "minItems": 1, "items": replacement},
                },
            }},
        },
    });
    let level = json!({"enum": ["error", "warning", "note"]});
    check(&json!({
        "type": "object", "required": ["$schema", "version", "runs"], "properties": {
            "version": {"const": "2.1.0"},
            "runs": {"type": "array", "minItems": 1, "items": {
                "type": "object", "required": ["tool", "results", "invocations", "columnKind"], "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "tool": {"required": ["driver"], "properties": {"driver": {
                        "required": ["name", "rules"], "properties": {"rules": {"type": "array", "items": {
                            "required": ["id", "name", "shortDescription", "fullDescription", "help"],
                            "properties": {"shortDescription": message, "fullDescription": message, "help": message},
                        }}},
                    }}},
                    "results": {"type": "array", "minItems": 1, "items": {
                        "required": ["ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"],
                        "properties": {
                            "level": level, "message": message,
                            "fixes": {"type": "array", "minItems": 1, "items": fix},
                            "locations": {"type": "array", "minItems": 1, "items": location},
                            "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
                        },
                    }},
                    "invocations": {"type": "array", "items": {
                        "required": ["executionSuccessful"], "properties": {
                            "toolExecutionNotifications": {"type": "array", "items": {
                                "required": ["message", "level"], "properties": {"message": message, "level": level},
                            }},
                        },
                    }},
                },
            }},
        },
    }));
}

#[test]
fn rule_indexes_point_to_the_rule() {
    for report in reports() {
        let run = &report["runs"][0];
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        }
    }
}

#[test]
fn reports_are_valid_by_the_standard() {
    let schema = "a file with the JSON schema of SARIF 2.1.0";
    let Some(path) = portcullis_testkit::named("PORTCULLIS_SARIF_SCHEMA", schema) else { return };
    let mut schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    // As published they have a bracket too many, and are no regular expressions; we write no `language`.
    for place in ["run", "toolComponent"] {
        schema["definitions"][place]["properties"]["language"] = json!({});
    }
    check(&schema);
}

/// An alert must not be closed and opened anew because somebody added a line above it.
#[test]
fn fingerprints_survive_moved_lines() {
    let directory = tempfile::tempdir().unwrap();
    let policies = testdata().join("policies");
    let text = std::fs::read_to_string(testdata().join("manifests/pods.yaml")).unwrap();
    let report = |text: String| -> Value {
        std::fs::write(directory.path().join("pods.yaml"), text).unwrap();
        let args = ["test", "-p", policies.to_str().unwrap(), "pods.yaml", "-o", "sarif"];
        serde_json::from_str(&run_in(directory.path(), &args).stdout).unwrap()
    };
    let fingerprints = |report: &Value| -> Vec<Value> {
        let results = report["runs"][0]["results"].as_array().unwrap();
        let findings =
            results.iter().filter(|result| !result["ruleId"].as_str().unwrap().starts_with("input-"));
        findings.map(|result| result["partialFingerprints"].clone()).collect()
    };
    let before = fingerprints(&report(text.clone()));
    let after = fingerprints(&report(format!("# a comment\n\n{text}")));
    assert!(!before.is_empty());
    assert_eq!(before, after);
}

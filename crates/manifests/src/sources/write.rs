//! Templates as YAML, with Rego as people write it.

use portcullis::{Document, RegoVersion};
use serde_json::{Value, json};

use super::header::Header;

/// What a template is made of.
pub(super) struct Template<'a> {
    pub(super) kind: &'a str,
    pub(super) header: &'a Header,
    pub(super) version: RegoVersion,
    pub(super) rego: &'a str,
    pub(super) libs: &'a [String],
}

const TARGET: &str = "admission.k8s.gatekeeper.sh";

impl Template<'_> {
    /// The template. What would not be read as it was meant is an error.
    pub(super) fn to_yaml(&self) -> Result<String, String> {
        let head = self.head();
        let mut text = document(&head)?;
        // The specification is the last of all, and has nothing yet but the definition of its kind.
        text.push_str("  targets:\n  - target: ");
        text.push_str(TARGET);
        text.push('\n');
        let indent = match self.version {
            RegoVersion::V0 => 4,
            RegoVersion::V1 => {
                text.push_str("    code:\n    - engine: Rego\n      source:\n        version: v1\n");
                8
            }
        };
        let pad = " ".repeat(indent);
        text.extend([&pad, "rego: |\n", &block(self.rego, indent + 2)]);
        if !self.libs.is_empty() {
            text.extend([&pad, "libs:\n"]);
            for lib in self.libs {
                text.extend([&pad, "- |\n", &block(lib, indent + 2)]);
            }
        }
        let (documents, problems) = Document::read_all("template.yaml", &text);
        let is_meant = matches!(documents.as_slice(), [document] if document.to_json() == self.value(head));
        if problems.is_empty() && is_meant {
            return Ok(text);
        }
        Err("the text has characters that YAML does not keep, such as control characters".to_owned())
    }

    /// All but the target.
    fn head(&self) -> Value {
        let mut annotations = serde_json::Map::new();
        let header = self.header;
        for (key, text) in [("title", &header.title), ("description", &header.description)] {
            if let Some(text) = text {
                let key = if key == "title" { "metadata.gatekeeper.sh/title" } else { key };
                annotations.insert(key.to_owned(), text.as_str().into());
            }
        }
        let mut metadata = json!({"name": self.kind.to_lowercase()});
        if let (false, Some(metadata)) = (annotations.is_empty(), metadata.as_object_mut()) {
            metadata.insert("annotations".to_owned(), annotations.into());
        }
        let mut spec = json!({"names": {"kind": self.kind}});
        let has_parameters = header.parameters.as_object().is_some_and(|parameters| !parameters.is_empty());
        if let (true, Some(spec)) = (has_parameters, spec.as_object_mut()) {
            let schema = json!({"type": "object", "properties": header.parameters});
            spec.insert("validation".to_owned(), json!({"openAPIV3Schema": schema}));
        }
        json!({
            "apiVersion": "templates.gatekeeper.sh/v1",
            "kind": "ConstraintTemplate",
            "metadata": metadata,
            "spec": {"crd": {"spec": spec}},
        })
    }

    /// What is meant.
    fn value(&self, mut head: Value) -> Value {
        let mut source = json!({"rego": self.rego});
        if let (false, Some(source)) = (self.libs.is_empty(), source.as_object_mut()) {
            source.insert("libs".to_owned(), json!(self.libs));
        }
        let mut target = match self.version {
            RegoVersion::V0 => source,
            RegoVersion::V1 => {
                if let Some(source) = source.as_object_mut() {
                    source.insert("version".to_owned(), "v1".into());
                }
                json!({"code": [{"engine": "Rego", "source": source}]})
            }
        };
        if let Some(target) = target.as_object_mut() {
            target.insert("target".to_owned(), TARGET.into());
        }
        if let Some(spec) = head.get_mut("spec").and_then(Value::as_object_mut) {
            spec.insert("targets".to_owned(), json!([target]));
        }
        head
    }
}

/// A document as YAML.
pub(super) fn document(value: &Value) -> Result<String, String> {
    crate::to_yaml([value]).map_err(|error| error.to_string())
}

/// The lines of a text behind `|`.
fn block(text: &str, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{pad}{line}\n") };
    text.lines().map(line).collect()
}

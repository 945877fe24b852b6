//! What the comments before a package say of a policy: OPA's METADATA, or the tags that konstraint had.

use portcullis::{Document, Error, ErrorKind, Limits, Source};
use portcullis_rego_syntax::Span;
use serde_json::{Map, Value, json};

use super::module::Module;

/// What there is to say of a policy.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    /// The kind, if the folder's name is not to be it.
    pub(super) kind: Option<String>,
    pub(super) enforcement: Option<String>,
    pub(super) matchers: Option<Value>,
    /// A schema for each parameter.
    pub(super) parameters: Value,
    pub(super) annotations: Value,
    pub(super) labels: Value,
    pub(super) skips_template: bool,
    pub(super) skips_constraint: bool,
}

/// A line of a comment, without what makes it one.
struct Line<'m> {
    text: &'m str,
    span: Span,
}

impl Header {
    /// Of METADATA if there is any, or else of tags.
    pub(super) fn of(module: &Module) -> (Self, Vec<Error>) {
        let lines = lines_before_package(module);
        match lines.iter().position(|line| line.text.trim() == "METADATA") {
            Some(start) => Self::of_metadata(module, lines.get(start + 1..).unwrap_or_default()),
            None => Self::of_tags(module, &lines),
        }
    }

    fn of_metadata(module: &Module, lines: &[Line<'_>]) -> (Self, Vec<Error>) {
        // A space stands between the sign and the text, in all lines or in none.
        let texts: Vec<&str> =
            lines.iter().map(|line| line.text.strip_prefix(' ').unwrap_or(line.text)).collect();
        let at = lines.first().map_or_else(|| module.whole(), |line| module.at(line.span));
        let broken = |message: String| Error::new(ErrorKind::InvalidValue, message).at(at.clone());
        let source = Source::new(module.source.name().clone(), texts.join("\n"));
        let (documents, errors) = Document::read_source(&source, &Limits::default());
        if let Some(error) = errors.first() {
            let line = error.location().map_or(1, portcullis::Location::line).saturating_sub(1) as usize;
            let place = lines.get(line).map_or_else(|| at.clone(), |line| module.at(line.span));
            let message = format!("the METADATA is no YAML: {}", error.message());
            return (Self::default(), vec![Error::new(ErrorKind::Syntax, message).at(place)]);
        }
        let json = documents.first().map(Document::to_json).unwrap_or_default();
        let mut errors = Vec::new();
        let custom = json.get("custom").cloned().unwrap_or_default();
        let mut text = |of: &Value, key: &str| match of.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.trim().to_owned()),
            Some(_) => {
                errors.push(broken(format!("`{key}` of the METADATA must be a text")));
                None
            }
        };
        let (title, description) = (text(&json, "title"), text(&json, "description"));
        let (kind, enforcement) = (text(&custom, "kind"), text(&custom, "enforcement"));
        let mut flag = |key: &str| match custom.get(key) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                errors.push(broken(format!("`custom.{key}` of the METADATA must be true or false")));
                false
            }
        };
        let (skips_template, skips_constraint) = (flag("skipTemplate"), flag("skipConstraint"));
        let mut object = |key: &str| match custom.get(key) {
            None | Some(Value::Null) => None,
            Some(value @ Value::Object(_)) => Some(value.clone()),
            Some(_) => {
                errors.push(broken(format!("`custom.{key}` of the METADATA must be an object")));
                None
            }
        };
        let (matchers, parameters) = (object("matchers"), object("parameters"));
        let (annotations, labels) = (object("annotations"), object("labels"));
        let header = Self {
            title,
            description,
            kind,
            enforcement,
            matchers,
            parameters: parameters.unwrap_or_default(),
            annotations: annotations.unwrap_or_default(),
            labels: labels.unwrap_or_default(),
            skips_template,
            skips_constraint,
        };
        errors.extend(header.wrong_enforcement().map(broken));
        (header, errors)
    }

    fn wrong_enforcement(&self) -> Option<String> {
        let word = self.enforcement.as_deref()?;
        let is_known = ["deny", "warn", "dryrun"].contains(&word);
        (!is_known).then(|| format!("the enforcement must be `deny`, `warn` or `dryrun`, found `{word}`"))
    }

    /// `@title`, `@kinds`, `@parameter`, `@enforcement`, `@skip-template`, `@skip-constraint`, `@kind`; the other
    /// lines behind the title are the description.
    fn of_tags(module: &Module, lines: &[Line<'_>]) -> (Self, Vec<Error>) {
        let mut header = Self::default();
        let (mut errors, mut description) = (Vec::new(), Vec::new());
        let (mut kinds, mut parameters) = (Vec::new(), Map::new());
        for line in lines {
            let text = line.text.trim();
            let Some((tag, rest)) =
                text.strip_prefix('@').map(|tag| tag.split_once(' ').unwrap_or((tag, "")))
            else {
                description.push(text);
                continue;
            };
            let rest = rest.trim();
            let mut wrong = |message: String| {
                errors.push(Error::new(ErrorKind::InvalidValue, message).at(module.at(line.span)));
            };
            match tag {
                "title" => {
                    header.title = Some(rest.to_owned());
                    // What stands before it is about the file.
                    description.clear();
                }
                "kinds" => kinds.extend(rest.split_whitespace()),
                "kind" => header.kind = Some(rest.to_owned()),
                "enforcement" => header.enforcement = Some(rest.to_owned()),
                "skip-template" => header.skips_template = true,
                "skip-constraint" => header.skips_constraint = true,
                "parameter" => match parameter(rest) {
                    Some((name, schema)) => drop(parameters.insert(name, schema)),
                    None => {
                        wrong("expected `@parameter NAME TYPE` or `@parameter NAME array TYPE`".to_owned());
                    }
                },
                other => wrong(format!("there is no tag `@{other}`")),
            }
        }
        let description = description.join("\n").trim().to_owned();
        header.description = (header.title.is_some() && !description.is_empty()).then_some(description);
        header.parameters = parameters.into();
        let mut matched = Vec::new();
        for kind in kinds {
            let (group, kind) = kind.split_once('/').unwrap_or(("core", kind));
            let group = if group == "core" { "" } else { group };
            matched.push(json!({"apiGroups": [group], "kinds": [kind]}));
        }
        if !matched.is_empty() {
            header.matchers = Some(json!({"kinds": matched}));
        }
        let broken = |message| Error::new(ErrorKind::InvalidValue, message).at(module.whole());
        errors.extend(header.wrong_enforcement().map(broken));
        (header, errors)
    }
}

/// `labels array string -- which are required` as its name and schema.
fn parameter(text: &str) -> Option<(String, Value)> {
    const TYPES: [&str; 5] = ["string", "integer", "number", "boolean", "object"];
    let (words, description) = match text.split_once("--") {
        Some((words, description)) => (words, Some(description.trim())),
        None => (text, None),
    };
    let words: Vec<&str> = words.split_whitespace().collect();
    let (name, mut schema) = match words.as_slice() {
        [name, "array", of] if TYPES.contains(of) => (*name, json!({"type": "array", "items": {"type": of}})),
        [name, of] if TYPES.contains(of) => (*name, json!({"type": of})),
        _ => return None,
    };
    if let (Some(description), Some(schema)) = (description, schema.as_object_mut()) {
        schema.insert("description".to_owned(), description.into());
    }
    Some((name.to_owned(), schema))
}

/// The lines of comments before the package.
fn lines_before_package(module: &Module) -> Vec<Line<'_>> {
    let end = module.tree.package.as_ref().map_or(0, |package| package.span.start);
    let comments = module.tree.comments.iter().filter(|comment| comment.span.end <= end);
    let line = |comment: &portcullis_rego_syntax::ast::Comment| {
        let text = module.source.text().get(comment.span.start as usize..comment.span.end as usize);
        Line { text: text.unwrap_or_default().trim_start_matches('#'), span: comment.span }
    };
    comments.map(line).collect()
}

//! ConstraintTemplates and constraints from sources: files of Rego with a rule `violation`, and what their comments
//! say of them.
//!
//! ```text
//! files ── modules ──> header (METADATA, @tags) ──┐
//!             \── libraries that it reads ────────┴──> template, constraint ──> YAML
//! ```

mod conftest;
mod header;
mod module;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis::{Error, ErrorKind, Location, RegoFile, Source};
use serde_json::{Value, json};

pub use conftest::{Turned, from_conftest};
use header::Header;
use module::{Module, libraries};

/// What was made of one source.
#[derive(Clone, Debug)]
pub struct Built {
    /// The file that the policy is in; the first, if it is in several.
    pub source: Arc<Source>,
    /// The kind that the template defines.
    pub kind: String,
    /// Whether other sources lie in the same folder, so that files need the kind in their names.
    pub shares_folder: bool,
    /// The template, as YAML.
    pub template: String,
    /// The constraint, as YAML; none where the source says so, or the template has parameters.
    pub constraint: Option<String>,
}

impl Built {
    /// The name of the template, and of the constraint.
    #[must_use]
    pub fn name(&self) -> String {
        self.kind.to_lowercase()
    }
}

/// Makes a template of each file that has a rule `violation`, is no library and no test, and does not say
/// `skipTemplate`; and its constraint. Errors leave out the source that they are about.
#[must_use]
pub fn build(files: &[RegoFile]) -> (Vec<Built>, Vec<Error>) {
    let modules: Vec<Module> = files.iter().map(Module::of).collect();
    let mut errors: Vec<Error> = modules.iter().flat_map(|module| module.errors.iter().cloned()).collect();
    let is_source = |module: &&Module| module.is_policy() && module.errors.is_empty();
    let mut in_folder: BTreeMap<&str, usize> = BTreeMap::new();
    for module in modules.iter().filter(is_source) {
        *in_folder.entry(module.folder()).or_default() += 1;
    }
    let mut built: Vec<Built> = Vec::new();
    for module in modules.iter().filter(is_source) {
        let (header, found) = Header::of(module);
        let is_broken = !found.is_empty();
        errors.extend(found);
        if is_broken || header.skips_template {
            continue;
        }
        let shares_folder = in_folder.get(module.folder()).is_some_and(|sources| *sources > 1);
        let kind = header
            .kind
            .clone()
            .unwrap_or_else(|| kind_of(if shares_folder { module.stem() } else { module.folder_name() }));
        if let Some(error) = wrong_kind(&kind, module.whole()) {
            errors.push(error);
            continue;
        }
        if let Some(known) = built.iter().find(|built| built.name() == kind.to_lowercase()) {
            let message =
                format!("the kind would be `{kind}`, which that of `{}` is, too", known.source.name());
            let error = Error::new(ErrorKind::DuplicateResource, message).at(module.whole());
            errors.push(
                error.hint("name another one with `custom.kind` in the METADATA, or rename the folder"),
            );
            continue;
        }
        let libs = match libraries(module, &modules) {
            Ok(libs) => libs,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        let libs: Vec<String> = libs.into_iter().map(Module::code).collect();
        let template = write::Template {
            kind: &kind,
            header: &header,
            version: module.version,
            rego: &module.code(),
            libs: &libs,
        };
        let has_parameters = header.parameters.as_object().is_some_and(|parameters| !parameters.is_empty());
        let constraint = (!header.skips_constraint && !has_parameters).then(|| constraint(&kind, &header));
        let written = template.to_yaml().and_then(|template| {
            let constraint = constraint.map(|constraint| write::document(&constraint)).transpose()?;
            Ok((template, constraint))
        });
        match written {
            Ok((template, constraint)) => {
                let source = module.source.clone();
                built.push(Built { source, kind, shares_folder, template, constraint });
            }
            Err(message) => errors.push(Error::new(ErrorKind::UnsupportedValue, message).at(module.whole())),
        }
    }
    (built, errors)
}

fn constraint(kind: &str, header: &Header) -> Value {
    let mut metadata = serde_json::Map::new();
    metadata.insert("name".to_owned(), kind.to_lowercase().into());
    for (key, value) in [("annotations", &header.annotations), ("labels", &header.labels)] {
        if value.as_object().is_some_and(|entries| !entries.is_empty()) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    let mut constraint = json!({
        "apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": kind, "metadata": metadata,
    });
    let mut spec = serde_json::Map::new();
    if let Some(action) = header.enforcement.as_deref().filter(|action| *action != "deny") {
        spec.insert("enforcementAction".to_owned(), action.into());
    }
    if let Some(matchers) = &header.matchers {
        spec.insert("match".to_owned(), matchers.clone());
    }
    if let (false, Some(constraint)) = (spec.is_empty(), constraint.as_object_mut()) {
        constraint.insert("spec".to_owned(), spec.into());
    }
    constraint
}

/// `pod-deny-host_ipc` as `PodDenyHostIpc`.
fn kind_of(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let word = |word: &str| {
        let mut characters = word.chars();
        let first = characters.next().into_iter().flat_map(char::to_uppercase);
        first.chain(characters.as_str().to_lowercase().chars()).collect::<String>()
    };
    words.map(word).collect()
}

/// A text of Rego without its comments and blank lines, from the package on.
#[must_use]
pub fn without_comments(source: &Arc<Source>) -> String {
    let module = Module::of(&RegoFile::new(source.clone(), None));
    let mut kept = String::new();
    let start = module.tree.package.as_ref().map_or(0, |package| package.span.start) as usize;
    let mut from = start;
    let text = source.text();
    for comment in module.tree.comments.iter().filter(|comment| comment.span.start as usize >= start) {
        kept.push_str(text.get(from..comment.span.start as usize).unwrap_or_default());
        from = comment.span.end as usize;
    }
    kept.push_str(text.get(from..).unwrap_or_default());
    let lines = kept.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn wrong_kind(kind: &str, at: Location) -> Option<Error> {
    let is_plain = kind.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && kind.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && kind.len() <= 63;
    let message = format!("`{kind}` is no kind: expected at most 63 letters and digits, a letter first");
    let hint = "it is made of the folder's name; name another one with `custom.kind` in the METADATA";
    (!is_plain).then(|| Error::new(ErrorKind::InvalidValue, message).at(at).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::kind_of;

    #[test]
    fn kinds_are_made_of_names() {
        assert_eq!(kind_of("pod-volume-size_limits"), "PodVolumeSizeLimits");
        assert_eq!(kind_of("container"), "Container");
        assert_eq!(kind_of("--"), "");
    }
}

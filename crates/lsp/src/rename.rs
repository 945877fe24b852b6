//! Names that are changed everywhere: only if everything means afterwards what it meant before.

use std::collections::BTreeMap;
use std::path::PathBuf;

use portcullis::{Document, Error, Limits, Severity, Source};
use portcullis_rego_syntax::builtins::is_builtin;

use crate::checks::Checks;
use crate::index::{Entry, Index};
use crate::navigate::{Place, Target, identity, places};
use crate::rego::Symbol;
use crate::schema::Schema;
use crate::spot::program;

/// Why a name stays.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    /// It is not somebody's own.
    #[error("this is not yours to name: {0}")]
    NotYours(&'static str),
    /// The new one is none.
    #[error("expected a name of letters, digits and `_` that does not begin with a digit, found `{0}`")]
    NoName(String),
    /// Something has that name already.
    #[error("there is `{0}` already: both would mean the same")]
    Taken(String),
    /// Something else would be meant then.
    #[error("`{0}` would change what the policy means: {1}")]
    Meaning(String, &'static str),
    /// There is something that cannot be edited.
    #[error("a place that has this name cannot be edited exactly: write the text as a block (`|`) first")]
    Inexact,
}

/// A text that is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Its bytes.
    pub range: std::ops::Range<usize>,
    /// What comes.
    pub new: String,
}

/// The edits of each file.
pub type Edits = BTreeMap<PathBuf, Vec<Edit>>;

/// Whether something may be renamed at all.
pub fn may_rename(index: &Index, target: &Target) -> Result<(), Refused> {
    match target {
        Target::Rego { symbol: Symbol::Rule { name, .. }, .. } if name == "violation" => {
            Err(Refused::NotYours("Gatekeeper asks for rules that are called `violation`"))
        }
        Target::Rego { symbol: Symbol::Builtin(_), .. } => Err(Refused::NotYours("it is a function of Rego")),
        Target::Rego { symbol: Symbol::Input(_), .. } => {
            Err(Refused::NotYours("it is a field of what is reviewed"))
        }
        Target::Kind(_) => Err(Refused::NotYours("constraints in clusters have this kind, too")),
        Target::File(_) => Err(Refused::NotYours("it is a file")),
        Target::Parameter { kind, path } => {
            let mut schemas = index.templates(kind).filter_map(Schema::of);
            let is_known = schemas.any(|schema| schema.path_of(path).is_some());
            if is_known {
                Ok(())
            } else {
                Err(Refused::NotYours("the schema of the template does not have it"))
            }
        }
        Target::Rego { .. } | Target::Variable { .. } => Ok(()),
    }
}

/// The edits that change a name everywhere.
///
/// # Errors
///
/// If the name is none, is taken, or something would mean something else.
pub fn rename(
    index: &Index,
    root: &std::path::Path,
    target: &Target,
    new: &str,
    checks: &dyn Checks,
) -> Result<Edits, Refused> {
    may_rename(index, target)?;
    let is_name = new.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && new != "_"
        && new.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(Refused::NoName(new.to_owned()));
    }
    if matches!(target, Target::Rego { .. }) && is_builtin(new) {
        return Err(Refused::Taken(new.to_owned()));
    }
    if let Target::Parameter { kind, path } = target {
        let parents = path.split_last().map(|(_, parents)| parents).unwrap_or_default();
        let schemas: Vec<Schema> = index.templates(kind).filter_map(Schema::of).collect();
        let is_taken =
            schemas.iter().any(|schema| schema.below(parents).iter().any(|(name, _)| *name == new));
        if is_taken {
            return Err(Refused::Taken(new.to_owned()));
        }
    }
    let mut edits = Edits::new();
    for place in places(index, target) {
        edits.entry(place.path.clone()).or_default().push(edit(index, target, &place, new)?);
    }
    if let Target::Parameter { kind, path } = target {
        required(index, kind, path, new, &mut edits);
    }
    for edits in edits.values_mut() {
        edits.sort_by_key(|edit| edit.range.start);
        edits.dedup();
    }
    verify(index, root, target, new, &edits, checks)?;
    Ok(edits)
}

/// The old name at a place.
fn edit(index: &Index, target: &Target, place: &Place, new: &str) -> Result<Edit, Refused> {
    let range = place.location.range();
    let range = range.start as usize..range.end as usize;
    let text = place.location.source().text();
    let written = text.get(range.clone()).unwrap_or_default();
    let old = match target {
        Target::Rego { symbol, document } => match symbol {
            Symbol::Rule { name, .. } => name.clone(),
            Symbol::Local { module, id } => {
                let entry = index.file(&document.0).iter().find(|entry| identity(entry) == *document);
                let program = entry.and_then(program).ok_or(Refused::Inexact)?;
                let module = program.modules.get(*module).ok_or(Refused::Inexact)?;
                module.names.local(*id).ok_or(Refused::Inexact)?.name.clone()
            }
            Symbol::Import { module, index: import } => {
                let entry = index.file(&document.0).iter().find(|entry| identity(entry) == *document);
                let program = entry.and_then(program).ok_or(Refused::Inexact)?;
                let import = program.modules.get(*module).and_then(|module| module.ast.imports.get(*import));
                let import = import.ok_or(Refused::Inexact)?;
                let name = import.name().ok_or(Refused::Inexact)?.text.clone();
                if place.is_definition && import.alias.is_none() {
                    // What is imported keeps its name.
                    return if written == name {
                        Ok(Edit { range: range.end..range.end, new: format!(" as {new}") })
                    } else {
                        Err(Refused::Inexact)
                    };
                }
                name
            }
            Symbol::Parameter(_) | Symbol::Input(_) | Symbol::Builtin(_) => return Err(Refused::Inexact),
        },
        Target::Parameter { path, .. } => path.last().cloned().flatten().ok_or(Refused::Inexact)?,
        Target::Variable { name, .. } => name.clone(),
        Target::Kind(_) | Target::File(_) => return Err(Refused::Inexact),
    };
    // Keys and values of YAML may be in quotes.
    let inner = [('"', '"'), ('\'', '\'')].iter().find_map(|(open, close)| {
        let inner = written.strip_prefix(*open)?.strip_suffix(*close)?;
        (inner == old).then_some(range.start + 1..range.end - 1)
    });
    match inner {
        Some(range) => Ok(Edit { range, new: new.to_owned() }),
        None if written == old => Ok(Edit { range, new: new.to_owned() }),
        None => Err(Refused::Inexact),
    }
}

/// Lists of what has to be given name parameters, too.
fn required(index: &Index, kind: &str, path: &[Option<String>], new: &str, edits: &mut Edits) {
    let Some((Some(name), parents)) = path.split_last() else { return };
    for entry in index.templates(kind) {
        let Some(schema) = Schema::of(entry) else { continue };
        let listed = schema.of_parameter(parents).and_then(|schema| schema.get("required"));
        let (Some(listed), Some(at)) =
            (listed.and_then(serde_json::Value::as_array), schema.path_of(parents))
        else {
            continue;
        };
        for (number, item) in listed.iter().enumerate() {
            let location = entry.document.locate(&at.child("required").child(number));
            if let Some(location) = location.filter(|_| item.as_str() == Some(name)) {
                let range = location.range();
                let written = location.source().text().get(range.start as usize..range.end as usize);
                let new = written.map_or_else(String::new, |written| written.replace(name.as_str(), new));
                let range = range.start as usize..range.end as usize;
                edits.entry(entry.path.clone()).or_default().push(Edit { range, new });
            }
        }
    }
}

/// A text with edits that follow each other.
pub fn edited(text: &str, edits: &[Edit]) -> Option<String> {
    let (mut new, mut at) = (String::new(), 0);
    for edit in edits {
        new.push_str(text.get(at..edit.range.start)?);
        new.push_str(&edit.new);
        at = edit.range.end;
    }
    new.push_str(text.get(at..)?);
    Some(new)
}

/// Reads what would come of it: each name means what it meant, and nothing more is wrong.
fn verify(
    index: &Index,
    root: &std::path::Path,
    target: &Target,
    new: &str,
    edits: &Edits,
    checks: &dyn Checks,
) -> Result<(), Refused> {
    let meaning = |why| Refused::Meaning(new.to_owned(), why);
    let (mut before, mut after) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for (path, edits) in edits {
        let Some(first) = index.file(path).first() else { return Err(Refused::Inexact) };
        let text = first.document.source().text();
        let text = edited(text, edits).ok_or(Refused::Inexact)?;
        let source = Source::new(first.document.source().name().clone(), text);
        let (documents, problems) = Document::read_source(&source, &Limits::default());
        let entries: Vec<Entry> =
            documents.iter().map(|document| Entry::of(root, document.clone())).collect();
        if entries.len() != index.file(path).len() {
            return Err(meaning("the file would not be read as it is now"));
        }
        for (old, new) in index.file(path).iter().zip(&entries) {
            let (Some(old), Some(new)) = (program(old), program(new)) else { continue };
            let mistakes = |modules: &crate::rego::Program| -> usize {
                modules.modules.iter().map(|module| module.mistakes).sum()
            };
            if mistakes(&new) > mistakes(&old) || old.shape() != new.shape() {
                return Err(meaning("a name would mean something else, or be none"));
            }
        }
        before.0.extend(index.file(path).iter().map(|entry| entry.document.clone()));
        after.0.extend(documents);
        after.1.extend(problems);
    }
    // What is said of names in Rego was compared; of the others, whoever checks policies knows.
    if matches!(target, Target::Parameter { .. } | Target::Variable { .. }) {
        let grave =
            |errors: &[Error]| errors.iter().filter(|error| error.severity() == Severity::Error).count();
        if grave(&checks.part(after.0, after.1, &[]))
            > grave(&checks.part(before.0, std::mem::take(&mut before.1), &[]))
        {
            return Err(meaning("something would be wrong that is not wrong now"));
        }
    }
    Ok(())
}

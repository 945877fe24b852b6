//! What is at a place of a file: Rego, CEL, or a field of YAML.

use portcullis::{FieldPath, PolicyLanguage, PolicyText, Resource};

use crate::index::Entry;
use crate::rego::Program;

/// What is at a place.
#[derive(Debug)]
pub enum Spot<'i> {
    /// A module of Rego.
    Rego {
        /// The document that it is in.
        entry: &'i Entry,
        /// All modules of it.
        program: Program,
        /// Which one of them.
        module: usize,
        /// The byte in its text.
        offset: u32,
    },
    /// An expression of CEL.
    Cel {
        /// The document that it is in.
        entry: &'i Entry,
        /// The field that holds it.
        path: FieldPath,
        /// Its text.
        text: &'i str,
        /// The byte in it.
        offset: u32,
    },
    /// Anything else of a document.
    Yaml {
        /// The document.
        entry: &'i Entry,
        /// The field.
        path: FieldPath,
        /// Whether it is the name of the field.
        is_key: bool,
    },
}

/// The texts of programs in a document.
pub fn texts(entry: &Entry) -> Vec<PolicyText<'_>> {
    entry.resource.as_deref().map(Resource::texts).unwrap_or_default()
}

/// The Rego of a document.
pub fn program(entry: &Entry) -> Option<Program> {
    Program::of(&texts(entry))
}

/// What is at a byte of a file.
pub fn spot(entries: &[Entry], offset: usize) -> Option<Spot<'_>> {
    let at = u32::try_from(offset).ok()?;
    for entry in entries {
        for text in texts(entry) {
            let Some(inside) = entry.document.offset_in_text(text.path, at) else { continue };
            match text.language {
                PolicyLanguage::Cel => {
                    let (path, text) = (text.path.clone(), text.text);
                    return Some(Spot::Cel { entry, path, text, offset: inside });
                }
                PolicyLanguage::Rego(_) => {
                    let program = program(entry)?;
                    let module = program.module(text.path)?.0;
                    return Some(Spot::Rego { entry, program, module, offset: inside });
                }
            }
        }
    }
    entries.iter().find_map(|entry| {
        let (path, is_key) = entry.document.path_at(at)?;
        Some(Spot::Yaml { entry, path, is_key })
    })
}

//! What rules are asked about: one document, or many together.

use std::sync::Arc;

use crate::document::Document;
use crate::review::{Judged, Thing};
use crate::value::{self, Value};

/// What `input` is.
#[derive(Clone)]
pub struct ModuleInput {
    pub(super) value: Value,
    pub(super) judged: Arc<Judged>,
    /// The name and the directory of the file, which policies find at `data.conftest.file`.
    pub(super) file: Option<(Arc<str>, Arc<str>)>,
}

impl ModuleInput {
    /// A document: `input` is the whole of it.
    #[must_use]
    pub fn of(document: Document) -> Self {
        let value = document.value().clone();
        Self { value, judged: Judged::new(Thing::Document(document)), file: None }
    }

    /// Documents that are judged together, as conftest's `--combine` has it: `input` is a list of
    /// `{path, contents}`, in the order of the paths.
    #[must_use]
    pub fn together(mut documents: Vec<Document>) -> Self {
        // Stable: documents of one file stay in their order.
        documents.sort_by(|a, b| a.source().name().cmp(b.source().name()));
        let item = |document: &Document| {
            let path = Value::from(&**document.source().name());
            value::object([("path", path), ("contents", document.value().clone())])
        };
        let value: Value = documents.iter().map(item).collect();
        Self { value: value.clone(), judged: Judged::new(Thing::Together(value, documents)), file: None }
    }

    /// Which file it is, for policies that ask: its name, and the directory that it is in.
    #[must_use]
    pub fn in_file(self, name: &str, directory: &str) -> Self {
        Self { file: Some((name.into(), directory.into())), ..self }
    }
}

//! What was judged: an object, or for files of Rego a document of any kind.

use std::fmt;

use portcullis::{Document, Location, Object};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::ObjectName;

/// What was judged.
#[derive(Clone, Debug)]
pub enum Subject {
    /// An object of Kubernetes.
    Object(Object),
    /// A document that is none, with what tells it from others of its file.
    Document {
        /// The document.
        document: Document,
        /// Its number in the file, from 1, if there are several.
        number: Option<usize>,
    },
    /// Documents that were judged together.
    Together {
        /// How many.
        documents: usize,
        /// The first of them.
        first: Location,
    },
}

impl Subject {
    /// How reports call it.
    pub fn name(&self) -> ObjectName {
        let other = |kind: &str, name: String| ObjectName {
            kind: kind.into(),
            name: name.into(),
            ..ObjectName::default()
        };
        match self {
            Self::Object(object) => ObjectName::of(object),
            Self::Document { document, number } => {
                let file = document.source().name();
                other(
                    "document",
                    number.map_or_else(|| file.to_string(), |number| format!("{file}#{number}")),
                )
            }
            Self::Together { documents, .. } => other("documents", format!("{documents} together")),
        }
    }

    /// Group, version and kind of an object; empty for others.
    pub fn gvk(&self) -> String {
        match self {
            Self::Object(object) => object.gvk().to_string(),
            Self::Document { .. } | Self::Together { .. } => String::new(),
        }
    }

    /// Where it was read.
    pub fn location(&self) -> Option<Location> {
        match self {
            Self::Object(object) => object.location(),
            Self::Document { document, .. } => Some(document.location()),
            Self::Together { first, .. } => Some(first.clone()),
        }
    }

    /// How reports call it where the word for what it is stands before.
    pub fn title(&self) -> String {
        match self {
            Self::Object(object) => object.to_string(),
            Self::Document { .. } | Self::Together { .. } => self.name().name.to_string(),
        }
    }

    /// The word for what it is.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Object(_) => "object",
            Self::Document { .. } => "document",
            Self::Together { .. } => "documents",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => object.fmt(f),
            Self::Document { .. } | Self::Together { .. } => self.name().fmt(f),
        }
    }
}

/// What it holds; of documents together their number, since all of them would stand in every finding.
impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(object) => object.serialize(serializer),
            Self::Document { document, .. } => document.serialize(serializer),
            Self::Together { documents, .. } => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("documents", documents)?;
                map.end()
            }
        }
    }
}

//! Where something stands, for people and for forms that have no byte ranges.

use std::fmt;
use std::sync::{Arc, LazyLock};

use portcullis::Location;
use serde::{Deserialize, Serialize};

/// A place in a file or in the cluster; written as an object, or as null.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Place {
    /// In a file, or in standard input (`<stdin>`).
    File {
        /// As it was named.
        file: Arc<str>,
        /// From 1; 0 for the file as a whole.
        line: u32,
        /// From 1, in characters; 0 for the file as a whole.
        column: u32,
        /// Behind the last character that is meant in this line.
        #[serde(rename = "endColumn")]
        end_column: u32,
    },
    /// In the cluster, by name.
    Cluster,
}

impl Place {
    /// The part of the line that a location starts in. What is marked ends with that line.
    pub fn of(location: &Location) -> Self {
        let (file, source) = (location.file().clone(), location.source());
        if source.text().is_empty() {
            return Self::File { file, line: 0, column: 0, end_column: 0 };
        }
        let (line, column) = (location.line(), location.column());
        let end_column = match location.end() {
            (end_line, end_column) if end_line == line => end_column,
            _ => {
                let start = location.range().start as usize;
                let end = source.line_start(line + 1).map_or(source.text().len(), |next| next as usize);
                let rest = source.text().get(start..end).unwrap_or_default().trim_end();
                source.line_column(u32::try_from(start + rest.len()).unwrap_or(u32::MAX)).1
            }
        };
        Self::File { file, line, column, end_column: end_column.max(column) }
    }

    /// The file, as it was named; empty for the cluster.
    pub fn file(&self) -> &str {
        match self {
            Self::File { file, .. } => file,
            Self::Cluster => "",
        }
    }
}

/// `file:line:column`, `file` if there is no line, or `cluster`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line: 0, .. } => f.write_str(file),
            Self::File { file, line, column, .. } => write!(f, "{file}:{line}:{column}"),
            Self::Cluster => f.write_str("cluster"),
        }
    }
}

/// A file as platforms want it that know a checkout only by its own paths: relative to the working directory
/// if it is below.
pub fn in_checkout(file: &str) -> &str {
    static DIRECTORY: LazyLock<Option<String>> =
        LazyLock::new(|| Some(std::env::current_dir().ok()?.to_str()?.to_owned()));
    let below = DIRECTORY.as_deref().and_then(|directory| file.strip_prefix(directory));
    below.and_then(|rest| rest.strip_prefix('/')).unwrap_or(file)
}

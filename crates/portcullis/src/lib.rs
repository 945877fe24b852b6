#![forbid(unsafe_code)]

pub mod document;
pub mod error;
mod limits;
mod path;
#[cfg_attr(not(test), expect(dead_code, reason = "templates are compiled with it"))]
pub(crate) mod schema;
mod source;
mod value;

pub use document::Document;
pub use error::{Error, ErrorKind, Severity};
pub use limits::Limits;
pub use path::{FieldPath, Segment};
pub use source::{Location, Source};

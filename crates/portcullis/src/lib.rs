#![forbid(unsafe_code)]

pub mod document;
pub mod error;
mod limits;
mod path;
mod source;
mod value;

pub use document::Document;
pub use error::{Error, ErrorKind, Severity};
pub use limits::Limits;
pub use path::{FieldPath, Segment};
pub use source::{Location, Source};

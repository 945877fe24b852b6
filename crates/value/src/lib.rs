//! The ground floor: what a value is, what may be spent on it, and how texts become values.
//!
//! ```text
//! JSON text --json--> Value <--yaml_scalar-- YAML scalar
//!                       |
//!                       |  look at it: Value::view     order: Ord, OPA's     spend: Budget, weigh
//!                       v
//!            JSON text, Rego text (json, text)
//! ```
//!
//! A [`Value`] is immutable and shared: a clone is a copy of 24 bytes. Its insides are private, so that they
//! can change. Nothing here does I/O or knows Rego or Kubernetes.
//!
//! ```
//! use portcullis_value::{Value, View};
//!
//! let pod = Value::from_json(r#"{"kind": "Pod", "spec": {"replicas": 3.0}}"#).unwrap();
//! let View::Object(fields) = pod.view() else { panic!("an object") };
//! assert_eq!(fields.get_str("kind"), Some(&Value::from("Pod")));
//! assert_eq!(pod.to_string(), r#"{"kind":"Pod","spec":{"replicas":3}}"#);
//! ```

#![forbid(unsafe_code)]

mod access;
mod budget;
mod go_duration;
pub mod json;
mod json_number;
mod number;
mod object;
mod output;
pub mod pattern;
mod questions;
#[cfg(feature = "regorus")]
mod regorus;
mod same;
mod set;
mod share;
mod text;
mod value;
mod weigh;
pub mod yaml_scalar;

pub use access::{AccessAnswer, AccessQuestion, AccessResource, AccessTo, AccessUser};
pub use budget::{Budget, Exceeded, ITEM_BYTES, LimitKind, Limits, Watch};
pub use go_duration::go_duration;
pub use json_number::JsonNumber;
pub use number::{MAX_BITS, Number};
pub use object::Object;
pub use output::{Output, TooLong};
pub use questions::{
    Answers, ProviderAnswer, ProviderFailure, ProviderItem, Question, Questions, TooManyQuestions,
};
pub use set::Set;
pub use share::Sharing;
pub use text::{Charset, is_printable, quote, quote_with, text, write, write_number};
pub use value::{Type, Value, View};
pub use weigh::{MAX_NESTING, elements, too_deep, weigh, weigh_at};

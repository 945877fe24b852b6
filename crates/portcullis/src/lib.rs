//! An embedded policy engine for Kubernetes.
#![forbid(unsafe_code)]

mod api;
mod decision;
mod document;
mod enforcement;
mod error;
mod insertions;
mod inventory;
mod limits;
mod matcher;
mod names;
mod object;
mod path;
mod policy;
mod rego;
mod review;
mod schema;
mod source;
mod value;
mod world;

pub use api::{
    AdmissionReview, Assertion, Case, Config, Constraint, ConstraintTemplate, ExclusionRule, Expected,
    Process, Resource, Suite, SyncSet, Test,
};
pub use decision::{Decision, Finding};
pub use document::Document;
pub use enforcement::{Actions, Enforcement, EnforcementAction, EnforcementPoint};
pub use error::{Error, ErrorKind, Severity};
pub use inventory::{Inventory, InventoryStore, ObjectKey};
pub use limits::Limits;
pub use matcher::Source as ObjectSource;
pub use names::{ConstraintKey, GroupKind, Gvk, TemplateName};
pub use object::Object;
pub use path::{FieldPath, Segment};
pub use policy::{Change, ConstraintInfo, InventoryRead, PolicySet, PolicyStore, TemplateInfo};
pub use review::{
    ConstraintResult, EvaluationError, Operation, Outcome, Position, Precision, Review, Verdict, Violation,
};
pub use source::{Location, Source};
pub use world::World;

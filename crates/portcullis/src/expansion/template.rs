//! One expansion template, compiled; or why it cannot be used.

use std::fmt;
use std::sync::Arc;

use crate::api::ExpansionTemplate;
use crate::api::expansion_template::ApplyTo;
use crate::enforcement::EnforcementAction;
use crate::error::{Error, ErrorKind};
use crate::names::Gvk;
use crate::object::Object;
use crate::path::FieldPath;

/// A template that can be used.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) name: Arc<str>,
    pub(super) apply_to: Vec<ApplyTo>,
    /// As it is written, for messages.
    pub(super) source: Arc<str>,
    /// The keys that it names.
    pub(super) steps: Box<[Arc<str>]>,
    pub(super) generated: Gvk,
    pub(super) action: Option<EnforcementAction>,
    /// As it was written; `None` of what Kubernetes does without one.
    pub(super) object: Option<Object>,
}

/// What makes a template unusable. Printed in Gatekeeper's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NoName,
    LongName,
    NoSource(Arc<str>),
    NothingGenerated(Arc<str>),
    AppliesToNothing(Arc<str>),
    AppliesToItsOwn(Arc<str>, Gvk),
}

/// What Gatekeeper says of each template that closes a circle.
pub(super) const CYCLE: &str = "template forms expansion cycle";

/// Gatekeeper takes shorter names only: they become values of labels.
const NAME_BYTES: usize = 64;

impl Template {
    pub(super) fn compile(api: &ExpansionTemplate) -> Self {
        Self {
            name: api.name.clone(),
            apply_to: api.apply_to.clone(),
            source: api.source.clone(),
            steps: api.source.split('.').map(Arc::from).collect(),
            generated: api.generated.clone(),
            action: api.action,
            object: Some(api.object.clone()),
        }
    }

    pub(super) fn applies_to(&self, gvk: &Gvk) -> bool {
        self.apply_to.iter().any(|entry| entry.covers(gvk))
    }

    /// The path of the part that becomes an object.
    pub(super) fn source_path(&self) -> FieldPath {
        self.steps.iter().map(|step| crate::path::Segment::Key(step.clone())).collect()
    }
}

/// All that makes a template unusable, in the order in which Gatekeeper looks for it.
pub(super) fn faults(api: &ExpansionTemplate) -> Vec<Fault> {
    let name = || api.name.clone();
    let gvk = &api.generated;
    let nothing = gvk.group.is_empty() && gvk.version.is_empty() && gvk.kind.is_empty();
    let its_own = !nothing && api.apply_to.iter().any(|entry| entry.covers(gvk));
    [
        api.name.is_empty().then_some(Fault::NoName),
        (api.name.len() >= NAME_BYTES).then_some(Fault::LongName),
        api.source.is_empty().then(|| Fault::NoSource(name())),
        nothing.then(|| Fault::NothingGenerated(name())),
        api.apply_to.is_empty().then(|| Fault::AppliesToNothing(name())),
        its_own.then(|| Fault::AppliesToItsOwn(name(), gvk.clone())),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Fault {
    /// Whether it says that a field is missing which is there, with something else in it.
    pub(super) fn is_about_a_field_of(&self, api: &ExpansionTemplate) -> bool {
        let field = match self {
            Self::NoSource(_) => "templateSource",
            Self::NothingGenerated(_) => "generatedGVK",
            Self::AppliesToNothing(_) => "applyTo",
            Self::NoName | Self::LongName | Self::AppliesToItsOwn(..) => return false,
        };
        api.document.locate(&FieldPath::root().child("spec").child(field)).is_some()
    }

    /// As a problem of the template's document.
    pub(super) fn to_error(&self, api: &ExpansionTemplate) -> Error {
        let (kind, field, message) = match self {
            Self::NoName => (
                ErrorKind::MissingField,
                "metadata",
                "the expansion template has no `metadata.name`".to_owned(),
            ),
            Self::LongName => {
                let length = api.name.len();
                let message =
                    format!("its name has {length} bytes, and at most {} are allowed", NAME_BYTES - 1);
                (ErrorKind::InvalidValue, "metadata.name", message)
            }
            Self::NoSource(_) => {
                let message = "`templateSource` is missing: the part of an object that another is made of";
                (ErrorKind::MissingField, "spec.templateSource", message.to_owned())
            }
            Self::NothingGenerated(_) => {
                let message = "`generatedGVK` is missing: group, version and kind of what is made";
                (ErrorKind::MissingField, "spec.generatedGVK", message.to_owned())
            }
            Self::AppliesToNothing(_) => {
                let message = "`applyTo` is missing: groups, versions and kinds of what is expanded";
                (ErrorKind::MissingField, "spec.applyTo", message.to_owned())
            }
            Self::AppliesToItsOwn(_, gvk) => {
                let message = format!("it generates `{gvk}` and applies to it, which would never end");
                (ErrorKind::ExpansionCycle, "spec.generatedGVK", message)
            }
        };
        error_at(api, kind, field, message)
    }
}

/// An error about a field of a template, or what there is of its path.
pub(super) fn error_at(
    api: &ExpansionTemplate,
    kind: ErrorKind,
    field: &str,
    message: impl Into<String>,
) -> Error {
    let path: FieldPath = field.split('.').map(crate::path::Segment::from).collect();
    let (location, path) = api.document.locate_nearest(&path);
    Error::new(kind, message).at(location).in_field(path).about(api.subject())
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName => f.write_str("ExpansionTemplate has empty name field"),
            Self::LongName => write!(f, "ExpansionTemplate name must be less than {NAME_BYTES} characters"),
            Self::NoSource(name) => write!(f, "ExpansionTemplate {name} has empty source field"),
            Self::NothingGenerated(name) => {
                write!(f, "ExpansionTemplate {name} has empty generatedGVK field")
            }
            Self::AppliesToNothing(name) => write!(f, "ExpansionTemplate {name} must specify ApplyTo"),
            Self::AppliesToItsOwn(name, gvk) => write!(
                f,
                "ExpansionTemplate {name} generates GVK {}, Kind={}, but also applies to that same GVK",
                // As Go prints it: the core group, too, has its slash.
                format_args!("{}/{}", gvk.group, gvk.version),
                gvk.kind
            ),
        }
    }
}

//! Names that identify resources, as types, so that one cannot be passed for another.

use std::fmt;
use std::sync::Arc;

/// Where the objects of a kind live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// In a namespace, whether or not the object names it.
    Namespaced,
    /// In none, whatever the object says.
    Cluster,
    /// The kind is not known: as the object says.
    ByObject,
}

/// API group and kind; the core group is empty. Printed `Kind` or `Kind.group`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKind {
    /// API group, empty for the core group.
    pub group: Arc<str>,
    /// Kind, case sensitive.
    pub kind: Arc<str>,
}

impl GroupKind {
    /// In no version: for who does not ask for it.
    pub(crate) fn any_version(&self) -> Gvk {
        Gvk { group: self.group.clone(), version: "".into(), kind: self.kind.clone() }
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.group {
            "" => f.write_str(&self.kind),
            group => write!(f, "{}.{group}", self.kind),
        }
    }
}

/// API group, version and kind. Printed as `v1/Pod`, `apps/v1/Deployment`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gvk {
    /// API group, empty for the core group.
    pub group: Arc<str>,
    /// Version, such as `v1beta1`.
    pub version: Arc<str>,
    /// Kind, case sensitive.
    pub kind: Arc<str>,
}

impl Gvk {
    /// From the `apiVersion` and `kind` of an object.
    #[must_use]
    pub fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        Self { group: group.into(), version: version.into(), kind: kind.into() }
    }

    /// `version` or `group/version`, as objects write it.
    #[must_use]
    pub fn api_version(&self) -> String {
        match &*self.group {
            "" => self.version.to_string(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Without the version.
    #[must_use]
    pub fn group_kind(&self) -> GroupKind {
        GroupKind { group: self.group.clone(), kind: self.kind.clone() }
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.group.is_empty() {
            write!(f, "{}/", self.group)?;
        }
        write!(f, "{}/{}", self.version, self.kind)
    }
}

/// Identifies a template: the constraint kind it defines, in lower case, which is also its `metadata.name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateName(Arc<str>);

impl TemplateName {
    /// The template that defines a constraint kind.
    #[must_use]
    pub fn of_kind(kind: &str) -> Self {
        Self(kind.to_lowercase().into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TemplateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kinds of mutators, in the order in which they are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MutatorKind {
    /// Sets a field.
    Assign,
    /// Sets parts of the name of an image.
    AssignImage,
    /// Adds a label or an annotation.
    AssignMetadata,
    /// Adds elements to a list, or takes some away.
    ModifySet,
}

impl MutatorKind {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Assign, Self::AssignImage, Self::AssignMetadata, Self::ModifySet];

    /// The kind, as documents write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assign => "Assign",
            Self::AssignImage => "AssignImage",
            Self::AssignMetadata => "AssignMetadata",
            Self::ModifySet => "ModifySet",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for MutatorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Identifies a mutator. Ordered by kind, then name: the order in which mutators are applied. They live in no
/// namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MutatorKey {
    /// Its kind.
    pub kind: MutatorKind,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl fmt::Display for MutatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// What an admission policy of the API server's does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdmissionEffect {
    /// It says whether the request may pass.
    Validating,
    /// It changes the object.
    Mutating,
}

impl AdmissionEffect {
    /// The kind of the policies.
    #[must_use]
    pub const fn policy_kind(self) -> &'static str {
        match self {
            Self::Validating => "ValidatingAdmissionPolicy",
            Self::Mutating => "MutatingAdmissionPolicy",
        }
    }

    /// The kind of their bindings.
    #[must_use]
    pub const fn binding_kind(self) -> &'static str {
        match self {
            Self::Validating => "ValidatingAdmissionPolicyBinding",
            Self::Mutating => "MutatingAdmissionPolicyBinding",
        }
    }
}

/// Identifies an admission policy of the API server's. They live in no namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdmissionPolicyKey {
    /// Which of the two kinds it is.
    pub effect: AdmissionEffect,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl fmt::Display for AdmissionPolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.effect.policy_kind(), self.name)
    }
}

/// Identifies a constraint. Ordered by kind, then name: the order in which outcomes list constraints.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConstraintKey {
    /// The kind that its template defines.
    pub kind: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl fmt::Display for ConstraintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

//! Texts of programs, and where they stand.

use std::fmt;
use std::sync::Arc;

use crate::path::FieldPath;
use crate::source::Source;

/// A text of a program and where it stands.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "a text has a text, and what is known of it")]
pub(crate) struct Text {
    pub(crate) text: Arc<str>,
    pub(crate) version: RegoVersion,
    pub(crate) place: TextPlace,
}

/// Where a text of a program stands.
#[derive(Clone, Debug)]
pub(crate) enum TextPlace {
    /// At a path of the template's document.
    Within(FieldPath),
    /// In a file of its own.
    File(Arc<Source>),
}

/// What a text of a policy is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyLanguage {
    /// A module of Rego.
    Rego(RegoVersion),
    /// An expression of CEL.
    Cel,
}

/// A text of a policy, and where it stands in the policy's document.
#[derive(Clone, Copy, Debug)]
pub struct PolicyText<'a> {
    /// The text, as the document means it.
    pub text: &'a str,
    /// What it is written in.
    pub language: PolicyLanguage,
    /// The field that holds it.
    pub path: &'a FieldPath,
}

impl<'a> PolicyText<'a> {
    /// None of a text that stands in a file of its own.
    pub(crate) fn of(text: &'a Text, language: PolicyLanguage) -> Option<Self> {
        match &text.place {
            TextPlace::Within(path) => Some(Self { text: &text.text, language, path }),
            TextPlace::File(_) => None,
        }
    }
}

/// The dialect of a template's Rego.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegoVersion {
    /// That of OPA before 1.0, the default.
    V0,
    /// That of OPA since 1.0.
    V1,
}

impl fmt::Display for RegoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V0 => "v0",
            Self::V1 => "v1",
        })
    }
}

impl From<RegoVersion> for portcullis_rego_syntax::Version {
    fn from(version: RegoVersion) -> Self {
        match version {
            RegoVersion::V0 => Self::V0,
            RegoVersion::V1 => Self::V1,
        }
    }
}

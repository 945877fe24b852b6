//! A file of Rego.

use std::sync::Arc;

use portcullis_rego_syntax::{parse, resolve};

use crate::api::RegoVersion;
use crate::api::template::{Text, TextPlace};
use crate::document::text_of;
use crate::error::Error;
use crate::limits::Limits;
use crate::source::Source;

use super::packages::Packages;
use super::rule::ModuleRuleKind;

/// A file of Rego: its text, and the dialect it is written in.
#[derive(Clone, Debug)]
pub struct RegoFile {
    pub(crate) source: Arc<Source>,
    pub(crate) text: Text,
}

impl RegoFile {
    /// Takes a text. Without a dialect it is that of OPA since 1.0, or the older one if the text is none of
    /// the newer and is one of the older.
    #[must_use]
    pub fn new(source: Arc<Source>, version: Option<RegoVersion>) -> Self {
        let version = version.unwrap_or_else(|| {
            // Some of what the newer one refuses is only seen when names are resolved: `input := {}`.
            let wrong = |version: RegoVersion| {
                let parsed = parse(source.text(), version.into());
                match parsed.diagnostics.len() {
                    0 => resolve(&parsed.module).diagnostics.len(),
                    found => found,
                }
            };
            match wrong(RegoVersion::V1) {
                0 => RegoVersion::V1,
                found if wrong(RegoVersion::V0) < found => RegoVersion::V0,
                _ => RegoVersion::V1,
            }
        });
        let text = Text { text: source.text().clone(), version, place: TextPlace::File(source.clone()) };
        Self { source, text }
    }

    /// Takes some bytes, which have to be UTF-8.
    ///
    /// # Errors
    ///
    /// If they are no text.
    pub fn of_bytes(
        name: &str,
        bytes: Vec<u8>,
        version: Option<RegoVersion>,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let text = text_of(name, bytes, limits)?;
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        Ok(Self::new(Source::new(name, text), version))
    }

    /// Whether it has a rule of some packages that says what is wrong: `deny`, `violation` or `warn`.
    #[must_use]
    pub fn has_rules_of(&self, packages: &Packages) -> bool {
        let module = parse(&self.text.text, self.text.version.into()).module;
        let kinds = module.rules.iter().filter_map(|rule| ModuleRuleKind::of_rule(rule.name()));
        packages.contain(&module.package_path().join("."))
            && kinds.into_iter().any(|kind| kind != ModuleRuleKind::Exception)
    }

    /// The text.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The dialect.
    #[must_use]
    pub fn version(&self) -> RegoVersion {
        self.text.version
    }
}

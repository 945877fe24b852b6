//! A reference of policies for those who have to keep them: what each refuses, its parameters, an example, and what its
//! suite shows.

mod markdown;
mod parameters;

use std::io::{self, Write};

use portcullis::{ConstraintTemplate, Object};

pub use parameters::Parameter;

use crate::PolicySeverity;
use crate::policy::Policy;

/// Templates, in the order of their categories and kinds.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    policies: Vec<Documented>,
}

/// What is told of a template.
#[derive(Clone, Debug)]
pub struct Documented {
    /// The kind of its constraints.
    pub kind: String,
    /// Its title.
    pub title: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// How grave its authors think its violations are.
    pub severity: Option<PolicySeverity>,
    /// Which policies it belongs to.
    pub category: Option<String>,
    /// Where there is more to read.
    pub link: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The file that it is in.
    pub file: String,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Whether it has more of them, or deeper ones, than are told.
    pub has_more_parameters: bool,
    /// A constraint, as YAML.
    pub example: Option<String>,
    /// What the cases of its suites show.
    pub cases: Vec<DocumentedCase>,
}

/// A case of a suite.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DocumentedCase {
    /// The test, and the case.
    pub name: String,
    /// Whether it is denied.
    pub is_denied: bool,
    /// What the message has to match, if the case says it.
    pub messages: Vec<String>,
}

impl Documented {
    /// Of a template; examples and cases are still to come.
    #[must_use]
    pub fn of(template: &ConstraintTemplate) -> Self {
        let object = Object::from_document(template.document().clone()).ok();
        let annotation = |name: &str| object.as_ref()?.annotation(name)?.text().map(str::to_owned);
        let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let severity = PolicySeverity::ANNOTATIONS.iter().find_map(|name| annotation(name));
        let is_address = |link: &String| link.starts_with("https://") || link.starts_with("http://");
        let (parameters, has_more_parameters) = parameters::of(&template.crd());
        Self {
            kind: template.kind().to_owned(),
            title: annotation("metadata.gatekeeper.sh/title").map(words),
            description: annotation("description").map(words),
            severity: severity.and_then(|word| PolicySeverity::from_word(&word)),
            category: annotation(Policy::CATEGORY).map(words),
            link: annotation(Policy::LINK).filter(is_address),
            version: annotation("metadata.gatekeeper.sh/version").map(words),
            file: template.document().source().name().to_string(),
            parameters,
            has_more_parameters,
            example: None,
            cases: Vec::new(),
        }
    }

    /// What is said where parameters are left out.
    pub(crate) const MORE: &'static str = "There are more parameters, or deeper ones; the schema has all.";

    pub(crate) fn heading(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.kind)
    }
}

impl Reference {
    /// Puts templates in their order.
    #[must_use]
    pub fn new(mut policies: Vec<Documented>) -> Self {
        // Those without a category are last.
        let place = |one: &Documented| {
            (one.category.is_none(), one.category.clone(), one.kind.clone(), one.file.clone())
        };
        policies.sort_by_cached_key(place);
        for one in &mut policies {
            one.cases.sort();
            one.cases.dedup();
        }
        Self { policies }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Writes it as Markdown.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write_markdown(&self, title: &str, out: &mut dyn Write) -> io::Result<()> {
        markdown::write(self, title, out)
    }

    /// All of them, in order.
    pub(crate) fn policies(&self) -> &[Documented] {
        &self.policies
    }

    /// The policies of each category, in order.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (Option<&str>, &[Documented])> {
        self.policies
            .chunk_by(|one, other| one.category == other.category)
            .map(|group| (group.first().and_then(|one| one.category.as_deref()), group))
    }
}

//! What is wrong with an input: one type for every problem of a document, a resource or a policy.
//!
//! An [`Error`] says what was expected, where, and what to do. Loading returns all of them beside what
//! could be loaded: one bad document never hides the others.

use std::cmp::Ordering;
use std::fmt;

use crate::path::FieldPath;
use crate::source::Location;

/// Whether a problem makes its document unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The document, or the policy in it, cannot be used; a command that met one exits with 2.
    Error,
    /// The document works, but probably not as its author meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

macro_rules! error_kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal;)*) => {
        /// What a problem is about. Decide on this, never on the text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind { $($(#[doc = $doc])* $name,)* }

        impl ErrorKind {
            /// Every kind, in the order of the pipeline.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name that reports use, in kebab case.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What problems of this kind have in common, in a sentence or two.
            #[must_use]
            pub fn description(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*),)* }.trim()
            }
        }
    };
}

// A macro, because the name, its code and its place in `ALL` must not drift apart.
error_kinds! {
    /// The text is not YAML or JSON.
    Syntax = "syntax";
    /// The text is a template that some other tool has to render first (`{{ … }}`).
    Templated = "templated";
    /// The bytes are not text.
    Encoding = "encoding";
    /// A document, a nesting, an alias expansion is larger than the limits allow.
    Limit = "limit";
    /// The same key twice in one mapping; the last one counts.
    DuplicateKey = "duplicate-key";
    /// A scalar that has no JSON form (`.nan`, a null key).
    UnsupportedValue = "unsupported-value";
    /// The file could not be read. Only adapters make these: the core reads nothing.
    Unreadable = "unreadable";
    /// No usable document was found where one is needed.
    NoInput = "no-input";
    /// Something that is not a Kubernetes object.
    NotAnObject = "not-an-object";
    /// An API group we know with a kind or version it does not have.
    UnknownKind = "unknown-kind";
    /// A policy of Gatekeeper's that nothing is done for: its effect is missing.
    Unsupported = "unsupported";
    /// A field that does not exist.
    UnknownField = "unknown-field";
    /// A field that must be there is not.
    MissingField = "missing-field";
    /// A value of the wrong type or outside the allowed values.
    InvalidValue = "invalid-value";
    /// A parameter schema that is not a structural schema.
    InvalidSchema = "invalid-schema";
    /// A constraint that does not fit its template's schema. The only kind that satisfies `invalid: true` in
    /// a suite.
    SchemaValidation = "schema-validation";
    /// Rego that does not parse or compile.
    Rego = "rego";
    /// CEL that does not parse or compile, or has not the type that is needed of it.
    Cel = "cel";
    /// Rego whose values have types that do not fit: it can never work.
    TypeError = "type-error";
    /// Rego that compiles but breaks a rule for templates.
    TemplateRule = "template-rule";
    /// A policy that reads what it is not given: Rego a part of `input`, an audit annotation `authorizer`.
    UnknownInput = "unknown-input";
    /// Rego that reads a parameter that the template's schema does not have.
    UnknownParameter = "unknown-parameter";
    /// Rego that reads a field of the object that no kind of Kubernetes has, of a template whose constraints are about these.
    UnknownObjectField = "unknown-object-field";
    /// A parameter that a constraint does not set, and whose default is not filled in.
    UnfilledDefault = "unfilled-default";
    /// A condition that is never true, whatever object is judged.
    NeverTrue = "never-true";
    /// A `violation` that no object can cause.
    NeverFires = "never-fires";
    /// A regular expression that does not compile.
    InvalidPattern = "invalid-pattern";
    /// A `sprintf` whose arguments do not fit its format.
    FormatArguments = "format-arguments";
    /// An import that nothing uses.
    UnusedImport = "unused-import";
    /// A local variable that nothing uses.
    UnusedLocal = "unused-local";
    /// A rule or function that `violation` does not need.
    UnusedRule = "unused-rule";
    /// A library of which the template uses nothing.
    UnusedLibrary = "unused-library";
    /// A local variable that hides a rule, an import or a document.
    ShadowedName = "shadowed-name";
    /// A policy asks a provider of external data and does not look whether it answers.
    UncheckedAnswer = "unchecked-answer";
    /// A policy asks a provider of external data that there is not.
    UnknownProvider = "unknown-provider";
    /// A policy asks the world outside, such as a provider of external data, and nobody answers. Only adapters make these.
    Unanswered = "unanswered";
    /// A builtin that Rego v1 no longer has.
    DeprecatedBuiltin = "deprecated-builtin";
    /// A location of a mutator that is none, or that its kind of mutator cannot have.
    InvalidLocation = "invalid-location";
    /// A mutator that changes no object, whatever it is.
    NeverApplies = "never-applies";
    /// Mutators that take the same field for different things. None of them is applied.
    MutatorConflict = "mutator-conflict";
    /// Mutators that undo each other's work for ever: objects that they are about cannot be mutated.
    NeverConverges = "never-converges";
    /// A constraint that finds a violation in what mutators make of an object that passes it as it is.
    MutatorFight = "mutator-fight";
    /// An object that could not be mutated. It stays what it was, and nothing is said of it.
    Mutation = "mutation";
    /// A constraint whose template is not there, or was rejected.
    MissingTemplate = "missing-template";
    /// A binding whose admission policy is not there, or was rejected.
    MissingPolicy = "missing-policy";
    /// An admission policy without a binding: it applies to nothing.
    UnboundPolicy = "unbound-policy";
    /// Expansion templates of which one generates what another applies to, in a circle: none is applied.
    ExpansionCycle = "expansion-cycle";
    /// An object of which it is not known what controllers will make.
    NotExpanded = "not-expanded";
    /// A Config that does not count: nothing is excluded or synced by it.
    IgnoredConfig = "ignored-config";
    /// A folder that holds no manifests but what they are made of, and that was not rendered.
    NotJudged = "not-judged";
    /// Files that are no manifests.
    NoManifest = "no-manifest";
    /// An exception that has no effect: it ended, or there is no constraint of its name.
    Exception = "exception";
    /// Findings of a baseline that are gone.
    Baseline = "baseline";
    /// A kind or a group in `match.kinds` that there is not: the constraint applies to nothing of it.
    NoSuchKind = "no-such-kind";
    /// The same resource twice.
    DuplicateResource = "duplicate-resource";
    /// A policy compares objects that are not in the inventory.
    MissingInventory = "missing-inventory";
    /// A violation that an object would have in another namespace than the one that it is taken to be in.
    OtherNamespace = "other-namespace";
    /// Objects that name no namespace, and how they were taken.
    MissingNamespace = "missing-namespace";
    /// Requests that policies are about and that a webhook configuration does not send, or the other way
    /// round.
    WebhookRules = "webhook-rules";
    /// A test suite that cannot be run as written.
    Suite = "suite";
    /// A second evaluator says something else of a policy, or could not be asked.
    CrossCheck = "cross-check";
    /// Judging an object broke off: a fault of this program.
    Defect = "defect";
}

impl ErrorKind {
    /// Whether this is about a template's Rego, and not about the document around it.
    #[must_use]
    pub const fn is_rego(self) -> bool {
        matches!(
            self,
            Self::Rego
                | Self::TypeError
                | Self::TemplateRule
                | Self::UnknownInput
                | Self::UnknownParameter
                | Self::UnknownObjectField
                | Self::NeverTrue
                | Self::NeverFires
                | Self::InvalidPattern
                | Self::FormatArguments
        ) || self.is_style()
    }

    /// Whether this is about how a policy is written, and not about what it does: nothing needs to be done
    /// about it before the policy is used.
    #[must_use]
    pub const fn is_style(self) -> bool {
        matches!(
            self,
            Self::UnusedImport
                | Self::UnusedLocal
                | Self::UnusedRule
                | Self::UnusedLibrary
                | Self::ShadowedName
                | Self::DeprecatedBuiltin
        )
    }
}

/// A problem with an input: kind, sentence, and as far as known the position, the field and a hint.
///
/// One pointer wide. Ordered by position, then kind and text, so that a sorted list reads like the files.
///
/// ```
/// use portcullis::{Document, ErrorKind};
///
/// let (documents, errors) = Document::read_all("pod.yaml", "kind: Pod\nkind: Pod\n");
/// assert_eq!(documents.len(), 1);
/// assert_eq!(errors[0].kind(), ErrorKind::DuplicateKey);
/// assert_eq!(errors[0].location().unwrap().to_string(), "pod.yaml:2:1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Repr>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Repr {
    severity: Severity,
    kind: ErrorKind,
    message: String,
    location: Option<Location>,
    path: Option<FieldPath>,
    hint: Option<String>,
    subject: Option<String>,
    topic: Option<String>,
    remedy: Option<Remedy>,
}

/// The one thing to do about a problem: where it is certain, and changes no verdict of a policy. It is about the
/// text at the problem's location.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// The text goes, and its line with it.
    TakeOut,
    /// Another text comes into its place.
    Write(String),
}

impl Error {
    /// An error of a kind, with its sentence: lower case, no final period, user input in backticks.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Repr {
            severity: Severity::Error,
            kind,
            message: one_line(message.into()),
            location: None,
            path: None,
            hint: None,
            subject: None,
            topic: None,
            remedy: None,
        }))
    }

    /// A problem that does not keep its document from being used.
    pub fn warning(kind: ErrorKind, message: impl Into<String>) -> Self {
        let mut error = Self::new(kind, message);
        error.0.severity = Severity::Warning;
        error
    }

    /// The same problem, for a caller that goes on all the same.
    #[must_use]
    pub fn into_warning(mut self) -> Self {
        self.0.severity = Severity::Warning;
        self
    }

    /// Makes an error of a warning.
    pub(crate) fn make_error(&mut self) {
        self.0.severity = Severity::Error;
    }

    /// Adds where it is.
    #[must_use]
    pub fn at(mut self, location: impl Into<Option<Location>>) -> Self {
        self.0.location = location.into().or(self.0.location);
        self
    }

    /// Adds the field it is about.
    #[must_use]
    pub fn in_field(mut self, path: FieldPath) -> Self {
        self.0.path = Some(path);
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(one_line(hint.into()));
        self
    }

    /// Adds a hint if there is one.
    #[must_use]
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.0.hint = hint.map(one_line).or(self.0.hint);
        self
    }

    /// Adds the resource it is about, as `Kind/name`.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.0.subject = Some(one_line(subject.into()));
        self
    }

    /// Adds what it has in common with others of its kind, where messages say more than that.
    #[must_use]
    pub(crate) fn on(mut self, topic: String) -> Self {
        self.0.topic = Some(one_line(topic));
        self
    }

    /// Adds what can be done about it without asking.
    #[must_use]
    #[cfg(feature = "lint")]
    pub(crate) fn remedied_by(mut self, remedy: Option<Remedy>) -> Self {
        self.0.remedy = remedy;
        self
    }

    /// Whether the document is unusable.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.0.severity
    }

    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The sentence, without position and hint.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where it is, if that is known.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        self.0.location.as_ref()
    }

    /// The field it is about.
    #[must_use]
    pub fn path(&self) -> Option<&FieldPath> {
        self.0.path.as_ref()
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The one thing to do about it, if there is such a thing and it changes no verdict.
    #[must_use]
    pub fn remedy(&self) -> Option<&Remedy> {
        self.0.remedy.as_ref()
    }

    /// The resource it is about, as `Kind/name`.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// What it has in common with others of its kind, such as which constraint would deny objects in another
    /// namespace; `None` if there is nothing that the message and the kind do not say.
    #[must_use]
    pub fn topic(&self) -> Option<&str> {
        self.0.topic.as_deref()
    }
}

/// Messages quote what users wrote, and are one line each all the same.
fn one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    text.chars().fold(String::with_capacity(text.len()), |mut line, c| {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
        line
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.0.location {
            write!(f, "{location}: ")?;
        }
        if let Some(subject) = &self.0.subject {
            write!(f, "{subject}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(path) = self.0.path.as_ref().filter(|path| !path.is_root()) {
            write!(f, " (at `{path}`)")?;
        }
        if let Some(hint) = &self.0.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl PartialOrd for Error {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Error {
    fn cmp(&self, other: &Self) -> Ordering {
        fn key(repr: &Repr) -> impl Ord + '_ {
            (&repr.location, repr.severity, repr.kind, &repr.message, &repr.path, &repr.subject)
        }
        key(&self.0).cmp(&key(&other.0))
    }
}

/// The known name closest to a misspelt one, if one is close enough to be meant.
///
/// Close means: equal but for case, or an edit distance (with transpositions) of at most a third of the
/// length.
pub(crate) fn did_you_mean<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Nobody means a longer name, or looks through more of them.
    const LONGEST: usize = 100;
    const MOST: usize = 300;
    if unknown.len() > LONGEST {
        return None;
    }
    let allowed = (unknown.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .take(MOST)
        .filter(|name| name.len() <= LONGEST)
        .map(|name| (edit_distance(&unknown.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// Edits (insert, delete, replace, swap of neighbours) from one text to the other.
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut previous: Vec<usize> = Vec::new();
    let mut current: Vec<usize> = (0..=to.len()).collect();
    let mut last: Option<char> = None;
    for (row, from) in from.chars().enumerate() {
        let mut next = vec![row + 1];
        for (column, &target) in to.iter().enumerate() {
            let cell = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let replaced = cell(&current, column) + usize::from(from != target);
            let mut best = replaced.min(cell(&current, column + 1) + 1).min(cell(&next, column) + 1);
            let swapped = column > 0 && last == Some(target) && to.get(column - 1) == Some(&from);
            if swapped {
                best = best.min(cell(&previous, column - 1) + 1);
            }
            next.push(best);
        }
        previous = std::mem::replace(&mut current, next);
        last = Some(from);
    }
    current.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_suggested_and_far_ones_are_not() {
        let known = ["properties", "required", "input", "ConstraintTemplate"];
        assert_eq!(did_you_mean("porperties", known), Some("properties"));
        assert_eq!(did_you_mean("imput", known), Some("input"));
        assert_eq!(did_you_mean("ContraintTemplate", known), Some("ConstraintTemplate"));
        assert_eq!(did_you_mean("constrainttemplate", known), Some("ConstraintTemplate"));
        assert_eq!(did_you_mean("volumes", known), None);
    }

    #[test]
    fn messages_are_one_line() {
        let error = Error::new(ErrorKind::UnknownKind, "unknown kind `a\nb`").hint("x\ty").about("K/a\r");
        assert_eq!(error.to_string(), "K/a\\r: unknown kind `a\\nb`; x\\ty");
    }

    #[test]
    fn codes_are_unique() {
        let codes: std::collections::BTreeSet<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
    }
}

//! The short way in, for programs that link the engine: texts in, policies and reviews out, and any mistake
//! stops.
//!
//! What the other stages give back beside each other (what could be read, and what is wrong with the rest) is
//! one `Result` here: a caller that forgets to look at the errors must not enforce a part of its policies.

use std::fmt;
use std::sync::Arc;

use crate::api::Resource;
use crate::document::{Document, Form};
use crate::error::{Error, ErrorKind, Severity};
use crate::limits::Limits;
use crate::object::Object;
use crate::policy::PolicySet;
use crate::review::Review;
use crate::source::Source;

/// All that is wrong with some input, in the order of files and lines; at least one. Printed one on a line.
#[derive(Clone, PartialEq, Eq)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.0.iter()
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

impl<'e> IntoIterator for &'e Errors {
    type Item = &'e Error;
    type IntoIter = std::slice::Iter<'e, Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// As people read them: `main` shows an error so.
impl fmt::Debug for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Errors {}

/// Nothing, or the errors among these; warnings are left out.
fn strict(mut errors: Vec<Error>) -> Result<(), Errors> {
    errors.retain(|error| error.severity() == Severity::Error);
    errors.sort();
    if errors.is_empty() { Ok(()) } else { Err(Errors(errors)) }
}

impl PolicySet {
    /// Compiles the policies of some texts, each with the name that errors show. All of it counts or none:
    /// one template that does not compile, one document that cannot be read, and texts without a constraint
    /// (which would let everything pass) are errors. What is no policy is left alone. Warnings come only from
    /// [`PolicySet::compile`].
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in one go.
    ///
    /// ```
    /// use portcullis::PolicySet;
    ///
    /// let errors = PolicySet::load([("policy.yaml", "kind: [")]).unwrap_err();
    /// assert!(errors.to_string().starts_with("policy.yaml:1:"), "{errors}");
    /// assert!(PolicySet::load([("empty.yaml", "")]).is_err(), "nothing would be enforced");
    /// ```
    pub fn load<'t>(texts: impl IntoIterator<Item = (&'t str, &'t str)>) -> Result<Self, Errors> {
        let (mut documents, mut errors) = (Vec::new(), Vec::new());
        for (name, text) in texts {
            let (read, problems) = Document::read_all(name, text);
            documents.extend(read);
            errors.extend(problems);
        }
        let (policies, problems) = Self::compile(documents);
        errors.extend(problems);
        strict(errors)?;
        if policies.constraints().next().is_none() {
            let message = "there is no constraint: everything would pass";
            return Err(Error::new(ErrorKind::NoInput, message)
                .hint("give templates and constraints")
                .into());
        }
        Ok(policies)
    }
}

impl Object {
    /// Reads a text that is one Kubernetes object, in YAML or JSON as `kubectl` reads it.
    ///
    /// # Errors
    ///
    /// If it is none, or more than one, or the text has anything else that cannot be read.
    ///
    /// ```
    /// use portcullis::Object;
    ///
    /// let object = Object::from_yaml("{apiVersion: v1, kind: Pod, metadata: {name: web}}")?;
    /// assert_eq!(object.to_string(), "Pod web");
    /// assert!(Object::from_yaml("a: 1\n---\nb: 2").is_err());
    /// # Ok::<(), portcullis::Errors>(())
    /// ```
    pub fn from_yaml(text: &str) -> Result<Self, Errors> {
        let (mut documents, errors) = Document::read_all("object", text);
        strict(errors)?;
        match (documents.pop(), documents.is_empty()) {
            (Some(document), true) => Ok(Self::from_document(document)?),
            (found, _) => {
                let count = documents.len() + usize::from(found.is_some());
                let message = format!("expected one Kubernetes object, found {count} documents");
                Err(Error::new(ErrorKind::NoInput, message).into())
            }
        }
    }
}

impl Review {
    /// Reads the body of an admission request: one `AdmissionReview` in JSON, as API servers send it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it. A request that cannot be understood is for the caller to refuse.
    ///
    /// ```
    /// use portcullis::Review;
    ///
    /// let body = br#"{
    ///     "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
    ///     "request": {"uid": "1", "operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"},
    ///                 "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}}
    /// }"#;
    /// assert_eq!(Review::from_slice(body)?.uid(), "1");
    /// assert!(Review::from_slice(b"{}").is_err());
    /// # Ok::<(), portcullis::Errors>(())
    /// ```
    pub fn from_slice(body: &[u8]) -> Result<Self, Errors> {
        match std::str::from_utf8(body) {
            Ok(text) => Self::from_json(text),
            Err(error) => {
                let message = format!("the request is not UTF-8 from byte {} on", error.valid_up_to());
                Err(Error::new(ErrorKind::Encoding, message).into())
            }
        }
    }

    /// As [`Review::from_slice`], of a text.
    ///
    /// # Errors
    ///
    /// As [`Review::from_slice`].
    pub fn from_json(body: &str) -> Result<Self, Errors> {
        let source: Arc<Source> = Source::new("request", body);
        let (documents, errors) = Document::read_form(&source, Form::Json, &Limits::default());
        strict(errors)?;
        let [document] = documents.as_slice() else {
            let message = format!("expected one AdmissionReview, found {} documents", documents.len());
            return Err(Error::new(ErrorKind::NoInput, message).into());
        };
        let (resource, errors) = Resource::read(document);
        strict(errors)?;
        if let Some(Resource::AdmissionReview(request)) = resource {
            return Ok(Self::from_admission(&request)?);
        }
        let error = Error::new(ErrorKind::NoInput, "expected an AdmissionReview").at(document.location());
        Err(error.into())
    }
}

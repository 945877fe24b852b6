//! `ConstraintTemplate`: v1, v1beta1 and v1alpha1 in one type.

use std::sync::Arc;

use crate::api::Operation;
use crate::api::cel::CelSource;
pub use crate::api::text::{PolicyLanguage, PolicyText, RegoVersion};
pub(crate) use crate::api::text::{Text, TextPlace};
use crate::cel;
use crate::document::Document;
use crate::error::{Error, ErrorKind, Severity, did_you_mean};
use crate::node::Node;
use crate::object::{Annotation, Object};
use crate::path::FieldPath;
use crate::value::{self, Value};

/// The only target handler there is.
const TARGET: &str = "admission.k8s.gatekeeper.sh";

/// The engines that Gatekeeper has.
const REGO: &str = "Rego";
const CEL: &str = "K8sNativeValidation";

/// A template as written, checked for shape. Its schema and its Rego are compiled by the policy stage.
#[derive(Clone, Debug)]
pub struct ConstraintTemplate {
    pub(crate) document: Document,
    /// The kind of the constraints it defines.
    pub(crate) kind: Arc<str>,
    pub(crate) title: Option<Arc<str>>,
    pub(crate) description: Option<Arc<str>>,
    pub(crate) schema: Option<SchemaText>,
    /// Whether the schema may be non-structural: the default in v1beta1 and v1alpha1.
    pub(crate) legacy_schema: bool,
    /// Its programs, at most one for each engine: CEL first, as Gatekeeper asks its drivers.
    pub(crate) engines: Vec<EngineSource>,
    /// At the webhook, the operations it is evaluated for; empty is all.
    pub(crate) operations: Vec<Operation>,
}

/// The parameter schema and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct SchemaText {
    pub(crate) value: Value,
    pub(crate) path: FieldPath,
}

/// A program that a template brings.
#[derive(Clone, Debug)]
pub(crate) enum EngineSource {
    Rego(RegoSource),
    Cel(CelSource),
}

impl EngineSource {
    pub(crate) const fn engine(&self) -> Engine {
        match self {
            Self::Rego(_) => Engine::Rego,
            Self::Cel(_) => Engine::Cel,
        }
    }
}

/// What evaluates a template, under the name that templates have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// `Rego`.
    Rego,
    /// `K8sNativeValidation`: CEL.
    Cel,
}

impl Engine {
    /// Its name in templates.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rego => REGO,
            Self::Cel => CEL,
        }
    }

    /// Whether this build has it: CEL comes with the feature `cel`.
    #[must_use]
    pub const fn is_built(self) -> bool {
        match self {
            Self::Rego => true,
            Self::Cel => cel::IS_BUILT,
        }
    }
}

/// Which program of a template is run, where it has more than one. All that it has are compiled, whichever is
/// run: a mistake in any of them is an error of the template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// CEL where there is any, or else Rego: as Gatekeeper does.
    #[default]
    CelFirst,
    /// Rego. A template without it is an error: Gatekeeper without its driver for CEL, which is
    /// `--enable-k8s-native-validation=false`.
    RegoOnly,
}

/// Rego as written in a template.
#[derive(Clone, Debug)]
pub(crate) struct RegoSource {
    pub(crate) version: RegoVersion,
    pub(crate) module: Text,
    pub(crate) libs: Vec<Text>,
}

impl ConstraintTemplate {
    /// The kind of the constraints it defines.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The document it was read from.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The custom resource definition that it stands for, as JSON: what an API server has to have before
    /// constraints of this kind can be applied. It has no owner; Gatekeeper's is the template.
    #[must_use]
    pub fn crd(&self) -> serde_json::Value {
        super::crd::crd(self)
    }

    /// The texts of its programs that stand in its document.
    #[must_use]
    pub fn texts(&self) -> Vec<PolicyText<'_>> {
        let mut texts = Vec::new();
        for engine in &self.engines {
            match engine {
                EngineSource::Rego(source) => {
                    let rego = |text| PolicyText::of(text, PolicyLanguage::Rego(source.version));
                    texts.extend(rego(&source.module));
                    texts.extend(source.libs.iter().filter_map(rego));
                }
                EngineSource::Cel(source) => {
                    texts.extend(
                        source.expressions().filter_map(|text| PolicyText::of(text, PolicyLanguage::Cel)),
                    );
                }
            }
        }
        texts
    }

    /// Where its schema of parameters stands, if it has one.
    #[must_use]
    pub fn schema_path(&self) -> Option<&FieldPath> {
        self.schema.as_ref().map(|schema| &schema.path)
    }

    pub(super) fn read(document: &Document, object: &Object, errors: &mut Vec<Error>) -> Option<Self> {
        let root = Node::root(document);
        root.check_fields(&["apiVersion", "kind", "metadata", "spec", "status"], errors);
        let spec = root.required("spec", errors)?;
        spec.check_fields(&["crd", "targets"], errors);
        let kind = spec.required("crd", errors).and_then(|crd| read_crd(&crd, object, errors));
        let legacy_default = &*object.gvk().version != "v1";
        let validation =
            spec.field("crd").and_then(|crd| crd.field("spec")).and_then(|spec| spec.field("validation"));
        let mut schema = None;
        let mut legacy_schema = legacy_default;
        if let Some(validation) = validation {
            validation.check_fields(&["openAPIV3Schema", "legacySchema"], errors);
            schema = validation
                .field("openAPIV3Schema")
                .map(|schema| SchemaText { value: schema.value().clone(), path: schema.path().clone() });
            legacy_schema = validation.optional_bool("legacySchema", errors).unwrap_or(legacy_default);
        }
        let target =
            spec.required("targets", errors).and_then(|targets| {
                let items = targets.items(errors);
                if items.len() != 1 {
                    let found = items.len();
                    errors.push(targets.error(
                        ErrorKind::InvalidValue,
                        format!("expected exactly one target, found {found}"),
                    ));
                }
                items.into_iter().next()
            });
        let mut engines = Vec::new();
        let mut operations = Vec::new();
        if let Some(target) = target {
            target.check_fields(&["target", "rego", "libs", "code", "operations"], errors);
            check_target(&target, errors);
            engines = read_engines(&target, errors);
            operations = read_operations(&target, errors);
        }
        let annotation = |key| object.annotation(key).and_then(Annotation::text);
        let text = |key| annotation(key).filter(|text| !text.is_empty()).map(Into::into);
        Some(Self {
            document: document.clone(),
            kind: kind?,
            title: text("metadata.gatekeeper.sh/title"),
            description: text("description"),
            schema,
            legacy_schema,
            engines,
            operations,
        })
    }
}

fn read_crd(crd: &Node<'_>, object: &Object, errors: &mut Vec<Error>) -> Option<Arc<str>> {
    crd.check_fields(&["spec"], errors);
    let spec = crd.required("spec", errors)?;
    spec.check_fields(&["names", "validation"], errors);
    let names = spec.required("names", errors)?;
    // Old templates carry the other names of a CRD; they have always been derived from the kind instead.
    names.check_fields(&["kind", "shortNames", "listKind", "plural", "singular", "categories"], errors);
    let node = names.required("kind", errors)?;
    let kind = node.text(errors)?;
    let name = object.name();
    if name.to_lowercase() != kind.to_lowercase() {
        errors.push(
            node.error(
                ErrorKind::InvalidValue,
                format!("the template is named `{name}`, but defines the kind `{kind}`"),
            )
            .hint(format!("name it `{}`", kind.to_lowercase())),
        );
    }
    Some(kind)
}

fn check_target(target: &Node<'_>, errors: &mut Vec<Error>) {
    let Some(node) = target.required("target", errors) else { return };
    if let Some(name) = node.text(errors).filter(|name| &**name != TARGET) {
        errors.push(
            node.error(ErrorKind::InvalidValue, format!("unknown target `{name}`"))
                .hint(format!("the only target is `{TARGET}`")),
        );
    }
}

/// The programs of a target. The legacy `rego` field wins over a `code` entry of Rego, as in Gatekeeper.
fn read_engines(target: &Node<'_>, errors: &mut Vec<Error>) -> Vec<EngineSource> {
    let (mut rego, mut has_rego) = (None, false);
    let (mut cel, mut has_cel) = (None, false);
    let mut others = Vec::new();
    for code in target.list("code", errors) {
        code.check_fields(&["engine", "source"], errors);
        let Some(node) = code.required("engine", errors) else { continue };
        let Some(engine) = node.text(errors) else { continue };
        match &*engine {
            // The list is by engine: an API server takes each once.
            REGO if has_rego => {
                errors
                    .push(node.error(ErrorKind::InvalidValue, format!("the engine `{REGO}` is there twice")));
            }
            REGO => {
                has_rego = true;
                let source = code.required("source", errors);
                rego = source.and_then(|source| read_rego_source(&source, errors));
            }
            CEL if has_cel => {
                errors
                    .push(node.error(ErrorKind::InvalidValue, format!("the engine `{CEL}` is there twice")));
            }
            CEL => {
                has_cel = true;
                cel = Some(code);
            }
            _ => {
                errors.push(unknown_engine(&node, &engine));
                others.push(engine);
            }
        }
    }
    if let Some(module) = target.field("rego").filter(|node| value::as_str(node.value()) != Some("")) {
        let version = RegoVersion::V0;
        let libs = texts(target, "libs", version, errors);
        rego = text(&module, version, errors).map(|module| RegoSource { version, module, libs });
    }
    let source = cel.and_then(|code| code.required("source", errors));
    let cel = source.map(|source| CelSource::read(&source, errors));
    let is_reason = |error: &Error| {
        error.severity() == Severity::Error && error.path().is_some_and(|path| is_below(path, target.path()))
    };
    if rego.is_none() && cel.is_none() && !errors.iter().any(is_reason) {
        let error = target.error(ErrorKind::MissingField, "the target has no Rego and no CEL to evaluate");
        let hint = if others.is_empty() {
            "put it under `code: [{engine: Rego, source: {rego: …}}]` or `rego: …`".to_owned()
        } else {
            format!("only `{REGO}` and `{CEL}` are evaluated; the template has {}", others.join(", "))
        };
        errors.push(error.hint(hint));
    }
    cel.map(EngineSource::Cel).into_iter().chain(rego.map(EngineSource::Rego)).collect()
}

/// An engine that there is not. If one that there is was meant, the policy is not the one that was meant
/// either.
fn unknown_engine(node: &Node<'_>, engine: &str) -> Error {
    let message = format!("unknown engine `{engine}`");
    match did_you_mean(engine, [REGO, CEL]) {
        Some(name) => node.error(ErrorKind::InvalidValue, message).hint(format!("did you mean `{name}`?")),
        None => Error::warning(ErrorKind::InvalidValue, message)
            .hint("it is ignored")
            .at(node.location())
            .in_field(node.path().clone()),
    }
}

fn is_below(path: &FieldPath, parent: &FieldPath) -> bool {
    path.segments().starts_with(parent.segments())
}

fn read_rego_source(source: &Node<'_>, errors: &mut Vec<Error>) -> Option<RegoSource> {
    source.check_fields(&["rego", "libs", "version"], errors);
    let version = match source.field("version") {
        None => Some(RegoVersion::V0),
        // Gatekeeper takes any other text for v0, silently.
        Some(node) => node.one_of(&[("v0", RegoVersion::V0), ("v1", RegoVersion::V1)], errors),
    };
    // Read in any case, for what is wrong with them.
    let read = version.unwrap_or(RegoVersion::V0);
    let module = source.required("rego", errors).and_then(|node| text(&node, read, errors));
    let libs = texts(source, "libs", read, errors);
    Some(RegoSource { version: version?, module: module?, libs })
}

fn text(node: &Node<'_>, version: RegoVersion, errors: &mut Vec<Error>) -> Option<Text> {
    Some(Text { text: node.text(errors)?, version, place: TextPlace::Within(node.path().clone()) })
}

fn texts(node: &Node<'_>, key: &str, version: RegoVersion, errors: &mut Vec<Error>) -> Vec<Text> {
    node.list(key, errors).iter().filter_map(|item| text(item, version, errors)).collect()
}

fn read_operations(target: &Node<'_>, errors: &mut Vec<Error>) -> Vec<Operation> {
    const WORDS: &[(&str, Option<Operation>)] = &[
        ("*", None),
        ("CREATE", Some(Operation::Create)),
        ("UPDATE", Some(Operation::Update)),
        ("DELETE", Some(Operation::Delete)),
        ("CONNECT", Some(Operation::Connect)),
    ];
    let nodes = target.list("operations", errors);
    let read: Vec<_> = nodes.iter().filter_map(|node| node.one_of(WORDS, errors)).collect();
    let all = read.iter().any(Option::is_none);
    if all && read.len() > 1 {
        let message = "`*` stands for all operations, so no other may stand beside it";
        errors.push(target.field("operations").map_or_else(
            || target.error(ErrorKind::InvalidValue, message),
            |node| node.error(ErrorKind::InvalidValue, message),
        ));
    }
    if all { Vec::new() } else { read.into_iter().flatten().collect() }
}

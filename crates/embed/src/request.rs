//! Requests as they come: JSON, of which everything is known or an error.

use portcullis::{
    EnforcementPoint, EngineChoice, Error, ErrorKind, EvaluationLimits, Form, Limits, Object, PolicySettings,
    Source,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::VERSION;

/// Most bytes of a request that is not an object: policies, or changes of the inventory.
const REQUEST_BYTES: usize = 256 << 20;

/// The policies that an engine is made of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Compile {
    version: u32,
    pub(crate) documents: Vec<NamedText>,
    /// What of Gatekeeper's is not supported is left out with a warning.
    #[serde(default)]
    pub(crate) allow_unsupported: bool,
    /// What is good makes an engine, whatever is wrong beside it.
    #[serde(default)]
    pub(crate) partial: bool,
    #[serde(default)]
    engines: Engines,
}

/// Which program of a template is run, where it has more than one.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Engines {
    /// CEL where there is any, or else Rego.
    #[default]
    CelFirst,
    /// Rego. A template without it is an error.
    RegoOnly,
}

/// A text of YAML or JSON documents, and what messages call it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedText {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Changes of the inventory, in their order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inventory<'r> {
    version: u32,
    #[serde(borrow)]
    pub(crate) changes: Vec<Change<'r>>,
}

/// One change. Which fields belong to which `op` is checked by [`crate::engine`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Change<'r> {
    pub(crate) op: Op,
    #[serde(borrow)]
    pub(crate) object: Option<&'r RawValue>,
    #[serde(borrow)]
    pub(crate) objects: Option<Vec<&'r RawValue>>,
    pub(crate) text: Option<String>,
    pub(crate) api_version: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) reason: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Op {
    /// `object`, or the objects of `text`, are new or changed.
    Upsert,
    /// What has this `apiVersion`, `kind`, `namespace` and `name` is gone.
    Remove,
    /// All objects of `apiVersion` and `kind` are these `objects`.
    ReplaceKind,
    /// It is not known what objects of `apiVersion` and `kind` there are: `reason`. Without one it is known
    /// again.
    Unreadable,
}

/// How something is reviewed. Everything has a default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Options<'r> {
    version: Option<u32>,
    /// What messages and positions call the object.
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) point: Point,
    /// The Namespace that the object lives in.
    #[serde(borrow)]
    pub(crate) namespace: Option<&'r RawValue>,
    /// Where objects live that name no namespace.
    pub(crate) default_namespace: Option<String>,
    /// The time that policies see: milliseconds since 1970.
    now_ms: Option<i64>,
    #[serde(default)]
    pub(crate) seed: u64,
    pub(crate) timeout_ms: Option<u64>,
    #[serde(default)]
    limits: EachLimit,
    pub(crate) findings_bytes: Option<usize>,
    pub(crate) positions: Option<bool>,
    /// Whether the answer says what each constraint that applies came to, also those that passed.
    #[serde(default)]
    pub(crate) results: bool,
    /// Of which constraints the answer says why.
    pub(crate) explain: Option<Explain>,
    /// About how many bytes that may have.
    pub(crate) explanations_bytes: Option<usize>,
    /// Whether edits are looked for that make findings go.
    #[serde(default)]
    pub(crate) fixes: bool,
}

/// Of which constraints it is told why they say what they say.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Explain {
    /// Those that find something in the object itself.
    Findings,
    /// All, also those that pass or do not apply.
    All,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct EachLimit {
    steps: Option<u64>,
    memory: Option<u64>,
    depth: Option<u32>,
    output: Option<u64>,
}

/// An enforcement point, as constraints name it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) enum Point {
    #[default]
    #[serde(rename = "validation.gatekeeper.sh")]
    Webhook,
    #[serde(rename = "audit.gatekeeper.sh")]
    Audit,
    #[serde(rename = "gator.gatekeeper.sh")]
    CommandLine,
    #[serde(rename = "vap.k8s.io")]
    AdmissionPolicy,
}

impl From<Point> for EnforcementPoint {
    fn from(point: Point) -> Self {
        match point {
            Point::Webhook => Self::Webhook,
            Point::Audit => Self::Audit,
            Point::CommandLine => Self::CommandLine,
            Point::AdmissionPolicy => Self::AdmissionPolicy,
        }
    }
}

impl Options<'_> {
    /// The time that policies see, in nanoseconds since 1970.
    pub(crate) fn now_ns(&self) -> Result<Option<i64>, Vec<Error>> {
        let Some(now) = self.now_ms else { return Ok(None) };
        let message = || format!("`nowMs` is {now}, which is beyond the times that policies know");
        let now_ns = now.checked_mul(1_000_000);
        now_ns.map(Some).ok_or_else(|| vec![Error::new(ErrorKind::InvalidValue, message())])
    }

    /// What each evaluation may use.
    pub(crate) fn evaluation_limits(&self) -> EvaluationLimits {
        let usual = EvaluationLimits::default();
        let EachLimit { steps, memory, depth, output } = &self.limits;
        EvaluationLimits {
            steps: steps.unwrap_or(usual.steps),
            memory: memory.unwrap_or(usual.memory),
            // The evaluator recurses: who could raise this could overflow the stack.
            depth: depth.map_or(usual.depth, |depth| depth.min(usual.depth)),
            output: output.unwrap_or(usual.output),
        }
    }
}

impl Compile {
    pub(crate) fn read(request: &[u8]) -> Result<Self, Error> {
        let read: Self = read(request, "compile")?;
        check_version(read.version).map(|()| read)
    }

    /// The settings of the core that it asks for.
    pub(crate) fn settings(&self) -> PolicySettings {
        let engines = match self.engines {
            Engines::CelFirst => EngineChoice::CelFirst,
            Engines::RegoOnly => EngineChoice::RegoOnly,
        };
        PolicySettings { engines, ..PolicySettings::default() }
    }
}

impl<'r> Inventory<'r> {
    pub(crate) fn read(request: &'r [u8]) -> Result<Self, Error> {
        let read: Self = read(request, "inventory")?;
        check_version(read.version).map(|()| read)
    }
}

impl<'r> Options<'r> {
    /// No bytes at all are the defaults.
    pub(crate) fn read(options: &'r [u8]) -> Result<Self, Error> {
        if options.is_empty() {
            return Ok(Self::default());
        }
        let read: Self = read(options, "options")?;
        check_version(read.version.unwrap_or(VERSION)).map(|()| read)
    }
}

fn read<'r, T: Deserialize<'r>>(request: &'r [u8], what: &str) -> Result<T, Error> {
    if request.len() > REQUEST_BYTES {
        let found = request.len();
        let message = format!("{found} bytes are more than the {REQUEST_BYTES} that a request may have");
        return Err(Error::new(ErrorKind::Limit, message).about(what));
    }
    serde_json::from_slice(request).map_err(|error| {
        let kind = if error.is_data() { ErrorKind::InvalidValue } else { ErrorKind::Syntax };
        Error::new(kind, error.to_string()).about(what)
    })
}

fn check_version(version: u32) -> Result<(), Error> {
    if version == VERSION {
        return Ok(());
    }
    let message = format!("this engine speaks version {VERSION}, and not {version}");
    Err(Error::new(ErrorKind::InvalidValue, message))
}

/// An object that stands in a request.
pub(crate) fn object(name: &str, raw: &RawValue) -> Result<Object, Vec<Error>> {
    let source = Source::new(name, raw.get());
    let (mut documents, errors) = portcullis::Document::read_form(&source, Form::Json, &Limits::default());
    match (documents.pop(), documents.is_empty()) {
        (Some(document), true) if errors.is_empty() => {
            Object::from_document(document).map_err(|error| vec![error])
        }
        _ if errors.is_empty() => {
            Err(vec![Error::new(ErrorKind::NoInput, format!("`{name}` is not one object"))])
        }
        _ => Err(errors),
    }
}

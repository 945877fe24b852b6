//! Providers of external data: what they are asked, and what comes of it, over real HTTPS.
//!
//! Compared are the requests (method, path, type, body, version of TLS, name of the client), what the builtin gives, and
//! objects as mutators leave them. Sentences about the network and about JSON are compared to where they begin.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use portcullis::{
    Answers, Document, EnforcementPoint, Mutable, MutationError, MutationFailure, MutationLimits,
    MutatorStore, PolicySet, Provider, Resource, Review, Severity, Uses, Verdict, World,
};
use portcullis_providers::{BlockingProviders, ProviderOptions, Providers};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Judgement;
use crate::builders;
use crate::provider::{Asked, Body, Reply, TestProvider, TlsKind};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    name: String,
    providers: Vec<Value>,
    #[serde(rename = "responseCacheTTLSeconds")]
    ttl: Option<u64>,
    client_auth: Option<bool>,
    #[serde(default, rename = "serverTLS12Only")]
    only_12: bool,
    server: BTreeMap<String, Vec<Value>>,
    steps: Vec<Value>,
    result: CaseResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CaseResult {
    #[serde(default)]
    provider_errors: Vec<Value>,
    steps: Vec<Value>,
}

pub(super) fn judge(case: &Value) -> Result<Judgement, String> {
    let text = case.to_string();
    let case = Case::deserialize(case).map_err(|error| error.to_string())?;
    let difference = difference(&case)?.map(|difference| format!("{}: {difference}", case.name));
    Ok(Judgement { text, difference, notes: Vec::new() })
}

/// What a case runs in.
struct Run {
    server: TestProvider,
    /// An address where nobody listens.
    closed: String,
    asking: BlockingProviders,
    known: BTreeMap<String, Provider>,
}

impl Run {
    fn of(case: &Case) -> Result<Self, String> {
        let mut replies = BTreeMap::new();
        for (path, list) in &case.server {
            replies.insert(path.clone(), list.iter().map(reply).collect::<Result<Vec<_>, _>>()?);
        }
        let server = TestProvider::new(TlsKind { only_12: case.only_12, has_ended: false }, replies);
        let options = ProviderOptions {
            identity: (case.client_auth != Some(false)).then(|| server.identity().clone()),
            cache_ttl: Duration::from_secs(case.ttl.unwrap_or(0)),
            ..ProviderOptions::default()
        };
        let asking = BlockingProviders::new(Providers::new(options)).map_err(|error| error.to_string())?;
        Ok(Self { server, closed: closed(), asking, known: BTreeMap::new() })
    }

    /// With what stands for addresses and certificates put in.
    fn filled(&self, value: &Value) -> String {
        value
            .to_string()
            .replace("$SERVER", &self.server.host())
            .replace("$CLOSED", &self.closed)
            .replace("$OTHER", self.server.other_ca())
            .replace("$CA", self.server.ca())
    }

    /// Takes a Provider; says why not, if it is refused.
    fn upsert(&mut self, provider: &Value) -> Option<String> {
        let mut provider = provider.clone();
        provider["apiVersion"] = json!("externaldata.gatekeeper.sh/v1beta1");
        provider["kind"] = json!("Provider");
        let (documents, mut problems) = Document::read_all("provider.json", &self.filled(&provider));
        for document in &documents {
            let (resource, found) = Resource::read_for(document, Uses::POLICIES.with_providers(true));
            problems.extend(found);
            if let Some(Resource::Provider(provider)) = resource {
                let before = self.known.clone();
                self.known.insert(provider.name.to_string(), provider);
                if let Some(error) = self.set().first() {
                    self.known = before;
                    self.set();
                    return Some(error.clone());
                }
            }
        }
        let error = problems.iter().find(|problem| problem.severity() == Severity::Error);
        error.map(ToString::to_string)
    }

    fn set(&self) -> Vec<String> {
        let known: Vec<Provider> = self.known.values().cloned().collect();
        self.asking.providers().set(&known).iter().map(ToString::to_string).collect()
    }
}

/// An address at which nobody listens.
fn closed() -> String {
    /// The listener of one must not get the port of another before it is closed.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map_or_else(|_| "127.0.0.1:1".to_owned(), |address| address.to_string())
}

fn reply(value: &Value) -> Result<Reply, String> {
    let number = |field: &str| value[field].as_u64().unwrap_or(0);
    let body = if value["close"] == true {
        Body::Close
    } else if value["echo"] == true {
        Body::Echo
    } else {
        Body::Raw(value["raw"].as_str().unwrap_or_default().to_owned())
    };
    Ok(Reply {
        status: u16::try_from(number("status")).map_err(|error| error.to_string())?,
        body,
        delay: Duration::from_millis(number("delayMs")),
        redirect: value["redirect"].as_str().map(str::to_owned),
    })
}

fn difference(case: &Case) -> Result<Option<String>, String> {
    let mut run = Run::of(case)?;
    for (index, provider) in case.providers.iter().enumerate() {
        let here = run.upsert(provider);
        let there = case.result.provider_errors.iter().find(|error| error["index"] == index);
        if here.is_some() != there.is_some() {
            return Ok(Some(format!("providers[{index}] is here {here:?}; there {there:?}")));
        }
    }
    if case.steps.len() != case.result.steps.len() {
        return Err("there are not as many results as steps".to_owned());
    }
    for (index, (step, there)) in case.steps.iter().zip(&case.result.steps).enumerate() {
        if let Some(milliseconds) = step["sleepMs"].as_u64() {
            std::thread::sleep(Duration::from_millis(milliseconds));
        }
        let said = if let Some(rego) = step["rego"].as_str() {
            review(&run, rego, step, there)
        } else if step["mutators"].is_array() {
            mutate(&run, step, there)
        } else {
            let error = if step["upsertProvider"].is_object() {
                run.upsert(&step["upsertProvider"])
            } else if let Some(name) = step["removeProvider"].as_str() {
                run.known.remove(name);
                run.set();
                None
            } else {
                return Err(format!("a step is of an unknown kind: {step}"));
            };
            let is_refused = there["error"].is_string();
            (error.is_some() != is_refused)
                .then(|| format!("a Provider is here {error:?}; there {}", there["error"]))
        };
        let asked: Vec<Value> = run.server.take_asked().iter().map(shown).collect();
        let said = said.or_else(|| requests(&asked, &there["requests"]));
        if let Some(said) = said {
            return Ok(Some(format!("steps[{index}] {said}")));
        }
    }
    Ok(None)
}

fn shown(asked: &Asked) -> Value {
    json!({
        "method": asked.method, "path": asked.path, "contentType": asked.content_type, "body": asked.body,
        "tls": asked.tls, "clientCN": asked.client,
    })
}

/// Keys whose order the recording calls arbitrary are compared in order of their texts.
fn ordered(body: &Value, is_arbitrary: bool) -> String {
    let text = body.as_str().unwrap_or_default();
    let Some(mut body) = serde_json::from_str::<Value>(text).ok().filter(|_| is_arbitrary) else {
        return text.to_owned();
    };
    if let Some(keys) = body["request"]["keys"].as_array_mut() {
        keys.sort_by_key(ToString::to_string);
    }
    body.to_string()
}

fn requests(here: &[Value], there: &Value) -> Option<String> {
    let none = Vec::new();
    let there = there.as_array().unwrap_or(&none);
    // Several providers are asked at once.
    let by_path = |requests: &[Value]| {
        let mut sorted = requests.to_vec();
        sorted.sort_by_key(|request| request["path"].as_str().map(path).unwrap_or_default().to_owned());
        sorted
    };
    let (here, there) = (by_path(here), by_path(there));
    let is_same = |(here, there): (&Value, &Value)| {
        let is_arbitrary = there["keysOrder"] == "arbitrary";
        let is_same_body = ordered(&here["body"], is_arbitrary) == ordered(&there["body"], is_arbitrary);
        is_same_body
            && ["method", "contentType", "tls", "clientCN"].iter().all(|field| {
                here[field].as_str().unwrap_or_default() == there[field].as_str().unwrap_or_default()
            })
            && here["path"].as_str().map(path) == there["path"].as_str().map(path)
    };
    let all = here.len() == there.len() && here.iter().zip(&there).all(is_same);
    (!all).then(|| format!("requests are here {}; there {}", json!(here), json!(there)))
}

/// The recorded paths are without their query.
fn path(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

fn review(run: &Run, rego: &str, step: &Value, there: &Value) -> Option<String> {
    let mut template = builders::template("EdRule", "");
    template["spec"]["targets"] = json!([{
        "target": "admission.k8s.gatekeeper.sh",
        "code": [{"engine": "Rego", "source": {"version": "v1", "rego": rego}}],
    }]);
    let documents = [template, builders::constraint("EdRule", "all", &json!({}))];
    let (policies, errors) = PolicySet::compile(documents.iter().map(builders::document));
    let error = errors.iter().find(|error| error.severity() == Severity::Error);
    if let Some(error) = error {
        let is_refused = there["templateError"].is_string();
        return (!is_refused).then(|| format!("the template is here refused: {error}"));
    }
    let object = builders::object(&step["object"]);
    let deadline = step["contextTimeoutMs"]
        .as_u64()
        .map(|milliseconds| Instant::now() + Duration::from_millis(milliseconds));
    let outcome = policies.review_asking(
        &Review::from_object(object),
        &[],
        &World::default(),
        EnforcementPoint::CommandLine,
        &mut Answers::new(),
        |questions| run.asking.answer(questions, deadline),
    );
    let mut here: Vec<Value> = Vec::new();
    for result in &outcome.results {
        match &result.verdict {
            Verdict::Pass => {}
            Verdict::Violations(violations) | Verdict::Excepted { violations, .. } => {
                here.extend(violations.iter().map(|violation| {
                    let message = violation
                        .message
                        .replace(&run.server.host(), "$SERVER")
                        .replace(&run.closed, "$CLOSED");
                    match serde_json::from_str::<Value>(&message) {
                        Ok(answer) if answer.is_object() => json!({"answer": answer}),
                        _ => json!({"msg": message}),
                    }
                }));
            }
            Verdict::Error(error) => here.push(json!({"error": error.message})),
        }
    }
    let none = Vec::new();
    let violations = there["violations"].as_array().unwrap_or(&none);
    let is_same = here.len() == violations.len()
        && here.iter().zip(violations).all(|(here, there)| is_equal(here, there));
    (!is_same).then(|| format!("violations are here {}; there {}", json!(here), json!(violations)))
}

fn mutate(run: &Run, step: &Value, there: &Value) -> Option<String> {
    let mut store = MutatorStore::new();
    let none = Vec::new();
    for (index, mutator) in step["mutators"].as_array().unwrap_or(&none).iter().enumerate() {
        let document = builders::document(mutator);
        let (resource, mut problems) = Resource::read_for(&document, Uses::POLICIES.with_mutators(true));
        problems.extend(resource.iter().flat_map(|resource| store.upsert(resource)));
        let here = problems.iter().find(|problem| problem.severity() == Severity::Error);
        let refusals = there["mutatorErrors"].as_array().unwrap_or(&none);
        let there = refusals.iter().find(|error| error["index"] == index);
        if here.is_some() != there.is_some() {
            return Some(format!("mutators[{index}] is here {here:?}; there {there:?}"));
        }
    }
    let set = store.snapshot();
    let mutable = Mutable::new(builders::object(&step["object"]));
    let mutable = mutable.with_username(step["username"].as_str().unwrap_or_default());
    let deadline = step["contextTimeoutMs"]
        .as_u64()
        .map(|milliseconds| Instant::now() + Duration::from_millis(milliseconds));
    let mut answers = Answers::new();
    let here = loop {
        let here = set.mutate_answered(&mutable, MutationLimits::default(), None, &answers);
        match here {
            Err(error) if !error.questions().is_empty() => {
                answers.extend(run.asking.answer_anew(error.questions(), deadline));
            }
            here => break here,
        }
    };
    match (here, there["error"].as_str()) {
        (Ok(here), None) => {
            let object = here.object().to_json();
            let is_mutated = here.applied().next().is_some();
            let is_same = is_equal(&object, &there["object"]) && there["mutated"] == is_mutated;
            (!is_same).then(|| {
                format!(
                    "the object is here {object}, mutated {is_mutated}; there {}, mutated {}",
                    there["object"], there["mutated"]
                )
            })
        }
        (Err(here), Some(there)) => {
            (!is_same_error(&here, there)).then(|| format!("the error is here `{here}`; there `{there}`"))
        }
        (Ok(here), Some(there)) => Some(format!("here {}; there an error: {there}", here.object().to_json())),
        (Err(here), None) => Some(format!("here an error: {here}; there {}", there["object"])),
    }
}

/// Whether an error is of the kind that Gatekeeper's text says; and if providers are at fault, whether one of them is the
/// same.
fn is_same_error(here: &MutationError, there: &str) -> bool {
    if !there.starts_with("failed to resolve external data placeholders: ") {
        return here.kind() == MutationFailure::Mismatch;
    }
    let here_says = here.to_string();
    let named = here_says.split("provider \"").nth(1).and_then(|rest| rest.split('"').next());
    let is_named = named.is_some_and(|name| there.contains(&format!("provider {name}")));
    here.kind() == MutationFailure::Provider && is_named
}

/// Where sentences about the network or JSON begin: what follows is Go's.
fn beginning(text: &str) -> &str {
    for head in
        ["failed to send external data request: Post \"", "failed to unmarshal external data response: "]
    {
        if let Some(at) = text.find(head) {
            let end = at + head.len();
            let rest = text.get(end..).unwrap_or_default();
            let url = if head.ends_with('"') { rest.find('"').unwrap_or(rest.len()) } else { 0 };
            return text.get(..end + url).unwrap_or(text);
        }
    }
    text
}

fn is_equal(here: &Value, there: &Value) -> bool {
    match (here, there) {
        (Value::String(here), Value::String(there)) => beginning(here) == beginning(there),
        (Value::Array(here), Value::Array(there)) => {
            here.len() == there.len() && here.iter().zip(there).all(|(here, there)| is_equal(here, there))
        }
        (Value::Object(here), Value::Object(there)) => {
            here.len() == there.len()
                && here.iter().all(|(key, here)| there.get(key).is_some_and(|there| is_equal(here, there)))
        }
        _ => here == there,
    }
}

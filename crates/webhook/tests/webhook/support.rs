//! What the tests share.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use portcullis::{EvaluationLimits, Limits, Outcome, Unsupported};
use portcullis_webhook::admission::{Budget, Exempt, Own, admit};
use portcullis_webhook::decisions::{Content, Recorder};
use portcullis_webhook::load::{Paths, load};
use portcullis_webhook::log::Log;
use portcullis_webhook::pool::{Pool, Terms};
use portcullis_webhook::server::router;
use portcullis_webhook::state::{MutationSettings, Settings, State};
use serde_json::Value;
use tower::ServiceExt as _;

/// Denies Pods with `hostPID`, warns of those without labels, and only notes `hostNetwork`.
pub const POLICIES: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nospec}
spec:
  crd:
    spec:
      names: {kind: NoSpec}
      validation: {openAPIV3Schema: {type: object, properties: {field: {type: string}}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package nospec
      violation[{"msg": msg, "details": {"field": input.parameters.field}}] {
        input.review.object.spec[input.parameters.field]
        msg := sprintf("%v is not allowed", [input.parameters.field])
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NoSpec
metadata: {name: no-host-pid}
spec: {parameters: {field: hostPID}, match: {kinds: [{apiGroups: [""], kinds: [Pod]}]}}
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NoSpec
metadata: {name: no-host-ipc}
spec: {parameters: {field: hostIPC}, match: {kinds: [{apiGroups: [""], kinds: [Pod]}]}}
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NoSpec
metadata: {name: no-node}
spec: {enforcementAction: warn, parameters: {field: nodeName}}
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NoSpec
metadata: {name: no-host-network}
spec: {enforcementAction: dryrun, parameters: {field: hostNetwork}}
---
apiVersion: config.gatekeeper.sh/v1alpha1
kind: Config
metadata: {name: config, namespace: gatekeeper-system}
spec: {match: [{excludedNamespaces: ["kube-*"], processes: [webhook]}]}
"#;

/// What the log holds.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub fn read(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A webhook without a network.
pub struct Webhook {
    pub state: Arc<State>,
    pub paths: Paths,
    pub log: Lines,
    runtime: tokio::runtime::Runtime,
    _directory: tempfile::TempDir,
}

/// An answer.
pub struct Reply {
    pub http: u16,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn response(&self) -> Value {
        assert_eq!(self.http, 200, "{}", self.text);
        self.json()["response"].clone()
    }
}

impl Webhook {
    pub fn new(policies: &str) -> Self {
        Self::with_pool(policies, pool(2, 16))
    }

    pub fn with_pool(policies: &str, pool: Pool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("policies.yaml"), policies).unwrap();
        let policies = vec![directory.path().to_owned()];
        Self::of(
            Paths {
                policies,
                resources: Vec::new(),
                limits: Limits::default(),
                unsupported: Unsupported::Refused,
                settings: portcullis::PolicySettings::default(),
                mutates: false,
            },
            pool,
            directory,
        )
    }

    /// With objects that policies may compare with.
    pub fn with_resources(policies: &str, resources: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("policies.yaml"), policies).unwrap();
        std::fs::write(path("resources.yaml"), resources).unwrap();
        let (policies, resources) = (vec![path("policies.yaml")], vec![path("resources.yaml")]);
        Self::of(
            Paths {
                policies,
                resources,
                limits: Limits::default(),
                unsupported: Unsupported::Refused,
                settings: portcullis::PolicySettings::default(),
                mutates: false,
            },
            pool(2, 16),
            directory,
        )
    }

    /// One that mutates.
    pub fn mutating(policies: &str, resources: &str, settings: MutationSettings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let (policy_files, resource_files) = (folder("policies"), folder("resources"));
        std::fs::write(policy_files.join("policies.yaml"), policies).unwrap();
        std::fs::write(resource_files.join("resources.yaml"), resources).unwrap();
        let paths = Paths {
            policies: vec![policy_files],
            resources: vec![resource_files],
            limits: Limits::default(),
            unsupported: Unsupported::Refused,
            settings: portcullis::PolicySettings::default(),
            mutates: true,
        };
        let mut webhook = Self::of(paths, pool(2, 16), directory);
        Arc::get_mut(&mut webhook.state).unwrap().settings.mutation = Some(settings);
        webhook
    }

    pub fn of_library() -> Self {
        let policies = vec![workspace().join("policies")];
        let paths = Paths {
            policies,
            resources: Vec::new(),
            limits: Limits::default(),
            unsupported: Unsupported::Refused,
            settings: portcullis::PolicySettings::default(),
            mutates: false,
        };
        Self::of(paths, pool(2, 16), tempfile::tempdir().unwrap())
    }

    fn of(paths: Paths, pool: Pool, directory: tempfile::TempDir) -> Self {
        let log = Lines::default();
        let settings = Settings {
            limits: EvaluationLimits::default(),
            timeout: Duration::from_secs(10),
            max_body: 3 << 20,
            log_denies: true,
            mutation: None,
            exempt: Exempt { names: vec!["infra".into()], ..Exempt::default() },
            own: Own::default(),
            redact: Vec::new(),
            clock: std::time::SystemTime::now,
        };
        let loaded = load(&paths).unwrap();
        let state = State::new(loaded, settings, pool, 16 << 20, None, Log::new(log.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { state: Arc::new(state), paths, log, runtime, _directory: directory }
    }

    pub fn with_own(mut self, own: Own) -> Self {
        Arc::get_mut(&mut self.state).unwrap().settings.own = own;
        self
    }

    /// With fields that are secret.
    pub fn with_redact(mut self, fields: &[&str]) -> Self {
        let fields = fields.iter().map(|field| field.parse().unwrap()).collect();
        Arc::get_mut(&mut self.state).unwrap().settings.redact = fields;
        self
    }

    /// With a record of decisions in memory.
    pub fn with_decisions(mut self, content: Content) -> (Self, Lines) {
        let lines = Lines::default();
        let recorder = Recorder::to_stream(lines.clone(), content, self.state.log.clone()).unwrap();
        Arc::get_mut(&mut self.state).unwrap().decisions = Some(recorder);
        (self, lines)
    }

    /// Replaces the policies' file and has it read.
    pub fn edit(&self, policies: &str) {
        std::fs::write(self.paths.policies[0].join("policies.yaml"), policies).unwrap();
        self.state.replace(load(&self.paths));
    }

    pub fn send(&self, request: Request<Body>) -> Reply {
        self.runtime.block_on(async {
            let response = router(Arc::clone(&self.state)).oneshot(request).await.unwrap();
            let http = response.status().as_u16();
            let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            Reply { http, text: String::from_utf8(bytes.to_vec()).unwrap() }
        })
    }

    pub fn post(&self, uri: &str, body: impl Into<Vec<u8>>) -> Reply {
        let request = Request::post(uri).header("content-type", "application/json");
        self.send(request.body(Body::from(body.into())).unwrap())
    }

    /// What the constraints say of a request.
    pub fn judge(&self, body: &[u8]) -> Outcome {
        let limits = EvaluationLimits::default();
        let budget = Budget { limits, deadline: Instant::now() + Duration::from_mins(1), now_ns: 0 };
        let (_, answer) = admit(body, &self.state.serving(), &Own::default(), Ok(None), &budget);
        *answer.outcome.unwrap()
    }

    pub fn get(&self, uri: &str) -> Reply {
        self.send(Request::get(uri).body(Body::empty()).unwrap())
    }

    /// What is said to an object that is being created.
    pub fn create(&self, object: &Value) -> Value {
        self.post("/v1/admit", review(object, "CREATE").to_string()).response()
    }
}

/// Threads for reviews, and one more.
pub fn pool(threads: usize, queue: usize) -> Pool {
    Pool::start(Terms { threads, queue, memory: 256 << 20, each: 32 << 20 }).unwrap()
}

/// Keeps all threads of a pool busy until what is returned is dropped.
pub fn occupy(pool: &Pool) -> impl Sized + use<> {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let (began, begun) = std::sync::mpsc::channel();
    let work = (0..pool.threads()).map(|_| {
        let (held, began) = (Arc::clone(&held), began.clone());
        let work = move || {
            began.send(()).unwrap();
            let _ = held.lock().unwrap().recv();
        };
        let work = pool.run(0, work).unwrap();
        begun.recv().unwrap();
        work
    });
    let work: Vec<_> = work.collect();
    // First what is waited for is dropped.
    (release, work)
}

/// A Pod with this `spec`.
pub fn pod(spec: &Value) -> Value {
    let metadata = serde_json::json!({"name": "web", "namespace": "shop"});
    serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
}

/// The AdmissionReview of an object.
pub fn review(object: &Value, operation: &str) -> Value {
    let api_version = object["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = serde_json::json!({"group": group, "version": version, "kind": object["kind"]});
    let (new, old) = match operation {
        "DELETE" => (Value::Null, object.clone()),
        _ => (object.clone(), Value::Null),
    };
    serde_json::json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "kind": kind,
            "resource": {"group": group, "version": version, "resource": "things"},
            "name": object["metadata"]["name"],
            "namespace": object["metadata"].get("namespace").cloned().unwrap_or("".into()),
            "operation": operation,
            "userInfo": {"username": "dana"},
            "object": new,
            "oldObject": old,
            "dryRun": false,
        },
    })
}

pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

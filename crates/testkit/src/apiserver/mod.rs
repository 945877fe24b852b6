//! A simulated Kubernetes API server for tests: lists, watches and writes over HTTP on 127.0.0.1, with faults
//! on demand.
//!
//! ```no_run
//! use portcullis_testkit::apiserver::{ApiServer, Fault, Verb};
//! use serde_json::json;
//!
//! # async fn example() {
//! let server = ApiServer::start().await; // has Namespaces, Pods, templates, CRDs, Leases and more
//! server.register("constraints.gatekeeper.sh/v1beta1", "NoLatest", "nolatest", false);
//! server.put(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "web"}}));
//! server.fault(Fault::on(Verb::List, "pods").after(1).gone()); // the second page of Pods is 410 Gone, once
//! server.fault(Fault::on(Verb::Watch, "pods").times(2).disconnect_after(1)); // twice, a watch ends after one event
//! let url = server.url(); // plain HTTP
//! # }
//! ```
//!
//! What it does as a real one does: resource versions that grow over all kinds; lists of one state in pages,
//! with continue tokens that end with [`ApiServer::compact`]; watches from a version, with bookmarks and 410;
//! items of lists of built-in kinds without their kind; `metadata.uid`, `generation`; the `status`
//! subresource; conflicts; merge, JSON and apply patches; CRDs that bring their kinds; both forms of
//! discovery; SubjectAccessReviews by what a test permits; if asked for, RBAC by manifests, kinds that nobody may read, CRDs whose kinds are served late,
//! objects that are being deleted. What it does not do: authentication, validation, selectors, versions that
//! are converted.

#![expect(clippy::expect_used, reason = "a panic is how a test says that it fails")]

mod faults;
mod http;
mod kinds;
mod patch;
mod rights;
mod store;

pub use faults::{Fault, Verb};
pub use rights::Rights;
pub use store::Recorded;

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use store::Store;
use tokio::sync::watch;

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct ApiServer {
    shared: Arc<Shared>,
    url: String,
    stop: watch::Sender<bool>,
}

#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    /// Counts changes of the store, for watches to wake up.
    changed: watch::Sender<u64>,
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().expect("no test panics while it holds the store")
    }

    fn wake(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

impl ApiServer {
    /// Starts a server with the kinds that most tests need, and the Namespaces `default` and
    /// `gatekeeper-system`.
    pub async fn start() -> Self {
        let shared = Arc::new(Shared { store: Mutex::default(), changed: watch::channel(0).0 });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (stop, mut stopped) = watch::channel(false);
        let router = http::router(Arc::clone(&shared));
        tokio::spawn(async move {
            let serve = axum::serve(listener, router);
            tokio::select! {
                _ = serve => {}
                _ = stopped.changed() => {}
            }
        });
        let server = Self { shared, url, stop };
        for (api_version, kind, plural, namespaced) in KINDS {
            server.register(api_version, kind, plural, *namespaced);
        }
        for name in ["default", "gatekeeper-system"] {
            server
                .put(serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name,
                "labels": {"kubernetes.io/metadata.name": name}}}));
        }
        server
    }

    /// Its address, `http://127.0.0.1:…`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Serves one more kind, from now on.
    pub fn register(&self, api_version: &str, kind: &str, plural: &str, namespaced: bool) {
        self.shared.store().register(api_version, kind, plural, namespaced);
    }

    /// Serves the kinds of a whole Kubernetes, and those of Gatekeeper's that nothing is done for. Of two
    /// kinds with one plural there is one: `events`.
    pub fn register_kubernetes(&self) {
        for (api_version, kind, plural, namespaced) in kinds::KUBERNETES.iter().chain(kinds::UNSUPPORTED) {
            self.register(api_version, kind, plural, *namespaced);
        }
    }

    /// No longer serves a kind, as if its CRD were deleted: its objects are gone, and watches see that.
    pub fn unregister(&self, plural: &str) {
        self.shared.store().unregister(plural);
        self.shared.wake();
    }

    /// Creates or replaces an object, as if somebody applied it; not recorded. Returns its resource version.
    pub fn put(&self, object: Value) -> u64 {
        let version = self.shared.store().put(object);
        self.shared.wake();
        version
    }

    /// Deletes an object; not recorded. The namespace of cluster-scoped objects is empty.
    pub fn delete(&self, plural: &str, namespace: &str, name: &str) {
        self.shared.store().delete(plural, namespace, name);
        self.shared.wake();
    }

    /// An object as it is now.
    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        self.shared.store().get(plural, namespace, name)
    }

    /// How many objects of a kind there are.
    pub fn count(&self, plural: &str) -> usize {
        self.shared.store().count(plural)
    }

    /// Adds a fault. Several that fit one request are used up in the order in which they were added.
    pub fn fault(&self, fault: Fault) {
        self.shared.store().faults.push(fault);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.shared.store().faults.clear();
        self.shared.wake();
    }

    /// Makes discovery fail for a group and version, such as `metrics.k8s.io/v1beta1`, until the kind is
    /// registered anew.
    pub fn break_group(&self, group_version: &str) {
        self.shared.store().broken_groups.insert(group_version.to_owned());
    }

    /// Answers discovery in the old form, a document per group and version.
    pub fn without_aggregated_discovery(&self) {
        self.shared.store().aggregated = false;
    }

    /// Forgets the past: continue tokens and versions to watch from that are older than now are 410 Gone.
    pub fn compact(&self) {
        self.shared.store().compact();
        self.shared.wake();
    }

    /// Sends a bookmark to every watch that asked for them.
    pub fn bookmark(&self) {
        self.shared.store().bookmarks += 1;
        self.shared.wake();
    }

    /// Ends all watches, as a server does that restarts.
    pub fn end_watches(&self) {
        self.shared.store().watch_epoch += 1;
        self.shared.wake();
    }

    /// From now on all clients have these rights and no others. Without this, everything is allowed.
    pub fn authorize(&self, rights: Rights) {
        self.shared.store().rights = Some(rights);
    }

    /// Lets SubjectAccessReviews say that a user may do something with a resource: `permit("alice", "get", "secrets")`.
    pub fn permit(&self, user: &str, verb: &str, resource: &str) {
        self.shared.store().permitted.insert([user, verb, resource].map(str::to_owned));
    }

    /// From now on nobody may list, watch or get a kind, by its plural: 403. Watches that are open go on, as
    /// on a real server, until they end.
    pub fn deny(&self, plural: &str) {
        self.shared.store().denied.insert(plural.to_owned());
    }

    /// Takes that back.
    pub fn grant(&self, plural: &str) {
        self.shared.store().denied.remove(plural);
        self.shared.wake();
    }

    /// From now on the kinds of CRDs are served late, as on a real server: for a while there is no such kind,
    /// then requests for it are refused with 429 and `Retry-After: 1` for a while.
    pub fn establish_late(&self, absent: std::time::Duration, initializing: std::time::Duration) {
        self.shared.store().establishing = Some((absent, initializing));
        let shared = Arc::downgrade(&self.shared);
        tokio::spawn(async move {
            while let Some(shared) = shared.upgrade() {
                if shared.store().tell_established() {
                    shared.wake();
                }
                drop(shared);
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        });
    }

    /// Begins to delete an object that somebody holds by a finalizer, such as a CRD with objects: it goes
    /// with [`ApiServer::delete`].
    pub fn terminate(&self, plural: &str, namespace: &str, name: &str) {
        self.shared.store().terminate(plural, namespace, name);
        self.shared.wake();
    }

    /// What was not allowed so far, as it was said.
    pub fn refused(&self) -> Vec<String> {
        self.shared.store().rights.as_ref().map(|rights| rights.refused.clone()).unwrap_or_default()
    }

    /// What is granted and was not used so far: `ROLE: VERB RESOURCE.GROUP NAME`.
    pub fn unused_rights(&self) -> Vec<String> {
        self.shared.store().rights.as_ref().map(Rights::unused).unwrap_or_default()
    }

    /// Every request so far, in order.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.store().recorded.clone()
    }

    /// The writes so far, in order: everything that is no GET.
    pub fn writes(&self) -> Vec<Recorded> {
        self.shared.store().recorded.iter().filter(|request| request.method != "GET").cloned().collect()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.shared.store().recorded.clear();
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

/// API version, kind, plural, whether namespaced.
const KINDS: &[(&str, &str, &str, bool)] = &[
    ("v1", "Namespace", "namespaces", false),
    ("v1", "Pod", "pods", true),
    ("v1", "Service", "services", true),
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Secret", "secrets", true),
    ("v1", "Event", "events", true),
    ("apps/v1", "Deployment", "deployments", true),
    ("networking.k8s.io/v1", "Ingress", "ingresses", true),
    ("coordination.k8s.io/v1", "Lease", "leases", true),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        false,
    ),
    (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        false,
    ),
    ("templates.gatekeeper.sh/v1", "ConstraintTemplate", "constrainttemplates", false),
    ("config.gatekeeper.sh/v1alpha1", "Config", "configs", true),
    ("syncset.gatekeeper.sh/v1alpha1", "SyncSet", "syncsets", false),
];

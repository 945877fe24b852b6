//! The roles that `portcullis generate manifests` writes against the program: what it does for some policies they allow, and no more.

use std::path::PathBuf;

use portcullis::{Document, ExpansionSet, Kinds, PolicySet, Resource};
use portcullis_manifests::{Manifests, Options, to_yaml};
use portcullis_sources::{Choice, documents};
use portcullis_testkit::apiserver::Rights;
use portcullis_testkit::policies;
use serde_json::json;

use crate::kube::server;
use crate::rights::{NAMESPACE, exercise, register_exceptions, register_reports};
use crate::support::{POLICIES, pod};

/// The roles for some policies and those of the tests, by themselves: nothing else is read but them.
async fn roles_are_exact(paths: Vec<PathBuf>, codes: [i32; 2], elsewhere: &[&str]) {
    let input = documents(&paths, Choice::Policies, &portcullis::Limits::default());
    let own = Document::read_all("policies.yaml", POLICIES).0;
    let all: Vec<_> =
        input.documents.iter().chain(&own).filter_map(|document| Resource::read(document).0).collect();
    let server = server().await;
    server.register_kubernetes();
    register_exceptions(&server);
    register_reports(&server);
    for template in all.iter().filter_map(|resource| match resource {
        Resource::Template(template) => Some(template),
        _ => None,
    }) {
        let kind = template.kind();
        server.register("constraints.gatekeeper.sh/v1beta1", kind, &kind.to_lowercase(), false);
        server.put(template.document().to_json());
    }
    for constraint in all.iter().filter_map(|resource| match resource {
        Resource::Constraint(constraint) => Some(constraint),
        _ => None,
    }) {
        server.put(constraint.object().to_json());
    }
    let (policies, errors) = PolicySet::from_resources(all);
    assert!(errors.iter().all(|error| error.severity() == portcullis::Severity::Warning), "{errors:#?}");
    assert!(policies.constraints().count() > 10);
    // Of EndpointSlices, which no policy names, come Pods.
    let template = json!({"apiVersion": "expansion.gatekeeper.sh/v1beta1", "kind": "ExpansionTemplate",
        "metadata": {"name": "slices"}, "spec": {"templateSource": "spec",
            "applyTo": [{"groups": ["discovery.k8s.io"], "versions": ["v1"], "kinds": ["EndpointSlice"]}],
            "generatedGVK": {"group": "", "version": "v1", "kind": "Pod"}}});
    let (expansions, errors) =
        ExpansionSet::compile(Document::read_all("expansion.json", &template.to_string()).0);
    assert!(errors.is_empty(), "{errors:#?}");
    server.put(template);
    let made = Manifests::audit(&policies, &expansions, &Kinds::default(), &Options::default()).unwrap();
    assert!(made.notes.is_empty(), "{:#?}", made.notes);
    server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
    server.put(pod("shop", "bad", true));
    // One that is judged and that nobody minds.
    server.put(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": "good"},
        "spec": {"type": "ClusterIP", "ports": [{"port": 80}]}}),
    );
    for document in made.documents().filter(|document| document["kind"] == "SyncSet") {
        server.put(document.clone());
    }
    server.authorize(Rights::of(&[to_yaml(made.documents()).unwrap()], NAMESPACE, "portcullis-audit"));
    exercise(&server, codes).await;
    assert!(server.refused().is_empty(), "{:#?}", server.refused());
    let unused: Vec<String> = server.unused_rights();
    assert_eq!(unused, elsewhere, "never used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_for_our_policies_are_exact() {
    roles_are_exact(policies::ours(), [1, 0], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_for_gatekeeper_library_are_exact() {
    let Some(library) = policies::gatekeeper_library() else { return };
    // The simulated API server has one kind of a name.
    let elsewhere = ["portcullis-audit-kinds: list events.events.k8s.io"];
    roles_are_exact(library, [1, 1], &elsewhere).await;
}

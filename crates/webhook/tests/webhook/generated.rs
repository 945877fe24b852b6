//! The roles that `portcullis generate manifests` writes against the program: what it does for some policies they allow, and no more.

use std::path::PathBuf;

use portcullis::{Document, Kinds, PolicySet, Resource};
use portcullis_manifests::{Manifests, Options, to_yaml};
use portcullis_sources::{Choice, documents};
use portcullis_testkit::apiserver::ApiServer;
use portcullis_testkit::policies;
use serde_json::Value;

use crate::kube::{cluster, constraint, start_in, template, until};
use crate::rights::{NAMESPACE, UNLIKE_HOSTS, exercise, fill, rights};

/// Puts templates and constraints there, and gives back what they are together.
fn put(server: &ApiServer, paths: &[PathBuf]) -> PolicySet {
    let input = documents(paths, Choice::Policies, &portcullis::Limits::default());
    let own = [template("UnlikeHosts", UNLIKE_HOSTS), constraint("UnlikeHosts", &serde_json::json!({}))];
    let own = own.map(|value| Document::read_all("own.json", &value.to_string()).0.remove(0));
    let all: Vec<_> =
        input.documents.iter().chain(&own).filter_map(|document| Resource::read(document).0).collect();
    let mut constraints: Vec<Value> = Vec::new();
    for resource in &all {
        match resource {
            Resource::Template(template) => {
                let kind = template.kind();
                server.register("constraints.gatekeeper.sh/v1beta1", kind, &kind.to_lowercase(), false);
                server.put(template.document().to_json());
            }
            Resource::Constraint(constraint) => constraints.push(constraint.object().to_json()),
            _ => {}
        }
    }
    for constraint in constraints {
        // What they deny is not what this is about.
        let mut constraint = constraint;
        if constraint["kind"] != "UnlikeHosts" {
            constraint["spec"]["enforcementAction"] = "dryrun".into();
        }
        server.put(constraint);
    }
    let (policies, errors) = PolicySet::from_resources(all);
    assert!(errors.iter().all(|error| error.severity() == portcullis::Severity::Warning), "{errors:#?}");
    assert!(policies.constraints().count() > 10);
    policies
}

fn roles_are_exact(paths: &[PathBuf]) {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    let policies = put(server, paths);
    let made = Manifests::webhook(
        &policies,
        &portcullis::ExpansionSet::empty(),
        &Kinds::default(),
        &Options::default(),
    )
    .unwrap();
    for document in made.documents().filter(|document| document["kind"] == "SyncSet") {
        server.put(document.clone());
    }
    server.authorize(rights(&[to_yaml(made.documents()).unwrap()]));
    let mut program = start_in(server, NAMESPACE, &["--emit-admission-events"]);
    until(200, || program.get("/readyz").0);
    exercise(server, &mut program);
    assert!(server.refused().is_empty(), "{:#?}", server.refused());
    assert!(server.unused_rights().is_empty(), "never used: {:#?}", server.unused_rights());
    program.stop();
}

#[test]
fn roles_for_our_policies_are_exact() {
    roles_are_exact(&policies::ours());
}

#[test]
fn roles_for_gatekeeper_library_are_exact() {
    if let Some(library) = policies::gatekeeper_library() {
        roles_are_exact(&library);
    }
}

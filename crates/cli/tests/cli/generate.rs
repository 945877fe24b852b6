//! `portcullis generate`, and `lint --webhook-configuration`: what policies need, and whether it is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Run, run_in, testdata};

fn root() -> PathBuf {
    testdata().join("../..")
}

/// Every file of a directory.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(directory).unwrap().map(Result::unwrap);
    files
        .map(|file| (file.file_name().into_string().unwrap(), fs::read_to_string(file.path()).unwrap()))
        .collect()
}

fn documents(text: &str) -> Vec<Value> {
    let (documents, errors) = portcullis::Document::read_all("made.yaml", text);
    assert!(errors.is_empty(), "{errors:?}");
    documents.iter().map(portcullis::Document::to_json).collect()
}

fn lint(policies: &[&str], configuration: &Path) -> Vec<(String, String)> {
    let configuration = configuration.to_str().unwrap();
    let args = [&["lint"], policies, &["--webhook-configuration", configuration, "-o", "json"]].concat();
    let report: Value = serde_json::from_str(&run_in(&root(), &args).exits_with(0).stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let of_rules = findings.filter(|finding| finding["rule"] == "webhook-rules");
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    of_rules.map(|finding| (text(finding, "resource"), text(finding, "message"))).collect()
}

#[test]
fn the_crds_in_deploy_are_those_that_are_generated() {
    let directory = tempfile::tempdir().unwrap();
    let made = directory.path().join("crds");
    run_in(&root(), &["generate", "crds", "--output", made.to_str().unwrap()]).exits_with(0);
    let mut shipped = files(&root().join("deploy/crds"));
    let kustomization = shipped.remove("kustomization.yaml").unwrap();
    let made = files(&made);
    assert_eq!(shipped, made, "make them anew: portcullis generate crds --output deploy/crds");
    assert!(made.keys().all(|name| kustomization.contains(&format!("- {name}\n"))));
    let all = run_in(&root(), &["generate", "crds"]).exits_with(0).stdout;
    assert_eq!(documents(&all).len(), made.len());
}

#[test]
fn crds_of_constraint_kinds_are_added() {
    let run = run_in(&root(), &["generate", "crds", "--policies", "policies"]).exits_with(0);
    let names: Vec<String> = documents(&run.stdout)
        .iter()
        .map(|crd| crd["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 10 + crate::templates().len(), "{names:?}");
    assert!(names.iter().any(|name| name == "privilegedcontainers.constraints.gatekeeper.sh"), "{names:?}");
}

#[test]
fn the_shipped_configuration_sends_what_our_policies_need() {
    let shipped = root().join("deploy/webhook/webhook-configuration.yaml");
    let missing: Vec<_> = lint(&["policies"], &shipped)
        .into_iter()
        .filter(|(_, message)| message.contains("not sent"))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_generated_configuration_sends_what_policies_need_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let made = directory.path().to_str().unwrap();
    let run = run_in(&root(), &["generate", "manifests", "-p", "policies", "-n", "guards", "-o", made])
        .exits_with(0);
    assert_eq!(run.stderr, "");
    let found = lint(&["policies"], &directory.path().join("webhook-configuration.yaml"));
    assert!(found.iter().all(|(_, message)| message.contains("failurePolicy")), "{found:#?}");
    let files = files(directory.path());
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        ["audit-rbac.yaml", "sync-set.yaml", "webhook-configuration.yaml", "webhook-rbac.yaml"]
    );
    assert!(files.values().all(|text| !text.contains("portcullis-system")));
    assert!(files["webhook-rbac.yaml"].contains("namespace: guards"));
    // The same on standard output, and only for one of the programs.
    let all =
        run_in(&root(), &["generate", "manifests", "-p", "policies", "-n", "guards"]).exits_with(0).stdout;
    let count = |text: &String| documents(text).len();
    assert_eq!(count(&all), files.values().map(count).sum::<usize>());
    let args = ["generate", "manifests", "-p", "policies", "-n", "guards", "--for", "audit"];
    let audit = documents(&run_in(&root(), &args).exits_with(0).stdout);
    let of_file = |name: &str| documents(&files[name]);
    assert_eq!(audit, [of_file("audit-rbac.yaml"), of_file("sync-set.yaml")].concat());
}

#[test]
fn the_configuration_of_mutation_is_for_mutators_that_are_there() {
    let directory = tempfile::tempdir().unwrap();
    let made = directory.path().to_str().unwrap();
    let mutators = "testdata/cli/mutation/mutators.yaml";
    let all =
        ["generate", "manifests", "-p", "policies", "-p", mutators, "-n", "guards", "--mutate", "-o", made];
    assert_eq!(run_in(&root(), &all).exits_with(0).stderr, "");
    let files = files(directory.path());
    assert_eq!(files.len(), 5, "{:?}", files.keys());
    let made = &documents(&files["mutating-webhook-configuration.yaml"])[0];
    let webhook = &made["webhooks"][0];
    assert_eq!(
        (&made["kind"], &made["metadata"]["name"]),
        (&"MutatingWebhookConfiguration".into(), &"portcullis".into())
    );
    let service = &webhook["clientConfig"]["service"];
    assert_eq!((&service["namespace"], &service["path"]), (&"guards".into(), &"/v1/mutate".into()));
    // One of them labels everything.
    assert_eq!(webhook["rules"].as_array().map(Vec::len), Some(1));
    assert_eq!(webhook["rules"][0]["resources"], serde_json::json!(["*"]));
    assert!(!files["webhook-configuration.yaml"].contains("/v1/mutate"));

    for (args, said) in [
        (&["-p", "policies", "--mutate"][..], "no mutators were found"),
        (&["-p", "policies", "-p", mutators], "not supported"),
        (&["-p", "policies", "-p", mutators, "--mutate", "--for", "audit"], "about the webhook"),
    ] {
        let run = run_in(&root(), &[&["generate", "manifests"], args].concat()).exits_with(2);
        assert!(run.stderr.contains(said) && run.stdout.is_empty(), "{}", run.stderr);
    }
}

/// Manifests that lack what a broken policy needs would look like whole ones.
#[test]
fn broken_policies_make_no_manifests() {
    let directory = tempfile::tempdir().unwrap();
    let made = directory.path().join("made");
    let made_in = |policies: &str| -> Run {
        run_in(
            &testdata().join("lint"),
            &["generate", "manifests", "-p", policies, "-o", made.to_str().unwrap(), "--color", "never"],
        )
    };
    for (policies, said) in
        [("wrong.yaml", "error"), ("nowhere.yaml", "nowhere.yaml"), ("../manifests", "no constraints")]
    {
        let run = made_in(policies).exits_with(2);
        assert!(run.stderr.contains(said), "{policies}: {}", run.stderr);
        assert!(!made.exists(), "{policies}");
    }
}

const READS_ANYTHING: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: comparesanything}
spec:
  crd: {spec: {names: {kind: ComparesAnything}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package p
      violation[{"msg": "seen before"}] {
        data.inventory.namespace[_][_][input.review.kind.kind][_].metadata.uid == input.review.uid
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: ComparesAnything
metadata: {name: compares-anything}
spec: {match: {kinds: [{apiGroups: [example.com], kinds: [Datum]}]}}
"#;

const DATUM: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: data.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Datum, plural: data}
  versions: [{name: v2, served: true, storage: true}]
";

const SYNCED: &str = "
apiVersion: syncset.gatekeeper.sh/v1alpha1
kind: SyncSet
metadata: {name: ours}
spec: {gvks: [{group: example.com, version: v2, kind: Datum}]}
";

#[test]
fn what_texts_do_not_say_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let made = |texts: &[&str]| {
        fs::write(directory.path().join("policies.yaml"), texts.join("---\n")).unwrap();
        run_in(directory.path(), &["generate", "manifests", "-p", "policies.yaml", "--color", "never"])
            .exits_with(0)
    };
    let run = made(&[READS_ANYTHING]);
    for part in [
        "kinds that its text does not say",
        "list the kinds that it needs in a SyncSet",
        "taken to be `datums`",
    ] {
        assert!(run.stderr.contains(part), "{part} is missing in\n{}", run.stderr);
    }
    assert!(run.stdout.contains("- datums\n"));
    let run = made(&[READS_ANYTHING, DATUM, SYNCED]);
    assert!(!run.stderr.contains("taken to be") && run.stdout.contains("- data\n"), "{}", run.shown());
    // It is there already.
    assert!(!run.stdout.contains("kind: SyncSet"), "{}", run.stdout);
}

#[test]
fn a_configuration_is_judged_at_its_lines() {
    let directory = tempfile::tempdir().unwrap();
    let shipped = fs::read_to_string(root().join("deploy/webhook/webhook-configuration.yaml")).unwrap();
    let narrow =
        shipped.replace("    - batch\n", "").replace("matchPolicy: Equivalent", "matchPolicy: Exact");
    let path = directory.path().join("narrow.yaml");
    fs::write(&path, &narrow).unwrap();
    let args = [
        "lint",
        "policies",
        "--webhook-configuration",
        path.to_str().unwrap(),
        "--color",
        "never",
        "--deny-warnings",
    ];
    let run = run_in(&root(), &args).exits_with(1);
    let line = narrow.lines().position(|line| line.ends_with("matchPolicy: Exact")).unwrap() + 1;
    for part in [
        "CREATE and UPDATE of `cronjobs.batch`, CREATE and UPDATE of `jobs.batch`".to_owned(),
        "in: PrivilegedContainers/pod-security-baseline-privileged-containers".to_owned(),
        format!("narrow.yaml:{line}:"),
    ] {
        assert!(run.stdout.contains(&part), "{part} is missing in\n{}", run.stdout);
    }
    let nothing = ["lint", "policies", "--webhook-configuration", "deploy/webhook/service.yaml"];
    let run = run_in(&root(), &nothing).exits_with(2);
    assert!(run.stdout.contains("no ValidatingWebhookConfiguration was found"), "{}", run.stdout);
}

/// A policy on Pods, and what Pods come of.
#[test]
fn what_is_expanded_is_sent_and_listed() {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let policy = put(
        "policy.yaml",
        r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nohostpid}
spec:
  crd: {spec: {names: {kind: NoHostPid}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package nohostpid
      violation[{"msg": "no"}] { input.review.object.spec.hostPID }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NoHostPid
metadata: {name: pods}
spec: {match: {kinds: [{apiGroups: [""], kinds: [Pod]}]}}
"#,
    );
    let expansion = put(
        "expansion.yaml",
        r#"
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: deployments}
spec:
  applyTo: [{groups: [apps], versions: [v1], kinds: [Deployment]}]
  templateSource: spec.template
  generatedGVK: {group: "", version: v1, kind: Pod}
"#,
    );
    let made = |more: &[&str]| {
        let args = [&["generate", "manifests", "-p", &policy], more].concat();
        documents(&run_in(&root(), &args).exits_with(0).stdout)
    };
    let has = |made: &[Value], kind: &str, resource: &str| {
        let is_one = |object: &&Value| object["kind"] == kind;
        let quoted = format!("\"{resource}\"");
        made.iter().filter(is_one).any(|object| object.to_string().contains(&quoted))
    };
    let (sent, audited) = ("ValidatingWebhookConfiguration", "ClusterRole");
    let without = made(&[]);
    assert!(!has(&without, sent, "deployments") && !has(&without, audited, "deployments"));
    let with = made(&["-p", &expansion]);
    assert!(has(&with, sent, "deployments") && has(&with, audited, "deployments"));
    assert!(!has(&with, audited, "cronjobs"));
    // The audit expands without templates as well, if it is told to; the webhook does not.
    let workloads = made(&["--expand", "workloads"]);
    assert!(!has(&workloads, sent, "deployments") && has(&workloads, audited, "cronjobs"));
    let args = ["generate", "manifests", "-p", &policy, "--expand", "workloads", "--for", "webhook"];
    let run = run_in(&root(), &args).exits_with(2);
    assert!(run.stderr.contains("`--expand` is about the audit"), "{}", run.stderr);
    // Who forgot them in a configuration is told.
    let configuration = directory.path().join("configuration.yaml");
    let text = serde_json::to_string(without.iter().find(|object| object["kind"] == sent).unwrap()).unwrap();
    std::fs::write(&configuration, text).unwrap();
    let told = |paths: &[&str]| {
        let found = lint(paths, &configuration);
        found.iter().any(|(_, message)| message.contains("not sent") && message.contains("deployments.apps"))
    };
    assert!(told(&[&policy, &expansion]) && !told(&[&policy]));
}

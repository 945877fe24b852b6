//! `--explain`: why the first violations of each constraint are there, in the reports that people and programs read.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::kube::{explained, server};
use crate::support::{POLICIES, directory, ingress, lines, pod, run, service, without_times};

/// Says of every Secret that is there that it is, and of every ConfigMap that is called as a Secret is.
const ABOUT_SECRETS: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nopasswords}
spec:
  crd: {spec: {names: {kind: NoPasswords}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package nopasswords
      violation[{"msg": "there is a password"}] {
        count(input.review.object.data.password) > 3
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NoPasswords
metadata: {name: no-passwords}
spec: {match: {kinds: [{apiGroups: [""], kinds: [Secret, ConfigMap]}]}}
---
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: othernames}
spec:
  crd: {spec: {names: {kind: OtherNames}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package othernames
      violation[{"msg": "a Secret is called like this"}] {
        secret := data.inventory.namespace[_].v1.Secret[name]
        name == input.review.object.metadata.name
        count(secret.data) > 0
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: OtherNames
metadata: {name: other-names}
spec: {match: {kinds: [{apiGroups: [""], kinds: [ConfigMap]}]}}
"#;

const EXPANSION: &str = "
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: deployments}
spec:
  applyTo: [{groups: [apps], kinds: [Deployment], versions: [v1]}]
  templateSource: spec.template
  generatedGVK: {group: '', version: v1, kind: Pod}
";

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    spec:
      hostPID: true
      containers: []
";

fn json_of(folder: &Path, args: &[&str]) -> Value {
    run(folder, &[args, &["-o", "json"]].concat(), None).json()
}

fn findings(report: &Value) -> &Vec<Value> {
    report["findings"].as_array().unwrap()
}

/// Of each kind of answer something.
fn some() -> tempfile::TempDir {
    let folder = directory();
    let pods = (0..5).map(|index| pod("shop", &format!("pod-{index}"), index != 2));
    let others = [
        ingress("shop", "a", "x.example.com"),
        ingress("blog", "b", "x.example.com"),
        service("two", &[80, 81]),
    ];
    fs::write(folder.path().join("dump.ndjson"), lines(&pods.chain(others).collect::<Vec<_>>())).unwrap();
    folder
}

#[test]
fn people_read_this() {
    let folder = some();
    let found = run(folder.path(), &["dump.ndjson", "--explain=2"], None).exits_with(2);
    insta::assert_snapshot!(without_times(&found.stdout));
}

#[test]
fn programs_read_this() {
    let folder = some();
    let report = json_of(folder.path(), &["dump.ndjson", "--explain=2"]);
    assert_eq!(
        report["explanations"],
        json!({"ofEach": 2, "told": 4, "untold": 0, "leftOut": 2}),
        "{report:#}"
    );
    let told = findings(&report).iter().filter(|finding| finding["explanation"].is_array());
    let told: Vec<_> = told.map(|finding| finding["object"]["name"].as_str().unwrap()).collect();
    assert_eq!(told, ["pod-0", "pod-1", "a", "b"]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&findings(&report)[0]).unwrap());
    // Nothing of it is there unless somebody asks.
    let plain = json_of(folder.path(), &["dump.ndjson"]);
    assert_eq!(plain["explanations"], Value::Null);
    assert!(findings(&plain).iter().all(|finding| finding["explanation"].is_null()));
    let line = run(folder.path(), &["dump.ndjson", "--explain", "-o", "ndjson"], None).stdout;
    let line: Value = serde_json::from_str(line.lines().nth(1).unwrap()).unwrap();
    assert_eq!(line["explanation"], findings(&report)[0]["explanation"]);
}

#[test]
fn browsers_show_this() {
    let folder = some();
    let page = run(folder.path(), &["dump.ndjson", "--explain=2", "-o", "html"], None).exits_with(2).stdout;
    let (_, findings) = page.split_once("<h2 id=\"findings\">").unwrap();
    let (findings, _) = findings.split_once("<h2 id=\"coverage\">").unwrap();
    insta::assert_snapshot!(findings);
}

/// Threads judge in any order, and all of them find the same ones to be the first.
#[test]
fn all_numbers_of_threads_explain_the_same() {
    let folder = directory();
    let objects: Vec<Value> = (0..600)
        .map(|index| match index % 4 {
            0 | 1 => pod("shop", &format!("pod-{index}"), index % 3 != 0),
            2 => ingress("shop", &format!("web-{index}"), &format!("host-{}.example.com", index % 90)),
            _ => service(&format!("service-{index}"), &[8080]),
        })
        .collect();
    fs::write(folder.path().join("dump.ndjson"), lines(&objects)).unwrap();
    let took = regex::Regex::new(r"\(after [^)]*\)").unwrap();
    for explain in ["--explain=3", "--explain=150"] {
        let args = ["dump.ndjson", explain, "--now", "2026-11-21T13:50:00Z"];
        let of = |jobs: &str, form: &str| {
            let found = run(folder.path(), &[&args[..], &["-j", jobs, "-o", form]].concat(), None);
            took.replace_all(&without_times(&found.exits_with(1).stdout), "TOOK").into_owned()
        };
        for form in ["json", "html"] {
            let one = of("1", form);
            assert!(one.contains("input.review.object.spec.hostPID"), "{form}");
            for jobs in ["2", "5"] {
                assert!(one == of(jobs, form), "{form} by {jobs} threads");
            }
        }
    }
}

#[test]
fn what_is_left_out_is_counted() {
    let folder = directory();
    let pods: Vec<Value> = (0..300).map(|index| pod("shop", &format!("pod-{index}"), true)).collect();
    fs::write(folder.path().join("dump.ndjson"), lines(&pods)).unwrap();
    let report = json_of(folder.path(), &["dump.ndjson", "--explain"]);
    assert_eq!(report["explanations"], json!({"ofEach": 20, "told": 20, "untold": 0, "leftOut": 280}));
    let found = run(folder.path(), &["dump.ndjson", "--explain"], None).exits_with(1);
    let says = "violations: 20 explained, at most 20 of each constraint; 280 without an explanation";
    assert!(found.stdout.contains(says), "{}", found.stdout);
    for wrong in ["--explain=0", "--explain=1001", "--explain=x"] {
        run(folder.path(), &["dump.ndjson", wrong], None).exits_with(2);
    }
}

/// One explanation has a bound: of one with many ways the first are told.
#[test]
fn a_large_explanation_says_what_it_leaves_out() {
    let folder = directory();
    let policies = POLICIES.replace(
        "        input.review.object.spec.hostPID\n",
        "        input.review.object.spec.hostPID\n        container := input.review.object.spec.containers[_]\n        container.image != \"\"\n",
    );
    assert_ne!(policies, POLICIES);
    fs::write(folder.path().join("policies.yaml"), policies).unwrap();
    let mut pod = pod("shop", "large", true);
    pod["spec"]["containers"] =
        (0..200).map(|index| json!({"name": format!("c{index}"), "image": "x".repeat(400)})).collect();
    fs::write(folder.path().join("dump.ndjson"), lines(&[pod])).unwrap();
    let report = json_of(folder.path(), &["dump.ndjson", "--explain"]);
    let finding = &findings(&report)[0];
    let ways = finding["explanation"].as_array().unwrap().len();
    assert!(ways > 1 && finding["explanation"].to_string().len() < 40 << 10, "{ways}");
    let says = finding["unexplained"].as_str().unwrap();
    assert!(says.ends_with("more ways are left out: the explanation is too large"), "{says}");
}

#[test]
fn nothing_is_told_of_secrets() {
    const SECRET: &str = "aHVudGVyMg==";
    let folder = directory();
    fs::write(folder.path().join("secrets.yaml"), ABOUT_SECRETS).unwrap();
    let object = |kind: &str, name: &str, password: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "data": {"password": password}});
    let with_secret = [
        object("Secret", "key", SECRET),
        object("ConfigMap", "key", "public"),
        object("ConfigMap", "open", "public"),
    ];
    let judged = |objects: &[Value], form: &str| {
        fs::write(folder.path().join("dump.ndjson"), lines(objects)).unwrap();
        run(folder.path(), &["dump.ndjson", "-p", "secrets.yaml", "--explain", "-o", form], None).stdout
    };
    for form in ["human", "json", "yaml", "ndjson", "html"] {
        let text = judged(&with_secret, form);
        assert!(text.contains("there is a password") && !text.contains(SECRET), "{form}: {text}");
        assert!(text.contains("may be secret"), "{form}: {text}");
        assert!(text.contains("public"), "of other objects it is told why: {form}: {text}");
    }
    let shown = |report: &str| -> Vec<(String, bool)> {
        let report: Value = serde_json::from_str(report).unwrap();
        let of = |finding: &Value| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let name = format!("{} {}", text(&finding["object"]["kind"]), text(&finding["message"]));
            (name, finding["explanation"].is_array())
        };
        findings(&report).iter().map(of).collect()
    };
    let password = |kind: &str, is_told| (format!("{kind} there is a password"), is_told);
    // Who compares with Secrets may have seen what is in them.
    let compared = ("ConfigMap a Secret is called like this".to_owned(), false);
    assert_eq!(
        shown(&judged(&with_secret, "json")),
        [password("Secret", false), compared, password("ConfigMap", true), password("ConfigMap", true)]
    );
    assert_eq!(shown(&judged(&with_secret[2..], "json")), [password("ConfigMap", true)]);
    // Secrets among what is only compared with.
    fs::write(folder.path().join("more.ndjson"), lines(&with_secret[..1])).unwrap();
    fs::write(folder.path().join("dump.ndjson"), lines(&with_secret[1..])).unwrap();
    let args = ["dump.ndjson", "--inventory", "more.ndjson", "-p", "secrets.yaml", "--explain"];
    let report = json_of(folder.path(), &args);
    assert!(!report.to_string().contains(SECRET) && report.to_string().contains("may be secret"));
}

/// Of what an object implies, the places are those in the object.
#[test]
fn what_an_object_implies_is_explained_in_it() {
    let folder = directory();
    fs::write(folder.path().join("expansion.yaml"), EXPANSION).unwrap();
    fs::write(folder.path().join("dump.yaml"), DEPLOYMENT).unwrap();
    let report = json_of(folder.path(), &["dump.yaml", "-p", "expansion.yaml", "--explain"]);
    let finding = &findings(&report)[0];
    assert!(finding["message"].as_str().unwrap().starts_with("[Implied by deployments] "), "{finding:#}");
    let fact = &finding["explanation"][0]["conditions"][0]["facts"][0];
    assert_eq!(
        (&fact["field"], &fact["value"], &fact["location"]),
        (&json!("spec.hostPID"), &json!(true), &json!({"file": "dump.yaml", "line": 7, "column": 7})),
        "{finding:#}"
    );
}

/// Nobody can open the list that an object of a cluster was read from.
#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_cluster_have_no_places() {
    let server = server().await;
    server.register_kubernetes();
    server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
    server.put(pod("shop", "bad", true));
    let report = explained(&server, 1).await;
    let condition = &findings(&report)[0]["explanation"][0]["conditions"][0];
    assert!(condition["location"]["line"].is_u64(), "{report:#}");
    let fact = &condition["facts"][0];
    assert_eq!(
        (&fact["field"], &fact["value"], &fact["location"]),
        (&json!("spec.hostPID"), &json!(true), &Value::Null)
    );
}

/// An explanation that nobody would read is not made.
#[test]
fn forms_without_explanations_are_refused() {
    let folder = some();
    let found = run(folder.path(), &["dump.ndjson", "--explain", "-o", "sarif"], None).exits_with(2);
    assert!(found.stderr.contains("`--explain` is in `human`, `json`"), "{}", found.stderr);
    run(folder.path(), &["dump.ndjson", "--explain", "--compare-status"], None).exits_with(2);
    let args = ["dump.ndjson", "--explain", "-o", "sarif", "--html", "page.html"];
    run(folder.path(), &args, None).exits_with(2);
    assert!(fs::read_to_string(folder.path().join("page.html")).unwrap().contains("<details class=\"why\">"));
}

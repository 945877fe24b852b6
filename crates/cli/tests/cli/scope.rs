//! Where objects live, and what that makes of verdicts: the same on every way, whatever the objects' own
//! fields say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use portcullis::Unsupported;
use portcullis_webhook::admission::{Budget, Own, Serving, admit};
use portcullis_webhook::load::{Paths, load};
use serde_json::{Value, json};

use crate::{Run, run_in};

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A template `Hit` that finds something in every object, with the name of a field if the object has one.
const HIT: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: hit}
spec:
  crd: {spec: {names: {kind: Hit}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package hit
      violation[{"msg": "hit"}] { input.review.object.kind != "Namespace" }
---
"#;

fn constraint(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Hit\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n"
    )
}

/// The names of the constraints that deny something, as `test -o json` says.
fn denying(run: &Run) -> BTreeSet<String> {
    let items: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    items.iter().map(|item| item["constraint"]["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn a_pod_without_a_namespace_lives_in_one_and_what_another_would_bring_is_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let constraints = [
        ("scope-namespaced", "{match: {scope: Namespaced}}"),
        ("scope-cluster", "{match: {scope: Cluster}}"),
        ("namespaces-bank", "{match: {namespaces: [bank]}}"),
        ("namespaces-default", "{match: {namespaces: [default]}}"),
        ("excluded-default", "{match: {excludedNamespaces: [default]}}"),
        ("excluded-all", "{match: {excludedNamespaces: ['*']}}"),
        ("selector-prod", "{match: {namespaceSelector: {matchLabels: {env: prod}}}}"),
        ("other-kinds", "{match: {kinds: [{kinds: [Service]}], namespaces: [bank]}}"),
    ];
    let policies: String = constraints.iter().map(|(name, spec)| constraint(name, spec)).collect();
    write(path, "policies.yaml", &format!("{HIT}{policies}"));
    write(path, "pod.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: web}}");

    let run = run_in(path, &["test", "-p", "policies.yaml", "pod.yaml", "-o", "json"]).exits_with(1);
    assert_eq!(denying(&run), names(&["scope-namespaced", "namespaces-default"]), "{}", run.shown());
    for warning in [
        "`Hit/namespaces-bank` would deny this by its `namespaces: [bank]`: hit",
        "`Hit/excluded-default` would deny this by its `excludedNamespaces: [default]`: hit",
        "`Hit/selector-prod` would deny this by its `namespaceSelector`: hit",
        "1 object names no namespace: taken to be in `default`",
    ] {
        assert!(run.stderr.contains(warning), "{warning} is missing in\n{}", run.stderr);
    }
    for silent in ["excluded-all", "other-kinds", "scope-cluster"] {
        assert!(!run.stderr.contains(silent), "{silent} is in\n{}", run.stderr);
    }

    let args = ["test", "-p", "policies.yaml", "pod.yaml", "-n", "bank", "-o", "human"];
    let run = run_in(path, &args).exits_with(1);
    // The Namespace `bank` is not known: what selects by its labels is not known.
    assert!(run.stdout.contains("could not be evaluated"), "{}", run.shown());
    assert!(
        run.stdout.contains("1 object names no namespace: taken to be in `bank`, as `--namespace` says"),
        "{}",
        run.shown()
    );
    assert!(!run.shown().contains("in a namespace other than"), "{}", run.shown());
}

#[test]
fn the_summary_says_how_objects_without_a_namespace_were_taken() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(path, "policies.yaml", &format!("{HIT}{}", constraint("it", "{match: {kinds: [{kinds: [Pod]}]}}")));
    let objects = "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n{apiVersion: apps/v1, kind: Deployment}\n---\n\
                   {apiVersion: v1, kind: Node, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: shop}}";
    write(path, "objects.yaml", objects);
    let run = run_in(path, &["test", "-f", "policies.yaml", "objects.yaml"]).exits_with(1);
    assert!(run.stdout.contains("2 objects name no namespace: taken to be in `default`"), "{}", run.shown());
    assert_eq!(run.stderr, "");
    let run = run_in(path, &["audit", "-p", "policies.yaml", "objects.yaml", "-o", "json"]).exits_with(1);
    assert!(run.stdout.contains("taken to be in `default`"), "{}", run.shown());
    let run = run_in(path, &["test", "-f", "policies.yaml", "objects.yaml", "-n", "Shop"]).exits_with(2);
    assert!(run.stderr.contains("expected the name of a namespace"), "{}", run.stderr);
}

#[test]
fn a_cluster_role_is_cluster_scoped_whatever_namespace_it_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let policies = [
        constraint("excluded", "{match: {excludedNamespaces: [kube-system]}}"),
        constraint("cluster-scope", "{match: {scope: Cluster}}"),
        constraint("namespaced-scope", "{match: {scope: Namespaced}}"),
    ];
    write(path, "policies.yaml", &format!("{HIT}{}", policies.concat()));
    let role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: all, namespace: kube-system}}";
    write(path, "role.yaml", role);
    let run = run_in(path, &["test", "-p", "policies.yaml", "role.yaml", "-o", "json"]).exits_with(1);
    assert_eq!(denying(&run), names(&["excluded", "cluster-scope"]));
    let run = run_in(path, &["audit", "-p", "policies.yaml", "role.yaml", "-o", "ndjson"]).exits_with(1);
    let lines: Vec<&str> = run.stdout.lines().filter(|line| line.contains("violation_audited")).collect();
    assert_eq!(lines.len(), 2, "{}", run.stdout);
}

#[test]
fn crds_among_the_input_say_where_their_kinds_live() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let policies = [
        constraint("namespaced", "{match: {scope: Namespaced}}"),
        constraint("cluster", "{match: {scope: Cluster}}"),
    ];
    write(path, "policies.yaml", &format!("{HIT}{}", policies.concat()));
    write(path, "widget.yaml", "{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}}");
    let definition = |scope: &str| {
        format!(
            "{{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {{name: widgets.example.com}}, \
             spec: {{group: example.com, scope: {scope}, names: {{kind: Widget, plural: widgets}}, versions: []}}}}"
        )
    };
    let judge = |more: &[&str]| {
        let args = [&["test", "-p", "policies.yaml", "widget.yaml", "-o", "json"], more].concat();
        run_in(path, &args).exits_with(1)
    };
    let run = judge(&[]);
    assert_eq!(denying(&run), names(&["cluster"]));
    let warning =
        "if it lives in a namespace, `Hit/namespaced` would deny this by its `scope: Namespaced`: hit";
    assert!(run.stderr.contains(warning), "{}", run.stderr);
    for (scope, expected) in [("Namespaced", "namespaced"), ("Cluster", "cluster")] {
        write(path, "inventory/crd.yaml", &definition(scope));
        let run = judge(&["--inventory", "inventory"]);
        assert_eq!(denying(&run), names(&[expected]), "{scope}");
        assert!(!run.stderr.contains("if it lives"), "{}", run.stderr);
        let args =
            ["audit", "-p", "policies.yaml", "widget.yaml", "--inventory", "inventory", "-o", "ndjson"];
        let run = run_in(path, &args).exits_with(1);
        let found = run.stdout.lines().find(|line| line.contains("violation_audited")).unwrap();
        assert!(found.contains(&format!("\"name\":\"{expected}\"")), "{found}");
    }
}

#[test]
fn suites_mean_what_gator_means() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(path, "t.yaml", HIT.trim_end().trim_end_matches("---"));
    write(path, "o.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: web}}");
    for (file, spec) in
        [("c1.yaml", "{match: {scope: Namespaced}}"), ("c2.yaml", "{match: {namespaces: [bank]}}")]
    {
        write(path, file, constraint("it", spec).trim_end().trim_end_matches("---"));
    }
    let test = |name: &str, constraint: &str, violations: &str| {
        format!(
            "- name: {name}\n  template: t.yaml\n  constraint: {constraint}\n  cases:\n  - name: pod\n    object: o.yaml\n    \
             assertions: [{{violations: {violations}}}]\n"
        )
    };
    let tests = [test("namespaced", "c1.yaml", "no"), test("bank", "c2.yaml", "yes")].concat();
    write(
        path,
        "suite.yaml",
        &format!("apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\ntests:\n{tests}"),
    );
    run_in(path, &["verify", "."]).exits_with(0);
}

const EXPANSION: &str = "
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: expand}
spec:
  applyTo: [{groups: [apps], kinds: [Deployment], versions: [v1]}]
  templateSource: spec.template
  generatedGVK: {group: '', version: v1, kind: Pod}
";

const CEL: &str = "
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: celonly}
spec:
  crd: {spec: {names: {kind: CelOnly}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    code: [{engine: K8sNativeValidation, source: {validations: [{expression: 'false', message: it never holds}]}}]
---
{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: CelOnly, metadata: {name: it}}
";

fn one(api_version: &str, kind: &str) -> String {
    format!("{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: one}}, spec: {{}}}}\n")
}

#[test]
fn what_is_gatekeepers_and_not_supported_is_an_error_unless_it_is_allowed() {
    let texts = [
        one("connection.gatekeeper.sh/v1alpha1", "Connection"),
        one("gvkmanifest.gatekeeper.sh/v1alpha1", "GVKManifest"),
    ];
    for text in texts {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        write(
            path,
            "policies/hit.yaml",
            &format!("{HIT}{}", constraint("it", "{match: {kinds: [{kinds: [Namespace]}]}}")),
        );
        write(path, "policies/more.yaml", &text);
        write(path, "objects.yaml", "{apiVersion: v1, kind: Namespace, metadata: {name: a}}");
        for (args, refused) in [
            (&["test", "-p", "policies", "objects.yaml"][..], 2),
            (&["test", "-f", "policies", "-f", "objects.yaml"], 2),
            (&["lint", "policies"], 1),
            (&["audit", "-p", "policies", "objects.yaml"], 2),
        ] {
            // Mutators are looked at by `lint`.
            if args.contains(&"lint") && text.contains("mutations.gatekeeper.sh") {
                continue;
            }
            let run = run_in(path, args).exits_with(refused);
            let said = run.shown();
            assert!(said.contains("not supported") && said.contains("--allow-unsupported"), "{said}");
            let allowed = [args, &["--allow-unsupported"]].concat();
            let run = run_in(path, &allowed).exits_with(0);
            assert!(run.shown().contains("not supported"), "{args:?}: {}", run.shown());
        }
    }
}

#[test]
fn suites_of_templates_in_cel_and_with_expansion_templates_are_run() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (template, constraint_text) = CEL.split_once("---\n").unwrap();
    write(path, "cel/t.yaml", template);
    write(path, "cel/c.yaml", constraint_text);
    write(path, "cel/o.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: web}}");
    let cases = "  cases:\n  - {name: pod, object: o.yaml, assertions: [{violations: yes}]}\n";
    let suite = "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\ntests:\n";
    write(
        path,
        "cel/suite.yaml",
        &format!("{suite}- name: cel\n  template: t.yaml\n  constraint: c.yaml\n{cases}"),
    );
    run_in(path, &["verify", "cel"]).exits_with(0);

    write(path, "exp/t.yaml", HIT.trim_end().trim_end_matches("---"));
    write(path, "exp/c.yaml", constraint("it", "{}").trim_end().trim_end_matches("---"));
    write(path, "exp/e.yaml", EXPANSION);
    write(path, "exp/o.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: web}}");
    let test = "- name: x\n  template: t.yaml\n  constraint: c.yaml\n  expansion: e.yaml\n";
    write(path, "exp/suite.yaml", &format!("{suite}{test}{cases}"));
    run_in(path, &["verify", "exp"]).exits_with(0);
}

#[test]
fn expansion_templates_and_mutators_are_not_used_by_who_says_so() {
    let audit = &["audit", "-p", "policies", "objects.yaml"][..];
    let bench = &["bench", "-f", "policies", "-f", "objects.yaml", "-n", "1", "--warmup", "0"][..];
    // An audit expands; mutators by themselves have no effect there.
    for (text, refusing) in [
        (EXPANSION.to_owned(), vec![bench]),
        (one("mutations.gatekeeper.sh/v1", "Assign"), vec![audit, bench]),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        write(path, "policies/hit.yaml", &format!("{HIT}{}", constraint("it", "{enforcementAction: warn}")));
        write(path, "policies/more.yaml", &text);
        write(path, "objects.yaml", "{apiVersion: v1, kind: Namespace, metadata: {name: a}}");
        for args in refusing {
            let run = run_in(path, args).exits_with(2);
            let said = run.shown();
            assert!(said.contains("not supported") && said.contains("--allow-unsupported"), "{said}");
            let run = run_in(path, &[args, &["--allow-unsupported"]].concat()).exits_with(0);
            assert!(run.shown().contains("not supported"), "{args:?}: {}", run.shown());
        }
    }
}

#[test]
fn groups_are_gatekeepers_by_a_list_and_not_by_a_part_of_their_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(
        path,
        "policies.yaml",
        &format!("{HIT}{}", constraint("it", "{match: {kinds: [{apiGroups: ['*'], kinds: ['*']}]}}")),
    );
    let judge = |text: &str| {
        write(path, "object.yaml", text);
        run_in(path, &["test", "-p", "policies.yaml", "object.yaml", "-o", "json"])
    };
    for (api_version, kind) in [
        ("operator.gatekeeper.sh/v1alpha1", "Gatekeeper"),
        ("gatekeeper.acme.io/v1", "Rule"),
        ("my-gatekeeper.example.com/v1", "Rule"),
        ("gatekeeper.sh/v1", "Rule"),
        ("status.gatekeeper.sh/v1beta1", "ConstraintPodStatus"),
    ] {
        let run = judge(&one(api_version, kind)).exits_with(1);
        assert_eq!(denying(&run), names(&["it"]), "{api_version}");
        assert_eq!(run.stderr.matches("error").count(), 0, "{}", run.stderr);
        let run = run_in(path, &["audit", "-p", "policies.yaml", "object.yaml"]).exits_with(1);
        assert!(run.stdout.contains("hit"), "{}", run.shown());
    }
    for near in [
        "template.gatekeeper.sh/v1",
        "constraint.gatekeeper.sh/v1beta1",
        "Templates.gatekeeper.sh/v1",
        "syncsets.gatekeeper.sh/v1alpha1",
    ] {
        let run = judge(&one(near, "Rule")).exits_with(2);
        assert!(run.stderr.contains("did you mean"), "{}", run.stderr);
    }
    // Somebody else's domain, that looks like it.
    let run = judge(&one("templates.gatekeeper.io/v1", "ConstraintTemplate")).exits_with(1);
    assert!(run.stderr.contains("`templates.gatekeeper.sh`"), "{}", run.stderr);
}

const UNIQUE_HOST: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: uniquehost}
spec:
  crd: {spec: {names: {kind: UniqueHost}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package uniquehost
      violation[{"msg": msg}] {
        host := input.review.object.spec.rules[_].host
        other := data.inventory.namespace[ns][_].Ingress[name]
        other.spec.rules[_].host == host
        [ns, name] != [input.review.object.metadata.namespace, input.review.object.metadata.name]
        msg := sprintf("%v is taken by %v/%v", [host, ns, name])
      }
---
{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: UniqueHost, metadata: {name: cc}}
---
"#;

fn config(namespaces: &str, processes: &str) -> String {
    format!(
        "apiVersion: config.gatekeeper.sh/v1alpha1\nkind: Config\nmetadata: {{name: config, namespace: gatekeeper-system}}\n\
         spec: {{match: [{{excludedNamespaces: [{namespaces}], processes: [{processes}]}}]}}\n---\n"
    )
}

fn ingress(namespace: &str, name: &str) -> String {
    format!(
        "{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: {name}, namespace: {namespace}}}, spec: {{rules: [{{host: a}}]}}}}\n---\n"
    )
}

#[test]
fn what_a_config_keeps_from_the_inventory_is_not_compared_with_on_any_way() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(path, "mine.yaml", &ingress("shop", "mine"));
    let namespaces = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: sandbox, labels: {a: b}}}\n---\n";
    write(path, "resources/objects.yaml", &format!("{}{namespaces}", ingress("sandbox", "theirs")));
    // The Namespace that is kept out is still selected by.
    let selecting = constraint("selecting", "{match: {namespaceSelector: {matchLabels: {a: b}}}}");
    for (processes, is_taken) in [("audit", true), ("sync", false)] {
        let policies = format!("{UNIQUE_HOST}{HIT}{selecting}{}", config("sandbox", processes));
        write(path, "policies.yaml", &policies);
        let code = i32::from(is_taken);
        let args = ["test", "-p", "policies.yaml", "--inventory", "resources", "mine.yaml"];
        run_in(path, &args).exits_with(code);
        run_in(path, &["audit", "-p", "policies.yaml", "--inventory", "resources", "mine.yaml"])
            .exits_with(code);
        let mine: Value = serde_json::to_value(
            portcullis::Document::read_all("m", &ingress("shop", "mine")).0[0].to_json(),
        )
        .unwrap();
        let answer = ask(&serving(path), &mine, Some("shop"));
        assert_eq!(answer["allowed"], !is_taken, "{answer}");
        let theirs =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "sandbox"}});
        let answer = ask(&serving(path), &theirs, Some("sandbox"));
        assert_eq!(answer["status"]["message"], "[selecting] hit", "{answer}");
    }
}

#[test]
fn what_a_config_excludes_is_counted_and_not_judged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(
        path,
        "objects.yaml",
        "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: kube-system}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: b}}",
    );
    write(
        path,
        "policies.yaml",
        &format!("{HIT}{}{}", constraint("it", "{}"), config("'kube-*', default", "webhook")),
    );
    let run = run_in(path, &["test", "-p", "policies.yaml", "objects.yaml"]).exits_with(0);
    assert!(
        run.stdout.contains("2 objects are not judged, because a Config excludes their namespace"),
        "{}",
        run.shown()
    );
    let warning =
        "in a namespace other than `default`, `Hit/it` would deny this by its Config, which excludes it: hit";
    assert!(run.stderr.contains(warning), "{}", run.stderr);
    run_in(path, &["test", "-p", "policies.yaml", "objects.yaml", "-n", "shop"]).exits_with(1);
}

fn serving(directory: &Path) -> Serving {
    let paths = Paths {
        policies: vec![directory.join("policies.yaml")],
        resources: vec![directory.join("resources")],
        limits: portcullis::Limits::default(),
        unsupported: Unsupported::Refused,
        settings: portcullis::PolicySettings::default(),
        mutates: false,
    };
    load(&paths).unwrap().serving
}

/// What the webhook answers to a request that creates an object in a namespace, or in none.
fn ask(serving: &Serving, object: &Value, namespace: Option<&str>) -> Value {
    let api_version = object["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let mut request = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "kind": {"group": group, "version": version, "kind": object["kind"]},
        "resource": {"group": group, "version": version, "resource": ""}, "operation": "CREATE",
        "name": object["metadata"]["name"], "userInfo": {"username": "somebody"}, "object": object}});
    if let Some(namespace) = namespace {
        request["request"]["namespace"] = json!(namespace);
    }
    let budget = Budget {
        limits: portcullis::EvaluationLimits::default(),
        deadline: Instant::now() + Duration::from_mins(1),
        now_ns: 1_700_000_000_000_000_000,
    };
    let (envelope, answer) =
        admit(request.to_string().as_bytes(), serving, &Own::default(), Ok(None), &budget);
    let body: Value = serde_json::from_slice(&answer.to_body(&envelope)).unwrap();
    body["response"].clone()
}

/// Numbers that look random and are the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn one<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn some(&mut self, from: &[&str]) -> Vec<String> {
        (0..=self.below(2)).map(|_| self.one(from).to_owned()).collect()
    }
}

const NAMESPACES: &[&str] = &["default", "prod", "dev", "kube-a"];
const GLOBS: &[&str] = &["default", "prod", "d*", "*a", "*", "kube-*", "*ro*", "nowhere"];

/// Kinds, and whether they live in a namespace; the last two are defined by CRDs.
const KINDS: &[(&str, &str, bool)] = &[
    ("v1", "Pod", true),
    ("v1", "PodExecOptions", true),
    ("apps/v1", "Deployment", true),
    ("v1", "Node", false),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", false),
    ("v1", "Namespace", false),
    ("example.com/v1", "Widget", true),
    ("example.com/v1", "Tower", false),
];

/// A small cluster: its Namespaces and CRDs.
fn cluster(dice: &mut Dice) -> Vec<Value> {
    let namespaces = NAMESPACES.iter().map(|name| {
        let labels = json!({"env": dice.one(&["prod", "dev"]), "kubernetes.io/metadata.name": name});
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}, "id": name})
    });
    let mut all: Vec<Value> = namespaces.collect();
    for (kind, scope) in [("Widget", "Namespaced"), ("Tower", "Cluster")] {
        all.push(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": kind.to_lowercase()}, "id": kind,
            "spec": {"group": "example.com", "names": {"kind": kind}, "scope": scope}}));
    }
    all
}

/// An object, whatever its fields say.
fn object(dice: &mut Dice, number: usize) -> Value {
    let (api_version, kind, _) = KINDS[dice.below(KINDS.len())];
    let mut object = json!({"apiVersion": api_version, "kind": kind, "id": format!("o{number}")});
    let is_namespace = kind == "Namespace";
    if is_namespace || dice.below(8) > 0 {
        object["metadata"] = match dice.below(if is_namespace { 1 } else { 4 }) {
            3 => json!({"generateName": format!("o{number}-")}),
            _ => json!({"name": format!("o{number}")}),
        };
        match dice.below(4) {
            0 => {}
            1 => object["metadata"]["namespace"] = json!(""),
            _ => object["metadata"]["namespace"] = json!(dice.one(NAMESPACES)),
        }
    }
    object
}

fn random_match(dice: &mut Dice) -> Value {
    let mut wanted = json!({});
    if dice.below(2) == 0 {
        wanted["scope"] = json!(dice.one(&["Namespaced", "Cluster", "*"]));
    }
    if dice.below(3) == 0 {
        wanted["namespaces"] = json!(dice.some(GLOBS));
    }
    if dice.below(3) == 0 {
        wanted["excludedNamespaces"] = json!(dice.some(GLOBS));
    }
    if dice.below(3) == 0 {
        let label = dice.one(&["env", "kubernetes.io/metadata.name"]);
        let values = json!(dice.some(&["prod", "dev", "default"]));
        let operator = dice.one(&["In", "NotIn"]);
        wanted["namespaceSelector"] =
            json!({"matchExpressions": [{"key": label, "operator": operator, "values": values}]});
    }
    if dice.below(4) == 0 {
        wanted["kinds"] = json!([{"apiGroups": ["*"], "kinds": dice.some(&["Pod", "Node", "Widget", "Tower", "Namespace"])}]);
    }
    wanted
}

/// As an API server sends it: the namespace of the request is that of the path, and the object has no other.
fn as_sent(object: &Value) -> (Value, Option<String>) {
    let (.., is_namespaced) =
        KINDS.iter().find(|(_, kind, _)| object["kind"] == *kind).copied().unwrap_or(("", "", false));
    let mut sent = object.clone();
    let own = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
    if is_namespaced {
        let home = if own.is_empty() { "default".to_owned() } else { own };
        if sent["metadata"].is_null() {
            sent["metadata"] = json!({});
        }
        sent["metadata"]["namespace"] = json!(home);
        return (sent, Some(home));
    }
    if let Some(metadata) = sent.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("namespace");
    }
    let is_namespace = object["kind"] == "Namespace";
    (sent, is_namespace.then(|| object["metadata"]["name"].as_str().unwrap().to_owned()))
}

/// Says of each object in which namespace the policy sees it.
const SEEN: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: hit}
spec:
  crd: {spec: {names: {kind: Hit}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package hit
      violation[{"msg": msg}] {
        metadata := object.get(input.review.object, "metadata", {})
        seen := [object.get(metadata, "namespace", ""), object.get(input.review, "namespace", "")]
        msg := sprintf("%v is seen in %v", [input.review.object.id, seen])
      }
---
"#;

/// By object, the lines `[constraint] message`.
type Found = BTreeMap<String, BTreeSet<String>>;

fn add(found: &mut Found, constraint: &str, message: &str) {
    let id = message.split_once(' ').unwrap().0.to_owned();
    found.entry(id).or_default().insert(format!("[{constraint}] {message}"));
}

#[test]
fn command_line_webhook_and_audit_judge_an_object_where_it_lives_whatever_it_says() {
    let mut verdicts = 0;
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let mut objects = cluster(&mut dice);
        objects.extend((0..24).map(|number| object(&mut dice, number)));
        let mut policies = SEEN.to_owned();
        for number in 0..20 {
            policies +=
                &constraint(&format!("c{number}"), &json!({"match": random_match(&mut dice)}).to_string());
        }
        if dice.below(2) == 0 {
            policies += &config(&format!("'{}'", dice.one(GLOBS)), "'*'");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        write(path, "policies.yaml", &policies);
        let dump: Vec<String> = objects.iter().map(Value::to_string).collect();
        write(path, "resources/dump.yaml", &dump.join("\n---\n"));

        let run = run_in(path, &["test", "-p", "policies.yaml", "resources", "-o", "json", "-q"]);
        let mut by_command_line = Found::new();
        for item in serde_json::from_str::<Vec<Value>>(&run.stdout).unwrap() {
            let name = item["constraint"]["metadata"]["name"].as_str().unwrap();
            add(&mut by_command_line, name, item["msg"].as_str().unwrap());
        }
        let run = run_in(path, &["audit", "-p", "policies.yaml", "resources", "-o", "ndjson"]);
        let mut by_audit = Found::new();
        for item in run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
            if item["eventType"] == "violation_audited" {
                add(&mut by_audit, item["name"].as_str().unwrap(), item["message"].as_str().unwrap());
            }
        }
        let serving = serving(path);
        let mut by_webhook = Found::new();
        let without_place = |found: &Found| -> Found {
            let line = |line: &String| line.split_once(" is seen").unwrap().0.to_owned();
            found.iter().map(|(id, lines)| (id.clone(), lines.iter().map(line).collect())).collect()
        };
        let mut by_raw_requests = Found::new();
        for object in &objects {
            let (sent, namespace) = as_sent(object);
            // Also what the object says beside the request changes nothing.
            for (object, found) in [(&sent, &mut by_webhook), (object, &mut by_raw_requests)] {
                let response = ask(&serving, object, namespace.as_deref());
                let message = response["status"]["message"].as_str().unwrap_or_default();
                for line in message.lines().filter(|_| response["allowed"] == false) {
                    let (name, message) = line.strip_prefix('[').unwrap().split_once("] ").unwrap();
                    add(found, name, message);
                }
            }
        }
        for (way, found, wanted) in [
            ("test", &by_command_line, &by_webhook),
            ("audit", &by_audit, &by_webhook),
            ("raw", &without_place(&by_raw_requests), &without_place(&by_webhook)),
        ] {
            for id in found.keys().chain(wanted.keys()) {
                let [found, wanted] = [found, wanted].map(|of| of.get(id));
                assert_eq!(found, wanted, "{way}: seed {seed}, {id}\n{policies}\n{dump:#?}");
            }
        }
        verdicts += by_webhook.values().map(BTreeSet::len).sum::<usize>();
    }
    assert!(verdicts > 2000, "only {verdicts} violations");
}

/// Why nothing was found: which criteria keep a constraint from an object.
#[test]
fn who_asks_why_is_told_which_criteria_do_not_hold() {
    let folder = tempfile::tempdir().unwrap();
    let policy = std::fs::read_to_string(super::testdata().join("mutation-fights/policy.yaml")).unwrap();
    let (template, _) = policy.split_once("\n---\n").unwrap();
    let constraint = "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: PullAlways\nmetadata: {name: prod}\nspec: {match: {kinds: [{kinds: [Pod]}], namespaces: ['prod-*'], \
                      excludedNamespaces: [prod-x], labelSelector: {matchLabels: {a: b}}, name: web-*, scope: Namespaced}}\n---\n\
                      apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: PullAlways\nmetadata: {name: any}\nspec: {enforcementAction: scoped, scopedEnforcementActions: [{action: deny, enforcementPoints: [{name: audit.gatekeeper.sh}]}]}\n";
    std::fs::write(folder.path().join("policy.yaml"), format!("{template}\n---\n{constraint}")).unwrap();
    let objects = "{apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: prod-a, labels: {a: b}}}\n---\n\
                   {apiVersion: v1, kind: Pod, metadata: {name: db, namespace: prod-x}}\n---\n\
                   {apiVersion: v1, kind: Service, metadata: {name: web-2, namespace: dev, labels: {a: b}}}\n";
    std::fs::write(folder.path().join("objects.yaml"), objects).unwrap();
    let test = |args: &[&str]| {
        run_in(folder.path(), &[&["test", "-p", "policy.yaml", "objects.yaml"], args].concat())
    };
    let run = test(&["--why", "PullAlways/prod", "--why", "any", "--why", "nobody"]).exits_with(0);
    insta::assert_snapshot!(run.shown());
    assert_eq!(test(&["--why", "PullAlways", "-o", "compact"]).stdout.matches("why: ").count(), 6);
    assert!(!test(&[]).stdout.contains("why"));
    // Of all constraints that apply to nothing, whoever asked.
    let verbose = test(&["-v"]).stdout;
    assert!(!verbose.contains("PullAlways/prod"), "{verbose}");
    assert!(verbose.contains("PullAlways/any applies to none of 3 objects"), "{verbose}");
    let none = folder.path().join("none.yaml");
    std::fs::write(&none, "{apiVersion: v1, kind: Service, metadata: {name: web-2, namespace: dev}}\n")
        .unwrap();
    let run = run_in(folder.path(), &["test", "-p", "policy.yaml", "none.yaml"]).exits_with(0);
    assert!(
        run.stdout.contains("nothing found in 1 object: no constraint applies to any"),
        "{}",
        run.shown()
    );
    let run = run_in(folder.path(), &["test", "-v", "-p", "policy.yaml", "none.yaml"]).exits_with(0);
    let expected = "PullAlways/prod applies to none of 1 object: `kinds` does not hold (1), \
                    `labelSelector` does not hold (1), `namespaces: [prod-*]` does not hold (1)";
    assert!(run.stdout.contains(expected), "{}", run.shown());
}

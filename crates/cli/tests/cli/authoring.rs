//! What helps writing policies: coverage, mutants.

use super::{Run, run_in, testdata};

fn verify(args: &[&str]) -> Run {
    run_in(&testdata().join("../authoring"), &[&["verify", "policy"], args].concat())
}

#[test]
fn coverage_tells_lines_and_conditions_of_templates() {
    let Run { stdout, .. } = verify(&["--coverage", "-o", "json"]).exits_with(0);
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let file = &found["coverage"]["files"][0];
    assert_eq!(file["file"], "policy/template.yaml");
    let template = std::fs::read_to_string(testdata().join("../authoring/policy/template.yaml")).unwrap();
    let line =
        |number: u64| template.lines().nth(usize::try_from(number).unwrap() - 1).unwrap_or_default().trim();
    let uncovered = file["uncovered"].as_array().unwrap();
    let lines: Vec<&str> = uncovered.iter().map(|number| line(number.as_u64().unwrap())).collect();
    // No case has an image without a tag, an init container, or an image that is exempt.
    let expected = [
        "violation[{\"msg\": msg}] {",
        "msg := sprintf(\"container %v: %v has no tag\", [container.name, container.image])",
        "containers[container] {",
        "exempt(image) {",
    ];
    assert_eq!(lines, expected);
    let conditions: Vec<(&str, bool, bool)> = file["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let text = line(one["location"]["line"].as_u64().unwrap());
            (text, one["held"].as_bool().unwrap(), one["failed"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(
        conditions,
        [
            ("not exempt(container.image)", true, false),
            ("tag == input.parameters.moving[_]", true, true),
            ("not exempt(container.image)", true, false),
            ("not contains(container.image, \":\")", false, true),
            ("startswith(image, input.parameters.exempt[_])", false, true),
        ]
    );
}

#[test]
fn coverage_as_a_page_shows_each_line() {
    let Run { stdout, .. } = verify(&["-o", "html"]).exits_with(0);
    assert!(stdout.starts_with("<!DOCTYPE html>") && stdout.ends_with("</html>\n"));
    let row = |number: u32, class: &str| format!("<tr class=\"{class}\"><td class=\"n\">{number}</td>");
    for (number, class) in [(30, "yes"), (32, "half"), (38, "no"), (1, "")] {
        assert!(stdout.contains(&row(number, class)), "{number} is not {class}");
    }
    assert!(stdout.contains("never false"));
}

#[test]
fn too_little_coverage_of_templates_fails() {
    verify(&["--coverage-min", "70"]).exits_with(0);
    let Run { stdout, .. } = verify(&["--coverage-min", "90"]).exits_with(1);
    assert!(stdout.contains("less than the 90 % that have to be"), "{stdout}");
}

/// What is never evaluated is not left out.
#[test]
fn a_template_that_no_case_runs_is_not_covered() {
    let Run { stdout, .. } = verify(&["--coverage", "-o", "json", "--run", "fixed-tags//no such case"]);
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(found["coverage"]["percent"], 0.0);
}

/// Programs with marks say what the others say: all cases of our policies pass as without.
#[test]
fn coverage_changes_no_verdict() {
    let root = testdata().join("../..");
    let Run { stdout, .. } =
        run_in(&root, &["verify", "policies/...", "--coverage", "-o", "json"]).exits_with(0);
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let files = found["coverage"]["files"].as_array().unwrap();
    assert!(files.len() > 20, "{}", files.len());
    let percent = found["coverage"]["percent"].as_f64().unwrap();
    assert!(percent > 75.0, "{percent}");
}

#[test]
fn mutants_that_no_case_notices_are_told_with_their_places() {
    let Run { stdout, .. } = verify(&["--mutate", "-o", "json"]).exits_with(1);
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let mutation = &found["mutation"];
    let survivors = mutation["survivors"].as_array().unwrap();
    assert_eq!(mutation["survived"], survivors.len());
    let first = &survivors[0];
    assert_eq!(
        (first["location"]["line"].as_u64(), first["location"]["column"].as_u64()),
        (Some(32), Some(9))
    );
    assert_eq!(first["change"], "without `not exempt(container.image)`");
    let percent = mutation["percent"].as_f64().unwrap();
    verify(&["--mutate-min", &(percent - 1.0).to_string()]).exits_with(0);
    verify(&["--mutate-min", &(percent + 1.0).to_string()]).exits_with(1);
}

/// A case for what no case reached makes all mutants noticed.
#[test]
fn cases_for_what_is_not_noticed_kill_the_mutants() {
    let folder = tempfile::tempdir().unwrap();
    let from = testdata().join("../authoring/policy");
    for file in ["template.yaml", "constraint.yaml"] {
        std::fs::copy(from.join(file), folder.path().join(file)).unwrap();
    }
    let pod = |name: &str, image: &str, init: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: web, namespace: shop}}\nspec:\n  containers: [{{name: web, image: \"{image}\"}}]\n  initContainers: [{{name: init, image: \"{init}\"}}]\n"
        );
        std::fs::write(folder.path().join(name), text).unwrap();
    };
    pod("latest.yaml", "nginx:latest", "nginx:stable");
    pod("none.yaml", "nginx", "envoy");
    pod("exempt.yaml", "registry.example.com/base:latest", "registry.example.com/base");
    pod("fixed.yaml", "nginx:1.27.3", "nginx:1.27.3");
    let case = |object: &str, number: u32| {
        format!("  - {{name: {object}, object: {object}.yaml, assertions: [{{violations: {number}}}]}}\n")
    };
    let suite = format!(
        "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\ntests:\n- name: tags\n  template: template.yaml\n  constraint: constraint.yaml\n  cases:\n{}{}{}{}",
        case("latest", 2),
        case("none", 2),
        case("exempt", 0),
        case("fixed", 0)
    );
    std::fs::write(folder.path().join("suite.yaml"), suite).unwrap();
    let run = run_in(folder.path(), &["verify", ".", "--mutate"]).exits_with(0);
    assert!(run.stdout.contains("17 mutants: 17 noticed (100.0 %), 0 not"), "{}", run.stdout);
}

/// A copy of the policy with the image tags, whose suite has more fields.
fn with_list(list: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = testdata().join("../authoring/policy");
    std::fs::create_dir(folder.path().join("samples")).unwrap();
    for file in ["template.yaml", "constraint.yaml", "samples/fixed.yaml", "samples/latest.yaml"] {
        std::fs::copy(from.join(file), folder.path().join(file)).unwrap();
    }
    let suite = std::fs::read_to_string(from.join("suite.yaml")).unwrap();
    std::fs::write(folder.path().join("suite.yaml"), format!("{suite}{list}")).unwrap();
    folder
}

/// All mutants of the policy that no case notices.
const ALL_LISTED: &str = "equivalentMutants:
- {rule: exempt, reason: any number of a whole rule}
- {rule: containers, change: '`containers[container]` never holds', reason: one of several}
- {rule: violation, change: without `not exempt(container.image)`, count: 2, reason: the same at two places}
- {rule: violation, change: '`not exempt(container.image)` negated', reason: one}
- {rule: violation, change: '`violation[{\"msg\": msg}]` never holds', reason: another one}
";

#[test]
fn mutants_that_suites_list_are_accepted() {
    let folder = with_list(ALL_LISTED);
    let run = run_in(folder.path(), &["verify", ".", "--mutate"]).exits_with(0);
    assert!(
        run.stdout
            .contains("11 mutants: 11 noticed (100.0 %), 0 not; 6 more are accepted; 1 does not compile"),
        "{}",
        run.shown()
    );
    let Run { stdout, .. } = run_in(folder.path(), &["verify", ".", "--mutate", "-o", "json"]).exits_with(0);
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let mutation = &found["mutation"];
    assert_eq!((&mutation["accepted"], &mutation["survived"]), (&6.into(), &0.into()));
    // Without mutants the list is read only.
    run_in(folder.path(), &["verify", "."]).exits_with(0);
}

/// Whatever an entry says that is not so is an error where it stands.
#[test]
fn entries_that_fit_no_mutant_are_errors() {
    let folder = with_list(
        "equivalentMutants:
- {rule: exempt, count: 2, reason: there is one}
- {rule: exempted, reason: there is no such rule}
- {rule: exempt, change: without `true`, reason: nothing of it is so}
- {rule: violation, change: without `not exempt(container.image)`, reason: there are two}
- {rule: violation, change: '`!=` for `==`', reason: cases notice it}
- {rule: exempt, change: '`startswith(image, input.parameters.exempt[_])` negated', reason: it does not compile}
",
    );
    let run = run_in(folder.path(), &["verify", ".", "--mutate"]).exits_with(2);
    insta::assert_snapshot!(super::without_times(&run.shown()));
    // Of a part of the cases more mutants survive, which says nothing of the list.
    let args = ["verify", ".", "--mutate", "--run", "a fixed tag"];
    let run = run_in(folder.path(), &args).exits_with(1);
    assert!(!run.stdout.contains("equivalent mutant"), "{}", run.stdout);
}

#[test]
fn what_is_wrong_with_entries_is_told_without_mutants() {
    let folder = with_list(
        "equivalentMutants:
- {change: without `x`, rule: violation}
- {change: without `x`, reason: no rule}
- {change: 7, rule: '', count: 0, reason: ' '}
- {rule: exempt, cuont: 2, reason: a field that there is not}
- {rule: containers, reason: once}
- {rule: containers, reason: twice}
- a text
",
    );
    let run = run_in(folder.path(), &["verify", "."]).exits_with(2);
    insta::assert_snapshot!(super::without_times(&run.shown()));
    let entries = "- {rule: exempt, reason: too many}\n".repeat(1001);
    let folder = with_list(&format!("equivalentMutants:\n{entries}"));
    let run = run_in(folder.path(), &["verify", "."]).exits_with(2);
    assert!(run.stdout.contains("expected at most 1000 entries, found 1001"), "{}", run.stdout);
    let long = "x".repeat(4097);
    let folder = with_list(&format!("equivalentMutants:\n- {{rule: exempt, reason: {long}}}\n"));
    let run = run_in(folder.path(), &["verify", "."]).exits_with(2);
    assert!(run.stdout.contains("expected at most 4096 bytes, found 4097"), "{}", run.stdout);
}

/// What a case shows to be another verdict is not the same, whether it is asserted or not.
#[test]
fn other_verdicts_are_not_accepted_and_other_details_are_no_survivors() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "template.yaml",
        "apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: twice}
spec:
  crd: {spec: {names: {kind: Twice}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package twice

      violation[{\"msg\": \"refused\", \"details\": {\"path\": path}}] {
        path := where[_]
      }

      where[[\"kind\"]] { input.review.object.kind == \"Pod\" }

      where[[\"apiVersion\"]] { input.review.object.kind == \"Pod\" }
",
    );
    write(
        "constraint.yaml",
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Twice\nmetadata: {name: twice}\n",
    );
    write("pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\n");
    let suite = "apiVersion: test.gatekeeper.sh/v1alpha1
kind: Suite
equivalentMutants:
- {rule: where, change: '`where[[\"kind\"]]` never holds', reason: it is not so}
tests:
- name: twice
  template: template.yaml
  constraint: constraint.yaml
  cases:
  - {name: pod, object: pod.yaml, assertions: [{violations: yes}]}
";
    write("suite.yaml", suite);
    let run = run_in(folder.path(), &["verify", ".", "--mutate"]).exits_with(2);
    insta::assert_snapshot!(super::without_times(&run.shown()));
}

/// Nothing is known of what the other language of a template says.
#[test]
fn entries_for_the_language_that_is_not_run_are_not_judged() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "template.yaml",
        "apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: noteams}
spec:
  crd: {spec: {names: {kind: NoTeams}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    code:
    - engine: K8sNativeValidation
      source:
        variables: [{name: named, expression: 'true'}]
        validations: [{expression: 'false && variables.named', message: refused}]
    - engine: Rego
      source:
        rego: |
          package noteams

          violation[{\"msg\": \"refused\"}] { always }

          always { input.review.object.kind == \"Pod\" }
",
    );
    write(
        "constraint.yaml",
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: NoTeams\nmetadata: {name: noteams}\n",
    );
    write("pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\n");
    write(
        "suite.yaml",
        "apiVersion: test.gatekeeper.sh/v1alpha1
kind: Suite
equivalentMutants:
- {rule: variables.named, reason: nobody reads it}
- {rule: violation, reason: only pods are judged}
- {rule: always, reason: only pods are judged}
- {rule: variables.other, reason: there is none}
tests:
- name: pods
  template: template.yaml
  constraint: constraint.yaml
  cases:
  - {name: pod, object: pod.yaml, assertions: [{violations: yes}]}
",
    );
    let with = |flag| {
        let run = run_in(folder.path(), &["verify", ".", "--mutate", flag]).exits_with(2);
        assert_eq!(run.stdout.matches("this equivalent mutant").count(), 1, "{}", run.stdout);
        assert!(run.stdout.contains("no rule `variables.other`"), "{}", run.stdout);
        assert!(run.stdout.contains("more are accepted") || run.stdout.contains("more is accepted"));
    };
    with("--enable-k8s-native-validation=true");
    with("--enable-k8s-native-validation=false");
}

/// Policies that leave no mutant of themselves and of their libraries to others. All of them take a minute and a half
/// in a debug build: `portcullis verify policies/... --mutate`.
const WHOLE: [&str; 3] = [
    "policies/general/container-limits",
    "policies/general/trusted-registries",
    "policies/tenancy/tenant-runtime-class",
];

/// The lists of our own policies say what is so, and all of it.
#[test]
fn no_mutant_of_our_policies_survives_unlisted() {
    let root = testdata().join("../..");
    let run =
        run_in(&root, &[&["verify", "--mutate", "-o", "json"], WHOLE.as_slice()].concat()).exits_with(0);
    let found: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let mutation = &found["mutation"];
    let number = |name: &str| mutation[name].as_u64().unwrap();
    assert_eq!((number("survived"), mutation["percent"].as_f64()), (0, Some(100.0)));
    assert!(number("accepted") > 10 && number("killed") > 300, "{mutation}");
}

#[test]
fn mutants_do_not_depend_on_the_number_of_threads() {
    let root = testdata().join("../..");
    let with = |jobs| {
        let folders =
            ["policies/pod-security/host-namespaces/...", "policies/pod-security/privilege-escalation/..."];
        let run = run_in(&root, &[&["verify", "--mutate", "--jobs", jobs], folders.as_slice()].concat());
        super::without_times(&run.stdout)
    };
    let one = with("1");
    assert!(one.contains("noticed"), "{one}");
    assert_eq!(one, with("4"));
}

fn explain(args: &[&str]) -> Run {
    run_in(&testdata().join("../authoring"), &[&["explain", "--policies", "policy"], args].concat())
}

#[test]
fn explanations_of_findings_name_conditions_fields_and_parameters() {
    let Run { stdout, .. } = explain(&["policy/samples/latest.yaml", "-o", "json"]).exits_with(0);
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let ways = found[0]["explanation"]["found"][0]["ways"].as_array().unwrap();
    assert_eq!(ways.len(), 1);
    let conditions = ways[0]["conditions"].as_array().unwrap();
    let texts: Vec<&str> = conditions.iter().map(|one| one["condition"].as_str().unwrap()).collect();
    assert_eq!(
        texts,
        [
            "container := containers[_]",
            "not exempt(container.image)",
            "tag := split(container.image, \":\")[1]",
            "tag == input.parameters.moving[_]",
            "msg := sprintf(\"container %v: the tag %v moves\", [container.name, tag])",
        ]
    );
    assert!(conditions.iter().all(|one| one["holds"] == true));
    let image = serde_json::json!({
        "field": "spec.containers[0].image", "value": "nginx:latest", "exists": true,
        "location": {"file": "policy/samples/latest.yaml", "line": 9, "column": 5},
    });
    assert!(conditions[1]["facts"].as_array().unwrap().contains(&image), "{:#}", conditions[1]);
    let moving = serde_json::json!({
        "parameter": "moving[0]", "value": "latest", "exists": true,
        "location": {"file": "policy/constraint.yaml", "line": 12, "column": 14},
    });
    assert!(conditions[3]["facts"].as_array().unwrap().contains(&moving), "{:#}", conditions[3]);
    // `container := containers[_]` asked the rule that gave the container.
    assert_eq!(conditions[0]["rules"][0]["rule"], "containers");
}

#[test]
fn what_passes_is_explained_by_the_nearest_condition_that_fails() {
    let Run { stdout, .. } = explain(&["policy/samples/fixed.yaml", "-o", "json"]).exits_with(0);
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let nearest = &found[0]["explanation"]["missed"][0]["conditions"];
    let last = nearest.as_array().unwrap().last().unwrap();
    assert_eq!(
        (last["condition"].as_str(), last["holds"].as_bool()),
        (Some("tag == input.parameters.moving[_]"), Some(false))
    );
}

#[test]
fn what_does_not_apply_is_explained_by_its_match() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pod.yaml");
    std::fs::write(&path, "apiVersion: v1\nkind: Pod\nmetadata: {name: dns, namespace: kube-system}\n")
        .unwrap();
    let Run { stdout, .. } = explain(&[path.to_str().unwrap()]).exits_with(0);
    assert!(stdout.contains("does not apply: `excludedNamespaces"), "{stdout}");
}

fn explained(args: &[&str]) -> serde_json::Value {
    let policies = ["explain", "--policies", "template.yaml", "--policies", "constraint.yaml", "-o", "json"];
    let Run { stdout, .. } =
        run_in(&testdata().join("../explain"), &[&policies[..], args].concat()).exits_with(0);
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    found[0]["explanation"].clone()
}

#[test]
fn cel_is_explained_by_the_parts_that_decide() {
    let told = explained(&["samples/bad.yaml"]);
    let found = told["found"].as_array().unwrap();
    assert_eq!(found.len(), 5);
    let of = |message: &str| {
        let one = found.iter().find(|one| one["message"] == message).unwrap();
        one["ways"][0]["conditions"].as_array().unwrap().clone()
    };
    // Of the elements those that fail, and why each.
    let read_only = of("each container has a file system that is only read");
    let texts: Vec<&str> = read_only.iter().map(|one| one["condition"].as_str().unwrap()).collect();
    assert_eq!(texts, ["c.securityContext.readOnlyRootFilesystem == true", "has(c.securityContext)"]);
    assert!(read_only.iter().all(|one| one["holds"] == false));
    let field = &read_only[0]["facts"][0];
    assert_eq!(
        (&field["field"], &field["value"], &field["location"]["line"]),
        (
            &serde_json::json!("spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem"),
            &serde_json::json!(false),
            &serde_json::json!(21)
        )
    );
    // What is read of a parameter stands in the constraint.
    let many = of("more replicas than 3");
    let parameter = serde_json::json!({
        "parameter": "mostReplicas", "value": 3, "exists": true,
        "location": {"file": "constraint.yaml", "line": 12, "column": 5},
    });
    assert!(many[0]["facts"].as_array().unwrap().contains(&parameter), "{:#}", many[0]);
    let compared = serde_json::json!({"operator": "<=", "left": 5, "right": 3, "holds": false});
    assert!(many[0]["facts"].as_array().unwrap().contains(&compared), "{:#}", many[0]);
    // What was filtered out is told by what was asked of it.
    let foreign = of("images from elsewhere: setup");
    let variable = &foreign[0]["rules"][0];
    assert_eq!((&variable["rule"], &variable["kind"]), (&"foreign".into(), &"variable".into()));
    assert_eq!(variable["conditions"][0]["facts"][0]["field"], "spec.template.spec.initContainers[0].image");
}

#[test]
fn what_passes_in_cel_is_explained_by_what_holds_or_by_what_said_no() {
    let good = explained(&["samples/good.yaml"]);
    let held = good["held"].as_array().unwrap();
    let kinds: Vec<&str> = held.iter().map(|rule| rule["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, [&["match condition"][..], &["validation"; 5]].concat());
    assert!(held.iter().all(|rule| rule["holds"] == true));
    let exempt = explained(&["samples/exempt.yaml"]);
    assert_eq!(exempt["held"], serde_json::json!([]));
    let missed = exempt["missed"].as_array().unwrap();
    assert_eq!(missed.len(), 1);
    assert_eq!((&missed[0]["rule"], &missed[0]["holds"]), (&"not-ours".into(), &false.into()));
}

const ADMISSION: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: replicas}
spec:
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}]
  matchConditions: [{name: shop, expression: "request.namespace == 'shop'"}]
  variables: [{name: most, expression: "int(params.data.most)"}]
  validations:
  - expression: "object.spec.replicas <= variables.most"
    message: too many replicas
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: everywhere}
spec:
  policyName: replicas
  validationActions: [Deny]
  paramRef: {name: limits, namespace: shop, parameterNotFoundAction: Deny}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: limits, namespace: shop}
data: {most: "3"}
"#;

/// A folder with a policy, and Deployments of five replicas in two namespaces.
fn admission() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.yaml"), ADMISSION).unwrap();
    for namespace in ["shop", "dev"] {
        let text = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: {namespace}}}\nspec:\n  replicas: 5 # for the sale\n"
        );
        std::fs::write(folder.path().join(format!("{namespace}.yaml")), text).unwrap();
    }
    folder
}

#[test]
fn admission_policies_are_explained_with_their_parameters() {
    let folder = admission();
    let policies = ["--policies", "policy.yaml", "--inventory", "policy.yaml"];
    let explain = |object: &str| {
        let Run { stdout, .. } =
            run_in(folder.path(), &[&["explain", "-o", "json", object], &policies[..]].concat())
                .exits_with(0);
        serde_json::from_str::<serde_json::Value>(&stdout).unwrap()[0]["explanation"].clone()
    };
    let shop = explain("shop.yaml");
    let condition = &shop["found"][0]["ways"][0]["conditions"][0];
    assert_eq!(condition["condition"], "object.spec.replicas <= variables.most");
    let most = &condition["rules"][0]["conditions"][0];
    assert_eq!(most["condition"], "int(params.data.most)");
    let parameter = serde_json::json!({"name": "params.data.most", "value": "3", "exists": true});
    assert!(most["facts"].as_array().unwrap().contains(&parameter), "{most:#}");
    let dev = explain("dev.yaml");
    assert_eq!(dev["missed"][0]["kind"], "match condition");
}

#[test]
fn what_cel_denies_is_fixed_in_files() {
    let folder = admission();
    let policies = ["--policies", "policy.yaml", "--inventory", "policy.yaml"];
    run_in(folder.path(), &[&["test", "--fix", "shop.yaml"], &policies[..]].concat()).exits_with(0);
    let text = std::fs::read_to_string(folder.path().join("shop.yaml")).unwrap();
    assert!(text.ends_with("spec:\n  replicas: 3 # for the sale\n"), "{text}");
}

/// What is reported does not change by what is told of it.
#[test]
fn explanations_are_beside_the_findings() {
    let run = |more: &[&str]| {
        let args =
            [&["test", "--policies", "policy", "policy/samples/latest.yaml", "-o", "json"], more].concat();
        let Run { stdout, .. } = run_in(&testdata().join("../authoring"), &args).exits_with(1);
        serde_json::from_str::<serde_json::Value>(&stdout).unwrap()
    };
    let mut with = run(&["--explain"]);
    let told = with[0].as_object_mut().unwrap().remove("explanation").unwrap();
    assert!(told[0]["conditions"].as_array().unwrap().len() == 5, "{told:#}");
    assert_eq!(with, run(&[]));
}

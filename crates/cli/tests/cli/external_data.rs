//! Policies that ask providers, without a network and over real HTTPS.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use portcullis_testkit::builders;
use portcullis_testkit::provider::{Body, Reply, TestProvider, TlsKind};
use serde_json::{Value, json};

use crate::{Run, run_in};

/// Denies images that the provider has an error of; looks at all that an answer may say.
const CAREFUL: &str = r#"package signed

violation contains {"msg": msg} if {
	images := [c.image | some c in input.review.object.spec.containers]
	answer := external_data({"provider": "cosign", "keys": images})
	some msg in problems(answer)
}

problems(answer) := {sprintf("%v: %v", [key, why]) | some [key, why] in answer.errors} if {
	answer.system_error == ""
	answer.status_code in {0, 200}
} else := {sprintf("the provider: %v %v", [answer.status_code, answer.system_error])}
"#;

pub fn policy(rego: &str) -> String {
    let mut template = builders::template("Signed", "");
    template["spec"]["targets"] = json!([{
        "target": "admission.k8s.gatekeeper.sh",
        "code": [{"engine": "Rego", "source": {"version": "v1", "rego": rego}}],
    }]);
    let constraint = builders::constraint("Signed", "signed", &json!({}));
    format!("{template}\n---\n{constraint}\n")
}

fn pods(count: usize, images: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let pod = builders::pod("shop", &format!("pod-{number}"), &format!("image-{}", number % images));
        writeln!(text, "---\n{pod}").unwrap();
    }
    text
}

fn folder(provider: Option<Value>, rego: &str, pods: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let provider = provider.map(|provider| format!("---\n{provider}\n")).unwrap_or_default();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    std::fs::write(folder.path().join("policies/policy.yaml"), policy(rego) + &provider).unwrap();
    std::fs::write(folder.path().join("pods.yaml"), pods).unwrap();
    folder
}

fn test(folder: &Path, more: &[&str]) -> Run {
    let args = ["test", "--policies", "policies", "pods.yaml", "-o", "json", "-q"];
    run_in(folder, &[&args[..], more].concat())
}

/// Says of each image that it is good, but for those whose number ends with 3.
fn signed() -> Reply {
    let say =
        |key: &str| if key.ends_with('3') { Err("not signed".to_owned()) } else { Ok("good".to_owned()) };
    Reply { body: Body::Each(say), ..Reply::echo() }
}

#[test]
fn what_nobody_answers_is_unknown_and_the_keys_are_listed() {
    let folder = folder(None, CAREFUL, &pods(5, 5));
    let run = test(folder.path(), &[]).exits_with(2);
    let all =
        "nobody says what provider `cosign` answers of `image-0`, `image-1`, `image-2`, `image-3`, `image-4`";
    assert!(run.shown().contains(all), "{}", run.shown());
    assert_eq!(run.stdout.matches("and nobody answered").count(), 5, "{}", run.shown());

    std::fs::write(
        folder.path().join("answers.yaml"),
        "providers:\n  cosign:\n    image-0: {value: good}\n    image-1: {value: good}\n    image-2: {value: good}\n    image-3: {error: not signed}\n",
    )
    .unwrap();
    let answers = ["--provider-answers", "answers.yaml"];
    let run = test(folder.path(), &answers).exits_with(2);
    assert!(run.shown().contains("answers of `image-4`"), "{}", run.shown());
    assert!(run.stdout.contains("image-3: not signed"), "{}", run.shown());
    std::fs::write(folder.path().join("pods.yaml"), pods(4, 4)).unwrap();
    test(folder.path(), &answers).exits_with(1);
    std::fs::write(folder.path().join("pods.yaml"), pods(3, 3)).unwrap();
    test(folder.path(), &answers).exits_with(0);
    std::fs::write(folder.path().join("answers.yaml"), "providers: {cosign: {image-0: {valeu: 1}}}").unwrap();
    let run = test(folder.path(), &answers).exits_with(2);
    assert!(run.shown().contains("unknown field `valeu`"), "{}", run.shown());
}

#[test]
fn a_record_says_the_same_as_the_provider_did() {
    let provider = TestProvider::always(signed());
    let folder = folder(Some(provider.manifest("cosign", 5)), CAREFUL, &pods(40, 10));
    let record = ["--record-provider-answers", "answers.yaml"];
    let live = test(folder.path(), &record).exits_with(1);
    let asked = provider.take_asked();
    // One request for all keys of the run.
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].keys().len(), 10);
    let text = std::fs::read_to_string(folder.path().join("answers.yaml")).unwrap();
    assert!(text.contains("    image-3:\n      error: not signed\n"), "{text}");
    let again = test(folder.path(), &["--provider-answers", "answers.yaml"]).exits_with(1);
    assert_eq!(again.stdout, live.stdout, "byte for byte");
    assert_eq!(provider.take_asked().len(), 0);
    test(folder.path(), &["--live-providers"]).exits_with(1);
    assert_eq!(provider.take_asked().len(), 1);

    // A provider that is down says the same in a record as it does live.
    provider.change(Reply { status: 503, ..Reply::raw("down") });
    let live = test(folder.path(), &record).exits_with(1);
    assert!(live.stdout.contains("the provider: 500 failed to unmarshal"), "{}", live.shown());
    let again = test(folder.path(), &["--provider-answers", "answers.yaml"]).exits_with(1);
    assert_eq!(again.stdout, live.stdout, "byte for byte");
}

#[test]
fn a_provider_that_is_wrong_is_told_where_it_stands() {
    let mut provider = TestProvider::echo().manifest("cosign", 5);
    provider["spec"]["caBundle"] = json!("aGVsbG8=");
    let folder = folder(Some(provider), CAREFUL, &pods(1, 1));
    let run = test(folder.path(), &["--live-providers"]).exits_with(2);
    assert!(run.shown().contains("its `caBundle` has no certificate"), "{}", run.shown());
    let mut provider = TestProvider::echo().manifest("cosign", 5);
    provider["spec"]["url"] = json!("http://localhost/");
    let folder = self::folder(Some(provider), CAREFUL, &pods(1, 1));
    let run = test(folder.path(), &["--live-providers"]).exits_with(2);
    assert!(run.shown().contains("https://"), "{}", run.shown());
}

#[test]
fn suites_name_answers() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let policy = policy(CAREFUL);
    let (template, constraint) = policy.split_once("\n---\n").unwrap();
    write("template.yaml", template);
    write("constraint.yaml", constraint);
    write("good.yaml", &builders::pod("shop", "good", "image-1").to_string());
    write("bad.yaml", &builders::pod("shop", "bad", "image-3").to_string());
    let answers = "providers: {cosign: {image-1: {value: good}, image-3: {error: not signed}}}";
    write("answers.yaml", answers);
    let suite = |answers: &str| {
        format!(
            "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\ntests:\n- name: signed\n  template: template.yaml\n  constraint: constraint.yaml\n{answers}  cases:\n  - {{name: good, object: good.yaml, assertions: [{{violations: no}}]}}\n  - {{name: bad, object: bad.yaml, assertions: [{{violations: 1, message: not signed}}]}}\n"
        )
    };
    write("suite.yaml", &suite("  providerAnswers: answers.yaml\n"));
    run_in(folder.path(), &["verify", "suite.yaml"]).exits_with(0);
    // Neither an expected nor an unexpected violation: it is not known.
    write("suite.yaml", &suite(""));
    let run = run_in(folder.path(), &["verify", "suite.yaml"]).exits_with(2);
    assert!(run.shown().contains(r#"provider "cosign" for key "image-3""#), "{}", run.shown());
    run_in(folder.path(), &["verify", "suite.yaml", "--provider-answers", "answers.yaml"]).exits_with(0);
    let provider = TestProvider::always(signed());
    write("provider.yaml", &provider.manifest("cosign", 5).to_string());
    run_in(folder.path(), &["verify", ".", "--live-providers"]).exits_with(0);
    assert!(!provider.take_asked().is_empty());
}

/// 10,000 pods with 50 images between them: what an audit asks, and what it would ask without remembering.
#[test]
fn an_audit_asks_each_key_once() {
    let provider = TestProvider::always(signed().after(Duration::from_millis(2)));
    let folder = folder(Some(provider.manifest("cosign", 5)), CAREFUL, &pods(10_000, 50));
    let args = [
        "audit",
        "--policies",
        "policies",
        "pods.yaml",
        "-o",
        "json",
        "--record-provider-answers",
        "answers.yaml",
    ];
    let started = std::time::Instant::now();
    let live = run_in(folder.path(), &args).exits_with(1);
    let took = started.elapsed();
    let asked = provider.take_asked();
    let keys: usize = asked.iter().map(|asked| asked.keys().len()).sum();
    println!("10,000 pods, 50 images: {} requests, {keys} keys, {took:?}", asked.len());
    assert_eq!(keys, 50);
    assert!(asked.len() <= 4, "{} requests", asked.len());
    let args =
        ["audit", "--policies", "policies", "pods.yaml", "-o", "json", "--provider-answers", "answers.yaml"];
    let again = run_in(folder.path(), &args).exits_with(1);
    let plain = |run: &Run| {
        let mut report: Value = serde_json::from_str(&run.stdout).unwrap();
        for key in ["startedAt", "endedAt", "started", "ended", "duration", "seconds"] {
            report.as_object_mut().unwrap().remove(key);
        }
        report
    };
    assert_eq!(plain(&again)["totals"], plain(&live)["totals"]);
    assert_eq!(plain(&again)["findings"], plain(&live)["findings"]);
    assert_eq!(provider.take_asked().len(), 0);
    // Without answers it is not complete, and says what is missing.
    let run = run_in(folder.path(), &["audit", "--policies", "policies", "pods.yaml"]).exits_with(2);
    assert!(
        run.shown().contains("nobody says what provider `cosign` answers of `image-0`, `image-1`"),
        "{}",
        run.shown()
    );
}

#[test]
fn a_certificate_that_ended_is_a_failure_that_the_policy_sees() {
    let kind = TlsKind { has_ended: true, ..TlsKind::default() };
    let provider =
        TestProvider::new(kind, std::collections::BTreeMap::from([("/".to_owned(), vec![signed()])]));
    let folder = folder(Some(provider.manifest("cosign", 5)), CAREFUL, &pods(1, 1));
    let run = test(folder.path(), &["--live-providers"]).exits_with(1);
    assert!(run.stdout.contains("the provider: 500 failed to send external data request"), "{}", run.shown());
    assert!(run.stdout.contains("expired"), "{}", run.shown());
}

#[test]
fn lint_tells_of_answers_that_nobody_looks_at_and_of_providers_that_there_are_not() {
    let careless = r#"package signed

violation contains {"msg": msg} if {
	answer := external_data({"provider": "cosin", "keys": [input.review.object.metadata.name]})
	# errors and system_error are only named here
	some [key, "bad"] in answer.responses
	msg := key
}
"#;
    let provider = TestProvider::echo().manifest("cosign", 5);
    let folder = folder(Some(provider.clone()), careless, "");
    let run = run_in(folder.path(), &["lint", "policies"]).exits_with(0);
    for part in [
        "never looks at `system_error`",
        "never looks at `errors`",
        "asks a provider `cosin`",
        "did you mean `cosign`?",
    ] {
        assert!(run.shown().contains(part), "{part} is missing in\n{}", run.shown());
    }
    let folder = self::folder(Some(provider), CAREFUL, "");
    let run = run_in(folder.path(), &["lint", "policies", "-W"]).exits_with(0);
    assert!(!run.shown().contains("provider `"), "{}", run.shown());
}

fn mutator(external: &Value) -> String {
    let mutator = json!({
        "apiVersion": "mutations.gatekeeper.sh/v1", "kind": "Assign", "metadata": {"name": "owner"},
        "spec": {
            "applyTo": [{"groups": [""], "versions": ["v1"], "kinds": ["Pod"]}],
            "location": "spec.owner",
            "parameters": {"assign": {"externalData": external}},
        },
    });
    format!("{mutator}\n")
}

#[test]
fn mutators_ask_and_what_nobody_answers_is_unknown() {
    let provider = TestProvider::echo();
    let folder = folder(Some(provider.manifest("people", 5)), CAREFUL, &pods(3, 3));
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let by_user = json!({"provider": "people", "dataSource": "Username"});
    write("policies/mutator.yaml", &mutator(&by_user));
    let mutate = |more: &[&str]| {
        run_in(folder.path(), &[&["mutate", "-m", "policies", "pods.yaml", "-o", "json"], more].concat())
    };
    let run = mutate(&[]).exits_with(2);
    assert!(run.shown().contains("nobody says who that is"), "{}", run.shown());
    let run = mutate(&["--username", "ann"]).exits_with(2);
    assert!(run.shown().contains("nobody says what provider `people` answers of `ann`"), "{}", run.shown());
    let live = mutate(&["--username", "ann", "--record-provider-answers", "answers.yaml"]).exits_with(0);
    assert_eq!(
        (live.stdout.matches("v:ann").count() >= 3, provider.take_asked().len()),
        (true, 1),
        "{}",
        live.shown()
    );
    let again = mutate(&["--username", "ann", "--provider-answers", "answers.yaml"]).exits_with(0);
    assert_eq!((again.stdout, provider.take_asked().len()), (live.stdout, 0));
    // What does not count is told.
    let ignoring = json!({"provider": "people", "dataSource": "Username", "failurePolicy": "Ignore"});
    write("policies/mutator.yaml", &mutator(&ignoring));
    write("answers.yaml", "providers: {people: {ann: {systemError: is down}}}");
    let run = mutate(&["--username", "ann", "--provider-answers", "answers.yaml"]).exits_with(0);
    assert!(run.shown().contains("does not count") && run.shown().contains("is down"), "{}", run.shown());
    let judged = ["--mutate", "--username", "ann", "--provider-answers", "answers.yaml"];
    // Warnings are not for `-q`.
    let run =
        run_in(folder.path(), &[&["test", "--policies", "policies", "pods.yaml"], &judged[..]].concat());
    assert!(run.shown().contains("does not count"), "{}", run.shown());
    write("policies/mutator.yaml", &mutator(&by_user));
    let run = test(folder.path(), &judged).exits_with(2);
    assert!(run.shown().contains("cannot be mutated by Assign/owner"), "{}", run.shown());
}

#[test]
fn rights_are_taken_from_a_file_or_unknown() {
    let kind = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let policy = kind(
        "ValidatingAdmissionPolicy",
        "rights",
        json!({
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]},
            ]},
            "validations": [{
                "expression": "authorizer.group('').resource('secrets').namespace(request.namespace).check('get').allowed()",
                "message": "needs secrets",
            }],
        }),
    );
    let binding = kind(
        "ValidatingAdmissionPolicyBinding",
        "rights",
        json!({"policyName": "rights", "validationActions": ["Deny"]}),
    );
    let folder = folder(None, CAREFUL, &pods(2, 2));
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("policies/policy.yaml", &format!("{policy}\n---\n{binding}\n"));
    let run = test(folder.path(), &[]).exits_with(2);
    let asked = r#"nobody says whether user "" may "get" "secrets" in namespace "shop""#;
    assert!(run.shown().contains(asked), "{}", run.shown());
    for (allowed, status) in [(true, 0), (false, 1)] {
        write(
            "rights.yaml",
            &format!("access:\n- {{verb: get, resource: secrets, namespace: shop, allowed: {allowed}}}\n"),
        );
        test(folder.path(), &["--provider-answers", "rights.yaml"]).exits_with(status);
    }
    write(
        "rights.yaml",
        "access:\n- {verb: get, resource: secrets, namespace: shop, failure: the cluster is gone}\n",
    );
    let run = test(folder.path(), &["--provider-answers", "rights.yaml"]);
    assert!(run.stdout.contains("which cannot say: the cluster is gone"), "{}", run.shown());
}

//! `authorizer` of admission policies: what it asks of a cluster, and what comes of the answers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics when it fails"
)]

use portcullis::{
    AccessAnswer, AccessTo, Answers, EnforcementPoint, PolicySet, Questions, Resource, Review, Severity,
    Verdict, World,
};
use portcullis_testkit::builders::document;
use serde_json::{Value, json};

const POINT: EnforcementPoint = EnforcementPoint::Webhook;

fn policy(spec: &Value) -> PolicySet {
    let mut spec = spec.clone();
    spec["matchConstraints"] = json!({"resourceRules": [
        {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["*"]},
    ]});
    let kind = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let documents = [
        kind("ValidatingAdmissionPolicy", "p", spec),
        kind(
            "ValidatingAdmissionPolicyBinding",
            "b",
            json!({"policyName": "p", "validationActions": ["Deny"]}),
        ),
    ];
    let (set, errors) = PolicySet::compile(documents.iter().map(document));
    assert!(errors.iter().all(|error| error.severity() == Severity::Warning), "{errors:?}");
    set
}

fn of_expressions(expressions: &[&str]) -> PolicySet {
    let all: Vec<Value> =
        expressions.iter().map(|text| json!({"expression": text, "message": "no rights"})).collect();
    policy(&json!({"validations": all, "failurePolicy": "Ignore"}))
}

fn review() -> Review {
    let request = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "operation": "CREATE", "name": "settings", "namespace": "shop",
            "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
            "resource": {"group": "", "version": "v1", "resource": "configmaps"},
            "userInfo": {"username": "alice", "groups": ["devs"], "extra": {"scopes": ["a"]}},
            "object": {
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "settings", "namespace": "shop"}, "data": {"k": "v"},
            },
        },
    });
    let (resource, errors) = Resource::read(&document(&request));
    let Some(Resource::AdmissionReview(request)) = resource else { panic!("{errors:?}") };
    Review::from_admission(&request).unwrap()
}

fn decided(allowed: bool, reason: &str, error: &str) -> AccessAnswer {
    AccessAnswer::Decided { allowed, reason: reason.into(), error: error.into() }
}

/// Answers everything by whether `allows` says so.
fn answering(questions: &Questions, answer: &dyn Fn(&str) -> AccessAnswer) -> Answers {
    let mut answers = Answers::new();
    for question in questions.access() {
        answers.set_access(question.clone(), answer(&question.to_string()));
    }
    answers
}

/// What comes of expressions, and what was asked, round by round.
fn judged(set: &PolicySet, answer: &dyn Fn(&str) -> AccessAnswer) -> (Vec<Verdict>, Vec<Vec<String>>) {
    let mut asked = Vec::new();
    let outcome =
        set.review_asking(&review(), &[], &World::default(), POINT, &mut Answers::new(), |questions| {
            asked.push(questions.iter().map(ToString::to_string).collect());
            answering(questions, answer)
        });
    assert!(outcome.questions().is_empty(), "{:?}", outcome.questions());
    (outcome.results.iter().map(|result| result.verdict.clone()).collect(), asked)
}

#[test]
fn all_that_is_asked_is_asked_at_once() {
    let set = of_expressions(&[
        "authorizer.group('').resource('secrets').namespace(request.namespace).check('create').allowed()",
        "authorizer.requestResource.check('fly').allowed()",
        "authorizer.path('/healthz').check('get').allowed()",
        "authorizer.serviceAccount('shop', 'robot').group('apps').resource('deployments').subresource('scale').name('web').check('update').allowed()",
        "authorizer.group('').resource('pods').fieldSelector('a=b').labelSelector('c=d').check('list').allowed()",
    ]);
    assert!(set.may_ask());
    let (verdicts, asked) = judged(&set, &|_| decided(true, "", ""));
    assert_eq!(verdicts, [Verdict::Pass]);
    let expected = [
        r#"whether user "alice" may "create" "secrets" in namespace "shop""#,
        r#"whether user "alice" may "fly" "configmaps" named "settings" in namespace "shop""#,
        r#"whether user "alice" may "get" path "/healthz""#,
        r#"whether user "system:serviceaccount:shop:robot" may "update" "deployments/scale.apps" named "web""#,
        r#"whether user "alice" may "list" "pods" with fields "a=b" with labels "c=d""#,
    ];
    assert_eq!(asked, [expected.map(str::to_owned)]);
    let questions = set.questions(&review(), &[], &World::default(), POINT);
    let first = questions.access().next().unwrap();
    assert_eq!((&*first.user.groups[0], &*first.user.extra["scopes"][0]), ("devs", "a"));
    assert!(matches!(&first.to, AccessTo::Resource(resource) if &*resource.resource == "secrets"));
    let (verdicts, _) = judged(&set, &|question| decided(!question.contains("fly"), "", ""));
    assert!(matches!(&verdicts[..], [Verdict::Violations(found)] if found.len() == 1), "{verdicts:?}");
}

#[test]
fn a_decision_is_looked_into() {
    let check = "authorizer.group('').resource('pods').check('get')";
    for (text, allowed, reason, error) in [
        ("X.reason() == 'by role'", true, "by role", ""),
        ("X.errored() && X.error() == 'broke' && !X.allowed()", false, "", "broke"),
        ("!X.errored() && X.error() == ''", true, "", ""),
        ("type(X.reason()) == string", true, "", ""),
    ] {
        let set = of_expressions(&[&text.replace('X', check)]);
        let (verdicts, _) = judged(&set, &|_| decided(allowed, reason, error));
        assert_eq!(verdicts, [Verdict::Pass], "{text}");
    }
}

/// An error beside it is none as long as the answer may decide: it is asked, and is not passed over by `failurePolicy: Ignore`.
#[test]
fn an_error_beside_a_question_does_not_hide_it() {
    for text in [
        "object.data.z == 'a' || X",
        "!(object.data.z == 'a' || !X)",
        "[0, 1].exists(i, i == 0 ? object.z : X)",
    ] {
        let text = text.replace('X', "authorizer.group('').resource('pods').check('get').allowed()");
        let set = of_expressions(&[&text]);
        let (verdicts, asked) = judged(&set, &|_| decided(true, "", ""));
        assert_eq!((&*verdicts, asked.len()), (&[Verdict::Pass][..], 1), "{text}");
        let outcome = set.review(&review(), &World::default(), POINT);
        assert!(matches!(outcome.results[0].verdict, Verdict::Error(_)), "{text}");
    }
    // Two errors are an error of the policy's, which may be passed over.
    let set = of_expressions(&["object.data.z == 'a' || object.z"]);
    assert_eq!(judged(&set, &|_| decided(true, "", "")), (vec![Verdict::Pass], Vec::new()));
}

/// A check costs 350,000 units: as long as none is answered all three are made, which is more than an expression may cost.
#[test]
fn what_an_expression_costs_is_known_when_what_it_asks_is_known() {
    let check = |verb: &str| format!("authorizer.group('').resource('pods').check('{verb}').allowed()");
    let text = ["get", "list", "watch"].map(check).join(" || ");
    let set = of_expressions(&[&text]);
    let (verdicts, asked) = judged(&set, &|_| decided(true, "", ""));
    assert_eq!((&*verdicts, asked.len()), (&[Verdict::Pass][..], 1));
    let set = of_expressions(&[&check("get"), &check("list"), &format!("true || {}", check("watch"))]);
    assert_eq!(judged(&set, &|_| decided(true, "", "")).0, [Verdict::Pass]);
    // If all three are made it does cost too much, which this policy passes over.
    let set = policy(&json!({"validations": [{"expression": text}]}));
    let (verdicts, _) = judged(&set, &|_| decided(false, "", ""));
    assert!(
        matches!(&verdicts[..], [Verdict::Error(error)] if error.message.contains("cost limit")),
        "{verdicts:?}"
    );
}

/// Whatever failurePolicy says: what nobody answered, and what could not be asked, denies.
#[test]
fn what_is_not_known_is_never_a_pass() {
    let set = of_expressions(&["authorizer.group('').resource('pods').check('get').allowed()"]);
    let outcome = set.review(&review(), &World::default(), POINT);
    assert_eq!(outcome.questions().len(), 1);
    let is_error = |outcome: &portcullis::Outcome| {
        outcome.results.iter().any(|result| matches!(&result.verdict, Verdict::Error(_)))
    };
    assert!(is_error(&outcome));
    let answers = answering(&outcome.questions(), &|_| AccessAnswer::Failure("it is gone".into()));
    let outcome = set.review(&review(), &World::default().with_answers(&answers), POINT);
    assert!(outcome.questions().is_empty() && is_error(&outcome), "{outcome:?}");
    // A condition that does not hold decides without an answer; so does what is true all the same.
    let conditions = json!([
        {"name": "a", "expression": "authorizer.requestResource.check('get').allowed()"},
        {"name": "b", "expression": "request.operation == 'DELETE'"},
    ]);
    let validations = json!([{"expression": "false"}]);
    let set = policy(&json!({"matchConditions": conditions, "validations": validations}));
    assert!(set.review(&review(), &World::default(), POINT).questions().is_empty());
    let set =
        of_expressions(&["authorizer.requestResource.check('get').allowed() || request.name == 'settings'"]);
    let outcome = set.review(&review(), &World::default(), POINT);
    assert!(outcome.questions().is_empty() && !is_error(&outcome), "{outcome:?}");
}

#[test]
fn what_is_wrong_with_a_question_is_an_error_of_the_expression() {
    for (text, message) in [
        ("authorizer.path('').check('get').allowed()", "path must not be empty"),
        ("authorizer.group('').resource('').check('get').allowed()", "resource must not be empty"),
        ("authorizer.serviceAccount('shop', 'A B').path('/').check('get').allowed()", "service account name"),
        ("authorizer.serviceAccount('a.b', 'c').path('/').check('get').allowed()", "account namespace"),
    ] {
        let set = policy(&json!({"validations": [{"expression": text}]}));
        let (verdicts, asked) = judged(&set, &|_| decided(true, "", ""));
        assert!(asked.is_empty(), "{text}");
        assert!(
            matches!(&verdicts[..], [Verdict::Error(error)] if error.message.contains(message)),
            "{verdicts:?}"
        );
    }
}

/// Checks cost as in an API server, which lets an expression have two of them.
#[test]
fn checks_of_thousands_of_items_end() {
    let set = policy(&json!({"validations": [{
        "expression": "lists.range(5000).all(n, authorizer.group('').resource('pods').name(string(n)).check('get').allowed())",
    }]}));
    let outcome = set.review(&review(), &World::default(), POINT);
    assert!(outcome.questions().len() <= 3, "{}", outcome.questions().len());
    let (verdicts, asked) = judged(&set, &|_| decided(true, "", ""));
    assert!(asked.iter().map(Vec::len).sum::<usize>() <= 3, "{asked:?}");
    assert!(matches!(&verdicts[..], [Verdict::Error(_)]), "{verdicts:?}");
}

//! What the answers of a policy rest on: whatever way a value takes through it, a field that makes a
//! difference is never taken for unread; and what has nothing to do with it is.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers as well")]

use portcullis::{
    Document, EnforcementPoint, FieldPath, Inventory, Object, PolicySet, Review, Verdict, World,
};
use serde_json::json;

const SECRET: [&str; 2] = ["secret-a", "other-bbbb"];

/// Statements that bind `v` to something secret.
const SOURCES: &[&str] = &[
    "v := input.review.object.data.k",
    "v := input.review.object.data[_]",
    r#"v := input.review.object["data"][["z", "k"][_]]"#,
    r#"v := object.get(input.review.object, ["data", "k"], "")"#,
    r#"p := ["data", "k"]; v := object.get(input.review.object, p, "")"#,
    r#"o := object.get(input.review.object, "data", {}); v := o.k"#,
    "walk(input.review, [_, v]); is_string(v)",
    "v := input[_].object.data[_]",
    "v := json.marshal(input.review.object)",
    "v := input.review.object[x][y]; is_string(v)",
    "r := input.review; o := r.object; d := o.data; v := d.k",
    r#"{"k": v} = input.review.object.data"#,
    "v := input.review.object.data.k with input.parameters as {}",
    "v := object.union(input.review.object, {}).data.k",
    "some v in input.review.object.data",
    "every_one",
];

/// Statements that bind `v` to something else.
const HARMLESS: &[&str] = &[
    "v := input.review.object.metadata.name",
    r#"v := object.get(input.review.object, "type", "none")"#,
    "v := input.review.object.metadata.labels[_]",
    "m := input.review.object.metadata; v := m.labels[l]",
    "input.review.object.data; v := input.review.object.kind",
    r#"object.keys(input.review.object.data)["k"]; v := "k""#,
    "v := input.parameters.text",
    "v := data.inventory.cluster[_].Namespace[_].metadata.name",
];

/// Statements that bind `w` to what `v` is, or to something that holds it.
const WAYS: &[&str] = &[
    "w := v",
    "w := same(v)",
    "w := wrapped(v).a[_]",
    "w := [1, v][1]",
    r#"w := {"a": v}.a"#,
    r#"w := {"a": [{"b": v}]}.a[_].b"#,
    "w := [x | x := v][0]",
    "w := {x | x := v}[_]",
    "{x | x := v}[w]",
    r#"w := {x: "y" | x := v}"#,
    "{v: 1}[w]",
    "w := array.concat([], [v])[0]",
    r#"w := object.union({"a": 1}, {"a": v}).a"#,
    "some w in [v]",
    "some w, _ in {v: 1}",
    "[w, _] := [v, 1]",
    r#"{"q": [w]} := {"q": [v]}"#,
    "w := {v} | {v}",
    "w := choose(v)",
    "not same(v) == 3; w := v",
    "w := {\"a\": {\"b\": v}}[_]",
];

/// What is made of `w`.
const ENDS: &[&str] = &[
    r#"msg := sprintf("%v", [w])"#,
    r#"msg := "x"; details := {"d": [w]}"#,
    r#"msg := "x"; w == "secret-a""#,
    r#"msg := "x"; {"secret-a": 1}[w]"#,
    r#"msg := "x"; {"secret-a", "b"}[w]"#,
    r#"msg := "x"; not w == "secret-a""#,
    r#"msg := "x"; contains(sprintf("%v", [w]), "secret-a")"#,
    "msg := guarded(w)",
    r#"msg := sprintf("%v", [count(w)])"#,
    r#"c := ["secret-a", "b"][_]; c == w; msg := c"#,
    r#"msg := "x"; "secret-a" in {w}"#,
    r#"msg := "x"; every x in [w] { x == "secret-a" }"#,
    r#"msg := "x"; print(w)"#,
    r#"msg := "x"; count([1 | w == "secret-a"]) == 1"#,
];

fn policy(body: &str) -> String {
    let rego = format!(
        r#"package p
import future.keywords.every
import future.keywords.in
default details = {{}}
same(x) = y {{ y := x }}
wrapped(x) = {{"a": [x]}}
choose(x) = "none" {{ x == 7 }} else = x {{ true }}
guarded("secret-a") = "found"
guarded(x) = "not found" {{ x != "secret-a" }}
held[x] {{ x := input.review.object.metadata.name }}
violation[{{"msg": msg, "details": details}}] {{ {body} }}"#
    );
    let rego = if body.contains("details :=") { rego.replace("default details = {}\n", "") } else { rego };
    let rego = rego.replace('\n', "\n      ");
    format!(
        r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {{name: p}}
spec:
  crd: {{spec: {{names: {{kind: P}}, validation: {{openAPIV3Schema: {{type: object, properties: {{text: {{type: string}}}}}}}}}}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      {rego}
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: P
metadata: {{name: p}}
spec: {{parameters: {{text: "given"}}}}
"#
    )
}

/// `None` if it does not compile.
fn compile(body: &str) -> Option<PolicySet> {
    let (documents, _) = Document::read_all("p.yaml", &policy(body));
    let (policies, _) = PolicySet::compile(documents);
    policies.constraints().next()?;
    Some(policies)
}

fn rests(policies: &PolicySet) -> bool {
    let key = policies.constraints().next().unwrap().key().clone();
    policies.may_rest_on(&key, &FieldPath::root().child("data").child("*"))
}

/// All that comes of an evaluation.
fn said(policies: &PolicySet, secret: &str) -> String {
    let object = Object::from_json(&json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "db", "labels": {"app": "shop"}}, "data": {"k": secret},
    }));
    let inventory = Inventory::empty();
    let review = Review::from_object(object.unwrap());
    let outcome = policies.review(&review, &World::new(&inventory), EnforcementPoint::Webhook);
    let told = outcome.results.iter().map(|result| {
        let verdict = match &result.verdict {
            Verdict::Pass => "pass".to_owned(),
            Verdict::Violations(found) | Verdict::Excepted { violations: found, .. } => {
                let lines = found.iter().map(|found| format!("{} {}", found.message, found.details()));
                lines.collect::<Vec<_>>().join("\n")
            }
            Verdict::Error(error) => error.message.clone(),
        };
        format!("{verdict} {:?}", result.prints)
    });
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_makes_a_difference_is_never_taken_for_unread() {
    let (mut compiled, mut differ) = (0, 0);
    for source in SOURCES {
        for way in WAYS {
            for end in ENDS {
                let body = format!("{source}; {way}; {end}");
                let Some(policies) = compile(&body) else { continue };
                compiled += 1;
                if said(&policies, SECRET[0]) != said(&policies, SECRET[1]) {
                    differ += 1;
                    assert!(rests(&policies), "{body}");
                }
            }
        }
    }
    // So that this is about something.
    assert!(compiled > 2000 && differ > 1000, "{differ} of {compiled}");
}

#[test]
fn what_has_nothing_to_do_with_a_field_is_known() {
    let mut compiled = 0;
    for source in HARMLESS {
        for way in WAYS {
            for end in ENDS {
                let body = format!("{source}; {way}; {end}");
                let Some(policies) = compile(&body) else { continue };
                compiled += 1;
                assert!(!rests(&policies), "{body}");
            }
        }
    }
    assert!(compiled > 800, "{compiled}");
}

#[test]
fn fields_of_the_inventory_are_told_apart_by_kind() {
    let secret = portcullis::Gvk::new("v1", "Secret");
    for (body, of_data, of_name) in [
        (r#"o := data.inventory.namespace[_]["v1"]["Secret"][_]; msg := o.data.k"#, true, false),
        (r#"o := data.inventory.namespace[_]["v1"]["Secret"][_]; msg := o.metadata.name"#, false, true),
        (r#"o := data.inventory.namespace[_]["v1"]["ConfigMap"][_]; msg := o.data.k"#, false, false),
        ("o := data.inventory.namespace[_][_][_][_]; msg := o.data.k", true, false),
        (r#"o := data.inventory.cluster; msg := sprintf("%v", [o])"#, true, true),
        (r#"o := data.inventory[_]; msg := sprintf("%v", [o])"#, true, true),
        (r#"count(data.inventory.namespace) > 3; msg := "x""#, false, false),
    ] {
        let policies = compile(body).unwrap_or_else(|| panic!("{body}"));
        let key = policies.constraints().next().unwrap().key().clone();
        let asks = |field: &[&str]| {
            let field = field.iter().fold(FieldPath::root(), |path, key| path.child(*key));
            policies.may_rest_on_inventory(&key, Some(&secret), &field)
        };
        assert_eq!((asks(&["data", "*"]), asks(&["metadata", "name"])), (of_data, of_name), "{body}");
    }
}

fn in_cel(variables: &str, condition: &str) -> PolicySet {
    let text = format!(
        r"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {{name: p}}
spec:
  crd: {{spec: {{names: {{kind: P}}}}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    code:
    - engine: K8sNativeValidation
      source:
        variables: [{variables}]
        validations: [{{expression: {condition:?}, message: m}}]
---
{{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: P, metadata: {{name: p}}}}
"
    );
    let (documents, _) = Document::read_all("p.yaml", &text);
    let (policies, errors) = PolicySet::compile(documents);
    assert!(policies.constraints().next().is_some(), "{condition}: {errors:?}");
    policies
}

#[test]
fn what_expressions_read_is_never_taken_for_unread() {
    let variable = |text: &str| format!("{{name: v, expression: {text:?}}}");
    for (variables, condition, is_read) in [
        ("", "object.data.k == 'a'", true),
        ("", "object.data['k'] == 'a'", true),
        ("", "object['data'].exists(k, k == 'a')", true),
        ("", "variables.anyObject.data.k == 'a'", true),
        ("", "oldObject == null || oldObject.data.k == 'a'", true),
        ("", "object == oldObject", true),
        ("", "object.all(k, object[k] != 'a')", true),
        ("", "object[request.name] == 'a'", true),
        ("", "(has(object.x) ? object : oldObject).data.k == 'a'", true),
        ("", "object.?data.orValue({}) == {}", true),
        (&variable("object.data"), "variables.v.k == 'a'", true),
        (&variable("object"), "variables.v.type == 'a'", true),
        ("", "object.type == 'a'", false),
        ("", "object.metadata.labels.all(l, l != 'a')", false),
        (&variable("variables.anyObject.metadata"), "variables.v.name == 'a'", false),
        ("", "request.name == 'data'", false),
    ] {
        assert_eq!(rests(&in_cel(variables, condition)), is_read, "{variables} {condition}");
    }
}

#[test]
fn a_finding_is_at_the_part_that_its_expression_reads() {
    let policies = in_cel("{name: c, expression: object.spec.first}", "variables.c.size() == 0");
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  first: [1]\n  second: [2]\n";
    let (documents, _) = Document::read_all("web.yaml", text);
    let review = Review::from_object(Object::from_document(documents[0].clone()).unwrap());
    let inventory = Inventory::empty();
    let outcome = policies.review(&review, &World::new(&inventory), EnforcementPoint::Audit);
    let Verdict::Violations(found) = &outcome.results[0].verdict else { panic!("{outcome:?}") };
    assert_eq!(found[0].position().unwrap().location.to_string(), "web.yaml:5:3");
}

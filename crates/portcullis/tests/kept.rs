//! What is kept of objects that policies compare with is enough: with it and with whole objects, policies say
//! the same.

use portcullis::{EnforcementPoint, Inventory, Object, PolicySet, World};
use portcullis_testkit::builders::{constraint, document, object, review, template};
use portcullis_testkit::harness::render;
use serde_json::{Value, json};

/// Bodies that get at objects of the inventory in every way that we know of. Each of them is about `spec`
/// somehow.
const BODIES: &[&str] = &[
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_][_].Web[_]; o.spec.host == input.review.object.spec.host; msg := o.metadata.name }"#,
    r#"violation[{"msg": msg}] { o = data.inventory.namespace[ns]["v1"]["Web"][name]; msg := sprintf("%v %v %v", [ns, name, o.spec.rules[_].path]) }"#,
    r#"violation[{"msg": msg}] { data.inventory.namespace[_].v1.Web[_] = o; o.spec.rules[i] = r; msg := sprintf("%v %v", [i, r]) }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; [a, b] = [o, 1]; msg := sprintf("%v%v", [a.spec.host, b]) }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; {"spec": s} = object.filter(o, ["spec"]); msg := s.host }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; [o][_].spec.host; msg := "an array around it" }"#,
    r#"violation[{"msg": msg}] { x := [data.inventory.namespace[_].v1.Web[_]][_]; msg := x.spec.host }"#,
    r#"others[o] { o := data.inventory.namespace[_].v1.Web[_] }
       violation[{"msg": msg}] { others[o]; msg := o.spec.host }"#,
    r#"others[o] { o := data.inventory.namespace[_].v1.Web[_] }
       violation[{"msg": msg}] { all := others; all[o]; msg := o.spec.host }"#,
    r#"others = {o | o := data.inventory.namespace[_].v1.Web[_]}
       violation[{"msg": msg}] { msg := others[_].spec.host }"#,
    r#"by_name[name] = o { o := data.inventory.namespace[_].v1.Web[name] }
       violation[{"msg": msg}] { msg := by_name[_].spec.host }"#,
    r#"host(o) = h { h := o.spec.host }
       violation[{"msg": msg}] { msg := host(data.inventory.namespace[_].v1.Web[_]) }"#,
    r#"host(o) = s { s := o.spec }
       violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; msg := host(o).host }"#,
    r#"same(a, b) { a.spec.host == b.spec.host }
       violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; same(o, input.review.object); msg := o.metadata.namespace }"#,
    r#"there(_) { true }
       violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; there(o.spec.extra); msg := "has extra" }"#,
    r#"there(x) { true }
       violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; there(o.spec.extra); msg := "has extra" }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; x := o.spec.extra; msg := "has extra" }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; not o.spec.extra; msg := o.metadata.name }"#,
    r#"violation[{"msg": msg}] { not data.inventory.namespace[input.review.object.metadata.namespace].v1.Web.other; msg := "no other" }"#,
    r#"violation[{"msg": msg}] { data.inventory.namespace[ns].v1.Web[name]; msg := sprintf("%v %v", [ns, name]) }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; o.spec.rules; msg := o.metadata.name }"#,
    r#"violation[{"msg": msg}] { webs := data.inventory.namespace[_].v1.Web; webs[name].spec.rules[i]; msg := sprintf("%v %v", [name, i]) }"#,
    r#"violation[{"msg": msg}] { s := {o | o := data.inventory.namespace[_].v1.Web[_]}; s[o]; msg := o.spec.host }"#,
    r#"same(ns, name) { data.inventory.namespace[ns].v1.Web[name] }
       violation[{"msg": msg}] { not same("a", "no"); msg := "not there" }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; walk(o, [["spec", "host"], h]); msg := h }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; msg := json.marshal(o) }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; msg := object.get(o, ["spec", "host"], "none") }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; s := object.get(o, "spec", {}); msg := s.host }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; n := count(o.spec.rules); msg := sprintf("%v", [n]) }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; f := input.review.object.spec.field; msg := sprintf("%v", [o.spec[f]]) }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; r := o.spec.rules[1]; msg := r.path }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; o == input.review.object; msg := "is in the inventory" }"#,
    r#"violation[{"msg": msg}] { n := count(data.inventory.namespace[_].v1.Web); msg := sprintf("%v", [n]) }"#,
    r#"violation[{"msg": msg}] { webs := data.inventory.namespace[_].v1.Web; msg := webs[_].spec.host }"#,
    r#"violation[{"msg": msg}] { all := data.inventory; msg := all.namespace[_].v1.Web[_].spec.host }"#,
    r#"import future.keywords
       violation[{"msg": msg}] { some o in data.inventory.namespace["a"].v1.Web; msg := o.spec.host }"#,
    r#"import future.keywords
       violation[{"msg": msg}] { some n, o in data.inventory.namespace["a"].v1.Web; every r in o.spec.rules { r.path != "/x" }; msg := n }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; host with input as o; msg := host with input as o }
       host = input.spec.host"#,
    r#"violation[{"msg": msg, "details": {"other": o}}] { o := data.inventory.namespace[_].v1.Web[_]; msg := "whole in details" }"#,
    r#"violation[{"msg": msg}] { hosts := [h | h := data.inventory.namespace[_].v1.Web[_].spec.host]; msg := concat(",", hosts) }"#,
    r#"violation[{"msg": msg}] { o := data.inventory.cluster.v1.Global[_]; msg := o.spec.host }"#,
    r#"violation[{"msg": msg}] { o := data.inventory[_][_][_][_][_]; msg := o.spec.host }"#,
    r#"violation[{"msg": msg}] { kinds := data.inventory.namespace[ns]; not kinds["v1"].Web; msg := ns }"#,
    r#"violation[{"msg": msg}] { all := data.inventory.namespace; all[ns]; not all[ns].v1.Web; msg := ns }"#,
    r#"without(kinds) { not kinds["v1"].Web }
       violation[{"msg": msg}] { without(data.inventory.namespace[ns]); msg := ns }"#,
    r#"import future.keywords
       violation[{"msg": msg}] { some ns, kinds in data.inventory.namespace; not kinds["v1"].Web; msg := ns }"#,
    r#"import future.keywords
       violation[{"msg": msg}] { some ns, _ in data.inventory.namespace; msg := ns }"#,
    r#"import future.keywords
       violation[{"msg": msg}] { some ns in data.inventory.namespace; msg := sprintf("%v", [ns]) }"#,
    r#"import future.keywords
       violation[{"msg": msg}] { some {"v1": kinds} in data.inventory.namespace; msg := sprintf("%v", [kinds]) }"#,
    r#"import future.keywords
       violation[{"msg": msg}] { some ns, versions in data.inventory.namespace; some v, kinds in versions; some n, o in object.get(kinds, "Web", {}); some r in o.spec.rules; msg := sprintf("%v %v %v %v", [ns, v, n, r.path]) }"#,
    r#"import future.keywords
       everywhere { every kinds in data.inventory.namespace { kinds["v1"].Web } }
       violation[{"msg": msg}] { not everywhere; msg := "not in every namespace" }"#,
    r#"import future.keywords
       violation[{"msg": msg}] { some o in data.inventory.namespace.a.v1.Web; some i, _ in o.spec.rules; msg := sprintf("%v", [i]) }"#,
    r#"default first = "none"
       first = o.spec.host { o := data.inventory.namespace.a.v1.Web["one"] } else = "other"
       violation[{"msg": msg}] { msg := first }"#,
];

fn objects() -> Vec<Value> {
    let web = |namespace: &str, name: &str, spec: Value| {
        let labels = json!({"app": name, "l": "kept?"});
        json!({"apiVersion": "v1", "kind": "Web", "spec": spec, "status": {"big": [1, 2, 3]},
               "metadata": {"namespace": namespace, "name": name, "labels": labels}})
    };
    let rules = json!([{"path": "/a", "service": "s"}, {"path": "/b"}]);
    vec![
        web("a", "one", json!({"host": "h", "rules": rules, "extra": false, "field": "rules"})),
        web("a", "two", json!({"host": "i", "rules": [], "field": "host"})),
        web("b", "one", json!({"host": "h", "rules": "none", "field": "host"})),
        json!({"apiVersion": "v1", "kind": "Global", "metadata": {"name": "g"}, "spec": {"host": "global"}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": {"x": "y"}}}),
        json!({"apiVersion": "v1", "kind": "Unread", "metadata": {"name": "u", "namespace": "c"}, "spec": {"host": "h"}}),
        json!({"apiVersion": "v1", "kind": "Unread", "metadata": {"name": "u"}, "spec": {"host": "h"}}),
    ]
}

/// How the policies are written is not the point here.
fn set(body: &str) -> PolicySet {
    let resources = [template("Compare", body), constraint("Compare", "it", &json!({}))];
    PolicySet::compile(resources.iter().map(document)).0
}

fn inventories(set: &PolicySet) -> (Inventory, Inventory) {
    let objects: Vec<Object> = objects().iter().map(object).collect();
    let kept = objects.iter().filter_map(|object| set.for_inventory(object)).collect();
    (objects.into_iter().collect(), kept)
}

#[test]
fn what_is_kept_is_enough() {
    for body in BODIES {
        let set = set(body);
        assert_eq!(set.constraints().count(), 1, "does not compile: {body}");
        let (whole, kept) = inventories(&set);
        let mut found = 0;
        for value in objects() {
            let judge =
                |inventory| set.review(&review(&value), &World::new(inventory), EnforcementPoint::Audit);
            let outcome = judge(&whole);
            found += usize::from(
                render(&outcome).contains("msg")
                    || outcome.results.iter().any(|result| result.verdict != portcullis::Verdict::Pass),
            );
            assert_eq!(render(&outcome), render(&judge(&kept)), "{body}\non {value}");
        }
        assert!(found > 0, "says nothing, so it shows nothing: {body}");
    }
}

#[test]
fn only_the_fields_that_are_read_are_kept() {
    let body = r#"violation[{"msg": msg}] { o := data.inventory.namespace[_].v1.Web[_]; o.spec.rules[_].path == "/a"; msg := "x" }"#;
    let set = set(body);
    let kept: Vec<_> =
        objects().iter().map(|value| set.for_inventory(&object(value)).map(|kept| kept.to_json())).collect();
    let expected = json!({"apiVersion": "v1", "kind": "Web", "metadata": {"name": "one", "namespace": "a"},
        "spec": {"rules": [{"path": "/a"}, {"path": "/b"}]}});
    assert_eq!(kept.first(), Some(&Some(expected)));
    let are_kept: Vec<_> = kept.iter().map(Option::is_some).collect();
    assert_eq!(are_kept, [true, true, true, false, true, false, false]);
    assert_eq!(set.kept_kinds().collect::<Vec<_>>(), ["Namespace", "CustomResourceDefinition", "Web"]);
    assert!(set.keeps_kind(Some("Web")) && !set.keeps_kind(Some("Pod")));
}

#[test]
fn of_what_is_only_asked_for_its_identity_is_kept() {
    let body = r#"violation[{"msg": msg}] { ref := input.review.object.spec; not data.inventory.namespace["a"][ref.version][ref.kind][ref.name]; msg := "x" }"#;
    let set = set(body);
    let kept = set.for_inventory(&object(&objects()[0])).map(|kept| kept.to_json());
    let metadata = json!({"name": "one", "namespace": "a"});
    assert_eq!(kept, Some(json!({"apiVersion": "v1", "kind": "Web", "metadata": metadata})));
}

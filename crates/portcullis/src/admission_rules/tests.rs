//! What constraints need, as tables: match and Rego in, requests out.

use super::*;
use crate::document::Document;
use crate::object::Object;

const PODS: &str = r#"{kinds: [{apiGroups: [""], kinds: [Pod]}]}"#;
const HOST_PID: &str = r#"violation[{"msg": "no"}] { input.review.object.spec.hostPID }"#;

fn policies_of(matching: &str, rego: &str, more: &str) -> PolicySet {
    let rego = rego.lines().map(|line| format!("      {line}")).collect::<Vec<_>>().join("\n");
    let text = format!(
        "
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {{name: asked}}
spec:
  crd:
    spec:
      names: {{kind: Asked}}
      validation: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    {}
    rego: |
      package asked
{rego}
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: Asked
metadata: {{name: asked}}
spec: {{match: {matching} {}}}
",
        more.split_once('|').map_or("", |(template, _)| template),
        more.split_once('|').map_or("", |(_, constraint)| constraint),
    );
    let (policies, errors) = PolicySet::compile(Document::read_all("p.yaml", &text).0);
    assert!(errors.iter().all(|error| error.severity() != crate::Severity::Error), "{errors:#?}\n{text}");
    assert_eq!(policies.constraints().count(), 1, "{text}");
    policies
}

/// What the constraint needs, one request a line, without what the webhook itself does.
fn needs_with(matching: &str, rego: &str, more: &str, kinds: &Kinds) -> Vec<String> {
    let rules = AdmissionRules::of(&policies_of(matching, rego, more), kinds);
    let is_own = |by: &BTreeSet<NeededBy>| !by.iter().any(|by| matches!(by, NeededBy::Constraint(_)));
    let mut lines: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (target, operation, _) in rules.needs().filter(|(_, _, by)| !is_own(by)) {
        let scope = if &*target.resource == ANY && target.scope != Scope::ByObject {
            format!(" ({:?})", target.scope)
        } else {
            String::new()
        };
        lines.entry(format!("{target}{scope}")).or_default().push(operation.as_str());
    }
    lines.into_iter().map(|(target, operations)| format!("{target} {}", operations.join(","))).collect()
}

fn needs(matching: &str, rego: &str) -> Vec<String> {
    needs_with(matching, rego, "", &Kinds::default())
}

#[test]
fn kinds_become_resources() {
    for (matching, expected) in [
        (PODS, &["pods CREATE,UPDATE"][..]),
        (
            r#"{kinds: [{apiGroups: ["", apps], kinds: [Pod, Deployment]}]}"#,
            &["deployments.apps CREATE,UPDATE", "pods CREATE,UPDATE"],
        ),
        ("{kinds: [{apiGroups: ['*'], kinds: [Ingress]}]}", &["ingresses.networking.k8s.io CREATE,UPDATE"]),
        (
            "{kinds: [{apiGroups: [extensions, networking.k8s.io], kinds: [Ingress]}]}",
            &["ingresses.networking.k8s.io CREATE,UPDATE"],
        ),
        ("{kinds: [{kinds: [Event]}]}", &["events CREATE,UPDATE", "events.events.k8s.io CREATE,UPDATE"]),
        ("{}", &["* CREATE,UPDATE"]),
        ("{scope: Cluster}", &["* (Cluster) CREATE,UPDATE"]),
        (
            "{kinds: [{apiGroups: [apps], kinds: ['*']}], scope: Namespaced}",
            &["*.apps (Namespaced) CREATE,UPDATE"],
        ),
        // It matches nothing.
        (r#"{kinds: [{apiGroups: [""], kinds: [Pod]}], scope: Cluster}"#, &[]),
        (r#"{kinds: [{apiGroups: [""], kinds: [Node, Pod]}], scope: Cluster}"#, &["nodes CREATE,UPDATE"]),
        ("{source: Generated}", &[]),
        ("{kinds: [{apiGroups: [example.com], kinds: [Policy]}]}", &["policies.example.com CREATE,UPDATE"]),
        ("{kinds: [{kinds: [Widget]}]}", &["widgets CREATE,UPDATE"]),
        // What comes by a part of a resource, and only so.
        (r#"{kinds: [{apiGroups: [""], kinds: [PodExecOptions]}]}"#, &["pods/exec CONNECT"]),
        (
            "{kinds: [{apiGroups: ['*'], kinds: [Eviction, Scale]}]}",
            &["*/scale UPDATE", "pods/eviction CREATE"],
        ),
        (r#"{kinds: [{apiGroups: [""], kinds: [Binding]}]}"#, &["bindings CREATE", "pods/binding CREATE"]),
        (
            "{kinds: [{apiGroups: [authentication.k8s.io], kinds: [TokenReview, TokenRequest]}]}",
            &["serviceaccounts/token CREATE", "tokenreviews.authentication.k8s.io CREATE"],
        ),
        (
            "{kinds: [{apiGroups: [admissionregistration.k8s.io], kinds: [ValidatingWebhookConfiguration]}]}",
            &[],
        ),
    ] {
        assert_eq!(needs(matching, HOST_PID), expected, "{matching}");
    }
}

#[test]
fn kinds_of_others_are_learned() {
    let crd = Object::from_json(&json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"},
        "spec": {"group": "example.com", "scope": "Cluster", "names": {"kind": "Datum", "plural": "data"}},
    }));
    let mut kinds = Kinds::default();
    kinds.learn(&crd.expect("a definition"));
    let datum = "{kinds: [{apiGroups: [example.com], kinds: [Datum]}]}";
    assert_eq!(needs_with(datum, HOST_PID, "", &kinds), ["data.example.com CREATE,UPDATE"]);
    let rules = AdmissionRules::of(&policies_of(datum, HOST_PID, ""), &Kinds::default());
    assert!(rules.notes()[0].message().contains("taken to be `datums`"), "{:?}", rules.notes());
    assert!(AdmissionRules::of(&policies_of(datum, HOST_PID, ""), &kinds).notes().is_empty());
    let wrong = policies_of(r#"{kinds: [{apiGroups: [""], kinds: [Deployment]}]}"#, HOST_PID, "");
    let rules = AdmissionRules::of(&wrong, &kinds);
    assert_eq!(rules.notes()[0].help(), Some("it is in `apps`"));
}

#[test]
fn replicas_are_also_scaled() {
    let replicas = r#"violation[{"msg": "no"}] { input.review.object.spec.replicas > 9 }"#;
    let notes = |kinds: &str| {
        let matching = format!("{{kinds: [{{apiGroups: [apps, autoscaling], kinds: [{kinds}]}}]}}");
        AdmissionRules::of(&policies_of(&matching, replicas, ""), &Kinds::default()).notes().to_vec()
    };
    assert!(notes("Deployment")[0].message().contains("`scale`, which the constraint is not about"));
    assert_eq!((notes("DaemonSet").len(), notes("Deployment, Scale").len()), (0, 0));
}

#[test]
fn operations_that_are_told_apart_are_asked_for() {
    const BOTH: &str = "CREATE,UPDATE";
    const DELETED: &str = "CREATE,UPDATE,DELETE";
    for (condition, expected) in [
        ("input.review.object.spec.hostPID", BOTH),
        (r#"input.review.operation == "CREATE""#, BOTH),
        (r#"input.review.operation == "UPDATE""#, BOTH),
        (r#"input.review.operation == "DELETE""#, DELETED),
        (r#""DELETE" == input.review.operation"#, DELETED),
        (r#"lower(input.review.operation) == "delete""#, DELETED),
        (r#"input.review["operation"] == "DELETE""#, DELETED),
        (r#"object.get(input.review, "operation", "") == "DELETE""#, DELETED),
        (r#"op := input.review.operation; op == "DELETE""#, DELETED),
        (r#"op := input.review.operation; op != "DELETE""#, BOTH),
        (r#"review := input.review; review.operation == "DELETE""#, DELETED),
        (r#"r := input.review; r.operation == "DELETE""#, DELETED),
        (r#"{"CREATE", "DELETE"}[input.review.operation]"#, DELETED),
        (r#"{"CREATE", "UPDATE"}[input.review.operation]"#, BOTH),
        // About what is there already.
        (r#"input.review.operation != "CREATE""#, DELETED),
        (r#"not input.review.operation == "CREATE""#, DELETED),
        ("not created", DELETED),
        // Exempt.
        ("not updated(input.review)", BOTH),
        ("not deleted", BOTH),
        (r#"input.review.operation != "DELETE""#, BOTH),
        (r#"input.review.operation != "UPDATE""#, BOTH),
        ("deleted", DELETED),
        ("deleted_or_labelled", DELETED),
        ("is_deleted(input.review.operation)", DELETED),
        ("any_of[input.review.operation]", DELETED),
        // The old object alone.
        ("input.review.oldObject.metadata.labels.keep", DELETED),
        (r#"input.review.oldObject.metadata.labels.keep; input.review.operation == "UPDATE""#, BOTH),
        // Who it is, whatever is done.
        (r#"input.review.userInfo.username == "bob""#, DELETED),
        (r#"input.review.userInfo.username == "bob"; input.review.object.spec.hostPID"#, BOTH),
        // It is only printed.
        (r#"input.review.object.spec.hostPID; x := sprintf("%v", [input.review.operation]); x != "y""#, BOTH),
        (r#"input.review.object.spec.method == "GET""#, BOTH),
    ] {
        let rego = format!(
            r#"violation[{{"msg": "no"}}] {{ {condition} }}
created {{ input.review.operation == "CREATE" }}
updated(review) {{ review.operation == "UPDATE" }}
deleted {{ input.review.operation == "DELETE" }}
deleted_or_labelled {{ input.review.object.metadata.labels.a }}
deleted_or_labelled {{ input.review.operation == "DELETE" }}
is_deleted(op) {{ op == "DELETE" }}
any_of := {{"DELETE", "UPDATE"}}
"#
        );
        assert_eq!(needs(PODS, &rego), [format!("pods {expected}")], "{condition}");
    }
}

#[test]
fn parameters_may_name_operations() {
    let rego = r#"violation[{"msg": "no"}] { input.review.operation == input.parameters.operations[_] }"#;
    for (parameters, expected) in [
        ("[CREATE, UPDATE]", "pods CREATE,UPDATE"),
        ("[delete]", "pods CREATE,UPDATE,DELETE"),
        // Nobody says.
        ("[]", "pods CREATE,UPDATE,DELETE"),
    ] {
        let more = format!("|}}, parameters: {{operations: {parameters}}}");
        let matching = PODS.trim_end_matches('}');
        assert_eq!(needs_with(matching, rego, &more, &Kinds::default()), [expected], "{parameters}");
    }
}

#[test]
fn constraints_that_the_webhook_does_not_ask_need_nothing() {
    for (action, expected) in [
        ("dryrun", &["pods CREATE,UPDATE"][..]),
        (
            "scoped, scopedEnforcementActions: [{action: deny, enforcementPoints: [{name: audit.gatekeeper.sh}]}]",
            &[],
        ),
    ] {
        let more = format!("|}}, enforcementAction: {action}");
        let needs = needs_with(PODS.trim_end_matches('}'), HOST_PID, &more, &Kinds::default());
        assert_eq!(needs, expected, "{action}");
    }
}

#[test]
fn templates_may_name_operations() {
    let of = |operations: &str| {
        needs_with(PODS, HOST_PID, &format!("operations: [{operations}]|"), &Kinds::default())
    };
    assert_eq!(of("CREATE"), ["pods CREATE"]);
    assert_eq!(of("CREATE, DELETE"), ["pods CREATE,DELETE"]);
    assert_eq!(of("'*'"), ["pods CREATE,UPDATE"]);
    assert_eq!(of("CONNECT"), [""; 0]);
}

#[test]
fn parts_are_asked_for_that_change_what_is_read() {
    const WORKLOADS: &str = r#"{kinds: [{apiGroups: ["", apps], kinds: [Pod, Deployment, ConfigMap]}]}"#;
    for (condition, expected) in [
        ("input.review.object.spec.hostPID", &[][..]),
        ("input.review.object.spec.containers[_].image == \"x\"", &[]),
        ("input.review.object.spec.ephemeralContainers[_].image == \"x\"", &["pods/ephemeralcontainers"]),
        (
            r#"f := {"containers", "ephemeralContainers"}[_]; input.review.object.spec[f][_].image == "x""#,
            &["pods/ephemeralcontainers", "pods/resize"],
        ),
        (
            r#"f := sprintf("%vContainers", ["ephemeral"]); input.review.object.spec[f][_].image == "x""#,
            &["pods/ephemeralcontainers", "pods/resize"],
        ),
        // Whatever list there is.
        ("input.review.object.spec[_][_].image == \"x\"", &["pods/ephemeralcontainers", "pods/resize"]),
        ("walk(input.review.object.spec, [_, v]); v == \"x\"", &["pods/ephemeralcontainers", "pods/resize"]),
        ("input.review.object.spec.containers[_].resources.limits.cpu", &["pods/resize"]),
        ("input.review.object.status.phase == \"x\"", &["deployments.apps/status", "pods/status"]),
        (
            "object.get(input.review.object, [\"status\", \"phase\"], \"\") == \"x\"",
            &["deployments.apps/status", "pods/status"],
        ),
        // It compares everything, and is about nothing of it.
        ("input.review.object == input.review.oldObject; input.review.operation == \"UPDATE\"", &[]),
    ] {
        let rego = format!(r#"violation[{{"msg": "no"}}] {{ {condition} }}"#);
        let all = needs(WORKLOADS, &rego);
        let parts: Vec<&str> = all.iter().filter_map(|need| need.strip_suffix(" UPDATE")).collect();
        assert_eq!(parts, expected, "{condition}: {all:?}");
    }
}

#[test]
fn a_constraint_without_kinds_is_about_parts_that_it_names() {
    for (condition, expected) in [
        (r#"input.review.kind.kind == "Service""#, &["services CREATE,UPDATE"][..]),
        ("is_service; input.review.object.spec", &["services CREATE,UPDATE"]),
        (
            r#"{"Service", "Pod"}[input.review.object.kind]"#,
            &["pods CREATE,UPDATE", "services CREATE,UPDATE"],
        ),
        (r#"input.review.kind.kind == "PodExecOptions""#, &["pods/exec CONNECT"]),
        (r#"input.review.kind.kind != "Service""#, &["* CREATE,UPDATE"]),
        ("not is_service", &["* CREATE,UPDATE"]),
        (r#"input.review.subResource == "exec""#, &["* CREATE,UPDATE", "pods/exec CONNECT"]),
        (
            r#"input.review.operation == "CONNECT""#,
            &[
                "* CREATE,UPDATE",
                "nodes/proxy CONNECT",
                "pods/attach CONNECT",
                "pods/exec CONNECT",
                "pods/portforward CONNECT",
                "pods/proxy CONNECT",
                "services/proxy CONNECT",
            ],
        ),
        (
            "input.review.object.spec.ephemeralContainers",
            &["* CREATE,UPDATE", "pods/ephemeralcontainers UPDATE"],
        ),
        (
            "input.review.object.status.a",
            &[
                "* CREATE,UPDATE",
                "*/status UPDATE",
                "certificatesigningrequests.certificates.k8s.io/approval UPDATE",
            ],
        ),
    ] {
        let rego = format!(
            "violation[{{\"msg\": \"no\"}}] {{ {condition} }}\nis_service {{ input.review.kind.kind == \"Service\" }}"
        );
        assert_eq!(needs("{}", &rego), expected, "{condition}");
    }
    let two = "violation[{\"msg\": \"a\"}] { input.review.kind.kind == \"Service\" }\nviolation[{\"msg\": \"b\"}] { input.review.object.spec }";
    assert_eq!(needs("{}", two), ["* CREATE,UPDATE"], "one of two bodies says nothing of kinds");
}

/// A constraint that names very many kinds, and a configuration that lists them, cost no more than their
/// number.
#[test]
fn very_many_kinds_are_looked_up() {
    const KINDS: usize = 2_000;
    let kinds: Vec<String> = (0..KINDS).map(|number| format!("Kind{number}")).collect();
    let matching = format!("{{kinds: [{{apiGroups: [example.com], kinds: [{}]}}]}}", kinds.join(", "));
    let status = r#"violation[{"msg": "no"}] { input.review.object.status.a }"#;
    let rules = AdmissionRules::of(&policies_of(&matching, status, ""), &Kinds::default());
    let made = rules.to_json();
    let list: Vec<String> = made.as_array().into_iter().flatten().map(|rule| format!("- {rule}")).collect();
    assert!(rules.covers(&configuration(&list.join("\n  "), "")));
    assert_eq!(rules.missing(&configuration("", "")).len(), 3 * KINDS);
}

/// A row of rules, each with two definitions that need the next; the last one has a body.
fn row(definition: impl Fn(&str) -> String, last: &str) -> String {
    let rules = (0..100).map(|number| {
        let next = definition(&format!("r{}", number + 1));
        format!("r{number} {{ {next} }}\nr{number} {{ {next} }}\n")
    });
    let rules: Vec<String> = rules.collect();
    format!("violation[{{\"msg\": \"no\"}}] {{ r0 }}\n{}r100 {{ {last} }}\n", rules.concat())
}

/// However deep rules need each other, they are followed, and cost no more than their number.
#[test]
fn deep_policies_are_followed_to_their_end() {
    for (last, expected) in [
        ("input.review.operation == \"DELETE\"", "pods CREATE,UPDATE,DELETE"),
        ("input.review.object.spec.hostPID", "pods CREATE,UPDATE"),
    ] {
        assert_eq!(needs(PODS, &row(str::to_owned, last)), [expected]);
    }
}

/// What stands within each other in rules that need each other is more than the stack could hold.
#[test]
fn deep_expressions_of_deep_policies_are_followed() {
    let nested = |next: &str| format!("{}{next}{} != 7", "[".repeat(100), "]".repeat(100));
    let rego = row(nested, "input.review.operation == \"DELETE\"");
    assert_eq!(needs(PODS, &rego), ["pods CREATE,UPDATE,DELETE"]);
}

/// Libraries come in any order, also those whose packages are within each other.
#[test]
fn rules_of_packages_within_packages_are_followed() {
    let rego =
        r#"violation[{"msg": "no"}] { not data.lib.x.y.is_deletion; input.review.operation != "CREATE" }"#;
    let outer = r"package lib.x\nother { true }";
    let inner = r#"package lib.x.y\nis_deletion { input.review.operation == \"DELETE\" }"#;
    for libs in [[outer, inner], [inner, outer]] {
        let more = format!("libs: [\"{}\", \"{}\"]|", libs[0], libs[1]);
        assert_eq!(needs_with(PODS, rego, &more, &Kinds::default()), ["pods CREATE,UPDATE"], "{libs:?}");
    }
}

fn configuration(rules: &str, more: &str) -> WebhookConfiguration {
    let text = format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: portcullis}}
webhooks:
- name: validation.gatekeeper.sh
  clientConfig: {{service: {{name: a, namespace: portcullis-system, path: /v1/admit}}}}
  {more}
  rules:
  - {{operations: [CREATE, UPDATE], apiVersions: ['*'], resources: ['*'], apiGroups: [templates.gatekeeper.sh, constraints.gatekeeper.sh, config.gatekeeper.sh, syncset.gatekeeper.sh, policy.portcullis.dev]}}
  {rules}
"
    );
    let (documents, errors) = Document::read_all("w.yaml", &text);
    assert!(errors.is_empty(), "{errors:?}\n{text}");
    let (configuration, errors) = WebhookConfiguration::read(&documents[0]);
    assert!(errors.is_empty(), "{errors:?}");
    configuration.expect("a configuration")
}

#[test]
fn rules_cover_what_they_send() {
    let exec = AdmissionRules::of(
        &policies_of(r#"{kinds: [{apiGroups: [""], kinds: [Pod, PodExecOptions]}]}"#, HOST_PID, ""),
        &Kinds::default(),
    );
    for (rules, missing) in [
        ("", &["CREATE of `pods`", "UPDATE of `pods`", "CONNECT of `pods/exec`"][..]),
        ("- {operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*']}", &[]),
        (
            "- {operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*']}",
            &["CONNECT of `pods/exec`"],
        ),
        ("- {operations: ['*'], apiGroups: [''], apiVersions: [v1], resources: [pods, pods/*]}", &[]),
        (
            "- {operations: [CREATE, CONNECT], apiGroups: [''], apiVersions: [v1], resources: [pods, '*/exec']}",
            &["UPDATE of `pods`"],
        ),
        (
            "- {operations: ['*'], apiGroups: [apps], apiVersions: ['*'], resources: ['*/*']}",
            &["CREATE of `pods`", "UPDATE of `pods`", "CONNECT of `pods/exec`"],
        ),
        (
            "- {operations: ['*'], apiGroups: [''], apiVersions: ['*'], resources: ['*/*'], scope: Namespaced}",
            &[],
        ),
        (
            "- {operations: ['*'], apiGroups: [''], apiVersions: ['*'], resources: ['*/*'], scope: Cluster}",
            &["CREATE of `pods`", "UPDATE of `pods`", "CONNECT of `pods/exec`"],
        ),
    ] {
        let found = exec.missing(&configuration(rules, ""));
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, missing, "{rules}");
    }
}

/// What is made of the needs sends them, and nothing more.
#[test]
fn made_rules_cover_what_they_are_made_of() {
    for (matching, rego) in [
        (PODS, HOST_PID),
        ("{}", HOST_PID),
        ("{scope: Cluster}", HOST_PID),
        (
            "{kinds: [{apiGroups: ['', apps, batch], kinds: [Pod, Deployment, Job, PodExecOptions]}]}",
            HOST_PID,
        ),
        ("{}", r#"violation[{"msg": "no"}] { input.review.operation == "CONNECT" }"#),
        (PODS, r#"violation[{"msg": "no"}] { input.review.operation == "DELETE" }"#),
        ("{kinds: [{kinds: [Scale, Eviction, Event]}]}", HOST_PID),
    ] {
        let rules = AdmissionRules::of(&policies_of(matching, rego, ""), &Kinds::default());
        let made = rules.to_json();
        let list = made.as_array().expect("a list");
        let all = list.iter().map(|rule| format!("- {rule}")).collect::<Vec<_>>().join("\n  ");
        let whole = configuration(&all, "");
        assert!(rules.covers(&whole), "{matching}: {made}");
        let idle: Vec<_> = rules.lint(&whole);
        assert!(idle.iter().all(|error| error.message().contains("failurePolicy")), "{idle:#?}");
        // Without any of them, something is missing.
        for left_out in 0..list.len() {
            let others = list.iter().enumerate().filter(|(index, _)| *index != left_out);
            let others = others.map(|(_, rule)| format!("- {rule}")).collect::<Vec<_>>().join("\n  ");
            let own = made[left_out]["apiGroups"].to_string().contains("gatekeeper");
            assert!(own || !rules.covers(&configuration(&others, "")), "{matching}: {}", made[left_out]);
        }
    }
}

#[test]
fn what_is_left_out_is_told() {
    let sends = "- {operations: [CREATE, UPDATE], apiGroups: [''], apiVersions: ['*'], resources: [pods]}";
    let lint = |matching: &str, more: &str| -> Vec<String> {
        let rules = AdmissionRules::of(&policies_of(matching, HOST_PID, ""), &Kinds::default());
        let found = rules.lint(&configuration(sends, more));
        found.iter().map(|error| error.message().to_owned()).collect()
    };
    let own = "namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, portcullis-system]}]}";
    assert_eq!(lint(PODS, own), [""; 0]);
    let named = r#"{kinds: [{apiGroups: [""], kinds: [Pod]}], namespaces: ["kube-*"]}"#;
    for (matching, more, expected) in [
        (PODS, "", "own namespace `portcullis-system` not left out"),
        (named, own, "leaves out `kube-system`, which the constraint is about by name"),
        (PODS, "failurePolicy: Ignore", "requests pass while no webhook answers, though 1 of 1"),
        (PODS, "matchPolicy: Exact", "another group"),
        (PODS, "objectSelector: {matchLabels: {a: b}}", "the author of an object chooses"),
        (PODS, "matchConditions: [{name: a, expression: 'true'}]", "not worked out here"),
        (PODS, "namespaceSelector: {matchLabels: {checked: 'yes'}}", "without the label `checked: yes`"),
        (
            PODS,
            "namespaceSelector: {matchExpressions: [{key: free, operator: DoesNotExist}]}",
            "with the label `free`",
        ),
        (
            PODS,
            "namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [shop]}]}",
            "leaves out `shop`, which 1 of 1",
        ),
        (
            PODS,
            "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}",
            "only requests of the namespaces `shop` are sent",
        ),
        (
            PODS,
            "namespaceSelector: {matchExpressions: [{key: admission.gatekeeper.sh/ignore, operator: DoesNotExist}]}",
            "can take it out of sight",
        ),
    ] {
        let found = lint(matching, more);
        assert!(found.iter().any(|message| message.contains(expected)), "{matching} {more}: {found:#?}");
    }
    let rules = AdmissionRules::of(&policies_of(PODS, HOST_PID, ""), &Kinds::default());
    let more = "- {operations: [CREATE, DELETE], apiGroups: ['', apps], apiVersions: ['*'], resources: [pods, secrets]}";
    let found = rules.lint(&configuration(more, own));
    let found: Vec<&str> = found.iter().map(Error::message).collect();
    assert_eq!(
        found,
        [
            "requests that the constraint is about are not sent: UPDATE of `pods`",
            "DELETE is sent, and no policy needs it of these resources",
            "`pods` of `apps` is sent, and no policy is about it",
            "`secrets` is sent, and no policy is about it",
        ],
        "{found:#?}"
    );
}

/// `apiGroups` and `kinds` of an entry that multiply to far more than anybody can mean.
fn many(groups: usize, kinds: usize) -> String {
    let list = |letter: &str, count: usize| {
        (0..count).map(|index| format!("{letter}{index}")).collect::<Vec<_>>().join(", ")
    };
    format!("{{kinds: [{{apiGroups: [{}], kinds: [{}, Scale]}}]}}", list("g", groups), list("K", kinds))
}

#[test]
fn kinds_times_groups_end_at_all_kinds() {
    let policies = policies_of(&many(300, 3_000), HOST_PID, "");
    let rules = AdmissionRules::of(&policies, &Kinds::default());
    assert!(rules.needs().count() < 1_000, "{}", rules.needs().count());
    let is_needed = |group: &str, resource: &str| {
        rules.needs().any(|(target, ..)| &*target.group == group && &*target.resource == resource)
    };
    assert!(is_needed("g0", "*") && is_needed("g299", "*"));
    let notes: Vec<_> = rules.notes().iter().map(Error::message).collect();
    assert!(notes.iter().any(|note| note.contains("all kinds of these groups are sent")), "{notes:?}");
    // Even the groups are too many: all that there is.
    let rules = AdmissionRules::of(&policies_of(&many(40_000, 1), HOST_PID, ""), &Kinds::default());
    assert!(rules.needs().any(|(target, ..)| target.to_string() == "*"));
    let listed = ListedKinds::audited(&policies, &ExpansionSet::empty(), &Kinds::default());
    assert!(listed.resources.is_empty(), "a role grants nothing that was not asked for");
    assert!(listed.notes[0].message().contains("are left out"), "{:?}", listed.notes);
}

#[test]
fn parts_are_sent_of_kinds_that_are_widened() {
    let matching = many(300, 3_000).replace("g0,", "g0, autoscaling,");
    let rules = AdmissionRules::of(&policies_of(&matching, HOST_PID, ""), &Kinds::default());
    assert!(rules.needs().any(|(target, ..)| target.to_string() == "*/scale"));
}

const EXPANSIONS: &str = r#"
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: pods}
spec:
  applyTo: [{groups: [apps], versions: [v1], kinds: [Deployment]}, {groups: [batch], versions: [v1], kinds: [Job]}]
  templateSource: spec.template
  generatedGVK: {group: "", version: v1, kind: Pod}
---
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: jobs}
spec:
  applyTo: [{groups: [batch], versions: [v1], kinds: [CronJob]}, {groups: [example.com], versions: [v1], kinds: [Night]}]
  templateSource: spec.jobTemplate
  generatedGVK: {group: batch, version: v1, kind: Job}
---
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: services}
spec:
  applyTo: [{groups: [example.com], versions: [v1], kinds: [Mesh]}]
  templateSource: spec.service
  generatedGVK: {group: "", version: v1, kind: Service}
---
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: circle-a}
spec:
  applyTo: [{groups: [example.com], versions: [v1], kinds: [Circle]}]
  templateSource: spec.a
  generatedGVK: {group: example.com, version: v1, kind: Ring}
---
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: circle-b}
spec:
  applyTo: [{groups: [example.com], versions: [v1], kinds: [Ring]}]
  templateSource: spec.b
  generatedGVK: {group: example.com, version: v1, kind: Circle}
"#;

fn expansions() -> ExpansionSet {
    ExpansionSet::compile(Document::read_all("e.yaml", EXPANSIONS).0).0
}

/// What is sent for the constraint that is not about Pods, one request a line.
fn implied(matching: &str, rego: &str) -> (Vec<String>, bool) {
    let policies = policies_of(matching, rego, "");
    let rules = AdmissionRules::of_webhook(&policies, &expansions(), Uses::POLICIES, &Kinds::default());
    let is_ours = |by: &BTreeSet<NeededBy>| by.iter().any(|by| matches!(by, NeededBy::Constraint(_)));
    let ours = rules.needs().filter(|(target, _, by)| is_ours(by) && !target.to_string().starts_with("pods"));
    let lines = ours.map(|(target, operation, _)| format!("{target} {operation}")).collect();
    (lines, rules.has_guesses())
}

#[test]
fn what_implies_something_that_a_constraint_is_about_is_sent() {
    let deployments = [
        "nights.example.com CREATE",
        "nights.example.com UPDATE",
        "deployments.apps CREATE",
        "deployments.apps UPDATE",
        "cronjobs.batch CREATE",
        "cronjobs.batch UPDATE",
        "jobs.batch CREATE",
        "jobs.batch UPDATE",
    ];
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    let expected = sorted(deployments.map(str::to_owned).to_vec());
    let (found, guesses) = implied(PODS, HOST_PID);
    assert_eq!(sorted(found), expected);
    assert!(guesses, "`Night` is not known");
    // What is sent for what is generated only.
    let generated = r#"{source: Generated, kinds: [{apiGroups: [""], kinds: [Pod]}]}"#;
    assert_eq!(sorted(implied(generated, HOST_PID).0), expected);
    let policies = policies_of(generated, HOST_PID, "");
    let rules = AdmissionRules::of_webhook(&policies, &expansions(), Uses::POLICIES, &Kinds::default());
    assert!(rules.needs().all(|(target, ..)| target.to_string() != "pods"), "no request is one of them");
    let original = r#"{source: Original, kinds: [{apiGroups: [""], kinds: [Pod]}]}"#;
    assert_eq!(implied(original, HOST_PID).0, Vec::<String>::new());
    // Deletions imply nothing.
    let deletes = r#"violation[{"msg": "no"}] { input.review.operation == "DELETE" }"#;
    assert!(implied(PODS, deletes).0.iter().all(|line| !line.ends_with("DELETE")));
    let secrets = r#"{kinds: [{apiGroups: [""], kinds: [Secret]}]}"#;
    assert_eq!(implied(secrets, HOST_PID).0, ["secrets CREATE", "secrets UPDATE"]);
    // By its text, it is about Pods.
    let of_text =
        r#"violation[{"msg": "no"}] { input.review.kind.kind == "Pod"; input.review.object.spec.hostPID }"#;
    assert_eq!(sorted(implied("{}", of_text).0), expected);
}

#[test]
fn an_audit_lists_what_implies_something_that_a_constraint_is_about() {
    let listed = |matching: &str, expansions: &ExpansionSet| {
        let policies = policies_of(matching, HOST_PID, "");
        let listed = ListedKinds::audited(&policies, expansions, &Kinds::default());
        listed.resources.iter().map(|(group, resource)| format!("{resource}.{group}")).collect::<Vec<_>>()
    };
    let all = ["pods.", "deployments.apps", "cronjobs.batch", "jobs.batch", "nights.example.com"];
    assert_eq!(listed(PODS, &expansions()), all);
    assert_eq!(listed(PODS, &ExpansionSet::empty()), ["pods."]);
    let workloads = [
        "pods.",
        "replicationcontrollers.",
        "daemonsets.apps",
        "deployments.apps",
        "replicasets.apps",
        "statefulsets.apps",
        "cronjobs.batch",
        "jobs.batch",
    ];
    assert_eq!(listed(PODS, &ExpansionSet::empty().with_workloads()), workloads);
    // What an audit lists is what it says that it is concerned with.
    let policies = policies_of(PODS, HOST_PID, "");
    let night = crate::Gvk::new("example.com/v1", "Night");
    assert!(expansions().may_imply(&night, |gvk| policies.concerns(gvk)));
}

#[test]
fn names_of_expansion_templates_have_a_bound() {
    let list =
        |prefix: &str| (0..3000).map(|number| format!("{prefix}{number}")).collect::<Vec<_>>().join(", ");
    let text = format!(
        "
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {{name: many}}
spec:
  applyTo: [{{groups: [{}], versions: [v1], kinds: [{}]}}]
  templateSource: spec.template
  generatedGVK: {{group: \"\", version: v1, kind: Pod}}
",
        list("g"),
        list("K"),
    );
    let expansions = ExpansionSet::compile(Document::read_all("e.yaml", &text).0).0;
    let policies = policies_of(PODS, HOST_PID, "");
    let rules = AdmissionRules::of_webhook(&policies, &expansions, Uses::POLICIES, &Kinds::default());
    assert!(
        rules
            .needs()
            .any(|(target, operation, _)| { target.to_string() == "*" && operation == Operation::Create })
    );
    assert!(rules.notes().iter().any(|note| note.message().contains("all kinds are sent")));
    let listed = ListedKinds::audited(&policies, &expansions, &Kinds::default());
    assert_eq!(listed.resources.len(), 1);
    assert!(listed.notes.iter().any(|note| note.message().contains("left out")));
}

const MUTATORS: &str = r#"
apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: a}
spec:
  applyTo: [{groups: ["", apps], versions: [v1], kinds: [Pod, Deployment]}]
  location: spec.a
  parameters: {assign: {value: x}}
---
apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: b}
spec:
  applyTo: [{groups: [batch], versions: [v1], kinds: [Job], operations: [CREATE]}, {groups: [example.com], versions: [v1], kinds: [Widget]}]
  location: spec.b
  parameters: {assign: {value: x}}
---
apiVersion: mutations.gatekeeper.sh/v1
kind: AssignMetadata
metadata: {name: c}
spec:
  match: {kinds: [{kinds: [Ingress]}, {apiGroups: [policy]}]}
  location: metadata.labels.c
  parameters: {assign: {value: x}}
---
apiVersion: mutations.gatekeeper.sh/v1
kind: AssignMetadata
metadata: {name: d}
spec:
  match: {source: Generated}
  location: metadata.labels.d
  parameters: {assign: {value: x}}
"#;

fn rules_of_mutators(text: &str) -> AdmissionRules {
    let (mutators, errors) = MutatorSet::compile(Document::read_all("m.yaml", text).0);
    assert!(errors.is_empty(), "{errors:?}");
    AdmissionRules::of_mutators(&mutators, &Kinds::default())
}

#[test]
fn what_mutators_apply_to_is_sent_and_nothing_else_that_is_known() {
    let some = rules_of_mutators(MUTATORS);
    let lines: Vec<String> =
        some.needs().map(|(target, operation, _)| format!("{target}/{} {operation}", target.group)).collect();
    let is_sent = |line: &str| lines.iter().any(|found| found == line);
    for line in [
        "pods/ CREATE",
        "pods/ UPDATE",
        "deployments.apps/apps CREATE",
        "jobs.batch/batch CREATE",
        // Not known what it is called.
        "*.example.com/example.com UPDATE",
        "ingresses.networking.k8s.io/networking.k8s.io CREATE",
        "*.policy/policy UPDATE",
    ] {
        assert!(is_sent(line), "{line} in {lines:#?}");
    }
    assert!(!is_sent("jobs.batch/batch UPDATE") && !is_sent("*/* CREATE"), "{lines:#?}");
    assert!(some.has_guesses());
    let everything = MUTATORS.replace("  match: {kinds: [{kinds: [Ingress]}, {apiGroups: [policy]}]}\n", "");
    let all = json!([{"operations": ["CREATE", "UPDATE"], "apiGroups": ["*"], "apiVersions": ["*"],
        "resources": ["*"], "scope": "*"}]);
    assert_eq!(rules_of_mutators(&everything).to_json(), all);
}

#[test]
fn a_configuration_for_mutators_is_judged_by_what_it_sends_to_be_mutated() {
    let configuration = |path: &str, rules: &Value| {
        let text = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "a"}, "webhooks": [{"name": "a", "reinvocationPolicy": "Never", "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "clientConfig": {"service": {"name": "a", "namespace": "b", "path": path}},
            "rules": rules}]});
        let document = Document::read_all("c.json", &text.to_string()).0.remove(0);
        assert!(WebhookConfiguration::read(&document).0.is_none(), "it judges nothing");
        let (read, errors) = WebhookConfiguration::read_mutating(&document);
        assert!(errors.is_empty(), "{errors:?}");
        read.unwrap()
    };
    let rules = rules_of_mutators(MUTATORS);
    assert!(rules.covers(&configuration("/v1/mutate", &rules.to_json())));
    assert!(!rules.covers(&configuration("/v1/admit", &rules.to_json())));
    let missing = rules.missing(&configuration("/v1/mutate", &json!([])));
    let pods = missing.iter().find(|missing| missing.target.to_string() == "pods").unwrap();
    assert_eq!(pods.by.iter().map(ToString::to_string).collect::<Vec<_>>(), ["Assign/a"]);
}

#[test]
fn what_is_used_is_checked_instead_of_refused() {
    let of = |uses: Uses, group: &str| {
        let none = PolicySet::empty();
        let rules = AdmissionRules::of_webhook(&none, &ExpansionSet::empty(), uses, &Kinds::default());
        let by: BTreeSet<NeededBy> = rules
            .needs()
            .filter(|(target, ..)| &*target.group == group)
            .flat_map(|(_, _, by)| by.iter().cloned())
            .collect();
        by.into_iter().collect::<Vec<_>>()
    };
    let (mutations, expansion) = ("mutations.gatekeeper.sh", "expansion.gatekeeper.sh");
    assert_eq!(of(Uses::POLICIES, mutations), [NeededBy::Refusal]);
    assert_eq!(of(Uses::POLICIES.with_mutators(true), mutations), [NeededBy::Webhook]);
    assert_eq!(of(Uses::POLICIES.with_mutators(true), expansion), [NeededBy::Refusal]);
    assert_eq!(of(Uses::POLICIES.with_expansions(true), expansion), [NeededBy::Webhook]);
    assert_eq!(of(Uses::POLICIES.with_expansions(true), "externaldata.gatekeeper.sh"), [NeededBy::Refusal]);
}

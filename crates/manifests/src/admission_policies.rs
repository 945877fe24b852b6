//! ValidatingAdmissionPolicies and their bindings, as Gatekeeper makes them of templates in CEL and of their
//! constraints.
//!
//! ```text
//! template: source in CEL ──> policy: params, variables, match conditions, validations
//! constraint ───────────────> binding: name, selectors, actions        what is lost ──> a warning each
//! ```
//!
//! What constraints match by is read from the constraint when an API server evaluates the policy, by
//! conditions that are the same in all policies: an API server gives them the constraint as `params`.

use portcullis::{
    ConstraintInfo, EnforcementAction, EnforcementPoint, Error, ErrorKind, PolicySet, TemplateInfo,
};
use portcullis_cel::{Environment, Program, Type};
use serde_json::{Map, Value, json};

/// Which templates policies are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selected {
    /// Those that say `generateVAP: true`.
    Marked,
    /// Also those that do not say it, but none that says `false`.
    Unmarked,
}

/// Policies and bindings, and what is to be said about them.
#[derive(Clone, Debug, Default)]
pub struct AdmissionPolicies {
    /// A file for each template: the policy, then the bindings.
    pub files: Vec<(String, Vec<Value>)>,
    /// What the policies do not do that the constraints do.
    pub notes: Vec<Error>,
}

/// A condition that holds of objects which a constraint is about.
struct Criterion {
    name: &'static str,
    expression: &'static str,
}

/// Conditions for what a binding has no field for. Of a criterion that a constraint does not have, or whose
/// list is empty, each is true. A glob becomes a regular expression: its schema allows nothing else in it that
/// would mean something there.
const CRITERIA: [Criterion; 4] = [
    Criterion {
        name: "gatekeeper_internal_match_excluded_namespaces",
        expression: r#"[object, oldObject].exists(it, it != null && (it.metadata.?namespace.orValue("") == "" || !params.?spec.?match.?excludedNamespaces.orValue([]).exists(glob, string(it.metadata.namespace).matches("^" + string(glob).replace("*", ".*") + "$"))))"#,
    },
    Criterion {
        name: "gatekeeper_internal_match_namespaces",
        expression: r#"[params.?spec.?match.?namespaces.orValue([])].all(globs, size(globs) == 0 || [object, oldObject].exists(it, it != null && (it.metadata.?namespace.orValue("") == "" || globs.exists(glob, string(it.metadata.namespace).matches("^" + string(glob).replace("*", ".*") + "$")))))"#,
    },
    Criterion {
        name: "gatekeeper_internal_match_name",
        expression: r#"[string(params.?spec.?match.?name.orValue(""))].all(glob, glob == "" || [object, oldObject].exists(it, it != null && (string(it.metadata.?name.orValue("")).matches("^" + glob.replace("*", ".*") + "$") || (glob.endsWith("*") && it.metadata.?generateName.orValue("") != "" && string(it.metadata.generateName).matches("^" + glob.replace("*", ".*") + "$")))))"#,
    },
    Criterion {
        name: "gatekeeper_internal_match_kinds",
        expression: r#"[params.?spec.?match.?kinds.orValue([])].all(entries, size(entries) == 0 || entries.exists(entry, [entry.?apiGroups.orValue([])].all(groups, size(groups) == 0 || "*" in groups || request.kind.group in groups) && [entry.?kinds.orValue([])].all(names, size(names) == 0 || "*" in names || request.kind.kind in names)))"#,
    },
];

/// Variables before those of the template.
const VARIABLES: [(&str, &str); 2] = [
    (
        "anyObject",
        r#"has(request.operation) && request.operation == "DELETE" && object == null ? oldObject : object"#,
    ),
    ("params", "!has(params.spec) ? null : !has(params.spec.parameters) ? null : params.spec.parameters"),
];

impl AdmissionPolicies {
    /// What Gatekeeper would make of the templates and constraints of a set.
    #[must_use]
    pub fn of(policies: &PolicySet, selected: Selected) -> Self {
        let mut made = Self::default();
        for template in policies.templates() {
            made.add(policies, template, selected);
        }
        made.notes.sort();
        made.notes.dedup();
        made
    }

    fn add(&mut self, policies: &PolicySet, template: &TemplateInfo, selected: Selected) {
        let document = template.document().to_json();
        let target = part(&document, "/spec/targets/0");
        let codes = part(target, "/code").as_array().into_iter().flatten();
        let cel = codes.into_iter().find(|code| part(code, "/engine") == "K8sNativeValidation");
        let about = format!("ConstraintTemplate/{}", template.name());
        let warn = |message: String| {
            Error::warning(ErrorKind::Unsupported, message)
                .at(template.location().clone())
                .about(about.clone())
        };
        let Some(source) = cel.map(|code| part(code, "/source")) else {
            if selected == Selected::Unmarked {
                self.notes.push(warn("no policy is made of a template without CEL".to_owned()));
            }
            return;
        };
        match (part(source, "/generateVAP").as_bool(), selected) {
            (Some(true), _) | (None, Selected::Unmarked) => {}
            _ => return,
        }
        let conditions: Vec<&Value> = list(part(source, "/matchCondition")).collect();
        let of_variables = conditions.iter().filter(|condition| needs_variables(condition));
        let named: Vec<&str> =
            of_variables.filter_map(|condition| part(condition, "/name").as_str()).collect();
        if !named.is_empty() {
            let message = format!(
                "no policy is made of this template: its matchCondition `{}` reads `variables`, which an API server does not allow there",
                named.join("`, `")
            );
            self.notes.push(warn(message).hint("write the variable out in the condition"));
            return;
        }
        let operations: Vec<&str> = list(part(target, "/operations")).filter_map(Value::as_str).collect();
        let is_any = operations.is_empty() || operations.contains(&"*");
        let sent: Vec<&str> =
            ["CREATE", "UPDATE"].into_iter().filter(|one| is_any || operations.contains(one)).collect();
        if sent.is_empty() {
            let message = "no policy is made of this template: it is about neither CREATE nor UPDATE";
            self.notes.push(warn(message.to_owned()));
            return;
        }
        for other in operations.iter().filter(|one| ["DELETE", "CONNECT"].contains(one)) {
            self.notes.push(warn(format!("the policy is not asked about {other}")));
        }
        let mut documents = vec![policy(template, source, &conditions, &sent)];
        for constraint in policies.constraints().filter(|one| one.template().name() == template.name()) {
            if let Some(binding) = binding(constraint, template) {
                documents.push(binding);
                self.notes.extend(gaps(policies, constraint));
            } else {
                let message = "no binding is made: the constraint is not enforced at `vap.k8s.io`";
                self.notes.push(note(constraint, message));
            }
        }
        self.files.push((format!("{}.yaml", template.name()), documents));
    }
}

/// A part of a value, by its JSON pointer; null if there is none.
fn part<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Whether a condition is sound only with the variables of the template.
fn needs_variables(condition: &Value) -> bool {
    let Some(text) = part(condition, "/expression").as_str() else { return false };
    let names = ["object", "oldObject", "request", "namespaceObject", "authorizer", "params"];
    let environment =
        names.iter().fold(Environment::default(), |all, name| all.with_variable(name, Type::Dyn));
    // The template compiled, so that nothing else can be wrong with it.
    Program::compile(text, &environment).is_err()
        && Program::compile(text, &environment.with_variable("variables", Type::Dyn)).is_ok()
}

fn policy(template: &TemplateInfo, source: &Value, conditions: &[&Value], operations: &[&str]) -> Value {
    let given = VARIABLES.iter().map(|(name, expression)| json!({"name": name, "expression": expression}));
    let only = |from: &Value, fields: &[&str]| -> Value {
        let fields = fields.iter().filter_map(|field| Some(((*field).to_owned(), from.get(*field)?.clone())));
        Value::Object(fields.collect::<Map<_, _>>())
    };
    let variables =
        given.chain(list(part(source, "/variables")).map(|one| only(one, &["name", "expression"])));
    let conditions = conditions.iter().map(|one| only(one, &["name", "expression"]));
    let criteria = CRITERIA.iter().map(|one| json!({"name": one.name, "expression": one.expression}));
    let validations = list(part(source, "/validations"))
        .map(|one| only(one, &["expression", "message", "messageExpression"]));
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": format!("gatekeeper-{}", template.name())},
        "spec": {
            "failurePolicy": part(source, "/failurePolicy").as_str().unwrap_or("Fail"),
            "paramKind": {"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": template.kind()},
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": operations}
                ]
            },
            "matchConditions": conditions.chain(criteria).collect::<Vec<_>>(),
            "variables": variables.collect::<Vec<_>>(),
            "validations": validations.collect::<Vec<_>>(),
        }
    })
}

/// `None` if the constraint is not enforced by API servers.
fn binding(constraint: &ConstraintInfo, template: &TemplateInfo) -> Option<Value> {
    let actions = constraint.enforcement().actions(EnforcementPoint::AdmissionPolicy);
    let words: Vec<&str> = actions
        .iter()
        .map(|action| match action {
            EnforcementAction::Deny => "Deny",
            EnforcementAction::Warn => "Warn",
            EnforcementAction::Dryrun => "Audit",
        })
        .collect();
    if words.is_empty() {
        return None;
    }
    let object = constraint.object().to_json();
    let matching = part(&object, "/spec/match");
    let mut resources = Map::new();
    for (theirs, ours) in [("labelSelector", "objectSelector"), ("namespaceSelector", "namespaceSelector")] {
        if let Some(selector) = matching.get(theirs) {
            resources.insert(ours.to_owned(), selector.clone());
        }
    }
    let name = &*constraint.key().name;
    Some(json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": format!("gatekeeper-{}-{name}", template.name())},
        "spec": {
            "policyName": format!("gatekeeper-{}", template.name()),
            "paramRef": {"name": name, "parameterNotFoundAction": "Allow"},
            "matchResources": resources,
            "validationActions": words,
        }
    }))
}

fn note(constraint: &ConstraintInfo, message: &str) -> Error {
    Error::warning(ErrorKind::Unsupported, message)
        .at(constraint.location().clone())
        .about(constraint.key().to_string())
}

/// What the constraint does that the policy of an API server does not.
fn gaps(policies: &PolicySet, constraint: &ConstraintInfo) -> Vec<Error> {
    let object = constraint.object().to_json();
    let matching = part(&object, "/spec/match");
    let mut found: Vec<&str> = Vec::new();
    if part(matching, "/scope").as_str().is_some_and(|scope| !["", "*"].contains(&scope)) {
        found.push("`match.scope` is not a part of the policy: it is about objects in namespaces and others");
    }
    if part(matching, "/source").as_str().is_some_and(|source| source != "All") {
        found.push("`match.source` is not a part of the policy: it is about all objects that are sent");
    }
    let has = |field: &str| list(matching.get(field).unwrap_or(&Value::Null)).next().is_some();
    let kinds: Vec<&Value> = list(part(matching, "/kinds")).collect();
    let names_namespaces = kinds.is_empty()
        || kinds.iter().any(|one| {
            let mut names = list(part(one, "/kinds")).filter_map(Value::as_str).peekable();
            names.peek().is_none() || names.any(|name| ["*", "Namespace"].contains(&name))
        });
    if names_namespaces && (has("namespaces") || has("excludedNamespaces")) {
        found.push(
            "Namespaces themselves are never left out by the policy: `match.namespaces` and `match.excludedNamespaces` are compared with `metadata.namespace` only",
        );
    }
    if policies.exceptions().next().is_some() {
        found.push("PolicyExceptions mean nothing to the policy");
    }
    if policies.config().is_some() {
        found.push("what the Config excludes from the webhook is not left out by the policy");
    }
    found.into_iter().map(|message| note(constraint, message)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

    use portcullis::{Document, Inventory, Object, Review, World};
    use portcullis_cel::{CelValue, Variables};

    use super::*;

    fn policies(cel: &str, constraints: &str) -> PolicySet {
        let text = format!(
            "apiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\nmetadata: {{name: demo}}\nspec:\n  crd: {{spec: {{names: {{kind: Demo}}}}}}\n  targets:\n  - target: admission.k8s.gatekeeper.sh\n    code: [{{engine: K8sNativeValidation, source: {cel}}}]\n---\n{constraints}"
        );
        let (policies, errors) = PolicySet::compile(Document::read_all("p.yaml", &text).0);
        assert!(errors.is_empty(), "{errors:?}");
        policies
    }

    fn constraint(name: &str, spec: &str) -> String {
        format!(
            "{{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: Demo, metadata: {{name: {name}}}, spec: {spec}}}\n---\n"
        )
    }

    fn said(made: &AdmissionPolicies) -> Vec<&str> {
        made.notes.iter().map(Error::message).collect()
    }

    #[test]
    fn the_conditions_say_what_matching_says() {
        let matches = [
            "{}",
            "{kinds: []}",
            "{kinds: [{apiGroups: [''], kinds: [Pod]}]}",
            "{kinds: [{apiGroups: ['*'], kinds: [Deployment, Node]}]}",
            "{kinds: [{apiGroups: [apps]}, {kinds: [Node]}]}",
            "{namespaces: [shop]}",
            "{namespaces: ['sh*', kube-system]}",
            "{namespaces: []}",
            "{excludedNamespaces: ['*-system']}",
            "{excludedNamespaces: [shop], namespaces: ['*op']}",
            "{name: we*}",
            "{name: '*eb'}",
            "{name: web}",
            "{name: nope}",
        ];
        let objects = [
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}}),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "we-", "namespace": "shop"}}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "other", "namespace": "kube-system"}}),
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "web"}}),
        ];
        let names = ["object", "oldObject", "request", "params"];
        let environment =
            names.iter().fold(Environment::default(), |all, name| all.with_variable(name, Type::Dyn));
        let (mut held, mut all) = (0, 0);
        for matching in matches {
            let text = constraint("it", &format!("{{match: {matching}}}"));
            let policies = policies("{validations: [{expression: 'false'}]}", &text);
            let params = policies.constraints().next().unwrap().object().to_json();
            for object in &objects {
                let judged = Object::from_json(object).unwrap();
                let gvk = judged.gvk().clone();
                let review = Review::from_object(judged);
                let inventory = Inventory::empty();
                let point = EnforcementPoint::CommandLine;
                let outcome = policies.review(&review, &World::new(&inventory), point);
                let value = |json: &Value| -> CelValue {
                    portcullis_value::Value::from_json(&json.to_string()).unwrap().into()
                };
                let request =
                    json!({"kind": {"group": &*gvk.group, "version": &*gvk.version, "kind": &*gvk.kind}});
                let variables = Variables::default()
                    .with("object", value(object))
                    .with("oldObject", CelValue::Null)
                    .with("request", value(&request))
                    .with("params", value(&params));
                let holds = CRITERIA.iter().all(|criterion| {
                    let program = Program::compile(criterion.expression, &environment).unwrap();
                    assert_eq!(program.result(), &Type::Bool, "{}", criterion.name);
                    let limits = portcullis_value::Limits::default();
                    let mut budget = portcullis_value::Budget::new(limits, None);
                    program.evaluate(&variables, &mut budget).result.unwrap().as_bool().unwrap()
                });
                assert_eq!(holds, !outcome.results.is_empty(), "{matching} {object}");
                held += usize::from(holds);
                all += 1;
            }
        }
        assert!(held * 4 > all && held * 4 < all * 3, "{held} of {all}");
    }

    #[test]
    fn a_policy_has_what_its_template_says_and_a_binding_for_each_constraint() {
        let cel = "{generateVAP: true, failurePolicy: Ignore, matchCondition: [{name: c, expression: object != null}], variables: [{name: number, expression: '1'}], validations: [{expression: variables.number == 1, message: m, messageExpression: \"'made'\"}]}";
        let constraints = [
            constraint(
                "denies",
                "{match: {labelSelector: {matchLabels: {a: b}}, namespaceSelector: {matchLabels: {c: d}}}}",
            ),
            constraint("warns", "{enforcementAction: warn}"),
            constraint(
                "records",
                "{enforcementAction: scoped, scopedEnforcementActions: [{action: dryrun, enforcementPoints: [{name: vap.k8s.io}]}, {action: warn, enforcementPoints: [{name: '*'}]}]}",
            ),
            constraint(
                "elsewhere",
                "{enforcementAction: scoped, scopedEnforcementActions: [{action: deny, enforcementPoints: [{name: audit.gatekeeper.sh}]}]}",
            ),
        ];
        let made = AdmissionPolicies::of(&policies(cel, &constraints.concat()), Selected::Marked);
        let [(file, documents)] = made.files.as_slice() else { unreachable!("{made:?}") };
        assert_eq!(file, "demo.yaml");
        let [policy, denies, records, warns] = documents.as_slice() else { unreachable!("{documents:?}") };
        let spec = &policy["spec"];
        assert_eq!(policy["metadata"]["name"], "gatekeeper-demo");
        assert_eq!(spec["failurePolicy"], "Ignore");
        assert_eq!(
            spec["paramKind"],
            json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "Demo"})
        );
        let names = |field: &str| -> Vec<&str> {
            list(&spec[field]).filter_map(|one| one["name"].as_str()).collect()
        };
        assert_eq!(names("variables"), ["anyObject", "params", "number"]);
        assert_eq!(names("matchConditions").len(), 5);
        assert_eq!(names("matchConditions").first(), Some(&"c"));
        assert_eq!(
            spec["validations"],
            json!([{"expression": "variables.number == 1", "message": "m", "messageExpression": "'made'"}])
        );
        assert_eq!(denies["metadata"]["name"], "gatekeeper-demo-denies");
        assert_eq!(
            denies["spec"],
            json!({
                "policyName": "gatekeeper-demo",
                "paramRef": {"name": "denies", "parameterNotFoundAction": "Allow"},
                "matchResources": {
                    "objectSelector": {"matchLabels": {"a": "b"}},
                    "namespaceSelector": {"matchLabels": {"c": "d"}}
                },
                "validationActions": ["Deny"],
            })
        );
        assert_eq!(warns["spec"]["validationActions"], json!(["Warn"]));
        assert_eq!(records["spec"]["validationActions"], json!(["Warn", "Audit"]));
        assert_eq!(said(&made), ["no binding is made: the constraint is not enforced at `vap.k8s.io`"]);
    }

    #[test]
    fn what_is_lost_is_said() {
        let plain = "{validations: [{expression: 'true'}]}";
        let none = AdmissionPolicies::of(&policies(plain, ""), Selected::Marked);
        assert!(none.files.is_empty() && none.notes.is_empty(), "it does not ask for one");
        let of = |cel: &str, spec: &str| {
            AdmissionPolicies::of(&policies(cel, &constraint("it", spec)), Selected::Unmarked)
        };
        let made = of(plain, "{match: {scope: Cluster, source: Original, excludedNamespaces: [a]}}");
        let notes = said(&made).join("\n");
        for part in ["`match.scope`", "`match.source`", "Namespaces themselves"] {
            assert!(notes.contains(part), "{notes}");
        }
        let made = of(plain, "{match: {kinds: [{apiGroups: [''], kinds: [Pod]}], excludedNamespaces: [a]}}");
        assert!(made.notes.is_empty(), "{:?}", made.notes);
        let reads = "{matchCondition: [{name: c, expression: variables.params == null}], validations: [{expression: 'true'}]}";
        let made = of(reads, "{}");
        assert!(made.files.is_empty(), "{made:?}");
        assert!(
            said(&made).join("").contains("its matchCondition `c` reads `variables`"),
            "{:?}",
            made.notes
        );
        let not = "{generateVAP: false, validations: [{expression: 'true'}]}";
        assert!(of(not, "{}").files.is_empty());
    }
}

//! Builds without CEL: whatever has an expression is refused where it is loaded, with its place, and never passes anything.
//! With CEL the same is loaded and judged. `cargo test -p portcullis-embed --no-default-features --test cel --test zones` tries the former.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics when it fails"
)]

use portcullis::{
    AdmissionMutators, CelQuery, Document, EngineChoice, Error, ErrorKind, Inventory, Object, PolicySet,
    PolicySettings, Resource, Uses, definition_rules,
};
use portcullis_embed::{Engine, NoHost};
use serde_json::{Value, json};

/// Whether CEL is there.
const CEL: bool = cfg!(feature = "cel");

const REGO: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: inrego}
spec:
  crd: {spec: {names: {kind: InRego}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package inrego
      violation[{"msg": "from Rego"}] { input.review.object.data.k == "bad" }
---
{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: InRego, metadata: {name: by-rego}}
"#;

const IN_CEL: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: incel}
spec:
  crd: {spec: {names: {kind: InCel}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    code:
    - engine: K8sNativeValidation
      source:
        failurePolicy: Ignore
        variables: [{name: k, expression: object.data.k}]
        validations: [{expression: variables.k != "bad", message: from CEL}]
---
{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: InCel, metadata: {name: by-cel}}
"#;

const BOTH: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: both}
spec:
  crd: {spec: {names: {kind: Both}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    code:
    - engine: K8sNativeValidation
      source: {validations: [{expression: object.data.k != "bad", message: from CEL}]}
    - engine: Rego
      source:
        rego: |
          package both
          violation[{"msg": "from Rego"}] { input.review.object.data.k == "bad" }
---
{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: Both, metadata: {name: by-both}}
"#;

const ADMISSION: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: policy}
spec:
  failurePolicy: Ignore
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  validations: [{expression: object.data.k != "bad", message: from the API server}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: binding}
spec: {policyName: policy, validationActions: [Deny]}
"#;

const SCHEMA: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: ruled}
spec:
  crd:
    spec:
      names: {kind: Ruled}
      validation:
        openAPIV3Schema:
          type: object
          x-kubernetes-validations: [{rule: self.min <= self.max}]
          properties: {min: {type: integer}, max: {type: integer}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package ruled
      violation[{"msg": "from Rego"}] { input.review.object.data.k == "bad" }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: Ruled
metadata: {name: by-ruled}
spec: {parameters: {min: 1, max: 2}}
"#;

const MUTATING: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: owner}
spec:
  failurePolicy: Ignore
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration: {expression: "Object{metadata: Object.metadata{labels: {'owner': 'shop'}}}"}
  reinvocationPolicy: Never
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: owner}
spec: {policyName: owner}
"#;

const DEFINITION: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: shops.example.com}
spec:
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        type: object
        x-kubernetes-validations: [{rule: self.spec.max > 0}]
        properties: {spec: {type: object, properties: {max: {type: integer}}}}
";

fn compile(text: &str, more: Value) -> (Option<Engine>, Value) {
    let mut request = json!({"version": 1, "documents": [{"name": "policy.yaml", "text": text}]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let compiled = Engine::compile(request.to_string().as_bytes());
    (compiled.engine, serde_json::from_str(&compiled.answer).unwrap())
}

/// What is denied of an object that every policy here is against, and that none denies one that they are for.
fn denials(engine: &Engine) -> Vec<String> {
    let review = |k: &str| -> Value {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}, "data": {"k": k}});
        serde_json::from_str(&engine.review(object.to_string().as_bytes(), b"", &NoHost)).unwrap()
    };
    assert_eq!(review("good")["allowed"], true);
    let bad = review("bad");
    assert_eq!(bad["allowed"], false, "{bad}");
    bad["denials"].as_array().unwrap().iter().map(|denial| denial.as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_needs_it_is_judged_or_refused_with_its_place() {
    for (text, denial, subject, line, field) in [
        (
            IN_CEL,
            "[by-cel] from CEL",
            "ConstraintTemplate/incel",
            13,
            "spec.targets[0].code[0].source.variables[0].expression",
        ),
        (
            BOTH,
            "[by-both] from CEL",
            "ConstraintTemplate/both",
            11,
            "spec.targets[0].code[0].source.validations[0].expression",
        ),
        (
            ADMISSION,
            "[binding] from the API server",
            "ValidatingAdmissionPolicy/policy",
            9,
            "spec.validations[0].expression",
        ),
        (
            SCHEMA,
            "[by-ruled] from Rego",
            "ConstraintTemplate/ruled",
            12,
            "spec.crd.spec.validation.openAPIV3Schema.x-kubernetes-validations[0]",
        ),
    ] {
        // What is good beside it is judged by who asked for that, and does not hide what is missing.
        let beside = format!("{REGO}---{text}");
        let (engine, answer) = compile(text, json!({}));
        if CEL {
            assert_eq!(denials(&engine.unwrap()), [denial]);
            continue;
        }
        assert!(engine.is_none(), "{answer}");
        assert_eq!(answer["ok"], false);
        let problem = answer["problems"]
            .as_array()
            .unwrap()
            .iter()
            .find(|problem| problem["code"] == "cel")
            .unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(
            problem["message"],
            "this build cannot evaluate CEL: it was made without the feature `cel`"
        );
        assert!(problem["hint"].as_str().unwrap().starts_with("build with the feature `cel`"), "{problem}");
        let found = (&problem["subject"], &problem["location"]["line"], &problem["field"]);
        assert_eq!(found, (&json!(subject), &json!(line), &json!(field)), "{problem}");
        assert_eq!(problem["severity"], "error");
        // Nobody can say that it may be missing.
        let (engine, _) = compile(text, json!({"allowUnsupported": true}));
        assert!(engine.is_none());
        let (engine, answer) = compile(&beside, json!({"partial": true}));
        assert_eq!(denials(&engine.unwrap()), ["[by-rego] from Rego"]);
        assert!(answer["problems"].to_string().contains("the feature `cel`"), "{answer}");
    }
}

#[test]
fn rego_is_as_it_was() {
    let (engine, answer) = compile(REGO, json!({}));
    assert_eq!(denials(&engine.unwrap_or_else(|| panic!("{answer}"))), ["[by-rego] from Rego"]);
}

#[test]
fn rego_beside_cel_is_run_if_somebody_asks_for_it() {
    let (engine, answer) = compile(BOTH, json!({"engines": "rego-only"}));
    assert_eq!(denials(&engine.unwrap_or_else(|| panic!("{answer}"))), ["[by-both] from Rego"]);
    let (engine, answer) = compile(IN_CEL, json!({"engines": "rego-only"}));
    assert!(engine.is_none(), "{answer}");
    let (resources, errors): (Vec<_>, Vec<_>) = documents(BOTH).iter().map(Resource::read).unzip();
    assert!(errors.iter().all(Vec::is_empty));
    let settings = PolicySettings { engines: EngineChoice::RegoOnly, ..PolicySettings::default() };
    let (policies, errors) = PolicySet::from_resources_in(resources.into_iter().flatten(), &settings);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(policies.templates().next().unwrap().other_engine(), Some(portcullis::Engine::Cel));
}

fn documents(text: &str) -> Vec<Document> {
    let (documents, errors) = Document::read_all("policy.yaml", text);
    assert!(errors.is_empty(), "{errors:?}");
    documents
}

/// That this is all that is wrong: that there is no CEL.
#[track_caller]
fn assert_refused(errors: &[Error], line: u32) {
    let error = errors.iter().find(|error| error.kind() == ErrorKind::Cel).unwrap();
    assert!(error.message().contains("the feature `cel`"), "{error}");
    assert!(error.location().unwrap().to_string().contains(&format!(":{line}:")), "{error}");
}

#[test]
fn policies_that_mutate_are_refused() {
    let uses = Uses::POLICIES.with_mutators(true);
    let documents = documents(MUTATING);
    let resources = documents.iter().filter_map(|document| Resource::read_for(document, uses).0);
    let (mutators, errors) = AdmissionMutators::from_resources(resources);
    assert_eq!(mutators.is_empty(), !CEL);
    if CEL {
        assert!(errors.is_empty(), "{errors:?}");
    } else {
        assert_refused(&errors, 11);
        assert!(errors.iter().any(|error| error.kind() == ErrorKind::MissingPolicy), "{errors:?}");
    }
}

#[test]
fn rules_of_definitions_are_checked_or_named() {
    let errors = definition_rules(&documents(DEFINITION)[0]);
    if CEL { assert!(errors.is_empty(), "{errors:?}") } else { assert_refused(&errors, 11) }
}

#[test]
fn queries_are_answered_or_refused() {
    match (CelQuery::new(None, "1 + 1 == 2"), CEL) {
        (Ok(query), true) => {
            let object = Object::from_yaml("{apiVersion: v1, kind: Pod, metadata: {name: web}}").unwrap();
            let review = portcullis::Review::from_object(object);
            let inventory = Inventory::empty();
            let world = portcullis::World::new(&inventory);
            let input = portcullis::QueryInput::of_review(&review, &world, &PolicySet::default(), None);
            assert_eq!(query.evaluate(&input, &world).result.unwrap()[0].value, Some(json!(true)));
        }
        (Err(errors), false) => assert_refused(&errors, 1),
        (Ok(_), false) => panic!("there is nothing that could evaluate it"),
        (Err(errors), true) => panic!("{errors:?}"),
    }
}

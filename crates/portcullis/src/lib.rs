//! An embedded policy engine for Kubernetes: compiles OPA Gatekeeper's ConstraintTemplates and Constraints
//! into one evaluator and answers, for any object or admission request, *may this pass, and if not, why?* A
//! request passes only when no constraint denies it: logical AND, no OR. An error or an unknown is never a
//! pass.
//!
//! ```text
//! bytes -> Document -> Resource -> PolicySet ─┐
//!                         objects -> Inventory ─> World
//! object / AdmissionReview -> Review ─────────┴─> Outcome -> Decision
//! ```
//!
//! # Example
//!
//! ```
//! use portcullis::{Decision, Document, EnforcementPoint, Inventory, Object, PolicySet, Review, World};
//! # let policy = r#"
//! # apiVersion: templates.gatekeeper.sh/v1
//! # kind: ConstraintTemplate
//! # metadata: {name: nolatest}
//! # spec:
//! #   crd: {spec: {names: {kind: NoLatest}}}
//! #   targets:
//! #   - target: admission.k8s.gatekeeper.sh
//! #     rego: |
//! #       package nolatest
//! #       violation[{"msg": msg}] {
//! #         image := input.review.object.spec.containers[_].image
//! #         endswith(image, ":latest")
//! #         msg := sprintf("image %v is not pinned", [image])
//! #       }
//! # ---
//! # apiVersion: constraints.gatekeeper.sh/v1beta1
//! # kind: NoLatest
//! # metadata: {name: pinned-images}
//! # "#;
//! # let pod = "
//! # apiVersion: v1
//! # kind: Pod
//! # metadata: {name: web}
//! # spec:
//! #   containers:
//! #   - name: web
//! #     image: web:latest
//! # ".trim_start();
//! let (policies, errors) = PolicySet::compile(Document::read_all("policy.yaml", policy).0);
//! assert!(errors.is_empty());
//! let object = Object::from_document(Document::read_all("pod.yaml", pod).0.remove(0))?;
//! let outcome = policies.review(&Review::from_object(object), &World::new(&Inventory::empty()), EnforcementPoint::Webhook);
//! let decision = Decision::from(&outcome);
//!
//! assert!(!decision.allowed());
//! assert_eq!(decision.denials(), ["[pinned-images] image web:latest is not pinned"]);
//! let position = decision.findings[0].position().unwrap();
//! assert_eq!(position.location.to_string(), "pod.yaml:7:5");
//! assert_eq!(position.path.to_string(), "spec.containers[0].image");
//! # Ok::<(), portcullis::Error>(())
//! ```
//!
//! # What it does not do
//!
//! No I/O, no threads, no clock, no global state: callers read files or watch clusters, choose how many
//! threads review, and hand in what policies may look at. Everything shared is immutable; [`PolicyStore`] and
//! [`InventoryStore`] take changes and give out snapshots.
//!
//! # Reading order
//!
//! [`Document`], [`Resource`], [`PolicySet`], [`Review`], [`Outcome`], [`Decision`]; beside them
//! [`Inventory`] and [`World`]. The examples `link` and `admission_controller` show a whole program each.
//!
//! # Features
//!
//! All but `regorus` are on by default. What a build leaves out is an error where it is asked for, and never a pass.
//!
//! - `cel`: CEL. Without it a template in CEL, an admission policy of the API server's, a rule in CEL of a schema and a
//!   [`CelQuery`] are errors where they are loaded. A template in both languages is one as well, as Gatekeeper would run its
//!   CEL, but for [`EngineChoice::RegoOnly`].
//! - `lint`: what cannot have been meant in a policy's text. Without it a template that can never fire is not an error.
//! - `time-zones`: the tables of time zones. Without them an evaluation that names one is an error.
//! - `regorus`: conversions with the values of the crate of that name.
#![forbid(unsafe_code)]
// Builds with CEL find what nobody uses.
#![cfg_attr(
    not(feature = "cel"),
    allow(
        dead_code,
        unused_imports,
        reason = "what only CEL asks of other stages; the linker leaves it out"
    )
)]

mod admission_policy;
mod admission_rules;
mod analysis;
mod api;
mod cel;
mod decision;
mod document;
mod enforcement;
mod error;
mod expansion;
mod fights;
mod fixes;
mod front_door;
mod inventory;
mod layout;
mod limits;
mod matcher;
mod modules;
mod mutation;
mod names;
mod node;
mod object;
mod path;
mod policy;
mod program;
mod query;
#[cfg(feature = "regorus")]
mod regorus;
mod remedies;
mod review;
mod schema;
mod scope;
mod source;
mod upgrade;
mod value;
mod world;

pub use admission_policy::{
    AdmissionMutators, CustomField, CustomKind, KubernetesField, custom_type_warnings, kubernetes_fields,
};
pub use admission_rules::{
    AdmissionRules, AdmissionTarget, Kinds, KnownKind, ListedKinds, MissingRule, NeededBy,
    WebhookConfiguration,
};
#[cfg(feature = "lint")]
pub use analysis::Explanation;
pub use analysis::{InventoryRead, Mutant, MutantKind};
pub use api::{
    AdmissionPolicy, AdmissionPolicyBinding, AdmissionReview, Config, Constraint, ConstraintTemplate, Engine,
    EngineChoice, ExclusionRule, ExpansionTemplate, Mutator, Operation, PolicyException, PolicyLanguage,
    PolicyText, Process, Provider, RegoVersion, Resource, SyncSet, Unsupported, Uses, unsupported_kinds,
};
pub use decision::{Decision, Finding};
pub use document::{DataForm, Document, Form};
pub use enforcement::{Actions, Enforcement, EnforcementAction, EnforcementPoint};
pub use error::{Error, ErrorKind, Remedy, Severity};
pub use expansion::{
    Expansion, ExpansionChange, ExpansionError, ExpansionSet, ExpansionStore, Parent, Resultant,
};
pub use fights::Fight;
pub use fixes::{Fix, FixDecision, FixEdit, FixOf, Fixes};
pub use front_door::Errors;
pub use inventory::{Inventory, InventoryStore, ObjectKey};
pub use layout::RegoLayout;
pub use limits::Limits;
pub use matcher::Source as ObjectSource;
pub use modules::{
    ModuleData, ModuleInput, ModuleRule, ModuleRuleKind, ModuleSet, ModuleTest, ModuleTestResult,
    ModuleTests, Packages, RegoFile, RuleResult, TestVerdict,
};
pub use mutation::{
    Mutable, Mutation, MutationChange, MutationError, MutationFailure, MutationLimits, MutatorInfo,
    MutatorSet, MutatorStore, PatchOperation,
};
pub use names::{
    AdmissionEffect, AdmissionPolicyKey, ConstraintKey, GroupKind, Gvk, MutatorKey, MutatorKind, TemplateName,
};
pub use node::Node;
pub use object::{Annotation, Object};
pub use path::{FieldPath, Segment};
pub use policy::ExceptionInfo;
pub use policy::{
    Change, ConfigHomes, ConstraintInfo, PolicySet, PolicySettings, PolicyStore, Prepared, TemplateInfo,
    Unjudgeable,
};
pub use portcullis_rego::IndexLimits;
pub use portcullis_value::{
    AccessAnswer, AccessQuestion, AccessResource, AccessTo, AccessUser, Questions, Watch,
};
pub use portcullis_value::{
    Answers, LimitKind, Limits as EvaluationLimits, ProviderAnswer, ProviderFailure, ProviderItem, Question,
};
pub use portcullis_yaml::lines as yaml_lines;
pub use program::{
    ComparingCost, Counting, CoveredKind, CoveredPlace, EvaluationError, InventoryComparison, PolicyCoverage,
};
pub use query::{CelQuery, QueryAnswer, QueryInput, QuerySolution, ReachedStatement, RegoQuery, Tracing};
pub use remedies::Remedied;
pub use review::{AdmissionAnswer, AdmissionDenial, AdmissionMutation, Applicability};
pub use review::{
    ConstraintResult, Elsewhere, ImpliedBy, Outcome, Position, Precision, Review, RuleKind, Verdict,
    Violation, Why, WhyCondition, WhyFact, WhyFound, WhyRule,
};
pub use schema::definition_rules;
pub use scope::{Place, Places, Scope, Scopes, Settled};
pub use source::{Location, Source};
pub use upgrade::RegoUpgrade;
pub use world::{Stopwatch, World};

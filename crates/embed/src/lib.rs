//! One face of the engine for programs in other languages. Requests and answers are JSON, and what was
//! compiled is a handle: compile once, review many times, from as many threads as there are.
//!
//! ```
//! use portcullis_embed::{Engine, NoHost};
//!
//! let policies = r#"{"version": 1, "documents": [{"name": "policy.yaml", "text": "
//! apiVersion: templates.gatekeeper.sh/v1
//! kind: ConstraintTemplate
//! metadata: {name: nohostnetwork}
//! spec:
//!   crd: {spec: {names: {kind: NoHostNetwork}}}
//!   targets:
//!   - target: admission.k8s.gatekeeper.sh
//!     rego: |
//!       package nohostnetwork
//!       violation[{\"msg\": \"the pod uses the node's network\"}] { input.review.object.spec.hostNetwork }
//! ---
//! {apiVersion: constraints.gatekeeper.sh/v1beta1, kind: NoHostNetwork, metadata: {name: own-network}}
//! "}]}"#.replace('\n', "\\n");
//! let compiled = Engine::compile(policies.as_bytes());
//! let engine = compiled.engine.expect(&compiled.answer);
//!
//! let pod = b"{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {hostNetwork: true}}";
//! let answer = engine.review(pod, b"", &NoHost);
//! assert!(answer.starts_with(r#"{"allowed":false,"denials":["[own-network] the pod uses the node's network"]"#));
//! ```
//!
//! # What every binding rests on
//!
//! - **Every error is data.** No call fails: each gives back an answer, which has `ok` and `problems`. What could not be
//!   judged is never allowed.
//! - **No panic leaves a call.** One that is caught is a problem with the code `defect`. Where panics abort, as in
//!   WebAssembly, the call traps.
//! - **No clock, no I/O, no threads, no global state.** The time that policies see is an option of a review (`nowMs`);
//!   how long it may take is another (`timeoutMs`), measured by the [`Host`] that the caller hands in.
//! - **Answers are canonical**: keys sorted, no white space, the same bytes for the same call in every language.
//!   `testdata/embed` holds all bindings to it.
//! - **Versions.** Requests and answers have a `version`, and `docs/embed.schema.json` says what is in them. What a
//!   version does not know in a request is an error. New fields of answers do not make a new version.
#![forbid(unsafe_code)]

mod admission;
mod answer;
mod engine;
mod explanation;
mod host;
mod parts;
mod request;

pub use answer::VERSION;
pub use engine::{Answer, Compiled, Engine};
pub use host::{Host, NoHost};

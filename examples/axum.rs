//! An admission webhook of your own, with axum: `POST /validate` takes what an API server sends and answers by the
//! cluster's Gatekeeper policies. TLS, which API servers insist on, is left to what stands before it.
//!
//! ```text
//! cargo run -p portcullis-examples --bin axum-webhook -- POLICY.yaml…
//! curl --data @admission-review.json localhost:8080/validate
//! ```

use std::fs;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use portcullis::{Decision, EnforcementPoint, Inventory, PolicySet, Process, Review, World};
use serde_json::{Value, json};

/// API servers send requests of 3 MiB, with the old object beside the new one.
const MOST_BYTES: usize = 8 << 20;

/// What requests are judged by. Immutable: whoever follows a cluster puts another one in its place.
pub(crate) struct Gate {
    pub(crate) policies: PolicySet,
    pub(crate) inventory: Inventory,
}

impl Gate {
    /// The answer to a body. What cannot be understood is refused, never let through.
    fn answer(&self, body: &[u8]) -> Value {
        let response = match Review::from_slice(body) {
            Ok(review) => self.judge(&review),
            Err(errors) => {
                json!({"uid": "", "allowed": false, "status": {"code": 400, "message": errors.to_string()}})
            }
        };
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
    }

    fn judge(&self, review: &Review) -> Value {
        if self.policies.excludes(Process::Webhook, review) {
            return json!({"uid": review.uid(), "allowed": true});
        }
        let world = World::new(&self.inventory);
        let outcome = self.policies.review(review, &world, EnforcementPoint::Webhook);
        let decision = Decision::from(&outcome);
        let status = if decision.allowed() {
            json!({"code": 200})
        } else {
            json!({"code": 403, "reason": "Forbidden", "message": decision.denials().join("\n")})
        };
        json!({
            "uid": review.uid(),
            "allowed": decision.allowed(),
            "warnings": decision.warnings(),
            "status": status,
        })
    }
}

/// The routes, to be merged into those of a server that there is.
pub(crate) fn routes(gate: Arc<Gate>) -> Router {
    Router::new().route("/validate", post(validate)).layer(DefaultBodyLimit::max(MOST_BYTES)).with_state(gate)
}

async fn validate(State(gate): State<Arc<Gate>>, body: Bytes) -> impl IntoResponse {
    // A review takes a core, and none of the threads that serve.
    let judged = tokio::task::spawn_blocking(move || gate.answer(&body)).await;
    let answer = judged.unwrap_or_else(|_| json!({"response": {"allowed": false, "status": {"code": 500}}}));
    ([(CONTENT_TYPE, "application/json")], answer.to_string())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut texts = Vec::new();
    for path in std::env::args().skip(1) {
        texts.push((path.clone(), fs::read_to_string(path)?));
    }
    let policies = PolicySet::load(texts.iter().map(|(path, text)| (path.as_str(), text.as_str())))?;
    let gate = Arc::new(Gate { policies, inventory: Inventory::empty() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, routes(gate)).await?;
    Ok(())
}

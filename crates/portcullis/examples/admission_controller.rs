//! Bundling the engine into another admission controller: it has its own server, its own checks and its own
//! way to say no; this adds the cluster's Gatekeeper policies to them. `admit` is all that has to be called,
//! from as many threads as there are.
//!
//! ```text
//! cargo run -p portcullis --example admission_controller -- POLICY.yaml… < admission-review.json
//! ```

use std::fs;

use portcullis::{Decision, EnforcementPoint, Errors, Inventory, PolicySet, Process, Review, World};
use serde_json::{Value, json};

/// What the controller keeps: both are immutable and cheap to clone, so that a watch can swap them while
/// requests are answered.
pub(crate) struct Gate {
    pub(crate) policies: PolicySet,
    pub(crate) inventory: Inventory,
}

impl Gate {
    /// The response to one `AdmissionReview`. A request that cannot be understood is refused, never let
    /// through.
    pub(crate) fn admit(&self, body: &[u8]) -> Value {
        match Review::from_slice(body) {
            Ok(review) => self.judge(&review),
            Err(errors) => refusal(&errors),
        }
    }

    fn judge(&self, review: &Review) -> Value {
        if self.policies.excludes(Process::Webhook, review) {
            return json!({"uid": review.uid(), "allowed": true});
        }
        let outcome = self.policies.review(review, &World::new(&self.inventory), EnforcementPoint::Webhook);
        let decision = Decision::from(&outcome);
        let mut response =
            json!({"uid": review.uid(), "allowed": decision.allowed(), "warnings": decision.warnings()});
        if let (false, Some(fields)) = (decision.allowed(), response.as_object_mut()) {
            let message = decision.denials().join("\n");
            fields.insert("status".into(), json!({"code": 403, "reason": "Forbidden", "message": message}));
        }
        response
    }
}

fn refusal(errors: &Errors) -> Value {
    json!({"allowed": false, "status": {"code": 400, "message": errors.to_string()}})
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut texts = Vec::new();
    for path in std::env::args().skip(1) {
        texts.push((path.clone(), fs::read_to_string(path)?));
    }
    // A controller that enforces does not start with policies that are wrong, nor with none.
    let policies = PolicySet::load(texts.iter().map(|(path, text)| (path.as_str(), text.as_str())))?;
    let gate = Gate { policies, inventory: Inventory::empty() };
    let body = std::io::read_to_string(std::io::stdin())?;
    let response = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": gate.admit(body.as_bytes()),
    });
    println!("{}", serde_json::to_string_pretty(&response)?);
    Ok(())
}

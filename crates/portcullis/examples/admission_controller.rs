//! Bundling the engine into another admission controller: it has its own server, its own checks and its own way to say no; this adds
//! the cluster's Gatekeeper policies to them. `admit` is all that has to be called, from as many threads as there are.
//!
//! ```text
//! cargo run -p portcullis --example admission_controller -- POLICY.yaml… < admission-review.json
//! ```

use portcullis::{
    Decision, Document, EnforcementPoint, ErrorKind, Inventory, PolicySet, Process, Resource, Review, World,
};
use serde_json::{Value, json};

/// What the controller keeps: both are immutable and cheap to clone, so that a watch can swap them while requests are answered.
struct Gate {
    policies: PolicySet,
    inventory: Inventory,
}

impl Gate {
    /// The response to one `AdmissionReview`. A request that cannot be understood is refused, never let through.
    fn admit(&self, body: &str) -> Value {
        match self.judge(body) {
            Ok(response) => response,
            Err(error) => json!({"allowed": false, "status": {"code": 400, "message": error.to_string()}}),
        }
    }

    fn judge(&self, body: &str) -> Result<Value, portcullis::Error> {
        let (documents, errors) = Document::read_all("request.json", body);
        let resource = documents.first().map(Resource::read);
        let Some((Some(Resource::AdmissionReview(request)), _)) = resource else {
            let why = resource.into_iter().flat_map(|(_, errors)| errors).chain(errors).next();
            return Err(why.unwrap_or_else(|| {
                portcullis::Error::new(ErrorKind::NoInput, "expected an AdmissionReview")
            }));
        };
        let review = Review::from_admission(&request)?;
        if self.policies.excludes(Process::Webhook, &review) {
            return Ok(json!({"uid": request.uid(), "allowed": true}));
        }
        let outcome = self.policies.review(&review, &World::new(&self.inventory), EnforcementPoint::Webhook);
        let decision = Decision::from(&outcome);
        let mut response =
            json!({"uid": request.uid(), "allowed": decision.allowed(), "warnings": decision.warnings()});
        if let (false, Some(fields)) = (decision.allowed(), response.as_object_mut()) {
            let message = decision.denials().join("\n");
            fields.insert("status".into(), json!({"code": 403, "reason": "Forbidden", "message": message}));
        }
        Ok(response)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut documents = Vec::new();
    for path in std::env::args().skip(1) {
        documents.extend(Document::read_all(&path, &std::fs::read_to_string(&path)?).0);
    }
    let (policies, errors) = PolicySet::compile(documents);
    // A controller that enforces does not start with policies that are wrong.
    if let Some(error) = errors.into_iter().next() {
        return Err(error.into());
    }
    let gate = Gate { policies, inventory: Inventory::empty() };
    let body = std::io::read_to_string(std::io::stdin())?;
    let response = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": gate.admit(&body),
    });
    println!("{}", serde_json::to_string_pretty(&response)?);
    Ok(())
}

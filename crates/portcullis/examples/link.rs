//! Linking the engine: policies and manifests in, verdicts out.
//!
//! ```text
//! cargo run -p portcullis --example link -- \
//!     policies/pod-security/privileged-containers/template.yaml \
//!     policies/pod-security/bundles/baseline.yaml testdata/demo/shop.yaml
//! ```

use portcullis::{Decision, Document, EnforcementPoint, Inventory, Object, PolicySet, Review, World};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut documents = Vec::new();
    for path in std::env::args().skip(1) {
        let (read, errors) = Document::read_all(&path, &std::fs::read_to_string(&path)?);
        for error in errors {
            eprintln!("{error}");
        }
        documents.extend(read);
    }
    let (policies, errors) = PolicySet::compile(documents.clone());
    for error in errors {
        eprintln!("{error}");
    }

    let objects: Vec<Object> =
        documents.into_iter().filter_map(|document| Object::from_document(document).ok()).collect();
    let inventory: Inventory = objects.iter().cloned().collect();
    let mut allowed = true;
    for object in objects {
        let review = Review::from_object(object);
        let outcome = policies.review(&review, &World::new(&inventory), EnforcementPoint::CommandLine);
        let decision = Decision::from(&outcome);
        for finding in &decision.findings {
            let place = finding.position().map(|position| position.location.to_string());
            println!("{}: {}", place.unwrap_or_default(), finding.line());
        }
        allowed &= decision.allowed();
    }
    println!("{}", if allowed { "allowed" } else { "denied" });
    Ok(())
}

//! Linking the engine: policies and a manifest in, a verdict out. `judge` is all there is to it.
//!
//! ```text
//! cargo run -p portcullis --example link -- MANIFEST.yaml POLICY.yaml…
//! ```

use portcullis::{Decision, EnforcementPoint, Errors, Object, PolicySet, Review, World};

/// What the policies say against a manifest. Empty if it may pass.
pub(crate) fn judge(manifest: &str, policies: &[(&str, &str)]) -> Result<Vec<String>, Errors> {
    let policies = PolicySet::load(policies.iter().copied())?;
    let review = Review::from_object(Object::from_yaml(manifest)?);
    let outcome = policies.review(&review, &World::default(), EnforcementPoint::CommandLine);
    Ok(Decision::from(&outcome).denials())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut texts = Vec::new();
    for path in std::env::args().skip(1) {
        texts.push((path.clone(), std::fs::read_to_string(path)?));
    }
    let mut texts = texts.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let (_, manifest) = texts.next().ok_or("expected a manifest, and policies")?;
    let denials = judge(manifest, &texts.collect::<Vec<_>>())?;
    for denial in &denials {
        println!("{denial}");
    }
    println!("{}", if denials.is_empty() { "allowed" } else { "denied" });
    Ok(())
}

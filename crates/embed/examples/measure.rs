//! What a review costs from Rust, without and with the face for other languages, and what other languages are
//! measured with: `measure LIBRARY DIRECTORY ROUNDS`.
//!
//! `LIBRARY` is the folder `library` of gatekeeper-library, or one file of policies and objects. Its policies become
//! `DIRECTORY/compile.json`, a compile request; its objects that are no policies `DIRECTORY/objects`, each as the length
//! of its JSON in 32 bits, little endian, and the bytes. `examples/measure.c` of `crates/embed-c` and
//! `bindings/go/examples/measure` read both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs, io};

use portcullis::{Decision, Document, EnforcementPoint, Inventory, Object, PolicySet, Review, World};
use portcullis_embed::{Engine, NoHost};
use serde_json::json;

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [library, directory, rounds] = args.as_slice() else {
        return Err(io::Error::other("usage: measure LIBRARY DIRECTORY ROUNDS"));
    };
    let rounds: u32 = rounds.parse().map_err(io::Error::other)?;
    let (policies, objects) = inputs(Path::new(library))?;
    let texts: Vec<_> = policies.iter().map(|(name, text)| json!({"name": name, "text": text})).collect();
    let request = json!({"version": 1, "partial": true, "documents": texts}).to_string();
    fs::create_dir_all(directory)?;
    fs::write(Path::new(directory).join("compile.json"), &request)?;
    let mut bytes = Vec::new();
    for object in &objects {
        bytes.extend(u32::try_from(object.len()).map_err(io::Error::other)?.to_le_bytes());
        bytes.extend(object.as_bytes());
    }
    fs::write(Path::new(directory).join("objects"), bytes)?;

    let documents = policies.iter().flat_map(|(name, text)| Document::read_all(name, text).0);
    let (policies, _) = PolicySet::compile(documents);
    let engine = Engine::compile(request.as_bytes()).engine.ok_or_else(|| io::Error::other("no engine"))?;
    let (templates, constraints) = (policies.templates().count(), policies.constraints().count());
    println!("{templates} templates, {constraints} constraints, {} objects", objects.len());
    let inventory = Inventory::empty();
    measure("the core: read, judge, lines", rounds, &objects, |object| {
        let Ok(object) = Object::from_yaml(object) else { return 0 };
        let review = Review::from_object(object);
        let outcome =
            policies.review(&review, &World::new(&inventory).with_now(0), EnforcementPoint::Webhook);
        let decision = Decision::from(&outcome);
        decision.denials().len() + decision.warnings().len()
    });
    measure("the same, and positions", rounds, &objects, |object| {
        let Ok(object) = Object::from_yaml(object) else { return 0 };
        let review = Review::from_object(object);
        let outcome =
            policies.review(&review, &World::new(&inventory).with_now(0), EnforcementPoint::Webhook);
        let decision = Decision::from(&outcome);
        let positions = decision.findings.iter().filter_map(portcullis::Finding::position);
        decision.denials().len() + decision.warnings().len() + positions.count()
    });
    for (name, options) in [
        ("JSON, without positions", r#"{"nowMs":0,"positions":false}"#),
        ("JSON, with positions", r#"{"nowMs":0}"#),
    ] {
        measure(name, rounds, &objects, |object| {
            engine.review(object.as_bytes(), options.as_bytes(), &NoHost).len()
        });
    }
    Ok(())
}

/// The mean over the objects, of the best time of each: who else uses the machine makes single ones slower, and never
/// faster.
fn measure(name: &str, rounds: u32, objects: &[String], judge: impl Fn(&str) -> usize) {
    let mut sum = 0;
    let mut took = 0.0;
    for object in objects {
        let mut best = f64::MAX;
        for _ in 0..rounds {
            let begun = Instant::now();
            sum += judge(object);
            best = best.min(begun.elapsed().as_secs_f64() * 1e6);
        }
        took += best;
    }
    let count = u32::try_from(objects.len()).unwrap_or(u32::MAX);
    println!("{name}: {:.1} µs a review (best of {rounds} rounds; {sum})", took / f64::from(count));
}

/// Policies by name, each once, and the objects as JSON.
fn inputs(path: &Path) -> io::Result<(BTreeMap<String, String>, Vec<String>)> {
    let mut files = Vec::new();
    list(path, &mut files)?;
    files.sort();
    let (mut policies, mut objects) = (BTreeMap::new(), Vec::new());
    for file in files {
        let text = fs::read_to_string(&file)?;
        for document in Document::read_all(&file.display().to_string(), &text).0 {
            let json = document.to_json();
            let Ok(object) = Object::from_document(document) else { continue };
            let gvk = object.gvk();
            if gvk.is_suite() || &*gvk.kind == "Kustomization" {
            } else if gvk.is_policy() {
                policies.entry(object.to_string()).or_insert(json.to_string());
            } else {
                objects.push(json.to_string());
            }
        }
    }
    Ok((policies, objects))
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            list(&entry?.path(), files)?;
        }
    } else if path.extension().is_some_and(|extension| extension == "yaml") {
        files.push(path.to_owned());
    }
    Ok(())
}

//! What does a review cost that compares an Ingress with all others, with an index and without, and what the
//! index itself? Our policy, and with `PORTCULLIS_GATEKEEPER_LIBRARY` the one of gatekeeper-library, too.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a measurement of nothing would be worse")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::Document;
use portcullis_rego::{Environment, Program, Query, Unit};
use portcullis_rego_syntax::{Environment as Surroundings, Version, parse, resolve_in};
use portcullis_value::{Limits, Value};
use serde_json::{Value as Json, json};

fn value(json: &serde_json::Value) -> Value {
    Value::from_json(&json.to_string()).expect("JSON")
}

fn program(path: &Path) -> Program {
    let text = std::fs::read_to_string(path).expect("a template");
    let (documents, _) = Document::read_all("template.yaml", &text);
    let target = documents.first().expect("a document").to_json()["spec"]["targets"][0].clone();
    let source =
        [&target["code"][0]["source"], &target].into_iter().find(|source| source["rego"].is_string());
    let source = source.expect("Rego");
    let version = if source["version"] == json!("v1") { Version::V1 } else { Version::V0 };
    let libs = source["libs"].as_array().into_iter().flatten();
    let texts = [&source["rego"]].into_iter().chain(libs).filter_map(Json::as_str);
    let parsed: Vec<_> = texts.map(|text| parse(text, version)).collect();
    let names: Vec<_> =
        parsed.iter().map(|parsed| resolve_in(&parsed.module, &Surroundings::default())).collect();
    let units: Vec<_> =
        parsed.iter().zip(&names).map(|(parsed, names)| Unit { module: &parsed.module, names }).collect();
    let mut query = parsed.first().expect("a module").module.package_path();
    query.push("violation");
    Program::compile(&units, &Query::Path(&query)).expect("a policy that compiles")
}

fn objects(count: usize) -> Vec<Json> {
    let (documents, _) = Document::read_all("generated.yaml", &portcullis_benches::ingresses(count, 7));
    documents.iter().map(Document::to_json).collect()
}

fn data(objects: &[Json]) -> Value {
    let mut namespaces = json!({});
    for object in objects {
        let text = |pointer: &str| object.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        namespaces[namespace]["networking.k8s.io/v1"]["Ingress"][name] = object.clone();
    }
    value(&json!({"inventory": {"namespace": namespaces}}))
}

fn input(object: &Json) -> Value {
    let kind = json!({"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"});
    value(&json!({
        "review": {"kind": kind, "operation": "CREATE", "object": object, "namespace": object["metadata"]["namespace"]},
        "parameters": {},
    }))
}

fn policies() -> Vec<(&'static str, PathBuf)> {
    let ours = portcullis_benches::policies_dir().join("general/unique-ingress-hosts/template.yaml");
    let mut policies = vec![("ours", ours)];
    if let Some(library) = std::env::var_os("PORTCULLIS_GATEKEEPER_LIBRARY") {
        policies.push(("library", Path::new(&library).join("general/uniqueingresshost/template.yaml")));
    }
    policies
}

fn comparing(criterion: &mut Criterion) {
    for (name, path) in policies() {
        let program = program(&path);
        let mut group = criterion.benchmark_group(format!("comparing/{name}"));
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs(1));
        for count in [500, 1_000, 2_000, 12_000] {
            let objects = objects(count);
            let data = data(&objects);
            let inputs: Vec<Value> = objects.iter().take(500).map(input).collect();
            // A scan of the largest takes more steps than a review may.
            let limits = Limits { steps: 100_000_000, memory: 1 << 30, ..Limits::default() };
            let environment = Environment { data: data.clone(), limits, ..Environment::default() };
            let indexes = program.indexes(&data);
            assert!(indexes.is_some(), "the policy has nothing to look up");
            let indexed = Environment { indexes: indexes.as_ref(), ..environment.clone() };
            let mut next = inputs.iter().cycle();
            let mut review = |environment: &Environment<'_>| {
                let input = next.next().cloned();
                black_box(program.evaluate(&Environment { input: input.into(), ..environment.clone() }))
                    .result
            };
            for input in inputs.iter().take(50) {
                let ask = |environment: &Environment<'_>| {
                    program
                        .evaluate(&Environment { input: input.clone().into(), ..environment.clone() })
                        .result
                };
                assert_eq!(ask(&environment), ask(&indexed), "an index changes an answer");
            }
            group.bench_function(format!("{count}/scan"), |bencher| bencher.iter(|| review(&environment)));
            group.bench_function(format!("{count}/index"), |bencher| bencher.iter(|| review(&indexed)));
            group.bench_function(format!("{count}/first"), |bencher| {
                bencher.iter(|| {
                    let indexes = program.indexes(&data);
                    review(&Environment { indexes: indexes.as_ref(), ..environment.clone() })
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, comparing);
criterion_main!(benches);

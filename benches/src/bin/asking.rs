//! What it costs to ask a provider of external data, and what it saves to ask each question once.
//!
//! `asking PROGRAM [PODS] [IMAGES] [MILLISECONDS]`: `PROGRAM` is `portcullis` as released, which audits so many Pods with
//! so many different images between them, while a provider over HTTPS takes so long for each answer. Beside it the
//! same Pods one by one, on one thread: with what was answered kept, and with nothing kept.

use std::error::Error;
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use portcullis::{
    Answers, Document, EnforcementPoint, Inventory, Object, PolicySet, Questions, Resource, Review, Uses,
    Verdict, World,
};
use portcullis_providers::{BlockingProviders, ProviderOptions, Providers};
use portcullis_testkit::builders;
use portcullis_testkit::provider::{Reply, TestProvider};
use serde_json::json;

/// Denies images that the provider has an error of, and whatever else it says that is no answer.
const ASKS: &str = "
violation[{\"msg\": msg}] {
  images := [image | image := input.review.object.spec.containers[_].image]
  answer := external_data({\"provider\": \"signatures\", \"keys\": images})
  wrong := {why | why := answer.errors[_][1]} | {answer.system_error | answer.system_error != \"\"}
  msg := wrong[_]
}
";

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let Some(program) = args.first() else {
        return Err("usage: asking PROGRAM [PODS] [IMAGES] [MILLISECONDS]".into());
    };
    let number =
        |place: usize, default: u64| args.get(place).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (pods, images, takes) =
        (number(1, 10_000), number(2, 50).max(1), Duration::from_millis(number(3, 20)));
    let provider = TestProvider::always(Reply::echo().after(takes));
    let texts = [
        builders::template("Asks", ASKS),
        builders::constraint("Asks", "asks", &json!({})),
        provider.manifest("signatures", 5),
    ];
    let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
    let objects: Vec<String> = (0..pods)
        .map(|number| {
            let image = format!("registry.example/app-{}:1", number % images);
            builders::pod("shop", &format!("pod-{number}"), &image).to_string()
        })
        .collect();

    let folder = tempfile::tempdir()?;
    let (policies, dump) = (folder.path().join("policies.yaml"), folder.path().join("pods.ndjson"));
    fs::write(&policies, texts.join("\n---\n"))?;
    fs::write(
        &dump,
        objects.iter().fold(String::new(), |mut all, one| {
            let _ = writeln!(all, "{one}");
            all
        }),
    )?;
    let begun = Instant::now();
    let run = Command::new(program)
        .args(["audit", "--quiet", "--live-providers", "-p"])
        .arg(&policies)
        .arg(&dump)
        .output()?;
    let took = begun.elapsed();
    if run.status.code() != Some(0) {
        return Err(format!("{}: {}", run.status, String::from_utf8_lossy(&run.stderr)).into());
    }
    tell("the audit", took, &provider);

    let policies = compiled(&texts)?;
    let reviews = objects.iter().map(|text| reviewed(text)).collect::<Result<Vec<Review>, _>>()?;
    for (what, ttl) in
        [("one by one, answers kept", Duration::from_mins(3)), ("one by one, nothing kept", Duration::ZERO)]
    {
        let providers = Providers::new(ProviderOptions { cache_ttl: ttl, ..ProviderOptions::default() });
        if let Some(error) = providers.set(policies.providers()).first() {
            return Err(error.message.clone().into());
        }
        let asked = BlockingProviders::new(providers)?;
        let begun = Instant::now();
        for review in &reviews {
            judge(&policies, review, &asked)?;
        }
        tell(what, begun.elapsed(), &provider);
    }
    Ok(())
}

/// Policies that may ask.
fn compiled(texts: &[String]) -> Result<PolicySet, Box<dyn Error>> {
    let documents = texts.iter().flat_map(|text| Document::read_all("policies.json", text).0);
    let read =
        documents.filter_map(|document| Resource::read_for(&document, Uses::POLICIES.with_providers(true)).0);
    let (policies, errors) = PolicySet::from_resources(read.collect::<Vec<_>>());
    errors.first().map_or(Ok(policies), |error| Err(error.to_string().into()))
}

fn reviewed(text: &str) -> Result<Review, Box<dyn Error>> {
    let document = Document::read_all("pod.json", text).0.into_iter().next().ok_or("no document")?;
    Ok(Review::from_object(Object::from_document(document)?))
}

/// Asks what is needed, and takes no answer for a pass that is none.
fn judge(policies: &PolicySet, review: &Review, asked: &BlockingProviders) -> Result<(), Box<dyn Error>> {
    let inventory = Inventory::default();
    let (world, mut answers) = (World::new(&inventory), Answers::new());
    let answer = |questions: &Questions| asked.answer(questions, None);
    let outcome = policies.review_asking(review, &[], &world, EnforcementPoint::Audit, &mut answers, answer);
    if outcome.results.iter().any(|result| !matches!(result.verdict, Verdict::Pass)) || answers.is_empty() {
        return Err("a Pod was denied".into());
    }
    Ok(())
}

/// How long it took, and what the provider was asked.
fn tell(what: &str, took: Duration, provider: &TestProvider) {
    let asked = provider.take_asked();
    let keys: usize = asked.iter().map(|asked| asked.keys().len()).sum();
    println!("{what}: {:.2} s, {} requests, {keys} keys", took.as_secs_f64(), asked.len());
}

//! Providers under load, over real HTTPS: what is asked once, how many are asked at once, and when nobody is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics when it fails"
)]

use std::time::{Duration, Instant};

use portcullis::{Answers, Document, ProviderAnswer, Question, Questions, Resource, Uses};
use portcullis_providers::{ProviderOptions, Providers};
use portcullis_testkit::provider::{Body, Reply, TestProvider};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn providers(server: &TestProvider, options: ProviderOptions) -> Providers {
    let (documents, _) = Document::read_all("provider.json", &server.manifest("p", 20).to_string());
    let read = Resource::read_for(&documents[0], Uses::POLICIES.with_providers(true));
    let (Some(Resource::Provider(provider)), errors) = read else { panic!("no Provider") };
    assert!(errors.is_empty(), "{errors:?}");
    let providers = Providers::new(options);
    assert!(providers.set(&[provider]).is_empty());
    providers
}

fn questions(key: &str) -> Questions {
    let mut questions = Questions::default();
    questions.ask(Question::ExternalData { provider: "p".into(), key: key.into() }).unwrap();
    questions
}

/// Asks all at once, and waits for all. The answers are in the order of the keys.
async fn ask_all(providers: &Providers, keys: &[String]) -> Vec<Answers> {
    let mut asking = JoinSet::new();
    for (number, key) in keys.iter().enumerate() {
        let (providers, questions) = (providers.clone(), questions(key));
        asking.spawn(async move { (number, providers.answer(&questions, None).await) });
    }
    let mut all = asking.join_all().await;
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, answers)| answers).collect()
}

fn error(answers: &Answers, key: &str) -> String {
    match answers.external_data("p", key) {
        Some(ProviderAnswer::Failure { system_error, .. }) => system_error.to_string(),
        Some(ProviderAnswer::Reply { .. }) => String::new(),
        None => panic!("nothing is said of {key}"),
    }
}

fn keys(number: usize) -> Vec<String> {
    (0..number).map(|number| format!("k{number}")).collect()
}

#[test]
fn who_asks_the_same_at_once_shares_one_request() {
    let server = TestProvider::always(Reply::echo().after(Duration::from_millis(500)));
    let options = ProviderOptions { cache_ttl: Duration::ZERO, ..ProviderOptions::default() };
    let providers = providers(&server, options);
    let (runtime, same) = (runtime(), vec!["k".to_owned(); 20]);
    let all = runtime.block_on(ask_all(&providers, &same));
    assert!(all.iter().all(|answers| error(answers, "k").is_empty()));
    assert_eq!((server.take_asked().len(), providers.metrics().requests()), (1, 1));
    // Nothing is kept: asked later, it is asked again.
    runtime.block_on(ask_all(&providers, &same[..1]));
    assert_eq!(server.take_asked().len(), 1);
}

#[test]
fn only_so_many_are_asked_at_once() {
    const DELAY: Duration = Duration::from_millis(300);
    let server = TestProvider::always(Reply::echo().after(DELAY));
    let options = ProviderOptions { concurrency: 2, ..ProviderOptions::default() };
    let providers = providers(&server, options);
    let (keys, start) = (keys(6), Instant::now());
    let all = runtime().block_on(ask_all(&providers, &keys));
    let took = start.elapsed();
    assert!(all.iter().zip(&keys).all(|(answers, key)| error(answers, key).is_empty()));
    assert_eq!(server.take_asked().len(), 6);
    assert!(took >= 3 * DELAY, "six in pairs took {took:?}");
}

#[test]
fn a_queue_that_is_full_refuses_at_once() {
    let server = TestProvider::always(Reply::echo().after(Duration::from_secs(2)));
    let options = ProviderOptions { concurrency: 1, waiting: 3, ..ProviderOptions::default() };
    let providers = providers(&server, options);
    let keys = keys(10);
    let all = runtime().block_on(ask_all(&providers, &keys));
    let refused =
        all.iter().zip(&keys).filter(|(answers, key)| error(answers, key).contains("too many requests wait"));
    assert_eq!((refused.count(), server.take_asked().len()), (7, 3));
}

#[test]
fn a_provider_that_fails_is_left_alone_for_some_seconds() {
    let server = TestProvider::always(Reply { body: Body::Close, ..Reply::echo() });
    let providers = providers(&server, ProviderOptions::default());
    let runtime = runtime();
    let one = |key: &str| {
        let answers = runtime.block_on(providers.answer(&questions(key), None));
        error(&answers, key)
    };
    for number in 0..5 {
        assert!(!one(&format!("k{number}")).contains("left alone"));
    }
    let asked = server.take_asked().len();
    assert!(asked >= 5, "{asked}");
    server.change(Reply::echo());
    assert!(one("next").contains("it failed too often, and is left alone"));
    assert_eq!(server.take_asked().len(), 0);
    std::thread::sleep(Duration::from_millis(5_200));
    assert_eq!((one("again"), one("more")), (String::new(), String::new()));
}

#[test]
fn what_is_asked_anew_is_neither_taken_from_what_is_kept_nor_kept() {
    let server = TestProvider::echo();
    let providers = providers(&server, ProviderOptions::default());
    let runtime = runtime();
    let asked = |anew: bool| {
        let questions = questions("k");
        runtime.block_on(async {
            if anew {
                providers.answer_anew(&questions, None).await
            } else {
                providers.answer(&questions, None).await
            }
        });
        server.take_asked().len()
    };
    assert_eq!([asked(true), asked(false), asked(false), asked(true), asked(false)], [1, 1, 0, 1, 0]);
}

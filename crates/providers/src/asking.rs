//! All providers, and what is asked of them: from what is kept, together with whoever asks the same, or by one request
//! a provider.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use portcullis::{Answers, Provider, ProviderAnswer, ProviderItem, Questions};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::breaker::Breaker;
use crate::cache::Cache;
use crate::http::{Client, Identity, OldestTls, ProviderError};
use crate::metrics::{Metrics, add};
use crate::protocol::{self, Reply};

/// How providers are asked.
#[derive(Clone, Debug)]
pub struct ProviderOptions {
    /// Who we are.
    pub identity: Option<Identity>,
    /// The oldest version of TLS.
    pub oldest_tls: OldestTls,
    /// How long answers are kept; not at all if zero.
    pub cache_ttl: Duration,
    /// Bytes of answers that are kept.
    pub cache_bytes: usize,
    /// Largest answer of a provider.
    pub answer_bytes: usize,
    /// Requests to one provider at once. Others wait.
    pub concurrency: usize,
    /// Requests to one provider that may wait.
    pub waiting: usize,
}

impl Default for ProviderOptions {
    fn default() -> Self {
        Self {
            identity: None,
            oldest_tls: OldestTls::default(),
            cache_ttl: Duration::from_mins(3),
            cache_bytes: 16 << 20,
            answer_bytes: 1 << 20,
            concurrency: 8,
            waiting: 256,
        }
    }
}

/// Providers that can be asked. Cheap to clone; all clones share what they know.
#[derive(Clone)]
pub struct Providers(Arc<Inner>);

struct Inner {
    options: ProviderOptions,
    state: Mutex<State>,
    metrics: Metrics,
}

struct State {
    known: BTreeMap<Arc<str>, Arc<Known>>,
    cache: Cache,
    /// Keys that somebody is asking for, by provider.
    flights: HashMap<Arc<str>, HashMap<Arc<str>, Flight>>,
}

/// What comes of a request; none while it is under way.
type Flight = watch::Receiver<Option<Arc<HashMap<Arc<str>, ProviderAnswer>>>>;

/// Keys of a provider, and what they wait for.
type Waiting = (Arc<str>, Vec<Arc<str>>, Flight);

struct Known {
    provider: Provider,
    client: Client,
    breaker: Mutex<Breaker>,
    room: Semaphore,
    waiting: AtomicUsize,
}

/// Whether what providers said before counts, and what they say is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caching {
    Kept,
    Anew,
}

/// In Gatekeeper's words.
const UNKNOWN: &str = "key is not found in provider cache";

impl Providers {
    /// Nobody to ask yet.
    #[must_use]
    pub fn new(options: ProviderOptions) -> Self {
        let state = State {
            known: BTreeMap::new(),
            cache: Cache::new(options.cache_ttl, options.cache_bytes),
            flights: HashMap::new(),
        };
        Self(Arc::new(Inner { options, state: Mutex::new(state), metrics: Metrics::default() }))
    }

    /// Says who there is, in the place of whom there was. One that is the same keeps its connections and what it said; of one that is
    /// wrong the one before stays. Returns what is wrong.
    pub fn set(&self, providers: &[Provider]) -> Vec<ProviderError> {
        let mut errors = Vec::new();
        let mut state = self.state();
        let mut known = BTreeMap::new();
        for provider in providers {
            let before = state.known.get(&provider.name).cloned();
            let is_same = |before: &Arc<Known>| {
                let Provider { name: _, url, timeout_seconds, ca_bundle, location: _ } = &before.provider;
                (url, timeout_seconds, ca_bundle)
                    == (&provider.url, &provider.timeout_seconds, &provider.ca_bundle)
            };
            if let Some(same) = before.clone().filter(is_same) {
                known.insert(provider.name.clone(), same);
                continue;
            }
            let options = &self.0.options;
            match Client::new(provider, options.identity.as_ref(), options.oldest_tls) {
                Ok(client) => {
                    let one = Known {
                        provider: provider.clone(),
                        client,
                        breaker: Mutex::default(),
                        room: Semaphore::new(options.concurrency.max(1)),
                        waiting: AtomicUsize::new(0),
                    };
                    state.cache.forget(&provider.name);
                    known.insert(provider.name.clone(), Arc::new(one));
                }
                Err(error) => {
                    errors.push(error);
                    known.extend(before.map(|before| (provider.name.clone(), before)));
                }
            }
        }
        let gone: Vec<Arc<str>> =
            state.known.keys().filter(|name| !known.contains_key(*name)).cloned().collect();
        for name in &gone {
            state.cache.forget(name);
        }
        state.known = known;
        errors
    }

    /// The names of those who can be asked, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<Arc<str>> {
        self.state().known.keys().cloned().collect()
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The counts, as Prometheus reads them.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let bytes = self.state().cache.bytes();
        self.0.metrics.text(bytes)
    }

    /// Answers all questions, in the time of the providers and until the deadline at the latest: what has not come
    /// then is a failure. At most one request a provider.
    ///
    /// Has to be called within a runtime of tokio. If the caller goes away, what is under way is still kept.
    pub async fn answer(&self, questions: &Questions, deadline: Option<Instant>) -> Answers {
        self.answer_by(questions, deadline, Caching::Kept).await
    }

    /// As [`Providers::answer`], by what providers say now: nothing that is kept counts, and nothing is kept. For what is
    /// written into objects.
    pub async fn answer_anew(&self, questions: &Questions, deadline: Option<Instant>) -> Answers {
        self.answer_by(questions, deadline, Caching::Anew).await
    }

    async fn answer_by(&self, questions: &Questions, deadline: Option<Instant>, caching: Caching) -> Answers {
        let mut answers = Answers::new();
        let asked = questions.external_data();
        let mut waits: Vec<Waiting> = Vec::new();
        for (provider, keys) in asked {
            let keys: Vec<Arc<str>> = keys.into_iter().cloned().collect();
            self.begin(provider, keys, caching, &mut answers, &mut waits);
        }
        for (provider, keys, mut flight) in waits {
            let landed = async {
                let landed = flight.wait_for(Option::is_some).await.ok();
                landed.and_then(|landed| landed.clone())
            };
            let landed = match deadline {
                Some(deadline) => {
                    timeout(deadline.saturating_duration_since(Instant::now()), landed).await.ok().flatten()
                }
                None => landed.await,
            };
            for key in keys {
                let answer = landed.as_ref().and_then(|landed| landed.get(&key).cloned());
                let answer = answer.unwrap_or_else(|| {
                    failure(format!("the answer of provider `{provider}` did not come in time"))
                });
                answers.set_external_data(provider.clone(), key, answer);
            }
        }
        answers
    }

    /// Takes what is known of some keys, joins who asks for others, and begins a request for the rest.
    fn begin(
        &self,
        provider: &Arc<str>,
        keys: Vec<Arc<str>>,
        caching: Caching,
        answers: &mut Answers,
        waits: &mut Vec<Waiting>,
    ) {
        let metrics = &self.0.metrics;
        let now = Instant::now();
        let mut state = self.state();
        let mut fresh = Vec::new();
        for key in keys {
            if caching == Caching::Kept
                && let Some(answer) = state.cache.get(provider, &key, now)
            {
                add(&metrics.cached, 1);
                answers.set_external_data(provider.clone(), key, answer.clone());
                continue;
            }
            let flight = state.flights.get(provider).and_then(|flights| flights.get(&key));
            match flight {
                Some(flight) => {
                    add(&metrics.joined, 1);
                    waits.push((provider.clone(), vec![key], flight.clone()));
                }
                None => fresh.push(key),
            }
        }
        if fresh.is_empty() {
            return;
        }
        let Some(known) = state.known.get(provider).cloned() else {
            for key in fresh {
                let answer = ProviderAnswer::Failure { status_code: 400, system_error: UNKNOWN.into() };
                answers.set_external_data(provider.clone(), key, answer);
            }
            return;
        };
        let (sender, receiver) = watch::channel(None);
        let flights = state.flights.entry(provider.clone()).or_default();
        for key in &fresh {
            flights.insert(key.clone(), receiver.clone());
        }
        drop(state);
        waits.push((provider.clone(), fresh.clone(), receiver));
        let this = self.clone();
        let provider = provider.clone();
        tokio::spawn(async move {
            // Whatever happens, nobody waits for it afterwards.
            let landing = Landing { providers: this, provider, keys: fresh };
            let said = landing.providers.ask(&known, &landing.keys).await;
            if caching == Caching::Kept {
                landing.providers.keep(&landing.provider, &said, &known);
            }
            let said: HashMap<Arc<str>, ProviderAnswer> = said.into_iter().collect();
            drop(landing);
            let _ = sender.send(Some(Arc::new(said)));
        });
    }

    /// Keeps what may be kept: what a provider said that was well, of the whole. It is known without a status then.
    fn keep(&self, provider: &Arc<str>, said: &[(Arc<str>, ProviderAnswer)], known: &Arc<Known>) {
        let mut state = self.state();
        // It may have become another one meanwhile.
        if !state.known.get(provider).is_some_and(|current| Arc::ptr_eq(current, known)) {
            return;
        }
        let now = Instant::now();
        for (key, answer) in said {
            let ProviderAnswer::Reply { items, status_code: 200..=299, system_error, is_idempotent } = answer
            else {
                continue;
            };
            let is_silent = items.contains(&ProviderItem::Silent);
            if system_error.is_empty() && !is_silent {
                let (items, system_error) = (items.clone(), system_error.clone());
                let answer = ProviderAnswer::Reply {
                    items,
                    status_code: 0,
                    system_error,
                    is_idempotent: *is_idempotent,
                };
                state.cache.keep(provider, key, answer, now);
            }
        }
    }

    /// One request.
    async fn ask(&self, known: &Known, keys: &[Arc<str>]) -> Vec<(Arc<str>, ProviderAnswer)> {
        let metrics = &self.0.metrics;
        let url = &known.client.url;
        let said = |answer: &ProviderAnswer| keys.iter().map(|key| (key.clone(), answer.clone())).collect();
        let unsent = |why: &str| {
            said(&failure(format!("failed to send external data request: Post \"{url}\": {why}")))
        };
        if known.client.timeout.is_zero() {
            return unsent("the provider has no `timeout`, and so no time");
        }
        let is_full = known.waiting.fetch_add(1, Ordering::Relaxed) >= self.0.options.waiting;
        let _waits = Waits(&known.waiting);
        if is_full {
            add(&metrics.refused, 1);
            return unsent("too many requests wait for this provider");
        }
        let began = Instant::now();
        let admitted = known.breaker.lock().unwrap_or_else(PoisonError::into_inner).admits(began);
        if !admitted {
            add(&metrics.refused, 1);
            return unsent("it failed too often, and is left alone for some seconds");
        }
        let exchange = async {
            let _room = known.room.acquire().await.map_err(|error| error.to_string())?;
            add(&metrics.requests, 1);
            add(&metrics.keys, keys.len());
            known.client.post(Bytes::from(protocol::request(keys)), self.0.options.answer_bytes).await
        };
        let ended = timeout(known.client.timeout, exchange).await;
        metrics
            .nanoseconds
            .fetch_add(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let ended = ended.unwrap_or_else(|_| {
            Err(format!(
                "context deadline exceeded: no answer within {} seconds",
                known.client.timeout.as_secs()
            ))
        });
        let opened = {
            let mut breaker = known.breaker.lock().unwrap_or_else(PoisonError::into_inner);
            breaker.ended(ended.is_ok(), Instant::now())
        };
        add(&metrics.opened, usize::from(opened));
        let read = ended.map(|response| (response.status, Reply::read(&response.body)));
        add(&metrics.failures, usize::from(!matches!(read, Ok((_, Ok(_))))));
        match read {
            Err(why) => unsent(&why),
            Ok((_, Err(why))) => said(&failure(format!("failed to unmarshal external data response: {why}"))),
            Ok((status, Ok(reply))) => reply.of_keys(keys, status),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Providers").field(&self.names()).finish()
    }
}

/// One more that waits, until it is dropped.
struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keys that are being asked for, until it is dropped.
struct Landing {
    providers: Providers,
    provider: Arc<str>,
    keys: Vec<Arc<str>>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut state = self.providers.state();
        let Some(flights) = state.flights.get_mut(&self.provider) else { return };
        for key in &self.keys {
            flights.remove(key);
        }
        if flights.is_empty() {
            state.flights.remove(&self.provider);
        }
    }
}

fn failure(system_error: String) -> ProviderAnswer {
    ProviderAnswer::Failure { status_code: 500, system_error: system_error.into() }
}

//! Traces (feature `otel`): a span per request to `/v1/admit`, below the span of the API server if it sends a
//! `traceparent`, sent to an OpenTelemetry collector as OTLP in JSON over HTTP.
//!
//! OpenTelemetry's crates make, queue and send spans. Their processor has a thread of its own, which hands
//! each batch to `Counting`: it lends that thread the runtime that HTTP needs, and counts what is lost.
//! Spans wait in a queue that ends; who does not take them loses them, and no request.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use axum::http::Uri;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status as SpanStatus, TraceContextExt as _, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanExporter,
};
use serde_json::json;
use tokio::runtime::Handle;

use crate::admission::{Answer, Envelope, Status};
use crate::bounds::cut;
use crate::log::{Level, Log};

/// Spans that wait or are being sent, each of at most some 5 KiB.
const WAITING: usize = 2048;
/// Spans that are sent together.
const TOGETHER: usize = 512;
/// Bytes of a name in a span: those that API servers let pass are shorter.
const NAME: usize = 512;
/// How long a span waits for others.
const DELAY: Duration = Duration::from_secs(1);
/// How long a collector may take for a batch.
const PATIENCE: Duration = Duration::from_secs(3);
const TELL: Duration = Duration::from_mins(1);

/// Where spans go: `http://HOST:PORT[/PATH]`; the path is `/v1/traces` if there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    authority: String,
    path: String,
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Option<Uri> = text.parse().ok().filter(|uri: &Uri| uri.scheme_str() == Some("http"));
        let Some(uri) = uri.filter(|uri| uri.port_u16().is_some()) else {
            return Err(format!(
                "expected `http://HOST:PORT`, found `{text}`: spans are sent without TLS, to a collector on the node or beside the webhook"
            ));
        };
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        let path = uri.path_and_query().map(ToString::to_string).filter(|path| path != "/");
        Ok(Self { authority, path: path.unwrap_or_else(|| "/v1/traces".to_owned()) })
    }
}

/// The span that a request came from, as W3C's `traceparent` writes it. `None` if the text is none: then a
/// trace of its own begins.
#[must_use]
pub fn parent(text: &str) -> Option<SpanContext> {
    /// Of the header that goes with it nothing is kept: it may be long.
    struct Only<'a>(&'a str);
    impl Extractor for Only<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            (key == "traceparent").then_some(self.0)
        }
        fn keys(&self) -> Vec<&str> {
            vec!["traceparent"]
        }
    }
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Only(text));
    let parent = context.span().span_context().clone();
    parent.is_valid().then_some(parent)
}

/// Takes spans. Never waits.
#[derive(Debug)]
pub struct Tracer {
    provider: SdkTracerProvider,
    maker: SdkTracer,
    spans: Arc<Spans>,
}

/// How many spans wait or are being sent, and how many were lost.
#[derive(Debug, Default)]
struct Spans {
    waiting: AtomicUsize,
    lost: AtomicU64,
}

impl Spans {
    /// Takes a place for one more, if there is one.
    fn admit(&self) -> bool {
        let more = |waiting| (waiting < WAITING).then_some(waiting + 1);
        let admitted = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if !admitted {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }
}

/// The last spans are sent by a thread that nobody waits for.
impl Drop for Tracer {
    fn drop(&mut self) {
        let provider = self.provider.clone();
        // Without a thread they are lost.
        let _ = thread::Builder::new().name("traces".to_owned()).spawn(move || provider.shutdown());
    }
}

impl Tracer {
    /// Starts the thread that sends, by connections of `runtime`.
    ///
    /// # Errors
    ///
    /// If the variables of OpenTelemetry in the environment, such as `OTEL_EXPORTER_OTLP_HEADERS`, are wrong.
    pub fn start(endpoint: &Endpoint, runtime: Handle, log: Log) -> io::Result<Self> {
        let Endpoint { authority, path } = endpoint;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpJson)
            .with_endpoint(format!("http://{authority}{path}"))
            .with_timeout(PATIENCE)
            .build()
            .map_err(io::Error::other)?;
        let spans = Arc::<Spans>::default();
        let counting = Counting {
            exporter,
            runtime,
            spans: Arc::clone(&spans),
            collector: authority.clone(),
            log,
            told: Mutex::default(),
        };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(WAITING)
            .with_max_export_batch_size(TOGETHER)
            .with_scheduled_delay(DELAY)
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(counting).with_batch_config(batches).build())
            .with_resource(Resource::builder_empty().with_service_name("portcullis-webhook").build())
            .with_sampler(Sampler::AlwaysOn)
            .build();
        let scope = InstrumentationScope::builder("portcullis-webhook");
        let maker = provider.tracer_with_scope(scope.with_version(env!("CARGO_PKG_VERSION")).build());
        Ok(Self { provider, maker, spans })
    }

    /// Takes the span of a request that has just been answered. If its parent is not sampled, it is not
    /// either.
    pub fn answered(
        &self,
        parent: Option<&SpanContext>,
        path: &'static str,
        envelope: &Envelope,
        answer: &Answer,
        took: Duration,
    ) {
        if parent.is_some_and(|parent| !parent.is_sampled()) || !self.spans.admit() {
            return;
        }
        let end = SystemTime::now();
        let context = parent
            .map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent.clone()));
        let span = SpanBuilder::from_name(format!("POST {path}"))
            .with_kind(SpanKind::Server)
            .with_start_time(end.checked_sub(took).unwrap_or(end))
            .with_attributes(attributes(path, envelope, answer));
        let mut span = self.maker.build_with_context(span, &context);
        if answer.status == Status::Error {
            span.set_status(SpanStatus::error(""));
        }
        span.end_with_timestamp(end);
    }

    /// Spans that found no place or could not be sent.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.spans.lost.load(Ordering::Relaxed)
    }
}

fn attributes(path: &'static str, envelope: &Envelope, answer: &Answer) -> Vec<KeyValue> {
    let [group, version, kind] = envelope.kind();
    // Names are the request's to choose.
    let text = |key: &'static str, value: &str| KeyValue::new(key, cut(value, NAME).into_owned());
    let number = |key: &'static str, value: u64| KeyValue::new(key, i64::try_from(value).unwrap_or(i64::MAX));
    let mut attributes = vec![
        KeyValue::new("http.request.method", "POST"),
        KeyValue::new("url.path", path),
        number("http.response.status_code", 200),
        text("k8s.admission.uid", envelope.uid()),
        text("k8s.admission.operation", envelope.operation()),
        text("k8s.admission.group", group),
        text("k8s.admission.version", version),
        text("k8s.admission.kind", kind),
        text("k8s.namespace.name", envelope.namespace()),
        number("k8s.admission.code", answer.code().into()),
        KeyValue::new("portcullis.status", answer.status.as_str()),
    ];
    if let Some(outcome) = &answer.outcome {
        attributes.push(number("portcullis.constraints", outcome.results.len() as u64));
        let slowest = outcome.results.iter().max_by_key(|result| result.took_ns);
        if let Some(slowest) = slowest {
            attributes.push(text("portcullis.slowest_constraint", &slowest.key().to_string()));
            attributes.push(number("portcullis.slowest_constraint_ns", slowest.took_ns.unwrap_or(0)));
        }
    }
    attributes
}

/// Sends batches, counts those that could not be, and says so now and then.
#[derive(Debug)]
struct Counting {
    exporter: opentelemetry_otlp::SpanExporter,
    runtime: Handle,
    spans: Arc<Spans>,
    collector: String,
    log: Log,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    last: Option<Instant>,
    lost: u64,
}

impl SpanExporter for Counting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let number = batch.len();
        let mut sending = pin!(self.exporter.export(batch));
        // The processor's thread is none of the runtime's, which connections ask for.
        let result = poll_fn(|context| {
            let _runtime = self.runtime.enter();
            sending.as_mut().poll(context)
        })
        .await;
        self.spans.waiting.fetch_sub(number, Ordering::Relaxed);
        if result.is_err() {
            self.spans.lost.fetch_add(number as u64, Ordering::Relaxed);
        }
        self.tell(result.as_ref().err().map(ToString::to_string));
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl Counting {
    fn tell(&self, error: Option<String>) {
        let lost = self.spans.lost.load(Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if lost > told.lost && told.last.is_none_or(|last| last.elapsed() >= TELL) {
            let fields = json!({"lost": lost - told.lost, "collector": self.collector, "error": error});
            self.log.write(Level::Warn, "spans could not be sent", &fields);
            *told = Told { last: Some(Instant::now()), lost };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};
    use serde_json::Value;

    use super::*;

    #[test]
    fn parents_and_endpoints_are_read_strictly() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let found = parent(text).unwrap();
        assert_eq!((found.span_id(), found.is_sampled()), (SpanId::from(0x00f0_67aa_0ba9_02b7), true));
        assert!(!parent(&text.replace("-01", "-00")).unwrap().is_sampled());
        assert!(parent(&format!("{}-more", text.replacen("00", "cc", 1))).is_some());
        for wrong in [
            "",
            "00",
            &text.replace("4bf9", "4BF9"),
            &text.replace("-01", ""),
            &format!("{text}-more"),
            &text.replacen("00", "ff", 1),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parent(wrong), None, "{wrong}");
        }
        let endpoint: Endpoint = "http://127.0.0.1:4318".parse().unwrap();
        assert_eq!((&*endpoint.authority, &*endpoint.path), ("127.0.0.1:4318", "/v1/traces"));
        let endpoint: Endpoint = "http://host:1/a/b".parse().unwrap();
        assert_eq!((&*endpoint.authority, &*endpoint.path), ("host:1", "/a/b"));
        for wrong in
            ["https://127.0.0.1:4318", "127.0.0.1:4318", "http://host", "http://a b:1", "http://h:1/a\r\nb"]
        {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }

    /// The body of the request that comes next, which is answered with a status.
    fn collect(collector: &TcpListener, status: &str) -> Value {
        let (mut stream, _) = collector.accept().unwrap();
        let mut request = Vec::new();
        loop {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).unwrap();
            assert!(read > 0);
            request.extend_from_slice(&bytes[..read]);
            let text = String::from_utf8_lossy(&request);
            let body = text.split_once("\r\n\r\n").map(|(_, body)| serde_json::from_str(body));
            if let Some(Ok(body)) = body {
                assert!(text.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{text}");
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).unwrap();
                return body;
            }
        }
    }

    fn until(what: &str, mut is: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_mins(1);
        while !is() {
            assert!(Instant::now() < end, "{what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn spans_reach_a_collector_and_a_missing_one_stops_nothing() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let collector = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", collector.local_addr().unwrap()).parse().unwrap();
        let tracer = Tracer::start(&endpoint, runtime.handle().clone(), Log::new(io::sink())).unwrap();
        let (envelope, answer) = (Envelope::default(), Answer::failed("no"));
        let parent = |flags| {
            let (trace, span) = (TraceId::from(7), SpanId::from(8));
            SpanContext::new(trace, span, flags, true, TraceState::NONE)
        };
        let (sampled, other) = (parent(TraceFlags::SAMPLED), parent(TraceFlags::NOT_SAMPLED));
        tracer.answered(Some(&other), "/v1/admit", &envelope, &answer, Duration::ZERO);
        tracer.answered(Some(&sampled), "/v1/admit", &envelope, &answer, Duration::from_millis(5));
        tracer.answered(None, "/v1/admit", &envelope, &answer, Duration::ZERO);
        let body = collect(&collector, "200 OK");
        let resource = &body["resourceSpans"][0];
        let service = &resource["resource"]["attributes"][0];
        assert_eq!(service["key"], "service.name");
        assert_eq!(service["value"]["stringValue"], "portcullis-webhook");
        let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
        assert_eq!(spans.len(), 2);
        assert_eq!(spans[0]["name"], "POST /v1/admit");
        assert_eq!(spans[0]["kind"], 2);
        assert_eq!(spans[0]["traceId"], "00000000000000000000000000000007");
        assert_eq!(spans[0]["parentSpanId"], "0000000000000008");
        assert_eq!(spans[0]["status"]["code"], 2);
        let attribute = |key: &str| {
            let all = spans[0]["attributes"].as_array().unwrap();
            all.iter().find(|one| one["key"] == key).map(|one| one["value"].clone()).unwrap()
        };
        assert_eq!(attribute("http.response.status_code")["intValue"], "200");
        assert_eq!(attribute("portcullis.status")["stringValue"], "error");
        assert!(spans[1].get("parentSpanId").is_none_or(|id| id == ""), "{}", spans[1]);
        assert_ne!(spans[0]["spanId"], spans[1]["spanId"]);
        let nanos = |key: &str| spans[0][key].as_str().unwrap().parse::<u64>().unwrap();
        assert_eq!(nanos("endTimeUnixNano") - nanos("startTimeUnixNano"), 5_000_000);
        until("those that were sent make place", || tracer.spans.waiting.load(Ordering::Relaxed) == 0);
        assert_eq!(tracer.lost(), 0);
        // What a collector refuses is lost.
        tracer.answered(None, "/v1/admit", &envelope, &answer, Duration::ZERO);
        collect(&collector, "400 Bad Request");
        until("it is counted", || tracer.lost() == 1);
        drop(collector);
        let mut made = 1;
        until("there is no place left", || {
            tracer.answered(None, "/v1/admit", &envelope, &answer, Duration::ZERO);
            made += 1;
            assert!(tracer.spans.waiting.load(Ordering::Relaxed) <= WAITING);
            tracer.lost() > 1
        });
        // In the end every span was lost, once.
        until("all are counted", || tracer.spans.waiting.load(Ordering::Relaxed) == 0);
        assert_eq!(tracer.lost(), made);
    }
}

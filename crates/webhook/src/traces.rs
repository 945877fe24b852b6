//! Traces (feature `otel`): a span per request to `/v1/admit`, below the span of the API server if it sends a `traceparent`, sent to an
//! OpenTelemetry collector as OTLP in JSON over HTTP.
//!
//! Written by hand: one span of fixed form over plain HTTP to a collector nearby is less than the crates that could do everything else.
//! Spans wait in a queue that ends; who does not take them loses them, and no request.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::admission::{Answer, Envelope, Status};
use crate::bounds::{self, cut};
use crate::log::{Level, Log};
use crate::queue::Queue;

/// Bytes of spans that wait.
const WAITING: usize = 4 << 20;
/// How long a span waits for others.
const DELAY: Duration = Duration::from_secs(1);
/// How long a collector may take for each step.
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
        let rest = text.strip_prefix("http://").ok_or(
            "expected `http://HOST:PORT`: spans are sent without TLS, to a collector on the node or beside the webhook",
        )?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
        if port.is_none() || !is_plain(authority) || !is_plain(path) {
            return Err(format!("expected `http://HOST:PORT`, found `{text}`"));
        }
        let path = if path.is_empty() { "v1/traces" } else { path };
        Ok(Self { authority: authority.to_owned(), path: format!("/{path}") })
    }
}

/// The span that a request came from, as W3C's `traceparent` writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    trace: u128,
    span: u64,
    is_sampled: bool,
}

impl Parent {
    /// `None` if the text is none: then a trace of its own begins.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
        };
        let fits = is_hex(version, 2) && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
        // Later versions may have more parts, the first has not.
        if !fits || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let (trace, span) = (u128::from_str_radix(trace, 16).ok()?, u64::from_str_radix(span, 16).ok()?);
        let is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        (trace != 0 && span != 0).then_some(Self { trace, span, is_sampled })
    }
}

/// Takes spans. Never waits.
#[derive(Debug)]
pub struct Tracer {
    spans: Arc<Queue>,
    made: AtomicU64,
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.spans.close();
    }
}

impl Tracer {
    /// Starts the thread that sends.
    ///
    /// # Errors
    ///
    /// If the system gives no more threads.
    pub fn start(endpoint: Endpoint, log: Log) -> io::Result<Self> {
        let spans = Arc::new(Queue::new(WAITING));
        let of_thread = Arc::clone(&spans);
        thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || send_all(&of_thread, &endpoint, &log))?;
        Ok(Self { spans, made: AtomicU64::new(0) })
    }

    /// Takes the span of a request that has just been answered. If its parent is not sampled, it is not either.
    pub fn answered(&self, parent: Option<Parent>, envelope: &Envelope, answer: &Answer, took: Duration) {
        if parent.is_some_and(|parent| !parent.is_sampled) {
            return;
        }
        let end = SystemTime::now();
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        self.spans.put(span(parent, envelope, answer, end, took, number).to_string().into_bytes());
    }

    /// Spans that found no place or could not be sent.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.spans.lost()
    }
}

fn span(
    parent: Option<Parent>,
    envelope: &Envelope,
    answer: &Answer,
    end: SystemTime,
    took: Duration,
    number: u64,
) -> Value {
    let nanos = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string();
    let start = end.checked_sub(took).unwrap_or(end);
    // Differs from process to process by the time, and within one by the number.
    let seed = format!("{} {number} {} {}", std::process::id(), nanos(end), envelope.uid());
    let digest = Sha256::digest(seed.as_bytes());
    let part = |from: usize, length: usize| {
        digest.iter().skip(from).take(length).fold(0_u128, |id, byte| id << 8 | u128::from(*byte)).max(1)
    };
    let (trace, id) = (parent.map_or_else(|| part(0, 16), |parent| parent.trace), part(16, 8));
    let [group, version, kind] = envelope.kind();
    // Names are the request's to choose.
    let text =
        |key: &str, value: &str| json!({"key": key, "value": {"stringValue": cut(value, bounds::NAME)}});
    let number = |key: &str, value: u64| json!({"key": key, "value": {"intValue": value.to_string()}});
    let mut attributes = vec![
        text("http.request.method", "POST"),
        text("url.path", "/v1/admit"),
        number("http.response.status_code", 200),
        text("k8s.admission.uid", envelope.uid()),
        text("k8s.admission.operation", envelope.operation()),
        text("k8s.admission.group", group),
        text("k8s.admission.version", version),
        text("k8s.admission.kind", kind),
        text("k8s.namespace.name", envelope.namespace()),
        number("k8s.admission.code", answer.code().into()),
        text("portcullis.status", answer.status.as_str()),
    ];
    if let Some(outcome) = &answer.outcome {
        attributes.push(number("portcullis.constraints", outcome.results.len() as u64));
        let slowest = outcome.results.iter().max_by_key(|result| result.took_ns);
        if let Some(slowest) = slowest {
            attributes.push(text("portcullis.slowest_constraint", &slowest.key().to_string()));
            attributes.push(number("portcullis.slowest_constraint_ns", slowest.took_ns.unwrap_or(0)));
        }
    }
    let mut span = json!({
        "traceId": format!("{trace:032x}"),
        "spanId": format!("{id:016x}"),
        "name": "POST /v1/admit",
        // A server's.
        "kind": 2,
        "startTimeUnixNano": nanos(start),
        "endTimeUnixNano": nanos(end),
        "attributes": attributes,
        "status": if answer.status == Status::Error { json!({"code": 2}) } else { json!({}) },
    });
    if let (Some(parent), Some(fields)) = (parent, span.as_object_mut()) {
        fields.insert("parentSpanId".to_owned(), format!("{:016x}", parent.span).into());
    }
    span
}

fn send_all(spans: &Queue, endpoint: &Endpoint, log: &Log) {
    let mut told: Option<Instant> = None;
    let mut reported = 0;
    loop {
        if spans.wait(TELL) {
            // So that some are sent together.
            thread::sleep(DELAY);
        }
        let batch = spans.take(Duration::ZERO);
        if batch.is_last {
            return;
        }
        let mut error = None;
        if !batch.pieces.is_empty()
            && let Err(reason) = send(endpoint, &body(&batch.pieces))
        {
            error = Some(reason.to_string());
            spans.lose(batch.pieces.len() as u64);
        }
        let lost = spans.lost();
        if lost > reported && told.is_none_or(|told| told.elapsed() >= TELL) {
            told = Some(Instant::now());
            let fields = json!({"lost": lost - reported, "collector": endpoint.authority, "error": error});
            log.write(Level::Warn, "spans could not be sent", &fields);
            reported = lost;
        }
    }
}

/// Spans as a collector takes them.
fn body(spans: &[Box<[u8]>]) -> Vec<u8> {
    let resource =
        json!({"attributes": [{"key": "service.name", "value": {"stringValue": "portcullis-webhook"}}]});
    let scope = json!({"name": "portcullis-webhook", "version": env!("CARGO_PKG_VERSION")});
    let mut body =
        format!(r#"{{"resourceSpans":[{{"resource":{resource},"scopeSpans":[{{"scope":{scope},"spans":["#)
            .into_bytes();
    body.extend(spans.join(&b','));
    body.extend(b"]}]}]}");
    body
}

fn send(endpoint: &Endpoint, body: &[u8]) -> io::Result<()> {
    let address = endpoint.authority.to_socket_addrs()?.next();
    let address = address.ok_or_else(|| io::Error::other("the name has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = format!("POST {} HTTP/1.1\r\nhost: {}\r\n", endpoint.path, endpoint.authority);
    // Writing to a string cannot fail.
    let _ = write!(
        request,
        "content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    stream.write_all(body)?;
    let mut status = String::new();
    // A status line is short, whoever answers.
    BufReader::new(stream.take(256)).read_line(&mut status)?;
    match status.split(' ').nth(1) {
        Some(code) if code.starts_with('2') => Ok(()),
        _ => Err(io::Error::other(format!("the collector answered `{}`", status.trim_end().escape_debug()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn parents_and_endpoints_are_read_strictly() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = Parent::parse(text).unwrap();
        assert_eq!((parent.span, parent.is_sampled), (0x00f0_67aa_0ba9_02b7, true));
        assert!(!Parent::parse(&text.replace("-01", "-00")).unwrap().is_sampled);
        assert!(Parent::parse(&format!("{}-more", text.replacen("00", "cc", 1))).is_some());
        for wrong in [
            "",
            "00",
            &text.replace("4bf9", "4BF9"),
            &text.replace("-01", ""),
            &format!("{text}-more"),
            &text.replacen("00", "ff", 1),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Parent::parse(wrong), None, "{wrong}");
        }
        let endpoint: Endpoint = "http://127.0.0.1:4318".parse().unwrap();
        assert_eq!((&*endpoint.authority, &*endpoint.path), ("127.0.0.1:4318", "/v1/traces"));
        for wrong in
            ["https://127.0.0.1:4318", "127.0.0.1:4318", "http://host", "http://a b:1", "http://h:1/a\r\nb"]
        {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans_reach_a_collector_and_a_missing_one_stops_nothing() {
        let collector = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", collector.local_addr().unwrap()).parse().unwrap();
        let tracer = Tracer::start(endpoint, Log::new(io::sink())).unwrap();
        let (envelope, answer) = (Envelope::default(), Answer::failed("no"));
        let sampled = Parent { trace: 7, span: 8, is_sampled: true };
        tracer.answered(Some(Parent { is_sampled: false, ..sampled }), &envelope, &answer, Duration::ZERO);
        tracer.answered(Some(sampled), &envelope, &answer, Duration::from_millis(5));
        tracer.answered(None, &envelope, &answer, Duration::ZERO);
        let (mut stream, _) = collector.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}]}]}]}") {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).unwrap();
            assert!(read > 0);
            request.extend_from_slice(&bytes[..read]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let text = String::from_utf8(request).unwrap();
        assert!(text.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{text}");
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
        assert_eq!(spans.len(), 2);
        assert_eq!(spans[0]["traceId"], "00000000000000000000000000000007");
        assert_eq!(spans[0]["parentSpanId"], "0000000000000008");
        assert_eq!(spans[0]["status"]["code"], 2);
        assert_eq!(spans[1].get("parentSpanId"), None);
        assert_ne!(spans[0]["spanId"], spans[1]["spanId"]);
        let nanos = |key: &str| spans[0][key].as_str().unwrap().parse::<u64>().unwrap();
        assert_eq!(nanos("endTimeUnixNano") - nanos("startTimeUnixNano"), 5_000_000);
        drop((stream, collector));
        for _ in 0..WAITING / 256 {
            tracer.answered(None, &envelope, &answer, Duration::ZERO);
            assert!(tracer.spans.bytes() <= WAITING);
        }
        assert!(tracer.lost() > 0);
    }
}

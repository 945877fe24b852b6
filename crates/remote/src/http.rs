//! Requests to registries: bounded in time and bytes, with redirects that never take credentials to somebody else.

use std::fs;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, Method, StatusCode, Uri, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use crate::error::{RemoteError, RemoteErrorKind, local};
use crate::options::Options;

/// Most time until a connection stands, and from a request to the head of its answer.
const CONNECTING: Duration = Duration::from_secs(10);
const ANSWERING: Duration = Duration::from_secs(30);
/// Most redirects that are followed, one after the other.
const REDIRECTS: usize = 5;
/// Most bytes of what a server says about an error, of which the first sentences are shown.
const EXPLANATION: u64 = 8 << 10;

/// An address: scheme, host and port, and what is asked for there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(Uri);

impl Address {
    /// Reads one. None has a user in it: addresses are shown.
    pub(crate) fn parse(text: &str) -> Result<Self, RemoteError> {
        let wrong =
            || RemoteError::new(RemoteErrorKind::Untrue, format!("`{text}` is no address that is followed"));
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().ok_or_else(wrong)?.as_str();
        if !is_known || authority.contains('@') || uri.host().is_none_or(str::is_empty) {
            return Err(wrong());
        }
        Ok(Self(uri))
    }

    /// Where a header `Location` leads.
    pub(crate) fn join(&self, location: &str) -> Result<Self, RemoteError> {
        let scheme = self.0.scheme_str().unwrap_or_default();
        if location.starts_with("//") {
            return Self::parse(&format!("{scheme}:{location}"));
        }
        if location.starts_with('/') {
            let authority = self.0.authority().map(ureq::http::uri::Authority::as_str).unwrap_or_default();
            return Self::parse(&format!("{scheme}://{authority}{location}"));
        }
        Self::parse(location)
    }

    /// The same with one more parameter.
    pub(crate) fn with_parameter(&self, name: &str, value: &str) -> Result<Self, RemoteError> {
        let mark = if self.0.query().is_some() { '&' } else { '?' };
        Self::parse(&format!("{}{mark}{name}={}", self.0, escaped(value)))
    }

    /// Whether both are of the same server, as browsers understand it.
    pub(crate) fn is_of_same(&self, other: &Self) -> bool {
        let origin = |address: &Self| {
            let scheme = address.0.scheme_str().unwrap_or_default().to_owned();
            let port = address.0.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
            (scheme, address.0.host().unwrap_or_default().to_ascii_lowercase(), port)
        };
        origin(self) == origin(other)
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    fn is_loopback(&self) -> bool {
        is_loopback(self.0.host().unwrap_or_default())
    }

    /// For messages: without parameters, which may be secrets of whoever signed them.
    pub(crate) fn shown(&self) -> String {
        self.0.to_string().split('?').next().unwrap_or_default().to_owned()
    }
}

/// A part of an address, percent-encoded.
pub(crate) fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Whether a host is this machine, by its name.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What is asked for.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) address: Address,
    pub(crate) accept: &'a str,
    /// The header that says who we are.
    pub(crate) authorization: Option<&'a str>,
    /// The type of the body, and the body.
    pub(crate) body: Option<(&'a str, &'a [u8])>,
}

/// An answer whose body is yet to come.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Who gave it in the end.
    pub(crate) address: Address,
    body: Body,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as it comes.
    pub(crate) fn reader(self) -> impl Read {
        self.body.into_reader()
    }

    /// The whole body, if it is not larger than that.
    pub(crate) fn bytes(self, most: u64, what: &str) -> Result<Vec<u8>, RemoteError> {
        let shown = self.address.shown();
        let mut bytes = Vec::new();
        let read = self.reader().take(most.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| broken_off(&shown, &error))?;
        if bytes.len() as u64 > most {
            let message = format!("{what} has more than {most} bytes");
            return Err(RemoteError::new(RemoteErrorKind::Limit, message));
        }
        Ok(bytes)
    }

    /// What the server says of an answer that is no success.
    pub(crate) fn failure(self, doing: &str) -> RemoteError {
        let status = self.status;
        let kind = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RemoteErrorKind::Refused,
            StatusCode::NOT_FOUND => RemoteErrorKind::NotFound,
            _ => RemoteErrorKind::Unreachable,
        };
        let mut text = Vec::new();
        // Only to be shown.
        let _ = self.reader().take(EXPLANATION).read_to_end(&mut text);
        let said = serde_json::from_slice::<serde_json::Value>(&text).ok().and_then(|value| {
            let first = value.get("errors")?.as_array()?.first()?;
            let part = |name| first.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
            let (code, message) = (part("code"), part("message"));
            Some(if message.is_empty() { code.to_owned() } else { format!("{code}, {message}") })
        });
        let said = said.filter(|said| !said.is_empty()).map(|said| format!(" ({said})")).unwrap_or_default();
        RemoteError::new(kind, format!("{doing}: the server answers {status}{said}"))
    }
}

/// Whether a request changes nothing.
fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// A body that ended early.
pub(crate) fn broken_off(shown: &str, error: &io::Error) -> RemoteError {
    RemoteError::new(RemoteErrorKind::Unreachable, format!("`{shown}`: the answer broke off: {error}"))
}

/// Makes requests until a moment.
pub(crate) struct Client {
    agent: Agent,
    /// For this machine, of which no proxy knows.
    direct: Agent,
    end: Instant,
    timeout: Duration,
    plain_http: bool,
    trusts_file: bool,
}

impl Client {
    /// A client for one source, which has all of the time.
    pub(crate) fn new(options: &Options) -> Result<Self, RemoteError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = if let Some(file) = &options.ca_file {
            certificates_of(file)?
        } else {
            // What of the system cannot be read is not trusted; if that is all, TLS says so.
            let found = rustls_native_certs::load_native_certs().certs;
            found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect()
        };
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .build();
        let settings = || {
            Agent::config_builder()
                .tls_config(tls.clone())
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
                .timeout_resolve(Some(CONNECTING))
                .timeout_connect(Some(CONNECTING))
                .timeout_recv_response(Some(ANSWERING))
        };
        let now = Instant::now();
        Ok(Self {
            agent: settings().build().new_agent(),
            direct: settings().proxy(None).build().new_agent(),
            end: now.checked_add(options.timeout).unwrap_or(now),
            timeout: options.timeout,
            plain_http: options.plain_http,
            trusts_file: options.ca_file.is_some(),
        })
    }

    /// The address of a registry: without TLS only on this machine, or where somebody said so.
    pub(crate) fn registry(&self, host: &str) -> Result<Address, RemoteError> {
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        let is_plain = self.plain_http || (is_loopback(name) && !self.trusts_file);
        Address::parse(&format!("{}://{host}/", if is_plain { "http" } else { "https" }))
    }

    /// Asks, and again if the server has no time for what only reads.
    pub(crate) fn ask(&self, ask: &Ask<'_>) -> Result<Answer, RemoteError> {
        const TRIES: u32 = 3;
        const LONGEST: Duration = Duration::from_secs(10);
        for wait in 1..TRIES {
            let answer = self.follow(ask)?;
            let is_passing = matches!(answer.status.as_u16(), 429 | 502 | 503 | 504);
            if !is_passing || !is_read(&ask.method) {
                return Ok(answer);
            }
            let said = answer.header("retry-after").and_then(|seconds| seconds.parse().ok());
            let wait = Duration::from_secs(said.unwrap_or(u64::from(wait))).min(LONGEST);
            std::thread::sleep(wait.min(self.end.saturating_duration_since(Instant::now())));
        }
        self.follow(ask)
    }

    /// Asks, and follows redirects of what only reads.
    fn follow(&self, ask: &Ask<'_>) -> Result<Answer, RemoteError> {
        let mut address = ask.address.clone();
        for _ in 0..=REDIRECTS {
            // Who we are is for the server that was asked, and for no other.
            let authorization = ask.authorization.filter(|_| address.is_of_same(&ask.address));
            let answer = self.once(ask, &address, authorization)?;
            if !answer.status.is_redirection() || !is_read(&ask.method) {
                return Ok(answer);
            }
            let Some(location) = answer.header("location") else { return Ok(answer) };
            let next = address.join(location)?;
            self.may_follow(&ask.address, &next)?;
            address = next;
        }
        let message = format!("`{}`: there are more than {REDIRECTS} redirects", ask.address.shown());
        Err(RemoteError::new(RemoteErrorKind::Untrue, message))
    }

    /// Whether somebody may send us there: never from TLS to none, and never to this machine from another.
    pub(crate) fn may_follow(&self, from: &Address, to: &Address) -> Result<(), RemoteError> {
        let refused = |why: &str| {
            let message =
                format!("`{}` leads to `{}`, {why}: that is not followed", from.shown(), to.shown());
            Err(RemoteError::new(RemoteErrorKind::Untrue, message))
        };
        if from.is_https() && !to.is_https() {
            return refused("without TLS");
        }
        if !to.is_https() && !to.is_loopback() && !self.plain_http {
            return refused("without TLS");
        }
        if to.is_loopback() && !from.is_loopback() {
            return refused("which is this machine");
        }
        Ok(())
    }

    fn once(
        &self,
        ask: &Ask<'_>,
        address: &Address,
        authorization: Option<&str>,
    ) -> Result<Answer, RemoteError> {
        let shown = address.shown();
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.late(&shown));
        }
        let agent = if address.is_loopback() { &self.direct } else { &self.agent };
        let mut request = ureq::http::Request::builder().method(ask.method.clone()).uri(address.0.clone());
        request = request.header(header::ACCEPT, ask.accept);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let unsent = |_| {
            RemoteError::new(
                RemoteErrorKind::Untrue,
                format!("`{shown}`: what the server gave us cannot be sent"),
            )
        };
        let answer = if let Some((kind, bytes)) = ask.body {
            let request = request.header(header::CONTENT_TYPE, kind).body(bytes).map_err(unsent)?;
            agent.run(agent.configure_request(request).timeout_global(Some(left)).build())
        } else {
            let request = request.body(()).map_err(unsent)?;
            agent.run(agent.configure_request(request).timeout_global(Some(left)).build())
        };
        let (parts, body) = answer.map_err(|error| self.unanswered(&shown, &error))?.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, address: address.clone(), body })
    }

    fn unanswered(&self, shown: &str, error: &ureq::Error) -> RemoteError {
        match error {
            ureq::Error::Timeout(ureq::Timeout::Global) => self.late(shown),
            ureq::Error::Timeout(_) => {
                RemoteError::new(RemoteErrorKind::Unreachable, format!("`{shown}` does not answer"))
            }
            ureq::Error::HostNotFound => {
                RemoteError::new(RemoteErrorKind::Unreachable, format!("`{shown}`: there is no such host"))
            }
            other => {
                let error = RemoteError::new(
                    RemoteErrorKind::Unreachable,
                    format!("`{shown}` cannot be reached: {other}"),
                );
                let said = format!("{other:?}");
                if said.contains("InvalidCertificate") {
                    return error.hint("name the certificate of its CA with `--ca-file`");
                }
                if said.contains("InvalidMessage") {
                    return error.hint("it may speak no TLS: `--plain-http` does without");
                }
                error
            }
        }
    }

    fn late(&self, shown: &str) -> RemoteError {
        let seconds = self.timeout.as_secs();
        RemoteError::new(RemoteErrorKind::Limit, format!("`{shown}`: not all came within {seconds} seconds"))
            .hint("`--fetch-timeout` gives more time")
    }
}

fn certificates_of(file: &Path) -> Result<Vec<Certificate<'static>>, RemoteError> {
    let shown = file.display();
    let pem = fs::read(file).map_err(|error| local(&format!("`{shown}` cannot be read"), &error))?;
    let wrong = || RemoteError::new(RemoteErrorKind::Local, format!("`{shown}` has no certificates in PEM"));
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|_| wrong())? {
            found.push(certificate);
        }
    }
    if found.is_empty() { Err(wrong()) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_the_same_by_scheme_host_and_port() {
        let address = |text: &str| Address::parse(text).unwrap();
        let base = address("https://a.example/v2/");
        for same in ["https://a.example/x?y", "https://A.example:443/"] {
            assert!(base.is_of_same(&address(same)), "{same}");
        }
        for other in [
            "http://a.example/",
            "https://a.example:444/",
            "https://b.example/",
            "https://a.example.b.example/",
        ] {
            assert!(!base.is_of_same(&address(other)), "{other}");
        }
        assert_eq!(base.join("/x?y=z").unwrap(), address("https://a.example/x?y=z"));
        assert_eq!(base.join("//b.example/x").unwrap(), address("https://b.example/x"));
        for wrong in ["x", "file:///etc/passwd", "https://user:pass@a.example/", "https:///x", "ftp://a/"] {
            assert!(base.join(wrong).is_err(), "{wrong}");
        }
        assert_eq!(address("https://a.example/x?secret=1").shown(), "https://a.example/x");
        assert_eq!(
            address("https://a.example/x?a=b").with_parameter("c", "d:e f").unwrap().0.query(),
            Some("a=b&c=d%3Ae%20f")
        );
    }

    #[test]
    fn nobody_sends_us_where_we_should_not_go() {
        let address = |text: &str| Address::parse(text).unwrap();
        let client = Client::new(&Options::default()).unwrap();
        let may = |from: &str, to: &str| client.may_follow(&address(from), &address(to)).is_ok();
        assert!(may("https://a.example/", "https://storage.example/x"));
        assert!(may("http://localhost:5000/", "http://127.0.0.1:9000/x"));
        assert!(!may("https://a.example/", "http://a.example/"));
        assert!(!may("http://localhost/", "http://a.example/"));
        assert!(!may("https://a.example/", "https://127.0.0.1/"));
        assert!(!may("https://a.example/", "https://[::1]/"));
        let open = Client::new(&Options { plain_http: true, ..Options::default() }).unwrap();
        assert!(open.may_follow(&address("http://a.example/"), &address("http://b.example/")).is_ok());
        assert!(open.may_follow(&address("https://a.example/"), &address("http://b.example/")).is_err());
    }

    #[test]
    fn only_this_machine_is_spoken_to_without_tls() {
        let scheme = |options: &Options, host: &str| {
            Client::new(options).unwrap().registry(host).unwrap().0.scheme_str().unwrap().to_owned()
        };
        let options = Options::default();
        for host in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000", "localhost"] {
            assert_eq!(scheme(&options, host), "http", "{host}");
        }
        for host in ["ghcr.io", "localhost.example:80", "127.0.0.1.example", "10.0.0.1:5000", "[::2]:5000"] {
            assert_eq!(scheme(&options, host), "https", "{host}");
        }
        assert_eq!(scheme(&Options { plain_http: true, ..options }, "ghcr.io"), "http");
    }
}

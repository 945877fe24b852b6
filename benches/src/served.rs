//! The webhook as a process, with certificates of our own, and clients that ask it over TLS.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a measurement that cannot be made ends"
)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

/// A CA, and certificates that are mounted as a Secret is.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Puts a new certificate in the place of the one before, behind a link.
    pub fn rotate(&self, directory: &Path, number: usize) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let folder = directory.join(format!("certificate-{number}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
        fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
        let next = directory.join("next");
        std::os::unix::fs::symlink(&folder, &next).unwrap();
        fs::rename(next, directory.join("certificate")).unwrap();
    }

    /// What clients that trust it connect with.
    pub fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider);
        let client = client.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        Arc::new(client.with_no_client_auth())
    }
}

/// A connection to the webhook.
pub type Connection = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// The webhook, running until it is dropped.
pub struct Webhook {
    child: Child,
    address: String,
}

impl Webhook {
    /// Starts it, with the certificate that is in `directory` and further flags.
    pub fn start(
        program: &Path,
        directory: &Path,
        policies: &Path,
        resources: Option<&Path>,
        flags: &[&str],
    ) -> Self {
        let certificate = directory.join("certificate");
        let mut child = Command::new(program)
            .arg("--policies")
            .arg(policies)
            .args(resources.into_iter().flat_map(|path| ["--resources".as_ref(), path.as_os_str()]))
            .arg("--tls-cert")
            .arg(certificate.join("tls.crt"))
            .arg("--tls-key")
            .arg(certificate.join("tls.key"))
            .args(["--listen", "127.0.0.1:0", "--log-denies", "false"])
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut log = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let listening = log.by_ref().map_while(Result::ok).find(|line| line.contains("\"listening\""));
        let listening: Value = serde_json::from_str(&listening.expect("it starts")).unwrap();
        // Read to the end, so that it does not wait for a reader.
        thread::spawn(move || log.map_while(Result::ok).for_each(drop));
        Self { child, address: listening["address"].as_str().unwrap().to_owned() }
    }

    /// A new connection.
    pub fn connect(&self, client: &Arc<ClientConfig>) -> Connection {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let client = ClientConnection::new(Arc::clone(client), "localhost".try_into().unwrap()).unwrap();
        BufReader::new(StreamOwned::new(client, stream))
    }

    /// What is at a path.
    pub fn get(&self, client: &Arc<ClientConfig>, path: &str) -> String {
        let (_, body) = exchange(&mut self.connect(client), "GET", path, "").unwrap();
        String::from_utf8(body).unwrap()
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }

    /// Asks it to end, and says how it did.
    pub fn stop(mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        println!("the webhook ended with {}", self.child.wait().unwrap());
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        // It has ended, unless something went wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request and reads the answer: HTTP status and body.
///
/// # Errors
///
/// If the connection breaks.
pub fn exchange(
    connection: &mut Connection,
    method: &str,
    path: &str,
    body: &str,
) -> std::io::Result<(u16, Vec<u8>)> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    // Writing to a string cannot fail.
    let _ = write!(request, "content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    connection.get_mut().write_all(request.as_bytes())?;
    connection.get_mut().flush()?;
    let (mut http, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_lowercase();
        if let Some(status) = line.strip_prefix("http/1.1 ") {
            http = status.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0);
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap_or(0);
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    Ok((http, body))
}

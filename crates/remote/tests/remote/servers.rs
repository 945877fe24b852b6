//! Registries to talk to: Debian's `docker-registry` on loopback, and a server of ours that says whatever a test wants.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// What is sent.
pub enum Reply {
    Whole {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// A body that never ends.
    Endless,
    /// A byte now and then.
    Drip,
    /// Nothing, for as long as somebody waits.
    Silent,
}

impl Reply {
    pub fn of(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::Whole { status, headers, body: body.into() }
    }
}

/// A server that answers as a function says, and remembers what it was asked.
pub struct Server {
    pub host: String,
    pub asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Its threads live as long as the tests.
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (answer, kept) = (Arc::new(answer), asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, kept) = (answer.clone(), kept.clone());
                thread::spawn(move || {
                    // Who hangs up is done.
                    let _ = serve(&stream, &*answer, &kept);
                });
            }
        });
        Self { host, asked }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    stream: &TcpStream,
    answer: &dyn Fn(&Request) -> Reply,
    asked: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let Some(request) = read_request(&mut reader)? else { return Ok(()) };
        asked.lock().unwrap().push(request.clone());
        match answer(&request) {
            Reply::Whole { status, headers, body } => {
                let mut head = format!("HTTP/1.1 {status} X\r\n");
                for (name, value) in &headers {
                    write!(head, "{name}: {value}\r\n").unwrap();
                }
                if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
                    write!(head, "content-length: {}\r\n", body.len()).unwrap();
                }
                stream.write_all(head.as_bytes())?;
                stream.write_all(b"\r\n")?;
                if request.method != "HEAD" {
                    stream.write_all(&body)?;
                }
            }
            Reply::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
                loop {
                    stream.write_all(&[b'x'; 8192])?;
                }
            }
            Reply::Drip => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")?;
                loop {
                    stream.write_all(b"x")?;
                    thread::sleep(Duration::from_millis(50));
                }
            }
            Reply::Silent => loop {
                thread::sleep(Duration::from_mins(1));
            },
        }
    }
}

fn read_request(reader: &mut impl std::io::BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        ..Request::default()
    };
    request.headers = read_headers(reader)?;
    let length = request.headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

fn read_headers(reader: &mut impl std::io::BufRead) -> std::io::Result<BTreeMap<String, String>> {
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => _ = headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None => return Ok(headers),
        }
    }
}

/// One request over plain HTTP, as another tool would make it.
pub fn request(
    host: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, BTreeMap<String, String>, Vec<u8>) {
    let mut stream = TcpStream::connect(host).unwrap();
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    let headers = read_headers(&mut reader).unwrap();
    let mut body = Vec::new();
    if method != "HEAD" {
        reader.read_to_end(&mut body).unwrap();
    }
    (status, headers, body)
}

pub fn digest(bytes: &[u8]) -> String {
    let hex: Vec<String> = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{}", hex.concat())
}

/// A layer of a manifest that another tool would write: its type, its annotations, its bytes.
pub struct Layer {
    pub media_type: &'static str,
    pub annotations: Vec<(&'static str, String)>,
    pub bytes: Vec<u8>,
}

pub const TITLE: &str = "org.opencontainers.image.title";
pub const UNPACK: &str = "io.deis.oras.content.unpack";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

impl Layer {
    /// As `conftest push` makes one of a file.
    pub fn titled(media_type: &'static str, title: &str, text: &str) -> Self {
        Self { media_type, annotations: vec![(TITLE, title.to_owned())], bytes: text.as_bytes().to_vec() }
    }

    /// As `oras push` makes one of a folder, which gator's manual pushes with.
    pub fn folder(title: &str, files: &[(&str, &str)]) -> Self {
        let annotations = vec![(TITLE, title.to_owned()), (UNPACK, "true".to_owned())];
        Self {
            media_type: "application/vnd.oci.image.layer.v1.tar+gzip",
            annotations,
            bytes: gzip(&tar(files)),
        }
    }

    pub fn json(&self) -> String {
        let pairs: Vec<String> = self
            .annotations
            .iter()
            .map(|(key, value)| format!("{}:{}", quoted(key), quoted(value)))
            .collect();
        format!(
            r#"{{"mediaType":"{}","digest":"{}","size":{},"annotations":{{{}}}}}"#,
            self.media_type,
            digest(&self.bytes),
            self.bytes.len(),
            pairs.join(",")
        )
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// An archive of files.
pub fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        if path.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
        }
        header.set_size(text.len() as u64);
        // The path as it is, also one that no tool would write.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        builder.append(&header, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What is written of a manifest without an artifact type, as conftest's.
pub fn manifest(layers: &[Layer]) -> String {
    let layers: Vec<String> = layers.iter().map(Layer::json).collect();
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.unknown.config.v1+json","digest":"{}","size":2}},"layers":[{}]}}"#,
        digest(b"{}"),
        layers.join(",")
    )
}

/// Debian's registry, in a folder of its own.
pub struct Registry {
    pub host: String,
    child: Child,
    folder: tempfile::TempDir,
}

/// Where it is.
const PROGRAM: &str = "/usr/bin/docker-registry";

impl Registry {
    /// Starts one; `None`, and said loudly, if it is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// One that lets in `somebody`, whose password is `secret`.
    pub fn start_with_password() -> Option<Self> {
        // It reads the file when it is first asked.
        let file = tempfile::tempdir().unwrap().keep().join("htpasswd");
        fs::write(&file, "somebody:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n").unwrap();
        Self::start_with(&format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", file.display()))
    }

    /// One that speaks TLS, with a certificate for 127.0.0.1; and the file with that of its CA.
    pub fn start_with_tls() -> Option<(Self, std::path::PathBuf)> {
        let folder = tempfile::tempdir().unwrap().keep();
        let openssl = |args: &[&str]| {
            let status = Command::new("openssl")
                .current_dir(&folder)
                .args(args)
                .stderr(Stdio::null())
                .status()
                .unwrap();
            assert!(status.success(), "openssl {args:?}");
        };
        let new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"];
        let ca = ["-x509", "-days", "2", "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem"];
        openssl(&[&new[..], &ca].concat());
        openssl(
            &[&new[..], &["-subj", "/CN=registry", "-keyout", "server.key", "-out", "server.csr"]].concat(),
        );
        fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -days 2 -extfile names -out server.pem";
        openssl(&sign.split(' ').collect::<Vec<_>>());
        let file = |name: &str| folder.join(name).display().to_string();
        let tls =
            format!("  tls:\n    certificate: {}\n    key: {}\n", file("server.pem"), file("server.key"));
        Some((Self::start_with(&tls)?, folder.join("ca.pem")))
    }

    fn start_with(more: &str) -> Option<Self> {
        if !std::path::Path::new(PROGRAM).exists() {
            eprintln!(
                "SKIPPED: there is no {PROGRAM}; install Debian's package docker-registry to run this test"
            );
            return None;
        }
        // Another program may take the port before the registry does.
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            // Below those that systems give out, so that no server of another test takes it meanwhile.
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number =
                NEXT.fetch_add(7, Ordering::Relaxed).wrapping_add(std::process::id().wrapping_mul(31));
            let port = 20_000 + number % 12_000;
            if TcpListener::bind(format!("127.0.0.1:{port}")).is_err() {
                continue;
            }
            let config = folder.path().join("config.yml");
            let text = format!(
                "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n{more}",
                folder.path().join("data").display()
            );
            fs::write(&config, text).unwrap();
            let mut child = Command::new(PROGRAM)
                .arg("serve")
                .arg(&config)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let host = format!("127.0.0.1:{port}");
            let end = Instant::now() + Duration::from_secs(20);
            while Instant::now() < end && child.try_wait().unwrap().is_none() {
                if TcpStream::connect(&host).is_ok() && child.try_wait().unwrap().is_none() {
                    return Some(Self { host, child, folder });
                }
                thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        unreachable!("{PROGRAM} does not start");
    }

    /// Brings a blob there, by plain requests.
    pub fn put_blob(&self, repository: &str, bytes: &[u8]) {
        let (status, headers, _) =
            request(&self.host, "POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"");
        assert_eq!(status, 202);
        let location = headers["location"]
            .split_once(&*self.host)
            .map_or(&*headers["location"], |(_, path)| path)
            .to_owned();
        let mark = if location.contains('?') { '&' } else { '?' };
        let path = format!("{location}{mark}digest={}", digest(bytes));
        let (status, _, body) =
            request(&self.host, "PUT", &path, &[("content-type", "application/octet-stream")], bytes);
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    }

    /// Brings an artifact there, by plain requests; its digest.
    pub fn put(&self, repository: &str, tag: &str, layers: &[Layer]) -> String {
        self.put_blob(repository, b"{}");
        for layer in layers {
            self.put_blob(repository, &layer.bytes);
        }
        let manifest = manifest(layers);
        self.put_manifest(repository, tag, &manifest);
        digest(manifest.as_bytes())
    }

    pub fn put_manifest(&self, repository: &str, tag: &str, manifest: &str) {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let (status, _, body) =
            request(&self.host, "PUT", &path, &[("content-type", MANIFEST)], manifest.as_bytes());
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    }

    /// The manifest under a name.
    pub fn get_manifest(&self, repository: &str, name: &str) -> serde_json::Value {
        let path = format!("/v2/{repository}/manifests/{name}");
        let (status, _, body) = request(&self.host, "GET", &path, &[("accept", MANIFEST)], b"");
        assert_eq!(status, 200);
        serde_json::from_slice(&body).unwrap()
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

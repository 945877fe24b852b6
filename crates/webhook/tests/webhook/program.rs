//! The program itself: TLS, signals, files that change.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use portcullis_testkit::program::Run;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use serde_json::{Value, json};

use crate::support::{POLICIES, pod, review};

pub type Connection = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// A running webhook, and one connection to it.
pub struct Program {
    child: Child,
    address: String,
    pub log: Receiver<String>,
    pub client: Arc<ClientConfig>,
    pub connection: Option<Connection>,
    _directory: tempfile::TempDir,
}

impl Program {
    /// Starts it with a certificate of its own.
    pub fn start(policies: &Path, more: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ca = directory.path().join("ca.pem");
        let mut command = Self::command(policies);
        command.args(["--self-signed", "--ca-file"]).arg(&ca).args(more);
        Self::run(command, &ca, directory)
    }

    pub fn command(policies: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-webhook"));
        command.arg("--policies").arg(policies).args(["--listen", "127.0.0.1:0"]);
        command
    }

    pub fn run(mut command: Command, ca: &Path, directory: tempfile::TempDir) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = read_lines(child.stderr.take().unwrap());
        let listening = line(&log, "listening");
        let address = listening["address"].as_str().unwrap().to_owned();
        let client = untrusting();
        let mut program = Self { child, address, log, client, connection: None, _directory: directory };
        // From here on, what fails ends it.
        program.client = trusting(ca);
        program
    }

    pub fn connect(&self) -> Connection {
        connect(&self.address, &self.client)
    }

    /// As [`Program::run`] with another address for probes, which its line of the log says.
    pub fn start_logged(mut command: Command, ca: &Path) -> (Self, Value) {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = read_lines(child.stderr.take().unwrap());
        let probes = line(&log, "answering probes");
        let address = line(&log, "listening")["address"].as_str().unwrap().to_owned();
        let client = trusting(ca);
        let directory = tempfile::tempdir().unwrap();
        (Self { child, address, log, client, connection: None, _directory: directory }, probes)
    }

    /// The same, whatever certificate it has; it is not connected to.
    pub fn start_untrusted(mut command: Command) -> (Self, Value) {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = read_lines(child.stderr.take().unwrap());
        let probes = line(&log, "answering probes");
        let address = line(&log, "listening")["address"].as_str().unwrap().to_owned();
        let directory = tempfile::tempdir().unwrap();
        let (client, connection) = (untrusting(), None);
        (Self { child, address, log, client, connection, _directory: directory }, probes)
    }

    /// What other threads need to connect.
    pub fn handle(&self) -> (String, Arc<ClientConfig>) {
        (self.address.clone(), Arc::clone(&self.client))
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends a request over the connection; the status and the body.
    pub fn post(&mut self, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        self.request("POST", path, body)
    }

    pub fn get(&mut self, path: &str) -> (u16, String) {
        let (http, body) = self.request("GET", path, b"");
        (http, String::from_utf8(body).unwrap())
    }

    fn request(&mut self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut connection = self.connection.take().unwrap_or_else(|| self.connect());
        send(&mut connection, method, path, body);
        let answer = receive(&mut connection);
        self.connection = Some(connection);
        answer
    }

    pub fn is_denied(&mut self, object: &Value) -> bool {
        let (http, body) = self.post("/v1/admit", review(object, "CREATE").to_string().as_bytes());
        assert_eq!(http, 200);
        serde_json::from_slice::<Value>(&body).unwrap()["response"]["allowed"] == false
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Asks it to end, and waits.
    pub fn stop(self) {
        self.signal("-TERM");
        self.ended();
    }

    /// Waits for its end, which has to be a good one.
    pub fn ended(mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection with TLS, not used yet.
pub fn connect(address: &str, client: &Arc<ClientConfig>) -> Connection {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let client = ClientConnection::new(Arc::clone(client), "localhost".try_into().unwrap()).unwrap();
    BufReader::new(StreamOwned::new(client, stream))
}

/// Whether a client of its own accord would send something.
pub fn shakes_hands(address: &str, client: &Arc<ClientConfig>) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), "localhost".try_into().unwrap()).unwrap();
    while client.is_handshaking() {
        if client.complete_io(&mut stream).is_err() {
            return false;
        }
    }
    true
}

/// Asks without TLS; the status and the body.
pub fn plain(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A client that trusts nobody.
fn untrusting() -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Arc::new(client.unwrap().with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

pub fn trusting(ca: &Path) -> Arc<ClientConfig> {
    speaking(ca, rustls::DEFAULT_VERSIONS)
}

/// A client that trusts this CA and speaks only these versions of TLS.
pub fn speaking(ca: &Path, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    Arc::new(client.with_root_certificates(roots).with_no_client_auth())
}

/// Reads a log to its end, whether or not somebody looks at it.
fn read_lines(log: ChildStderr) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The next line of the log that begins like this.
pub fn line(log: &Receiver<String>, msg: &str) -> Value {
    loop {
        let text = log.recv_timeout(Duration::from_secs(20));
        let text = text.unwrap_or_else(|_| panic!("the log has no `{msg}`"));
        let line: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        if line["msg"].as_str().unwrap().starts_with(msg) {
            return line;
        }
    }
}

pub fn send(connection: &mut Connection, method: &str, path: &str, body: &[u8]) {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    let out = connection.get_mut();
    out.write_all(head.as_bytes()).unwrap();
    out.write_all(body).unwrap();
    out.flush().unwrap();
}

pub fn receive(connection: &mut Connection) -> (u16, Vec<u8>) {
    let (mut http, mut length) = (0, 0);
    for number in 0.. {
        let mut text = String::new();
        connection.read_line(&mut text).unwrap();
        let text = text.trim_end().to_lowercase();
        if number == 0 {
            http = text.split(' ').nth(1).unwrap_or_else(|| panic!("no status in `{text}`")).parse().unwrap();
        }
        if let Some(value) = text.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if text.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    (http, body)
}

/// Waits for what takes a second or two, but not for ever.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_mins(1), "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn changed_files_are_served_and_broken_ones_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policies.yaml");
    fs::write(&file, POLICIES).unwrap();
    let mut program = Program::start(directory.path(), &[]);
    let object = pod(&json!({"hostPID": true}));
    assert!(program.is_denied(&object));

    fs::write(&file, POLICIES.replace("sprintf", "sprintff")).unwrap();
    eventually("the broken policies are seen", || {
        program.get("/readyz?verbose").1.contains("[!]policies stale")
    });
    assert!(program.is_denied(&object));
    fs::remove_file(&file).unwrap();
    eventually("that the file is gone is seen", || {
        program.get("/metrics").1.contains("{result=\"error\"} 2\n")
    });
    assert!(program.is_denied(&object));

    fs::write(&file, POLICIES.replace("field: hostPID", "field: other")).unwrap();
    eventually("the fixed policies are served", || !program.is_denied(&object));
    assert_eq!(program.get("/readyz").0, 200);
    program.signal("-HUP");
    eventually("they are read again", || program.get("/metrics").1.contains("{result=\"success\"} 2\n"));
    program.stop();
}

#[test]
fn broken_policies_do_not_start_and_all_mistakes_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.yaml"), POLICIES.replace("sprintf", "sprintff")).unwrap();
    fs::write(directory.path().join("b.yaml"), "a: [").unwrap();
    let text = refusal(&["--policies", directory.path().to_str().unwrap(), "--self-signed"]);
    assert!(text.contains("a.yaml:") && text.contains("sprintff") && text.contains("b.yaml:1:"), "{text}");
}

/// What is said by a program that does not start.
pub fn refusal(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-webhook"));
    command.args(args);
    let run = Run::of(command, None).exits_with(2);
    assert_eq!(run.stdout, "");
    run.stderr
}

#[test]
fn what_keeps_it_from_starting_is_said_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    for folder in ["good", "empty", "bad"] {
        fs::create_dir(path(folder)).unwrap();
    }
    fs::write(path("good/p.yaml"), POLICIES).unwrap();
    fs::write(path("bad/p.yaml"), "a: [").unwrap();
    for name in ["a", "b"] {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(path(&format!("{name}.crt")), made.cert.pem()).unwrap();
        fs::write(path(&format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let good = path("good");
    // Policies: each mistake is a line, and their number the last.
    let of = |policies: &str| refusal(&["--policies", policies, "--listen", "127.0.0.1:0", "--self-signed"]);
    let (gone, empty) = (path("gone"), path("empty"));
    assert_eq!(
        of(&gone),
        format!("error: {gone}: there is no such file or directory\nthe webhook does not start: 1 error\n")
    );
    assert_eq!(
        of(&empty),
        "error: there are no constraints, so every request would pass; name the directory of the ConstraintTemplates and their constraints\n\
         the webhook does not start: 1 error\n"
    );
    assert!(of(&path("bad")).contains("p.yaml:1:4: "));
    assert!(refusal(&["--self-signed"]).contains("<--policies <PATH>|--kube>"));

    // Certificates: which file, and what should be in it.
    let with = |chain: &str, key: &str| {
        let args = ["--listen", "127.0.0.1:0", "--tls-cert", chain, "--tls-key", key];
        refusal(&[&["--policies", &good][..], &args].concat())
    };
    let (a, b, a_key, b_key) = (path("a.crt"), path("b.crt"), path("a.key"), path("b.key"));
    assert_eq!(
        with(&a, &b_key),
        format!(
            "error: {b_key}: this is not the key of the first certificate in {a}; give the key that it was issued for, and the server's \
             own certificate before those of CAs\n"
        )
    );
    assert!(
        with(&gone, &a_key)
            .starts_with(&format!("error: {gone}: the certificate cannot be read: No such file"))
    );
    assert!(
        with(&a, &gone).starts_with(&format!("error: {gone}: the private key cannot be read: No such file"))
    );
    let none = |file: &str, expected: &str| {
        format!("error: {file}: expected a {expected} in PEM form: there is none in it\n")
    };
    assert_eq!(with(&a_key, &a), none(&a_key, "certificate"));
    assert_eq!(with(&a, &b), none(&b, "private key"));

    // Addresses: which flag gave it.
    let start = ["--policies", &good, "--self-signed"];
    let last =
        |more: &[&str]| refusal(&[&start[..], more].concat()).lines().last().unwrap_or_default().to_owned();
    let busy = "address already in use; something listens there already: end it, or name another port";
    assert_eq!(last(&["--listen", &taken]), format!("error: `--listen {taken}`: {busy}"));
    assert_eq!(
        last(&["--listen", "127.0.0.1:0", "--health-listen", &taken]),
        format!("error: `--health-listen {taken}`: {busy}")
    );
}

#[test]
fn decisions_are_recorded_only_where_nobody_else_reads_them() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(path("policies")).unwrap();
    fs::write(path("policies/p.yaml"), POLICIES).unwrap();
    fs::write(path("victim"), "x\n").unwrap();
    fs::set_permissions(path("victim"), fs::Permissions::from_mode(0o644)).unwrap();
    symlink(path("victim"), path("link")).unwrap();
    assert!(Command::new("mkfifo").args(["-m", "600", &path("fifo")]).status().unwrap().success());
    for (file, why) in [
        (path("fifo"), "it is a FIFO that nobody reads: start its reader first"),
        (
            path("link"),
            "it is a symbolic link, which may lead anywhere: name what it leads to, or give `--decision-log-shared`",
        ),
        (
            path("victim"),
            "others may read or write it (mode 644): `chmod 600` it, or give `--decision-log-shared`",
        ),
        (path("policies"), "it is a directory: name a file"),
        ("/dev/full".to_owned(), "it is a device: name a file, or give `--decision-log-shared`"),
    ] {
        let args = ["--policies", &path("policies"), "--self-signed", "--listen", "127.0.0.1:0"];
        let said = refusal(&[&args[..], &["--decision-log", &file]].concat());
        let expected = format!("error: `--decision-log {file}`: {why}\n");
        assert_eq!(said.lines().last().map(|line| format!("{line}\n")), Some(expected), "{said}");
    }
    assert_eq!(fs::read_to_string(path("victim")).unwrap(), "x\n");

    // A disk that is full costs records, and nothing else.
    let full = ["--decision-log", "/dev/full", "--decision-log-shared"];
    let mut program = Program::start(path("policies").as_ref(), &full);
    assert!(program.is_denied(&pod(&json!({"hostPID": true}))));
    let told = line(&program.log, "decisions could not be recorded");
    assert!(told["lost"] == 1 && told["error"].as_str().unwrap().contains("No space left"), "{told}");
    assert!(program.is_denied(&pod(&json!({"hostPID": true}))));
    eventually("both are counted", || {
        program.get("/metrics").1.contains("portcullis_decision_records_lost_total 2\n")
    });
    program.stop();
}

#[test]
fn a_changed_certificate_is_used_also_behind_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("policies")).unwrap();
    fs::write(path("policies/p.yaml"), POLICIES).unwrap();
    for version in ["v1", "v2"] {
        fs::create_dir(path(version)).unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(path(version).join("tls.crt"), made.cert.pem()).unwrap();
        fs::write(path(version).join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    }
    std::os::unix::fs::symlink("v1", path("data")).unwrap();
    let mut command = Program::command(&path("policies"));
    command.arg("--tls-cert").arg(path("data/tls.crt")).arg("--tls-key").arg(path("data/tls.key"));
    let mut program = Program::run(command, &path("v1/tls.crt"), tempfile::tempdir().unwrap());
    assert_eq!(program.get("/healthz").0, 200);

    // As a mounted Secret changes: the link is replaced.
    std::os::unix::fs::symlink("v2", path("next")).unwrap();
    fs::rename(path("next"), path("data")).unwrap();
    line(&program.log, "using the changed certificate");
    program.client = trusting(&path("v2/tls.crt"));
    program.connection = None;
    assert_eq!(program.get("/healthz").0, 200);

    fs::write(path("v2/tls.key"), "no key").unwrap();
    line(&program.log, "the changed certificate is broken");
    program.connection = None;
    let (http, text) = program.get("/readyz?verbose");
    assert!(http == 200 && text.contains("[!]certificate stale"), "{text}");
    program.stop();
}

#[test]
fn a_request_that_has_come_is_answered_before_the_end() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("p.yaml"), POLICIES).unwrap();
    let mut program = Program::start(directory.path(), &[]);
    let mut connection = program.connect();
    let body = review(&pod(&json!({"hostPID": true})), "CREATE").to_string();
    // Half of it has come when the end is announced.
    let (first, second) = body.as_bytes().split_at(100);
    let length = body.len();
    let head = format!(
        "POST /v1/admit HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    let out = connection.get_mut();
    out.write_all(head.as_bytes()).unwrap();
    out.write_all(first).unwrap();
    out.flush().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    program.signal("-TERM");
    line(&program.log, "stopping");
    std::thread::sleep(Duration::from_millis(300));
    assert!(program.child.try_wait().unwrap().is_none(), "it waits");
    let out = connection.get_mut();
    out.write_all(second).unwrap();
    out.flush().unwrap();
    let (http, answer) = receive(&mut connection);
    assert_eq!(http, 200);
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["response"]["status"]["code"], 403);
    drop(connection);
    line(&program.log, "stopped");
    assert!(program.child.wait().unwrap().success());
}

#[test]
fn a_body_of_ten_megabytes_is_answered_and_the_connection_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("p.yaml"), POLICIES).unwrap();
    let mut program = Program::start(directory.path(), &[]);
    let large = review(&pod(&json!({"text": "x".repeat(10 << 20)})), "CREATE").to_string();
    let (http, body) = program.post("/v1/admit", large.as_bytes());
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((http, &answer["response"]["allowed"]), (200, &json!(false)));
    assert_eq!(answer["response"]["status"]["code"], 413);
    assert!(program.is_denied(&pod(&json!({"hostPID": true}))));
    assert!(!program.is_denied(&pod(&json!({}))));
    program.stop();
}

#[test]
fn the_example_of_the_readme_is_denied() {
    let workspace = crate::support::workspace();
    let namespaces = workspace.join("testdata/webhook/namespaces.yaml");
    let mut program =
        Program::start(&workspace.join("policies"), &["--resources", namespaces.to_str().unwrap()]);
    let request = fs::read(workspace.join("testdata/webhook/pod-review.json")).unwrap();
    let (http, body) = program.post("/v1/admit", &request);
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(http, 200);
    assert_eq!(answer["response"]["allowed"], false);
    let message = answer["response"]["status"]["message"].as_str().unwrap();
    println!("{message}");
    assert!(message.contains("privileged"), "{message}");
    program.stop();
}

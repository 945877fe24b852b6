//! Minutes of load on the webhook while everything around it changes: `soak MINUTES [PROGRAM [RECORDINGS]]`.
//!
//! ```text
//! policies: a new version every second, now and then a broken one ─┐
//! certificate: a new one every ten seconds, behind a link ─────────┼─> webhook <── four clients over TLS
//! one constraint is a hog and ends at its limit of steps ──────────┘
//! ```
//!
//! Which answers each request may get is worked out before, by the core, for every version of the policies.
//! Every answer has to be HTTP 200, to carry the uid of its request, and to have the verdict, the message and
//! the warnings of one version that was in force. Memory has to be flat. Anything else ends with exit code 1
//! and says which request it was.
//!
//! `PROGRAM` is the webhook, by default the one beside this program. `RECORDINGS` holds an AdmissionReview
//! per line, which are asked besides generated ones.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement that cannot be made ends"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use portcullis::{
    Decision, Document, EnforcementPoint, Inventory, PolicySet, Resource, Review, Severity, World,
};
use portcullis_benches::served::{Authority, Connection, Webhook, exchange};
use portcullis_benches::{objects, policies_dir};
use serde_json::{Value, json};

/// Versions of the policies; then the first comes again.
const VERSIONS: usize = 40;
/// One version in so many is broken, and the one before stays in force.
const BROKEN: usize = 10;
const CLIENTS: usize = 4;
/// A connection is used for so many requests.
const REUSE: usize = 100;
/// A version may be in force for so long after the next one was written: until it is seen, read and compiled.
const LAG: Duration = Duration::from_secs(8);

const HOG: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: soakhog}
spec:
  crd: {spec: {names: {kind: SoakHog}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package soakhog
      violation[{"msg": "never"}] {
        input.review.object.metadata.labels.soak == "hog"
        a := numbers.range(1, 3000)
        x := a[_]; y := a[_]
        x + y < 0
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: SoakHog
metadata: {name: hog}
spec: {enforcementAction: warn}
"#;

fn versioned(version: usize) -> String {
    let action = if version.is_multiple_of(2) { "deny" } else { "warn" };
    format!(
        "apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {{name: soakversion}}
spec:
  crd: {{spec: {{names: {{kind: SoakVersion}}}}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package soakversion
      violation[{{\"msg\": msg}}] {{
        input.review.object.kind == \"Pod\"
        msg := \"version {version}\"
      }}
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: SoakVersion
metadata: {{name: version}}
spec: {{enforcementAction: {action}}}
"
    )
}

/// A request, and what each version says to it.
struct Question {
    uid: String,
    body: String,
    answers: Vec<Answer>,
}

#[derive(Clone, Debug, PartialEq)]
struct Answer {
    allowed: bool,
    message: String,
    warnings: Vec<String>,
}

/// When each version was written last; it shows which versions may be in force.
#[derive(Default)]
struct History(Mutex<Vec<(usize, Instant)>>);

impl History {
    fn wrote(&self, version: usize) {
        let mut written = self.0.lock().unwrap();
        written.push((version, Instant::now()));
        if written.len() > VERSIONS {
            written.remove(0);
        }
    }

    /// The versions that may have answered a request of this time.
    fn in_force(&self, start: Instant) -> BTreeSet<usize> {
        let written = self.0.lock().unwrap();
        let until = |next: Option<&(usize, Instant)>| next.map(|(_, at)| *at + LAG);
        let all = written.iter().enumerate();
        all.filter(|(place, _)| until(written.get(place + 1)).is_none_or(|until| until >= start))
            .map(|(_, (version, _))| *version)
            .collect()
    }
}

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let minutes: f64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(10.0);
    let beside = || env::current_exe().unwrap().with_file_name("portcullis-webhook");
    let program = args.next().map_or_else(beside, PathBuf::from);
    let recordings = args.next().map(|path| fs::read_to_string(path).unwrap()).unwrap_or_default();
    let directory = env::temp_dir().join(format!("portcullis-soak-{}", std::process::id()));
    let result = soak(Duration::from_secs_f64(minutes * 60.0), &program, &recordings, &directory);
    // What is left over is in a directory for such things.
    let _ = fs::remove_dir_all(&directory);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}

fn soak(time: Duration, program: &Path, recordings: &str, directory: &Path) -> Result<(), String> {
    let policies = directory.join("policies");
    fs::create_dir_all(&policies).unwrap();
    let library = library();
    fs::write(policies.join("library.yaml"), format!("{}\n---\n{HOG}", library.join("\n---\n"))).unwrap();
    let resources = directory.join("resources.yaml");
    fs::write(&resources, portcullis_benches::manifests(200, 11)).unwrap();
    let questions = questions(&policies, recordings);
    println!("{} requests, {VERSIONS} versions of {} files of policies", questions.len(), library.len());

    let history = History::default();
    write_version(&policies, 0, &history);
    let authority = Authority::new();
    authority.rotate(directory, 0);
    let webhook = Webhook::start(program, directory, &policies, Some(&resources), &[]);
    let client = authority.client();
    let (asked, served) = (AtomicU64::new(0), Mutex::new(BTreeSet::new()));
    let certificates = Mutex::new(BTreeSet::new());
    let wrong: Mutex<Option<String>> = Mutex::new(None);
    let start = Instant::now();
    let is_over = || start.elapsed() >= time || wrong.lock().unwrap().is_some();
    let mut memory: Vec<u64> = Vec::new();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (webhook, client, questions, history) = (&webhook, &client, &questions, &history);
            let (asked, served, certificates, wrong, is_over) =
                (&asked, &served, &certificates, &wrong, &is_over);
            scope.spawn(move || {
                let mut next = number * questions.len() / CLIENTS;
                while !is_over() {
                    let mut connection = webhook.connect(client);
                    for _ in 0..REUSE {
                        let question = &questions[next % questions.len()];
                        next += 1;
                        match ask(&mut connection, question, history) {
                            Ok(version) => drop(served.lock().unwrap().insert(version)),
                            Err(problem) => {
                                wrong.lock().unwrap().get_or_insert(problem);
                                return;
                            }
                        }
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                    let shown = connection.get_ref().conn.peer_certificates().unwrap()[0].to_vec();
                    certificates.lock().unwrap().insert(shown);
                }
            });
        }
        println!("{:>8} {:>10} {:>10} {:>9}", "seconds", "requests", "req/s", "RSS KiB");
        let (mut second, mut before) = (0_u32, 0);
        while !is_over() {
            thread::sleep(
                (start + Duration::from_secs(1) * (second + 1)).saturating_duration_since(Instant::now()),
            );
            second += 1;
            let number = second as usize;
            if number.is_multiple_of(BROKEN) {
                replace(&policies, "kind: ConstraintTemplate\nmetadata: [\n");
            } else {
                write_version(&policies, number % VERSIONS, &history);
            }
            if number.is_multiple_of(10) {
                authority.rotate(directory, number);
                let (now, rss) = (asked.load(Ordering::Relaxed), webhook.memory());
                memory.push(rss);
                println!("{number:>8} {now:>10} {:>10} {rss:>9}", (now - before) / 10);
                before = now;
            }
        }
    });
    let metrics = webhook.get(&client, "/metrics");
    for line in
        metrics.lines().filter(|line| line.starts_with("portcullis_") && !line.contains("constraint_kind"))
    {
        println!("{line}");
    }
    webhook.stop();
    let (served, certificates) = (served.into_inner().unwrap(), certificates.into_inner().unwrap());
    println!(
        "{} requests, {} versions and {} certificates seen",
        asked.into_inner(),
        served.len(),
        certificates.len()
    );
    if let Some(wrong) = wrong.into_inner().unwrap() {
        return Err(wrong);
    }
    flat(&memory)
}

/// Memory at the end may not be more than it was when everything had happened once.
fn flat(memory: &[u64]) -> Result<(), String> {
    let quarter = memory.len() / 4;
    let most = |part: &[u64]| part.iter().copied().max().unwrap_or(0);
    let (early, late) = (most(&memory[quarter..quarter * 2]), most(&memory[quarter * 3..]));
    if quarter > 2 && late * 100 > early * 115 {
        return Err(format!("memory grows: {early} KiB in the second quarter, {late} KiB in the last"));
    }
    Ok(())
}

/// The templates of this project, and the constraints that its bundles have for them.
fn library() -> Vec<String> {
    let list = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let areas = list(&policies_dir()).into_iter().flat_map(|area| list(&area));
    let files = areas.flat_map(|folder| match folder.file_name() {
        Some(name) if name == "bundles" => list(&folder),
        _ => vec![folder.join("template.yaml")],
    });
    let texts: Vec<String> = files.filter_map(|file| fs::read_to_string(file).ok()).collect();
    assert!(texts.len() > 10, "the policy library is missing");
    texts
}

fn replace(policies: &Path, text: &str) {
    let (file, beside) = (policies.join("versioned.yaml"), policies.with_extension("next"));
    fs::write(&beside, text).unwrap();
    fs::rename(beside, file).unwrap();
}

fn write_version(policies: &Path, version: usize, history: &History) {
    history.wrote(version);
    replace(policies, &versioned(version));
}

/// The requests, and what the core says to each under each version.
fn questions(policies: &Path, recordings: &str) -> Vec<Question> {
    let library = fs::read_to_string(policies.join("library.yaml")).unwrap();
    let inventory: Inventory = objects(200, 11).into_iter().collect();
    let mut bodies: Vec<String> = recordings.lines().map(str::to_owned).collect();
    for (number, object) in objects(300, 5).iter().enumerate() {
        let mut object = object.document().unwrap().to_json();
        if number.is_multiple_of(50) {
            object["metadata"]["labels"]["soak"] = "hog".into();
        }
        bodies.push(review(&object, number).to_string());
    }
    let reviews: Vec<(String, Review)> = bodies
        .iter()
        .map(|body| {
            let (documents, _) = Document::read_all("request.json", body);
            let (Some(Resource::AdmissionReview(request)), _) = Resource::read(&documents[0]) else {
                panic!("no AdmissionReview: {body}")
            };
            (request.uid().to_owned(), Review::from_admission(&request).unwrap())
        })
        .collect();
    let mut answers = vec![Vec::new(); bodies.len()];
    for version in 0..VERSIONS {
        let documents =
            [&library, &versioned(version)].map(|text| Document::read_all("policies.yaml", text).0);
        let (policies, errors) = PolicySet::compile(documents.into_iter().flatten());
        let error = errors.iter().find(|error| error.severity() == Severity::Error);
        assert!(error.is_none(), "{error:?}");
        for ((_, review), answers) in reviews.iter().zip(&mut answers) {
            let world = World::new(&inventory).with_now(0);
            let outcome = policies.review(review, &world, EnforcementPoint::Webhook);
            let decision = Decision::from(&outcome);
            answers.push(Answer {
                allowed: decision.allowed(),
                message: decision.denials().join("\n"),
                warnings: decision.warnings(),
            });
        }
    }
    let asked = bodies.into_iter().zip(reviews).zip(answers);
    asked.map(|((body, (uid, _)), answers)| Question { uid, body, answers }).collect()
}

fn review(object: &Value, number: usize) -> Value {
    let api_version = object["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    json!({
        "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": format!("soak-{number}"),
            "kind": {"group": group, "version": version, "kind": object["kind"]},
            "resource": {"group": group, "version": version, "resource": "things"},
            "name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"],
            "operation": "CREATE", "userInfo": {"username": "soak"},
            "object": object, "oldObject": null, "dryRun": false,
        },
    })
}

/// Asks, and says which version answered.
fn ask(connection: &mut Connection, question: &Question, history: &History) -> Result<usize, String> {
    let start = Instant::now();
    let (http, body) = exchange(connection, "POST", "/v1/admit?timeout=10s", &question.body)
        .map_err(|error| format!("{}: the connection broke: {error}", question.uid))?;
    let wrong = |what: &str| Err(format!("{}: {what}: {}", question.uid, String::from_utf8_lossy(&body)));
    if http != 200 {
        return wrong(&format!("HTTP {http}"));
    }
    let Ok(answer) = serde_json::from_slice::<Value>(&body) else { return wrong("no JSON") };
    let response = &answer["response"];
    if response["uid"] != *question.uid {
        return wrong("another uid");
    }
    let warnings = response["warnings"].as_array().into_iter().flatten();
    let told = Answer {
        allowed: response["allowed"] == true,
        message: response["status"]["message"].as_str().unwrap_or_default().to_owned(),
        warnings: warnings.map(|warning| warning.as_str().unwrap_or_default().to_owned()).collect(),
    };
    let in_force = history.in_force(start);
    // Most requests have the same answer in many versions; the newest is as good as any.
    match in_force.iter().rev().find(|version| question.answers[**version] == told) {
        Some(version) => Ok(*version),
        None => wrong(&format!("no answer of the versions {in_force:?}, such as {:?}", question.answers[0])),
    }
}

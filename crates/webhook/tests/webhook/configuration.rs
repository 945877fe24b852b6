//! The webhook configuration and the CA that is in it, against a simulated API server: whatever is changed, it is put right.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_testkit::apiserver::{ApiServer, Fault, Verb};
use portcullis_webhook::tls::{Authorities, Terms};
use serde_json::{Value, json};

use crate::kube::{cluster, constraint, start_in, template, until, until_quiet};
use crate::program::Program;

const NAMESPACE: &str = "portcullis-system";
const PLURAL: &str = "validatingwebhookconfigurations";
const SECRET: &str = "portcullis-webhook-ca";

/// A cluster with a policy and the own Namespace.
fn fill(server: &ApiServer) {
    server.put(crate::kube::namespace(NAMESPACE, "own"));
    server.register("constraints.gatekeeper.sh/v1beta1", "Never", "never", false);
    server.put(template("Never", "package p\nviolation[{\"msg\": \"never\"}] { true }"));
    server.put(constraint("Never", &json!({})));
}

fn by_hand(bundle: &Value) -> Value {
    let webhook = |name: &str| json!({"name": name, "clientConfig": {"caBundle": bundle}});
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "portcullis"}, "webhooks": [webhook("a"), webhook("b")]})
}

/// What all webhooks trust, as PEM, if it is the same; empty if there is no configuration.
fn bundle(server: &ApiServer) -> String {
    let Some(configuration) = server.get(PLURAL, "", "portcullis") else { return String::new() };
    let bundles: Vec<&str> = configuration["webhooks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|webhook| webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default())
        .collect();
    if bundles.windows(2).any(|pair| pair[0] != pair[1]) {
        return String::new();
    }
    String::from_utf8(STANDARD.decode(bundles[0]).unwrap_or_default()).unwrap_or_default()
}

/// What the Secret says clients have to trust.
fn shared(server: &ApiServer) -> String {
    let Some(secret) = server.get("secrets", NAMESPACE, SECRET) else { return String::new() };
    let text = STANDARD.decode(secret["data"]["ca.crt"].as_str().unwrap_or_default()).unwrap();
    String::from_utf8(text).unwrap()
}

/// Whether somebody who trusts the bundle of the configuration connects, as API servers do.
fn is_trusted(server: &ApiServer, program: &Program) -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bundle(server)).unwrap();
    let client = crate::program::trusting(file.path());
    crate::program::shakes_hands(program.address(), &client)
}

fn start(server: &ApiServer, more: &[&str]) -> Program {
    start_in(server, NAMESPACE, more)
}

fn verbose(program: &mut Program) -> String {
    program.get("/readyz?verbose").1
}

#[test]
fn a_configuration_that_comes_late_or_is_changed_has_the_ca_at_once() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    let mut program = start(server, &[]);
    until(200, || program.get("/readyz").0);
    until(true, || verbose(&mut program).contains("there is no such ValidatingWebhookConfiguration"));
    let metric = |program: &mut Program, value: u8| {
        let line = format!("\nportcullis_webhook_configuration_current {value}\n");
        program.get("/metrics").1.contains(&line)
    };
    until(true, || metric(&mut program, 0));
    let ours = shared(server);
    assert!(ours.contains("BEGIN CERTIFICATE"));
    let terms = Terms::default();
    let other = Authorities::default().advanced(std::time::SystemTime::now(), &terms).unwrap().bundle();
    for (bad, kept) in [
        (json!(null), ""),
        (json!(""), ""),
        (json!("Cg=="), ""),
        (json!("no base64"), ""),
        (json!(STANDARD.encode(&other)), &*other),
        (json!(STANDARD.encode(format!("{other}-----BEGIN CERTIFICATE-----\n"))), &*other),
    ] {
        server.put(by_hand(&bad));
        until(format!("{kept}{ours}"), || bundle(server));
    }
    assert!(is_trusted(server, &program));
    // Also while the API server is not well: the watch ends, writes fail, somebody is faster.
    server.fault(Fault::on(Verb::Write, PLURAL).times(2).status(409, "Conflict"));
    server.fault(Fault::on(Verb::Write, PLURAL).times(2).status(500, "InternalError"));
    server.fault(Fault::on(Verb::Any, PLURAL).times(3).status(503, "ServiceUnavailable"));
    server.end_watches();
    server.delete(PLURAL, "", "portcullis");
    server.put(by_hand(&json!("")));
    until(ours.clone(), || bundle(server));
    until(true, || metric(&mut program, 1));
    // Nothing is written that is so already.
    until_quiet(server);
    server.forget_requests();
    server.end_watches();
    std::thread::sleep(Duration::from_secs(1));
    assert!(server.writes().iter().all(|write| !write.path.contains(PLURAL)), "{:?}", server.writes());
    // What is not allowed is said, and why.
    server.fault(Fault::on(Verb::Write, PLURAL).always().forbidden());
    server.put(by_hand(&json!("")));
    until(true, || verbose(&mut program).contains("answered 403"));
    until(true, || metric(&mut program, 0));
    assert_eq!(program.get("/readyz").0, 200, "it was trusted once");
    server.heal();
    until(ours.clone(), || bundle(server));
    program.stop();
}

#[test]
fn a_replica_is_not_ready_before_its_ca_is_trusted() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    server.put(by_hand(&json!("")));
    server.fault(Fault::on(Verb::Write, PLURAL).always().forbidden());
    let mut program = start(server, &[]);
    until(true, || {
        let text = verbose(&mut program);
        text.contains("[+]cluster ok") && text.contains("[-]webhook configuration `portcullis`: PATCH")
    });
    assert_eq!(program.get("/readyz"), (503, "starting".to_owned()));
    server.heal();
    until(200, || program.get("/readyz").0);
    assert!(is_trusted(server, &program));
    program.stop();
    // Nor before there is a CA; what is served meanwhile is trusted by nobody.
    server.delete("secrets", NAMESPACE, SECRET);
    server.delete(PLURAL, "", "portcullis");
    server.fault(Fault::on(Verb::Write, "secrets").always().forbidden());
    let directory = tempfile::tempdir().unwrap();
    let mut command = command(server, &["--health-listen", "127.0.0.1:0"]);
    command.arg("--ca-file").arg(directory.path().join("ca.pem"));
    let (mut program, probes) = Program::start_untrusted(command);
    let probe = |path: &str| crate::program::plain(probes["address"].as_str().unwrap(), path);
    until(true, || {
        probe("/readyz?verbose").1.contains("[-]ca: Secret `portcullis-system/portcullis-webhook-ca`: POST")
    });
    until(true, || probe("/readyz?verbose").1.contains("[+]cluster ok"));
    assert_eq!(probe("/readyz").0, 503);
    assert_eq!(std::fs::read_to_string(directory.path().join("ca.pem")).unwrap(), "");
    server.put(by_hand(&json!("")));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(bundle(server), "");
    server.heal();
    until(200, || probe("/readyz").0);
    until(true, || is_trusted(server, &program));
    assert_eq!(std::fs::read_to_string(directory.path().join("ca.pem")).unwrap(), shared(server));
    program.signal("-TERM");
    drop(program.connection.take());
    program.ended();
}

fn command(server: &ApiServer, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-webhook"));
    command.args(["--kube", "--kube-server", server.url(), "--listen", "127.0.0.1:0", "--self-signed"]);
    command.args(["--namespace", NAMESPACE]).args(more);
    command
}

#[test]
fn replicas_that_race_for_the_secret_share_one_ca() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    server.put(by_hand(&json!("")));
    // All of them find none.
    server.fault(Fault::on(Verb::Write, "secrets").times(4).slow(Duration::from_millis(300)));
    let programs: Vec<Program> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..4).map(|_| scope.spawn(|| start(server, &[]))).collect();
        starting.into_iter().map(|program| program.join().unwrap()).collect()
    });
    let created = server
        .writes()
        .iter()
        .filter(|write| write.method == "POST" && write.path.ends_with("/secrets"))
        .count();
    assert!(created > 1, "they raced");
    let ours = shared(server);
    assert_eq!(ours.matches("BEGIN").count(), 1);
    until(ours.clone(), || bundle(server));
    assert!(programs.iter().all(|program| is_trusted(server, program)));
    let mut programs = programs;
    for program in &mut programs {
        until(200, || program.get("/readyz").0);
    }
    // Whatever becomes of the Secret, what is in use stays.
    server.delete("secrets", NAMESPACE, SECRET);
    until(ours.clone(), || shared(server));
    let good = server.get("secrets", NAMESPACE, SECRET).unwrap();
    for (key, text) in [("current.key", ""), ("current.crt", "bm9uZQ=="), ("next.crt", "bm9uZQ==")] {
        let mut broken = good.clone();
        broken["data"][key] = json!(text);
        server.put(broken);
        until(good["data"].clone(), || server.get("secrets", NAMESPACE, SECRET).unwrap()["data"].clone());
    }
    let mut told: Vec<String> = Vec::new();
    until(true, || {
        told.extend(programs.iter().flat_map(|program| program.log.try_iter()));
        told.iter().any(|line| line.contains("what was in it is broken: "))
    });
    assert!(told.iter().all(|line| !line.contains("PRIVATE")), "{told:?}");
    // Another CA, of somebody who may write the Secret, is used once clients trust it; until it is, nobody is turned away.
    let other = Authorities::default().advanced(std::time::SystemTime::now(), &Terms::default()).unwrap();
    let mut replaced = good.clone();
    replaced["data"] = other
        .to_texts()
        .into_iter()
        .map(|(key, text)| (key.to_owned(), json!(STANDARD.encode(text))))
        .collect();
    server.fault(Fault::on(Verb::Write, PLURAL).always().forbidden());
    server.put(replaced);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(programs.iter().all(|program| is_trusted(server, program)), "what is trusted is still shown");
    server.heal();
    until(true, || bundle(server).contains(&other.bundle()) && bundle(server).contains(&ours));
    let only_other = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(only_other.path(), other.bundle()).unwrap();
    let client = crate::program::trusting(only_other.path());
    for program in &programs {
        until(true, || crate::program::shakes_hands(program.address(), &client));
        assert!(is_trusted(server, program));
    }
    for program in programs {
        program.stop();
    }
}

#[test]
fn a_secret_of_somebody_else_is_never_written() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    let theirs = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": NAMESPACE, "name": SECRET}, "data": {"password": "eA=="}});
    server.put(theirs);
    let (program, probes) = Program::start_untrusted(command(server, &["--health-listen", "127.0.0.1:0"]));
    let probe = |path: &str| crate::program::plain(probes["address"].as_str().unwrap(), path);
    until(true, || probe("/readyz?verbose").1.contains("it is of type `Opaque`"));
    assert_eq!(probe("/readyz").0, 503);
    assert_eq!(server.get("secrets", NAMESPACE, SECRET).unwrap()["data"], json!({"password": "eA=="}));
    server.delete("secrets", NAMESPACE, SECRET);
    until(200, || probe("/readyz").0);
    program.signal("-TERM");
    program.ended();
}

#[test]
fn the_configuration_is_made_when_there_is_something_to_serve_and_kept() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    server.fault(Fault::on(Verb::List, "never").always().status(500, "InternalError"));
    let flags = ["--manage-webhook-configuration", "--webhook-failure-policy", "Fail"];
    let mut program = start(server, &flags);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!((program.get("/readyz").0, server.count(PLURAL)), (503, 0), "nobody is locked out");
    until(true, || verbose(&mut program).contains("it is made when there is something to serve"));
    server.heal();
    until((200, 0), || {
        let before = server.count(PLURAL);
        assert_eq!(before, 0, "first its endpoint is known");
        (program.get("/readyz").0, before)
    });
    until(1, || server.count(PLURAL));
    let made = server.get(PLURAL, "", "portcullis").unwrap();
    assert_eq!(made["webhooks"][0]["failurePolicy"], "Fail");
    assert_eq!(made["metadata"]["ownerReferences"][0]["name"], NAMESPACE);
    assert!(is_trusted(server, &program));
    let second = start(server, &flags);
    let webhooks =
        |server: &ApiServer| server.get(PLURAL, "", "portcullis").map(|made| made["webhooks"].clone());
    // By hand.
    let mut edited = made.clone();
    edited["webhooks"][0]["failurePolicy"] = json!("Ignore");
    edited["webhooks"][0]["clientConfig"]["caBundle"] = json!("");
    edited["webhooks"][1]["rules"] = json!([]);
    edited["metadata"]["ownerReferences"] = json!([]);
    server.put(edited.clone());
    until(Some(made["webhooks"].clone()), || webhooks(server));
    // Whichever replica writes it, the Namespace goes on owning it: else nobody could be asked after an uninstallation.
    let owner = |server: &ApiServer| {
        server.get(PLURAL, "", "portcullis").unwrap()["metadata"]["ownerReferences"][0]["name"].clone()
    };
    assert_eq!(owner(server), NAMESPACE);
    server.delete(PLURAL, "", "portcullis");
    until(Some(made["webhooks"].clone()), || webhooks(server));
    // As the annotation says.
    edited["metadata"]["annotations"]["portcullis.example.com/managed"] = json!("false");
    server.put(edited.clone());
    until(shared(server), || bundle(server));
    until(true, || verbose(&mut program).contains("it is not kept as the flags say"));
    let left = webhooks(server).unwrap();
    assert_eq!((&left[0]["failurePolicy"], &left[1]["rules"]), (&json!("Ignore"), &json!([])));
    // With other flags: who started later wins, and there is no end of writes.
    server.put(made.clone());
    second.stop();
    let mut other = start(server, &["--manage-webhook-configuration", "--webhook-timeout", "9"]);
    until(200, || other.get("/readyz").0);
    until(Some(json!(9)), || webhooks(server).map(|all| all[0]["timeoutSeconds"].clone()));
    assert_eq!(owner(server), NAMESPACE);
    until_quiet(server);
    server.forget_requests();
    std::thread::sleep(Duration::from_secs(3));
    let writes: Vec<_> = server.writes().into_iter().filter(|write| write.path.contains(PLURAL)).collect();
    assert!(writes.is_empty(), "{writes:?}");
    until(true, || verbose(&mut program).contains("another replica"));
    program.stop();
    other.stop();
}

#[test]
fn what_a_configuration_does_not_send_is_told() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    server.register("example.com/v1", "Datum", "data", true);
    let kinds = json!([{"apiGroups": ["example.com"], "kinds": ["Datum"]}, {"apiGroups": [""], "kinds": ["PodExecOptions"]}]);
    server.put(constraint("Never", &json!({"match": {"kinds": kinds}})));
    let metric = |program: &mut Program| -> String {
        let text = program.get("/metrics").1;
        let line = text.lines().find(|line| line.starts_with("portcullis_webhook_rules_missing "));
        line.unwrap_or_default().to_owned()
    };
    server.put(by_hand(&json!("")));
    let mut program = start(server, &[]);
    until(200, || program.get("/readyz").0);
    until(true, || {
        let text = verbose(&mut program);
        text.contains("not sent is CONNECT of `pods/exec`, needed by Never/never")
            && text.contains("not sent is CREATE of `data.example.com`")
    });
    // Two each of six groups of policies, and of `data`; and one of `pods/exec`.
    until("portcullis_webhook_rules_missing 17".to_owned(), || metric(&mut program));
    program.stop();
    // Where the rules are kept, nothing is.
    let mut program = start(server, &["--manage-webhook-configuration"]);
    until("portcullis_webhook_rules_missing 0".to_owned(), || metric(&mut program));
    program.stop();
}

#[test]
fn who_keeps_undoing_it_gets_few_writes() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    server.put(by_hand(&json!("")));
    let mut program = start(server, &[]);
    until(200, || program.get("/readyz").0);
    server.forget_requests();
    let start = Instant::now();
    let undo = || {
        server.put(by_hand(&json!("")));
        std::thread::sleep(Duration::from_millis(50));
    };
    until(true, || {
        undo();
        verbose(&mut program).contains("somebody keeps changing it")
    });
    (0..20).for_each(|_| undo());
    let writes = server.writes().iter().filter(|write| write.path.contains(PLURAL)).count();
    // At once, and then one in five seconds.
    let most = 13 + usize::try_from(start.elapsed().as_secs() / 5).unwrap();
    assert!((2..=most).contains(&writes), "{writes} of {most}");
    program.stop();
}

#[test]
fn a_certificate_of_files_is_kept_as_well() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(path("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(path("tls.key"), made.signing_key.serialize_pem()).unwrap();
    let start = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-webhook"));
        command.args([
            "--kube",
            "--kube-server",
            server.url(),
            "--listen",
            "127.0.0.1:0",
            "--namespace",
            NAMESPACE,
        ]);
        command.arg("--tls-cert").arg(path("tls.crt")).arg("--tls-key").arg(path("tls.key"));
        command.arg("--manage-webhook-configuration").args(more);
        Program::run(command, Path::new(&path("tls.crt")), tempfile::tempdir().unwrap())
    };
    let program = start(&[]);
    until(1, || server.count(PLURAL));
    assert_eq!(bundle(server), "", "somebody else's");
    program.stop();
    let program = start(&["--webhook-ca-file", path("tls.crt").to_str().unwrap()]);
    until(true, || is_trusted(server, &program));
    assert_eq!(server.count("secrets"), 0);
    program.stop();
}

#[test]
fn who_wants_no_secret_has_a_ca_of_its_own_and_who_wants_no_configuration_is_left_alone() {
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    server.put(by_hand(&json!("")));
    let mut alone = [start(server, &["--ca-secret="]), start(server, &["--ca-secret="])];
    for program in &mut alone {
        until(200, || program.get("/readyz").0);
    }
    until((0, 2), || (server.count("secrets"), bundle(server).matches("BEGIN").count()));
    assert!(alone.iter().all(|program| is_trusted(server, program)));
    server.put(by_hand(&json!("")));
    let mut program = start(server, &["--webhook-configuration="]);
    until(200, || program.get("/readyz").0);
    assert!(!verbose(&mut program).contains("webhook configuration"));
    until(2, || bundle(server).matches("BEGIN").count());
    assert!(!is_trusted(server, &program), "that is on somebody else");
    program.stop();
    for program in alone {
        program.stop();
    }
}

/// Both configurations are looked after, each by what it is for; nothing is sent to be mutated that no mutator is about.
#[test]
fn the_configuration_for_mutation_follows_the_mutators_and_keeps_the_ca() {
    const MUTATING: &str = "mutatingwebhookconfigurations";
    let cluster = cluster();
    let server = &cluster.server;
    server.register_kubernetes();
    fill(server);
    server.put(crate::cluster_mutation::label("team", "shop"));
    let mut mutator = crate::cluster_mutation::label("a", "1");
    mutator["spec"]["match"] = json!({"kinds": [{"apiGroups": ["apps"], "kinds": ["Deployment"]}]});
    server.put(mutator);
    server.delete("assignmetadata", "", "team");
    let mut program = start(server, &["--mutate", "--manage-webhook-configuration"]);
    until(200, || program.get("/readyz").0);
    let live = || server.get(MUTATING, "", "portcullis").unwrap_or_default();
    let rules = || live()["webhooks"][0]["rules"].clone();
    let of = |resources: Value| {
        json!([{"operations": ["CREATE", "UPDATE"], "apiGroups": ["apps"], "apiVersions": ["*"],
            "resources": resources, "scope": "*"}])
    };
    until(of(json!(["deployments"])), rules);
    let bundle = || live()["webhooks"][0]["clientConfig"]["caBundle"].as_str().map(str::to_owned);
    let ours = STANDARD.encode(shared(server));
    until(Some(ours.clone()), bundle);
    assert_eq!(live()["webhooks"][0]["clientConfig"]["service"]["path"], "/v1/mutate");
    until(true, || verbose(&mut program).contains("[+]mutating webhook configuration `portcullis` ok"));
    // Whoever changes it: it is put right, and the other one is left alone.
    let mut edited = live();
    edited["webhooks"][0]["failurePolicy"] = json!("Fail");
    edited["webhooks"][0]["clientConfig"]["caBundle"] = json!("");
    server.put(edited);
    until(json!("Ignore"), || live()["webhooks"][0]["failurePolicy"].clone());
    until(Some(ours), bundle);
    let mut more = crate::cluster_mutation::label("b", "1");
    more["spec"]["match"] = json!({"kinds": [{"apiGroups": ["apps"], "kinds": ["StatefulSet"]}]});
    server.put(more);
    until(of(json!(["deployments", "statefulsets"])), rules);
    let validating = || server.get(PLURAL, "", "portcullis").unwrap_or_default()["webhooks"].clone();
    until(Some(2), || validating().as_array().map(Vec::len));
    // Without mutators nothing is sent.
    server.delete("assignmetadata", "", "a");
    server.delete("assignmetadata", "", "b");
    until(json!([]), rules);
    until_quiet(server);
    // With an ExpansionTemplate, Deployments are judged by their Pods; the policy is about everything anyway.
    server.put(crate::cluster_mutation::expansion("pods"));
    until(json!("pod-a"), || {
        server.get("expansiontemplate", "", "pods").unwrap()["status"]["byPod"][0]["id"].clone()
    });
    program.stop();
}

/// A replica is not ready before each configuration has its CA.
#[test]
fn a_replica_that_mutates_is_not_ready_before_its_ca_is_in_both() {
    const MUTATING: &str = "mutatingwebhookconfigurations";
    let cluster = cluster();
    let server = &cluster.server;
    fill(server);
    server.put(by_hand(&json!("")));
    let mut mutating = by_hand(&json!(""));
    mutating["kind"] = json!("MutatingWebhookConfiguration");
    server.put(mutating);
    server.fault(Fault::on(Verb::Write, MUTATING).always().forbidden());
    let mut program = start(server, &["--mutate"]);
    until(true, || {
        let text = verbose(&mut program);
        text.contains("[+]cluster ok")
            && text.contains("[-]mutating webhook configuration `portcullis`: PATCH")
            && bundle(server) == shared(server)
    });
    assert_eq!(program.get("/readyz").0, 503);
    server.heal();
    until(200, || program.get("/readyz").0);
    program.stop();
}

/// What an ExpansionTemplate makes something of is sent, though no policy names it.
#[test]
fn what_implies_something_that_a_policy_is_about_is_sent() {
    let cluster = cluster();
    let server = &cluster.server;
    server.register_kubernetes();
    server.put(crate::kube::namespace(NAMESPACE, "own"));
    server.register("constraints.gatekeeper.sh/v1beta1", "Never", "never", false);
    server.put(template("Never", "package p\nviolation[{\"msg\": \"never\"}] { true }"));
    server.put(constraint("Never", &json!({"match": {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}})));
    let program = start(server, &["--manage-webhook-configuration"]);
    let sends = |resource: &str| {
        let configuration = server.get(PLURAL, "", "portcullis").unwrap_or_default();
        let rules = configuration["webhooks"][0]["rules"].as_array().cloned().unwrap_or_default();
        rules.iter().any(|rule| rule["resources"].as_array().unwrap().contains(&json!(resource)))
    };
    until((true, false), || (sends("pods"), sends("deployments")));
    server.put(crate::cluster_mutation::expansion("pods"));
    until(true, || sends("deployments"));
    server.delete("expansiontemplate", "", "pods");
    until(false, || sends("deployments"));
    program.stop();
}

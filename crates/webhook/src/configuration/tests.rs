//! Plans for what a configuration may be, and what a Secret may be.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use clap::Parser as _;
use portcullis::Document;
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use super::asks::Asks;
use super::ca::{Content, read};
use super::plan::{Goal, Plan, annotation, creation, plan};
use super::wanted::{KEPT_BY, MANAGED, Wanted, differences, digest};
use super::{args, bundle};
use crate::args::Args;
use crate::tls::{Authorities, Terms};

const DAY: Duration = Duration::from_hours(24);
const STARTED: u64 = 1000;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + DAY * 20_000
}

fn arguments(more: &[&str]) -> args::ConfigurationArgs {
    let line = ["portcullis-webhook", "--kube", "--self-signed", "--manage-webhook-configuration"];
    Args::try_parse_from(line.iter().chain(more)).unwrap().configuration
}

fn rules() -> Vec<Value> {
    vec![json!({"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["*"],
        "resources": ["pods"], "scope": "*"})]
}

fn wanted(more: &[&str]) -> Value {
    Wanted::of(Asks::Verdicts, &arguments(more), "portcullis-system").object(&rules(), None)
}

fn authorities() -> Authorities {
    Authorities::default().advanced(now(), &Terms::default()).unwrap()
}

fn ca(authorities: &Authorities) -> Vec<CertificateDer<'static>> {
    bundle::certificates(&authorities.bundle())
}

#[test]
fn what_is_kept_is_what_the_manifest_says() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/webhook/webhook-configuration.yaml");
    let text = std::fs::read_to_string(root).unwrap();
    let (documents, problems) = Document::read_all("webhook-configuration.yaml", &text);
    assert!(problems.is_empty() && documents.len() == 1);
    let mut shipped = documents[0].to_json();
    // What API servers fill in.
    for webhook in shipped["webhooks"].as_array_mut().unwrap() {
        webhook["clientConfig"]["service"]["port"] = json!(443);
        for rule in webhook["rules"].as_array_mut().unwrap() {
            rule["scope"] = json!("*");
        }
    }
    // These follow the policies.
    shipped["webhooks"][0]["rules"] = json!(rules());
    assert_eq!(differences(&shipped, &wanted(&[])), Vec::<String>::new());
    assert_eq!(
        shipped["webhooks"].as_array().map(Vec::len),
        wanted(&[])["webhooks"].as_array().map(Vec::len)
    );
    assert_eq!(shipped["metadata"]["name"], wanted(&[])["metadata"]["name"]);
}

#[test]
fn what_is_kept_of_mutation_is_what_the_manifest_says() {
    let root =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/optional/mutating-webhook-configuration.yaml");
    let text = std::fs::read_to_string(root).unwrap();
    let mut shipped = Document::read_all("mutating-webhook-configuration.yaml", &text).0.remove(0).to_json();
    let wanted =
        Wanted::of(Asks::Patches, &arguments(&["--mutate"]), "portcullis-system").object(&rules(), None);
    assert_eq!(shipped["kind"], wanted["kind"]);
    assert_eq!(shipped["metadata"]["name"], wanted["metadata"]["name"]);
    let webhooks = shipped["webhooks"].as_array_mut().unwrap();
    assert_eq!(webhooks.len(), 1);
    // What API servers fill in, and what follows the mutators.
    webhooks[0]["clientConfig"]["service"]["port"] = json!(443);
    webhooks[0]["rules"] = json!(rules());
    assert_eq!(differences(&shipped, &wanted), Vec::<String>::new());
    shipped["webhooks"][0]["reinvocationPolicy"] = json!("IfNeeded");
    assert_eq!(differences(&shipped, &wanted).len(), 1);
    // Without mutators nothing is sent, and API servers leave an empty list out.
    let none = Wanted::of(Asks::Patches, &arguments(&["--mutate"]), "portcullis-system").object(&[], None);
    shipped["webhooks"][0]["reinvocationPolicy"] = json!("Never");
    shipped["webhooks"][0].as_object_mut().unwrap().remove("rules");
    assert_eq!(differences(&shipped, &none), Vec::<String>::new());
    assert_eq!(differences(&shipped, &wanted).len(), 1);
    assert_ne!(digest(&none), digest(&wanted));
}

#[test]
fn flags_say_what_people_have_to_choose() {
    let all = wanted(&[
        "--webhook-failure-policy=fail",
        "--webhook-timeout=9",
        "--webhook-namespace-selector=env in (prod),!legacy",
        "--webhook-service=other/hook:8443",
        "--webhook-configuration=gate",
    ]);
    let (admit, guard) = (&all["webhooks"][0], &all["webhooks"][1]);
    assert_eq!((&all["metadata"]["name"], &admit["failurePolicy"]), (&json!("gate"), &json!("Fail")));
    assert_eq!(admit["timeoutSeconds"], 9);
    let service = json!({"namespace": "other", "name": "hook", "port": 8443, "path": "/v1/admit"});
    assert_eq!(admit["clientConfig"]["service"], service);
    let expressions = admit["namespaceSelector"]["matchExpressions"].as_array().unwrap();
    assert_eq!(expressions.len(), 4);
    assert_eq!(expressions[2], json!({"key": "env", "operator": "In", "values": ["prod"]}));
    // Who selects namespaces does not select who may take one out.
    assert_eq!(guard["namespaceSelector"]["matchExpressions"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&guard["failurePolicy"], &guard["clientConfig"]["service"]["path"]),
        (&json!("Fail"), &json!("/v1/admitlabel"))
    );
    let by_url = wanted(&["--webhook-url=https://10.0.0.7:8443/"]);
    assert_eq!(by_url["webhooks"][1]["clientConfig"], json!({"url": "https://10.0.0.7:8443/v1/admitlabel"}));
}

/// A configuration as the API server has it after it was made.
fn made(wanted: &Value, authorities: &Authorities, started: u64) -> Value {
    let ours = ca(authorities);
    let goal = Goal { authorities: Some(&ours), wanted: Some(wanted), started, now: now() };
    let mut live = creation(wanted, &goal);
    live["metadata"]["resourceVersion"] = json!("7");
    live
}

#[test]
fn whatever_is_changed_is_put_right_once_and_then_left_alone() {
    let (wanted, own) = (wanted(&[]), authorities());
    let ours = ca(&own);
    let goal = Goal { authorities: Some(&ours), wanted: Some(&wanted), started: STARTED, now: now() };
    let live = made(&wanted, &own, STARTED);
    let rest = Plan::Rest { notes: Vec::new() };
    assert_eq!(plan(&live, &goal, Duration::ZERO), rest);
    let changes: [(&str, Value); 12] = [
        ("/webhooks/0/failurePolicy", json!("Ignored")),
        ("/webhooks/1/failurePolicy", json!("Ignore")),
        ("/webhooks/0/rules", json!([])),
        ("/webhooks/0/rules/0/operations", json!(["CREATE"])),
        ("/webhooks/0/rules/0/scope", json!("Cluster")),
        ("/webhooks/0/namespaceSelector", json!({})),
        ("/webhooks/0/namespaceSelector/matchLabels", json!({"a": "b"})),
        ("/webhooks/0/objectSelector", json!({"matchLabels": {"a": "b"}})),
        ("/webhooks/0/timeoutSeconds", json!(1)),
        ("/webhooks/0/matchPolicy", json!("Exact")),
        ("/webhooks/1/clientConfig/service/name", json!("other")),
        ("/webhooks/1/name", json!("other")),
    ];
    for (path, value) in changes {
        let mut changed = live.clone();
        let (parent, key) = path.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[key] = value;
        let Plan::Apply(object, why) = plan(&changed, &goal, Duration::ZERO) else { panic!("{path}") };
        assert_eq!(why.len(), 1, "{path}: {why:?}");
        assert_eq!(object["metadata"]["resourceVersion"], "7");
        assert_eq!(plan(&object, &goal, Duration::ZERO), rest, "{path}");
    }
    // What cannot be applied beside what is there is replaced.
    let mut moved = live.clone();
    moved["webhooks"][1]["clientConfig"] = json!({"url": "https://elsewhere.example.com/"});
    let Plan::Replace(changes, why) = plan(&moved, &goal, Duration::ZERO) else { panic!("another client") };
    assert_eq!((why.len(), changes.len()), (1, 1));
    assert_eq!(changes[0].0, "/webhooks/1/clientConfig");
    moved["webhooks"][1]["clientConfig"] = changes[0].1.clone();
    assert_eq!(plan(&moved, &goal, Duration::ZERO), rest);
    // Others' labels, annotations and webhooks are theirs.
    let mut more = live.clone();
    more["metadata"]["labels"]["team"] = json!("x");
    more["metadata"]["annotations"]["x"] = json!("y");
    more["webhooks"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"name": "x", "clientConfig": live["webhooks"][0]["clientConfig"]}));
    assert_eq!(plan(&more, &goal, Duration::ZERO), rest);
    // So are conditions, which are reported.
    more["webhooks"][1]["matchConditions"] = json!([{"name": "a", "expression": "false"}]);
    let Plan::Rest { notes } = plan(&more, &goal, Duration::ZERO) else { panic!("nothing to do") };
    assert_eq!(notes, ["`matchConditions` of \"validation.gatekeeper.sh\" leave requests out"]);
    // By hand, and said so: only the CA is kept.
    let mut by_hand = live.clone();
    by_hand["metadata"]["annotations"][MANAGED] = json!("false");
    by_hand["webhooks"][0]["failurePolicy"] = json!("Ignored");
    let Plan::Rest { notes } = plan(&by_hand, &goal, Duration::ZERO) else { panic!("nothing to do") };
    assert!(notes[0].contains("\"false\""), "{notes:?}");
    by_hand["webhooks"][0]["clientConfig"]["caBundle"] = json!("");
    let Plan::Bundles(bundles) = plan(&by_hand, &goal, Duration::ZERO) else { panic!("a bundle") };
    assert_eq!(bundles.len(), 1);
}

#[test]
fn bundles_are_mended_wherever_a_webhook_lacks_the_ca_and_nowhere_else() {
    let own = authorities();
    let ours = ca(&own);
    let goal = Goal { authorities: Some(&ours), wanted: None, started: STARTED, now: now() };
    let good = made(&wanted(&[]), &own, STARTED);
    assert_eq!(plan(&good, &goal, Duration::ZERO), Plan::Rest { notes: Vec::new() });
    for bad in [json!(null), json!(""), json!("!"), json!("Cg=="), json!(7), json!({})] {
        let mut live = good.clone();
        live["webhooks"][1]["clientConfig"]["caBundle"] = bad.clone();
        let Plan::Bundles(bundles) = plan(&live, &goal, Duration::ZERO) else { panic!("{bad}") };
        assert_eq!(
            bundles,
            [(
                "/webhooks/1/clientConfig/caBundle".to_owned(),
                good["webhooks"][1]["clientConfig"]["caBundle"].clone()
            )]
        );
    }
    // Whatever it is, it is no reason to fall over.
    for odd in [json!({}), json!({"webhooks": 1}), json!({"webhooks": [1, null, {}]}), json!([])] {
        let _ = plan(&odd, &goal, Duration::ZERO);
        let kept = Goal { wanted: Some(&odd), ..goal };
        let _ = (plan(&good, &kept, Duration::ZERO), plan(&odd, &kept, Duration::ZERO));
    }
    // Bundles that are somebody else's are not touched.
    let theirs = Goal { authorities: None, ..goal };
    let mut live = good.clone();
    live["webhooks"][1]["clientConfig"]["caBundle"] = json!("");
    assert_eq!(plan(&live, &theirs, Duration::ZERO), Plan::Rest { notes: Vec::new() });
}

/// Replicas with other flags, or of another version.
#[test]
fn of_two_replicas_that_want_different_things_the_later_wins_and_they_take_no_turns() {
    let (old, new) = (wanted(&[]), wanted(&["--webhook-timeout=9"]));
    let own = authorities();
    let ours = ca(&own);
    let goals = [(&old, 1000), (&new, 2000)];
    let goal = |index: usize| Goal {
        authorities: Some(&ours),
        wanted: Some(goals[index].0),
        started: goals[index].1,
        now: now(),
    };
    let mut live = made(&old, &own, 1000);
    let mut seen = 0_u64;
    let mut writes = [0; 2];
    // Seconds of an hour in which both run.
    for _ in 0..3600 {
        for index in [0, 1] {
            match plan(&live, &goal(index), Duration::from_secs(seen)) {
                Plan::Apply(object, _) => {
                    (live, seen) = (object, 0);
                    writes[index] += 1;
                }
                Plan::Later(..) | Plan::Rest { .. } => {}
                Plan::Bundles(_) | Plan::Replace(..) => panic!("the CA and the client are there"),
            }
        }
        seen += 1;
    }
    assert!(writes[1] - writes[0] <= 1 && writes[1] <= 13, "{writes:?}");
    // In the minutes of a rolling update nothing but the first write happens.
    let first = made(&new, &own, 2000);
    assert!(matches!(plan(&first, &goal(0), Duration::from_secs(200)), Plan::Later(..)));
    // What a human changes is put right by the replica that kept it, at once.
    let mut edited = first.clone();
    edited["webhooks"][0]["timeoutSeconds"] = json!(1);
    assert!(matches!(plan(&edited, &goal(1), Duration::ZERO), Plan::Apply(..)));
    // Rules that change are ours to change at once.
    let changed = Goal { wanted: Some(&old), ..goal(1) };
    assert!(matches!(plan(&first, &changed, Duration::ZERO), Plan::Apply(..)));
    assert_eq!(annotation(&first, KEPT_BY), Some(&*format!("{}/2000", digest(&new))));
}

/// A Secret as the API has it.
fn secret(type_name: &str, texts: &BTreeMap<&str, String>) -> portcullis_cluster::Secret {
    use base64::Engine as _;
    let encode = |text: &String| base64::engine::general_purpose::STANDARD.encode(text);
    let data: Value = texts.iter().map(|(key, text)| ((*key).to_owned(), json!(encode(text)))).collect();
    portcullis_cluster::Secret::of(&json!({"metadata": {"name": "ca"}, "type": type_name, "data": data}))
}

const TYPE: &str = "portcullis.example.com/ca";

/// A text of a Secret, and what is there instead of it.
type Change<'a> = (&'a str, Option<&'a str>);

#[test]
fn a_secret_is_good_foreign_or_broken_and_nobody_is_told_a_key() {
    let own = authorities();
    let texts = own.to_texts();
    assert_eq!(read(&secret(TYPE, &texts), now()), Content::Good(own.clone()));
    for foreign in ["Opaque", "kubernetes.io/tls", ""] {
        assert!(matches!(read(&secret(foreign, &texts), now()), Content::Foreign(_)), "{foreign}");
    }
    let other = authorities().to_texts();
    let leaf = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (leaf, leaf_key) = (leaf.cert.pem(), leaf.signing_key.serialize_pem());
    let certificate = &texts["current.crt"];
    let cut = certificate.replace("-----END", "");
    let two = format!("{certificate}{certificate}");
    let cases: &[(&str, &[Change<'_>])] = &[
        ("`current.crt` and `current.key`", &[("current.crt", None), ("current.key", None)]),
        ("there is no text `current.key`", &[("current.key", None)]),
        ("there is no text `current.crt`", &[("current.crt", None)]),
        ("the key beside it is that of another", &[("current.key", Some(&other["current.key"]))]),
        ("the key beside it is that of another", &[("current.crt", Some(&other["current.crt"]))]),
        ("not the certificate of a CA", &[("current.crt", Some(&leaf)), ("current.key", Some(&leaf_key))]),
        ("its key is no private key", &[("current.key", Some("x"))]),
        ("its key is no private key", &[("current.key", Some(certificate))]),
        ("expected one certificate", &[("current.crt", Some(""))]),
        ("expected one certificate", &[("current.crt", Some(&cut))]),
        ("expected one certificate", &[("current.crt", Some(&two))]),
        ("expected one certificate", &[("current.crt", Some(&texts["current.key"]))]),
        ("`next.crt`: expected one", &[("next.crt", Some("x")), ("next.key", Some("y"))]),
        ("there is no text `next.key`", &[("next.crt", Some(certificate))]),
        ("`previous.crt`: expected one", &[("previous.crt", Some("x"))]),
    ];
    for (expected, changes) in cases {
        let mut broken = texts.clone();
        for (key, text) in *changes {
            match text {
                Some(text) => broken.insert(key, (*text).to_owned()),
                None => broken.remove(key),
            };
        }
        let Content::Broken(why) = read(&secret(TYPE, &broken), now()) else { panic!("{expected}") };
        assert!(why.contains(expected), "{expected}: {why}");
    }
    let early = now() - DAY * 3;
    let Content::Broken(why) = read(&secret(TYPE, &texts), early) else { panic!("too early") };
    assert!(why.contains("not valid yet"), "{why}");
    // Neither here nor anywhere else.
    let key: Vec<&str> = texts["current.key"].lines().filter(|line| !line.starts_with("--")).collect();
    let told = format!("{own:?} {:?} {:?}", read(&secret(TYPE, &texts), now()), secret(TYPE, &texts));
    assert!(key.iter().all(|line| !told.contains(line)), "{told}");
}

/// Two replicas that look at the Secret now and then, for years, and clients that read the bundle late.
#[test]
fn a_shared_ca_is_replaced_in_time_and_what_is_written_is_read_as_it_was() {
    let terms = Terms { ca: DAY * 100, leaf: DAY * 30, ahead: DAY * 10 };
    let mut stored = Authorities::default().advanced(now(), &terms).unwrap();
    let mut bundles: Vec<Vec<CertificateDer<'static>>> = Vec::new();
    let mut replaced = 0;
    for day in 0..400 {
        let now = now() + DAY * day;
        for _replica in 0..2 {
            let Content::Good(read) = read(&secret(TYPE, &stored.to_texts()), now) else {
                panic!("day {day}")
            };
            assert_eq!(read.bundle(), stored.bundle());
            let due = read.advanced(now, &terms).unwrap();
            assert_eq!(due != read, read.is_due(now, &terms), "day {day}");
            replaced += u32::from(due != read);
            stored = due;
        }
        let signs = ca(&stored).remove(0);
        bundles.push(ca(&stored));
        let late = bundles.len().saturating_sub(9);
        assert!(bundles[late..].iter().all(|bundle| bundle.contains(&signs)), "day {day}");
    }
    // A next one, its use, and the end of the last: three times each at most.
    assert!((9..=13).contains(&replaced), "{replaced}");
}

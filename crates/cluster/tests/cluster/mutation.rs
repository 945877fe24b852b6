//! Mutators and expansion templates of a cluster: none only where their kind is not installed.

use std::time::Duration;

use portcullis::{
    Document, Expansion, ExpansionSet, Mutable, MutationLimits, MutatorInfo, MutatorSet, Object, Uses,
};
use portcullis_cluster::{Feed, FeedOptions, PolicyState, Report, Snapshot, Standing, StatusWriter};
use portcullis_testkit::apiserver::{ApiServer, Fault, Verb};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::connect;
use crate::feed::{options, standing, until};

const USES: Uses = Uses::POLICIES.with_mutators(true).with_expansions(true);
const MUTATORS: [(&str, &str); 4] = [
    ("mutations.gatekeeper.sh/v1", "Assign"),
    ("mutations.gatekeeper.sh/v1alpha1", "AssignImage"),
    ("mutations.gatekeeper.sh/v1", "AssignMetadata"),
    ("mutations.gatekeeper.sh/v1", "ModifySet"),
];

/// With all kinds of Gatekeeper's.
fn install(server: &ApiServer) {
    for (version, kind) in MUTATORS {
        server.register(version, kind, &kind.to_lowercase(), false);
    }
    server.register("expansion.gatekeeper.sh/v1beta1", "ExpansionTemplate", "expansiontemplate", false);
}

fn label(name: &str, value: &str) -> Value {
    json!({"apiVersion": "mutations.gatekeeper.sh/v1", "kind": "AssignMetadata", "metadata": {"name": name},
        "spec": {"location": format!("metadata.labels.{name}"), "parameters": {"assign": {"value": value}}}})
}

fn assign(name: &str, location: &str) -> Value {
    json!({"apiVersion": "mutations.gatekeeper.sh/v1", "kind": "Assign", "metadata": {"name": name},
        "spec": {"applyTo": [{"groups": [""], "versions": ["v1"], "kinds": ["Pod"]}],
            "location": location, "parameters": {"assign": {"value": "x"}}}})
}

fn expansion(name: &str, kind: &str, into: &str) -> Value {
    json!({"apiVersion": "expansion.gatekeeper.sh/v1beta1", "kind": "ExpansionTemplate", "metadata": {"name": name},
        "spec": {"applyTo": [{"groups": ["apps"], "versions": ["v1"], "kinds": [kind]}],
            "templateSource": "spec.template", "generatedGVK": {"group": "apps", "version": "v1", "kind": into}}})
}

async fn start(server: &ApiServer) -> Feed {
    let options = FeedOptions { uses: USES, ..options() };
    Feed::start(&connect(server).await, options).expect("a thread")
}

/// The labels of a Pod as the mutators leave it, or why it is not known.
fn labels(mutators: &Result<MutatorSet, std::sync::Arc<str>>) -> Result<Value, String> {
    let mutators = mutators.as_ref().map_err(ToString::to_string)?;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
    let pod = Mutable::new(Object::from_json(&pod).expect("an object"));
    let mutation =
        mutators.mutate(&pod, MutationLimits::default(), None).map_err(|error| error.to_string())?;
    Ok(mutation.object().to_json()["metadata"]["labels"].clone())
}

/// What comes of a Deployment.
fn implied(snapshot: &Snapshot) -> Vec<String> {
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"template": {}}}}});
    let deployment = Object::from_json(&deployment).expect("an object");
    let all =
        Expansion::new(&snapshot.expansions).expand(&deployment, None, None).expect("it can be expanded");
    all.iter().map(|one| one.template().to_owned()).collect()
}

fn state<'a>(report: &'a Report, name: &str) -> Option<&'a PolicyState> {
    report.policies.iter().find(|policy| policy.name == name)
}

/// What is wrong with a policy.
fn errors(report: &Report, name: &str) -> Vec<String> {
    state(report, name).into_iter().flat_map(|policy| &policy.errors).map(ToString::to_string).collect()
}

async fn until_labels(feed: &Feed, expected: Value) {
    until(&format!("labels {expected}"), feed, |snapshot, _| {
        (labels(&snapshot?.mutators).ok()? == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutators_and_expansion_templates_are_followed() {
    let server = ApiServer::start().await;
    install(&server);
    server.put(label("a", "1"));
    server.put(expansion("e", "Deployment", "ReplicaSet"));
    // More than a page, which comes late: half of a list is none.
    for number in 0..5 {
        server.put(label(&format!("n{number}"), "1"));
    }
    server.fault(Fault::on(Verb::List, "assignmetadata").after(1).disconnect_after(0));
    let mut feed = start(&server).await;
    let snapshot = feed.ready().await.expect("a feed");
    let all = json!({"a": "1", "n0": "1", "n1": "1", "n2": "1", "n3": "1", "n4": "1"});
    assert_eq!(labels(&snapshot.mutators), Ok(all));
    assert_eq!(implied(&snapshot), ["e"]);
    for number in 0..5 {
        server.delete("assignmetadata", "", &format!("n{number}"));
    }
    server.put(label("b", "2"));
    until_labels(&feed, json!({"a": "1", "b": "2"})).await;
    server.delete("assignmetadata", "", "a");
    server.delete("expansiontemplate", "", "e");
    until_labels(&feed, json!({"b": "2"})).await;
    until("nothing is implied", &feed, |snapshot, _| implied(snapshot?).is_empty().then_some(())).await;
    assert!(feed.report().unsupported.is_empty());
    until("all are in force", &feed, |_, report| {
        report
            .policies
            .iter()
            .all(|policy| policy.standing == Standing::Served && policy.enforced)
            .then_some(())
    })
    .await;
    let policies = feed.snapshot().expect("a snapshot").policies_revision;
    assert_eq!(policies, snapshot.policies_revision, "policies are not compiled again");
}

/// The generation is noted in what is mutated. A status does not change it, and compiles nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_comes_back_changes_nothing() {
    let server = ApiServer::start().await;
    install(&server);
    server.put(label("a", "1"));
    let mut feed = start(&server).await;
    let snapshot = feed.ready().await.expect("a feed");
    let noted = |mutators: &Result<MutatorSet, _>| {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
        let pod = Mutable::new(Object::from_json(&pod).expect("an object")).annotated("id");
        let mutators = mutators.as_ref().expect("mutators");
        let mutation = mutators.mutate(&pod, MutationLimits::default(), None).expect("it can be mutated");
        mutation.object().to_json()["metadata"]["annotations"]["gatekeeper.sh/mutations"].clone()
    };
    assert_eq!(noted(&snapshot.mutators), json!("AssignMetadata//a:1"));
    let mut live = server.get("assignmetadata", "", "a").expect("a mutator");
    live["status"] = json!({"byPod": [{"id": "x"}]});
    server.put(live.clone());
    until("the status is seen", &feed, |_, report| (!state(report, "a")?.by_pod.is_empty()).then_some(()))
        .await;
    let now = feed.snapshot().expect("a snapshot");
    assert_eq!(now.mutation_revision, snapshot.mutation_revision);
    live["spec"]["parameters"]["assign"]["value"] = json!("2");
    server.put(live);
    until_labels(&feed, json!({"a": "2"})).await;
    assert_eq!(noted(&feed.snapshot().expect("a snapshot").mutators), json!("AssignMetadata//a:2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_version_stays_when_an_update_is_bad() {
    let server = ApiServer::start().await;
    install(&server);
    server.put(label("a", "1"));
    server.put(expansion("e", "Deployment", "ReplicaSet"));
    let mut feed = start(&server).await;
    feed.ready().await.expect("a feed");
    let mut bad = label("a", "2");
    bad["spec"]["location"] = json!("spec.x");
    server.put(bad);
    let mut bad = expansion("e", "Deployment", "ReplicaSet");
    bad["spec"]["templateSource"] = json!("");
    server.put(bad);
    // One that was never good, beside a good one.
    let mut never = label("never", "x");
    never["spec"]["location"] = json!("metadata.labels");
    server.put(never);
    server.put(label("good", "1"));
    until_labels(&feed, json!({"a": "1", "good": "1"})).await;
    until("both are rejected", &feed, |snapshot, report| {
        let is_rejected = |name| matches!(standing(report, name), Some(Standing::Rejected { .. }));
        assert_eq!(implied(snapshot?), ["e"]);
        (is_rejected("a") && is_rejected("e") && is_rejected("never")).then_some(())
    })
    .await;
    let report = feed.report();
    assert!(errors(&report, "a")[0].contains("spec.location"), "{:?}", errors(&report, "a"));
    assert!(errors(&report, "e")[0].contains("templateSource"), "{:?}", errors(&report, "e"));
    let enforced = |name| state(&report, name).map(|policy| policy.enforced);
    assert_eq!(
        ["a", "e", "never", "good"].map(enforced),
        [Some(true), Some(true), Some(false), Some(true)],
        "{report:#?}"
    );
    // What is repaired is in force as it is.
    server.put(label("a", "3"));
    until_labels(&feed, json!({"a": "3", "good": "1"})).await;
    assert_eq!(errors(&feed.report(), "a"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn mutators_in_conflict_are_not_applied_and_all_others_are() {
    let server = ApiServer::start().await;
    install(&server);
    server.put(label("a", "1"));
    server.put(assign("list", "spec.x[name: y].z"));
    let mut feed = start(&server).await;
    let snapshot = feed.ready().await.expect("a feed");
    let disabled = |snapshot: &Snapshot| {
        let mutators = snapshot.mutators.as_ref().expect("mutators");
        mutators.conflicts().count()
    };
    assert_eq!(disabled(&snapshot), 0);
    server.put(assign("object", "spec.x.z"));
    until("they contradict each other", &feed, |snapshot, _| (disabled(snapshot?) == 2).then_some(())).await;
    until_labels(&feed, json!({"a": "1"})).await;
    for (name, other) in [("list", "object"), ("object", "list")] {
        until("it is said of both", &feed, |_, report| {
            let policy = state(report, name)?;
            let error = errors(report, name).pop()?;
            (!policy.enforced && error.contains(&format!("Assign/{other}"))).then_some(())
        })
        .await;
    }
    assert!(state(&feed.report(), "a").is_some_and(|policy| policy.enforced));
    server.delete("assign", "", "object");
    until("it is in force again", &feed, |snapshot, report| {
        (disabled(snapshot?) == 0 && standing(report, "list") == Some(&Standing::Served)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_in_a_circle_are_not_applied_and_all_others_are() {
    let server = ApiServer::start().await;
    install(&server);
    server.put(expansion("sets", "StatefulSet", "DaemonSet"));
    server.put(expansion("back", "DaemonSet", "StatefulSet"));
    server.put(expansion("e", "Deployment", "ReplicaSet"));
    let mut feed = start(&server).await;
    let snapshot = feed.ready().await.expect("a feed");
    assert_eq!(implied(&snapshot), ["e"]);
    until("both are told", &feed, |_, report| {
        let is_told = |name| errors(report, name).iter().any(|error| error.contains("circle"));
        (is_told("sets") && is_told("back") && !state(report, "sets")?.enforced).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_that_are_not_installed_have_no_objects_until_they_are() {
    let server = ApiServer::start().await;
    let mut feed = start(&server).await;
    let snapshot = tokio::time::timeout(Duration::from_secs(20), feed.ready()).await;
    let snapshot = snapshot.expect("in time").expect("a feed");
    assert_eq!(labels(&snapshot.mutators), Ok(Value::Null));
    assert_eq!(implied(&snapshot), Vec::<String>::new());
    for (group, kind) in [("mutations", "AssignMetadata"), ("expansion", "ExpansionTemplate")] {
        // An older Gatekeeper, and a kind that comes late.
        server.establish_late(Duration::from_millis(200), Duration::ZERO);
        let plural = kind.to_lowercase();
        server.put(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}.gatekeeper.sh")},
            "spec": {"group": format!("{group}.gatekeeper.sh"), "scope": "Cluster",
                "names": {"kind": kind, "plural": plural},
                "versions": [{"name": "v1alpha1", "served": true, "storage": true}]}}));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let old = |mut object: Value| {
        let version = object["apiVersion"].as_str().expect("a version").split_once('/').expect("a group").0;
        object["apiVersion"] = json!(format!("{version}/v1alpha1"));
        object
    };
    server.put(old(label("a", "1")));
    server.put(old(expansion("e", "Deployment", "ReplicaSet")));
    until_labels(&feed, json!({"a": "1"})).await;
    until("it is expanded", &feed, |snapshot, _| (implied(snapshot?) == ["e"]).then_some(())).await;
    // Gatekeeper is taken away.
    server.delete("customresourcedefinitions", "", "assignmetadata.mutations.gatekeeper.sh");
    server.unregister("assignmetadata");
    until_labels(&feed, Value::Null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutators_that_may_not_be_listed_are_not_none() {
    let server = ApiServer::start().await;
    install(&server);
    server.put(label("a", "1"));
    server.deny("modifyset");
    let mut feed = start(&server).await;
    let snapshot = feed.ready().await.expect("a feed");
    let why = labels(&snapshot.mutators).expect_err("unknown");
    assert!(why.contains("mutators of the kind ModifySet") && why.contains("forbidden"), "{why}");
    until("it is said", &feed, |_, report| {
        assert!(!state(report, "a")?.enforced);
        let problem = report.problems.iter().find(|problem| problem.subject.starts_with("modifyset."))?;
        problem.message.contains("nothing can be mutated").then_some(())
    })
    .await;
    server.grant("modifyset");
    until_labels(&feed, json!({"a": "1"})).await;
    until("it is in force", &feed, |_, report| state(report, "a")?.enforced.then_some(())).await;
    // What is known stays in force when it cannot be seen any more.
    server.deny("assignmetadata");
    server.end_watches();
    until("it fails", &feed, |_, report| (report.failing_watches > 0).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let snapshot = feed.snapshot().expect("a snapshot");
    assert_eq!(labels(&snapshot.mutators), Ok(json!({"a": "1"})));
    let report = feed.report();
    let told = report.problems.iter().find(|problem| problem.subject.starts_with("assignmetadata."));
    assert!(told.is_some_and(|problem| problem.message.contains("changes are not seen")), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_judged_before_expansion_templates_are_known() {
    for is_denied in [true, false] {
        let server = ApiServer::start().await;
        install(&server);
        server.put(expansion("e", "Deployment", "ReplicaSet"));
        if is_denied {
            server.deny("expansiontemplate");
        } else {
            server.fault(Fault::on(Verb::List, "expansiontemplate").always());
        }
        let mut feed = start(&server).await;
        until("it is waited for", &feed, |snapshot, report| {
            assert!(snapshot.is_none());
            let told = report.waiting.iter().any(|awaited| {
                !awaited.is_on_its_way() && awaited.to_string().starts_with("expansiontemplate.")
            });
            told.then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(feed.snapshot().is_none());
        server.grant("expansiontemplate");
        server.heal();
        assert_eq!(implied(&feed.ready().await.expect("a feed")), ["e"]);
    }
}

/// Its group does not answer to discovery in the old form: which version is served is not known, and the usual one is.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_discovery_does_not_know_is_asked_all_the_same() {
    let server = ApiServer::start().await;
    install(&server);
    server.without_aggregated_discovery();
    server.break_group("mutations.gatekeeper.sh/v1");
    server.put(label("a", "1"));
    let mut feed = start(&server).await;
    let snapshot = feed.ready().await.expect("a feed");
    assert_eq!(labels(&snapshot.mutators), Ok(json!({"a": "1"})));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_used_is_reported_as_not_supported() {
    let server = ApiServer::start().await;
    install(&server);
    server.put(label("a", "1"));
    server.put(expansion("e", "Deployment", "ReplicaSet"));
    let options = FeedOptions { uses: Uses::POLICIES.with_expansions(true), ..options() };
    let mut feed = Feed::start(&connect(&server).await, options).expect("a thread");
    let snapshot = feed.ready().await.expect("a feed");
    assert_eq!(implied(&snapshot), ["e"]);
    assert_eq!(labels(&snapshot.mutators), Ok(Value::Null));
    until("it is said", &feed, |_, report| {
        let [line] = &*report.unsupported else { return None };
        line.starts_with("AssignMetadata `a`").then_some(())
    })
    .await;
}

/// What somebody does, or what goes wrong.
#[derive(Clone, Debug)]
enum Step {
    /// A mutator by its name, in one of several versions, some of them contradicting those of others.
    Mutator(u8, u8),
    RemoveMutator(u8),
    Template(u8, u8),
    RemoveTemplate(u8),
    Compact,
    EndWatches,
    Fail(Verb, u8, u8),
    Deny(u8),
    Grant(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let verb = prop_oneof![Just(Verb::List), Just(Verb::Watch), Just(Verb::Discover)];
    let step = prop_oneof![
        5 => (0..5_u8, 0..4_u8).prop_map(|(name, version)| Step::Mutator(name, version)),
        2 => (0..5_u8).prop_map(Step::RemoveMutator),
        3 => (0..3_u8, 0..2_u8).prop_map(|(name, version)| Step::Template(name, version)),
        1 => (0..3_u8).prop_map(Step::RemoveTemplate),
        1 => Just(Step::Compact),
        1 => Just(Step::EndWatches),
        2 => (verb, 0..3_u8, 0..4_u8).prop_map(|(verb, plural, what)| Step::Fail(verb, plural, what)),
        1 => (0..2_u8).prop_map(Step::Deny),
        1 => (0..2_u8).prop_map(Step::Grant),
    ];
    proptest::collection::vec(step, 1..25)
}

const PLURALS: [&str; 3] = ["assign", "assignmetadata", "expansiontemplate"];

fn play(server: &ApiServer, step: &Step) {
    match step {
        Step::Mutator(name @ 0..3, version) => {
            let location = ["spec.x.z", "spec.x[name: y].z", "spec.x[other: y].z", "spec.w"];
            server.put(assign(&format!("m{name}"), location[usize::from(*version)]));
        }
        Step::Mutator(name, version) => {
            server.put(label(&format!("m{name}"), &version.to_string()));
        }
        Step::RemoveMutator(name) => server.delete(PLURALS[usize::from(*name >= 3)], "", &format!("m{name}")),
        Step::Template(name, version) => {
            let kinds = ["Deployment", "ReplicaSet", "DaemonSet"];
            let kind = |number: u8| kinds[usize::from(number % 3)];
            // Those of the first version may make a circle.
            let into = if *version == 0 { kind(name + 1) } else { "ControllerRevision" };
            server.put(expansion(&format!("t{name}"), kind(*name), into));
        }
        Step::RemoveTemplate(name) => server.delete("expansiontemplate", "", &format!("t{name}")),
        Step::Compact => server.compact(),
        Step::EndWatches => server.end_watches(),
        Step::Fail(verb, plural, what) => {
            let fault = Fault::on(*verb, PLURALS[usize::from(*plural)]);
            server.fault(match what {
                0 => fault.gone(),
                1 => fault.disconnect_after(1),
                2 => fault.forbidden(),
                _ => fault.times(2),
            });
        }
        Step::Deny(kind) => server.deny(PLURALS[usize::from(*kind)]),
        Step::Grant(kind) => server.grant(PLURALS[usize::from(*kind)]),
    }
}

/// Each mutator, and whether it is not applied; each template, and whether it is in a circle.
type Told = (Vec<(String, bool)>, Vec<(String, bool)>, Value);

fn told(mutators: &MutatorSet, expansions: &ExpansionSet) -> Told {
    let of = |mutator: &MutatorInfo| (mutator.key().to_string(), mutators.is_disabled(mutator.key()));
    let circles: Vec<&str> = expansions.in_cycles().collect();
    (
        mutators.mutators().map(of).collect(),
        expansions.templates().map(|name| (name.to_owned(), circles.contains(&name))).collect(),
        labels(&Ok(mutators.clone())).expect("it can be mutated"),
    )
}

/// What the objects of the server would be as files.
fn of_files(server: &ApiServer) -> Told {
    let of = |letter: &str, plural: &str| {
        let names = (0..5).map(|number| format!("{letter}{number}"));
        let all = names.filter_map(|name| server.get(plural, "", &name));
        all.map(|object| Document::read_all("o.json", &object.to_string()).0.remove(0)).collect::<Vec<_>>()
    };
    let mutators = [of("m", "assign"), of("m", "assignmetadata")].concat();
    told(&MutatorSet::compile(mutators).0, &ExpansionSet::compile(of("t", "expansiontemplate")).0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 3, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever users do and whatever goes wrong meanwhile: in the end it is what the objects would be as files. Before that it is never known
    /// by halves: what cannot be listed is unknown.
    #[test]
    fn mutators_and_templates_converge_to_what_files_would_give(before in steps(), after in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let server = ApiServer::start().await;
            install(&server);
            for step in &before {
                play(&server, step);
            }
            let feed = start(&server).await;
            for step in &after {
                play(&server, step);
            }
            server.heal();
            for plural in PLURALS {
                server.grant(plural);
            }
            let expected = of_files(&server);
            until(&format!("{expected:?}"), &feed, |snapshot, report| {
                let snapshot = snapshot?;
                let found = told(snapshot.mutators.as_ref().ok()?, &snapshot.expansions);
                (found == expected && report.waiting.is_empty()).then_some(())
            })
            .await;
        });
    }
}

/// CRDs drop what they do not know: what they have dropped is not written again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_whose_errors_lost_their_types_is_not_written_again() {
    let server = ApiServer::start().await;
    install(&server);
    server.put(assign("list", "spec.x[name: y].z"));
    server.put(assign("object", "spec.x.z"));
    let cluster = connect(&server).await;
    let mut feed = start(&server).await;
    feed.ready().await.expect("a feed");
    until("it is said", &feed, |_, report| (!errors(report, "list").is_empty()).then_some(())).await;
    let writer = StatusWriter::new(&cluster, "pod-a", "gatekeeper-system", &["webhook"]);
    let list = state(&feed.report(), "list").cloned().expect("a mutator");
    assert!(writer.is_due(&list));
    writer.write(&list, None).await.expect("a write");
    let mut live = server.get("assign", "", "list").expect("a mutator");
    let entry = &live["status"]["byPod"][0];
    assert_eq!(
        (&entry["enforced"], &entry["errors"][0]["type"]),
        (&json!(false), &json!("ErrConflictingSchema"))
    );
    live["status"]["byPod"][0]["errors"][0].as_object_mut().expect("an error").remove("type");
    server.put(live.clone());
    until("it is seen", &feed, |_, report| (!state(report, "list")?.by_pod.is_empty()).then_some(())).await;
    until("it is not due", &feed, |_, report| (!writer.is_due(state(report, "list")?)).then_some(())).await;
    // Another message is.
    live["status"]["byPod"][0]["errors"][0]["message"] = json!("something else");
    server.put(live);
    until("it is due", &feed, |_, report| writer.is_due(state(report, "list")?).then_some(())).await;
}

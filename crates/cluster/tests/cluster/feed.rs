//! The feed: whole when it is ready, and always what files would give.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use portcullis::{
    Decision, Document, EnforcementPoint, Gvk, InventoryStore, Object, PolicySet, Review, World,
};
use portcullis_cluster::{
    Awaited, Cluster, Definition, Feed, FeedOptions, Patience, Report, Snapshot, Standing, Unreadable,
};
use portcullis_testkit::apiserver::{ApiServer, Fault, Verb};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::connect;

/// A template that refuses objects whose label `app` another object of a kind has; what it compares with is in its text.
pub(crate) fn unique(kind: &str, other: &str) -> Value {
    let rego = format!(
        "package p\nviolation[{{\"msg\": msg}}] {{\n  \
         other := data.inventory.namespace[ns][_][\"{other}\"][name]\n  \
         other.metadata.labels.app == input.review.object.metadata.labels.app\n  \
         not same(other)\n  msg := sprintf(\"%v/%v has it\", [ns, name])\n}}\n\
         same(o) {{ o.metadata.name == input.review.object.metadata.name }}\n"
    );
    template(kind, &rego)
}

/// A template that refuses everything, with a message.
pub(crate) fn refuse(kind: &str, message: &str) -> Value {
    template(kind, &format!("package p\nviolation[{{\"msg\": \"{message}\"}}] {{ true }}\n"))
}

pub(crate) fn template(kind: &str, rego: &str) -> Value {
    json!({"apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate",
        "metadata": {"name": kind.to_lowercase()},
        "spec": {"crd": {"spec": {"names": {"kind": kind}}},
            "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": rego}]}})
}

pub(crate) fn constraint(kind: &str, name: &str) -> Value {
    json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": kind, "metadata": {"name": name}, "spec": {}})
}

pub(crate) fn service(namespace: &str, name: &str, app: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": app}}})
}

/// Applies a template, and its CRD as Gatekeeper would.
pub(crate) fn install(server: &ApiServer, template: Value) {
    let kind = template["spec"]["crd"]["spec"]["names"]["kind"].as_str().expect("a kind").to_owned();
    server.register("constraints.gatekeeper.sh/v1beta1", &kind, &kind.to_lowercase(), false);
    server.put(template);
}

pub(crate) fn options() -> FeedOptions {
    let patience = Patience {
        listing: Duration::from_millis(300),
        denied: Duration::from_millis(200),
        failing: Duration::from_secs(2),
    };
    FeedOptions { debounce: Duration::from_millis(5), page: 3, patience, ..FeedOptions::default() }
}

async fn start(server: &ApiServer) -> (Cluster, Feed) {
    let cluster = connect(server).await;
    let feed = Feed::start(&cluster, options()).expect("a thread");
    (cluster, feed)
}

/// Waits until something is so, and says what was if it never is.
pub(crate) async fn until<T>(
    what: &str,
    feed: &Feed,
    mut get: impl FnMut(Option<&Snapshot>, &Report) -> Option<T>,
) -> T {
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(found) = get(feed.snapshot().as_deref(), &feed.report()) {
            return found;
        }
        assert!(Instant::now() < end, "never: {what}; {:#?}", feed.report());
        sleep(Duration::from_millis(3)).await;
    }
}

/// The messages for an object.
fn judge(snapshot: &Snapshot, object: &Value) -> Vec<String> {
    let object = Object::from_json(object).expect("an object");
    let world = World::new(&snapshot.inventory);
    let outcome = snapshot.policies.review(&Review::from_object(object), &world, EnforcementPoint::Webhook);
    Decision::from(&outcome).denials()
}

/// How it stands with a policy.
pub(crate) fn standing<'a>(report: &'a Report, name: &str) -> Option<&'a Standing> {
    report.policies.iter().find(|policy| policy.name == name).map(|policy| &policy.standing)
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_only_when_everything_that_is_needed_was_listed() {
    let server = ApiServer::start().await;
    install(&server, unique("UniqueApp", "Service"));
    server.put(constraint("UniqueApp", "apps"));
    for index in 0..10 {
        server.put(service("shop", &format!("s{index}"), &format!("app{index}")));
    }
    // Services are needed only once the template is known, and their pages come late.
    server.fault(Fault::on(Verb::List, "services").always().slow(Duration::from_millis(150)));
    let (_cluster, mut feed) = start(&server).await;
    until("services are waited for", &feed, |snapshot, report| {
        assert!(snapshot.is_none());
        matches!(&*report.waiting, [Awaited::Listing(services)] if services.to_string() == "services.v1")
            .then_some(())
    })
    .await;
    assert!(feed.snapshot().is_none() && !feed.report().ready);
    let snapshot =
        tokio::time::timeout(Duration::from_mins(1), feed.ready()).await.expect("in time").expect("a feed");
    assert_eq!(snapshot.inventory.len(), 10);
    assert_eq!(judge(&snapshot, &service("shop", "new", "app3")), ["[apps] shop/s3 has it"]);
    assert_eq!(snapshot.namespaces.len(), 2);
    assert_eq!(snapshot.templates.len(), 1);
    until("nothing is waited for", &feed, |_, report| report.waiting.is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reads_a_kind_that_may_not_be_listed_is_an_error_and_all_else_goes_on() {
    let server = ApiServer::start().await;
    install(&server, unique("UniqueApp", "Service"));
    server.put(constraint("UniqueApp", "apps"));
    let mut warns = constraint("UniqueApp", "warns");
    warns["spec"]["enforcementAction"] = json!("warn");
    server.put(warns);
    install(&server, refuse("No", "no"));
    server.put(constraint("No", "no"));
    server.put(service("shop", "s0", "a"));
    server.deny("services");
    let (_cluster, feed) = start(&server).await;
    let object = service("shop", "new", "a");
    // Ready at once, and each says what it can.
    let said = until("both", &feed, |snapshot, _| {
        let said = judge(snapshot?, &object);
        (said.len() == 2).then_some(said)
    })
    .await;
    let why = "the policy reads `Service` objects of the inventory, and `v1/Service` cannot be read: GET /api/v1/services: the API server answered 403";
    assert!(said[0] == "[no] no" && said[1].starts_with(&format!("[apps] {why}")), "{said:?}");
    until("it is said", &feed, |_, report| {
        assert!(report.waiting.is_empty() && report.unreadable.contains_key("v1/Service"));
        for name in ["uniqueapp", "apps", "warns"] {
            assert!(
                matches!(standing(report, name)?, Standing::Unjudgeable(reason) if reason.why.contains("403"))
            );
        }
        assert_eq!(report.not_served()["unjudgeable"], 3);
        report.problems.iter().any(|problem| problem.to_string().contains("403, Forbidden")).then_some(())
    })
    .await;
    // Other policies change meanwhile, also that one.
    server.put(refuse("No", "second"));
    server.delete("uniqueapp", "", "warns");
    until("another policy", &feed, |snapshot, _| {
        let said = judge(snapshot?, &object);
        (said[0] == "[no] second" && snapshot?.policies.constraints().count() == 2).then_some(())
    })
    .await;
    server.grant("services");
    until("judged", &feed, |snapshot, report| {
        let said = judge(snapshot?, &object);
        (said == ["[no] second", "[apps] shop/s0 has it"] && *standing(report, "apps")? == Standing::Served)
            .then(|| assert!(report.unreadable.is_empty()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_judged_is_left_out_only_if_one_says_so() {
    let server = ApiServer::start().await;
    install(&server, unique("UniqueApp", "Service"));
    server.put(constraint("UniqueApp", "apps"));
    install(&server, refuse("No", "no"));
    server.put(constraint("No", "no"));
    server.deny("services");
    let cluster = connect(&server).await;
    let options = FeedOptions { unreadable: Unreadable::Ignore, ..options() };
    let feed = Feed::start(&cluster, options).expect("a thread");
    let object = service("shop", "new", "a");
    until("left out", &feed, |snapshot, report| {
        assert_eq!(judge(snapshot?, &object), ["[no] no"]);
        matches!(standing(report, "apps")?, Standing::Rejected { why } if why.contains("403")).then_some(())
    })
    .await;
    server.put(service("shop", "s0", "a"));
    server.grant("services");
    until("judged", &feed, |snapshot, _| (judge(snapshot?, &object).len() == 2).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_are_withdrawn_make_a_kind_unreadable_after_a_while() {
    let server = ApiServer::start().await;
    install(&server, unique("UniqueApp", "Service"));
    server.put(constraint("UniqueApp", "apps"));
    server.put(service("shop", "s0", "a"));
    let (_cluster, feed) = start(&server).await;
    let object = service("shop", "new", "a");
    let is_judged =
        |snapshot: Option<&Snapshot>| (judge(snapshot?, &object) == ["[apps] shop/s0 has it"]).then_some(());
    until("judged", &feed, |snapshot, _| is_judged(snapshot)).await;
    server.deny("services");
    server.end_watches();
    until("an error", &feed, |snapshot, report| {
        let said = judge(snapshot?, &object);
        let is_error = said.len() == 1 && said[0].contains("cannot be read");
        assert!(is_error || is_judged(snapshot).is_some(), "{said:?}");
        (is_error && report.failing_watches > 0).then_some(())
    })
    .await;
    // What fails otherwise is borne for longer: what was known stays.
    server.grant("services");
    until("judged again", &feed, |snapshot, _| is_judged(snapshot)).await;
    server.fault(Fault::on(Verb::Any, "services").always().status(503, "ServiceUnavailable"));
    server.end_watches();
    until("failing", &feed, |_, report| (report.failing_watches > 0).then_some(())).await;
    is_judged(feed.snapshot().as_deref()).expect("what was known");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_that_read_all_that_is_listed_need_all_that_is_listed() {
    let server = ApiServer::start().await;
    let rego = "package p\nviolation[{\"msg\": msg}] { o := data.inventory.namespace[_][_][kind][name]\n  \
                o.metadata.labels.app == input.review.object.metadata.labels.app\n  msg := sprintf(\"%v %v\", [kind, name]) }\n";
    install(&server, template("AnyApp", rego));
    server.put(constraint("AnyApp", "any"));
    install(&server, unique("UniqueApp", "Ingress"));
    server.put(constraint("UniqueApp", "apps"));
    server.put(service("shop", "s0", "a"));
    let sync = |kinds: &[&str]| {
        let gvks: Vec<Value> =
            kinds.iter().map(|kind| json!({"group": "", "version": "v1", "kind": kind})).collect();
        json!({"apiVersion": "syncset.gatekeeper.sh/v1alpha1", "kind": "SyncSet", "metadata": {"name": "s"}, "spec": {"gvks": gvks}})
    };
    server.put(sync(&["Service", "ConfigMap"]));
    server.deny("configmaps");
    let (_cluster, feed) = start(&server).await;
    let object = service("shop", "new", "a");
    until("an error", &feed, |snapshot, _| {
        let said = judge(snapshot?, &object);
        (said.len() == 1
            && said[0].starts_with("[any] ")
            && said[0].contains("`v1/ConfigMap` cannot be read"))
        .then_some(())
    })
    .await;
    // What only another policy names is none of its business.
    server.deny("ingresses");
    server.put(sync(&["Service"]));
    until("judged", &feed, |snapshot, _| (judge(snapshot?, &object)[0] == "[any] Service s0").then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_constraint_kind_that_comes_late_is_in_force_soon_and_its_template_is_created_then() {
    let server = ApiServer::start().await;
    server.establish_late(Duration::from_millis(1500), Duration::from_millis(300));
    server.put(refuse("No", "no"));
    let cluster = crate::connect_patiently(&server).await;
    let feed = Feed::start(&cluster, options()).expect("a thread");
    until("no CRD", &feed, |snapshot, report| {
        snapshot?;
        let template = report.policies.first()?;
        assert!(matches!(template.definition, Definition::Missing | Definition::Unknown));
        (template.definition == Definition::Missing).then_some(())
    })
    .await;
    server.put(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "no.constraints.gatekeeper.sh"},
        "spec": {"group": "constraints.gatekeeper.sh", "scope": "Cluster", "names": {"kind": "No", "plural": "no"},
            "versions": [{"name": "v1beta1", "storage": true, "served": true}]}}));
    until("there", &feed, |_, report| (report.policies[0].definition == Definition::There).then_some(()))
        .await;
    until("served", &feed, |_, report| (report.policies[0].definition == Definition::Served).then_some(()))
        .await;
    server.put(constraint("No", "no"));
    until("in force", &feed, |snapshot, _| {
        (judge(snapshot?, &service("a", "b", "c")).len() == 1).then_some(())
    })
    .await;
    server.terminate("customresourcedefinitions", "", "no.constraints.gatekeeper.sh");
    until("going", &feed, |_, report| (report.policies[0].definition == Definition::Going).then_some(()))
        .await;
    server.delete("customresourcedefinitions", "", "no.constraints.gatekeeper.sh");
    until("missing", &feed, |_, report| (report.policies[0].definition == Definition::Missing).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_its_crd_says_there_is_is_waited_for_at_the_start_but_not_for_ever() {
    let server = ApiServer::start().await;
    server.put(refuse("No", "no"));
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "no.constraints.gatekeeper.sh"},
        "spec": {"group": "constraints.gatekeeper.sh", "scope": "Cluster", "names": {"kind": "No", "plural": "no"},
            "versions": [{"name": "v1beta1", "storage": true, "served": true}]}});
    server.establish_late(Duration::from_secs(1), Duration::from_millis(300));
    server.put(crd.clone());
    server.put(constraint("No", "no"));
    // An API server that has just begun to work answers 404 to what there is.
    let cluster = crate::connect_patiently(&server).await;
    let patience = Patience { listing: Duration::from_secs(20), ..Patience::default() };
    let mut feed = Feed::start(&cluster, FeedOptions { patience, ..options() }).expect("a thread");
    let first =
        tokio::time::timeout(Duration::from_mins(1), feed.ready()).await.expect("in time").expect("a feed");
    assert_eq!(judge(&first, &service("a", "b", "c")), ["[no] no"]);

    // A CRD that nobody ever serves holds up nobody.
    server.unregister("no");
    let mut feed = Feed::start(&cluster, options()).expect("a thread");
    let first =
        tokio::time::timeout(Duration::from_mins(1), feed.ready()).await.expect("in time").expect("a feed");
    assert_eq!(first.policies.templates().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_crd_of_templates_nothing_is_served() {
    let server = ApiServer::start().await;
    server.unregister("constrainttemplates");
    let (_cluster, feed) = start(&server).await;
    until("templates are missing", &feed, |snapshot, report| {
        assert!(snapshot.is_none());
        report
            .waiting
            .iter()
            .find(|awaited| awaited.to_string().contains("install Gatekeeper's CRDs"))
            .map(|_| ())
    })
    .await;
    server.register("templates.gatekeeper.sh/v1", "ConstraintTemplate", "constrainttemplates", false);
    until("ready", &feed, |snapshot, _| snapshot.map(|_| ())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_does_not_answer_makes_errors_only_of_policies_that_may_read_it() {
    let server = ApiServer::start().await;
    server.break_group("broken.example.com/v1");
    install(&server, refuse("No", "no"));
    server.put(constraint("No", "no"));
    // A kind that nobody knows may be in the group that nobody knows.
    install(&server, unique("UniqueOdd", "Oddity"));
    server.put(constraint("UniqueOdd", "odd"));
    let (_cluster, feed) = start(&server).await;
    let object = service("shop", "s", "a");
    until("an error", &feed, |snapshot, _| {
        let said = judge(snapshot?, &object);
        assert_eq!(said[0], "[no] no");
        said.get(1)?.contains("`broken.example.com/v1/Oddity` cannot be read").then_some(())
    })
    .await;
    server.register("broken.example.com/v1", "Oddity", "oddities", true);
    server.put(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "oddities.broken.example.com"},
        "spec": {"group": "broken.example.com", "scope": "Namespaced", "names": {"kind": "Oddity", "plural": "oddities"},
            "versions": [{"name": "v1", "storage": true, "served": true}]}}));
    until("judged", &feed, |snapshot, _| (judge(snapshot?, &object) == ["[no] no"]).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_seen_and_what_breaks_stays_as_it_was() {
    let server = ApiServer::start().await;
    install(&server, refuse("No", "first"));
    server.put(constraint("No", "no"));
    let (_cluster, feed) = start(&server).await;
    let object = service("shop", "s", "a");
    let says =
        |text: &'static str, snapshot: Option<&Snapshot>| (judge(snapshot?, &object) == [text]).then_some(());
    until("the first", &feed, |snapshot, _| says("[no] first", snapshot)).await;
    server.put(refuse("No", "second"));
    until("the second", &feed, |snapshot, _| says("[no] second", snapshot)).await;
    // A broken template, and a broken constraint.
    server.put(template("No", "package p\nviolation[{"));
    let mut wrong = constraint("No", "no");
    wrong["spec"]["enforcementAction"] = json!("explode");
    server.put(wrong);
    until("both are reported", &feed, |snapshot, report| {
        says("[no] second", snapshot).expect("the last good one");
        let broken: Vec<_> = report.policies.iter().filter(|policy| !policy.errors.is_empty()).collect();
        (broken.len() == 2).then(|| {
            assert_eq!((&*broken[0].name, &*broken[1].name), ("no", "no"));
            assert!(broken.iter().any(|policy| policy.enforced && policy.resource.plural.as_ref() == "no"));
        })
    })
    .await;
    server.put(constraint("No", "no"));
    server.put(refuse("No", "third"));
    until("the third", &feed, |snapshot, _| says("[no] third", snapshot)).await;
    until("nothing is wrong", &feed, |_, report| {
        report.policies.iter().all(|policy| policy.errors.is_empty()).then_some(())
    })
    .await;
    server.delete("constrainttemplates", "", "no");
    until("gone", &feed, |snapshot, report| {
        (judge(snapshot?, &object).is_empty() && report.policies.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_reads_what_is_not_known_yet_waits_alone() {
    let server = ApiServer::start().await;
    install(&server, refuse("No", "no"));
    server.put(constraint("No", "no"));
    install(&server, refuse("UniqueApp", "first"));
    server.put(constraint("UniqueApp", "apps"));
    server.put(service("shop", "s0", "a"));
    let cluster = connect(&server).await;
    let patience = Patience { listing: Duration::from_mins(1), ..Patience::default() };
    let feed = Feed::start(&cluster, FeedOptions { patience, ..options() }).expect("a thread");
    until("ready", &feed, |snapshot, _| snapshot.map(|_| ())).await;
    server.fault(Fault::on(Verb::List, "services").always().status(503, "ServiceUnavailable"));
    install(&server, unique("UniqueApp", "Service"));
    until("held back", &feed, |_, report| {
        assert_eq!(report.not_served().values().sum::<usize>(), report.not_served()["waiting"]);
        match standing(report, "apps")? {
            Standing::Waiting { kinds, .. } if kinds[0].to_string().contains("503") => Some(()),
            _ => None,
        }
    })
    .await;
    // The version before stays in force, and everything else changes.
    let object = service("shop", "new", "a");
    assert_eq!(judge(&feed.snapshot().expect("one"), &object), ["[apps] first", "[no] no"]);
    server.put(refuse("No", "second"));
    server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "late"}}));
    until("the others", &feed, |snapshot, _| {
        let said = judge(snapshot?, &object);
        (said == ["[apps] first", "[no] second"] && snapshot?.namespaces.contains_key("late")).then_some(())
    })
    .await;
    server.heal();
    until("in force", &feed, |snapshot, report| {
        let said = judge(snapshot?, &object);
        (said == ["[no] second", "[apps] shop/s0 has it"] && report.waiting.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configs_and_sync_sets_say_what_is_cached() {
    let server = ApiServer::start().await;
    server.put(service("shop", "s0", "a"));
    server.put(service("hidden", "s1", "b"));
    server.put(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "c"}}),
    );
    let config = |name: &str, namespace: &str, excluded: &[&str]| {
        json!({"apiVersion": "config.gatekeeper.sh/v1alpha1", "kind": "Config",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"sync": {"syncOnly": [{"group": "", "version": "v1", "kind": "Service"}]},
                "match": [{"excludedNamespaces": excluded, "processes": ["sync"]}]}})
    };
    server.put(config("config", "gatekeeper-system", &["hid*"]));
    server.put(config("config", "elsewhere", &["*"]));
    let (_cluster, feed) = start(&server).await;
    let counts =
        |count: usize, snapshot: Option<&Snapshot>| (snapshot?.inventory.len() == count).then_some(());
    until("one service", &feed, |snapshot, report| {
        let ignored = report.policies.iter().filter(|policy| policy.namespace == "elsewhere");
        assert!(ignored.clone().all(|policy| policy.errors[0].error.message().contains("is ignored")));
        ignored.count().checked_sub(1)?;
        counts(1, snapshot)
    })
    .await;
    server.put(json!({"apiVersion": "syncset.gatekeeper.sh/v1alpha1", "kind": "SyncSet", "metadata": {"name": "s"},
        "spec": {"gvks": [{"group": "", "version": "v1", "kind": "ConfigMap"}, {"group": "x.example.com", "version": "v1", "kind": "X"}]}}));
    until("a config map", &feed, |snapshot, report| {
        counts(2, snapshot)?;
        report.problems.iter().find(|problem| problem.message.contains("x.example.com/v1/X")).map(|_| ())
    })
    .await;
    // What was kept out is listed again.
    server.put(config("config", "gatekeeper-system", &[]));
    until("both services", &feed, |snapshot, _| counts(3, snapshot)).await;
    server.delete("configs", "gatekeeper-system", "config");
    until("only the config map", &feed, |snapshot, _| counts(1, snapshot)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_others_write_compiles_nothing_anew() {
    let server = ApiServer::start().await;
    install(&server, refuse("No", "no"));
    server.put(constraint("No", "no"));
    let (_cluster, feed) = start(&server).await;
    until("ready", &feed, |snapshot, _| (snapshot?.policies.constraints().count() == 1).then_some(())).await;
    let before = feed.snapshot().expect("a snapshot");
    let mut audited = constraint("No", "no");
    audited["status"] = json!({"totalViolations": 3, "byPod": [{"id": "x"}]});
    server.put(audited);
    until("the status", &feed, |_, report| {
        report.policies.iter().find(|policy| policy.by_pod.len() == 1).map(|_| ())
    })
    .await;
    sleep(Duration::from_millis(50)).await;
    assert!(Arc::ptr_eq(&before, &feed.snapshot().expect("a snapshot")));
}

/// One step of a script: what users do, and what goes wrong.
#[derive(Clone, Debug)]
enum Step {
    Template(u8, u8),
    RemoveTemplate(u8),
    Constraint(u8, u8),
    RemoveConstraint(u8, u8),
    Service(u8, u8),
    RemoveService(u8),
    Ingress(u8),
    Compact,
    Bookmark,
    EndWatches,
    Fail(Verb, u8, u8),
    Deny(u8),
    Grant(u8),
    Pause,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let verb = prop_oneof![Just(Verb::List), Just(Verb::Watch)];
    let step = prop_oneof![
        3 => (0..3_u8, 0..3_u8).prop_map(|(kind, version)| Step::Template(kind, version)),
        1 => (0..3_u8).prop_map(Step::RemoveTemplate),
        3 => (0..3_u8, 0..2_u8).prop_map(|(kind, name)| Step::Constraint(kind, name)),
        1 => (0..3_u8, 0..2_u8).prop_map(|(kind, name)| Step::RemoveConstraint(kind, name)),
        4 => (0..6_u8, 0..3_u8).prop_map(|(name, app)| Step::Service(name, app)),
        2 => (0..6_u8).prop_map(Step::RemoveService),
        1 => (0..6_u8).prop_map(Step::Ingress),
        1 => Just(Step::Compact),
        1 => Just(Step::Bookmark),
        2 => Just(Step::EndWatches),
        3 => (verb, 0..5_u8, 0..6_u8).prop_map(|(verb, plural, what)| Step::Fail(verb, plural, what)),
        2 => (0..2_u8).prop_map(Step::Deny),
        1 => (0..2_u8).prop_map(Step::Grant),
        2 => Just(Step::Pause),
    ];
    proptest::collection::vec(step, 1..30)
}

/// Kinds that the role may come to lack.
const DENIED: [&str; 2] = ["services", "ingresses"];
const KINDS: [&str; 3] = ["UniqueApp", "UniqueHost", "No"];

async fn play(server: &ApiServer, step: &Step) {
    let kind = |kind: u8| KINDS[usize::from(kind)];
    match step {
        Step::Template(0, 0) => install(server, unique(kind(0), "Service")),
        Step::Template(0, _) => install(server, refuse(kind(0), "other")),
        Step::Template(1, 0) => install(server, unique(kind(1), "Ingress")),
        Step::Template(1, _) => install(server, unique(kind(1), "Service")),
        Step::Template(index, version) => install(server, refuse(kind(*index), &format!("v{version}"))),
        Step::RemoveTemplate(index) => {
            server.delete("constrainttemplates", "", &kind(*index).to_lowercase());
        }
        Step::Constraint(index, name) => {
            let plural = kind(*index).to_lowercase();
            server.register("constraints.gatekeeper.sh/v1beta1", kind(*index), &plural, false);
            server.put(constraint(kind(*index), &format!("c{name}")));
        }
        Step::RemoveConstraint(index, name) => {
            server.delete(&kind(*index).to_lowercase(), "", &format!("c{name}"));
        }
        Step::Service(name, app) => {
            server.put(service("shop", &format!("s{name}"), &format!("app{app}")));
        }
        Step::RemoveService(name) => server.delete("services", "shop", &format!("s{name}")),
        Step::Ingress(name) => {
            server.put(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
                "metadata": {"namespace": "shop", "name": format!("i{name}"), "labels": {"app": "app1"}}}));
        }
        Step::Compact => server.compact(),
        Step::Bookmark => server.bookmark(),
        Step::EndWatches => server.end_watches(),
        Step::Fail(verb, plural, what) => {
            let plurals = ["services", "constrainttemplates", "uniqueapp", "no", ""];
            let fault = Fault::on(*verb, plurals[usize::from(*plural)]);
            server.fault(match what {
                0 => fault.gone(),
                1 => fault.disconnect_after(1),
                2 => fault.status(500, "InternalError").times(2),
                3 => fault.too_many_requests(0),
                4 if *verb == Verb::Watch => fault.error_event(410, "Expired"),
                4 => fault.gone_but_continues(),
                _ if *verb == Verb::Watch => fault.error_event(500, "InternalError"),
                _ => fault.status(403, "Forbidden"),
            });
        }
        Step::Deny(kind) => server.deny(DENIED[usize::from(*kind)]),
        Step::Grant(kind) => server.grant(DENIED[usize::from(*kind)]),
        Step::Pause => sleep(Duration::from_millis(15)).await,
    }
}

/// What the same objects would give from files: the messages for some services, and the number of cached objects.
fn model(server: &ApiServer, denied: &BTreeSet<&str>) -> (Vec<Vec<String>>, usize, usize) {
    let all = |plural: &str, namespace: &str, names: &[String]| -> Vec<Value> {
        names.iter().filter_map(|name| server.get(plural, namespace, name)).collect()
    };
    let mut documents = all("constrainttemplates", "", &KINDS.map(str::to_lowercase));
    for kind in KINDS {
        let has_template = server.get("constrainttemplates", "", &kind.to_lowercase()).is_some();
        if has_template {
            documents.extend(all(&kind.to_lowercase(), "", &["c0".to_owned(), "c1".to_owned()]));
        }
    }
    let documents = documents.iter().flat_map(|object| Document::read_all("x.json", &object.to_string()).0);
    let (policies, errors) = PolicySet::compile(documents);
    assert!(errors.iter().all(|error| error.severity() == portcullis::Severity::Warning), "{errors:?}");
    let (mut inventory, mut unreadable) = (InventoryStore::new(), BTreeSet::new());
    for template in policies.templates() {
        for read in template.inventory_reads() {
            let (plural, letter) =
                if read.kind.as_deref() == Some("Service") { ("services", 's') } else { ("ingresses", 'i') };
            if denied.contains(plural) {
                // What was known of it before does not matter: nothing is judged by it.
                unreadable.insert(if plural == "services" {
                    Gvk::new("v1", "Service")
                } else {
                    Gvk::new("networking.k8s.io/v1", "Ingress")
                });
                continue;
            }
            let names: Vec<String> = (0..6).map(|index| format!("{letter}{index}")).collect();
            for object in all(plural, "shop", &names) {
                inventory.upsert(Object::from_json(&object).expect("an object"));
            }
        }
    }
    for gvk in &unreadable {
        inventory.set_unreadable(gvk, Some("denied"));
    }
    let inventory = inventory.snapshot();
    let count = inventory.len();
    let constraints = policies.constraints().count();
    let snapshot = Snapshot {
        policies,
        inventory,
        namespaces: Arc::default(),
        templates: Arc::default(),
        policies_revision: 0,
        objects_revision: 0,
        expansions: portcullis::ExpansionSet::empty(),
        mutators: Ok(portcullis::MutatorSet::empty()),
        mutation_revision: 0,
    };
    (judge_all(&snapshot), count, constraints)
}

/// The messages for some services. Why something cannot be read is said in many ways.
fn judge_all(snapshot: &Snapshot) -> Vec<Vec<String>> {
    let short = |message: String| match message.split_once(" cannot be read: ") {
        Some((start, _)) => start.to_owned(),
        None => message,
    };
    let of = |app| judge(snapshot, &service("shop", "s1", &format!("app{app}")));
    (0..3).map(|app| of(app).into_iter().map(short).collect()).collect()
}

/// How many objects there are of kinds that can be read: what is kept of others does not matter.
fn readable(snapshot: &Snapshot) -> usize {
    let unreadable = snapshot.inventory.unreadable();
    snapshot.inventory.kinds().filter(|(gvk, _)| !unreadable.contains_key(gvk)).map(|(_, count)| count).sum()
}

/// How many scripts are played: more if somebody has the time, `PORTCULLIS_SCRIPTS=1000`.
fn scripts() -> u32 {
    std::env::var("PORTCULLIS_SCRIPTS").ok().and_then(|number| number.parse().ok()).unwrap_or(40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: scripts(), max_shrink_iters: 3, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever users do and whatever goes wrong meanwhile: in the end the feed is what the objects would be as files.
    #[test]
    fn it_converges_to_what_files_would_give(before in steps(), after in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let server = ApiServer::start().await;
            for step in &before {
                play(&server, step).await;
            }
            let (_cluster, feed) = start(&server).await;
            for step in &after {
                play(&server, step).await;
            }
            server.heal();
            let mut denied = BTreeSet::new();
            for step in before.iter().chain(&after) {
                match step {
                    Step::Deny(kind) => drop(denied.insert(DENIED[usize::from(*kind)])),
                    Step::Grant(kind) => drop(denied.remove(DENIED[usize::from(*kind)])),
                    _ => {}
                }
            }
            if !denied.is_empty() {
                // Watches that are open outlive rights that are withdrawn.
                server.end_watches();
            }
            let expected = model(&server, &denied);
            until(&format!("{expected:?}"), &feed, |snapshot, report| {
                let snapshot = snapshot?;
                let found = (judge_all(snapshot), readable(snapshot), snapshot.policies.constraints().count());
                (found == expected && report.waiting.is_empty()).then_some(())
            })
            .await;
        });
    }
}

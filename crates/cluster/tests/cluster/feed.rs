//! The feed: whole when it is ready, and always what files would give.

use std::sync::Arc;
use std::time::Duration;

use portcullis::{Decision, Document, EnforcementPoint, InventoryStore, Object, PolicySet, Review, World};
use portcullis_cluster::{Cluster, Feed, FeedOptions, Report, Snapshot, Unlistable};
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

fn options() -> FeedOptions {
    FeedOptions { debounce: Duration::from_millis(5), page: 3, ..FeedOptions::default() }
}

async fn start(server: &ApiServer) -> (Cluster, Feed) {
    let cluster = connect(server).await;
    let feed = Feed::start(&cluster, options()).expect("a thread");
    (cluster, feed)
}

/// Waits until something is so, and says what was if it never is.
async fn until<T>(
    what: &str,
    feed: &Feed,
    mut get: impl FnMut(Option<&Snapshot>, &Report) -> Option<T>,
) -> T {
    let end = Instant::now() + Duration::from_secs(20);
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

#[tokio::test(flavor = "multi_thread")]
async fn ready_only_when_everything_that_is_needed_was_listed() {
    let server = ApiServer::start().await;
    install(&server, unique("UniqueApp", "Service"));
    server.put(constraint("UniqueApp", "apps"));
    for index in 0..10 {
        server.put(service("shop", &format!("s{index}"), &format!("app{index}")));
    }
    // Services are needed only once the template is known, and cannot be listed at first.
    server.fault(Fault::on(Verb::List, "services").always().forbidden());
    let (_cluster, mut feed) = start(&server).await;
    until("services are waited for", &feed, |snapshot, report| {
        assert!(snapshot.is_none());
        let is_last =
            report.waiting.len() == 1 && report.waiting[0].starts_with("services.v1: GET /api/v1/services");
        is_last.then(|| assert!(report.problems[0].to_string().contains("403, Forbidden")))
    })
    .await;
    sleep(Duration::from_millis(50)).await;
    assert!(feed.snapshot().is_none() && !feed.report().ready);
    server.heal();
    let snapshot =
        tokio::time::timeout(Duration::from_secs(20), feed.ready()).await.expect("in time").expect("a feed");
    assert_eq!(snapshot.inventory.len(), 10);
    assert_eq!(judge(&snapshot, &service("shop", "new", "app3")), ["[apps] shop/s3 has it"]);
    assert_eq!(snapshot.namespaces.len(), 2);
    assert_eq!(snapshot.templates.len(), 1);
    until("nothing is waited for", &feed, |_, report| report.waiting.is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_cannot_be_listed_is_given_up_only_if_one_says_so() {
    let server = ApiServer::start().await;
    install(&server, unique("UniqueApp", "Service"));
    server.put(constraint("UniqueApp", "apps"));
    server.fault(Fault::on(Verb::List, "services").always().forbidden());
    let cluster = connect(&server).await;
    let options = FeedOptions { unlistable: Unlistable::GiveUp { after: 2 }, ..options() };
    let feed = Feed::start(&cluster, options).expect("a thread");
    until("given up", &feed, |snapshot, report| {
        snapshot?;
        report.problems.iter().find(|problem| problem.message.contains("taken for empty")).map(|_| ())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_crd_of_templates_nothing_is_served() {
    let server = ApiServer::start().await;
    server.unregister("constrainttemplates");
    let (_cluster, feed) = start(&server).await;
    until("templates are missing", &feed, |snapshot, report| {
        assert!(snapshot.is_none());
        report.waiting.iter().find(|line| line.contains("install Gatekeeper's CRDs")).map(|_| ())
    })
    .await;
    server.register("templates.gatekeeper.sh/v1", "ConstraintTemplate", "constrainttemplates", false);
    until("ready", &feed, |snapshot, _| snapshot.map(|_| ())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_does_not_answer_holds_up_only_policies_that_may_read_it() {
    let server = ApiServer::start().await;
    server.break_group("broken.example.com/v1");
    install(&server, refuse("No", "no"));
    server.put(constraint("No", "no"));
    let (_cluster, feed) = start(&server).await;
    until("ready", &feed, |snapshot, _| snapshot.map(|_| ())).await;
    // A kind that nobody knows may be in the group that nobody knows.
    install(&server, unique("UniqueOdd", "Oddity"));
    until("held back", &feed, |snapshot, report| {
        assert_eq!(snapshot?.policies.templates().count(), 1);
        report.waiting.iter().find(|line| line.contains("broken.example.com/v1")).map(|_| ())
    })
    .await;
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
async fn policies_that_read_what_is_not_known_yet_are_held_back() {
    let server = ApiServer::start().await;
    install(&server, refuse("No", "no"));
    server.put(constraint("No", "no"));
    server.put(service("shop", "s0", "a"));
    let (_cluster, feed) = start(&server).await;
    until("ready", &feed, |snapshot, _| snapshot.map(|_| ())).await;
    server.fault(Fault::on(Verb::List, "services").always().status(503, "ServiceUnavailable"));
    install(&server, unique("UniqueApp", "Service"));
    server.put(constraint("UniqueApp", "apps"));
    server.delete("no", "", "no");
    until("held back", &feed, |_, report| (!report.waiting.is_empty()).then_some(())).await;
    sleep(Duration::from_millis(100)).await;
    let object = service("shop", "new", "a");
    assert_eq!(judge(&feed.snapshot().expect("one"), &object), ["[no] no"]);
    // Namespaces move on meanwhile.
    server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "late"}}));
    until("the namespace", &feed, |snapshot, _| snapshot?.namespaces.contains_key("late").then_some(()))
        .await;
    assert_eq!(judge(&feed.snapshot().expect("one"), &object), ["[no] no"]);
    server.heal();
    until("in force", &feed, |snapshot, _| {
        (judge(snapshot?, &object) == ["[apps] shop/s0 has it"]).then_some(())
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
        assert!(ignored.clone().all(|policy| policy.errors[0].error.message().contains("not looked at")));
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
        2 => Just(Step::Pause),
    ];
    proptest::collection::vec(step, 1..30)
}

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
        Step::Pause => sleep(Duration::from_millis(15)).await,
    }
}

/// What the same objects would give from files: the messages for some services, and the number of cached objects.
fn model(server: &ApiServer) -> (Vec<Vec<String>>, usize, usize) {
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
    let mut inventory = InventoryStore::new();
    for template in policies.templates() {
        for read in template.inventory_reads() {
            let (plural, letter) =
                if read.kind.as_deref() == Some("Service") { ("services", 's') } else { ("ingresses", 'i') };
            let names: Vec<String> = (0..6).map(|index| format!("{letter}{index}")).collect();
            for object in all(plural, "shop", &names) {
                inventory.upsert(Object::from_json(&object).expect("an object"));
            }
        }
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
    };
    (judge_all(&snapshot), count, constraints)
}

fn judge_all(snapshot: &Snapshot) -> Vec<Vec<String>> {
    (0..3).map(|app| judge(snapshot, &service("shop", "s1", &format!("app{app}")))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 3, failure_persistence: None, ..ProptestConfig::default() })]

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
            let expected = model(&server);
            until(&format!("{expected:?}"), &feed, |snapshot, report| {
                let snapshot = snapshot?;
                let found = (judge_all(snapshot), snapshot.inventory.len(), snapshot.policies.constraints().count());
                (found == expected && report.waiting.is_empty()).then_some(())
            })
            .await;
        });
    }
}

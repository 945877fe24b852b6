//! Lists and discovery, and what goes wrong with them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use portcullis::Gvk;
use portcullis_cluster::{
    Access, ApiResource, Cluster, ClusterError, ConnectOptions, Consistency, Discovery, Pages,
};
use portcullis_testkit::apiserver::{ApiServer, Fault, Verb};
use serde_json::json;

use crate::connect;

fn pods() -> ApiResource {
    ApiResource::new("v1", "Pod", "pods", true)
}

fn pod(index: usize) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": format!("ns{}", index % 7), "name": format!("pod-{index:05}"), "x-unknown": index},
        "spec": {"containers": [{"name": "c", "image": "web:1"}]}})
}

/// Reads a list to its end: the names in the order in which they came, and the error that ended it.
async fn read(
    cluster: &Cluster,
    limit: u32,
    consistency: Consistency,
) -> (Vec<String>, Option<ClusterError>) {
    let mut pages = Pages::new(cluster, &pods(), limit, consistency);
    let mut names = Vec::new();
    loop {
        match pages.next().await {
            Ok(Some(page)) => {
                assert!(limit == 0 || page.len() <= limit as usize);
                names.extend(page.objects().map(|object| object.expect("an object").to_string()));
            }
            Ok(None) => return (names, None),
            Err(error) => return (names, Some(error)),
        }
    }
}

fn distinct(names: &[String]) -> usize {
    names.iter().collect::<BTreeSet<_>>().len()
}

#[tokio::test]
async fn a_list_comes_in_pages_with_everything_that_is_in_its_objects() {
    let server = ApiServer::start().await;
    for index in 0..23 {
        server.put(pod(index));
    }
    let cluster = connect(&server).await;
    let (names, error) = read(&cluster, 5, Consistency::EachOnce).await;
    assert!(error.is_none());
    assert_eq!((names.len(), distinct(&names)), (23, 23));
    let mut pages = Pages::new(&cluster, &pods(), 1, Consistency::OneState).in_namespace("ns3");
    let page = pages.next().await.expect("a page").expect("a page");
    assert_eq!(page.remaining(), Some(2));
    let object = page.object(0).expect("one").expect("an object");
    assert_eq!(object.to_json()["metadata"]["x-unknown"], 3);
    assert_eq!(object.to_json()["kind"], "Pod");
    assert_eq!(object.gvk(), &Gvk::new("v1", "Pod"));
}

#[tokio::test]
async fn fifty_thousand_objects_come_once_each_with_410_429_500_and_a_disconnect_in_the_middle() {
    let server = ApiServer::start().await;
    for index in 0..50_000 {
        server.put(pod(index));
    }
    let cluster = connect(&server).await;
    server.fault(Fault::on(Verb::List, "pods").after(10).too_many_requests(1));
    server.fault(Fault::on(Verb::List, "pods").after(20).times(2));
    server.fault(Fault::on(Verb::List, "pods").after(30).disconnect_after(0));
    server.fault(Fault::on(Verb::List, "pods").after(40).gone_but_continues());
    server.fault(Fault::on(Verb::List, "pods").after(60).gone());
    let start = Instant::now();
    let mut pages = Pages::new(&cluster, &pods(), 500, Consistency::EachOnce);
    let (mut count, mut names) = (0, BTreeSet::new());
    while let Some(page) = pages.next().await.expect("a page") {
        for object in page.objects() {
            let object = object.expect("an object");
            count += 1;
            names.insert(object.name().to_string());
        }
    }
    assert_eq!((count, names.len()), (50_000, 50_000));
    assert!(start.elapsed() >= Duration::from_secs(1), "Retry-After was waited for");
    // The list began anew once: it was read to page 60, and then whole.
    let lists = server.requests().len();
    assert!((155..180).contains(&lists), "{lists}");
}

#[tokio::test]
async fn objects_that_change_while_a_list_restarts_are_neither_lost_nor_doubled() {
    let server = ApiServer::start().await;
    for index in 0..30 {
        server.put(pod(index));
    }
    let cluster = connect(&server).await;
    let mut pages = Pages::new(&cluster, &pods(), 10, Consistency::EachOnce);
    let mut names: Vec<String> = Vec::new();
    let mut turn = 0;
    while let Some(page) = pages.next().await.expect("a page") {
        names.extend(page.objects().map(|object| object.expect("an object").to_string()));
        turn += 1;
        if turn == 2 {
            // The past is gone, one that came is deleted, one that did not is changed.
            server.delete("pods", "ns0", "pod-00000");
            let mut changed = pod(29);
            changed["metadata"]["labels"] = json!({"new": "yes"});
            server.put(changed);
            server.compact();
        }
    }
    assert_eq!((names.len(), distinct(&names)), (30, 30));
}

#[tokio::test]
async fn a_list_of_one_state_fails_when_its_state_is_gone() {
    let server = ApiServer::start().await;
    for index in 0..30 {
        server.put(pod(index));
    }
    let cluster = connect(&server).await;
    server.fault(Fault::on(Verb::List, "pods").after(1).gone_but_continues());
    let (names, error) = read(&cluster, 10, Consistency::OneState).await;
    assert_eq!(names.len(), 10);
    assert!(error.expect("an error").is_expired());
    // The next is whole again.
    assert_eq!(read(&cluster, 10, Consistency::OneState).await.0.len(), 30);
}

#[tokio::test]
async fn a_list_that_is_always_too_old_ends() {
    let server = ApiServer::start().await;
    for index in 0..30 {
        server.put(pod(index));
    }
    let cluster = connect(&server).await;
    server.fault(Fault::on(Verb::List, "pods").after(1).always().gone_but_continues());
    let (names, error) = read(&cluster, 10, Consistency::EachOnce).await;
    assert_eq!(names.len(), distinct(&names));
    assert!(error.expect("an error").is_expired());
    assert!(server.requests().len() < 20);
}

#[tokio::test]
async fn what_cannot_be_listed_is_an_error_that_says_why() {
    let server = ApiServer::start().await;
    server.put(pod(0));
    let cluster = connect(&server).await;
    server.fault(Fault::on(Verb::List, "pods").forbidden());
    let error = read(&cluster, 10, Consistency::EachOnce).await.1.expect("an error");
    assert!(error.is_forbidden());
    assert_eq!(
        error.to_string(),
        "GET /api/v1/pods: the API server answered 403, Forbidden, a scripted fault"
    );
    // It was asked once: asking again changes nothing.
    assert_eq!(server.requests().len(), 1);
    let unknown = ApiResource::new("example.com/v1", "Nothing", "nothings", false);
    let error = Pages::new(&cluster, &unknown, 10, Consistency::EachOnce).next().await.expect_err("an error");
    assert!(error.is_not_found());
    server.fault(Fault::on(Verb::List, "pods").answers("<html>a proxy</html>"));
    let error = read(&cluster, 10, Consistency::EachOnce).await.1.expect("an error");
    assert!(matches!(error, ClusterError::Unreadable { .. }), "{error}");
    server.fault(Fault::on(Verb::List, "pods").answers(r#"{"kind":"PodList","metadata":{}}"#));
    let error = read(&cluster, 10, Consistency::EachOnce).await.1.expect("an error");
    assert!(error.to_string().contains("without `items`"), "{error}");
}

#[tokio::test]
async fn failures_that_do_not_pass_end_after_the_tries() {
    let server = ApiServer::start().await;
    let cluster = connect(&server).await;
    server.fault(Fault::on(Verb::List, "pods").always().status(503, "ServiceUnavailable"));
    let error = read(&cluster, 10, Consistency::EachOnce).await.1.expect("an error");
    assert_eq!(error.code(), Some(503));
    assert_eq!(server.requests().len(), 4);
    drop(server);
    let error = read(&cluster, 10, Consistency::EachOnce).await.1.expect("an error");
    assert!(matches!(error, ClusterError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn discovery_finds_the_same_kinds_in_both_forms_and_tolerates_groups_that_fail() {
    let server = ApiServer::start().await;
    server.register("metrics.k8s.io/v1beta1", "PodMetrics", "podmetrics", true);
    server.break_group("broken.example.com/v1");
    let cluster = connect(&server).await;
    let found = Discovery::of(&cluster).await.expect("kinds");
    let new: Vec<_> = found.preferred().map(ToString::to_string).collect();
    assert!(new.contains(&"ingresses.networking.k8s.io/v1".to_owned()), "{new:?}");
    assert!(new.contains(&"pods.v1".to_owned()));
    assert!(found.get(&Gvk::new("v1", "Pod")).expect("pods").namespaced);
    let problems: Vec<_> = found.problems().iter().map(|problem| problem.group_version.clone()).collect();
    assert_eq!(problems, ["broken.example.com/v1"]);
    assert_eq!(server.requests().len(), 2);
    server.without_aggregated_discovery();
    let found = Discovery::of(&cluster).await.expect("kinds");
    assert_eq!(found.preferred().map(ToString::to_string).collect::<Vec<_>>(), new);
    let problems: Vec<_> = found.problems().iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with("the kinds of broken.example.com/v1 are not known: GET /apis/broken"),
        "{problems:?}"
    );
    server.fault(Fault::on(Verb::Discover, "").always().forbidden());
    assert!(Discovery::of(&cluster).await.expect_err("an error").is_forbidden());
}

#[tokio::test]
async fn requests_keep_to_the_rate() {
    let server = ApiServer::start().await;
    let options = ConnectOptions {
        access: Access::Url(server.url().to_owned()),
        requests_per_second: 20,
        burst: 2,
        ..ConnectOptions::default()
    };
    let cluster = Cluster::connect(&options).await.expect("a connection");
    let start = Instant::now();
    for _ in 0..8 {
        cluster.get("/version").await.expect("a version");
    }
    // Two at once, and six of which each has to wait for a twentieth of a second.
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(240), "{elapsed:?}");
}

#[tokio::test]
async fn a_connection_that_cannot_be_says_what_was_expected() {
    for (access, expected) in [
        (
            Access::Url("nonsense".to_owned()),
            "expected a URL that begins with http:// or https://, found `nonsense`",
        ),
        (Access::Url("ftp://x".to_owned()), "expected a URL that begins with http"),
        (
            Access::Kubeconfig { file: Some("/nonexistent/config".into()), context: None },
            "the kubeconfig /nonexistent/config cannot be used",
        ),
    ] {
        let error = Cluster::connect(&ConnectOptions { access, ..ConnectOptions::default() }).await;
        let error = error.expect_err("an error").to_string();
        assert!(error.contains(expected), "{error}");
    }
    let file = std::env::temp_dir().join(format!("portcullis-kubeconfig-{}", std::process::id()));
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
        contexts: [{name: a, context: {cluster: c, namespace: shop}}, {name: b, context: {cluster: c}}]\n\
        clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n";
    std::fs::write(&file, text).expect("a file");
    let connect = |context: Option<&str>| {
        let access = Access::Kubeconfig { file: Some(file.clone()), context: context.map(str::to_owned) };
        async { Cluster::connect(&ConnectOptions { access, ..ConnectOptions::default() }).await }
    };
    assert_eq!(connect(None).await.expect("a connection").namespace(), "shop");
    assert_eq!(connect(Some("b")).await.expect("a connection").namespace(), "default");
    assert!(connect(Some("c")).await.is_err());
    std::fs::remove_file(&file).expect("the file");
}

//! Against the simulated API server of the testkit.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a panic is how a test says that it fails")]

mod exceptions;
mod feed;
mod lists;
mod mutation;
mod named;
mod writes;

use std::time::Duration;

use portcullis_cluster::{Access, Backoff, Cluster, ConnectOptions};
use portcullis_testkit::apiserver::ApiServer;

/// A connection that waits as programs do.
async fn connect_patiently(server: &ApiServer) -> Cluster {
    let access = Access::Url(server.url().to_owned());
    let options = ConnectOptions { access, ..ConnectOptions::default() };
    Cluster::connect(&options).await.expect("a connection")
}

/// A connection that does not wait long.
async fn connect(server: &ApiServer) -> Cluster {
    let options = ConnectOptions {
        access: Access::Url(server.url().to_owned()),
        requests_per_second: 10_000,
        burst: 10_000,
        backoff: Backoff { first: Duration::from_millis(2), most: Duration::from_millis(20), tries: 4 },
        ..ConnectOptions::default()
    };
    Cluster::connect(&options).await.expect("a connection")
}

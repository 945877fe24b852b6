//! Requests a second and latency of the webhook: `webhook_load PROGRAM DIRECTORY CONNECTIONS SECONDS [mutate]`.
//!
//! `PROGRAM` is the webhook, `DIRECTORY` what `webhook_inputs` wrote; with `mutate` it is asked to mutate, by mutators that are among
//! the policies there. Each connection asks one request after the
//! other, without a pause, and begins elsewhere in the list. An answer that is not HTTP 200 with the uid of its
//! request ends the measurement. Client and webhook share the machine: compare two webhooks, not figures.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement that cannot be made ends")]

use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use portcullis_benches::served::{Authority, Webhook, exchange};
use serde_json::Value;

/// So many requests of each connection are not counted.
const WARMUP: usize = 200;

fn main() -> Result<(), String> {
    let args: Vec<String> = env::args().skip(1).collect();
    let (path, flags, args): (_, &[&str], _) = match args.as_slice() {
        [args @ .., last] if last == "mutate" => ("/v1/mutate?timeout=10s", &["--mutate"], args),
        args => ("/v1/admit?timeout=10s", &[], args),
    };
    let [program, directory, connections, seconds] = args else {
        return Err("usage: webhook_load PROGRAM DIRECTORY CONNECTIONS SECONDS [mutate]".to_owned());
    };
    let directory = PathBuf::from(directory);
    let connections: usize = connections.parse().map_err(|_| "CONNECTIONS is a number".to_owned())?;
    let seconds: u64 = seconds.parse().map_err(|_| "SECONDS is a number".to_owned())?;
    let bodies = fs::read_to_string(directory.join("requests.ndjson")).map_err(|error| error.to_string())?;
    let requests: Vec<(String, &str)> = bodies
        .lines()
        .map(|body| {
            let review: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
            Ok((format!("\"uid\":{}", review["request"]["uid"]), body))
        })
        .collect::<Result<_, String>>()?;
    let authority = Authority::new();
    let certificates = tempfile::tempdir().map_err(|error| error.to_string())?;
    authority.rotate(certificates.path(), 0);
    let policies = directory.join("policies");
    let webhook = Webhook::start(program.as_ref(), certificates.path(), &policies, None, flags);
    let client = authority.client();
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let load = |number: usize| -> Result<Vec<Duration>, String> {
        let mut connection = webhook.connect(&client);
        let mut times = Vec::new();
        for (count, (uid, body)) in requests.iter().cycle().skip(number * 17).enumerate() {
            let start = Instant::now();
            if start >= end {
                break;
            }
            let (status, answer) = exchange(&mut connection, "POST", path, body)
                .map_err(|error| format!("the connection broke: {error}"))?;
            if status != 200 || !String::from_utf8_lossy(&answer).contains(uid.as_str()) {
                return Err(format!("HTTP {status}: {}", String::from_utf8_lossy(&answer)));
            }
            if count >= WARMUP {
                times.push(start.elapsed());
            }
        }
        Ok(times)
    };
    let mut times: Vec<Duration> = thread::scope(|scope| {
        let started: Vec<_> = (0..connections).map(|number| scope.spawn(move || load(number))).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect::<Result<Vec<_>, String>>()
    })?
    .concat();
    times.sort_unstable();
    let took: Duration = times.iter().sum();
    let at = |part: usize| times.get(times.len() * part / 1000).copied().unwrap_or_default();
    let rate = (times.len() * connections) as u128 * 1_000_000_000 / took.as_nanos().max(1);
    println!(
        "{connections} connections: {rate} requests a second, p50 {:.2?}, p99 {:.2?}, {} KiB",
        at(500),
        at(990),
        webhook.memory()
    );
    Ok(())
}

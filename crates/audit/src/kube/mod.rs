//! An audit of a cluster: policies and objects come from an API server, page by page.
//!
//! ```text
//! discovery ──> kinds, in the version that the API server prefers ──> pages ──> items, in the order of kinds and lists
//! ```
//!
//! A kind that cannot be listed, or not to its end, is reported, and the others are audited.

mod args;
mod connection;
mod sink;
mod subject;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use portcullis::{PolicySettings, Unsupported};
use portcullis_report::ExitStatus;
use portcullis_report::sink::Sink;
use portcullis_sources::Ignores;

use crate::args::AuditArgs;
use crate::compare::Compare;
use crate::error::RunError;
use crate::run::{self, Settings};

pub use args::{KubeArgs, Scope};
pub use connection::{Connection, Mutators};
pub use sink::ClusterSink;
pub use subject::ClusterSubject;

/// Audits a cluster as the command line says, once, or again and again until it is asked to end.
///
/// # Errors
///
/// If the API server cannot be asked, an output cannot be written, or the system fails.
pub fn run(audit: &AuditArgs, kube: &KubeArgs) -> Result<ExitStatus, RunError> {
    if !audit.paths.is_empty() || !audit.inventory.is_empty() {
        let text = "with `--kube` the objects are those of the cluster; name no files beside it";
        return Err(RunError::Usage(text.to_owned()));
    }
    if audit.namespace.is_some() {
        let text = "with `--kube` all objects name their namespaces; `--namespace` would do nothing";
        return Err(RunError::Usage(text.to_owned()));
    }
    audit.refuse_unread()?;
    let stop = run::stop_on_signals()?;
    let settings = Settings::of(audit);
    let connection = Connection::open(&kube.options())?;
    let scope = kube.scope();
    let leadership = match kube.lease() {
        None => None,
        Some(options) => {
            let Some(leadership) = connection.lead(options, &stop)? else { return Ok(ExitStatus::Success) };
            Some(Arc::new(leadership))
        }
    };
    // An audit that goes on without the Lease would be a second one, whatever its results go to.
    let watching = leadership.as_ref().map(|leadership| {
        let (lost, stop) = (leadership.until_lost(), Arc::clone(&stop));
        connection.runtime.spawn(async move {
            lost.await;
            stop.store(true, Ordering::Relaxed);
        })
    });
    let status = run::repeat(audit.interval, &stop, |_| {
        let policies = if audit.policies.is_empty() {
            let own = Some(connection.cluster.namespace()).filter(|&own| own != "default");
            let unsupported = Unsupported::allowed(audit.allow_unsupported);
            let settings = PolicySettings { homes: audit.config.homes(own), engines: audit.engine.choice() };
            connection.policies(audit.expand, unsupported, &settings)?
        } else {
            run::read_policies(audit, &Ignores::default())?
        };
        let subject = connection.subject(&policies, kube.chunk_size, scope, &stop)?;
        let mut subject = subject.while_led(leadership.clone());
        if let Some(of) = audit.shard.of() {
            return crate::sharding::shard(of, audit, &policies, &mut subject, &settings, &stop);
        }
        let mut sinks: Vec<Box<dyn Sink>> =
            audit.outputs().into_iter().map(|(form, target)| form.sink(target)).collect();
        if kube.update_status || !kube.reports.is_empty() {
            let refresh = kube.update_status.then(|| Duration::from_secs(kube.status_refresh));
            let writer = connection.writer(refresh, &kube.reports);
            sinks.push(Box::new(writer.while_led(leadership.clone())));
        }
        let comparison = audit.comparison(&policies)?;
        let outcome = comparison.as_ref().map(Compare::outcome);
        sinks.extend(comparison.map(|comparison| Box::new(comparison) as Box<dyn Sink>));
        let standing = run::audit(&policies, &mut subject, &settings, &mut sinks, &stop)?;
        Ok(outcome.map_or_else(|| standing.into(), |outcome| outcome.status(standing)))
    });
    if let Some(watching) = watching {
        watching.abort();
    }
    let Some(leadership) = leadership else { return status };
    if let (false, Some((namespace, name))) = (leadership.is_held(), kube.lease.clone()) {
        return Err(RunError::LeaseLost { namespace, name });
    }
    if let Some(leadership) = Arc::into_inner(leadership) {
        // If it cannot be given back, it passes on by itself.
        let _ = connection.runtime.block_on(leadership.release());
    }
    status
}

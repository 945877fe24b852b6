//! Who of several does what only one may do: a Lease that is held, renewed and given back.
//!
//! Clocks of machines differ, so that a holder's time stamps are compared with nothing. Who wants the lease watches whether it
//! changes: a lease that nobody renewed for its duration, on our own clock, is free.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::connect::Cluster;
use crate::error::ClusterError;
use crate::resource::ApiResource;
use crate::time::micro_time;
use crate::write::{at, set};

/// Which lease, and how fast it passes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseOptions {
    /// The namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who we are: the name of the pod.
    pub identity: String,
    /// How long a lease holds that is not renewed.
    pub duration: Duration,
    /// How often it is renewed, and looked at by who wants it. A third of the duration or less.
    pub renew: Duration,
}

impl LeaseOptions {
    /// 15 s, renewed every 4 s.
    #[must_use]
    pub fn new(namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: identity.to_owned(),
            duration: Duration::from_secs(15),
            renew: Duration::from_secs(4),
        }
    }
}

/// A lease that we hold. It is renewed until it is lost, released or dropped; dropped, it passes on when its duration is over.
#[derive(Debug)]
pub struct Leadership {
    cluster: Cluster,
    options: LeaseOptions,
    held: watch::Receiver<bool>,
    renewing: JoinHandle<()>,
}

impl Leadership {
    /// Waits until the lease is ours.
    ///
    /// # Errors
    ///
    /// If we may not read or write it. Failures that pass are waited for.
    pub async fn acquire(cluster: &Cluster, options: LeaseOptions) -> Result<Self, ClusterError> {
        let mut seen: Option<(Value, Instant)> = None;
        loop {
            let asked = Instant::now();
            match try_once(cluster, &options, &mut seen).await {
                Ok(true) => {
                    let (sender, held) = watch::channel(true);
                    let renewing = renew(cluster.clone(), options.clone(), sender, asked);
                    let renewing = tokio::spawn(renewing);
                    return Ok(Self { cluster: cluster.clone(), options, held, renewing });
                }
                Ok(false) => {}
                Err(error) if error.is_passing() || error.is_conflict() => {}
                Err(error) => return Err(error),
            }
            sleep(options.renew).await;
        }
    }

    /// Whether it is ours still.
    #[must_use]
    pub fn is_held(&self) -> bool {
        *self.held.borrow()
    }

    /// Waits until it is lost: work that only one may do has to end at once.
    pub async fn lost(&mut self) {
        while *self.held.borrow_and_update() {
            if self.held.changed().await.is_err() {
                return;
            }
        }
    }

    /// As [`Leadership::lost`], for a task that outlives this borrow. Also ends when the lease is released or dropped.
    pub fn until_lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut held = self.held.clone();
        async move {
            while *held.borrow_and_update() {
                if held.changed().await.is_err() {
                    return;
                }
            }
        }
    }

    /// Gives it back, so that the next need not wait.
    ///
    /// # Errors
    ///
    /// If that could not be written; then it passes on when its duration is over.
    pub async fn release(self) -> Result<(), ClusterError> {
        self.renewing.abort();
        if !self.is_held() {
            return Ok(());
        }
        let path = path(&self.options);
        let mut lease = self.cluster.get_json(&path).await?;
        if *at(&lease, &["spec", "holderIdentity"]) != *self.options.identity {
            return Ok(());
        }
        set(&mut lease, &["spec", "holderIdentity"], json!(""));
        set(&mut lease, &["spec", "leaseDurationSeconds"], json!(1));
        set(&mut lease, &["spec", "renewTime"], json!(micro_time(SystemTime::now())));
        self.cluster.replace(&path, &lease).await?;
        Ok(())
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

fn path(options: &LeaseOptions) -> String {
    leases().path(Some(&options.namespace), Some(&options.name))
}

fn leases() -> ApiResource {
    ApiResource::new("coordination.k8s.io/v1", "Lease", "leases", true)
}

/// Takes or renews the lease if it is free or ours. `seen` is what the lease was, and since when it has been so.
async fn try_once(
    cluster: &Cluster,
    options: &LeaseOptions,
    seen: &mut Option<(Value, Instant)>,
) -> Result<bool, ClusterError> {
    let now = json!(micro_time(SystemTime::now()));
    let seconds = options.duration.as_secs().max(1);
    let path = path(options);
    let mut lease = match cluster.get_json(&path).await {
        Ok(lease) => lease,
        Err(error) if error.is_not_found() => {
            let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": options.name, "namespace": options.namespace},
                "spec": {"holderIdentity": options.identity, "leaseDurationSeconds": seconds,
                    "acquireTime": now, "renewTime": now, "leaseTransitions": 0}});
            let all = leases().path(Some(&options.namespace), None);
            cluster.create(&all, &lease).await?;
            return Ok(true);
        }
        Err(error) => return Err(error),
    };
    let spec = at(&lease, &["spec"]).clone();
    let holder = at(&spec, &["holderIdentity"]).as_str().unwrap_or_default();
    let is_ours = holder == options.identity;
    if !is_ours && !holder.is_empty() {
        let since = match seen {
            Some((before, since)) if *before == spec => *since,
            _ => seen.insert((spec.clone(), Instant::now())).1,
        };
        let theirs =
            at(&spec, &["leaseDurationSeconds"]).as_u64().map_or(options.duration, Duration::from_secs);
        if since.elapsed() < theirs {
            return Ok(false);
        }
    }
    let transitions = at(&spec, &["leaseTransitions"]).as_u64().unwrap_or(0);
    set(&mut lease, &["spec", "holderIdentity"], json!(options.identity));
    set(&mut lease, &["spec", "leaseDurationSeconds"], json!(seconds));
    set(&mut lease, &["spec", "renewTime"], now.clone());
    if !is_ours {
        set(&mut lease, &["spec", "acquireTime"], now);
        set(&mut lease, &["spec", "leaseTransitions"], json!(transitions + 1));
    }
    // The version that was read is in it: of two who write, one gets a conflict.
    cluster.replace(&path, &lease).await?;
    Ok(true)
}

/// Renews until that fails for so long that another may have taken it. `renewed` is when the request of the last success was sent:
/// counted from there, we give up before anybody else may take it.
async fn renew(cluster: Cluster, options: LeaseOptions, held: watch::Sender<bool>, mut renewed: Instant) {
    loop {
        sleep(options.renew).await;
        let left = options.duration.saturating_sub(renewed.elapsed()).mul_f64(0.8);
        let asked = Instant::now();
        match timeout(left, try_once(&cluster, &options, &mut None)).await {
            Ok(Ok(true)) => renewed = asked,
            Ok(Err(_)) | Err(_) if renewed.elapsed().mul_f64(1.25) < options.duration => {}
            // Somebody else has it, or may have it soon.
            Ok(_) | Err(_) => break,
        }
    }
    // Nobody may be left who wants to know.
    let _ = held.send(false);
}

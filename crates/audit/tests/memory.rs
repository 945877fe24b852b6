//! Memory of one process that audits again and again. A process of its own: what other tests hold would count as well.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics when it fails")]

#[allow(dead_code, reason = "shared with the other tests")]
#[path = "audit/support.rs"]
mod support;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use portcullis_audit::memory::{Ceiling, resident};
use portcullis_audit::policies::Policies;
use portcullis_audit::run::{Aside, FileSubject, Settings, audit};
use portcullis_report::sink::Target;
use portcullis_report::{Form, StatusLimits};

use crate::support::{directory, lines, pod};

#[test]
fn memory_does_not_grow_over_twenty_audits_in_one_process() {
    let directory = directory();
    let path = directory.path();
    let objects: Vec<_> =
        (0..2000).map(|index| pod("shop", &format!("pod-{index}"), index % 4 == 0)).collect();
    fs::write(path.join("dump.ndjson"), lines(&objects)).unwrap();
    let settings = Settings {
        threads: 2,
        ceiling: Ceiling::new(256 << 20),
        limits: portcullis::EvaluationLimits::default(),
        timeout: Duration::from_secs(10),
        aside: Aside::Nothing,
        places: portcullis::Places::default(),
        status: StatusLimits::default(),
        providers: portcullis_providers::ProviderArgs::default(),
        now: None,
        explain: Some(20),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let (mut taken, ignores) = (Vec::new(), portcullis_sources::Ignores::default());
    for _ in 0..20 {
        let policies = Policies::read(
            &[path.join("policies.yaml")],
            None,
            portcullis::Unsupported::Refused,
            &portcullis::PolicySettings::default(),
            &ignores,
        );
        let mut subject =
            FileSubject::new(&[path.join("dump.ndjson")], &[], None, settings.ceiling, &ignores);
        let mut sinks = vec![
            Form::Ndjson.sink(Target::File(path.join("out.ndjson"))),
            Form::Json.sink(Target::File(path.join("out.json"))),
        ];
        audit(&policies, &mut subject, &settings, &mut sinks, &stop).unwrap();
        taken.extend(resident());
    }
    let Some((after_five, last)) = taken.get(4).zip(taken.last()) else { return };
    println!(
        "resident after each audit, in KiB: {:?}",
        taken.iter().map(|bytes| bytes >> 10).collect::<Vec<_>>()
    );
    assert!(*last < after_five + (8 << 20), "{taken:?}");
}

//! The alerts and the dashboard in `deploy/monitoring`, against the metrics that the webhook has.

use std::collections::BTreeSet;

use portcullis_testkit::metrics::announced;

use crate::kube::{cluster, start_in, until};
use crate::support::workspace;

/// Whatever in alerts and dashboard looks like a metric of the webhook; those of the audit are compared by a test of the command line.
fn asked() -> BTreeSet<String> {
    let texts = ["rules.yaml", "dashboard.json"]
        .map(|file| std::fs::read_to_string(workspace().join("deploy/monitoring").join(file)).unwrap());
    let words = texts.iter().flat_map(|text| text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')));
    let starts = |word: &&str, starts: &[&str]| starts.iter().any(|start| word.starts_with(start));
    let of_the_audit = ["portcullis_audit_", "gatekeeper_audit_", "gatekeeper_violations"];
    let ours =
        words.filter(|word| starts(word, &["portcullis_", "gatekeeper_"]) && !starts(word, &of_the_audit));
    ours.map(str::to_owned).collect()
}

/// Of a webhook that does all that it can, but for spans, which not every build sends.
#[test]
fn alerts_and_dashboard_ask_for_the_metrics_that_there_are() {
    // Parts of others that are looked at, or what others say in another way.
    const BESIDE: [&str; 13] = [
        "gatekeeper_constraint_template_ingestion_duration_seconds_bucket",
        "gatekeeper_constraint_template_ingestion_duration_seconds_count",
        "gatekeeper_constraint_template_ingestion_duration_seconds_sum",
        "gatekeeper_mutation_request_duration_seconds_count",
        "gatekeeper_mutation_request_duration_seconds_sum",
        "gatekeeper_mutation_system_iterations_count",
        "gatekeeper_mutation_system_iterations_sum",
        "gatekeeper_mutator_ingestion_duration_seconds_bucket",
        "gatekeeper_mutator_ingestion_duration_seconds_count",
        "gatekeeper_mutator_ingestion_duration_seconds_sum",
        "gatekeeper_validation_request_duration_seconds_count",
        "gatekeeper_validation_request_duration_seconds_sum",
        "portcullis_webhook_configuration_writes_total",
    ];
    let cluster = cluster();
    let flags =
        ["--manage-webhook-configuration", "--emit-admission-events", "--decision-log", "-", "--mutate"];
    let mut program = start_in(&cluster.server, "portcullis-system", &flags);
    until(200, || program.get("/readyz").0);
    let mut there = announced(&program.get("/metrics").1);
    there.insert("portcullis_spans_lost_total".to_owned());
    let asked = asked();
    assert!(asked.len() > 10, "{asked:?}");
    let missing: Vec<_> = asked.difference(&there).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let unseen: Vec<_> =
        there.iter().filter(|name| !asked.contains(*name) && !BESIDE.contains(&name.as_str())).collect();
    assert!(unseen.is_empty(), "nobody looks at {unseen:?}");
    program.stop();
}

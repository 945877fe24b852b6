//! Policies that nobody writes by hand end neither the process nor the day.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use portcullis::{Decision, EnforcementPoint, Error, ErrorKind, Inventory, PolicySet, World};
use portcullis_testkit::builders::{constraint, document, pod, review, template};
use serde_json::json;

/// Functions that hand a text on to each other.
fn chain(length: usize) -> String {
    let mut rego = "violation[{\"msg\": msg}] { msg := f0(\"deep\") }\n".to_owned();
    for number in 0..length {
        let _ = writeln!(rego, "f{number}(x) = y {{ y := f{}(x) }}", number + 1);
    }
    let _ = writeln!(rego, "f{length}(x) = x {{ true }}");
    rego
}

fn compile(rego: &str) -> (PolicySet, Vec<Error>) {
    let constraint = constraint("Hostile", "it", &json!({}));
    PolicySet::compile([document(&template("Hostile", rego)), document(&constraint)])
}

#[test]
fn a_hundred_functions_in_a_row_are_evaluated() {
    let (policies, errors) = compile(&chain(100));
    assert_eq!(errors, []);
    let outcome = policies.review(
        &review(&pod("shop", "web", "nginx")),
        &World::new(&Inventory::empty()),
        EnforcementPoint::Webhook,
    );
    assert_eq!(Decision::from(&outcome).denials(), ["[it] deep"]);
}

#[test]
fn a_thousand_functions_in_a_row_are_refused_and_soon() {
    let started = Instant::now();
    let (policies, errors) = compile(&chain(1000));
    let kinds: Vec<_> = errors.iter().map(Error::kind).collect();
    assert_eq!(kinds, [ErrorKind::Limit, ErrorKind::MissingTemplate]);
    assert_eq!(policies.constraints().count(), 0);
    // A second or so where nothing is optimised; what must not be is a cost that grows with the square.
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

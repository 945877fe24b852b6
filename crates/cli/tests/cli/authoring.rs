//! What helps writing policies: coverage, mutants.

use super::{Run, run_in, testdata};

fn verify(args: &[&str]) -> Run {
    run_in(&testdata().join("../authoring"), &[&["verify", "policy"], args].concat())
}

#[test]
fn coverage_tells_lines_and_conditions_of_templates() {
    let Run { stdout, .. } = verify(&["--coverage", "-o", "json"]).exits_with(0);
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let file = &found["coverage"]["files"][0];
    assert_eq!(file["file"], "policy/template.yaml");
    let template = std::fs::read_to_string(testdata().join("../authoring/policy/template.yaml")).unwrap();
    let line =
        |number: u64| template.lines().nth(usize::try_from(number).unwrap() - 1).unwrap_or_default().trim();
    let uncovered = file["uncovered"].as_array().unwrap();
    let lines: Vec<&str> = uncovered.iter().map(|number| line(number.as_u64().unwrap())).collect();
    // No case has an image without a tag, an init container, or an image that is exempt.
    let expected = [
        "violation[{\"msg\": msg}] {",
        "msg := sprintf(\"container %v: %v has no tag\", [container.name, container.image])",
        "containers[container] {",
        "exempt(image) {",
    ];
    assert_eq!(lines, expected);
    let conditions: Vec<(&str, bool, bool)> = file["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let text = line(one["location"]["line"].as_u64().unwrap());
            (text, one["held"].as_bool().unwrap(), one["failed"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(
        conditions,
        [
            ("not exempt(container.image)", true, false),
            ("tag == input.parameters.moving[_]", true, true),
            ("not exempt(container.image)", true, false),
            ("not contains(container.image, \":\")", false, true),
            ("startswith(image, input.parameters.exempt[_])", false, true),
        ]
    );
}

#[test]
fn lcov_is_what_genhtml_reads() {
    let Run { stdout, .. } = verify(&["-o", "lcov"]).exits_with(0);
    insta::assert_snapshot!(stdout);
}

#[test]
fn coverage_as_a_page_shows_each_line() {
    let Run { stdout, .. } = verify(&["-o", "html"]).exits_with(0);
    assert!(stdout.starts_with("<!DOCTYPE html>") && stdout.ends_with("</html>\n"));
    let row = |number: u32, class: &str| format!("<tr class=\"{class}\"><td class=\"n\">{number}</td>");
    for (number, class) in [(30, "yes"), (32, "half"), (38, "no"), (1, "")] {
        assert!(stdout.contains(&row(number, class)), "{number} is not {class}");
    }
    assert!(stdout.contains("never false"));
}

#[test]
fn too_little_coverage_of_templates_fails() {
    verify(&["--coverage-min", "70"]).exits_with(0);
    let Run { stdout, .. } = verify(&["--coverage-min", "90"]).exits_with(1);
    assert!(stdout.contains("less than the 90 % that have to be"), "{stdout}");
}

/// What is never evaluated is not left out.
#[test]
fn a_template_that_no_case_runs_is_not_covered() {
    let Run { stdout, .. } = verify(&["--coverage", "-o", "json", "--run", "fixed-tags//no such case"]);
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(found["coverage"]["percent"], 0.0);
}

/// Programs with marks say what the others say: all cases of our policies pass as without.
#[test]
fn coverage_changes_no_verdict() {
    let root = testdata().join("../..");
    let Run { stdout, .. } =
        run_in(&root, &["verify", "policies/...", "--coverage", "-o", "json"]).exits_with(0);
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let files = found["coverage"]["files"].as_array().unwrap();
    assert!(files.len() > 20, "{}", files.len());
    let percent = found["coverage"]["percent"].as_f64().unwrap();
    assert!(percent > 75.0, "{percent}");
}

//! Policies that nobody writes by hand end neither the process nor the day.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use portcullis::{Decision, EnforcementPoint, Error, ErrorKind, Inventory, PolicySet, World};
use portcullis_testkit::builders::{constraint, document, pod, review, template};
use serde_json::json;

/// Far more than the seconds that anything here takes without optimisation: only what does not end would fail.
const GUARD: Duration = Duration::from_mins(1);

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
    let message = "rules need each other more than 128 deep, beginning with data.hostile.f0";
    assert_eq!(errors[0].message(), message);
    assert_eq!(policies.constraints().count(), 0);
    assert!(started.elapsed() < GUARD, "{:?}", started.elapsed());
}

/// Lines made of numbers.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "{}", line(number));
        text
    })
}

const VIOLATION: &str = "violation[{\"msg\": msg}] { msg := \"m\" }\n";

#[test]
fn too_many_references_between_rules_are_refused_with_nothing_else_said() {
    let all: Vec<String> = (0..400).map(|number| format!("r{number}")).collect();
    let all = all.join(", ");
    let (_, errors) = compile(&format!(
        "{VIOLATION}{}",
        lines(400, |number| format!("s{number} = x {{ x := [{all}] }}\nr{number} = 1"))
    ));
    let messages: Vec<_> = errors.iter().map(Error::message).collect();
    assert_eq!(messages[0], "rules need other rules more than 100000 times");
    assert_eq!(errors[1..].iter().map(Error::kind).collect::<Vec<_>>(), [ErrorKind::MissingTemplate]);
}

/// Whether a template is loaded, or refused, soon.
fn is_loaded_soon(name: &str, rego: &str) -> Result<(), String> {
    let started = Instant::now();
    compile(rego);
    let time = started.elapsed();
    if time < GUARD { Ok(()) } else { Err(format!("{name}: {time:?}")) }
}

#[test]
fn large_templates_are_loaded_soon() {
    let body = |lines: String| format!("violation[{{\"msg\": msg}}] {{\n{lines}msg := \"m\" }}");
    let rows = |line: fn(usize) -> String, count| format!("{VIOLATION}{}", lines(count, line));
    let cases = [
        ("rules", rows(|n| format!("r{n} = {n} {{ true }}"), 5000)),
        (
            "pairs of rules",
            rows(|n| format!("r{n} = x {{ x := q{n} }}\nq{n} = 1 {{ input.review.a{n} }}"), 2000),
        ),
        ("definitions", rows(|n| format!("r = x {{ x := input.review.object.a{n} }}"), 2000)),
        ("a circle", rows(|n| format!("r{n} = x {{ x := r{} }}", (n + 1) % 3000), 3000)),
        ("circles", rows(|n| format!("p{n} = x {{ x := q{n} }}\nq{n} = x {{ x := p{n} }}"), 1500)),
        ("rules that need all others", {
            let all: Vec<String> = (0..300).map(|number| format!("r{number}")).collect();
            let all = all.join(", ");
            format!("{VIOLATION}{}", lines(300, |number| format!("r{number} = x {{ x := [{all}] }}")))
        }),
        ("locals", body(lines(3000, |n| format!("x{} := {n}", n + 1)))),
        (
            "paths that double",
            body(format!(
                "x = input.review.object.x\n{}x\n",
                "y = x.c\ny = x.d\nx = y.a\nx = y.b\n".repeat(60)
            )),
        ),
        ("names that nobody knows", body(lines(2000, |n| format!("unknown_name_{n}")))),
        ("a long line", body(format!("count([{}1]) > 0\n", "input.review.object.a, ".repeat(5000)))),
    ];
    let failures: Vec<String> =
        cases.iter().filter_map(|(name, rego)| is_loaded_soon(name, rego).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn variables_of_expressions_nest_only_so_deep() {
    let policy = |count: usize, last: &str| {
        let mut variables = vec![format!("{{name: v0, expression: {last:?}}}")];
        let next = |n: usize| format!("{{name: v{n}, expression: 'variables.v{}'}}", n - 1);
        variables.extend((1..count).map(next));
        let (variables, last) = (variables.join(", "), count - 1);
        let text = format!(
            "apiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\nmetadata: {{name: p}}\nspec:\n  crd: {{spec: {{names: {{kind: P}}}}}}\n  targets:\n  - target: admission.k8s.gatekeeper.sh\n    code: [{{engine: K8sNativeValidation, source: {{variables: [{variables}], validations: [{{expression: 'variables.v{last} == 1', message: m}}]}}}}]\n---\n{{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: P, metadata: {{name: p}}}}\n"
        );
        let (documents, _) = portcullis::Document::read_all("p.yaml", &text);
        portcullis::PolicySet::compile(documents)
    };
    let (refused, errors) = policy(300, "1");
    assert_eq!(refused.constraints().count(), 0);
    assert!(errors.iter().any(|error| error.to_string().contains("nested more than 500 deep")), "{errors:?}");
    // As deep as they may be, they are evaluated on a stack of a test.
    let deep = format!("{}1{}", "(size(object) + ".repeat(100), ")".repeat(100));
    for (count, last) in [(80, "1"), (40, deep.as_str())] {
        let (policies, errors) = policy(count, last);
        assert_eq!(policies.constraints().count(), 1, "{errors:?}");
        let object = serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}});
        let review = portcullis::Review::from_object(portcullis::Object::from_json(&object).unwrap());
        let inventory = portcullis::Inventory::empty();
        let world = portcullis::World::new(&inventory);
        let outcome = policies.review(&review, &world, portcullis::EnforcementPoint::Audit);
        assert_eq!(outcome.results.len(), 1);
    }
}

/// A template of such a source in CEL, with a constraint.
fn of_cel(source: &serde_json::Value) -> (portcullis::PolicySet, Vec<portcullis::Error>) {
    let template = serde_json::json!({
        "apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate", "metadata": {"name": "p"},
        "spec": {
            "crd": {"spec": {"names": {"kind": "P"}}},
            "targets": [{
                "target": "admission.k8s.gatekeeper.sh",
                "code": [{"engine": "K8sNativeValidation", "source": source}]
            }]
        }
    });
    let constraint = serde_json::json!({
        "apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "P", "metadata": {"name": "p"}
    });
    let texts = [template.to_string(), constraint.to_string()];
    portcullis::PolicySet::compile(
        texts.iter().flat_map(|text| portcullis::Document::read_all("p.json", text).0),
    )
}

fn named(expressions: impl IntoIterator<Item = String>) -> Vec<serde_json::Value> {
    let name =
        |(number, expression)| serde_json::json!({"name": format!("v{number}"), "expression": expression});
    expressions.into_iter().enumerate().map(name).collect()
}

#[test]
fn too_much_cel_is_one_error() {
    use serde_json::json;
    let holds = || json!([{"expression": "true"}]);
    let chain = |count: usize| {
        let next = |number: usize| match number {
            0 => "1".to_owned(),
            number => format!("variables.v{} + 1", number - 1),
        };
        named((0..count).map(next))
    };
    let wrong = |count: usize| {
        let mut all = vec!["nope".to_owned()];
        all.extend((1..count).map(|number| format!("variables.v{} && true", number - 1)));
        named(all)
    };
    let cases = [
        (
            "variables",
            json!({"variables": named((0..5000).map(|n| n.to_string())), "validations": holds()}),
            "more than 1000 expressions",
        ),
        (
            "validations",
            json!({"validations": vec![json!({"expression": "true"}); 5000]}),
            "more than 1000 expressions",
        ),
        (
            "text",
            json!({"validations": vec![json!({"expression": format!("size('{}') > 0", "x".repeat(90_000))}); 4]}),
            "more than 256 KiB together",
        ),
        (
            "a chain",
            json!({"variables": chain(900), "validations": [{"expression": "variables.v899 > 0"}]}),
            "nested more than 500 deep",
        ),
        (
            "a chain from a mistake",
            json!({"variables": wrong(900), "validations": [{"expression": "variables.v899"}]}),
            "undeclared reference to 'nope'",
        ),
    ];
    for (name, source, said) in cases {
        let (policies, errors) = of_cel(&source);
        assert_eq!(policies.constraints().count(), 0, "{name}");
        let own: Vec<String> = errors
            .iter()
            .filter(|error| error.kind() == portcullis::ErrorKind::Cel)
            .map(ToString::to_string)
            .collect();
        assert_eq!(own.len(), 1, "{name}: {own:?}");
        assert!(own[0].contains(said), "{name}: {own:?}");
    }
    // Of very many mistakes in one expression some are listed.
    let many = format!("{}true", "nope && ".repeat(5000));
    let (_, errors) = of_cel(&json!({"validations": [{"expression": many}]}));
    assert!((2..20).contains(&errors.len()), "{}", errors.len());
    assert!(
        errors.iter().any(|error| error.message() == "the expression has 4990 more mistakes"),
        "{errors:?}"
    );
    // As many as there may be are taken.
    let most = json!({"variables": named((0..998).map(|n| format!("object.f{n} == {n}"))), "validations": [{"expression": "variables.v7"}]});
    let (policies, errors) = of_cel(&most);
    assert_eq!(policies.constraints().count(), 1, "{errors:?}");
}

#[test]
fn hogs_in_cel_are_errors_of_their_constraint_within_its_limits() {
    use serde_json::json;
    let doubled = |first: &str, each: &str| {
        let next = |number: usize| match number {
            0 => first.to_owned(),
            number => each.replace('#', &format!("variables.v{}", number - 1)),
        };
        named((0..40).map(next))
    };
    let all = |depth: usize| {
        let open = (0..depth).map(|n| format!("object.list.all(x{n}, ")).collect::<Vec<_>>().concat();
        format!("{open}x0 >= 0{}", ")".repeat(depth))
    };
    let last = |expression: &str| json!([{"expression": expression}]);
    let cases = [
        ("nested comprehensions", json!({"validations": last(&all(4))})),
        (
            "comprehensions in a match condition",
            json!({"matchCondition": [{"name": "c", "expression": all(4)}], "validations": last("true")}),
        ),
        (
            "comprehensions in a variable",
            json!({"variables": named([all(4)]), "validations": last("variables.v0")}),
        ),
        (
            "texts that double",
            json!({"variables": doubled("object.text", "# + #"), "validations": last("size(variables.v39) > 0")}),
        ),
        (
            "lists that double",
            json!({"variables": doubled("object.list", "# + #"), "validations": last("size(variables.v39) > 0")}),
        ),
        (
            "lists in lists",
            json!({"variables": doubled("object.list", "[#, #]"), "validations": last("string(variables.v39 == variables.v38) == ''")}),
        ),
        (
            "texts that grow when replaced",
            json!({"variables": doubled("object.text", "#.replace('a', 'aaaaaaaa')"), "validations": last("size(variables.v39) > 0")}),
        ),
        (
            "joined texts",
            json!({"variables": doubled("object.text", "[#, #, #].join('-')"), "validations": last("size(variables.v39) > 0")}),
        ),
        (
            "patterns",
            json!({"validations": last("object.list.all(x, object.list.all(y, object.text.matches('(a|aa)+(b|a?){1,50}$')))")}),
        ),
        (
            "patterns that are made",
            json!({"validations": last("object.list.all(x, object.list.all(y, object.text.matches('^a{1,90}|' + string(x) + string(y))))")}),
        ),
        (
            "sorted lists",
            json!({"validations": last("object.list.all(x, object.list.all(y, object.list.map(z, string(z)).isSorted() || true))")}),
        ),
        (
            "formats",
            json!({"validations": last("object.list.all(x, object.list.all(y, '%1000s'.format([object.text]) != ''))")}),
        ),
        ("validations", json!({"validations": vec![json!({"expression": all(2)}); 900]})),
        (
            "messages",
            json!({"validations": vec![json!({"expression": "false", "messageExpression": format!("string({})", all(2))}); 400]}),
        ),
    ];
    let object = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "list": (0..600).collect::<Vec<_>>(), "text": "a".repeat(20_000),
    });
    let limits = portcullis::EvaluationLimits::default();
    let inventory = portcullis::Inventory::empty();
    let world = portcullis::World::new(&inventory).with_limits(limits);
    let mut failures = Vec::new();
    for (name, source) in cases {
        let (policies, errors) = of_cel(&source);
        if policies.constraints().count() == 0 {
            // What is refused when it is read hogs nothing.
            assert!(
                errors.iter().any(|error| error.kind() == portcullis::ErrorKind::Cel),
                "{name}: {errors:?}"
            );
            continue;
        }
        let review = portcullis::Review::from_object(portcullis::Object::from_json(&object).unwrap());
        for counting in [portcullis::Counting::Always, portcullis::Counting::NearLimits] {
            let started = Instant::now();
            let world = world.with_counting(counting);
            let outcome = policies.review(&review, &world, portcullis::EnforcementPoint::Audit);
            let result = &outcome.results[0];
            if !matches!(result.verdict, portcullis::Verdict::Error(_)) || started.elapsed() > GUARD {
                failures.push(format!("{name} ({counting:?}): {:?}", result.verdict));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

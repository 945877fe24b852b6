//! Policies that ask providers of external data: what is asked, what an answer leads to, and that asking in
//! rounds comes to the same as knowing all answers from the beginning.
#![expect(clippy::indexing_slicing, reason = "a test may panic, in its helpers as well")]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis::{
    Answers, Decision, EnforcementPoint, Outcome, PolicySet, ProviderAnswer, ProviderItem, Question,
    Questions, Review, Severity, Stopwatch, Verdict, World,
};
use portcullis_testkit::builders::{constraint, document, pod, review, template};
use proptest::prelude::*;
use serde_json::json;

const POINT: EnforcementPoint = EnforcementPoint::CommandLine;

fn v1_template(kind: &str, rules: &str) -> serde_json::Value {
    let mut template = template(kind, "");
    let rego = format!("package {}\n{rules}", kind.to_lowercase());
    let code = json!([{"engine": "Rego", "source": {"version": "v1", "rego": rego}}]);
    template["spec"]["targets"] = json!([{"target": "admission.k8s.gatekeeper.sh", "code": code}]);
    template
}

fn set(rules: &[&str]) -> PolicySet {
    let mut documents = Vec::new();
    for (number, rules) in rules.iter().enumerate() {
        let kind = format!("Rule{number}");
        documents.push(v1_template(&kind, rules));
        documents.push(constraint(&kind, "all", &json!({})));
    }
    let (set, errors) = PolicySet::compile(documents.iter().map(document));
    // What is never used is a warning.
    assert!(errors.iter().all(|error| error.severity() == Severity::Warning), "{errors:?}");
    set
}

fn reviewed() -> Review {
    let mut object = pod("shop", "web", "one");
    object["spec"]["containers"] = json!([{"name": "a", "image": "one"}, {"name": "b", "image": "two"}]);
    review(&object)
}

fn reply(value: &str) -> ProviderAnswer {
    let items = [ProviderItem::Value(value.into())];
    ProviderAnswer::Reply {
        items: items.into(),
        status_code: 200,
        system_error: "".into(),
        is_idempotent: true,
    }
}

/// A provider that says `v:` and the key, but of some keys an error, and of others nothing that can be read.
fn said(provider: &str, key: &str) -> ProviderAnswer {
    match key.len() % 4 {
        3 if provider == "down" => {
            ProviderAnswer::Failure { status_code: 500, system_error: "is down".into() }
        }
        2 => {
            let items = [ProviderItem::Error(format!("{key} is bad").into())];
            ProviderAnswer::Reply {
                items: items.into(),
                status_code: 200,
                system_error: "".into(),
                is_idempotent: true,
            }
        }
        _ => reply(&format!("v:{key}")),
    }
}

fn answer(questions: &Questions) -> Answers {
    let mut answers = Answers::new();
    for question in questions.iter() {
        match question {
            Question::ExternalData { provider, key } => {
                answers.set_external_data(provider.clone(), key.clone(), said(provider, key));
            }
            Question::Access(_) => {}
        }
    }
    answers
}

fn shown(outcome: &Outcome) -> Vec<String> {
    let one = |result: &portcullis::ConstraintResult| {
        format!(
            "{} {:?} {:?} {} {:?}",
            result.key().name,
            result.verdict,
            result.prints,
            result.steps.unwrap_or_default(),
            result.questions
        )
    };
    outcome.results.iter().map(one).collect()
}

const PER_IMAGE: &str = r#"violation contains {"msg": msg} if {
    some c in input.review.object.spec.containers
    r := external_data({"provider": "p", "keys": [c.image]})
    some [key, value] in r.responses
    msg := sprintf("%v is %v", [key, value])
}"#;

const ALL_AT_ONCE: &str = r#"violation contains {"msg": json.marshal(r)} if {
    keys := [c.image | some c in input.review.object.spec.containers]
    r := external_data({"provider": "q", "keys": keys})
}"#;

const ASKS_NOTHING: &str = r#"violation contains {"msg": "always"} if { input.review.object.kind == "Pod" }"#;

#[test]
fn what_is_asked_comes_at_once_and_is_never_a_pass() {
    let set = set(&[PER_IMAGE, ASKS_NOTHING, ALL_AT_ONCE, PER_IMAGE]);
    let review = reviewed();
    let outcome = set.review(&review, &World::default(), POINT);
    let asked: Vec<String> = outcome.questions().iter().map(ToString::to_string).collect();
    let expected = [("p", "one"), ("p", "two"), ("q", "one"), ("q", "two")];
    assert_eq!(asked, expected.map(|(p, key)| format!("provider {p:?} for key {key:?}")));
    let Verdict::Error(error) = &outcome.results[0].verdict else { panic!("{outcome:?}") };
    assert_eq!(
        error.message,
        r#"the policy asks provider "p" for key "one", provider "p" for key "two", and nobody answered"#
    );
    assert!(!Decision::from(&outcome).allowed());

    let rounds = Cell::new(0);
    let mut answers = Answers::new();
    let outcome = set.review_asking(&review, &[], &World::default(), POINT, &mut answers, |questions| {
        rounds.set(rounds.get() + 1);
        answer(questions)
    });
    assert_eq!(rounds.get(), 1);
    let lines = Decision::from(&outcome).denials();
    let expected = [
        "[all] always",
        "[all] one is v:one",
        "[all] one is v:one",
        "[all] two is v:two",
        "[all] two is v:two",
        r#"[all] {"errors": [], "responses": [["one", "v:one"], ["two", "v:two"]], "status_code": 200, "system_error": ""}"#,
    ];
    let mut lines: Vec<String> = lines
        .iter()
        .map(|line| {
            line.replace(":[", ": [")
                .replace(",\"", ", \"")
                .replace("],[", "], [")
                .replace("\":", "\": ")
                .replace(":  ", ": ")
        })
        .collect();
    lines.sort();
    let mut expected = expected.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(lines, expected);
    let known = set.review(&review, &World::default().with_answers(&answers), POINT);
    assert_eq!(shown(&known), shown(&outcome));
}

#[test]
fn what_did_not_ask_is_not_run_again() {
    struct Looks(AtomicU64);
    impl Stopwatch for Looks {
        fn read_ns(&self) -> u64 {
            self.0.fetch_add(1, Ordering::Relaxed)
        }
    }
    let set = set(&[ASKS_NOTHING, PER_IMAGE, ASKS_NOTHING]);
    let watch = Looks(AtomicU64::new(0));
    let world = World::default().with_stopwatch(&watch);
    let mut answers = Answers::new();
    set.review_asking(&reviewed(), &[], &world, POINT, &mut answers, answer);
    // Twice for each evaluation: three, and one again.
    assert_eq!(watch.0.load(Ordering::Relaxed), 8);
}

#[test]
fn rounds_end() {
    // Each answer is the next key.
    let endless = r#"violation contains {"msg": "end"} if { step(step(step(step(step(step(step(step(step(step("k")))))))))) == "x" }
step(key) := value if {
    some [_, value] in external_data({"provider": "p", "keys": [key]}).responses
}"#;
    let set = set(&[endless]);
    let mut rounds = 0;
    let outcome =
        set.review_asking(&reviewed(), &[], &World::default(), POINT, &mut Answers::new(), |questions| {
            rounds += 1;
            let mut answers = Answers::new();
            for (provider, keys) in questions.external_data() {
                for key in keys {
                    answers.set_external_data(provider.clone(), key.clone(), reply(&format!("{key}k")));
                }
            }
            answers
        });
    assert_eq!(rounds, PolicySet::MAX_ROUNDS);
    let Verdict::Error(error) = &outcome.results[0].verdict else { panic!("{outcome:?}") };
    assert_eq!(error.message, r#"the policy asks provider "p" for key "kkkkkkkkk", and nobody answered"#);
    // Nobody answers: one round.
    let mut rounds = 0;
    let outcome = set.review_asking(&reviewed(), &[], &World::default(), POINT, &mut Answers::new(), |_| {
        rounds += 1;
        Answers::new()
    });
    assert_eq!((rounds, outcome.questions().len()), (1, 1));
}

#[test]
fn wrong_arguments_are_errors() {
    let cases = [
        (r#""p""#, "its argument must be an object with `provider` and `keys`, and is string"),
        (r#"{"keys": ["a"]}"#, "its argument has no `provider`"),
        (r#"{"provider": 1, "keys": ["a"]}"#, "`provider` must be a string, and is number"),
        (r#"{"provider": "p", "keys": "a"}"#, "`keys` must be an array of strings, and is string"),
        (r#"{"provider": "p", "keys": {"a"}}"#, "`keys` must be an array of strings, and is set"),
        (
            r#"{"provider": "p", "keys": ["a", 1]}"#,
            "`keys` must be an array of strings, and has an element that is number",
        ),
    ];
    for (argument, message) in cases {
        let rules = format!(
            r#"violation contains {{"msg": "m"}} if {{ external_data({argument}).status_code == 7 }}"#
        );
        let outcome = set(&[&rules]).review(&reviewed(), &World::default(), POINT);
        let Verdict::Error(error) = &outcome.results[0].verdict else { panic!("{argument}: {outcome:?}") };
        assert_eq!(error.message, format!("external_data: {message}"));
        assert!(error.location.is_some(), "{argument}");
    }
    // No keys are no question, and fields are read in any case.
    for argument in
        [r#"{"provider": "p", "keys": []}"#, r#"{"Provider": "p"}"#, r#"{"provider": "p", "KEYS": null}"#]
    {
        let rules = format!(r#"violation contains {{"msg": json.marshal(external_data({argument}))}}"#);
        let outcome = set(&[&rules]).review(&reviewed(), &World::default(), POINT);
        let expected = r#"[all] {"errors":[],"responses":[],"status_code":0,"system_error":""}"#;
        assert_eq!(Decision::from(&outcome).denials(), [expected], "{argument}");
    }
}

/// What an expression may do with what was asked: it holds or not, and nothing of it may be guessed before it
/// is known.
const TESTS: &[&str] = &[
    "count(ask(K).responses) > 0",
    "not bad(K)",
    "not count(ask(K).errors) == 0",
    "every c in input.review.object.spec.containers { count(ask(c.image).errors) == 0 }",
    r#"[v | some [_, v] in ask(K).responses] == ["v:one"]"#,
    "verdict(K) == \"good\"",
    "fallback(K) == 1",
    "has_two",
    "count(all_errors) == 0",
    "not all_errors[K]",
    "ask(K).status_code == 200 with input.review.object.kind as \"X\"",
    "some c in input.review.object.spec.containers; count(ask(c.image).responses) == 1",
    "ask(ask(K).responses[0][1]).status_code == 200",
    "ask(K).system_error != \"\"",
];

const HELPERS: &str = r#"
ask(key) := external_data({"provider": "PROVIDER", "keys": [key]})
bad(key) if count(ask(key).errors) > 0
verdict(key) := "good" if { count(ask(key).errors) == 0 } else := "bad" if { ask(concat("", [key, "!"])).status_code == 200 } else := "none"
default fallback(_) := 1
fallback(key) := 2 if count(ask(key).responses) > 0
default has_two := false
has_two if { some c in input.review.object.spec.containers; c.image == "two"; not bad(c.image) }
all_errors contains key if { some c in input.review.object.spec.containers; some [key, _] in ask(c.image).errors }
"#;

fn random_rule() -> impl Strategy<Value = (Vec<usize>, usize, usize)> {
    (prop::collection::vec(0..TESTS.len(), 1..4), 0..2_usize, 0..4_usize)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn asking_in_rounds_is_knowing_from_the_beginning(
        rules in prop::collection::vec(random_rule(), 1..4),
        portion in 1..4_usize,
        room in prop::option::of(100..2000_usize),
    ) {
        let texts: Vec<String> = rules.iter().map(|(tests, provider, key)| {
            let key = ["one", "a", "bb", "two-and-more"][*key];
            let body: Vec<String> = tests.iter().map(|test| TESTS[*test].replace('K', &format!("{key:?}"))).collect();
            let provider = ["p", "down"][*provider];
            format!(
                "violation contains {{\"msg\": \"found\"}} if {{\n {}\n}}\nviolation contains {{\"msg\": msg}} if {{ some e in all_errors; msg := sprintf(\"%v\", [e]) }}{}",
                body.join("\n "), HELPERS.replace("PROVIDER", provider)
            )
        }).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let set = set(&texts);
        let review = reviewed();
        let mut world = World::default();
        if let Some(room) = room {
            world = world.with_findings(room);
        }
        // Some of the answers at a time: the rounds are many, and the end is the same.
        let mut answers = Answers::new();
        let mut outcome = set.review(&review, &world, POINT);
        for _ in 0..100 {
            let questions = outcome.questions();
            if questions.is_empty() {
                break;
            }
            prop_assert!(outcome.results.iter().any(|result| matches!(result.verdict, Verdict::Error(_))));
            let mut some = Questions::default();
            for question in questions.iter().take(portion) {
                some.ask(question.clone()).unwrap();
            }
            answers.extend(answer(&some));
            outcome = set.resume(outcome, &review, &[], &world.with_answers(&answers));
        }
        prop_assert!(outcome.questions().is_empty());
        let known = set.review(&review, &world.with_answers(&answers), POINT);
        prop_assert_eq!(shown(&known), shown(&outcome));
        // And as if everything there is had been known.
        let mut everything = answers.clone();
        for key in ["one", "two", "a", "bb", "two-and-more", "v:one", "v:two", "v:a", "more"] {
            for provider in ["p", "down"] {
                everything.set_external_data(provider, key, said(provider, key));
            }
        }
        let all = set.review(&review, &world.with_answers(&everything), POINT);
        prop_assert_eq!(shown(&all), shown(&outcome));
    }
}

/// Words of messages, comments and results are no look at an answer: the policy would pass when its provider is down.
#[test]
fn a_word_in_a_text_is_no_look_at_an_answer() {
    let with = |line: &str| {
        format!(
            "violation contains {{\"msg\": msg, \"details\": {{\"errors\": 1}}}} if {{\n    r := external_data({{\"provider\": \"down\", \"keys\": [\"abc\"]}})\n    some [_, value] in r.responses\n    msg := sprintf(\"%v\", [value])\n    {line}\n}}"
        )
    };
    let looks = |line: &str| {
        let set = set(&[&with(line)]);
        let outcome =
            set.review_asking(&reviewed(), &[], &World::default(), POINT, &mut Answers::new(), answer);
        !matches!(outcome.results[0].verdict, portcullis::Verdict::Error(_))
    };
    for word in [
        "true # r.system_error",
        "print(\"errors\", \"system_error\")",
        "msg != sprintf(\"no system_error, no errors: %v\", [1])",
        "`system_error errors # status_code` != msg",
    ] {
        assert!(!looks(word), "{word}");
    }
    for look in [
        "r.system_error == \"\"",
        "r[\"status_code\"] == 200",
        "object.get(r, \"system_error\", \"\") == \"\"",
        "object.get(r, [\"system_error\"], \"\") == \"\"",
        "{\"errors\": _, \"responses\": _, \"status_code\": _, \"system_error\": _} = r",
        "k := \"system_error\"; r[k] == \"\"",
        "some k, _ in r; k == \"system_error\"",
    ] {
        assert!(looks(look), "{look}");
    }
}

//! Mutators that ask providers of external data: what they ask, what they make of the answers, and that nothing unknown passes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics when it fails"
)]

use portcullis::{
    Answers, Expansion, ExpansionSet, Mutable, MutationError, MutationFailure, MutationLimits, MutatorSet,
    Object, ProviderAnswer, ProviderItem, Question, Questions,
};
use portcullis_testkit::builders::document;
use serde_json::{Value, json};

fn assign(name: &str, location: &str, external: &Value) -> Value {
    json!({
        "apiVersion": "mutations.gatekeeper.sh/v1", "kind": "Assign", "metadata": {"name": name},
        "spec": {
            "applyTo": [{"groups": [""], "versions": ["v1"], "kinds": ["Pod"]}],
            "location": location,
            "parameters": {"assign": {"externalData": external}},
        },
    })
}

fn set(mutators: &[Value]) -> MutatorSet {
    let (set, errors) = MutatorSet::compile(mutators.iter().map(document));
    assert!(errors.is_empty(), "{errors:?}");
    set
}

fn pod(images: &[&str]) -> Object {
    let containers: Vec<Value> = images
        .iter()
        .enumerate()
        .map(|(n, image)| json!({"name": format!("c{n}"), "image": image}))
        .collect();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"containers": containers},
    });
    Object::from_json(&pod).unwrap()
}

fn reply(item: ProviderItem) -> ProviderAnswer {
    ProviderAnswer::Reply {
        items: [item].into(),
        status_code: 200,
        system_error: "".into(),
        is_idempotent: true,
    }
}

fn value(text: &str) -> ProviderAnswer {
    reply(ProviderItem::Value(text.into()))
}

fn all(questions: &Questions, answers: &mut Answers, said: impl Fn(&str) -> ProviderAnswer) {
    for question in questions.iter() {
        if let Question::ExternalData { provider, key } = question {
            answers.set_external_data(provider.clone(), key.clone(), said(key));
        }
    }
}

fn mutate(set: &MutatorSet, object: Object, answers: &Answers) -> Result<Value, MutationError> {
    let mutation = set.mutate_answered(&Mutable::new(object), MutationLimits::default(), None, answers)?;
    Ok(mutation.object().to_json())
}

const IMAGES: &str = "spec.containers[name: *].image";

fn asks(policy: &str) -> Value {
    json!({"provider": "p", "failurePolicy": policy})
}

#[test]
fn all_is_asked_at_once_and_each_key_once() {
    let set = set(&[assign("a", IMAGES, &asks("Fail")), assign("b", "spec.owner", &asks("Fail"))]);
    assert!(set.may_ask());
    let object = || pod(&["one", "two", "one"]);
    let error = mutate(&set, object(), &Answers::new()).unwrap_err();
    assert_eq!(error.kind(), MutationFailure::Unanswered);
    let asked: Vec<String> = error.questions().iter().map(ToString::to_string).collect();
    let expected = ["one", "two", ""].map(|key| format!("provider \"p\" for key \"{key}\""));
    assert_eq!(asked, expected);
    assert!(error.to_string().contains("nobody answered"), "{error}");
    let mut answers = Answers::new();
    all(error.questions(), &mut answers, |key| value(&format!("v:{key}")));
    let made = mutate(&set, object(), &answers).unwrap();
    assert_eq!(made["spec"]["owner"], "v:");
    let images: Vec<&str> =
        made["spec"]["containers"].as_array().unwrap().iter().map(|c| c["image"].as_str().unwrap()).collect();
    assert_eq!(images, ["v:one", "v:two", "v:one"]);
}

#[test]
fn what_is_no_answer_is_an_error_or_what_the_policy_says_and_told() {
    let wrong = [
        ProviderAnswer::Failure { status_code: 500, system_error: "is down".into() },
        reply(ProviderItem::Error("is bad".into())),
        reply(ProviderItem::Silent),
        reply(ProviderItem::Value(5.into())),
        reply(ProviderItem::Value(portcullis_value::Value::NULL)),
        ProviderAnswer::Reply {
            items: [ProviderItem::Value("v".into())].into(),
            status_code: 200,
            system_error: "".into(),
            is_idempotent: false,
        },
        ProviderAnswer::Reply {
            items: [ProviderItem::Value("v".into())].into(),
            status_code: 200,
            system_error: "is full".into(),
            is_idempotent: true,
        },
    ];
    for answer in wrong {
        let mut answers = Answers::new();
        answers.set_external_data("p", "one", answer.clone());
        let fail = set(&[assign("a", IMAGES, &asks("Fail"))]);
        let error = mutate(&fail, pod(&["one"]), &answers).unwrap_err();
        assert_eq!(error.kind(), MutationFailure::Provider, "{answer:?}");
        assert!(error.questions().is_empty());
        for (policy, image) in [(json!("Ignore"), "one"), (json!("UseDefault"), "safe")] {
            let external = json!({"provider": "p", "failurePolicy": policy, "default": "safe"});
            let set = MutatorSet::compile([document(&assign("a", IMAGES, &external))]).0;
            let mutation = set
                .mutate_answered(&Mutable::new(pod(&["one"])), MutationLimits::default(), None, &answers)
                .unwrap();
            assert_eq!(mutation.object().to_json()["spec"]["containers"][0]["image"], image, "{answer:?}");
            let told: Vec<&str> = mutation.ignored().collect();
            assert!(told.len() == 1 && told[0].starts_with("Assign/a: provider \"p\""), "{told:?}");
            // What nobody answered is unknown, whatever the policy says of failures.
            assert!(mutate(&set, pod(&["one"]), &Answers::new()).is_err());
        }
    }
}

#[test]
fn what_cannot_ask_is_refused() {
    let refused = [
        (assign("a", "spec.x", &json!({"provider": "p", "failurePolicy": "UseDefault"})), "`default`"),
        (assign("a", "spec.x", &json!({"failurePolicy": "Fail"})), "provider"),
        (assign("a", "spec.x", &json!({"provider": "p", "failurePolicy": "fail"})), "did you mean"),
        (assign("a", "spec.x", &json!({"provider": "p", "dataSource": "User"})), "ValueAtLocation"),
        (assign("a", "spec.containers[name: x]", &json!({"provider": "p"})), "no element of a list"),
        (
            json!({
                "apiVersion": "mutations.gatekeeper.sh/v1", "kind": "AssignMetadata", "metadata": {"name": "m"},
                "spec": {
                    "location": "metadata.labels.owner",
                    "parameters": {"assign": {"externalData": {"provider": "p"}}},
                },
            }),
            "`dataSource` has to be `Username`",
        ),
    ];
    for (mutator, message) in refused {
        let (set, errors) = MutatorSet::compile([document(&mutator)]);
        let all: Vec<String> = errors.iter().map(|error| format!("{error:?}")).collect();
        assert!(set.is_empty() && all.iter().any(|error| error.contains(message)), "{message}: {all:?}");
    }
}

#[test]
fn a_user_who_is_not_known_is_not_asked_about() {
    let external = json!({"provider": "p", "dataSource": "Username", "failurePolicy": "Ignore"});
    let set = set(&[assign("a", "spec.owner", &external)]);
    let error = mutate(&set, pod(&["one"]), &Answers::new()).unwrap_err();
    assert_eq!(error.kind(), MutationFailure::Unanswered);
    assert!(error.questions().is_empty() && error.to_string().contains("nobody says who that is"), "{error}");
    let mut answers = Answers::new();
    answers.set_external_data("p", "ann", value("the shop"));
    let mutable = Mutable::new(pod(&["one"])).with_username("ann");
    let mutation = set.mutate_answered(&mutable, MutationLimits::default(), None, &answers).unwrap();
    assert_eq!(mutation.object().to_json()["spec"]["owner"], "the shop");
}

#[test]
fn another_mutator_goes_by_what_was_there_and_not_by_what_may_come() {
    // Nothing is below a text.
    let below = assign("b", "spec.x.y", &asks("Fail"));
    let (both, errors) =
        MutatorSet::compile([document(&assign("a", "spec.x", &asks("Fail"))), document(&below)]);
    assert_eq!((errors.len(), both.may_ask()), (2, false), "{errors:?}");
    // The last one at a place asks about what was there before the first.
    let other = json!({"provider": "q", "failurePolicy": "Fail"});
    let set = set(&[assign("a", IMAGES, &asks("Fail")), assign("b", IMAGES, &other)]);
    let error = mutate(&set, pod(&["one"]), &Answers::new()).unwrap_err();
    let asked: Vec<String> = error.questions().iter().map(ToString::to_string).collect();
    assert_eq!(asked, ["provider \"q\" for key \"one\""]);
}

/// What is large, many or of another kind ends as an error, and within the limits.
#[test]
fn hostile_questions_and_answers_end() {
    let set = set(&[assign("a", IMAGES, &asks("Ignore"))]);
    let large = "x".repeat(10 << 20);
    let error = mutate(&set, pod(&[&large]), &Answers::new()).unwrap_err();
    assert_eq!(error.kind(), MutationFailure::Limit);
    assert!(error.to_string().len() < 1_000, "{}", error.to_string().len());
    // One answer of a MiB in a hundred places.
    let mut answers = Answers::new();
    answers.set_external_data("p", "one", value(&"v".repeat(1 << 20)));
    let error = mutate(&set, pod(&["one"; 100]), &answers).unwrap_err();
    assert_eq!(error.kind(), MutationFailure::Limit);
    // An error of a MiB that does not count is cut.
    answers.set_external_data("p", "one", reply(ProviderItem::Error("e".repeat(1 << 20).into())));
    let mutable = Mutable::new(pod(&["one"; 100]));
    let mutation = set.mutate_answered(&mutable, MutationLimits::default(), None, &answers).unwrap();
    assert!(mutation.ignored().all(|told| told.len() < 2_000));
    // Many mutators ask about many places: rounds go on until all is answered.
    let many: Vec<Value> = (0..2_500)
        .map(|n| assign(&format!("m{n:04}"), &format!("spec.f{n}"), &json!({"provider": format!("p{n}")})))
        .collect();
    let many = self::set(&many);
    let mut answers = Answers::new();
    let mut rounds = 0;
    let object = pod(&["one"]);
    let ended = loop {
        let made = many.mutate_answered(
            &Mutable::new(object.clone()),
            MutationLimits { steps: 100_000_000, memory: 1 << 30 },
            None,
            &answers,
        );
        match made {
            Err(error) if !error.questions().is_empty() && rounds < 8 => {
                rounds += 1;
                all(error.questions(), &mut answers, |_| value("v"));
            }
            made => break made.map(|made| made.changes().len()),
        }
    };
    assert_eq!((ended.map_err(|error| error.to_string()), rounds), (Ok(2_500), 1));
}

/// What is generated is mutated, too: all that its mutators ask is asked at once.
#[test]
fn what_is_generated_asks_together() {
    let mutators = set(&[assign("a", IMAGES, &asks("Fail"))]);
    let templates: Vec<Value> = (0..12)
        .map(|n| {
            json!({
                "apiVersion": "expansion.gatekeeper.sh/v1beta1", "kind": "ExpansionTemplate",
                "metadata": {"name": format!("t{n:02}")},
                "spec": {
                    "applyTo": [{"groups": ["x"], "versions": ["v1"], "kinds": ["Many"]}],
                    "templateSource": format!("spec.t{n}"),
                    "generatedGVK": {"group": "", "version": "v1", "kind": "Pod"},
                },
            })
        })
        .collect();
    let (templates, errors) = ExpansionSet::compile(templates.iter().map(document));
    assert!(errors.is_empty(), "{errors:?}");
    let parts: serde_json::Map<String, Value> = (0..12)
        .map(|n| {
            (format!("t{n}"), json!({"spec": {"containers": [{"name": "c", "image": format!("i{n}")}]}}))
        })
        .collect();
    let many = json!({"apiVersion": "x/v1", "kind": "Many", "metadata": {"name": "m"}, "spec": parts});
    let many = Object::from_json(&many).unwrap();
    let expansion = Expansion::new(&templates).with_mutators(&mutators);
    assert!(expansion.may_ask());
    let error = expansion.expand(&many, None, None).unwrap_err();
    assert_eq!(error.questions().len(), 12);
    let mut answers = Answers::new();
    all(error.questions(), &mut answers, |key| value(&format!("v:{key}")));
    let made = expansion.with_answers(&answers).expand(&many, None, None).unwrap();
    assert_eq!(made.len(), 12);
}

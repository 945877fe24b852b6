//! Any module, and after a line `---` any JSON as its input: evaluation ends without a panic within small
//! limits, and the second time with the same answer, lines, steps and bytes; so it does specialised for each
//! entry of its input, and sharing what depends on that entry only.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use portcullis_rego::{Environment, Input, Program, Query, Unit, Workspace};
use portcullis_value::{Limits, Value, View};
use portcullis_rego_syntax::{Version, parse, resolve};

const LIMITS: Limits = Limits { steps: 20_000, memory: 1 << 20, depth: 64, output: 64 << 10 };

fuzz_target!(|text: &str| {
    let (text, input) = text.split_once("\n---\n").unwrap_or((text, "{}"));
    let input = Value::from_json(input).ok();
    for version in [Version::V0, Version::V1] {
        let parsed = parse(text, version);
        let names = resolve(&parsed.module);
        if !parsed.diagnostics.is_empty() || !names.diagnostics.is_empty() {
            continue;
        }
        let unit = Unit { module: &parsed.module, names: &names };
        let package = parsed.module.package_path();
        let Ok(program) = Program::compile(&[unit], &Query::Path(&package)) else { continue };
        for strict_builtin_errors in [false, true] {
            let environment = Environment {
                input: input.clone().into(),
                data: Value::new_object(),
                limits: LIMITS,
                now_ns: Some(1_700_000_000_000_000_000),
                seed: 7,
                strict_builtin_errors,
                ..Environment::default()
            };
            let started = Instant::now();
            let first = program.evaluate(&environment);
            // A step that takes a hundred times as long as it may would show.
            assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
            if first.result.is_ok() {
                assert!(first.steps <= LIMITS.steps, "{} steps", first.steps);
                assert!(first.memory <= LIMITS.memory, "{} bytes", first.memory);
            }
            if let Err(error) = &first.result {
                assert!(!error.message.contains('\n'), "{error}");
                if let Some((_, span)) = error.at {
                    assert!(text.get(span.start as usize..span.end as usize).is_some(), "{error} at {span}");
                }
            }
            let again = program.evaluate(&environment);
            assert_eq!(first.result, again.result);
            assert_eq!(first.prints, again.prints);
            assert_eq!((first.steps, first.memory), (again.steps, again.memory));
            let Some(View::Object(object)) = input.as_ref().map(Value::view) else { continue };
            let entries: Vec<_> = object.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            let by_entries = Environment { input: Input::Entries(&entries), ..environment.clone() };
            let plain = program.evaluate(&by_entries);
            for (key, value) in &entries {
                let Some(name) = key.as_str() else { continue };
                let special = program.specialise(name, value);
                let mut room = Workspace::of_input(name, value.clone());
                for special in [None, special.as_ref(), special.as_ref()] {
                    let environment = Environment { special, ..by_entries.clone() };
                    assert_eq!(program.evaluate_in(&mut room, &environment), plain, "{name}");
                }
            }
        }
    }
});

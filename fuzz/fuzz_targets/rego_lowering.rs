//! Any text as a module, or as two of one package (divided by a line `---`): compiling ends without a panic,
//! whether the text is faulty or not, and what is wrong has a place in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_rego::{Program, Query, Unit};
use portcullis_rego_syntax::{Environment, Version, parse, resolve_in};

fuzz_target!(|text: &str| {
    let texts: Vec<&str> = text.splitn(2, "\n---\n").collect();
    for version in [Version::V0, Version::V1] {
        let parsed: Vec<_> = texts.iter().map(|text| parse(text, version)).collect();
        let names: Vec<_> = parsed
            .iter()
            .map(|this| {
                let others = parsed.iter().filter(|other| {
                    !std::ptr::eq(*other, this) && other.module.package_path() == this.module.package_path()
                });
                let rules = others.flat_map(|other| &other.module.rules).map(|rule| rule.name().to_owned());
                resolve_in(
                    &this.module,
                    &Environment { package_rules: rules.collect(), ..Environment::default() },
                )
            })
            .collect();
        let units: Vec<_> =
            parsed.iter().zip(&names).map(|(parsed, names)| Unit { module: &parsed.module, names }).collect();
        let package: Vec<&str> = parsed[0].module.package_path();
        for query in [Query::Path(&package), Query::Path(&[]), Query::Body(units[0])] {
            let Err(errors) = Program::compile(&units, &query) else { continue };
            assert!(!errors.is_empty(), "a program is refused for no reason");
            for error in errors {
                assert!(!error.message.contains('\n'), "{error}");
                // The query stands after the modules.
                let text = texts.get(error.module).copied().unwrap_or(texts[0]);
                let range = error.span.start as usize..error.span.end as usize;
                assert!(text.get(range).is_some(), "{error} at {}", error.span);
            }
        }
    }
});

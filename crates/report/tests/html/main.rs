//! The HTML report of audits, as text and in a browser.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics when it fails"
)]

mod browser;
mod sample;

use sample::Audit;

/// What stands between the first of one text and the next of another.
#[track_caller]
fn between<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = page.split_once(start).unwrap_or_else(|| panic!("no {start}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end}")).0
}

fn banner(audit: &Audit) -> String {
    between(&audit.html(), "<section class=\"banner ", "</section>").to_owned()
}

#[test]
fn a_small_report_is_written_like_this() {
    let page = sample::partial().html();
    let style = between(&page, "<style>", "</style>").to_owned();
    let script = between(&page, "<script>", "</script>").to_owned();
    let page = page.replace(&style, "").replace(&script, "");
    // Digests change whenever style or script do.
    let policy = between(&page, "script-src '", "; base-uri").to_owned();
    insta::assert_snapshot!(page.replace(&policy, "…"));
}

#[test]
fn only_an_audit_that_saw_everything_and_found_nothing_is_green() {
    let green = banner(&sample::green());
    assert!(green.starts_with("clean"), "{green}");
    let mut warned = sample::green();
    warned.findings.push(sample::violation(3, sample::DRYRUN, "Pod", "shop", "web", "no"));
    let mut unknown = warned.findings.clone();
    unknown[0].verdict = portcullis_report::Verdict::Unknown;
    let looks = [
        (Audit::empty(), "incomplete", "Nothing was judged"),
        (Audit { passes: Vec::new(), ..sample::green() }, "incomplete", "Nothing was judged"),
        (sample::unfinished(), "incomplete", "Unfinished"),
        (sample::partial(), "incomplete", "could not see everything"),
        (Audit { findings: unknown, ..sample::green() }, "incomplete", "not everything could be judged"),
        (Audit { problems: sample::partial().problems, ..sample::green() }, "incomplete", "not all policies"),
        (warned, "noted", "none of which denies"),
    ];
    for (audit, look, title) in looks {
        let banner = banner(&audit);
        assert!(banner.starts_with(look) && banner.contains(title), "{look}: {banner}");
        assert!(!banner.contains('✓'), "{banner}");
    }
}

#[test]
fn the_reasons_of_doubt_are_at_the_top() {
    let banner = banner(&sample::partial());
    for reason in [
        "1 judgement could not be made",
        "2 objects or documents could not be read",
        "1 kind could not be listed",
        "1 error in",
    ] {
        assert!(banner.contains(reason), "{reason}: {banner}");
    }
    let banner = self::banner(&sample::unfinished());
    assert!(
        banner.contains("ended by SIGTERM after 118 objects") && banner.contains("nothing about the rest"),
        "{banner}"
    );
}

#[test]
fn equal_audits_are_equal_pages() {
    assert_eq!(sample::partial().html(), sample::partial().html());
    assert_eq!(sample::large(30, 50, 3_000).html(), sample::large(30, 50, 3_000).html());
}

#[test]
fn large_audits_stay_small_files_and_say_what_is_left_out() {
    for (policies, namespaces) in [(64, 40), (300, 500), (400, 6_000), (1, 1)] {
        let page = sample::large(policies, namespaces, 100_000).html();
        assert!(page.len() < 5_000_000, "{policies} policies, {namespaces} namespaces: {} bytes", page.len());
        // Every policy has its row, every namespace as well.
        let rows = |part: &str| part.matches("<tr><th scope=\"row\"").count();
        assert_eq!(rows(between(&page, "<h2 id=\"policies\">", "</section>")), policies);
        assert!(
            rows(between(&page, "<h2 id=\"namespaces\">", "</section>")) >= (namespaces * 9 / 10).min(5_000)
        );
        // What is listed and what is not are all there is.
        let number = |text: &str| text.trim().replace(',', "").parse::<usize>().unwrap();
        let listed = page.matches("<li data-v=").count();
        let more = page.split("<p class=\"more\">").skip(1).filter(|text| text.contains("of this policy"));
        let more: usize = more.map(|text| number(text.split_once(" more ").unwrap().0)).sum();
        assert_eq!(listed + more, 100_000, "{policies} policies");
        assert!(listed > 200 && page.contains("the NDJSON output has all"), "{policies} policies");
        assert!(listed <= 3_000 + 2 * policies, "{listed} are listed");
        // No policy takes the room of another.
        let blocks = page
            .split("<details class=\"policy\"")
            .skip(1)
            .map(|block| block.split("</details>\n").next().unwrap());
        let fewest = blocks
            .filter(|block| block.contains("class=\"more\""))
            .map(|block| block.matches("<li data-v=").count());
        assert!(fewest.min().unwrap() >= 5, "{policies} policies");
        // Unknown ones are not crowded out.
        assert!(page.contains("<li data-v=\"unknown\""));
    }
}

#[test]
fn explanations_take_a_part_of_the_file_and_say_what_is_left_out() {
    let mut audit = sample::large(40, 40, 20_000);
    for finding in &mut audit.findings {
        finding.explanation = Some(Box::new(sample::explanation("<img src=x>", 30)));
    }
    // Those behind the first ones have none, and nothing of them is left out.
    for finding in audit.findings.iter_mut().skip(15_000) {
        finding.explanation = None;
    }
    let page = audit.html();
    assert!(page.len() < 6_000_000, "{} bytes", page.len());
    assert!(!page.contains("<img"));
    let shown = page.matches("<details class=\"why\">").count();
    let left_out = page
        .split("<p class=\"more\">")
        .skip(1)
        .filter_map(|text| text.split_once(" explanations are left out"));
    let left_out: usize = left_out.map(|(number, _)| number.replace(',', "").parse::<usize>().unwrap()).sum();
    let listed = page.matches("<li data-v=\"violation\"").count();
    assert!(shown >= 40 && left_out > 100, "{shown} and {left_out}");
    let unknown = page.matches("<li data-v=\"unknown\"").count();
    assert!(shown + left_out <= listed + unknown, "{shown} and {left_out} of {listed}");
    let mut few = sample::large(2, 2, 40);
    few.findings.truncate(4);
    few.findings[0].explanation = Some(Box::new(sample::explanation("<img src=x>", 9_000)));
    for finding in &mut few.findings {
        (finding.policy, finding.verdict) = (0, portcullis_report::Verdict::Violation);
    }
    assert!(few.html().contains("1 explanation is left out here"), "the others have none");
}

#[test]
fn long_hostile_texts_do_not_grow_the_file() {
    let mut audit = sample::large(300, 500, 20_000);
    for finding in &mut audit.findings {
        finding.message = "<\u{202e}".repeat(5_000);
        finding.details = portcullis_report::Details::from(&serde_json::json!({ "x": "\"".repeat(5_000) }));
        finding.object.name = "<".repeat(5_000).into();
    }
    for policy in &mut audit.policies {
        policy.template.rego = "<".repeat(50_000).into();
    }
    let page = audit.html();
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    assert!(page.contains("more characters)"));
}

#[test]
fn nothing_breaks_out_of_where_it_stands() {
    let page = sample::hostile().html();
    // What is between the tags that we write holds no other tag.
    for evil in ["<img", "<svg onload", "<plaintext", "<![CDATA", "--!>", "<b>", "onmouseover='"] {
        assert!(!page.contains(evil), "{evil}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("</script").count(), 1);
    assert_eq!(page.matches("<style").count(), 1);
    assert_eq!(page.matches("</main>").count(), 1);
    let hidden = |c: &char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0041}')
    };
    assert_eq!(page.chars().find(hidden), None);
    assert!(page.contains("\\u{202e}lairt"));
}

#[test]
fn findings_that_are_not_what_was_counted_are_an_error() {
    let mut audit = sample::green();
    let green = audit.totals();
    audit.findings.push(sample::violation(3, sample::DENY, "Pod", "shop", "web", "no"));
    let counted = audit.totals();
    assert!(audit.page(counted.clone()).is_ok());
    // One that was not counted, one that is lost, one of a policy that there is not.
    assert!(audit.page(green).is_err());
    audit.findings.push(sample::violation(99, sample::DENY, "Pod", "shop", "web", "no"));
    assert!(audit.page(counted.clone()).is_err());
    audit.findings.clear();
    assert!(audit.page(counted).is_err());
}

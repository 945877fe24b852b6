//! The page in a real browser: Chromium, headless. Without one these tests say so and prove nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use crate::sample::{self, Audit};

/// One browser at a time: each takes several hundred MB.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let found = std::env::split_paths(&path)
        .flat_map(|directory| names.map(|name| directory.join(name)))
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        // Not `eprintln!`, which is shown only for tests that fail.
        let _ = std::io::stderr().write_all(
            b"\nSKIPPED: no browser was found, so the HTML report is not tested in one; install chromium\n",
        );
    }
    found
}

/// Writes a page where it can also be looked at afterwards.
fn page_file(name: &str, page: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("audit-{name}.html"));
    std::fs::write(&file, page).unwrap();
    file
}

/// What the browser made of a page.
struct Dump {
    page: String,
    /// Errors of scripts, and what the content security policy has blocked.
    console: Vec<String>,
}

/// The page as the browser has it when its script has run.
fn dump(browser: &Path, file: &Path, fragment: &str, options: &[&str]) -> Dump {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .args(["--disable-background-networking", "--enable-logging=stderr", "--timeout=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(options)
        .arg(format!("file://{}{fragment}", file.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.ends_with("</html>\n") || page.trim_end().ends_with("</html>"), "no page: {log}");
    let console = log.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    Dump { page, console }
}

fn is_hidden(page: &str, id: &str) -> bool {
    let (before, after) = page.split_once(&format!("id=\"{id}\"")).unwrap();
    let tag = [before.rsplit_once('<').unwrap().1, after.split_once('>').unwrap().0].concat();
    tag.contains(" hidden")
}

fn visible_findings(page: &str) -> usize {
    let policies = page
        .split("<details class=\"policy\"")
        .skip(1)
        .filter(|part| !part.split_once('>').unwrap().0.contains("hidden"));
    let items = policies.flat_map(|part| part.split("<li data-v=").skip(1));
    items.filter(|part| !part.split_once('>').unwrap().0.contains("hidden")).count()
}

fn show(name: &str, audit: &Audit, fragment: &str) -> Option<String> {
    let browser = browser()?;
    let Dump { page, console } = dump(&browser, &page_file(name, &audit.html()), fragment, &[]);
    assert!(console.is_empty(), "{console:?}");
    Some(page)
}

#[test]
fn filters_work_and_a_link_can_carry_them() {
    let audit = sample::partial();
    let Some(all) = show("partial", &audit, "") else { return };
    assert!(!is_hidden(&all, "filters") && is_hidden(&all, "scriptless"));
    assert_eq!(visible_findings(&all), audit.findings.len());
    let count = |fragment: &str| visible_findings(&show("partial", &audit, fragment).unwrap());
    let in_shop = audit.findings.iter().filter(|finding| sample::home(finding) == "shop").count();
    assert_eq!(count("#namespace=shop"), in_shop);
    assert_eq!(count("#verdict=unknown"), 1);
    let privileged = audit.findings.iter().filter(|finding| finding.message.contains("privileged")).count();
    assert_eq!(count("#find=PRIVILEGED%20true"), privileged);
    // A filter that fits nothing shows nothing.
    assert_eq!(count("#namespace=nowhere"), 0);
}

#[test]
fn the_page_is_read_without_scripts() {
    // As viewers of CI artifacts have it: the script is blocked.
    let audit = sample::partial();
    let page = audit.html();
    let (before, rest) = page.split_once("script-src '").unwrap();
    let blocked = format!("{before}script-src 'none'; x '{}", rest.split_once('\'').unwrap().1);
    let Some(browser) = browser() else { return };
    let file = page_file("scriptless", &blocked);
    let Dump { page, console } = dump(&browser, &file, "", &[]);
    assert!(console.iter().any(|line| line.contains("Content Security Policy")), "not blocked: {console:?}");
    assert!(is_hidden(&page, "filters") && !is_hidden(&page, "scriptless"));
    assert_eq!(visible_findings(&page), audit.findings.len());
}

/// Uses the controls as people do, one after the other, and writes down what can be seen.
const USER: &str = r##"<script>
(async () => {
  const log = [];
  const note = (what) => {
    const items = [...document.querySelectorAll(".policy .list > li")];
    log.push(`${what}: ${items.filter((item) => item.checkVisibility()).length} ${location.hash}`);
  };
  const wait = () => new Promise((done) => setTimeout(done, 400));
  const click = async (selector) => { document.querySelector(selector).click(); await wait(); };
  const find = document.getElementById("find");
  find.value = "privileged true";
  find.dispatchEvent(new Event("input", { bubbles: true }));
  await wait();
  note("search");
  await click("button[type=reset]");
  await click("#all");
  note("all");
  await click("#all");
  note("none");
  await click("th[data-n=billing] a");
  note("namespace");
  await click("a[href='#policy-6']");
  log.push(`policy: ${document.getElementById("policy-6").checkVisibility()} ${location.hash}`);
  await click("#policy-6 a");
  log.push("text: " + document.getElementById("text-6").checkVisibility());
  document.body.dataset.log = log.join("; ");
})();
</script></body>"##;

#[test]
fn controls_do_what_they_say() {
    let Some(browser) = browser() else { return };
    let audit = sample::realistic();
    // The page's policy would rightly refuse the script of the test.
    let page = audit
        .html()
        .replace("http-equiv=\"Content-Security-Policy\"", "name=\"none\"")
        .replace("</body>", USER);
    let file = page_file("used", &page);
    let Dump { page, console } = dump(&browser, &file, "", &["--virtual-time-budget=15000"]);
    assert!(console.is_empty(), "{console:?}");
    let log = page.split_once("data-log=\"").map(|(_, rest)| rest.split_once('"').unwrap().0);
    let billing = audit.findings.iter().filter(|finding| &*finding.object.namespace == "billing").count();
    let expected = format!(
        "search: 5 #find=privileged+true; all: 35 ; none: 0 ; namespace: {billing} #namespace=billing; policy: true #policy-6; text: true"
    );
    assert_eq!(log, Some(expected.as_str()));
}

#[test]
fn hostile_texts_stay_texts() {
    let audit = sample::hostile();
    let Some(page) = show("hostile", &audit, "") else { return };
    assert!(!page.contains("<title>PWNED"), "a text has run as a script");
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains("<img") && !page.contains("<plaintext") && !page.contains("<svg onload"));
    assert_eq!(visible_findings(&page), audit.findings.len());
    // The page is whole: what comes last is where it belongs.
    assert!(page.contains("</main>\n<footer>"), "a text has closed or opened an element");
}

#[test]
fn large_and_extreme_pages_load() {
    for (name, audit) in [
        ("large", sample::large(300, 500, 100_000)),
        ("long", sample::long_names()),
        ("empty", Audit::empty()),
        ("green", sample::green()),
        ("unfinished", sample::unfinished()),
        ("realistic", sample::realistic()),
    ] {
        let Some(page) = show(name, &audit, "") else { return };
        assert!(is_hidden(&page, "scriptless"), "{name}: the script did not get to its end");
    }
}

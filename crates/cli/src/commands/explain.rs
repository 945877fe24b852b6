//! `portcullis explain`: why policies say what they say of objects. Judges as `test` does.

use std::io::Write;

use portcullis_report::{self as report, ExitStatus, Form, Problem, TestReport};

use crate::commands::fixing;
use crate::commands::test::report_of;
use crate::test_args::TestArgs;

type Writer = fn(&TestReport, &mut dyn Write) -> std::io::Result<()>;

/// Judges and tells why.
pub fn run(args: &TestArgs) -> anyhow::Result<ExitStatus> {
    let (write, target): (Writer, _) = match args.output.as_slice() {
        [report::Destination { form: Form::Human, target }] => (report::why::write_human, target),
        [report::Destination { form: Form::Json, target }] => (report::why::write_json, target),
        [report::Destination { form: Form::Html, target }] => (report::write_html_explanations, target),
        _ => anyhow::bail!("`explain` writes one list, with `-o human`, `-o json` or `-o html`"),
    };
    if args.trace || args.stats || args.template.is_some() {
        anyhow::bail!("`--trace`, `--stats` and `--template` are of `test`");
    }
    fixing::refuse(args)?;
    let report = report_of(args)?;
    report::human::write_problems(&report.problems, &mut anstream::stderr().lock())?;
    let is_plain = args.output.iter().any(|one| !one.form.is_for_people());
    let mut out = target.open(!is_plain)?;
    write(&report, &mut out)?;
    out.finish()?;
    let is_incomplete = report.problems.iter().any(Problem::is_error);
    Ok(if is_incomplete { ExitStatus::Error } else { ExitStatus::Success })
}

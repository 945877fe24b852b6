//! What tests reached of policies, as a tracefile of lcov.

use std::io::{self, Write};

use crate::escape;
use crate::form::{Spec, Writer};
use crate::verify::VerifyReport;

pub(crate) const FORM: Spec = Spec {
    verify: Some(Writer {
        about: "coverage as a tracefile of lcov: lines, and conditions as branches",
        write,
    }),
    ..Spec::new("lcov")
};

/// One record for each file. Each condition is a block with two branches: it holds, it does not.
fn write(report: &VerifyReport, out: &mut dyn Write) -> io::Result<()> {
    let files = report.coverage.iter().flat_map(|coverage| &coverage.files);
    for file in files {
        writeln!(out, "TN:\nSF:{}", escape::line(&file.file))?;
        let mut block = 0_usize;
        for condition in &file.conditions {
            let line = condition.location.line();
            for (branch, came) in [condition.has_held, condition.has_failed].into_iter().enumerate() {
                let taken = match (condition.is_reached, came) {
                    (false, _) => "-",
                    (true, false) => "0",
                    (true, true) => "1",
                };
                writeln!(out, "BRDA:{line},{block},{branch},{taken}")?;
            }
            block += 1;
        }
        writeln!(out, "BRF:{}\nBRH:{}", block.saturating_mul(2), file.outcomes())?;
        let covered = file.covered.iter().map(|line| (*line, 1));
        let mut lines: Vec<(u32, u8)> = covered.chain(file.uncovered.iter().map(|line| (*line, 0))).collect();
        lines.sort_unstable();
        for (line, hits) in lines {
            writeln!(out, "DA:{line},{hits}")?;
        }
        writeln!(out, "LF:{}\nLH:{}\nend_of_record", file.lines(), file.covered.len())?;
    }
    Ok(())
}

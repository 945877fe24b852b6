//! Time and memory of hostile policies: `hostile [TEXT]`, each case whose name has the text in a process of
//! its own.
//!
//! Time is that of parsing, compiling and evaluating; memory is the most that the process had (`VmHWM`), the
//! input included. What is over 100 ms or 64 MB is marked, and what ends otherwise than it should, and then
//! the run ends with 1.

use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use portcullis_testkit::hostile::{CASES, Hostile};

const MAX_TIME: Duration = Duration::from_millis(100);
const MAX_MEMORY_KB: u64 = 64 * 1024;
/// After which a case is ended.
const GUARD: Duration = Duration::from_secs(30);
/// Tells a process that it is to run one case.
const ONE: &str = "--one";

/// What came of a case.
struct Row {
    outcome: String,
    as_wanted: bool,
    time: Duration,
    memory_kb: u64,
}

fn main() -> io::Result<ExitCode> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.as_slice() {
        [flag, name] if flag == ONE => one(name),
        [only] => all(only),
        _ => all(""),
    }
}

/// Runs one case and prints what came of it, a fact a line.
fn one(name: &str) -> io::Result<ExitCode> {
    let Some(case) = CASES.iter().find(|case| case.name == name) else {
        return Err(io::Error::other("there is no such case"));
    };
    let (outcome, time) = case.build().run();
    let as_wanted = case.is_as_wanted(&outcome);
    writeln!(io::stdout(), "{}\n{as_wanted}\n{}\n{outcome}", time.as_micros(), peak_kb())?;
    Ok(ExitCode::SUCCESS)
}

/// The most memory this process had.
fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

fn all(only: &str) -> io::Result<ExitCode> {
    let mut failures = 0;
    println!("{:48} {:>9} {:>8}    outcome", "case", "ms", "MB");
    for case in CASES.iter().filter(|case| case.name.contains(only)) {
        let row = in_a_process(case)?;
        let slow = row.time > MAX_TIME;
        let large = row.memory_kb > MAX_MEMORY_KB;
        let mark = |over: bool| if over { '!' } else { ' ' };
        failures += u32::from(slow || large || !row.as_wanted);
        println!(
            "{:48} {:9.1}{} {:7}{} {} {}",
            case.name,
            row.time.as_secs_f64() * 1e3,
            mark(slow),
            row.memory_kb.div_ceil(1024),
            mark(large),
            mark(!row.as_wanted),
            row.outcome,
        );
    }
    println!("{failures} of {} over 100 ms or 64 MB, or not as it should be", CASES.len());
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn in_a_process(case: &Hostile) -> io::Result<Row> {
    let mut child = Command::new(env::current_exe()?)
        .args([ONE, case.name])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let started = Instant::now();
    let ended = wait(&mut child, started)?;
    let mut text = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut text)?;
    }
    let mut lines = text.lines();
    let mut number = || lines.next().and_then(|line| line.parse::<u64>().ok());
    let micros = number();
    let as_wanted = lines.next() == Some("true");
    let memory_kb = lines.next().and_then(|line| line.parse().ok()).unwrap_or(0);
    Ok(match micros {
        Some(micros) => Row {
            outcome: lines.next().unwrap_or_default().to_owned(),
            as_wanted,
            time: Duration::from_micros(micros),
            memory_kb,
        },
        None => Row { outcome: ended, as_wanted: false, time: started.elapsed(), memory_kb },
    })
}

/// Waits for the end of a process, and makes one. What it prints fits the pipe.
fn wait(child: &mut Child, started: Instant) -> io::Result<String> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(format!("THE PROCESS ENDED: {status}"));
        }
        if started.elapsed() > GUARD {
            child.kill()?;
            child.wait()?;
            return Ok("NO END".to_owned());
        }
        thread::sleep(Duration::from_millis(2));
    }
}

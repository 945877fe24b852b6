//! The engine as a filter: a call a line on standard input, its answer a line on standard output. For programs that start
//! others and link nothing, and for hosts of WASI (`wasm32-wasip1`), such as those that are written in Go without cgo.
//!
//! ```text
//! {"call": "compile", "request": {"version": 1, "documents": [{"name": "policy.yaml", "text": "…"}]}}
//! {"call": "review", "request": "{apiVersion: v1, kind: Pod, …}", "options": {"version": 1, "timeoutMs": 100}}
//! ```
//!
//! Calls are `compile`, `inventory`, `review` and `admit`, as `docs/embed.schema.json` has them; a request and options
//! are texts, or values of JSON, which are taken as they are written. Policies that compile take the place of those before. A
//! line that is no call is answered as a refusal, and the next one is read. It ends with its input.

use std::io::{self, BufRead as _, BufWriter, Read as _, Write};
use std::process::ExitCode;
use std::time::Instant;

use portcullis_embed::{Engine, Host, VERSION};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

/// Longest line: the largest texts that calls take, escaped.
const MOST_BYTES: u64 = 256 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'l> {
    call: Call,
    #[serde(borrow, default)]
    request: Option<&'l RawValue>,
    #[serde(borrow, default)]
    options: Option<&'l RawValue>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Call {
    Compile,
    Inventory,
    Review,
    Admit,
}

struct Clock(Instant);

impl Host for Clock {
    fn elapsed_ms(&self) -> Option<u64> {
        u64::try_from(self.0.elapsed().as_millis()).ok()
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads any more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis-pipe: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> io::Result<()> {
    let clock = Clock(Instant::now());
    let (mut input, mut out) = (io::stdin().lock(), BufWriter::new(io::stdout().lock()));
    let mut engine: Option<Engine> = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(MOST_BYTES).read_until(b'\n', &mut line)? == 0 {
            return out.flush();
        }
        let answer = if line.len() as u64 >= MOST_BYTES && !line.ends_with(b"\n") {
            line.clear();
            skip(&mut input)?;
            refusal(&format!("a line has at most {MOST_BYTES} bytes"))
        } else if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        } else {
            answer(&line, &mut engine, &clock)
        };
        out.write_all(answer.as_bytes())?;
        out.write_all(b"\n")?;
        // Whoever asks waits for it.
        out.flush()?;
    }
}

/// Reads to the end of a line, and keeps nothing of it.
fn skip(input: &mut impl io::BufRead) -> io::Result<()> {
    loop {
        let part = input.fill_buf()?;
        if part.is_empty() {
            return Ok(());
        }
        let end = part.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(part.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

fn answer(line: &[u8], engine: &mut Option<Engine>, clock: &Clock) -> String {
    let line: Line<'_> = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(error) => {
            return refusal(&format!("expected a call, such as {{\"call\": \"review\", …}}: {error}"));
        }
    };
    let (request, options) = match (text(line.request), text(line.options)) {
        (Ok(request), Ok(options)) => (request, options),
        (Err(error), _) | (_, Err(error)) => return refusal(&error.to_string()),
    };
    let (request, options) = (request.as_bytes(), options.as_bytes());
    if let Call::Compile = line.call {
        let compiled = Engine::compile(request);
        if let Some(compiled) = compiled.engine {
            *engine = Some(compiled);
        }
        return compiled.answer;
    }
    let Some(engine) = engine else {
        return refusal("there are no policies yet: the first call that succeeds has to be `compile`");
    };
    match line.call {
        Call::Inventory => engine.apply_inventory(request),
        Call::Review => engine.review(request, options, clock),
        Call::Compile | Call::Admit => engine.admit(request, options, clock),
    }
}

/// A text, or a value as it is written; nothing is an empty text.
fn text(value: Option<&RawValue>) -> Result<String, serde_json::Error> {
    match value.map(RawValue::get) {
        None | Some("null") => Ok(String::new()),
        Some(text) if text.starts_with('"') => serde_json::from_str(text),
        Some(written) => Ok(written.to_owned()),
    }
}

/// The answer to what is no call: nothing is allowed by it.
fn refusal(why: &str) -> String {
    json!({"allowed": false, "ok": false, "problems": [{"code": "invalid-value", "message": why}], "version": VERSION})
        .to_string()
}

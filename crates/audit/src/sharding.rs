//! One shard of an audit.

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use portcullis_report::sink::{Start, Target};
use portcullis_report::{ExitStatus, Timestamp};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::args::AuditArgs;
use crate::collect::{Collected, Report};
use crate::error::{RunError, system};
use crate::examine::{Examined, Settings, Subject, examine};
use crate::pipeline::{Feed, Item};
use crate::policies::Policies;
use crate::shard::{End, FORMAT, Header, Part, Shard, VERSION, hex};
use crate::spool::Spool;

/// What the feeds of both passes gave, as one digest.
#[derive(Clone, Debug, Default)]
struct Input(Arc<Mutex<Sha256>>);

impl Input {
    fn take(&self, item: &Item) {
        let mut hash = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match item {
            Item::Text { file, text } => {
                let (file, bytes) = (file.as_bytes(), &text.bytes);
                hash.update((file.len() as u64).to_le_bytes());
                hash.update(file);
                hash.update((bytes.len() as u64).to_le_bytes());
                hash.update(bytes);
            }
            Item::Unread(problem) => hash.update(problem.to_string()),
            Item::FailedKind(gvk, why) => hash.update(format!("{gvk} {why}")),
            #[cfg(feature = "kube")]
            Item::Listed { .. } => {}
        }
    }

    fn digest(&self) -> String {
        hex(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// A feed whose items are noted on the way.
struct Noted<'a> {
    feed: Box<dyn Feed + 'a>,
    input: Input,
}

impl Feed for Noted<'_> {
    fn next_item(&mut self) -> Option<Item> {
        self.feed.next_item().inspect(|item| self.input.take(item))
    }

    fn bytes(&self) -> u64 {
        self.feed.bytes()
    }
}

/// A subject whose feeds are noted.
struct Watched<'a> {
    subject: &'a mut dyn Subject,
    input: Input,
}

impl Subject for Watched<'_> {
    fn inventory(&mut self) -> Box<dyn Feed + '_> {
        Box::new(Noted { feed: self.subject.inventory(), input: self.input.clone() })
    }

    fn objects(&mut self) -> Box<dyn Feed + '_> {
        Box::new(Noted { feed: self.subject.objects(), input: self.input.clone() })
    }

    fn problems(&mut self) -> Vec<portcullis_report::Problem> {
        self.subject.problems()
    }

    fn forbidden(&self) -> Option<String> {
        self.subject.forbidden()
    }

    fn scopes(&self) -> portcullis::Scopes {
        self.subject.scopes()
    }

    fn is_cluster(&self) -> bool {
        self.subject.is_cluster()
    }
}

fn sha256(text: &str) -> String {
    hex(Sha256::new_with_prefix(text))
}

/// Judges a shard and writes its part. What is found there is said by who puts the parts together: of a part that is written to its end
/// the status is a success.
///
/// # Errors
///
/// If the part cannot be written, or the system fails.
pub fn shard(
    (shard, target): (Shard, Target),
    args: &AuditArgs,
    policies: &Policies,
    subject: &mut dyn Subject,
    settings: &Settings,
    stop: &AtomicBool,
) -> Result<ExitStatus, RunError> {
    if args.has_output_files() {
        let text = "a shard writes no report: name files for it where the parts are put together";
        return Err(RunError::Usage(text.to_owned()));
    }
    let began = SystemTime::now();
    let started = Timestamp::from_system(began);
    let is_cluster = subject.is_cluster();
    let header = Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        shard: shard.index(),
        of: shard.of(),
        subject: if is_cluster { "cluster" } else { "files" }.to_owned(),
        started: started.seconds(),
        policy_digest: policies.digest.clone(),
        settings: json!({
            "run": args.shard.run,
            "namespace": args.namespace,
            "expand": args.expand.map(|expand| format!("{expand:?}")),
            "allow-unsupported": args.allow_unsupported,
            "engine": format!("{:?}", args.engine.choice()),
            "explain": args.explain,
            "now": args.now.map(Timestamp::seconds),
            "max-memory": args.max_memory,
            "max-steps": args.max_steps,
            "max-policy-memory": args.max_policy_memory,
            "timeout": args.timeout,
            // By what they say: each shard may have a file of its own, if it says the same.
            "provider-answers": args.providers.recorded_text().map(|text| sha256(&text)),
            "live-providers": args.providers.live_providers || args.providers.record_provider_answers.is_some(),
            "username": args.providers.username,
        }),
        policies: policies.described.len(),
    };
    let part = Part::create(&target, &header, &policies.described);
    let part = part.map_err(system("writing the part of a shard"))?;
    let input = Input::default();
    let mut watched = Watched { subject, input: input.clone() };
    let collected = Collected::new(policies.described.len(), settings.ceiling);
    let mut collected = collected.explaining(settings.explain).into_part(part);
    let spool = Spool::new(None).map_err(system("creating a temporary file"))?;
    let start = Start { started, policies: &policies.described };
    let mut report = Report { start, spool, sinks: &mut [] };
    let Examined { bytes, unfinished } =
        examine(policies, &mut watched, settings, began, Some(shard), &mut collected, &mut report, stop)?;
    let is_unfinished = unfinished.is_some();
    if let Some(reason) = &unfinished {
        let mut text = format!("{shard} was ended before its end: {reason}");
        // Writing to a String cannot fail.
        let _ = writeln!(text);
        let _ = std::io::Write::write_all(&mut anstream::stderr(), text.as_bytes());
    }
    let judged = collected.judged();
    let ended = Timestamp::from_system(SystemTime::now()).seconds();
    let input = if is_cluster { String::new() } else { input.digest() };
    let end = End { ended, judged, bytes, input, unfinished };
    collected.finish_part(end).map_err(system("writing the part of a shard"))?;
    Ok(if is_unfinished { ExitStatus::Error } else { ExitStatus::Success })
}

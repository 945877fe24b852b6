//! Parts, put together: what comes out is what one audit says.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;

use portcullis::ErrorKind;
use portcullis_report::sink::{Start, Target};
use portcullis_report::{ExitStatus, Place, Problem, StatusLimits, Timestamp};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::args::MergeArgs;
use crate::collect::{Collected, Report};
use crate::error::{RunError, system};
use crate::events::{At, Event};
use crate::examine::{Conclusion, conclude};
use crate::memory::Ceiling;
use crate::progress::Aside;
use crate::shard::Whole;
use crate::source::size;
use crate::spool::Spool;

/// Puts parts together. What is missing, broken or of another audit is named, and makes the audit incomplete.
///
/// # Errors
///
/// If no file is a part, one changes while it is read, or an output cannot be written.
pub fn merge(args: &MergeArgs) -> Result<ExitStatus, RunError> {
    let ceiling = Ceiling::new(args.max_memory);
    let (parts, problems) = gather(args, ceiling);
    let Some(first) = parts.first() else {
        let why = problems.iter().map(|problem| format!("\n  {problem}"));
        return Err(RunError::Usage(format!("no file is the part of an audit:{}", why.collect::<String>())));
    };
    let policies = first.policies.clone();
    let digest = first.header.policy_digest.clone();
    let explain = first.header.settings.get("explain").and_then(Value::as_u64);
    let started = parts.iter().map(|part| part.header.started).min().unwrap_or_default();
    let ended = parts.iter().map(|part| part.end.ended).max().unwrap_or_default();
    let (started, ended) = (Timestamp::from_seconds(started), Timestamp::from_seconds(ended));
    let read = parts.iter().map(|part| part.end.bytes).max().unwrap_or_default();
    let mut unfinished = why_unfinished(&parts);

    let stdout = (!args.quiet).then_some((args.output, Target::Stdout));
    let outputs = stdout.into_iter().chain(args.files_out.outputs());
    let mut sinks: Vec<_> = outputs.map(|(form, target)| form.sink(target)).collect();
    let start = Start { started, policies: &policies };
    for sink in &mut sinks {
        sink.begin(&start).map_err(system("beginning an output"))?;
    }
    let spool = Spool::new(None).map_err(system("creating a temporary file"))?;
    let mut report = Report { start, spool, sinks: &mut sinks };
    let mut collected = Collected::new(policies.len(), ceiling).explaining(explain);
    for problem in problems {
        collected.problem(problem);
    }
    let is_whole = put_together(parts, ceiling, &mut collected, &mut report);
    if !is_whole.map_err(system("putting parts together"))? {
        unfinished = Some(collected.too_many());
    }
    let Report { spool, .. } = report;
    let status = StatusLimits { violations: args.constraint_violations_limit, message: args.message_limit };
    let aside = if args.quiet { Aside::Doubts } else { Aside::Nothing };
    let of =
        Conclusion { started, ended: Some(ended), bytes: read, unfinished, digest: &digest, status, aside };
    let standing = conclude(collected, of, &policies, spool, &mut sinks)?;
    Ok(standing.into())
}

/// Most bytes of a line: all shards may have one in memory.
const fn most(ceiling: Ceiling) -> u64 {
    ceiling.bytes() / 4
}

/// The parts that are of one audit, in the order of their shards, and what is wrong with the others.
fn gather(args: &MergeArgs, ceiling: Ceiling) -> (Vec<Whole>, Vec<Problem>) {
    let mut problems = Vec::new();
    let wrong = |name: &str, why: String| Problem {
        place: Some(Place::File { file: name.into(), line: 0, column: 0, end_column: 0 }),
        help: Some("what it says is not counted".to_owned()),
        ..Problem::error(ErrorKind::Unreadable, why)
    };
    let mut whole: Vec<Whole> = Vec::new();
    for path in &args.files {
        match Whole::open(path, most(ceiling)) {
            Ok(part) => whole.push(part),
            Err(why) => problems.push(wrong(&path.display().to_string(), why)),
        }
    }
    // Most of them are right: what differs from those is not.
    let alike = |index: &usize| {
        let of = whole.get(*index);
        whole.iter().filter(|part| of.is_some_and(|of| difference(of, part).is_none())).count()
    };
    let best = (0..whole.len()).min_by_key(|index| Reverse(alike(index)));
    let Some(best) = best else { return (Vec::new(), problems) };
    let mut shards: BTreeMap<u32, Whole> = BTreeMap::new();
    let differences: Vec<Option<String>> = match whole.get(best) {
        Some(of) => whole.iter().map(|part| difference(of, part)).collect(),
        None => Vec::new(),
    };
    for (part, difference) in whole.into_iter().zip(differences) {
        if let Some(difference) = difference {
            problems.push(wrong(&part.name, difference));
        } else if let Some(before) = shards.get(&part.shard.index()) {
            let why = format!("it is {} once more, which `{}` is already", part.shard, before.name);
            problems.push(wrong(&part.name, why));
        } else {
            shards.insert(part.shard.index(), part);
        }
    }
    let of = shards.values().next().map_or(0, |part| part.header.of);
    for index in (0..of).filter(|index| !shards.contains_key(index)) {
        let message = format!("shard {index}/{of} is missing: none of the files is its part");
        problems.push(Problem {
            help: Some("its objects are not judged here; run it again and put all parts together".to_owned()),
            ..Problem::error(ErrorKind::Unreadable, message)
        });
    }
    (shards.into_values().collect(), problems)
}

/// Why two parts are not of one audit.
fn difference(one: &Whole, other: &Whole) -> Option<String> {
    let (a, b) = (&one.header, &other.header);
    let differs = |what: &str, its: &str, of: &str| {
        let name = &one.name;
        Some(format!("it is of another audit than `{name}`: {what} {its}, and not {of}"))
    };
    if a.of != b.of {
        return differs("the number of shards is", &b.of.to_string(), &a.of.to_string());
    }
    if a.program != b.program {
        return differs("the version of the program is", &b.program, &a.program);
    }
    if a.subject != b.subject {
        return differs("it is about", &b.subject, &a.subject);
    }
    if a.policy_digest != b.policy_digest {
        return differs("the digest of the policies is", &b.policy_digest, &a.policy_digest);
    }
    if one.policies_sha256 != other.policies_sha256 {
        return differs("where policies stand, or what is noted beside them, is", "another", "the same");
    }
    if a.settings != b.settings {
        let of =
            |settings: &Value, key: &str| settings.get(key).map_or("not there".to_owned(), Value::to_string);
        let keys = |settings: &Value| -> Vec<String> {
            settings.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
        };
        let mut keys = keys(&a.settings).into_iter().chain(keys(&b.settings));
        let key = keys.find(|key| a.settings.get(key) != b.settings.get(key)).unwrap_or_default();
        return differs(&format!("`--{key}` is"), &of(&b.settings, &key), &of(&a.settings, &key));
    }
    // What was not read to its end has another digest for that reason only.
    let is_read = |part: &Whole| part.end.unfinished.is_none();
    if is_read(one) && is_read(other) && one.end.input != other.end.input {
        return differs("the SHA-256 of what it read is", &other.end.input, &one.end.input);
    }
    None
}

fn why_unfinished(parts: &[Whole]) -> Option<String> {
    let of = parts.first().map_or(0, |part| part.header.of) as usize;
    let reasons = parts.iter().filter_map(|part| Some((part.shard, part.end.unfinished.as_deref()?)));
    let reasons: Vec<_> = reasons.collect();
    let is_same = |reason: &&str| reasons.len() == of && reasons.iter().all(|(_, other)| other == reason);
    if let Some((_, reason)) = reasons.first().filter(|(_, reason)| is_same(reason)) {
        return Some((*reason).to_owned());
    }
    let missing = of.saturating_sub(parts.len());
    let missing = (missing > 0).then(|| format!("{missing} of {of} shards are missing"));
    // All of them are among the problems of who looks at the parts; here the first is enough.
    let reason = reasons.first().map(|(shard, reason)| format!("{shard} was ended before its end: {reason}"));
    reason.into_iter().chain(missing).reduce(|all, one| format!("{all}; {one}"))
}

/// Goes through all parts at once, in the order of one audit. False if there are too many namespaces and kinds to count.
fn put_together(
    mut parts: Vec<Whole>,
    ceiling: Ceiling,
    collected: &mut Collected,
    report: &mut Report<'_, '_>,
) -> io::Result<bool> {
    let mut heads: Vec<Option<Box<RawValue>>> = Vec::new();
    let mut next: BinaryHeap<Reverse<(At, usize)>> = BinaryHeap::new();
    for (index, part) in parts.iter_mut().enumerate() {
        heads.push(None);
        advance(part, index, &mut heads, &mut next)?;
    }
    while let Some(Reverse((at, index))) = next.pop() {
        let mut here = vec![index];
        while let Some(Reverse((_, other))) = next.peek().filter(|Reverse((other, _))| *other == at) {
            here.push(*other);
            next.pop();
        }
        collected.next_object();
        let is_shared = here.len() > 1 && at != At::Sums;
        // What several shards say alike they saw alike, and it counts once; what one says twice counts twice.
        let mut said: BTreeMap<Box<str>, usize> = BTreeMap::new();
        let mut kept = 0;
        for index in here {
            let mut own: BTreeMap<Box<str>, usize> = BTreeMap::new();
            while let Some(text) = heads.get_mut(index).and_then(Option::take) {
                let is_new = !is_shared || {
                    let times = own.entry(text.get().into()).or_default();
                    *times += 1;
                    let before = said.entry(text.get().into()).or_insert_with(|| {
                        kept += text.get().len() as u64;
                        0
                    });
                    let is_new = *times > *before;
                    *before = (*before).max(*times);
                    is_new
                };
                if kept > ceiling.bytes() / 8 {
                    let room = size(ceiling.bytes() / 8);
                    let text = format!(
                        "what several shards say of one item has more than {room}; raise `--max-memory`"
                    );
                    return Err(io::Error::other(text));
                }
                if is_new {
                    let event: Event = serde_json::from_str(text.get()).map_err(|error| {
                        let name = parts.get(index).map_or("", |part| &part.name);
                        io::Error::other(format!("`{name}`: something that is said cannot be read: {error}"))
                    })?;
                    collected.apply(event, report)?;
                    if collected.is_full(&report.spool) {
                        return Ok(false);
                    }
                }
                let Some(part) = parts.get_mut(index) else { break };
                match part.say_next()? {
                    Some((there, text)) if there == at => put(&mut heads, index, text),
                    Some((there, text)) => {
                        put(&mut heads, index, text);
                        next.push(Reverse((there, index)));
                        break;
                    }
                    None => break,
                }
            }
        }
    }
    Ok(true)
}

fn put(heads: &mut [Option<Box<RawValue>>], index: usize, text: Box<RawValue>) {
    if let Some(head) = heads.get_mut(index) {
        *head = Some(text);
    }
}

fn advance(
    part: &mut Whole,
    index: usize,
    heads: &mut [Option<Box<RawValue>>],
    next: &mut BinaryHeap<Reverse<(At, usize)>>,
) -> io::Result<()> {
    if let Some((at, text)) = part.say_next()? {
        put(heads, index, text);
        next.push(Reverse((at, index)));
    }
    Ok(())
}

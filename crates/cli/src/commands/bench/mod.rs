//! `portcullis bench`: what policies cost.
//!
//! ```text
//! input ──> PolicySet, Inventory, reviews ──┬── all reviews, again and again, timed ──> latencies, throughput
//!                                           └── some more, constraint by constraint ──> what each costs
//! ```
//!
//! What is timed is the core's review and decision of an object that has been read, as gator times its client's review. What each constraint
//! costs is measured in iterations of its own: the clock between constraints would be a part of what is timed.

mod counted;
mod histogram;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use portcullis::{
    ConstraintKey, Counting, Decision, Document, EnforcementPoint, Engine, EngineChoice, Inventory,
    InventoryStore, Limits, Object, Places, PolicySet, PolicySettings, Resource, Review, Source, Stopwatch,
    TemplateName, Unsupported, World,
};
use portcullis_report::bench::{
    BenchReport, ConstraintCost, MemoryStats, Setup, Span, Thresholds, compare, stats,
};
use portcullis_report::{self as report, ExitStatus, Problem, human};
use portcullis_sources::Ignores;

use crate::bench_args::{BenchArgs, BenchEngine};
use crate::commands::evaluation::Evaluating;
use crate::commands::input::{Loaded, Purpose, Sources, Subject, SubjectKind, has_errors, load};
use crate::commands::progress::Progress;

use histogram::Histogram;

/// Whose constraints are evaluated.
const POINT: EnforcementPoint = EnforcementPoint::CommandLine;
/// So many iterations tell what each constraint costs.
const ATTRIBUTED: u64 = 5;

/// Measures, reports, and compares.
pub fn run(args: &BenchArgs) -> anyhow::Result<ExitStatus> {
    if args.memory && !counted::IS_COUNTING {
        anyhow::bail!(
            "`--memory`: this program was built without counting what it allocates; build it with `--features count-allocations`"
        );
    }
    let saved = args.compare.as_deref().map(|path| Ok((path, saved_runs(path)?))).transpose();
    let saved: Option<(&Path, Vec<serde_json::Value>)> = saved.map_err(|error: anyhow::Error| error)?;
    let Loaded { policies, subjects, inventory, scopes, mut problems, .. } = load(Sources {
        paths: args.filenames.iter().chain(&args.paths).cloned().collect(),
        policies: &args.policies,
        inventory: &args.inventory,
        max_size: args.max_size,
        render: &args.render,
        purpose: Purpose::Measure,
        rego: None,
        ignores: Ignores::default(),
    });
    let places = Places::new(scopes).with_namespace(None);
    let named = Named::of(&policies);
    // Templates first: when the first of what follows is asked for, they are compiled.
    let (templates, others): (Vec<_>, Vec<_>) =
        policies.into_iter().partition(|one| matches!(one, Resource::Template(_)));
    let (started, mut compiled) = (Instant::now(), None);
    let others = others.into_iter().inspect(|_| _ = compiled.get_or_insert_with(|| started.elapsed()));
    let engines = match args.engine {
        Some(BenchEngine::Rego) => EngineChoice::RegoOnly,
        None => EngineChoice::CelFirst,
    };
    let settings = PolicySettings { homes: args.config.homes(None), engines };
    let (set, found) = PolicySet::from_resources_in(templates.into_iter().chain(others), &settings);
    let loaded = started.elapsed();
    let template_compilation = compiled.unwrap_or(loaded);
    let constraint_loading = loaded.saturating_sub(template_compilation);
    problems.extend(found);
    let mut problems = Unsupported::allowed(args.allow_unsupported).judge(problems);
    problems.retain(|problem| !problem.kind().is_style());
    let started = Instant::now();
    let mut store = InventoryStore::new();
    for object in inventory {
        store.sync(places.settle(object).object, &set);
    }
    let inventory = store.snapshot();
    inventory.prepare(&set);
    let data_loading = started.elapsed();
    let reviews: Vec<Review> =
        subjects.into_iter().filter_map(|one| review_of(one, &places, &inventory)).collect();
    human::write_problems(&Problem::all(&problems), &mut anstream::stderr().lock())?;
    if set.constraints().next().is_none() || reviews.is_empty() {
        anyhow::bail!(
            "there is nothing to measure: expected at least one template, one constraint and one object, found {} templates, {} constraints and {} objects that can be used",
            set.templates().count(),
            set.constraints().count(),
            reviews.len()
        );
    }
    let bench = Bench {
        set: &set,
        inventory: &inventory,
        evaluating: Evaluating::new(&args.evaluation),
        reviews,
        args,
    };
    let measured = bench.measure();
    let (steps, constraints) = bench.attribute();
    let (skipped_templates, skipped_constraints) = named.skipped(&set);
    let total = measured.histogram.count();
    let seconds = measured.took.as_secs_f64();
    let setup = template_compilation + constraint_loading + data_loading;
    let engine_of_kind = |kind: &str| {
        let of_kind = set
            .constraints()
            .map(|constraint| constraint.template())
            .find(|template| template.kind() == kind);
        of_kind.map_or(Engine::Rego, portcullis::TemplateInfo::engine)
    };
    let result = BenchReport {
        engine: engine_of(&set).to_owned(),
        template_count: set.templates().count(),
        skipped_templates,
        constraint_count: set.constraints().count(),
        skipped_constraints,
        object_count: bench.reviews.len(),
        iterations: args.iterations,
        concurrency: args.concurrency.get(),
        referential_data_supported: true,
        setup_duration: Span::of(setup),
        setup_breakdown: Setup {
            client_creation: Span::default(),
            template_compilation: Span::of(template_compilation),
            constraint_loading: Span::of(constraint_loading),
            data_loading: Span::of(data_loading),
        },
        total_duration: Span::of(measured.took),
        latencies: measured.histogram.latencies(),
        violation_count: measured.violations,
        #[expect(clippy::cast_precision_loss, reason = "a rate, for people")]
        reviews_per_second: if seconds > 0.0 { total as f64 / seconds } else { 0.0 },
        steps: Some(steps),
        memory_stats: args
            .memory
            .then(|| MemoryStats::of(measured.allocated.count, measured.allocated.bytes, total)),
        stats_entries: if args.stats { stats(&constraints, engine_of_kind) } else { Vec::new() },
        constraints,
    };
    let mut out = report::stdout(args.output.is_for_people());
    args.output.write(&result, &mut out)?;
    if let Some(path) = &args.save {
        save(&result, path)?;
    }
    let mut status = if has_errors(&problems) { ExitStatus::Error } else { ExitStatus::Success };
    if let Some((path, runs)) = saved {
        let baseline = baseline_of(runs, &result.engine, path)?;
        let thresholds =
            Thresholds { gate: args.gate.into(), percent: args.threshold, least: args.min_threshold };
        let compared = compare(&baseline, &result, thresholds);
        anyhow::ensure!(
            !compared.is_empty(),
            "the two runs have no measure in common: save one with this program"
        );
        // A table beside JSON would be no JSON.
        if args.output.is_for_people() {
            human::write_comparison(&compared, args.threshold, &mut out)?;
        } else {
            human::write_comparison(&compared, args.threshold, &mut anstream::stderr().lock())?;
        }
        if status == ExitStatus::Success && compared.iter().any(|one| !one.passed) {
            status = ExitStatus::Violations;
        }
    }
    out.flush()?;
    Ok(status)
}

/// What evaluates the templates, in gator's words; `all` if some are evaluated by one engine and some by another.
fn engine_of(set: &PolicySet) -> &'static str {
    let runs = |engine| set.templates().any(|template| template.engine() == engine);
    match (runs(Engine::Cel), runs(Engine::Rego)) {
        (true, true) => "all",
        (true, false) => "cel",
        (false, _) => "rego",
    }
}

/// The runs of a file that gator or this program saved.
fn saved_runs(path: &Path) -> anyhow::Result<Vec<serde_json::Value>> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("the baseline {} cannot be read", path.display()))?;
    let runs: Result<Vec<serde_json::Value>, String> = if is_yaml(path) {
        serde_yaml::from_str(&text).map_err(|error| error.to_string())
    } else {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    };
    runs.map_err(|error| {
        anyhow::anyhow!(
            "the baseline {}: expected a list of runs, as `--save` writes it: {error}",
            path.display()
        )
    })
}

/// The one of them that is of our engine.
fn baseline_of(runs: Vec<serde_json::Value>, ours: &str, path: &Path) -> anyhow::Result<BenchReport> {
    let run = runs.into_iter().find(|run| run.get("engine").is_some_and(|engine| engine == ours));
    let run =
        run.with_context(|| format!("the baseline {} has no run of the engine `{ours}`", path.display()))?;
    serde_json::from_value(run)
        .with_context(|| format!("the baseline {} is no run of a benchmark", path.display()))
}

/// As gator saves: a list, durations in nanoseconds; YAML by the file's name.
fn save(result: &BenchReport, path: &Path) -> anyhow::Result<()> {
    let text = if is_yaml(path) {
        serde_yaml::to_string(&[result])?
    } else {
        serde_json::to_string_pretty(&[result])? + "\n"
    };
    fs::write(path, text).with_context(|| format!("the results could not be saved to {}", path.display()))
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Policies that were given, by name.
struct Named {
    templates: BTreeSet<TemplateName>,
    constraints: BTreeSet<ConstraintKey>,
}

impl Named {
    fn of(policies: &[Resource]) -> Self {
        let mut named = Self { templates: BTreeSet::new(), constraints: BTreeSet::new() };
        for resource in policies {
            match resource {
                Resource::Rejected(rejected) => named.add(rejected),
                other => named.add(other),
            }
        }
        named
    }

    fn add(&mut self, resource: &Resource) {
        match resource {
            Resource::Template(template) => {
                self.templates.insert(TemplateName::of_kind(template.kind()));
            }
            Resource::Constraint(constraint) => {
                self.constraints.insert(constraint.key().clone());
            }
            _ => {}
        }
    }

    /// Those that are not in the set: templates, then constraints.
    fn skipped(self, set: &PolicySet) -> (Vec<String>, Vec<String>) {
        let templates: BTreeSet<&TemplateName> =
            set.templates().map(portcullis::TemplateInfo::name).collect();
        let constraints: BTreeSet<&ConstraintKey> = set.constraints().map(|one| one.key()).collect();
        let skipped = self.templates.iter().filter(|name| !templates.contains(name));
        let others = self.constraints.iter().filter(|key| !constraints.contains(key));
        (skipped.map(|name| name.as_str().to_owned()).collect(), others.map(ToString::to_string).collect())
    }
}

/// Policies are not reviewed, as gator does not.
fn review_of(subject: Subject, places: &Places, inventory: &Inventory) -> Option<Review> {
    let Subject { object, kind, request, .. } = subject;
    let review = match kind {
        SubjectKind::Policy => return None,
        SubjectKind::Request => request?,
        SubjectKind::Object => Review::settled(places.settle(object)),
    };
    let default = inventory.missing_default_namespace();
    Some(match default.filter(|default| **default.name() == *review.namespace_name()) {
        Some(default) => review.with_namespace(default),
        None => review,
    })
}

struct Bench<'a> {
    set: &'a PolicySet,
    inventory: &'a Inventory,
    evaluating: Evaluating,
    reviews: Vec<Review>,
    args: &'a BenchArgs,
}

/// What the iterations came to.
struct Measured {
    took: std::time::Duration,
    histogram: Histogram,
    violations: u64,
    allocated: counted::Allocated,
}

impl Bench<'_> {
    /// Without a deadline, which would ask for the time: steps and memory are what bounds it.
    fn world(&self) -> World<'_> {
        self.evaluating.untimed(self.inventory).with_counting(Counting::NearLimits)
    }

    /// One review, and how many findings it has.
    fn review(&self, review: &Review, world: &World<'_>) -> u64 {
        let outcome = self.set.review(review, world, POINT);
        let decision = Decision::from(&outcome);
        std::hint::black_box(decision.allowed());
        decision.findings.len() as u64
    }

    /// Reads an object from its text, as requests and files bring it.
    fn read(text: &str) {
        let source = Source::new("object.json", text);
        let object = Document::read_object(&source, &Limits::default()).and_then(Object::from_document);
        drop(std::hint::black_box(object));
    }

    fn iterate(&self, texts: &[String], mut each: impl FnMut(&dyn Fn() -> u64)) {
        let world = self.world();
        for (index, review) in self.reviews.iter().enumerate() {
            match texts.get(index) {
                Some(text) => each(&|| {
                    Self::read(text);
                    self.review(review, &world)
                }),
                None => each(&|| self.review(review, &world)),
            }
        }
    }

    fn measure(&self) -> Measured {
        let text =
            |review: &Review| review.object().map(|object| object.to_json().to_string()).unwrap_or_default();
        let texts: Vec<String> =
            if self.args.parse { self.reviews.iter().map(text).collect() } else { Vec::new() };
        let all = self.args.iterations.saturating_add(self.args.warmup);
        let progress = Progress::of("iterations", usize::try_from(all).unwrap_or(usize::MAX), false);
        for _ in 0..self.args.warmup {
            self.iterate(&texts, |review| {
                std::hint::black_box(review());
            });
            progress.advance();
        }
        let next = AtomicU64::new(0);
        let work = || {
            let (mut histogram, mut violations) = (Histogram::new(), 0_u64);
            let allocated = counted::count(self.args.memory, || {
                while next.fetch_add(1, Ordering::Relaxed) < self.args.iterations {
                    self.iterate(&texts, |review| {
                        let started = Instant::now();
                        violations += std::hint::black_box(review());
                        histogram.add(started.elapsed());
                    });
                    progress.advance();
                }
            });
            (histogram, violations, allocated)
        };
        let started = Instant::now();
        let parts: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.args.concurrency.get()).map(|_| scope.spawn(work)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        let took = started.elapsed();
        progress.finish();
        let mut measured = Measured {
            took,
            histogram: Histogram::new(),
            violations: 0,
            allocated: counted::Allocated::default(),
        };
        for (histogram, violations, allocated) in parts {
            measured.histogram.merge(&histogram);
            measured.violations += violations;
            measured.allocated.add(allocated);
        }
        measured
    }

    /// The steps of one iteration, and what each constraint costs.
    fn attribute(&self) -> (u64, Vec<ConstraintCost>) {
        let rounds = self.args.iterations.clamp(1, ATTRIBUTED);
        let watch = Watch(Instant::now());
        let world = self.world().with_stopwatch(&watch);
        let counting = self.world().with_counting(Counting::Always);
        let mut costs: BTreeMap<ConstraintKey, ConstraintCost> = BTreeMap::new();
        for constraint in self.set.constraints() {
            let key = constraint.key().clone();
            let counted = self.args.memory.then_some(0);
            let cost = ConstraintCost {
                allocs: counted,
                bytes: counted,
                ..ConstraintCost::none(&key.kind, &key.name)
            };
            costs.insert(key, cost);
        }
        for round in 0..rounds {
            for review in &self.reviews {
                self.set.review_each(review, &world, POINT, |ask| {
                    let mut result = None;
                    let allocated = counted::count(self.args.memory, || result = Some(ask(&world)));
                    let Some(result) = result else { return };
                    let Some(cost) = costs.get_mut(result.key()) else { return };
                    cost.duration.0 += result.took_ns.unwrap_or_default();
                    if round == 0 {
                        cost.reviews += 1;
                        cost.steps += ask(&counting).steps.unwrap_or(0);
                        cost.violations += portcullis::Finding::of(&result).len() as u64;
                        cost.allocs.iter_mut().for_each(|count| *count += allocated.count);
                        cost.bytes.iter_mut().for_each(|bytes| *bytes += allocated.bytes);
                    }
                });
            }
        }
        let mut costs: Vec<_> = costs.into_values().collect();
        for cost in &mut costs {
            cost.duration.0 /= rounds;
        }
        (costs.iter().map(|cost| cost.steps).sum(), costs)
    }
}

struct Watch(Instant);

impl Stopwatch for Watch {
    fn read_ns(&self) -> u64 {
        Span::of(self.0.elapsed()).0
    }
}

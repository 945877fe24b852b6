//! The handle: policies that were compiled, and the objects that they compare with.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use portcullis::{
    AdmissionReview, ConstraintKey, Decision, Document, EnforcementPoint, Error, ErrorKind, Expansion,
    ExpansionSet, Gvk, Inventory, InventoryStore, Limits, Object, ObjectKey, Outcome, Places, PolicySet,
    Process, Resource, Review, Scopes, Severity, Source, Unsupported, Uses, Verdict, World,
};
use serde_json::value::RawValue;

use crate::admission;
use crate::answer::{CompileAnswer, Explained, InventoryAnswer, Judged, ReviewAnswer, Shows, json};
use crate::host::{End, Host};
use crate::request::{self, Change, Compile, Explain, Op, Options};

/// Bytes of all that constraints say of one object, unless `findingsBytes` says otherwise.
const FINDINGS: usize = 4 << 20;

/// Bytes of why constraints say what they say of one object, unless `explanationsBytes` says otherwise.
const EXPLANATIONS: usize = 16 << 20;

/// Policies that were compiled, and the inventory that they compare with. Calls may come from all threads at
/// once: reviews do not wait for each other, and see the inventory before a change or after it.
pub struct Engine {
    policies: PolicySet,
    expansions: ExpansionSet,
    /// Who changes the inventory takes this, and puts the snapshot in its place before giving it back.
    store: Mutex<Kept>,
    snapshot: RwLock<Snapshot>,
}

/// What changes go to.
#[derive(Debug, Default)]
struct Kept {
    objects: InventoryStore,
    scopes: Scopes,
}

/// What reviews read.
#[derive(Clone, Debug)]
struct Snapshot {
    inventory: Inventory,
    places: Places,
}

/// An answer, and what it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether all changes of the inventory were done; whether the object or the request is allowed.
    pub is_good: bool,
    /// The answer.
    pub json: String,
}

impl Answer {
    fn refused(json: String) -> Self {
        Self { is_good: false, json }
    }
}

/// What [`Engine::compile`] made.
#[derive(Debug)]
pub struct Compiled {
    /// There if `ok` is true in the answer.
    pub engine: Option<Engine>,
    /// What there is and what is wrong, as JSON.
    pub answer: String,
}

impl Engine {
    /// Compiles policies: `compileRequest` in, `compileAnswer` out. All of the policies count or none, unless
    /// the request has `partial`.
    #[must_use]
    pub fn compile(request: &[u8]) -> Compiled {
        let compiled = guarded(|| Self::try_compile(request)).unwrap_or_else(|defect| Err(vec![defect]));
        compiled.unwrap_or_else(|errors| Compiled {
            engine: None,
            answer: json(&CompileAnswer::refusal(&errors)),
        })
    }

    fn try_compile(request: &[u8]) -> Result<Compiled, Vec<Error>> {
        let request = Compile::read(request).map_err(|error| vec![error])?;
        let (mut resources, mut problems, mut scopes) = (Vec::new(), Vec::new(), Scopes::default());
        for document in &request.documents {
            let (documents, errors) = Document::read_all(&document.name, &document.text);
            problems.extend(errors);
            for document in documents {
                let (resource, errors) = Resource::read_for(&document, Uses::POLICIES.with_expansions(true));
                if let Some(Resource::Object(object)) = &resource {
                    scopes.learn(object);
                }
                resources.extend(resource);
                problems.extend(errors);
            }
        }
        let (expansions, errors) = ExpansionSet::from_resources(resources.clone());
        problems.extend(errors);
        let (policies, errors) = PolicySet::from_resources_in(resources, &request.settings());
        problems.extend(errors);
        problems.extend(policies.impossible_kinds(&scopes));
        let problems = Unsupported::allowed(request.allow_unsupported).judge(problems);
        // The core's hints name the flag of the command line.
        let mut problems: Vec<Error> = problems
            .into_iter()
            .map(|problem| match problem.kind() {
                ErrorKind::Unsupported => problem.hint("`allowUnsupported` goes on without it"),
                _ => problem,
            })
            .collect();
        if policies.constraints().next().is_none() {
            let message = "there is no constraint: everything would pass";
            problems.push(Error::new(ErrorKind::NoInput, message).hint("give templates and constraints"));
        }
        problems.sort();
        let is_wrong = problems.iter().any(|problem| problem.severity() == Severity::Error);
        if is_wrong && !request.partial {
            return Err(problems);
        }
        let answer = json(&CompileAnswer::of(&policies, &problems));
        let kept = Kept { scopes: scopes.clone(), ..Kept::default() };
        let snapshot = Snapshot { inventory: Inventory::empty(), places: Places::new(scopes) };
        let (store, snapshot) = (Mutex::new(kept), RwLock::new(snapshot));
        Ok(Compiled { engine: Some(Self { policies, expansions, store, snapshot }), answer })
    }

    /// Changes what policies compare with: `inventoryRequest` in, `inventoryAnswer` out. A change that is
    /// wrong is a problem; those beside it are done. Reviews that begin after the call see all of them.
    #[must_use]
    pub fn apply_inventory(&self, request: &[u8]) -> String {
        self.answer_inventory(request).json
    }

    /// As [`Engine::apply_inventory`], for callers that do not read JSON.
    #[must_use]
    pub fn answer_inventory(&self, request: &[u8]) -> Answer {
        let done = guarded(|| self.try_apply(request));
        let answer =
            done.unwrap_or_else(|defect| InventoryAnswer::of(self.snapshot().inventory.len(), &[defect]));
        Answer { is_good: answer.ok, json: json(&answer) }
    }

    fn try_apply(&self, request: &[u8]) -> InventoryAnswer {
        let request = match request::Inventory::read(request) {
            Ok(request) => request,
            Err(error) => return InventoryAnswer::of(self.snapshot().inventory.len(), &[error]),
        };
        // A change that broke off may have been done by half, and nobody knows by which.
        let Ok(mut kept) = self.store.lock() else {
            let error = Error::new(ErrorKind::Defect, "a change of the inventory broke off")
                .hint("compile the policies anew and give all objects again");
            return InventoryAnswer::of(self.snapshot().inventory.len(), &[error]);
        };
        let mut problems = Vec::new();
        let mut done = Vec::new();
        for (index, change) in request.changes.iter().enumerate() {
            match Done::of(index, change) {
                Ok(change) => done.push(change),
                Err(errors) => problems.extend(errors),
            }
        }
        // Definitions say where objects live that may come before them.
        for object in done.iter().flat_map(Done::objects) {
            kept.scopes.learn(object);
        }
        let places = Places::new(kept.scopes.clone());
        for change in done {
            change.apply(&mut kept.objects, &places, &self.policies);
        }
        let inventory = kept.objects.snapshot();
        problems.extend(self.policies.missing_inventory(&inventory));
        let count = inventory.len();
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Snapshot { inventory, places };
        drop(kept);
        InventoryAnswer::of(count, &problems)
    }

    /// Judges a text that is one object or one `AdmissionReview`, in YAML or JSON; `options` in JSON or empty,
    /// `reviewAnswer` out.
    #[must_use]
    pub fn review(&self, text: &[u8], options: &[u8], host: &dyn Host) -> String {
        self.answer_review(text, options, host).json
    }

    /// As [`Engine::review`], for callers that do not read JSON.
    #[must_use]
    pub fn answer_review(&self, text: &[u8], options: &[u8], host: &dyn Host) -> Answer {
        let refused = |errors: &[Error]| Answer::refused(json(&ReviewAnswer::refusal(errors)));
        guarded(|| {
            let say = |judged: Judged<'_>| json(&judged.answer());
            self.judge(text, options, host, Asked::Anything, say).unwrap_or_else(|errors| refused(&errors))
        })
        .unwrap_or_else(|defect| refused(&[defect]))
    }

    /// Answers an admission request: the body that an API server sends in, the body that it is answered with out.
    /// What cannot be read or judged is answered `allowed: false`.
    #[must_use]
    pub fn admit(&self, body: &[u8], options: &[u8], host: &dyn Host) -> String {
        self.answer_admission(body, options, host).json
    }

    /// As [`Engine::admit`], for callers that do not read JSON.
    #[must_use]
    pub fn answer_admission(&self, body: &[u8], options: &[u8], host: &dyn Host) -> Answer {
        let refused = |errors: &[Error]| Answer::refused(admission::refusal(body, errors));
        guarded(|| {
            self.judge(body, options, host, Asked::Request, admission::answer)
                .unwrap_or_else(|errors| refused(&errors))
        })
        .unwrap_or_else(|defect| refused(&[defect]))
    }

    /// Judges, and hands what came of it to `say`.
    fn judge(
        &self,
        text: &[u8],
        options: &[u8],
        host: &dyn Host,
        asked: Asked,
        say: impl FnOnce(Judged<'_>) -> String,
    ) -> Result<Answer, Vec<Error>> {
        let options = Options::read(options).map_err(|error| vec![error])?;
        let Some(end) = End::of(host, options.timeout_ms) else {
            let message = "`timeoutMs` needs a clock, and the caller has none";
            return Err(vec![Error::new(ErrorKind::InvalidValue, message)]);
        };
        let snapshot = self.snapshot();
        let places = snapshot.places.clone().with_namespace(options.default_namespace.as_deref());
        let name = options.name.as_deref().unwrap_or(match asked {
            Asked::Anything => "object",
            Asked::Request => "request",
        });
        let Read { review, version, problems } = read(name, text, asked, &places)?;
        let review = match options.namespace {
            Some(raw) => review.with_namespace(request::object("namespace", raw)?),
            None => review,
        };
        let point = EnforcementPoint::from(options.point);
        let process = match point {
            EnforcementPoint::Audit => Process::Audit,
            EnforcementPoint::Webhook | EnforcementPoint::CommandLine | EnforcementPoint::AdmissionPolicy => {
                Process::Webhook
            }
        };
        let shows = Shows { positions: options.positions.unwrap_or(true), results: options.results };
        let mut judged = Judged {
            review: &review,
            version: &version,
            problems: &problems,
            shows,
            outcome: None,
            explained: None,
            fixes: None,
        };
        let world = World::new(&snapshot.inventory)
            .with_limits(options.evaluation_limits())
            .with_seed(options.seed)
            .with_findings(options.findings_bytes.unwrap_or(FINDINGS))
            .with_watch(&end);
        let world = match options.now_ns()? {
            Some(now) => world.with_now(now),
            None => world,
        };
        // Only reviews say why: an API server reads no more than lines.
        let tells = asked == Asked::Anything;
        let explain = options.explain.filter(|_| tells);
        let explained = |outcome: Option<&Outcome>| {
            let room = options.explanations_bytes.unwrap_or(EXPLANATIONS);
            explain.map(|which| self.explained(which, room, outcome, &review, &world, (point, process)))
        };
        if self.policies.excludes(process, &review) {
            judged.explained = explained(None);
            return Ok(Answer { is_good: true, json: say(judged) });
        }
        let expansion = Expansion::new(&self.expansions);
        let implied = review.implied(&expansion, &world).map_err(|error| vec![error.to_error()])?;
        let outcome = self.policies.review_with(&review, &implied, &world, point);
        let decision = Decision::from(&outcome);
        let is_good = decision.allowed();
        judged.explained = explained(Some(&outcome));
        let is_wanted = |_: &ConstraintKey, _: &str| true;
        judged.fixes = (options.fixes && tells)
            .then(|| self.policies.fixes(&review, &expansion, &world, point, process, &is_wanted));
        judged.outcome = Some((&outcome, &decision));
        Ok(Answer { is_good, json: say(judged) })
    }

    /// Why constraints say what they say of the object itself, as far as there is room.
    fn explained(
        &self,
        which: Explain,
        room: usize,
        outcome: Option<&Outcome>,
        review: &Review,
        world: &World<'_>,
        (point, process): (EnforcementPoint, Process),
    ) -> Explained {
        let has_found = |key: &ConstraintKey| {
            let results = outcome.into_iter().flat_map(|outcome| &outcome.results);
            let mut own = results.filter(|result| result.implied_by.is_none());
            own.any(|result| result.key() == key && result.verdict != Verdict::Pass)
        };
        let (mut explained, mut bytes) = (Explained::default(), 0_usize);
        for key in self.policies.constraints().map(|constraint| constraint.key()) {
            if which == Explain::Findings && !has_found(key) {
                continue;
            }
            if bytes > room {
                explained.left += 1;
                continue;
            }
            let Some(why) = self.policies.explain(key, review, world, point, process) else { continue };
            bytes = bytes.saturating_add(why.weight());
            // One is told, however large it is: the core bounds it.
            if bytes > room && !explained.each.is_empty() {
                explained.left += 1;
            } else {
                explained.each.push(why);
            }
        }
        explained
    }

    fn snapshot(&self) -> Snapshot {
        // What is written is one value, whole before and after.
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("policies", &self.policies).finish_non_exhaustive()
    }
}

/// What a text has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// An object, or a request.
    Anything,
    /// A request.
    Request,
}

/// What was read.
struct Read {
    review: Review,
    version: Arc<str>,
    /// Warnings.
    problems: Vec<Error>,
}

/// Reads a text that is one object or request; warnings beside it.
fn read(name: &str, text: &[u8], asked: Asked, places: &Places) -> Result<Read, Vec<Error>> {
    const MARK: char = '\u{feff}';
    let limits = Limits::default();
    let (mut documents, mut problems) = match std::str::from_utf8(text) {
        Ok(text) if !text.starts_with(MARK) => Document::read_source(&Source::new(name, text), &limits),
        _ => Document::read_bytes(name, text.to_vec(), &limits),
    };
    let is_error = |problem: &Error| problem.severity() == Severity::Error;
    if problems.iter().any(is_error) {
        problems.sort();
        return Err(problems);
    }
    let found = documents.len();
    let document = match documents.pop() {
        Some(document) if found == 1 => document,
        _ => {
            let message = format!("expected one object, found {found} documents");
            return Err(vec![Error::new(ErrorKind::NoInput, message)]);
        }
    };
    let object = Object::from_document(document.clone()).map_err(|error| vec![error])?;
    let gvk = object.gvk().clone();
    let version = gvk.version.clone();
    let is_request = &*gvk.group == AdmissionReview::GROUP && &*gvk.kind == AdmissionReview::KIND;
    if !is_request {
        if asked == Asked::Request {
            let message = format!("expected an AdmissionReview, found {gvk}");
            return Err(vec![Error::new(ErrorKind::NoInput, message).at(document.location())]);
        }
        return Ok(Read { review: Review::settled(places.settle(object)), version, problems });
    }
    let (resource, errors) = Resource::read(&document);
    problems.extend(errors);
    problems.sort();
    match resource {
        Some(Resource::AdmissionReview(request)) if !problems.iter().any(is_error) => {
            let review = Review::from_admission(&request).map_err(|error| vec![error])?;
            Ok(Read { review, version, problems })
        }
        _ => {
            if !problems.iter().any(is_error) {
                problems.push(Error::new(ErrorKind::NoInput, "expected an AdmissionReview"));
            }
            Err(problems)
        }
    }
}

/// A change that can be done.
enum Done {
    Upsert(Vec<Object>),
    Remove(ObjectKey),
    Replace(Gvk, Vec<Object>),
    Unreadable(Gvk, Option<String>),
}

impl Done {
    /// Checks a change: which fields it has to have, and that it has no others.
    fn of(index: usize, change: &Change<'_>) -> Result<Self, Vec<Error>> {
        let place = format!("changes[{index}]");
        let given = [
            ("object", change.object.is_some()),
            ("objects", change.objects.is_some()),
            ("text", change.text.is_some()),
            ("apiVersion", change.api_version.is_some()),
            ("kind", change.kind.is_some()),
            ("namespace", change.namespace.is_some()),
            ("name", change.name.is_some()),
            ("reason", change.reason.is_some()),
        ];
        let (known, needed): (&[&str], &[&str]) = match change.op {
            Op::Upsert if change.text.is_some() => (&["text", "name"], &["text"]),
            Op::Upsert => (&["object", "text", "name"], &["object"]),
            Op::Remove => (&["apiVersion", "kind", "namespace", "name"], &["apiVersion", "kind", "name"]),
            Op::ReplaceKind => (&["apiVersion", "kind", "objects"], &["apiVersion", "kind", "objects"]),
            Op::Unreadable => (&["apiVersion", "kind", "reason"], &["apiVersion", "kind"]),
        };
        let mut errors = Vec::new();
        for (field, is_given) in given {
            if is_given && !known.contains(&field) {
                let message = format!("a change of this `op` has no field `{field}`");
                errors.push(Error::new(ErrorKind::UnknownField, message).about(&place));
            }
            if !is_given && needed.contains(&field) {
                let message = format!("a change of this `op` needs the field `{field}`");
                errors.push(Error::new(ErrorKind::MissingField, message).about(&place));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let about = |errors: Vec<Error>| -> Vec<Error> {
            errors
                .into_iter()
                .map(|error| if error.subject().is_none() { error.about(&place) } else { error })
                .collect()
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let gvk = || Gvk::new(&text(&change.api_version), &text(&change.kind));
        match change.op {
            Op::Upsert => {
                let name = change.name.as_deref().unwrap_or(&place);
                let objects = match (&change.text, change.object) {
                    (Some(text), _) => read_objects(name, text),
                    (None, Some(raw)) => request::object(name, raw).map(|object| vec![object]),
                    (None, None) => Ok(Vec::new()),
                };
                objects.map(Self::Upsert).map_err(about)
            }
            Op::Remove => Ok(Self::Remove(ObjectKey {
                gvk: gvk(),
                namespace: text(&change.namespace).into(),
                name: text(&change.name).into(),
            })),
            Op::ReplaceKind => {
                let gvk = gvk();
                let objects = listed(&place, change.objects.as_deref().unwrap_or_default(), &gvk);
                objects.map(|objects| Self::Replace(gvk, objects)).map_err(about)
            }
            Op::Unreadable => Ok(Self::Unreadable(gvk(), change.reason.clone())),
        }
    }

    fn objects(&self) -> &[Object] {
        match self {
            Self::Upsert(objects) | Self::Replace(_, objects) => objects,
            Self::Remove(_) | Self::Unreadable(..) => &[],
        }
    }

    fn apply(self, store: &mut InventoryStore, places: &Places, policies: &PolicySet) {
        let sync = |store: &mut InventoryStore, objects: Vec<Object>| {
            for object in objects {
                store.sync(object, policies);
            }
        };
        // Nobody shows places in them, and their texts would be kept as long as they are.
        let settle = |objects: Vec<Object>| -> Vec<Object> {
            objects.into_iter().map(|object| places.settle(object).object.without_document()).collect()
        };
        match self {
            Self::Upsert(objects) => sync(store, settle(objects)),
            Self::Remove(key) => store.remove(&key),
            Self::Replace(gvk, objects) => {
                let (apart, objects): (Vec<_>, Vec<_>) =
                    settle(objects).into_iter().partition(|object| policies.keeps_out(object));
                store.replace_kind(&gvk, objects);
                sync(store, apart);
            }
            Self::Unreadable(gvk, why) => store.set_unreadable(&gvk, why.as_deref()),
        }
    }
}

/// The objects of a text: all of them, or what is wrong with it.
fn read_objects(name: &str, text: &str) -> Result<Vec<Object>, Vec<Error>> {
    let (documents, mut problems) = Document::read_all(name, text);
    let mut objects = Vec::new();
    for document in documents {
        match Object::from_document(document) {
            Ok(object) => objects.push(object),
            Err(error) => problems.push(error),
        }
    }
    problems.sort();
    if problems.iter().any(|problem| problem.severity() == Severity::Error) {
        Err(problems)
    } else {
        Ok(objects)
    }
}

/// All objects of a kind: one that cannot be read makes it unknown what there is, so none is taken.
fn listed(place: &str, raws: &[&RawValue], gvk: &Gvk) -> Result<Vec<Object>, Vec<Error>> {
    let (mut objects, mut problems) = (Vec::new(), Vec::new());
    for (index, raw) in raws.iter().enumerate() {
        match request::object(&format!("{place}.objects[{index}]"), raw) {
            Ok(object) if object.gvk() == gvk => objects.push(object),
            Ok(object) => {
                let message = format!("expected an object of {gvk}, found {}", object.gvk());
                problems.push(Error::new(ErrorKind::InvalidValue, message).at(object.location()));
            }
            Err(errors) => problems.extend(errors),
        }
    }
    if problems.is_empty() { Ok(objects) } else { Err(problems) }
}

/// What `work` makes, or that it broke off.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    // What was under way is thrown away; only the inventory is changed in place, and its lock notices.
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        Error::new(ErrorKind::Defect, "the call broke off: a fault of the engine").hint("please report it")
    })
}

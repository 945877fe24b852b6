//! The engine for Python: [`portcullis_embed`], and nothing decided. What the package `portcullis` makes of it is in Python.
//!
//! The interpreter is given back while policies are compiled and objects judged. Who waits in the main thread looks
//! for signals meanwhile, so that Ctrl-C ends a review.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_embed::{Answer, Host};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};

/// So often somebody looks whether Python got a signal: milliseconds.
const LOOK_MS: u64 = 50;
/// Deep documents and policies are worked on recursively, within limits that fit into a quarter of this.
const STACK_BYTES: usize = 8 << 20;

/// Policies that were compiled, and the inventory that they compare with; nothing once it is closed.
#[pyclass(frozen, module = "portcullis._native")]
struct Engine(RwLock<Option<Arc<portcullis_embed::Engine>>>);

/// A text, without a copy.
#[derive(FromPyObject)]
enum Text {
    Text(PyBackedStr),
    Bytes(PyBackedBytes),
}

impl Text {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// What ends the reviews of a call.
#[derive(Default)]
struct Stop {
    is_set: AtomicBool,
    /// What Python said instead: the `KeyboardInterrupt`.
    why: Mutex<Option<PyErr>>,
}

impl Stop {
    /// Looks whether Python got a signal whose handler raises. Only its main thread gets any.
    fn look(&self) {
        let signal = Python::try_attach(|py| py.check_signals());
        match signal {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                self.is_set.store(true, Ordering::Relaxed);
            }
            // The interpreter ends.
            None => self.is_set.store(true, Ordering::Relaxed),
        }
    }

    fn check(&self) -> PyResult<()> {
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner).take();
        why.map_or(Ok(()), Err)
    }
}

/// The caller of one review.
struct Caller<'s> {
    since: Instant,
    stop: &'s Stop,
    /// When it was looked for signals, if this thread does.
    looked: Option<AtomicU64>,
}

impl<'s> Caller<'s> {
    fn new(stop: &'s Stop, looks: bool) -> Self {
        Self { since: Instant::now(), stop, looked: looks.then(AtomicU64::default) }
    }
}

impl Host for Caller<'_> {
    fn elapsed_ms(&self) -> Option<u64> {
        u64::try_from(self.since.elapsed().as_millis()).ok()
    }

    fn is_cancelled(&self) -> bool {
        if let (Some(looked), Some(now)) = (&self.looked, self.elapsed_ms()) {
            if now.saturating_sub(looked.load(Ordering::Relaxed)) >= LOOK_MS {
                looked.store(now, Ordering::Relaxed);
                self.stop.look();
            }
        }
        self.stop.is_set.load(Ordering::Relaxed)
    }
}

/// Whether the object is allowed, and the answer.
type Said = (bool, String);

fn said(answer: Answer) -> Said {
    (answer.is_good, answer.json)
}

impl Engine {
    fn get(&self) -> Option<Arc<portcullis_embed::Engine>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One call on this thread.
    fn call(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&portcullis_embed::Engine, &dyn Host) -> Answer + Send,
    ) -> PyResult<Option<Said>> {
        let Some(engine) = self.get() else { return Ok(None) };
        let stop = Stop::default();
        let answer = py.detach(|| call(&engine, &Caller::new(&stop, true)));
        stop.check()?;
        Ok(Some(said(answer)))
    }
}

#[pymethods]
impl Engine {
    /// Compiles: a `compileRequest` in; an engine, if there is one, and a `compileAnswer` out.
    #[staticmethod]
    fn compile(py: Python<'_>, request: Text) -> (Option<Self>, String) {
        let compiled = py.detach(|| portcullis_embed::Engine::compile(request.bytes()));
        let engine = compiled.engine.map(|engine| Self(RwLock::new(Some(Arc::new(engine)))));
        (engine, compiled.answer)
    }

    /// An `inventoryRequest` in, an `inventoryAnswer` out; `None` if it is closed.
    fn inventory(&self, py: Python<'_>, request: Text) -> PyResult<Option<Said>> {
        self.call(py, |engine, _| engine.answer_inventory(request.bytes()))
    }

    /// An object or a request in, a `reviewAnswer` out; `None` if it is closed.
    fn review(&self, py: Python<'_>, object: Text, options: &[u8]) -> PyResult<Option<Said>> {
        self.call(py, |engine, host| engine.answer_review(object.bytes(), options, host))
    }

    /// The body that an API server sends in, that which it is answered with out; `None` if it is closed.
    fn admit(&self, py: Python<'_>, body: Text, options: &[u8]) -> PyResult<Option<Said>> {
        self.call(py, |engine, host| engine.answer_admission(body.bytes(), options, host))
    }

    /// Many objects in, their `reviewAnswer`s in the same order out; `None` if it is closed. On so many threads, or all cores.
    fn review_all(
        &self,
        py: Python<'_>,
        objects: Vec<Text>,
        options: &[u8],
        threads: usize,
    ) -> PyResult<Option<Vec<Said>>> {
        let Some(engine) = self.get() else { return Ok(None) };
        let stop = Stop::default();
        let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = if threads == 0 { cores() } else { threads }.min(objects.len());
        let answers = py.detach(|| many(&engine, &objects, options, threads, &stop));
        stop.check()?;
        let answers = answers?;
        if answers.len() != objects.len() {
            return Err(PyOSError::new_err("the interpreter ends, and not all objects were judged"));
        }
        Ok(Some(answers))
    }

    /// Lets go of what there is, when the calls that are under way have ended.
    fn close(&self) {
        let engine = self.0.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(engine);
    }

    #[getter]
    fn closed(&self) -> bool {
        self.get().is_none()
    }
}

/// Reviews on some threads. This one waits for them, and looks for signals.
fn many(
    engine: &portcullis_embed::Engine,
    objects: &[Text],
    options: &[u8],
    threads: usize,
    stop: &Stop,
) -> PyResult<Vec<Said>> {
    if threads <= 1 {
        let caller = || Caller::new(stop, true);
        let (mut answers, mut looked) = (Vec::with_capacity(objects.len()), Instant::now());
        for object in objects {
            if looked.elapsed() >= Duration::from_millis(LOOK_MS) {
                looked = Instant::now();
                stop.look();
            }
            if stop.is_set.load(Ordering::Relaxed) {
                break;
            }
            answers.push(said(engine.answer_review(object.bytes(), options, &caller())));
        }
        return Ok(answers);
    }
    let next = AtomicUsize::new(0);
    let (send, receive) = channel::<(usize, Said)>();
    let mut answers: Vec<Option<Said>> = Vec::new();
    answers.resize_with(objects.len(), || None);
    let mut looked = Instant::now();
    thread::scope(|scope| {
        let mut started: PyResult<()> = Ok(());
        for _ in 0..threads {
            let (next, send) = (&next, send.clone());
            let work = move || {
                while !stop.is_set.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(object) = objects.get(index) else { break };
                    let caller = Caller::new(stop, false);
                    // Who does not want it any more has ended.
                    let _ = send.send((index, said(engine.answer_review(object.bytes(), options, &caller))));
                }
            };
            let spawned = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
            if let Err(error) = spawned {
                stop.is_set.store(true, Ordering::Relaxed);
                started = Err(PyOSError::new_err(format!("no thread to review on: {error}")));
                break;
            }
        }
        drop(send);
        loop {
            match receive.recv_timeout(Duration::from_millis(LOOK_MS)) {
                Ok((index, answer)) => {
                    if let Some(place) = answers.get_mut(index) {
                        *place = Some(answer);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if looked.elapsed() >= Duration::from_millis(LOOK_MS) {
                looked = Instant::now();
                stop.look();
            }
        }
        started
    })?;
    Ok(answers.into_iter().flatten().collect())
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Engine>()?;
    module.add("VERSION", portcullis_embed::VERSION)
}

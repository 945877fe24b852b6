//! The engine for C: [`portcullis_embed`] with pointers. `include/portcullis.h` is made of this file, and says
//! all that callers have to know.
//!
//! Nothing is decided here: bytes are taken and given back. This is the only crate with `unsafe` code, and each block
//! says what it rests on: the contract in the header.
#![allow(unsafe_code, reason = "pointers of the caller are what this crate is about")]

mod clock;
#[cfg(target_family = "wasm")]
mod wasm;

use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_embed::{Answer, Engine, Host};
use serde_json::json;

use clock::Clock;

/// Policies that were compiled, and the inventory that they compare with.
pub struct PortcullisEngine(Engine);

/// Ends reviews before their time.
pub struct PortcullisStop(AtomicBool);

/// An answer: `len` bytes of JSON at `data`, without a zero behind them. It is the caller's, who gives it back with
/// `portcullis_answer_free`.
#[repr(C)]
pub struct PortcullisAnswer {
    /// The bytes.
    pub data: *mut u8,
    /// How many.
    pub len: usize,
    /// Whether the policies make an engine; whether all changes of the inventory were done; whether the object or the
    /// request is allowed.
    pub good: bool,
}

/// A text of YAML or JSON documents, and what problems and positions call it. Both in UTF-8; bytes that are not are
/// an error of the answer.
#[repr(C)]
pub struct PortcullisText {
    /// The bytes of the name.
    pub name: *const u8,
    /// How many.
    pub name_len: usize,
    /// The bytes of the text.
    pub text: *const u8,
    /// How many.
    pub text_len: usize,
}

/// The clock and the will of the caller of one review.
struct Caller<'s> {
    since: Clock,
    stop: Option<&'s PortcullisStop>,
}

impl Host for Caller<'_> {
    fn elapsed_ms(&self) -> Option<u64> {
        self.since.elapsed_ms()
    }

    fn is_cancelled(&self) -> bool {
        self.stop.is_some_and(|stop| stop.0.load(Ordering::Relaxed))
    }
}

/// The bytes of a caller; `None` if there cannot be so many.
///
/// # Safety
///
/// `data` is null, or points to `len` bytes that nobody writes to as long as they are used.
unsafe fn bytes<'a>(data: *const u8, len: usize) -> Option<&'a [u8]> {
    match (data.is_null(), len) {
        (_, 0) => Some(&[]),
        (true, _) => None,
        (false, len) if isize::try_from(len).is_err() => None,
        // SAFETY: it is not null, points to `len` bytes by the contract of this function, and `len` is no more than a
        // slice may have.
        (false, len) => Some(unsafe { slice::from_raw_parts(data, len) }),
    }
}

fn give(good: bool, json: String) -> PortcullisAnswer {
    let bytes = json.into_bytes().into_boxed_slice();
    let len = bytes.len();
    PortcullisAnswer { data: Box::into_raw(bytes).cast(), len, good }
}

/// What a call is answered with.
#[derive(Clone, Copy)]
enum Call {
    Compile,
    Inventory,
    Review,
    Admit,
}

/// An answer to a call that is itself wrong, in the shape of its answers.
fn wrong(call: Call, message: &str) -> PortcullisAnswer {
    let problem =
        json!({"code": "invalid-value", "message": message, "severity": "error", "subject": "call"});
    let version = portcullis_embed::VERSION;
    let answer = match call {
        Call::Compile => json!({
            "constraints": [], "ok": false, "problems": [problem], "reads": [], "templates": [], "version": version,
        }),
        Call::Inventory => json!({"objects": 0, "ok": false, "problems": [problem], "version": version}),
        Call::Review => json!({
            "allowed": false, "denials": [], "excepted": [], "excluded": false, "findings": [], "ok": false,
            "problems": [problem], "uid": "", "version": version, "warnings": [],
        }),
        Call::Admit => json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "response": {
                "allowed": false, "status": {"code": 500, "message": message, "reason": "InternalError"}, "uid": "",
            },
        }),
    };
    give(false, answer.to_string())
}

const NO_ENGINE: &str = "the engine is null";
const NO_BYTES: &str = "the bytes are null, or more than there can be";

/// The version of requests and answers.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_version() -> u32 {
    portcullis_embed::VERSION
}

/// Compiles policies: a `compileRequest` in, a `compileAnswer` out.
///
/// If there is an engine, it is put at `engine`, else null is. It is the caller's, who gives it back with
/// `portcullis_engine_free`. If `engine` is null, the policies are only checked.
///
/// # Safety
///
/// `request` points to `len` bytes; `engine` is null or points to a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn portcullis_compile(
    request: *const u8,
    len: usize,
    engine: *mut *mut PortcullisEngine,
) -> PortcullisAnswer {
    // SAFETY: by the contract of this function.
    let request = unsafe { bytes(request, len) };
    let (made, answer) = match request {
        Some(request) => compile(request),
        None => (None, wrong(Call::Compile, NO_BYTES)),
    };
    // SAFETY: by the contract of this function.
    unsafe { put(made, engine) };
    answer
}

/// As `portcullis_compile`, of `count` texts, without JSON: all of the policies count or none.
///
/// # Safety
///
/// `texts` points to `count` texts, of which each `name` points to `name_len` and each `text` to `text_len` bytes;
/// `engine` is null or points to a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn portcullis_compile_texts(
    texts: *const PortcullisText,
    count: usize,
    engine: *mut *mut PortcullisEngine,
) -> PortcullisAnswer {
    let mut documents = Vec::new();
    let mut mistake = (texts.is_null() && count > 0).then(|| NO_BYTES.to_owned());
    for index in 0..if mistake.is_none() { count } else { 0 } {
        // SAFETY: there are `count` of them by the contract of this function.
        let text = unsafe { texts.add(index) };
        // SAFETY: it points to a text, which is read and not kept.
        let PortcullisText { name, name_len, text, text_len } = unsafe { ptr::read(text) };
        // SAFETY: by the contract of this function.
        let name = unsafe { bytes(name, name_len) };
        // SAFETY: by the contract of this function.
        let text = unsafe { bytes(text, text_len) };
        match (name.map(str::from_utf8), text.map(str::from_utf8)) {
            (Some(Ok(name)), Some(Ok(text))) => {
                documents.push(json!({"name": name, "text": text}));
            }
            (None, _) | (_, None) => mistake = Some(format!("text {index}: {NO_BYTES}")),
            (Some(Err(_)), _) => mistake = Some(format!("text {index}: its name is not UTF-8")),
            (_, Some(Err(error))) => {
                mistake = Some(format!("text {index}: it is not UTF-8 from byte {} on", error.valid_up_to()));
            }
        }
    }
    let (made, answer) = match mistake {
        None => {
            let request = json!({"version": portcullis_embed::VERSION, "documents": documents});
            compile(request.to_string().as_bytes())
        }
        Some(mistake) => (None, wrong(Call::Compile, &mistake)),
    };
    // SAFETY: by the contract of this function.
    unsafe { put(made, engine) };
    answer
}

fn compile(request: &[u8]) -> (Option<Engine>, PortcullisAnswer) {
    let compiled = Engine::compile(request);
    let answer = give(compiled.engine.is_some(), compiled.answer);
    (compiled.engine, answer)
}

/// # Safety
///
/// `place` is null or points to a place for a pointer.
unsafe fn put(engine: Option<Engine>, place: *mut *mut PortcullisEngine) {
    if place.is_null() {
        return;
    }
    let engine = engine.map_or(ptr::null_mut(), |engine| Box::into_raw(Box::new(PortcullisEngine(engine))));
    // SAFETY: it is not null, and a place for a pointer by the contract of this function.
    unsafe { ptr::write(place, engine) };
}

/// Changes what policies compare with: an `inventoryRequest` in, an `inventoryAnswer` out.
///
/// # Safety
///
/// `engine` is null or an engine that was not given back; `request` points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn portcullis_inventory(
    engine: *const PortcullisEngine,
    request: *const u8,
    len: usize,
) -> PortcullisAnswer {
    // SAFETY: by the contract of this function.
    let engine = unsafe { engine.as_ref() };
    // SAFETY: by the contract of this function.
    let request = unsafe { bytes(request, len) };
    match (engine, request) {
        (None, _) => wrong(Call::Inventory, NO_ENGINE),
        (_, None) => wrong(Call::Inventory, NO_BYTES),
        (Some(engine), Some(request)) => {
            let Answer { is_good, json } = engine.0.answer_inventory(request);
            give(is_good, json)
        }
    }
}

/// Judges a text that is one object or one AdmissionReview, in YAML or JSON: a `reviewAnswer` out. `options` may be
/// null with `options_len` 0; `stop` may be null. With the options `{"explain": "all"}` the answer also says why.
///
/// # Safety
///
/// `engine` is null or an engine that was not given back; `text` points to `len` and `options` to `options_len` bytes;
/// `stop` is null or a stop that was not given back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn portcullis_review(
    engine: *const PortcullisEngine,
    text: *const u8,
    len: usize,
    options: *const u8,
    options_len: usize,
    stop: *const PortcullisStop,
) -> PortcullisAnswer {
    // SAFETY: by the contract of this function.
    let engine = unsafe { engine.as_ref() };
    // SAFETY: by the contract of this function.
    let text = unsafe { bytes(text, len) };
    // SAFETY: by the contract of this function.
    let options = unsafe { bytes(options, options_len) };
    // SAFETY: by the contract of this function.
    let stop = unsafe { stop.as_ref() };
    match (engine, text, options) {
        (None, _, _) => wrong(Call::Review, NO_ENGINE),
        (_, None, _) | (_, _, None) => wrong(Call::Review, NO_BYTES),
        (Some(engine), Some(text), Some(options)) => {
            let Answer { is_good, json } =
                engine.0.answer_review(text, options, &Caller { since: Clock::start(), stop });
            give(is_good, json)
        }
    }
}

/// Answers an admission request: the body that an API server sends in, the body that it is answered with out. What
/// cannot be read or judged is refused. Otherwise as `portcullis_review`.
///
/// # Safety
///
/// As of `portcullis_review`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn portcullis_admit(
    engine: *const PortcullisEngine,
    body: *const u8,
    len: usize,
    options: *const u8,
    options_len: usize,
    stop: *const PortcullisStop,
) -> PortcullisAnswer {
    // SAFETY: by the contract of this function.
    let engine = unsafe { engine.as_ref() };
    // SAFETY: by the contract of this function.
    let body = unsafe { bytes(body, len) };
    // SAFETY: by the contract of this function.
    let options = unsafe { bytes(options, options_len) };
    // SAFETY: by the contract of this function.
    let stop = unsafe { stop.as_ref() };
    match (engine, body, options) {
        (None, _, _) => wrong(Call::Admit, NO_ENGINE),
        (_, None, _) | (_, _, None) => wrong(Call::Admit, NO_BYTES),
        (Some(engine), Some(body), Some(options)) => {
            let Answer { is_good, json } =
                engine.0.answer_admission(body, options, &Caller { since: Clock::start(), stop });
            give(is_good, json)
        }
    }
}

/// Makes a stop. It is the caller's, who gives it back with `portcullis_stop_free`.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_stop_new() -> *mut PortcullisStop {
    Box::into_raw(Box::new(PortcullisStop(AtomicBool::new(false))))
}

/// Ends the reviews that were given this stop, and those that will be: what is under way cannot be evaluated, and does
/// not pass. May be called from any thread while they run.
///
/// # Safety
///
/// `stop` is null or a stop that was not given back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn portcullis_stop_set(stop: *const PortcullisStop) {
    // SAFETY: by the contract of this function.
    if let Some(stop) = unsafe { stop.as_ref() } {
        stop.0.store(true, Ordering::Relaxed);
    }
}

/// Gives a stop back. Nothing happens if it is null.
///
/// # Safety
///
/// `stop` is null or a stop that was not given back, and no call that has it is under way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn portcullis_stop_free(stop: *mut PortcullisStop) {
    if !stop.is_null() {
        // SAFETY: it was made by `portcullis_stop_new` and is given back once, by the contract of this function.
        drop(unsafe { Box::from_raw(stop) });
    }
}

/// Gives an engine back. Nothing happens if it is null.
///
/// # Safety
///
/// `engine` is null or an engine that was not given back, and no call that has it is under way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn portcullis_engine_free(engine: *mut PortcullisEngine) {
    if !engine.is_null() {
        // SAFETY: it was made by `put` and is given back once, by the contract of this function.
        drop(unsafe { Box::from_raw(engine) });
    }
}

/// Gives an answer back. Nothing happens if its `data` is null.
///
/// # Safety
///
/// `answer` is what a call gave, unchanged, and was not given back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn portcullis_answer_free(answer: PortcullisAnswer) {
    if !answer.data.is_null() {
        let bytes = ptr::slice_from_raw_parts_mut(answer.data, answer.len);
        // SAFETY: it is the box that `give` made, of this length, and is given back once, by the contract of this
        // function.
        drop(unsafe { Box::from_raw(bytes) });
    }
}

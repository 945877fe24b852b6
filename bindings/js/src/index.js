// The Portcullis policy engine for JavaScript: may this Kubernetes object or admission request pass, and if not, why?
//
// The module of WebAssembly is the C interface (crates/embed-c) for that target. It imports a clock and nothing else.
// Nothing is decided here: bytes are taken and given back.

const VERSION = 1;

/** Something is wrong with what was handed in: `problems` says what, and where. */
export class PortcullisError extends Error {
  constructor(problems) {
    super(problems.map(written).join("\n") || "portcullis: it cannot be used");
    this.name = "PortcullisError";
    this.problems = problems;
  }
}

/** The policies were closed. */
export class ClosedError extends Error {
  constructor() {
    super("portcullis: the policies are closed");
    this.name = "ClosedError";
  }
}

/** A call trapped: out of memory, out of stack, or a defect. Its policies cannot be used any more; compile them again. */
export class TrapError extends Error {
  constructor(cause) {
    super(`portcullis: the module trapped, and its policies have to be compiled again: ${cause}`, { cause });
    this.name = "TrapError";
  }
}

/** A problem on a line. */
export function written(problem) {
  const at = problem.location;
  const place = at ? `${at.file}:${at.line}:${at.column}: ` : "";
  const subject = problem.subject ? `${problem.subject}: ` : "";
  return `${place}${subject}${problem.message}${problem.hint ? `; ${problem.hint}` : ""}`;
}

/**
 * Loads the engine: the module beside this file, or the one that is given as its bytes, a `WebAssembly.Module`, a
 * `Response`, or where it is.
 */
export async function load(source = new URL("../portcullis.wasm", import.meta.url)) {
  return new Portcullis(await moduleOf(await source));
}

async function moduleOf(source) {
  if (source instanceof WebAssembly.Module) return source;
  if (typeof Response !== "undefined" && source instanceof Response) {
    if (!source.ok) throw new Error(`portcullis: ${source.url}: ${source.status} ${source.statusText}`);
    return WebAssembly.compile(await source.arrayBuffer());
  }
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return WebAssembly.compile(source);
  if (!(source instanceof URL) && typeof source !== "string") {
    throw new TypeError("portcullis: expected bytes, a WebAssembly.Module, a Response or where the module is");
  }
  const isFile = source instanceof URL ? source.protocol === "file:" : !/^[a-z][a-z0-9+.-]+:/i.test(source);
  if (isFile && typeof process !== "undefined" && process.versions?.node) {
    const { readFile } = await import("node:fs/promises");
    return WebAssembly.compile(await readFile(source));
  }
  return moduleOf(await fetch(source));
}

/** The engine, loaded. */
export class Portcullis {
  #module;

  constructor(module) {
    this.#module = module;
  }

  /**
   * Compiles policies: texts of YAML or JSON documents with names. All of them count, or none.
   * Throws a PortcullisError that says everything that is wrong.
   */
  compile(documents, options = {}) {
    const request = { ...options, version: VERSION, documents: documentsOf(documents) };
    const { policies, answer } = this.compileJSON(jsonOf(request));
    const compiled = JSON.parse(answer);
    if (!policies) throw new PortcullisError(compiled.problems);
    policies.compiled = compiled;
    return policies;
  }

  /** Takes a `compileRequest` and gives a `compileAnswer`, and policies if there are any. */
  compileJSON(request) {
    const instance = new Instance(this.#module);
    const place = instance.place();
    const { text } = instance.call("portcullis_compile", [], [request], [place]);
    const engine = instance.word(place);
    return { policies: engine ? new Policies(instance, engine) : null, answer: text };
  }
}

/** Policies that were compiled, and what they compare with. They have memory of their own, which is freed with them. */
export class Policies {
  #instance;
  #engine;

  /** What there is, and what is odd about it. */
  compiled = null;

  constructor(instance, engine) {
    this.#instance = instance;
    this.#engine = engine;
  }

  /** Judges an object or an AdmissionReview: a text of YAML or JSON, its bytes, or a value. */
  review(object, options = {}) {
    return JSON.parse(this.reviewJSON(textOf(object), optionsOf(options)));
  }

  /**
   * Says why constraints say what they say of an object: the conditions of their rules, with what each read and where it
   * stands. Of all constraints, unless `options.explain` says otherwise.
   */
  explain(object, options = {}) {
    return this.review(object, { explain: "all", ...options });
  }

  /** As `review`: a text in, a `reviewAnswer` out. */
  reviewJSON(text, options = "") {
    return this.#call("portcullis_review", [text, options], [0]).text;
  }

  /** Answers an admission request: the body that an API server sends in, the body that it is answered with out. */
  admit(body, options = {}) {
    return JSON.parse(this.admitJSON(textOf(body), optionsOf(options)).answer);
  }

  /** As `admit`, as texts, and whether it is allowed. */
  admitJSON(body, options = "") {
    const { text, good } = this.#call("portcullis_admit", [body, options], [0]);
    return { answer: text, allowed: good };
  }

  /** Changes what policies compare with. Throws a PortcullisError if a change is wrong; the others are done. */
  apply(...changes) {
    const answer = JSON.parse(this.applyJSON(jsonOf({ version: VERSION, changes })));
    if (!answer.ok) throw new PortcullisError(answer.problems);
    return answer;
  }

  /** Takes an `inventoryRequest` and gives an `inventoryAnswer`. */
  applyJSON(request) {
    return this.#call("portcullis_inventory", [request], []).text;
  }

  /** Bytes of memory that these policies have; it grows with what is judged, up to 1 GiB, and never shrinks. */
  get memoryBytes() {
    if (!this.#instance) return 0;
    return this.#instance.bytes();
  }

  /** Frees the memory of these policies. It may be called twice, and need not be called. */
  close() {
    this.#instance = null;
  }

  #call(name, texts, rest) {
    if (!this.#instance) throw new ClosedError();
    return this.#instance.call(name, [this.#engine], texts, rest);
  }
}

if (Symbol.dispose) Policies.prototype[Symbol.dispose] = Policies.prototype.close;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** A module with memory of its own. */
class Instance {
  #exports;
  #trapped = null;
  /** Where answers are put (a pointer, a length, whether it is good), and behind it a pointer. */
  #place;

  constructor(module) {
    const clock = () => performance.now();
    this.#exports = new WebAssembly.Instance(module, { portcullis: { now_ms: clock } }).exports;
    this.#place = this.#exports.portcullis_alloc(16);
    if (!this.#place) throw new RangeError("portcullis: there is no memory for the engine");
  }

  place() {
    return this.#place + 12;
  }

  bytes() {
    return this.#exports.memory.buffer.byteLength;
  }

  word(place) {
    return new DataView(this.#exports.memory.buffer).getUint32(place, true);
  }

  /** Calls with first arguments, texts, and last arguments; what is answered. */
  call(name, first, texts, last) {
    if (this.#trapped) throw new TrapError(this.#trapped);
    const bytes = texts.map(bytesOf);
    const exports = this.#exports;
    const given = [];
    try {
      for (const part of bytes) {
        const at = part.length ? exports.portcullis_alloc(part.length) >>> 0 : 0;
        if (part.length && !at) throw new RangeError(`portcullis: there is no memory for ${part.length} bytes`);
        given.push([at, part.length]);
        new Uint8Array(exports.memory.buffer, at, part.length).set(part);
      }
      exports[name](this.#place, ...first, ...given.flat(), ...last);
      const [data, length] = [this.word(this.#place), this.word(this.#place + 4)];
      const good = new Uint8Array(exports.memory.buffer)[this.#place + 8] === 1;
      const text = decoder.decode(new Uint8Array(exports.memory.buffer, data, length));
      exports.portcullis_answer_free(this.#place);
      return { text, good };
    } catch (error) {
      // What is in memory after a trap is anything: nobody may go on with it.
      if (!(error instanceof RangeError && error.message.startsWith("portcullis:"))) {
        this.#trapped = error;
        throw new TrapError(error);
      }
      throw error;
    } finally {
      if (!this.#trapped) for (const [at, length] of given) if (at) exports.portcullis_free(at, length);
    }
  }
}

function bytesOf(text) {
  if (typeof text === "string") {
    // An encoder would put another character in its place.
    if (/\p{Surrogate}/u.test(text)) throw new TypeError("portcullis: the text has half of a surrogate pair");
    return encoder.encode(text);
  }
  if (text instanceof Uint8Array) return text;
  if (text instanceof ArrayBuffer) return new Uint8Array(text);
  throw new TypeError(`portcullis: expected a text or its bytes, found ${kindOf(text)}`);
}

function documentsOf(documents) {
  if (typeof documents === "string") return [{ name: "policy.yaml", text: documents }];
  return [...documents].map((document, index) =>
    typeof document === "string" ? { name: `policy-${index + 1}.yaml`, text: document } : document,
  );
}

function textOf(object) {
  return typeof object === "string" || object instanceof Uint8Array || object instanceof ArrayBuffer
    ? object
    : jsonOf(object);
}

/** The time that policies see is that of the call, unless it is said otherwise. */
function optionsOf(options) {
  return jsonOf({ nowMs: Date.now(), ...options });
}

/** A value as JSON, all of it: what JSON leaves out or changes without a word is refused. */
function jsonOf(value) {
  const text = JSON.stringify(value, (key, part) => {
    const refuse = (why) => {
      throw new TypeError(`portcullis: \`${key}\` cannot be written as JSON: ${why}`);
    };
    if (typeof part === "number" && !Number.isFinite(part)) refuse("it is no number of JSON");
    if (typeof part === "number" && Number.isInteger(part) && !Number.isSafeInteger(part)) {
      refuse("it is too large to be exact; hand the text in");
    }
    if (typeof part === "function" || typeof part === "symbol") refuse(`it is a ${typeof part}`);
    if (part instanceof Map || part instanceof Set) refuse("it is a Map or a Set; use an object or an array");
    if (ArrayBuffer.isView(part)) refuse("it is bytes");
    if (Array.isArray(part) && Array.from(part).includes(undefined)) refuse("an element is undefined");
    return part;
  });
  if (text === undefined) throw new TypeError(`portcullis: expected an object, found ${kindOf(value)}`);
  return text;
}

function kindOf(value) {
  return value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
}

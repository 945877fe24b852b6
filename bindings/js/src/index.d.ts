/** A text of YAML or JSON documents, and what problems call it. */
export interface Document {
  name: string;
  text: string;
}

/** How policies are compiled. Without it all of the policies count, or none. */
export interface CompileOptions {
  /** What of Gatekeeper's is not supported is a warning. */
  allowUnsupported?: boolean;
  /** What is good is taken, whatever is wrong beside it. */
  partial?: boolean;
  /** Which program of a template is run that has more than one: CEL, as Gatekeeper does, or its Rego. Then a template in CEL only is an error. */
  engines?: "cel-first" | "rego-only";
}

/** What each evaluation may use. */
export interface Limits {
  steps?: number;
  memory?: number;
  depth?: number;
  output?: number;
}

/** How an object is judged. */
export interface ReviewOptions {
  /** What positions call the object. */
  name?: string;
  point?: "validation.gatekeeper.sh" | "audit.gatekeeper.sh" | "gator.gatekeeper.sh" | "vap.k8s.io";
  /** The Namespace that it lives in. */
  namespace?: object;
  /** Where objects live that name none though their kind lives in one. */
  defaultNamespace?: string;
  /** The time that policies see, in milliseconds since 1970. That of the call, if it is not said. */
  nowMs?: number;
  /** What random numbers of policies are derived from. */
  seed?: number;
  /** How long the review may take. */
  timeoutMs?: number;
  limits?: Limits;
  /** About how many bytes all findings together may have. */
  findingsBytes?: number;
  /** Whether it is said where findings are, which costs the most. */
  positions?: boolean;
  /** Whether it is said what every constraint came to. */
  results?: boolean;
  /** Of which constraints it is said why: those that find something in the object itself, or all. */
  explain?: "findings" | "all";
  /** About how many bytes all explanations together may have. */
  explanationsBytes?: number;
  /** Whether edits are looked for that make findings go, each tried and judged again by all constraints. */
  fixes?: boolean;
}

/** Something that is wrong with an input. Decide on its code, never on its message. */
export interface Problem {
  code: string;
  message: string;
  severity: string;
  field?: string;
  hint?: string;
  location?: Place;
  subject?: string;
}

/** A range of a text. Lines and columns count from 1, columns in characters; the end is behind the last one. */
export interface Place {
  file: string;
  line: number;
  column: number;
  endLine: number;
  endColumn: number;
}

/** A place and the field there. */
export interface Position extends Place {
  field: string;
  precision: string;
}

/** What policies came to. */
export interface Compiled {
  ok: boolean;
  version: number;
  problems: Problem[];
  templates: { engine: string; kind: string; title?: string }[];
  constraints: { enforcementAction: string; kind: string; name: string }[];
  /** The kinds that policies compare with, which the inventory should have. What is absent may be anything. */
  reads: { apiVersion?: string; kind?: string }[];
}

/** A violation, or a constraint that could not be evaluated. */
export interface Finding {
  actions: string[];
  constraint: { kind: string; name: string };
  details: unknown;
  /** Whether it could not be determined whether the constraint holds. */
  error: boolean;
  exception?: { name: string; reason: string };
  /** What makes it go, if that was asked for and one was found. */
  fix?: Fix;
  impliedBy?: string;
  limit?: string;
  message: string;
  position?: Position;
  source?: Place;
}

/** Edits that make a finding go, all together, and no other come. */
export interface Fix {
  /** Whether the policy lets pass these values only; if not, whoever wrote the object decides them. */
  isDecided: boolean;
  edits: { op: "add" | "replace" | "remove"; path: string; old?: unknown; new?: unknown }[];
}

/** Why a constraint says what it says of an object. */
export type Explanation =
  | { constraint: { kind: string; name: string }; applies: false; because: string }
  | {
      constraint: { kind: string; name: string };
      applies: true;
      /** Each violation, and the rule that made it, once for each way in which it did. */
      found: { message: string; ways: Rule[] }[];
      /** The bodies that did not hold, each as far as it came: the nearest to a violation first. */
      missed: Rule[];
      /** In CEL: the match conditions and validations that hold, and by what. */
      held: Rule[];
      /** Why it could not be evaluated. */
      error?: string;
      /** Whether there was more than is told. */
      cut: boolean;
    };

/** A body of a rule, with its conditions up to the one that fails. */
export interface Rule {
  rule: string;
  kind: "rule" | "match condition" | "validation" | "variable";
  holds: boolean;
  location?: Place;
  conditions: Condition[];
}

/** A statement of a rule, what it looked at, and the rules that it asked. */
export interface Condition {
  condition: string;
  holds: boolean;
  location?: Place;
  facts: Fact[];
  rules: Rule[];
}

/** What a condition looked at. A value that is too long is a text that says what it is. */
export type Fact =
  | { field: string; exists: boolean; value: unknown; location?: Place }
  | { parameter: string; exists: boolean; value: unknown; location?: Place }
  | { input: string; exists: boolean; value: unknown }
  | { name: string; exists: boolean; value: unknown }
  | { operator: string; left: unknown; right: unknown; holds: boolean }
  | { builtin: string; args: unknown[]; answer: unknown };

/** What came of a review. */
export interface Outcome {
  ok: boolean;
  version: number;
  /** Whether it may pass. */
  allowed: boolean;
  excluded: boolean;
  denials: string[];
  warnings: string[];
  findings: Finding[];
  excepted: Finding[];
  object?: { apiVersion: string; kind: string; name: string; namespace: string };
  problems: Problem[];
  results?: {
    constraint: { kind: string; name: string };
    impliedBy?: string;
    prints: string[];
    steps: number;
    verdict: string;
  }[];
  /** Why, by constraint, if that was asked for. */
  explanations?: Explanation[];
  /** Of how many constraints that is left out, because there was no room. */
  unexplained?: number;
  /** Whether there may be fixes that were not looked for. */
  fixesCut?: boolean;
  uid: string;
}

/** The body that an API server is answered with. */
export interface AdmissionAnswer {
  apiVersion: string;
  kind: "AdmissionReview";
  response: {
    allowed: boolean;
    uid: string;
    status?: { code: number; message: string; reason: string };
    warnings?: string[];
  };
}

/** A change of what policies compare with. */
export type Change =
  | { op: "upsert"; object: object }
  | { op: "upsert"; name: string; text: string }
  | { op: "remove"; apiVersion: string; kind: string; namespace?: string; name: string }
  | { op: "replace-kind"; apiVersion: string; kind: string; objects: object[] }
  | { op: "unreadable"; apiVersion: string; kind: string; reason?: string };

/** What came of changes. */
export interface Inventory {
  ok: boolean;
  version: number;
  objects: number;
  problems: Problem[];
}

/** Something is wrong with what was handed in. */
export class PortcullisError extends Error {
  readonly problems: Problem[];
}

/** The policies were closed. */
export class ClosedError extends Error {}

/** A call trapped: its policies cannot be used any more. */
export class TrapError extends Error {}

/** A problem on a line. */
export function written(problem: Problem): string;

/** Where the module of WebAssembly comes from. */
export type Source = WebAssembly.Module | BufferSource | Response | URL | string;

/** Loads the engine: the module beside the package, unless it is given. */
export function load(source?: Source | Promise<Source>): Promise<Portcullis>;

/** The engine, loaded. */
export class Portcullis {
  private constructor();
  /** Compiles policies. Throws a PortcullisError that says everything that is wrong. */
  compile(documents: string | Iterable<string | Document>, options?: CompileOptions): Policies;
  /** Takes a `compileRequest` and gives a `compileAnswer`, and policies if there are any. */
  compileJSON(request: string | Uint8Array): { policies: Policies | null; answer: string };
}

/** Policies that were compiled, and what they compare with. */
export class Policies {
  private constructor();
  /** What there is; null for policies of `compileJSON`. */
  readonly compiled: Compiled | null;
  /** Judges an object or an AdmissionReview: a text of YAML or JSON, its bytes, or a value. */
  review(object: string | Uint8Array | ArrayBuffer | object, options?: ReviewOptions): Outcome;
  /** Says why constraints say what they say of an object: of all, unless the options say otherwise. */
  explain(object: string | Uint8Array | ArrayBuffer | object, options?: ReviewOptions): Outcome;
  reviewJSON(text: string | Uint8Array | ArrayBuffer, options?: string): string;
  /** Answers an admission request. */
  admit(body: string | Uint8Array | ArrayBuffer | object, options?: ReviewOptions): AdmissionAnswer;
  admitJSON(body: string | Uint8Array | ArrayBuffer, options?: string): { answer: string; allowed: boolean };
  /** Changes what policies compare with. Throws a PortcullisError if a change is wrong; the others are done. */
  apply(...changes: Change[]): Inventory;
  applyJSON(request: string | Uint8Array): string;
  /** Bytes of memory that these policies have; up to 1 GiB. */
  readonly memoryBytes: number;
  /** Frees the memory of these policies. */
  close(): void;
}

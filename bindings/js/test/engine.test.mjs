import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { ClosedError, load, Policies, PortcullisError, TrapError } from "../src/index.js";

const wasm = process.env.PORTCULLIS_WASM;
const engine = await load(wasm ? readFile(wasm) : undefined);
const cases = JSON.parse(await readFile(new URL("../../../testdata/embed/conformance.json", import.meta.url), "utf8"));

const POLICY = `
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nohostnetwork}
spec:
  crd: {spec: {names: {kind: NoHostNetwork}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package nohostnetwork
      violation[{"msg": "the pod uses the node's network"}] { input.review.object.spec.hostNetwork }
---
{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: NoHostNetwork, metadata: {name: own-network}}
`;
const POD = { apiVersion: "v1", kind: "Pod", metadata: { name: "web" }, spec: { hostNetwork: true, containers: [] } };

/** The time is part of a request here, so that every answer is the same each time. */
test("conformance", async (t) => {
  assert.ok(cases.length >= 5);
  for (const { name, steps } of cases) {
    await t.test(name, () => {
      let policies = null;
      for (const { call, request, options, answer } of steps) {
        if (call === "compile") {
          policies?.close();
          const made = engine.compileJSON(request);
          policies = made.policies;
          assert.equal(made.answer, answer);
        } else if (call === "inventory") assert.equal(policies.applyJSON(request), answer);
        else if (call === "review") assert.equal(policies.reviewJSON(request, options), answer);
        else if (call === "admit") {
          const made = policies.admitJSON(request, options);
          assert.equal(made.answer, answer);
          assert.equal(made.allowed, answer.includes('"response":{"allowed":true'));
        } else assert.fail(call);
      }
    });
  }
});

test("it is told why, and what makes a finding go", () => {
  const policies = engine.compile(POLICY);
  const outcome = policies.explain(POD, { name: "pod.json", fixes: true });
  const [why] = outcome.explanations;
  assert.deepEqual([why.applies, why.constraint.name, outcome.unexplained], [true, "own-network", 0]);
  const [condition] = why.found[0].ways[0].conditions;
  assert.deepEqual([condition.condition, condition.holds, condition.location.line], ["input.review.object.spec.hostNetwork", true, 11]);
  assert.equal(condition.facts[0].field, "spec.hostNetwork");
  assert.equal(condition.facts[0].location.file, "pod.json");
  assert.equal(outcome.findings[0].fix.edits[0].path, "spec.hostNetwork");
  const passes = policies.explain({ ...POD, spec: { containers: [] } });
  assert.deepEqual([passes.allowed, passes.explanations[0].found.length, passes.explanations[0].missed[0].holds], [true, 0, false]);
  assert.equal(policies.review(POD).explanations, undefined);
  assert.equal(policies.explain(POD, { explain: "everything" }).ok, false);
});

test("an object is judged as a value, a text and bytes", () => {
  const policies = engine.compile(POLICY);
  assert.equal(policies.compiled.constraints.length, 1);
  for (const object of [POD, JSON.stringify(POD), new TextEncoder().encode(JSON.stringify(POD))]) {
    const outcome = policies.review(object);
    assert.equal(outcome.allowed, false);
    assert.deepEqual(outcome.denials, ["[own-network] the pod uses the node's network"]);
  }
  assert.equal(policies.review({ ...POD, spec: { containers: [] } }).allowed, true);
  const request = { uid: "u", operation: "CREATE", object: POD, kind: { group: "", version: "v1", kind: "Pod" } };
  const answer = policies.admit({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request });
  assert.deepEqual([answer.response.allowed, answer.response.status.code], [false, 403]);
});

test("what is wrong with policies is said, all of it", () => {
  assert.throws(() => engine.compile([{ name: "one", text: "a: [" }, { name: "two", text: "b: ]" }]), (error) => {
    assert.ok(error instanceof PortcullisError);
    assert.match(error.message, /^one:1:.*\n(.*\n)*two:1:/m);
    return true;
  });
});

test("no part of a value is lost on its way", () => {
  const policies = engine.compile(POLICY);
  const spoiled = [NaN, Infinity, 2 ** 53, () => 1, Symbol("x"), new Map(), [undefined], new Uint8Array(1), 1n];
  for (const value of spoiled) {
    assert.throws(() => policies.review({ ...POD, spec: { hostNetwork: true, value } }), TypeError);
  }
  for (const object of [undefined, () => 1, "\ud800", 7]) {
    if (object === 7) assert.equal(policies.review(object).allowed, false);
    else assert.throws(() => policies.review(object), TypeError);
  }
  const circular = { ...POD };
  circular.self = circular;
  assert.throws(() => policies.review(circular), TypeError);
});

test("what cannot be read is never allowed", () => {
  const policies = engine.compile(POLICY);
  for (const text of ["", "{", "a: [", "\u0000", "[".repeat(100_000), "&a [*a]", "null", "[]", "{}"]) {
    const outcome = policies.review(text);
    assert.deepEqual([outcome.allowed, outcome.ok], [false, false], text.slice(0, 20));
  }
});

test("a review ends with its time", () => {
  const slow = POLICY.replace(/violation.*/, 'violation[{"msg": "x"}] { count([1 | numbers.range(1, 3000)[_] == numbers.range(1, 3000)[_]]) < 0 }');
  const policies = engine.compile(slow);
  const outcome = policies.review(POD, { timeoutMs: 1, limits: { steps: 1_000_000_000 } });
  assert.deepEqual([outcome.allowed, outcome.findings[0].limit], [false, "time"]);
});

test("closed policies answer nothing", () => {
  const policies = engine.compile(POLICY);
  policies.close();
  policies.close();
  assert.throws(() => policies.review(POD), ClosedError);
});

test("nobody goes on after a trap", () => {
  const policies = engine.compile(POLICY);
  // More than there may be: the module has no memory for it, says so, and goes on.
  assert.throws(() => policies.reviewJSON(new Uint8Array(1_200_000_000)), /no memory/);
  assert.equal(policies.review(POD).allowed, false);
  const lost = new Policies({ call: () => { throw new TrapError(new Error("unreachable")); } }, 1);
  assert.throws(() => lost.review(POD), TrapError);
});

test("memory does not grow", () => {
  const policies = engine.compile(POLICY);
  const text = JSON.stringify(POD);
  let size = 0;
  for (let round = 0; round < 4000; round += 1) {
    policies.reviewJSON(text);
    if (round === 1000) size = policies.memoryBytes;
  }
  assert.equal(policies.memoryBytes, size);
});

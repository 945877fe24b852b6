// One page: policies left, objects beside them, findings right. All of it happens here; nothing is sent anywhere.

const POLICY = `apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata:
  name: ownedworkloads
spec:
  crd:
    spec:
      names:
        kind: OwnedWorkloads
      validation:
        openAPIV3Schema:
          type: object
          properties:
            label: {type: string}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package ownedworkloads

      violation[{"msg": msg}] {
        label := input.parameters.label
        not input.review.object.metadata.labels[label]
        msg := sprintf("nobody owns it: the label %q is missing", [label])
      }

      violation[{"msg": msg}] {
        input.review.object.spec.hostNetwork
        msg := "it uses the network of its node"
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: OwnedWorkloads
metadata:
  name: pods-have-owners
spec:
  match:
    kinds: [{apiGroups: [""], kinds: [Pod]}]
  parameters:
    label: owner
`;

const MANIFEST = `apiVersion: v1
kind: Pod
metadata:
  name: web
  labels:
    app: web
spec:
  hostNetwork: true
  containers:
  - name: web
    image: nginx
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports: [{port: 80}]
`;

const at = (id) => document.getElementById(id);
const begun = performance.now();
const VERDICTS = {
  pass: ["passes", "good"],
  violations: ["violated", "bad"],
  excepted: ["excepted", "warn"],
  error: ["cannot be evaluated", "bad"],
};

/** The documents of a text, each with as many lines before it as there are, so that lines stay what they are. */
function documents(text) {
  const found = [];
  const marker = /^(?:---|\.\.\.)(?=[ \t\r\n]|$)/gm;
  let [start, match] = [0, null];
  const add = (end) => {
    const document = text.slice(start, end);
    if (/^[ \t]*[^\s#]/m.test(document.replace(/^(?:---|\.\.\.)/, ""))) {
      found.push("\n".repeat(text.slice(0, start).split("\n").length - 1) + document);
    }
  };
  while ((match = marker.exec(text))) {
    add(match.index);
    start = match.index + (match[0] === "..." ? 3 : 0);
  }
  add(text.length);
  return found;
}

/** Where a line and a column, which count characters, are in a text. */
function offset(text, line, column) {
  const lines = text.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  return before + [...(lines[line - 1] ?? "")].slice(0, column - 1).join("").length;
}

function element(tag, text, kind) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

/** The text that a place is in: policies have one name, and all others are in the objects. */
function textOfPlace(place) {
  return at(place.file === "policies" ? "policy" : place.file === "inventory" ? "inventory" : "manifest");
}

/** Shows a place. */
function jump(place) {
  const area = textOfPlace(place);
  area.focus();
  area.setSelectionRange(offset(area.value, place.line, place.column), offset(area.value, place.endLine, place.endColumn));
  area.scrollTop = Math.max(0, (place.line - 4) * (area.scrollHeight / area.value.split("\n").length));
}

function item(message, detail, kind, place, more) {
  const button = element("button", message, "finding");
  button.append(element("small", detail));
  button.addEventListener("click", () => place && jump(place));
  const made = element("li", "", kind);
  made.append(button);
  if (more) made.append(more);
  return made;
}

function problems(list) {
  return list.map((problem) => item(written(problem), problem.code, problem.severity === "error" ? "" : "warn", problem.location));
}

/** The policies that were judged by last: explanations ask them. */
let current = null;

/** Judges what the page has. What cannot be read or judged is never shown as a pass. */
function judge(engine) {
  const since = performance.now();
  const [findings, results] = [[], []];
  let [denied, judged] = [0, 0];
  current?.close();
  current = null;
  try {
    const policies = engine.compile([{ name: "policies", text: at("policy").value }]);
    current = policies;
    findings.push(...problems(policies.compiled.problems));
    if (at("inventory").value.trim()) {
      policies.apply({ op: "upsert", name: "inventory", text: at("inventory").value });
    }
    for (const text of documents(at("manifest").value)) {
      judged += 1;
      // Once for all that is opened of an object.
      let known = null;
      const explained = () => (known ??= policies.explain(text, { name: "object", fixes: true, explanationsBytes: 1 << 20, timeoutMs: 5000 }));
      const outcome = policies.review(text, { name: "object", results: true, timeoutMs: 2000 });
      denied += outcome.allowed ? 0 : 1;
      findings.push(...problems(outcome.problems));
      const object = outcome.object ? `${outcome.object.kind}/${outcome.object.name}` : "what cannot be read";
      for (const finding of outcome.findings) {
        const place = finding.position;
        const where = place ? ` at ${place.line}:${place.column}${place.field ? ` (${place.field})` : ""}` : "";
        const detail = `${object}, ${finding.constraint.kind}/${finding.constraint.name}${where}`;
        // What an object implies is not told of.
        const more = finding.impliedBy ? null : why("Why", explained, finding.constraint, finding);
        findings.push(item(finding.message, detail, finding.actions.includes("deny") ? "" : "warn", place, more));
      }
      for (const result of outcome.results ?? []) {
        const [said, kind] = VERDICTS[result.verdict] ?? [result.verdict, ""];
        const name = `${result.constraint.kind}/${result.constraint.name}`;
        results.push([object, result.impliedBy ? name : why(name, explained, result.constraint), said, kind, `${result.steps} steps`]);
      }
      if (!outcome.results?.length && outcome.ok) {
        const apart = policies.compiled.constraints.slice(0, 20).map((one) => why(`${one.kind}/${one.name}`, explained, one));
        results.push([object, element("span", "no constraint applies to it"), "", "", ""], ...apart.map((one) => ["", one, "", "", ""]));
      }
    }
    show(denied ? `${denied} of ${judged} denied` : judged ? `${judged} may pass` : "Nothing to judge", denied ? "bad" : judged ? "good" : "");
  } catch (error) {
    if (error instanceof PortcullisError) findings.push(...problems(error.problems));
    else findings.push(item(String(error), "", ""));
    show("Nothing was judged", "bad");
  }
  at("findings").replaceChildren(...findings);
  at("results").replaceChildren(
    ...results.map(([object, constraint, said, kind, steps]) => {
      const row = document.createElement("tr");
      const cell = document.createElement("td");
      cell.append(constraint);
      row.append(element("td", object), cell, element("td", said, kind), element("td", steps));
      return row;
    }),
  );
  return performance.now() - since;
}

function show(text, kind) {
  at("verdict").textContent = text;
  at("verdict").className = kind;
}

async function moduleOfPage() {
  const packed = Uint8Array.from(atob(at("module").textContent), (character) => character.charCodeAt(0));
  at("module").remove();
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

at("policy").value = POLICY;
at("manifest").value = MANIFEST;
try {
  const engine = await load(moduleOfPage());
  let waiting = 0;
  const again = () => {
    const took = judge(engine);
    at("took").textContent = `judged in ${took.toFixed(1)} ms`;
  };
  for (const id of ["policy", "manifest", "inventory"]) {
    at(id).addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(again, 150);
    });
  }
  again();
  at("took").textContent += `, ${Math.round(performance.now() - begun)} ms after the page was there`;
  document.body.dataset.ready = "yes";
} catch (error) {
  show(`The engine could not be loaded: ${error}`, "bad");
}

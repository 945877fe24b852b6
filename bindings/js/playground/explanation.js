// Why a constraint says what it says: its rules, each with its conditions as they stand in the policy, and below each condition
// what it looked at. Lines and fields are buttons that show where they are.

/** How deep rules are shown that rules ask, and how many ways and bodies. */
const [DEEPEST, MOST] = [6, 5];

/** A value on a line. */
function value(of) {
  const text = JSON.stringify(of) ?? "null";
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

/** A button that shows a place, or the text alone if there is none. */
function link(text, place) {
  if (!place) return element("span", text);
  const button = element("button", text, "place");
  button.type = "button";
  button.addEventListener("click", () => jump(place));
  return button;
}

function fact(of) {
  const row = document.createElement("li");
  const is = (one) => (one.exists ? ` = ${value(one.value)}` : " is not there");
  if ("field" in of) row.append(link(of.field || "the object", of.location), is(of));
  else if ("parameter" in of) row.append(link(of.parameter ? `parameters.${of.parameter}` : "parameters", of.location), is(of));
  else if ("input" in of) row.append(`input.${of.input}`, is(of));
  else if ("name" in of) row.append(of.name, is(of));
  else if ("operator" in of) row.append(`${value(of.left)} ${of.operator} ${value(of.right)} is ${of.holds}`);
  else row.append(`${of.builtin}(${of.args.map(value).join(", ")}) is ${of.answer === null ? "not defined" : value(of.answer)}`);
  return row;
}

function condition(of, depth) {
  const row = element("li", "", of.holds ? "" : "fails");
  row.append(link(of.location ? `${of.location.line}` : "·", of.location), element("code", of.condition.split(/\s+/).join(" ")));
  if (!of.holds) row.append(element("em", "does not hold", "bad"));
  if (of.facts.length) {
    const facts = element("ul", "", "facts");
    facts.append(...of.facts.slice(0, 12).map(fact));
    if (of.facts.length > 12) facts.append(element("li", `and ${of.facts.length - 12} more`));
    row.append(facts);
  }
  if (depth < DEEPEST) row.append(...of.rules.slice(0, MOST).map((one) => rule(one, depth + 1)));
  return row;
}

function rule(of, depth = 0) {
  const made = element("div", "", "rule");
  made.append(link(of.location ? `line ${of.location.line}` : of.kind, of.location), ` ${of.kind} ${of.rule}`);
  const conditions = document.createElement("ol");
  conditions.append(...of.conditions.map((one) => condition(one, depth)));
  made.append(conditions);
  return made;
}

/** The edits that make a finding go. */
function fix(of) {
  const made = element("p", of.isDecided ? "It goes with: " : "It would go with this, whose values are for you to decide: ", "fix");
  const edit = ({ op, path, old, new: put }) =>
    ({ add: `add ${path}: ${value(put)}`, replace: `set ${path} to ${value(put)} (it is ${value(old)})`, remove: `remove ${path}` })[op];
  made.append(element("code", of.edits.map(edit).join("; ")));
  return made;
}

/** What there is to tell of a constraint: of one of its findings, or all of it. */
function told(outcome, constraint, finding) {
  const is = (one) => one.constraint.kind === constraint.kind && one.constraint.name === constraint.name;
  const why = outcome.explanations?.find(is);
  if (!why) return [element("p", "There was no room to tell why.")];
  if (!why.applies) return [element("p", `It ${why.because}.`)];
  const parts = [];
  if (why.error) parts.push(element("p", `It could not be evaluated: ${why.error}`, "bad"));
  const found = finding ? why.found.filter((one) => one.message === finding.message) : why.found;
  for (const one of found) {
    if (!finding) parts.push(element("p", `${one.message}:`));
    parts.push(...one.ways.slice(0, MOST).map((way) => rule(way)));
    if (one.ways.length > MOST) parts.push(element("p", `and in ${one.ways.length - MOST} more ways`));
  }
  if (!found.length && why.missed.length) {
    parts.push(element("p", "Nearest to a violation:"), ...why.missed.slice(0, MOST).map((one) => rule(one)));
  }
  if (!found.length && why.held.length) {
    parts.push(element("p", "What holds:"), ...why.held.slice(0, 20).map((one) => rule(one)));
  }
  const again = finding && outcome.findings.find((one) => is(one) && one.message === finding.message);
  if (again?.fix) parts.push(fix(again.fix));
  if (why.cut) parts.push(element("p", "There is more than is told."));
  return parts.length ? parts : [element("p", "There is nothing to tell of how it came about.")];
}

/** A part of the page that is opened to an explanation, which is found out when it is opened. `explained` gives an outcome. */
function why(label, explained, constraint, finding) {
  const made = element("details", "", "why");
  made.append(element("summary", label));
  made.addEventListener("toggle", () => {
    if (!made.open || made.dataset.told) return;
    made.dataset.told = "yes";
    try {
      made.append(...told(explained(), constraint, finding));
    } catch (error) {
      made.append(element("p", `It cannot be told: ${error}`, "bad"));
    }
  });
  return made;
}

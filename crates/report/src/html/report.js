// Search and filters over the findings that are listed. Reads what the page already shows, and only hides and shows: without this
// script nothing is missing but the filters. The filters are kept in the fragment, so that a link can carry them:
// #find=privileged&verdict=unknown&namespace=shop
"use strict";
(() => {
  const form = document.getElementById("filters");
  const shown = document.getElementById("shown");
  const fields = ["find", "verdict", "action", "severity", "namespace"];
  const field = (name) => form.elements.namedItem(name);
  const policies = [...document.querySelectorAll(".policy")].map((element) => ({
    element,
    action: element.dataset.action.split(" "),
    severity: element.dataset.severity,
    text: element.querySelector("summary").textContent.toLowerCase(),
    items: [...element.querySelectorAll(".list > li")].map((item) => ({ item, text: null })),
  }));
  const listed = policies.reduce((sum, policy) => sum + policy.items.length, 0);
  const number = (value) => value.toLocaleString("en");

  // The words of the search must all be there, in the finding or in the title of its policy.
  const textOf = (entry) => (entry.text ??= entry.item.textContent.toLowerCase());
  const finds = (entry, policy, words) =>
    words.every((word) => policy.text.includes(word) || textOf(entry).includes(word));

  // The value that stands for everything is the empty one; objects without a namespace have the empty one, so theirs is "-".
  const namespaceOf = (item) => item.dataset.n || "-";

  const apply = (mayOpen) => {
    const value = Object.fromEntries(fields.map((name) => [name, field(name).value.trim()]));
    const words = value.find.toLowerCase().split(/\s+/).filter(Boolean);
    const filtering = fields.some((name) => value[name] !== "");
    let count = 0;
    for (const policy of policies) {
      const wanted =
        (value.action === "" || policy.action.includes(value.action)) &&
        (value.severity === "" || policy.severity === value.severity);
      let here = 0;
      for (const entry of policy.items) {
        const visible =
          wanted &&
          (value.verdict === "" || entry.item.dataset.v === value.verdict) &&
          (value.namespace === "" || namespaceOf(entry.item) === value.namespace) &&
          finds(entry, policy, words);
        entry.item.hidden = !visible;
        here += visible ? 1 : 0;
      }
      policy.element.hidden = filtering && here === 0;
      count += here;
    }
    // What is left of few findings is opened, so that nobody has to look for it.
    if (filtering && mayOpen && count <= 200) {
      for (const policy of policies) if (!policy.element.hidden) policy.element.open = true;
    }
    const total = Number(shown.dataset.total);
    const rest = total > listed ? ` Filters see the ${number(listed)} that are listed here, of ${number(total)}.` : "";
    shown.textContent = filtering ? `${number(count)} of ${number(listed)} listed findings shown.${rest}` : `${number(listed)} findings listed.${rest}`;
    const parameters = new URLSearchParams(Object.entries(value).filter(([, text]) => text !== ""));
    return parameters.toString();
  };

  const filtersOf = (fragment) => {
    const parameters = new URLSearchParams(fragment.slice(1));
    return fields.some((name) => parameters.has(name)) ? parameters : null;
  };

  const keep = (fragment) => {
    // The place that somebody has gone to stays in the address.
    if (fragment === "" && !filtersOf(location.hash)) return;
    // Some viewers have no address that can be changed.
    try {
      history.replaceState(null, "", fragment === "" ? location.pathname + location.search : "#" + fragment);
    } catch {}
  };

  const read = () => {
    const parameters = filtersOf(location.hash);
    if (!parameters) return false;
    for (const name of fields) {
      const wanted = parameters.get(name) ?? "";
      const input = field(name);
      // A filter that this audit does not have shows nothing, instead of everything.
      if (input.options && ![...input.options].some((option) => option.value === wanted)) {
        input.add(new Option(wanted, wanted));
      }
      input.value = wanted;
    }
    return true;
  };

  // A link to a finding or to a policy opens what it is in.
  const openTarget = () => {
    const target = /^#[a-z]+(-[0-9]+)?$/.test(location.hash) && document.getElementById(location.hash.slice(1));
    if (!target) return;
    // What filters hide cannot be gone to.
    if (target.closest("[hidden]")) {
      form.reset();
      apply(false);
    }
    for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
    target.scrollIntoView();
  };

  const follow = () => {
    if (read()) apply(true);
    else openTarget();
  };

  const namespaces = new Set(policies.flatMap((policy) => policy.items.map((entry) => namespaceOf(entry.item))));
  for (const name of [...namespaces].sort()) {
    field("namespace").add(new Option(name === "-" ? "(no namespace)" : name, name));
  }
  for (const cell of document.querySelectorAll("th[data-n]")) {
    const link = document.createElement("a");
    link.href = "#" + new URLSearchParams([["namespace", namespaceOf(cell)]]);
    link.append(...cell.childNodes);
    cell.append(link);
    link.addEventListener("click", () => form.scrollIntoView());
  }
  let waiting = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => keep(apply(true)), 120);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => keep(apply(false)), 0));
  document.getElementById("all").addEventListener("click", (event) => {
    const open = event.target.dataset.open !== "yes";
    for (const policy of policies) policy.element.open = open;
    event.target.dataset.open = open ? "yes" : "no";
    event.target.textContent = open ? "Close all policies" : "Open all policies";
  });
  addEventListener("hashchange", follow);
  document.getElementById("scriptless").hidden = true;
  form.hidden = listed === 0;
  apply(false);
  follow();
})();

// The same in a browser, and the playground, which is opened as a file. Without a browser it says so and is skipped;
// PORTCULLIS_BROWSER says where one is.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
const wasm = process.env.PORTCULLIS_WASM ?? join(here, "portcullis.wasm");
const known = process.env.PORTCULLIS_BROWSER ? [process.env.PORTCULLIS_BROWSER] : ["chromium", "chromium-browser", "google-chrome"];
const browser = known.find((name) => spawnSync(name, ["--version"]).status === 0);
const skip = browser ? false : "no browser is here";
if (skip) console.log(`skipped: ${skip}`);

// A page of an unoptimised module may take minutes on a busy machine; it is done when it says so, not when time is up.
const PATIENCE = 120_000;
// What is released is below the 8 MB that may be instantiated on the main thread; what tests build need not be.
const LARGE = "--enable-features=WebAssemblyUnlimitedSyncCompilation";

/**
 * What a page comes to in a browser: asked over the pipe of the developer tools until `done`, an expression, is true. Then come
 * `steps`, expressions that do something, each with what is true when it is done, or nothing: `values` is what they came to.
 */
async function opened(folder, page, done, steps = [], shot) {
  const profile = mkdtempSync(join(folder, "profile-"));
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1500,850", "--remote-debugging-pipe", LARGE];
  const child = spawn(browser, [...flags, `--user-data-dir=${profile}`], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const waiting = new Map();
  let [last, rest] = [0, ""];
  child.stdio[4].setEncoding("utf8").on("data", (text) => {
    const messages = (rest + text).split("\0");
    rest = messages.pop();
    for (const { id, result, error } of messages.map((message) => JSON.parse(message))) {
      const { resolve, reject } = waiting.get(id) ?? {};
      waiting.delete(id);
      if (error) reject?.(new Error(error.message));
      else resolve?.(result);
    }
  });
  const gone = ended.then(() => {
    throw new Error("the browser ended before the page was done");
  });
  gone.catch(() => {});
  const call = (method, params, sessionId) => {
    last += 1;
    const answer = new Promise((resolve, reject) => waiting.set(last, { resolve, reject }));
    child.stdio[3].write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`);
    return Promise.race([answer, gone]);
  };
  child.stdio[3].on("error", () => {});
  try {
    const { targetId } = await call("Target.createTarget", { url: pathToFileURL(page).href });
    const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
    const deadline = Date.now() + PATIENCE;
    const evaluate = async (expression) => (await call("Runtime.evaluate", { expression }, sessionId)).result.value;
    const until = async (expression) => {
      while ((await evaluate(expression)) !== true && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    };
    await until(done);
    const values = [];
    for (const [run, end] of steps) {
      values.push(await evaluate(run));
      if (end) await until(end);
    }
    if (shot) writeFileSync(shot, Buffer.from((await call("Page.captureScreenshot", {}, sessionId)).data, "base64"));
    return { dom: await evaluate("document.documentElement.outerHTML"), values };
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

async function within(run) {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  try {
    execFileSync(process.execPath, [join(here, "build.mjs"), "--wasm", wasm, "--out", folder], { stdio: "inherit" });
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

test("conformance in a browser", { skip }, () =>
  within(async (folder) => {
    const page = join(folder, "conformance.html");
    const cases = readFileSync(join(here, "../../testdata/embed/conformance.json"), "utf8");
    const engine = readFileSync(join(here, "src/index.js"), "utf8").replaceAll(/^export /gm, "").replaceAll("import.meta.url", "location.href");
    const check = `
      const cases = ${cases.replaceAll("</", "<\\/")};
      const bytes = Uint8Array.from(atob("${readFileSync(wasm).toString("base64")}"), (character) => character.charCodeAt(0));
      const engine = await load(bytes);
      let [passed, wrong] = [0, []];
      for (const { name, steps } of cases) {
        let policies = null;
        for (const { call, request, options, answer } of steps) {
          let made;
          if (call === "compile") ({ policies, answer: made } = engine.compileJSON(request));
          else if (call === "inventory") made = policies.applyJSON(request);
          else if (call === "review") made = policies.reviewJSON(request, options);
          else if (call === "admit") made = policies.admitJSON(request, options).answer;
          if (made === answer) passed += 1; else wrong.push(name + ": " + made);
        }
      }
      document.title = "done";
      document.body.textContent = passed + " passed, " + wrong.length + " failed " + wrong.join("; ");`;
    writeFileSync(page, `<!doctype html><meta charset="utf-8"><body>running<script type="module">${engine}\n${check.replaceAll("</script", "<\\/script")}</script>`);
    const steps = JSON.parse(cases).reduce((sum, one) => sum + one.steps.length, 0);
    const { dom } = await opened(folder, page, 'document.title === "done"');
    assert.ok(dom.includes(`<body>${steps} passed, 0 failed`), dom.slice(-2000));
  }),
);

test("the playground judges its example, and says why", { skip }, () =>
  within(async (folder) => {
    const page = join(folder, "playground.html");
    // Clicks a place in the explanations, and says which text shows what then.
    const show = (text) => `(() => {
      [...document.querySelectorAll("#findings button.place")].find((button) => button.textContent === "${text}").click();
      const area = document.activeElement;
      return area.id + ": " + area.value.slice(area.selectionStart, area.selectionEnd);
    })()`;
    const steps = [
      ['document.querySelectorAll("#findings .why").forEach((one) => (one.open = true))', 'document.querySelectorAll("#findings .why .rule").length === 2'],
      ['document.querySelectorAll("#results .why").forEach((one) => (one.open = true))', 'document.querySelectorAll("#results .why p").length >= 2'],
      [show("27"), null],
      [show("spec.hostNetwork"), null],
      [show("parameters.label"), null],
    ];
    const { dom, values } = await opened(folder, page, 'document.querySelector("[data-ready=yes]") !== null', steps, process.env.PORTCULLIS_SCREENSHOT);
    assert.match(dom, /data-ready="yes"/);
    assert.match(dom, />1 of 2 denied</);
    assert.match(dom, /nobody owns it: the label "owner" is missing/);
    assert.match(dom, /OwnedWorkloads\/pods-have-owners at 8:3 \(spec\.hostNetwork\)/);
    // Conditions with their lines, what they read, what makes it go, and why a constraint does not apply.
    assert.match(dom, /metadata\.labels\.owner<\/button> is not there/);
    assert.match(dom, /It goes with: <code>remove spec\.hostNetwork<\/code>|It goes with: <code>set spec\.hostNetwork to false \(it is true\)<\/code>/);
    assert.match(dom, /It does not apply: `kinds` does not hold\./);
    assert.deepEqual(values.slice(2), ["policy: input.review.object.spec.hostNetwork", "manifest: hostNetwork", "policy: label"]);
  }),
);

// The same in a browser, and the playground, which is opened as a file. Without a browser it says so and is skipped;
// PORTCULLIS_BROWSER says where one is.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
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

/** What a page comes to in a browser. */
function opened(folder, page, ...more) {
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=60000"];
  const profile = `--user-data-dir=${join(folder, "profile")}`;
  const url = pathToFileURL(page).href;
  return execFileSync(browser, [...flags, profile, ...more, "--dump-dom", url], { encoding: "utf8", timeout: 300_000, maxBuffer: 1 << 28 });
}

function within(run) {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  try {
    execFileSync(process.execPath, [join(here, "build.mjs"), "--wasm", wasm, "--out", folder], { stdio: "inherit" });
    run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("conformance in a browser", { skip }, () =>
  within((folder) => {
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
      document.body.textContent = passed + " passed, " + wrong.length + " failed " + wrong.join("; ");`;
    writeFileSync(page, `<!doctype html><meta charset="utf-8"><body>running<script type="module">${engine}\n${check.replaceAll("</script", "<\\/script")}</script>`);
    const steps = JSON.parse(cases).reduce((sum, one) => sum + one.steps.length, 0);
    assert.match(opened(folder, page), new RegExp(`${steps} passed, 0 failed`));
  }),
);

test("the playground judges its example", { skip }, () =>
  within((folder) => {
    const page = join(folder, "playground.html");
    const dom = opened(folder, page);
    assert.match(dom, /data-ready="yes"/);
    assert.match(dom, />1 of 2 denied</);
    assert.match(dom, /nobody owns it: the label "owner" is missing/);
    assert.match(dom, /OwnedWorkloads\/pods-have-owners at 9:\d+ \(spec\.hostNetwork\)/);
    const shot = process.env.PORTCULLIS_SCREENSHOT;
    if (shot) opened(folder, page, `--screenshot=${shot}`, "--window-size=1500,850");
  }),
);

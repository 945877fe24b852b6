// Builds the module, and the playground with the module in it: `node build.mjs [--profile NAME] [--features LIST] [--wasm FILE] [--sizes]`.
// `--features cel,lint` takes these of the features of crates/embed-c only (`cel`, `lint`, `time-zones`), `--features=` none: docs/embedding.md
// says what each is worth.
// Needs Rust with the target wasm32-unknown-unknown, and nothing else.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { brotliCompressSync, gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const { values } = parseArgs({
  options: { profile: { type: "string", default: "wasm" }, wasm: { type: "string" }, out: { type: "string", default: here }, sizes: { type: "boolean" }, features: { type: "string" } },
});

let wasm = values.wasm;
if (!wasm) {
  const target = "wasm32-unknown-unknown";
  const args = ["build", "--locked", "--profile", values.profile, "-p", "portcullis-embed-c", "--lib", "--target", target, ...(values.features === undefined ? [] : ["--no-default-features", "--features", values.features])];
  execFileSync("cargo", args, { cwd: root, stdio: "inherit" });
  const folder = values.profile === "dev" ? "debug" : values.profile;
  wasm = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), target, folder, "portcullis_c.wasm");
}
mkdirSync(values.out, { recursive: true });
const module = join(values.out, "portcullis.wasm");
copyFileSync(wasm, module);

// One page without a server: everything is in it. A page that was opened from a file may load nothing else.
const bytes = readFileSync(module);
const script = (path) => readFileSync(join(here, path), "utf8").replaceAll("</script", "<\\/script");
const engine = script("src/index.js").replaceAll(/^export /gm, "").replaceAll("import.meta.url", "location.href");
const packed = gzipSync(bytes, { level: 9 });
const page = readFileSync(join(here, "playground/index.html"), "utf8");
const filled = page
  .replace("/*style*/", () => readFileSync(join(here, "playground/style.css"), "utf8"))
  .replace("/*module*/", () => packed.toString("base64"))
  .replace("/*script*/", () => [engine, script("playground/explanation.js"), script("playground/playground.js")].join("\n"));
const playground = join(values.out, "playground.html");
writeFileSync(playground, filled);

const size = (n) => `${(n / 1e6).toFixed(2)} MB`;
// The best compression takes a while.
const best = values.sizes ? `, ${size(brotliCompressSync(bytes).length)} with brotli` : "";
console.log(`${module}: ${size(bytes.length)}, ${size(packed.length)} with gzip${best}`);
console.log(`${playground}: ${size(statSync(playground).size)}`);
if (bytes.length > 8e6) console.log("more than 8 MB: a browser will not have it on the main thread; it is not built for release");

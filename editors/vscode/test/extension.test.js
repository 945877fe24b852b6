// The extension with an editor that only notes what is asked of it.
"use strict";

const assert = require("node:assert");
const Module = require("node:module");
const { test } = require("node:test");

function load(settings, starts = true) {
  const seen = { clients: [], stopped: 0, errors: [], told: [], commands: {}, changed: undefined };
  class LanguageClient {
    constructor(id, name, options, client) {
      seen.clients.push({ id, options, client, self: this });
    }
    async start() {
      if (!starts) throw new Error("spawn ENOENT");
    }
    async stop() {
      seen.stopped += 1;
    }
    error(message, data, show) {
      seen.told.push([message, show]);
    }
  }
  const modules = {
    vscode: {
      workspace: {
        getConfiguration: () => ({ get: (name) => settings[name] }),
        onDidChangeConfiguration: (changed) => ((seen.changed = changed), {}),
      },
      commands: { registerCommand: (name, run) => ((seen.commands[name] = run), {}) },
      window: { showErrorMessage: (text) => seen.errors.push(text) },
    },
    "vscode-languageclient/node": { LanguageClient, TransportKind: { stdio: 0 } },
  };
  const original = Module._load;
  Module._load = (name, ...rest) => modules[name] ?? original(name, ...rest);
  const path = require.resolve("../extension.js");
  delete require.cache[path];
  try {
    return { extension: require(path), seen };
  } finally {
    Module._load = original;
  }
}

test("the program of the settings is run, and again when they change", async () => {
  const settings = { path: "/opt/portcullis", arguments: ["--max-files", "5"] };
  const { extension, seen } = load(settings);
  await extension.activate({ subscriptions: [] });
  const { run } = seen.clients[0].options;
  assert.deepStrictEqual([run.command, ...run.args], ["/opt/portcullis", "lsp", "--max-files", "5"]);
  assert.ok(seen.clients[0].client.documentSelector.some((one) => one.language === "yaml" && one.scheme === "file"));
  settings.path = "";
  await seen.changed({ affectsConfiguration: (name) => name === "portcullis" });
  assert.strictEqual(seen.clients[1].options.run.command, "portcullis");
  assert.strictEqual(seen.stopped, 1);
  await seen.changed({ affectsConfiguration: () => false });
  await seen.commands["portcullis.restart"]();
  assert.strictEqual(seen.clients.length, 3);
  // What breaks later is shown as the client wants it; of a start that fails there is one message.
  seen.clients[0].self.error("later", undefined, "force");
  await extension.deactivate();
  assert.strictEqual(seen.stopped, 3);
  const failing = load(settings, false);
  await failing.extension.activate({ subscriptions: [] });
  failing.seen.clients[0].self.error("at the start", undefined, "force");
  assert.deepStrictEqual([seen.told, failing.seen.told], [[["later", "force"]], [["at the start", false]]]);
  assert.strictEqual(failing.seen.errors.length, 1);
});

test("a program that is not there is said, with what to do", async () => {
  const { extension, seen } = load({}, false);
  await extension.activate({ subscriptions: [] });
  assert.match(seen.errors[0], /`portcullis lsp` cannot be started: spawn ENOENT.*portcullis\.path/);
});

test("what the manifest promises is there", () => {
  const manifest = require("../package.json");
  const { seen, extension } = load({});
  return extension.activate({ subscriptions: [] }).then(() => {
    const commands = manifest.contributes.commands.map((one) => one.command);
    assert.deepStrictEqual(Object.keys(seen.commands), commands);
    const settings = Object.keys(manifest.contributes.configuration.properties);
    assert.deepStrictEqual(settings, manifest.capabilities.untrustedWorkspaces.restrictedConfigurations);
  });
});

test("what the grammars name is there, and words are found", () => {
  const fs = require("node:fs");
  const path = require("node:path");
  const folder = path.join(__dirname, "..");
  const read = (name) => JSON.parse(fs.readFileSync(path.join(folder, name), "utf8"));
  const { contributes } = read("package.json");
  for (const { configuration } of contributes.languages) read(configuration);
  const grammars = contributes.grammars.map(({ path }) => read(path));
  const scopes = new Set(grammars.map(({ scopeName }) => scopeName));
  const visit = (grammar, rule) => {
    if (rule.include) {
      const known = rule.include.startsWith("#") ? rule.include.slice(1) in grammar.repository : scopes.has(rule.include);
      assert.ok(known, rule.include);
    }
    for (const key of ["match", "begin", "end", "while"]) if (rule[key]) new RegExp(rule[key]);
    for (const inner of rule.patterns ?? []) visit(grammar, inner);
  };
  for (const grammar of grammars) {
    visit(grammar, grammar);
    for (const rule of Object.values(grammar.repository ?? {})) visit(grammar, rule);
  }
  const [rego, inYaml] = grammars;
  const first = (pattern, text) => new RegExp(pattern).exec(text)?.slice(1).filter(Boolean);
  assert.deepStrictEqual(first(rego.repository.package.match, "import data.lib.x as y"), ["import", "data.lib.x", "as", "y"]);
  assert.deepStrictEqual(first(rego.repository.call.match, "x := images.is_from(a)"), ["images.is_from"]);
  const begins = new RegExp(inYaml.patterns[0].begin);
  assert.ok(begins.test("package k8s.labels # why") && !begins.test("package com.example;"));
});

// The extension with an editor that only notes what is asked of it.
"use strict";

const assert = require("node:assert");
const Module = require("node:module");
const { test } = require("node:test");

function load(settings, starts = true) {
  const seen = { clients: [], stopped: 0, errors: [], commands: {}, changed: undefined };
  class LanguageClient {
    constructor(id, name, options, client) {
      seen.clients.push({ id, options, client });
    }
    async start() {
      if (!starts) throw new Error("spawn ENOENT");
    }
    async stop() {
      seen.stopped += 1;
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
  await extension.deactivate();
  assert.strictEqual(seen.stopped, 3);
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

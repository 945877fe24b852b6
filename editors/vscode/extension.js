// Starts `portcullis lsp` and hands it to the editor. All else is the server's.
"use strict";

const vscode = require("vscode");
const { LanguageClient, TransportKind } = require("vscode-languageclient/node");

/** Says nothing by itself of a start that fails: that is told below, with what to do about it. */
class Client extends LanguageClient {
  isStarting = true;

  error(message, data, show) {
    super.error(message, data, this.isStarting ? false : show);
  }
}

/** @type {Client | undefined} */
let client;

/** What is run, by the settings. */
function server() {
  const settings = vscode.workspace.getConfiguration("portcullis");
  const command = settings.get("path") || "portcullis";
  const run = { command, args: ["lsp", ...(settings.get("arguments") || [])], transport: TransportKind.stdio };
  return { run, debug: run };
}

async function start() {
  const options = server();
  const languages = ["yaml", "json", "rego"];
  const documentSelector = languages.flatMap((language) => [
    { scheme: "file", language },
    { scheme: "untitled", language },
  ]);
  client = new Client("portcullis", "Portcullis", options, { documentSelector });
  try {
    await client.start();
    client.isStarting = false;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const command = options.run.command;
    vscode.window.showErrorMessage(
      `Portcullis: \`${command} lsp\` cannot be started: ${why}. Install it, or say where it is in the setting \`portcullis.path\`.`,
    );
  }
}

async function stop() {
  const stopping = client;
  client = undefined;
  // One that did not start cannot be stopped.
  await stopping?.stop().catch(() => {});
}

async function restart() {
  await stop();
  await start();
}

async function activate(context) {
  context.subscriptions.push(
    vscode.commands.registerCommand("portcullis.restart", restart),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (event.affectsConfiguration("portcullis")) {
        await restart();
      }
    }),
  );
  await start();
}

module.exports = { activate, deactivate: stop };

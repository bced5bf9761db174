// What the clients share that are commands: each runs in a folder and with settings of its own.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const folder = mkdtempSync(join(tmpdir(), "clients-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

export const weatherSchema = {
  type: "object",
  properties: { city: { type: "string" }, degrees: { type: "integer", minimum: -90, maximum: 60 } },
  required: ["city", "degrees"],
  additionalProperties: false,
};

/** The folder of the npm packages. */
export const packages = join(dirname(fileURLToPath(import.meta.url)), "node_modules");

/**
 * Starts a command.
 *
 * It inherits no variable but the path: no key, address or settings of the user's.
 */
export function start(command, words, env) {
  const PATH = `${dirname(process.execPath)}:${process.env.PATH}`;
  return spawn(command, words, {
    cwd: folder,
    env: { PATH, HOME: folder, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Returns what a command prints: lines of JSON. */
export async function output(command) {
  let text = "";
  let errors = "";
  command.stdout.on("data", (data) => (text += data));
  command.stderr.on("data", (data) => (errors += data));
  await new Promise((resolve) => command.on("close", resolve));
  assert.ok(text, errors);
  return text.trim().split("\n").map((line) => JSON.parse(line));
}

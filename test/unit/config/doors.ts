import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { loadConfig, loadStackFile, rawFromPulumi } from "../../../infra/config/load.ts";
import type { StackConfig } from "../../../infra/config/schema.ts";
import type { Raw } from "./arbitrary.ts";
import { asProgram } from "./arbitrary.ts";

/** The three ways in which a configuration comes in: as it is, as a program's texts, as a file. */

/** Loads a stack file with this text from a folder of its own. */
export function loadText(text: string, stack = "test"): StackConfig {
  return inFolder({ [`Pulumi.${stack}.yaml`]: text }, (folder) => loadStackFile(folder, stack));
}

export function inFolder<T>(files: Readonly<Record<string, string>>, use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "stack-file-"));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The file that holds this stack, each secret encrypted (or rather: looking so). */
export function asFile(raw: object): string {
  const config = Object.entries(raw).map(([name, value]) => [
    `heatwave:${name}`,
    name === "secrets" ? encrypted(value) : (value as unknown),
  ]);
  return stringify({ encryptionsalt: "v1:x", config: Object.fromEntries(config) as unknown });
}

function encrypted(value: unknown): unknown {
  if (typeof value === "string") return { secure: `v1:${Buffer.from(value).toString("base64").slice(0, 3)}` };
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, encrypted(inner)]));
}

export const DOORS = {
  "as it is": (raw: Raw): StackConfig => loadConfig(raw, "Pulumi.test.yaml"),
  "as a program": (raw: Raw): StackConfig => loadConfig(rawFromPulumi(asProgram(raw)), "Pulumi.test.yaml"),
  "as a file": (raw: Raw): StackConfig => loadText(asFile(raw)),
} as const;

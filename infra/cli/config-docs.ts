import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { stackJsonSchema } from "../config/json-schema.ts";
import { configurationReference } from "../config/reference.ts";

/**
 * Writes the configuration reference and the JSON schema from the one schema; with `--check` it only says which
 * of them are stale, and exits with 1 if any is.
 */
const FILES: Readonly<Record<string, () => string>> = {
  "docs/configuration.md": configurationReference,
  "docs/stack-config.schema.json": () => `${JSON.stringify(stackJsonSchema(), undefined, 2)}\n`,
};

const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
const stale = Object.entries(FILES).filter(([name, render]) => read(name) !== render());
for (const [name, render] of stale) {
  if (values.check) console.error(`${name}: stale; run node infra/cli/config-docs.ts`);
  else {
    writeFileSync(path(name), render());
    console.log(`${name}: written`);
  }
}
if (values.check && stale.length > 0) process.exitCode = 1;

function read(name: string): string | undefined {
  try {
    return readFileSync(path(name), "utf8");
  } catch {
    return undefined;
  }
}

function path(name: string): string {
  return fileURLToPath(new URL(`../../${name}`, import.meta.url));
}

import { readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Replaces a stack file by what `change` makes of its text, by rename.
 * @param change given the text and the file's name
 * @returns the file's name when it was changed, undefined when it said so already
 * @throws Error when the file cannot be written
 */
export function rewriteStackFile(
  directory: string,
  stack: string,
  change: (text: string, name: string) => string,
): string | undefined {
  const name = `Pulumi.${stack}.yaml`;
  const path = join(directory, name);
  const text = readFileSync(path, "utf8");
  const next = change(text, name);
  if (next === text) return undefined;
  writeFileSync(`${path}.new`, next, { mode: statSync(path).mode });
  renameSync(`${path}.new`, path);
  return name;
}

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse as parseYaml } from "yaml";
import type { z } from "zod";
import type { Overlay } from "./overlay.ts";
import { applyOverlay } from "./overlay.ts";
import type { Problem } from "./problem.ts";
import { ConfigError, shown } from "./problem.ts";
import { crossFieldProblems } from "./rules.ts";
import type { StackConfig } from "./schema.ts";
import { stackSchema } from "./schema.ts";
import { said } from "./words.ts";

const NAMESPACE = "heatwave:";

/** What stands in place of a secret where nothing is decrypted. */
const PLACEHOLDER = "(a secret that was not decrypted)";

/**
 * Checks a raw configuration: overlay first, then shape, then the rules between fields.
 * @throws {ConfigError} with every problem at once
 */
export function loadConfig(raw: Record<string, unknown>, source: string, overlay?: Overlay): StackConfig {
  const input = overlay === undefined ? raw : applyOverlay(raw, overlay);
  const rehearsal = overlay !== undefined && Object.keys(overlay.images).length > 0;
  const parsed = stackSchema({ rehearsal }).safeParse(input);
  if (!parsed.success)
    throw new ConfigError(
      source,
      parsed.error.issues.flatMap((issue) => problemsOf(issue, input)),
    );
  const problems = crossFieldProblems(parsed.data);
  if (problems.length > 0) throw new ConfigError(source, problems);
  return parsed.data;
}

/** From what a Pulumi program sees: all keys with their text values, structured ones as JSON. */
export function rawFromPulumi(all: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(all)
      .filter(([key]) => key.startsWith(NAMESPACE))
      .map(([key, text]) => [key.slice(NAMESPACE.length), structured(text)]),
  );
}

function structured(text: string): unknown {
  if (!/^\s*[[{]/.test(text) && text !== "true" && text !== "false") return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** From the stack file itself, for commands that need no secret: each one is replaced by a placeholder. */
export function loadStackFile(projectDirectory: string, stack: string, overlay?: Overlay): StackConfig {
  const file = `Pulumi.${stack}.yaml`;
  let text: string;
  try {
    text = readFileSync(join(projectDirectory, file), "utf8");
  } catch (error) {
    throw new Error(
      `${file}: no such stack file; allowed: the name of a Pulumi.<stack>.yaml in the project's folder`,
      { cause: error },
    );
  }
  const document = parseYaml(text) as { config?: Record<string, unknown> } | null;
  const raw = Object.fromEntries(
    Object.entries(document?.config ?? {})
      .filter(([key]) => key.startsWith(NAMESPACE))
      .map(([key, value]) => [key.slice(NAMESPACE.length), withoutSecrets(value)]),
  );
  return loadConfig(raw, file, overlay);
}

function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== "object" || value === null) return value;
  const keys = Object.keys(value);
  if (keys.length === 1 && keys[0] === "secure") return PLACEHOLDER;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutSecrets(inner)]));
}

function problemsOf(issue: z.core.$ZodIssue, input: unknown): Problem[] {
  const words = said(issue.message);
  const allowed = words?.allowed ?? issue.message;
  const fix = words?.fix ?? "correct the value";
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      return { path, value: shown(path, at(input, path)), allowed, fix };
    });
  }
  if (issue.code === "invalid_key") {
    const inner = said(issue.issues[0]?.message ?? "");
    return [
      {
        path: issue.path,
        value: shown(issue.path, issue.path.at(-1)),
        allowed: inner?.allowed ?? allowed,
        fix: inner?.fix ?? "rename the key",
      },
    ];
  }
  return [{ path: issue.path, value: shown(issue.path, at(input, issue.path)), allowed, fix }];
}

function at(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined,
    input,
  );
}

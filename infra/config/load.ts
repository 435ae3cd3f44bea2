import { z } from "zod";
import { findingsOf } from "./explain.ts";
import type { Overlay } from "./overlay.ts";
import { applyOverlay } from "./overlay.ts";
import type { Finding } from "./problem.ts";
import { ConfigError, present } from "./problem.ts";
import { crossFieldFindings } from "./rules.ts";
import type { StackConfig } from "./schema.ts";
import { stackSchema } from "./schema.ts";
import { readStackFile } from "./stack-file.ts";

const NAMESPACE = "heatwave:";

/**
 * Checks a raw configuration: overlay first, then shape, then the rules between fields.
 * @throws {ConfigError} with every problem at once
 */
export function loadConfig(raw: Record<string, unknown>, source: string, overlay?: Overlay): StackConfig {
  return checked(raw, source, overlay, []);
}

/**
 * From what a Pulumi program sees: all keys with their text values, structured ones as JSON. Text fields stay
 * text, whatever they look like: a site may be named `true`.
 */
export function rawFromPulumi(all: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(all)
      .filter(([key]) => key.startsWith(NAMESPACE))
      .map(([key, text]) => {
        const name = key.slice(NAMESPACE.length);
        return [name, TEXT_KEYS.has(name) ? text : structured(text)];
      }),
  );
}

/**
 * From the stack file itself, for commands that need no secret: each one is replaced by a placeholder.
 * @throws {ConfigError} also where there is no such file, where it is not YAML, and where a password in it is
 *   not encrypted
 */
export function loadStackFile(projectDirectory: string, stack: string, overlay?: Overlay): StackConfig {
  const file = readStackFile(projectDirectory, stack, TEXT_KEYS);
  return checked(file.raw, file.source, overlay, file.findings, file.exposed);
}

/** Top-level keys that hold text and not a structure. */
const TEXT_KEYS: ReadonlySet<string> = new Set(
  Object.entries(stackSchema({ rehearsal: false }).shape)
    .filter(([, schema]) => schema instanceof z.ZodString)
    .map(([key]) => key),
);

function checked(
  raw: Record<string, unknown>,
  source: string,
  overlay: Overlay | undefined,
  earlier: readonly Finding[],
  exposed: readonly string[] = [],
): StackConfig {
  const input = overlay === undefined ? raw : applyOverlay(raw, overlay);
  const rehearsal = overlay !== undefined && Object.keys(overlay.images).length > 0;
  const parsed = stackSchema({ rehearsal }).safeParse(input);
  const found = parsed.success ? crossFieldFindings(parsed.data) : findingsOf(parsed.error.issues, input);
  // An unknown key first: whatever else is wrong with it does not matter.
  const findings = [...found.filter(({ kindOnly }) => kindOnly), ...earlier, ...found];
  if (findings.length > 0 || !parsed.success) {
    const secrets = [...exposed, ...textsIn(raw["secrets"]), ...textsIn(overlay?.secrets)];
    throw new ConfigError(source, present(findings, secrets));
  }
  return parsed.data;
}

function structured(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Every text in a structure. */
function textsIn(value: unknown): string[] {
  if (typeof value === "string") return value === "" ? [] : [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(textsIn);
}

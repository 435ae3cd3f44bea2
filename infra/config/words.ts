import { z } from "zod";

/**
 * The small words of the schema: each knows what it allows and how to mend it, so that every error can name
 * path, value, what is allowed and the fix.
 */

/** Splits `allowed` from `fix` inside a zod message; it cannot occur in either. */
const SEPARATOR = "\u001f";

/** The message of an issue: what is allowed, and what to do. */
export function says(allowed: string, fix: string): string {
  return `${allowed}${SEPARATOR}${fix}`;
}

/** The inverse of `says`; undefined for zod's own messages. */
export function said(message: string): { readonly allowed: string; readonly fix: string } | undefined {
  const [allowed, fix] = message.split(SEPARATOR);
  return allowed !== undefined && fix !== undefined ? { allowed, fix } : undefined;
}

/** An object that refuses keys it does not know and names the ones it does. */
export function section<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code === "unrecognized_keys") {
        const near = nearest(issue.keys[0] ?? "", known);
        return says(
          `one of ${known.join(", ")}`,
          near === undefined ? "remove the key" : `rename it to ${near}, or remove it`,
        );
      }
      return says(`an object with ${known.join(", ")}`, "write it as a YAML mapping");
    },
  });
}

/** Text that matches a pattern. */
export function text(pattern: RegExp, allowed: string, fix: string): z.ZodString {
  const message = says(allowed, fix);
  return z.string({ error: message }).regex(pattern, { error: message });
}

/** A whole number between two bounds, both included. */
export function whole(least: number, most: number, unit: string, fix: string): z.ZodInt {
  const message = says(`a whole number from ${least} to ${most}${unit === "" ? "" : ` (${unit})`}`, fix);
  return z.int({ error: message }).min(least, { error: message }).max(most, { error: message });
}

/** One of a few words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(
  words: Words,
  fix: string,
): z.ZodEnum<{ [W in Words[number]]: W }> {
  return z.enum(words, { error: says(words.join(", "), fix) });
}

/** A time in HAProxy's words: a number and its unit, e.g. `500ms`, `2s`, `12h`. */
export const Duration = text(
  /^[1-9][0-9]{0,5}(ms|s|m|h|d)$/,
  "a number with its unit (ms, s, m, h or d), e.g. 2s",
  "write the unit behind the number",
);

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a `Duration`. */
export function milliseconds(duration: string): number {
  const match = /^([0-9]+)(ms|s|m|h|d)$/.exec(duration);
  if (match?.[1] === undefined || match[2] === undefined) throw new Error(`not a duration: ${duration}`);
  return Number(match[1]) * (UNITS[match[2]] ?? 1);
}

/** A port that a container publishes. */
export const Port = whole(1024, 65_535, "", "choose an unprivileged port");

/** The name of a place: part of resource names, file names and (with _ for -) slot names. */
export const Name = text(
  /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/,
  "lower-case letters, digits and single hyphens, beginning with a letter, at most 40 characters",
  "rename it; names are identity, so choose one that stays true",
).max(40, { error: says("at most 40 characters", "choose a shorter name") });

/** A Docker container, volume or network name. */
export const DockerName = text(
  /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,62}$/,
  "2 to 63 letters, digits, '_', '.' and '-', beginning with a letter or digit (Docker's rule)",
  "choose a name that Docker accepts",
);

/** An SQL identifier that needs no quotes. */
export const Identifier = text(
  /^[a-z_][a-z0-9_]{0,62}$/,
  "lower-case letters, digits and '_', beginning with a letter or '_', at most 63 characters",
  "choose a name that PostgreSQL takes without quotes",
);

/** The candidate with the fewest edits, where they are few enough to be a slip of the keyboard. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, edits: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  const best = ranked[0];
  return best !== undefined && best.edits <= Math.max(2, Math.floor(word.length / 3))
    ? best.candidate
    : undefined;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, x] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, y] of [...b].entries()) {
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (x === y ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

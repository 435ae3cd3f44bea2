import { z } from "zod";

/**
 * The small words of the schema: each knows what it allows and how to mend it, so that every error can name
 * path, value, what is allowed and the fix.
 */

/** What the reference and the JSON schema say of a value beyond its type. */
interface Notes {
  /** What may stand there, in words. */
  readonly allowed?: string;
  /** Set for keys that are identity: what changing them does. */
  readonly identity?: string;
  /** Set for values that stand encrypted in the stack file. */
  readonly secret?: true;
}
export const notes = z.registry<Notes>();

/** Marks a key as identity. */
export function identity<Schema extends z.ZodType>(schema: Schema, changing: string): Schema {
  notes.add(schema, { ...notes.get(schema), identity: changing });
  return schema;
}

/** Splits the parts of a zod message; it cannot occur in any. */
const SEPARATOR = "\u001f";

/** What a message carries from the schema to the report. */
export interface Words {
  readonly allowed: string;
  readonly fix: string;
  /** Words that could have been meant, to find a slip of the keyboard. */
  readonly known: readonly string[];
}

/** The message of an issue: what is allowed, and what to do. */
export function says(allowed: string, fix: string, known: readonly string[] = []): string {
  return [allowed, fix, ...known].join(SEPARATOR);
}

/** The inverse of `says`; undefined for zod's own messages, which no user may see. */
export function said(message: string): Words | undefined {
  const [allowed, fix, ...known] = message.split(SEPARATOR);
  return allowed !== undefined && fix !== undefined ? { allowed, fix, known } : undefined;
}

/** A mapping that refuses keys it does not know and names the ones it does. */
export function section<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? says(`one of ${known.join(", ")}`, "remove the key", known)
        : says(`a mapping with ${known.join(", ")}`, "write its keys below it, indented"),
  });
}

/** A mapping whose keys are names of the operator's choice. */
export function mapping<Key extends z.ZodString, Value extends z.ZodType>(
  key: Key,
  value: Value,
  what: string,
): z.ZodRecord<Key, Value> {
  return z.record(key, value, { error: says(`a mapping of ${what}`, "write each one below it, indented") });
}

/** A list. */
export function list<Element extends z.ZodType>(element: Element, what: string): z.ZodArray<Element> {
  return z.array(element, { error: says(`a list of ${what}`, "write each one behind a hyphen") });
}

/** Text that matches a pattern. */
export function text(pattern: RegExp, allowed: string, fix: string): z.ZodString {
  const message = says(allowed, fix);
  return z.string({ error: message }).regex(pattern, { error: message }).register(notes, { allowed });
}

/** true or false. */
export function yesOrNo(fix: string): z.ZodBoolean {
  return z.boolean({ error: says("true or false", fix) });
}

/** A whole number between two bounds, both included. */
export function whole(least: number, most: number, unit: string, fix: string): z.ZodInt {
  const allowed = `a whole number from ${least} to ${most}${unit === "" ? "" : ` (${unit})`}`;
  const error = says(allowed, fix);
  return z.int({ error }).min(least, { error }).max(most, { error }).register(notes, { allowed });
}

/** One of a few words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(
  words: Words,
  fix: string,
): z.ZodEnum<{ [W in Words[number]]: W }> {
  return z.enum(words, { error: says(words.join(", "), fix, words) });
}

/** HAProxy keeps times as 32-bit milliseconds: 24.8 days. */
const LONGEST = 2_147_483_647;

const DURATION = /^[1-9][0-9]{0,9}(ms|s|m|h|d)$/;

/** A time in HAProxy's words: a number and its unit, e.g. `500ms`, `2s`, `12h`. At most 24 days. */
export const Duration = text(
  DURATION,
  "a whole number with its unit (ms, s, m, h or d), e.g. 2s; at most 24d",
  "write the unit behind the number, e.g. 2s",
).refine((value) => !DURATION.test(value) || milliseconds(value) <= LONGEST, {
  error: says("at most 24d (HAProxy's longest time)", "choose a shorter time"),
});

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
  /^(?=.{1,40}$)[a-z][a-z0-9]*(-[a-z0-9]+)*$/,
  "lower-case letters, digits and single hyphens, beginning with a letter, at most 40 characters",
  "choose a name that stays true: it is identity",
);

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
  for (const [i, x] of Array.from(a).entries()) {
    const next = [i + 1];
    for (const [j, y] of Array.from(b).entries()) {
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (x === y ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

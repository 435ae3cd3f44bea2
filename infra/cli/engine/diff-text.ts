import { structuredPatch } from "diff";

import { differences } from "../../engine/compare.ts";
import type { Difference } from "../../engine/compare.ts";
import type { Step } from "../../engine/events.ts";
import { contains, formatPath, parsePath } from "../../engine/property-path.ts";
import type { PathElement } from "../../engine/property-path.ts";
import { isList, isMap, unwrap } from "../../engine/value-tools.ts";
import { Archive, Asset, ResourceReference, Secret, Unknown } from "../../engine/values.ts";
import type { Value, ValueMap } from "../../engine/values.ts";
import type { Paint } from "./paint.ts";

export interface DiffOptions {
  readonly paint: Paint;
  readonly showSecrets: boolean;
  /** Width of the terminal, into which long lines are wrapped. @default none: nothing is wrapped */
  readonly columns?: number | undefined;
}

const CONTEXT_LINES = 3;

/**
 * The property lines of one step, without indentation: what is added, changed and removed. Properties of `hideDiffs`
 * are left out; where nothing else changes, one line names them.
 */
export function diffLines(step: Step, options: DiffOptions): readonly string[] {
  const hidden = (step.after?.hideDiff ?? step.before?.hideDiff ?? []).map(parsePath);
  const lines: string[] = [];
  const silent = new Set<string>();
  for (const difference of stepDifferences(step)) {
    if (hidden.some((pattern) => contains(pattern, difference.path))) {
      silent.add(String(difference.path[0] ?? ""));
    } else {
      const label = formatPath(difference.path) + replaceNote(step, difference, options.paint);
      lines.push(...differenceLines(difference, label, options));
    }
  }
  if (lines.length > 0 || silent.size === 0) return lines;
  const mark = step.before === undefined ? options.paint.green("+") : options.paint.yellow("~");
  return [`${mark} ${[...silent].join(", ")}: [diff hidden]`];
}

/** Inputs that differ, then outputs that the provider found to have drifted. */
function stepDifferences(step: Step): readonly Difference[] {
  const { before, after } = step;
  if (step.operation === "refresh" || after === undefined) return [];
  if (before === undefined) return differences({}, after.inputs);
  const inputs = differences(before.inputs, after.inputs);
  const drift = Object.entries(step.detailedDiff ?? {})
    .filter(([, entry]) => !entry.inputDiff)
    .map(([text]): Difference => {
      const path = parsePath(text);
      return { path, before: valueAt(before.outputs, path), after: valueAt(after.inputs, path) };
    });
  const isShown = ({ path }: Difference): boolean =>
    inputs.some((input) => contains(input.path, path) || contains(path, input.path));
  return [...inputs, ...drift.filter((difference) => !isShown(difference))];
}

/** What a refresh found: recorded outputs against real ones, of the properties that count as drift. */
export function refreshLines(step: Step, options: DiffOptions): readonly string[] {
  const { before, after, changedKeys } = step;
  if (before === undefined || after === undefined) return [];
  return differences(before.outputs, after.outputs)
    .filter(({ path }) => changedKeys.includes(String(path[0] ?? "")))
    .flatMap((difference) => differenceLines(difference, formatPath(difference.path), options));
}

/** Lines for two maps, e.g. a stack's outputs. */
export function mapDiffLines(before: ValueMap, after: ValueMap, options: DiffOptions): readonly string[] {
  return differences(before, after).flatMap((difference) =>
    differenceLines(difference, formatPath(difference.path), options),
  );
}

function valueAt(map: ValueMap, path: readonly PathElement[]): Value | undefined {
  let value: Value | undefined = map;
  for (const element of path) {
    const inner: Value | undefined = value === undefined ? undefined : unwrap(value);
    if (isMap(inner)) value = inner[String(element)];
    else if (isList(inner)) value = inner[Number(element)];
    else return undefined;
  }
  return value;
}

function replaceNote(step: Step, { path }: Difference, paint: Paint): string {
  const key = String(path[0] ?? "");
  const text = formatPath(path);
  const replaces =
    step.replaceKeys.includes(key) || step.detailedDiff?.[text]?.kind.endsWith("-replace") === true;
  return replaces && step.before !== undefined ? ` ${paint.red("(forces replacement)")}` : "";
}

function sign({ before, after }: Difference, paint: Paint): string {
  if (before === undefined) return paint.green("+");
  return after === undefined ? paint.red("-") : paint.yellow("~");
}

function differenceLines(difference: Difference, label: string, options: DiffOptions): readonly string[] {
  const { before, after } = difference;
  const mark = sign(difference, options.paint);
  const texts = textPair(before, after, options);
  if (texts !== undefined) return [`${mark} ${label}:`, ...lineDiff(texts[0], texts[1], options.paint)];
  if (before === undefined)
    return labelled(mark, label, renderValue(after ?? null, options), options.paint.green);
  if (after === undefined) return labelled(mark, label, renderValue(before, options), options.paint.red);
  const old = renderValue(before, options);
  const now = renderValue(after, options);
  if (old.length === 1 && now.length === 1) {
    const same = old[0] === now[0] ? options.paint.dim(" (changed)") : "";
    return [`${mark} ${label}: ${old[0] ?? ""} => ${now[0] ?? ""}${same}`];
  }
  const { red, green } = options.paint;
  return [
    `${mark} ${label}:`,
    ...old.map((line) => red(`  - ${line}`)),
    ...now.map((line) => green(`  + ${line}`)),
  ];
}

function labelled(
  mark: string,
  label: string,
  [first = "", ...rest]: readonly string[],
  color: (text: string) => string,
): readonly string[] {
  return [`${mark} ${label}: ${color(first)}`, ...rest.map((line) => `  ${color(line)}`)];
}

/** The two sides as texts of lines, when that is how they are best compared. */
function textPair(
  before: Value | undefined,
  after: Value | undefined,
  options: DiffOptions,
): readonly [string, string] | undefined {
  const old = before === undefined ? undefined : textOf(before, options);
  const now = after === undefined ? undefined : textOf(after, options);
  if (old === undefined && now === undefined) return undefined;
  if (before !== undefined && old === undefined) return undefined;
  if (after !== undefined && now === undefined) return undefined;
  const isMultiline = (old ?? "").includes("\n") || (now ?? "").includes("\n");
  return isMultiline ? [old ?? "", now ?? ""] : undefined;
}

function textOf(value: Value, options: DiffOptions): string | undefined {
  if (value instanceof Secret) return options.showSecrets ? textOf(value.value, options) : undefined;
  if (typeof value === "string") return value;
  return value instanceof Asset ? value.text : undefined;
}

function lineDiff(before: string, after: string, paint: Paint): readonly string[] {
  if (before === "") return linesOf(after).map((line) => paint.green(`  +${line}`));
  if (after === "") return linesOf(before).map((line) => paint.red(`  -${line}`));
  const patch = structuredPatch("", "", before, after, undefined, undefined, { context: CONTEXT_LINES });
  return patch.hunks.flatMap((hunk) => [
    paint.cyan(`  @@ -${hunk.oldStart},${hunk.oldLines} +${hunk.newStart},${hunk.newLines} @@`),
    ...hunk.lines.map((line) => {
      const text = `  ${line}`;
      if (line.startsWith("+")) return paint.green(text);
      return line.startsWith("-") ? paint.red(text) : paint.dim(text);
    }),
  ]);
}

const linesOf = (text: string): readonly string[] => text.replace(/\n$/, "").split("\n");

/** A value as one or more lines; secrets masked unless asked for. */
export function renderValue(value: Value, options: DiffOptions): readonly string[] {
  if (value instanceof Secret) {
    return options.showSecrets ? renderValue(value.value, options) : [options.paint.magenta("[secret]")];
  }
  if (value instanceof Unknown) return [options.paint.dim("[unknown]")];
  if (value instanceof Asset) return [`asset(${value.path ?? "text"}) ${value.hash.slice(0, 7)}`];
  if (value instanceof Archive) return [`archive(${value.path ?? "assets"}) ${value.hash.slice(0, 7)}`];
  if (value instanceof ResourceReference) return [value.urn.split("::").at(-1) ?? value.urn];
  if (isList(value))
    return block(
      "[",
      value.map((item) => renderValue(item, options)),
      "]",
    );
  if (isMap(value)) {
    const members = Object.entries(value)
      .filter(([key]) => !key.startsWith("__"))
      .map(([key, item]) => {
        const [first = "", ...rest] = renderValue(item, options);
        return [`${key}: ${first}`, ...rest];
      });
    return block("{", members, "}");
  }
  return [JSON.stringify(value)];
}

function block(open: string, members: readonly (readonly string[])[], close: string): readonly string[] {
  const isShort =
    members.every((lines) => lines.length === 1) && members.map(([line]) => line).join(", ").length < 60;
  if (isShort) return [`${open}${members.map(([line]) => line).join(", ")}${close}`];
  return [open, ...members.flatMap((lines) => lines.map((line) => `  ${line}`)), close];
}

import type { EngineEvent, Step } from "../../engine/events.ts";
import { STACK_TYPE } from "../../engine/urn.ts";
import { diffLines } from "./diff-text.ts";
import type { DiffOptions } from "./diff-text.ts";
import { colored, nameOf, shortType, wordsOf } from "./labels.ts";
import { wrapLine } from "./wrap-text.ts";

interface Row {
  readonly step: Step;
  readonly children: Row[];
}

/**
 * Collects the steps of a preview and draws them as the tree of the program: changed resources with their parents,
 * unchanged branches left out.
 */
export class PreviewTree {
  readonly #steps = new Map<string, Step>();

  /** Takes every event; keeps what is shown. */
  add(event: EngineEvent): void {
    if (event.kind !== "done" && event.kind !== "failed") return;
    const { step } = event;
    if (step.hidden || (step.part && event.kind === "done")) return;
    // What an earlier run left to be deleted shares its URN with what took its place.
    this.#steps.set(step.operation === "delete-replaced" ? `${step.urn}#old` : step.urn, step);
  }

  lines(options: DiffOptions & { readonly withDiff: boolean }): readonly string[] {
    return this.#roots().flatMap((row) => rowLines(row, "", "", options));
  }

  #roots(): readonly Row[] {
    const rows = new Map<string, Row>();
    for (const [key, step] of this.#steps) rows.set(key, { step, children: [] });
    const roots: Row[] = [];
    for (const row of rows.values()) {
      const parent = (row.step.after ?? row.step.before)?.parent ?? "";
      const above = rows.get(parent);
      if (above === undefined) roots.push(row);
      else above.children.push(row);
    }
    return roots.flatMap(pruned);
  }
}

/** The row with only those branches in which something changes; nothing when there is none. */
function pruned(row: Row): readonly Row[] {
  const children = row.children.flatMap(pruned);
  const isChanged = isProtectChange(row.step) || !["same", "read"].includes(row.step.operation);
  const isStack = row.step.type === STACK_TYPE;
  return isChanged || isStack || children.length > 0 ? [{ step: row.step, children }] : [];
}

/** What is protected is worth a reader's look even where nothing else changes. */
function isProtectChange({ before, after }: Step): boolean {
  return before !== undefined && after !== undefined && before.protect !== after.protect;
}

function rowLines(
  row: Row,
  branch: string,
  indent: string,
  options: DiffOptions & { readonly withDiff: boolean },
): readonly string[] {
  const { step, children } = row;
  const { paint } = options;
  const sign = colored(step.operation, wordsOf(step.operation).sign.padStart(2), paint);
  const name = `${shortType(step.type)} ${paint.bold(nameOf(step.urn))}`;
  const changed =
    !options.withDiff && step.before !== undefined && step.after !== undefined
      ? changedNote(step, options)
      : "";
  const guide = `   ${paint.dim(indent + (children.length > 0 ? "│  " : "   "))} `;
  const label = `${name}${operationNote(step, options)}${changed}`;
  const lines = [...wrapLine(`${sign} ${paint.dim(branch)}`, label, options.columns, guide)];
  if (options.withDiff && step.operation !== "same") {
    lines.push(...diffLines(step, options).flatMap((line) => wrapLine(guide, line, options.columns)));
  }
  children.forEach((child, index) => {
    const isLast = index === children.length - 1;
    lines.push(
      ...rowLines(child, `${indent}${isLast ? "└─ " : "├─ "}`, `${indent}${isLast ? "   " : "│  "}`, options),
    );
  });
  return lines;
}

function operationNote(step: Step, { paint }: DiffOptions): string {
  if (step.operation === "create") return "";
  const protection = isProtectChange(step)
    ? paint.yellow(step.after?.protect === true ? " protected from now on" : " no longer protected")
    : "";
  if (step.operation === "same") return protection;
  if (step.before?.retainOnDelete === true && step.operation === "delete") {
    return ` ${paint.yellow("leaves the state, stays where it is (retainOnDelete)")}`;
  }
  const reasons =
    step.operation === "replace" && step.replaceKeys.length > 0 ? `: ${step.replaceKeys.join(", ")}` : "";
  const stopped = isStoppedContainer(step) ? paint.yellow(" (it is stopped)") : "";
  return ` ${colored(step.operation, `${step.operation}${reasons}`, paint)}${stopped}${protection}`;
}

/** Its drift is told by properties (`mustRun`, and `ports`, which a stopped one has none of) that hide the cause. */
function isStoppedContainer({ type, before, after }: Step): boolean {
  const isContainer = type === "docker:index/container:Container";
  return isContainer && before?.outputs["mustRun"] === false && after?.inputs["mustRun"] !== false;
}

function changedNote(step: Step, { paint }: DiffOptions): string {
  const keys = step.changedKeys.filter(
    (key) => !(step.operation === "replace" && step.replaceKeys.includes(key)),
  );
  return keys.length === 0 ? "" : paint.dim(` [${keys.join(", ")}]`);
}

import type { RunbookEnd } from "../../runbooks/execute/runbook.ts";
import type { StepEvent } from "../../runbooks/execute/run-steps.ts";
import type { Finding } from "../../runbooks/judge.ts";
import type { LedgerEntry } from "../../runbooks/observe/observation.ts";
import type { Check, Plan } from "../../runbooks/plan/step.ts";
import { GAP_STEPS } from "../../runbooks/plan/flip.ts";
import { durationText, spanText } from "../../runbooks/words.ts";
import type { Paint } from "../engine/paint.ts";

/** Lines of a runbook's progress. Pure. */

export function checkLines(checks: readonly Check[], paint: Paint): readonly string[] {
  return checks.map(({ title, objection }) =>
    objection === undefined ? `${paint.green("✓")} ${title}` : `${paint.red("✗")} ${title}: ${objection}`,
  );
}

/** @param gap steps between which the application cannot write; they are marked */
export function planLines(plan: Plan, paint: Paint, gap: readonly string[] = []): readonly string[] {
  return plan.steps.map((step, at) => {
    const mark = gap.includes(step.id) ? paint.yellow("│") : " ";
    const final = step.final === true ? paint.yellow("  (from here there is no way back)") : "";
    return `${String(at + 1).padStart(2)} ${mark}${step.title}${final}`;
  });
}

export function stepLine(event: StepEvent, paint: Paint): string | undefined {
  switch (event.kind) {
    case "begin":
      return undefined;
    case "done":
      return `${paint.green("✓")} ${event.step.title} ${paint.dim(spanText(event.ms))}`;
    case "failed":
      return `${paint.red("✗")} ${event.step.title} ${paint.dim(spanText(event.ms))}: ${event.why}`;
    case "undo":
      return event.why === undefined
        ? `${paint.yellow("↩")} back: ${event.step.title}`
        : `${paint.red("✗")} back: ${event.step.title}: ${event.why}`;
  }
}

export function endLines(
  { entry, outcome, loose }: RunbookEnd,
  after: readonly [Finding, ...Finding[]],
  paint: Paint,
): readonly string[] {
  const [verdict] = after;
  const warned = outcome.result === "done" && outcome.warnings.length > 0;
  const word = {
    done: warned ? paint.yellow("done, but for what is marked ! above") : paint.green("done"),
    aborted: unserved(outcome)
      ? paint.red("aborted, nothing was promoted, and the old primary does not serve")
      : paint.yellow("aborted, all is as it was"),
    attention: paint.red("needs attention"),
  }[outcome.result];
  return [
    ...(outcome.result === "done"
      ? outcome.warnings.map((warning) => `${paint.yellow("!")} ${warning}`)
      : []),
    ...loose.map((text) => `${paint.yellow("!")} not written: ${text}`),
    `${entry.verb}${entry.to === null ? "" : ` ${entry.to}`}: ${word}${outcome.result === "done" ? "" : `: ${outcome.why}`}`,
    ...(entry.lsns?.shutdown == null
      ? []
      : [
          `  proof  ${entry.from ?? "?"} shut down at ${entry.lsns.shutdown}, ${entry.to ?? "?"} replayed ${entry.lsns.replayed ?? "?"}; timeline ${entry.timelines?.before ?? "?"} → ${entry.timelines?.after ?? "?"}`,
        ]),
    `  now    ${verdict.text}`,
    `  next   ${verdict.next}`,
    ...gapLine(entry),
  ];
}

/** Whether a run went back to a primary that does not take writes. */
export function unserved(outcome: RunbookEnd["outcome"]): boolean {
  return outcome.result === "aborted" && outcome.unserved !== undefined;
}

function gapLine(entry: LedgerEntry): string[] {
  const ms = entry.result === "done" ? gapOf(entry) : undefined;
  if (ms === undefined) return [];
  return entry.verb === "flip-db"
    ? [`Writes stopped for ${spanText(ms)}; new connections waited.`]
    : [`Writes stopped for about ${spanText(ms)}, and until the routers' next check.`];
}

const PROMOTE_GAP = ["stop", "proof", "fence", "grant", "promote", "timeline", "serve"];

/**
 * How long writes could not be taken, milliseconds. Undefined where it was not measured: a resumed run's first steps
 * were timed by a controller that is gone.
 */
export function gapOf({ verb, phases }: LedgerEntry): number | undefined {
  const parts = verb === "flip-db" ? GAP_STEPS : PROMOTE_GAP;
  const ends = verb === "flip-db" ? ["hold", "release"] : ["stop", "promote"];
  if (!ends.every((part) => phases[part] !== undefined)) return undefined;
  return parts.reduce((sum, part) => sum + (phases[part] ?? 0), 0);
}

export function historyLines(entries: readonly LedgerEntry[], paint: Paint): readonly string[] {
  if (entries.length === 0) return ["The ledger is empty."];
  const rows = entries.map((entry) => {
    const seconds =
      entry.ended === null ? undefined : (Date.parse(entry.ended) - Date.parse(entry.started)) / 1000;
    const epochs = entry.epochs === null ? "-" : `${entry.epochs.before} → ${entry.epochs.after}`;
    const way = `${entry.from ?? "-"} → ${entry.to ?? "-"}`;
    return [
      entry.started.slice(0, 19).replace("T", " "),
      entry.verb,
      way,
      epochs,
      entry.result ?? "unfinished",
      seconds === undefined ? "-" : durationText(seconds),
      entry.who,
    ];
  });
  const head = ["STARTED (UTC)", "VERB", "SITES", "EPOCH", "RESULT", "TOOK", "WHO"];
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd();
  return [paint.dim(line(head)), ...rows.map(line)];
}

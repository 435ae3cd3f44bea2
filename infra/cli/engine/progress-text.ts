import type { EngineEvent, Step } from "../../engine/events.ts";
import { diffLines, refreshLines } from "./diff-text.ts";
import type { DiffOptions } from "./diff-text.ts";
import { colored, formatSeconds, nameOf, shortType, wordsOf } from "./labels.ts";
import { wrapLine } from "./wrap-text.ts";

export interface ProgressOptions extends DiffOptions {
  readonly withDiff: boolean;
  readonly write: (line: string) => void;
}

/** Tells, line by line, what an update, refresh or destroy does to each resource. */
export class Progress {
  readonly #options: ProgressOptions;

  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  add(event: EngineEvent): void {
    const { paint, write } = this.#options;
    switch (event.kind) {
      case "step":
        this.#started(event.step);
        break;
      case "done":
        this.#done(event.step, event.seconds);
        break;
      case "failed":
        if (!event.step.hidden) {
          const words = wordsOf(event.step.operation);
          write(`${paint.red(" !")} ${this.#label(event.step)} ${paint.red(`${words.present} failed`)}`);
        }
        break;
      case "status":
        write(paint.dim(`     ${nameOf(event.urn)}: ${event.message}`));
        break;
      default:
    }
  }

  #started(step: Step): void {
    if (isQuiet(step) || step.operation === "refresh") return;
    const { paint, write, withDiff } = this.#options;
    // A component takes no time: its end says enough.
    const isWork = (step.after ?? step.before)?.custom === true;
    if (isWork)
      write(
        paint.dim(`   ${shortType(step.type)} ${nameOf(step.urn)} ${wordsOf(step.operation).present} ...`),
      );
    if (!withDiff || step.operation === "create-replacement") return;
    this.#indented(diffLines(step, this.#options));
  }

  #done(step: Step, seconds: number): void {
    if (isQuiet(step)) return;
    const { paint, write, withDiff } = this.#options;
    const words = wordsOf(step.operation);
    const sign = colored(step.operation, words.sign.padStart(2), paint);
    write(
      `${sign} ${this.#label(step)} ${colored(step.operation, words.past, paint)} ${paint.dim(`(${formatSeconds(seconds)})`)}`,
    );
    if (!withDiff || step.before === undefined || step.operation !== "update") return;
    if (step.after?.outputs === step.before.outputs) return;
    const isRefresh =
      Object.values(step.detailedDiff ?? {}).length > 0 && step.before.inputs === step.after?.inputs;
    if (isRefresh) this.#indented(refreshLines(step, this.#options));
  }

  #indented(lines: readonly string[]): void {
    const { columns, write } = this.#options;
    for (const line of lines) for (const part of wrapLine("      ", line, columns)) write(part);
  }

  #label(step: Step): string {
    return `${shortType(step.type)} ${this.#options.paint.bold(nameOf(step.urn))}`;
  }
}

/** Steps that change nothing, and the parts of a replacement, whose whole is told. */
function isQuiet(step: Step): boolean {
  return (
    step.hidden || step.operation === "same" || step.operation === "read" || step.operation === "replace"
  );
}

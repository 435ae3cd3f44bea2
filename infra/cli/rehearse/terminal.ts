import { createInterface } from "node:readline/promises";
import pc from "picocolors";
import type { Progress } from "../../rehearsal/progress.ts";
import { RehearsalError } from "../../rehearsal/trouble.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

interface Active {
  readonly title: string;
  readonly since: number;
  status: string;
}

/**
 * Progress on stderr. At a terminal: running steps as live lines below the finished ones. Elsewhere (a log, CI): one
 * line when a step begins and one when it ends, so that a reader always sees where it stands.
 */
export class TerminalProgress implements Progress {
  readonly #out = process.stderr;
  readonly #live = process.stderr.isTTY && process.env["TERM"] !== "dumb";
  readonly #active = new Set<Active>();
  #drawn = 0;
  #frame = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #hint: (text: string) => string;

  /** @param hint completes the commands in notes */
  constructor(hint: (text: string) => string = (text) => text) {
    this.#hint = hint;
  }

  async step<T>(title: string, work: (status: (text: string) => void) => Promise<T>): Promise<T> {
    const active: Active = { title, since: performance.now(), status: "" };
    this.#active.add(active);
    if (this.#live) this.#timer ??= setInterval(() => this.#draw(), 100);
    else this.#out.write(`… ${title}\n`);
    try {
      const result = await work((text) => (active.status = text));
      this.#finish(active, pc.green("✓"));
      return result;
    } catch (error) {
      this.#finish(active, pc.red("✗"));
      throw error;
    }
  }

  note(text: string): void {
    this.#clear();
    this.#out.write(`${this.#hint(text)}\n`);
    if (this.#live) this.#draw();
  }

  #finish(active: Active, mark: string): void {
    this.#active.delete(active);
    this.#clear();
    this.#out.write(`${mark} ${active.title} ${pc.dim(seconds(performance.now() - active.since))}\n`);
    if (this.#active.size > 0 && this.#live) this.#draw();
    if (this.#active.size === 0 && this.#timer !== undefined) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #clear(): void {
    if (this.#drawn === 0) return;
    this.#out.write(`\x1b[${this.#drawn}A\x1b[0J`);
    this.#drawn = 0;
  }

  #draw(): void {
    this.#clear();
    this.#frame += 1;
    // A line that wraps would be two to clear.
    const width = (this.#out.columns || 80) - 1;
    for (const step of this.#active) {
      const frame = FRAMES[this.#frame % FRAMES.length] ?? "";
      const time = seconds(performance.now() - step.since);
      const title = step.title.slice(0, Math.max(10, width - time.length - 4));
      const status = step.status.slice(0, Math.max(0, width - title.length - time.length - 5));
      this.#out.write(`${pc.cyan(frame)} ${title} ${pc.dim(`${time}  ${status}`)}\n`);
      this.#drawn += 1;
    }
  }
}

/** `0.4 s`, `12.0 s`, `3 min 5 s`. */
export function seconds(milliseconds: number): string {
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const whole = Math.round(milliseconds / 1000);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Asks yes or no. `yes` answers for the operator; without a terminal and without it, the question is an error. */
export async function ask(question: string, yes: boolean): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new RehearsalError(
      question,
      "there is no terminal to ask at",
      "answer yes beforehand with -y (--yes)",
    );
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

/**
 * An error as the operator reads it: what, why, what to do.
 * @param hint completes the commands in what to do
 */
export function explain(error: unknown, hint: (text: string) => string = (text) => text): string {
  if (!(error instanceof Error)) return `${pc.red("error:")} ${String(error)}`;
  if (!(error instanceof RehearsalError)) return `${pc.red("error:")} ${error.message}`;
  const why = error.why
    .trim()
    .split("\n")
    .map((line) => `         ${line}`)
    .join("\n")
    .trimStart();
  return [
    `${pc.red("error:")} ${error.message}`,
    `  ${pc.dim("why")}    ${why}`,
    `  ${pc.dim("next")}   ${hint(error.next)}`,
  ].join("\n");
}

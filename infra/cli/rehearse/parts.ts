import pc from "picocolors";
import { RehearsalError } from "../../rehearsal/trouble.ts";
import type { World } from "../../rehearsal/world.ts";
import type { Context } from "./context.ts";
import { runInside } from "./inside.ts";
import { seconds } from "./terminal.ts";

export interface Phase {
  readonly phase: string;
  readonly milliseconds: number;
}

/** `--expect-no-changes` of bin/engine: there would be some. */
const CHANGES = 7;

/** A rehearsal told in numbered parts, each with its time. */
export class Parts {
  readonly phases: Phase[] = [];
  readonly #at: Context;
  readonly #json: boolean;

  constructor(at: Context) {
    this.#at = at;
    this.#json = at.globals.json === true;
  }

  /** For a reader: on stderr where stdout is for programs. */
  readonly say = (line = ""): void => void (this.#json ? process.stderr : process.stdout).write(`${line}\n`);

  async part<T>(title: string, work: () => Promise<T>): Promise<T> {
    this.say();
    this.say(pc.bold(`${this.phases.length + 1}. ${title}`));
    const started = performance.now();
    const result = await work();
    this.phases.push({ phase: title, milliseconds: performance.now() - started });
    return result;
  }

  /** `bin/engine` on the world's copy of the checkout. @returns its exit code */
  engine({ plan }: World, verb: string, ...options: readonly string[]): Promise<number> {
    return runInside(plan.controller, ["bin/engine", verb, "--stack", this.#at.stack, ...options], {
      exec: ["-w", "/heatwave"],
      stdoutToStderr: this.#json,
    });
  }

  /** @throws {RehearsalError} where what was just applied would be changed again */
  async cleanPreview(world: World): Promise<void> {
    const code = await this.engine(world, "preview", "--expect-no-changes");
    if (code === CHANGES) {
      throw new RehearsalError(
        "The preview after up is not clean",
        "something that was just applied would be changed again; the preview above names it",
        "bin/rehearse preview --diff",
      );
    }
    demand(code, "The second preview failed");
  }

  /** Whether the preview of what stands there shows changes. @throws {RehearsalError} where it fails */
  async changesIn(world: World, ...options: readonly string[]): Promise<boolean> {
    const code = await this.engine(world, "preview", ...options, "--expect-no-changes");
    demand(code === CHANGES ? 0 : code, "The preview of the change failed");
    return code === CHANGES;
  }

  /** The time of each part, and of all. */
  times(): void {
    const line = (phase: string, milliseconds: number): void =>
      this.say(`  ${phase.padEnd(46)}${seconds(milliseconds).padStart(12)}`);
    this.say();
    this.say(pc.bold("Times"));
    for (const { phase, milliseconds } of this.phases) line(phase, milliseconds);
    line(
      "in all",
      this.phases.reduce((sum, { milliseconds }) => sum + milliseconds, 0),
    );
  }
}

/** @throws {RehearsalError} unless the engine ended well */
export function demand(exitCode: number, what: string): void {
  if (exitCode === 0) return;
  throw new RehearsalError(
    what,
    `the engine ended with exit code ${exitCode}; its own words are above`,
    "run bin/rehearse again: what is done is kept; or begin anew: bin/rehearse down",
  );
}

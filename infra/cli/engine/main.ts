import { createInterface } from "node:readline/promises";

import { EngineError, NoSuchStackError, cancelLocks, runEngine, stackOutputs } from "../../engine/index.ts";
import type { Command, EngineEvent, EngineOptions, Result } from "../../engine/index.ts";
import { packages } from "../../engine/providers/index.ts";
import { mapToJson, maskSecret, openSecret, toJson } from "../../engine/state-values.ts";
import { hasSecret } from "../../engine/value-tools.ts";
import type { ValueMap } from "../../engine/values.ts";
import { mapDiffLines, renderValue } from "./diff-text.ts";
import type { DiffOptions } from "./diff-text.ts";
import { EventLines, PreviewDigest, withoutColor } from "./json.ts";
import { nameOf, summaryLine } from "./labels.ts";
import { paintFor } from "./paint.ts";
import type { Paint } from "./paint.ts";
import { PreviewTree } from "./preview-text.ts";
import { Progress } from "./progress-text.ts";

/** Options as the command line gives them. */
export interface CommonOptions {
  readonly stack: string;
  readonly cwd: string;
  readonly diff?: boolean;
  readonly json?: boolean;
  readonly parallel?: number;
  readonly yes?: boolean;
  readonly showSecrets?: boolean;
  readonly expectNoChanges?: boolean;
  readonly exclude?: readonly string[];
  readonly excludeSite?: readonly string[];
  readonly excludeDependents?: boolean;
  readonly runProgram?: boolean;
}

export const USAGE_ERROR = 2;
const FAILED = 1;
const UNEXPECTED_CHANGES = 7;

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const printError = (line: string): void => void process.stderr.write(`${line}\n`);

/** Runs a command and prints what it does; gives the exit code. */
export async function run(command: Command, options: CommonOptions): Promise<number> {
  return reported(async () => {
    if (command !== "preview" && options.yes !== true) {
      if (!process.stdin.isTTY || options.json === true) {
        printError(`error: --yes must be passed to ${command} where no question can be asked`);
        return USAGE_ERROR;
      }
      const shown = command === "up" ? await execute("preview", options) : undefined;
      if (shown?.succeeded === false) return FAILED;
      if (!(await confirmed(command, options.stack))) return FAILED;
    }
    const result = await execute(command, options);
    if (!result.succeeded) return FAILED;
    return options.expectNoChanges === true && changeCount(result) > 0 ? UNEXPECTED_CHANGES : 0;
  });
}

async function confirmed(command: Command, stack: string): Promise<boolean> {
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await prompt.question(`Do you want to ${command} ${stack}? Only "yes" does it: `);
    return answer.trim() === "yes";
  } finally {
    prompt.close();
  }
}

function changeCount({ changes }: Result): number {
  const { same: _same, read: _read, ...rest } = changes;
  return Object.values(rest).reduce((sum, count) => sum + count, 0);
}

async function execute(command: Command, options: CommonOptions): Promise<Result> {
  const view = viewFor(command, options);
  const { stop, cancel: cancelSignal, release } = stopOnSignals();
  try {
    const result = await runEngine({
      command,
      cwd: options.cwd,
      stack: options.stack,
      packages,
      stop,
      cancel: cancelSignal,
      onEvent: (event) => view.add(event),
      exclude: [...(options.exclude ?? []), ...(options.excludeSite ?? []).flatMap(globsOfSite)],
      excludeDependents: options.excludeDependents ?? false,
      runProgram: options.runProgram ?? false,
      ...(options.parallel === undefined ? {} : { parallel: options.parallel }),
    });
    view.end(result);
    return result;
  } finally {
    release();
  }
}

/** Everything of a site, router or host is named after it: itself, or with a dash and more. */
export function globsOfSite(name: string): readonly string[] {
  return [`**::${name}`, `**::${name}-*`];
}

/** The first Ctrl-C lets running steps finish, the second tells them to end as well. */
function stopOnSignals(): {
  readonly stop: AbortSignal;
  readonly cancel: AbortSignal;
  readonly release: () => void;
} {
  const stop = new AbortController();
  const cancelling = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) {
      cancelling.abort();
      return;
    }
    printError("Stopping: running steps are finished first; once more ends them.");
    stop.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    stop: stop.signal,
    cancel: cancelling.signal,
    release: () => {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    },
  };
}

interface View {
  add(event: EngineEvent): void;
  end(result: Result): void;
}

function viewFor(command: Command, options: CommonOptions): View {
  if (options.json === true) return jsonView(command);
  const paint = paintFor(process.stdout, process.env);
  return command === "preview" ? previewView(options, paint) : progressView(command, options, paint);
}

function jsonView(command: Command): View {
  if (command !== "preview") {
    const lines = new EventLines(print);
    return { add: (event) => lines.add(event), end: () => undefined };
  }
  const digest = new PreviewDigest();
  return { add: (event) => digest.add(event), end: () => print(digest.text()) };
}

function diffOptionsOf(options: CommonOptions, paint: Paint): DiffOptions & { readonly withDiff: boolean } {
  const columns = process.stdout.isTTY ? process.stdout.columns : undefined;
  return { paint, showSecrets: options.showSecrets === true, withDiff: options.diff === true, columns };
}

function previewView(options: CommonOptions, paint: Paint): View {
  const tree = new PreviewTree();
  const messages = new Messages(paint);
  const diffOptions = diffOptionsOf(options, paint);
  return {
    add: (event) => {
      if (event.kind === "prelude") print(`${paint.bold("Preview")} of stack ${options.stack}`);
      tree.add(event);
      messages.add(event);
    },
    end: (result) => {
      print("");
      for (const line of tree.lines(diffOptions)) print(line);
      messages.print();
      if (result.succeeded) printOutputDiff(result.outputsBefore, result.outputs, diffOptions);
      print("");
      print(summaryLine(result, paint));
    },
  };
}

function progressView(command: Command, options: CommonOptions, paint: Paint): View {
  const diffOptions = diffOptionsOf(options, paint);
  const progress = new Progress({ ...diffOptions, write: print });
  const messages = new Messages(paint);
  return {
    add: (event) => {
      if (event.kind === "prelude") print(`${paint.bold(command)} of stack ${options.stack}`);
      progress.add(event);
      messages.add(event);
    },
    end: (result) => {
      messages.print();
      if (result.succeeded && command === "up")
        printOutputDiff(result.outputsBefore, result.outputs, diffOptions);
      print("");
      print(summaryLine(result, paint));
    },
  };
}

function printOutputDiff(
  before: ValueMap,
  after: ValueMap,
  options: { readonly paint: Paint; readonly showSecrets: boolean },
): void {
  const lines = mapDiffLines(before, after, options);
  if (lines.length === 0) return;
  print(`\n${options.paint.bold("Outputs:")}`);
  for (const line of lines) print(`  ${line}`);
}

/** Warnings and errors are kept for the end, where they are read; the program's own lines are shown as they come. */
class Messages {
  readonly #paint: Paint;
  readonly #kept: string[] = [];

  constructor(paint: Paint) {
    this.#paint = paint;
  }

  add(event: EngineEvent): void {
    if (event.kind !== "diagnostic" || event.severity === "debug" || event.ephemeral) return;
    const text = this.#paint.isColorSupported ? event.message : withoutColor(event.message);
    const message = text.trimEnd();
    if (event.severity === "info") {
      print(`     ${message}`);
      return;
    }
    const color = event.severity === "error" ? this.#paint.red : this.#paint.yellow;
    const where = event.urn === "" ? "" : `${nameOf(event.urn)}: `;
    this.#kept.push(`${color(`${event.severity}:`)} ${where}${message}`);
  }

  print(): void {
    if (this.#kept.length > 0) print("");
    for (const line of this.#kept) print(line);
  }
}

/** Prints the stack's outputs, or one of them raw. */
export async function outputs(name: string | undefined, options: CommonOptions): Promise<number> {
  return reported(async () => {
    const all = await stackOutputs(locationOf(options));
    const seal = options.showSecrets === true ? openSecret : maskSecret;
    if (name !== undefined) {
      const value = all[name];
      if (value === undefined) {
        const known = Object.keys(all).sort().join(", ");
        throw new EngineError(
          `output ${JSON.stringify(name)} does not exist; there are: ${known === "" ? "none" : known}`,
        );
      }
      if (hasSecret(value) && options.showSecrets !== true) {
        throw new EngineError(`output ${JSON.stringify(name)} is secret; --show-secrets prints it`);
      }
      const json = toJson(value, seal);
      print(typeof json === "string" ? json : JSON.stringify(json));
    } else if (options.json === true) {
      print(JSON.stringify(mapToJson(all, seal), null, 2));
    } else {
      const style = {
        paint: paintFor(process.stdout, process.env),
        showSecrets: options.showSecrets === true,
      };
      for (const [key, value] of Object.entries(all))
        print(`${key}: ${renderValue(value, style).join("\n  ")}`);
    }
    return 0;
  });
}

/** Removes the stack's locks. */
export async function cancel(options: CommonOptions): Promise<number> {
  return reported(async () => {
    const locks = await cancelLocks(locationOf(options));
    if (locks.length === 0) print("The stack was not locked.");
    for (const lock of locks) print(`Removed the lock ${lock}.`);
    return 0;
  });
}

const locationOf = ({ cwd, stack }: CommonOptions): Pick<EngineOptions, "cwd" | "stack"> => ({ cwd, stack });

/** Errors made for the reader are printed alone; any other with its stack. */
async function reported(task: () => Promise<number>): Promise<number> {
  try {
    return await task();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const isUnforeseen = ["TypeError", "RangeError", "ReferenceError", "SyntaxError"].includes(error.name);
    printError(`error: ${isUnforeseen ? (error.stack ?? error.message) : error.message}`);
    return error instanceof NoSuchStackError ? USAGE_ERROR : FAILED;
  }
}

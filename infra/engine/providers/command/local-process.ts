import { execa } from "execa";
import { constants } from "node:os";

import type { Finished } from "./command-run.ts";

/** From the request to end until what is left of the command is killed. */
const KILL_GRACE_MS = 5000;

export interface LocalProcess {
  readonly program: string;
  readonly args: readonly string[];
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** "" = none */
  readonly stdin: string;
  readonly timeoutSeconds: number | undefined;
  readonly signal: AbortSignal;
  readonly onLine: (line: string, from: "stdout" | "stderr") => void;
}

/**
 * Runs a program to its end, with its whole process group ended when the time is over or the engine is told to
 * stop. What began a session of its own goes on.
 */
export async function runProcess(run: LocalProcess): Promise<Finished> {
  const child = execa(run.program, run.args, {
    cwd: run.directory,
    env: run.environment,
    ...(run.stdin === "" ? { stdin: "ignore" as const } : { input: run.stdin }),
    all: true,
    reject: false,
    stripFinalNewline: false,
    maxBuffer: 256 * 1024 * 1024,
    // A group of its own: Ctrl-C at the terminal is the engine's to decide on, a step that has begun may finish.
    detached: true,
  });
  const timers: NodeJS.Timeout[] = [];
  const end = (): void => {
    signalGroup(child.pid, "SIGTERM");
    timers.push(
      setTimeout(() => {
        signalGroup(child.pid, "SIGKILL");
        // Something outside the group may still hold the output open; it is not waited for.
        child.stdout.destroy();
        child.stderr.destroy();
      }, KILL_GRACE_MS),
    );
  };
  const ended = { late: false };
  if (run.timeoutSeconds !== undefined) {
    timers.push(
      setTimeout(() => {
        ended.late = true;
        end();
      }, run.timeoutSeconds * 1000),
    );
  }
  run.signal.addEventListener("abort", end);
  if (run.signal.aborted) end();
  const lines = (["stdout", "stderr"] as const).map(async (from) => {
    try {
      for await (const line of child.iterable({ from })) run.onLine(line, from);
    } catch {
      // The iteration fails as the child does, and the child tells why.
    }
  });
  try {
    const result = await child;
    await Promise.all(lines);
    const { stdout, stderr, all: output } = result;
    const failure = ended.late ? `not finished after ${run.timeoutSeconds ?? 0} s` : failureOf(result);
    return { failure, stdout, stderr, output };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    run.signal.removeEventListener("abort", end);
  }
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended already.
  }
}

function failureOf(result: {
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly originalMessage?: string | undefined;
  readonly failed: boolean;
}): string | undefined {
  if (!result.failed) return undefined;
  if (result.exitCode !== undefined && result.exitCode !== 0) return `exit status ${result.exitCode}`;
  if (result.signal !== undefined) return `signal: ${signalName(result.signal)}`;
  return result.originalMessage ?? "cannot be started";
}

/** Signals as Go names the common ones. */
function signalName(signal: string): string {
  const names: Readonly<Record<string, string>> = {
    SIGKILL: "killed",
    SIGTERM: "terminated",
    SIGINT: "interrupt",
    SIGHUP: "hangup",
  };
  return names[signal] ?? `${signal} (${constants.signals[signal as NodeJS.Signals]})`;
}

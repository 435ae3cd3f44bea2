import { execa } from "execa";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import type { Readable } from "node:stream";

import { describeTarget, SshError } from "./ssh-errors.ts";
import type { DialPolicy } from "./ssh-master.ts";
import type { SshTarget } from "./ssh-options.ts";

export interface ExecOptions {
  readonly stdin?: string | Uint8Array | Readable;
  /** Sent as SSH environment; sshd takes only what its AcceptEnv names and says nothing about the rest. */
  readonly env?: Readonly<Record<string, string>>;
  /** Seconds until the session is ended. @default no limit */
  readonly timeoutSeconds?: number;
  readonly signal?: AbortSignal;
  /** Called for each line as it arrives. */
  readonly onLine?: (line: string, from: "stdout" | "stderr") => void;
  readonly dial?: DialPolicy;
}

export interface ExecResult {
  /** The command's own status; 255 also when a signal ended it there. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, in the order of arrival. */
  readonly output: string;
}

/** The local processes of a connection's sessions, so that closing it can end them. */
export type Children = Set<{ kill: (signal?: NodeJS.Signals) => boolean }>;

/**
 * Runs one ssh session to its end; undefined when ssh itself came to an end without a status.
 * @throws SshError `timed-out` or `aborted`
 */
export async function runSession(
  target: SshTarget,
  args: readonly string[],
  options: ExecOptions,
  children: Children,
): Promise<ExecResult | undefined> {
  const { signal, onLine, env = {} } = options;
  const child = execa("ssh", args, {
    ...(options.stdin === undefined
      ? { stdin: "ignore" as const }
      : typeof options.stdin === "string" || options.stdin instanceof Uint8Array
        ? { input: options.stdin }
        : { stdin: ["pipe" as const, options.stdin] }),
    env,
    all: true,
    reject: false,
    stripFinalNewline: false,
    maxBuffer: 256 * 1024 * 1024,
    // Its own process group: a Ctrl-C at the terminal is for us to decide on, not for a half-done step.
    detached: true,
  });
  children.add(child);
  const limit =
    options.timeoutSeconds === undefined ? undefined : AbortSignal.timeout(options.timeoutSeconds * 1000);
  const stop = AbortSignal.any([limit, signal].filter((one) => one !== undefined));
  const end = (): void => {
    child.kill("SIGTERM");
    // The master holds the other ends until the command ends on the host, which may never be.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  stop.addEventListener("abort", end);
  const lines = onLine === undefined ? [] : [tell(child, "stdout", onLine), tell(child, "stderr", onLine)];
  try {
    const result = await child;
    await Promise.all(lines);
    const where = `ssh ${describeTarget(target)}`;
    if (limit?.aborted === true) {
      const seconds = options.timeoutSeconds ?? 0;
      throw new SshError("timed-out", `${where}: the command did not end within ${seconds} s`);
    }
    if (signal?.aborted === true) throw new SshError("aborted", `${where}: aborted`);
    if (result.exitCode === undefined) return undefined;
    return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr, output: result.all };
  } finally {
    stop.removeEventListener("abort", end);
    children.delete(child);
  }
}

/** Waits for the first byte and takes it away; what the child printed instead if it ended without one. */
export function greeted(child: ChildProcessWithoutNullStreams): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let printed = "";
    const hear = (text: Buffer): void => void (printed += text.toString());
    const ended = (): void => resolve(printed);
    const greeting = (): void => {
      // Fires once more at the end of the stream, then without a byte.
      if (child.stdout.read(1) === null) return;
      child.stdout.off("readable", greeting);
      child.stderr.off("data", hear);
      child.off("close", ended);
      resolve(undefined);
    };
    child.stderr.on("data", hear);
    child.stdout.on("readable", greeting);
    child.once("close", ended);
    child.once("error", reject);
  });
}

async function tell(
  child: { readonly iterable: (options: { from: "stdout" | "stderr" }) => AsyncIterable<unknown> },
  from: "stdout" | "stderr",
  onLine: (line: string, from: "stdout" | "stderr") => void,
): Promise<void> {
  try {
    for await (const line of child.iterable({ from })) onLine(String(line), from);
  } catch {
    // The iteration fails as the child does, which the caller learns from the child itself.
  }
}

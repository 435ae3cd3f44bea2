import { execa } from "execa";
import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { Readable } from "node:stream";

import { SessionGate } from "./session-gate.ts";
import { describeTarget, sessionNeverBegan, SshError } from "./ssh-errors.ts";
import { SshMaster } from "./ssh-master.ts";
import type { DialPolicy } from "./ssh-master.ts";
import { posixCommand, sessionArguments } from "./ssh-options.ts";
import type { SshTarget } from "./ssh-options.ts";

/** sshd refuses more than MaxSessions (10) per connection; one is left for the master's own. */
const SESSIONS = 9;

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

/**
 * One host over one OpenSSH connection that all sessions share. Authentication is by the agent only.
 * Ending a session ends the local ssh; what runs on the host learns of it at most by its closed input and output,
 * so a command that must not outlive its limit brings one of its own (`timeout`).
 */
export class SshHost {
  readonly target: SshTarget;
  readonly #master: SshMaster;
  readonly #gate = new SessionGate(SESSIONS);
  readonly #children = new Set<{ kill: (signal?: NodeJS.Signals) => boolean }>();
  readonly #acceptedEnvironment = new Map<string, boolean>();

  constructor(target: SshTarget, dial: DialPolicy = {}) {
    this.target = target;
    this.#master = new SshMaster(target, dial);
  }

  /**
   * Logs in unless that is done already.
   * @throws SshError `unreachable`, `key-refused`, `host-key-changed`, `host-key-unknown`, `timed-out`
   */
  async connect(dial: DialPolicy = {}): Promise<void> {
    await this.#master.connect(dial);
  }

  /**
   * Runs a command line in the user's login shell. A status other than 0 is a result, not an error.
   * @throws SshError when the connection fails, is lost, or the time is over
   */
  async exec(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    for (let attempt = 1; ; attempt += 1) {
      await this.#master.connect({ ...options.dial, ...(options.signal && { signal: options.signal }) });
      const leave = await this.#gate.enter(options.signal);
      try {
        const run = await this.#run(command, options);
        const never = run.exitCode === 255 ? sessionNeverBegan(run.stderr) : undefined;
        if (never === undefined) {
          if (run.exitCode === 255 && !(await this.#master.isAlive())) throw this.#lost(command);
          return run;
        }
        if (attempt >= SESSIONS || options.stdin instanceof Readable) throw this.#lost(command);
        if (never === "refused") this.#gate.lower();
        else this.#master.forget();
      } finally {
        leave();
      }
    }
  }

  async #run(command: string, options: ExecOptions): Promise<ExecResult> {
    const { signal, onLine, env: environment = {} } = options;
    const names = Object.keys(environment);
    const child = execa("ssh", [...sessionArguments(this.target, this.#master.controlPath, names), command], {
      ...(options.stdin === undefined
        ? { stdin: "ignore" as const }
        : typeof options.stdin === "string" || options.stdin instanceof Uint8Array
          ? { input: options.stdin }
          : { stdin: ["pipe" as const, options.stdin] }),
      env: environment,
      all: true,
      reject: false,
      stripFinalNewline: false,
      maxBuffer: 256 * 1024 * 1024,
      // Its own process group: a Ctrl-C at the terminal is for us to decide on, not for a half-done step.
      detached: true,
    });
    this.#children.add(child);
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
      if (limit?.aborted === true) {
        throw new SshError(
          "timed-out",
          `ssh ${describeTarget(this.target)}: the command did not end within ${options.timeoutSeconds ?? 0} s`,
        );
      }
      if (signal?.aborted === true)
        throw new SshError("aborted", `ssh ${describeTarget(this.target)}: aborted`);
      if (result.exitCode === undefined) throw this.#lost(command);
      return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr, output: result.all };
    } finally {
      stop.removeEventListener("abort", end);
      this.#children.delete(child);
    }
  }

  /**
   * Opens a session whose input and output the caller drives (`docker system dial-stdio`, a long watch). It ends
   * when the caller ends its input or kills it.
   * @throws SshError when the connection fails; Error with the host's words when the command cannot be started
   */
  async stream(command: string, signal?: AbortSignal): Promise<ChildProcessWithoutNullStreams> {
    for (let attempt = 1; ; attempt += 1) {
      await this.#master.connect(signal === undefined ? {} : { signal });
      const leave = await this.#gate.enter(signal);
      const child = this.#spawn(command, leave);
      const printed = await greeted(child);
      if (printed === undefined) return child;
      const never = sessionNeverBegan(printed);
      if (never === undefined || attempt >= SESSIONS) {
        throw new SshError(
          "failed",
          `ssh ${describeTarget(this.target)}: ${command} did not start: ${printed.trim()}`,
        );
      }
      if (never === "refused") this.#gate.lower();
      else this.#master.forget();
      leave();
    }
  }

  #spawn(command: string, leave: () => void): ChildProcessWithoutNullStreams {
    // The dot tells that the session began; until it is read nothing is sent, so a refusal can be tried again.
    const line = posixCommand(`printf . && exec ${command}`);
    const child = spawn("ssh", [...sessionArguments(this.target, this.#master.controlPath, []), line], {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    this.#children.add(child);
    const ended = (): void => {
      this.#children.delete(child);
      leave();
    };
    child.once("close", ended);
    child.once("error", ended);
    return child;
  }

  /**
   * Writes a file on the host. It is written in place, under the user's umask unless `mode` (octal text) is given.
   * @throws Error with the host's words when it cannot be written
   */
  async copy(
    content: string | Uint8Array | Readable,
    remotePath: string,
    options: { readonly mode?: string; readonly signal?: AbortSignal; readonly dial?: DialPolicy } = {},
  ): Promise<void> {
    const script = `cat > "$1"${options.mode === undefined ? "" : ` && chmod ${options.mode} "$1"`}`;
    const { mode: _, ...rest } = options;
    const result = await this.exec(posixCommand(script, remotePath), { ...rest, stdin: content });
    if (result.exitCode !== 0) {
      throw new Error(
        `cannot write ${remotePath} on ${describeTarget(this.target)}: ${result.stderr.trim() || `status ${result.exitCode}`}`,
      );
    }
  }

  /**
   * Which of these variables sshd does not take (its AcceptEnv). Asked once per name and connection, with a
   * harmless value.
   */
  async refusedEnvironment(names: readonly string[], options: ExecOptions = {}): Promise<readonly string[]> {
    const unknown = names.filter((name) => !this.#acceptedEnvironment.has(name));
    if (unknown.length > 0) {
      const { stdin: _, onLine: __, ...rest } = options;
      const env = Object.fromEntries(unknown.map((name) => [name, "heatwave-accepted"]));
      const result = await this.exec(posixCommand("env"), { ...rest, env });
      const lines = new Set(result.stdout.split("\n"));
      for (const name of unknown) this.#acceptedEnvironment.set(name, lines.has(`${name}=heatwave-accepted`));
    }
    return names.filter((name) => this.#acceptedEnvironment.get(name) === false);
  }

  /**
   * Makes a unix socket of the host reachable at a private local path until this connection is closed. Needs no
   * session, so any number of connections may be open through it.
   */
  async forward(remoteSocket: string): Promise<string> {
    return this.#master.forward(remoteSocket);
  }

  /** Ends this connection, its sessions and nothing else. */
  async close(): Promise<void> {
    for (const child of this.#children) child.kill("SIGTERM");
    await this.#master.close();
  }

  #lost(command: string): SshError {
    const shown = command.length > 80 ? `${command.slice(0, 77)}...` : command;
    return new SshError(
      "connection-lost",
      `ssh ${describeTarget(this.target)}: the connection was lost while ${JSON.stringify(shown)} ran; whether it ended there is not known`,
    );
  }
}

/** Waits for the first byte and takes it away; what the child printed instead if it ended without one. */
function greeted(child: ChildProcessWithoutNullStreams): Promise<string | undefined> {
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

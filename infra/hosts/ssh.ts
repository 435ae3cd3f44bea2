import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { Readable } from "node:stream";

import { SessionGate } from "./session-gate.ts";
import { describeTarget, sessionNeverBegan, SshError } from "./ssh-errors.ts";
import { SshMaster } from "./ssh-master.ts";
import type { DialPolicy } from "./ssh-master.ts";
import { posixCommand, sessionArguments, subsystemArguments } from "./ssh-options.ts";
import type { SshTarget } from "./ssh-options.ts";
import { greeted, runSession } from "./ssh-session.ts";
import type { Children, ExecOptions, ExecResult } from "./ssh-session.ts";

export type { ExecOptions, ExecResult } from "./ssh-session.ts";

/** sshd refuses more than MaxSessions (10) per connection; one is left for the master's own. */
const SESSIONS = 9;

/**
 * One host over one OpenSSH connection that all sessions share. Authentication is by the agent only.
 * Ending a session ends the local ssh; what runs on the host learns of it at most by its closed input and output,
 * so a command that must not outlive its limit brings one of its own (`timeout`).
 */
export class SshHost {
  readonly target: SshTarget;
  readonly #master: SshMaster;
  readonly #gate = new SessionGate(SESSIONS);
  readonly #children: Children = new Set();
  readonly #acceptedEnvironment = new Map<string, boolean>();
  readonly #subsystems = new Map<string, boolean>();

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
    const names = Object.keys(options.env ?? {});
    return this.#session(
      () => [...sessionArguments(this.target, this.#master.controlPath, names), command],
      command,
      options,
    );
  }

  async #session(
    argumentsOf: () => readonly string[],
    what: string,
    options: ExecOptions,
  ): Promise<ExecResult> {
    for (let attempt = 1; ; attempt += 1) {
      await this.#master.connect({ ...options.dial, ...(options.signal && { signal: options.signal }) });
      const leave = await this.#gate.enter(options.signal);
      try {
        const run = await runSession(this.target, argumentsOf(), options, this.#children);
        if (run === undefined) throw this.#lost(what);
        const never = run.exitCode === 255 ? sessionNeverBegan(run.stderr) : undefined;
        if (never === undefined) {
          if (run.exitCode === 255 && !(await this.#master.isAlive())) throw this.#lost(what);
          return run;
        }
        if (attempt >= SESSIONS || options.stdin instanceof Readable) throw this.#lost(what);
        if (never === "refused") this.#gate.lower();
        else this.#master.forget();
      } finally {
        leave();
      }
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
   * Whether sshd offers a subsystem, e.g. `sftp`. Asked once per connection.
   * @throws SshError when the connection fails
   */
  async offersSubsystem(name: string, options: ExecOptions = {}): Promise<boolean> {
    const known = this.#subsystems.get(name);
    if (known !== undefined) return known;
    const result = await this.#session(
      () => subsystemArguments(this.target, this.#master.controlPath, name),
      `subsystem ${name}`,
      options,
    );
    // A shared session is refused without a word. One that is offered ends at once, since its input is empty.
    const offered = result.exitCode === 0;
    this.#subsystems.set(name, offered);
    return offered;
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

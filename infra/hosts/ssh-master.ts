import { execa } from "execa";
import { existsSync, rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { describeTarget, dialError, isWorthRetrying, SshError } from "./ssh-errors.ts";
import { controlArguments, masterArguments, masterEnvironment } from "./ssh-options.ts";
import type { SshTarget } from "./ssh-options.ts";

export interface DialPolicy {
  /** Attempts before giving up; below 0: until aborted. @default 10 */
  readonly attempts?: number;
  /** Seconds one attempt may take; 0: as long as it takes. @default 15 */
  readonly timeoutSeconds?: number;
  readonly signal?: AbortSignal;
  /** Told before each further attempt. */
  readonly onRetry?: (failed: number, error: SshError) => void;
}

const FIRST_PAUSE_MS = 100;
const PAUSE_GROWTH = 1.5;
const LONGEST_PAUSE_MS = 5000;
/** ssh's own limit ends with the key exchange; the login after it may take this long. */
const LOGIN_SECONDS = 5;

/** The one login of a connection: a background ssh that carries every session, behind a private socket. */
export class SshMaster {
  readonly #target: SshTarget;
  readonly #policy: DialPolicy;
  #directory: string | undefined;
  #dialling: Promise<void> | undefined;
  #connected = false;
  #closed = false;
  readonly #forwards = new Map<string, Promise<string>>();

  constructor(target: SshTarget, policy: DialPolicy) {
    this.#target = target;
    this.#policy = policy;
  }

  /** Only valid after `connect`. */
  get controlPath(): string {
    if (this.#directory === undefined) throw new Error("the connection has not been made yet");
    return join(this.#directory, "c");
  }

  async connect(policy: DialPolicy = {}): Promise<void> {
    if (this.#closed) throw new SshError("aborted", `ssh ${describeTarget(this.#target)}: already closed`);
    // The master removes its socket when it ends, so its being there is the cheap sign of life.
    if (this.#connected && existsSync(this.controlPath)) return;
    // One login at a time, whoever asks; each waits only as long as its own signal lets it.
    this.#dialling ??= this.#dialWithRetries({ ...this.#policy, ...policy }).finally(async () => {
      this.#dialling = undefined;
      if (!this.#connected) await this.#removeDirectory();
    });
    await this.#dialling;
  }

  /** Makes the next `connect` log in again. */
  forget(): void {
    this.#connected = false;
    this.#forwards.clear();
    if (this.#directory !== undefined) rmSync(this.controlPath, { force: true });
  }

  async isAlive(): Promise<boolean> {
    if (!this.#connected) return false;
    return (await this.#control("check")).exitCode === 0;
  }

  async forward(remoteSocket: string): Promise<string> {
    await this.connect();
    const known = this.#forwards.get(remoteSocket);
    if (known !== undefined) return known;
    const made = this.#forward(remoteSocket, `f${this.#forwards.size}`);
    this.#forwards.set(remoteSocket, made);
    made.catch(() => this.#forwards.delete(remoteSocket));
    return made;
  }

  async #forward(remoteSocket: string, name: string): Promise<string> {
    const local = join(this.#directory ?? "", name);
    rmSync(local, { force: true });
    const result = await this.#control("forward", ["-L", `${local}:${remoteSocket}`]);
    if (result.exitCode !== 0) {
      throw new SshError(
        "failed",
        `ssh ${describeTarget(this.#target)}: cannot forward ${remoteSocket}: ${result.stderr}`,
      );
    }
    return local;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#dialling?.catch(() => undefined);
    if (this.#connected) await this.#control("exit");
    this.#connected = false;
    await this.#removeDirectory();
  }

  async #removeDirectory(): Promise<void> {
    const directory = this.#directory;
    if (directory === undefined) return;
    this.#directory = undefined;
    liveDirectories.delete(directory);
    await rm(directory, { recursive: true, force: true });
  }

  async #dialWithRetries(policy: DialPolicy): Promise<void> {
    const limit = policy.attempts ?? 10;
    let wait = FIRST_PAUSE_MS;
    for (let attempt = 1; ; attempt += 1) {
      const error = await this.#dial(policy);
      if (error === undefined) return;
      if (!isWorthRetrying(error) || (limit >= 0 && attempt >= limit)) {
        throw attempt === 1
          ? error
          : new SshError(error.kind, `${error.message} (after ${attempt} failed attempts)`);
      }
      policy.onRetry?.(attempt, error);
      await pause(wait, undefined, policy.signal && { signal: policy.signal });
      wait = Math.min(wait * PAUSE_GROWTH, LONGEST_PAUSE_MS);
    }
  }

  async #dial({ timeoutSeconds = 15, signal }: DialPolicy): Promise<SshError | undefined> {
    if (this.#directory === undefined) {
      // Short on purpose: a unix socket's path may have some 100 characters, and ssh adds a random suffix.
      this.#directory = await mkdtemp(join(tmpdir(), "hw-"));
      liveDirectories.add(this.#directory);
    }
    this.forget();
    const child = execa("ssh", masterArguments(this.#target, this.controlPath, timeoutSeconds), {
      stdin: "ignore",
      stdout: "ignore",
      // The background master lets go of it once it has logged in.
      stderr: "pipe",
      env: masterEnvironment(process.env),
      extendEnv: false,
      reject: false,
      detached: true,
      ...(timeoutSeconds > 0 ? { timeout: (timeoutSeconds + LOGIN_SECONDS) * 1000 } : {}),
      ...(signal === undefined ? {} : { cancelSignal: signal }),
    });
    const result = await child;
    if (result.exitCode === 0 && existsSync(this.controlPath)) {
      this.#connected = true;
      return undefined;
    }
    if (result.isCanceled) throw new SshError("aborted", `ssh ${describeTarget(this.#target)}: aborted`);
    if (result.timedOut) {
      return new SshError(
        "timed-out",
        `ssh ${describeTarget(this.#target)}: no login within ${timeoutSeconds} s`,
      );
    }
    if (result.code === "ENOENT") {
      throw new SshError("failed", "the OpenSSH client (ssh) is not installed on this machine");
    }
    return dialError(this.#target, result.stderr);
  }

  #control(command: string, more: readonly string[] = []) {
    return execa("ssh", controlArguments(this.#target, this.controlPath, command, more), {
      stdin: "ignore",
      stdout: "ignore",
      reject: false,
      timeout: 5000,
    });
  }
}

/** A process that leaves without closing still takes its sockets away; the masters then end by themselves. */
const liveDirectories = new Set<string>();
process.once("exit", () => {
  for (const directory of liveDirectories) rmSync(directory, { recursive: true, force: true });
});

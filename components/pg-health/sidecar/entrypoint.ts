/**
 * The brain's side of the PostgreSQL container's entrypoint: its status file and its FIFO, both in the directory that
 * the two containers share.
 */
import { constants, watch } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { uptime } from "./uptime.ts";

export type PostgresState = "waiting" | "starting" | "running" | "stopping" | "stopped" | "crashed";

export interface OrderReport {
  readonly id: string;
  readonly verb: string;
  readonly result: "running" | "done" | "failed" | "refused";
  readonly message: string;
}

/** The entrypoint's own words. */
export interface EntrypointStatus {
  /** The state of PostgreSQL, or `busy:<verb>` while an operation runs. */
  readonly state: string;
  readonly postgres: PostgresState;
  readonly pid: number | null;
  readonly exitCode: number | null;
  readonly order: OrderReport | null;
  /** Seconds since the host booted; 0 in the last words of an entrypoint that left. */
  readonly heartbeat: number;
  /** New whenever the entrypoint itself starts. */
  readonly incarnation: string;
}

/** An answering entrypoint's status, or undefined with the reason. */
export type EntrypointFacts =
  | { readonly answers: true; readonly status: EntrypointStatus }
  | { readonly answers: false; readonly why: string };

/** Orders the muscle takes; the arguments are checked again by the entrypoint. */
export type Verb =
  | "start"
  | "lease"
  | "stop"
  | "reload"
  | "promote"
  | "signal"
  | "initdb"
  | "basebackup"
  | "adopt"
  | "discard"
  | "aside"
  | "restore"
  | "forget"
  | "rewind"
  | "cancel";

/** An order that was not carried out. */
export class OrderError extends Error {
  override readonly name = "OrderError";
  /** `silent`: nothing answered in time; the order may still be carried out. */
  readonly result: "failed" | "refused" | "silent";

  constructor(message: string, result: OrderError["result"]) {
    super(message);
    this.result = result;
  }
}

/** The heartbeat is renewed every 2 s; three missed ones are a silence. */
const SILENT_AFTER_SECONDS = 7;

function isStatus(value: unknown): value is EntrypointStatus {
  const status = value as Partial<EntrypointStatus> | null;
  return (
    typeof status === "object" &&
    typeof status?.state === "string" &&
    typeof status.postgres === "string" &&
    typeof status.heartbeat === "number" &&
    typeof status.incarnation === "string"
  );
}

/** A connection to the entrypoint that shares `runDirectory`. */
export class Entrypoint {
  readonly #directory: string;
  #last: Promise<unknown> = Promise.resolve();

  constructor(runDirectory: string) {
    this.#directory = runDirectory;
  }

  /** The status, if it is fresh. Never throws: whatever cannot be read does not answer. */
  async look(): Promise<EntrypointFacts> {
    let status: unknown;
    try {
      status = JSON.parse(await readFile(`${this.#directory}/status.json`, "utf8"));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      return {
        answers: false,
        why:
          code === "ENOENT" ? "the entrypoint has not reported yet" : `status.json: ${code ?? "is not JSON"}`,
      };
    }
    if (!isStatus(status)) return { answers: false, why: "status.json is not a status" };
    if (status.heartbeat === 0) return { answers: false, why: "the entrypoint has left" };
    const age = (await uptime()) - status.heartbeat;
    // A negative age is a file from before the host's last boot.
    if (age > SILENT_AFTER_SECONDS || age < -1)
      return { answers: false, why: `the entrypoint's heartbeat is ${age.toFixed(1)} s old` };
    return { answers: true, status };
  }

  /** Calls `listener` after each change of the status, until `close`. */
  onChange(listener: () => void): { close: () => void } {
    return watch(this.#directory, (_event, name) => {
      if (name === "status.json") listener();
    });
  }

  /**
   * Sends an order and waits until it ended. Orders of this process go one after the other.
   * @param timeoutMs Milliseconds until the wait ends in an {@link OrderError} `silent`.
   * @throws {@link OrderError} with the entrypoint's reason.
   */
  order(verb: Verb, args: readonly string[], timeoutMs: number): Promise<OrderReport> {
    // `cancel` is meant for the order that runs; everything else waits for its turn.
    if (verb === "cancel") return this.#send(verb, args, timeoutMs);
    const turn = this.#last.then(() => this.#send(verb, args, timeoutMs));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #send(verb: Verb, args: readonly string[], timeoutMs: number): Promise<OrderReport> {
    const id = randomBytes(6).toString("hex");
    const bad = args.find((arg) => !/^[A-Za-z0-9._:-]+$/.test(arg));
    if (bad !== undefined)
      throw new OrderError(`${verb}: the argument ${JSON.stringify(bad)} is no plain word`, "refused");
    const deadline = AbortSignal.timeout(timeoutMs);
    // Watch first, write then: no answer can fall between the two.
    const changes = this.#changes(deadline);
    const before = await this.look();
    if (!before.answers) throw new OrderError(`${verb}: ${before.why}`, "refused");
    const { incarnation } = before.status;
    await this.#write(`${[id, verb, ...args].join(" ")}\n`);
    for await (const _ of changes) {
      const facts = await this.look();
      if (facts.answers && facts.status.incarnation !== incarnation)
        throw new OrderError(`${verb}: the entrypoint started anew on the way`, "silent");
      const report = facts.answers ? facts.status.order : null;
      if (report?.id !== id || report.result === "running") continue;
      if (report.result === "done") return report;
      throw new OrderError(`${verb} ${report.result}: ${report.message}`, report.result);
    }
    throw new OrderError(`${verb}: no answer from the entrypoint within ${timeoutMs} ms`, "silent");
  }

  async #write(line: string): Promise<void> {
    // Without a reader a blocking open would wait for ever; ENXIO says it at once.
    const flags = constants.O_WRONLY | constants.O_NONBLOCK;
    let fifo;
    try {
      fifo = await open(`${this.#directory}/orders`, flags);
    } catch (error) {
      throw new OrderError(
        `the entrypoint takes no orders (${(error as NodeJS.ErrnoException).code ?? "unknown"})`,
        "refused",
      );
    }
    try {
      if (!(await fifo.stat()).isFIFO()) throw new OrderError("the orders file is no FIFO", "refused");
      await fifo.write(line);
    } finally {
      await fifo.close();
    }
  }

  /** Yields at each change of the status, and every 250 ms in case the file system tells nothing, until aborted. */
  async *#changes(until: AbortSignal): AsyncGenerator<void> {
    const bell = { rung: false, wake: (): void => undefined };
    const poke = (): void => {
      bell.rung = true;
      bell.wake();
    };
    const watcher = this.onChange(poke);
    const timer = setInterval(poke, 250);
    until.addEventListener("abort", poke);
    try {
      while (!until.aborted) {
        bell.rung = false;
        yield;
        await new Promise<void>((resolve) => {
          // What rang while the consumer worked is not lost.
          if (bell.rung) resolve();
          else bell.wake = resolve;
        });
      }
    } finally {
      watcher.close();
      clearInterval(timer);
      until.removeEventListener("abort", poke);
    }
  }
}

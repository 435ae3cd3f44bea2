import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Overlay } from "../../config/overlay.ts";
import type { StackConfig } from "../../config/schema.ts";
import type { Result } from "../docker.ts";
import { tryDocker } from "../docker.ts";
import type { HostMachine, WorldPlan } from "../plan.ts";
import { hostOf } from "../plan.ts";
import { rolePassword, siteClient, writePath } from "../sql.ts";
import { RehearsalError, tail } from "../trouble.ts";
import { bundleProgram } from "./bundle.ts";
import type { ClientSettings } from "./client.ts";
import type { Gap, Mark, MarkFigures } from "./figures.ts";
import {
  acknowledgedOf,
  count,
  countErrors,
  failedOf,
  figuresOf,
  gapsOf,
  longest,
  rowKey,
} from "./figures.ts";
import { readBeside, sizeBeside, startBeside, stopBeside, tailBeside } from "./program.ts";
import type { ErrorKind, WriterRecord } from "./records.ts";
import { monotonicMs, parseLines } from "./records.ts";
import type { Writability } from "./sampling.ts";
import { Sampling } from "./sampling.ts";

const NAME = "heatwave-writer";
const TABLE = "public.heatwave_writer";
const RECORDS = "records.ndjson";

/** uid and gid of `node` in the image. */
const NODE_USER = "1000:1000";

/** Seconds until the first row must be acknowledged. */
const FIRST_ROW_SECONDS = 30;

/** Seconds in which the primary must tell its rows. */
const COUNT_SECONDS = 20;

export interface WriterOptions {
  /** Clients that write side by side. @default 2 */
  readonly clients?: number;
  /** Milliseconds from one write of a client to its next. @default 20 */
  readonly everyMs?: number;
  /** Milliseconds that a connection or a write may take until the client gives it up. @default 5000 */
  readonly timeoutMs?: number;
  /** `kept`: one session for as long as it lives; `new`: a connection for each row. @default "kept" */
  readonly connection?: "kept" | "new";
  /** Milliseconds between two writes at each instance's own socket; 0 leaves that out. @default 100 */
  readonly sampleEveryMs?: number;
  /** Host of the router that it writes through, on whose Docker network it runs. @default the first router's */
  readonly router?: string;
  /** Tells writers apart that run side by side. @default "" */
  readonly name?: string;
}

export interface WriterReport {
  readonly run: string;
  readonly seconds: number;
  /** Rows whose COMMIT was answered. */
  readonly acknowledged: number;
  /** Acknowledged rows that are not in the table, and the first of them by client and sequence number. */
  readonly lost: number;
  readonly lostRows: readonly string[];
  /** Rows that are in the table more than once. */
  readonly duplicates: number;
  /** Rows that are in the table though their COMMIT was never answered, which is no fault. */
  readonly unanswered: number;
  readonly longestGap: Gap | null;
  readonly errors: Readonly<Partial<Record<ErrorKind, number>>>;
  /** Errors by kind, code and message, for a reader. */
  readonly errorTexts: Readonly<Record<string, number>>;
  /** Acknowledged rows by the instance that wrote them. */
  readonly instances: Readonly<Record<string, number>>;
  /** Backends that wrote: one per session. */
  readonly sessions: number;
  readonly marks: readonly MarkFigures[];
  /** Each instance's own answers to writes; null when they were not asked for. */
  readonly writability: Writability | null;
}

/**
 * An application that writes through the write VIP all the time, from the Docker network of the first router's host,
 * and the proof of what became of its rows. Only one of a name runs in a world at a time.
 */
export class Writer {
  readonly run: string;
  readonly sampling: Sampling | undefined;
  #plan: WorldPlan;
  #stack: StackConfig;
  readonly #host: HostMachine;
  readonly #name: string;
  readonly #started = monotonicMs();
  readonly #marks: Mark[] = [];

  private constructor(
    plan: WorldPlan,
    stack: StackConfig,
    host: HostMachine,
    name: string,
    run: string,
    sampling: Sampling | undefined,
  ) {
    this.#plan = plan;
    this.#stack = stack;
    this.#host = host;
    this.#name = name;
    this.run = run;
    this.sampling = sampling;
  }

  /**
   * Starts it, and returns once a row was acknowledged.
   * @throws {RehearsalError} when none is in time
   */
  static async start(
    plan: WorldPlan,
    stack: StackConfig,
    overlay: Overlay,
    options: WriterOptions = {},
  ): Promise<Writer> {
    const path = writePath(stack, options.router);
    const host = hostOf(plan, path.routerHost);
    const run = randomUUID();
    const settings: ClientSettings = {
      host: path.routerContainer,
      port: path.port,
      user: path.role,
      database: path.database,
      table: TABLE,
      run,
      clients: options.clients ?? 2,
      everyMs: options.everyMs ?? 20,
      timeoutMs: options.timeoutMs ?? 5000,
      connection: options.connection ?? "kept",
    };
    const suffix = options.name === undefined || options.name === "" ? "" : `-${options.name}`;
    const name = `${NAME}${suffix}`;
    const everyMs = options.sampleEveryMs ?? 100;
    await startBeside({
      host,
      name,
      image: overlay.images.node ?? stack.images.node,
      user: NODE_USER,
      network: stack.network.name,
      at: "/writer",
      mounts: [],
      files: {
        "program.mjs": await bundleProgram("client"),
        "settings.json": JSON.stringify(settings),
        password: rolePassword(overlay, path.role),
      },
    });
    const sampling = everyMs === 0 ? undefined : await Sampling.start(plan, stack, overlay, everyMs);
    const writer = new Writer(plan, stack, host, name, run, sampling);
    await writer.awaitRow(writer.#started, FIRST_ROW_SECONDS * 1000);
    return writer;
  }

  /**
   * All that the clients noted so far.
   * @param from leaves out what was noted before a `position`
   */
  async records(from = 0): Promise<WriterRecord[]> {
    return parseLines(await readBeside(this.#host, this.#name, RECORDS, from));
  }

  /** Where the clients' notes end now: what a long run asks from there on does not grow with its length. */
  position(): Promise<number> {
    return sizeBeside(this.#host, this.#name, RECORDS);
  }

  /** Notes that something is done to the world now; the report has figures for it. Returns the time. */
  mark(name: string): number {
    const at = monotonicMs();
    this.#marks.push({ name, at });
    return at;
  }

  /** Sites have come or gone since it began: the rows are looked for at those that are there by now. */
  follow({ plan, stack }: { readonly plan: WorldPlan; readonly stack: StackConfig }): void {
    this.#plan = plan;
    this.#stack = stack;
  }

  /**
   * Waits until a row is acknowledged that was sent at or after a time.
   * @returns when it was answered, milliseconds on the monotonic clock
   * @throws {RehearsalError} with the clients' last errors
   */
  async awaitRow(since: number, timeoutMs: number): Promise<number> {
    const deadline = monotonicMs() + timeoutMs;
    for (;;) {
      const records = parseLines<WriterRecord>(await tailBeside(this.#host, this.#name, RECORDS));
      const row = acknowledgedOf(records).find(({ sent }) => sent >= since);
      if (row !== undefined) return row.answered;
      if (monotonicMs() > deadline) {
        const errors = failedOf(records)
          .slice(-3)
          .map(({ error, code, message }) => `${error}: ${code} ${message}`);
        throw new RehearsalError(
          `No row was acknowledged through the write VIP within ${timeoutMs / 1000} s`,
          errors.length === 0 ? "the clients noted no error: they wait for an answer" : errors.join("\n"),
          "bin/rehearse status",
        );
      }
      await delay(100);
    }
  }

  /**
   * What became of all rows so far, by the table on the primary.
   * @throws {RehearsalError} when nothing that the clients noted can be read, which would prove anything
   */
  async report(): Promise<WriterReport> {
    const now = monotonicMs();
    // First what was acknowledged, then the table: a row in between is in the table and no fault.
    const records = await this.records();
    const present = await this.#rows();
    const acknowledged = acknowledgedOf(records);
    // It began with one.
    if (acknowledged.length === 0)
      throw new RehearsalError(
        "No acknowledged row is to be found in what the clients noted",
        `${RECORDS} of ${this.#name} on ${this.#host.name} is empty, gone, or cannot be read`,
        "bin/rehearse status",
      );
    const keys = new Set(acknowledged.map(({ client, sequence }) => rowKey(client, sequence)));
    const failed = failedOf(records);
    const failedKeys = new Set(failed.map(({ client, sequence }) => rowKey(client, sequence)));
    const distinct = new Set(present);
    const lost = [...keys].filter((key) => !distinct.has(key));
    return {
      run: this.run,
      seconds: (now - this.#started) / 1000,
      acknowledged: keys.size,
      lost: lost.length,
      lostRows: lost.slice(0, 20),
      duplicates: present.length - distinct.size,
      unanswered: [...distinct].filter((key) => failedKeys.has(key)).length,
      longestGap: longest(gapsOf(acknowledged)) ?? null,
      errors: countErrors(failed),
      errorTexts: count(failed.map(({ error, code, message }) => `${error}: ${code} ${message}`)),
      instances: count(acknowledged.map(({ instance }) => instance)),
      sessions: new Set(
        acknowledged.map(({ instance, backend, client }) => `${instance} ${backend} ${client}`),
      ).size,
      marks: figuresOf(this.#marks, records, now),
      writability: (await this.sampling?.report()) ?? null,
    };
  }

  /** Ends it, and reports. Its rows stay in the table. */
  async stop(): Promise<WriterReport> {
    const report = await this.report();
    await this.discard();
    return report;
  }

  /** Ends it without a word, whatever state the stack is in. */
  async discard(): Promise<void> {
    await stopBeside(this.#host, this.#name);
    await this.sampling?.stop();
  }

  /** Keys of the run's rows in the primary's table. One that is busy or only just back is asked again. */
  async #rows(): Promise<string[]> {
    const deadline = monotonicMs() + COUNT_SECONDS * 1000;
    for (;;) {
      const found = await this.#countOnce();
      if (Array.isArray(found)) return found;
      if (monotonicMs() > deadline)
        throw new RehearsalError("The rows cannot be counted", found.why, "bin/rehearse status");
      await delay(200);
    }
  }

  async #countOnce(): Promise<string[] | { readonly why: string }> {
    // Each instance for itself: this is about rows, whatever the health endpoints say of their sites.
    const found = await Promise.all(
      this.#stack.sites.map(async ({ name }) => ({
        name,
        answer: await this.#psql(name, "select pg_is_in_recovery()"),
      })),
    );
    const primaries = found.filter(({ answer }) => answer.stdout === "f");
    const [primary] = primaries;
    if (primary === undefined || primaries.length > 1) {
      const words = found.map(
        ({ name, answer }) => `${name}: ${answer.stdout === "" ? tail(answer.stderr, 1) : answer.stdout}`,
      );
      return { why: `${primaries.length} instances are not in recovery (${words.join(", ")})` };
    }
    const read = await this.#psql(
      primary.name,
      `copy (select client, sequence from ${TABLE} where run = '${this.run}') to stdout with (delimiter ' ')`,
    );
    if (read.exitCode !== 0) return { why: tail(`${read.stdout}\n${read.stderr}`) };
    return read.stdout === "" ? [] : read.stdout.split("\n");
  }

  async #psql(site: string, statement: string): Promise<Result> {
    const options = ["-X", "-q", "-At", "-c", statement];
    const client = siteClient(this.#plan, this.#stack, site, options, false);
    return tryDocker(["exec", "-i", client.container, ...client.command]);
  }
}

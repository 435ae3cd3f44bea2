import type { LedgerEntry, Observation } from "../infra/runbooks/observe/observation.ts";
import { GAP_STEPS } from "../infra/runbooks/plan/flip.ts";
import { count, countErrors, failedOf } from "../infra/rehearsal/writer/figures.ts";
import type { ErrorKind, WriterRecord } from "../infra/rehearsal/writer/records.ts";
import { monotonicMs } from "../infra/rehearsal/writer/records.ts";
import type { WriterReport } from "../infra/rehearsal/writer/writer.ts";
import { Writer } from "../infra/rehearsal/writer/writer.ts";
import { gapSince } from "./figures.ts";
import type { BenchWorld } from "./world.ts";

/** Clients with one session each, and clients that connect anew for each row. */
export const KEPT_CLIENTS = 8;
export const NEW_CLIENTS = 2;
/**
 * Of each client; eight of them leave 10 ms between two rows. At an eighth of it two cores that bear every machine of the
 * world and the floor's are busy to the last, and what is measured is the wait for a core.
 */
export const EVERY_MS = 80;

/** One flip under load, by its runbook's own times and by the application's rows. */
export interface FlipFigures {
  readonly from: string;
  readonly to: string;
  /** Longest time between two acknowledged commits around it, milliseconds, of the clients that keep their session. */
  readonly gapMs: number;
  /** The same of those that connect for each row, through the router where it was longest. */
  readonly newGapMs: number;
  /** Hold to release by the runbook, milliseconds. */
  readonly heldMs: number;
  /** From the release until the old primary streams again, milliseconds; NaN where the ledger lacks a part of it. */
  readonly rejoinMs: number;
  readonly phases: Readonly<Record<string, number>>;
  /** Errors of clients in its time: of kept sessions, and of new connections. */
  readonly errors: Readonly<Partial<Record<ErrorKind, number>>>;
  readonly newErrors: Readonly<Partial<Record<ErrorKind, number>>>;
  /** Errors of the client that had the most of them. */
  readonly mostErrorsOfOne: number;
  /** What the runbook warned of; empty when all went well. */
  readonly said: string;
}

export interface SeriesReport {
  /** Of the clients that keep their session. */
  readonly kept: WriterReport;
  /** Of those that connect for each row, one report per router. */
  readonly fresh: readonly WriterReport[];
}

/** Flips one after the other, while an application writes through every way that it has. */
export class FlipSeries {
  readonly #world: BenchWorld;
  readonly #kept: Writer;
  readonly #fresh: readonly Writer[];

  private constructor(world: BenchWorld, kept: Writer, fresh: readonly Writer[]) {
    this.#world = world;
    this.#kept = kept;
    this.#fresh = fresh;
  }

  static async begin(world: BenchWorld): Promise<FlipSeries> {
    const { plan, stack, overlay, topology } = world;
    const kept = await Writer.start(plan, stack, overlay, { clients: KEPT_CLIENTS, everyMs: EVERY_MS });
    const fresh = topology.routers.map(({ host }) =>
      Writer.start(plan, stack, overlay, {
        router: host.name,
        clients: NEW_CLIENTS,
        everyMs: EVERY_MS,
        connection: "new",
        name: "new",
        sampleEveryMs: 0,
      }),
    );
    return new FlipSeries(world, kept, await Promise.all(fresh));
  }

  recovery(...args: readonly string[]) {
    const { rehearse, stackName } = this.#world;
    return rehearse(["exec", "--", "env", "RECOVERY_YES=1", "bin/recovery", stackName, ...args]);
  }

  async topology(): Promise<Observation> {
    return JSON.parse((await this.recovery("topology", "--json")).stdout) as Observation;
  }

  async records(): Promise<{ readonly kept: WriterRecord[]; readonly fresh: WriterRecord[] }> {
    const [kept, ...fresh] = await Promise.all(
      [this.#kept, ...this.#fresh].map((writer) => writer.records()),
    );
    return { kept: kept ?? [], fresh: fresh.flat() };
  }

  /** @throws Error with the runbook's words when it does not end well */
  async flip(...options: readonly string[]): Promise<FlipFigures> {
    const writers = [this.#kept, ...this.#fresh];
    const from = await Promise.all(writers.map((writer) => writer.position()));
    const since = monotonicMs();
    const ran = await this.recovery("flip-db", "--json", ...options);
    if (ran.code !== 0) throw new Error(`flip-db exited with ${ran.code}\n${ran.stderr}`);
    const entry = JSON.parse(ran.stdout) as LedgerEntry;
    if (entry.from === null || entry.to === null) throw new Error("the ledger does not have the flip");
    const now = monotonicMs();
    await Promise.all(writers.map((writer) => writer.awaitRow(now, 20_000)));
    const [kept = [], ...fresh] = await Promise.all(writers.map((writer, n) => writer.records(from[n])));
    const failed = [kept, ...fresh].map((records) =>
      failedOf(records).filter(({ answered }) => answered >= since),
    );
    const [keptFailed = [], ...freshFailed] = failed;
    const ofEach = failed.flatMap((errors) => Object.values(count(errors.map(({ client }) => client))));
    const phase = (names: readonly string[], without: number): number =>
      names.reduce((sum, name) => sum + (entry.phases[name] ?? without), 0);
    return {
      from: entry.from,
      to: entry.to,
      gapMs: gapSince(kept, since),
      newGapMs: Math.max(...fresh.map((records) => gapSince(records, since))),
      // Only with transaction pooling the pooler pauses.
      heldMs: phase(GAP_STEPS, 0),
      rejoinMs: phase(["timeline", "serve", "stopped", "fence", "rejoin", "stream"], Number.NaN),
      phases: entry.phases,
      errors: countErrors(keptFailed),
      newErrors: countErrors(freshFailed.flat()),
      mostErrorsOfOne: Math.max(0, ...ofEach),
      said: ran.stderr
        .split("\n")
        .filter((line) => /^[!✗]/.test(line))
        .join("\n"),
    };
  }

  async end(): Promise<SeriesReport> {
    const [kept, fresh] = await Promise.all([
      this.#kept.report(),
      Promise.all(this.#fresh.map((writer) => writer.report())),
    ]);
    await this.discard();
    return { kept, fresh };
  }

  async discard(): Promise<void> {
    await Promise.all([this.#kept, ...this.#fresh].map((writer) => writer.discard()));
  }
}

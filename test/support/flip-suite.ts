import { afterAll, beforeAll, beforeEach, expect, vi } from "vitest";
import type { FlipFigures, SeriesReport } from "../../bench/series.ts";
import { FlipSeries } from "../../bench/series.ts";
import type { BenchWorld } from "../../bench/world.ts";
import { benchWorld } from "../../bench/world.ts";
import { healLinks } from "../../infra/rehearsal/faults/network.ts";
import type { Finding } from "../../infra/runbooks/judge.ts";
import type { Site } from "../../infra/topology/model.ts";
import type { Observation } from "../../infra/runbooks/observe/observation.ts";
import type { LiveWorld } from "./live-world.ts";
import { liveWorld } from "./live-world.ts";
import { touchedBy } from "./preview-steps.ts";
import type { Ran } from "./rehearsal.ts";
import { Rehearsal } from "./rehearsal.ts";
import { inWorld } from "./world-suite.ts";

export type Seen = Observation & { readonly verdict: Finding; readonly findings: readonly Finding[] };

export const otherThan = (site: string): string => (site === "dal-01" ? "chi-02" : "dal-01");

/** A sealed world of a stack, flipped under an application that writes all the time. */
export class FlipSuite {
  readonly stack: string;
  readonly world: Rehearsal;
  readonly #root: string;
  #live: LiveWorld | undefined;
  #series: FlipSeries | undefined;

  /** @param root the project's folder */
  constructor(root: string, stack = "production") {
    this.#root = root;
    this.stack = stack;
    this.world = new Rehearsal(stack);
  }

  /**
   * World, writers and healing around each test.
   * @param options of `bin/rehearse up`
   */
  install(...options: readonly string[]): void {
    this.installWorld(...options);
    beforeEach(async () => {
      this.#series = await FlipSeries.begin(await this.bench());
      return () => this.series.discard();
    });
  }

  /** World and healing alone, for a test that brings its own writers. */
  installWorld(...options: readonly string[]): void {
    inWorld(this.world, ...options);
    beforeAll(async () => {
      this.#live = await liveWorld(this.world, this.#root);
    });
    afterAll(() => healLinks(this.live.plan));
  }

  /** A site of the stack. */
  site(name: string): Site {
    const site = this.live.topology.sites.find((one) => one.name === name);
    if (site === undefined) throw new Error(`no site ${name}`);
    return site;
  }

  /** The other one of two sites. */
  other(name: string): Site {
    const site = this.live.topology.sites.find((one) => one.name !== name);
    if (site === undefined) throw new Error("there is one site");
    return site;
  }

  /** The world as the bench sees it. */
  bench(): Promise<BenchWorld> {
    const options = ["--stack", this.stack, "--world", this.world.world, "--yes", "--stand-ins"];
    return benchWorld(this.world.world, this.stack, options);
  }

  get live(): LiveWorld {
    if (this.#live === undefined) throw new Error("the world is not up");
    return this.#live;
  }

  get series(): FlipSeries {
    if (this.#series === undefined) throw new Error("nobody writes");
    return this.#series;
  }

  recovery(...args: readonly string[]): Promise<Ran> {
    return this.world.attempt("exec", "--", "env", "RECOVERY_YES=1", "bin/recovery", this.stack, ...args);
  }

  async topology(): Promise<Seen> {
    return JSON.parse((await this.recovery("topology", "--json")).stdout) as Seen;
  }

  /** Waits until one takes writes, the other streams, and nothing is held, locked or open. Gives the primary. */
  whole(): Promise<string> {
    return vi.waitFor(
      async () => {
        const seen = await this.topology();
        expect(["healthy", "not-declared"], seen.verdict.text).toContain(seen.verdict.code);
        const overrides = seen.routers.flatMap(({ listeners }) => listeners.flatMap((one) => one.overrides));
        expect(overrides).toEqual([]);
        expect(seen.hosts.map(({ lock }) => lock)).toEqual(seen.hosts.map(() => null));
        return seen.primaries.join();
      },
      { timeout: 60_000, interval: 500 },
    );
  }

  /** What a preview would change: the operation and the resource's name. */
  async changed(): Promise<readonly string[]> {
    const preview = await this.world.engine("preview", "--json");
    expect(preview.code, preview.stderr).toBe(0);
    return touchedBy(preview);
  }

  /** A flip that waits before a step until what is given is done. */
  async pausedBefore(step: string, meanwhile: () => Promise<void>): Promise<Ran> {
    const { world } = this;
    await world.controller("rm -f /tmp/go /tmp/paused");
    const line = [
      `RECOVERY_YES=1 RECOVERY_PAUSE_BEFORE=${step}=/tmp/go bin/recovery ${this.stack} flip-db 2>/tmp/paused`,
      "code=$?; cat /tmp/paused >&2; exit $code",
    ].join("; ");
    const flip = world.attempt("exec", "--", "sh", "-c", line);
    await Promise.race([
      world.controller(
        "for n in $(seq 600); do grep -qs '^paused before' /tmp/paused && exit 0; sleep 0.1; done; exit 1",
      ),
      flip.then((ran) => Promise.reject(new Error(`it never paused:\n${ran.stderr}`))),
    ]);
    try {
      await meanwhile();
    } finally {
      await world.controller("touch /tmp/go");
    }
    return flip;
  }

  /** Nothing was lost, doubled, or written at two places. Ends the writers. */
  async proven(what: string): Promise<SeriesReport> {
    const report = await this.series.end();
    nothingLost(what, report);
    return report;
  }
}

/** Milliseconds for the old primary to stream again, after the release. */
export const REJOIN_MS = 3000;

/**
 * The application heard of a flip as little as its way of pooling allows: each client's session was cut at most once
 * (with transaction pooling: a statement that waited and never ran), no new connection was refused or cut in its login.
 */
export function hardlyNoticed(flip: FlipFigures): void {
  expect(flip.said).toBe("");
  for (const errors of [flip.errors, flip.newErrors])
    expect(Object.keys(errors).filter((kind) => kind !== "reset")).toEqual([]);
  expect(flip.mostErrorsOfOne).toBeLessThanOrEqual(1);
}

/** No acknowledged row is lost or doubled, and no two instances ever took writes at once. */
export function nothingLost(what: string, { kept, fresh }: SeriesReport): void {
  const rows = [kept, ...fresh].reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  console.log(
    `${what}: ${rows} rows, longest gap ${Math.round(kept.longestGap?.ms ?? 0)} ms, ` +
      `errors ${JSON.stringify(kept.errors)} and ${JSON.stringify(fresh.map(({ errors }) => errors))}`,
  );
  for (const one of [kept, ...fresh]) expect(one).toMatchObject({ lost: 0, duplicates: 0 });
  expect(kept.writability?.overlaps).toEqual([]);
}

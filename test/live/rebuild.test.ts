import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { spread } from "../../bench/figures.ts";
import type { LiveWorld } from "../support/live-world.ts";
import { liveWorld } from "../support/live-world.ts";
import { RecoveryCli, told } from "../support/recovery-cli.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { inWorld } from "../support/world-suite.ts";

/** Rebuilds, and as many bare copies, in turn. */
const PAIRS = 5;
/** A rebuild, from its first step until the new data streams, in a bare pg_basebackup. */
const OF_BARE = 1.3;
/** Those steps. What comes before them looks and asks, what comes after tidies up: the old data goes, the pooler reconnects. */
const STEPS = ["backup", "stop", "aside", "grant", "adopt", "start", "stream"];
const GIBIBYTE = 1024 ** 3;

const world = new Rehearsal("production");
const { recovery, lastRun, whole } = new RecoveryCli(world);

describe("rebuild-standby of a database of 1 GiB", { timeout: 1_200_000 }, () => {
  inWorld(world);
  let live: LiveWorld;
  beforeAll(async () => {
    live = await liveWorld(world, join(import.meta.dirname, "../.."));
    await world.sql("dal-01", "create database bulk");
    const bulk =
      "create table bulk as select i, repeat(md5(i::text), 8) note from generate_series(1, 3750000) i; checkpoint";
    await world.run("psql", "dal-01", "--", "-X", "-q", "-d", "bulk", "-c", bulk);
    expect(Number(await world.sql("dal-01", "select pg_database_size('bulk')"))).toBeGreaterThan(GIBIBYTE);
  }, 600_000);

  /**
   * Seconds of a pg_basebackup as one would type it at the standby, between the same two containers. What it wrote is gone
   * from the disk before the rebuild begins, as the rebuild's own is before the next one.
   */
  async function bare(): Promise<number> {
    const [primary, standby] = live.topology.sites;
    const [from, to] = [primary?.host.address ?? "", standby?.postgres.container ?? ""];
    const conninfo = `host=${from} port=${primary?.postgres.port ?? 0} user=heatwave_replication passfile=/run/heatwave/replication.pgpass`;
    const copy = `/usr/lib/postgresql/18/bin/pg_basebackup -D /var/lib/postgresql/18/bare -d '${conninfo}' -X stream -c fast`;
    const timed = `begun=$(date +%s%N); ${copy} >&2 && echo $((($(date +%s%N) - begun) / 1000)); rm -rf /var/lib/postgresql/18/bare; sync`;
    const out = await world.host(
      standby?.host.name ?? "",
      `docker exec -u postgres ${to} sh -c "${timed.replaceAll("$", "\\$")}"`,
    );
    return Number(out.trim()) / 1e6;
  }

  it(`streams again within ${OF_BARE} × of the time that a bare pg_basebackup takes`, async () => {
    await whole();
    const pairs: { readonly bare: number; readonly streams: number; readonly verb: number }[] = [];
    for (let n = 0; n < PAIRS; n += 1) {
      const alone = await bare();
      const ran = await recovery("rebuild-standby");
      expect(ran.code, ran.stderr).toBe(0);
      if (n === 0) console.log(told(ran));
      const phases = (await lastRun())?.phases ?? {};
      const streams = STEPS.reduce((sum, step) => sum + (phases[step] ?? Number.NaN), 0) / 1000;
      pairs.push({ bare: alone, streams, verb: ran.seconds });
      console.log(
        `bare ${alone.toFixed(2)} s, streams after ${streams.toFixed(2)} s, the verb ${ran.seconds.toFixed(2)} s: ${JSON.stringify(phases)}`,
      );
      await whole();
      await world.host("chi-02", "sync");
    }
    const median = (of: (pair: (typeof pairs)[number]) => number): number =>
      spread(pairs.map((pair) => of(pair) * 1000)).median / 1000;
    const [alone, streams, verb] = [median((p) => p.bare), median((p) => p.streams), median((p) => p.verb)];
    console.log(
      `medians: bare ${alone.toFixed(2)} s, streams after ${streams.toFixed(2)} s (${(streams / alone).toFixed(2)} ×), the whole verb ${verb.toFixed(2)} s`,
    );
    expect(streams).toBeLessThanOrEqual(OF_BARE * alone);
  });
});

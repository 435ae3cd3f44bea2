import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { WriterReport } from "../../infra/rehearsal/writer/writer.ts";
import { Writer } from "../../infra/rehearsal/writer/writer.ts";
import type { Finding } from "../../infra/runbooks/judge.ts";
import type { Observation } from "../../infra/runbooks/observe/observation.ts";
import { liveWorld } from "../support/live-world.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { inWorld } from "../support/world-suite.ts";

const root = join(import.meta.dirname, "../..");
const world = new Rehearsal("production");
const [PRIMARY, STANDBY] = ["dal-01", "chi-02"] as const;
const SITES = [PRIMARY, STANDBY] as const;

const recovery = async (...args: readonly string[]): Promise<string> => {
  const ran = await world.attempt(
    ...["exec", "--", "env", "RECOVERY_YES=1", "bin/recovery", "production", ...args],
  );
  expect(ran.code, ran.stdout + ran.stderr).toBe(0);
  return ran.stdout;
};

/** Writes max_connections into the stack file and applies it. Returns what `up` said. */
async function limit(value: number): Promise<string> {
  await world.controller(
    `cp /tmp/kept.yaml Pulumi.production.yaml && sed -i 's/max_connections: 200/max_connections: ${value}/' Pulumi.production.yaml`,
  );
  const up = await world.engine("up", "--yes");
  expect(up.code, up.stdout + up.stderr).toBe(0);
  return up.stdout + up.stderr;
}

const running = async (): Promise<Readonly<Record<string, string>>> =>
  Object.fromEntries(
    await Promise.all(
      SITES.map(async (site) => [site, await world.sql(site, "show max_connections")] as const),
    ),
  );

async function restart(site: string): Promise<void> {
  await recovery("restart", site);
  await streams();
}

/** The standby streams, and what is committed now is replayed there. */
async function streams(): Promise<void> {
  await vi.waitFor(
    async () => {
      const { verdict, findings } = await topology();
      expect(["healthy", "pending-restart"], JSON.stringify(findings)).toContain(verdict.code);
      const at = await world.sql(PRIMARY, "select pg_current_wal_insert_lsn()");
      expect(await world.sql(STANDBY, `select pg_last_wal_replay_lsn() >= '${at}'::pg_lsn`)).toBe("t");
    },
    { timeout: 60_000, interval: 300 },
  );
}

type Seen = Observation & { readonly verdict: Finding; readonly findings: readonly Finding[] };
const topology = async (): Promise<Seen> => JSON.parse(await recovery("topology", "--json")) as Seen;

/** Site → "RUNNING → FILE" of what topology says waits for a restart. */
async function waiting(): Promise<Readonly<Record<string, string>>> {
  const { sites } = await topology();
  return Object.fromEntries(
    sites.map(({ name, pendingRestart }) => [
      name,
      (pendingRestart ?? []).map(({ running: now, file }) => `${now} → ${file}`).join(),
    ]),
  );
}

describe("a limit that binds a standby to its primary", { timeout: 300_000 }, () => {
  inWorld(world);
  let writer: Writer;
  beforeAll(async () => {
    await world.controller("cp Pulumi.production.yaml /tmp/kept.yaml");
  });
  beforeEach(async () => {
    const live = await liveWorld(world, root);
    writer = await Writer.start(live.plan, live.stack, live.overlay);
    return async () => {
      await writer.discard();
    };
  });
  afterAll(async () => {
    await world.controller("cp /tmp/kept.yaml Pulumi.production.yaml");
  });
  const tell = async (what: string): Promise<WriterReport> => {
    const report = await writer.stop();
    console.log(`${what}: ${report.acknowledged} rows, longest gap ${report.longestGap?.ms ?? 0} ms`);
    expect(report).toMatchObject({ lost: 0, duplicates: 0 });
    return report;
  };

  it("raised in the order that `up` names: standby first, then the primary", async () => {
    const said = await limit(210);
    for (const site of SITES)
      expect(said).toContain(
        `max_connections = 210 takes effect at the next restart of PostgreSQL at ${site}; until then it is 200 (raised: restart the standbys before the primary)`,
      );
    expect(await waiting()).toEqual({ [PRIMARY]: "200 → 210", [STANDBY]: "200 → 210" });
    await restart(STANDBY);
    expect(await running()).toEqual({ [PRIMARY]: "200", [STANDBY]: "210" });
    expect(await waiting()).toEqual({ [PRIMARY]: "200 → 210", [STANDBY]: "" });
    await restart(PRIMARY);
    expect(await running()).toEqual({ [PRIMARY]: "210", [STANDBY]: "210" });
    expect((await topology()).verdict.code).toBe("healthy");
    await tell("raised, standby first");
  });

  it("lowered in the order that `up` names: primary first, then the standby", async () => {
    const said = await limit(190);
    for (const site of SITES)
      expect(said).toContain(
        `max_connections = 190 takes effect at the next restart of PostgreSQL at ${site}; until then it is 210 (lowered: restart the primary before the standbys)`,
      );
    await restart(PRIMARY);
    expect(await running()).toEqual({ [PRIMARY]: "190", [STANDBY]: "210" });
    await restart(STANDBY);
    expect(await running()).toEqual({ [PRIMARY]: "190", [STANDBY]: "190" });
    await tell("lowered, primary first");
  });

  it("lowered at the standby first: it starts with what the primary has, says so, and takes the new value later", async () => {
    await limit(180);
    await restart(STANDBY);
    expect(await running()).toEqual({ [PRIMARY]: "190", [STANDBY]: "190" });
    expect(
      await world.host(STANDBY, "docker logs heatwave-postgres-replica 2>&1 | grep 'starts with'"),
    ).toMatch(/starts with max_connections = 190, which the primary had, and not 180/);
    await restart(PRIMARY);
    expect(await running()).toEqual({ [PRIMARY]: "180", [STANDBY]: "190" });
    await restart(STANDBY);
    expect(await running()).toEqual({ [PRIMARY]: "180", [STANDBY]: "180" });
    await tell("lowered, standby first");
  });

  it("raised at the primary first: the standby pauses, restarts itself with the value, and follows", async () => {
    await limit(230);
    await restart(PRIMARY);
    await vi.waitFor(async () => expect(await running()).toEqual({ [PRIMARY]: "230", [STANDBY]: "230" }), {
      timeout: 60_000,
      interval: 300,
    });
    await streams();
    expect((await topology()).verdict.code).toBe("healthy");
    await tell("raised, primary first");
  });
});

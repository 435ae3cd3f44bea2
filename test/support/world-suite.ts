import { execa } from "execa";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { loadStackFile } from "../../infra/config/load.ts";
import type { Topology } from "../../infra/topology/model.ts";
import { buildTopology } from "../../infra/topology/model.ts";
import type { Rehearsal } from "./rehearsal.ts";
import { serverStates } from "./rehearsal.ts";

/** The shipped stack as the tests see it: no secret is decrypted. */
export function topologyOf(stack: string, directory: string): Topology {
  return buildTopology(loadStackFile(directory, stack));
}

/**
 * Makes the world and brings the stack up before the tests; removes it after, and proves that nothing stays.
 * @param options of `bin/rehearse up`
 */
export function inWorld(world: Rehearsal, ...options: readonly string[]): void {
  beforeAll(async () => {
    await world.run("up", ...options);
  });
  afterAll(async () => {
    await world.down();
    expect(await labelled(world.world)).toEqual([]);
  });
}

/** Containers, networks and volumes that carry the world's label. */
export async function labelled(world: string): Promise<string[]> {
  const filter = ["--filter", `label=heatwave.world=${world}`];
  const lists = await Promise.all([
    execa("docker", ["ps", "-aq", ...filter]),
    execa("docker", ["network", "ls", "-q", ...filter]),
    execa("docker", ["volume", "ls", "-q", ...filter]),
  ]);
  return lists.flatMap(({ stdout }) => stdout.split("\n").filter(Boolean));
}

/** What every stack must show, whatever its shape. */
export function behavesLikeAStack(world: Rehearsal, topology: Topology): void {
  const first = topology.sites[0];
  if (first === undefined) throw new Error("a stack has a site");

  it("a second up and its preview change nothing", async () => {
    const up = await world.engine("up", "--yes", "--expect-no-changes");
    expect(up, up.stdout + up.stderr).toMatchObject({ code: 0 });
    const preview = await world.engine("preview", "--expect-no-changes");
    expect(preview, preview.stdout + preview.stderr).toMatchObject({ code: 0 });
  });

  it("the first site takes writes, the others stand by, and their health endpoints say so", async () => {
    for (const site of topology.sites) {
      const { status, body } = await world.get(`http://${site.host.address}:${site.pgHealth.port}/`);
      expect({ site: site.name, status, body: body.trim() }).toEqual({
        site: site.name,
        status: site === first ? 200 : 503,
        body: site === first ? "primary" : "standby",
      });
    }
  });

  it("every router has exactly the primary up for writes and accepts its own file", async () => {
    const writes = topology.listeners.filter(({ route }) => route === "write").map(({ name }) => name);
    for (const router of topology.routers) {
      await vi.waitFor(
        async () => {
          const states = await serverStates(world, router.host.address, router.statsPort);
          const seen = states
            .filter(({ proxy }) => writes.includes(proxy))
            .map(({ server, status }) => ({ server, status }));
          expect(seen).toEqual(
            writes.flatMap(() =>
              topology.sites.map((site) => ({ server: site.name, status: site === first ? "UP" : "DOWN" })),
            ),
          );
        },
        { timeout: 20_000, interval: 500 },
      );
      const check = `docker exec ${router.container} haproxy -c -f /usr/local/etc/haproxy/haproxy.cfg`;
      expect(await world.host(router.name, check)).toMatch(/valid|^$/i);
    }
  });

  it("a row acknowledged through the write VIP is on every site", async () => {
    const row = `row-${Date.now()}`;
    await world.sql("write", "create table if not exists seen (note text primary key)");
    await world.sql("write", `insert into seen values ('${row}')`);
    expect(await world.sql("write", `select note from seen where note = '${row}'`)).toBe(row);
    for (const site of topology.sites) {
      await vi.waitFor(
        async () =>
          expect(await world.sql(site.name, `select note from seen where note = '${row}'`)).toBe(row),
        { timeout: 10_000, interval: 200 },
      );
    }
  });

  it("every standby streams through its own slot, named by place", async () => {
    const streaming = await world.sql(
      first.name,
      "select string_agg(application_name || ':' || slot_name || ':' || state, ',' order by application_name) " +
        "from pg_stat_replication join pg_replication_slots on active_pid = pid",
    );
    const expected = topology.sites
      .filter((site) => site !== first)
      .map((site) => `${site.name}:${site.slot}:streaming`)
      .toSorted();
    expect(streaming).toBe(expected.join(","));
  });
}

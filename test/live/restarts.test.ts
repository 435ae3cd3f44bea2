import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { setLiveRestore } from "../../infra/rehearsal/faults/live-restore.ts";
import { powerOff, powerOn, reboot } from "../../infra/rehearsal/faults/power.ts";
import { killProcess } from "../../infra/rehearsal/faults/processes.ts";
import { monotonicMs } from "../../infra/rehearsal/writer/records.ts";
import { liveWorld } from "../support/live-world.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { RestartTable } from "../support/restart-table.ts";
import { containersOfHost, seededOrder } from "../support/restart-orders.ts";
import { inWorld } from "../support/world-suite.ts";

const all = process.env["HEATWAVE_ALL"] === "1";
const root = join(import.meta.dirname, "../..");
const world = new Rehearsal("production");

/** The writer's host is the primary's own, as in production: what stops the host stops the application too. */
describe("the restart table, with an application that writes all the time", () => {
  let table: RestartTable;
  inWorld(world);
  beforeAll(async () => {
    table = await RestartTable.begin(await liveWorld(world, root));
  });
  afterAll(() => table.end());

  const kill = (host: string, role: string): Promise<number> =>
    killProcess(table.live.plan, table.live.stack, host, role).then(({ at }) => at);

  it.each(["entrypoint", "postgres", "pgbouncer", "pg-health", "haproxy"])(
    "%s of the primary's host killed -9",
    async (role) => {
      await table.row(`${role} killed -9`, (primary) => kill(table.site(primary).host.name, role));
    },
  );

  it("standby site dead, then the primary's container killed: writable again within 10 s", async () => {
    const [other] = table.live.topology.sites.slice(1);
    const dead = other?.host.name ?? "";
    await table.row(
      "standby site dead and primary container killed",
      async (primary) => {
        await powerOff(table.live.plan, dead, false);
        const at = await kill(table.site(primary).host.name, "entrypoint");
        await table.writer.awaitRow(at, 60_000);
        await powerOn(table.live.plan, dead);
        return at;
      },
      { writableWithinMs: 10_000 },
    );
  });

  it.each([false, true])("the Docker daemon of the primary's host killed -9, live-restore %s", async (on) => {
    await table.row(`dockerd killed -9, live-restore ${on ? "on" : "off"}`, async (primary) => {
      const host = table.site(primary).host.name;
      await setLiveRestore(table.live.plan, host, on);
      const ids = () =>
        table.onHost(host, "docker ps -q --no-trunc --filter name=heatwave-postgres | head -n 1");
      const pid = `docker inspect -f '{{.State.Pid}}' ${table.site(primary).postgres.container}`;
      const [id, before] = [await ids(), await table.onHost(host, pid)];
      const at = await kill(host, "dockerd");
      await table.onHost(host, `until docker version >/dev/null 2>&1; do sleep 0.1; done`);
      await table.whole();
      expect(await ids()).toBe(id);
      // With live-restore nothing was touched; without it the new daemon ended what ran, and started it again.
      expect((await table.onHost(host, pid)) === before).toBe(on);
      await setLiveRestore(table.live.plan, host, false);
      return at;
    });
  });

  it("all containers of both sites restarted at once", async () => {
    await table.row("all containers restarted at once", async () => {
      const at = monotonicMs();
      await Promise.all(
        table.live.topology.hosts.map(({ name }) =>
          table.onHost(name, `docker restart ${containersOfHost(table.live.topology, name).join(" ")}`),
        ),
      );
      return at;
    });
  });

  it.each(all ? [1, 2, 3, 4, 5] : [1])("containers restarted in a random order, seed %i", async (seed) => {
    const order = seededOrder(table.live.topology, seed);
    console.log(`seed ${seed}: ${order.map(({ host, container }) => `${host}/${container}`).join(", ")}`);
    await table.row(`containers restarted in an order of seed ${seed}`, async () => {
      const at = monotonicMs();
      for (const { host, container } of order) await table.onHost(host, `docker restart ${container}`);
      return at;
    });
  });

  it("the primary's PostgreSQL comes back under another address", async () => {
    await table.row("PostgreSQL under another address", async (primary) => {
      const { host, postgres, pgHealth } = table.site(primary);
      const address = `docker inspect -f '{{.NetworkSettings.Networks.kamal.IPAddress}}' ${postgres.container}`;
      const before = await table.onHost(host.name, address);
      const at = monotonicMs();
      // What takes the address in the meantime stays until PostgreSQL has another one.
      await table.onHost(
        host.name,
        [
          `image=$(docker inspect -f '{{.Image}}' ${pgHealth.container})`,
          `docker stop ${postgres.container}`,
          `docker run -d --rm --name squatter --network kamal --ip ${before} --entrypoint node $image -e 'setInterval(Date, 1e9)'`,
          `docker start ${postgres.container}`,
        ].join(" && "),
      );
      try {
        expect(await table.onHost(host.name, address)).not.toBe(before);
        await table.writer.awaitRow(at, 60_000);
      } finally {
        await table.onHost(host.name, "docker rm -f squatter");
      }
      return at;
    });
  });

  it("the primary's host rebooted, its peer alive", async () => {
    await table.row("primary host rebooted, peer alive", async (primary) => {
      const at = monotonicMs();
      await reboot(table.live.plan, table.site(primary).host.name, true);
      return at;
    });
  });

  it("both hosts rebooted together, as by a power cut", async () => {
    await table.row("both hosts rebooted together", async () => {
      const at = monotonicMs();
      await Promise.all(table.live.plan.hosts.map(({ name }) => reboot(table.live.plan, name, false)));
      return at;
    });
  });

  it("the primary's data volume gone: 503 empty, no initdb, nothing routed to it", async () => {
    await table.row("primary's data volume gone", async (primary) => {
      const { host, postgres, volume } = table.site(primary);
      const data = `/var/lib/docker/volumes/${volume}/_data`;
      const lost = "/var/lib/docker/lost";
      const at = monotonicMs();
      await table.onHost(
        host.name,
        `docker stop ${postgres.container} && mkdir ${lost} && mv ${data}/* ${lost}/ && docker start ${postgres.container}`,
      );
      try {
        await table.awaitWord(primary, /^empty$/, 503);
        const empty = monotonicMs();
        // Past several looks of the brain and checks of the router.
        await delay(8000);
        expect(await table.answers()).toContainEqual({
          ...{ site: primary, host: host.name, word: "empty", status: 503 },
        });
        expect(await table.onHost(host.name, `find ${data} -name PG_VERSION`)).toBe("");
        const rows = await table.writer.records();
        expect(rows.filter((row) => row.kind === "ack" && row.sent >= empty)).toEqual([]);
      } finally {
        await table.onHost(
          host.name,
          `docker stop ${postgres.container} && rm -rf ${data}/* && mv ${lost}/* ${data}/ && rmdir ${lost} && docker start ${postgres.container}`,
        );
      }
      return at;
    });
  });
});

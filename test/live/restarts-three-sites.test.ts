import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { powerOff, powerOn } from "../../infra/rehearsal/faults/power.ts";
import { monotonicMs } from "../../infra/rehearsal/writer/records.ts";
import { liveWorld } from "../support/live-world.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { RestartTable } from "../support/restart-table.ts";
import { SiteControl } from "../support/site-control.ts";
import { inWorld } from "../support/world-suite.ts";

const configFile = "examples/Pulumi.three-sites.yaml";
const world = new Rehearsal("three-sites", { configFile });

/** An app host apart from the sites: it lives while any of them is dead. */
const APP_HOST = "app-01";

describe.runIf(process.env["HEATWAVE_ALL"] === "1")("the restart table of three sites", () => {
  let table: RestartTable;
  let control: SiteControl;
  inWorld(world);
  beforeAll(async () => {
    const live = await liveWorld(world, join(import.meta.dirname, "../../examples"));
    table = await RestartTable.begin(live, { router: APP_HOST });
    control = new SiteControl(live);
  });
  afterAll(() => table.end());

  it("one declared gone: the new primary restarts without it, and it takes no write when it returns", async () => {
    const [gone, next] = table.live.topology.sites;
    if (gone === undefined || next === undefined) throw new Error("three sites");
    const { plan, topology } = table.live;
    await table.row(
      "one of three declared gone, the new primary restarted, the old one returning",
      async (primary) => {
        expect(primary).toBe(gone.name);
        // A failover may lose what no standby has: here they have everything before the plug is pulled.
        const routers = topology.routers.map(({ host, container }) => ({ host: host.name, container }));
        for (const { host, container } of routers) await table.onHost(host, `docker stop ${container}`);
        await vi.waitFor(
          async () =>
            expect(
              await table.sql(
                primary,
                "select count(*) from pg_stat_replication where replay_lsn >= pg_current_wal_flush_lsn()",
              ),
            ).toBe("2"),
          { timeout: 10_000, interval: 100 },
        );
        const epoch = (await control.highestEpoch(topology.sites.map(({ name }) => name))) + 1;
        await powerOff(plan, gone.host.name, false);
        await control.promote(next.name, epoch, [gone.name]);
        await table.onHost(
          APP_HOST,
          `docker start ${routers.find(({ host }) => host === APP_HOST)?.container ?? ""}`,
        );
        await table.awaitWord(next.name, /^primary$/, 200);
        await table.writer.awaitRow(monotonicMs(), 60_000);

        // Its only living peer answers; the dead one is in nobody's way.
        await powerOff(plan, next.host.name, false);
        const at = monotonicMs();
        await powerOn(plan, next.host.name);
        await table.writer.awaitRow(at, 90_000);
        expect((await table.answers()).find(({ site }) => site === next.name)?.word).toBe("primary");

        await powerOn(plan, gone.host.name);
        await table.awaitWord(gone.name, /^(standby|held|conflict|superseded)$/, 503, 90_000);
        await delay(10_000);
        expect((await table.answers()).find(({ site }) => site === gone.name)?.status).toBe(503);
        await expect(table.sql(gone.name, "create table public.heatwave_stale (id int)")).rejects.toThrow();
        return at;
      },
      { primary: next.name, promotes: true, gone: gone.name },
    );
  }, 300_000);
});

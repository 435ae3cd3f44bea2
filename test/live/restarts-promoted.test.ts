import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { cut, healLinks } from "../../infra/rehearsal/faults/network.ts";
import { lateAddress, powerOff, powerOn, reboot } from "../../infra/rehearsal/faults/power.ts";
import { killProcess } from "../../infra/rehearsal/faults/processes.ts";
import { monotonicMs } from "../../infra/rehearsal/writer/records.ts";
import { liveWorld } from "../support/live-world.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { RestartTable } from "../support/restart-table.ts";
import { SiteControl } from "../support/site-control.ts";
import { inWorld } from "../support/world-suite.ts";

const root = join(import.meta.dirname, "../..");
const world = new Rehearsal("production");

/** Longer than the 60 s for which a silent peer holds a start back before it is a start in recovery. */
const LONG = { timeout: 240_000 };

describe.runIf(process.env["HEATWAVE_ALL"] === "1")(
  "the restart table, where sites differ in what they know",
  () => {
    let table: RestartTable;
    let control: SiteControl;
    inWorld(world);
    beforeAll(async () => {
      const live = await liveWorld(world, root);
      table = await RestartTable.begin(live);
      control = new SiteControl(live);
    });
    afterAll(() => table.end());

    const names = (): string[] => table.live.topology.sites.map(({ name }) => name);
    const otherThan = (site: string): string => names().find((name) => name !== site) ?? "";
    const hostOf = (site: string): string => table.site(site).host.name;

    /** Ends the primary in order and promotes the other site, which has everything by then. */
    async function turnOver(from: string, to: string): Promise<void> {
      await control.order(from, "stop");
      const epoch = (await control.highestEpoch(names())) + 1;
      await control.promote(to, epoch);
    }

    /** No writes arrive from the application, and the standby has all of them. */
    async function quiet<T>(primary: string, work: () => Promise<T>): Promise<T> {
      const [router] = table.live.topology.routers;
      if (router === undefined) throw new Error("no router");
      await table.onHost(router.host.name, `docker stop ${router.container}`);
      try {
        await vi.waitFor(
          async () =>
            expect(
              await table.sql(
                primary,
                "select count(*) from pg_stat_replication where replay_lsn >= pg_current_wal_flush_lsn()",
              ),
            ).toBe("1"),
          { timeout: 10_000, interval: 50 },
        );
        return await work();
      } finally {
        await table.onHost(router.host.name, `docker start ${router.container}`);
      }
    }

    /** Throws a site's data away and takes it anew from the primary. */
    async function rebuild(site: string): Promise<void> {
      const { host, postgres, pgHealth, volume } = table.site(site);
      await table.onHost(
        host.name,
        `docker stop ${postgres.container} && rm -rf /var/lib/docker/volumes/${volume}/_data/* && docker start ${postgres.container}`,
      );
      await table.onHost(
        host.name,
        `docker exec ${pgHealth.container} node /opt/heatwave/pg-health.mjs found --timeout 120`,
      );
      await control.order(site, "start");
    }

    it("the primary's host rebooted, its peer silent: held back until the peer answers", LONG, async () => {
      await table.row("primary host rebooted, peer silent until healed", async (primary) => {
        await cut(table.live.plan, hostOf(primary), { other: hostOf(otherThan(primary)) });
        await reboot(table.live.plan, hostOf(primary), false);
        await table.awaitWord(primary, /^held$/, 503);
        const held = monotonicMs();
        // Past the start in recovery, which is for reads: nobody may write meanwhile.
        await vi.waitFor(
          async () => expect(await table.sql(primary, "select pg_is_in_recovery()")).toBe("t"),
          {
            timeout: 90_000,
            interval: 500,
          },
        );
        await table.awaitWord(primary, /^held$/, 503);
        const rows = await table.writer.records();
        expect(rows.filter((row) => row.kind === "ack" && row.sent >= held)).toEqual([]);
        const at = monotonicMs();
        await healLinks(table.live.plan);
        return at;
      });
    });

    it(
      "the primary's host rebooted, its peer silent: bin/recovery start --peer-gone frees it",
      LONG,
      async () => {
        let excluded = "";
        await table.row("primary host rebooted, peer silent, freed by command", async (primary) => {
          excluded = otherThan(primary);
          await cut(table.live.plan, hostOf(otherThan(primary)));
          await reboot(table.live.plan, hostOf(primary), false);
          await table.awaitWord(primary, /^held$/, 503);
          const at = monotonicMs();
          await world.controller(`bin/recovery production start ${primary} --peer-gone --accept-loss --yes`);
          await table.writer.awaitRow(at, 60_000);
          expect((await control.facts(primary)).grant.grant?.excluded).toEqual([otherThan(primary)]);
          await healLinks(table.live.plan);
          return at;
        });
        // What follows promotes it again, which nobody may while it is excluded.
        await world.controller(`bin/recovery production rejoin ${excluded} --yes`);
      },
    );

    it("the tailnet address 30 s late", LONG, async () => {
      await table.row("tailnet address 30 s late", async (primary) => {
        await lateAddress(table.live.plan, hostOf(primary), 30);
        const at = monotonicMs();
        await reboot(table.live.plan, hostOf(primary), false);
        await table.writer.awaitRow(at, 120_000);
        await lateAddress(table.live.plan, hostOf(primary), 0);
        return at;
      });
    });

    it("a primary killed 100 ms after its promotion comes back as the primary", LONG, async () => {
      const before = await table.whole();
      const after = otherThan(before);
      await table.row(
        "primary killed 100 ms after its promotion",
        async () => {
          await turnOver(before, after);
          await delay(100);
          const { at } = await killProcess(table.live.plan, table.live.stack, hostOf(after), "postgres");
          await table.awaitWord(after, /^primary$/, 200);
          await control.order(before, "start");
          return at;
        },
        { primary: after, promotes: true },
      );
    });

    it("a stale old primary started beside a newer one takes no write", LONG, async () => {
      const old = await table.whole();
      const newer = otherThan(old);
      await table.row(
        "stale old primary beside a newer one",
        async () => {
          const at = monotonicMs();
          await quiet(old, async () => {
            const epoch = (await control.highestEpoch(names())) + 1;
            await powerOff(table.live.plan, hostOf(old), false);
            await control.promote(newer, epoch);
          });
          await powerOn(table.live.plan, hostOf(old));
          await table.awaitWord(old, /^(standby|held|superseded|starting|stopped|unreachable)$/, 503, 90_000);
          await table.awaitWord(newer, /^primary$/, 200);
          // It had a held grant and data that could have been started: for a while every chance to do it wrong.
          await delay(10_000);
          await expect(
            table.sql(old, "create table public.heatwave_stale (id int)"),
            "a write at the old primary",
          ).rejects.toThrow(/read-only transaction|No such file|not running|could not connect|failed/);
          if ((await table.answers()).find(({ site }) => site === old)?.word !== "standby")
            await rebuild(old);
          return at;
        },
        { primary: newer, promotes: true, unheard: true },
      );
    });

    it("two primaries of equal timeline answer 503 both, and nobody writes", LONG, async () => {
      const first = await table.whole();
      const second = otherThan(first);
      const { postgres, pgHealth, host, volume } = table.site(second);
      const { grant } = (await control.facts(first)).grant;
      if (grant === undefined) throw new Error("the primary has no grant");
      const { epoch, timeline } = grant;
      await control.order(second, "stop");
      await table.onHost(host.name, `rm /var/lib/docker/volumes/${volume}/_data/18/docker/standby.signal`);
      // What no rule allows, made by hand: the brain away, an order straight to the entrypoint.
      await table.onHost(host.name, `docker pause ${pgHealth.container}`);
      const run = `${postgres.directory}/run`;
      await table.onHost(host.name, `echo 'forged start primary 99999999' > ${run}/orders`);
      await vi.waitFor(async () => expect(await table.sql(second, "select pg_is_in_recovery()")).toBe("f"), {
        timeout: 30_000,
        interval: 200,
      });
      await table.onHost(host.name, `docker unpause ${pgHealth.container}`);
      await control.grant(second, { epoch, timeline, state: "held" });
      await table.awaitWord(first, /^conflict$/, 503);
      await table.awaitWord(second, /^conflict$/, 503);
      const conflict = monotonicMs() + 10_000;
      await delay(14_000);
      const rows = await table.writer.records();
      expect(rows.filter((row) => row.kind === "ack" && row.sent >= conflict)).toEqual([]);
      console.log("two primaries of equal timeline: both 503 conflict, no row acknowledged");
    });
  },
);

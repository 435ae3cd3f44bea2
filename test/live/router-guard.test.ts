import { once } from "node:events";
import { describe, expect, it } from "vitest";
import type { FakeSite } from "../support/fake-site.ts";
import { haproxy, haproxyNote } from "../support/haproxy.ts";
import { chicago, closeAfterEach, dallas, router } from "../support/router-fixture.ts";

closeAfterEach();

describe.skipIf(haproxy === undefined)(
  `a router whose switchover's runbook dies (HAProxy ${haproxyNote})`,
  () => {
    /** A runbook's guard, hold and cut at a router that asks too seldom to find out by itself. */
    async function left(sites: readonly [FakeSite, FakeSite], meanwhile: () => void, cuts = true) {
      const vip = await router({ sites, settings: { check: { inter: "1m", rise: 2, fall: 3 } } });
      await vip.start();
      const session = await vip.connect();
      expect(session.site).toBe("dal");
      const guard = vip.guard(30);
      guard.stdin.write(
        [
          "set server pg-primary/dal state ready",
          "set server pg-primary/dal health down",
          "pg-primary/dal pg-primary/chi",
          `set maxconn frontend pg-primary ${vip.maxconn}`,
          "",
        ].join("\n"),
      );
      expect(String(await once(guard.stdout, "data"))).toBe("armed\n");
      guard.stdin.write("go\n");
      await vip.tell("set maxconn frontend pg-primary 0");
      if (cuts) await vip.tell("set server pg-primary/dal state maint");
      meanwhile();
      const waiting = vip.connect();
      const died = performance.now();
      guard.stdin.end();
      const client = await waiting;
      return { vip, session, met: client.site, ms: performance.now() - died };
    }

    it("lets who waits through to the old primary at once while that says so", async () => {
      const sites = [await dallas("primary"), await chicago("standby")] as const;
      const { vip, met, ms } = await left(sites, () => undefined);
      expect(met).toBe("dal");
      expect(ms).toBeLessThan(900);
      expect(Object.keys(await vip.traffic(300))).toEqual(["dal"]);
    });

    // HAProxy's master listens a moment after its worker: what a guard said then was lost, in one of ten rounds.
    it("is heard however early it acts", async () => {
      for (let round = 0; round < 20; round += 1) {
        const sites = [await dallas("primary"), await chicago("standby")] as const;
        const { vip, met } = await left(sites, () => undefined);
        expect({ round, met }).toEqual({ round, met: "dal" });
        await vip.close();
        for (const site of sites) site.close();
      }
    });

    it("leaves the sessions that were not cut yet", async () => {
      const sites = [await dallas("primary"), await chicago("standby")] as const;
      const { session, met } = await left(sites, () => undefined, false);
      expect(met).toBe("dal");
      expect(session.ended).toBe(false);
    });

    it("lets who waits through to the new primary once that says so, while the old one swallows packets", async () => {
      const sites = [await dallas("primary"), await chicago("standby")] as const;
      const { vip, met, ms } = await left(sites, () => {
        sites[0].health = "silent";
        sites[1].health = "primary";
      });
      expect(met).toBe("chi");
      expect(ms).toBeLessThan(900);
      expect(Object.keys(await vip.traffic(300))).toEqual(["chi"]);
    });

    it("refuses, rather than let anybody wait on, while nobody takes writes", async () => {
      const sites = [await dallas("primary"), await chicago("standby")] as const;
      const { vip, met, ms } = await left(sites, () => {
        sites[0].health = "standby";
      });
      expect(met).toBeUndefined();
      expect(ms).toBeLessThan(1500);
      expect(Object.keys(await vip.traffic(300))).toEqual(["refused"]);
    });
  },
);

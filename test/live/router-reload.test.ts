import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { haproxy, haproxyNote } from "../support/haproxy.ts";
import {
  chicago,
  closeAfterEach,
  dallas,
  localDallas,
  meets,
  router,
  site,
} from "../support/router-fixture.ts";
import { until } from "../support/until.ts";

/** What a reload of a router costs the connections of that moment. */

closeAfterEach();

describe.skipIf(haproxy === undefined)(`a router's reload (HAProxy ${haproxyNote})`, () => {
  it.each([
    ["primary", "standby"],
    ["standby", "primary"],
  ] as const)(
    "sends nothing to the standby and resets nothing: %s on the router's host, %s elsewhere",
    async (here, there) => {
      const { dal, ...beside } = await localDallas(here);
      const vip = await router({
        sites: [dal, await chicago(there)],
        ...beside,
        settings: { check: { inter: "2s", rise: 2, fall: 3 } },
      });
      await vip.start();
      const session = await vip.connect();
      const traffic = vip.traffic(4000);
      expect(await vip.reloadAsync()).toEqual({ status: 0, output: "" });
      expect(Object.keys(await traffic)).toEqual([here === "primary" ? "dal" : "chi"]);
      expect(session.ended).toBe(false);
      expect(vip.log).not.toContain("partially applied");
      expect(existsSync(join(vip.run, "server-state"))).toBe(false);
    },
  );

  it("keeps a server in maint, and asks the endpoint of one that moved", async () => {
    const [dal, chi] = [await dallas("primary"), await chicago("primary")];
    const lon = await site("lon", "127.0.0.4", "standby");
    const vip = await router({
      sites: [dal, chi, lon],
      settings: { check: { inter: "1m", rise: 2, fall: 3 } },
    });
    await vip.start();
    await vip.tell("set server pg-primary/chi state maint");
    expect(await vip.meets()).toBe("dal");
    const moved = await site("dal", "127.0.0.5", "standby");
    const asked = lon.asked.length;
    vip.write({ ...vip.options, sites: [moved, chi, lon] });
    expect(await vip.reloadAsync()).toEqual({ status: 0, output: "" });
    expect(await vip.statuses()).toEqual({
      "pg-primary/dal": "DOWN",
      "pg-primary/chi": "MAINT",
      "pg-primary/lon": "DOWN",
    });
    expect(moved.asked).toContain("GET /");
    expect(lon.asked.length - asked).toBeLessThanOrEqual(1);
    const state = await vip.tell("show servers state pg-primary");
    expect(state).toContain(` dal 127.0.0.5 `);
    expect(state).toContain(` ${moved.poolerPort} `);
  });

  it("asks every endpoint again when the notes of its start are gone", async () => {
    const { dal, ...beside } = await localDallas("primary");
    const vip = await router({
      sites: [dal, await chicago("standby")],
      ...beside,
      settings: { check: { inter: "2s", rise: 2, fall: 3 } },
    });
    await vip.start();
    rmSync(join(vip.run, "servers"));
    const traffic = vip.traffic(2000);
    expect(await vip.reloadAsync()).toEqual({ status: 0, output: "" });
    expect(Object.keys(await traffic)).toEqual(["dal"]);
  });

  it("refuses a configuration that HAProxy refuses, and goes on", async () => {
    const vip = await router({ sites: [await dallas("primary")] });
    await vip.start();
    vip.write({ ...vip.options, edit: (cfg) => `${cfg}  no-such-word\n` });
    const { status, output } = vip.reload();
    expect(status).toBe(1);
    expect(output).toContain("no-such-word");
    expect(output).toContain("HAProxy refuses it; the running one is untouched");
    expect(await vip.meets()).toBe("dal");
    vip.write({ ...vip.options, edit: (cfg) => cfg });
    expect(vip.reload()).toEqual({ status: 0, output: "" });
    expect(await vip.meets()).toBe("dal");
  });

  it("recovers from a reload that failed at its port", async () => {
    const [dal, chi] = [await dallas("primary"), await chicago("standby")];
    const vip = await router({ sites: [dal, chi] });
    await vip.start();
    const port = `${dal.address}:${dal.poolerPort}`;
    vip.write({ ...vip.options, edit: (cfg) => cfg.replace("  mode http", `  mode http\n  bind ${port}`) });
    const { status, output } = vip.reload();
    expect(status).toBe(1);
    expect(output).toContain("HAProxy did not reload; the process before goes on");
    expect(await vip.meets()).toBe("dal");
    vip.write({ ...vip.options, edit: (cfg) => cfg });
    const met = vip.traffic(2000);
    expect(await vip.reloadAsync()).toEqual({ status: 0, output: "" });
    expect(Object.keys(await met)).toEqual(["dal"]);
  });

  it("by another hand (SIGUSR2, no state file) sends none to the standby either: the guard", async ({
    annotate,
  }) => {
    // The local site's first check comes half an interval later: until then HAProxy holds the standby to be up.
    const { dal, ...beside } = await localDallas("standby");
    const vip = await router({
      sites: [dal, await chicago("primary")],
      ...beside,
      settings: { check: { inter: "2s", rise: 2, fall: 3 } },
    });
    await vip.start();
    await meets(vip, "chi");
    await until(
      () => vip.script("ping").status === 0,
      () => vip.log,
    );
    await until(
      () => !existsSync(join(vip.run, "server-state")),
      () => "start.sh left its state file",
    );
    const traffic = vip.traffic(5000);
    vip.signal("SIGUSR2");
    await until(
      () => vip.log.includes("Reloading HAProxy"),
      () => vip.log,
    );
    const met = await traffic;
    await annotate(`connections met ${JSON.stringify(met)}`);
    expect(met["dal"]).toBeUndefined();
    expect(met["chi"]).toBeGreaterThan(0);
  });
});

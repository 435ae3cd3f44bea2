import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { haproxy, haproxyNote } from "../support/haproxy.ts";
import { chicago, closeAfterEach, dallas, dns, meets, router, status } from "../support/router-fixture.ts";
import { until } from "../support/until.ts";

/** A router of the real kind (HAProxy 3.0, start.sh, BusyBox) between fake sites on loopback. */

closeAfterEach();

describe.skipIf(haproxy === undefined)(`a router (HAProxy ${haproxyNote})`, () => {
  describe("at its start", () => {
    it("sends the first connection to the primary, and none to the standby", async () => {
      const sites = [await dallas("standby"), await chicago("primary")];
      const vip = await router({ sites });
      await vip.start();
      const met = await vip.traffic(1000);
      expect(Object.keys(met)).toEqual(["chi"]);
    });

    it("refuses everybody while nobody says primary, and takes up the first that does", async () => {
      const chi = await chicago("standby");
      const vip = await router({ sites: [await dallas("standby"), chi] });
      await vip.start();
      expect(Object.keys(await vip.traffic(500))).toEqual(["refused"]);
      chi.health = "primary";
      await meets(vip, "chi");
    });

    it("takes up who says primary only after the start at its first yes, and not after HAProxy's checks", async () => {
      const chi = await chicago("standby");
      const vip = await router({
        sites: [await dallas("standby"), chi],
        settings: { check: { inter: "2s", rise: 2, fall: 3 } },
      });
      await vip.start();
      expect(Object.keys(await vip.traffic(500))).toEqual(["refused"]);
      chi.health = "primary";
      const before = performance.now();
      await meets(vip, "chi");
      // Half a second between two looks; two checks would be 2 s at least.
      expect(performance.now() - before).toBeLessThan(1500);
      expect(Object.keys(await vip.traffic(500))).toEqual(["chi"]);
    });

    it("would send writes to a standby without start.sh: HAProxy's own start of the same configuration", async () => {
      const vip = await router({
        sites: [await dallas("standby"), await chicago("standby")],
        // HAProxy spreads the first checks over one interval.
        settings: { check: { inter: "2s", rise: 2, fall: 3 } },
        withoutState: true,
      });
      await vip.start();
      expect((await vip.traffic(1500))["chi"]).toBeGreaterThan(0);
    });

    it("takes at most a second to ask endpoints that never answer", async () => {
      const sites = [await dallas("silent"), await chicago("primary")];
      const vip = await router({ sites });
      const before = performance.now();
      await vip.start();
      expect(performance.now() - before).toBeLessThan(1500);
      expect(await vip.meets()).toBe("chi");
    });

    it("works when nothing listens and the local name does not resolve", async () => {
      const dal = await dallas("primary");
      const chi = await chicago("primary");
      const local = { site: dal, pooler: "no-such-pooler", health: "no-such-health" };
      const vip = await router({ sites: [dal, chi], local });
      chi.close();
      await vip.start();
      expect(await vip.statuses()).toEqual({
        "pg-primary/dal": "DOWN",
        "pg-primary/chi": "DOWN",
        "pg-primary_probe/dal": "DOWN",
      });
      expect(await vip.meets()).toBeUndefined();
    });

    it("does not believe the state, sockets or server list of the container before", async () => {
      const vip = await router({ sites: [await dallas("standby"), await chicago("primary")] });
      const stale = "1\n# x\n2 pg-primary 1 dal - 2 0 1 1 0 15 3 4 6 0 0 0 - 1 - 0 0 - - 0\n";
      for (const name of ["server-state", "server-state.new", "admin.sock", "servers"])
        writeFileSync(join(vip.run, name), stale);
      await vip.start();
      expect(Object.keys(await vip.traffic(300))).toEqual(["chi"]);
    });

    it("leaves no state file behind that a later reload could believe", async () => {
      const vip = await router({ sites: [await dallas("primary")] });
      await vip.start();
      await until(
        () => !existsSync(join(vip.run, "server-state")),
        () => "the state file is still there",
      );
    });

    it.skipIf(process.getuid?.() !== 0)("runs as user 99 on a configuration it cannot write", async () => {
      const vip = await router({ sites: [await dallas("primary")] });
      vip.own(99, 99);
      await vip.start({ uid: 99, gid: 99 });
      expect(await vip.meets()).toBe("dal");
      expect(vip.reload({ uid: 99, gid: 99 })).toMatchObject({ status: 0 });
    });

    it.skipIf(process.getuid?.() !== 0)("says what to do when its folder is not its own", async () => {
      const vip = await router({ sites: [await dallas("primary")] });
      vip.own(99, 99);
      chmodSync(vip.run, 0o500);
      await expect(vip.start({ uid: 99, gid: 99 })).rejects.toThrow(
        /error: .*run: not writable for uid 99; allowed: .*; fix: chown 99:99/,
      );
    });

    it("answers its healthcheck", async () => {
      const vip = await router({ sites: [await dallas("primary")] });
      expect(vip.script("ping").status).not.toBe(0);
      await vip.start();
      await until(
        () => vip.script("ping").status === 0,
        () => vip.log,
      );
      expect(vip.script("nonsense")).toMatchObject({
        status: 1,
        output: expect.stringContaining("allowed: run, reload, ping, guard") as string,
      });
    });
  });

  describe("while it runs", () => {
    it("follows health from one site to the other and cuts the old sessions", async () => {
      const [dal, chi] = [await dallas("primary"), await chicago("standby")];
      const vip = await router({ sites: [dal, chi] });
      await vip.start();
      const session = await vip.connect();
      expect(session.site).toBe("dal");
      dal.health = "standby";
      chi.health = "primary";
      await session.closed;
      await meets(vip, "chi");
      expect(Object.keys(await vip.traffic(300))).toEqual(["chi"]);
    });

    it("is not moved by fewer than three bad checks", async () => {
      const dal = await dallas("primary");
      const vip = await router({ sites: [dal, await chicago("standby")] });
      await vip.start();
      const session = await vip.connect();
      await status(vip, "pg-primary/dal", "UP");
      const asked = dal.asked.length;
      dal.health = "standby";
      await until(
        () => dal.asked.length === asked + 1,
        () => "no check",
      );
      dal.health = "primary";
      await until(
        () => dal.asked.length === asked + 4,
        () => "no checks",
      );
      expect((await vip.statuses())["pg-primary/dal"]).toBe("UP");
      expect(await vip.meets()).toBe("dal");
      expect(session.ended).toBe(false);
    });

    it("lets no new write connection through while two sites say primary", async () => {
      const [dal, chi] = [await dallas("primary"), await chicago("standby")];
      const vip = await router({
        sites: [dal, chi],
        listeners: [
          { name: "pg-primary", route: "write" },
          { name: "pg-any", route: "any" },
        ],
      });
      await vip.start();
      const session = await vip.connect();
      chi.health = "primary";
      await status(vip, "pg-primary/chi", "UP");
      expect(Object.keys(await vip.traffic(300))).toEqual(["refused"]);
      // Readers are not guarded, and the session that was there goes on.
      expect(await vip.meets("pg-any")).toBeDefined();
      expect(session.ended).toBe(false);
      dal.health = "standby";
      await meets(vip, "chi");
    });

    it("routes writes, reads and any by Patroni's paths", async () => {
      const [dal, chi] = [await dallas("primary"), await chicago("standby")];
      const vip = await router({
        sites: [dal, chi],
        listeners: [
          { name: "pg-primary", route: "write" },
          { name: "pg-replica", route: "read" },
          { name: "pg-any", route: "any" },
        ],
      });
      await vip.start();
      expect(Object.keys(await vip.traffic(200, "pg-primary"))).toEqual(["dal"]);
      expect(Object.keys(await vip.traffic(200, "pg-replica"))).toEqual(["chi"]);
      expect(Object.keys(await vip.traffic(200, "pg-any")).sort()).toEqual(["chi", "dal"]);
    });

    it("holds new connections at maxconn 0, answers stats meanwhile, and serves them at the release", async () => {
      const vip = await router({ sites: [await dallas("primary")] });
      await vip.start();
      await vip.tell("set maxconn frontend pg-primary 0");
      let served: number | undefined;
      const waiting = vip.connect().then((client) => {
        served = performance.now();
        return client;
      });
      for (const path of ["/", "/metrics", "/;csv"])
        expect((await fetch(`http://127.0.0.1:${vip.statsPort}${path}`)).status).toBe(200);
      expect(served).toBeUndefined();
      const released = performance.now();
      await vip.tell(`set maxconn frontend pg-primary ${vip.maxconn}`);
      expect((await waiting).site).toBe("dal");
      expect(served! - released).toBeLessThan(100);
    });

    it("takes forced health at the check's owner: the probe for the local site", async () => {
      const names = await dns({ bouncer: "127.0.0.2", health: "127.0.0.2" });
      const dal = await dallas("standby");
      const vip = await router({
        sites: [dal],
        dns: names,
        local: { site: dal, pooler: "bouncer", health: "health" },
        settings: { check: { inter: "1m", rise: 2, fall: 3 } },
      });
      await vip.start();
      await until(
        async () => / 127\.0\.0\.2 /.test(await vip.tell("show servers state pg-primary")),
        () => vip.log,
      );
      expect(await vip.tell("set server pg-primary/dal health up")).toContain("tracking");
      await vip.tell("set server pg-primary_probe/dal health up");
      expect(await vip.meets()).toBe("dal");
    });

    it("does not take up a local standby unchecked when its name begins to resolve", async () => {
      const names = await dns();
      const dal = await dallas("standby");
      const chi = await chicago("primary");
      const local = { site: dal, pooler: "bouncer", health: "health" };
      const vip = await router({ sites: [dal, chi], dns: names, local });
      await vip.start();
      names.records.set("bouncer", "127.0.0.2").set("health", "127.0.0.2");
      const asked = dal.asked.length;
      const met = vip.traffic(3000);
      await until(
        () => dal.asked.length > asked,
        () => "the name never resolved",
      );
      expect(Object.keys(await met)).toEqual(["chi"]);
      dal.health = "primary";
      chi.health = "standby";
      await meets(vip, "dal");
    });

    it("keeps a site whose name is gone from Docker's DNS: its checks decide", async () => {
      const names = await dns({ bouncer: "127.0.0.2", health: "127.0.0.2" });
      const dal = await dallas("primary");
      const vip = await router({
        sites: [dal],
        dns: names,
        local: { site: dal, pooler: "bouncer", health: "health" },
      });
      await vip.start();
      await meets(vip, "dal");
      names.records.clear();
      const asked = names.refused;
      await until(
        () => names.refused > asked + 4,
        () => "DNS is not asked",
      );
      expect(await vip.statuses()).toEqual({ "pg-primary/dal": "UP", "pg-primary_probe/dal": "UP" });
    });
  });

  describe("beside Patroni's published sample configuration", () => {
    // Its `GET`, `OPTIONS` and `HEAD` checks must all understand pg-health's answers.
    it.each(["GET", "OPTIONS", "HEAD"])("answers %s /primary and /replica alike", async (method) => {
      const [dal, chi] = [await dallas("primary"), await chicago("standby")];
      const vip = await router({
        sites: [dal, chi],
        listeners: [
          { name: "postgres-write", route: "write" },
          { name: "postgres-read", route: "read" },
        ],
        edit: (cfg) =>
          cfg
            .replaceAll("option httpchk GET /replica", `option httpchk ${method} /replica`)
            .replaceAll(/option httpchk GET \/$/gm, `option httpchk ${method} /primary`),
      });
      expect(readFileSync(join(vip.directory, "conf", "haproxy.cfg"), "utf8")).toContain(
        `${method} /primary`,
      );
      await vip.start();
      await status(vip, "postgres-write/chi", "DOWN");
      await status(vip, "postgres-read/dal", "DOWN");
      // What the start script asked itself says nothing of the checks.
      const twice = (asked: readonly string[], path: string): boolean =>
        asked.filter((request) => request === `${method} ${path}`).length > 1;
      await until(
        () => twice(dal.asked, "/primary") && twice(chi.asked, "/replica"),
        () => `nobody asks by ${method}: ${dal.asked.join(", ")}; ${chi.asked.join(", ")}`,
      );
      expect(await vip.meets("postgres-write")).toBe("dal");
      expect(await vip.meets("postgres-read")).toBe("chi");
    });
  });
});

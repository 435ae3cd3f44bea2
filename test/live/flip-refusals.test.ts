import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { fill } from "../../infra/rehearsal/faults/disk.ts";
import { healAll } from "../../infra/rehearsal/faults/active.ts";
import { setContainerFrozen } from "../../infra/rehearsal/faults/processes.ts";
import { HOLD_SECONDS } from "../../infra/runbooks/plan/flip.ts";
import type { Router } from "../../infra/topology/model.ts";
import type { Ran } from "../support/rehearsal.ts";
import { FlipSuite } from "../support/flip-suite.ts";

const root = join(import.meta.dirname, "../..");

/** Nobody was promoted: all ends as it was, by the flip itself or by the command that the verdict names. */
async function endsAsItWas(suite: FlipSuite, at: string, ran: Ran): Promise<void> {
  console.log(ran.stderr.split("\n").slice(-14).join("\n"));
  expect([3, 4, 5], ran.stderr).toContain(ran.code);
  expect(ran.stderr).not.toMatch(/✓ Promote/);
  if (ran.code === 5) {
    const { verdict } = await suite.topology();
    console.log(`verdict ${verdict.code}, next: ${verdict.next}`);
    const resumed = await suite.recovery("resume");
    expect(resumed.code, resumed.stderr).toBe(0);
  }
  expect(await suite.whole()).toBe(at);
}

/** No connection waited at a router for longer than a hold may last. */
async function nobodyHung(suite: FlipSuite): Promise<void> {
  const { fresh } = await suite.series.records();
  const slowest = Math.max(...fresh.map(({ sent, answered }) => answered - sent));
  console.log(`the slowest new connection took ${Math.round(slowest)} ms`);
  expect(slowest).toBeLessThan((HOLD_SECONDS + 1) * 1000);
}

describe("a flip that could not end well", { timeout: 600_000 }, () => {
  const suite = new FlipSuite(root);
  suite.install("--disk", "2g");

  it("a standby that lags is refused, with how far it is behind", async () => {
    const at = await suite.whole();
    const { host } = suite.other(at);
    await suite.world.host(host.name, "pkill -STOP -f '[p]ostgres: .*startup'");
    try {
      await suite.world.sql(
        at,
        "create table lag as select repeat('x', 1000) from generate_series(1, 30000); drop table lag",
      );
      const ran = await suite.recovery("flip-db");
      expect(ran.code).toBe(3);
      expect(ran.stderr).toMatch(/is \d+(\.\d+)? MiB behind; allowed: 16(\.0)? MiB/);
    } finally {
      await suite.world.host(host.name, "pkill -CONT -f '[p]ostgres: .*startup'");
    }
    expect(await suite.whole()).toBe(at);
    await suite.proven("a lagging standby");
  });

  it("a grant that lost the target gets it back by itself", async () => {
    const at = await suite.whole();
    const { host, pgHealth } = suite.site(at);
    const grant = `${pgHealth.directory}/state/grant.json`;
    const kept = await suite.world.host(host.name, `cat ${grant}`);
    const { peers, ...rest } = JSON.parse(kept) as { readonly peers: readonly unknown[] };
    expect(peers.length).toBeGreaterThan(0);
    const put = (text: string): Promise<string> =>
      suite.world.host(
        host.name,
        `cat >${grant}.test && chown --reference=${grant} ${grant}.test && mv ${grant}.test ${grant}`,
        text,
      );
    await put(JSON.stringify({ ...rest, peers: [] }));
    await vi.waitFor(
      async () =>
        expect(JSON.parse(await suite.world.host(host.name, `cat ${grant}`))).toEqual(JSON.parse(kept)),
      { timeout: 20_000, interval: 200 },
    );
    expect(await suite.whole()).toBe(at);
    await suite.proven("a grant without the target");
  });

  it("a standby without room on its disk is refused", async () => {
    const at = await suite.whole();
    const { host, name } = suite.other(at);
    await fill(suite.live.plan, host.name, 0);
    try {
      const ran = await suite.recovery("flip-db");
      expect(ran.code).toBe(3);
      expect(ran.stderr).toMatch(
        new RegExp(`✗ ${name} has room.*free where its data lies; needed: 128.0 MiB`),
      );
      const seen = await suite.topology();
      expect(seen.findings.map(({ code }) => code)).toContain("disk-full");
    } finally {
      await healAll(suite.live.plan);
    }
    expect(await suite.whole()).toBe(at);
    await suite.proven("a full standby");
  });

  it("a standby whose disk fills up in the gap is not promoted: all is as it was", async () => {
    const at = await suite.whole();
    const { host } = suite.other(at);
    const ran = await suite.pausedBefore("promote", () => fill(suite.live.plan, host.name, 0));
    await nobodyHung(suite);
    await healAll(suite.live.plan);
    expect(ran.stderr).toMatch(/✗ Promote .* 0 MiB are free where the data lies, a promotion needs 32/);
    await endsAsItWas(suite, at, ran);
    await suite.proven("a standby that fills up in the gap");
  });

  it("an archiver that hangs does not hold up a flip: its last record is written, and the rest can wait", async () => {
    const at = await suite.whole();
    const { host, postgres } = suite.site(at);
    const inside = `docker exec ${postgres.container}`;
    // What an archive_command in the stack file would be; archive_mode needs a restart.
    const settings = `printf '%s\\n' "archive_mode = on" "archive_command = 'while [ -e /tmp/hang ]; do sleep 0.1; done'"`;
    const auto = `/var/lib/docker/volumes/${suite.site(at).volume}/_data/18/docker/postgresql.auto.conf`;
    await suite.world.host(host.name, `cp -p ${auto} ${auto}.kept && ${settings} >>${auto}`);
    const restarted = await suite.recovery("restart", at);
    expect(restarted.code, restarted.stderr).toBe(0);
    expect(await suite.whole()).toBe(at);
    const ran = await suite.pausedBefore("stop", async () => {
      await suite.world.host(host.name, `${inside} touch /tmp/hang`);
      for (let n = 0; n < 3; n += 1) await suite.world.sql(at, "select pg_switch_wal()");
    });
    console.log(ran.stderr.split("\n").slice(-14).join("\n"));
    expect([0, 5]).toContain(ran.code);
    expect(ran.stderr).toMatch(/✓ Promote/);
    expect(ran.stderr).toMatch(new RegExp(`PostgreSQL at ${at} has ended`));
    await suite.world.host(host.name, `${inside} rm -f /tmp/hang`);
    if (ran.code === 5) expect((await suite.recovery("resume")).code).toBe(0);
    // The old primary's last segment is away, so that it follows by itself.
    expect(await suite.whole()).toBe(suite.other(at).name);
    await nobodyHung(suite);
    await suite.world.host(host.name, `mv ${auto}.kept ${auto}`);
    expect((await suite.recovery("restart", at)).code).toBe(0);
    await suite.whole();
    await suite.proven("a hanging archiver");
  });

  it("PostgreSQL frozen in the gap: nobody is promoted, and all is as it was once it thaws", async () => {
    const at = await suite.whole();
    const { host, postgres } = suite.site(at);
    const ran = await suite.pausedBefore("stop", async () => {
      await setContainerFrozen(suite.live.plan, host.name, postgres.container, true);
    });
    const { verdict } = await suite.topology();
    console.log(`exit ${ran.code}; verdict ${verdict.code}: ${verdict.text} next: ${verdict.next}`);
    expect(ran.code, ran.stderr).toBe(5);
    expect(ran.stderr).toMatch(/aborted, nothing was promoted, and the old primary does not serve/);
    expect(verdict).toMatchObject({
      code: "no-primary",
      next: expect.stringMatching(/failover --to /) as string,
    });
    await setContainerFrozen(suite.live.plan, host.name, postgres.container, false);
    // Nothing is left to resume: it goes on where it was frozen.
    expect(await suite.whole()).toBe(at);
    await suite.proven("frozen in the gap");
  });
});

describe("a flip of a stack with two routers", { timeout: 600_000 }, () => {
  const suite = new FlipSuite(root, "staging");
  suite.install();

  it("one router's HAProxy hangs before the hold: the other is let go again, and nothing is done", async () => {
    const at = await suite.whole();
    const router = suite.live.topology.routers.at(-1);
    const frozen = (on: boolean): Promise<boolean> =>
      setContainerFrozen(suite.live.plan, router?.host.name ?? "", router?.container ?? "", on);
    const ran = await suite.pausedBefore("hold", async () => {
      await frozen(true);
    });
    await frozen(false);
    await endsAsItWas(suite, at, ran);
    await suite.proven("one of two routers frozen");
  });

  /** While it lasts nobody can tell a router's HAProxy anything, which goes on routing. */
  function deaf(router: Router | undefined): Readonly<Record<"begin" | "end", () => Promise<void>>> {
    const socket = `${router?.directory ?? ""}/run/admin.sock`;
    const move = async (from: string, to: string): Promise<void> => {
      await suite.world.host(router?.host.name ?? "", `mv ${from} ${to}`);
    };
    return { begin: () => move(socket, `${socket}.away`), end: () => move(`${socket}.away`, socket) };
  }

  it("one router's admin socket dies before the hold: all is as it was", async () => {
    const at = await suite.whole();
    const { begin, end } = deaf(suite.live.topology.routers.at(-1));
    const ran = await suite.pausedBefore("hold", begin);
    await end();
    await endsAsItWas(suite, at, ran);
    await nobodyHung(suite);
    await suite.proven("one of two admin sockets dead before the hold");
  });

  it("one router's admin socket dies before the release: its guard lets its clients through to the new primary", async () => {
    const at = await suite.whole();
    const router = suite.live.topology.routers.at(-1);
    const { begin, end } = deaf(router);
    const ran = await suite.pausedBefore("release", begin);
    console.log(ran.stderr.split("\n").slice(-20).join("\n"));
    expect(ran.code).toBe(5);
    expect(ran.stderr).toMatch(/✗ Let connections through/);
    const { verdict, findings } = await suite.topology();
    console.log(`verdict ${verdict.code}: ${verdict.text} next: ${verdict.next}`);
    expect(findings.find(({ code }) => code === "router-silent")?.next).toContain(router?.container);
    await end();
    expect(await suite.whole()).toBe(suite.other(at).name);
    await nobodyHung(suite);
    await suite.proven("one of two admin sockets dead before the release");
  });
});

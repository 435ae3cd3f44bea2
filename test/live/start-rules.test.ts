/**
 * The start rules of docs/decisions/0009-start-rules.md with real servers, without containers: who comes up writable
 * after a crash, a reboot, a silence, and a promotion elsewhere.
 */
import { unlinkSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Entrypoint } from "../../components/pg-health/sidecar/entrypoint.ts";
import type { Grant } from "../../components/pg-health/sidecar/grant.ts";
import { uptime } from "../../components/pg-health/sidecar/uptime.ts";
import { expectWord, noPostgres, PgCluster, says, until } from "../support/pg-cluster.ts";
import type { Answer, PgSite, PgSitePlan } from "../support/pg-site.ts";

const PLANS: readonly PgSitePlan[] = [
  { name: "dal-01", healthPort: 28_181, postgresPort: 25_531 },
  { name: "chi-02", healthPort: 28_182, postgresPort: 25_532 },
];
/** Silence counts after 4 s instead of 60. */
const LIMITS = { peerEveryMs: 250, peerMs: 500, silenceMs: 4000 };

describe.skipIf(noPostgres)("who comes up writable", { timeout: 120_000 }, () => {
  let cluster: PgCluster;
  let dal: PgSite;
  let chi: PgSite;

  const kill = async (...sites: readonly PgSite[]): Promise<void> => {
    for (const site of sites) {
      await site.killContainer();
      await site.stopBrain("SIGKILL");
    }
  };
  const start = (...sites: readonly PgSite[]): void => {
    for (const site of sites) {
      site.startBrain();
      site.startEntrypoint();
    }
  };
  const reboot = (site: PgSite): void => {
    site.forgetBoot();
    start(site);
  };
  const give = async (site: PgSite, change: Partial<Grant>): Promise<void> => {
    const present = site.grant();
    const expected = { epoch: present.epoch, state: present.state };
    expect(
      await site.control("POST /grant", { expect: expected, grant: { ...present, ...change } }),
    ).toMatchObject({
      ok: true,
    });
  };
  const writable = async (site: PgSite): Promise<boolean> => {
    try {
      await site.sql("insert into t values (0)");
      return true;
    } catch {
      return false;
    }
  };
  /** A standby, or no longer able to be one: what it wrote alone decides. */
  const subordinate = (site: PgSite): Promise<Answer> =>
    until(
      `${site.plan.name} is no primary`,
      () => site.get("/"),
      ({ status, body }) => status === 503 && ["standby", "diverged"].includes(body),
    );
  const streaming = (primary: PgSite): Promise<string> =>
    until(
      `a standby streams from ${primary.plan.name}`,
      () => primary.sql("select count(*) from pg_stat_replication where state = 'streaming'"),
      (rows) => rows === "1",
    );

  beforeAll(async () => {
    cluster = new PgCluster(PLANS, LIMITS);
    [dal, chi] = cluster.sites as [PgSite, PgSite];
    await cluster.found();
    await dal.sql("create table t (n int)");
  }, 180_000);
  afterAll(() => cluster.close());

  it("both sites are in each other's grant soon after the founding", async () => {
    for (const [site, other] of [
      [dal, chi],
      [chi, dal],
    ] as const)
      await until(
        `${site.plan.name} knows its peer`,
        () => site.grant().peers,
        (peers) => peers.length === 1 && peers[0]?.site === other.plan.name,
      );
    expect(chi.grant()).toMatchObject({ state: "none", epoch: 1 });
    await until(
      "its metrics say so",
      () => dal.get("/metrics"),
      ({ body }) => /^heatwave_peer_up\{peer="chi-02"\} 1$/m.test(body),
    );
  });

  it("a killed primary is back within 10 s although the standby's site is dead", async () => {
    await kill(chi);
    const times: number[] = [];
    for (let round = 0; round < 3; round++) {
      await expectWord(dal, 200, "primary");
      await kill(dal);
      const killed = performance.now();
      start(dal);
      await expectWord(dal, 200, "primary", 10_000);
      expect(await writable(dal)).toBe(true);
      times.push(Math.round(performance.now() - killed));
    }
    console.log(`killed primary, dead standby: writable again after ${times.join(", ")} ms`);
    start(chi);
    await streaming(dal);
  });

  it("a rebooted primary waits for its peer's word, serves reads meanwhile, and is the same primary when the peer is back", async () => {
    const timeline = (await dal.sql("select timeline_id from pg_control_checkpoint()")).trim();
    await kill(chi, dal);
    reboot(dal);
    await expectWord(dal, 503, "held");
    await until("dal-01 is in recovery, for reads", () => dal.get("/replica"), says(200, "standby"));
    await expectWord(dal, 503, "held");
    expect(await writable(dal)).toBe(false);
    expect(dal.has("state/heldback.json")).toBe(true);
    // Its own restart changes nothing: the note tells whose signal file it is.
    await kill(dal);
    start(dal);
    await until("it still serves reads", () => dal.get("/replica"), says(200, "standby"));

    start(chi);
    await expectWord(dal, 200, "primary");
    expect(await writable(dal)).toBe(true);
    expect(dal.has("state/heldback.json")).toBe(false);
    expect(dal.has("volume/18/docker/standby.signal")).toBe(false);
    await dal.sql("checkpoint");
    expect(await dal.sql("select timeline_id from pg_control_checkpoint()")).toBe(timeline);
    await streaming(dal);
  });

  it("told to go on without a silent peer, it does at once, and never without having been told", async () => {
    await kill(chi, dal);
    reboot(dal);
    await until("dal-01 is in recovery", () => dal.get("/replica"), says(200, "standby"));
    await give(dal, { epoch: 2, excluded: ["chi-02"] });
    expect(await dal.control("POST /order", { verb: "start" })).toMatchObject({ ok: true });
    await expectWord(dal, 200, "primary");
    start(chi);
    await streaming(dal);
    await until(
      "chi-02 learns of the epoch",
      () => chi.grant().epoch,
      (epoch) => epoch === 2,
    );
    await give(dal, { excluded: [] });
  });

  it("a pg-health that was away for longer than its certainty asks first; the primary runs on", async () => {
    await kill(chi);
    const pid = dal.status().pid;
    await dal.stopBrain("SIGKILL");
    dal.forgetBoot();
    dal.startBrain();
    await expectWord(dal, 503, "held");
    expect(dal.status().pid).toBe(pid);
    start(chi);
    await expectWord(dal, 200, "primary");
    expect(dal.status().pid).toBe(pid);
  });

  it("a planned promotion: the old primary follows the new one by itself", async () => {
    await streaming(dal);
    expect(await dal.control("POST /order", { verb: "stop" })).toMatchObject({ ok: true });
    expect(await chi.control("POST /order", { verb: "promote" })).toMatchObject({
      ok: false,
      kind: "refused",
    });
    await give(dal, { state: "none" });
    await give(chi, { state: "held", epoch: 3 });
    const promoted = await chi.control("POST /order", { verb: "promote" });
    expect(promoted).toMatchObject({ ok: true, value: { timeline: 2 } });
    await expectWord(chi, 200, "primary");
    await until(
      "the grant names the new timeline",
      () => chi.grant().timeline,
      (timeline) => timeline === 2,
    );
    expect(await dal.control("POST /order", { verb: "start" })).toMatchObject({ ok: true });
    await expectWord(dal, 503, "standby");
    await streaming(chi);
    expect(await writable(dal)).toBe(false);
  });

  it("a primary killed right after its promotion is the primary again", async () => {
    // And back, so that this is about another site as well.
    await streaming(chi);
    await chi.control("POST /order", { verb: "stop" });
    await give(chi, { state: "none" });
    await give(dal, { state: "held", epoch: 4, timeline: 1 });
    expect(await dal.control("POST /order", { verb: "promote" })).toMatchObject({
      ok: false,
      kind: "refused",
    });
    await give(dal, { timeline: 2 });
    expect(await dal.control("POST /order", { verb: "promote" })).toMatchObject({ ok: true });
    await dal.killContainer();
    dal.startEntrypoint();
    await expectWord(dal, 200, "primary");
    expect(await chi.control("POST /order", { verb: "start" })).toMatchObject({ ok: true });
    await streaming(dal);
  });

  it("a running primary that sees a newer grant takes no more writes and turns into a standby", async () => {
    await streaming(dal);
    const before = dal.status().pid;
    // What a failover does that cannot reach the old primary's host.
    await give(chi, { state: "held", epoch: 5, timeline: 3 });
    await until(
      "dal-01 stops being the primary",
      () => dal.get("/"),
      ({ status }) => status === 503,
    );
    expect(await chi.control("POST /order", { verb: "promote" })).toMatchObject({ ok: true });
    await expectWord(chi, 200, "primary");
    await subordinate(dal);
    expect(dal.status().pid).not.toBe(before);
    expect(await writable(dal)).toBe(false);
    expect(dal.grant()).toMatchObject({ state: "none", epoch: 5 });
  });

  it("a stale old primary that comes back beside a newer one never takes a write", async () => {
    await kill(dal);
    // As a host that was away since before the promotion would have it.
    unlinkSync(`${dal.dataDirectory}/standby.signal`);
    writeFileSync(dal.grantFile, JSON.stringify({ ...dal.grant(), state: "held", epoch: 4 }));
    const seen = { wrote: false, done: false };
    reboot(dal);
    const watch = (async () => {
      while (!seen.done) seen.wrote ||= await writable(dal);
    })();
    await subordinate(dal);
    seen.done = true;
    await watch;
    expect(seen.wrote).toBe(false);
    await expectWord(chi, 200, "primary");
  });

  it("two primaries with the same claim both answer 503", async () => {
    await kill(dal);
    unlinkSync(`${dal.dataDirectory}/standby.signal`);
    const held = chi.grant();
    writeFileSync(
      dal.grantFile,
      JSON.stringify({ ...held, peers: [{ site: "chi-02", health: { host: "127.0.0.1", port: 28_182 } }] }),
    );
    await kill(chi);
    reboot(chi);
    await expectWord(chi, 503, "held");
    reboot(dal);
    await expectWord(dal, 503, "conflict");
    await expectWord(chi, 503, "conflict");
    expect((await dal.get("/metrics")).body).toMatch(/^heatwave_alarm\{alarm="conflict"\} 1$/m);
    for (const site of [dal, chi]) expect(await writable(site)).toBe(false);
    // The operator's decision: a new grant for one of them.
    await give(dal, { state: "none" });
    await give(chi, { epoch: 6 });
    await expectWord(chi, 200, "primary");
    await subordinate(dal);
  });

  it("a start that is not done when its lease ends is stopped before PostgreSQL opens", async () => {
    await chi.sql("insert into t select generate_series(1, 1000)");
    expect(await chi.control("POST /order", { verb: "stop" })).toMatchObject({ ok: true });
    await kill(chi);
    chi.startEntrypoint();
    await until(
      "the entrypoint waits",
      () => chi.status().state,
      (state) => state === "waiting",
    );
    const entrypoint = new Entrypoint(`${chi.directory}/run`);
    await entrypoint.order("start", ["primary", ((await uptime()) - 1).toFixed(2)], 5000);
    await until(
      "it is stopped",
      () => chi.status(),
      ({ postgres, pid }) => pid === null && postgres !== "starting",
    );
    expect(chi.output.lines.join("\n")).toMatch(/the lease to start as primary ended/);
  });
});

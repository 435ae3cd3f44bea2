/**
 * pg-health and the entrypoint against a real PostgreSQL 18, without containers: founding, serving, failing, coming back.
 * Needs `HEATWAVE_PG_BIN`, the directory of PostgreSQL 18's binaries.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Grant } from "../../components/pg-health/sidecar/grant.ts";
import { readControlFile } from "../../components/pg-health/sidecar/control-file.ts";
import { expectWord, noPostgres, PgCluster, ROLES, says, until } from "../support/pg-cluster.ts";
import { SECRETS } from "../support/pg-site.ts";
import type { CommandEnd, PgSite, PgSitePlan } from "../support/pg-site.ts";

const bin = process.env["HEATWAVE_PG_BIN"] ?? "/usr/lib/postgresql/18/bin";

const PLANS: readonly PgSitePlan[] = [
  { name: "dal-01", healthPort: 28_081, postgresPort: 25_431 },
  { name: "chi-02", healthPort: 28_082, postgresPort: 25_432 },
  { name: "ams-03", healthPort: 28_083, postgresPort: 25_433 },
];

describe.skipIf(noPostgres)("pg-health and the entrypoint with PostgreSQL 18", { timeout: 120_000 }, () => {
  let cluster: PgCluster;
  let root: string;
  let sites: readonly PgSite[];
  let dal: PgSite;
  let chi: PgSite;
  let ams: PgSite;
  let systemId: string;

  /** What `docker kill -9` of both containers does once an operation has begun to write. */
  const restartDuring = async (site: PgSite, verb: string): Promise<void> => {
    await until(
      `${site.plan.name} writes in ${verb}`,
      () => site.status().state === `busy:${verb}` && site.has("volume/18/docker.scratch"),
      (writes) => writes,
    );
    await Promise.all([site.killContainer(), site.stopBrain("SIGKILL")]);
    expect(site.has("volume/18/docker")).toBe(false);
    site.startEntrypoint();
    site.startBrain();
  };

  beforeAll(() => {
    cluster = new PgCluster(PLANS);
    ({ root, sites } = cluster);
    [dal, chi, ams] = sites as [PgSite, PgSite, PgSite];
  });

  afterAll(async () => {
    await cluster.close();
  });

  it("waits with an empty data directory", async () => {
    for (const site of [dal, chi]) {
      site.startBrain();
      await expectWord(site, 503, "waiting");
      site.startEntrypoint();
      await expectWord(site, 503, "empty");
      expect(await site.ping()).toMatchObject({ code: 0, stdout: "pong waiting\n" });
      expect(await site.command(["ping"])).toMatchObject({ code: 0 });
    }
    expect(dal.has("volume/18/docker")).toBe(false);
  });

  it("founds once every site answers, and the others join when the role can log in", async () => {
    const heard: string[] = [];
    const ends = [dal, chi].map((site) =>
      site.command(["found", "--timeout", "100"], (line) => heard.push(`${site.plan.name}: ${line}`)),
    );
    await until(
      "the founder waits for ams-03",
      () => heard.join("\n"),
      (text) => /dal-01: waiting: no answer from ams-03/.test(text),
    );
    expect(dal.has("volume/18")).toBe(true);
    expect(dal.has("volume/18/docker")).toBe(false);

    ams.startEntrypoint();
    ams.startBrain();
    ends.push(ams.command(["found", "--timeout", "100"]));

    // Killed in the middle of initdb, the same command goes on when the containers are back.
    await restartDuring(dal, "initdb");
    const founder = (await ends[0]) as CommandEnd;
    expect(founder).toMatchObject({ code: 0 });
    systemId = /system identifier (\d+), role primary/.exec(founder.stdout)?.[1] ?? "";
    expect(systemId).toMatch(/^\d{15,20}$/);
    expect(JSON.parse(readFileSync(dal.grantFile, "utf8"))).toEqual({
      systemId,
      epoch: 1,
      timeline: 1,
      state: "held",
      peers: [],
      excluded: [],
    });
    await expectWord(dal, 503, "login");
    await until(
      "chi-02 waits for the role",
      () => heard.join("\n"),
      (text) => /chi-02: waiting: basebackup failed/.test(text),
    );

    await dal.sql("create table t (n int)");
    // A slot that was made before and holds no WAL is made again, reserved.
    await dal.sql("select pg_create_physical_replication_slot('heatwave_ams_03')");
    const killed = restartDuring(ams, "basebackup");
    await dal.sql(ROLES);
    await killed;
    for (const end of await Promise.all(ends.slice(1))) {
      expect(end).toMatchObject({ code: 0 });
      expect(end.stdout).toMatch(new RegExp(`system identifier ${systemId}, role standby\n$`));
    }
    expect((JSON.parse(readFileSync(chi.grantFile, "utf8")) as Grant).state).toBe("none");
    expect(heard.join("\n")).not.toContain(SECRETS.replication);
  });

  it("streams by slot and place, and answers by role", async () => {
    await expectWord(dal, 200, "primary");
    await expectWord(chi, 503, "standby");
    await expectWord(ams, 503, "standby");
    await until(
      "both standbys stream",
      () => dal.sql("select application_name, state from pg_stat_replication order by 1"),
      (rows) => rows === "ams-03|streaming\nchi-02|streaming",
    );
    expect(await dal.sql("select slot_name, active from pg_replication_slots order by 1")).toBe(
      "heatwave_ams_03|t\nheatwave_chi_02|t",
    );
    await dal.sql("insert into t values (42)");
    await until(
      "the row arrives",
      () => chi.sql("select n from t"),
      (rows) => rows === "42",
    );
    await until("no lag", () => chi.get("/replica?lag=0"), says(200, "standby"));
    expect(await chi.get("/replica?lag=16kB")).toMatchObject({ status: 200 });
    expect(await chi.get("/replica?replication_state=streaming")).toMatchObject({ status: 200 });
    expect(await chi.get("/readiness?lag=10MB&mode=write")).toMatchObject({ status: 200 });
    expect(await dal.get("/replica")).toMatchObject({ status: 503, body: "primary" });
    expect(await dal.get("/read-only")).toMatchObject({ status: 200 });
    const status = JSON.parse((await dal.get("/patroni")).body) as Record<string, unknown>;
    expect(status).toMatchObject({
      state: "running",
      role: "primary",
      timeline: 1,
      database_system_identifier: systemId,
    });
    expect((await dal.get("/metrics")).body).not.toContain("heatwave_replay_lag_bytes");
    const metrics = (await chi.get("/metrics")).body;
    expect(metrics).toMatch(/^heatwave_replay_lag_bytes 0$/m);
    expect(metrics).toMatch(/^heatwave_primary 0$/m);
  });

  it("founding again does nothing", async () => {
    for (const site of sites) {
      const before = site.status().pid;
      expect(await site.command(["found", "--timeout", "20"])).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/, nothing to do\n$/) as string,
      });
      expect(site.status().pid).toBe(before);
    }
  });

  it("reads the control file as pg_controldata does, running and stopped", async () => {
    await dal.sql("checkpoint");
    const control = await readControlFile(dal.dataDirectory);
    const lines = execFileSync(`${bin}/pg_controldata`, [dal.dataDirectory], {
      encoding: "utf8",
      env: { LC_ALL: "C" },
    });
    const line = (name: string): string => new RegExp(`^${name}: +(.*)$`, "m").exec(lines)?.[1] ?? "";
    expect(control).toMatchObject({
      systemId: line("Database system identifier"),
      state: line("Database cluster state"),
      checkpointLsn: line("Latest checkpoint location"),
      redoLsn: line("Latest checkpoint's REDO location"),
      timeline: Number(line("Latest checkpoint's TimeLineID")),
      walSegmentBytes: Number(line("Bytes per WAL segment")),
      catalogVersion: Number(line("Catalog version number")),
      checksums: true,
    });
    expect(control.state).toBe("in production");
  });

  it("answers 200 probes at once with a few queries", async () => {
    const count = async (): Promise<number> =>
      Number(
        /heatwave_probe_duration_seconds_count\{result="ok"\} (\d+)/.exec(
          (await dal.get("/metrics")).body,
        )?.[1],
      );
    const before = await count();
    const answers = await Promise.all(Array.from({ length: 200 }, () => dal.get("/")));
    expect(answers.every(says(200, "primary"))).toBe(true);
    // One per cache time; the requests above take a few of those.
    expect((await count()) - before).toBeLessThanOrEqual(12);
  });

  it("says 503 within its limit while PostgreSQL is frozen, and recovers on a new connection", async () => {
    await expectWord(dal, 200, "primary");
    const frozen = dal.processes();
    for (const pid of frozen) process.kill(pid, "SIGSTOP");
    try {
      for (let round = 0; round < 3; round++) {
        // Past the cache, so that each round asks the frozen server anew.
        await new Promise((resolve) => setTimeout(resolve, 150));
        const answers = await Promise.all(Array.from({ length: 20 }, () => dal.get("/")));
        for (const answer of answers) {
          expect(answer).toMatchObject({ status: 503, body: "unreachable" });
          expect(answer.ms).toBeLessThan(2500);
        }
      }
      expect(await dal.ping()).toMatchObject({ code: 0 });
      expect((await dal.get("/liveness")).status).toBe(200);
    } finally {
      for (const pid of frozen) process.kill(pid, "SIGCONT");
    }
    await expectWord(dal, 200, "primary");
  });

  it("does not call a read-only primary a primary", async () => {
    await dal.sql("alter system set default_transaction_read_only = on");
    await dal.sql("select pg_reload_conf()");
    await expectWord(dal, 503, "read-only");
    await dal.sql("alter system reset default_transaction_read_only");
    await dal.sql("select pg_reload_conf()");
    await expectWord(dal, 200, "primary");
  });

  it("restarts a crashed postmaster through the start rules", async () => {
    const pid = dal.status().pid as number;
    process.kill(pid, "SIGKILL");
    await until(
      "another postmaster",
      () => dal.status().pid,
      (now) => now !== null && now !== pid,
    );
    await expectWord(dal, 200, "primary");
    expect(dal.output.lines.join("\n")).toContain(`postmaster ${pid} ended with code 137`);
  });

  it("comes back after docker kill -9 of both containers", async () => {
    for (const site of [dal, chi]) {
      await site.killContainer();
      await site.stopBrain("SIGKILL");
      expect(site.has("run/orders")).toBe(true);
      expect(site.has("volume/18/docker/postmaster.pid")).toBe(true);
    }
    for (const site of [dal, chi]) {
      site.startBrain();
      site.startEntrypoint();
    }
    await expectWord(dal, 200, "primary");
    await expectWord(chi, 503, "standby");
    await until(
      "it streams again",
      () => dal.sql("select count(*) from pg_stat_replication"),
      (rows) => rows === "2",
    );
  });

  it("keeps an ordered stop over a restart of the brain, until an ordered start", async () => {
    const started = performance.now();
    expect(await chi.command(["order", "stop"])).toMatchObject({ code: 0 });
    expect(performance.now() - started).toBeLessThan(5000);
    expect(chi.status()).toMatchObject({ state: "stopped", exitCode: 0 });
    await expectWord(chi, 503, "stopped");
    expect((await readControlFile(chi.dataDirectory)).state).toBe("shut down in recovery");
    await chi.stopBrain();
    chi.startBrain();
    await expectWord(chi, 503, "stopped");
    expect(await chi.command(["order", "start"])).toMatchObject({ code: 0 });
    await expectWord(chi, 503, "standby");
  });

  it("holds data whose grant is not held, and starts it when it is", async () => {
    const grant = readFileSync(dal.grantFile, "utf8");
    writeFileSync(dal.grantFile, grant.replace('"held"', '"none"'));
    expect(await dal.stopContainer()).toBe(0);
    await expectWord(dal, 503, "waiting");
    dal.startEntrypoint();
    await expectWord(dal, 503, "held");
    // A standby without its primary does not know how far it is behind.
    await until("chi-02 knows no lag", () => chi.get("/replica?lag=1GB"), says(503, "lag unknown"));
    expect(await chi.get("/replica")).toMatchObject({ status: 200, body: "standby" });
    expect((await chi.get("/metrics")).body).not.toContain("heatwave_replay_lag_bytes");
    expect(await dal.ping()).toMatchObject({ code: 0 });
    expect(await dal.command(["order", "start"])).toMatchObject({ code: 4 });
    expect(dal.status().pid).toBeNull();
    writeFileSync(dal.grantFile, grant);
    await expectWord(dal, 200, "primary");
  });

  it("refuses a foreign identifier", async () => {
    const grant = readFileSync(chi.grantFile, "utf8");
    writeFileSync(chi.grantFile, grant.replace(systemId, "1234567890123456789"));
    const end = await chi.command(["found", "--timeout", "20"]);
    expect(end.code).toBe(4);
    expect(end.stderr).toContain(
      `the data is of system ${systemId}, but this site's grant is for system 1234567890123456789`,
    );
    writeFileSync(chi.grantFile, grant);
    expect(await chi.command(["found", "--timeout", "20"])).toMatchObject({ code: 0 });
  });

  it("finishes a founding that stopped between grant and rename, and never makes a second cluster", async () => {
    expect(await dal.stopContainer()).toBe(0);
    renameSync(dal.dataDirectory, `${dal.dataDirectory}.scratch`);
    dal.startEntrypoint();
    await expectWord(dal, 503, "empty");
    expect(await dal.command(["found", "--timeout", "30"])).toMatchObject({ code: 0 });
    await expectWord(dal, 200, "primary");
    expect(await dal.sql("select n from t")).toBe("42");

    expect(await dal.stopContainer()).toBe(0);
    renameSync(dal.dataDirectory, `${root}/elsewhere`);
    dal.startEntrypoint();
    await expectWord(dal, 503, "empty");
    const end = await dal.command(["found", "--timeout", "30"]);
    expect(end.code).toBe(4);
    expect(end.stderr).toContain("founding never makes a second cluster");
    expect(dal.has("volume/18/docker")).toBe(false);

    expect(await dal.stopContainer()).toBe(0);
    renameSync(`${root}/elsewhere`, dal.dataDirectory);
    dal.startEntrypoint();
    await expectWord(dal, 200, "primary");
  });

  it("says nothing secret in its logs", () => {
    for (const site of sites)
      for (const secret of Object.values(SECRETS)) expect(site.output.lines.join("\n")).not.toContain(secret);
  });

  it("tells who asks when no brain runs", async () => {
    await ams.stopBrain();
    expect(await ams.command(["found", "--timeout", "5"])).toMatchObject({ code: 6 });
  });
});

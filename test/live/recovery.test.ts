import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import type { Finding } from "../../infra/runbooks/judge.ts";
import type { LedgerEntry, Observation } from "../../infra/runbooks/observe/observation.ts";
import { Writer } from "../../infra/rehearsal/writer/writer.ts";
import { liveWorld } from "../support/live-world.ts";
import type { Ran } from "../support/rehearsal.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { inWorld } from "../support/world-suite.ts";

const root = join(import.meta.dirname, "../..");
const world = new Rehearsal("production");

type Topology = Observation & { readonly verdict: Finding; readonly findings: readonly Finding[] };

const recovery = (...args: readonly string[]): Promise<Ran> =>
  world.attempt("exec", "--", "env", "RECOVERY_YES=1", "bin/recovery", "production", ...args);
const topology = async (): Promise<Topology> =>
  JSON.parse((await recovery("topology", "--json")).stdout) as Topology;
const history = async (): Promise<readonly LedgerEntry[]> =>
  JSON.parse((await recovery("history", "--json")).stdout) as LedgerEntry[];
/** Waits for a verdict. */
const verdict = (code: string, timeout = 60_000): Promise<void> =>
  vi.waitFor(async () => expect((await topology()).verdict.code).toBe(code), { timeout, interval: 500 });
const siteOf = (seen: Topology, name: string) => {
  const site = seen.sites.find((one) => one.name === name);
  if (site === undefined) throw new Error(`no site ${name}`);
  return site;
};

/** Starts a promotion in the controller and kills it with -9 once it has printed a line. */
const killedAfter = (to: string, line: string): Promise<string> =>
  world.controller(
    [
      `RECOVERY_YES=1 bin/recovery production promote ${to} --stop-primary 2>/tmp/killed & pid=$!`,
      `until grep -q '${line}' /tmp/killed; do kill -0 $pid 2>/dev/null || break; sleep 0.01; done`,
      "kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null; cat /tmp/killed",
    ].join("\n"),
  );

// Machines are shared: what a verb needs is measured where it counts, and never by a test's own limit.
describe("bin/recovery, in a sealed world", { timeout: 600_000 }, () => {
  inWorld(world);

  it("topology tells all of a healthy stack, as JSON and as a table, in less than 5 s", async () => {
    // A busy machine may leave a question unanswered, and topology says so rather than wait.
    const seen = await vi.waitFor(
      async () => {
        const look = await topology();
        expect(look.sites.every(({ source, slots }) => source === "control" && slots !== null)).toBe(true);
        // pg-health asks a pooler that did not answer again after a second.
        expect(look.verdict.code).toBe("healthy");
        // Nobody writes, but PostgreSQL itself does now and then.
        expect(siteOf(look, "chi-02").lag.bytes).toBe(0);
        return look;
      },
      { timeout: 120_000 },
    );
    expect(seen).toMatchObject({
      stack: "production",
      declared: "dal-01",
      primaries: ["dal-01"],
      verdict: { code: "healthy", level: "ok" },
    });
    expect(siteOf(seen, "dal-01")).toMatchObject({
      source: "control",
      word: "primary",
      timeline: 1,
      grant: { state: "held", epoch: 1 },
      slots: [{ name: "heatwave_chi_02", active: true }],
      pendingRestart: [],
      pooler: { admin: true, login: true },
    });
    expect(siteOf(seen, "chi-02")).toMatchObject({
      word: "standby",
      receiver: "streaming",
      lag: { bytes: 0 },
      grant: { state: "none" },
    });
    expect(seen.routers).toMatchObject([
      {
        name: "dal-01",
        silent: null,
        listeners: [
          {
            name: "pg-primary",
            overrides: [],
            servers: [
              { site: "dal-01", status: "UP" },
              { site: "chi-02", status: "DOWN" },
            ],
          },
        ],
      },
    ]);
    const table = await recovery("topology");
    expect(table.stdout).toMatch(/dal-01 {2}primary {2}primary {2}1 {3}0\/[0-9A-F]+ .* held, epoch 1/);
    expect(table.stdout).not.toContain("\u001b[");
    // Timed where it runs; these machines are shared, so the quickest of a few says what it needs.
    const line =
      "begun=$(date +%s%N); bin/recovery production topology >/dev/null && echo $(( ($(date +%s%N) - begun) / 1000000 ))";
    const times: number[] = [];
    while (times.length < 3 && !times.some((time) => time < 5))
      times.push(Number(await world.controller(line)) / 1000);
    console.log(`topology: ${times.map((time) => time.toFixed(1)).join(", ")} s`);
    expect(Math.min(...times)).toBeLessThan(5);
  });

  it("an override at a router, a pending restart and a paused replay are told", async () => {
    await world.host(
      "dal-01",
      'printf "set server pg-primary/chi-02 state maint\\n" | docker exec -i heatwave-haproxy sh -c \'sed "s/^/@1 /" | nc 127.0.0.1 8405\'',
    );
    await world.sql("chi-02", "select pg_wal_replay_pause()");
    const codes = (await topology()).findings.map(({ code }) => code);
    expect(codes).toEqual(expect.arrayContaining(["override", "replay-paused"]));
    const refused = await recovery("promote", "chi-02", "--stop-primary");
    expect(refused).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/replay is paused at chi-02/) as string,
    });
    await world.sql("chi-02", "select pg_wal_replay_resume()");
    await world.host(
      "dal-01",
      'printf "set server pg-primary/chi-02 state ready\\n" | docker exec -i heatwave-haproxy sh -c \'sed "s/^/@1 /" | nc 127.0.0.1 8405\'',
    );
    await verdict("healthy");
  });

  it("a running primary is not stopped unasked", async () => {
    const before = await history();
    const ran = await recovery("promote", "chi-02");
    expect(ran.code).toBe(3);
    expect(ran.stderr).toContain("bin/recovery production flip-db --to chi-02");
    expect(await history()).toEqual(before);
  });

  it("promotes forth and back under writes, loses no acknowledged row, and is written down", async () => {
    const live = await liveWorld(world, root);
    const writer = await Writer.start(live.plan, live.stack, live.overlay);
    for (const to of ["chi-02", "dal-01"]) {
      const ran = await recovery("promote", to, "--stop-primary");
      console.log(ran.stderr.split("\n").slice(-6).join("\n"));
      expect(ran.code).toBe(0);
      await vi.waitFor(async () => expect((await topology()).primaries).toEqual([to]), {
        timeout: 30_000,
        interval: 500,
      });
    }
    const report = await writer.stop();
    console.log(`${report.acknowledged} rows acknowledged, longest gap ${report.longestGap?.ms ?? 0} ms`);
    expect(report).toMatchObject({ lost: 0, duplicates: 0 });
    expect(Object.keys(report.instances).length).toBe(2);
    const [back, forth] = await history();
    expect(forth).toMatchObject({ from: "dal-01", to: "chi-02", result: "done" });
    expect(back).toMatchObject({
      from: "chi-02",
      to: "dal-01",
      result: "done",
      epochs: forth?.epochs && { before: forth.epochs.after, after: forth.epochs.after + 1 },
      timelines: forth?.timelines && {
        before: forth.timelines.after,
        after: (forth.timelines.after ?? 0) + 1,
      },
    });
    const idle = siteOf(await topology(), "chi-02").slots;
    expect(idle).toMatchObject([{ name: "heatwave_dal_01", active: false, walStatus: null }]);
    expect((await topology()).hosts.every((host) => host.lock === null)).toBe(true);
  });

  it("fences a primary, which stays down over a restart of its container, and gives it back its right", async () => {
    const live = await liveWorld(world, root);
    const writer = await Writer.start(live.plan, live.stack, live.overlay);
    const fenced = await recovery("fence", "dal-01");
    expect(fenced.code, fenced.stderr).toBe(0);
    expect(fenced.stderr).toMatch(/fence dal-01: done/);
    await world.host("dal-01", "docker restart heatwave-postgres >/dev/null");
    const seen = await vi.waitFor(
      async () => {
        const look = await topology();
        expect(look.sites.map(({ source }) => source)).toEqual(["control", "control"]);
        return look;
      },
      { timeout: 60_000, interval: 500 },
    );
    expect(seen.primaries).toEqual([]);
    expect(siteOf(seen, "dal-01").grant).toMatchObject({ state: "suspended" });
    expect(seen.verdict).toMatchObject({
      code: "no-primary",
      text: expect.stringMatching(/dal-01 was fenced/) as string,
      next: "bin/recovery production unfence dal-01; or bin/recovery production promote chi-02",
    });
    expect(await recovery("fence", "dal-01")).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/grant is suspended: there is nothing to fence/) as string,
    });
    const given = await recovery("unfence", "dal-01");
    expect(given.code, given.stderr).toBe(0);
    await verdict("healthy");
    const report = await writer.stop();
    console.log(
      `fenced and freed: ${report.acknowledged} rows, longest gap ${report.longestGap?.ms ?? 0} ms`,
    );
    expect(report).toMatchObject({ lost: 0, duplicates: 0 });
    expect(report.writability?.overlaps).toEqual([]);
    expect(await recovery("unfence", "dal-01")).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/grant is held: it is not fenced/) as string,
    });
  });

  it("lets one of two operators through and tells the other who is there", async () => {
    const both = await Promise.all([
      recovery("promote", "chi-02", "--stop-primary"),
      recovery("promote", "chi-02", "--stop-primary"),
    ]);
    const codes = both.map(({ code }) => code).toSorted();
    expect(codes).toEqual([0, 3]);
    const loser = both.find(({ code }) => code === 3);
    expect(loser?.stderr).toMatch(
      /is locked by promote \(\w+@\S+ pid \d+, since |promote is running \(|chi-02 is the primary already/,
    );
    expect((await recovery("promote", "dal-01", "--stop-primary")).code).toBe(0);
  });

  it("an up is refused while a lock is there, and one without a run in the ledger is resumed away", async () => {
    const lock = JSON.stringify({
      host: "dal-01",
      stack: "production",
      verb: "promote",
      id: "x",
      who: "alice@laptop pid 7",
      since: "2026-01-02T03:04:05Z",
      token: "x",
    });
    await world.host("dal-01", "/var/lib/heatwave/bin/host-tool lock", `${lock}\n`);
    const refused = await world.attempt(
      "host",
      "dal-01",
      "--",
      "/var/lib/heatwave/bin/host-tool",
      "settings",
    );
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(
      "dal-01 is locked by promote (alice@laptop pid 7, since 2026-01-02T03:04:05Z); wait, or bin/recovery production topology",
    );
    expect((await topology()).verdict).toMatchObject({
      code: "interrupted",
      next: "bin/recovery production resume",
    });
    expect((await recovery("promote", "chi-02", "--stop-primary")).code).toBe(3);
    expect((await recovery("resume")).code).toBe(0);
    await verdict("healthy");
  });

  it.each(["Stop PostgreSQL", "Take the grant", "Give chi-02 the grant", "Promote chi-02 "])(
    "a controller killed after %j: resume ends what it left",
    async (line) => {
      const said = await killedAfter("chi-02", `✓ ${line}`);
      expect(said).toContain(`✓ ${line}`);
      expect((await topology()).verdict).toMatchObject({
        code: "interrupted",
        next: "bin/recovery production resume",
      });
      const other = await recovery("promote", "dal-01", "--stop-primary");
      expect(other).toMatchObject({
        code: 3,
        stderr: expect.stringContaining("bin/recovery production resume") as string,
      });
      const resumed = await recovery("resume");
      expect(resumed.code, resumed.stderr).toBe(0);
      const seen = await topology();
      // It goes on while the line is read, so it may die later than that: resume decides by what it finds.
      const [now = "", ...others] = seen.primaries;
      expect(others).toEqual([]);
      expect((await history())[0]).toMatchObject({ result: now === "chi-02" ? "done" : "aborted" });
      console.log(`killed after "${line}": ${now} takes writes`);
      expect(seen.hosts.every((host) => host.lock === null)).toBe(true);
      expect(seen.unfinished).toEqual([]);
      expect(await world.sql(now, "create table if not exists after_resume (id int); select 1")).toBe("1");
      if (now !== "dal-01") expect((await recovery("promote", "dal-01", "--stop-primary")).code).toBe(0);
      await verdict("healthy");
    },
  );

  it("with one site's host down topology answers in less than 5 s and names why", async () => {
    const { plan } = await liveWorld(world, root);
    const host = plan.hosts.find(({ name }) => name === "chi-02")?.container ?? "";
    const { execa } = await import("execa");
    await execa("docker", ["stop", "-t", "10", host]);
    const line =
      "begun=$(date +%s%N); bin/recovery production topology --json >/tmp/down.json && echo $(( ($(date +%s%N) - begun) / 1000000 ))";
    const times: number[] = [];
    while (times.length < 3 && !times.some((time) => time < 5))
      times.push(Number(await world.controller(line)) / 1000);
    console.log(`topology with a dead site: ${times.map((time) => time.toFixed(1)).join(", ")} s`);
    expect(Math.min(...times)).toBeLessThan(5);
    const seen = JSON.parse(await world.controller("cat /tmp/down.json")) as Topology;
    expect(seen.verdict).toMatchObject({
      code: "site-silent",
      next: expect.stringContaining("bring host chi-02 back") as string,
    });
    expect(seen.verdict.text).toMatch(/chi-02 cannot be reached: ssh deploy@100\.68\.157\.49:22/);
    expect(seen.primaries).toEqual(["dal-01"]);
  });

  it("a primary held back by a silent peer is freed by start --peer-gone, and the peer stays read-only when it returns", async () => {
    // Away for longer than its certainty lasts.
    await world.host("dal-01", "docker stop -t 30 heatwave-postgres heatwave-pg-health >/dev/null");
    await new Promise((resolve) => setTimeout(resolve, 16_000));
    await world.host("dal-01", "docker start heatwave-postgres heatwave-pg-health >/dev/null");
    await verdict("held-back");
    expect((await recovery("start", "dal-01")).code).toBe(3);
    const ran = await recovery("start", "dal-01", "--peer-gone");
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stderr).toMatch(
      /What chi-02 committed alone after that is given up.*chi-02 was last seen .* ago, 0 B, 0\.0 s behind dal-01/,
    );
    const seen = await topology();
    expect(seen.primaries).toEqual(["dal-01"]);
    expect(siteOf(seen, "dal-01").grant).toMatchObject({ state: "held", excluded: ["chi-02"] });
    expect((await history())[0]).toMatchObject({
      verb: "start",
      to: "dal-01",
      result: "done",
      accepted: expect.stringContaining("chi-02") as string,
    });

    const { plan } = await liveWorld(world, root);
    const { execa } = await import("execa");
    await execa("docker", ["start", plan.hosts.find(({ name }) => name === "chi-02")?.container ?? ""]);
    await verdict("excluded-returned", 90_000);
    const refused = await recovery("promote", "chi-02", "--stop-primary");
    expect(refused).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("chi-02 is excluded") as string,
    });
  });
});

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { cut, healLinks } from "../../infra/rehearsal/faults/network.ts";
import { powerOff, powerOn } from "../../infra/rehearsal/faults/power.ts";
import { liveWorld } from "../support/live-world.ts";
import { RecoveryCli, siteOf, told } from "../support/recovery-cli.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { RestartTable } from "../support/restart-table.ts";
import { SiteControl } from "../support/site-control.ts";
import { inWorld } from "../support/world-suite.ts";

const root = join(import.meta.dirname, "../..");
const world = new Rehearsal("production");

const { recovery, topology, lastRun, whole, interrupted } = new RecoveryCli(world);

describe("rejoin and rebuild-standby, in a sealed world", { timeout: 600_000 }, () => {
  inWorld(world);
  let table: RestartTable;
  let control: SiteControl;
  beforeAll(async () => {
    const live = await liveWorld(world, root);
    table = await RestartTable.begin(live);
    control = new SiteControl(live);
    await world.sql("dal-01", "create database bulk_1");
    const bulk =
      "create table bulk as select i, repeat(md5(i::text), 8) note from generate_series(1, 200000) i";
    await world.run("psql", "dal-01", "--", "-X", "-q", "-d", "bulk_1", "-c", bulk);
    const zfs = await readFile(join(root, "test/support/stand-in-zfs.sh"), "utf8");
    // Where Debian's package has it, and sudo looks.
    for (const { host } of live.topology.sites)
      await world.host(host.name, "cat >/usr/sbin/zfs && chmod 755 /usr/sbin/zfs", zfs);
  });
  afterAll(() => table.end());

  const snapshots = (host: string): Promise<string> => table.onHost(host, "cat /var/lib/zfs-stand-in");
  const beside = async (site: string): Promise<readonly string[]> => {
    const { host, volume } = table.site(site);
    const list = await table.onHost(host.name, `ls -A /var/lib/docker/volumes/${volume}/_data/18`);
    return list.split("\n").filter(Boolean);
  };
  /** Every acknowledged row is there, and nobody wrote at two places. */
  const proof = async (what: string): Promise<void> => {
    const report = await table.writer.report();
    console.log(
      `${what}: ${report.acknowledged} rows acknowledged, ${report.lost} lost, longest gap ${Math.round(report.longestGap?.ms ?? 0)} ms`,
    );
    expect(report.lostRows).toEqual([]);
    expect(report.writability?.overlaps).toEqual([]);
  };

  it("rebuilds a healthy standby under writes: the old data goes once the new one streams", async () => {
    const before = await whole();
    const dry = await recovery("rebuild-standby", "--dry-run");
    expect(dry, dry.stderr).toMatchObject({ code: 0 });
    expect(dry.stderr).toContain("Nothing was changed.");
    const ran = await recovery("rebuild-standby");
    console.log(told(ran), `\n${ran.seconds.toFixed(1)} s in all`);
    expect(ran.code, ran.stderr).toBe(0);
    const seen = await whole();
    expect(siteOf(seen, "chi-02").leftovers).toEqual([]);
    expect(siteOf(seen, "chi-02").slots).toMatchObject([{ name: "heatwave_dal_01", active: false }]);
    expect(siteOf(seen, "dal-01").slots?.map(({ name }) => name)).toEqual(["heatwave_chi_02"]);
    expect(siteOf(seen, "chi-02").grant).toMatchObject({
      state: "none",
      epoch: siteOf(before, "dal-01").grant?.epoch,
    });
    expect(await beside("chi-02")).toEqual(["docker", "docker.lock"]);
    expect(ran.stderr).toContain("✓ Take the ZFS snapshot rpool/docker@heatwave-");
    expect(await snapshots("chi-02")).toBe("");
    expect(await lastRun()).toMatchObject({ verb: "rebuild-standby", to: "chi-02", result: "done" });
    await proof("rebuild under writes");
  });

  it("is refused for the primary", async () => {
    const primary = await recovery("rebuild-standby", "dal-01");
    expect(primary).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("dal-01 is the primary") as string,
    });
  });

  it("a copy that is broken off leaves the standby as it was", async () => {
    const breakIt = world.sql(
      "dal-01",
      "do $$ begin for i in 1..6000 loop if exists (select from pg_stat_progress_basebackup) then " +
        "perform pg_sleep(0.2); perform pg_terminate_backend(pid) from pg_stat_progress_basebackup; return; end if; " +
        "perform pg_stat_clear_snapshot(); perform pg_sleep(0.01); end loop; end $$; select 1",
    );
    const ran = await recovery("rebuild-standby");
    await breakIt;
    console.log(told(ran));
    expect(ran.code, ran.stderr).toBe(4);
    const seen = await whole();
    expect(siteOf(seen, "chi-02").leftovers).toEqual([]);
    expect(siteOf(seen, "dal-01").slots?.map(({ name }) => name)).toEqual(["heatwave_chi_02"]);
    await proof("copy broken off");
  });

  it("new data that does not stream is taken back, and the old data follows again", async () => {
    const refuse = world.controller(
      "until grep -q 'paused before start' /tmp/said 2>/dev/null; do sleep 0.1; done",
    );
    const running = interrupted(
      "rebuild-standby",
      "start",
      "until [ -e /tmp/go ]; do sleep 0.1; done; sleep 1",
    );
    await refuse;
    await world.sql("dal-01", "alter role heatwave_replication nologin");
    await world.controller("touch /tmp/go");
    const said = await running;
    console.log(said.split("\n").slice(-24).join("\n"));
    expect(said).toContain("code 4");
    await world.sql("dal-01", "alter role heatwave_replication login");
    const seen = await whole();
    expect(siteOf(seen, "chi-02").leftovers).toEqual([]);
    const kept = (await snapshots("chi-02")).trim();
    expect(kept).toMatch(/^rpool\/docker@heatwave-\S+$/);
    expect(said.replaceAll("\n", " ")).toContain(
      `docker stop heatwave-postgres-replica && zfs rollback -r ${kept}`,
    );
    await table.onHost("chi-02", `zfs destroy ${kept}`);
    await proof("new data that did not stream");
  });

  it.each([
    ["during the copy", "backup", /data of chi-02 was not touched/],
    ["with the data put aside", "adopt", /old data of chi-02 is put back/],
    ["with the new data in place", "stream", /new data of chi-02 is in place/],
    ["when it streamed", "copy-slot", /new data of chi-02 is in place/],
  ] as const)("a controller killed %s: resume ends it", async (_, step, why) => {
    const during = step === "backup" ? "touch /tmp/go; sleep 0.6; " : "";
    const said = await interrupted("rebuild-standby", step, `${during}kill -9 $pid`);
    expect(said).toContain(`paused before ${step}`);
    const open = await topology();
    expect(open.verdict).toMatchObject({ code: "interrupted", next: "bin/recovery production resume" });
    const resumed = await recovery("resume");
    console.log(told(resumed));
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.stderr).toMatch(why);
    const seen = await whole();
    expect(siteOf(seen, "chi-02").leftovers).toEqual([]);
    expect(siteOf(seen, "dal-01").slots?.map(({ name }) => name)).toEqual(["heatwave_chi_02"]);
    expect(seen.hosts.every(({ lock }) => lock === null)).toBe(true);
    await proof(`killed before ${step}`);
  });

  /** The primary writes alone and loses its power; another site is promoted and told to go on without it. */
  const diverge = async (old: string, next: string): Promise<{ epoch: number; rows: string }> => {
    const { plan } = table.live;
    const epoch = (await control.highestEpoch([old, next])) + 1;
    await cut(plan, old, { other: next });
    await world.sql(old, "create table heatwave_alone as select generate_series(1, 20000) i");
    const rows = await world.sql(old, "select count(*) from heatwave_alone");
    await powerOff(plan, old, false);
    await control.promote(next, epoch, [old]);
    await healLinks(plan);
    await powerOn(plan, old);
    await vi.waitFor(
      async () => {
        const seen = await topology();
        expect(siteOf(seen, old).source).toBe("control");
        expect(seen.findings.map((finding) => finding.next)).toContain(
          `bin/recovery production rejoin ${old}`,
        );
      },
      { timeout: 120_000, interval: 1000 },
    );
    return { epoch, rows };
  };

  /** The primary and the other site, once all is well. */
  const pair = async (): Promise<readonly [primary: string, other: string]> => {
    const { sites, primaries } = await whole();
    const [primary = ""] = primaries;
    return [primary, sites.find(({ name }) => name !== primary)?.name ?? ""];
  };

  it("a diverged old primary is rewound; what it wrote alone is kept, and its size told", async () => {
    // Data that costs no WAL, so that a base backup is the dearer way.
    for (let n = 2; n <= 6; n += 1)
      await world.sql("dal-01", `create database bulk_${n} template bulk_1 strategy file_copy`);
    const { epoch, rows } = await diverge("dal-01", "chi-02");
    const found = siteOf(await topology(), "dal-01");
    console.log(`before rejoin: ${found.word ?? ""}, ${found.why ?? ""}, receiver ${found.receiver ?? ""}`);
    const ran = await recovery("rejoin", "dal-01");
    console.log(told(ran), `\n${ran.seconds.toFixed(1)} s in all; ${rows} rows were written alone`);
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stderr).toMatch(/dal-01: rewound complete/);
    const seen = await whole();
    expect(seen.primaries).toEqual(["chi-02"]);
    expect(seen.sites.every(({ grant }) => grant?.excluded.length === 0)).toBe(true);
    expect(siteOf(seen, "dal-01").grant).toMatchObject({ state: "none", epoch });
    expect(siteOf(seen, "chi-02").slots?.map(({ name }) => name)).toEqual(["heatwave_dal_01"]);
    await expect(world.sql("dal-01", "select count(*) from heatwave_alone")).rejects.toThrow(
      /does not exist/,
    );
    const [lost = "", ...others] = siteOf(seen, "dal-01").leftovers ?? [];
    expect(others).toEqual([]);
    expect(lost).toMatch(/^lost-wal-/);
    const notes = (await lastRun())?.notes?.join("\n") ?? "";
    expect(notes).toContain(`they are kept in /var/lib/postgresql/18/${lost}`);
    const [, bytes = "0"] = /(\d+) bytes of WAL after the fork/.exec(notes) ?? [];
    const report = await table.writer.report();
    console.log(`lost WAL: ${bytes} bytes, with ${report.lost} rows that the application had acknowledged`);
    expect(report.writability?.overlaps).toEqual([]);
    expect(Number(bytes)).toBeGreaterThan(100_000);
    // What is said can be done: the kept WAL is read where it lies, and is what was lost.
    const { host, postgres } = table.site("dal-01");
    const read = await table.onHost(
      host.name,
      `docker exec ${postgres.container} sh -c 'cd /var/lib/postgresql/18/${lost} && PATH=/usr/lib/postgresql/18/bin:$PATH && eval "$(sed -n "s/^Read it: //p" about.txt)"' | grep -c COMMIT`,
    );
    expect(Number(read)).toBeGreaterThan(0);
    expect(await beside("dal-01")).toEqual(["docker", "docker.lock", lost]);
  });

  it("the plug is pulled and the controller killed when it was rewound: it never writes, and resume ends it", async () => {
    await diverge("chi-02", "dal-01");
    const said = await interrupted("rejoin chi-02", "adopt", "kill -9 $pid");
    console.log(said.split("\n").slice(-12).join("\n"));
    expect(said).toContain("paused before adopt");
    await powerOff(table.live.plan, "chi-02", false);
    await powerOn(table.live.plan, "chi-02");
    await table.awaitWord("chi-02", /^empty$/, 503, 120_000);
    const resumed = await vi.waitFor(
      async () => {
        const ran = await recovery("resume");
        expect(ran.code, ran.stderr).toBe(0);
        return ran;
      },
      { timeout: 60_000, interval: 2000 },
    );
    console.log(told(resumed));
    expect(resumed.stderr).toMatch(/the data of chi-02 is rewound|old data of chi-02 is put back/);
    const seen = await whole();
    expect(seen.primaries).toEqual(["dal-01"]);
    expect(seen.sites.every(({ grant }) => grant?.excluded.length === 0)).toBe(true);
    const report = await table.writer.report();
    expect(report.writability?.overlaps).toEqual([]);
  });

  it("an excluded site that holds nothing of its own comes back as it is", async () => {
    const { plan } = table.live;
    const [primary, away] = await pair();
    // What a diverged site wrote alone before is lost, and stays the only thing that is.
    const { lost } = await table.writer.report();
    await powerOff(plan, away, false);
    // Away for longer than its certainty lasts, which is renewed until the silence of the other is noticed.
    await control.order(primary, "stop");
    await delay(30_000);
    await control.order(primary, "start");
    await vi.waitFor(async () => expect((await topology()).verdict.code).toBe("held-back"), {
      timeout: 60_000,
      interval: 1000,
    });
    const started = await recovery("start", primary, "--peer-gone");
    expect(started.code, started.stderr).toBe(0);
    await powerOn(plan, away);
    await vi.waitFor(
      async () =>
        expect((await topology()).verdict).toMatchObject({
          code: "excluded-returned",
          next: `bin/recovery production rejoin ${away}`,
        }),
      { timeout: 90_000, interval: 1000 },
    );
    const ran = await recovery("rejoin", away);
    console.log(told(ran), `\n${ran.seconds.toFixed(1)} s in all`);
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stderr).toContain("it can follow as it is");
    const seen = await whole();
    expect(seen.sites.every(({ grant }) => grant?.excluded.length === 0)).toBe(true);
    const report = await table.writer.report();
    console.log(`an excluded site: ${report.acknowledged} rows acknowledged, ${report.lost - lost} lost`);
    expect(report.lost).toBe(lost);
    expect(report.writability?.overlaps).toEqual([]);
  });

  it("what died in the middle of a rewind is worth nothing: resume takes a base backup", async () => {
    const [old, next] = await pair();
    await diverge(old, next);
    const said = await interrupted(`rejoin ${old}`, "rewind", "kill -9 $pid");
    expect(said).toContain("paused before rewind");
    const { host, volume } = table.site(old);
    // As a rewind leaves it that ends here: half of its files are another cluster's.
    await table.onHost(
      host.name,
      `cd /var/lib/docker/volumes/${volume}/_data/18 && mv kept-* rewinding-$(ls -d kept-* | sed 's/^kept-//') && rm -r rewinding-*/base/1`,
    );
    const resumed = await recovery("resume");
    console.log(told(resumed));
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.stderr).toContain("was being rewound, which a base backup has to end");
    const seen = await whole();
    expect(seen.sites.every(({ grant }) => grant?.excluded.length === 0)).toBe(true);
    expect(siteOf(seen, old).leftovers?.filter((name) => !name.startsWith("lost-wal-"))).toEqual([]);
    expect((await table.writer.report()).writability?.overlaps).toEqual([]);
  });

  it("where a rewind would copy more than a base backup, that is taken; what is lost is kept all the same", async () => {
    const [old, next] = await pair();
    for (let n = 1; n <= 6; n += 1) await world.sql(old, `drop database if exists bulk_${n}`);
    await diverge(old, next);
    const ran = await recovery("rejoin", old);
    console.log(told(ran), `\n${ran.seconds.toFixed(1)} s in all`);
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stderr).toMatch(
      /a base backup is taken, since it cannot be rewound: it would copy \d+ MB, a base backup \d+ MB/,
    );
    const seen = await whole();
    const run = await lastRun();
    expect(run?.notes?.join("\n")).toMatch(/\d+ bytes of WAL after the fork .* are kept in/);
    expect(siteOf(seen, old).leftovers).toContain(`lost-wal-${run?.id ?? ""}`);
    expect(seen.sites.every(({ grant }) => grant?.excluded.length === 0)).toBe(true);
    await expect(world.sql(old, "select count(*) from heatwave_alone")).rejects.toThrow(/does not exist/);
    expect((await table.writer.report()).writability?.overlaps).toEqual([]);
  });
});

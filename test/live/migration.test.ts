import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadStackFile } from "../../infra/config/load.ts";
import { cut, healLinks } from "../../infra/rehearsal/faults/network.ts";
import type { MigrationStep } from "../../infra/rehearsal/migration.ts";
import { migrationSteps, planMigration } from "../../infra/rehearsal/migration.ts";
import type { WriterReport } from "../../infra/rehearsal/writer/writer.ts";
import { Writer } from "../../infra/rehearsal/writer/writer.ts";
import type { LiveWorld } from "../support/live-world.ts";
import { liveWorld } from "../support/live-world.ts";
import { expectClean, touchedBy } from "../support/preview-steps.ts";
import type { Ran } from "../support/rehearsal.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { inWorld } from "../support/world-suite.ts";

/** A data centre moves while the application writes: production's own stack file, and what an operator makes of it. */

const root = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "heatwave-migration-"));
const configFile = join(folder, "Pulumi.production.yaml");
writeFileSync(configFile, readFileSync(join(root, "Pulumi.production.yaml"), "utf8"));
const world = new Rehearsal("production", { configFile });

/** Seconds of one step: an `up` takes as long as its machine needs, which is no figure of this file. */
const SLOW = { timeout: 900_000 };
/** The router's reload and what is felt of an idle machine's checks, ms; a flip has a limit of its own. */
const QUIET_MS = 1000;
const FLIP_MS = 5000;

describe("a data centre moves under load", SLOW, () => {
  inWorld(world);
  let live: LiveWorld;
  let writer: Writer;
  beforeAll(async () => {
    live = await liveWorld(world, folder);
    writer = await startWriter();
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  async function startWriter(): Promise<Writer> {
    const { plan, stack, overlay } = await liveWorld(world, folder);
    return Writer.start(plan, stack, overlay, { clients: 2, everyMs: 20, sampleEveryMs: 0 });
  }

  /** No row was lost, and writes paused for a flip alone. */
  function quiet(what: string, report: WriterReport): void {
    console.log(
      `${what}: ${report.acknowledged} rows, ${report.lost} lost; longest gaps ` +
        report.marks
          .map(({ name, gapMs, errors }) => `${name} ${gapMs.toFixed(0)} ms ${JSON.stringify(errors)}`)
          .join(", "),
    );
    expect(report).toMatchObject({ lost: 0, duplicates: 0 });
    for (const { name, gapMs } of report.marks)
      expect({ name, quiet: gapMs < (name === "flip" ? FLIP_MS : QUIET_MS) }).toEqual({ name, quiet: true });
  }

  const write = (edit: (text: string) => string): void =>
    writeFileSync(configFile, edit(readFileSync(configFile, "utf8")));

  async function up(): Promise<Ran> {
    const ran = await world.engine("up", "--yes");
    expect(ran, ran.stdout + ran.stderr).toMatchObject({ code: 0 });
    return ran;
  }

  /** Brings the changed file into the world. @returns what a preview would touch */
  async function previewed(): Promise<string[]> {
    const preview = await world.attempt("preview", "--json");
    return touchedBy(preview);
  }

  const clean = (): Promise<void> => expectClean(world);

  /** Files that name every site, at the sites and routers that stay. */
  const named = (sites: readonly string[]): string[] => [
    ...sites.flatMap((site) => [
      ...[`update ${site}-site-postgres-hba-apply`, `update ${site}-site-postgres-hba-text`],
      ...[`update ${site}-site-pg-health-conf-apply`, `update ${site}-site-pg-health-conf-text`],
      `update ${site}-objects`,
    ]),
    ...["update dal-01-haproxy-cfg-apply", "update dal-01-haproxy-cfg-text"],
    "update places",
  ];

  const SHIPPED = (): readonly MigrationStep[] => migrationSteps(live.stack, planMigration(live.stack));
  const step = (name: MigrationStep["name"]): MigrationStep => {
    const found = SHIPPED().find((one) => one.name === name);
    if (found === undefined) throw new Error(`no step ${name}`);
    return found;
  };

  it("add: the preview creates what is the new site's and names it to the others; one up, and it streams", async () => {
    write(step("add").edit);
    await world.run("up", "--hosts-only");
    const touched = await previewed();
    expect(touched.filter((one) => !/^create moved-01(-|$)/.test(one))).toEqual(
      named(["dal-01", "chi-02"]).toSorted(),
    );
    writer.mark("add");
    await up();
    await clean();
    expect(
      await world.sql(
        "dal-01",
        "select string_agg(application_name, ',' order by application_name) from pg_stat_replication where state = 'streaming'",
      ),
    ).toBe("chi-02,moved-01");
  });

  it("refused: retiring the primary, and merely taking it out of the file; nothing is touched", async () => {
    const before = readFileSync(configFile, "utf8");
    write((text) =>
      step("forget").edit(text).replace("heatwave:primary: dal-01", "heatwave:primary: moved-01"),
    );
    const preview = await world.attempt("preview", "--json");
    expect(preview.stdout).toContain("dal-01 has left the stack file without being retired");
    const left = await world.engine("up", "--yes");
    expect(left.code).toBe(1);
    expect(left.stdout + left.stderr).toMatch(
      /dal-01 has left the stack file without being retired.*Put its entry/,
    );
    // Retired and flipped in one change: the retirement is judged by who is the primary now.
    writeFileSync(configFile, step("flip").edit(step("retire").edit(before)));
    await previewed();
    const both = await world.engine("up", "--yes");
    expect(both.code).toBe(1);
    expect(both.stdout + both.stderr).toMatch(/dal-01 is the primary: move the writes first/);
    writeFileSync(configFile, before);
    await previewed();
    await clean();
  });

  it("flip: the preview shows the switchover alone", async () => {
    write(step("flip").edit);
    expect(await previewed()).toEqual(["update switchover"]);
    writer.mark("flip");
    await up();
    await clean();
    expect(await world.sql("write", "show cluster_name")).toBe("moved-01");
  });

  it("retire: what is the site's goes but its volume, no slot and no grant knows it, and the output says what stays", async () => {
    write(step("retire").edit);
    const touched = await previewed();
    expect(touched.filter((one) => !/^delete dal-01-(site|objects|founding)/.test(one))).toEqual(
      [...named(["chi-02", "moved-01"]), "create dal-01-retirement"].toSorted(),
    );
    expect(touched).not.toContain("delete dal-01-site-postgres-data");
    writer.mark("retire");
    const { stdout, stderr } = await up();
    expect(stdout + stderr).toContain("Its data stays on dal-01, in volume heatwave-postgres-data");
    await clean();
    for (const site of ["moved-01", "chi-02"]) {
      expect(
        await world.sql(
          site,
          "select count(*) from pg_replication_slots where slot_name = 'heatwave_dal_01'",
        ),
      ).toBe("0");
      const grants = await world.host(site, "cat /var/lib/heatwave/*/state/grant.json");
      expect(grants).not.toContain("dal-01");
    }
    expect((await world.host("dal-01", "docker ps -a --format '{{.Names}}' | grep -v writer")).trim()).toBe(
      "heatwave-haproxy",
    );
    expect(await world.host("dal-01", "docker volume ls -q")).toContain("heatwave-postgres-data");
    const topology = await world.attempt("exec", "--", "bin/recovery", "production", "topology");
    expect(topology.stdout + topology.stderr).toMatch(/moved-01 takes writes, chi-02 streams without lag/);
  });

  it("forget: the entry goes, and with it what nobody runs any more; its host need not answer", async () => {
    write(step("forget").edit);
    const touched = await previewed();
    expect(touched).toEqual(
      [
        "delete dal-01-retirement",
        "delete dal-01-site",
        "delete dal-01-site-postgres",
        "delete dal-01-site-postgres-data",
        "update places",
      ].toSorted(),
    );
    writer.mark("forget");
    await cut(live.plan, "dal-01", { other: "controller" });
    try {
      await up();
    } finally {
      await healLinks(live.plan);
    }
    await clean();
    expect(await world.host("dal-01", "docker volume ls -q")).toContain("heatwave-postgres-data");
  });

  it("lost no row, and stopped for nothing but the flip", async () => {
    // The rows are at a site that was not there when the writer began.
    writer.follow(await liveWorld(world, folder));
    quiet("migration", await writer.stop());
  });

  it("the last other copy may not go", async () => {
    const before = readFileSync(configFile, "utf8");
    write((text) => text.replace("    - name: chi-02\n", "    - name: chi-02\n      retired: true\n"));
    await previewed();
    const refused = await world.engine("up", "--yes");
    expect(refused.code).toBe(1);
    expect(refused.stdout + refused.stderr).toMatch(
      /chi-02 holds the only other copy: no other standby is declared/,
    );
    writeFileSync(configFile, before);
    await previewed();
    await clean();
  });

  const MOVED = planMigration(loadStackFile(root, "production")).address;
  const [OLD, NEW] = [MOVED, MOVED.replace(/\d+$/, "99")];

  /** The machine gets its new address and loses the old one; then the stack file says so. */
  async function moveAddress(host: string, from: string, to: string): Promise<void> {
    write((text) => text.replace(`address: ${from}`, `address: ${to}`));
    await world.run("up", "--hosts-only");
    await world.host(host, `ip address del ${from}/32 dev tailscale0`);
    await previewed();
  }

  const streamsAt = (primary: string): Promise<string> =>
    world.sql(primary, "select application_name from pg_stat_replication where state = 'streaming'");

  it("a standby's host gets another address: it streams again, and nobody felt it", async () => {
    const beside = await startWriter();
    beside.mark("re-address");
    await moveAddress("chi-02", "100.68.157.49", "100.68.157.50");
    await up();
    await clean();
    expect(await streamsAt("moved-01")).toBe("chi-02");
    beside.follow(await liveWorld(world, folder));
    quiet("re-addressing a standby", await beside.stop());
  });

  it("the primary's is refused, and nothing is touched", async () => {
    const before = readFileSync(configFile, "utf8");
    await moveAddress("moved-01", OLD, NEW);
    const refused = await world.engine("up", "--yes");
    expect(refused.code).toBe(1);
    expect(refused.stdout + refused.stderr).toMatch(/moved-01 is the primary: .*move the writes/);
    writeFileSync(configFile, before);
    await world.run("up", "--hosts-only");
    await world.host("moved-01", `ip address del ${NEW}/32 dev tailscale0`);
    // The state alone has noted the other address, at the component.
    expect(await previewed()).toEqual(["update moved-01"]);
    await up();
    await clean();
  });

  it("after a flip its address changes like any other", async () => {
    const beside = await startWriter();
    beside.mark("flip");
    write((text) => text.replace("heatwave:primary: moved-01", "heatwave:primary: chi-02"));
    await previewed();
    await up();
    await clean();
    beside.mark("re-address");
    await moveAddress("moved-01", OLD, NEW);
    await up();
    await clean();
    expect(await streamsAt("chi-02")).toBe("moved-01");
    beside.follow(await liveWorld(world, folder));
    quiet("re-addressing what was the primary's", await beside.stop());
  });
});

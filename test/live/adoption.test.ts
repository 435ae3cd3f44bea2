import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withAdopted } from "../../infra/adoption/stack-file.ts";
import { Writer } from "../../infra/rehearsal/writer/writer.ts";
import { AdoptionSights } from "../support/adoption-sights.ts";
import { STATE } from "../support/bare-world.ts";
import type { LiveWorld } from "../support/live-world.ts";
import { liveWorld } from "../support/live-world.ts";
import { HAND_PASSWORDS, MadeByHand } from "../support/made-by-hand.ts";
import { NOTHING } from "../support/nothing.ts";
import { PulumiCli, pulumiTools } from "../support/pulumi-cli.ts";
import { RecoveryCli } from "../support/recovery-cli.ts";
import { expectStoodIn } from "../support/stand-in-order.ts";
import { expectClean, touchedBy } from "../support/preview-steps.ts";
import type { Ran } from "../support/rehearsal.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { inWorld } from "../support/world-suite.ts";

/**
 * A stack that Kamal and hands have made, with an application that writes all the time, is taken over as it is: production's
 * own stack file and names.
 */

const root = join(import.meta.dirname, "../..");
const world = new Rehearsal("production");

/** What an idle machine's checks and a busy test machine make felt, ms; a restart of PostgreSQL is above. */
const QUIET_MS = 2000;
/** Until a kernel asks again for a connection that nobody answered, ms: what a router's stand-in spares. */
const STOOD_IN_MS = 1000;

const tools = pulumiTools();
if (tools.missing.length > 0)
  console.log(`the Pulumi CLI is left out, since these are not on PATH: ${tools.missing.join(", ")}`);
const ENGINES = ["the embedded engine", ...(tools.missing.length > 0 ? [] : ["the Pulumi CLI"])];

describe.each(ENGINES)("a stack that runs already is adopted by %s", { timeout: 600_000 }, (engine) => {
  inWorld(world, "--hosts-only");
  let live: LiveWorld;
  let hands: MadeByHand;
  let sights: AdoptionSights;
  let writer: Writer;
  let before: Record<string, string>;
  let cli: PulumiCli | undefined;

  beforeAll(async () => {
    if (engine === "the Pulumi CLI") cli = await PulumiCli.install(world, tools);
    live = await liveWorld(world, root);
    hands = new MadeByHand(world, live);
    await hands.make();
    sights = new AdoptionSights(world, live, hands);
    writer = await Writer.start(live.plan, live.stack, live.overlay, {
      clients: 2,
      everyMs: 20,
      sampleEveryMs: 0,
    });
    before = await running();
  }, 300_000);
  afterAll(() => (writer as Writer | undefined)?.discard());

  const running = (): Promise<Record<string, string>> => sights.running();

  const adopt = (...options: readonly string[]): Promise<Ran> =>
    world.attempt("exec", "--", "bin/adopt", "production", ...options);

  /** What of it is not as it was, by kind and logical name; of imports what is imported. */
  async function previewed(): Promise<readonly string[]> {
    const preview = await world.engine("preview", "--json");
    return touchedBy(preview);
  }

  const clean = async (): Promise<void> => {
    await expectClean(world);
    if (cli === undefined) return;
    const preview = await cli.run("preview", "--diff", "--expect-no-changes");
    expect(preview, preview.stdout + preview.stderr).toMatchObject({ code: 0 });
  };

  const up = async (): Promise<Ran> => {
    const ran = await (cli?.run("up", "--yes", "--skip-preview") ?? world.engine("up", "--yes"));
    expect(ran, ran.stdout + ran.stderr).toMatchObject({ code: 0 });
    return ran;
  };

  it("bin/adopt tells what is there and what it lacks, and changes neither the file nor a host", async () => {
    const file = await world.controller("cat Pulumi.production.yaml");
    writer.mark("look");
    const { code, stdout, stderr } = await adopt();
    expect({ code }, stdout + stderr).toEqual({ code: 0 });
    console.log(stdout);
    for (const container of ["heatwave-postgres", "heatwave-haproxy", "heatwave-pgbouncer-replica"])
      expect(stdout).toMatch(new RegExp(`! ${container} [0-9a-f]{12}, running since`));
    expect(stdout).toContain("POSTGRES_PASSWORD in the environment");
    expect(stdout).toMatch(/Made by Kamal: .*heatwave-haproxy \(service heatwave-haproxy\)/);
    expect(stdout).toContain("Made by Kamal: heatwave-pgbouncer (service heatwave-pgbouncer)");
    for (const password of Object.values(HAND_PASSWORDS)) expect(stdout).not.toContain(password);
    expect(await world.controller("cat Pulumi.production.yaml")).toBe(file);
    expect(await running()).toEqual(before);
  });

  it("bin/adopt --write puts the ids into the stack file; the preview imports, and nothing else", async () => {
    const { code, stdout, stderr } = await adopt("--write");
    expect({ code }, stdout + stderr).toEqual({ code: 0 });
    const steps = await previewed();
    expect(steps.filter((step) => !step.startsWith("import "))).toEqual(
      steps.filter((step) => step.startsWith("create ")),
    );
    expect(steps.filter((step) => step.startsWith("import "))).toEqual([
      "import chi-02-site-pg-health",
      "import chi-02-site-pgbouncer",
      "import chi-02-site-postgres",
      "import chi-02-site-postgres-data",
      "import dal-01-haproxy",
      "import dal-01-site-pg-health",
      "import dal-01-site-pgbouncer",
      "import dal-01-site-postgres",
      "import dal-01-site-postgres-data",
    ]);
  });

  it("up takes them over: every id, every start and every postmaster is the one from before, no host has a file of ours", async () => {
    writer.mark("adopt");
    await up();
    await clean();
    expect(await running()).toEqual(before);
    for (const { name, root: folder } of live.topology.hosts)
      expect((await world.host(name, `ls -d ${folder} 2>/dev/null || true`)).trim()).toBe("");
  });

  it("no password from an environment is in the state", async () => {
    for (const password of Object.values(HAND_PASSWORDS))
      expect(await world.controller(`grep -rl '${password}' ${STATE} || true`)).toBe("");
  });

  it("a container that was made anew is named, and adopted again by its new id", async () => {
    const chicago = live.topology.sites[1]!;
    await hands.pgHealth(chicago);
    const { code, stdout, stderr } = await adopt("--write");
    expect({ code }, stdout + stderr).toEqual({ code: 0 });
    await up();
    await clean();
    const now = await running();
    const renewed = `chi-02/${chicago.pgHealth.container}`;
    expect(now[renewed]).not.toBe(before[renewed]);
    expect({ ...now, [renewed]: "" }).toEqual({ ...before, [renewed]: "" });
    before = now;
  });

  it("taking heatwave:adopted out of the file is refused before anything is touched", async () => {
    const text = await world.controller("cat Pulumi.production.yaml");
    await world.controller("cat >Pulumi.production.yaml", withAdopted(text, undefined));
    const refused = await world.engine("up", "--yes");
    expect(refused.code).toBe(1);
    expect(refused.stdout + refused.stderr).toMatch(/runs as it was found[^]*Put heatwave:adopted back/);
    await world.controller("cat >Pulumi.production.yaml", text);
    expect(await running()).toEqual(before);
  });

  it("the application felt nothing of it: no row lost, no error, one session for each client", async () => {
    const report = await writer.report();
    console.log(
      `adoption: ${report.acknowledged} rows, ${report.lost} lost, ${report.sessions} sessions, longest gap ${report.longestGap?.ms.toFixed(0) ?? "-"} ms`,
    );
    expect(report).toMatchObject({ lost: 0, duplicates: 0, errors: NOTHING, sessions: 2 });
    expect(report.longestGap?.ms).toBeLessThan(QUIET_MS);
  });

  it("the primary is not converted while a standby runs as it was found", async () => {
    const refused = await adopt("--convert", "dal-01");
    expect(refused.code).toBe(3);
    expect(refused.stderr).toMatch(/the primary is converted last/);
  });

  const containers = ["dal-01-site-pg-health", "dal-01-site-pgbouncer", "dal-01-site-postgres"];
  /** One engine's stack is left by a flip that is killed after the promotion, the other's by one that comes to its end. */
  const KILLED = engine === "the embedded engine";
  const ofDallas = (seen: Record<string, string>): [string, string][] =>
    Object.entries(seen).filter(([name]) => name.startsWith("dal-01") && !name.includes("haproxy"));

  it("the standby and the router are converted by one change, and by an up after one that was killed; the primary's containers stay, and so does its PostgreSQL", async () => {
    const { code, stdout, stderr } = await adopt("--convert", "chi-02");
    expect({ code }, stdout + stderr).toEqual({ code: 0 });
    expect(stdout).toContain("then bin/recovery production flip-db --to chi-02");
    const touched = await previewed();
    expect(touched.filter((step) => step.includes("dal-01-site"))).toEqual([]);
    expect(touched).toContain("replace chi-02-site-postgres");
    expect(touched).toContain("replace dal-01-haproxy");
    expect(touched).toContain("create dal-01-preparation");
    writer.mark("standby and router");
    const since = (await world.host("dal-01", "date +%s.%N")).trim();
    await sights.killedAfterTheStop(live.topology.sites[1]!);
    const ran = await up();
    console.log(await sights.eventsSince("dal-01", since));
    await expectStoodIn(world, "dal-01", "heatwave-haproxy", since);
    expect(ran.stdout + ran.stderr).toMatch(/chi-02: standby of system \d+, stopped at/);
    expect(ran.stdout + ran.stderr).toContain("pg_drop_replication_slot('standby_chi_02')");
    await clean();
    const now = await running();
    expect(ofDallas(now)).toEqual(ofDallas(before));
    for (const made of ["chi-02/heatwave-postgres-replica", "dal-01/heatwave-haproxy"])
      expect(now[made]).not.toBe(before[made]);
    await sights.streams("chi-02", "dal-01");
    // As the conversion said.
    await hands.sql(live.topology.sites[0]!, "select pg_drop_replication_slot('standby_chi_02')");
    const { status, body } = await world.get("http://100.68.157.49:8008/");
    expect({ status, body: body.trim() }).toEqual({ status: 503, body: "standby" });
  });

  const operator = new RecoveryCli(world);
  /** Of dal-01's. */
  const found = (): Promise<string[]> => sights.found(live.topology.sites[0]!);

  it("what is left is the primary as it was found: topology names the flip, and nothing else may touch it", async () => {
    const { verdict, sites } = await operator.topology();
    expect(verdict).toMatchObject({
      code: "adopted",
      next: "bin/recovery production flip-db --to chi-02",
    });
    expect(sites[0]).toMatchObject({ name: "dal-01", source: "found", role: "primary", word: "primary" });
    const refused = await adopt("--convert", "dal-01");
    expect(refused.code).toBe(3);
    expect(refused.stderr).toMatch(/with the writes on it[^]*flip-db --to chi-02/);
    for (const verb of [
      ["failover", "--to", "chi-02"],
      ["promote", "chi-02"],
      ["rebuild-standby", "chi-02"],
    ]) {
      const ran = await operator.recovery(...verb);
      expect(ran.code, verb.join(" ")).toBe(3);
      expect(ran.stderr).toMatch(/runs as it was found[^]*flip-db/);
    }
    const dry = await operator.recovery("flip-db", "--to", "chi-02", "--dry-run");
    expect(dry, dry.stderr).toMatchObject({ code: 0 });
    console.log(dry.stderr);
    expect(await found()).toEqual(["true unless-stopped"]);
  });

  it("a switchover away from it whose controller is killed before the promotion is taken back by resume", async () => {
    writer.mark("killed");
    await operator.interrupted("flip-db --to chi-02", "promote", "kill -9 $pid");
    expect(await found()).toEqual(["false no", "converting"]);
    expect((await operator.topology()).verdict).toMatchObject({
      code: "interrupted",
      next: "bin/recovery production resume",
    });
    const resumed = await operator.recovery("resume");
    expect(resumed, resumed.stdout + resumed.stderr).toMatchObject({ code: 0 });
    expect(await found()).toEqual(["true unless-stopped"]);
    expect(await world.sql("write", "show cluster_name")).toBe("dal-01");
    await sights.streams("chi-02", "dal-01");
  });

  it("one whose stop hangs is given up: what was found serves again, and nothing was promoted", async () => {
    writer.mark("hangs");
    const said = await operator.pausedBefore("flip-db --to chi-02", "stop", () =>
      world.host("dal-01", "pkill -STOP -f '[p]ostgres: .*checkpointer'"),
    );
    console.log(said);
    expect(said.trim()).toMatch(/✗ Stop PostgreSQL at dal-01[^]*did not stop cleanly[^]*\ncode 4$/);
    expect(said).not.toMatch(/✓ Promote/);
    expect(await found()).toEqual(["true unless-stopped"]);
    expect(await world.sql("write", "show cluster_name")).toBe("dal-01");
    await sights.streams("chi-02", "dal-01");
  });

  it("one whose standby replays no more is refused, and PostgreSQL that was found runs on", async () => {
    await world.sql("chi-02", "select pg_wal_replay_pause()");
    const refused = await operator.recovery("flip-db", "--to", "chi-02");
    expect(refused.code).toBe(3);
    expect(refused.stderr).toMatch(/replay is paused at chi-02/);
    await world.sql("chi-02", "select pg_wal_replay_resume()");
    expect(await found()).toEqual(["true unless-stopped"]);
  });

  it(`the writes leave it by a flip like any other${KILLED ? ", whose controller is killed afterwards and which resume finishes" : ""}; it stays stopped`, async () => {
    writer.mark("flip away");
    if (KILLED) {
      console.log(await operator.interrupted("flip-db --to chi-02", "keep", "kill -9 $pid"));
      expect(await found()).toEqual(["false no", "converting"]);
      const resumed = await operator.recovery("resume");
      expect(resumed, resumed.stdout + resumed.stderr).toMatchObject({ code: 0 });
      // A run that was resumed writes no stack file.
      const { verdict } = await operator.topology();
      expect(verdict.next).toMatch(
        /^set heatwave:primary to chi-02 in Pulumi.production.yaml; then bin\/adopt/,
      );
      await world.controller(
        "sed -i 's/heatwave:primary: dal-01/heatwave:primary: chi-02/' Pulumi.production.yaml",
      );
    } else {
      const flip = await operator.recovery("flip-db", "--to", "chi-02");
      console.log(flip.stderr);
      expect(flip, flip.stdout + flip.stderr).toMatchObject({ code: 0 });
    }
    expect(await world.sql("write", "show cluster_name")).toBe("chi-02");
    expect(await found()).toEqual(["false no", "grant.json"]);
    expect(await world.controller("cat Pulumi.production.yaml")).toMatch(/heatwave:primary: chi-02/);
    expect((await operator.topology()).verdict).toMatchObject({
      code: "adopted",
      next: "bin/adopt production --convert dal-01, then pulumi up",
    });
    await clean();
  });

  it("its site is converted last, as the standby that it is by now; nobody feels it", async () => {
    const { code, stdout, stderr } = await adopt("--convert", "dal-01");
    expect({ code }, stdout + stderr).toEqual({ code: 0 });
    expect(await world.controller("cat Pulumi.production.yaml")).not.toContain("heatwave:adopted");
    const touched = await previewed();
    for (const container of containers) expect(touched).toContain(`replace ${container}`);
    expect(touched.filter((step) => step.startsWith("replace ") && !step.includes("dal-01-site"))).toEqual(
      [],
    );
    writer.mark("last site");
    const ran = await up();
    expect(ran.stdout + ran.stderr).toContain("dal-01: converted already");
    await clean();
    await sights.streams("dal-01", "chi-02");
    const topology = await world.attempt("exec", "--", "bin/recovery", "production", "topology");
    expect(topology.stdout + topology.stderr).toMatch(/chi-02 takes writes, dal-01 streams without lag/);
  });

  it("from then on it is a stack like any other: it flips", async () => {
    writer.mark("flip back");
    const flip = await operator.recovery("flip-db", "--to", "dal-01");
    expect(flip, flip.stdout + flip.stderr).toMatchObject({ code: 0 });
    expect(await world.sql("write", "show cluster_name")).toBe("dal-01");
  });

  it("no row was lost by all that, and writes paused for the flips alone", async () => {
    const report = await writer.stop();
    console.log(
      `conversion: ${report.acknowledged} rows, ${report.lost} lost; longest gaps ` +
        report.marks
          .map(({ name, gapMs, errors }) => `${name} ${gapMs.toFixed(0)} ms ${JSON.stringify(errors)}`)
          .join(", "),
    );
    expect(report).toMatchObject({ lost: 0, duplicates: 0 });
    // Between a kill and what an operator types nobody takes writes, and Docker gives a stop that hangs ten seconds.
    for (const { name, gapMs } of report.marks.filter((mark) => !["killed", "hangs"].includes(mark.name)))
      expect({
        name,
        within: gapMs < (name === "standby and router" ? STOOD_IN_MS : QUIET_MS),
      }).toEqual({ name, within: true });
  });
});

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { withAdopted } from "../../infra/adoption/stack-file.ts";
import { Writer } from "../../infra/rehearsal/writer/writer.ts";
import type { Site } from "../../infra/topology/model.ts";
import { STATE } from "../support/bare-world.ts";
import type { LiveWorld } from "../support/live-world.ts";
import { liveWorld } from "../support/live-world.ts";
import { HAND_PASSWORDS, MadeByHand } from "../support/made-by-hand.ts";
import { NOTHING } from "../support/nothing.ts";
import { RecoveryCli } from "../support/recovery-cli.ts";
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

/** What an idle machine's checks and a busy test machine make felt, ms; a restart of anything is far above. */
const QUIET_MS = 2000;
/** The primary's stop and start, with containers made anew on a busy machine. */
const CONVERSION_MS = 15_000;
const FLIP_MS = 5000;

describe("a stack that runs already is adopted", { timeout: 600_000 }, () => {
  inWorld(world, "--hosts-only");
  let live: LiveWorld;
  let hands: MadeByHand;
  let writer: Writer;
  let before: Record<string, string>;

  beforeAll(async () => {
    live = await liveWorld(world, root);
    hands = new MadeByHand(world, live);
    await hands.make();
    writer = await Writer.start(live.plan, live.stack, live.overlay, {
      clients: 2,
      everyMs: 20,
      sampleEveryMs: 0,
    });
    before = await running();
  }, 300_000);
  afterAll(() => (writer as Writer | undefined)?.discard());

  /** Each container's id and start, and when each PostgreSQL itself began. */
  async function running(): Promise<Record<string, string>> {
    const seen: Record<string, string> = {};
    for (const { name } of live.topology.hosts) {
      const format = "{{.Name}} {{.Id}} {{.State.StartedAt}} {{.RestartCount}}";
      const lines = await world.host(name, `docker ps -aq | xargs docker inspect --format '${format}'`);
      for (const line of lines.split("\n").filter((one) => one !== "" && !one.includes("writer"))) {
        const [container = "", ...facts] = line.split(" ");
        seen[`${name}${container}`] = facts.join(" ");
      }
    }
    for (const site of live.topology.sites)
      seen[`${site.name} postmaster`] = await hands.sql(site, "select pg_postmaster_start_time()");
    return seen;
  }

  const adopt = (...options: readonly string[]): Promise<Ran> =>
    world.attempt("exec", "--", "bin/adopt", "production", ...options);

  /** What of it is not as it was, by kind and logical name; of imports what is imported. */
  async function previewed(): Promise<readonly string[]> {
    const preview = await world.engine("preview", "--json");
    return touchedBy(preview);
  }

  const clean = (): Promise<void> => expectClean(world);

  const up = async (): Promise<Ran> => {
    const ran = await world.engine("up", "--yes");
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

  const streams = (site: string, at: string): Promise<void> =>
    vi.waitFor(
      async () =>
        expect(
          await hands.sql(
            live.topology.sites.find(({ name }) => name === at)!,
            `select usename || ' ' || state from pg_stat_replication where application_name = '${site}'`,
          ),
        ).toBe("heatwave_replication streaming"),
      { timeout: 30_000, interval: 1000 },
    );

  /** What happened to containers of a host, milliseconds after a moment: where the time of a conversion goes. */
  async function eventsSince(host: string, since: string): Promise<string> {
    const events = await world.host(
      host,
      `docker events --since ${since} --until $(date +%s.%N) --filter type=container --format '{{.TimeNano}} {{.Action}} {{.Actor.Attributes.name}}'`,
    );
    return events
      .split("\n")
      .filter((line) => /^\d+ (create|start|die|destroy) /.test(line))
      .map((line) => {
        const [at = "0", ...words] = line.split(" ");
        return `${Math.round(Number(at) / 1e6 - Number(since) * 1000)} ms ${words.join(" ")}`;
      })
      .join("\n");
  }

  /** An `up` whose conversion is killed between the stop of PostgreSQL and the grant: nobody starts it then. */
  async function killedAfterTheStop({ name, host, postgres, pgHealth }: Site): Promise<void> {
    const state = `${pgHealth.directory}/state`;
    const killed = world.host(
      host.name,
      `docker wait ${postgres.container} && pkill -9 -f '[s]h -s -- ${name} '`,
    );
    const failed = await world.engine("up", "--yes");
    expect(failed.code, failed.stdout + failed.stderr).toBe(1);
    await killed;
    const left = await world.host(host.name, `cd ${state} && ls && cat converting`);
    expect(left).toMatch(/^converting$[^]*standby dal-01/m);
    expect(left).not.toMatch(/^grant\.json$/m);
  }

  it("the primary is not converted while a standby runs as it was found", async () => {
    const refused = await adopt("--convert", "dal-01");
    expect(refused.code).toBe(3);
    expect(refused.stderr).toMatch(/the primary is converted last/);
  });

  it("the standby is converted by one change, and by an up after one that was killed; the primary's containers stay, and so does its PostgreSQL", async () => {
    const { code, stdout, stderr } = await adopt("--convert", "chi-02");
    expect({ code }, stdout + stderr).toEqual({ code: 0 });
    const touched = await previewed();
    expect(touched.filter((step) => /dal-01-(site|haproxy)/.test(step))).toEqual([]);
    expect(touched).toContain("replace chi-02-site-postgres");
    expect(touched).toContain("create dal-01-preparation");
    writer.mark("standby");
    await killedAfterTheStop(live.topology.sites[1]!);
    const ran = await up();
    expect(ran.stdout + ran.stderr).toMatch(/chi-02: standby of system \d+, stopped at/);
    expect(ran.stdout + ran.stderr).toContain("pg_drop_replication_slot('standby_chi_02')");
    await clean();
    const now = await running();
    const dallas = (seen: Record<string, string>): [string, string][] =>
      Object.entries(seen).filter(([name]) => name.startsWith("dal-01"));
    expect(dallas(now)).toEqual(dallas(before));
    expect(now["chi-02/heatwave-postgres-replica"]).not.toBe(before["chi-02/heatwave-postgres-replica"]);
    await streams("chi-02", "dal-01");
    // As the conversion said.
    await hands.sql(live.topology.sites[0]!, "select pg_drop_replication_slot('standby_chi_02')");
    const { status, body } = await world.get("http://100.68.157.49:8008/");
    expect({ status, body: body.trim() }).toEqual({ status: 503, body: "standby" });
  });

  it("the primary's site and the router are converted last: its PostgreSQL is stopped once, on the data that it had", async () => {
    const { code, stdout, stderr } = await adopt("--convert", "dal-01");
    expect({ code }, stdout + stderr).toEqual({ code: 0 });
    expect(await world.controller("cat Pulumi.production.yaml")).not.toContain("heatwave:adopted");
    writer.mark("primary");
    const since = (await world.host("dal-01", "date +%s.%N")).trim();
    const ran = await up();
    console.log(await eventsSince("dal-01", since));
    expect(ran.stdout + ran.stderr).toMatch(/dal-01: primary of system \d+, stopped at/);
    await clean();
    await streams("chi-02", "dal-01");
    expect(await world.sql("write", "show cluster_name")).toBe("dal-01");
    const topology = await world.attempt("exec", "--", "bin/recovery", "production", "topology");
    expect(topology.stdout + topology.stderr).toMatch(/dal-01 takes writes, chi-02 streams without lag/);
  });

  it("from then on it is a stack like any other: it flips", async () => {
    writer.mark("flip");
    const flip = await new RecoveryCli(world).recovery("flip-db", "--to", "chi-02");
    expect(flip, flip.stdout + flip.stderr).toMatchObject({ code: 0 });
    expect(await world.sql("write", "show cluster_name")).toBe("chi-02");
  });

  it("no row was lost by all that, and writes paused for the primary's conversion and for the flip alone", async () => {
    const report = await writer.stop();
    console.log(
      `conversion: ${report.acknowledged} rows, ${report.lost} lost; longest gaps ` +
        report.marks
          .map(({ name, gapMs, errors }) => `${name} ${gapMs.toFixed(0)} ms ${JSON.stringify(errors)}`)
          .join(", "),
    );
    expect(report).toMatchObject({ lost: 0, duplicates: 0 });
    const limits: Record<string, number> = { primary: CONVERSION_MS, flip: FLIP_MS };
    for (const { name, gapMs } of report.marks)
      expect({ name, within: gapMs < (limits[name] ?? QUIET_MS) }).toEqual({ name, within: true });
  });
});

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseDocument } from "yaml";
import { Writer } from "../../infra/rehearsal/writer/writer.ts";
import type { LiveWorld } from "../support/live-world.ts";
import { liveWorld } from "../support/live-world.ts";
import { MadeByHand } from "../support/made-by-hand.ts";
import { expectClean, touchedBy } from "../support/preview-steps.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { inWorld } from "../support/world-suite.ts";

/** Production's first site alone, made by Kamal and by hand: there is nobody to flip to, so its conversion stops it once. */

const world = new Rehearsal("production");
const STACK = "Pulumi.production.yaml";
/** A stop, containers made anew on a busy machine, a start. */
const CONVERSION_MS = 15_000;

describe("a stack of one site is adopted and converted", { timeout: 600_000 }, () => {
  inWorld(world, "--hosts-only");
  let live: LiveWorld;
  let hands: MadeByHand;
  let writer: Writer;

  beforeAll(async () => {
    live = await liveWorld(world, join(import.meta.dirname, "../.."));
    hands = new MadeByHand(world, live);
    await hands.make(live.topology.sites.slice(0, 1));
    const file = parseDocument(await world.controller(`cat ${STACK}`));
    file.deleteIn(["config", "heatwave:sites", 1]);
    for (const key of [["heatwave:hosts", "chi-02"], ["heatwave:maintenance"]])
      file.deleteIn(["config", ...key]);
    await world.controller(`cat >${STACK}`, file.toString());
    writer = await Writer.start(live.plan, live.stack, live.overlay, {
      clients: 2,
      everyMs: 20,
      sampleEveryMs: 0,
    });
  }, 300_000);
  afterAll(() => (writer as Writer | undefined)?.discard());

  const adopt = async (...options: readonly string[]): Promise<void> => {
    const ran = await world.attempt("exec", "--", "bin/adopt", "production", ...options);
    expect(ran.code, ran.stdout + ran.stderr).toBe(0);
  };
  const up = async (): Promise<string> => {
    const ran = await world.engine("up", "--yes");
    expect(ran.code, ran.stdout + ran.stderr).toBe(0);
    return ran.stdout + ran.stderr;
  };

  it("it is taken over as it is", async () => {
    await adopt("--write");
    await up();
    await expectClean(world);
  });

  it("one change converts its site and the router: PostgreSQL is stopped once, on the data that it had", async () => {
    const system = await hands.sql(
      live.topology.sites[0]!,
      "select system_identifier from pg_control_system()",
    );
    await adopt("--convert", "dal-01");
    const touched = touchedBy(await world.engine("preview", "--json"));
    for (const name of ["dal-01-site-postgres", "dal-01-haproxy"])
      expect(touched).toContain(`replace ${name}`);
    writer.mark("conversion");
    expect(await up()).toContain(`dal-01: primary of system ${system}, stopped at`);
    await expectClean(world);
    expect(await world.sql("write", "show cluster_name")).toBe("dal-01");
    const topology = await world.attempt("exec", "--", "bin/recovery", "production", "topology");
    expect(topology.stdout + topology.stderr).toMatch(/dal-01 takes writes, there is no standby/);
  });

  it("no row was lost by it", async () => {
    const report = await writer.stop();
    const [gap = Number.NaN] = report.marks
      .filter(({ name }) => name === "conversion")
      .map(({ gapMs }) => gapMs);
    console.log(
      `one site: ${report.acknowledged} rows, ${report.lost} lost, conversion ${gap.toFixed(0)} ms`,
    );
    expect(report).toMatchObject({ lost: 0, duplicates: 0 });
    expect(gap).toBeLessThan(CONVERSION_MS);
  });
});

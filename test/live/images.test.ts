import { join } from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { WorldImages } from "../support/images.ts";
import { liveWorld } from "../support/live-world.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { expectStoodIn } from "../support/stand-in-order.ts";
import { effectsOf, reviewIn } from "../support/world-review.ts";
import { inWorld, topologyOf } from "../support/world-suite.ts";
import type { WriterReport } from "../../infra/rehearsal/writer/writer.ts";
import { Writer } from "../../infra/rehearsal/writer/writer.ts";
import { NOTHING } from "../support/nothing.ts";

const root = join(import.meta.dirname, "../..");
const said = ({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }): string =>
  stdout + stderr;

/** Its rows are counted at the primary, which a busy machine may find silent for a moment. */
const reportOf = (writer: Writer): Promise<WriterReport> =>
  vi.waitFor(() => writer.stop(), { timeout: 60_000, interval: 1000 });

/** Milliseconds between two acknowledged rows that nobody would call an outage on a machine that others use too. */
const NOISE = 1500;

/** Milliseconds until a kernel asks again for a connection that nobody answered: what a stand-in spares. */
const STOOD_IN = 1000;

describe("a new PostgreSQL image in production", { timeout: 600_000 }, () => {
  const world = new Rehearsal("production");
  const topology = topologyOf("production", root);
  const images = new WorldImages(world, topology);
  const [primary, standby] = ["dal-01", "chi-02"] as const;
  inWorld(world);
  beforeAll(async () => {
    await images.retag("postgres", "next");
  });

  it("a preview says that the declared primary will be refused, and how to go on", async () => {
    const preview = await world.engine("preview");
    expect(preview.code, preview.stderr).toBe(0);
    const text = said(preview);
    expect(text).toMatch(/dal-01 is the declared primary[^]*bin\/recovery production flip-db --to chi-02/);
    expect(text).toMatch(/4 to replace/);
    expect(effectsOf(await reviewIn(world))).toEqual([
      "site dal-01: replace, refused",
      "site chi-02: replace, nothing",
    ]);
  });

  it("`up` replaces the standby's container, waits until it streams, and refuses the primary's with the commands", async () => {
    const { plan, stack, overlay } = await liveWorld(world, root);
    const before = await images.containers();
    const writer = await Writer.start(plan, stack, overlay, { sampleEveryMs: 0 });
    writer.mark("up");
    const up = await world.engine("up", "--yes");
    const report = await reportOf(writer);
    const text = said(up);
    expect(up.code, text).toBe(1);
    expect(text).toMatch(
      /dal-01 is the primary now, and `up` never replaces the primary's PostgreSQL container \(heatwave-postgres on dal-01\)[^]*bin\/recovery production flip-db --to chi-02[^]*pulumi up/,
    );
    const after = await images.containers();
    expect(after.get(primary)).toEqual(before.get(primary));
    expect(after.get(standby)).toMatchObject({ image: images.next("postgres") });
    expect(after.get(standby)?.id).not.toBe(before.get(standby)?.id);
    // It was waited for: it streams when `up` comes back, without a further wait.
    expect(await world.sql(primary, "select application_name || ' ' || state from pg_stat_replication")).toBe(
      "chi-02 streaming",
    );
    console.log(
      `replacing the standby: ${report.acknowledged} rows, ${report.lost} lost, longest gap ${report.longestGap?.ms.toFixed(0)} ms, errors ${JSON.stringify(report.errors)}`,
    );
    expect(report).toMatchObject({ lost: 0, errors: NOTHING });
    expect(report.longestGap?.ms).toBeLessThan(NOISE);
  });

  it("a second `up` does the same again: the primary stays, whatever the state remembers", async () => {
    const before = await images.containers();
    const up = await world.engine("up", "--yes");
    expect(up.code).toBe(1);
    expect(said(up)).toMatch(/never replaces the primary's PostgreSQL container/);
    expect(await images.containers()).toEqual(before);
    expect(await world.sql("write", "select 1")).toBe("1");
  });

  it("a state from before there were hooks does not let the primary go either", async () => {
    const before = await images.containers();
    const edit = [
      'const { readFileSync, writeFileSync } = require("node:fs");',
      'const path = "/var/lib/heatwave-state/.pulumi/stacks/heatwave/production.json";',
      'const state = JSON.parse(readFileSync(path, "utf8"));',
      "state.version = 3; delete state.features;",
      "const { resources } = state.checkpoint.latest;",
      "let hooks = 0;",
      "for (const one of resources) if (one.resourceHooks) { hooks++; delete one.resourceHooks; }",
      "writeFileSync(path, JSON.stringify(state)); console.log(hooks);",
    ].join("\n");
    const dropped = await world.controller("exec node_modules/node-linux-*/bin/node -", edit);
    expect(Number(dropped)).toBeGreaterThan(0);
    const up = await world.engine("up", "--yes");
    expect(up.code).toBe(1);
    expect(said(up)).toMatch(/never replaces the primary's PostgreSQL container/);
    expect(await images.containers()).toEqual(before);
  });

  it("with the image back as it was, the same stack is clean again", async () => {
    await images.restore();
    const up = await world.engine("up", "--yes");
    expect(up.code, said(up)).toBe(0);
    const preview = await world.engine("preview", "--expect-no-changes");
    expect(preview.code, said(preview)).toBe(0);
  });

  it("new images of pg-health, PgBouncer and HAProxy are restarts: roles stay, no row is lost", async () => {
    const { plan, stack, overlay } = await liveWorld(world, root);
    for (const key of ["node", "pgbouncer", "haproxy"]) {
      await images.retag(key, "next");
      const { writes } = await reviewIn(world);
      const writer = await Writer.start(plan, stack, overlay, { sampleEveryMs: 0 });
      const since = (await world.host(primary, "date +%s.%N")).trim();
      const up = await world.engine("up", "--yes");
      expect(up.code, said(up)).toBe(0);
      if (key === "haproxy") await expectStoodIn(world, primary, "heatwave-haproxy", since);
      await writer.awaitRow(writer.mark("after"), 60_000);
      const report = await reportOf(writer);
      console.log(
        `new image of ${key}: ${report.acknowledged} rows, ${report.lost} lost, longest gap ${report.longestGap?.ms.toFixed(0)} ms, errors ${JSON.stringify(report.errors)}`,
      );
      expect(report.lost).toBe(0);
      expect(Object.keys(report.instances)).toEqual([primary]);
      // What the review said before is what the application felt.
      expect(writes).toBe(key === "node" ? "nothing" : "interrupted");
      // A session that ends between two rows is no error: the backends tell. (Those behind a router alone may be the same.)
      if (key === "node") expect(report).toMatchObject({ errors: NOTHING, sessions: 2 });
      if (key === "pgbouncer") expect(report.sessions).toBeGreaterThan(2);
      if (key === "haproxy") expect(report.longestGap?.ms).toBeLessThan(STOOD_IN);
    }
    await images.restore();
    const back = await world.engine("up", "--yes");
    expect(back.code, said(back)).toBe(0);
  });

  it("a router that cannot be made is stood in for until the next `up` makes it", async () => {
    const { plan, stack, overlay, topology: live } = await liveWorld(world, root);
    const { container, host } = live.routers[0]!;
    const setPort = (from: number, to: number): Promise<string> =>
      world.controller(`sed -i 's/statsPort: ${from}/statsPort: ${to}/' Pulumi.production.yaml`);
    await world.host(
      primary,
      `docker run -d --rm --name thief -p ${host.address}:9404:80 --entrypoint sleep $(docker inspect -f '{{.Config.Image}}' ${container}) 600`,
    );
    await setPort(8404, 9404);
    const writer = await Writer.start(plan, stack, overlay, { sampleEveryMs: 0 });
    const refused = await world.engine("up", "--yes");
    expect(refused.code).toBe(1);
    expect(said(refused)).toContain("port is already allocated");
    await writer.awaitRow(writer.mark("no router"), 10_000);
    await world.host(primary, "docker rm -f thief");
    const up = await world.engine("up", "--yes");
    expect(up.code, said(up)).toBe(0);
    await vi.waitFor(
      async () =>
        expect(
          await world.host(primary, `docker ps --format '{{.Names}}' | grep -c ${container} || true`),
        ).toBe("1"),
      { timeout: 30_000, interval: 1000 },
    );
    await writer.awaitRow(writer.mark("router"), 10_000);
    const report = await reportOf(writer);
    console.log(
      `a router that could not be made: ${report.acknowledged} rows, ${report.lost} lost, longest gap ${report.longestGap?.ms.toFixed(0)} ms`,
    );
    expect(report.lost).toBe(0);
    expect(report.longestGap?.ms).toBeLessThan(STOOD_IN);
    await setPort(9404, 8404);
    const back = await world.engine("up", "--yes");
    expect(back.code, said(back)).toBe(0);
  });

  // A minute, until it no longer holds the host.
  it.runIf(process.env["HEATWAVE_ALL"] === "1")(
    "what stands in for a router whose `up` died serves on until there is a router, and holds no runbook up",
    async () => {
      const { plan, stack, overlay, topology: live } = await liveWorld(world, root);
      const [router] = live.routers;
      const folder = router!.host.root;
      const writer = await Writer.start(plan, stack, overlay, { sampleEveryMs: 0 });
      await world.host(
        primary,
        `mkfifo /tmp/up && (sleep 600 >/tmp/up & echo $! >/tmp/up.pid) && (${folder}/bin/host-tool stand-in ${router!.container} $(docker inspect -f '{{.Config.Image}}' ${router!.container}) ${live.network.name} </tmp/up >/tmp/said 2>&1 &)
         timeout 30 sh -c 'until grep -q serving /tmp/said; do sleep 0.1; done' && docker stop ${router!.container} && kill $(cat /tmp/up.pid)`,
      );
      await writer.awaitRow(writer.mark("no router"), 10_000);
      await vi.waitFor(
        async () => expect(await world.host(primary, "cat /tmp/said")).toMatch(/serves in its stead until/),
        { timeout: 90_000, interval: 2000 },
      );
      await world.host(primary, `flock -n -x ${folder}/operations/apply.flock true`);
      await writer.awaitRow(writer.mark("after a minute"), 10_000);
      await world.host(primary, `docker start ${router!.container}`);
      await vi.waitFor(
        async () =>
          expect(await world.host(primary, "pgrep -f 'host-tool stand-i[n]' || echo none")).toBe("none"),
        { timeout: 30_000, interval: 1000 },
      );
      await writer.awaitRow(writer.mark("router"), 10_000);
      const report = await reportOf(writer);
      console.log(
        `a router stood in for: ${report.acknowledged} rows, ${report.lost} lost, longest gap ${report.longestGap?.ms.toFixed(0)} ms`,
      );
      expect(report.lost).toBe(0);
      expect(report.longestGap?.ms).toBeLessThan(STOOD_IN);
    },
  );
});

describe("a new PostgreSQL image at three sites", { timeout: 600_000 }, () => {
  const world = new Rehearsal("three-sites", { configFile: "examples/Pulumi.three-sites.yaml" });
  const topology = topologyOf("three-sites", join(root, "examples"));
  const images = new WorldImages(world, topology);
  inWorld(world);

  it("standbys go one at a time: the second only after the first streams again", async () => {
    await images.retag("postgres", "next");
    const before = await images.containers();
    const since = await world.host("ams-01", "date +%s.%N");
    const up = await world.engine("up", "--yes");
    expect(up.code, said(up)).toBe(1);
    expect(said(up)).toMatch(/ams is the primary now/);
    const after = await images.containers();
    expect(after.get("ams")).toEqual(before.get("ams"));
    for (const site of ["fra", "sto"])
      expect(after.get(site)).toMatchObject({ image: images.next("postgres") });
    const away = await Promise.all(["fra", "sto"].map((site) => images.away(site, since.trim())));
    const [first, second] = away.toSorted((a, b) => a.from - b.from);
    console.log(
      `away: ${away.map((one) => `${one.site} ${(one.to - one.from).toFixed(1)} s`).join(", ")}, between them ${((second?.from ?? 0) - (first?.to ?? 0)).toFixed(1)} s`,
    );
    expect(second?.from).toBeGreaterThan(first?.to ?? Infinity);
    const streaming = await world.sql(
      "ams",
      "select string_agg(application_name, ',' order by application_name) from pg_stat_replication where state = 'streaming'",
    );
    expect(streaming).toBe("fra,sto");
  });
});

import { describe, expect, it, vi } from "vitest";
import { join } from "node:path";
import type { MaintenanceEnd } from "../../infra/maintenance/run.ts";
import type { Status } from "../../infra/maintenance/status.ts";
import { Writer } from "../../infra/rehearsal/writer/writer.ts";
import type { LedgerEntry } from "../../infra/runbooks/observe/observation.ts";
import { APP_PORT, containers, deployApp, RUNNING, STOPPED, webContainer } from "../support/kamal-app.ts";
import { liveWorld } from "../support/live-world.ts";
import type { Ran } from "../support/rehearsal.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { Visitor } from "../support/visitor.ts";
import { inWorld } from "../support/world-suite.ts";

const root = join(import.meta.dirname, "../..");
const world = new Rehearsal("production");
const APP = { name: "dal-01", address: "100.123.47.52" };
const OTHER = { name: "chi-02" };
const URL_OF_APP = `http://${APP.address}:${APP_PORT}/`;

const maintenance = (...args: readonly string[]): Promise<Ran> =>
  world.attempt("exec", "--", "env", "MAINTENANCE_YES=1", "bin/maintenance", ...args);
const done = async (verb: "up" | "down", code = 0): Promise<MaintenanceEnd> => {
  const ran = await maintenance(verb, "production", "--json");
  expect(ran.code, ran.stderr).toBe(code);
  return JSON.parse(ran.stdout) as MaintenanceEnd;
};
const status = async (): Promise<Status> =>
  JSON.parse((await maintenance("status", "production", "--json")).stdout) as Status;
const history = async (): Promise<readonly LedgerEntry[]> =>
  JSON.parse(
    (await world.attempt("exec", "--", "bin/recovery", "production", "history", "--json")).stdout,
  ) as LedgerEntry[];

/** Ids with their start times: what was never touched has both as before. */
const untouched = (): Promise<string> =>
  world.host(
    APP.name,
    `docker inspect -f '{{.Id}} {{.State.StartedAt}} {{.State.FinishedAt}}' ${STOPPED.join(" ")} other-web-v1 kamal-proxy heatwave-postgres heatwave-haproxy`,
  );
const whole = async (): Promise<void> => {
  expect(await containers(world, APP.name, "running")).toEqual(RUNNING);
  expect(await containers(world, APP.name, "exited")).toEqual(STOPPED);
  expect(await containers(world, OTHER.name, "running")).toEqual(["databasus"]);
  expect(await world.get(URL_OF_APP)).toMatchObject({ status: 200, body: "the app" });
  expect(await status()).toMatchObject({ state: "off", open: [] });
};
const allDown = async (): Promise<void> => {
  expect(await containers(world, APP.name, "running")).toEqual(["kamal-proxy", "other-web-v1"]);
  expect(await containers(world, OTHER.name, "exited")).toEqual(["databasus"]);
  expect(await world.get(URL_OF_APP)).toMatchObject({
    status: 503,
    body: "Down for maintenance, back soon.",
  });
};
/** Starts a verb in the controller and kills it with -9 once it has said a line. */
const killedAfter = (verb: string, line: string): Promise<string> =>
  world.controller(
    [
      `MAINTENANCE_YES=1 bin/maintenance ${verb} production 2>/tmp/killed & pid=$!`,
      `until grep -q '${line}' /tmp/killed; do kill -0 $pid 2>/dev/null || break; sleep 0.01; done`,
      "kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null; cat /tmp/killed",
    ].join("\n"),
  );

describe("bin/maintenance, in a sealed world", { timeout: 600_000 }, () => {
  inWorld(world);

  it("refuses before it begins where what is declared is not there", async () => {
    const ran = await maintenance("up", "production");
    expect(ran.code).toBe(3);
    expect(ran.stderr).toContain(
      "heatwave:maintenance.app: heatwave: no container on dal-01 has service=heatwave",
    );
    expect(await status()).toMatchObject({ state: "off" });
    await deployApp(world, APP, OTHER);
    await vi.waitFor(whole, { timeout: 60_000, interval: 500 });
  });

  it("up: 503, then stopped by themselves in their own time; what was stopped before is untouched", async () => {
    const before = await untouched();
    const visitor = await Visitor.start(world, URL_OF_APP);
    const end = await done("up");
    expect(end).toMatchObject({ result: "done", failed: [], left: [], maintenance: { state: "on" } });
    await allDown();
    // Killed, they would have ended with 137.
    expect(
      await world.host(
        APP.name,
        "docker inspect -f '{{.State.ExitCode}}' heatwave-sidekiq-v2 heatwave-web-v2",
      ),
    ).toMatch(/^0\n0\n?$/);
    expect(await untouched()).toBe(before);
    const seen = await visitor.stop();
    console.log(`up: a visitor saw ${JSON.stringify(seen)}`);
    expect(seen.order).toEqual([200, 503]);
  });

  it("up again changes nothing, and names who opened the window", async () => {
    const first = await status();
    const before = (await history()).length;
    const end = await done("up");
    expect(end.result).toBe("nothing");
    expect(end.maintenance).toMatchObject({ state: "on", since: first.since, who: first.who });
    expect((await history()).length).toBe(before);
    const table = (await maintenance("status", "production")).stdout;
    expect(table).toMatch(/^production: in maintenance since .* UTC \(.*\), by \w+@controller pid \d+\n/);
    expect(table).toMatch(/heatwave-web-v1 +web +exited +stays as it is/);
  });

  it("down: exactly what was stopped runs again, and nobody sees a 502", async () => {
    const before = await untouched();
    const visitor = await Visitor.start(world, URL_OF_APP);
    expect(await done("down")).toMatchObject({ result: "done", failed: [], left: [] });
    await whole();
    expect(await untouched()).toBe(before);
    const seen = await visitor.stop();
    console.log(`down: a visitor saw ${JSON.stringify(seen)}`);
    expect(seen.order).toEqual([503, 200]);
    expect(await done("down")).toMatchObject({ result: "nothing" });
    expect((await history()).slice(0, 2)).toMatchObject([
      { verb: "maintenance-down", result: "done" },
      { verb: "maintenance-up", result: "done" },
    ]);
  });

  it("a second operator meets the lock of the first", async () => {
    const both = await Promise.all([maintenance("up", "production"), maintenance("up", "production")]);
    const codes = both.map(({ code }) => code).toSorted();
    // Who comes a little later finds the lock; who comes after the end finds all done.
    expect([
      [0, 3],
      [0, 0],
    ]).toContainEqual(codes);
    if (codes[1] === 3)
      expect(both.find(({ code }) => code === 3)?.stderr).toContain("is locked by maintenance-up");
    await allDown();
    await done("down");
    await whole();
  });

  it.each([
    ["up", "✓ dal-01: note what is stopped"],
    ["up", "✓ dal-01: kamal-proxy answers 503"],
    ["down", "✓ chi-02: start databasus"],
  ] as const)("%s killed after %j: the same again finishes it", async (verb, line) => {
    if (verb === "down") await done("up");
    expect(await killedAfter(verb, line)).toContain(line);
    const left = await status();
    console.log(`${verb} killed after "${line}": ${left.state}; ${left.open.join("; ")}`);
    const topology = await world.attempt("exec", "--", "bin/recovery", "production", "topology");
    expect(topology.stdout + topology.stderr).toMatch(/interrupted|maintenance-/);
    // The lock's own sign of life goes with the connection.
    await vi.waitFor(async () => expect((await maintenance(verb, "production")).code).not.toBe(3), {
      timeout: 30_000,
      interval: 500,
    });
    if (verb === "up") {
      await allDown();
      expect(await status()).toMatchObject({ state: "on", open: [] });
      await done("down");
    }
    await whole();
    expect((await history()).every(({ ended }) => ended !== null)).toBe(true);
  });

  it("up killed: bin/recovery resume takes the lock away, and down takes the rest back", async () => {
    await killedAfter("up", "✓ dal-01: kamal-proxy answers 503");
    await vi.waitFor(
      async () => {
        const ran = await world.attempt("exec", "--", "bin/recovery", "production", "resume");
        expect(ran.code, ran.stderr).toBe(0);
      },
      { timeout: 30_000, interval: 500 },
    );
    // What had begun on a host comes to its end there: all may be down by now.
    expect((await status()).state).not.toBe("off");
    await done("down");
    await whole();
  });

  it("a host that is cut is left out with exit 5, and the same again finishes it, on both ways", async () => {
    await world.run("fault", "cut", OTHER.name);
    const up = await done("up", 5);
    expect(up).toMatchObject({
      result: "attention",
      failed: [{ host: OTHER.name }],
      maintenance: { state: "partly" },
    });
    expect(await containers(world, APP.name, "running")).toEqual(["kamal-proxy", "other-web-v1"]);
    await world.run("fault", "heal");
    expect(await done("up")).toMatchObject({ result: "done", maintenance: { state: "on" } });
    await allDown();

    await world.run("fault", "cut", OTHER.name);
    expect(await done("down", 5)).toMatchObject({ failed: [{ host: OTHER.name }] });
    expect(await world.get(URL_OF_APP)).toMatchObject({ status: 200 });
    await world.run("fault", "heal");
    expect(await done("down")).toMatchObject({ result: "done" });
    await whole();
  });

  it("around a command: its exit code, and everything runs again; refused while a window is open", async () => {
    const failed = await maintenance("around", "production", "--", "sh", "-c", "exit 7");
    expect(failed.code, failed.stderr).toBe(7);
    expect(failed.stderr).toContain("the window stays open: bin/maintenance down production ends it");
    await whole();
    expect((await maintenance("around", "production", "--", "no-such-program")).code).toBe(127);
    await whole();
    await done("up");
    const refused = await maintenance("around", "production", "--", "true");
    expect(refused).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("it is not this command's to end") as string,
    });
    await done("down");
    await whole();
  });

  it("around a flip, while somebody writes: the app is down for it, no acknowledged row is lost", async () => {
    await vi.waitFor(
      async () => {
        const { stdout } = await world.attempt(
          "exec",
          "--",
          "bin/recovery",
          "production",
          "flip-db",
          "--dry-run",
        );
        expect(stdout).not.toContain("✗");
      },
      { timeout: 60_000 },
    );
    const live = await liveWorld(world, root);
    const writer = await Writer.start(live.plan, live.stack, live.overlay);
    const visitor = await Visitor.start(world, URL_OF_APP);
    const ran = await maintenance(
      "around",
      "production",
      "--",
      "bin/recovery",
      "production",
      "flip-db",
      "-y",
    );
    expect(ran.code, ran.stderr).toBe(0);
    const seen = await visitor.stop();
    const report = await writer.stop();
    console.log(
      ran.stderr
        .split("\n")
        .filter((line) => /Writes stopped|maintenance /.test(line))
        .join("\n"),
    );
    console.log(
      `around a flip: ${report.acknowledged} rows acknowledged, longest gap ${report.longestGap?.ms ?? 0} ms; a visitor saw ${JSON.stringify(seen)}`,
    );
    expect(report).toMatchObject({ lost: 0, duplicates: 0 });
    expect(seen.order).toEqual([200, 503, 200]);
    expect((await history()).slice(0, 3).map(({ verb, result }) => `${verb} ${result ?? ""}`)).toEqual([
      "maintenance-down done",
      "flip-db done",
      "maintenance-up done",
    ]);
    await whole();
  });

  it("a deploy within a window: the new container takes the old one's place", async () => {
    await done("up");
    await world.host(APP.name, webContainer("v3"));
    expect(await status()).toMatchObject({ state: "partly", open: ["dal-01: heatwave-web-v3 is running"] });
    expect(await done("up")).toMatchObject({ result: "done", maintenance: { state: "on" } });
    await done("down");
    expect(await containers(world, APP.name, "running")).toEqual(
      RUNNING.map((name) => (name === "heatwave-web-v2" ? "heatwave-web-v3" : name)),
    );
    expect(await world.get(URL_OF_APP)).toMatchObject({ status: 200 });
  });

  it("declares nothing that up would make: preview without it is as clean as with it", async () => {
    // The flip above wrote the new primary into the world's copy, and `up` notes it.
    expect((await world.engine("up", "--yes")).code).toBe(0);
    const clean = await world.engine("preview", "--expect-no-changes");
    expect(clean, clean.stdout + clean.stderr).toMatchObject({ code: 0 });
    await world.controller(
      "sed -i.with '/^  heatwave:maintenance:/,/^  # Each one set/{/^  # Each one set/!d}' Pulumi.production.yaml && ! grep -q databasus Pulumi.production.yaml",
    );
    const without = await world.engine("preview", "--expect-no-changes");
    expect(without, without.stdout + without.stderr).toMatchObject({ code: 0 });
    const told = await maintenance("up", "production");
    expect(told).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("Pulumi.production.yaml has no heatwave:maintenance") as string,
    });
    await world.controller("mv Pulumi.production.yaml.with Pulumi.production.yaml");
  });
});

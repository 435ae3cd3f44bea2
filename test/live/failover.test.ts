import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { healAll } from "../../infra/rehearsal/faults/active.ts";
import { cut, healLinks } from "../../infra/rehearsal/faults/network.ts";
import { powerOff, powerOn } from "../../infra/rehearsal/faults/power.ts";
import { acknowledgedOf } from "../../infra/rehearsal/writer/figures.ts";
import { monotonicMs } from "../../infra/rehearsal/writer/records.ts";
import { Writer } from "../../infra/rehearsal/writer/writer.ts";
import type { LedgerEntry } from "../../infra/runbooks/observe/observation.ts";
import type { LiveWorld } from "../support/live-world.ts";
import { liveWorld } from "../support/live-world.ts";
import type { Seen } from "../support/recovery-cli.ts";
import type { Ran } from "../support/rehearsal.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { inWorld } from "../support/world-suite.ts";

const root = join(import.meta.dirname, "../..");

/** Milliseconds from the confirmation until the application writes again. */
const WRITES_MS = 1000;

/** `bin/recovery` of one world, and what the tests ask of it. */
class Operator {
  readonly world: Rehearsal;
  /** Milliseconds on the kernel's clock at which each line was said. */
  lines: { readonly at: number; readonly text: string }[] = [];

  constructor(world: Rehearsal) {
    this.world = world;
  }

  async run(...args: readonly string[]): Promise<Ran> {
    const script = [
      `(RECOVERY_YES=1 bin/recovery ${this.world.stack} ${args.join(" ")} 2>&1 >/tmp/out; echo "exit $?") |`,
      `while IFS= read -r line; do read -r up _ </proc/uptime; echo "$up $line"; done`,
    ].join(" ");
    const ran = await this.world.attempt("exec", "--", "sh", "-c", script);
    this.lines = ran.stdout.split("\n").map((line) => {
      const [up = "0", ...words] = line.split(" ");
      return { at: Number(up) * 1000, text: words.join(" ") };
    });
    const code = Number(/^exit (\d+)$/.exec(this.lines.at(-1)?.text ?? "")?.[1] ?? -1);
    return { ...ran, code, stderr: this.lines.map(({ text }) => text).join("\n") };
  }

  /** When a line was said. */
  said(pattern: RegExp): number {
    const line = this.lines.find(({ text }) => pattern.test(text));
    if (line === undefined) throw new Error(`nobody said ${String(pattern)}`);
    return line.at;
  }

  async topology(): Promise<Seen> {
    const ran = await this.world.attempt(
      "exec",
      "--",
      "bin/recovery",
      this.world.stack,
      "topology",
      "--json",
    );
    return JSON.parse(ran.stdout) as Seen;
  }

  /** `rejoin SITE`, which must end with a whole stack that excludes nobody; then the writes go back to it by a flip. */
  async rejoinsAndFlipsBack(site: string): Promise<void> {
    const rejoined = await this.run("rejoin", site);
    console.log(rejoined.stderr.split("\n").slice(-25).join("\n"));
    expect(rejoined.code, rejoined.stderr).toBe(0);
    const [run] = await this.history();
    console.log(`what it held alone: ${run?.notes?.join("; ") ?? "nothing was noted"}`);
    await this.whole();
    const flipped = await this.run("flip-db", "--to", site);
    expect(flipped.code, flipped.stderr).toBe(0);
    const seen = await this.whole();
    expect(seen.primaries).toEqual([site]);
    expect(seen.sites.flatMap(({ grant }) => grant?.excluded ?? [])).toEqual([]);
  }

  whole(): Promise<Seen> {
    return vi.waitFor(
      async () => {
        const seen = await this.topology();
        expect(["healthy", "not-declared"], seen.verdict.text).toContain(seen.verdict.code);
        return seen;
      },
      { timeout: 60_000, interval: 500 },
    );
  }

  async history(): Promise<readonly LedgerEntry[]> {
    const ran = await this.world.attempt("exec", "--", "bin/recovery", this.world.stack, "history", "--json");
    return JSON.parse(ran.stdout) as LedgerEntry[];
  }
}

/** Milliseconds from the acceptance to the first row that was sent after it. */
async function writesAgainAfter(writer: Writer, accepted: number): Promise<number> {
  const row = acknowledgedOf(await writer.records()).find(({ answered }) => answered > accepted);
  return (row?.answered ?? Number.POSITIVE_INFINITY) - accepted;
}

describe("failover where the old primary's PostgreSQL is dead", { timeout: 600_000 }, () => {
  const world = new Rehearsal("production");
  const operator = new Operator(world);
  inWorld(world);
  let live: LiveWorld;
  let writer: Writer;
  beforeAll(async () => {
    live = await liveWorld(world, root);
    writer = await Writer.start(live.plan, live.stack, live.overlay, { clients: 8, everyMs: 10 });
  });
  afterAll(async () => {
    await writer.discard();
  });
  const control = `/var/lib/docker/volumes/heatwave-postgres-data/_data/18/docker/global/pg_control`;

  it("is refused while the primary takes writes, and names flip-db", async () => {
    const ran = await operator.run("failover", "--to", "chi-02");
    expect(ran.code).toBe(3);
    expect(ran.stderr).toMatch(/dal-01 takes writes: flip-db moves them without loss/);
    expect(ran.stderr).toMatch(/bin\/recovery production flip-db --to chi-02/);
  });

  it("fences it, says what may be lost, and the application writes again within a second", async () => {
    await operator.topology();
    await world.host("dal-01", `mv ${control} ${control}.kept && pkill -9 -x postgres`);
    await vi.waitFor(async () => expect((await operator.topology()).primaries).toEqual([]), {
      timeout: 30_000,
      interval: 300,
    });
    const ran = await operator.run("failover", "--to", "chi-02");
    console.log(ran.stderr);
    expect(ran.code).toBe(0);
    expect(ran.stderr).toMatch(/✓ Fence dal-01: take its grant, stop its PostgreSQL/);
    expect(ran.stderr).toMatch(/chi-02 goes on from .* What dal-01 committed alone after that is given up/);
    expect(ran.stderr).toMatch(/chi-02 was last seen .* ago, .* behind dal-01/);
    const took = await writesAgainAfter(writer, operator.said(/^! chi-02 goes on from/));
    console.log(`old PostgreSQL dead: writes ${Math.round(took)} ms after the acceptance`);
    expect(took).toBeLessThan(WRITES_MS);
    expect((await operator.history())[0]).toMatchObject({
      verb: "failover",
      result: "done",
      accepted: expect.stringMatching(/given up/) as string,
    });
  });

  it("the old primary, whole again, never takes a write", async () => {
    await world.host("dal-01", `mv ${control}.kept ${control}`);
    await vi.waitFor(
      async () => {
        const seen = await operator.topology();
        const old = seen.sites.find(({ name }) => name === "dal-01");
        expect(old?.controlState).not.toBeNull();
        expect(old?.word).not.toBe("primary");
        expect(seen.primaries).toEqual(["chi-02"]);
      },
      { timeout: 60_000, interval: 500 },
    );
    const report = await writer.report();
    expect(report.writability?.overlaps).toEqual([]);
    // Asynchronous: what the dead one had not sent is what was accepted.
    console.log(`${report.acknowledged} rows, ${report.lost} of them given up, ${report.duplicates} double`);
    expect(report.duplicates).toBe(0);
  });

  it("rejoin brings it back, and a flip gives it the writes again: nothing more is lost", async () => {
    const { lost } = await writer.report();
    await operator.rejoinsAndFlipsBack("dal-01");
    const report = await writer.stop();
    expect(report).toMatchObject({ lost, duplicates: 0 });
    expect(report.writability?.overlaps).toEqual([]);
  });
});

describe(
  "failover where the old primary's host is dead, seen from a router elsewhere",
  { timeout: 600_000 },
  () => {
    const world = new Rehearsal("three-sites", { configFile: "examples/Pulumi.three-sites.yaml" });
    const operator = new Operator(world);
    inWorld(world);
    let live: LiveWorld;
    let writer: Writer;
    beforeAll(async () => {
      live = await liveWorld(world, join(root, "examples"));
      writer = await Writer.start(live.plan, live.stack, live.overlay, {
        clients: 8,
        everyMs: 10,
        router: "app-01",
      });
    });
    afterAll(async () => {
      await writer.discard();
      await healAll(live.plan);
    });

    it("waits until nobody has seen it for 30 s, excludes it, and the application writes again within a second", async () => {
      await operator.topology();
      await powerOff(live.plan, "ams-01", false);
      const ran = await operator.run("failover", "--to", "fra");
      console.log(ran.stderr);
      expect(ran.stderr).toMatch(
        /ams does not answer: it must stay unseen by every site and router for 30 s/,
      );
      expect(ran.stderr).toMatch(/✓ nobody has seen ams for 30 s/);
      expect(ran.stderr).toMatch(/Give fra the grant of epoch 2, which excludes ams/);
      expect(ran.code).toBe(0);
      const took = await writesAgainAfter(writer, operator.said(/^! fra goes on from/));
      console.log(`old host dead: writes ${Math.round(took)} ms after the acceptance`);
      expect(took).toBeLessThan(WRITES_MS);
      await vi.waitFor(
        async () =>
          expect((await operator.topology()).sites.find(({ name }) => name === "fra")?.streamingTo).toEqual([
            "sto",
          ]),
        { timeout: 60_000, interval: 500 },
      );
    });

    it("the old primary, back with its host while its peers are silent, takes no write", async () => {
      const returned = monotonicMs();
      for (const other of ["fra-01", "sto-01"]) await cut(live.plan, "ams-01", { other });
      await powerOn(live.plan, "ams-01");
      // Held back at first; after a while it is started in recovery, which is for reads.
      await vi.waitFor(async () => expect(await world.sql("ams", "select pg_is_in_recovery()")).toBe("t"), {
        timeout: 120_000,
        interval: 500,
      });
      expect((await operator.topology()).sites.find(({ name }) => name === "ams")?.word).not.toBe("primary");
      const { writability } = await writer.report();
      expect(writability?.spans.filter(({ site, from }) => site === "ams" && from >= returned)).toEqual([]);
      expect(writability?.overlaps).toEqual([]);
    });

    it("the old primary never takes a write when they answer again, and topology names what to do", async () => {
      await healLinks(live.plan);
      await vi.waitFor(
        async () => {
          const seen = await operator.topology();
          expect(seen.sites.find(({ name }) => name === "ams")?.source).toBe("control");
          expect(seen.sites.find(({ name }) => name === "ams")?.word).not.toBe("primary");
          expect(seen.primaries).toEqual(["fra"]);
        },
        { timeout: 90_000, interval: 500 },
      );
      const report = await writer.report();
      expect(report.writability?.overlaps).toEqual([]);
      console.log(`${report.acknowledged} rows, ${report.lost} of them given up`);
    });

    it("rejoin brings it back, and a flip gives it the writes again: nothing more is lost", async () => {
      const { lost } = await writer.report();
      await operator.rejoinsAndFlipsBack("ams");
      const report = await writer.stop();
      expect(report).toMatchObject({ lost, duplicates: 0 });
      expect(report.writability?.overlaps).toEqual([]);
    });
  },
);

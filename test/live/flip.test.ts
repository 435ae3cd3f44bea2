import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { FlipFigures } from "../../bench/series.ts";
import { FlipSeries, KEPT_CLIENTS } from "../../bench/series.ts";
import { benchWorld } from "../../bench/world.ts";
import { cut, healLinks } from "../../infra/rehearsal/faults/network.ts";
import { setContainerFrozen } from "../../infra/rehearsal/faults/processes.ts";
import type { Finding } from "../../infra/runbooks/judge.ts";
import type { Observation } from "../../infra/runbooks/observe/observation.ts";
import { HOLD_SECONDS } from "../../infra/runbooks/plan/flip.ts";
import { liveWorld } from "../support/live-world.ts";
import type { LiveWorld } from "../support/live-world.ts";
import type { Ran } from "../support/rehearsal.ts";
import { Rehearsal } from "../support/rehearsal.ts";
import { inWorld } from "../support/world-suite.ts";

const root = join(import.meta.dirname, "../..");
const world = new Rehearsal("production");
const FLIPS = process.env["HEATWAVE_ALL"] === "1" ? 50 : 6;
/** Milliseconds for the old primary to stream again, after the release. */
const REJOIN_MS = 3000;

type Seen = Observation & { readonly verdict: Finding; readonly findings: readonly Finding[] };

const recovery = (...args: readonly string[]): Promise<Ran> =>
  world.attempt("exec", "--", "env", "RECOVERY_YES=1", "bin/recovery", "production", ...args);
const topology = async (): Promise<Seen> => JSON.parse((await recovery("topology", "--json")).stdout) as Seen;
const primary = async (): Promise<string> => (await topology()).primaries.join();
const otherThan = (site: string): string => (site === "dal-01" ? "chi-02" : "dal-01");
const overrides = ({ routers }: Seen): string[] =>
  routers.flatMap(({ listeners }) => listeners.flatMap((listener) => listener.overrides));

/** One takes writes, the other streams, nothing is held, locked or open. */
async function whole(): Promise<string> {
  return vi.waitFor(
    async () => {
      const seen = await topology();
      expect(["healthy", "not-declared"], seen.verdict.text).toContain(seen.verdict.code);
      expect(overrides(seen)).toEqual([]);
      expect(seen.hosts.map(({ lock }) => lock)).toEqual(seen.hosts.map(() => null));
      return seen.primaries.join();
    },
    { timeout: 60_000, interval: 500 },
  );
}

/** A flip that waits before a step until what is given is done. */
async function pausedBefore(step: string, meanwhile: () => Promise<void>): Promise<Ran> {
  await world.controller("rm -f /tmp/go /tmp/paused");
  const line = [
    `RECOVERY_YES=1 RECOVERY_PAUSE_BEFORE=${step}=/tmp/go bin/recovery production flip-db 2>/tmp/paused`,
    "code=$?; cat /tmp/paused >&2; exit $code",
  ].join("; ");
  const flip = world.attempt("exec", "--", "sh", "-c", line);
  await Promise.race([
    world.controller(
      "for n in $(seq 600); do grep -qs '^paused before' /tmp/paused && exit 0; sleep 0.1; done; exit 1",
    ),
    flip.then((ran) => Promise.reject(new Error(`it never paused:\n${ran.stderr}`))),
  ]);
  try {
    await meanwhile();
  } finally {
    await world.controller("touch /tmp/go");
  }
  return flip;
}

describe("flip-db, in a sealed world of production", { timeout: 600_000 }, () => {
  inWorld(world);
  let live: LiveWorld;
  let series: FlipSeries;
  beforeAll(async () => {
    live = await liveWorld(world, root);
  });
  beforeEach(async () => {
    series = await FlipSeries.begin(
      await benchWorld(world.world, "production", [
        "--stack",
        "production",
        "--world",
        world.world,
        "--yes",
        "--stand-ins",
      ]),
    );
    return () => series.discard();
  });
  afterAll(() => healLinks(live.plan));

  /** Nothing was lost, doubled, or written at two places; no new connection failed. */
  async function proven(what: string): Promise<void> {
    const { kept, fresh } = await series.end();
    console.log(
      `${what}: ${kept.acknowledged + fresh.acknowledged} rows, longest gap ${Math.round(kept.longestGap?.ms ?? 0)} ms, ` +
        `errors ${JSON.stringify(kept.errors)} and ${JSON.stringify(fresh.errors)}`,
    );
    for (const report of [kept, fresh]) expect(report).toMatchObject({ lost: 0, duplicates: 0 });
    expect(kept.writability?.overlaps).toEqual([]);
  }

  it("a dry run shows plan and checks, and changes nothing", async () => {
    const ran = await recovery("flip-db", "--dry-run");
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stderr).toMatch(/✓ chi-02 streams from dal-01/);
    expect(ran.stderr).toMatch(/│Promote chi-02 {2}\(from here there is no way back\)/);
    expect(ran.stderr).toMatch(/Nothing was changed\. No flip is in the ledger yet/);
    expect(await whole()).toBe("dal-01");
    expect((await series.end()).kept).toMatchObject({ errors: {}, lost: 0 });
  });

  it(
    `${FLIPS} flips back and forth: nothing lost, no new connection fails, the old primary follows within 3 s`,
    {
      timeout: 3_600_000,
    },
    async () => {
      const flips: FlipFigures[] = [];
      for (let n = 0; n < FLIPS; n += 1) {
        const from = await primary();
        const flip = await series.flip();
        flips.push(flip);
        expect(flip).toMatchObject({ from, to: otherThan(from), said: "", newErrors: {} });
        expect(Object.keys(flip.errors).filter((kind) => kind !== "reset")).toEqual([]);
        expect(flip.errors.reset ?? 0).toBeLessThanOrEqual(KEPT_CLIENTS);
        expect(flip.rejoinMs).toBeLessThan(REJOIN_MS);
        expect(await whole()).toBe(flip.to);
      }
      const gaps = flips.map(({ gapMs }) => Math.round(gapMs)).toSorted((a, b) => a - b);
      console.log(
        `gaps ${gaps.join(", ")} ms; rejoined after ${flips.map(({ rejoinMs }) => rejoinMs).join(", ")} ms`,
      );
      await proven(`${FLIPS} flips`);
      const again = await recovery("flip-db", "--dry-run");
      expect(again.stderr).toMatch(
        /Expected: writes stop for about \d+ ms, as in the last \d+ flips \(longest /,
      );
    },
  );

  /** Names of the resources that a preview would change. */
  async function changed(): Promise<readonly string[]> {
    const preview = await world.engine("preview", "--json");
    expect(preview.code, preview.stderr).toBe(0);
    const { steps } = JSON.parse(preview.stdout) as { steps: readonly { op: string; urn: string }[] };
    return steps
      .filter(({ op }) => op !== "same")
      .map(({ op, urn }) => `${op} ${urn.split("::").at(-1) ?? ""}`);
  }
  const flipsInLedger = async (): Promise<number> => {
    const entries = JSON.parse((await recovery("history", "--json")).stdout) as readonly { verb: string }[];
    return entries.filter(({ verb }) => verb === "flip-db").length;
  };

  it("declared: a changed heatwave:primary previews as one command, `up` flips, and preview is clean", async () => {
    const at = await whole();
    const other = otherThan(at);
    expect(await changed()).toEqual([]);
    const before = await flipsInLedger();
    await world.controller(
      `sed -i 's/heatwave:primary: .*/heatwave:primary: ${other}/' Pulumi.production.yaml`,
    );
    expect(await changed()).toEqual(["update switchover"]);
    const up = await world.engine("up", "--yes");
    expect(up.code, up.stdout + up.stderr).toBe(0);
    console.log(up.stdout.split("\n").slice(-30).join("\n"));
    expect(await whole()).toBe(other);
    expect(await flipsInLedger()).toBe(before + 1);
    expect(await changed()).toEqual([]);
    await proven("a declared flip");
  });

  it("by hand: the stack file follows, preview shows the command alone, the next `up` moves nothing", async () => {
    const at = await whole();
    const flip = await series.flip();
    expect(flip.to).toBe(otherThan(at));
    expect(await world.controller("grep heatwave:primary: Pulumi.production.yaml")).toContain(flip.to);
    expect(await changed()).toEqual(["update switchover"]);
    const before = await flipsInLedger();
    const up = await world.engine("up", "--yes");
    expect(up.code, up.stdout + up.stderr).toBe(0);
    expect(await whole()).toBe(flip.to);
    expect(await flipsInLedger()).toBe(before);
    expect(await changed()).toEqual([]);
    await proven("a flip by hand, and an up");
  });

  it("is refused, with what to do, where it could not end well", async () => {
    const at = await whole();
    const other = otherThan(at);
    const refused = async (says: RegExp): Promise<void> => {
      const ran = await recovery("flip-db");
      // A link that has just gone is noticed by the login in the other direction: aborted before anything was held.
      expect([3, 4]).toContain(ran.code);
      expect(ran.stderr).toMatch(says);
      expect(ran.stderr).not.toMatch(/✓ Hold/);
    };
    const site = live.topology.sites.find(({ name }) => name === at);
    const router = live.topology.routers[0];
    const frozen = (host: string | undefined, container: string | undefined, on: boolean): Promise<boolean> =>
      setContainerFrozen(live.plan, host ?? "", container ?? "", on);
    const status = `/var/lib/docker/volumes/${site?.volume ?? ""}/_data/18/docker/pg_wal/archive_status`;
    const broken: readonly (readonly [RegExp, () => Promise<unknown>, () => Promise<unknown>])[] = [
      [
        /replay is paused at/,
        () => world.sql(other, "select pg_wal_replay_pause()"),
        () => world.sql(other, "select pg_wal_replay_resume()"),
      ],
      [
        /its HAProxy does not answer/,
        () => frozen(router?.host.name, router?.container, true),
        () => frozen(router?.host.name, router?.container, false),
      ],
      [
        /31 segments wait for .*'s archiver/,
        () =>
          world.host(at, `for n in $(seq 10 40); do touch ${status}/0000000100000000000000$n.ready; done`),
        () => world.host(at, `rm -f ${status}/*.ready`),
      ],
      [
        /no site takes writes|says unreachable|its activity cannot be asked|cannot be asked/,
        () => frozen(site?.host.name, site?.postgres.container, true),
        () => frozen(site?.host.name, site?.postgres.container, false),
      ],
      [
        /WAL receiver is|hears nothing of|cannot be asked|does not answer|✗ .* can log in at/,
        () => cut(live.plan, site?.host.name ?? "", { other }),
        () => healLinks(live.plan),
      ],
    ];
    for (const [says, breakIt, healIt] of broken) {
      await breakIt();
      try {
        await refused(says);
      } finally {
        await healIt();
      }
      expect(await whole()).toBe(at);
    }
    expect(await whole()).toBe(at);
    await proven("refusals");
  });

  it("the standby cut off between stop and proof: all is as it was, and nothing is lost", async () => {
    const at = await whole();
    const other = otherThan(at);
    const ran = await pausedBefore("stop", async () => {
      await cut(live.plan, at, { other });
    });
    await healLinks(live.plan);
    console.log(ran.stderr.split("\n").slice(-14).join("\n"));
    expect([4, 5]).toContain(ran.code);
    if (ran.code === 5) expect((await recovery("resume")).code).toBe(0);
    expect(await whole()).toBe(at);
    await proven("standby cut off");
  });

  it("a promotion that is refused: all is as it was", async () => {
    const at = await whole();
    const other = otherThan(at);
    const site = live.topology.sites.find(({ name }) => name === other);
    const data = `/var/lib/docker/volumes/${site?.volume ?? ""}/_data/18/docker`;
    const ran = await pausedBefore("promote", async () => {
      await world.host(other, `chattr +i ${data} 2>/dev/null || chmod 500 ${data}`);
    });
    await world.host(other, `chattr -i ${data} 2>/dev/null; chmod 700 ${data}`);
    console.log(ran.stderr.split("\n").slice(-14).join("\n"));
    expect([4, 5]).toContain(ran.code);
    expect(ran.stderr).toMatch(/✗ Promote [^]*promote cannot be written/);
    if (ran.code === 5) expect((await recovery("resume")).code).toBe(0);
    expect(await whole()).toBe(at);
    await proven("promotion refused");
  });

  it("a stop that hangs: the application is let through again once PostgreSQL is, and nothing was promoted", async () => {
    const at = await whole();
    const ran = await pausedBefore("stop", async () => {
      await world.host(at, "pkill -STOP -f 'postgres: .*checkpointer'");
    });
    await world.host(at, "pkill -CONT -f 'postgres: .*checkpointer'");
    console.log(ran.stderr.split("\n").slice(-14).join("\n"));
    expect([4, 5]).toContain(ran.code);
    expect(ran.stderr).not.toMatch(/✓ Promote/);
    if (ran.code === 5) {
      const resumed = await recovery("resume");
      expect(resumed.code, resumed.stderr).toBe(0);
    }
    expect(await whole()).toBe(at);
    await proven("stop that hangs");
  });

  it("one of two operators at once gets through, the other hears who is there", async () => {
    const at = await whole();
    const both = await Promise.all([recovery("flip-db"), recovery("flip-db")]);
    expect(both.map(({ code }) => code).toSorted()).toEqual([0, 3]);
    expect(both.find(({ code }) => code === 3)?.stderr).toMatch(
      /is locked by flip-db|flip-db is running|is not as rendered|overrides|changed it at run time/,
    );
    expect(await whole()).toBe(otherThan(at));
    await proven("two operators");
  });

  const STEPS = [
    "hold",
    "cut",
    "stop",
    "proof",
    "promote",
    "release",
    "timeline",
    "fence",
    "rejoin",
    "settle",
  ] as const;
  it.each(STEPS)(
    "a controller killed -9 before %j: nobody hangs, and resume ends what it left",
    async (step) => {
      await whole();
      const killedAt = await world.controller("date +%s%3N");
      await pausedBefore(step, async () => {
        await world.controller("pkill -9 -f '[b]in/recovery|[i]nfra/cli/recovery' || true");
      });
      expect(Number(killedAt)).toBeGreaterThan(0);
      const seen = await topology();
      expect(seen.verdict).toMatchObject({ code: "interrupted", next: "bin/recovery production resume" });
      const other = await recovery("flip-db");
      expect(other).toMatchObject({
        code: 3,
        stderr: expect.stringContaining("bin/recovery production resume") as string,
      });
      const resumed = await recovery("resume");
      expect(resumed.code, resumed.stderr).toBe(0);
      const at = await whole();
      expect(at).toBe((await topology()).primaries.join());
      const { fresh } = await series.records();
      // No connection waits at a router for longer than the hold may last.
      const slowest = Math.max(...fresh.map(({ sent, answered }) => answered - sent));
      console.log(
        `killed before ${step}: ${at} takes writes; the slowest new connection took ${Math.round(slowest)} ms`,
      );
      expect(slowest).toBeLessThan((HOLD_SECONDS + 1) * 1000);
      await proven(`killed before ${step}`);
    },
  );
});

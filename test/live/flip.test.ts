import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { FlipFigures } from "../../bench/series.ts";
import { cut, healLinks } from "../../infra/rehearsal/faults/network.ts";
import { setContainerFrozen } from "../../infra/rehearsal/faults/processes.ts";
import { NOTHING } from "../support/nothing.ts";
import { FlipSuite, hardlyNoticed, otherThan, REJOIN_MS } from "../support/flip-suite.ts";
import { reviewIn } from "../support/world-review.ts";

const suite = new FlipSuite(join(import.meta.dirname, "../.."));
/** Long series, with the floor beside them, are flip-series.test.ts. */
const FLIPS = 6;

describe("flip-db, in a sealed world of production", { timeout: 600_000 }, () => {
  suite.install();

  it("a dry run shows plan and checks, and changes nothing", async () => {
    const ran = await suite.recovery("flip-db", "--dry-run");
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stderr).toMatch(/✓ chi-02 streams from dal-01/);
    expect(ran.stderr).toMatch(/│Promote chi-02 {2}\(from here there is no way back\)/);
    expect(ran.stderr).toMatch(/Nothing was changed\. No flip is in the ledger yet/);
    expect(await suite.whole()).toBe("dal-01");
    expect((await suite.series.end()).kept).toMatchObject({ errors: NOTHING, lost: 0 });
  });

  it(`${FLIPS} flips back and forth: nothing lost, no new connection fails, the old primary follows within 3 s`, async () => {
    const flips: FlipFigures[] = [];
    for (let n = 0; n < FLIPS; n += 1) {
      const from = (await suite.topology()).primaries.join();
      const flip = await suite.series.flip();
      flips.push(flip);
      expect(flip).toMatchObject({ from, to: otherThan(from) });
      hardlyNoticed(flip);
      expect(await suite.whole()).toBe(flip.to);
    }
    const gaps = flips.map(({ gapMs }) => Math.round(gapMs)).toSorted((a, b) => a - b);
    console.log(
      `gaps ${gaps.join(", ")} ms; rejoined after ${flips.map(({ rejoinMs }) => rejoinMs).join(", ")} ms`,
    );
    expect(Math.max(...flips.map(({ rejoinMs }) => rejoinMs))).toBeLessThan(REJOIN_MS);
    await suite.proven(`${FLIPS} flips`);
    const again = await suite.recovery("flip-db", "--dry-run");
    expect(again.stderr).toMatch(
      /Expected: writes stop for about \d+ ms, as in the last \d+ flips \(longest /,
    );
  });

  const flipsInLedger = async (): Promise<number> => {
    const entries = JSON.parse((await suite.recovery("history", "--json")).stdout) as readonly {
      verb: string;
    }[];
    return entries.filter(({ verb }) => verb === "flip-db").length;
  };

  it("declared: a changed heatwave:primary previews as one command, `up` flips, and preview is clean", async () => {
    const at = await suite.whole();
    const other = otherThan(at);
    expect(await suite.changed()).toEqual([]);
    const before = await flipsInLedger();
    await suite.world.controller(
      `sed -i 's/heatwave:primary: .*/heatwave:primary: ${other}/' Pulumi.production.yaml`,
    );
    expect(await suite.changed()).toEqual(["update switchover"]);
    expect(await reviewIn(suite.world)).toMatchObject({
      writes: "flip",
      stack: { primary: at, flipTo: other },
    });
    const up = await suite.world.engine("up", "--yes");
    expect(up.code, up.stdout + up.stderr).toBe(0);
    console.log(up.stdout.split("\n").slice(-30).join("\n"));
    expect(await suite.whole()).toBe(other);
    expect(await flipsInLedger()).toBe(before + 1);
    expect(await suite.changed()).toEqual([]);
    await suite.proven("a declared flip");
  });

  it("by hand: the stack file follows, preview shows the command alone, the next `up` moves nothing", async () => {
    const at = await suite.whole();
    const flip = await suite.series.flip();
    expect(flip.to).toBe(otherThan(at));
    expect(await suite.world.controller("grep heatwave:primary: Pulumi.production.yaml")).toContain(flip.to);
    expect(await suite.changed()).toEqual(["update switchover"]);
    const before = await flipsInLedger();
    const up = await suite.world.engine("up", "--yes");
    expect(up.code, up.stdout + up.stderr).toBe(0);
    expect(await suite.whole()).toBe(flip.to);
    expect(await flipsInLedger()).toBe(before);
    expect(await suite.changed()).toEqual([]);
    await suite.proven("a flip by hand, and an up");
  });

  it("is refused, with what to do, where it could not end well", async () => {
    const at = await suite.whole();
    const other = otherThan(at);
    const refused = async (says: RegExp): Promise<void> => {
      const ran = await suite.recovery("flip-db");
      // A link that has just gone is noticed by the login in the other direction: aborted before anything was held.
      expect([3, 4]).toContain(ran.code);
      expect(ran.stderr).toMatch(says);
      expect(ran.stderr).not.toMatch(/✓ Hold/);
    };
    const site = suite.live.topology.sites.find(({ name }) => name === at);
    const router = suite.live.topology.routers[0];
    const frozen = (host: string | undefined, container: string | undefined, on: boolean): Promise<boolean> =>
      setContainerFrozen(suite.live.plan, host ?? "", container ?? "", on);
    const status = `/var/lib/docker/volumes/${site?.volume ?? ""}/_data/18/docker/pg_wal/archive_status`;
    const broken: readonly (readonly [RegExp, () => Promise<unknown>, () => Promise<unknown>])[] = [
      [
        /replay is paused at/,
        () => suite.world.sql(other, "select pg_wal_replay_pause()"),
        () => suite.world.sql(other, "select pg_wal_replay_resume()"),
      ],
      [
        /its HAProxy does not answer/,
        () => frozen(router?.host.name, router?.container, true),
        () => frozen(router?.host.name, router?.container, false),
      ],
      [
        /31 segments wait for .*'s archiver/,
        () =>
          suite.world.host(
            at,
            `for n in $(seq 10 40); do touch ${status}/0000000100000000000000$n.ready; done`,
          ),
        () => suite.world.host(at, `rm -f ${status}/*.ready`),
      ],
      [
        /no site takes writes|says unreachable|its activity cannot be asked|cannot be asked/,
        () => frozen(site?.host.name, site?.postgres.container, true),
        () => frozen(site?.host.name, site?.postgres.container, false),
      ],
      [
        /WAL receiver is|hears nothing of|cannot be asked|does not answer|✗ .* can log in at/,
        () => cut(suite.live.plan, site?.host.name ?? "", { other }),
        () => healLinks(suite.live.plan),
      ],
    ];
    for (const [says, breakIt, healIt] of broken) {
      await breakIt();
      try {
        await refused(says);
      } finally {
        await healIt();
      }
      expect(await suite.whole()).toBe(at);
    }
    expect(await suite.whole()).toBe(at);
    await suite.proven("refusals");
  });
});

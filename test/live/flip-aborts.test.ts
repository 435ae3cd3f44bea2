import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { NEW_CLIENTS } from "../../bench/series.ts";
import { cut, healLinks } from "../../infra/rehearsal/faults/network.ts";
import { acknowledgedOf, failedOf } from "../../infra/rehearsal/writer/figures.ts";
import { monotonicMs } from "../../infra/rehearsal/writer/records.ts";
import { HOLD_SECONDS } from "../../infra/runbooks/plan/flip.ts";
import { FlipSuite, otherThan } from "../support/flip-suite.ts";

const suite = new FlipSuite(join(import.meta.dirname, "../.."));

describe("a flip that something stops", { timeout: 600_000 }, () => {
  suite.install();

  it("the standby cut off between stop and proof: all is as it was, and nothing is lost", async () => {
    const at = await suite.whole();
    const other = otherThan(at);
    const ran = await suite.pausedBefore("stop", async () => {
      await cut(suite.live.plan, at, { other });
    });
    await healLinks(suite.live.plan);
    console.log(ran.stderr.split("\n").slice(-14).join("\n"));
    expect([4, 5]).toContain(ran.code);
    if (ran.code === 5) expect((await suite.recovery("resume")).code).toBe(0);
    expect(await suite.whole()).toBe(at);
    await suite.proven("standby cut off");
  });

  it("a promotion that is refused: all is as it was", async () => {
    const at = await suite.whole();
    const other = otherThan(at);
    const site = suite.live.topology.sites.find(({ name }) => name === other);
    const data = `/var/lib/docker/volumes/${site?.volume ?? ""}/_data/18/docker`;
    const ran = await suite.pausedBefore("promote", async () => {
      await suite.world.host(other, `chattr +i ${data} 2>/dev/null || chmod 500 ${data}`);
    });
    await suite.world.host(other, `chattr -i ${data} 2>/dev/null; chmod 700 ${data}`);
    console.log(ran.stderr.split("\n").slice(-14).join("\n"));
    expect([4, 5]).toContain(ran.code);
    expect(ran.stderr).toMatch(/✗ Promote [^]*promote cannot be written/);
    if (ran.code === 5) expect((await suite.recovery("resume")).code).toBe(0);
    expect(await suite.whole()).toBe(at);
    await suite.proven("promotion refused");
  });

  it("a stop that hangs: the application is let through again once PostgreSQL is, and nothing was promoted", async () => {
    const at = await suite.whole();
    const ran = await suite.pausedBefore("stop", async () => {
      await suite.world.host(at, "pkill -STOP -f '[p]ostgres: .*checkpointer'");
    });
    await suite.world.host(at, "pkill -CONT -f '[p]ostgres: .*checkpointer'");
    console.log(ran.stderr.split("\n").slice(-14).join("\n"));
    expect([4, 5]).toContain(ran.code);
    expect(ran.stderr).not.toMatch(/✓ Promote/);
    if (ran.code === 5) {
      const resumed = await suite.recovery("resume");
      expect(resumed.code, resumed.stderr).toBe(0);
    }
    expect(await suite.whole()).toBe(at);
    await suite.proven("stop that hangs");
  });

  it("one of two operators at once gets through, the other hears who is there", async () => {
    const at = await suite.whole();
    const both = await Promise.all([suite.recovery("flip-db"), suite.recovery("flip-db")]);
    expect(both.map(({ code }) => code).toSorted()).toEqual([0, 3]);
    expect(both.find(({ code }) => code === 3)?.stderr).toMatch(
      /is locked by flip-db|flip-db is running|is not as rendered|overrides|changed it at run time/,
    );
    expect(await suite.whole()).toBe(otherThan(at));
    await suite.proven("two operators");
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
  /** Milliseconds for a guard to notice that its runbook is gone, on a busy machine; it is told by the end of its input. */
  const BACK_MS = 2000;
  /** Steps before which the old primary takes writes still. */
  const UNSTOPPED: ReadonlySet<string> = new Set(["hold", "cut", "stop"]);
  it.each(STEPS)(
    "a controller killed -9 before %j: nobody hangs, and resume ends what it left",
    async (step) => {
      await suite.whole();
      let killed = Number.NaN;
      await suite.pausedBefore(step, async () => {
        const at = await suite.world.controller(
          "pkill -9 -f '[b]in/recovery|[i]nfra/cli/recovery'; date +%s%3N",
        );
        // Milliseconds of the one clock of this machine, as the writers' records have them.
        killed = Number(at) - (Date.now() - monotonicMs());
      });
      const seen = await suite.topology();
      expect(seen.verdict).toMatchObject({ code: "interrupted", next: "bin/recovery production resume" });
      const other = await suite.recovery("flip-db");
      expect(other).toMatchObject({
        code: 3,
        stderr: expect.stringContaining("bin/recovery production resume") as string,
      });
      const resumed = await suite.recovery("resume");
      expect(resumed.code, resumed.stderr).toBe(0);
      const at = await suite.whole();
      expect(at).toBe((await suite.topology()).primaries.join());
      const { fresh } = await suite.series.records();
      // No connection waits at a router for longer than the hold may last.
      const slowest = Math.max(...fresh.map(({ sent, answered }) => answered - sent));
      const first = acknowledgedOf(fresh).find(({ answered }) => answered > killed);
      const back = Math.round((first?.answered ?? Number.NaN) - killed);
      console.log(
        `killed before ${step}: ${at} takes writes, the first row ${back} ms after; the slowest new connection took ${Math.round(slowest)} ms`,
      );
      if (UNSTOPPED.has(step)) {
        // The guard asks the old primary before it lets anybody through: what was cut in its login is lost, nobody else.
        expect(failedOf(fresh).length).toBeLessThanOrEqual(NEW_CLIENTS);
        expect(back).toBeLessThan(BACK_MS);
      }
      expect(slowest).toBeLessThan((HOLD_SECONDS + 1) * 1000);
      await suite.proven(`killed before ${step}`);
    },
  );
});

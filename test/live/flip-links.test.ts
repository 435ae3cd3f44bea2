import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { spread } from "../../bench/figures.ts";
import type { FlipFigures } from "../../bench/series.ts";
import { KEPT_CLIENTS } from "../../bench/series.ts";
import { benchWorld, setPooling } from "../../bench/world.ts";
import { delay, healLinks, lose } from "../../infra/rehearsal/faults/network.ts";
import { FlipSuite, otherThan } from "../support/flip-suite.ts";

const suite = new FlipSuite(join(import.meta.dirname, "../.."));
const FLIPS = process.env["HEATWAVE_ALL"] === "1" ? 50 : 6;
/** Milliseconds of a round trip between the sites. */
const ROUND_TRIP_MS = 30;
/** Round trips by which the gap may grow with the distance. */
const ROUND_TRIPS = 6;
/** Flips near and far whose medians are compared. */
const PAIRS = 7;

async function flips(count: number): Promise<readonly FlipFigures[]> {
  const figures: FlipFigures[] = [];
  for (let n = 0; n < count; n += 1) {
    figures.push(await suite.series.flip());
    await suite.whole();
  }
  return figures;
}

describe(
  "flip-db over links that are far, lossy, and with pooled transactions",
  { timeout: 3_600_000 },
  () => {
    suite.install();

    it(`with ${ROUND_TRIP_MS} ms between the sites the gap grows by at most ${ROUND_TRIPS} round trips`, async () => {
      const near = spread((await flips(PAIRS)).map(({ gapMs }) => gapMs));
      await delay(suite.live.plan, "dal-01", ROUND_TRIP_MS / 2, { other: "chi-02" });
      try {
        const far = spread((await flips(PAIRS)).map(({ gapMs }) => gapMs));
        console.log(
          `median gap ${near.median} ms near (longest ${near.max}), ${far.median} ms with ${ROUND_TRIP_MS} ms (longest ${far.max})`,
        );
        expect(far.median - near.median).toBeLessThanOrEqual(ROUND_TRIPS * ROUND_TRIP_MS);
      } finally {
        await healLinks(suite.live.plan);
      }
      await suite.proven("near and far");
    });

    it("with 5 % of the packets lost between the sites it ends as planned or as it was, and nothing is lost", async () => {
      for (let n = 0; n < 4; n += 1) {
        const at = await suite.whole();
        await lose(suite.live.plan, "dal-01", 0.05, { other: "chi-02" });
        const ran = await suite.recovery("flip-db");
        await healLinks(suite.live.plan);
        console.log(`with loss: exit ${ran.code}, ${ran.stderr.split("\n").at(-2) ?? ""}`);
        if (ran.code === 5) expect((await suite.recovery("resume")).code).toBe(0);
        const now = await suite.whole();
        expect(now).toBe(ran.code === 0 ? otherThan(at) : now);
      }
      await suite.proven("loss between the sites");
    });

    it(`${FLIPS} flips with transaction pooling: no transaction is cut, no COMMIT in doubt`, async () => {
      const { world } = suite;
      const bench = await benchWorld(world.world, "production", [
        ...["--stack", "production", "--world", world.world, "--yes", "--stand-ins"],
      ]);
      await setPooling(bench, "transaction");
      for (const flip of await flips(FLIPS)) {
        expect(flip.said).toBe("");
        for (const errors of [flip.errors, flip.newErrors])
          expect(Object.keys(errors).filter((kind) => kind !== "reset")).toEqual([]);
        // At most one statement of each client was waiting, and never ran.
        expect(flip.errors.reset ?? 0).toBeLessThanOrEqual(KEPT_CLIENTS);
      }
      const { kept, fresh } = await suite.proven(`${FLIPS} flips with transaction pooling`);
      // A row whose COMMIT was not answered, and is there all the same, would have been in doubt.
      expect({ kept: kept.unanswered, fresh: fresh.unanswered }).toEqual({ kept: 0, fresh: 0 });
    });
  },
);

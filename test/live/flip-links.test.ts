import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { spread } from "../../bench/figures.ts";
import type { FlipFigures } from "../../bench/series.ts";
import { delay, healLinks, lose } from "../../infra/rehearsal/faults/network.ts";
import { FlipSuite, hardlyNoticed, otherThan } from "../support/flip-suite.ts";

const suite = new FlipSuite(join(import.meta.dirname, "../.."));
/** Milliseconds of a round trip between the sites. */
const ROUND_TRIP_MS = 30;
/** Round trips by which the gap may grow with the distance. */
const ROUND_TRIPS = 6;
/** Flips near and far whose medians are compared. */
const PAIRS = 7;

async function flips(count: number): Promise<readonly FlipFigures[]> {
  const figures: FlipFigures[] = [];
  for (let n = 0; n < count; n += 1) {
    const flip = await suite.series.flip();
    hardlyNoticed(flip);
    figures.push(flip);
    await suite.whole();
  }
  return figures;
}

describe("flip-db over links that are far, and lossy", { timeout: 3_600_000 }, () => {
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
      // What was resumed may have ended either way.
      if (ran.code !== 5) expect(now).toBe(ran.code === 0 ? otherThan(at) : at);
    }
    await suite.proven("loss between the sites");
  });
});

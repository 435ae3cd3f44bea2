import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { spread } from "../../bench/figures.ts";
import type { Pair } from "../../bench/interleaved.ts";
import { interleave } from "../../bench/interleaved.ts";
import type { SeriesReport } from "../../bench/series.ts";
import { setPooling } from "../../bench/world.ts";
import { FlipSuite, hardlyNoticed, nothingLost, REJOIN_MS } from "../support/flip-suite.ts";

/** Flips of each stack file and each way of pooling. */
const FLIPS = process.env["HEATWAVE_ALL"] === "1" ? 50 : 4;
/** What a gap may be, in the floor's median: in the middle, and in one of twenty. */
const MEDIAN_OF_FLOOR = 1.5;
const P95_OF_FLOOR = 3;

function asQuickAsTheFloor(what: string, pairs: readonly Pair[]): void {
  const gap = spread(pairs.map(({ flip }) => flip.gapMs));
  const floor = spread(pairs.map(({ floorMs }) => floorMs));
  const anew = spread(pairs.map(({ flip }) => flip.newGapMs));
  const rejoin = spread(pairs.map(({ flip }) => flip.rejoinMs));
  console.log(
    `${what}: gap median ${gap.median} ms, p95 ${gap.p95} ms, longest ${gap.max} ms; ` +
      `floor median ${floor.median} ms, p95 ${floor.p95} ms, longest ${floor.max} ms; ` +
      `${(gap.median / floor.median).toFixed(2)} × and ${(gap.p95 / floor.median).toFixed(2)} ×; ` +
      `new connections by the slowest router: median ${anew.median} ms, p95 ${anew.p95} ms, longest ${anew.max} ms; ` +
      `rejoined median ${rejoin.median} ms, longest ${rejoin.max} ms`,
  );
  for (const one of [gap, anew]) {
    expect(one.median).toBeLessThanOrEqual(MEDIAN_OF_FLOOR * floor.median);
    expect(one.p95).toBeLessThanOrEqual(P95_OF_FLOOR * floor.median);
  }
  expect(rejoin.max).toBeLessThan(REJOIN_MS);
}

/** Nobody heard of anything but the flips: not while the floor had its turn, nor when one seemed to be over. */
function onlyTheFlips(pairs: readonly Pair[], { kept, fresh }: SeriesReport): void {
  const ofFlips = pairs.flatMap(({ flip }) => [flip.errors, flip.newErrors]);
  expect(sumOf([kept.errors, ...fresh.map(({ errors }) => errors)])).toEqual(sumOf(ofFlips));
}

function sumOf(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [kind, times] of counts.flatMap((one) => Object.entries(one)))
    sums[kind] = (sums[kind] ?? 0) + times;
  return sums;
}

describe.each(["production", "staging"])("flips of %s in turn with the floor", (stack) => {
  const suite = new FlipSuite(join(import.meta.dirname, "../.."), stack);
  suite.installWorld();

  it.each(["session", "transaction"])(
    `${FLIPS} flips back and forth, %s pooling: nothing lost, no new connection fails, as quick as by hand`,
    { timeout: 3_600_000 },
    async (pooling) => {
      const world = await suite.bench();
      await setPooling(world, pooling);
      let at = await suite.whole();
      // Pooling was set by an `up`: what its state has as primary.
      const applied = at;
      expect(await suite.changed()).toEqual([]);
      const { pairs, report } = await interleave(world, FLIPS, async (pair) => {
        hardlyNoticed(pair.flip);
        expect(pair.flip.from).toBe(at);
        // Nothing is held, locked or overridden any more, and both are in step.
        at = await suite.whole();
        expect(pair.flip.to).toBe(at);
        expect(await suite.changed()).toEqual(at === applied ? [] : ["update switchover"]);
      });
      nothingLost(`${FLIPS} flips of ${stack}, ${pooling} pooling`, report);
      // A row whose COMMIT was not answered, and is there all the same, would have been in doubt.
      if (pooling === "transaction")
        expect([report.kept, ...report.fresh].map(({ unanswered }) => unanswered)).toEqual(
          [report.kept, ...report.fresh].map(() => 0),
        );
      asQuickAsTheFloor(`${FLIPS} flips of ${stack}, ${pooling} pooling`, pairs);
      onlyTheFlips(pairs, report);
    },
  );
});

import type { WriterRecord } from "../infra/rehearsal/writer/records.ts";
import { monotonicMs } from "../infra/rehearsal/writer/records.ts";
import { Floor } from "./floor.ts";
import type { FlipFigures, SeriesReport } from "./series.ts";
import { EVERY_MS, FlipSeries, KEPT_CLIENTS } from "./series.ts";
import type { BenchWorld } from "./world.ts";

/** One of the floor and one flip after it, so that what the machine does meanwhile is the same for both. */
export interface Pair {
  /** Counted from 1. */
  readonly n: number;
  /** Longest time between two acknowledged commits of the bare stop and promote, milliseconds. */
  readonly floorMs: number;
  readonly flip: FlipFigures;
}

export interface Interleaved {
  readonly pairs: readonly Pair[];
  /** What became of the application's rows. */
  readonly report: SeriesReport;
  /** When the last flip began, milliseconds on the monotonic clock. */
  readonly last: number;
  /** All that the clients with a session noted. */
  readonly kept: readonly WriterRecord[];
}

/**
 * Flips under load, in both directions, in turn with the floor.
 * @param after called after each pair; the next begins when it is done
 */
export async function interleave(
  world: BenchWorld,
  flips: number,
  after: (pair: Pair, series: FlipSeries) => Promise<void>,
): Promise<Interleaved> {
  const floor = await Floor.begin(world, KEPT_CLIENTS, EVERY_MS);
  const series = await FlipSeries.begin(world);
  try {
    const pairs: Pair[] = [];
    let last = monotonicMs();
    for (let n = 1; n <= flips; n += 1) {
      const floorMs = await floor.flip();
      last = monotonicMs();
      const pair = { n, floorMs, flip: await series.flip() };
      pairs.push(pair);
      await after(pair, series);
    }
    const { kept } = await series.records();
    return { pairs, report: await series.end(), last, kept };
  } finally {
    await series.discard();
    await floor.end();
  }
}

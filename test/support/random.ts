import { randomInt } from "node:crypto";

/** A repeatable choice: the same seed gives the same numbers, from 0 up to 1. */
export function randomFrom(given: string | undefined): {
  readonly seed: number;
  readonly random: () => number;
} {
  const seed = given === undefined || given === "" ? randomInt(2 ** 31) : Number(given);
  if (!Number.isInteger(seed))
    throw new Error(`HEATWAVE_SEED: ${JSON.stringify(given)} is not a whole number`);
  let state = seed >>> 0;
  // mulberry32
  const random = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { seed, random };
}

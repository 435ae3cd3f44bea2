import { acknowledgedOf, gapsOf, longest } from "../infra/rehearsal/writer/figures.ts";
import type { WriterRecord } from "../infra/rehearsal/writer/records.ts";

/** Middle, high and highest of some measurements. */
export interface Spread {
  readonly median: number;
  readonly p95: number;
  readonly max: number;
}

/** By nearest rank, rounded; NaN where one of them is none, which no order has a place for. @param values at least one */
export function spread(values: readonly number[]): Spread {
  if (values.some((value) => Number.isNaN(value)))
    return { median: Number.NaN, p95: Number.NaN, max: Number.NaN };
  const sorted = [...values].toSorted((a, b) => a - b);
  const at = (part: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN);
  return { median: at(0.5), p95: at(0.95), max: at(1) };
}

/**
 * Longest time between two acknowledged commits of which the second came at or after a moment, milliseconds.
 * NaN where no row came after another: that is no gap of any length.
 */
export function gapSince(records: readonly WriterRecord[], since: number): number {
  const gaps = gapsOf(acknowledgedOf(records));
  return longest(gaps.filter(({ to }) => to >= since))?.ms ?? Number.NaN;
}

/** Acknowledged rows in equal parts of a time around a moment. */
export interface Slice {
  /** Milliseconds from the moment. */
  readonly at: number;
  readonly perSecond: number;
}

/** @param answered times of acknowledgement, milliseconds */
export function writesAround(
  answered: readonly number[],
  moment: number,
  reachMs: number,
  sliceMs: number,
): Slice[] {
  return Array.from({ length: Math.round((2 * reachMs) / sliceMs) }, (_, n) => {
    const at = n * sliceMs - reachMs;
    const from = moment + at;
    const count = answered.filter((time) => time >= from && time < from + sliceMs).length;
    return { at, perSecond: (count * 1000) / sliceMs };
  });
}

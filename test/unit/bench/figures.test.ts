import { describe, expect, test } from "vitest";
import { gapSince, spread } from "../../../bench/figures.ts";
import type { WriterRecord } from "../../../infra/rehearsal/writer/records.ts";

const ack = (answered: number): WriterRecord => ({
  ...{ kind: "ack", client: "a", sequence: answered, sent: answered - 1, answered },
  ...{ backend: 1, instance: "dal-01" },
});
const rows = (...answered: readonly number[]): WriterRecord[] => answered.map(ack);

describe("the gap since a moment", () => {
  test("is the longest that ended after it, also one that began before", () => {
    expect(gapSince(rows(0, 900, 1000, 1300, 1310), 1005)).toBe(300);
    expect(gapSince(rows(0, 900, 910), 500)).toBe(900);
  });
  test("does not depend on the order of the notes", () => {
    expect(gapSince(rows(1310, 1000, 1300), 1005)).toBe(300);
  });
  test.each([
    ["nothing was noted", []],
    ["one row was", rows(1000)],
    ["no row came any more", rows(0, 900)],
  ])("is no number where %s, so that no limit holds", (_, records) => {
    const gap = gapSince(records, 950);
    expect(gap).toBeNaN();
    expect(gap <= Number.MAX_VALUE).toBe(false);
  });
});

describe("the spread of measurements", () => {
  test("by nearest rank", () => {
    const values = Array.from({ length: 50 }, (_, n) => n + 1).toReversed();
    expect(spread(values)).toEqual({ median: 25, p95: 48, max: 50 });
  });
  test("is no number where one of them is none", () => {
    expect(spread([1, Number.NaN, 2, 3])).toEqual({ median: Number.NaN, p95: Number.NaN, max: Number.NaN });
  });
});

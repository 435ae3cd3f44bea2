import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatLsn, parseLsn, parseSize } from "../../../components/pg-health/sidecar/size.ts";

describe("parseSize", () => {
  it.each([
    ["0", 0],
    ["4096", 4096],
    ["16kB", 16_384],
    ["16KB", 16_384],
    ["10MB", 10_485_760],
    ["1GB", 1_073_741_824],
    ["2TB", 2_199_023_255_552],
    ["1.5MB", 1_572_864],
    [" 16 kB ", 16_384],
    ["5m", 5_242_880],
  ])("%s is %i bytes", (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it.each(["", "kB", "-1", "1PB", "1e3", "0x10", "10 MBs", "99999999999999TB", "NaN", "1,5MB"])(
    "%j is none",
    (text) => expect(parseSize(text)).toBeUndefined(),
  );
});

describe("parseLsn", () => {
  it("is undone by formatLsn", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (lsn) => {
        expect(parseLsn(formatLsn(lsn))).toBe(lsn);
      }),
    );
  });

  it("refuses what is no position", () => {
    for (const text of ["", "0", "0/", "0/123456789", "g/0", "0/0/0"]) expect(parseLsn(text)).toBeUndefined();
  });
});

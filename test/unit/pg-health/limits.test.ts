import { describe, expect, it } from "vitest";
import { shortOf } from "../../../components/pg-health/sidecar/limits.ts";
import { DEFAULT_LIMITS } from "./facts.ts";

describe("a standby's limits", () => {
  it("are short where the primary had more, and only there", () => {
    const needed = { ...DEFAULT_LIMITS, max_connections: 300, max_prepared_transactions: 5 };
    expect(shortOf(needed, DEFAULT_LIMITS)).toEqual([
      "max_connections: 100 < 300",
      "max_prepared_transactions: 0 < 5",
    ]);
    expect(shortOf(DEFAULT_LIMITS, needed)).toEqual([]);
    expect(shortOf(DEFAULT_LIMITS, DEFAULT_LIMITS)).toEqual([]);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoffMs, decide } from "../../../components/pg-health/sidecar/decide.ts";
import type { Facts } from "../../../components/pg-health/sidecar/decide.ts";
import { cluster, entrypoint, grant, NO_GRANT, SILENT } from "./facts.ts";

const BASE: Facts = {
  entrypoint: entrypoint("waiting"),
  data: cluster(),
  grant: grant(),
  intent: { run: true },
  founding: false,
  failures: { count: 0, lastAt: 0 },
  now: 100_000,
};

const PRIMARY = { do: "start", as: "primary" };
const STANDBY = { do: "start", as: "standby" };
const wait = (word: string, why?: string): object => ({
  do: "wait",
  word,
  ...(why === undefined ? {} : { why: expect.stringContaining(why) as string }),
});
const promoted = { timeline: 2, parent: 1, switchLsn: "0/3000000" };

const TABLE: readonly (readonly [string, Partial<Facts>, object])[] = [
  ["a held grant that matches", {}, PRIMARY],
  ["a held grant, stopped by nobody", { entrypoint: entrypoint("stopped") }, PRIMARY],
  ["an entrypoint that does not answer", { entrypoint: SILENT }, wait("waiting", "has not reported")],
  [
    "a running PostgreSQL, whatever the grant",
    { entrypoint: entrypoint("running"), grant: NO_GRANT },
    { do: "nothing" },
  ],
  ["a starting PostgreSQL", { entrypoint: entrypoint("starting") }, { do: "nothing" }],
  ["a stopping PostgreSQL", { entrypoint: entrypoint("stopping") }, { do: "nothing" }],
  [
    "a running operation",
    { entrypoint: entrypoint("waiting", "busy:basebackup") },
    wait("busy", "basebackup"),
  ],
  ["a founding", { founding: true }, wait("busy", "founding")],
  ["an empty directory, even with a held grant", { data: { kind: "empty" } }, wait("empty")],
  [
    "an unusable directory",
    { data: { kind: "unusable", why: "no PG_VERSION" } },
    wait("held", "no PG_VERSION"),
  ],
  ["an ordered stop", { intent: { run: false } }, wait("stopped")],
  [
    "an ordered stop of a standby",
    { intent: { run: false }, data: cluster({ standbySignal: true }) },
    wait("stopped"),
  ],
  ["standby.signal without a grant", { data: cluster({ standbySignal: true }), grant: NO_GRANT }, STANDBY],
  ["standby.signal with a held grant", { data: cluster({ standbySignal: true }) }, STANDBY],
  [
    "standby.signal with a broken grant",
    { data: cluster({ standbySignal: true }), grant: { kind: "unusable", why: "it is not JSON" } },
    STANDBY,
  ],
  ["no grant", { grant: NO_GRANT }, wait("held", "no grant")],
  ["a broken grant", { grant: { kind: "unusable", why: "it is not JSON" } }, wait("held", "not JSON")],
  ["a grant none", { grant: grant({ state: "none" }) }, wait("held", "none")],
  ["a suspended grant", { grant: grant({ state: "suspended" }) }, wait("held", "suspended")],
  ["a grant for another system", { grant: grant({ systemId: "1" }) }, wait("held", "for system 1")],
  ["data on a later timeline than its grant", { data: cluster({ timeline: 2 }) }, wait("held", "timeline")],
  ["data on an earlier timeline than its grant", { grant: grant({ timeline: 2 }) }, wait("held", "timeline")],
  [
    "data on a direct child of the grant's timeline",
    { data: cluster({ timeline: 2, history: promoted }) },
    PRIMARY,
  ],
  [
    "data on a grandchild",
    { data: cluster({ timeline: 3, history: { ...promoted, timeline: 3, parent: 2 } }) },
    wait("held", "timeline"),
  ],
  [
    "data on an unrelated timeline with a child's number",
    { data: cluster({ timeline: 3, history: promoted }) },
    wait("held", "timeline"),
  ],
  ["a first crash", { entrypoint: entrypoint("crashed"), failures: { count: 1, lastAt: 100_000 } }, PRIMARY],
  [
    "a third crash within its back-off",
    { entrypoint: entrypoint("crashed"), failures: { count: 3, lastAt: 98_001 } },
    { ...wait("crashed"), retryAt: 100_001 },
  ],
  [
    "a third crash after its back-off",
    { entrypoint: entrypoint("crashed"), failures: { count: 3, lastAt: 98_000 } },
    PRIMARY,
  ],
  [
    "a crash after which the grant is gone: held, not crashed",
    { entrypoint: entrypoint("crashed"), grant: NO_GRANT, failures: { count: 9, lastAt: 100_000 } },
    wait("held"),
  ],
];

describe("decide", () => {
  it.each(TABLE)("%s", (_name, change, expected) => {
    expect(decide({ ...BASE, ...change })).toMatchObject(expected);
  });

  it("never starts writable without a held grant of the data's own system", () => {
    const grants = [
      NO_GRANT,
      grant({ state: "none" }),
      grant({ state: "suspended" }),
      grant({ systemId: "1" }),
      { kind: "unusable", why: "" } as const,
    ];
    const states = ["waiting", "stopped", "crashed"] as const;
    fc.assert(
      fc.property(
        fc.constantFrom(...grants),
        fc.constantFrom(...states),
        fc.boolean(),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(5),
        (record, state, standbySignal, timeline, count) => {
          const decision = decide({
            ...BASE,
            entrypoint: entrypoint(state),
            grant: record,
            data: cluster({ standbySignal, timeline }),
            failures: { count, lastAt: 0 },
          });
          expect(decision).not.toMatchObject(PRIMARY);
        },
      ),
    );
  });
});

describe("backoffMs", () => {
  it("begins at once and ends at 30 s", () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7, 50].map(backoffMs)).toEqual([
      0, 0, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000,
    ]);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  backoffMs,
  decide,
  heldBySilence,
  leaseUntil,
} from "../../../components/pg-health/sidecar/decide.ts";
import type { ClusterData } from "../../../components/pg-health/sidecar/data-directory.ts";
import type { Decision, Facts } from "../../../components/pg-health/sidecar/decide.ts";
import type { PeerAnswer } from "../../../components/pg-health/sidecar/peer.ts";
import { peerFacts } from "../../../components/pg-health/sidecar/site.ts";
import { cluster, entrypoint, grant, member, NO_GRANT, peer, SILENT, silentPeer } from "./facts.ts";

const BASE: Facts = {
  site: "dal-01",
  heldback: undefined,
  peers: [],
  certainty: undefined,
  clock: 5000,
  silentForMs: 0,
  silenceMs: 60_000,
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

const crashed = (change: Parameters<typeof cluster>[0]): ClusterData => {
  const data = cluster(change);
  return { ...data, control: { ...data.control, state: "in production" } };
};

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
  [
    "a standby whose checkpoint is past the fork of a newer timeline",
    { data: cluster({ standbySignal: true, timeline: 2, history: { ...promoted, switchLsn: "0/1000000" } }) },
    wait("diverged", "past that"),
  ],
  [
    "a crashed primary's data beside a newer timeline",
    { data: crashed({ standbySignal: true, timeline: 2, history: promoted }) },
    wait("diverged", "crashed as primary"),
  ],
  [
    "a cleanly stopped primary's data beside a newer timeline that forked after it",
    { data: cluster({ standbySignal: true, timeline: 2, history: promoted }) },
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

const NEWER = peer({ role: "primary", timeline: 2, held: { epoch: 2, timeline: 2, state: "held" } });
const FOLLOWS_CHI = { do: "recover", note: undefined, follow: "chi-02", epoch: 2 };
const TWO = grant({ peers: [member("chi-02")] });
const running = entrypoint("running");
const alone: Partial<Facts> = { grant: TWO, peers: [silentPeer()] };
const sure: Partial<Facts> = { certainty: { at: 4990, epoch: 1 } };
const heldback: Partial<Facts> = {
  heldback: { epoch: 1, timeline: 1 },
  data: cluster({ standbySignal: true }),
  grant: TWO,
};
const veto = (word: string): object => ({ do: "nothing", veto: { word, why: expect.any(String) as string } });

const WITH_PEERS: readonly (readonly [string, Partial<Facts>, object])[] = [
  ["at rest, the peer answers as a standby", { grant: TWO, peers: [peer()] }, { ...PRIMARY, until: 5015 }],
  [
    "at rest, the peer is empty",
    { grant: TWO, peers: [peer({ role: "empty", systemId: null, timeline: null, grant: null })] },
    PRIMARY,
  ],
  ["at rest, the peer is silent", alone, wait("held", "no answer from chi-02")],
  ["at rest, the peer was never asked", { grant: TWO }, wait("held", "not asked yet")],
  [
    "at rest, the peer cannot read its data",
    { grant: TWO, peers: [peer({ role: "unusable", systemId: null, timeline: null, grant: null })] },
    wait("held", "cannot be read"),
  ],
  [
    "at rest, a clone of another system is at the peer's address",
    { grant: TWO, peers: [peer({ systemId: "1" })] },
    wait("held", "of system 1"),
  ],
  [
    "at rest, silent for a minute",
    { ...alone, silentForMs: 60_000 },
    { do: "recover", note: { epoch: 1, timeline: 1 }, follow: undefined },
  ],
  ["at rest, silent, sure 10 s ago", { ...alone, ...sure }, { ...PRIMARY, until: 5005 }],
  ["at rest, silent, sure 15 s ago", { ...alone, certainty: { at: 4985, epoch: 1 } }, wait("held")],
  [
    "at rest, silent, sure under another epoch",
    { ...alone, certainty: { at: 4999, epoch: 2 } },
    wait("held"),
  ],
  [
    "at rest, silent, sure in the future of an earlier boot",
    { ...alone, certainty: { at: 5001, epoch: 1 } },
    wait("held"),
  ],
  [
    "at rest, silent, but the peer is excluded",
    { ...alone, grant: grant({ peers: [member("chi-02")], excluded: ["chi-02"] }) },
    PRIMARY,
  ],
  [
    "at rest, one of two peers silent",
    { grant: grant({ peers: [member("chi-02"), member("ams-03")] }), peers: [peer(), silentPeer("ams-03")] },
    wait("held", "ams-03"),
  ],
  [
    "at rest, a site that is no peer is silent",
    { grant: TWO, peers: [peer(), silentPeer("ams-03")] },
    PRIMARY,
  ],
  ["at rest, the peer took over", { grant: TWO, peers: [NEWER] }, FOLLOWS_CHI],
  ["at rest, the peer took over, sure a moment ago", { grant: TWO, peers: [NEWER], ...sure }, FOLLOWS_CHI],
  [
    "at rest, the peer was granted and not promoted yet",
    { grant: TWO, peers: [peer({ held: { epoch: 2, state: "held" } })] },
    FOLLOWS_CHI,
  ],
  [
    "at rest, a standby has a higher timeline",
    { grant: TWO, peers: [peer({ timeline: 2 })] },
    { do: "recover", follow: "chi-02" },
  ],
  [
    "at rest, a standby has a higher timeline and a third site is the primary",
    {
      grant: TWO,
      peers: [
        peer({ timeline: 2 }),
        peer({
          site: "ams-03",
          role: "primary",
          timeline: 2,
          held: { epoch: 2, state: "held", timeline: 2 },
        }),
      ],
    },
    { do: "recover", follow: "ams-03", epoch: 2 },
  ],
  [
    "at rest, the peer knows a higher epoch, its holder is out of sight",
    { grant: TWO, peers: [peer({ held: { epoch: 2 } })] },
    wait("held", "knows of epoch 2"),
  ],
  [
    "at rest, the peer's grant excludes this site",
    { grant: TWO, peers: [peer({ held: { epoch: 2, excluded: ["dal-01"] } })] },
    { do: "recover", follow: "chi-02" },
  ],
  [
    "at rest, the peer runs as primary on the same timeline",
    { grant: TWO, peers: [peer({ role: "primary", held: { state: "held" } })] },
    wait("conflict", "runs as primary"),
  ],
  [
    "at rest, the peer rests with the same grant",
    { grant: TWO, peers: [peer({ role: "held", held: { state: "held" } })] },
    wait("conflict", "same epoch"),
  ],
  [
    "at rest, each excluded the other",
    {
      grant: grant({ excluded: ["chi-02"] }),
      peers: [peer({ held: { state: "held", excluded: ["dal-01"] } })],
    },
    wait("conflict", "without the other"),
  ],
  [
    "at rest, an excluded peer has a higher timeline",
    { grant: grant({ excluded: ["chi-02"], peers: [member("chi-02")] }), peers: [peer({ timeline: 2 })] },
    PRIMARY,
  ],
  [
    "at rest, its grant was taken and the peer is the primary",
    {
      grant: grant({ state: "none" }),
      peers: [peer({ role: "primary", held: { epoch: 2, state: "held" } })],
    },
    { do: "recover", follow: "chi-02" },
  ],
  [
    "at rest, its grant was taken and nobody is the primary",
    { grant: grant({ state: "none" }), peers: [peer()] },
    wait("held", "none"),
  ],
  [
    "running, the peer silent, sure a moment ago",
    { ...alone, ...sure, entrypoint: running },
    { do: "nothing" },
  ],
  ["running, the peer silent, not sure any more", { ...alone, entrypoint: running }, veto("held")],
  [
    "running, the peer silent for a minute, not sure any more",
    { ...alone, entrypoint: running, silentForMs: 60_000 },
    { do: "stop", veto: { word: "held" } },
  ],
  ["running, the peer answers", { grant: TWO, peers: [peer()], entrypoint: running }, { do: "nothing" }],
  [
    "running, the peer took over",
    { grant: TWO, peers: [NEWER], ...sure, entrypoint: running },
    { do: "stop", veto: { word: "superseded" } },
  ],
  [
    "running, the peer was granted and not promoted yet",
    { grant: TWO, peers: [peer({ held: { epoch: 2, state: "held" } })], ...sure, entrypoint: running },
    { do: "stop", veto: { word: "superseded" } },
  ],
  [
    "running, a standby was promoted by hand, without a grant",
    { grant: TWO, peers: [peer({ role: "primary", timeline: 2 })], ...sure, entrypoint: running },
    { do: "nothing" },
  ],
  [
    "running, an excluded site came back with a newer claim",
    { grant: grant({ excluded: ["chi-02"] }), peers: [NEWER], ...sure, entrypoint: running },
    { do: "nothing" },
  ],
  [
    "running, a second one with the same grant runs",
    { grant: TWO, peers: [peer({ role: "primary", held: { state: "held" } })], ...sure, entrypoint: running },
    veto("conflict"),
  ],
  [
    "running, a second one with the same grant rests",
    { grant: TWO, peers: [peer({ role: "held", held: { state: "held" } })], ...sure, entrypoint: running },
    { do: "nothing" },
  ],
  [
    "running, a restored clone at the peer's address",
    {
      grant: TWO,
      peers: [peer({ systemId: "1", role: "primary", timeline: 9 })],
      ...sure,
      entrypoint: running,
    },
    { do: "nothing" },
  ],
  [
    "running, its grant was taken away",
    { grant: grant({ state: "none" }), entrypoint: running },
    veto("fenced"),
  ],
  [
    "running, its grant is suspended",
    { grant: grant({ state: "suspended" }), entrypoint: running },
    veto("suspended"),
  ],
  [
    "held back and running, the peer silent",
    { ...heldback, peers: [silentPeer()], entrypoint: running },
    veto("held"),
  ],
  [
    "held back and running, the peer answers",
    { ...heldback, peers: [peer()], entrypoint: running },
    { do: "stop", veto: { word: "held" } },
  ],
  [
    "held back and running, the peer took over",
    { ...heldback, peers: [NEWER], entrypoint: running },
    { do: "settle", follow: "chi-02", epoch: 2 },
  ],
  ["held back and at rest, the peer answers", { ...heldback, peers: [peer()] }, { do: "release" }],
  ["held back and at rest, the peer silent", { ...heldback, peers: [silentPeer()] }, STANDBY],
  [
    "held back under an earlier grant: a standby's own signal",
    { ...heldback, grant: grant({ epoch: 2 }), peers: [peer({ held: { epoch: 2 } })] },
    STANDBY,
  ],
  [
    "a standby whose peers are all silent",
    {
      data: cluster({ standbySignal: true }),
      ...alone,
      grant: grant({ state: "none", peers: [member("chi-02")] }),
    },
    STANDBY,
  ],
];

describe("decide, with other sites", () => {
  it.each(WITH_PEERS)("%s", (_name, change, expected) => {
    const decision = decide({ ...BASE, ...change });
    expect(decision).toMatchObject(expected);
    if ("do" in expected && expected.do === "nothing" && !("veto" in expected))
      expect(decision).not.toHaveProperty("veto");
  });

  it("counts as silence only what silence alone holds back", () => {
    expect(heldBySilence({ ...BASE, ...alone })).toBe(true);
    expect(heldBySilence({ ...BASE, ...alone, entrypoint: running })).toBe(true);
    expect(heldBySilence({ ...BASE, ...alone, ...sure })).toBe(false);
    expect(
      heldBySilence({ ...BASE, ...alone, grant: grant({ state: "none", peers: [member("chi-02")] }) }),
    ).toBe(false);
    expect(heldBySilence({ ...BASE, grant: TWO, peers: [NEWER] })).toBe(false);
    expect(heldBySilence({ ...BASE, ...alone, data: cluster({ standbySignal: true }) })).toBe(false);
  });

  it("lets a start go on for as long as the site is sure", () => {
    const starting = { ...BASE, entrypoint: entrypoint("starting") };
    expect(leaseUntil({ ...starting, grant: TWO, peers: [peer()] })).toBe(5015);
    expect(leaseUntil({ ...starting, ...alone, ...sure })).toBe(5005);
    expect(leaseUntil({ ...starting, ...alone })).toBeUndefined();
    expect(leaseUntil({ ...starting, grant: TWO, peers: [NEWER], ...sure })).toBeUndefined();
  });

  it("never has two sites of one cluster come up or stay writable, whatever their grants and data", () => {
    const side = fc.record({
      state: fc.constantFrom("none", "held", "suspended"),
      epoch: fc.integer({ min: 1, max: 3 }),
      timeline: fc.integer({ min: 1, max: 3 }),
      standbySignal: fc.boolean(),
      postgres: fc.constantFrom("running", "stopped"),
      excludes: fc.boolean(),
    });
    const writable = (decision: Decision): boolean =>
      (decision.do === "start" && decision.as === "primary") ||
      (decision.do === "nothing" && decision.veto === undefined);
    fc.assert(
      fc.property(side, side, (a, b) => {
        const factsOf = (name: string, own: typeof a): Facts => ({
          ...BASE,
          site: name,
          entrypoint: entrypoint(own.postgres),
          data: cluster({ standbySignal: own.standbySignal, timeline: own.timeline }),
          grant: grant({
            state: own.state,
            epoch: own.epoch,
            timeline: own.timeline,
            peers: [member(name === "dal-01" ? "chi-02" : "dal-01")],
            excluded: own.excludes ? [name === "dal-01" ? "chi-02" : "dal-01"] : [],
          }),
          certainty: { at: 4999, epoch: own.epoch },
        });
        const answerOf = (facts: Facts): PeerAnswer => ({
          site: facts.site,
          answers: true,
          facts: peerFacts(facts.site, facts, ""),
        });
        const [one, two] = [factsOf("dal-01", a), factsOf("chi-02", b)];
        const decisions = [
          decide({ ...one, peers: [answerOf(two)] }),
          decide({ ...two, peers: [answerOf(one)] }),
        ];
        const both = [a, b].every((own) => !own.standbySignal) && decisions.every(writable);
        expect(both).toBe(false);
      }),
      { numRuns: 5000 },
    );
  });
});

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

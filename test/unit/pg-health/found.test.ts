import { describe, expect, it } from "vitest";
import { planFounding } from "../../../components/pg-health/sidecar/found-plan.ts";
import type { FoundingFacts } from "../../../components/pg-health/sidecar/found-plan.ts";
import type { PeerAnswer, PeerFacts } from "../../../components/pg-health/sidecar/peer.ts";
import type { Grant } from "../../../components/pg-health/sidecar/grant.ts";
import { cluster, entrypoint, grant, NO_GRANT, SYSTEM } from "./facts.ts";

const HELD: Grant = { systemId: SYSTEM, epoch: 3, timeline: 1, state: "held", peers: [], excluded: [] };

function peer(site: string, change: Partial<PeerFacts> = {}): PeerAnswer {
  const facts: PeerFacts = {
    site,
    systemId: null,
    role: "empty",
    timeline: null,
    grant: null,
    nonce: "",
    ...change,
  };
  return { site, answers: true, facts };
}
const silent = (site: string): PeerAnswer => ({ site, answers: false, why: "no answer within 2000 ms" });
const runs = (site: string, systemId = SYSTEM): PeerAnswer =>
  peer(site, { systemId, role: "primary", timeline: 1, grant: { ...HELD, systemId } });

const EMPTY = { entrypoint: entrypoint("waiting"), data: { kind: "empty" }, grant: NO_GRANT } as const;
const SITES = ["dal-01", "chi-02", "ams-03"];

function facts(
  site: string,
  peers: readonly PeerAnswer[],
  change: Partial<FoundingFacts> = {},
): FoundingFacts {
  return { site, sites: SITES, own: EMPTY, scratchSystemId: undefined, peers, ...change };
}

const refused = (why: string): object => ({ do: "refuse", why: expect.stringContaining(why) as string });
const waits = (why: string): object => ({ do: "wait", why: expect.stringContaining(why) as string });

const TABLE: readonly (readonly [string, FoundingFacts, object])[] = [
  [
    "the first site founds when all answer and are empty",
    facts("dal-01", [peer("chi-02"), peer("ams-03")]),
    { do: "initdb" },
  ],
  [
    "the first site waits for a silent one",
    facts("dal-01", [peer("chi-02"), silent("ams-03")]),
    waits("ams-03 (no answer"),
  ],
  [
    "another site never founds",
    facts("chi-02", [peer("dal-01"), peer("ams-03")]),
    waits("dal-01 has not founded"),
  ],
  [
    "another site waits for a silent first one",
    facts("chi-02", [silent("dal-01"), peer("ams-03")]),
    waits("dal-01"),
  ],
  [
    "the others take a base backup from the primary",
    facts("chi-02", [runs("dal-01"), silent("ams-03")]),
    { do: "basebackup", systemId: SYSTEM, from: "dal-01", epoch: 3 },
  ],
  [
    "the first site joins a cluster that another place leads",
    facts("dal-01", [runs("chi-02"), peer("ams-03")]),
    { do: "basebackup", systemId: SYSTEM, from: "chi-02", epoch: 3 },
  ],
  [
    "the first site never founds a second cluster beside a standby",
    facts("dal-01", [peer("chi-02", { systemId: SYSTEM, role: "standby" }), peer("ams-03")]),
    waits(`no primary of system ${SYSTEM}`),
  ],
  [
    "nor beside a mere grant",
    facts("dal-01", [peer("chi-02", { grant: { ...HELD, state: "none" } }), peer("ams-03")]),
    waits(`no primary of system ${SYSTEM}`),
  ],
  [
    "nor beside data that cannot be read",
    facts("dal-01", [peer("chi-02", { role: "unusable" }), peer("ams-03")]),
    refused("chi-02 has a data directory"),
  ],
  [
    "a founder's grant before its rename makes the others wait",
    facts("chi-02", [peer("dal-01", { grant: HELD }), peer("ams-03")]),
    waits("no primary"),
  ],
  [
    "two primaries are refused",
    facts("ams-03", [runs("dal-01"), runs("chi-02")]),
    refused("two primaries answer: dal-01 and chi-02"),
  ],
  [
    "two systems are refused",
    facts("ams-03", [runs("dal-01"), peer("chi-02", { systemId: "1", role: "standby" })]),
    refused("different systems"),
  ],
  [
    "data with its grant is done",
    facts("dal-01", [silent("chi-02"), silent("ams-03")], {
      own: { ...EMPTY, data: cluster(), grant: grant() },
    }),
    { do: "nothing", systemId: SYSTEM, role: "primary" },
  ],
  [
    "a standby's data with its grant is done",
    facts("chi-02", [runs("dal-01")], {
      own: { ...EMPTY, data: cluster({ standbySignal: true }), grant: grant({ state: "none" }) },
    }),
    { do: "nothing", systemId: SYSTEM, role: "standby" },
  ],
  [
    "data without a grant is refused",
    facts("dal-01", [peer("chi-02")], { own: { ...EMPTY, data: cluster() } }),
    refused("without a grant"),
  ],
  [
    "a peer's data without a grant is refused at once, where it would be waited for",
    facts("dal-01", [peer("chi-02", { systemId: "9", role: "held" }), peer("ams-03")]),
    refused("chi-02 has data of system 9 without a grant"),
  ],
  [
    "data of another system than the grant's is refused",
    facts("dal-01", [], { own: { ...EMPTY, data: cluster({ systemId: "9" }), grant: grant() } }),
    refused(`system 9, but this site's grant is for system ${SYSTEM}`),
  ],
  [
    "a peer of another system is refused, data or not",
    facts("dal-01", [runs("chi-02", "9")], { own: { ...EMPTY, data: cluster(), grant: grant() } }),
    refused("chi-02 belongs to system 9"),
  ],
  [
    "a granted site without data refuses a foreign primary",
    facts("chi-02", [runs("dal-01", "9")], { own: { ...EMPTY, grant: grant({ state: "none" }) } }),
    refused("dal-01 belongs to system 9"),
  ],
  [
    "a base backup that stopped before its rename is taken again",
    facts("chi-02", [runs("dal-01")], {
      own: { ...EMPTY, grant: grant({ state: "none" }) },
      scratchSystemId: SYSTEM,
    }),
    { do: "basebackup", systemId: SYSTEM, from: "dal-01", epoch: 3 },
  ],
  [
    "a founding that stopped before its rename is finished",
    facts("dal-01", [silent("chi-02")], { own: { ...EMPTY, grant: grant() }, scratchSystemId: SYSTEM }),
    { do: "finish", systemId: SYSTEM },
  ],
  [
    "a lost volume of the grant's holder never becomes a new cluster",
    facts("dal-01", [peer("chi-02"), peer("ams-03")], { own: { ...EMPTY, grant: grant() } }),
    refused("founding never makes a second cluster"),
  ],
  [
    "nor does a scratch directory of another system",
    facts("dal-01", [peer("chi-02")], { own: { ...EMPTY, grant: grant() }, scratchSystemId: "9" }),
    refused("founding never makes a second cluster"),
  ],
  [
    "an unusable own directory is refused",
    facts("dal-01", [], { own: { ...EMPTY, data: { kind: "unusable", why: "no PG_VERSION" } } }),
    refused("no PG_VERSION"),
  ],
  [
    "a broken own grant is refused",
    facts("dal-01", [], { own: { ...EMPTY, grant: { kind: "unusable", why: "it is not JSON" } } }),
    refused("not JSON"),
  ],
];

describe("planFounding", () => {
  it.each(TABLE)("%s", (_name, input, expected) => {
    expect(planFounding(input)).toMatchObject(expected);
  });
});

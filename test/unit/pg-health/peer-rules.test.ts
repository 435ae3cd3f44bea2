import { describe, expect, it } from "vitest";
import { followTarget, tendGrant } from "../../../components/pg-health/sidecar/peer-rules.ts";
import type { Claim } from "../../../components/pg-health/sidecar/peer-rules.ts";
import type { Grant } from "../../../components/pg-health/sidecar/grant.ts";
import { cluster, member, peer, silentPeer, SYSTEM } from "./facts.ts";

const grantOf = (change: Partial<Grant> = {}): Grant => ({
  systemId: SYSTEM,
  epoch: 1,
  timeline: 1,
  state: "none",
  peers: [],
  excluded: [],
  ...change,
});
const own = (change: Partial<Claim> = {}): Claim => ({
  site: "dal-01",
  grant: grantOf(),
  data: cluster({ standbySignal: true }),
  running: false,
  ...change,
});
const DECLARED = [member("dal-01"), member("chi-02"), member("ams-03")];
const primary = (site: string, epoch: number, timeline = 1) =>
  peer({ site, role: "primary", timeline, held: { state: "held", epoch, timeline } });

describe("tendGrant", () => {
  it("adds declared sites that have data of the cluster, and no others", () => {
    const answers = [
      peer({ site: "chi-02" }),
      peer({ site: "ams-03", role: "empty", systemId: null, timeline: null, grant: null }),
      peer({ site: "sto-04" }),
    ];
    expect(tendGrant(own(), DECLARED, answers)?.peers).toEqual([member("chi-02")]);
    expect(tendGrant(own(), DECLARED, [peer({ systemId: "1" })])).toBeUndefined();
    expect(tendGrant(own(), DECLARED, [silentPeer()])).toBeUndefined();
  });

  it("keeps a silent peer, and takes over a declared address", () => {
    const moved = { site: "chi-02", health: { host: "100.99.0.1", port: 9008 } };
    const grant = grantOf({ peers: [member("chi-02"), member("gone-05")] });
    expect(tendGrant(own({ grant }), [moved], [silentPeer()])?.peers).toEqual([moved, member("gone-05")]);
  });

  it("learns the epoch of the primary it sees, not of a grant that nobody has acted on", () => {
    const grant = grantOf({ peers: [member("chi-02")] });
    expect(tendGrant(own({ grant }), DECLARED, [primary("chi-02", 4)])?.epoch).toBe(4);
    expect(
      tendGrant(own({ grant }), DECLARED, [peer({ held: { state: "held", epoch: 4 } })]),
    ).toBeUndefined();
    const held = grantOf({ state: "held", peers: [member("chi-02")] });
    expect(tendGrant(own({ grant: held }), DECLARED, [primary("chi-02", 4)])).toBeUndefined();
  });

  it("names the timeline that the own promotion made, once it runs", () => {
    const data = cluster({ timeline: 2, history: { timeline: 2, parent: 1, switchLsn: "0/3000000" } });
    const grant = grantOf({ state: "held" });
    expect(tendGrant(own({ grant, data, running: true }), DECLARED, [])?.timeline).toBe(2);
    expect(tendGrant(own({ grant, data }), DECLARED, [])).toBeUndefined();
  });
});

describe("followTarget", () => {
  it("is the running primary with the newest held grant", () => {
    expect(followTarget(own(), [primary("chi-02", 2), primary("ams-03", 3)])).toBe("ams-03");
    expect(followTarget(own(), [peer(), silentPeer("ams-03")])).toBeUndefined();
  });

  it("is nobody where two have the same claim, nor one that is behind or excluded", () => {
    expect(followTarget(own(), [primary("chi-02", 2), primary("ams-03", 2)])).toBeUndefined();
    expect(followTarget(own({ data: cluster({ timeline: 2 }) }), [primary("chi-02", 2)])).toBeUndefined();
    expect(
      followTarget(own({ grant: grantOf({ excluded: ["chi-02"] }) }), [primary("chi-02", 2)]),
    ).toBeUndefined();
  });
});

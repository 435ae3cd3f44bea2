import { describe, expect, it } from "vitest";
import { planResume } from "../../../infra/runbooks/plan/resume.ts";
import { planRetire } from "../../../infra/runbooks/plan/retire.ts";
import type { Planned, Step } from "../../../infra/runbooks/plan/step.ts";
import { objections } from "../../../infra/runbooks/plan/step.ts";
import type { SiteView } from "../../../infra/runbooks/observe/observation.ts";
import { gone, grant, observation, primary, standby } from "./observations.ts";

const SITES = ["dal-01", "chi-02", "ord-03"];
const peersOf = (name: string) =>
  SITES.filter((site) => site !== name).map((site) => ({ site, health: { host: "h", port: 8008 } }));
const held = (name: string) => grant("held", 3, { peers: peersOf(name) });
const none = (name: string) => grant("none", 3, { peers: peersOf(name) });

const dal = (more: Partial<SiteView> = {}) =>
  primary("dal-01", { grant: held("dal-01"), streamingTo: ["chi-02", "ord-03"], ...more });
const follower = (name: string, more: Partial<SiteView> = {}) =>
  standby(name, { grant: none(name), follows: "dal-01", ...more });
const slot = (name: string, active = false) => ({ name, active, walStatus: null, retainedBytes: null });

const why = (planned: Planned): string => objections(planned.checks).join("; ");
const stepsOf = (planned: Planned): readonly Step[] => {
  if (!planned.ok) throw new Error(why(planned));
  return planned.plan.steps;
};

describe("a site retires", () => {
  const three = observation([dal(), follower("chi-02"), follower("ord-03")]);

  it("is stopped, then forgotten by every grant, and only then nobody keeps WAL for it", () => {
    const planned = planRetire(three, "chi-02");
    const steps = stepsOf(planned);
    expect(steps.map(({ id }) => id)).toEqual([
      "stop",
      "forget-dal-01",
      "forget-ord-03",
      "slot-dal-01",
      "slot-ord-03",
    ]);
    expect(steps.filter(({ final }) => final).map(({ id }) => id)).toEqual(["slot-dal-01"]);
    expect(steps.filter(({ undo }) => undo === undefined).map(({ id }) => id)).toEqual([
      "slot-dal-01",
      "slot-ord-03",
    ]);
    expect(planned.ok && planned.plan).toMatchObject({
      verb: "retire",
      from: "dal-01",
      to: "chi-02",
      epochs: { before: 3, after: 3 },
    });
  });

  it("changes nothing of a grant but the peers: neither epoch nor state nor the other peers", () => {
    const forget = stepsOf(planRetire(three, "chi-02")).find(({ id }) => id === "forget-dal-01");
    expect(forget?.action).toEqual({
      do: "grant",
      site: "dal-01",
      expect: { epoch: 3, state: "held" },
      grant: { ...held("dal-01"), peers: [{ site: "ord-03", health: { host: "h", port: 8008 } }] },
    });
  });

  it("is done again without harm: what is so already is no step", () => {
    const alone = { peers: [{ site: "ord-03", health: { host: "h", port: 8008 } }] };
    const again = observation([
      dal({ grant: grant("held", 3, alone), streamingTo: ["ord-03"] }),
      follower("chi-02", { role: "stopped", running: false, mayRun: false, receiver: null }),
      follower("ord-03", { grant: grant("none", 3, { peers: [] }) }),
    ]);
    const steps = stepsOf(planRetire(again, "chi-02"));
    expect(steps.map(({ id }) => id)).toEqual(["stop", "slot-dal-01", "slot-ord-03"]);
    expect(steps[0]?.undo).toBeUndefined();
  });

  it("gives up a grant that it still holds, and forgets that it was excluded, where it is certainly stopped", () => {
    const excluded = { peers: peersOf("dal-01"), excluded: ["chi-02"] };
    const steps = stepsOf(
      planRetire(
        observation([
          dal({ grant: grant("held", 4, excluded), streamingTo: ["ord-03"] }),
          follower("chi-02", { grant: held("chi-02"), role: "held", running: false, receiver: null }),
          follower("ord-03"),
        ]),
        "chi-02",
      ),
    );
    expect(steps.find(({ id }) => id === "grant")?.action).toMatchObject({
      site: "chi-02",
      grant: { state: "none" },
    });
    expect(steps.find(({ id }) => id === "forget-dal-01")?.action).toMatchObject({
      grant: { excluded: [] },
    });
  });

  it("may be gone for good: then it stays excluded, since nobody knows what it does", () => {
    const excluded = { peers: peersOf("dal-01"), excluded: ["chi-02"] };
    const steps = stepsOf(
      planRetire(
        observation([
          dal({ grant: grant("held", 4, excluded), streamingTo: ["ord-03"] }),
          gone("chi-02"),
          follower("ord-03"),
        ]),
        "chi-02",
      ),
    );
    expect(steps.map(({ id }) => id)).toEqual([
      "forget-dal-01",
      "forget-ord-03",
      "slot-dal-01",
      "slot-ord-03",
    ]);
    expect(steps[0]?.action).toMatchObject({ grant: { excluded: ["chi-02"] } });
  });

  it("leaves nothing for resume to do but to say who goes on", () => {
    const entry = {
      ...{ id: "run-1", verb: "retire", who: "alice", started: "2026-01-02T03:04:05Z" },
      ...{ ended: null, result: null, from: "dal-01", to: "chi-02", epochs: null, timelines: null },
      ...{ lsns: null, phases: {} },
    };
    expect(planResume(three, entry)).toEqual({
      kind: "finish",
      why: "the next `pulumi up` goes on with the retirement of chi-02",
      steps: [],
    });
  });

  it.each<[string, string, readonly SiteView[], RegExp]>([
    [
      "the primary",
      "dal-01",
      [dal(), follower("chi-02"), follower("ord-03")],
      /^dal-01 is the primary: move the writes first \(bin\/recovery production flip-db\)/,
    ],
    [
      "the only other copy",
      "chi-02",
      [dal({ streamingTo: ["chi-02"] }), follower("chi-02")],
      /^chi-02 holds the only other copy: no other standby is declared\. Add a site first$/,
    ],
    [
      "a site beside one that is behind",
      "chi-02",
      [dal(), follower("chi-02"), follower("ord-03", { lag: { bytes: 64 * 1024 ** 2, seconds: 3 } })],
      /holds the only other copy: ord-03 is 64.* behind\. Wait until/,
    ],
    [
      "a site beside one that does not stream",
      "chi-02",
      [dal({ streamingTo: ["chi-02"] }), follower("chi-02"), follower("ord-03", { receiver: null })],
      /holds the only other copy/,
    ],
    [
      "a site beside one on another timeline",
      "chi-02",
      [dal(), follower("chi-02"), follower("ord-03", { timeline: 2 })],
      /holds the only other copy/,
    ],
    [
      "a site beside one of another cluster",
      "chi-02",
      [dal(), follower("chi-02"), follower("ord-03", { systemId: "7" })],
      /holds the only other copy/,
    ],
    [
      "a site that another one follows",
      "chi-02",
      [
        dal({ streamingTo: ["chi-02", "lon-04"] }),
        follower("chi-02", { streamingTo: ["ord-03"], slots: [slot("heatwave_ord_03", true)] }),
        follower("ord-03", { follows: "chi-02" }),
        follower("lon-04"),
      ],
      /^ord-03 streams from chi-02[^;]*; slot heatwave_ord_03 is in use at chi-02/,
    ],
    [
      "a site with somebody else's slot, though it is idle",
      "chi-02",
      [dal(), follower("chi-02", { slots: [slot("warehouse")] }), follower("ord-03")],
      /^slot warehouse is not of this stack at chi-02: move its reader/,
    ],
    [
      "a site beside one that cannot be told",
      "chi-02",
      [dal(), follower("chi-02"), follower("ord-03"), gone("lon-04")],
      /^lon-04 cannot be told that chi-02 leaves, and would wait for it at its next start: ssh/,
    ],
    [
      "a site while nobody takes writes",
      "chi-02",
      [follower("dal-01"), follower("chi-02"), follower("ord-03")],
      /no site takes writes/,
    ],
    [
      "a site while two take writes",
      "chi-02",
      [dal(), follower("chi-02"), primary("ord-03", { grant: held("ord-03") })],
      /two instances run as primary: dal-01, ord-03/,
    ],
    [
      "a site beside a primary whose grant is not the newest",
      "chi-02",
      [dal(), follower("chi-02"), follower("ord-03", { grant: grant("none", 9) })],
      /another site's grant is newer \(epoch 9\) than dal-01's/,
    ],
    ["a site that is none", "nowhere-1", [dal(), follower("chi-02")], /^nowhere-1 is no site of the stack/],
  ])("refused: %s", (_what, name, sites, message) => {
    const planned = planRetire(observation(sites), name);
    expect(planned.ok).toBe(false);
    expect(why(planned)).toMatch(message);
  });

  it("may hold idle slots for the sites of the stack", () => {
    const sites = [
      dal(),
      follower("chi-02", { slots: [slot("heatwave_dal_01"), slot("heatwave_ord_03")] }),
      follower("ord-03"),
    ];
    expect(planRetire(observation(sites), "chi-02").ok).toBe(true);
  });
});

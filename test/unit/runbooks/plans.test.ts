import { describe, expect, it } from "vitest";
import type { LedgerEntry, SiteView } from "../../../infra/runbooks/observe/observation.ts";
import { planPromote } from "../../../infra/runbooks/plan/promote.ts";
import { planResume } from "../../../infra/runbooks/plan/resume.ts";
import { planStartPeerGone } from "../../../infra/runbooks/plan/start.ts";
import type { Planned, Step } from "../../../infra/runbooks/plan/step.ts";
import { objections } from "../../../infra/runbooks/plan/step.ts";
import { gone, grant, heldBack, observation, primary, standby } from "./observations.ts";

const stepsOf = (planned: Planned): readonly Step[] => {
  if (!planned.ok) throw new Error(objections(planned.checks).join("; "));
  return planned.plan.steps;
};
const why = (planned: Planned): string => objections(planned.checks).join("; ");
const stopPrimary = { to: "chi-02", stopPrimary: true };

describe("promote", () => {
  const healthy = observation([primary("dal-01"), standby("chi-02")]);

  it("stops, proves, fences, gives the grant, and only then promotes", () => {
    const steps = stepsOf(planPromote(healthy, stopPrimary));
    expect(steps.map(({ id }) => id)).toEqual([
      "stop",
      "proof",
      "fence",
      "grant",
      "promote",
      "timeline",
      "serve",
      "rejoin",
      "stream",
      "slots",
      "routers",
    ]);
    expect(steps.filter(({ final }) => final).map(({ id }) => id)).toEqual(["promote"]);
    const given = steps.find(({ id }) => id === "grant")?.action;
    expect(given).toMatchObject({
      site: "chi-02",
      expect: { epoch: 1, state: "none" },
      grant: { epoch: 2, state: "held", timeline: 1 },
    });
    expect(steps.find(({ id }) => id === "fence")?.action).toMatchObject({
      site: "dal-01",
      grant: { state: "none" },
    });
  });

  it("can take back every step before the promotion that changed something", () => {
    const steps = stepsOf(planPromote(healthy, stopPrimary));
    const before = steps.slice(
      0,
      steps.findIndex(({ final }) => final),
    );
    expect(before.filter(({ undo }) => undo === undefined).map(({ id }) => id)).toEqual(["proof"]);
  });

  it("takes an epoch above every one that was seen", () => {
    const seen = observation([
      primary("dal-01", { grant: grant("held", 4) }),
      standby("chi-02", { grant: grant("none", 9) }),
    ]);
    expect(stepsOf(planPromote(seen, stopPrimary)).find(({ id }) => id === "grant")?.action).toMatchObject({
      grant: { epoch: 10 },
    });
  });

  it("does not stop a running primary unasked, and says how to ask", () => {
    const planned = planPromote(healthy, { to: "chi-02", stopPrimary: false });
    expect(why(planned)).toBe("dal-01 is a running primary; --stop-primary stops it first");
    expect(planned).toMatchObject({ next: "bin/recovery production flip-db --to chi-02" });
  });

  it("goes on from a primary that was stopped cleanly before", () => {
    const stopped = primary("dal-01", {
      role: "stopped",
      running: false,
      controlState: "shut down",
      mayRun: false,
    });
    const steps = stepsOf(
      planPromote(observation([stopped, standby("chi-02")]), { to: "chi-02", stopPrimary: false }),
    );
    expect(steps[0]?.id).toBe("proof");
  });

  it("promotes the furthest where every site is a running standby, and refuses one that is behind", () => {
    const lsn = { current: null, received: null, replayed: "0/4000000", checkpoint: null };
    const ahead = standby("chi-02", { lsn });
    const seen = observation([standby("dal-01"), ahead]);
    const steps = stepsOf(planPromote(seen, { to: "chi-02", stopPrimary: false }));
    expect(steps.map(({ id }) => id)).toEqual(["grant", "promote", "timeline", "serve", "routers"]);
    const behind = planPromote(seen, { to: "dal-01", stopPrimary: false });
    expect(why(behind)).toMatch(/chi-02 is ahead: timeline 1, 0\/4000000/);
    const down = observation([standby("dal-01", { running: false, word: "crashed" }), ahead]);
    const unproven = planPromote(down, { to: "chi-02", stopPrimary: false });
    expect(why(unproven)).toMatch(/dal-01 is no running standby \(crashed\)/);
  });

  const other = (more: Partial<SiteView>): SiteView => standby("chi-02", more);
  it.each([
    [
      "no such site",
      planPromote(healthy, { to: "x", stopPrimary: true }),
      /no site of the stack: dal-01, chi-02/,
    ],
    [
      "the primary itself",
      planPromote(healthy, { to: "dal-01", stopPrimary: true }),
      /dal-01 is the primary already/,
    ],
    [
      "replay paused",
      planPromote(observation([primary("dal-01"), other({ replayPaused: true })]), stopPrimary),
      /replay is paused/,
    ],
    [
      "not running",
      planPromote(observation([primary("dal-01"), other({ running: false, word: "crashed" })]), stopPrimary),
      /no running standby: crashed/,
    ],
    [
      "held back",
      planPromote(
        observation([primary("dal-01"), other({ heldback: { epoch: 1, timeline: 1 } })]),
        stopPrimary,
      ),
      /held back/,
    ],
    [
      "no control socket",
      planPromote(
        observation([primary("dal-01"), other({ source: "http", silent: "ssh is down" })]),
        stopPrimary,
      ),
      /does not answer: ssh is down/,
    ],
    [
      "excluded",
      planPromote(
        observation([primary("dal-01", { grant: grant("held", 1, { excluded: ["chi-02"] }) }), other({})]),
        stopPrimary,
      ),
      /chi-02 is excluded/,
    ],
    [
      "unknown to the primary",
      planPromote(
        observation([primary("dal-01", { grant: grant("held", 1, { peers: [] }) }), other({})]),
        stopPrimary,
      ),
      /does not name chi-02/,
    ],
    [
      "another cluster",
      planPromote(observation([primary("dal-01", { systemId: "7" }), other({})]), stopPrimary),
      /dal-01 has system identifier 7/,
    ],
    [
      "an unseen primary",
      planPromote(observation([gone("dal-01"), other({})]), stopPrimary),
      /dal-01 cannot be asked/,
    ],
    [
      "two primaries",
      planPromote(observation([primary("dal-01"), primary("fra-01"), other({})]), stopPrimary),
      /two instances run as primary/,
    ],
    [
      "a crashed primary",
      planPromote(observation([primary("dal-01", { role: "held", running: false }), other({})]), stopPrimary),
      /did not stop cleanly \(in production\)/,
    ],
  ])("is refused: %s", (_, planned, message) => {
    expect(planned.ok).toBe(false);
    expect(why(planned)).toMatch(message);
  });
});

describe("start --peer-gone", () => {
  it("excludes whoever is silent to the site and to the operator, and gives a higher epoch last", () => {
    const steps = stepsOf(
      planStartPeerGone(observation([heldBack("dal-01", "chi-02"), gone("chi-02")]), "dal-01"),
    );
    expect(steps.map(({ id }) => id)).toEqual(["grant", "start", "serve", "routers"]);
    expect(steps[0]).toMatchObject({
      final: true,
      action: {
        expect: { epoch: 1, state: "held" },
        grant: { epoch: 2, state: "held", excluded: ["chi-02"] },
      },
    });
  });

  it("tells the sites that answer before it frees the one", () => {
    const peers = ["dal-01", "chi-02", "fra-01"].map((site) => ({
      site,
      health: { host: site, port: 8008 },
    }));
    const held = {
      ...heldBack("dal-01", "chi-02"),
      grant: grant("held", 1, { peers }),
      peers: [
        { site: "chi-02", answers: false },
        { site: "fra-01", answers: true },
      ],
    };
    const steps = stepsOf(
      planStartPeerGone(observation([held, gone("chi-02"), standby("fra-01")]), "dal-01"),
    );
    expect(steps.map(({ id }) => id)).toEqual(["exclude-fra-01", "grant", "start", "serve", "routers"]);
    expect(steps[0]?.action).toMatchObject({ grant: { epoch: 1, state: "none", excluded: ["chi-02"] } });
  });

  it.each([
    [
      "the peer answers the operator",
      observation([heldBack("dal-01", "chi-02"), standby("chi-02")]),
      /shows a sign of life \(chi-02\)/,
    ],
    [
      "the peer answers the site",
      observation([
        { ...heldBack("dal-01", "chi-02"), peers: [{ site: "chi-02", answers: true }] },
        gone("chi-02"),
      ]),
      /shows a sign of life/,
    ],
    [
      "somebody takes writes",
      observation([heldBack("dal-01", "chi-02"), primary("chi-02")]),
      /chi-02 runs as primary/,
    ],
    ["a standby", observation([standby("dal-01"), gone("chi-02")]), /not a primary that is held back/],
    [
      "no grant",
      observation([{ ...heldBack("dal-01", "chi-02"), grant: grant("none") }, gone("chi-02")]),
      /grant is none/,
    ],
  ])("is refused: %s", (_, seen, message) => {
    expect(why(planStartPeerGone(seen, "dal-01"))).toMatch(message);
  });

  it("counts a host that answers by SSH as a sign of life", () => {
    const seen = observation([heldBack("dal-01", "chi-02"), gone("chi-02")]);
    const reached = { ...seen, hosts: seen.hosts.map((host) => ({ ...host, unreachable: null })) };
    expect(why(planStartPeerGone(reached, "dal-01"))).toMatch(/shows a sign of life/);
  });
});

describe("resume", () => {
  const entry = (verb: string, more: Partial<LedgerEntry> = {}): LedgerEntry => ({
    id: "run-1",
    verb,
    who: "alice",
    started: "2026-01-02T03:04:05Z",
    ended: null,
    result: null,
    from: "dal-01",
    to: "chi-02",
    epochs: { before: 1, after: 2 },
    timelines: { before: 1, after: null },
    lsns: null,
    phases: {},
    ...more,
  });
  const stopped = primary("dal-01", {
    role: "stopped",
    word: "stopped",
    running: false,
    mayRun: false,
    controlState: "shut down",
  });
  const fenced = { ...stopped, grant: grant("none") };
  const ids = (steps: readonly Step[]): readonly string[] => steps.map(({ id }) => id);

  it.each([
    ["before the stop", [primary("dal-01"), standby("chi-02")], "undo", ["serve"]],
    ["after the stop", [stopped, standby("chi-02")], "undo", ["stop", "serve"]],
    ["after the fence", [fenced, standby("chi-02")], "undo", ["fence", "stop", "serve"]],
    [
      "after the grant",
      [fenced, standby("chi-02", { grant: grant("held", 2) })],
      "undo",
      ["grant", "fence", "stop", "serve"],
    ],
    [
      "after the promotion",
      [fenced, primary("chi-02", { grant: grant("held", 2), timeline: 2 })],
      "finish",
      ["timeline", "serve", "rejoin", "stream", "slots", "routers"],
    ],
    [
      "after the promotion, the old host gone",
      [gone("dal-01"), primary("chi-02", { grant: grant("held", 2), timeline: 2 })],
      "finish",
      ["timeline", "serve", "routers"],
    ],
  ] as const)("a promotion that died %s", (_, sites, kind, steps) => {
    const resumption = planResume(observation(sites), entry("promote"));
    expect(resumption.kind).toBe(kind);
    if (resumption.kind !== "stuck") expect(ids(resumption.steps)).toEqual(steps);
  });

  it("takes the target's grant before it gives the old one back, so that never two are held", () => {
    const resumption = planResume(
      observation([fenced, standby("chi-02", { grant: grant("held", 2) })]),
      entry("promote"),
    );
    if (resumption.kind === "stuck") throw new Error(resumption.why);
    expect(resumption.steps.slice(0, 2).map(({ action }) => action)).toMatchObject([
      { site: "chi-02", expect: { epoch: 2, state: "held" }, grant: { epoch: 1, state: "none" } },
      { site: "dal-01", grant: { state: "held", epoch: 1 } },
    ]);
  });

  it("leaves a former primary that follows by now as it is", () => {
    const sites = [standby("dal-01"), standby("chi-02", { grant: grant("held", 2) })];
    const resumption = planResume(observation(sites), entry("promote"));
    if (resumption.kind === "stuck") throw new Error(resumption.why);
    expect(ids(resumption.steps)).toEqual(["grant"]);
  });

  it("decides nothing while a site that matters cannot be asked", () => {
    expect(planResume(observation([stopped, gone("chi-02")]), entry("promote"))).toMatchObject({
      kind: "stuck",
    });
    expect(planResume(observation([gone("dal-01"), standby("chi-02")]), entry("promote"))).toMatchObject({
      kind: "stuck",
    });
  });

  it("finishes a start whose grant was given, and takes exclusions back where it was not", () => {
    const start = entry("start", { from: null, to: "dal-01" });
    const given = { ...heldBack("dal-01", "chi-02"), grant: grant("held", 2, { excluded: ["chi-02"] }) };
    expect(planResume(observation([given, gone("chi-02")]), start)).toMatchObject({
      kind: "finish",
      steps: [{ id: "start" }, { id: "serve" }],
    });
    const told = standby("fra-01", { grant: grant("none", 1, { excluded: ["chi-02"] }) });
    expect(
      planResume(observation([heldBack("dal-01", "chi-02"), gone("chi-02"), told]), start),
    ).toMatchObject({
      kind: "undo",
      steps: [{ id: "exclude-fra-01", action: { grant: { excluded: [] } } }],
    });
  });

  it("of a dead maintenance only the lock has to go: the hosts' notes say what is left", () => {
    const resumption = planResume(
      observation([gone("dal-01")]),
      entry("maintenance-up", { from: null, to: null }),
    );
    expect(resumption).toMatchObject({ kind: "finish", steps: [] });
    expect(resumption.why).toContain("bin/maintenance status production");
  });
});

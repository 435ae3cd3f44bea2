import { describe, expect, it } from "vitest";
import { judge } from "../../../infra/runbooks/judge.ts";
import type { LedgerEntry, Observation, SiteView } from "../../../infra/runbooks/observe/observation.ts";
import { planHandOver } from "../../../infra/runbooks/plan/hand-over.ts";
import { planResume } from "../../../infra/runbooks/plan/resume.ts";
import type { Planned, Step } from "../../../infra/runbooks/plan/step.ts";
import { objections } from "../../../infra/runbooks/plan/step.ts";
import { gone, grant, observation, primary, standby } from "./observations.ts";

/** Away from a primary that runs as it was found: what is planned, refused, taken back and finished. */

const found = (more: Partial<SiteView> = {}): SiteView =>
  primary("dal-01", {
    ...{ source: "found", grant: null, peers: null, pooler: null, freeBytes: null, leftovers: null },
    ...{ streamingTo: ["chi-02"], ...more },
  });
const ours = (more: Partial<SiteView> = {}): SiteView => standby("chi-02", more);
const stopped = (): SiteView => ({ ...gone("dal-01"), silent: "heatwave-postgres does not run" });
const adopted = ["dal-01"];
/** With both hosts there, whatever their sites say. */
const sight = (sites: readonly SiteView[], more: Partial<Observation> = {}) => {
  const seen = observation(sites, { adopted });
  return { ...seen, hosts: seen.hosts.map((host) => ({ ...host, unreachable: null })), ...more };
};

const stepsOf = (planned: Planned): readonly Step[] => {
  if (!planned.ok) throw new Error(objections(planned.checks).join("; "));
  return planned.plan.steps;
};

describe("a switchover away from what was found", () => {
  const steps = stepsOf(planHandOver(sight([found(), ours()]), "chi-02"));

  it("does what is slow before the gap, promotes only after the proof, and starts nothing at the old primary", () => {
    expect(steps.map(({ id }) => id)).toEqual([
      ...["slot", "checkpoint", "ready"],
      ...["hold", "cut", "stop", "proof", "promote", "users", "release"],
      ...["timeline", "serve", "keep", "settle", "routers"],
    ]);
    expect(JSON.stringify(steps)).not.toContain('"verb":"start"');
  });

  it("gives the target the grant while PostgreSQL stops, and takes it back before what was found starts again", () => {
    const stop = steps.find(({ id }) => id === "stop");
    expect(stop?.action).toMatchObject({
      do: "together",
      actions: [
        { do: "found-stop", site: "dal-01" },
        {
          do: "grant",
          site: "chi-02",
          expect: { epoch: 1, state: "none" },
          grant: { epoch: 2, state: "held" },
        },
      ],
    });
    expect(stop?.undo?.map((action) => action.do)).toEqual(["grant", "found-back", "await-primary"]);
  });

  it("can take back every step before the promotion that changed something", () => {
    const before = steps.slice(
      0,
      steps.findIndex(({ final }) => final),
    );
    expect(before.filter(({ undo }) => undo === undefined).map(({ id }) => id)).toEqual(["proof"]);
  });

  it.each<[string, readonly SiteView[], RegExp]>([
    [
      "what was found does not stream to the target",
      [found({ streamingTo: [] }), ours()],
      /streams to nobody/,
    ],
    ["the target is behind", [found(), ours({ lag: { bytes: 2 ** 25, seconds: 1 } })], /32.0 MiB behind/],
    ["replay is paused", [found(), ours({ replayPaused: true })], /replay is paused/],
    [
      "a base backup runs",
      [
        found({ activity: { longestTransactionSeconds: 0, prepared: 0, baseBackups: 1, archiveWaiting: 0 } }),
        ours(),
      ],
      /base backup/,
    ],
    [
      "what was found does not run",
      [stopped(), ours()],
      /no site takes writes \(dal-01: heatwave-postgres does not run/,
    ],
    [
      "the writes have left it already",
      [stopped(), primary("chi-02")],
      /what was found stays stopped until it is converted/,
    ],
    [
      "the target runs an older minor version",
      [found(), ours({ version: 180_005 })],
      /dal-01 runs 180006, chi-02 180005/,
    ],
    ["the target was not founded here", [found(), ours({ grant: null })], /has no grant/],
  ])("is refused where %s", (_what, sites, says) => {
    const planned = planHandOver(sight(sites), "chi-02");
    expect(planned.ok).toBe(false);
    expect(objections(planned.checks).join("; ")).toMatch(says);
  });
});

it("goes to a newer minor version of PostgreSQL too", () => {
  expect(planHandOver(sight([found(), ours({ version: 180_007 })]), "chi-02").ok).toBe(true);
});

describe("resume after it", () => {
  const entry: LedgerEntry = {
    ...{
      id: "x",
      verb: "flip-db",
      who: "a@b pid 1",
      started: "2026-01-02T03:04:05Z",
      ended: null,
      result: null,
    },
    ...{
      from: "dal-01",
      to: "chi-02",
      epochs: { before: 1, after: 2 },
      timelines: { before: 1, after: null },
    },
    ...{ lsns: null, phases: {} },
  };
  const resume = (sites: readonly SiteView[]) => {
    const resumption = planResume(sight(sites), entry);
    return resumption.kind === "stuck"
      ? resumption
      : { kind: resumption.kind, did: resumption.steps.map(({ action }) => action.do) };
  };

  it("takes the grant from the target before what was found starts again", () => {
    expect(resume([stopped(), ours({ grant: grant("held", 2) })])).toEqual({
      kind: "undo",
      did: ["grant", "found-back", "await-primary", "clear-overrides", "release"],
    });
  });

  it("finishes what was promoted, and starts nothing at the old primary", () => {
    expect(resume([stopped(), primary("chi-02", { grant: grant("held", 2) })])).toEqual({
      kind: "finish",
      did: ["clear-overrides", "found-keep", "grant", "await-primary", "found-users", "await-routers"],
    });
  });

  it.each<[string, readonly SiteView[]]>([
    ["the target cannot be asked", [stopped(), gone("chi-02")]],
    // A promoted instance whose PostgreSQL does not answer this moment.
    ["the target's PostgreSQL does not answer", [stopped(), ours({ role: "held", running: false })]],
    ["the target is on another timeline", [stopped(), ours({ timeline: 2, grant: grant("held", 2) })]],
  ])("decides nothing where %s", (_what, sites) => {
    expect(resume(sites)).toMatchObject({ kind: "stuck", next: expect.stringMatching(/resume/) as string });
  });

  it("waits for the host of what was found where it has to start again", () => {
    const seen = observation([stopped(), ours({ grant: grant("held", 2) })], { adopted });
    expect(planResume(seen, entry)).toMatchObject({
      kind: "stuck",
      why: expect.stringMatching(/the host of dal-01 cannot be reached/) as string,
    });
  });
});

describe("the verdict on a stack of which a site runs as it was found", () => {
  it.each<[string, readonly SiteView[], RegExp]>([
    ["before the flip", [found(), ours()], /^bin\/recovery production flip-db --to chi-02$/],
    ["after it", [stopped(), primary("chi-02")], /^bin\/adopt production --convert dal-01, then pulumi up$/],
    ["with nobody to take writes", [stopped(), ours()], /docker start what was found there/],
  ])("names what is next: %s", (_what, sites, next) => {
    expect(judge(sight(sites, { declared: "chi-02" }))[0]).toMatchObject({
      code: "adopted",
      next: expect.stringMatching(next) as string,
    });
  });

  it("is an alarm where both take writes, and says so where the stack file declares the one that was left", () => {
    expect(judge(sight([found(), primary("chi-02")]))[0]).toMatchObject({
      level: "alarm",
      text: expect.stringMatching(/two instances run as primary: dal-01 and chi-02/) as string,
    });
    expect(judge(sight([stopped(), primary("chi-02")]))[0].next).toMatch(
      /^set heatwave:primary to chi-02 in/,
    );
  });

  it("names what was interrupted first", () => {
    const unfinished = [{ verb: "flip-db", started: "then", who: "alice", ended: null } as LedgerEntry];
    const seen = observation([found(), ours()], { adopted, unfinished });
    expect(judge(seen).map(({ code }) => code)).toEqual(["interrupted", "adopted"]);
  });
});

import { describe, expect, it } from "vitest";
import type { LedgerEntry, SiteView } from "../../../infra/runbooks/observe/observation.ts";
import type { Survey } from "../../../infra/runbooks/observe/survey.ts";
import { readForks } from "../../../infra/runbooks/observe/survey.ts";
import { planRebuild, rebuildTarget } from "../../../infra/runbooks/plan/rebuild.ts";
import { planRejoin, rejoinWay } from "../../../infra/runbooks/plan/rejoin.ts";
import { planResume } from "../../../infra/runbooks/plan/resume.ts";
import type { Planned, Step } from "../../../infra/runbooks/plan/step.ts";
import { objections } from "../../../infra/runbooks/plan/step.ts";
import { gone, grant, observation, primary, standby } from "./observations.ts";

const GIB = 1024 ** 3;
const survey = (more: Partial<Survey> = {}): Survey => ({
  primary: "dal-01",
  backupBytes: GIB,
  forks: [],
  freeBytes: 10 * GIB,
  dataset: null,
  noLogin: null,
  problems: [],
  ...more,
});
const stepsOf = (planned: Planned): readonly Step[] => {
  if (!planned.ok) throw new Error(objections(planned.checks).join("; "));
  return planned.plan.steps;
};
const ids = (steps: readonly Step[]): readonly string[] => steps.map(({ id }) => id);
const why = (planned: Planned): string => objections(planned.checks).join("; ");
const diverged = (more: Partial<SiteView> = {}): SiteView =>
  standby("chi-02", {
    word: "diverged",
    why: "timeline 2 forked from timeline 1 at 0/3000000, and this site's data is past that",
    running: false,
    ...more,
  });
const pair = (site: SiteView, more: Partial<SiteView> = {}) =>
  observation([primary("dal-01", { timeline: 2, grant: grant("held", 2), ...more }), site]);

describe("rebuild-standby", () => {
  const healthy = observation([primary("dal-01", { streamingTo: ["chi-02"] }), standby("chi-02")]);
  const rebuild = (seen = healthy, more: Partial<Survey> = {}): Planned =>
    planRebuild(seen, { site: "chi-02", survey: survey(more), id: "run-1" });

  it("copies while the old data goes on, swaps, and deletes the old data only when the new one streams", () => {
    const steps = stepsOf(rebuild());
    expect(ids(steps)).toEqual([
      ...["backup", "stop", "aside", "grant", "adopt", "start", "stream"],
      ...["slots", "copy-slot", "pooler", "forget"],
    ]);
    expect(steps[1]?.action).toMatchObject({ actions: [{ do: "order", verb: "stop" }, { do: "make-slot" }] });
    expect(steps.filter(({ final }) => final).map(({ id }) => id)).toEqual(["stream"]);
    expect(steps.slice(7).every(({ mayFail }) => mayFail)).toBe(true);
  });

  it("puts back whatever it changed, in the order that no data is ever without a name", () => {
    const undone = stepsOf(rebuild())
      .toReversed()
      .flatMap(({ undo }) => undo ?? [])
      .map((action) => ("verb" in action ? `${action.do} ${action.verb}` : action.do));
    expect(undone).toEqual([
      ...["order stop", "data restore", "order start"],
      ...["data cancel", "data discard", "drop-slot"],
    ]);
  });

  it("takes a snapshot of a dataset before the swap, and deletes it last", () => {
    const steps = ids(stepsOf(rebuild(healthy, { dataset: "tank/pg" })));
    expect(steps.indexOf("snapshot")).toBe(steps.indexOf("aside") - 1);
    expect(steps.at(-1)).toBe("drop-snapshot");
  });

  it("rebuilds a site without data, and takes exclusions of it away", () => {
    const seen = observation([
      primary("dal-01", { grant: grant("held", 3, { excluded: ["chi-02"] }) }),
      standby("chi-02", { role: "empty", systemId: null, running: false, word: "empty" }),
    ]);
    expect(stepsOf(rebuild(seen)).find(({ id }) => id === "unexclude-dal-01")?.action).toEqual({
      do: "unexclude",
      at: "dal-01",
      site: "chi-02",
    });
  });

  it("leaves a site stopped that was stopped by order, when it fails", () => {
    const seen = observation([
      primary("dal-01"),
      standby("chi-02", { role: "stopped", running: false, mayRun: false }),
    ]);
    expect(stepsOf(rebuild(seen)).find(({ id }) => id === "stop")?.undo).toBeUndefined();
  });

  it("means the only standby when none is named", () => {
    expect(rebuildTarget(healthy)).toBe("chi-02");
    expect(
      rebuildTarget(observation([primary("dal-01"), standby("chi-02"), standby("fra-01")])),
    ).toBeUndefined();
  });

  it.each([
    [
      "the primary",
      planRebuild(healthy, { site: "dal-01", survey: survey(), id: "x" }),
      /dal-01 is the primary: move the writes away first/,
    ],
    ["no primary", rebuild(observation([gone("dal-01"), standby("chi-02")])), /no running primary is seen/],
    ["two", rebuild(observation([primary("dal-01"), primary("fra-01"), standby("chi-02")])), /two instances/],
    [
      "no room",
      rebuild(healthy, { freeBytes: GIB }),
      /chi-02 has 1.0 GiB free where the data lies, a base backup needs about 1.4 GiB: free or add space/,
    ],
    [
      "no login",
      rebuild(healthy, { noLogin: "chi-02 cannot log in at dal-01 (100.64.0.1:5432): no pg_hba.conf entry" }),
      /chi-02 cannot log in at dal-01 \(100.64.0.1:5432\): no pg_hba.conf entry/,
    ],
    [
      "unknown room",
      rebuild(healthy, { freeBytes: null, problems: ["chi-02: no volume"] }),
      /chi-02: no volume/,
    ],
    [
      "unseen",
      rebuild(observation([primary("dal-01"), gone("chi-02")])),
      /chi-02's pg-health does not answer/,
    ],
    [
      "a held grant",
      rebuild(observation([primary("dal-01"), standby("chi-02", { grant: grant("held", 2) })])),
      /chi-02's grant is held/,
    ],
    [
      "another cluster",
      rebuild(observation([primary("dal-01"), standby("chi-02", { systemId: "7" })])),
      /system identifier 7/,
    ],
    [
      "a primary that serves nobody",
      rebuild(observation([primary("dal-01", { word: "fenced" }), standby("chi-02")])),
      /serves no writes: fenced/,
    ],
    ["another primary", rebuild(healthy, { primary: "fra-01" }), /it was fra-01 a moment ago/],
  ])("is refused: %s", (_, planned, message) => {
    expect(planned.ok).toBe(false);
    expect(why(planned)).toMatch(message);
  });
});

describe("rejoin", () => {
  const forks = [{ timeline: 1, lsn: "0/3000100" }];
  const at = (replayed: string | null, checkpoint = "0/3000000") => ({
    ...{ current: null, received: null },
    ...{ replayed, checkpoint },
  });
  it.each([
    ["it streams", { timeline: 2 }, { streamingTo: ["chi-02"] }, "follow"],
    ["pg-health says diverged", { word: "diverged", running: false }, {}, "renew"],
    ["its replay is past the fork", { lsn: at("0/3000200") }, {}, "renew"],
    ["its replay is at the fork", { lsn: at("0/3000100") }, {}, "follow"],
    ["its checkpoint is past the fork", { running: false, lsn: at(null, "0/3000100") }, {}, "renew"],
    ["it crashed as primary", { running: false, controlState: "in production", lsn: at(null) }, {}, "renew"],
    ["a clean ancestor", { running: false, controlState: "shut down", lsn: at(null) }, {}, "follow"],
    ["a timeline of its own", { timeline: 3 }, {}, "renew"],
    [
      "its slot is lost",
      { timeline: 2 },
      { slots: [{ name: "heatwave_chi_02", active: false, walStatus: "lost", retainedBytes: null }] },
      "renew",
    ],
    ["the same timeline", { timeline: 2, receiver: null }, {}, "follow"],
    // A receiver that was refused has the primary's timeline all the same.
    [
      "the same timeline by its receiver's word, and past the fork by its control file's",
      { timeline: 2, receiver: "waiting", recovery: { timeline: 1, lsn: "0/3000200" } },
      {},
      "renew",
    ],
    [
      "the same timeline, and not past the fork by its control file",
      { timeline: 2, receiver: "waiting", recovery: { timeline: 1, lsn: "0/3000100" } },
      {},
      "follow",
    ],
  ] as const)("%s", (_, site, old, way) => {
    const seen = primary("dal-01", { timeline: 2, ...(old as Partial<SiteView>) });
    expect(rejoinWay(standby("chi-02", site as Partial<SiteView>), seen, survey({ forks }))).toMatchObject({
      way,
    });
  });

  it("lets data that can follow be as it is, and takes the exclusions away once it streams", () => {
    const seen = pair(standby("chi-02", { timeline: 2 }), {
      grant: grant("held", 2, { excluded: ["chi-02"] }),
      streamingTo: ["chi-02"],
    });
    const steps = stepsOf(planRejoin(seen, { site: "chi-02", survey: survey(), id: "run-1" }));
    expect(ids(steps)).toEqual(["reach", "grant", "slot", "start", "stream", "unexclude-dal-01", "slots"]);
  });

  it("works on diverged data under another name, and has no way back once it is rewound", () => {
    const steps = stepsOf(planRejoin(pair(diverged()), { site: "chi-02", survey: survey(), id: "run-1" }));
    expect(ids(steps)).toEqual([
      ...["reach", "checkpoint", "stop", "aside", "rewind", "grant", "adopt", "slot", "start", "stream"],
      ...["slots", "copy-slot", "pooler", "forget"],
    ]);
    expect(steps.filter(({ final }) => final).map(({ id }) => id)).toEqual(["rewind"]);
    // It did not run before, and is not waited for when it is put back.
    expect(steps.find(({ id }) => id === "stop")?.undo).toMatchObject([{ do: "data", verb: "allow" }]);
  });

  it("names the other command for a site without data", () => {
    const seen = pair(standby("chi-02", { role: "empty", running: false }));
    expect(why(planRejoin(seen, { site: "chi-02", survey: survey(), id: "x" }))).toMatch(
      /bin\/recovery production rebuild-standby chi-02/,
    );
  });

  it("reads the lines of a history file", () => {
    expect(readForks("1\t0/3000100\tno recovery target specified\n\n2\tA/B0\tx\n")).toEqual([
      { timeline: 1, lsn: "0/3000100" },
      { timeline: 2, lsn: "A/B0" },
    ]);
  });
});

describe("resume of a renewal", () => {
  const entry = (verb: string): LedgerEntry => ({
    ...{ id: "run-1", verb, who: "alice", started: "2026-01-02T03:04:05Z", ended: null, result: null },
    ...{ from: "dal-01", to: "chi-02", epochs: { before: 1, after: 1 } },
    ...{ timelines: { before: 1, after: null }, lsns: null, phases: {} },
  });
  const empty = { role: "empty", running: false, word: "empty", systemId: null } as const;
  const stopped = { role: "stopped", running: false, word: "stopped", mayRun: false } as const;
  it.each([
    ["during the copy", "rebuild-standby", { leftovers: ["scratch"] }, true, "undo", /^cancel,forget-0/],
    ["after the stop", "rebuild-standby", { ...stopped, leftovers: ["scratch"] }, false, "undo", /start$/],
    [
      "with the data put aside",
      "rebuild-standby",
      { ...empty, leftovers: ["kept-run-1", "scratch"] },
      ...[false, "undo", /^cancel,restore,forget-0,forget-1,start$/],
    ],
    [
      "with the new data in place",
      "rebuild-standby",
      { ...stopped, leftovers: ["kept-run-1"] },
      ...[false, "finish", /^grant,slot,start,stream,.*forget,/],
    ],
    [
      "when it streamed",
      "rebuild-standby",
      { leftovers: ["kept-run-1"] },
      ...[true, "finish", /^grant,slot,slots,copy-slot,pooler,forget,/],
    ],
    [
      "in the middle of a rewind",
      "rejoin",
      { ...empty, leftovers: ["rewinding-run-1", "lost-wal-run-1"] },
      ...[false, "finish", /^cancel,stop,backup,grant,adopt,slot,start,stream,.*forget,/],
    ],
    [
      "after the rewind",
      "rejoin",
      { ...empty, leftovers: ["scratch", "lost-wal-run-1"] },
      ...[false, "finish", /^grant,adopt,slot,start,stream/],
    ],
    ["before anything", "rejoin", diverged(), false, "undo", /^cancel,forget-0,forget-1,start$/],
  ] as const)("that died %s", (_, verb, site, streams, kind, steps) => {
    const seen = observation([
      primary("dal-01", { streamingTo: streams ? ["chi-02"] : [] }),
      standby("chi-02", site),
    ]);
    const resumption = planResume(seen, entry(verb));
    if (resumption.kind === "stuck") throw new Error(resumption.why);
    expect({ kind: resumption.kind, steps: ids(resumption.steps).join(",") }).toEqual({
      kind,
      steps: expect.stringMatching(steps) as string,
    });
  });

  it("decides nothing without the site or without a primary to follow", () => {
    for (const sites of [
      [primary("dal-01"), gone("chi-02")],
      [gone("dal-01"), standby("chi-02")],
    ])
      expect(planResume(observation(sites), entry("rejoin"))).toMatchObject({ kind: "stuck" });
  });
});

import { describe, expect, it } from "vitest";
import { withPrimary } from "../../../infra/config/declared-primary.ts";
import { gapOf } from "../../../infra/cli/recovery/runbook-text.ts";
import type { LedgerEntry, SiteView } from "../../../infra/runbooks/observe/observation.ts";
import { ensurePrimary } from "../../../infra/runbooks/plan/ensure-primary.ts";
import { planFailover, signOfLife } from "../../../infra/runbooks/plan/failover.ts";
import { planFence, planUnfence } from "../../../infra/runbooks/plan/fence.ts";
import { flipTarget, GAP_STEPS, planFlip } from "../../../infra/runbooks/plan/flip.ts";
import { planResume } from "../../../infra/runbooks/plan/resume.ts";
import type { Action, Planned, Step } from "../../../infra/runbooks/plan/step.ts";
import { objections } from "../../../infra/runbooks/plan/step.ts";
import { gone, grant, observation, primary, standby } from "./observations.ts";

const hears = (site: string) => ({ peers: [{ site, answers: true }] });
const from = (more: Partial<SiteView> = {}): SiteView =>
  primary("dal-01", { streamingTo: ["chi-02"], ...hears("chi-02"), ...more });
const to = (more: Partial<SiteView> = {}): SiteView => standby("chi-02", { ...hears("dal-01"), ...more });
const router = (
  status: Readonly<Record<string, string>>,
  overrides: readonly string[] = [],
  silent: string | null = null,
) => ({
  name: "dal-01",
  container: "heatwave-haproxy",
  silent,
  listeners: [
    {
      name: "pg-primary",
      route: "write" as const,
      sessions: 0,
      overrides,
      servers: Object.entries(status).map(([site, word]) => ({ site, status: word, sessions: 0 })),
    },
  ],
});
const healthy = observation([from(), to()], { routers: [router({ "dal-01": "UP", "chi-02": "DOWN" })] });
const session = { to: "chi-02", poolMode: "session" } as const;

const stepsOf = (planned: Planned): readonly Step[] => {
  if (!planned.ok) throw new Error(objections(planned.checks).join("; "));
  return planned.plan.steps;
};
const why = (planned: Planned): string => objections(planned.checks).join("; ");
const actionsOf = (step: Step | undefined): readonly Action[] =>
  step === undefined ? [] : step.action.do === "together" ? step.action.actions : [step.action];

describe("a flip", () => {
  it("opens everything before the gap, promotes only after the proof, and holds before it cuts", () => {
    const ids = stepsOf(planFlip(healthy, session)).map(({ id }) => id);
    expect(ids).toEqual([
      ...["reverse", "checkpoint", "slot", "ready"],
      ...["hold", "logins", "cut", "stop", "proof", "promote", "release"],
      ...[
        "timeline",
        "serve",
        "stopped",
        "fence",
        "rejoin",
        "stream",
        "slots",
        "settle",
        "sessions",
        "routers",
      ],
    ]);
    const pooled = stepsOf(planFlip(healthy, { to: "chi-02", poolMode: "transaction" })).map(({ id }) => id);
    expect(pooled.slice(4, 12)).toEqual(GAP_STEPS.filter((id) => id !== "users"));
  });

  it("suspends the old grant and gives a higher one while PostgreSQL stops", () => {
    const stop = stepsOf(planFlip(healthy, session)).find(({ id }) => id === "stop");
    expect(actionsOf(stop)).toMatchObject([
      { do: "order", site: "dal-01", verb: "stop", until: "checkpoint" },
      {
        do: "grant",
        site: "dal-01",
        expect: { epoch: 1, state: "held" },
        grant: { epoch: 1, state: "suspended" },
      },
      {
        do: "grant",
        site: "chi-02",
        expect: { epoch: 1, state: "none" },
        grant: { epoch: 2, state: "held" },
      },
    ]);
    expect(stop?.undo?.map((action) => action.do)).toEqual(["grant", "grant", "order", "await-primary"]);
  });

  it("can take back every step before the promotion that changed something", () => {
    const steps = stepsOf(planFlip(healthy, { to: "chi-02", poolMode: "transaction" }));
    const before = steps.slice(
      0,
      steps.findIndex(({ final }) => final),
    );
    expect(before.filter(({ undo }) => undo === undefined).map(({ id }) => id)).toEqual([
      "reverse",
      "checkpoint",
      "logins",
      "proof",
    ]);
  });

  it("lets no step after the promotion but grant and primary's word stop the others", () => {
    const steps = stepsOf(planFlip(healthy, session));
    const after = steps.slice(steps.findIndex(({ final }) => final) + 1);
    expect(after.filter(({ mayFail }) => mayFail !== true).map(({ id }) => id)).toEqual([
      "timeline",
      "serve",
    ]);
  });

  const routers = [router({ "dal-01": "UP", "chi-02": "DOWN" })];
  const refusals: readonly (readonly [string, ReturnType<typeof observation>, RegExp])[] = [
    [
      "no room at the target",
      observation([primary("dal-01"), standby("chi-02", { freeBytes: 127 * 1024 ** 2 })]),
      /chi-02 has 127.0 MiB free where its data lies; needed: 128.0 MiB/,
    ],
    ["no primary", observation([to({ name: "dal-01" }), to()]), /no site takes writes/],
    [
      "two primaries",
      observation([from(), primary("chi-02")]),
      /two instances run as primary|is the primary already/,
    ],
    ["a veto", observation([from({ word: "conflict" }), to()], { routers }), /dal-01 says conflict/],
    [
      "no stream",
      observation([from({ streamingTo: [] }), to({ receiver: null })], { routers }),
      /WAL receiver is off/,
    ],
    ["another timeline", observation([from({ timeline: 2 }), to()], { routers }), /timeline 1, dal-01 on 2/],
    [
      "lag",
      observation([from(), to({ lag: { bytes: 2 ** 25, seconds: 1 } })], { routers }),
      /32.0 MiB behind/,
    ],
    [
      "unknown lag",
      observation([from(), to({ lag: { bytes: null, seconds: null } })], { routers }),
      /is not known/,
    ],
    [
      "another version",
      observation([from({ version: 180_005 }), to()], { routers }),
      /runs 180005, chi-02 180006/,
    ],
    ["a paused replay", observation([from(), to({ replayPaused: true })], { routers }), /replay is paused/],
    [
      "an excluded target",
      observation([from({ grant: grant("held", 1, { excluded: ["chi-02"] }) }), to()], { routers }),
      /excluded/,
    ],
    [
      "a target that no grant names",
      observation([from({ grant: grant("held", 1, { peers: [] }) }), to()], { routers }),
      /does not name chi-02/,
    ],
    [
      "a base backup",
      observation(
        [
          from({
            activity: { longestTransactionSeconds: 0, prepared: 0, baseBackups: 1, archiveWaiting: 0 },
          }),
          to(),
        ],
        { routers },
      ),
      /base backup/,
    ],
    [
      "a prepared transaction",
      observation(
        [
          from({
            activity: { longestTransactionSeconds: 0, prepared: 2, baseBackups: 0, archiveWaiting: 0 },
          }),
          to(),
        ],
        { routers },
      ),
      /2 prepared/,
    ],
    [
      "a silent router",
      observation([from(), to()], { routers: [router({}, [], "no answer")] }),
      /HAProxy does not answer: no answer/,
    ],
    [
      "a router that was changed",
      observation([from(), to()], {
        routers: [router({ "dal-01": "UP" }, ["pg-primary is held (maxconn 0)"])],
      }),
      /changed it at run time/,
    ],
    [
      "a router without the primary",
      observation([from(), to()], { routers: [router({ "dal-01": "DOWN" })] }),
      /it has none up/,
    ],
  ];
  it.each(refusals)("is refused with %s", (_, seen, says) => {
    const planned = planFlip(seen, session);
    expect(planned.ok).toBe(false);
    expect(why(planned)).toMatch(says);
  });

  it("minds a long transaction only where a pooler would wait for it", () => {
    const busy = { longestTransactionSeconds: 40, prepared: 0, baseBackups: 0, archiveWaiting: 0 };
    const seen = observation([from({ activity: busy }), to()], { routers });
    expect(planFlip(seen, session).ok).toBe(true);
    expect(why(planFlip(seen, { to: "chi-02", poolMode: "transaction" }))).toMatch(/open for 40.0 s/);
  });

  it("goes to the only other site by itself, and asks where there are more", () => {
    expect(flipTarget(healthy)).toBe("chi-02");
    expect(flipTarget(observation([from(), to(), standby("sto-03")]))).toBeUndefined();
  });

  it("is timed from hold to release, and not at all where its controller died", () => {
    const entry = {
      verb: "flip-db",
      phases: { checkpoint: 900, hold: 2, cut: 3, stop: 90, release: 5, rejoin: 400 },
    };
    expect(gapOf(entry as unknown as LedgerEntry)).toBe(100);
    expect(gapOf({ ...entry, phases: { release: 5 } } as unknown as LedgerEntry)).toBeUndefined();
  });
});

describe("resume after a flip", () => {
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

  it("finishes what was promoted, and clears the routers and the pooler", () => {
    const seen = observation([
      standby("dal-01", { grant: grant("suspended") }),
      primary("chi-02", { grant: grant("held", 2) }),
    ]);
    const resumption = planResume(seen, entry);
    expect(resumption).toMatchObject({ kind: "finish" });
    if (resumption.kind === "stuck") throw new Error(resumption.why);
    const actions = resumption.steps.map(({ action }) => action);
    // Its routers are awaited without overrides: those are cleared before.
    expect(actions[0]).toEqual({ do: "clear-overrides", primary: "chi-02" });
    expect(actions.slice(-2)).toEqual([
      { do: "await-routers", site: "chi-02" },
      { do: "resume-pooler", site: "dal-01" },
    ]);
  });

  it("gives the old primary everything back where nothing was promoted", () => {
    const seen = observation([
      primary("dal-01", { role: "stopped", running: false, mayRun: false, grant: grant("suspended") }),
      standby("chi-02", { grant: grant("held", 2) }),
    ]);
    const resumption = planResume(seen, entry);
    if (resumption.kind === "stuck") throw new Error(resumption.why);
    expect(resumption.kind).toBe("undo");
    expect(resumption.steps.map(({ id }) => id)).toEqual([
      "grant",
      "fence",
      "stop",
      "serve",
      "clear",
      "pooler",
    ]);
  });
});

describe("failover", () => {
  const dead = primary("dal-01", { role: "held", word: "crashed", running: false, ...hears("chi-02") });
  const none = new Map<string, number>();

  it("fences what answers, and excludes nobody", () => {
    const steps = stepsOf(planFailover(observation([dead, to()]), { to: "chi-02", unseen: none }));
    expect(steps.map(({ id }) => id).slice(0, 4)).toEqual(["fence-dal-01", "grant", "promote", "release"]);
    expect(actionsOf(steps[0])).toMatchObject([
      { do: "order", verb: "stop" },
      { do: "grant", grant: { state: "none" } },
    ]);
    expect(steps[1]?.action).toMatchObject({ grant: { epoch: 2, state: "held", excluded: [] } });
  });

  it("excludes what nobody has seen for 30 s, and not what somebody sees", () => {
    const seen = observation([gone("dal-01"), to({ peers: [{ site: "dal-01", answers: false }] })]);
    expect(why(planFailover(seen, { to: "chi-02", unseen: new Map([["dal-01", 12.7]]) }))).toMatch(
      /unseen for 12 s so far/,
    );
    const steps = stepsOf(planFailover(seen, { to: "chi-02", unseen: new Map([["dal-01", 31]]) }));
    expect(steps[0]?.action).toMatchObject({ do: "grant", grant: { excluded: ["dal-01"] } });
    const heard = observation([gone("dal-01"), to()]);
    expect(signOfLife(heard, "dal-01")).toBe("chi-02 hears it");
    expect(why(planFailover(heard, { to: "chi-02", unseen: new Map([["dal-01", 99]]) }))).toMatch(
      /may still write/,
    );
  });

  it("is no way around a primary that works, or a standby that has more", () => {
    expect(planFailover(healthy, { to: "chi-02", unseen: none })).toMatchObject({
      ok: false,
      next: "bin/recovery production flip-db --to chi-02",
    });
    const ahead = standby("sto-03", {
      lsn: { current: null, received: "0/4000000", replayed: "0/4000000", checkpoint: null },
    });
    expect(why(planFailover(observation([dead, to(), ahead]), { to: "chi-02", unseen: none }))).toMatch(
      /fail over to sto-03/,
    );
  });
});

describe("fence and unfence", () => {
  it("suspend a grant and give it back while nobody took over", () => {
    expect(stepsOf(planFence(healthy, "dal-01")).map(({ id }) => id)).toEqual(["stop", "fence"]);
    const fenced = observation([primary("dal-01", { role: "stopped", grant: grant("suspended") }), to()]);
    expect(stepsOf(planUnfence(fenced, "dal-01")).map(({ id }) => id)).toEqual(["grant", "start"]);
    const overtaken = observation([
      primary("dal-01", { role: "stopped", grant: grant("suspended") }),
      primary("chi-02", { grant: grant("held", 2) }),
    ]);
    expect(why(planUnfence(overtaken, "dal-01"))).toMatch(/chi-02 has taken over since/);
    expect(why(planFence(healthy, "chi-02"))).toMatch(/grant is none/);
  });
});

describe("the declared primary", () => {
  const ledger = { ledger: [] };

  it("moves the writes only where the declaration changed", () => {
    const seen = { ...healthy, ...ledger };
    expect(ensurePrimary(seen, "dal-01", undefined).do).toBe("note");
    expect(ensurePrimary(seen, "chi-02", "dal-01").do).toBe("flip");
    expect(ensurePrimary(seen, "chi-02", "chi-02").do).toBe("note");
    expect(ensurePrimary(seen, "dal-01", "chi-02").do).toBe("note");
  });

  it("a new resource moves no running cluster, but for one that was just founded", () => {
    const older = observation([from({ grant: grant("held", 3) }), to({ grant: grant("none", 3) })]);
    expect(ensurePrimary({ ...older, ...ledger }, "chi-02", undefined)).toMatchObject({ do: "refuse" });
    expect(ensurePrimary({ ...healthy, ...ledger }, "chi-02", undefined)).toMatchObject({ do: "flip" });
    expect(ensurePrimary({ ...observation([to()]), ...ledger }, "chi-02", "dal-01")).toMatchObject({
      do: "refuse",
    });
  });

  it("is written into its line of the stack file, and nothing else changes", () => {
    const text =
      "config:\n  # who writes\n  heatwave:primary: dal-01 # today\n  heatwave:sites:\n    - name: dal-01\n";
    expect(withPrimary(text, "chi-02")).toBe(text.replace("primary: dal-01", "primary: chi-02"));
    expect(withPrimary('  heatwave:primary: "dal-01"\n', "chi-02")).toBe('  heatwave:primary: "chi-02"\n');
    expect(withPrimary("config: {}\n", "chi-02")).toBeUndefined();
  });
});

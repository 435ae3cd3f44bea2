import type { GrantView, Observation } from "../observe/observation.ts";
import { activityChecks, mutualChecks, pairChecks, primaryCheck, routerChecks } from "./flip-checks.ts";
import type { PoolMode } from "./flip-checks.ts";
import { excludedSites, expectation, highestEpoch, siteOf } from "./grants.ts";
import type { Granted } from "./promote.ts";
import {
  followingSteps,
  otherChecks,
  promoteStep,
  routersStep,
  servingSteps,
  targetChecks,
} from "./promote.ts";
import type { Check, Planned, Step } from "./step.ts";
import { cutStep, holdStep, proofStep, releaseStep, reserveStep, settleStep } from "./switch-steps.ts";
import { objections } from "./step.ts";

/** Seconds for which connections may wait at the routers, below what applications wait for a connection. */
export const HOLD_SECONDS = 5;
/** Seconds for logins that had begun before the hold. */
const LOGIN_SECONDS = 1;
/** Seconds for running transactions to end, with transaction pooling. */
const PAUSE_SECONDS = 2;
/** Seconds from the order to stop to the last record; two checkpoints were made before. */
const STOP_SECONDS = 15;
/** Seconds for the old primary to serve again, when it goes back; what takes longer is for an operator to see. */
const BACK_SECONDS = 30;

export interface FlipOptions {
  /** Site that takes the writes over. */
  readonly to: string;
  readonly poolMode: PoolMode;
}

/** Steps between the first and the last of these the application cannot write; `users` is of a hand-over alone. */
export const GAP_STEPS = [
  "hold",
  "logins",
  "pause",
  "cut",
  "stop",
  "proof",
  "promote",
  "users",
  "release",
] as const;

/** The only other site, where there are two; else it has to be named. Without a primary: whoever could be meant. */
export function flipTarget(seen: Observation): string | undefined {
  const excluded = excludedSites(seen);
  const others = seen.sites.filter(({ name }) => !seen.primaries.includes(name) && !excluded.includes(name));
  if (seen.primaries.length === 0) return (others.find(({ role }) => role === "standby") ?? others[0])?.name;
  return others.length === 1 ? others[0]?.name : undefined;
}

/**
 * A switchover under load: new connections wait at the routers, the old primary stops cleanly, the standby provably has
 * everything and is promoted, the routers are told. Nothing is started inside the gap: what it needs is open before.
 */
export function planFlip(seen: Observation, { to, poolMode }: FlipOptions): Planned {
  const target = siteOf(seen, to);
  const [primary, ...more] = seen.primaries;
  const from = siteOf(seen, primary ?? "");
  const others = seen.sites.filter((site) => site.name !== to);
  const checks: Check[] = [
    primaryCheck(seen, from, more),
    ...targetChecks(seen, target, to),
    ...(target === undefined ? [] : others.flatMap((other) => otherChecks(seen, target, other))),
    ...(target === undefined || from === undefined
      ? []
      : [...pairChecks(from, target), ...mutualChecks(from, target)]),
    ...(from === undefined ? [] : routerChecks(seen, from)),
    ...(from === undefined ? [] : activityChecks(from, poolMode)),
  ];
  if (from?.grant == null || target?.grant == null || objections(checks).length > 0)
    return { ok: false, checks, next: `bin/recovery ${seen.stack} topology` };
  const before = highestEpoch(seen);
  const epochs = { before, after: before + 1 };
  const timeline = target.timeline ?? target.grant.timeline;
  return {
    ok: true,
    checks,
    plan: {
      verb: "flip-db",
      from: from.name,
      to,
      epochs,
      timeline,
      steps: steps(from as Granted, target as Granted, {
        epoch: epochs.after,
        timeline,
        excluded: excludedSites(seen),
        pause: poolMode !== "session",
      }),
    },
  };
}

interface Settings {
  readonly epoch: number;
  readonly timeline: number;
  readonly excluded: readonly string[];
  readonly pause: boolean;
}

function steps(from: Granted, to: Granted, settings: Settings): Step[] {
  const { epoch, timeline, excluded } = settings;
  const given: GrantView = { ...to.grant, epoch, timeline, state: "held", excluded };
  const suspended: GrantView = { ...from.grant, state: "suspended" };
  return [
    ...before(from, to),
    ...gap(from, to, given, suspended, settings.pause),
    ...after(from, to, given, suspended),
  ];
}

/** Everything slow, while the application writes on. */
function before(from: Granted, to: Granted): Step[] {
  return [
    {
      id: "reverse",
      title: `${from.name} can log in at ${to.name} to follow it`,
      action: { do: "reverse", from: from.name, to: to.name, systemId: from.grant.systemId },
      seconds: 15,
    },
    {
      id: "checkpoint",
      title: `Checkpoint twice at ${from.name}`,
      action: { do: "checkpoint", site: from.name },
      seconds: 300,
    },
    reserveStep(from.name, to.name),
    {
      id: "ready",
      title: "Open what the gap needs, and a guard at every router",
      action: { do: "ready", from: from.name, holdSeconds: HOLD_SECONDS },
      seconds: 20,
      undo: [{ do: "dismiss" }],
    },
  ];
}

function gap(from: Granted, to: Granted, given: GrantView, suspended: GrantView, pause: boolean): Step[] {
  return [
    holdStep,
    {
      // A login that is cut looks to an application like a database that is not there.
      id: "logins",
      title: `Let logins end at ${from.name}'s pooler`,
      action: { do: "await-logins", site: from.name },
      seconds: LOGIN_SECONDS,
    },
    ...(pause
      ? [
          {
            id: "pause",
            title: `Let transactions end at ${from.name}'s pooler`,
            action: { do: "pause", site: from.name },
            seconds: PAUSE_SECONDS,
            undo: [{ do: "resume-pooler", site: from.name }],
          } satisfies Step,
        ]
      : []),
    cutStep(from.name),
    {
      id: "stop",
      title: `Stop PostgreSQL at ${from.name}, and hand its grant to ${to.name}`,
      action: {
        do: "together",
        actions: [
          { do: "order", site: from.name, verb: "stop", until: "checkpoint" },
          { do: "grant", site: from.name, expect: expectation(from.grant), grant: suspended },
          { do: "grant", site: to.name, expect: expectation(to.grant), grant: given },
        ],
      },
      seconds: STOP_SECONDS,
      undo: [
        { do: "grant", site: to.name, expect: expectation(given), grant: to.grant },
        { do: "grant", site: from.name, expect: expectation(suspended), grant: from.grant },
        { do: "order", site: from.name, verb: "start" },
        { do: "await-primary", site: from.name },
      ],
      undoSeconds: BACK_SECONDS,
      undoServes: true,
    },
    proofStep(from.name, to.name, from.grant.systemId),
    promoteStep(to.name),
    releaseStep(to.name),
  ];
}

function after(from: Granted, to: Granted, given: GrantView, suspended: GrantView): Step[] {
  return [
    ...servingSteps(to.name, given),
    {
      id: "stopped",
      title: `PostgreSQL at ${from.name} has ended`,
      action: { do: "await-stopped", site: from.name },
      seconds: 120,
      mayFail: true,
    },
    {
      id: "fence",
      title: `Take the grant from ${from.name}`,
      action: {
        do: "grant",
        site: from.name,
        expect: expectation(suspended),
        grant: { ...suspended, state: "none" },
      },
      seconds: 10,
      mayFail: true,
    },
    ...followingSteps(from.name, to.name),
    settleStep(from.name),
    {
      id: "sessions",
      title: `End what is left of sessions at ${from.name}'s pooler`,
      action: { do: "end-sessions", site: from.name },
      seconds: 20,
      mayFail: true,
    },
    routersStep(to.name),
  ];
}

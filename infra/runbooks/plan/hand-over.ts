import { slotName } from "../../topology/model.ts";
import type { GrantView, LedgerEntry, Observation, SiteView } from "../observe/observation.ts";
import { activityChecks, pairChecks, routerChecks } from "./flip-checks.ts";
import { HOLD_SECONDS } from "./flip.ts";
import { excludedSites, expectation, highestEpoch, siteOf } from "./grants.ts";
import type { Granted } from "./promote.ts";
import { otherChecks, promoteStep, routersStep, servingSteps, targetChecks } from "./promote.ts";
import type { Resumption } from "./resumption.ts";
import type { Check, Planned, Step } from "./step.ts";
import { objections } from "./step.ts";

/**
 * The switchover away from a primary that runs as it was found (docs/adoption.md): as any other one, but for what nobody can
 * ask there. It is stopped as Docker stops it, its control file proves what it wrote last, and it stays stopped until it
 * is converted.
 */

/** Seconds from the order to stop to the last record; two checkpoints were made before. Docker kills after 10. */
const STOP_SECONDS = 15;
/** Seconds in which the standby has to replay the last record. */
const PROOF_SECONDS = 5;
/** Seconds for what was found to serve again, when it goes back. */
const BACK_SECONDS = 30;

/** @param to site that takes the writes over: heatwave's */
export function planHandOver(seen: Observation, to: string): Planned {
  const target = siteOf(seen, to);
  const [primary, ...more] = seen.primaries;
  const from = siteOf(seen, primary ?? "");
  const others = seen.sites.filter(({ name }) => name !== to && name !== from?.name);
  const checks: Check[] = [
    foundCheck(seen, from, more),
    ...targetChecks(seen, target, to),
    ...(target === undefined ? [] : others.flatMap((other) => otherChecks(seen, target, other))),
    ...(target === undefined || from === undefined ? [] : pairChecks(from, target)),
    ...(from === undefined ? [] : [...routerChecks(seen, from), ...activityChecks(from, "session")]),
  ];
  if (from?.systemId == null || target?.grant == null || objections(checks).length > 0)
    return { ok: false, checks, next: `bin/recovery ${seen.stack} topology` };
  const before = highestEpoch(seen);
  const epochs = { before, after: before + 1 };
  const timeline = target.timeline ?? target.grant.timeline;
  const given: GrantView = {
    ...target.grant,
    ...{ epoch: epochs.after, timeline, state: "held", excluded: excludedSites(seen) },
  };
  return {
    ok: true,
    checks,
    plan: {
      verb: "flip-db",
      from: from.name,
      to,
      epochs,
      timeline,
      steps: [
        ...readying(from.name, to),
        ...gap(from.name, from.systemId, target as Granted, given),
        ...after(from.name, to, given, before),
      ],
    },
  };
}

function foundCheck(seen: Observation, from: SiteView | undefined, more: readonly string[]): Check {
  const title = "one running primary, as it was found";
  if (more.length > 0)
    return { title, objection: `two instances run as primary: ${seen.primaries.join(", ")}` };
  if (from === undefined)
    return {
      title,
      objection: `no site takes writes (${seen.sites.map((site) => `${site.name}: ${site.silent ?? site.word ?? site.role}`).join(", ")})`,
    };
  return {
    title: `${from.name} is the one running primary, as it was found`,
    objection:
      from.source === "found"
        ? undefined
        : `${from.name} takes the writes and is heatwave's already; what was found stays stopped until it is converted: bin/adopt ${seen.stack} --convert SITE`,
  };
}

function readying(from: string, to: string): Step[] {
  return [
    {
      id: "slot",
      title: `Keep WAL at ${to} for ${from}`,
      action: { do: "reserve-slot", site: to, slot: slotName(from) },
      seconds: 10,
      undo: [{ do: "free-slots", site: to }],
    },
    {
      id: "checkpoint",
      title: `Checkpoint twice at ${from}, and ready its stop`,
      action: { do: "found-ready", site: from },
      seconds: 300,
      undo: [{ do: "found-leave", site: from }],
    },
    {
      id: "ready",
      title: "Open what the gap needs, and a guard at every router",
      action: {
        do: "together",
        actions: [
          { do: "ready", from, holdSeconds: HOLD_SECONDS, foundPooler: true },
          { do: "found-users-ready", site: to },
        ],
      },
      seconds: 20,
      undo: [{ do: "dismiss" }, { do: "found-leave", site: to }],
    },
  ];
}

function gap(from: string, systemId: string, target: Granted, given: GrantView): Step[] {
  const to = target.name;
  return [
    {
      id: "hold",
      title: "Hold new connections at the routers",
      action: { do: "hold" },
      seconds: 5,
      undo: [{ do: "release" }],
    },
    {
      id: "cut",
      title: `End the sessions at ${from}`,
      action: { do: "cut", site: from },
      seconds: 5,
      undo: [{ do: "uncut", site: from, healthy: true }],
    },
    {
      id: "stop",
      title: `Stop PostgreSQL at ${from}, and give ${to} the grant`,
      action: {
        do: "together",
        actions: [
          { do: "found-stop", site: from },
          { do: "grant", site: to, expect: expectation(target.grant), grant: given },
        ],
      },
      seconds: STOP_SECONDS,
      undo: [
        { do: "grant", site: to, expect: expectation(given), grant: target.grant },
        { do: "found-back", site: from },
        { do: "await-primary", site: from },
      ],
      undoSeconds: BACK_SECONDS,
      undoServes: true,
    },
    {
      id: "proof",
      title: `Prove that ${to} replayed all of ${from}`,
      action: { do: "prove-replay", to, systemId },
      seconds: PROOF_SECONDS,
    },
    promoteStep(to),
    usersStep(to),
    {
      id: "release",
      title: `Let connections through to ${to}`,
      action: { do: "release", up: to },
      seconds: 5,
      mayFail: true,
    },
  ];
}

/** Until then roles have the verifiers that somebody else made: heatwave's pooler could let nobody in. */
const usersStep = (to: string): Step => ({
  id: "users",
  title: `Roles of ${to} have the verifiers that its pooler passes on`,
  action: { do: "found-users", site: to },
  seconds: 15,
});

function after(from: string, to: string, given: GrantView, epoch: number): Step[] {
  return [
    ...servingSteps(to, given),
    keepStep(from, epoch),
    {
      id: "settle",
      title: `The routers take ${from}'s own word again`,
      action: { do: "settle-routers", site: from },
      seconds: 30,
      mayFail: true,
    },
    routersStep(to),
  ];
}

const keepStep = (from: string, epoch: number): Step => ({
  id: "keep",
  title: `${from} stays stopped, and its data may follow`,
  action: { do: "found-keep", site: from, epoch },
  seconds: 120,
  mayFail: true,
});

/** What a dead controller left of it: finished where the target was promoted, else taken back. */
export function resumeHandOver(
  seen: Observation,
  entry: LedgerEntry & { readonly from: string },
): Resumption {
  const { from, epochs } = entry;
  const target = siteOf(seen, entry.to ?? "");
  if (target?.grant == null || target.source !== "control" || epochs === null)
    return {
      kind: "stuck",
      why: `${entry.verb} to ${entry.to ?? "?"}: ${entry.to ?? "the target"} cannot be asked: ${target?.silent ?? "no grant"}`,
      next: `bring it back, then bin/recovery ${seen.stack} resume`,
    };
  const clear = (primary: string): Step => ({
    id: "clear",
    title: "Every router is as its file says",
    action: { do: "clear-overrides", primary },
    seconds: 15,
    mayFail: true,
  });
  if (target.role === "primary")
    return {
      kind: "finish",
      why: `${target.name} was promoted`,
      steps: [
        usersStep(target.name),
        clear(target.name),
        ...servingSteps(target.name, target.grant),
        keepStep(from, epochs.before),
        routersStep(target.name),
      ],
    };
  const { grant } = target;
  const given = grant.epoch === epochs.after;
  return {
    kind: "undo",
    why: `${target.name} was not promoted`,
    steps: [
      // First, so that nobody can be promoted any more when what was found starts.
      ...(given
        ? [
            {
              id: "grant",
              title: `Take the grant from ${target.name}`,
              action: {
                do: "grant",
                site: target.name,
                expect: expectation(grant),
                grant: { ...grant, state: "none", epoch: epochs.before },
              },
              seconds: 10,
            } satisfies Step,
          ]
        : []),
      {
        id: "stop",
        title: `${from} runs as before`,
        action: { do: "found-back", site: from },
        seconds: BACK_SECONDS,
        mayFail: true,
      },
      {
        id: "serve",
        title: `${from} takes writes`,
        action: { do: "await-primary", site: from },
        seconds: BACK_SECONDS,
        mayFail: true,
      },
      clear(from),
      {
        id: "release",
        title: `Let connections through to ${from}`,
        action: { do: "release", up: from },
        seconds: 15,
        mayFail: true,
      },
    ],
  };
}

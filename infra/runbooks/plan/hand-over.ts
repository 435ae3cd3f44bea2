import type { GrantView, LedgerEntry, Observation, SiteView } from "../observe/observation.ts";
import { activityChecks, pairChecks, routerChecks } from "./flip-checks.ts";
import { HOLD_SECONDS } from "./flip.ts";
import { excludedSites, expectation, highestEpoch, siteOf } from "./grants.ts";
import type { Granted } from "./promote.ts";
import { otherChecks, promoteStep, routersStep, servingSteps, targetChecks } from "./promote.ts";
import type { Resumption } from "./resumption.ts";
import type { Check, Planned, Step } from "./step.ts";
import { objections } from "./step.ts";
import {
  clearStep,
  cutStep,
  holdStep,
  proofStep,
  releaseStep,
  reserveStep,
  settleStep,
  takeGrant,
} from "./switch-steps.ts";

/**
 * The switchover away from a primary that runs as it was found (docs/adoption.md): as any other one, but for what nobody can
 * ask there. It is stopped as Docker stops it, its control file proves what it wrote last, and it stays stopped until it
 * is converted.
 */

/** Seconds from the order to stop to the last record; two checkpoints were made before. Docker kills after 10. */
const STOP_SECONDS = 15;
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
    ...(target === undefined || from === undefined
      ? []
      : [...pairChecks(from, target), minorCheck(from, target)]),
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

/** A standby of another minor version may be promoted; back to an older one goes nobody. */
function minorCheck(from: SiteView, target: SiteView): Check {
  const [old, next] = [from.version ?? 0, target.version ?? 0];
  return {
    title: `${target.name} runs ${from.name}'s PostgreSQL, or a newer minor version of it`,
    objection:
      next >= old && Math.floor(next / 10_000) === Math.floor(old / 10_000)
        ? undefined
        : `${from.name} runs ${from.version ?? "?"}, ${target.name} ${target.version ?? "?"}`,
  };
}

function readying(from: string, to: string): Step[] {
  return [
    reserveStep(from, to),
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
    holdStep,
    cutStep(from),
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
    proofStep(from, to, systemId),
    promoteStep(to),
    usersStep(to),
    releaseStep(to),
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
  return [...servingSteps(to, given), keepStep(from, epoch), settleStep(from), routersStep(to)];
}

const keepStep = (from: string, epoch: number): Step => ({
  id: "keep",
  title: `${from} stays stopped, and its data may follow`,
  action: { do: "found-keep", site: from, epoch },
  seconds: 120,
  mayFail: true,
});

/**
 * What a dead controller left of it: finished where the target was promoted, taken back where it certainly was not. What was
 * found has no start rules that would notice a newer timeline, so whatever lies between decides nothing.
 */
export function resumeHandOver(
  seen: Observation,
  entry: LedgerEntry & { readonly from: string },
): Resumption {
  const { from, epochs } = entry;
  const target = siteOf(seen, entry.to ?? "");
  const stuck = (why: string): Resumption => ({
    kind: "stuck",
    why: `${entry.verb} to ${entry.to ?? "?"}: ${why}`,
    next: `bring it back, then bin/recovery ${seen.stack} resume`,
  });
  if (target?.grant == null || target.source !== "control" || epochs === null)
    return stuck(`${entry.to ?? "the target"} cannot be asked: ${target?.silent ?? "no grant"}`);
  if (target.role === "primary")
    return {
      kind: "finish",
      why: `${target.name} was promoted`,
      steps: finishing(from, target as Granted, epochs.before),
    };
  if (
    target.role !== "standby" ||
    target.running !== true ||
    target.heldback !== null ||
    target.timeline !== entry.timelines?.before
  )
    return stuck(
      `${target.name} is no running standby on timeline ${entry.timelines?.before ?? "?"} (${target.word ?? target.role}, timeline ${target.timeline ?? "?"}), so it may have been promoted`,
    );
  const away = seen.hosts.find(({ name }) => name === siteOf(seen, from)?.host)?.unreachable;
  if (away != null)
    return stuck(`${target.name} was not promoted, and the host of ${from} cannot be reached: ${away}`);
  return {
    kind: "undo",
    why: `${target.name} was not promoted`,
    steps: undoing(from, target as Granted, epochs),
  };
}

function finishing(from: string, target: Granted, epoch: number): Step[] {
  return [
    clearStep(target.name),
    keepStep(from, epoch),
    ...servingSteps(target.name, target.grant),
    usersStep(target.name),
    routersStep(target.name),
  ];
}

function undoing(from: string, target: Granted, epochs: LedgerEntry["epochs"]): Step[] {
  return [
    // First, so that nobody can be promoted any more when what was found starts.
    ...takeGrant(target, { epochs }),
    {
      id: "stop",
      title: `${from} runs as before`,
      action: { do: "found-back", site: from },
      seconds: 90,
    },
    {
      id: "serve",
      title: `${from} takes writes`,
      action: { do: "await-primary", site: from },
      seconds: BACK_SECONDS,
      mayFail: true,
    },
    clearStep(from),
    releaseStep(from, 15),
  ];
}

import type { GrantView, Observation, SiteView } from "../observe/observation.ts";
import { lsnBytes } from "../observe/site-state.ts";
import { excludedSites, expectation, highestEpoch, siteOf } from "./grants.ts";
import type { Check, Planned, Step } from "./step.ts";
import { objections } from "./step.ts";

/** Seconds of a fast stop: the shutdown checkpoint, and the standby's last WAL. */
const STOP_SECONDS = 120;
/** Seconds in which the standby has to replay past the shutdown checkpoint. */
const PROOF_SECONDS = 30;

export interface PromoteOptions {
  /** Site to promote. */
  readonly to: string;
  /** Stop the running primary first; without it a running primary is a refusal. */
  readonly stopPrimary: boolean;
}

/**
 * A planned promotion: the old primary is stopped cleanly, the standby has everything, then it is promoted. Nothing
 * acknowledged can be lost, so whatever cannot be proven is refused.
 */
export function planPromote(seen: Observation, { to, stopPrimary }: PromoteOptions): Planned {
  const target = siteOf(seen, to);
  const others = seen.sites.filter((site) => site.name !== to);
  const from = oldPrimary(others);
  const checks = [
    ...targetChecks(seen, target, to),
    ...(target === undefined ? [] : others.flatMap((other) => otherChecks(seen, target, other))),
    from === undefined ? aheadCheck(target, others) : oldChecks(seen, from, stopPrimary),
  ];
  const fail = (next: string): Planned => ({ ok: false, checks, next });
  if (
    target === undefined ||
    target.grant === null ||
    (from !== undefined && from.grant === null) ||
    objections(checks).length > 0
  ) {
    const running = from?.running === true && !stopPrimary;
    const onlyThat = objections(checks).length === 1 && running;
    return fail(
      onlyThat ? `bin/recovery ${seen.stack} flip-db --to ${to}` : `bin/recovery ${seen.stack} topology`,
    );
  }
  const before = highestEpoch(seen);
  const timeline = target.timeline ?? target.grant.timeline;
  const epochs = { before, after: before + 1 };
  const plan = {
    verb: "promote",
    from: from?.name ?? null,
    to,
    epochs,
    timeline,
    steps: steps(target as Granted, from as Granted | undefined, epochs.after, timeline, excludedSites(seen)),
  };
  return { ok: true, checks, plan };
}

export type Granted = SiteView & { readonly grant: GrantView };

/** The site that is primary, or was: its data is no standby's. */
function oldPrimary(others: readonly SiteView[]): SiteView | undefined {
  return (
    others.find((site) => site.role === "primary") ??
    others.find(
      (site) => site.grant?.state === "held" && (site.role !== "standby" || site.heldback !== null),
    ) ??
    others.find((site) => site.role === "stopped" || site.role === "held")
  );
}

export function targetChecks(seen: Observation, target: SiteView | undefined, to: string): Check[] {
  const names = seen.sites.map((site) => site.name).join(", ");
  if (target === undefined)
    return [{ title: `${to} is a site`, objection: `${to} is no site of the stack: ${names}` }];
  const role =
    target.role === "primary"
      ? `${to} is the primary already`
      : target.role !== "standby" || target.running !== true
        ? `${to} is no running standby: ${target.word ?? target.silent ?? target.role}`
        : target.heldback !== null
          ? `${to} is no standby but a primary that is held back`
          : undefined;
  return [
    { title: `${to} is a running standby`, objection: role },
    {
      title: `${to} can be ordered`,
      objection:
        target.source === "control"
          ? undefined
          : `the control socket of ${to}'s pg-health does not answer: ${target.silent ?? "no reason given"}`,
    },
    {
      title: `${to} replays`,
      objection: target.replayPaused ? `replay is paused at ${to}: select pg_wal_replay_resume()` : undefined,
    },
    {
      title: `${to} has a grant`,
      objection: target.grant === null ? `${to} has no grant: it was not founded by this stack` : undefined,
    },
    {
      title: `${to} is not excluded`,
      objection: excludedSites(seen).includes(to)
        ? `${to} is excluded: it may hold writes that were given up`
        : undefined,
    },
  ];
}

/** Everybody else must be seen, be of the same cluster, and know the target. */
export function otherChecks(seen: Observation, target: SiteView, other: SiteView): Check[] {
  if (excludedSites(seen).includes(other.name)) return [];
  const unseen = other.role === "unknown" || other.source !== "control";
  const peers = other.grant?.peers.map((peer) => peer.site) ?? [];
  return [
    {
      title: `${other.name} can be asked`,
      objection: unseen
        ? `${other.name} cannot be asked, so nothing proves what it does: ${other.silent ?? "its control socket does not answer"}`
        : undefined,
    },
    {
      title: `${other.name} is of the same cluster`,
      objection:
        unseen || other.role === "empty" || other.systemId === target.systemId
          ? undefined
          : `${other.name} has system identifier ${other.systemId ?? "none"}, ${target.name} has ${target.systemId ?? "none"}`,
    },
    {
      title: `${other.name} knows ${target.name}`,
      objection:
        unseen || other.grant === null || peers.includes(target.name)
          ? undefined
          : `the grant of ${other.name} does not name ${target.name} among its peers: the stack's next up puts that right`,
    },
  ];
}

/** Nobody is or was the primary: then every site must be a running standby, and none be ahead of the target. */
function aheadCheck(target: SiteView | undefined, others: readonly SiteView[]): Check {
  const title = "no site has more than the target";
  const position = (site: SiteView): bigint => lsnBytes(site.lsn.replayed ?? "0/0");
  for (const other of others) {
    if (other.role !== "standby" || other.running !== true)
      return {
        title,
        objection: `no site is or was the primary, and ${other.name} is no running standby (${other.word ?? other.role}): nothing proves that ${target?.name ?? "the target"} has everything`,
      };
    if (
      target !== undefined &&
      ((other.timeline ?? 0) > (target.timeline ?? 0) || position(other) > position(target))
    )
      return {
        title,
        objection: `${other.name} is ahead: timeline ${other.timeline ?? "?"}, ${other.lsn.replayed ?? "?"}; ${target.name} has timeline ${target.timeline ?? "?"}, ${target.lsn.replayed ?? "?"}`,
      };
  }
  return { title, objection: undefined };
}

function oldChecks(seen: Observation, from: SiteView, stopPrimary: boolean): Check {
  const title = "the old primary is stopped, or may be";
  if (seen.primaries.length > 1)
    return { title, objection: `two instances run as primary: ${seen.primaries.join(", ")}` };
  if (from.grant === null) return { title, objection: `${from.name} has no grant` };
  if (from.role === "primary")
    return {
      title,
      objection: stopPrimary ? undefined : `${from.name} is a running primary; --stop-primary stops it first`,
    };
  if (from.controlState !== "shut down")
    return {
      title,
      objection: `${from.name} did not stop cleanly (${from.controlState ?? "its control file is not known"}): nothing proves that the standby has everything`,
    };
  return { title, objection: undefined };
}

function steps(
  target: Granted,
  from: Granted | undefined,
  epoch: number,
  timeline: number,
  excluded: readonly string[],
): Step[] {
  const given: GrantView = { ...target.grant, epoch, timeline, state: "held", excluded };
  return [
    ...(from === undefined ? [] : leaveSteps(from, target.name)),
    grantStep(target, given),
    promoteStep(target.name),
    ...afterPromotion(target.name, given, from?.name ?? null),
  ];
}

/** @param except what the grant leaves out, in words */
export function grantStep(target: Granted, given: GrantView, except = ""): Step {
  return {
    id: "grant",
    title: `Give ${target.name} the grant of epoch ${given.epoch}${except}`,
    action: { do: "grant", site: target.name, expect: expectation(target.grant), grant: given },
    seconds: 10,
    undo: [{ do: "grant", site: target.name, expect: expectation(given), grant: target.grant }],
  };
}

export function promoteStep(site: string): Step & { readonly final: true } {
  return {
    id: "promote",
    title: `Promote ${site}`,
    action: { do: "order", site, verb: "promote" },
    seconds: 60,
    final: true,
  };
}

/** The old primary stops, the standby has all of it, and its grant is taken. */
function leaveSteps(from: Granted, to: string): Step[] {
  const fenced: GrantView = { ...from.grant, state: "none" };
  const stop: Step = {
    id: "stop",
    title: `Stop PostgreSQL at ${from.name}`,
    action: { do: "order", site: from.name, verb: "stop" },
    seconds: STOP_SECONDS,
    undo: [{ do: "order", site: from.name, verb: "start" }],
    undoServes: true,
  };
  return [
    ...(from.role === "primary" ? [stop] : []),
    {
      id: "proof",
      title: `Prove that ${to} replayed all of ${from.name}`,
      action: { do: "prove", from: from.name, to },
      seconds: PROOF_SECONDS,
    },
    {
      id: "fence",
      title: `Take the grant from ${from.name}`,
      action: { do: "grant", site: from.name, expect: expectation(from.grant), grant: fenced },
      seconds: 10,
      undo: [{ do: "grant", site: from.name, expect: expectation(fenced), grant: from.grant }],
    },
  ];
}

/**
 * What is left to do once the target has left recovery; every part of it may be done again.
 * @param routers those that answer; all by default
 */
export function afterPromotion(
  to: string,
  given: GrantView,
  from: string | null,
  routers?: readonly string[],
): Step[] {
  return [
    ...servingSteps(to, given),
    ...(from === null ? [] : followingSteps(from, to)),
    routersStep(to, routers),
  ];
}

/** The new primary's grant names its timeline, and its health endpoint says primary. */
export function servingSteps(to: string, given: GrantView): Step[] {
  return [
    {
      id: "timeline",
      title: `Write ${to}'s new timeline into its grant`,
      action: { do: "grant", site: to, expect: expectation(given), grant: given, timeline: "promoted" },
      seconds: 20,
    },
    { id: "serve", title: `${to} takes writes`, action: { do: "await-primary", site: to }, seconds: 30 },
  ];
}

/** The old primary follows from its own data. */
export function followingSteps(from: string, to: string): Step[] {
  return [
    {
      id: "rejoin",
      title: `Start ${from} as a standby`,
      action: { do: "order", site: from, verb: "start" },
      seconds: 90,
      mayFail: true,
    },
    {
      id: "stream",
      title: `${from} streams from ${to}`,
      action: { do: "await-streaming", standby: from, primary: to },
      seconds: 60,
      mayFail: true,
    },
    {
      // Left reserved they would keep all WAL of the new primary until max_slot_wal_keep_size.
      id: "slots",
      title: `Free the WAL that ${from}'s idle slots keep`,
      action: { do: "free-slots", site: from },
      seconds: 10,
      mayFail: true,
    },
  ];
}

/** The proof that an application can write: through every router. @param routers those that answer; all by default */
export function routersStep(to: string, routers?: readonly string[]): Step {
  return {
    id: "routers",
    title: `The routers send writes to ${to}, and a write gets there`,
    action: { do: "await-routers", site: to, ...(routers === undefined ? {} : { routers }) },
    seconds: 30,
    mayFail: true,
  };
}

import type { GrantView, Observation, SiteView } from "../observe/observation.ts";
import { lsnBytes } from "../observe/site-state.ts";
import { excludedSites, expectation, highestEpoch, siteOf } from "./grants.ts";
import type { Granted } from "./promote.ts";
import { afterPromotion, grantStep, promoteStep, targetChecks } from "./promote.ts";
import type { Check, Planned, Step } from "./step.ts";
import { objections } from "./step.ts";

/** Seconds for which nobody may have seen a site before it is given up (design §4: a restart is certain for 15 s). */
export const UNSEEN_SECONDS = 30;

/** Seconds of an ordered stop of an instance that may be dead. */
const FENCE_SECONDS = 20;

export interface FailoverOptions {
  readonly to: string;
  /** Seconds for which this run has seen nothing of a site, by name. */
  readonly unseen: ReadonlyMap<string, number>;
}

/** How each site that may have been the primary is kept from writing. */
export interface Suspects {
  /** Its pg-health takes orders: its grant is taken and PostgreSQL is stopped, which is a fence. */
  readonly fenced: readonly Granted[];
  /** Nothing of it answers, here or at any site or router: it is excluded, and that has to be accepted. */
  readonly gone: readonly SiteView[];
}

/** Sites that are no running standby: one of them took the writes last. */
export function suspectsOf(seen: Observation, to: string): Suspects {
  const excluded = excludedSites(seen);
  const others = seen.sites.filter(
    (site) => site.name !== to && !excluded.includes(site.name) && !isStandby(site) && site.role !== "empty",
  );
  return {
    fenced: others.filter((site): site is Granted => site.source === "control" && site.grant !== null),
    gone: others.filter((site) => site.source !== "control" || site.grant === null),
  };
}

function isStandby(site: SiteView): boolean {
  return site.role === "standby" && site.running === true && site.heldback === null;
}

/**
 * Whether nothing is seen of a site: not by the operator, not by a site that can be asked, not by a router.
 * @returns why it is seen, or undefined
 */
export function signOfLife(seen: Observation, name: string): string | undefined {
  const site = siteOf(seen, name);
  const host = seen.hosts.find((one) => one.name === site?.host);
  if (host?.unreachable === null) return `its host ${host.name} answers over SSH`;
  if (site?.word != null) return `its pg-health answers ${site.word}`;
  const hearer = seen.sites.find((one) => one.peers?.some((peer) => peer.site === name && peer.answers));
  if (hearer !== undefined) return `${hearer.name} hears it`;
  const router = seen.routers.find((one) =>
    one.listeners.some((listener) =>
      listener.servers.some((server) => server.site === name && server.status.startsWith("UP")),
    ),
  );
  return router === undefined ? undefined : `router ${router.name} has it up`;
}

/**
 * An unplanned promotion: the old primary is dead, or its site is. What answers is fenced first; what does not must have
 * been unseen for long, is excluded, and somebody has to accept that what it committed alone is given up.
 */
export function planFailover(seen: Observation, { to, unseen }: FailoverOptions): Planned {
  const target = siteOf(seen, to);
  const { fenced, gone } = suspectsOf(seen, to);
  const checks: Check[] = [
    ...targetChecks(seen, target, to),
    servingCheck(seen, to),
    furthestCheck(seen, target),
    ...gone.map((site) => goneCheck(seen, site, unseen.get(site.name) ?? 0)),
  ];
  if (target?.grant == null || objections(checks).length > 0) {
    const serving = seen.sites.some((site) => site.word === "primary");
    return {
      ok: false,
      checks,
      next: serving ? `bin/recovery ${seen.stack} flip-db --to ${to}` : `bin/recovery ${seen.stack} topology`,
    };
  }
  const before = highestEpoch(seen);
  const timeline = target.timeline ?? target.grant.timeline;
  const from = [...fenced, ...gone].map(({ name }) => name);
  return {
    ok: true,
    checks,
    plan: {
      verb: "failover",
      from: fenced[0]?.name ?? gone[0]?.name ?? null,
      to,
      epochs: { before, after: before + 1 },
      timeline,
      steps: steps(target as Granted, fenced, gone, from, {
        epoch: before + 1,
        timeline,
        excluded: [...new Set([...excludedSites(seen), ...gone.map(({ name }) => name)])].toSorted(),
        routers: seen.routers.filter(({ silent }) => silent === null).map(({ name }) => name),
      }),
    },
  };
}

function servingCheck(seen: Observation, to: string): Check {
  const serving = seen.sites.find((site) => site.name !== to && site.word === "primary");
  return {
    title: "nobody takes writes",
    objection:
      serving === undefined ? undefined : `${serving.name} takes writes: flip-db moves them without loss`,
  };
}

/** Of several standbys the one that has most; who cannot be asked may have more, and is not waited for. */
function furthestCheck(seen: Observation, target: SiteView | undefined): Check {
  const title = "no standby that answers has more";
  const position = (site: SiteView): bigint => lsnBytes(site.lsn.received ?? site.lsn.replayed ?? "0/0");
  const ahead = seen.sites.find(
    (site) =>
      target !== undefined &&
      site.name !== target.name &&
      isStandby(site) &&
      !excludedSites(seen).includes(site.name) &&
      ((site.timeline ?? 0) > (target.timeline ?? 0) || position(site) > position(target)),
  );
  return {
    title,
    objection:
      ahead === undefined
        ? undefined
        : `${ahead.name} has ${ahead.lsn.received ?? ahead.lsn.replayed ?? "?"} on timeline ${ahead.timeline ?? "?"}, ${target?.name ?? "?"} ${target?.lsn.received ?? "?"}: fail over to ${ahead.name}`,
  };
}

function goneCheck(seen: Observation, { name }: SiteView, unseenSeconds: number): Check {
  const title = `nobody has seen ${name} for ${UNSEEN_SECONDS} s`;
  const life = signOfLife(seen, name);
  if (life !== undefined) return { title, objection: `${life}, but it takes no orders: it may still write` };
  return {
    title,
    objection:
      unseenSeconds >= UNSEEN_SECONDS ? undefined : `unseen for ${Math.floor(unseenSeconds)} s so far`,
  };
}

interface Settings {
  readonly epoch: number;
  readonly timeline: number;
  readonly excluded: readonly string[];
  /** Those that answer. */
  readonly routers: readonly string[];
}

function steps(
  to: Granted,
  fenced: readonly Granted[],
  gone: readonly SiteView[],
  from: readonly string[],
  { epoch, timeline, excluded, routers }: Settings,
): Step[] {
  const given: GrantView = { ...to.grant, epoch, timeline, state: "held", excluded };
  const except = gone.length === 0 ? "" : `, which excludes ${gone.map(({ name }) => name).join(", ")}`;
  return [
    ...fenced.map((site): Step => fenceStep(site)),
    grantStep(to, given, except),
    promoteStep(to.name),
    {
      id: "release",
      title: `Tell the routers of ${to.name}`,
      action: { do: "release", up: to.name, down: from, routers },
      seconds: 5,
      mayFail: true,
    },
    ...afterPromotion(to.name, given, null, routers),
  ];
}

function fenceStep(site: Granted): Step {
  const fenced: GrantView = { ...site.grant, state: "none" };
  return {
    id: `fence-${site.name}`,
    title: `Fence ${site.name}: take its grant, stop its PostgreSQL`,
    action: {
      do: "together",
      actions: [
        { do: "order", site: site.name, verb: "stop" },
        { do: "grant", site: site.name, expect: expectation(site.grant), grant: fenced },
      ],
    },
    seconds: FENCE_SECONDS,
    undo: [
      { do: "grant", site: site.name, expect: expectation(fenced), grant: site.grant },
      { do: "order", site: site.name, verb: "start" },
    ],
  };
}

import { isHeldBack } from "../judge.ts";
import type { GrantView, Observation, SiteView } from "../observe/observation.ts";
import { excludedSites, expectation, highestEpoch, siteOf } from "./grants.ts";
import type { Check, Plan, Planned, Step } from "./step.ts";
import { objections } from "./step.ts";

/** Peers that are silent to the site and to the operator alike. */
export function goneSites(seen: Observation, site: SiteView): readonly string[] {
  const heard = new Set((site.peers ?? []).filter((peer) => peer.answers).map((peer) => peer.site));
  return (site.grant?.peers ?? [])
    .map((peer) => peer.site)
    .filter((name) => name !== site.name && !heard.has(name) && !answersOperator(seen, name));
}

/** Whether a site shows any sign of life to the operator. */
function answersOperator(seen: Observation, name: string): boolean {
  const site = siteOf(seen, name);
  const host = seen.hosts.find((one) => one.name === site?.host);
  return site !== undefined && (site.word !== null || site.source !== null || host?.unreachable === null);
}

/**
 * Frees a primary that is held back because a peer is silent, and excludes that peer: should it come back, it never
 * takes writes again until it is rejoined or rebuilt. What it committed alone is given up.
 */
export function planStartPeerGone(seen: Observation, name: string): Planned {
  const site = siteOf(seen, name);
  const gone = site === undefined ? [] : goneSites(seen, site);
  const checks = startChecks(seen, site, name, gone);
  if (site?.grant == null || objections(checks).length > 0)
    return { ok: false, checks, next: `bin/recovery ${seen.stack} topology` };
  const before = highestEpoch(seen);
  const timeline = site.timeline ?? site.grant.timeline;
  const plan: Plan = {
    verb: "start",
    from: null,
    to: name,
    epochs: { before, after: before + 1 },
    timeline,
    steps: startSteps(seen, { ...site, grant: site.grant }, gone, before + 1, timeline),
  };
  return { ok: true, checks, plan };
}

function startChecks(
  seen: Observation,
  site: SiteView | undefined,
  name: string,
  gone: readonly string[],
): Check[] {
  const names = seen.sites.map((one) => one.name).join(", ");
  if (site === undefined)
    return [{ title: `${name} is a site`, objection: `${name} is no site of the stack: ${names}` }];
  const answering = (site.grant?.peers ?? [])
    .map((peer) => peer.site)
    .filter((peer) => peer !== name && !gone.includes(peer));
  return [
    {
      title: `${name} can be ordered`,
      objection:
        site.source === "control"
          ? undefined
          : `the control socket of ${name}'s pg-health does not answer: ${site.silent ?? "no reason given"}`,
    },
    {
      title: "nobody takes writes",
      objection: seen.primaries.length === 0 ? undefined : `${seen.primaries.join(", ")} runs as primary`,
    },
    {
      title: `${name} is held back`,
      objection: isHeldBack(site)
        ? undefined
        : `${name} is not a primary that is held back: ${site.word ?? site.role}`,
    },
    {
      title: `${name}'s grant is held`,
      objection:
        site.grant?.state === "held" ? undefined : `${name}'s grant is ${site.grant?.state ?? "not there"}`,
    },
    {
      title: `${name} is not excluded`,
      objection: excludedSites(seen).includes(name)
        ? `${name} is excluded: it may hold writes that were given up`
        : undefined,
    },
    {
      title: "a peer is gone",
      objection:
        gone.length > 0
          ? undefined
          : `every peer shows a sign of life (${answering.join(", ")}): ${name} starts by itself once they all answer it`,
    },
  ];
}

function startSteps(
  seen: Observation,
  site: SiteView & { readonly grant: GrantView },
  gone: readonly string[],
  epoch: number,
  timeline: number,
): Step[] {
  const excluding = (grant: GrantView): GrantView => ({
    ...grant,
    excluded: [...new Set([...grant.excluded, ...gone])].toSorted(),
  });
  const others = seen.sites.filter(
    (other) => other.name !== site.name && other.source === "control" && other.grant !== null,
  );
  const given: GrantView = { ...excluding(site.grant), epoch, timeline, state: "held" };
  return [
    ...others.flatMap((other): Step[] =>
      other.grant === null
        ? []
        : [
            {
              id: `exclude-${other.name}`,
              title: `Tell ${other.name} that ${gone.join(", ")} is excluded`,
              action: {
                do: "grant",
                site: other.name,
                expect: expectation(other.grant),
                grant: excluding(other.grant),
              },
              seconds: 10,
              undo: [{ do: "grant", site: other.name, expect: expectation(other.grant), grant: other.grant }],
            },
          ],
    ),
    {
      id: "grant",
      title: `Give ${site.name} the grant of epoch ${epoch}, which excludes ${gone.join(", ")}`,
      action: { do: "grant", site: site.name, expect: expectation(site.grant), grant: given },
      seconds: 10,
      // pg-health acts on it at once: from here the site may take writes.
      final: true,
    },
    {
      id: "start",
      title: `Start PostgreSQL at ${site.name}`,
      action: { do: "order", site: site.name, verb: "start" },
      seconds: 120,
    },
    {
      id: "serve",
      title: `${site.name} takes writes`,
      action: { do: "await-primary", site: site.name },
      seconds: 60,
    },
    {
      id: "routers",
      title: `The routers send writes to ${site.name}`,
      action: { do: "await-routers", site: site.name },
      seconds: 30,
      mayFail: true,
    },
  ];
}

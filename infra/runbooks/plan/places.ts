import type { HostPlace, Places, SitePlace } from "../../topology/places.ts";
import type { Observation } from "../observe/observation.ts";
import { retireChecks } from "./retire.ts";
import type { Check } from "./step.ts";

/** What another stack file does to the places of hosts and sites, and whether that may be. Pure. */

export interface PlaceChanges {
  /** Same host by name, another address. */
  readonly readdressed: readonly { readonly from: HostPlace; readonly to: HostPlace }[];
  /** Same site by name, another host. */
  readonly moved: readonly { readonly from: SitePlace; readonly to: SitePlace }[];
  readonly retired: readonly string[];
  /** Gone from the file without having been retired. */
  readonly left: readonly SitePlace[];
  /** Ran as they were found, and are to be made anew on their data. */
  readonly converted: readonly string[];
  /** Ran as they were found, and nothing says what is to become of them. */
  readonly dropped: readonly string[];
  /** Said to be converted, and never ran as they were found. */
  readonly unfounded: readonly string[];
  /** Were made here, and are to be adopted. */
  readonly taken: readonly string[];
  readonly added: readonly string[];
}

/** @param last what the last `up` noted; undefined where it is the first that notes */
export function placeChanges(last: Places | undefined, wanted: Places): PlaceChanges {
  const sites = new Map((last?.sites ?? []).map((site) => [site.name, site]));
  const hosts = new Map((last?.hosts ?? []).map((host) => [host.name, host]));
  const stays = new Set(wanted.sites.map(({ name }) => name));
  type State = SitePlace["state"] | undefined;
  const became = (from: readonly State[], to: readonly State[]): readonly string[] =>
    wanted.sites
      .filter(({ name, state }) => to.includes(state) && from.includes(sites.get(name)?.state))
      .map(({ name }) => name);
  return {
    readdressed: wanted.hosts.flatMap((to) => {
      const from = hosts.get(to.name);
      return from === undefined || from.address === to.address ? [] : [{ from, to }];
    }),
    moved: wanted.sites.flatMap((to) => {
      const from = sites.get(to.name);
      return from === undefined || from.host === to.host ? [] : [{ from, to }];
    }),
    retired: wanted.sites
      .filter(({ name, state }) => state === "retired" && sites.get(name)?.state !== "retired")
      .map(({ name }) => name),
    left: [...sites.values()].filter(
      ({ name, state }) => (state === "site" || state === "converted") && !stays.has(name),
    ),
    converted: became(["adopted"], ["converted"]),
    dropped: became(["adopted"], ["site", "retired"]),
    unfounded: last === undefined ? [] : became(["site", undefined], ["converted"]),
    taken: became(["site"], ["adopted"]),
    added: last === undefined ? [] : wanted.sites.map(({ name }) => name).filter((name) => !sites.has(name)),
  };
}

/** True where the stack has to be looked at before the change may be. */
export function needsLook({ readdressed, retired }: PlaceChanges): boolean {
  return readdressed.length > 0 || retired.length > 0;
}

/** What the file alone tells: no look at the stack makes these right. */
export function fileChecks(changes: PlaceChanges): readonly Check[] {
  const { moved, left, readdressed, converted, dropped, unfounded, taken } = changes;
  return [
    ...dropped.map((name): Check => ({
      title: `${name} stays as it was found`,
      objection:
        `${name} runs as it was found: its data has no grant, so its containers cannot simply be made anew in their places. ` +
        "Put heatwave:adopted back; bin/adopt ENV --convert SITE writes how a site is converted (docs/adoption.md)",
    })),
    ...unfounded.map((name): Check => ({
      title: `${name} was adopted before it is converted`,
      objection: `${name} is said to be converted, and never ran as it was found. Take \`converted\` out of its entry`,
    })),
    ...(converted.length < 2
      ? []
      : [
          {
            title: "one site is converted at a time",
            objection: `${converted.join(" and ")} are to be converted at once: one at a time, so that the others stay as they are meanwhile. Put the ids of all but one back (bin/adopt ENV --write)`,
          },
        ]),
    ...taken.map((name): Check => ({
      title: `${name} was made here`,
      objection: `${name} was made by this stack: there is nothing to adopt. Take heatwave:adopted out again`,
    })),
    ...left.map(({ name, host }): Check => ({
      title: `${name} was retired before it left`,
      objection:
        `${name} has left the stack file without being retired: its slots and its place in the other sites' grants would stay behind. ` +
        `Put its entry and its host ${host} back with retired: true, run \`pulumi up\`, and take them out afterwards`,
    })),
    ...moved.map(({ from, to }): Check => ({
      title: `${to.name} stays on ${from.host}`,
      objection:
        `${to.name} is on ${from.host}, and its entry names ${to.host} now: a site is never moved by an edit. ` +
        `Put ${from.host} back; add a site of another name on ${to.host}, flip to it, retire ${to.name}`,
    })),
    ...readdressed.map(({ from, to }): Check => ({
      title: `${to.name} has the key that it had`,
      objection:
        from.key === to.key
          ? undefined
          : `${to.name} has another address (${from.address} → ${to.address}) and another host key: nothing proves that it is the same machine. ` +
            "Change one at a time; another machine is another host, with a site of its own",
    })),
  ];
}

/**
 * What the stack itself must allow. That the machine at the new address is the same one is proven by its key, which
 * the connection demanded, and by the data there.
 * @param answersAt hosts whose key still answers at their old address
 */
export function lookChecks(
  changes: PlaceChanges,
  seen: Observation,
  wanted: Places,
  answersAt: ReadonlySet<string>,
): readonly Check[] {
  return [
    ...changes.readdressed.flatMap(({ from, to }) => addressChecks(seen, wanted, from, to, answersAt)),
    ...changes.retired.flatMap((name) => retireChecks(seen, name)),
  ];
}

function addressChecks(
  seen: Observation,
  wanted: Places,
  from: HostPlace,
  to: HostPlace,
  answersAt: ReadonlySet<string>,
): readonly Check[] {
  const host = seen.hosts.find(({ name }) => name === to.name);
  const here = wanted.sites.filter((site) => site.host === to.name);
  const views = seen.sites.filter(({ host: on }) => on === to.name);
  const known = new Set(
    seen.sites.filter((site) => site.host !== to.name).flatMap((site) => site.systemId ?? []),
  );
  const unreachable = host === undefined ? "it is not in the stack file" : host.unreachable;
  return [
    {
      title: `${to.name} answers at ${to.address} with its key`,
      objection:
        unreachable === null
          ? undefined
          : `${to.name} cannot be reached at ${to.address}: ${unreachable}. Give the machine its new address first (\`tailscale ip -4\` there)`,
    },
    {
      title: `nobody answers with that key at ${from.address}`,
      objection: answersAt.has(to.name)
        ? `a machine with ${to.name}'s key still answers at ${from.address}: two machines with one key, or it has both addresses. Take the old one away first`
        : undefined,
    },
    ...views.flatMap((site): Check[] => [
      {
        title: `${site.name} does not take writes`,
        objection:
          site.role === "primary" || seen.primaries.includes(site.name)
            ? `${site.name} is the primary: its containers would be replaced and its clients cut. Give ${to.name} ${from.address} back, ` +
              `move the writes (bin/recovery ${seen.stack} flip-db), then re-address it; where the old address is gone for good: bin/recovery ${seen.stack} failover`
            : undefined,
      },
      {
        title: `${site.name}'s data is this cluster's`,
        objection:
          unreachable !== null || site.role === "empty"
            ? undefined
            : site.systemId === null
              ? `${site.name} does not say which cluster its data is of: ${site.silent ?? "no reason given"}`
              : known.size === 0 || known.has(site.systemId)
                ? undefined
                : `the data at ${to.address} is of system ${site.systemId}, the cluster is ${[...known].join(", ")}`,
      },
    ]),
    ...(here.length === 0 || seen.primaries.length === 1
      ? []
      : [
          {
            title: "one primary serves meanwhile",
            objection:
              seen.primaries.length === 0
                ? "no site takes writes"
                : `two instances run as primary: ${seen.primaries.join(", ")}`,
          },
        ]),
  ];
}

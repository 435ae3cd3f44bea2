import { slotName } from "../../topology/model.ts";
import type { Observation, SiteView } from "../observe/observation.ts";
import { siteOf } from "./grants.ts";
import type { Action, Check, Step } from "./step.ts";

/** The steps that `rejoin`, `rebuild-standby` and their resumption have in common. Every one may be done again. */

/** A day: a base backup of terabytes over a slow line. */
const COPY_SECONDS = 86_400;
/** Seconds for the WAL that a new standby has to replay before it streams; it is given up earlier where it stalls. */
const FOLLOW_SECONDS = 21_600;
/** Seconds to delete a data directory. */
const DELETE_SECONDS = 1800;

export interface Renewal {
  readonly site: string;
  /** The running primary. */
  readonly primary: string;
  readonly systemId: string;
  /** Of the run: the kept data is named after it. */
  readonly id: string;
  /** Sites whose grants exclude the site. */
  readonly excludedAt: readonly string[];
  /** Every other site. */
  readonly others: readonly string[];
  /** PostgreSQL runs at the site, and may be expected to run again. */
  readonly ran: boolean;
  /** False where it is stopped by order. */
  readonly mayRun: boolean;
}

/** What is to be renewed, from what is seen; undefined where there is not one running primary. */
export function renewalOf(seen: Observation, name: string, id: string): Renewal | undefined {
  const site = siteOf(seen, name);
  const [primary, ...more] = seen.primaries;
  const systemId = siteOf(seen, primary ?? "")?.systemId;
  if (site === undefined || primary === undefined || more.length > 0 || systemId == null || primary === name)
    return undefined;
  return {
    site: name,
    primary,
    systemId,
    id,
    excludedAt: seen.sites
      .filter((other) => other.source === "control" && other.grant?.excluded.includes(name) === true)
      .map((other) => other.name),
    others: seen.sites.filter((other) => other.name !== name).map((other) => other.name),
    ran: site.running === true,
    mayRun: site.mayRun !== false,
  };
}

/** Keeps WAL for the new data while the standby's own slot may be in use. */
export const copySlot = (site: string): string => `${slotName(site)}_rebuild`;

const data = (
  { site, id }: Renewal,
  verb: Extract<Action, { do: "data" }>["verb"],
): Extract<Action, { do: "data" }> => ({ do: "data", site, verb, id });

/** Undoes whatever a copy left: what still runs of it, what it made, the WAL that is kept for it. */
export const forgetCopy = (renewal: Renewal): readonly Action[] => [
  data(renewal, "cancel"),
  data(renewal, "discard"),
  { do: "drop-slot", site: renewal.primary, slot: copySlot(renewal.site) },
];

export function reachStep({ site, primary, systemId }: Renewal): Step {
  return {
    id: "reach",
    title: `${site} can log in at ${primary} for replication`,
    action: { do: "reverse", from: site, to: primary, systemId },
    seconds: 20,
  };
}

export function backupStep(renewal: Renewal): Step {
  const { site, primary, systemId } = renewal;
  return {
    id: "backup",
    title: `Take a base backup of ${primary}, beside the data of ${site}`,
    action: { do: "base-backup", site, from: primary, slot: copySlot(site), systemId },
    seconds: COPY_SECONDS,
    undo: forgetCopy(renewal),
  };
}

export function stopStep(renewal: Renewal): Step {
  const { site, ran, mayRun } = renewal;
  const back: Action = ran ? { do: "order", site, verb: "start" } : data(renewal, "allow");
  return {
    id: "stop",
    title: `Stop PostgreSQL at ${site}`,
    action: { do: "order", site, verb: "stop" },
    seconds: 120,
    ...(mayRun ? { undo: [back] } : {}),
  };
}

/**
 * Both, since the site is away meanwhile. Not earlier than the stop: while a copy is made a slot that nobody reads may be
 * lost, and one that is read cannot be made again.
 */
export function stopAndSlotStep(renewal: Renewal): Step {
  const [stop, slot] = [stopStep(renewal), slotStep(renewal)];
  return {
    ...stop,
    title: `${stop.title}; ${slot.title}`,
    action: { do: "together", actions: [stop.action, slot.action] },
  };
}

/** Where the data lies on ZFS. It is kept when the run fails. */
export function snapshotStep({ site, id }: Renewal, dataset: string): Step {
  return {
    id: "snapshot",
    title: `Take the ZFS snapshot ${dataset}@heatwave-${id}`,
    action: { do: "snapshot", site, id },
    seconds: 60,
  };
}

export function asideStep(renewal: Renewal): Step {
  return {
    id: "aside",
    title: `Put the data of ${renewal.site} aside as kept-${renewal.id}`,
    action: data(renewal, "aside"),
    seconds: 60,
    undo: [data(renewal, "restore")],
  };
}

export function rewindStep(renewal: Renewal, backupBytes: number): Step {
  const { site, primary, systemId, id } = renewal;
  return {
    id: "rewind",
    title: `Rewind it to ${primary}; where that cannot be done, or copies more, take a base backup`,
    action: { do: "rewind", site, from: primary, slot: copySlot(site), systemId, id, backupBytes },
    seconds: COPY_SECONDS,
    // Data that is being rewound is worth nothing until it is whole. Before that it is refused, and put back.
    final: true,
  };
}

export const grantStep = ({ site, primary }: Renewal): Step => ({
  id: "grant",
  title: `${site}'s grant says that it follows ${primary}`,
  action: { do: "join-grant", site, primary },
  seconds: 15,
});

export const adoptStep = ({ site, systemId }: Renewal): Step => ({
  id: "adopt",
  title: `Put the new data of ${site} in place`,
  action: { do: "adopt", site, systemId },
  seconds: 60,
});

export const slotStep = ({ site, primary }: Renewal): Step => ({
  id: "slot",
  title: `${primary} has ${site}'s slot`,
  action: { do: "make-slot", site: primary, slot: slotName(site) },
  seconds: 15,
});

/** @param final there is a way back until it streams */
export function followSteps(renewal: Renewal, final: boolean): readonly Step[] {
  const { site, primary, mayRun } = renewal;
  const stop: Action = { do: "order", site, verb: "stop" };
  return [
    {
      id: "start",
      title: `Start PostgreSQL at ${site}`,
      action: data(renewal, "allow"),
      seconds: 15,
      ...(mayRun ? {} : { undo: [stop] }),
    },
    {
      id: "stream",
      title: `${site} streams from ${primary}`,
      action: { do: "await-following", standby: site, primary },
      seconds: FOLLOW_SECONDS,
      ...(final ? { final } : {}),
    },
  ];
}

/** The same after a swap: it has to be stopped before the old data is put back. */
export function followSwapped(renewal: Renewal): readonly Step[] {
  const stop: Action = { do: "order", site: renewal.site, verb: "stop" };
  return followSteps(renewal, true).map((step) => (step.id === "start" ? { ...step, undo: [stop] } : step));
}

/** What is left once it streams. */
export function cleanSteps(renewal: Renewal, snapshot: boolean): readonly Step[] {
  const { site, primary, others, excludedAt, id } = renewal;
  return [
    ...excludedAt.map((at): Step => ({
      id: `unexclude-${at}`,
      title: `${at} excludes ${site} no longer`,
      action: { do: "unexclude", at, site },
      seconds: 15,
      mayFail: true,
    })),
    {
      id: "slots",
      title: `${site} has a slot for every other site`,
      action: { do: "standby-slots", site, slots: others.map(slotName) },
      seconds: 15,
      mayFail: true,
    },
    {
      id: "copy-slot",
      title: `${primary} keeps no WAL for the copy any more`,
      action: { do: "drop-slot", site: primary, slot: copySlot(site) },
      seconds: 15,
      mayFail: true,
    },
    {
      id: "pooler",
      title: `The pooler of ${site} connects anew`,
      action: { do: "reconnect", site },
      seconds: 30,
      mayFail: true,
    },
    {
      id: "forget",
      title: `Delete the old data of ${site} (kept-${id})`,
      action: data(renewal, "forget"),
      seconds: DELETE_SECONDS,
      mayFail: true,
    },
    ...(snapshot
      ? [
          {
            id: "drop-snapshot",
            title: `Delete the ZFS snapshot heatwave-${id}, where one was taken`,
            action: { do: "drop-snapshot", site, id },
            seconds: 60,
            mayFail: true,
          } satisfies Step,
        ]
      : []),
  ];
}

/** What has to be so for either verb: who is followed is certain, and the site is nobody who may write. */
export function renewChecks(seen: Observation, name: string): Check[] {
  const site = siteOf(seen, name);
  const names = seen.sites.map((one) => one.name).join(", ");
  if (site === undefined)
    return [{ title: `${name} is a site`, objection: `${name} is no site of the stack: ${names}` }];
  const [first] = seen.primaries;
  const primary = siteOf(seen, first ?? "");
  return [
    {
      title: `${name} is not the primary`,
      objection: seen.primaries.includes(name)
        ? `${name} is the primary: move the writes away first (bin/recovery ${seen.stack} flip-db)`
        : undefined,
    },
    { title: "one primary is seen, and serves", objection: primaryObjection(seen, primary) },
    {
      title: `${name} can be ordered`,
      objection:
        site.source === "control"
          ? undefined
          : `the control socket of ${name}'s pg-health does not answer: ${site.silent ?? "no reason given"}`,
    },
    {
      title: `${name} holds no grant`,
      objection:
        site.grant === null || site.grant.state === "none" || seen.primaries.includes(name)
          ? undefined
          : `${name}'s grant is ${site.grant.state}: it may be the one with the newest data. It gives it up by itself once it hears of a newer one`,
    },
    { title: `${name} is of the same cluster`, objection: clusterObjection(site, primary) },
  ];
}

function primaryObjection(seen: Observation, primary: SiteView | undefined): string | undefined {
  if (seen.primaries.length > 1) return `two instances run as primary: ${seen.primaries.join(", ")}`;
  if (primary === undefined) return "no running primary is seen: there is nobody to follow";
  if (primary.source !== "control")
    return `${primary.name} cannot be ordered: ${primary.silent ?? "no reason given"}`;
  return primary.word === "primary"
    ? undefined
    : `${primary.name} runs as primary and serves no writes: ${primary.word ?? "no word"}${primary.why === null ? "" : `, ${primary.why}`}`;
}

function clusterObjection(site: SiteView, primary: SiteView | undefined): string | undefined {
  const own = site.systemId ?? site.grant?.systemId ?? null;
  if (primary === undefined || own === null || own === primary.systemId) return undefined;
  return `${site.name} has system identifier ${own}, ${primary.name} has ${primary.systemId ?? "none"}`;
}

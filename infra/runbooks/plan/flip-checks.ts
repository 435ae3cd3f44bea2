import type { StackConfig } from "../../config/schema.ts";
import type { Observation, SiteView } from "../observe/observation.ts";
import { fullDisk } from "../room.ts";
import { bytesText, durationText } from "../words.ts";
import type { Check } from "./step.ts";

/** What must be so before a switchover begins: repmgr's and autobase's lists, and ours. Pure. */

export type PoolMode = StackConfig["pgbouncer"]["poolMode"];

/** WAL that a standby may be behind when the gap begins, bytes. */
const LAG_BYTES = 16 * 1024 * 1024;
/** Age of a transaction that would hold up a pause, seconds (autobase's limit). */
const TRANSACTION_SECONDS = 15;
/** Segments that wait for the archiver: PostgreSQL does not end before they are away (repmgr warns from 16 on). */
const ARCHIVE_SEGMENTS = 16;

export function primaryCheck(seen: Observation, from: SiteView | undefined, more: readonly string[]): Check {
  const title = "one running primary";
  if (from === undefined)
    return {
      title,
      objection: `no site takes writes (${seen.sites.map((site) => `${site.name}: ${site.word ?? site.role}`).join(", ")}): this is no switchover; see promote and failover`,
    };
  if (more.length > 0)
    return { title, objection: `two instances run as primary: ${seen.primaries.join(", ")}` };
  if (from.word !== "primary")
    return {
      title,
      objection: `${from.name} says ${from.word ?? "nothing"}${from.why === null ? "" : `, ${from.why}`}`,
    };
  return {
    title: `${from.name} is the one running primary`,
    objection: from.grant?.state === "held" ? undefined : `${from.name} holds no grant`,
  };
}

export function pairChecks(from: SiteView, target: SiteView): Check[] {
  if (from.name === target.name) return [];
  const lag = target.lag.bytes;
  return [
    {
      title: `${target.name} streams from ${from.name}`,
      objection:
        target.receiver === "streaming" && from.streamingTo.includes(target.name)
          ? undefined
          : `${target.name}'s WAL receiver is ${target.receiver ?? "off"}, and ${from.name} streams to ${from.streamingTo.join(", ") || "nobody"}`,
    },
    {
      title: `${target.name} is on ${from.name}'s timeline`,
      objection:
        target.timeline === from.timeline
          ? undefined
          : `${target.name} is on timeline ${target.timeline ?? "?"}, ${from.name} on ${from.timeline ?? "?"}`,
    },
    {
      title: `${target.name} is not behind`,
      objection:
        lag === null
          ? `how far ${target.name} is behind is not known`
          : lag <= LAG_BYTES
            ? undefined
            : `${target.name} is ${bytesText(lag)} behind; allowed: ${bytesText(LAG_BYTES)}`,
    },
    {
      title: `${target.name} has room for what it will write`,
      objection: roomObjection(target),
    },
    {
      title: `${target.name}'s pooler lets queries through`,
      objection:
        target.pooler?.login === true
          ? undefined
          : `no query goes through PgBouncer of ${target.name}: docker logs of its container on ${target.host}`,
    },
  ];
}

/** Of two that follow each other: each can be the other's standby, and hears it. */
export function mutualChecks(from: SiteView, target: SiteView): Check[] {
  if (from.name === target.name) return [];
  return [
    {
      title: "both are of one PostgreSQL version",
      objection:
        from.version === target.version
          ? undefined
          : `${from.name} runs ${from.version ?? "?"}, ${target.name} ${target.version ?? "?"}`,
    },
    {
      title: `${from.name} hears ${target.name}`,
      objection:
        from.peers?.some((peer) => peer.site === target.name && peer.answers) === true
          ? undefined
          : `${from.name} hears nothing of ${target.name}, so it could not follow it afterwards`,
    },
  ];
}

function roomObjection(site: SiteView): string | undefined {
  const full = fullDisk(site);
  return full === undefined ? undefined : `${site.name} has ${full}`;
}

export function routerChecks(seen: Observation, from: SiteView): Check[] {
  return seen.routers.map((router) => {
    const title = `router ${router.name} sends writes to ${from.name}`;
    if (router.silent !== null) return { title, objection: `its HAProxy does not answer: ${router.silent}` };
    const writes = router.listeners.filter(({ route }) => route === "write");
    const overrides = writes.flatMap((listener) => listener.overrides);
    if (overrides.length > 0)
      return { title, objection: `somebody changed it at run time: ${overrides.join(", ")}` };
    const up = writes.map(({ servers }) =>
      servers
        .filter(({ status }) => status.startsWith("UP"))
        .map(({ site }) => site)
        .join(", "),
    );
    return up.every((sites) => sites === from.name)
      ? { title, objection: undefined }
      : { title, objection: `it has ${up.join("; ") || "none"} up` };
  });
}

export function activityChecks(from: SiteView, poolMode: PoolMode): Check[] {
  const { activity } = from;
  if (activity === null)
    return [{ title: `${from.name} says what it does`, objection: "its activity cannot be asked" }];
  const oldest = activity.longestTransactionSeconds;
  return [
    {
      title: "no base backup runs",
      objection:
        activity.baseBackups === 0 ? undefined : `${activity.baseBackups} base backup(s) run at ${from.name}`,
    },
    {
      title: "the archiver keeps up",
      objection:
        activity.archiveWaiting < ARCHIVE_SEGMENTS
          ? undefined
          : `${activity.archiveWaiting} segments wait for ${from.name}'s archiver; it does not stop before they are away`,
    },
    {
      title: "no prepared transaction is open",
      objection:
        activity.prepared === 0
          ? undefined
          : `${activity.prepared} prepared transaction(s) at ${from.name}: commit or roll them back first`,
    },
    ...(poolMode === "session"
      ? []
      : [
          {
            title: "no transaction is long",
            objection:
              oldest < TRANSACTION_SECONDS
                ? undefined
                : `a transaction has been open for ${durationText(oldest)} at ${from.name}; allowed: ${TRANSACTION_SECONDS} s, since poolers wait for it to end`,
          },
        ]),
  ];
}

import { slotName } from "../../topology/model.ts";
import type { GrantView, Observation, SiteView } from "../observe/observation.ts";
import { bytesText, durationText } from "../words.ts";
import { excludedSites, expectation, highestEpoch, siteOf } from "./grants.ts";
import type { Granted } from "./promote.ts";
import { afterPromotion, otherChecks, targetChecks } from "./promote.ts";
import type { Check, Planned, Step } from "./step.ts";
import { objections } from "./step.ts";

/** Seconds for which connections may wait at the routers, below what applications wait for a connection. */
export const HOLD_SECONDS = 5;
/** Seconds for logins that had begun before the hold. */
const LOGIN_SECONDS = 0.5;
/** Seconds for running transactions to end, with transaction pooling. */
const PAUSE_SECONDS = 2;
/** Seconds from the order to stop to the last record; two checkpoints were made before. */
const STOP_SECONDS = 15;
/** Seconds in which the standby has to replay the last record. */
const PROOF_SECONDS = 5;

/** WAL that a standby may be behind when the gap begins, bytes. */
const LAG_BYTES = 16 * 1024 * 1024;
/** Age of a transaction that would hold up a pause, seconds (autobase's limit). */
const TRANSACTION_SECONDS = 15;
/** Segments that wait for the archiver: PostgreSQL does not end before they are away (repmgr warns from 16 on). */
const ARCHIVE_SEGMENTS = 16;

export interface FlipOptions {
  /** Site that takes the writes over. */
  readonly to: string;
  readonly poolMode: "session" | "transaction" | "statement";
}

/** Steps between the first and the last of these the application cannot write. */
export const GAP_STEPS = ["hold", "logins", "pause", "cut", "stop", "proof", "promote", "release"] as const;

/** The only other site, where there are two; else it has to be named. */
export function flipTarget(seen: Observation): string | undefined {
  const others = seen.sites.filter(({ name }) => !seen.primaries.includes(name));
  const excluded = excludedSites(seen);
  const usable = others.filter(({ name }) => !excluded.includes(name));
  return usable.length === 1 ? usable[0]?.name : undefined;
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
    ...(target === undefined || from === undefined ? [] : pairChecks(from, target)),
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

function primaryCheck(seen: Observation, from: SiteView | undefined, more: readonly string[]): Check {
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

function pairChecks(from: SiteView, target: SiteView): Check[] {
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
      title: "both are of one PostgreSQL version",
      objection:
        from.version === target.version
          ? undefined
          : `${from.name} runs ${from.version ?? "?"}, ${target.name} ${target.version ?? "?"}`,
    },
    {
      title: `${target.name}'s pooler lets queries through`,
      objection:
        target.pooler?.login === true
          ? undefined
          : `no query goes through PgBouncer of ${target.name}: docker logs of its container on ${target.host}`,
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

function routerChecks(seen: Observation, from: SiteView): Check[] {
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

function activityChecks(from: SiteView, poolMode: FlipOptions["poolMode"]): Check[] {
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
    ...before(from, to, settings.pause),
    ...gap(from, to, given, suspended, settings.pause),
    ...after(from, to, given, suspended),
  ];
}

/** Everything slow, while the application writes on. */
function before(from: Granted, to: Granted, pause: boolean): Step[] {
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
    {
      id: "slot",
      title: `Keep WAL at ${to.name} for ${from.name}`,
      action: { do: "reserve-slot", site: to.name, slot: slotName(from.name) },
      seconds: 10,
      undo: [{ do: "free-slots", site: to.name }],
    },
    {
      id: "ready",
      title: "Open what the gap needs, and a guard at every router",
      action: { do: "ready", from: from.name, holdSeconds: HOLD_SECONDS, pause },
      seconds: 20,
      undo: [{ do: "dismiss" }],
    },
  ];
}

function gap(from: Granted, to: Granted, given: GrantView, suspended: GrantView, pause: boolean): Step[] {
  return [
    {
      id: "hold",
      title: "Hold new connections at the routers",
      action: { do: "hold" },
      seconds: 5,
      undo: [{ do: "release" }],
    },
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
    {
      id: "cut",
      title: `End the sessions at ${from.name}`,
      action: { do: "cut", site: from.name },
      seconds: 5,
      undo: [{ do: "uncut", site: from.name, healthy: true }],
    },
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
    },
    {
      id: "proof",
      title: `Prove that ${to.name} replayed all of ${from.name}`,
      action: { do: "prove-replay", to: to.name, systemId: from.grant.systemId },
      seconds: PROOF_SECONDS,
    },
    {
      id: "promote",
      title: `Promote ${to.name}`,
      action: { do: "order", site: to.name, verb: "promote" },
      seconds: 60,
      final: true,
    },
    {
      id: "release",
      title: `Let connections through to ${to.name}`,
      action: { do: "release", up: to.name },
      seconds: 5,
      mayFail: true,
    },
  ];
}

function after(from: Granted, to: Granted, given: GrantView, suspended: GrantView): Step[] {
  const [timeline, serve, ...rejoin] = afterPromotion(to.name, given, from.name);
  const routers = rejoin.pop();
  return [
    ...(timeline === undefined || serve === undefined ? [] : [timeline, serve]),
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
    ...rejoin,
    {
      id: "settle",
      title: `The routers take ${from.name}'s own word again`,
      action: { do: "settle-routers", site: from.name },
      seconds: 30,
      mayFail: true,
    },
    {
      id: "sessions",
      title: `End what is left of sessions at ${from.name}'s pooler`,
      action: { do: "end-sessions", site: from.name },
      seconds: 20,
      mayFail: true,
    },
    ...(routers === undefined ? [] : [routers]),
  ];
}

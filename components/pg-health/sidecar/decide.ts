/**
 * The start rules: what the brain does next, from the facts alone. Pure, so that every case is a line in a table. Why
 * they are as they are: docs/decisions/0009-start-rules.md.
 */
import type { ClusterData, DataDirectory } from "./data-directory.ts";
import type { EntrypointFacts } from "./entrypoint.ts";
import type { Grant, GrantRecord } from "./grant.ts";
import type { PeerAnswer } from "./peer.ts";
import { followTarget, judgePeers } from "./peer-rules.ts";
import type { PeerVerdict } from "./peer-rules.ts";
import { parseLsn } from "./size.ts";

/** What an operator or a runbook wants of the site; kept over restarts. */
export interface Intent {
  /** False after an ordered stop, until an ordered start. */
  readonly run: boolean;
}

/** Ends of PostgreSQL that nobody ordered, one after the other. */
export interface Failures {
  readonly count: number;
  /** Milliseconds on the brain's monotonic clock. */
  readonly lastAt: number;
}

/** Whose standby.signal this is: made here because a peer was silent, and so removable here. */
export interface Heldback {
  readonly epoch: number;
  readonly timeline: number;
}

/** When the site was last sure to be the rightful primary, on this boot of the host. */
export interface Certainty {
  /** Seconds since the host booted. */
  readonly at: number;
  readonly epoch: number;
}

export interface Facts {
  readonly site: string;
  readonly entrypoint: EntrypointFacts;
  readonly data: DataDirectory;
  readonly grant: GrantRecord;
  readonly intent: Intent;
  readonly heldback: Heldback | undefined;
  /** The last answers of the other sites; one that is too old is a silence. */
  readonly peers: readonly PeerAnswer[];
  readonly certainty: Certainty | undefined;
  /** Seconds since the host booted. */
  readonly clock: number;
  /** Milliseconds for which silence alone has held the site back. */
  readonly silentForMs: number;
  /** Milliseconds of silence after which the site is started in recovery, for reads. */
  readonly silenceMs: number;
  /** A founding is under way and owns the data directory. */
  readonly founding: boolean;
  readonly failures: Failures;
  /** Milliseconds on the brain's monotonic clock. */
  readonly now: number;
}

/** Words of a 503 while PostgreSQL does not run. */
export type IdleWord =
  "empty" | "held" | "waiting" | "stopped" | "crashed" | "busy" | "conflict" | "diverged";
/** Words of a 503 of an instance that runs. */
export type VetoWord = "held" | "superseded" | "conflict" | "fenced" | "suspended";

export interface Veto {
  readonly word: VetoWord;
  readonly why: string;
}

export type Decision =
  /** PostgreSQL runs or is on its way; with a veto it must get no writes. */
  | { readonly do: "nothing"; readonly veto?: Veto }
  | { readonly do: "wait"; readonly word: IdleWord; readonly why: string; readonly retryAt?: number }
  | {
      readonly do: "start";
      readonly as: "primary";
      readonly why: string;
      /** Seconds since boot until which it must accept connections, or be stopped again. */
      readonly until: number;
    }
  | { readonly do: "start"; readonly as: "standby"; readonly why: string }
  /** At rest: standby.signal is made first. */
  | {
      readonly do: "recover";
      readonly why: string;
      readonly note: Heldback | undefined;
      readonly follow: string | undefined;
      readonly epoch: number;
    }
  /** Held back, and now every doubt is gone: the own standby.signal is removed. */
  | { readonly do: "release"; readonly why: string }
  /** Held back, and now another site's claim is newer: a standby like any other. */
  | { readonly do: "settle"; readonly why: string; readonly follow: string; readonly epoch: number }
  /** It runs in the wrong role: stopped, to be started in the right one. */
  | { readonly do: "stop"; readonly veto: Veto };

const FIRST_BACKOFF_MS = 1000;
const LONGEST_BACKOFF_MS = 30_000;
/** Seconds for which a lost certainty still counts: a failover waits for 30 s of silence (design §4). */
export const CERTAIN_SECONDS = 15;

/** Milliseconds between the n-th unordered end and the next start: 0, 1, 2, 4 … 30 s. */
export function backoffMs(count: number): number {
  return count <= 1 ? 0 : Math.min(FIRST_BACKOFF_MS * 2 ** (count - 2), LONGEST_BACKOFF_MS);
}

/** Why a grant does not let this data come up writable; undefined when it does. */
export function grantObjection(record: GrantRecord, data: ClusterData, site: string): string | undefined {
  if (record.kind === "absent") return "there is no grant";
  if (record.kind === "unusable") return `grant.json is unusable: ${record.why}`;
  const { grant } = record;
  if (grant.state !== "held") return `the grant's state is ${grant.state}`;
  if (grant.systemId !== data.control.systemId)
    return `the grant is for system ${grant.systemId}, the data is of ${data.control.systemId}`;
  if (grant.excluded.includes(site)) return "this site is excluded";
  if (!matchesTimeline(grant, data))
    return `the grant is for timeline ${grant.timeline}, the data is on ${data.timeline}`;
  return undefined;
}

function matchesTimeline(grant: Grant, data: ClusterData): boolean {
  if (data.timeline === grant.timeline) return true;
  // A grant written before a promote names the parent of the timeline that the promote made.
  return data.history?.timeline === data.timeline && data.history.parent === grant.timeline;
}

const wait = (word: IdleWord, why: string): Decision => ({ do: "wait", word, why });

export function decide(facts: Facts): Decision {
  const { entrypoint, data } = facts;
  if (!entrypoint.answers) return wait("waiting", entrypoint.why);
  const { status } = entrypoint;
  if (status.postgres === "starting" || status.postgres === "stopping") return { do: "nothing" };
  if (status.postgres === "running")
    return data.kind === "cluster" ? whileRunning(facts, data) : { do: "nothing" };
  if (facts.founding) return wait("busy", "a founding is under way");
  if (status.state.startsWith("busy:")) return wait("busy", `the entrypoint runs ${status.state.slice(5)}`);
  if (data.kind === "empty")
    return wait("empty", "the data directory is empty: it is founded or rebuilt by command only");
  if (data.kind === "unusable") return wait("held", data.why);
  if (!facts.intent.run) return wait("stopped", "stopped by order");
  return data.standbySignal ? restingStandby(facts, data) : restingPrimary(facts, data);
}

/** Whether silence alone keeps the site from being the primary it would be. */
export function heldBySilence(facts: Facts): boolean {
  const { data } = facts;
  if (data.kind !== "cluster" || (data.standbySignal && !isHeldback(facts))) return false;
  if (grantObjection(facts.grant, data, facts.site) !== undefined) return false;
  const running =
    facts.entrypoint.answers && facts.entrypoint.status.postgres === "running" && !data.standbySignal;
  return verdictOf(facts, data, running)?.kind === "silent" && certainUntil(facts) === undefined;
}

/** The seconds since boot until which a start as primary may go on; undefined when it may not. */
export function leaseUntil(facts: Facts): number | undefined {
  const { data } = facts;
  if (data.kind !== "cluster" || grantObjection(facts.grant, data, facts.site) !== undefined)
    return undefined;
  const verdict = verdictOf(facts, data, false);
  if (verdict?.kind === "clear") return facts.clock + CERTAIN_SECONDS;
  return verdict?.kind === "silent" ? certainUntil(facts) : undefined;
}

function verdictOf(facts: Facts, data: ClusterData, running: boolean): PeerVerdict | undefined {
  if (facts.grant.kind !== "grant" || facts.grant.grant.systemId !== data.control.systemId) return undefined;
  return judgePeers({ site: facts.site, grant: facts.grant.grant, data, running }, facts.peers);
}

/** Until when the last certainty of this grant counts; undefined when it is over. */
function certainUntil({ certainty, grant, clock }: Facts): number | undefined {
  if (certainty === undefined || grant.kind !== "grant" || certainty.epoch !== grant.grant.epoch)
    return undefined;
  const until = certainty.at + CERTAIN_SECONDS;
  return clock >= certainty.at && clock < until ? until : undefined;
}

/** Whether the standby.signal is this site's own, made because a peer was silent. */
export function isHeldback({ heldback, grant, data }: Pick<Facts, "heldback" | "grant" | "data">): boolean {
  return (
    heldback !== undefined &&
    grant.kind === "grant" &&
    data.kind === "cluster" &&
    data.standbySignal &&
    heldback.epoch === grant.grant.epoch &&
    heldback.timeline === data.timeline
  );
}

function whileRunning(facts: Facts, data: ClusterData): Decision {
  if (data.standbySignal) return isHeldback(facts) ? runningHeldback(facts, data) : { do: "nothing" };
  const verdict = verdictOf(facts, data, true);
  // Without a usable grant nothing is known that speaks against a primary that runs.
  if (verdict === undefined || facts.grant.kind !== "grant") return { do: "nothing" };
  if (verdict.kind === "newer") return { do: "stop", veto: { word: "superseded", why: verdict.why } };
  const { state } = facts.grant.grant;
  if (state !== "held") {
    const word = state === "none" ? "fenced" : "suspended";
    return { do: "nothing", veto: { word, why: `the grant's state is ${state}` } };
  }
  if (verdict.kind === "conflict") return { do: "nothing", veto: { word: "conflict", why: verdict.why } };
  if (verdict.kind === "clear" || certainUntil(facts) !== undefined) return { do: "nothing" };
  // It ran on while nobody here looked (pg-health was away, the host was frozen): as unsure as a start.
  const veto: Veto = { word: "held", why: reasonOf(verdict) };
  return facts.silentForMs >= facts.silenceMs ? { do: "stop", veto } : { do: "nothing", veto };
}

function runningHeldback(facts: Facts, data: ClusterData): Decision {
  const verdict = verdictOf(facts, data, false);
  if (verdict?.kind === "newer")
    return { do: "settle", why: verdict.why, follow: verdict.follow, epoch: verdict.epoch };
  const objection = grantObjection(facts.grant, data, facts.site);
  const word = verdict?.kind === "conflict" ? "conflict" : "held";
  const veto: Veto = { word, why: objection ?? reasonOf(verdict) };
  const rightful = objection === undefined && verdict?.kind === "clear";
  return rightful ? { do: "stop", veto } : { do: "nothing", veto };
}

function restingStandby(facts: Facts, data: ClusterData): Decision {
  if (isHeldback(facts)) {
    const verdict = verdictOf(facts, data, false);
    if (verdict?.kind === "newer")
      return { do: "settle", why: verdict.why, follow: verdict.follow, epoch: verdict.epoch };
    if (verdict?.kind === "clear" && grantObjection(facts.grant, data, facts.site) === undefined)
      return { do: "release", why: "every peer answers, and none has a newer claim" };
  }
  const fork = divergence(data);
  if (fork !== undefined) return wait("diverged", fork);
  return backedOff(facts) ?? { do: "start", as: "standby", why: "standby.signal is there" };
}

/**
 * Why this data cannot follow the newest timeline that its history files name; undefined as far as that is not known.
 * PostgreSQL itself refuses where its last checkpoint or its minimum recovery point is past the fork; of a primary that
 * crashed nothing is known, and it would replay its own WAL past the fork first. Rewinding is the operator's decision.
 */
function divergence({ control, history }: ClusterData): string | undefined {
  if (history?.switchLsn === undefined || history.parent !== control.timeline) return undefined;
  const forked = parseLsn(history.switchLsn) ?? 0n;
  const past =
    (parseLsn(control.checkpointLsn) ?? 0n) >= forked ||
    (control.minRecoveryTimeline === control.timeline && (parseLsn(control.minRecoveryLsn) ?? 0n) > forked);
  if (!past && control.state !== "in production") return undefined;
  const where = `timeline ${history.timeline} forked from timeline ${control.timeline} at ${history.switchLsn}`;
  return past
    ? `${where}, and this site's data is past that: it has to be rewound or rebuilt`
    : `${where}, and this site crashed as primary: what it wrote past that is not known`;
}

function restingPrimary(facts: Facts, data: ClusterData): Decision {
  const verdict = verdictOf(facts, data, false);
  const recover = (why: string, follow: string | undefined, epoch: number): Decision => ({
    do: "recover",
    why,
    note: undefined,
    follow,
    epoch,
  });
  if (verdict?.kind === "newer") return recover(verdict.why, verdict.follow, verdict.epoch);
  const objection = grantObjection(facts.grant, data, facts.site);
  if (objection !== undefined) {
    const primary = deposedBy(facts, data);
    return primary === undefined
      ? wait("held", objection)
      : recover(`${objection}, and ${primary.site} is the primary`, primary.site, primary.epoch);
  }
  if (verdict?.kind === "conflict") return wait("conflict", verdict.why);
  if (verdict?.kind === "stale") return wait("held", verdict.why);
  const until = leaseUntil(facts);
  if (until !== undefined) {
    const why =
      verdict?.kind === "clear"
        ? "the grant is held and matches the data, and no other site has a newer claim"
        : "the grant is held, and this site was the primary a moment ago";
    return backedOff(facts) ?? { do: "start", as: "primary", why, until };
  }
  const why = reasonOf(verdict);
  if (facts.silentForMs < facts.silenceMs || facts.grant.kind !== "grant") return wait("held", why);
  const { epoch } = facts.grant.grant;
  return {
    do: "recover",
    why: `${why} for ${facts.silenceMs / 1000} s`,
    note: { epoch, timeline: data.timeline },
    follow: undefined,
    epoch,
  };
}

function reasonOf(verdict: PeerVerdict | undefined): string {
  if (verdict === undefined || verdict.kind === "clear") return "every peer answers";
  return verdict.kind === "silent" ? `no answer from ${verdict.why}` : verdict.why;
}

/** Why this site may not be promoted; undefined when it may. */
export function promotionObjection(
  { entrypoint, data, grant, heldback }: Pick<Facts, "entrypoint" | "data" | "grant" | "heldback">,
  site: string,
): string | undefined {
  if (!entrypoint.answers || entrypoint.status.postgres !== "running") return "PostgreSQL does not run";
  if (data.kind !== "cluster") return "there is no usable data";
  if (!data.standbySignal) return "this site is no standby";
  if (isHeldback({ heldback, grant, data })) return "this site is held back, not a standby; start it";
  const objection = grantObjection(grant, data, site);
  if (objection !== undefined || grant.kind !== "grant") return objection;
  // On a child of it the grant would be for a grandparent afterwards, and for nothing after the next restart.
  return grant.grant.timeline === data.timeline
    ? undefined
    : `the grant is for timeline ${grant.grant.timeline}, and a promotion would leave timeline ${data.timeline}`;
}

/** The running primary that took over from a site whose grant was taken away. */
function deposedBy(facts: Facts, data: ClusterData): { site: string; epoch: number } | undefined {
  if (facts.grant.kind !== "grant" || facts.grant.grant.state !== "none") return undefined;
  const { grant } = facts.grant;
  if (grant.systemId !== data.control.systemId) return undefined;
  const site = followTarget({ site: facts.site, grant, data }, facts.peers);
  const answer = facts.peers.find((peer) => peer.site === site);
  const epoch = answer?.answers === true ? (answer.facts.grant?.epoch ?? 0) : 0;
  return site !== undefined && epoch >= grant.epoch ? { site, epoch } : undefined;
}

function backedOff({ failures, now, entrypoint }: Facts): Decision | undefined {
  const retryAt = failures.lastAt + backoffMs(failures.count);
  if (failures.count === 0 || now >= retryAt) return undefined;
  const code = entrypoint.answers ? (entrypoint.status.exitCode ?? "unknown") : "unknown";
  return {
    do: "wait",
    word: "crashed",
    why: `ended ${failures.count} times in a row, last with code ${code}`,
    retryAt,
  };
}

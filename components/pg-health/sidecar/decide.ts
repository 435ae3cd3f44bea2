/**
 * The start rules: what the brain does next, from the facts alone. Pure, so that every case is a line in a table; the
 * next rules (peers, silence, fencing) widen the facts and the cases, not the callers.
 */
import type { DataDirectory } from "./data-directory.ts";
import type { EntrypointFacts } from "./entrypoint.ts";
import type { Grant, GrantRecord } from "./grant.ts";

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

export interface Facts {
  readonly entrypoint: EntrypointFacts;
  readonly data: DataDirectory;
  readonly grant: GrantRecord;
  readonly intent: Intent;
  /** A founding is under way and owns the data directory. */
  readonly founding: boolean;
  readonly failures: Failures;
  /** Milliseconds on the brain's monotonic clock. */
  readonly now: number;
}

/** Words of a 503 while PostgreSQL does not run. */
export type IdleWord = "empty" | "held" | "waiting" | "stopped" | "crashed" | "busy";

export type Decision =
  /** PostgreSQL runs or is on its way; nothing to do. */
  | { readonly do: "nothing" }
  | { readonly do: "wait"; readonly word: IdleWord; readonly why: string; readonly retryAt?: number }
  | { readonly do: "start"; readonly as: "primary" | "standby"; readonly why: string };

const FIRST_BACKOFF_MS = 1000;
const LONGEST_BACKOFF_MS = 30_000;

/** Milliseconds between the n-th unordered end and the next start: 0, 1, 2, 4 … 30 s. */
export function backoffMs(count: number): number {
  return count <= 1 ? 0 : Math.min(FIRST_BACKOFF_MS * 2 ** (count - 2), LONGEST_BACKOFF_MS);
}

/** Why a grant does not let this data come up writable; undefined when it does. */
export function grantObjection(
  record: GrantRecord,
  data: Extract<DataDirectory, { kind: "cluster" }>,
  site?: string,
): string | undefined {
  if (record.kind === "absent") return "there is no grant";
  if (record.kind === "unusable") return `grant.json is unusable: ${record.why}`;
  const { grant } = record;
  if (grant.state !== "held") return `the grant's state is ${grant.state}`;
  if (grant.systemId !== data.control.systemId)
    return `the grant is for system ${grant.systemId}, the data is of ${data.control.systemId}`;
  if (site !== undefined && grant.excluded.includes(site)) return "this site is excluded";
  if (!matchesTimeline(grant, data))
    return `the grant is for timeline ${grant.timeline}, the data is on ${data.timeline}`;
  return undefined;
}

function matchesTimeline(grant: Grant, data: Extract<DataDirectory, { kind: "cluster" }>): boolean {
  if (data.timeline === grant.timeline) return true;
  // A grant written before a promote names the parent of the timeline that the promote made.
  return data.history?.timeline === data.timeline && data.history.parent === grant.timeline;
}

export function decide(facts: Facts): Decision {
  const wait = (word: IdleWord, why: string): Decision => ({ do: "wait", word, why });
  if (!facts.entrypoint.answers) return wait("waiting", facts.entrypoint.why);
  const { status } = facts.entrypoint;
  if (status.postgres === "starting" || status.postgres === "running" || status.postgres === "stopping")
    return { do: "nothing" };
  if (facts.founding) return wait("busy", "a founding is under way");
  if (status.state.startsWith("busy:")) return wait("busy", `the entrypoint runs ${status.state.slice(5)}`);
  if (facts.data.kind === "empty")
    return wait("empty", "the data directory is empty: it is founded or rebuilt by command only");
  if (facts.data.kind === "unusable") return wait("held", facts.data.why);
  if (!facts.intent.run) return wait("stopped", "stopped by order");

  const { data } = facts;
  const objection = data.standbySignal ? undefined : grantObjection(facts.grant, data);
  if (objection !== undefined) return wait("held", objection);

  const retryAt = facts.failures.lastAt + backoffMs(facts.failures.count);
  if (facts.failures.count > 0 && facts.now < retryAt)
    return {
      do: "wait",
      word: "crashed",
      why: `ended ${facts.failures.count} times in a row, last with code ${status.exitCode ?? "unknown"}`,
      retryAt,
    };
  return data.standbySignal
    ? { do: "start", as: "standby", why: "standby.signal is there" }
    : { do: "start", as: "primary", why: "the grant is held and matches the data" };
}

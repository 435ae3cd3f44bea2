/** The grant: a site's own record of whether it may come up writable, and of which cluster it belongs to. */
import { readFile } from "node:fs/promises";
import { writeDurably } from "./files.ts";

/** A site that must be asked before this one comes up writable. */
export interface GrantPeer {
  readonly site: string;
  readonly health: { readonly host: string; readonly port: number };
}

export interface Grant {
  /** The cluster this site was founded into. */
  readonly systemId: string;
  /** Raised by one at each promotion; membership never changes it. */
  readonly epoch: number;
  /** The timeline it was given on; data on a direct child of it matches too. */
  readonly timeline: number;
  readonly state: "none" | "held" | "suspended";
  readonly peers: readonly GrantPeer[];
  /** Sites that never come up writable again until they are rejoined or rebuilt. */
  readonly excluded: readonly string[];
}

export type GrantRecord =
  | { readonly kind: "absent" }
  | { readonly kind: "unusable"; readonly why: string }
  | { readonly kind: "grant"; readonly grant: Grant };

const STATES: readonly unknown[] = ["none", "held", "suspended"];

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length > 0;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1;
}

function isPeer(value: unknown): value is GrantPeer {
  const peer = value as Partial<GrantPeer> | null;
  return (
    typeof peer === "object" && isText(peer?.site) && isText(peer.health?.host) && isCount(peer.health.port)
  );
}

/** The grant in a parsed JSON value, or the reason why it is none. */
export function checkGrant(value: unknown): GrantRecord {
  const unusable = (why: string): GrantRecord => ({ kind: "unusable", why });
  if (typeof value !== "object" || value === null) return unusable("it is not an object");
  const grant = value as Partial<Grant>;
  if (!isText(grant.systemId) || !/^[0-9]{1,20}$/.test(grant.systemId))
    return unusable("systemId is not a decimal number as text");
  if (!isCount(grant.epoch)) return unusable("epoch is not a whole number above 0");
  if (!isCount(grant.timeline)) return unusable("timeline is not a whole number above 0");
  if (!STATES.includes(grant.state)) return unusable("state is none of none, held, suspended");
  if (!Array.isArray(grant.peers) || !grant.peers.every(isPeer))
    return unusable("peers is not a list of peers");
  if (!Array.isArray(grant.excluded) || !grant.excluded.every(isText))
    return unusable("excluded is not a list of sites");
  const { systemId, epoch, timeline, state, peers, excluded } = grant as Grant;
  return { kind: "grant", grant: { systemId, epoch, timeline, state, peers, excluded } };
}

/** Reads `grant.json`. A file that cannot be read or parsed is no grant and is reported as such. */
export async function readGrant(path: string): Promise<GrantRecord> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    return code === "ENOENT" ? { kind: "absent" } : { kind: "unusable", why: `it cannot be read (${code})` };
  }
  try {
    return checkGrant(JSON.parse(text));
  } catch {
    return { kind: "unusable", why: "it is not JSON" };
  }
}

/** Replaces `grant.json`; on return it is on disk. */
export async function writeGrant(path: string, grant: Grant): Promise<void> {
  await writeDurably(path, `${JSON.stringify(grant, null, 2)}\n`);
}

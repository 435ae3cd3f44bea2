/**
 * What the other sites' answers mean for a site that is writable or would come up so. Pure; the rules that call it are
 * in decide.ts, and why they are as they are is in docs/decisions/0009-start-rules.md.
 */
import type { ClusterData } from "./data-directory.ts";
import type { Grant, GrantPeer } from "./grant.ts";
import type { PeerAnswer, PeerFacts } from "./peer.ts";

export type PeerVerdict =
  /** Every site that must be asked answered, and nothing speaks against it. */
  | { readonly kind: "clear" }
  /** Sites that must be asked do not answer; whoever does has no objection. */
  | { readonly kind: "silent"; readonly sites: readonly string[]; readonly why: string }
  /** Another site's claim is newer: it is to be followed. */
  | { readonly kind: "newer"; readonly why: string; readonly epoch: number; readonly follow: string }
  /** A newer promotion is known of, but whose it was cannot be seen: nobody to follow, and not the primary either. */
  | { readonly kind: "stale"; readonly why: string }
  /** Two sites have the same claim: nobody can tell which is right. */
  | { readonly kind: "conflict"; readonly site: string; readonly why: string };

export interface Claim {
  readonly site: string;
  readonly grant: Grant;
  readonly data: ClusterData;
  /** PostgreSQL runs on the data as a primary. */
  readonly running: boolean;
}

/** The highest epoch that an answer of the same system knows of; 0 where none does. */
export function highestEpoch(systemId: string, answers: readonly PeerAnswer[]): number {
  return Math.max(0, ...sameSystem(systemId, answers).map((peer) => peer.grant?.epoch ?? 0));
}

/** Answers that count: of the same system, or of a site that has no data of any. */
function sameSystem(systemId: string, answers: readonly PeerAnswer[]): readonly PeerFacts[] {
  return answers.flatMap((answer) =>
    answer.answers && foreign(systemId, answer.facts) === undefined ? [answer.facts] : [],
  );
}

/** The identifier of another system that a peer's data or grant belongs to. */
function foreign(systemId: string, peer: PeerFacts): string | undefined {
  return (
    [peer.systemId, peer.grant?.systemId ?? null].find((id) => id !== null && id !== systemId) ?? undefined
  );
}

/** Judges a claim to be the primary by what the other sites answer. */
export function judgePeers(own: Claim, answers: readonly PeerAnswer[]): PeerVerdict {
  const { systemId } = own.grant;
  const peers = sameSystem(systemId, answers);
  const considered = peers.filter((peer) => !own.grant.excluded.includes(peer.site));
  for (const peer of considered) {
    const why = newerClaim(own, peer);
    if (why !== undefined) {
      const epoch = Math.max(own.grant.epoch, highestEpoch(systemId, answers));
      return { kind: "newer", why, epoch, follow: primaryOf(own, considered)?.site ?? peer.site };
    }
  }
  for (const peer of peers) {
    const why = sameClaim(own, peer);
    if (why !== undefined) return { kind: "conflict", site: peer.site, why };
  }
  const knows = considered.find((peer) => (peer.grant?.epoch ?? 0) > own.grant.epoch);
  if (!own.running && knows !== undefined)
    return {
      kind: "stale",
      why: `${knows.site} knows of epoch ${knows.grant?.epoch ?? 0}, this site's grant is of ${own.grant.epoch}`,
    };
  const silent = own.grant.peers
    .filter((peer) => peer.site !== own.site && !own.grant.excluded.includes(peer.site))
    .flatMap((peer) => {
      const why = silence(systemId, peer, answers);
      return why === undefined ? [] : [{ site: peer.site, why }];
    });
  if (silent.length === 0) return { kind: "clear" };
  return {
    kind: "silent",
    sites: silent.map(({ site }) => site),
    why: silent.map(({ site, why }) => `${site} (${why})`).join(", "),
  };
}

/** Why a peer's claim is newer than the own one; undefined when it is not. */
function newerClaim({ site, grant, data, running }: Claim, peer: PeerFacts): string | undefined {
  const other = peer.grant;
  if (
    other !== null &&
    other.state === "held" &&
    higher(other.epoch, peer.timeline, grant.epoch, data.timeline)
  )
    return `${peer.site} holds the grant of epoch ${other.epoch} with data on timeline ${peer.timeline ?? "unknown"}`;
  // Whoever was told to go on without this site does; another site's note of it may be from before a rejoin.
  if (other?.excluded.includes(site) === true && (other.state === "held" || other.epoch >= grant.epoch))
    return `${peer.site} was told to go on without this site (epoch ${other.epoch})`;
  // A running primary yields to a held grant alone: a standby that somebody promoted by hand must not take it down.
  if (running) return undefined;
  if (peer.timeline !== null && peer.timeline > data.timeline)
    return `${peer.site} has data on timeline ${peer.timeline}, this site on ${data.timeline}`;
  return undefined;
}

function higher(epoch: number, timeline: number | null, ownEpoch: number, ownTimeline: number): boolean {
  return epoch > ownEpoch || (epoch === ownEpoch && (timeline ?? 0) > ownTimeline);
}

/** Why a peer's claim is worth as much as the own one; undefined when it is not. */
function sameClaim({ site, grant, data, running }: Claim, peer: PeerFacts): string | undefined {
  const other = peer.grant;
  const held = other?.state === "held" && other.epoch === grant.epoch && peer.timeline === data.timeline;
  if (grant.excluded.includes(peer.site))
    return other?.state === "held" && other.excluded.includes(site)
      ? `this site and ${peer.site} were each told to go on without the other`
      : undefined;
  if (peer.role === "primary" && (held || !running))
    return `${peer.site} runs as primary on timeline ${peer.timeline ?? "unknown"} too`;
  if (peer.role === "held" && held && !running)
    return `${peer.site} holds a grant of the same epoch ${grant.epoch} with data on the same timeline ${data.timeline}`;
  return undefined;
}

/** Why a peer's answer is none. A site without data answers: there is nothing that could be newer. */
function silence(systemId: string, peer: GrantPeer, answers: readonly PeerAnswer[]): string | undefined {
  const answer = answers.find((candidate) => candidate.site === peer.site);
  if (answer === undefined) return "not asked yet";
  if (!answer.answers) return answer.why;
  const other = foreign(systemId, answer.facts);
  if (other !== undefined) return `it is of system ${other}`;
  return answer.facts.role === "unusable" ? "its data or its grant cannot be read" : undefined;
}

/** The running primary with the newest held grant; undefined when there is none or more than one. */
function primaryOf({ data }: Pick<Claim, "data">, peers: readonly PeerFacts[]): PeerFacts | undefined {
  const primaries = peers
    .filter(
      (peer) =>
        peer.role === "primary" && peer.grant?.state === "held" && (peer.timeline ?? 0) >= data.timeline,
    )
    .toSorted((a, b) => rank(b) - rank(a));
  const [first, second] = primaries;
  return first !== undefined && second !== undefined && rank(first) === rank(second) ? undefined : first;
}

function rank(peer: PeerFacts): number {
  return (peer.grant?.epoch ?? 0) * 2 ** 24 + (peer.timeline ?? 0);
}

/** The site that a standby follows: the running primary, as far as one can be seen. */
export function followTarget(
  own: Omit<Claim, "running">,
  answers: readonly PeerAnswer[],
): string | undefined {
  const peers = sameSystem(own.grant.systemId, answers).filter(
    (peer) => !own.grant.excluded.includes(peer.site),
  );
  return primaryOf(own, peers)?.site;
}

/**
 * The grant as it should be kept by what is seen, or undefined when it is right: declared sites that have data of the
 * cluster are its peers, at their declared addresses; a grant that is not held knows the epoch of the primary that it
 * sees, so that the next promotion takes a higher one even if that primary is gone for good; a held one names the
 * timeline that its promotion made. A grant that nobody has acted on yet teaches nothing: its runbook may take it back.
 */
export function tendGrant(
  own: Claim,
  declared: readonly GrantPeer[],
  answers: readonly PeerAnswer[],
): Grant | undefined {
  const { grant, data, running, site } = own;
  const founded = new Set(
    sameSystem(grant.systemId, answers)
      .filter((peer) => peer.systemId === grant.systemId)
      .map((peer) => peer.site),
  );
  const known = grant.peers.map((peer) => declared.find((entry) => entry.site === peer.site) ?? peer);
  const joined = declared.filter(
    (entry) =>
      entry.site !== site && founded.has(entry.site) && !grant.peers.some((peer) => peer.site === entry.site),
  );
  const primary = primaryOf(own, sameSystem(grant.systemId, answers));
  const child = data.history?.timeline === data.timeline && data.history.parent === grant.timeline;
  const next: Grant = {
    ...grant,
    epoch: grant.state === "none" ? Math.max(grant.epoch, primary?.grant?.epoch ?? 0) : grant.epoch,
    timeline: running && grant.state === "held" && child ? data.timeline : grant.timeline,
    peers: [...known, ...joined],
  };
  return JSON.stringify(next) === JSON.stringify(grant) ? undefined : next;
}

/** What founding does next, from the facts. Pure: every case is a line in a table. */
import type { PeerAnswer, PeerFacts } from "./peer.ts";
import type { RoleFacts } from "./site.ts";

export type FoundingPlan =
  /** The site has its data. */
  | { readonly do: "nothing"; readonly systemId: string; readonly role: "primary" | "standby" }
  | { readonly do: "refuse"; readonly why: string }
  | { readonly do: "wait"; readonly why: string }
  | { readonly do: "initdb" }
  /** A founding stopped between grant and rename: the scratch directory is what the grant names. */
  | { readonly do: "finish"; readonly systemId: string }
  | { readonly do: "basebackup"; readonly systemId: string; readonly from: string; readonly epoch: number };

export interface FoundingFacts {
  readonly site: string;
  /** Names in the stack file's order; the first one founds. */
  readonly sites: readonly string[];
  readonly own: RoleFacts;
  /** The identifier in the scratch directory's control file, if there is one. */
  readonly scratchSystemId: string | undefined;
  readonly peers: readonly PeerAnswer[];
}

function identifiersOf(peer: PeerFacts): readonly string[] {
  return [peer.systemId, peer.grant?.systemId ?? null].filter((id) => id !== null);
}

/** What founding does next. Pure: every case is a line in a table. */
export function planFounding(facts: FoundingFacts): FoundingPlan {
  const { own, site } = facts;
  const refuse = (why: string): FoundingPlan => ({ do: "refuse", why });
  if (own.data.kind === "unusable") return refuse(own.data.why);
  if (own.grant.kind === "unusable") return refuse(`grant.json is unusable: ${own.grant.why}`);

  const answering = facts.peers.flatMap((peer) => (peer.answers ? [peer.facts] : []));
  const ownId = own.data.kind === "cluster" ? own.data.control.systemId : undefined;
  const granted = own.grant.kind === "grant" ? own.grant.grant : undefined;
  if (ownId !== undefined && granted === undefined)
    return refuse(
      `${site} has data of system ${ownId} without a grant: heatwave did not found it, so it was left untouched. ` +
        `If nobody needs it, move that volume away (its name is \`volume\` of ${site} in the stack file); then run \`pulumi up\` again`,
    );
  if (ownId !== undefined && granted !== undefined && ownId !== granted.systemId)
    return refuse(`the data is of system ${ownId}, but this site's grant is for system ${granted.systemId}`);

  const foreign = answering.find((peer) =>
    identifiersOf(peer).some((id) => granted !== undefined && id !== granted.systemId),
  );
  if (foreign !== undefined && granted !== undefined)
    return refuse(
      `${foreign.site} belongs to system ${identifiersOf(foreign).find((id) => id !== granted.systemId) ?? ""}, ` +
        `this site to ${granted.systemId}`,
    );
  if (own.data.kind === "cluster")
    return {
      do: "nothing",
      systemId: own.data.control.systemId,
      role: own.data.standbySignal ? "standby" : "primary",
    };

  if (granted?.state === "held") {
    if (facts.scratchSystemId === granted.systemId) return { do: "finish", systemId: granted.systemId };
    return refuse(
      `this site holds the grant of system ${granted.systemId}, but its data directory is empty: ` +
        `founding never makes a second cluster; bring the volume back, or rebuild this site from a standby`,
    );
  }
  const unusable = answering.find((peer) => peer.role === "unusable");
  if (unusable !== undefined)
    return refuse(`${unusable.site} has a data directory or a grant that cannot be used; look there first`);

  const known = [...new Set([...answering.flatMap(identifiersOf), ...(granted ? [granted.systemId] : [])])];
  if (known.length > 1) return refuse(`the sites belong to different systems: ${known.join(", ")}`);
  const ungranted = answering.find(
    (peer) => peer.systemId !== null && peer.grant === null && peer.role !== "standby",
  );
  if (ungranted !== undefined)
    return refuse(
      `${ungranted.site} has data of system ${ungranted.systemId ?? ""} without a grant; look there first`,
    );
  const systemId = known[0];
  if (systemId !== undefined) return join(systemId, answering);

  const first = facts.sites[0];
  if (first !== site)
    return { do: "wait", why: `${first ?? "the first site"} has not founded the cluster yet` };
  const silent = facts.peers.filter((peer) => !peer.answers);
  if (silent.length > 0)
    return {
      do: "wait",
      why: `no answer from ${silent.map((peer) => `${peer.site} (${peer.why})`).join(", ")}`,
    };
  return { do: "initdb" };
}

function join(systemId: string, peers: readonly PeerFacts[]): FoundingPlan {
  const primaries = peers.filter((peer) => peer.role === "primary" && peer.systemId === systemId);
  const [primary, second] = primaries;
  if (primary === undefined) return { do: "wait", why: `no primary of system ${systemId} answers` };
  if (second !== undefined)
    return { do: "refuse", why: `two primaries answer: ${primary.site} and ${second.site}` };
  return { do: "basebackup", systemId, from: primary.site, epoch: primary.grant?.epoch ?? 1 };
}

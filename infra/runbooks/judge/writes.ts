import type { Observation, SiteView } from "../observe/observation.ts";
import { command, list } from "./finding.ts";
import type { Finding } from "./finding.ts";

/** Who takes writes, or why nobody does. */

export function primaries(seen: Observation): Finding[] {
  const conflicts = seen.sites.filter((site) => site.word === "conflict");
  if (seen.primaries.length > 1) {
    const told = seen.sites
      .filter((site) => site.role === "primary")
      .map(
        (site) =>
          `${site.name} (timeline ${site.timeline ?? "?"}, epoch ${site.grant?.epoch ?? "?"}, answers ${site.word ?? "nothing"})`,
      );
    const older = olderPrimary(seen);
    return [
      {
        code: "two-primaries",
        level: "alarm",
        text: `Two instances could take writes: ${list(told)}.`,
        next:
          older === undefined
            ? `no command decides this: compare their data, then ${command(seen, "stop SITE")} for the one whose writes are given up`
            : command(seen, `stop ${older.name}`),
      },
    ];
  }
  if (conflicts.length > 0)
    return [
      {
        code: "conflict",
        level: "alarm",
        text: `${list(conflicts.map((site) => site.name))} met equal claims on one timeline, so none takes writes: ${conflicts[0]?.why ?? "no reason given"}.`,
        next: `no command decides this: compare their data, then ${command(seen, "stop SITE")} for the one whose writes are given up`,
      },
    ];
  const [primary] = seen.sites.filter((site) => site.role === "primary");
  if (primary !== undefined && primary.word !== "primary")
    return [
      {
        code: "not-serving",
        level: "alarm",
        text: `${primary.name} runs as primary and no router sends it writes: its pg-health ${primary.word === null ? "does not answer" : `says ${primary.word}${primary.why === null ? "" : `, ${primary.why}`}`}.`,
        next:
          primary.word === "fenced"
            ? command(seen, "resume")
            : primary.word === null
              ? `docker restart of its pg-health container on ${primary.host}; last words: docker logs`
              : command(seen, "topology --watch"),
      },
    ];
  return [];
}

/** The one whose claim is the lower, where that is certain. */
function olderPrimary(seen: Observation): SiteView | undefined {
  const rank = (site: SiteView): number => (site.grant?.epoch ?? 0) * 1e6 + (site.timeline ?? 0);
  const running = seen.sites.filter((site) => site.role === "primary").toSorted((a, b) => rank(a) - rank(b));
  const [lowest, next] = running;
  return lowest !== undefined && next !== undefined && rank(lowest) < rank(next) ? lowest : undefined;
}

export function heldBack(seen: Observation): Finding[] {
  if (seen.primaries.length > 0) return [];
  const held = seen.sites.filter((site) => isHeldBack(site));
  if (held.length > 0)
    return held.map((site): Finding => {
      const silent = (site.peers ?? []).filter((peer) => !peer.answers).map((peer) => peer.site);
      return {
        code: "held-back",
        level: "alarm",
        text: `${site.name} was primary and is held back${silent.length > 0 ? `, since ${list(silent)} ${silent.length === 1 ? "is" : "are"} silent` : `: ${site.why ?? "no reason given"}`}; nobody takes writes.`,
        next: `bring ${silent.length > 0 ? list(silent) : "the others"} back, which frees it; or ${command(seen, `start ${site.name} --peer-gone`)}, which gives up whatever a silent site committed alone after ${site.name} went down (it says how much may be lost, and asks)`,
      };
    });
  const reached = seen.sites.filter((site) => site.role !== "unknown");
  if (reached.length === 0)
    return [
      {
        code: "unreachable",
        level: "alarm",
        text: "No site can be seen from here.",
        next: "check your own connection to the tailnet and the SSH agent (ssh-add -l)",
      },
    ];
  const fenced = fencedSite(seen);
  return [
    {
      code: "no-primary",
      level: "alarm",
      text: `No site takes writes: ${fenced === undefined ? "" : `${fenced.name} was fenced; `}${told(seen)}.`,
      next:
        fenced === undefined
          ? wayOut(seen)
          : `${command(seen, `unfence ${fenced.name}`)}; or ${wayOut(seen)}`,
    },
  ];
}

/** Whose right to write was taken while nobody else got it. */
function fencedSite({ sites }: Observation): SiteView | undefined {
  if (sites.some(({ grant }) => grant?.state === "held")) return undefined;
  return sites.find(({ grant, source }) => grant?.state === "suspended" && source === "control");
}

/** A site that would be the primary if its peers answered. */
export function isHeldBack(site: SiteView): boolean {
  return (
    site.word === "held" && (site.heldback !== null || (site.role === "held" && site.grant?.state === "held"))
  );
}

function told(seen: Observation): string {
  return seen.sites.map((site) => `${site.name} ${site.word ?? site.role}`).join(", ");
}

function wayOut(seen: Observation): string {
  const stopped = seen.sites.find((site) => site.mayRun === false && site.grant?.state === "held");
  if (stopped !== undefined) return command(seen, `start ${stopped.name}`);
  const candidates = seen.sites.filter((site) => site.role === "standby" && site.running === true);
  const unseen = seen.sites.filter((site) => site.role === "unknown");
  const best = candidates.toSorted((a, b) => (b.timeline ?? 0) - (a.timeline ?? 0))[0];
  if (best === undefined) return command(seen, "topology --watch");
  const failover = command(seen, `failover --to ${best.name}`);
  if (unseen.length > 0)
    return `bring ${list(unseen.map((site) => site.name))} back; or ${failover}, which says how much may be lost, and asks`;
  // Only who stopped cleanly can be proven to have nothing more.
  const dirty = seen.sites.some(
    (site) =>
      site !== best && site.role !== "standby" && site.role !== "empty" && site.controlState !== "shut down",
  );
  return dirty
    ? `${failover}, which says how much may be lost, and asks`
    : command(seen, `promote ${best.name}`);
}

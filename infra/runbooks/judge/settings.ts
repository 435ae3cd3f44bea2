import { slotName } from "../../topology/model.ts";
import { fullDisk } from "../room.ts";
import type { Observation } from "../observe/observation.ts";
import { command, list } from "./finding.ts";
import type { Finding } from "./finding.ts";

/** What is not as declared or rendered. */

export function routers(seen: Observation): Finding[] {
  return seen.routers.flatMap((router): Finding[] => {
    if (router.silent !== null)
      return [
        {
          code: "router-silent",
          level: "warning",
          text: `The router on ${router.name} cannot be asked: ${router.silent}.`,
          next: `docker ps -a and docker logs of ${router.container} on ${router.name}`,
        },
      ];
    const overrides = router.listeners.flatMap((listener) => listener.overrides);
    if (overrides.length === 0) return [];
    return [
      {
        code: "override",
        level: "warning",
        text: `The router on ${router.name} is not as rendered: ${overrides.join(", ")}.`,
        next: `docker restart ${router.container} on ${router.name}, which cuts its sessions; or undo it at its admin socket`,
      },
    ];
  });
}

export function settings(seen: Observation): Finding[] {
  const findings: Finding[] = [];
  for (const site of seen.sites) {
    const full = fullDisk(site);
    if (full !== undefined)
      findings.push({
        code: "disk-full",
        level: site.role === "primary" ? "alarm" : "warning",
        text: `${site.name} runs out of room: ${full}.`,
        next: `free or add space on ${site.host}: docker system df there${(site.leftovers ?? []).length === 0 ? "" : `; beside the data lie ${list(site.leftovers ?? [])} (docs/recovery.md)`}`,
      });
    const lost = (site.slots ?? []).filter((slot) => slot.walStatus === "lost").map((slot) => slot.name);
    if (lost.length > 0)
      findings.push({
        code: "slot-lost",
        level: "warning",
        text: `At ${site.name} the slot${lost.length > 1 ? "s" : ""} ${list(lost)} lost the WAL that a standby still needs.`,
        next: command(seen, `rebuild-standby ${standbyOf(seen, lost[0] ?? "") ?? "SITE"}`),
      });
    if (site.pooler !== null && site.running === true && !(site.pooler.admin && site.pooler.login))
      findings.push({
        code: "pooler",
        level: site.role === "primary" ? "warning" : "notice",
        text: `PgBouncer of ${site.name} ${site.pooler.admin ? "answers, but no query goes through it" : "does not answer"}.`,
        next: `docker logs of its container on ${site.host}`,
      });
    const waiting = (site.pendingRestart ?? []).map(
      ({ name, running, file }) => `${name} ${running} → ${file}`,
    );
    if (waiting.length > 0)
      findings.push({
        code: "pending-restart",
        level: "notice",
        text: `${site.name} waits for a restart: ${waiting.join(", ")}.`,
        next:
          site.role === "standby"
            ? command(seen, `restart ${site.name}`)
            : `${command(seen, `restart ${site.name}`)} when writes may pause; a limit that was raised: the standbys first`,
      });
  }
  const [primary] = seen.primaries;
  if (seen.primaries.length === 1 && primary !== undefined && primary !== seen.declared)
    findings.push({
      code: "not-declared",
      level: "notice",
      text: `${primary} takes writes, the stack file declares ${seen.declared}.`,
      next: `set heatwave:primary to ${primary} in Pulumi.${seen.stack}.yaml; or ${command(seen, `flip-db --to ${seen.declared}`)}`,
    });
  return findings;
}

/** The site that a slot is named after. */
function standbyOf(seen: Observation, slot: string): string | undefined {
  return seen.sites.find((site) => slotName(site.name) === slot)?.name;
}

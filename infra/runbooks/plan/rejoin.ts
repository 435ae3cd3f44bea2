import { slotName } from "../../topology/model.ts";
import type { Observation, SiteView } from "../observe/observation.ts";
import { lsnBytes } from "../observe/site-state.ts";
import type { Survey } from "../observe/survey.ts";
import { siteOf } from "./grants.ts";
import { planOf } from "./rebuild.ts";
import type { Renewal } from "./renew-steps.ts";
import {
  adoptStep,
  asideStep,
  cleanSteps,
  followSteps,
  grantStep,
  reachStep,
  renewalOf,
  renewChecks,
  rewindStep,
  slotStep,
  snapshotStep,
  stopStep,
} from "./renew-steps.ts";
import type { Planned, Step } from "./step.ts";
import { objections } from "./step.ts";

/** How a site comes back: as it is, or with its data rewound or taken anew; and why. */
export interface RejoinWay {
  readonly way: "follow" | "renew";
  readonly why: string;
}

/** From what is seen. Where it cannot be told, following is tried: that changes nothing. */
export function rejoinWay(site: SiteView, primary: SiteView, survey: Survey): RejoinWay {
  const { name } = site;
  const follow = (why: string): RejoinWay => ({ way: "follow", why });
  const renew = (why: string): RejoinWay => ({ way: "renew", why });
  if (primary.streamingTo.includes(name)) return follow(`${name} streams from ${primary.name}`);
  if (site.word === "diverged") return renew(site.why ?? `${name}'s data has diverged`);
  if (site.timeline === null) return follow(`${name}'s timeline is not known`);
  const grown = grownApart(site, primary, survey);
  if (grown !== undefined) return renew(grown);
  if (site.timeline === primary.timeline) {
    const slot = primary.slots?.find((one) => one.name === slotName(name));
    return slot?.walStatus === "lost"
      ? renew(`${primary.name} has removed WAL that ${name} needs (its slot is lost)`)
      : follow(`${name} is on ${primary.name}'s timeline ${site.timeline}`);
  }
  const fork = survey.forks?.find(({ timeline }) => timeline === site.timeline);
  if (survey.forks === null) return follow(`where ${primary.name}'s timeline forked is not known`);
  if (fork === undefined)
    return renew(`${name}'s timeline ${site.timeline} is no part of ${primary.name}'s past`);
  const forked = `${primary.name}'s timeline left timeline ${fork.timeline} at ${fork.lsn}`;
  const past = (lsn: string | null): boolean => lsn !== null && lsnBytes(lsn) > lsnBytes(fork.lsn);
  if (past(site.lsn.replayed) || past(site.lsn.received))
    return renew(`${forked}, and ${name} has replayed ${site.lsn.replayed ?? site.lsn.received ?? ""}`);
  // A checkpoint's position is where its record begins.
  if (site.lsn.checkpoint !== null && lsnBytes(site.lsn.checkpoint) >= lsnBytes(fork.lsn))
    return renew(`${forked}, and ${name}'s last checkpoint is at ${site.lsn.checkpoint}`);
  if (site.running !== true && site.controlState === "in production")
    return renew(`${forked}, and ${name} crashed as primary: what it wrote past that is not known`);
  return follow(`${forked}, and ${name} has nothing past that`);
}

/**
 * Why the data is past a fork though the site is said to be on the primary's timeline: that is the one that its WAL receiver
 * asked for, also where it was refused. What was replayed is on the control file's.
 */
function grownApart(site: SiteView, primary: SiteView, { forks }: Survey): string | undefined {
  const { recovery, receiver } = site;
  if (recovery === null || receiver === "streaming" || site.timeline !== primary.timeline) return undefined;
  const fork = forks?.find(({ timeline }) => timeline === recovery.timeline);
  return fork !== undefined && lsnBytes(recovery.lsn) > lsnBytes(fork.lsn)
    ? `${primary.name}'s timeline left timeline ${fork.timeline} at ${fork.lsn}, and ${site.name} has replayed that timeline up to ${recovery.lsn}`
    : undefined;
}

/** Brings a site back that was excluded or has diverged: it follows the primary, and nobody excludes it any more. */
export function planRejoin(
  seen: Observation,
  { site: name, survey, id }: { readonly site: string; readonly survey: Survey; readonly id: string },
): Planned {
  const site = siteOf(seen, name);
  const checks = [
    ...renewChecks(seen, name),
    {
      title: `${name} has data`,
      objection:
        site?.role === "empty" || site?.role === "unusable"
          ? `${name} has no data that could be brought back: bin/recovery ${seen.stack} rebuild-standby ${name}`
          : undefined,
    },
    {
      title: "the primary is the one that was asked",
      objection:
        survey.primary === null || survey.primary === seen.primaries[0]
          ? undefined
          : `it was ${survey.primary} a moment ago: try again`,
    },
  ];
  const renewal = renewalOf(seen, name, id);
  const primary = siteOf(seen, renewal?.primary ?? "");
  if (site === undefined || renewal === undefined || primary === undefined || objections(checks).length > 0)
    return { ok: false, checks, next: `bin/recovery ${seen.stack} topology` };
  const { way, why } = rejoinWay(site, primary, survey);
  const told = {
    title: way === "follow" ? `it can follow as it is: ${why}` : `it cannot follow as it is: ${why}`,
    objection: undefined,
  };
  const steps = way === "follow" ? asItIs(renewal) : renewed(renewal, survey);
  return { ok: true, checks: [...checks, told], plan: planOf(seen, "rejoin", renewal, steps) };
}

function asItIs(renewal: Renewal): readonly Step[] {
  const nothingKept = new Set(["forget", "copy-slot", "pooler"]);
  return [
    reachStep(renewal),
    grantStep(renewal),
    slotStep(renewal),
    ...followSteps(renewal, true),
    ...cleanSteps(renewal, false).filter(({ id }) => !nothingKept.has(id)),
  ];
}

function renewed(renewal: Renewal, { dataset, backupBytes }: Survey): readonly Step[] {
  return [
    reachStep(renewal),
    {
      id: "checkpoint",
      title: `Write a checkpoint at ${renewal.primary}: a rewind reads its timeline from there`,
      action: { do: "checkpoint", site: renewal.primary },
      seconds: 300,
    },
    stopStep(renewal),
    ...(dataset === null ? [] : [snapshotStep(renewal, dataset)]),
    asideStep(renewal),
    rewindStep(renewal, backupBytes ?? 0),
    grantStep(renewal),
    adoptStep(renewal),
    slotStep(renewal),
    ...followSteps(renewal, false),
    ...cleanSteps(renewal, dataset !== null),
  ];
}

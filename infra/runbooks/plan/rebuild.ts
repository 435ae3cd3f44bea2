import type { Observation } from "../observe/observation.ts";
import type { Survey } from "../observe/survey.ts";
import { bytesText } from "../words.ts";
import { highestEpoch, siteOf } from "./grants.ts";
import type { Renewal } from "./renew-steps.ts";
import {
  adoptStep,
  asideStep,
  backupStep,
  cleanSteps,
  followSwapped,
  grantStep,
  renewalOf,
  renewChecks,
  snapshotStep,
  stopAndSlotStep,
} from "./renew-steps.ts";
import type { Check, Plan, Planned, Step } from "./step.ts";
import { objections } from "./step.ts";

/** WAL that comes along with a base backup, and room to breathe, bytes. */
const SPARE_BYTES = 256 * 1024 ** 2;

/** The site that a rebuild means when none is named: the only one that is not the primary. */
export function rebuildTarget(seen: Observation): string | undefined {
  const [only, ...more] = seen.sites.map(({ name }) => name).filter((name) => !seen.primaries.includes(name));
  return more.length === 0 ? only : undefined;
}

/**
 * A new base backup is taken beside the old data while that goes on as it is, and put in its place by rename; the old
 * data is deleted only when the new one streams.
 */
export function planRebuild(
  seen: Observation,
  { site, survey, id }: { readonly site: string; readonly survey: Survey; readonly id: string },
): Planned {
  const checks = [...renewChecks(seen, site), ...surveyChecks(seen, site, survey)];
  const renewal = renewalOf(seen, site, id);
  if (renewal === undefined || objections(checks).length > 0)
    return { ok: false, checks, next: `bin/recovery ${seen.stack} topology` };
  return {
    ok: true,
    checks,
    plan: planOf(seen, "rebuild-standby", renewal, rebuildSteps(renewal, survey.dataset)),
  };
}

function rebuildSteps(renewal: Renewal, dataset: string | null): readonly Step[] {
  return [
    backupStep(renewal),
    stopAndSlotStep(renewal),
    ...(dataset === null ? [] : [snapshotStep(renewal, dataset)]),
    asideStep(renewal),
    grantStep(renewal),
    adoptStep(renewal),
    ...followSwapped(renewal),
    ...cleanSteps(renewal, dataset !== null),
  ];
}

/** A renewal moves no grant: its epoch stays. */
export function planOf(
  seen: Observation,
  verb: "rejoin" | "rebuild-standby",
  { site, primary }: Renewal,
  steps: readonly Step[],
): Plan {
  const epoch = highestEpoch(seen);
  const timeline = siteOf(seen, primary)?.timeline ?? 0;
  return { verb, from: primary, to: site, epochs: { before: epoch, after: epoch }, timeline, steps };
}

function surveyChecks(seen: Observation, site: string, survey: Survey): Check[] {
  return [
    {
      title: "the primary is the one whose size was asked",
      objection:
        survey.primary === null || survey.primary === seen.primaries[0]
          ? undefined
          : `it was ${survey.primary} a moment ago: try again`,
    },
    {
      title: `${site} can log in at ${survey.primary ?? "the primary"} for replication`,
      objection: survey.noLogin ?? undefined,
    },
    { title: roomTitle(survey), objection: roomObjection(seen, site, survey) },
  ];
}

function roomTitle({ freeBytes, backupBytes }: Survey): string {
  return freeBytes === null || backupBytes === null
    ? "there is room"
    : `there is room: ${bytesText(freeBytes)} free for about ${bytesText(roomFor(backupBytes))}`;
}

const roomFor = (backupBytes: number): number => backupBytes * 1.1 + SPARE_BYTES;

/** Why there is no room for a base backup beside the data; undefined when there is. */
export function roomObjection(seen: Observation, name: string, survey: Survey): string | undefined {
  const { freeBytes, backupBytes } = survey;
  if (freeBytes === null || backupBytes === null)
    return `it is not known: ${survey.problems.join("; ") || "nobody could be asked"}`;
  if (freeBytes >= roomFor(backupBytes)) return undefined;
  const site = siteOf(seen, name);
  const kept = (site?.leftovers ?? []).filter((entry) => entry !== "scratch");
  return (
    `${site?.host ?? name} has ${bytesText(freeBytes)} free where the data lies, a base backup needs about ${bytesText(roomFor(backupBytes))}: ` +
    `free or add space there${kept.length === 0 ? "" : ` (beside the data lie ${kept.join(", ")})`}`
  );
}

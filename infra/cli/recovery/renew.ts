import { runRunbook } from "../../runbooks/execute/runbook.ts";
import type { RunbookEnd } from "../../runbooks/execute/runbook.ts";
import type { Observation } from "../../runbooks/observe/observation.ts";
import { observe } from "../../runbooks/observe/observe.ts";
import type { Stack } from "../../runbooks/observe/observe.ts";
import { survey } from "../../runbooks/observe/survey.ts";
import { planRebuild, rebuildTarget } from "../../runbooks/plan/rebuild.ts";
import { planRejoin } from "../../runbooks/plan/rejoin.ts";
import { objections } from "../../runbooks/plan/step.ts";
import type { Planned } from "../../runbooks/plan/step.ts";
import { RunbookError } from "../../runbooks/runbook-error.ts";
import { paintFor } from "../engine/paint.ts";
import { exitCodes } from "./exit-codes.ts";
import type { RebuildOptions, YesOption } from "./program.ts";
import { checkLines, planLines } from "./runbook-text.ts";
import { askFirst, runbook, withStack } from "./verbs.ts";

const paint = paintFor(process.stderr, process.env);
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Brings a site back that was excluded, or whose data has diverged. */
export function rejoinVerb(name: string, site: string, options: YesOption): Promise<number> {
  return withStack(name, async (stack) => {
    const asked = await survey(stack, await observe(stack), site);
    return run(stack, `Bring ${site} back?`, options, (seen, id) =>
      planRejoin(seen, { site, survey: asked, id }),
    );
  });
}

/** Gives a standby new data by a base backup; with `--dry-run` says how. */
export function rebuildVerb(
  name: string,
  named: string | undefined,
  options: RebuildOptions,
): Promise<number> {
  return withStack(name, async (stack) => {
    const first = await observe(stack);
    const site = named ?? rebuildTarget(first);
    if (site === undefined)
      throw new RunbookError(
        "usage",
        `which site is rebuilt? Known: ${first.sites.map((one) => one.name).join(", ")}`,
        `bin/recovery ${name} rebuild-standby SITE`,
      );
    const asked = await survey(stack, first, site);
    const plan = (seen: Observation, id: string): Planned => planRebuild(seen, { site, survey: asked, id });
    if (options.dryRun === true) return dryRun(plan(first, "ID"));
    return run(stack, `Rebuild ${site} from a new base backup?`, options, plan);
  });
}

function run(
  stack: Stack,
  question: string,
  { yes }: YesOption,
  plan: (seen: Observation, id: string) => Planned,
): Promise<number> {
  return runbook(stack, async (io) => {
    const end = await runRunbook({ ...io, confirm: askFirst(() => question, yes === true) }, plan);
    repeatNotes(end);
    return end;
  });
}

/** They are long gone from the screen, and a snapshot or lost WAL is what an operator looks for now. */
function repeatNotes({ entry, outcome }: RunbookEnd): void {
  if (outcome.result !== "done") for (const note of entry.notes ?? []) say(`${paint.yellow("!")} ${note}`);
}

function dryRun(planned: Planned): number {
  checkLines(planned.checks, paint).forEach(say);
  if (!planned.ok) throw new RunbookError("refused", objections(planned.checks).join("; "), planned.next);
  planLines(planned.plan, paint).forEach(say);
  say("Nothing was changed.");
  return exitCodes.done;
}

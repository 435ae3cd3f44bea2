import type { RunbookEnd, RunbookIo } from "../../runbooks/execute/runbook.ts";
import { runRunbook } from "../../runbooks/execute/runbook.ts";
import type { LedgerEntry, Observation } from "../../runbooks/observe/observation.ts";
import { observe, siteToHandOver } from "../../runbooks/observe/observe.ts";
import type { Stack } from "../../runbooks/observe/observe.ts";
import { flipTarget, GAP_STEPS, planFlip } from "../../runbooks/plan/flip.ts";
import { planHandOver } from "../../runbooks/plan/hand-over.ts";
import { objections } from "../../runbooks/plan/step.ts";
import type { Planned } from "../../runbooks/plan/step.ts";
import { RunbookError } from "../../runbooks/runbook-error.ts";
import { spanText } from "../../runbooks/words.ts";
import { declarePrimary } from "../../config/declared-primary.ts";
import { paintFor } from "../engine/paint.ts";
import { PROJECT } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import type { FlipOptions } from "./program.ts";
import { checkLines, gapOf, planLines } from "./runbook-text.ts";
import { askFirst, runbook, withStack } from "./verbs.ts";

const paint = paintFor(process.stderr, process.env);
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Flips that are looked at for the gap to expect. */
const RECENT = 20;

/** Moves the writes to another site, also away from one that runs as it was found; with `--dry-run` says how. */
export function flipVerb(name: string, options: FlipOptions): Promise<number> {
  return withStack(name, (stack) => flipOf(stack, options), true);
}

async function flipOf(stack: Stack, options: FlipOptions): Promise<number> {
  const { name } = stack;
  const found = siteToHandOver(stack) !== undefined;
  const plan = (seen: Observation): Planned => {
    const to = targetOf(seen, options.to);
    return found ? planHandOver(seen, to) : planFlip(seen, { to, poolMode: stack.config.pgbouncer.poolMode });
  };
  if (options.dryRun === true) return dryRun(stack, plan);
  const flip = async (io: Omit<RunbookIo, "confirm">): Promise<RunbookEnd> => {
    const end = await runRunbook(
      { ...io, confirm: askFirst((agreed) => `Move the writes to ${agreed.to}?`, options.yes === true) },
      plan,
    );
    const { to } = end.entry;
    if (end.outcome.result !== "done" || to === null) return end;
    return options.keepDeclared === true || declare(name, to) ? { ...end, declared: to } : end;
  };
  return runbook(stack, flip, exitCodes, options.json === true);
}

/** The next preview would else want the writes back. Returns whether the stack file says so. */
function declare(name: string, site: string): boolean {
  try {
    const file = declarePrimary(PROJECT, name, site);
    if (file !== undefined)
      say(
        `${paint.green("✓")} ${file} declares ${site} now: commit it; the next \`pulumi up\` notes it and moves nothing`,
      );
    return true;
  } catch (error) {
    say(`${paint.yellow("!")} the stack file still declares another site: ${(error as Error).message}`);
    return false;
  }
}

async function dryRun(stack: Stack, plan: (seen: Observation) => Planned): Promise<number> {
  const seen = await observe(stack);
  const planned = plan(seen);
  checkLines(planned.checks, paint).forEach(say);
  if (!planned.ok) throw new RunbookError("refused", objections(planned.checks).join("; "), planned.next);
  planLines(planned.plan, paint, GAP_STEPS).forEach(say);
  say(expectedGap(seen.ledger));
  return exitCodes.done;
}

/** @throws {RunbookError} usage, where there is more than one site to choose from */
function targetOf(seen: Observation, named: string | undefined): string {
  const to = named ?? flipTarget(seen);
  if (to !== undefined) return to;
  const names = seen.sites.map(({ name }) => name).filter((name) => !seen.primaries.includes(name));
  throw new RunbookError(
    "usage",
    `which site takes the writes over? Known: ${names.join(", ")}`,
    "--to SITE",
  );
}

function expectedGap(ledger: readonly LedgerEntry[]): string {
  const gaps = ledger
    .filter((entry) => entry.verb === "flip-db")
    .slice(0, RECENT)
    .flatMap((entry) => gapOf(entry) ?? [])
    .toSorted((a, b) => a - b);
  const middle = gaps[Math.floor(gaps.length / 2)];
  return middle === undefined
    ? "Nothing was changed. No flip is in the ledger yet, so its gap is not known; new connections wait for it."
    : `Nothing was changed. Expected: writes stop for about ${spanText(middle)}, as in the last ${gaps.length === 1 ? "flip" : `${gaps.length} flips`} (longest ${spanText(gaps.at(-1) ?? 0)}).`;
}

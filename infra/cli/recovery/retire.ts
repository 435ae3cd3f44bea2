import { observe } from "../../runbooks/observe/observe.ts";
import type { Stack } from "../../runbooks/observe/observe.ts";
import { runRunbook } from "../../runbooks/execute/runbook.ts";
import { planRetire } from "../../runbooks/plan/retire.ts";
import { objections } from "../../runbooks/plan/step.ts";
import { RunbookError } from "../../runbooks/runbook-error.ts";
import { beforeRetirement } from "../../topology/model.ts";
import { paintFor } from "../engine/paint.ts";
import { runApart } from "./apart.ts";
import { exitCodes } from "./exit-codes.ts";
import type { RetireOptions } from "./program.ts";
import { checkLines, planLines } from "./runbook-text.ts";
import { askFirst, runbook, withStack } from "./verbs.ts";

const paint = paintFor(process.stderr, process.env);
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** The stack with the sites that are about to leave it among the others. */
export function withStackBefore<T>(name: string, work: (stack: Stack) => Promise<T>): Promise<T> {
  return withStack(name, (stack) => work({ ...stack, topology: beforeRetirement(stack.topology) }));
}

/**
 * Run by the stack's retirement command, after everything else of an `up`. What the operator has to know of what stays
 * goes to stdout, which `up` shows.
 */
export async function ensureRetiredVerb(name: string, site: string): Promise<number> {
  const code = await runApart(`${name}-retirement-${site}.log`, [name, "retire", site, "--yes"]);
  if (code === exitCodes.done) process.stdout.write(await whatStays(name, site));
  return code;
}

function whatStays(name: string, siteName: string): Promise<string> {
  return withStack(name, (stack) => {
    const site = stack.topology.retired.find((one) => one.name === siteName);
    if (site === undefined) throw new RunbookError("usage", `${siteName} is not retired in the stack file`);
    const { host, volume } = site;
    return Promise.resolve(
      [
        `${siteName} is retired. Its data stays on ${host.name}, in volume ${volume}, until somebody removes it:`,
        `  ssh ${host.ssh.user}@${host.address} docker volume rm ${volume}`,
        `Its files and secrets stay in ${host.root} there. Now take the entry (and the host, where nothing else is on it) out of Pulumi.${name}.yaml.`,
        "",
      ].join("\n"),
    );
  });
}

/** Says whether a site may leave, or (`up` alone does this) takes it out of grants and slots. */
export function retireVerb(name: string, site: string, options: RetireOptions): Promise<number> {
  return withStack(name, async (stack) => {
    const before = { ...stack, topology: beforeRetirement(stack.topology) };
    if (options.dryRun === true) {
      const planned = planRetire(await observe(before), site);
      checkLines(planned.checks, paint).forEach(say);
      if (!planned.ok) throw new RunbookError("refused", objections(planned.checks).join("; "), planned.next);
      planLines(planned.plan, paint).forEach(say);
      say("Nothing was changed.");
      return exitCodes.done;
    }
    if (!stack.topology.retired.some((one) => one.name === site))
      throw new RunbookError(
        "refused",
        `${site} is not retired in Pulumi.${name}.yaml: the other sites would take it in again`,
        `set retired: true at its entry and run \`pulumi up\`, which does all of it; --dry-run says whether it may`,
      );
    return runbook(
      stack,
      (io) =>
        runRunbook(
          {
            ...io,
            stack: before,
            confirm: askFirst(() => `Take ${site} out of the stack?`, options.yes === true),
          },
          (seen) => planRetire(seen, site),
        ),
      exitCodes,
    );
  });
}

import { observe } from "../../runbooks/observe/observe.ts";
import { ensurePrimary } from "../../runbooks/plan/ensure-primary.ts";
import { RunbookError } from "../../runbooks/runbook-error.ts";
import { runApart } from "./apart.ts";
import { exitCodes } from "./exit-codes.ts";
import { lastOutput } from "./last-output.ts";
import { withStack } from "./verbs.ts";

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/**
 * Run by the stack's switchover command. Standard output is the site that the stack file declares, which the next run
 * reads; all else goes to stderr. The flip runs in a session of its own: killing `pulumi up` ends only the watching.
 */
export async function ensurePrimaryVerb(name: string, site: string): Promise<number> {
  const last = lastOutput();
  const ensured = await withStack(name, async (stack) => {
    if (!stack.topology.sites.some((one) => one.name === site))
      throw new RunbookError("usage", `${site} is no site of the stack`);
    return ensurePrimary(await observe(stack), site, last);
  });
  if (ensured.do === "refuse") throw new RunbookError("refused", ensured.why, ensured.next);
  say(ensured.why);
  if (ensured.do === "flip") {
    const code = await runApart(`${name}-switchover.log`, [
      ...[name, "flip-db", "--to", site, "--yes", "--keep-declared"],
    ]);
    // Done, and something minor is left: the writes are where they should be.
    if (code !== exitCodes.done && code !== exitCodes.attention) return code;
    if (code === exitCodes.attention && !(await takesWrites(name, site))) return code;
  }
  process.stdout.write(`${site}\n`);
  return exitCodes.done;
}

function takesWrites(name: string, site: string): Promise<boolean> {
  return withStack(name, async (stack) => (await observe(stack)).primaries.join() === site);
}

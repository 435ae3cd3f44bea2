import { spawn } from "node:child_process";
import { mkdirSync, openSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { observe } from "../../runbooks/observe/observe.ts";
import { ensurePrimary } from "../../runbooks/plan/ensure-primary.ts";
import { RunbookError } from "../../runbooks/runbook-error.ts";
import { STATE } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { withStack } from "./verbs.ts";

/** What the provider gives of the last run (pulumi-command: addPreviousOutputInEnv). */
const LAST = "PULUMI_COMMAND_STDOUT";

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/**
 * Run by the stack's switchover command. Standard output is the site that the stack file declares, which the next run
 * reads; all else goes to stderr. The flip runs in a session of its own: killing `pulumi up` ends only the watching.
 */
export async function ensurePrimaryVerb(name: string, site: string): Promise<number> {
  const last = (process.env[LAST] ?? "").trim() || undefined;
  const ensured = await withStack(name, async (stack) => {
    if (!stack.topology.sites.some((one) => one.name === site))
      throw new RunbookError("usage", `${site} is no site of the stack`);
    return ensurePrimary(await observe(stack), site, last);
  });
  if (ensured.do === "refuse") throw new RunbookError("refused", ensured.why, ensured.next);
  say(ensured.why);
  if (ensured.do === "flip") {
    const code = await flipApart(name, site);
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

/** The runbook as a process that nobody's Ctrl-C reaches; its words are passed on as they come. */
async function flipApart(name: string, site: string): Promise<number> {
  const folder = join(STATE, "runs");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}-switchover.log`);
  const log = openSync(path, "w");
  const [script = ""] = process.argv.slice(1);
  const child = spawn(
    process.execPath,
    [...process.execArgv, script, name, "flip-db", "--to", site, "--yes", "--keep-declared"],
    { detached: true, stdio: ["ignore", log, log] },
  );
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? exitCodes.attention));
  });
  const over = new AbortController();
  const shown = follow(path, over.signal);
  try {
    return await ended;
  } finally {
    over.abort();
    await shown;
  }
}

async function follow(path: string, over: AbortSignal): Promise<void> {
  const file = await open(path, "r");
  try {
    const buffer = Buffer.alloc(64 * 1024);
    for (;;) {
      const last = over.aborted;
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead > 0) process.stderr.write(buffer.subarray(0, bytesRead));
      else if (last) return;
      else await delay(50);
    }
  } finally {
    await file.close();
  }
}

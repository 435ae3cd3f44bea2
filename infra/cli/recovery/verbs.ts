import { createInterface } from "node:readline/promises";
import { ControlSilent } from "../../hosts/control-socket.ts";
import { localLedger } from "../../runbooks/execute/ledger.ts";
import { runResume, runRunbook } from "../../runbooks/execute/runbook.ts";
import type { RunbookEnd, RunbookIo } from "../../runbooks/execute/runbook.ts";
import { judge } from "../../runbooks/judge.ts";
import { adoptedSites, hostOf, observe, siteToHandOver } from "../../runbooks/observe/observe.ts";
import type { Stack } from "../../runbooks/observe/observe.ts";
import { mergeLedgers } from "../../runbooks/observe/operations.ts";
import { planPromote } from "../../runbooks/plan/promote.ts";
import { goneSites, planStartPeerGone } from "../../runbooks/plan/start.ts";
import { GAP_STEPS } from "../../runbooks/plan/flip.ts";
import type { Plan } from "../../runbooks/plan/step.ts";
import { RunbookError } from "../../runbooks/runbook-error.ts";
import { paintFor } from "../engine/paint.ts";
import { closeStack, openStack, STATE, whoami } from "./context.ts";
import { drillPause } from "./drill.ts";
import { lossWords } from "./loss.ts";
import { exitCodes } from "./exit-codes.ts";
import { checkLines, endLines, historyLines, planLines, stepLine, unserved } from "./runbook-text.ts";

const paint = paintFor(process.stderr, process.env);
/** What is said on the way goes to stderr, so that stdout is for programs. */
const say = (line: string): void => void process.stderr.write(`${line}\n`);

export interface ConfirmOptions {
  readonly yes?: true | undefined;
}

/**
 * A stack whose sites can all be asked and ordered.
 * @param handsOver the work can also take the writes away from the last site that runs as it was found
 * @throws {RunbookError} refused
 */
export async function withStack<T>(
  name: string,
  work: (stack: Stack) => Promise<T>,
  handsOver = false,
): Promise<T> {
  const stack = openStack(name, "runbook");
  try {
    const found = adoptedSites(stack);
    const last = siteToHandOver(stack);
    if (found.length > 0 && !(handsOver && last !== undefined))
      throw new RunbookError(
        "refused",
        `${found.join(", ")}: heatwave:adopted says that it runs as it was found, so nobody can ask or order it`,
        last === undefined
          ? `bin/adopt ${name} --convert SITE; the primary last (docs/adoption.md)`
          : `where it takes the writes: bin/recovery ${name} flip-db; then bin/adopt ${name} --convert ${last} (docs/adoption.md)`,
      );
    return await work(stack);
  } finally {
    await closeStack(stack);
  }
}

/**
 * Ctrl-C lets the running step end; then it goes back, or on where there is no way back. A terminal that goes away
 * stops nothing: half a promotion is worse than a whole one.
 */
function operatorSignals(): { readonly stopped: () => boolean; readonly release: () => void } {
  let asked = 0;
  const stop = (): void => {
    asked += 1;
    if (asked === 1)
      say(
        "Stopping after this step, unless there is no way back any more. Once more leaves at once: then resume.",
      );
    else process.exit(exitCodes.attention);
  };
  const ignore = (): void => undefined;
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  process.on("SIGHUP", ignore);
  return {
    stopped: () => asked > 0,
    release: () => {
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
      process.off("SIGHUP", ignore);
    },
  };
}

export async function runbook(
  stack: Stack,
  run: (io: Omit<RunbookIo, "confirm">) => Promise<RunbookEnd | undefined>,
  codes: Readonly<Record<"aborted" | "attention", number>> = exitCodes,
  json = false,
): Promise<number> {
  const signals = operatorSignals();
  try {
    const end = await run({
      stack,
      who: whoami(),
      stateDirectory: STATE,
      stopped: signals.stopped,
      beforeStep: drillPause(process.env, say),
      onChecks: (checks) => checkLines(checks, paint).forEach(say),
      onStep: (event) => {
        const line = stepLine(event, paint);
        if (line !== undefined) say(line);
      },
      onLine: (line) => say(`  ${paint.dim(line)}`),
    });
    if (end === undefined) {
      say("Nothing to resume: no lock is left and every run in the ledger has an end.");
      return exitCodes.done;
    }
    // Looked at once more, now that the locks are given back.
    const seen = await observe(stack);
    endLines(end, judge({ ...seen, declared: end.declared ?? seen.declared }), paint).forEach(say);
    if (json) process.stdout.write(`${JSON.stringify(end.entry)}\n`);
    if (end.outcome.result === "done")
      return end.outcome.warnings.length > 0 ? exitCodes.attention : exitCodes.done;
    return unserved(end.outcome) ? codes.attention : codes[end.outcome.result];
  } finally {
    signals.release();
  }
}

/** Yes by option, by environment (`variable`), or at the terminal. @throws {RunbookError} refused */
export async function confirmed(question: string, yes: boolean, variable = "RECOVERY_YES"): Promise<void> {
  if (yes || process.env[variable] === "1") return;
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new RunbookError(
      "refused",
      "there is no terminal to ask at",
      `answer beforehand: -y or ${variable}=1`,
    );
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = (await terminal.question(`${question} Only "yes" does it: `)).trim();
    if (answer !== "yes") throw new RunbookError("refused", "not confirmed");
  } finally {
    terminal.close();
  }
}

/** Shows a plan and asks whether to carry it out; nothing has to be accepted in words. */
export const askFirst =
  (question: (plan: Plan) => string, yes: boolean): RunbookIo["confirm"] =>
  async (plan) => {
    planLines(plan, paint, plan.verb === "flip-db" ? GAP_STEPS : []).forEach(say);
    await confirmed(question(plan), yes);
    return undefined;
  };

export function promoteVerb(
  name: string,
  to: string,
  options: ConfirmOptions & { readonly stopPrimary?: true | undefined },
): Promise<number> {
  return withStack(name, (stack) =>
    runbook(stack, (io) =>
      runRunbook({ ...io, confirm: askFirst(() => `Promote ${to}?`, options.yes === true) }, (seen) =>
        planPromote(seen, { to, stopPrimary: options.stopPrimary === true }),
      ),
    ),
  );
}

export function startVerb(
  name: string,
  site: string,
  options: ConfirmOptions & { readonly peerGone?: true | undefined; readonly acceptLoss?: true | undefined },
): Promise<number> {
  if (options.peerGone !== true) return order(name, site, "start");
  return withStack(name, (stack) =>
    runbook(stack, (io) =>
      runRunbook(
        {
          ...io,
          confirm: async (plan, seen) => {
            planLines(plan, paint).forEach(say);
            const view = seen.sites.find((one) => one.name === site);
            const gone = view === undefined ? [] : goneSites(seen, view);
            const words = await lossWords(seen, site, gone, gone);
            say(`${paint.yellow("!")} ${words}`);
            await confirmed("Accept that?", options.acceptLoss === true || options.yes === true);
            return words;
          },
        },
        (seen) => planStartPeerGone(seen, site),
      ),
    ),
  );
}

/** An order to one site, through its start rules. */
export function order(name: string, siteName: string, verb: "start" | "stop" | "restart"): Promise<number> {
  return withStack(name, async (stack) => {
    const site = stack.topology.sites.find((one) => one.name === siteName);
    if (site === undefined)
      throw new RunbookError(
        "usage",
        `${siteName} is no site of the stack: ${stack.topology.sites.map((one) => one.name).join(", ")}`,
      );
    const seen = await observe(stack);
    const busy = seen.hosts.flatMap((host) => host.lock ?? [])[0];
    if (busy !== undefined)
      throw new RunbookError(
        "refused",
        `${busy.host} is locked by ${busy.verb} (${busy.who}, since ${busy.since})`,
        `bin/recovery ${name} ${busy.alive ? "topology --watch" : "resume"}`,
      );
    try {
      const end = await hostOf(stack, site.host.name).control(site.pgHealth.container, {
        route: "POST /order",
        body: { verb, mode: "fast" },
        limitMs: 130_000,
        onLine: say,
      });
      if (!end.ok)
        throw new RunbookError(
          end.kind === "refused" ? "refused" : "attention",
          `${siteName}: ${end.message}`,
          `bin/recovery ${name} topology`,
        );
      say(`${paint.green("✓")} ${siteName}: ${end.message}`);
      return exitCodes.done;
    } catch (error) {
      if (error instanceof ControlSilent)
        throw new RunbookError("attention", `${siteName}: ${error.message}`, `bin/recovery ${name} topology`);
      throw error;
    }
  });
}

/** A stop of the primary takes the writes away, so it asks. */
export async function stopVerb(name: string, site: string, options: ConfirmOptions): Promise<number> {
  await confirmed(`Stop PostgreSQL at ${site}, until it is started by command?`, options.yes === true);
  return order(name, site, "stop");
}

/** What waits for a restart takes effect; at the primary writes pause meanwhile, and sessions end. */
export async function restartVerb(name: string, site: string, options: ConfirmOptions): Promise<number> {
  await confirmed(`Restart PostgreSQL at ${site}? Its sessions end.`, options.yes === true);
  return order(name, site, "restart");
}

export function resumeVerb(name: string): Promise<number> {
  return withStack(
    name,
    // What was interrupted is taken back: that is what was asked for.
    (stack) => runbook(stack, runResume, { ...exitCodes, aborted: exitCodes.done }),
    true,
  );
}

/** The hosts' ledgers and this machine's copy, in one. */
export function historyVerb(name: string, options: { readonly json?: true | undefined }): Promise<number> {
  return withStack(
    name,
    async (stack) => {
      const { ledger, hosts } = await observe(stack);
      const entries = mergeLedgers([ledger, await localLedger(name, STATE)]);
      for (const host of hosts.filter((one) => one.unreachable !== null))
        say(`${paint.yellow("!")} ${host.name} was not asked: ${host.unreachable ?? ""}`);
      const out =
        options.json === true
          ? [JSON.stringify(entries)]
          : historyLines(entries, paintFor(process.stdout, process.env));
      process.stdout.write(`${out.join("\n")}\n`);
      return exitCodes.done;
    },
    true,
  );
}

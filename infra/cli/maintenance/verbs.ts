import type { Declared } from "../../maintenance/declared.ts";
import { declaredOf } from "../../maintenance/declared.ts";
import { runMaintenance, status } from "../../maintenance/run.ts";
import type { MaintenanceEnd, Verb } from "../../maintenance/run.ts";
import type { Stack } from "../../runbooks/observe/observe.ts";
import { RunbookError } from "../../runbooks/runbook-error.ts";
import { paintFor } from "../engine/paint.ts";
import { closeStack, openStack, STATE, whoami } from "../recovery/context.ts";
import { exitCodes } from "../recovery/exit-codes.ts";
import { confirmed } from "../recovery/verbs.ts";
import type { JsonOption, WindowOptions } from "./program.ts";
import { endLines, eventLine, planLines, statusLines } from "./text.ts";

const paint = paintFor(process.stderr, process.env);
/** What is said on the way goes to stderr, so that stdout is for programs. */
export const say = (line: string): void => void process.stderr.write(`${line}\n`);

interface Opened {
  readonly stack: Stack;
  readonly declared: Declared | undefined;
}

/** The stack, its declaration, and connections that end with the work. */
async function withMaintenance<T>(name: string, work: (opened: Opened) => Promise<T>): Promise<T> {
  const stack = openStack(name, "runbook");
  try {
    return await work({ stack, declared: declaredOf(stack.config) });
  } finally {
    await closeStack(stack);
  }
}

export function statusVerb(name: string, options: JsonOption): Promise<number> {
  return withMaintenance(name, async ({ stack, declared }) => {
    const seen = await status(stack, declared);
    if (declared === undefined && seen.state === "off" && seen.open.length === 0) throw undeclared(name);
    const out =
      options.json === true
        ? [JSON.stringify(seen)]
        : statusLines(seen, paintFor(process.stdout, process.env));
    process.stdout.write(`${out.join("\n")}\n`);
    return exitCodes.done;
  });
}

/** Opens or ends a window, and says what came of it. */
export async function windowVerb(name: string, verb: Verb, options: WindowOptions): Promise<number> {
  const end = await windowRun(name, verb, options.yes === true);
  endLines(end, paint).forEach(say);
  if (options.json === true) process.stdout.write(`${JSON.stringify(end)}\n`);
  return end.result === "attention" ? exitCodes.attention : exitCodes.done;
}

/** @throws {RunbookError} refused or usage, before anything was begun */
export function windowRun(name: string, verb: Verb, yes: boolean): Promise<MaintenanceEnd> {
  return withMaintenance(name, async ({ stack, declared }) => {
    if (declared === undefined && verb === "up") throw undeclared(name);
    const signals = operatorSignals();
    try {
      const end = await runMaintenance(
        {
          stack,
          declared,
          who: whoami(),
          stateDirectory: STATE,
          stopped: signals.stopped,
          report: (event) => say(eventLine(event, paint)),
          confirm: async (plan) => {
            planLines(plan, paint).forEach(say);
            // Ending a window only gives back; nobody is asked for that.
            if (verb === "up") await confirmed(`Take the app of ${name} down?`, yes, "MAINTENANCE_YES");
          },
        },
        verb,
      );
      if (declared === undefined && end.result === "nothing") throw undeclared(name);
      return end;
    } finally {
      signals.release();
    }
  });
}

/** What is in force, for a verb that must know first. */
export function stateOf(name: string): ReturnType<typeof status> {
  return withMaintenance(name, ({ stack, declared }) => {
    if (declared === undefined) throw undeclared(name);
    return status(stack, declared);
  });
}

function undeclared(name: string): RunbookError {
  return new RunbookError(
    "usage",
    `Pulumi.${name}.yaml has no heatwave:maintenance, so nothing says what is to be stopped; the least is\n\n` +
      "  heatwave:maintenance:\n    app: <Kamal's service>\n",
    "docs/configuration.md names every key, docs/maintenance.md what they do",
  );
}

/** Ctrl-C lets what runs end, and begins nothing more. A terminal that goes away stops nothing. */
function operatorSignals(): { readonly stopped: () => boolean; readonly release: () => void } {
  let asked = 0;
  const stop = (): void => {
    asked += 1;
    if (asked > 1) process.exit(exitCodes.attention);
    say("Stopping after what runs now; the same command goes on from there. Once more leaves at once.");
  };
  const ignore = (): void => undefined;
  process.on("SIGINT", stop).on("SIGTERM", stop).on("SIGHUP", ignore);
  return {
    stopped: () => asked > 0,
    release: () => void process.off("SIGINT", stop).off("SIGTERM", stop).off("SIGHUP", ignore),
  };
}

import { spawn } from "node:child_process";
import { constants } from "node:os";
import type { Status } from "../../maintenance/status.ts";
import { RunbookError } from "../../runbooks/runbook-error.ts";
import { paintFor } from "../engine/paint.ts";
import { whoami } from "../recovery/context.ts";
import { exitCodes } from "../recovery/exit-codes.ts";
import type { YesOption } from "./program.ts";
import { endLines } from "./text.ts";
import { say, stateOf, windowRun } from "./verbs.ts";

const paint = paintFor(process.stderr, process.env);

/** A command within a window of its own. A window that somebody else opened is not this one's to end. */
export async function aroundVerb(
  name: string,
  command: readonly string[],
  options: YesOption,
): Promise<number> {
  // Between up, command and down as well: a signal must not leave the window open. Each of them has its own answer to it.
  const ignore = (): void => undefined;
  process.on("SIGINT", ignore).on("SIGHUP", ignore).on("SIGTERM", ignore);
  try {
    const before = await stateOf(name);
    if (before.state !== "off") throw notOurs(name, before);
    const up = await windowRun(name, "up", options.yes === true);
    endLines(up, paint).forEach(say);
    // Somebody was quicker.
    const { who } = up.maintenance;
    if (who !== null && who !== whoami()) throw notOurs(name, up.maintenance);
    return await within(name, command, up.maintenance.state === "on");
  } finally {
    process.off("SIGINT", ignore).off("SIGHUP", ignore).off("SIGTERM", ignore);
  }
}

async function within(name: string, command: readonly string[], down: boolean): Promise<number> {
  if (!down) {
    say(`${paint.red("error:")} not all of it is down, so ${command.join(" ")} is not run`);
    return (await end(name)) ? exitCodes.aborted : exitCodes.attention;
  }
  say(`$ ${command.join(" ")}`);
  say(paint.dim(`  (killed from here on, the window stays open: bin/maintenance down ${name} ends it)`));
  const code = await commandEnd(command);
  if (code !== 0) say(`${paint.yellow("!")} the command exited with ${code}`);
  const restored = await end(name);
  return code === 0 && !restored ? exitCodes.attention : code;
}

function notOurs(name: string, { who, since }: Pick<Status, "who" | "since">): RunbookError {
  return new RunbookError(
    "refused",
    `a maintenance of ${name} is in force already (${who ?? "?"}, since ${since ?? "?"}), and it is not this command's to end`,
    `type the command by itself, or first: bin/maintenance down ${name}`,
  );
}

/** True when all is as it was before the window. */
async function end(name: string): Promise<boolean> {
  try {
    const down = await windowRun(name, "down", true);
    endLines(down, paint).forEach(say);
    return down.result !== "attention";
  } catch (error) {
    say(`${paint.red("error:")} the window is still open: ${(error as Error).message}`);
    if (error instanceof RunbookError && error.next !== undefined)
      say(`  ${paint.dim("next")}  ${error.next}`);
    say(`  ${paint.dim("then")}  bin/maintenance down ${name}`);
    return false;
  }
}

/** Exit code of a command that has this terminal. Ctrl-C reaches it by itself; what else ends us is handed on. */
function commandEnd([file = "", ...args]: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: "inherit" });
    const ignore = (): void => undefined;
    const hand = (): void => void child.kill("SIGTERM");
    process.on("SIGINT", ignore).on("SIGHUP", ignore).on("SIGTERM", hand);
    const ended = (code: number): void => {
      process.off("SIGINT", ignore).off("SIGHUP", ignore).off("SIGTERM", hand);
      resolve(code);
    };
    child.once("error", (error) => {
      say(`${paint.red("error:")} ${error.message}`);
      ended(127);
    });
    child.once("exit", (code, signal) =>
      ended(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}

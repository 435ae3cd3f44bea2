import { ConfigError } from "../../config/problem.ts";
import { RunbookError } from "../../runbooks/runbook-error.ts";
import { paintFor } from "../engine/paint.ts";
import { exitCodes } from "./exit-codes.ts";

/** Runs a verb; an error made for its reader is printed as what happened and what to type next. */
export async function reported(task: () => Promise<number>): Promise<number> {
  try {
    return await task();
  } catch (error) {
    const paint = paintFor(process.stderr, process.env);
    const say = (line: string): void => void process.stderr.write(`${line}\n`);
    if (error instanceof RunbookError) {
      say(`${paint.red("error:")} ${error.message}`);
      if (error.next !== undefined) say(`  ${paint.dim("next")}  ${error.next}`);
      return exitCodes[error.kind];
    }
    if (error instanceof ConfigError) {
      say(`${paint.red("error:")} ${error.message}`);
      return exitCodes.usage;
    }
    say(`${paint.red("error:")} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return exitCodes.failed;
  }
}

import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { CommanderError } from "@commander-js/extra-typings";
import { exitCodes } from "./recovery/exit-codes.ts";

/**
 * Parses the words and lets the verb run that they name. Help that was not asked for is wrong usage.
 * @param words what the program parses
 * @param asked whether the operator typed anything after the command's name
 * @param exitCode what the verb that ran ended with
 */
export async function runProgram(
  program: Pick<CommandUnknownOpts, "parseAsync">,
  words: readonly string[],
  asked: boolean,
  exitCode: () => number,
): Promise<void> {
  // A reader that has seen enough (`| head`), or a terminal that is gone, must not end a verb halfway.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  try {
    await program.parseAsync(words, { from: "user" });
    process.exitCode = exitCode();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 && asked ? exitCodes.done : exitCodes.usage;
  }
}

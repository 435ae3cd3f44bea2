import { CommanderError } from "@commander-js/extra-typings";
import { aroundVerb } from "./maintenance/around.ts";
import { maintenanceProgram } from "./maintenance/program.ts";
import { statusVerb, windowVerb } from "./maintenance/verbs.ts";
import { exitCodes } from "./recovery/exit-codes.ts";
import { reported } from "./recovery/report.ts";

/** `bin/maintenance VERB ENV`. */
let exitCode: number = exitCodes.done;
const run = async (task: () => Promise<number>): Promise<void> => {
  exitCode = await reported(task);
};
const program = maintenanceProgram({
  up: (stack, options) => run(() => windowVerb(stack, "up", options)),
  down: (stack, options) => run(() => windowVerb(stack, "down", options)),
  status: (stack, options) => run(() => statusVerb(stack, options)),
  around: (stack, command, options) => run(() => aroundVerb(stack, command, options)),
});

// A reader that has seen enough (`| head`), or a terminal that is gone, must not end it halfway.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

const words = process.argv.slice(2);
try {
  await program.parseAsync(words.length === 0 ? ["--help"] : words, { from: "user" });
  process.exitCode = exitCode;
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 && words.length > 0 ? exitCodes.done : exitCodes.usage;
}

import { aroundVerb } from "./maintenance/around.ts";
import { maintenanceProgram } from "./maintenance/program.ts";
import { statusVerb, windowVerb } from "./maintenance/verbs.ts";
import { exitCodes } from "./recovery/exit-codes.ts";
import { reported } from "./recovery/report.ts";
import { runProgram } from "./run-program.ts";

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

const words = process.argv.slice(2);
await runProgram(program, words.length === 0 ? ["--help"] : words, words.length > 0, () => exitCode);

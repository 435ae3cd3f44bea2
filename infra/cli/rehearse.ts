import type { Globals } from "./rehearse/context.ts";
import { sameWorld } from "./rehearse/hints.ts";
import { insideHasControl } from "./rehearse/inside.ts";
import { rehearseProgram } from "./rehearse/program.ts";
import { explain } from "./rehearse/terminal.ts";
import { rehearseVerbs } from "./rehearse/verbs.ts";

const program = rehearseProgram(rehearseVerbs);

let globals: Globals = {};
program.hook("preAction", (_program, verb) => {
  globals = verb.optsWithGlobals();
});
const hint = (text: string) => sameWorld(text, globals);

// Docker's clients that we started get the terminal's Ctrl-C as well, and everything is looked at first the next time.
process.on("SIGINT", () => {
  if (insideHasControl()) return;
  process.stderr.write(hint("\nInterrupted. Run the same command again to go on, or: bin/rehearse down\n"));
  process.exit(130);
});

// A reader that has seen enough (`| head`) ends nothing halfway.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${explain(error, hint)}\n`);
  process.exitCode = 1;
}

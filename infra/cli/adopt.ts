import { Command, Option } from "@commander-js/extra-typings";
import { adoptVerb, convertVerb } from "./adopt/verb.ts";
import { exitCodes } from "./recovery/exit-codes.ts";
import { reported } from "./recovery/report.ts";
import { runProgram } from "./run-program.ts";

/** `bin/adopt ENV`. */
let exitCode: number = exitCodes.done;
const program = new Command("bin/adopt")
  .description(
    "Look at what runs under a stack's names and was not made by it: what can be taken over as it is, and what it lacks.\n" +
      "ENV is the stack's name. Keys come from the SSH agent alone; no secret is read, and no host is changed.",
  )
  .argument("<env>", "name of the stack")
  .option("--write", "put the containers' ids into Pulumi.<ENV>.yaml (heatwave:adopted)")
  .addOption(
    new Option(
      "--convert <site>",
      "change Pulumi.<ENV>.yaml so that the next up makes this site anew on the data that was found",
    ).conflicts(["write", "json"]),
  )
  .option("--json", "one object on stdout; the report goes to stderr")
  .addHelpText(
    "after",
    "\nExit codes: 0 done, 2 wrong usage, 3 refused: something stands in the way, 1 a mistake of ours",
  )
  .exitOverride()
  .action(async (stack, options) => {
    const { convert } = options;
    exitCode = await reported(async () =>
      convert === undefined ? adoptVerb(stack, options) : convertVerb(stack, convert),
    );
  });

const words = process.argv.slice(2);
await runProgram(program, words.length === 0 ? ["--help"] : words, words.length > 0, () => exitCode);

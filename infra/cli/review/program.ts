import { Command, InvalidArgumentError } from "@commander-js/extra-typings";
import type { ReviewOptions } from "./verb.ts";

/** What `bin/review` takes; `run` does it. */
export function reviewProgram(here: string, run: (options: ReviewOptions) => Promise<void>) {
  return new Command("bin/review")
    .description(
      "Say what a change does to the stack's writes, from its preview: none, reload, restart, replace, flip, by site\n" +
        "and with the reason; then the rendered texts' diffs; then the resources. Prints Markdown.",
    )
    .requiredOption("-s, --stack <name>", "stack that is reviewed")
    .option(
      "-p, --preview <file>",
      "what `pulumi preview --json` or `bin/engine preview --json` printed; - = stdin",
    )
    .option(
      "-b, --base <revision>",
      "compare what this checkout asks for with what that revision asks for: no state, no secret, no host",
    )
    .option("-C, --cwd <dir>", "folder of Pulumi.yaml", here)
    .option("-j, --json", "print the review as one object")
    .option("--limit <characters>", "of Markdown, at most (default: 30000)", characters)
    .showHelpAfterError("(bin/review --help shows all options)")
    .addHelpText(
      "after",
      `
Examples:
  pulumi preview --json --stack production | bin/review --stack production --preview -
  bin/review --stack production --base origin/main

Exit codes: 0 reviewed, 1 the preview failed (the review says so), 2 wrong usage`,
    )
    .exitOverride()
    .action(({ stack, preview, base, cwd, json, limit }) =>
      run({
        stack,
        cwd,
        ...(preview === undefined ? {} : { preview }),
        ...(base === undefined ? {} : { base }),
        ...(json === true ? { json } : {}),
        ...(limit === undefined ? {} : { limit }),
      }),
    );
}

function characters(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1000)
    throw new InvalidArgumentError("Expected a number from 1000 up.");
  return count;
}

import { Command, CommanderError, InvalidArgumentError, Option } from "@commander-js/extra-typings";

import { USAGE_ERROR, cancel, outputs, run } from "./engine/main.ts";
import type { CommonOptions } from "./engine/main.ts";

/** `bin/engine`: parses arguments, and leaves the rest to `engine/main.ts`. */
const program = new Command("bin/engine")
  .description(
    "Run a stack's Pulumi program without the Pulumi CLI: for rehearsals, tests and closed networks.\n" +
      "It keeps state in the format and layout of Pulumi's file backend, so either can go on where the other stopped.",
  )
  .showHelpAfterError("(bin/engine --help shows all commands)")
  .addHelpText(
    "after",
    `
Environment:
  PULUMI_BACKEND_URL              file://DIR of the state (default: .heatwave/state beside Pulumi.yaml)
  PULUMI_CONFIG_PASSPHRASE        passphrase of the stack's secrets, or
  PULUMI_CONFIG_PASSPHRASE_FILE   a file that holds it
  NO_COLOR                        no colours

Exit codes: 0 done, 1 failed, 2 wrong usage, 7 changes where --expect-no-changes allows none`,
  )
  .exitOverride();

const stack = (): Option<"-s, --stack <name>", undefined, undefined, undefined, true> =>
  new Option("-s, --stack <name>", "stack: reads Pulumi.<name>.yaml").makeOptionMandatory();
const cwd = (): Option<"-C, --cwd <dir>", undefined, string> =>
  new Option("-C, --cwd <dir>", "folder of Pulumi.yaml, or one below it").default(process.cwd(), "here");
const json = (what: string): Option<"-j, --json"> => new Option("-j, --json", what);
const showSecrets = (): Option<"--show-secrets"> => new Option("--show-secrets", "print secrets in clear");
const expectNoChanges = (): Option<"--expect-no-changes"> =>
  new Option("--expect-no-changes", "exit with 7 when there is any change");
const parallel = (): Option<"-p, --parallel <n>", undefined, undefined, number> =>
  new Option("-p, --parallel <n>", "provider calls at once (default: 4 × CPUs)").argParser(positive);
const diff = (): Option<"--diff"> => new Option("--diff", "show every property that changes");
const yes = (): Option<"-y, --yes"> => new Option("-y, --yes", "do it without a preview and a question");

const exclude = (): Option<"--exclude <urn...>", undefined, string[]> =>
  new Option(
    "--exclude <urn...>",
    "leave these resources as they are: URNs or globs (* stops at a colon, ** does not)",
  ).default([] as string[], "none");
const excludeSite = (): Option<"--exclude-site <name...>", undefined, string[]> =>
  new Option(
    "--exclude-site <name...>",
    "leave everything of this site, router or host as it is: --exclude '**::<name>' --exclude '**::<name>-*'",
  ).default([] as string[], "none");
const excludeDependents = (): Option<"--exclude-dependents"> =>
  new Option("--exclude-dependents", "leave what depends on excluded resources as it is, too");

function positive(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("Expected a number from 1 up.");
  return Number(text);
}

let exitCode = 0;
const start = async (task: Promise<number>): Promise<void> => {
  exitCode = await task;
};
const asCommon = (options: { readonly [key in keyof CommonOptions]?: unknown }): CommonOptions =>
  options as CommonOptions;

program
  .command("preview")
  .description("show what up would do")
  .addOption(stack())
  .addOption(cwd())
  .addOption(diff())
  .addOption(json("print one object, as `pulumi preview --json` does"))
  .addOption(exclude())
  .addOption(excludeSite())
  .addOption(excludeDependents())
  .addOption(parallel())
  .addOption(showSecrets())
  .addOption(expectNoChanges())
  .action((options) => start(run("preview", asCommon(options))));

for (const [name, description] of [
  ["up", "make the stack what the program says"],
  ["refresh", "record every resource as it really is"],
  ["destroy", "delete everything that is in the state"],
] as const) {
  const command = program
    .command(name)
    .description(description)
    .addOption(stack())
    .addOption(cwd())
    .addOption(yes())
    .addOption(diff())
    .addOption(json("print one line for each event, as the Pulumi CLI does"))
    .addOption(exclude())
    .addOption(excludeSite())
    .addOption(excludeDependents())
    .addOption(parallel())
    .addOption(showSecrets())
    .addOption(expectNoChanges())
    .action((options) => start(run(name, asCommon(options))));
  if (name === "destroy")
    command.option("--run-program", "run the program as well, which answers the hooks around deletions");
}

program
  .command("outputs")
  .description("print the stack's outputs")
  .argument("[name]", "only this one, as it is")
  .addOption(stack())
  .addOption(cwd())
  .addOption(json("print an object"))
  .addOption(showSecrets())
  .action((name, options) => start(outputs(name, asCommon(options))));

program
  .command("cancel")
  .description("remove the stack's lock after a run was killed")
  .addOption(stack())
  .addOption(cwd())
  .action((options) => start(cancel(asCommon(options))));

// A reader that has seen enough (`| head`) must not end a run halfway.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

try {
  await program.parseAsync();
  process.exitCode = exitCode;
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : USAGE_ERROR;
}

import { Command } from "@commander-js/extra-typings";

/** What each verb does, apart from how it is written. */
export interface Verbs {
  up(stack: string, options: WindowOptions): Promise<void>;
  down(stack: string, options: WindowOptions): Promise<void>;
  status(stack: string, options: JsonOption): Promise<void>;
  around(stack: string, command: readonly string[], options: YesOption): Promise<void>;
}

export interface YesOption {
  readonly yes?: true | undefined;
}
export interface JsonOption {
  readonly json?: true | undefined;
}
export type WindowOptions = YesOption & JsonOption;

const YES = ["-y, --yes", "answer yes to the question (also MAINTENANCE_YES=1)"] as const;
const JSON_OPTION = ["--json", "one object on stdout, as docs/maintenance.md describes it"] as const;

const MORE = `
Every verb may be typed again at any time: it does what is missing.

Exit codes: 0 done, 2 wrong usage, 3 refused (nothing was begun), 4 aborted (all is as it was),
5 needs attention (something could not be done: the same again, when its cause is gone), 1 a mistake of ours;
around: the command's own, where it ran`;

export function maintenanceProgram(verbs: Verbs): Command {
  const program = new Command("bin/maintenance")
    .description(
      "A maintenance window of the app beside the database: its proxies answer 503, its web and workers are stopped.\n" +
        "ENV is the stack's name; heatwave:maintenance in Pulumi.<ENV>.yaml says what is stopped. Keys come from the SSH\n" +
        "agent alone; no secret is read.",
    )
    .showHelpAfterError("(bin/maintenance --help shows all verbs)")
    .addHelpText("after", MORE)
    .enablePositionalOptions()
    .exitOverride();
  const env = ["<env>", "name of the stack"] as const;

  program
    .command("up")
    .description("the proxies answer 503, then the app's containers are stopped; the database goes on")
    .argument(...env)
    .option(...JSON_OPTION)
    .option(...YES)
    .action((stack, options) => verbs.up(stack, options));
  program
    .command("down")
    .description("starts what `up` stopped, and nothing else; the proxies serve again at last")
    .argument(...env)
    .option(...JSON_OPTION)
    .action((stack, options) => verbs.down(stack, options));
  program
    .command("status")
    .description("what is in force, since when and by whom; changes nothing")
    .argument(...env)
    .option(...JSON_OPTION)
    .action((stack, options) => verbs.status(stack, options));
  program
    .command("around")
    .description("up, then a command, then down, also when the command fails")
    .usage("[options] <env> -- COMMAND...")
    .argument(...env)
    .argument("<command...>", "the command with its own options")
    .option(...YES)
    .passThroughOptions()
    .action((stack, words, options) =>
      verbs.around(stack, words[0] === "--" ? words.slice(1) : words, options),
    );
  return program;
}

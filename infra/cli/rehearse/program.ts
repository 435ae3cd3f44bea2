import { Command, Option } from "@commander-js/extra-typings";
import { RehearsalError } from "../../rehearsal/trouble.ts";
import type { Globals } from "./context.ts";
import type { FaultVerbs, WithGlobals } from "./fault-program.ts";
import { addFaultVerbs } from "./fault-program.ts";

/** What each verb does, apart from how it is written. */
export interface Verbs {
  story(globals: Globals): Promise<void>;
  up(
    globals: Globals,
    options: { readonly hostsOnly: boolean; readonly disk: string | undefined },
  ): Promise<void>;
  preview(globals: Globals, options: { readonly diff: boolean }): Promise<void>;
  migrate(globals: Globals, site: string | undefined, options: { readonly keep: boolean }): Promise<void>;
  status(globals: Globals): Promise<void>;
  exec(globals: Globals, command: readonly string[]): Promise<void>;
  host(globals: Globals, name: string, command: readonly string[]): Promise<void>;
  psql(globals: Globals, where: string, psqlArguments: readonly string[]): Promise<void>;
  readonly fault: FaultVerbs;
  down(globals: Globals, options: { readonly all: boolean }): Promise<void>;
  prune(globals: Globals): Promise<void>;
}

const GLOBAL_OPTIONS: readonly (readonly [flags: string, description: string])[] = [
  ["-s, --stack <name>", "stack file to rehearse, Pulumi.<name>.yaml (default: production)"],
  [
    "--config-file <path>",
    "a stack file in another folder, relative to the project's, named Pulumi.<name>.yaml",
  ],
  ["--world <name>", "name of the world (default: the stack's name)"],
  ["--stand-ins", "build images from Debian packages even where a registry is reachable"],
  ["--json", "machine-readable output on stdout"],
  ["-y, --yes", "answer yes to every question (installing and starting Docker)"],
];

const EXAMPLES = `
Examples:
  bin/rehearse -y                                  everything, unattended
  bin/rehearse up                                  world and stack, without the story
  bin/rehearse up --hosts-only                     hosts and controller, nothing deployed
  bin/rehearse preview --diff                      what an up of the checkout would change
  bin/rehearse exec ssh dal-01                     a shell on a host, as the operator would get it
  bin/rehearse host dal-01 docker ps -a            a command as root on a host, from outside
  bin/rehearse psql write                          SQL through the write VIP, as the application
  bin/rehearse psql chi-02 -c 'table pg_stat_wal_receiver'
  bin/rehearse fault cut dal-01 chi-02             nothing gets through between two hosts
  bin/rehearse fault kill dal-01 postgres          kill -9, by what it is
  bin/rehearse fault heal                          undoes every fault
  bin/rehearse down                                removes the world; images stay for the next one

Your own network, tailnet, SSH agent and secrets are not used: all of it happens inside the world.`;

/**
 * The command line. Global options stand before the verb or right after it; what follows the first word of a command
 * that runs inside is that command's own, with or without `--`.
 */
export function rehearseProgram(verbs: Verbs): Command {
  const program = new Command("bin/rehearse")
    .description(
      "Rehearse a stack: disposable Docker hosts get its names and tailnet addresses in a sealed world, and its stack\n" +
        "file runs there unmodified. Without a verb: the whole story, from nothing to a written row and clean previews.",
    )
    .showHelpAfterError("(bin/rehearse --help shows all verbs)")
    .addHelpText("after", EXAMPLES)
    .configureHelp({ showGlobalOptions: true })
    .enablePositionalOptions()
    .allowExcessArguments();
  for (const [flags, description] of GLOBAL_OPTIONS) program.option(flags, description);

  program.action(async (_options, command) => {
    const [verb] = command.args;
    if (verb !== undefined) {
      const known = program.commands.map((candidate) => candidate.name()).join(", ");
      throw new RehearsalError(
        `There is no verb "${verb}"`,
        `the verbs are: ${known}; or none, for the whole story`,
        "bin/rehearse --help",
      );
    }
    await verbs.story(globalsOf(command));
  });

  program
    .command("up")
    .description(
      "make the world, or what is missing of it, and bring the stack up in it, as it now is in the checkout",
    )
    .option("--hosts-only", "leave the stack alone")
    .option(
      "--disk <size>",
      "give each host that is made a disk of its own, e.g. 2g, so that it can be filled",
    )
    .action(({ hostsOnly, disk }, command) =>
      verbs.up(globalsOf(command), { hostsOnly: hostsOnly === true, disk }),
    );
  program
    .command("preview")
    .description(
      "copy the checkout into the world, as up does, and show what an up would change\n" +
        "(--json: one object, as `pulumi preview --json` prints)",
    )
    .option("--diff", "show every property that changes")
    .action(({ diff }, command) => verbs.preview(globalsOf(command), { diff: diff === true }));
  program
    .command("migrate")
    .description(
      "move a site to a host that only the world has, under load and in a world of its own: add, flip, retire, forget",
    )
    .argument("[site]", "(default: the declared primary)")
    .option("--keep", "leave the world, to look around in it; it stays by itself where a step fails")
    .action((site, { keep }, command) => verbs.migrate(globalsOf(command), site, { keep: keep === true }));
  program
    .command("status")
    .description("machines of the world, what runs on each host, and which site is primary")
    .action((_options, command) => verbs.status(globalsOf(command)));
  program
    .command("exec")
    .description(
      "run a command in the controller, in the world's copy of the checkout as of the last up or preview",
    )
    .argument("<command...>", "the command with its own options")
    .passThroughOptions()
    .action((words, _options, command) => verbs.exec(globalsOf(command), words));
  program
    .command("host")
    .description("run a command as root on a host (default: bash)")
    .argument("<name>", "name of the host in the stack file")
    .argument("[command...]", "the command with its own options")
    .passThroughOptions()
    .action((name, words, _options, command) => verbs.host(globalsOf(command), name, withoutDashes(words)));
  program
    .command("psql")
    .description("psql through the write VIP as the application, or at one site as superuser")
    .argument("[where]", "name of a site, or write", "write")
    .argument("[arguments...]", "psql's own, e.g. -c 'select 1'")
    .passThroughOptions()
    // `psql -c 'select 1'`: the write VIP is the default.
    .allowUnknownOption()
    .action((where, words, _options, command) => {
      const named = !where.startsWith("-");
      return verbs.psql(
        globalsOf(command),
        named ? where : "write",
        named ? withoutDashes(words) : [where, ...words],
      );
    });
  const fault = addFaultVerbs(program, verbs.fault, globalsOf);
  program
    .command("down")
    .description("remove the world: every container, volume and network with its label, and nothing else")
    .option("--all", "every world on this machine")
    .action(({ all }, command) => verbs.down(globalsOf(command), { all: all === true }));
  program
    .command("prune")
    .description(
      "remove EVERY world on this machine, then the built images, and end the Docker daemon that bin/rehearse started",
    )
    .action((_options, command) => verbs.prune(globalsOf(command)));

  for (const command of [...program.commands, ...fault.commands]) {
    for (const [flags, description] of GLOBAL_OPTIONS)
      command.addOption(new Option(flags, description).hideHelp());
  }
  return program;
}

/** The `--` that a reader may put before a command of their own. Later ones are the command's. */
function withoutDashes(words: readonly string[]): readonly string[] {
  return words[0] === "--" ? words.slice(1) : words;
}

/** Options before the verb and right after it, in one. */
function globalsOf(command: WithGlobals): Globals {
  return command.optsWithGlobals();
}

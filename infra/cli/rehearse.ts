import { Command } from "@commander-js/extra-typings";
import { removeImages } from "../rehearsal/build.ts";
import { daemonVersion, stopOwnDaemon } from "../rehearsal/daemon.ts";
import { describeOverlay } from "../rehearsal/overlay.ts";
import { removeSharedVolumes } from "../rehearsal/seeds.ts";
import { readWorldOverlay, siteClient, writeClient } from "../rehearsal/sql.ts";
import { RehearsalError } from "../rehearsal/trouble.ts";
import { down, worlds } from "../rehearsal/world.ts";
import type { Globals } from "./rehearse/context.ts";
import { Context } from "./rehearse/context.ts";
import { insideHasControl, runInside } from "./rehearse/inside.ts";
import { printStatus } from "./rehearse/print.ts";
import { statusOf } from "./rehearse/status.ts";
import { tellStory } from "./rehearse/story.ts";
import { explain } from "./rehearse/terminal.ts";

const program = new Command("bin/rehearse")
  .description(
    "Rehearse a stack: disposable Docker hosts get its names and tailnet addresses in a sealed world, and its stack\n" +
      "file runs there unmodified. Without a verb: the whole story, from nothing to a written row and clean previews.",
  )
  .option("-s, --stack <name>", "stack file to rehearse, Pulumi.<name>.yaml (default: production)")
  .option(
    "--config-file <path>",
    "a stack file in another folder, relative to the project's, named Pulumi.<name>.yaml",
  )
  .option("--world <name>", "name of the world (default: the stack's name)")
  .option("--stand-ins", "build images from Debian packages even where a registry is reachable")
  .option("--json", "machine-readable output on stdout")
  .option("-y, --yes", "answer yes to every question (installing and starting Docker)")
  .showHelpAfterError("(bin/rehearse --help shows all verbs)")
  .addHelpText(
    "after",
    `
Examples:
  bin/rehearse -y                                  everything, unattended
  bin/rehearse up                                  world and stack, without the story
  bin/rehearse up --hosts-only                     hosts and controller, nothing deployed
  bin/rehearse exec -- bin/engine preview -s production
  bin/rehearse exec -- ssh dal-01                  a shell on a host, as the operator would get it
  bin/rehearse host dal-01 -- docker ps            a command as root on a host, from outside
  bin/rehearse psql write                          SQL through the write VIP, as the application
  bin/rehearse psql chi-02 -- -c 'table pg_stat_wal_receiver'
  bin/rehearse down                                removes the world; images stay for the next one

Your own network, tailnet, SSH agent and secrets are not used: all of it happens inside the world.`,
  );

program.allowExcessArguments().action(async () => {
  const [verb] = program.args;
  if (verb !== undefined) {
    throw new RehearsalError(
      `There is no verb "${verb}"`,
      `the verbs are: ${program.commands.map((command) => command.name()).join(", ")}; or none, for the whole story`,
      "bin/rehearse --help",
    );
  }
  await tellStory(context());
});

const context = () => new Context(program.opts() satisfies Globals);

program
  .command("up")
  .description(
    "make the world, or what is missing of it, and bring the stack up in it, as it now is in the checkout",
  )
  .option("--hosts-only", "leave the stack alone")
  .action(async ({ hostsOnly }) => {
    const at = context();
    const { plan, overlay } = await at.up();
    if (hostsOnly !== true) {
      const code = await runInside(
        plan.controller.container,
        ["bin/engine", "up", "--stack", at.stack, "--yes"],
        { exec: ["-w", "/heatwave"], stdoutToStderr: at.globals.json === true },
      );
      if (code !== 0) {
        throw new RehearsalError(
          "The stack did not come up",
          "what stopped it stands above; the world stays as it is",
          `bin/rehearse up${at.suffix()}, once it is mended`,
        );
      }
    }
    if (at.globals.json === true) {
      const { secrets, ...shown } = overlay;
      process.stdout.write(
        `${JSON.stringify({ plan, overlay: { ...shown, secrets: Object.keys(secrets) } }, null, 2)}\n`,
      );
      return;
    }
    process.stdout.write(
      `\nThe overlay of world "${at.world}", which is all that differs from the stack file:\n`,
    );
    for (const line of describeOverlay(overlay)) process.stdout.write(`  ${line}\n`);
    process.stdout.write(
      `\nNext:\n  bin/rehearse${at.suffix()} exec -- bin/engine preview --diff --stack ${at.stack}\n` +
        `  bin/rehearse${at.suffix()} psql write\n  bin/rehearse${at.suffix()} status\n  bin/rehearse${at.suffix()} down\n`,
    );
  });

program
  .command("down")
  .description("remove the world: every container, volume and network with its label, and nothing else")
  .option("--all", "every world on this machine")
  .action(async (options) => {
    const at = context();
    if ((await daemonVersion()) === undefined) {
      process.stdout.write("No Docker daemon answers, so no world is running.\n");
      return;
    }
    const names = options.all === true ? await worlds() : [at.world];
    for (const name of names) {
      const gone = await at.progress.step(`Removing world ${name}`, () => down(name));
      process.stdout.write(
        at.globals.json === true
          ? `${JSON.stringify({ world: name, removed: gone })}\n`
          : `World "${name}": ${gone.containers} containers, ${gone.volumes} volumes, ${gone.networks} networks removed.\n`,
      );
    }
    if (names.length === 0) process.stdout.write("There is no world on this machine.\n");
  });

program
  .command("prune")
  .description("down --all, then remove the built images and end the Docker daemon that bin/rehearse started")
  .action(async () => {
    const at = context();
    if ((await daemonVersion()) !== undefined) {
      for (const name of await worlds()) await at.progress.step(`Removing world ${name}`, () => down(name));
      const images = await at.progress.step("Removing built images", () => removeImages());
      const volumes = await removeSharedVolumes();
      process.stdout.write(`${images} images and ${volumes} shared volumes removed.\n`);
    }
    if (await stopOwnDaemon(at.stateDirectory)) process.stdout.write("The Docker daemon was ended.\n");
  });

program
  .command("status")
  .description("machines of the world, and what runs on each host")
  .action(async () => {
    const at = context();
    const machines = await statusOf(await at.existing());
    if (at.globals.json === true)
      process.stdout.write(`${JSON.stringify({ world: at.world, machines }, null, 2)}\n`);
    else printStatus(at.world, machines);
  });

program
  .command("exec")
  .description("run a command in the controller, in the copy of the checkout")
  .argument("<command...>")
  .action(async (command) => {
    const { controller } = await context().existing();
    process.exitCode = await runInside(controller.container, command, { exec: ["-w", "/heatwave"] });
  });

program
  .command("host")
  .description("run a command as root on a host (default: bash)")
  .argument("<name>", "name of the host in the stack file")
  .argument("[command...]")
  .action(async (name, command) => {
    const plan = await context().existing();
    const host = plan.hosts.find((candidate) => candidate.name === name);
    if (host === undefined) {
      throw new RehearsalError(
        `There is no host "${name}"`,
        `the stack file has: ${plan.hosts.map((candidate) => candidate.name).join(", ")}`,
        `bin/rehearse host ${plan.hosts[0]?.name ?? "NAME"}`,
      );
    }
    process.exitCode = await runInside(host.container, command.length === 0 ? ["bash"] : command);
  });

program
  .command("psql")
  .description("psql through the write VIP as the application, or at one site as superuser")
  .argument("[where]", "name of a site, or write", "write")
  .argument("[arguments...]", "psql's own, after --")
  .action(async (where, psqlArguments) => {
    const at = context();
    const plan = await at.existing();
    const overlay = await readWorldOverlay(plan);
    const stack = at.loadStack();
    const interactive = process.stdin.isTTY && process.stdout.isTTY;
    const { container, command } =
      where === "write"
        ? await writeClient(plan, stack, overlay, psqlArguments, interactive)
        : siteClient(plan, stack, where, psqlArguments, interactive);
    process.exitCode = await runInside(container, command);
  });

// Docker's clients that we started get the terminal's Ctrl-C as well, and everything is looked at first the next time.
process.on("SIGINT", () => {
  if (insideHasControl()) return;
  process.stderr.write("\nInterrupted. Run the same command again to go on, or: bin/rehearse down\n");
  process.exit(130);
});

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}

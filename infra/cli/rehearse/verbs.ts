import { removeImages } from "../../rehearsal/build.ts";
import { daemonVersion, stopOwnDaemon } from "../../rehearsal/daemon.ts";
import { askSites } from "../../rehearsal/health.ts";
import { describeOverlay } from "../../rehearsal/overlay.ts";
import { removeSharedVolumes } from "../../rehearsal/seeds.ts";
import { demandPostgres, readWorldOverlay, siteClient, writeClient } from "../../rehearsal/sql.ts";
import { RehearsalError } from "../../rehearsal/trouble.ts";
import { down, refreshCheckout, worlds } from "../../rehearsal/world.ts";
import { Context } from "./context.ts";
import { faultVerbs } from "./fault-verbs.ts";
import { runInside } from "./inside.ts";
import { playMigration } from "./migrate.ts";
import { describePrimary, printStatus } from "./print.ts";
import type { Verbs } from "./program.ts";
import { statusOf } from "./status.ts";
import { tellStory } from "./story.ts";

/** The verbs as `bin/rehearse` runs them. They print to this process's stdout and set its exit code. */
export const rehearseVerbs: Verbs = {
  story: (globals) => tellStory(new Context(globals)),

  async up(globals, { hostsOnly, disk }) {
    const at = new Context(globals);
    const { plan, overlay } = await at.up(disk);
    if (!hostsOnly) {
      const code = await runInside(plan.controller, ["bin/engine", "up", "--stack", at.stack, "--yes"], {
        exec: ["-w", "/heatwave"],
        stdoutToStderr: globals.json === true,
      });
      if (code !== 0) {
        throw new RehearsalError(
          "The stack did not come up",
          "what stopped it stands above; the world stays as it is",
          "bin/rehearse up, once it is mended",
        );
      }
    }
    if (globals.json === true) {
      const { secrets, ...shown } = overlay;
      print(JSON.stringify({ plan, overlay: { ...shown, secrets: Object.keys(secrets) } }, null, 2));
      return;
    }
    print(`\nThe overlay of world "${at.world}", which is all that differs from the stack file:`);
    for (const line of describeOverlay(overlay)) print(`  ${line}`);
    print("\nNext:");
    for (const verb of ["preview --diff", "psql write", "status", "down"])
      print(at.hint(`  bin/rehearse ${verb}`));
  },

  async preview(globals, { diff }) {
    const at = new Context(globals);
    const plan = await at.existing();
    await at.progress.step("Copying the checkout", async (status) => {
      const { sent, removed } = await refreshCheckout(plan, at.packageDirectory, at.stackFile);
      status(`${sent} files sent, ${removed} removed`);
    });
    const options = [...(diff ? ["--diff"] : []), ...(globals.json === true ? ["--json"] : [])];
    process.exitCode = await runInside(
      plan.controller,
      ["bin/engine", "preview", "--stack", at.stack, ...options],
      { exec: ["-w", "/heatwave"] },
    );
  },

  migrate: (globals, site, options) => playMigration(globals, site, options),

  async status(globals) {
    const at = new Context(globals);
    const status = await statusOf(await at.existing(), at.loadStack());
    if (globals.json === true) print(JSON.stringify({ world: at.world, ...status }, null, 2));
    else printStatus(at.world, status);
  },

  async exec(globals, command) {
    const { controller } = await new Context(globals).existing();
    process.exitCode = await runInside(controller, command, { exec: ["-w", "/heatwave"] });
  },

  async host(globals, name, command) {
    const plan = await new Context(globals).existing();
    const host = plan.hosts.find((candidate) => candidate.name === name);
    if (host === undefined) {
      throw new RehearsalError(
        `There is no host "${name}"`,
        `the stack file has: ${plan.hosts.map((candidate) => candidate.name).join(", ")}`,
        `bin/rehearse host ${plan.hosts[0]?.name ?? "NAME"}`,
      );
    }
    process.exitCode = await runInside(host, command.length === 0 ? ["bash"] : command);
  },

  async psql(globals, where, psqlArguments) {
    const at = new Context(globals);
    const plan = await at.existing();
    const stack = at.loadStack();
    const interactive = process.stdin.isTTY && process.stdout.isTTY;
    if (where !== "write") {
      const client = siteClient(plan, stack, where, psqlArguments, interactive);
      await demandPostgres(plan, stack, where);
      process.exitCode = await runInside(client, client.command);
      return;
    }
    const client = await writeClient(plan, stack, await readWorldOverlay(plan), psqlArguments, interactive);
    const code = await runInside(client, client.command);
    process.exitCode = code;
    // psql's exit code for a connection that was not to be had, or was lost.
    if (code !== 2) return;
    const primary = describePrimary(await askSites(plan, stack));
    process.stderr.write(at.hint(`${primary}; see bin/rehearse status\n`));
  },

  fault: faultVerbs,

  async down(globals, { all }) {
    const at = new Context(globals);
    if ((await daemonVersion()) === undefined) {
      print("No Docker daemon answers, so no world is running.");
      return;
    }
    const names = all ? await worlds() : [at.world];
    for (const name of names) {
      const gone = await at.progress.step(`Removing world ${name}`, () => down(name));
      print(
        globals.json === true
          ? JSON.stringify({ world: name, removed: gone })
          : `World "${name}": ${gone.containers} containers, ${gone.volumes} volumes, ${gone.networks} networks removed.`,
      );
    }
    if (names.length === 0) print("There is no world on this machine.");
  },

  async prune(globals) {
    const at = new Context(globals);
    if ((await daemonVersion()) !== undefined) {
      for (const name of await worlds()) await at.progress.step(`Removing world ${name}`, () => down(name));
      const images = await at.progress.step("Removing built images", () => removeImages());
      const volumes = await removeSharedVolumes();
      print(`${images} images and ${volumes} shared volumes removed.`);
    }
    if (await stopOwnDaemon(at.stateDirectory)) print("The Docker daemon was ended.");
  },
};

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

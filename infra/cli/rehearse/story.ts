import pc from "picocolors";
import { findRowEverywhere, writeRow } from "../../rehearsal/evidence.ts";
import { describeOverlay } from "../../rehearsal/overlay.ts";
import { writePath } from "../../rehearsal/sql.ts";
import { RehearsalError } from "../../rehearsal/trouble.ts";
import { withVariation } from "../../rehearsal/variation.ts";
import type { Context } from "./context.ts";
import { demand, Parts } from "./parts.ts";

/**
 * The whole story of a stack, from nothing to a row on every site and two previews. Each part can be run again: what is
 * there is kept. Throws at the first part that does not hold.
 */
export async function tellStory(at: Context): Promise<void> {
  const parts = new Parts(at);
  const { say } = parts;
  const { stack } = at;
  const config = at.loadStack();

  say(
    `Rehearsing Pulumi.${stack}.yaml, unmodified: ${config.sites.map((site) => site.name).join(", ")} in world "${at.world}".`,
  );
  const world = await parts.part("The sealed world", async () => {
    const made = await at.up();
    say("The overlay, which is all that differs from the stack file:");
    for (const line of describeOverlay(made.overlay)) say(`  ${line}`);
    return made;
  });

  await parts.part("The stack comes up", async () => {
    demand(await parts.engine(world, "up", "--yes"), "The stack did not come up");
  });

  const path = writePath(config);
  const row = await parts.part("A row through the write VIP", async () => {
    const from = `a container on network ${config.network.name} of ${path.routerHost}`;
    const written = await at.progress.step(
      `Writing as ${path.role} from ${from} to ${path.routerContainer}:${path.port}`,
      () => writeRow(world.plan, config, world.overlay),
    );
    say(`Committed, and read back over a second connection: row ${written.id}, "${written.note}".`);
    return written;
  });

  const sites = await parts.part("Every site has it", async () => {
    const found = await at.progress.step("Asking each site", () =>
      findRowEverywhere(world.plan, config, row),
    );
    for (const site of found) say(`  ${site.site.padEnd(14)}${site.role.padEnd(9)} row ${row.id} is there`);
    return found;
  });

  await parts.part("A second preview, nothing changed", () => parts.cleanPreview(world));

  const change = await parts.part("A preview of one changed HAProxy setting", () =>
    withVariation(world.plan, stack, async (directory, change) => {
      say(`In a copy of the stack file, thrown away after: ${change.key} ${change.before} → ${change.after}`);
      if (!(await parts.changesIn(world, "--diff", "--cwd", directory))) {
        throw new RehearsalError(
          "The preview does not show the change",
          `${change.key} was changed from ${change.before} to ${change.after}, and the preview says nothing would change`,
          "bin/rehearse preview --diff",
        );
      }
      return change;
    }),
  );

  if (at.globals.json === true) {
    const { phases } = parts;
    process.stdout.write(
      `${JSON.stringify({ world: at.world, stack, row, sites, change, phases }, null, 2)}\n`,
    );
    return;
  }
  parts.times();
  say();
  say(lookAround(at, config.sites[0]?.name ?? "SITE", config.routers[0]?.host ?? "HOST"));
}

function lookAround(at: Context, site: string, host: string): string {
  const commands: readonly (readonly [string, string])[] = [
    ["status", "machines, containers, and which site is primary"],
    ["psql write", "SQL through the write VIP, as the application"],
    [`psql ${site} -c 'table pg_stat_replication'`, "SQL at one site, as superuser"],
    [`exec ssh ${host}`, "a host, as the operator gets it"],
    ["preview --diff", "what an up would change"],
    ["up", "takes over what you changed in the checkout"],
    ["down", "removes this world; built images stay for the next one"],
  ];
  const lines = commands.map(([verb, meaning]) => [at.hint(`bin/rehearse ${verb}`), meaning] as const);
  const width = Math.max(...lines.map(([line]) => line.length)) + 2;
  return [
    pc.bold("Look around"),
    ...lines.map(([line, meaning]) => `  ${line.padEnd(width)}${pc.dim(meaning)}`),
  ].join("\n");
}

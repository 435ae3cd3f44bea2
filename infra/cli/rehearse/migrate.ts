import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import pc from "picocolors";
import { migrationSteps, planMigration } from "../../rehearsal/migration.ts";
import type { MigrationStep } from "../../rehearsal/migration.ts";
import { RehearsalError } from "../../rehearsal/trouble.ts";
import type { World } from "../../rehearsal/world.ts";
import { down, refreshCheckout, worlds } from "../../rehearsal/world.ts";
import type { WriterReport } from "../../rehearsal/writer/writer.ts";
import { Writer } from "../../rehearsal/writer/writer.ts";
import { daemonVersion } from "../../rehearsal/daemon.ts";
import type { Globals } from "./context.ts";
import { Context } from "./context.ts";
import { demand, Parts } from "./parts.ts";

export interface MigrateOptions {
  /** The world stays, to be looked at. */
  readonly keep: boolean;
}

/**
 * Moves a site of a stack to a host that only the world has, step by step as an operator would, while an application
 * writes. It has a world and a copy of the stack file of its own, since afterwards both are what they would be after the
 * move; the world is removed when all went well.
 * @param site by default the declared primary
 * @throws {RehearsalError} at the first step that does not hold, and where an acknowledged row is lost
 */
export async function playMigration(
  globals: Globals,
  site: string | undefined,
  { keep }: MigrateOptions,
): Promise<void> {
  const shipped = new Context(globals);
  const name = `${shipped.world}-migration`;
  if ((await daemonVersion()) !== undefined && (await worlds()).includes(name))
    throw new RehearsalError(
      `There is a world "${name}" already`,
      "a migration begins with a stack as its file says, and what ran there may be moved already",
      `bin/rehearse down --world ${name}`,
    );
  const copy = join(shipped.stateDirectory, "migration", `Pulumi.${shipped.stack}.yaml`);
  mkdirSync(join(shipped.stateDirectory, "migration"), { recursive: true });
  writeFileSync(copy, readFileSync(shipped.stackFile, "utf8"));
  const at = new Context({
    ...globals,
    world: name,
    configFile: relative(shipped.packageDirectory, copy),
  });
  const parts = new Parts(at);
  const stack = at.loadStack();
  const migration = planMigration(stack, site);
  parts.say(
    `Moving ${migration.from} of Pulumi.${at.stack}.yaml to ${migration.to} (${migration.address}), in world "${name}".`,
  );
  let world = await parts.part("The stack as it is", async () => {
    const made = await at.up();
    demand(await parts.engine(made, "up", "--yes"), "The stack did not come up");
    return made;
  });
  const writer = await at.progress.step("An application that writes all the time", () =>
    // Who takes writes is asked of the sites that are there now, and one of them leaves.
    Writer.start(world.plan, stack, world.overlay, { sampleEveryMs: 0 }),
  );
  for (const step of migrationSteps(stack, migration)) {
    world = await parts.part(step.title, async () => {
      writeFileSync(copy, step.edit(readFileSync(copy, "utf8")));
      const changed = await intoWorld(at, step, world);
      writer.follow({ plan: changed.plan, stack: at.loadStack() });
      demand(await parts.engine(changed, "preview"), "The preview failed");
      writer.mark(step.name);
      demand(await parts.engine(changed, "up", "--yes"), `The step "${step.title}" failed`);
      await parts.cleanPreview(changed);
      return changed;
    });
  }
  const report = await parts.part("What became of the rows", () => writer.stop());
  tell(at, parts, report);
  if (keep) {
    parts.say(at.hint("Look around: bin/rehearse status; remove it: bin/rehearse down"));
    return;
  }
  await at.progress.step(`Removing world ${name}`, () => down(name));
}

/** A new host has to be made; a changed file has only to be copied. */
async function intoWorld(at: Context, { name }: MigrationStep, world: World): Promise<World> {
  if (name === "add") return at.up();
  await refreshCheckout(world.plan, at.packageDirectory, at.stackFile);
  return world;
}

function tell(at: Context, parts: Parts, report: WriterReport): void {
  if (at.globals.json === true) {
    const { phases } = parts;
    process.stdout.write(
      `${JSON.stringify({ world: at.world, stack: at.stack, report, phases }, null, 2)}\n`,
    );
  } else {
    parts.say(`  ${report.acknowledged} rows acknowledged, ${report.lost} lost, ${report.duplicates} twice`);
    for (const { name, gapMs, errors } of report.marks) {
      const failed = Object.entries(errors).map(([kind, count]) => `${count} ${kind}`);
      parts.say(
        `  ${name.padEnd(10)}longest time without a row ${gapMs.toFixed(0).padStart(6)} ms${failed.length === 0 ? "" : `; ${failed.join(", ")}`}`,
      );
    }
    parts.times();
    parts.say();
  }
  if (report.lost > 0)
    throw new RehearsalError(
      `${report.lost} acknowledged rows are lost`,
      report.lostRows.slice(0, 5).join(", "),
      "this must never happen: keep the world, and file what `bin/rehearse exec bin/recovery ENV history --json` prints",
    );
  if (at.globals.json !== true) parts.say(pc.green("Nothing was lost."));
}

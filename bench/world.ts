import { join } from "node:path";
import { execa } from "execa";
import { loadStackFile } from "../infra/config/load.ts";
import type { Overlay } from "../infra/config/overlay.ts";
import type { StackConfig } from "../infra/config/schema.ts";
import type { WorldPlan } from "../infra/rehearsal/plan.ts";
import { readWorldOverlay } from "../infra/rehearsal/sql.ts";
import { findWorld, stackSpec } from "../infra/rehearsal/world.ts";
import type { Topology } from "../infra/topology/model.ts";
import { buildTopology } from "../infra/topology/model.ts";

export const ROOT = join(import.meta.dirname, "..");

/** A world that is up, and how its verbs are called. */
export interface BenchWorld {
  readonly name: string;
  /** `production` for Pulumi.production.yaml. */
  readonly stackName: string;
  readonly plan: WorldPlan;
  readonly stack: StackConfig;
  readonly overlay: Overlay;
  readonly topology: Topology;
  /** `bin/rehearse` with what names the world. */
  readonly rehearse: (args: readonly string[]) => Promise<Ran>;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param options what names the world to `bin/rehearse` */
export async function benchWorld(
  name: string,
  stackName: string,
  options: readonly string[],
): Promise<BenchWorld> {
  const rehearse = async (args: readonly string[]): Promise<Ran> => {
    const ran = await execa(join(ROOT, "bin/rehearse"), [...options, ...args], {
      reject: false,
      stdin: "ignore",
      env: { NO_COLOR: "1" },
    });
    return { code: ran.exitCode ?? -1, stdout: ran.stdout, stderr: ran.stderr };
  };
  const stack = loadStackFile(ROOT, stackName);
  const plan = await findWorld(name, stackSpec(stack));
  if (plan === undefined) throw new Error(`there is no world ${name}`);
  return {
    name,
    stackName,
    plan,
    stack,
    overlay: await readWorldOverlay(plan),
    topology: buildTopology(stack),
    rehearse,
  };
}

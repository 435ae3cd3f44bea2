import type { Overlay } from "../../infra/config/overlay.ts";
import { loadStackFile } from "../../infra/config/load.ts";
import type { StackConfig } from "../../infra/config/schema.ts";
import type { WorldPlan } from "../../infra/rehearsal/plan.ts";
import { readWorldOverlay } from "../../infra/rehearsal/sql.ts";
import { findWorld, stackSpec } from "../../infra/rehearsal/world.ts";
import type { Topology } from "../../infra/topology/model.ts";
import { buildTopology } from "../../infra/topology/model.ts";
import type { Rehearsal } from "./rehearsal.ts";

/** What the rehearsal's own pieces (faults, the writer) need of a world that is up. */
export interface LiveWorld {
  readonly plan: WorldPlan;
  readonly stack: StackConfig;
  readonly overlay: Overlay;
  readonly topology: Topology;
}

/** @param directory folder of the stack file */
export async function liveWorld(world: Rehearsal, directory: string): Promise<LiveWorld> {
  const stack = loadStackFile(directory, world.stack);
  const plan = await findWorld(world.world, stackSpec(stack));
  if (plan === undefined) throw new Error(`there is no world ${world.world}`);
  return { plan, stack, overlay: await readWorldOverlay(plan), topology: buildTopology(stack) };
}

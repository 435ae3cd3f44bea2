import { stateOf } from "../machines.ts";
import type { HostMachine, WorldPlan } from "../plan.ts";
import { RehearsalError } from "../trouble.ts";

export type HostState = "running" | "frozen" | "off" | "missing";

/** What a host does, as seen from outside. */
export async function hostState(host: HostMachine): Promise<HostState> {
  const state = (await stateOf(host.container))?.state;
  if (state === undefined) return "missing";
  return state === "running" ? "running" : state === "paused" ? "frozen" : "off";
}

/**
 * A host of the world by its name in the stack file.
 * @throws {RehearsalError} when there is none
 */
export function demandHost(plan: WorldPlan, name: string): HostMachine {
  const host = plan.hosts.find((candidate) => candidate.name === name);
  if (host !== undefined) return host;
  throw new RehearsalError(
    `There is no host "${name}"`,
    `the stack file has: ${plan.hosts.map((candidate) => candidate.name).join(", ")}`,
    "bin/rehearse status",
  );
}

/** @throws {RehearsalError} when it does not run */
export async function demandRunning(host: HostMachine): Promise<void> {
  const state = await hostState(host);
  if (state === "running") return;
  throw new RehearsalError(
    `Host ${host.name} is ${state}`,
    "this can be done on a host that runs only",
    state === "frozen"
      ? `bin/rehearse fault thaw ${host.name}`
      : state === "off"
        ? `bin/rehearse fault on ${host.name}`
        : "bin/rehearse up --hosts-only",
  );
}

import { tryDocker } from "../../rehearsal/docker.ts";
import { stateOf } from "../../rehearsal/machines.ts";
import type { WorldPlan } from "../../rehearsal/plan.ts";

export interface MachineStatus {
  readonly name: string;
  readonly tailnet: string;
  readonly container: string;
  /** Docker's word for the container outside; `missing` when there is none. */
  readonly state: string;
  /** Containers on the host: name and Docker's words; undefined where its daemon does not answer. */
  readonly containers?: readonly { readonly name: string; readonly status: string }[] | undefined;
}

/** What each machine of a world is doing, as seen from outside. */
export async function statusOf(plan: WorldPlan): Promise<MachineStatus[]> {
  const machines = [
    { machine: plan.controller, isHost: false },
    ...plan.hosts.map((machine) => ({ machine, isHost: true })),
  ];
  return Promise.all(
    machines.map(async ({ machine, isHost }) => {
      const state = (await stateOf(machine.container))?.state ?? "missing";
      const { name, tailnet, container } = machine;
      const containers = isHost && state === "running" ? await containersOn(container) : undefined;
      return { name, tailnet, container, state, containers };
    }),
  );
}

async function containersOn(host: string): Promise<{ name: string; status: string }[] | undefined> {
  const listed = await tryDocker(
    ["exec", host, "docker", "ps", "-a", "--format", "{{.Names}}\t{{.Status}}"],
    { timeout: 10_000 },
  );
  if (listed.exitCode !== 0) return undefined;
  return listed.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [name = "", status = ""] = line.split("\t");
      return { name, status };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

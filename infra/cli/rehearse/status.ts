import type { StackConfig } from "../../config/schema.ts";
import { tryDocker } from "../../rehearsal/docker.ts";
import type { ActiveFault } from "../../rehearsal/faults/active.ts";
import { activeFaults } from "../../rehearsal/faults/active.ts";
import { stateOf } from "../../rehearsal/machines.ts";
import type { WorldPlan } from "../../rehearsal/plan.ts";
import type { SiteAnswer } from "../../rehearsal/health.ts";
import { askSites, primariesOf } from "../../rehearsal/health.ts";

export interface MachineStatus {
  readonly name: string;
  readonly tailnet: string;
  readonly container: string;
  /** Docker's word for the container outside; `missing` when there is none. */
  readonly state: string;
  /** Containers on the host: name and Docker's words; undefined where its daemon does not answer. */
  readonly containers?: readonly { readonly name: string; readonly status: string }[] | undefined;
}

export interface WorldStatus {
  readonly machines: readonly MachineStatus[];
  readonly sites: readonly SiteAnswer[];
  /** The site that takes writes; null when none or more than one says so. */
  readonly primary: string | null;
  /** What `bin/rehearse fault` did and nobody has undone yet. */
  readonly faults: readonly ActiveFault[];
}

/** What each machine and each site of a world is doing, asked all at once. */
export async function statusOf(plan: WorldPlan, stack: StackConfig): Promise<WorldStatus> {
  const [machines, sites, faults] = await Promise.all([
    machinesOf(plan),
    askSites(plan, stack),
    activeFaults(plan),
  ]);
  const primaries = primariesOf(sites);
  return { machines, sites, primary: primaries.length === 1 ? (primaries[0] ?? null) : null, faults };
}

/** As seen from outside. */
async function machinesOf(plan: WorldPlan): Promise<MachineStatus[]> {
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
    { timeout: 3000 },
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

import type { HostMachine, WorldPlan } from "../plan.ts";
import { emptied, roomLeft } from "./disk.ts";
import { isBroken } from "./links.ts";
import { changedFrom, healLiveRestore } from "./live-restore.ts";
import { healLinks, linkFaults, slowRate, unslow } from "./network.ts";
import { addressAfter, lateAddress, powerOn, thaw } from "./power.ts";
import { frozenContainers, setContainerFrozen } from "./processes.ts";
import { hostState } from "./states.ts";

/** A fault that is in force now. */
export type ActiveFault =
  | { readonly kind: "link"; readonly from: string; readonly to: string; readonly loss: number }
  | { readonly kind: "delay"; readonly from: string; readonly to: string; readonly milliseconds: number }
  | { readonly kind: "full disk"; readonly host: string; readonly kilobytesLeft: number }
  | { readonly kind: "slow"; readonly host: string; readonly rate: string }
  | { readonly kind: "frozen host"; readonly host: string }
  | { readonly kind: "host off"; readonly host: string }
  | { readonly kind: "frozen container"; readonly host: string; readonly container: string }
  | { readonly kind: "late address"; readonly host: string; readonly seconds: number }
  | { readonly kind: "live-restore"; readonly host: string; readonly on: boolean };

/** A fault for a reader. */
export function describeFault(fault: ActiveFault): string {
  switch (fault.kind) {
    case "link":
      return fault.loss >= 1
        ? `cut: nothing from ${fault.from} reaches ${fault.to}`
        : `lossy: ${Math.round(fault.loss * 1000) / 10} % of what ${fault.from} sends to ${fault.to} is lost`;
    case "delay":
      return `delay: what ${fault.from} sends reaches ${fault.to} ${fault.milliseconds} ms later`;
    case "full disk":
      return `full: ${fault.kilobytesLeft} KB are left on the disk of ${fault.host}`;
    case "slow":
      return `slow: ${fault.host} sends ${fault.rate} at most`;
    case "frozen host":
      return `frozen: host ${fault.host}`;
    case "host off":
      return `off: host ${fault.host}`;
    case "frozen container":
      return `frozen: container ${fault.container} on ${fault.host}`;
    case "late address":
      return `late address: ${fault.host} gets it ${fault.seconds} s after its next boot`;
    case "live-restore":
      return `live-restore: turned ${fault.on ? "on" : "off"} at ${fault.host}`;
  }
}

/** All faults of a world, from what its hosts show: nothing of it is remembered elsewhere. */
export async function activeFaults(plan: WorldPlan): Promise<ActiveFault[]> {
  const [links, ...hosts] = await Promise.all([linkFaults(plan), ...plan.hosts.map(faultsAt)]);
  return [
    ...links.map((fault): ActiveFault =>
      isBroken(fault) ? { kind: "link", ...fault } : { kind: "delay", ...fault },
    ),
    ...hosts.flat(),
  ];
}

async function faultsAt(host: HostMachine): Promise<ActiveFault[]> {
  const state = await hostState(host);
  const seconds = state === "missing" ? 0 : await addressAfter(host);
  const late: ActiveFault[] = seconds === 0 ? [] : [{ kind: "late address", host: host.name, seconds }];
  if (state === "frozen") return [{ kind: "frozen host", host: host.name }, ...late];
  if (state !== "running") return [{ kind: "host off", host: host.name }, ...late];
  const [rate, room, before, frozen] = await Promise.all([
    slowRate(host),
    roomLeft(host),
    changedFrom(host),
    frozenContainers(host),
  ]);
  return [
    ...(rate === undefined ? [] : [{ kind: "slow" as const, host: host.name, rate }]),
    ...(room === undefined ? [] : [{ kind: "full disk" as const, host: host.name, kilobytesLeft: room }]),
    ...frozen.map((container): ActiveFault => ({ kind: "frozen container", host: host.name, container })),
    ...late,
    ...(before === undefined ? [] : [{ kind: "live-restore" as const, host: host.name, on: !before }]),
  ];
}

/**
 * Undoes every fault that is in force: frozen hosts go on, those that are off are switched on, links carry again. What
 * was killed comes back by itself.
 * @returns what was in force
 */
export async function healAll(plan: WorldPlan): Promise<ActiveFault[]> {
  const found = await activeFaults(plan);
  // Hosts first: only a running one can take its part of the rest.
  for (const fault of found) {
    if (fault.kind === "frozen host") await thaw(plan, fault.host);
    if (fault.kind === "host off") await powerOn(plan, fault.host);
  }
  await healLinks(plan);
  for (const host of plan.hosts) {
    if ((await hostState(host)) !== "running") continue;
    await lateAddress(plan, host.name, 0);
    await unslow(host);
    await emptied(host);
    await healLiveRestore(host);
    for (const container of await frozenContainers(host))
      await setContainerFrozen(plan, host.name, container, false);
  }
  return found;
}

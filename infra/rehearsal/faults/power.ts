import { docker } from "../docker.ts";
import { give, readInside, WORLD_FOLDER } from "../host-files.ts";
import type { HostMachine, WorldPlan } from "../plan.ts";
import { RehearsalError } from "../trouble.ts";
import { frozenContainers, setContainerFrozen } from "./processes.ts";
import { demandHost, demandRunning, hostState } from "./states.ts";

/** Seconds that a host has to shut down in order; a PostgreSQL that stops fast needs a few. */
const SHUTDOWN_SECONDS = 120;

/** Longest time that an address may come late, seconds. */
const LATEST_SECONDS = 600;

const LATE_FILE = "address-after";

/** Stops every process of a host, its containers' too, in the middle of what it does. Returns whether it had run. */
export async function freeze(plan: WorldPlan, name: string): Promise<boolean> {
  const host = demandHost(plan, name);
  if ((await hostState(host)) === "frozen") return false;
  await demandRunning(host);
  await docker(["pause", host.container]);
  return true;
}

/** Lets a frozen host go on. Returns whether it was frozen. */
export async function thaw(plan: WorldPlan, name: string): Promise<boolean> {
  const host = demandHost(plan, name);
  if ((await hostState(host)) !== "frozen") return false;
  await docker(["unpause", host.container]);
  return true;
}

/**
 * Switches a host off.
 * @param clean true shuts it down in order; false is a pulled plug
 * @returns whether it had been on
 */
export async function powerOff(plan: WorldPlan, name: string, clean: boolean): Promise<boolean> {
  const host = demandHost(plan, name);
  if ((await hostState(host)) === "off") return false;
  await demandRunning(host);
  // A process that its own container holds frozen cannot die, and Docker outside would wait for it in vain.
  for (const container of await frozenContainers(host))
    await setContainerFrozen(plan, name, container, false);
  await (clean
    ? docker(["stop", "--time", String(SHUTDOWN_SECONDS), host.container])
    : docker(["kill", host.container]));
  return true;
}

/** Switches a host on, and waits for nothing. Returns whether it had been off. */
export async function powerOn(plan: WorldPlan, name: string): Promise<boolean> {
  const host = demandHost(plan, name);
  const state = await hostState(host);
  if (state === "running") return false;
  if (state !== "off") await demandRunning(host);
  await docker(["start", host.container]);
  return true;
}

/** Off and on again. @param clean true shuts it down in order; false is a reset button */
export async function reboot(plan: WorldPlan, name: string, clean: boolean): Promise<void> {
  const host = demandHost(plan, name);
  await demandRunning(host);
  await powerOff(plan, name, clean);
  await powerOn(plan, name);
}

/**
 * Lets the tailnet address come late from the next boot on, as with a tailscaled that starts after everything else.
 * @param seconds 0 ends it
 */
export async function lateAddress(plan: WorldPlan, name: string, seconds: number): Promise<boolean> {
  const host = demandHost(plan, name);
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > LATEST_SECONDS) {
    throw new RehearsalError(
      `${seconds} is no number of seconds for an address to be late`,
      `allowed: a whole number up to ${LATEST_SECONDS}; 0 ends it`,
      `bin/rehearse fault late-address ${name} 30`,
    );
  }
  const state = await hostState(host);
  if (state === "frozen" || state === "missing") await demandRunning(host);
  if ((await addressAfter(host)) === seconds) return false;
  await give(host.container, state === "running" ? state : undefined, WORLD_FOLDER, {
    [LATE_FILE]: seconds === 0 ? "" : String(seconds),
  });
  return true;
}

/** Seconds after which a host's address comes at its next boot; 0 for at once. */
export async function addressAfter(host: HostMachine): Promise<number> {
  const state = await hostState(host);
  const text = await readInside(
    host.container,
    state === "running" ? state : undefined,
    `${WORLD_FOLDER}/${LATE_FILE}`,
  );
  return Number(text);
}

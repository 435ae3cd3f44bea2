import { setTimeout as delay } from "node:timers/promises";
import { docker, tryDocker } from "../docker.ts";
import { give, readInside, WORLD_FOLDER } from "../host-files.ts";
import type { HostMachine, WorldPlan } from "../plan.ts";
import { RehearsalError } from "../trouble.ts";
import { demandHost, demandRunning } from "./states.ts";

const CONFIG = "/etc/docker/daemon.json";

/** Holds what the setting was before the first change, for `heal`. */
const BEFORE_FILE = "live-restore-before";

/** Seconds that a daemon may take to read its configuration again. */
const RELOAD_SECONDS = 10;

/**
 * Turns live-restore on or off in a host's Docker daemon, without a restart: whether containers live on while it is
 * dead. Holds over reboots.
 * @returns whether that changed anything
 */
export async function setLiveRestore(plan: WorldPlan, name: string, on: boolean): Promise<boolean> {
  const host = demandHost(plan, name);
  await demandRunning(host);
  const present = await liveRestore(host);
  if (present === on) return false;
  const before = await changedFrom(host);
  if (before === undefined)
    await give(host.container, "running", WORLD_FOLDER, { [BEFORE_FILE]: String(present) });
  await apply(host, on);
  if (before === on) await forget(host);
  return true;
}

/** Gives a host the setting that it had. Returns whether that changed anything. */
export async function healLiveRestore(host: HostMachine): Promise<boolean> {
  const before = await changedFrom(host);
  if (before === undefined) return false;
  await apply(host, before);
  await forget(host);
  return true;
}

/** What the setting was, on a running host where it was changed; undefined where it was not. */
export async function changedFrom(host: HostMachine): Promise<boolean | undefined> {
  const before = await readInside(host.container, "running", `${WORLD_FOLDER}/${BEFORE_FILE}`);
  return before === "" ? undefined : before.trim() === "true";
}

async function liveRestore(host: HostMachine): Promise<boolean> {
  const info = await tryDocker([
    "exec",
    host.container,
    "docker",
    "info",
    "--format",
    "{{.LiveRestoreEnabled}}",
  ]);
  if (info.exitCode === 0) return info.stdout === "true";
  throw new RehearsalError(
    `The Docker daemon of host ${host.name} does not answer`,
    info.stderr,
    `bin/rehearse host ${host.name} tail /var/log/dockerd.log`,
  );
}

async function apply(host: HostMachine, on: boolean): Promise<void> {
  const text = await readInside(host.container, "running", CONFIG);
  const config = {
    ...(JSON.parse(text === "" ? "{}" : text) as Record<string, unknown>),
    "live-restore": on,
  };
  await give(
    host.container,
    "running",
    "/etc/docker",
    { "daemon.json": `${JSON.stringify(config, null, 2)}\n` },
    0o644,
  );
  await docker(["exec", host.container, "pkill", "-HUP", "-o", "-x", "dockerd"]);
  const deadline = performance.now() + RELOAD_SECONDS * 1000;
  while ((await liveRestore(host)) !== on) {
    if (performance.now() > deadline) {
      throw new RehearsalError(
        `The Docker daemon of host ${host.name} did not take live-restore ${on ? "on" : "off"}`,
        `${CONFIG} has it, and docker info does not after ${RELOAD_SECONDS} s`,
        `bin/rehearse host ${host.name} tail /var/log/dockerd.log`,
      );
    }
    await delay(50);
  }
}

async function forget(host: HostMachine): Promise<void> {
  await docker(["exec", host.container, "rm", "-f", `${WORLD_FOLDER}/${BEFORE_FILE}`]);
}

import type { StackConfig } from "../../config/schema.ts";
import { docker, tryDocker } from "../docker.ts";
import type { HostMachine, WorldPlan } from "../plan.ts";
import { RehearsalError, tail } from "../trouble.ts";
import { demandHost, demandRunning } from "./states.ts";

/** Processes that can be killed by what they are. */
export const ROLES = ["entrypoint", "postgres", "pgbouncer", "pg-health", "haproxy", "dockerd"] as const;
export type ProcessRole = (typeof ROLES)[number];

export interface Killed {
  readonly host: string;
  readonly role: ProcessRole;
  readonly pid: number;
  /** Milliseconds since the kernel's boot, to 10 ms: the monotonic clock of a machine that never sleeps. */
  readonly at: number;
}

/** A process in a container, as the host numbers it. */
export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
}

/**
 * Kills a process on a host by signal 9. By its number and never through Docker: what Docker itself kills it does not
 * start again.
 * @throws {RehearsalError} when the host has no such process
 */
export async function killProcess(
  plan: WorldPlan,
  stack: StackConfig,
  hostName: string,
  role: string,
): Promise<Killed> {
  const host = demandHost(plan, hostName);
  const known = demandRole(role);
  await demandRunning(host);
  const pid = known === "dockerd" ? await dockerdOf(host) : await inContainer(host, stack, known);
  // The shell that kills takes the time right before it does.
  const script = 'read -r up _ </proc/uptime && kill -KILL "$1" && echo "$up"';
  const up = await tryDocker(["exec", host.container, "sh", "-c", script, "sh", String(pid)]);
  if (up.exitCode !== 0) {
    throw new RehearsalError(
      `${known} on host ${hostName} could not be killed`,
      tail(up.stderr, 1),
      `bin/rehearse fault kill ${hostName} ${known}, if it ended by itself in that moment`,
    );
  }
  const at = Number(up.stdout) * 1000;
  return { host: hostName, role: known, pid, at };
}

function demandRole(role: string): ProcessRole {
  const known = ROLES.find((candidate) => candidate === role);
  if (known !== undefined) return known;
  throw new RehearsalError(
    `"${role}" is no process that can be killed`,
    `allowed: ${ROLES.join(", ")}`,
    "bin/rehearse fault kill --help",
  );
}

/** Containers that run a role on a host. */
export function containersOf(stack: StackConfig, hostName: string, role: ProcessRole): string[] {
  const sites = stack.sites.filter(({ host }) => host === hostName);
  switch (role) {
    case "entrypoint":
    case "postgres":
      return sites.map(({ containers }) => containers.postgres);
    case "pgbouncer":
      return sites.map(({ containers }) => containers.pgbouncer);
    case "pg-health":
      return sites.map(({ containers }) => containers.pgHealth);
    case "haproxy":
      return stack.routers.filter(({ host }) => host === hostName).map(({ container }) => container);
    case "dockerd":
      return [];
  }
}

async function dockerdOf(host: HostMachine): Promise<number> {
  const found = await tryDocker(["exec", host.container, "pgrep", "-o", "-x", "dockerd"]);
  if (found.exitCode === 0) return Number(found.stdout);
  throw new RehearsalError(
    `Host ${host.name} runs no dockerd`,
    "it was killed a moment ago, or does not start",
    `bin/rehearse host ${host.name} tail /var/log/dockerd.log`,
  );
}

async function inContainer(host: HostMachine, stack: StackConfig, role: ProcessRole): Promise<number> {
  const [container] = containersOf(stack, host.name, role);
  if (container === undefined) {
    throw new RehearsalError(
      `Host ${host.name} runs no ${role}`,
      "the stack file puts none of it there",
      "bin/rehearse status, which shows what runs where",
    );
  }
  const top = ["docker", "top", container, "-eo", "pid,ppid,comm"];
  const listed = await tryDocker(["exec", host.container, ...top]);
  const pid = listed.exitCode === 0 ? processOf(role, parseTop(listed.stdout)) : undefined;
  if (pid !== undefined) return pid;
  throw new RehearsalError(
    `${role} does not run on host ${host.name}`,
    listed.exitCode === 0 ? `its container ${container} has no such process` : tail(listed.stderr, 1),
    `bin/rehearse host ${host.name} docker logs -n 20 ${container}`,
  );
}

/** Rows of `docker top … -eo pid,ppid,comm`. */
export function parseTop(text: string): ProcessRow[] {
  return text.split("\n").flatMap((line) => {
    const [, pid, parent, name] = /^\s*(\d+)\s+(\d+)\s+(.+?)\s*$/.exec(line) ?? [];
    return name === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), name }];
  });
}

/** The postmaster, or what the container's init started. */
export function processOf(role: ProcessRole, rows: readonly ProcessRow[]): number | undefined {
  if (role === "postgres") {
    const own = new Set(rows.filter(({ name }) => name === "postgres").map(({ pid }) => pid));
    return rows.find(({ pid, parent }) => own.has(pid) && !own.has(parent))?.pid;
  }
  const all = new Set(rows.map(({ pid }) => pid));
  const init = rows.find(({ parent }) => !all.has(parent));
  return rows.find(({ parent }) => parent === init?.pid)?.pid;
}

/** Freezes or thaws one container on a host. Returns whether that changed anything. */
export async function setContainerFrozen(
  plan: WorldPlan,
  hostName: string,
  container: string,
  frozen: boolean,
): Promise<boolean> {
  const host = demandHost(plan, hostName);
  await demandRunning(host);
  const inspect = ["docker", "inspect", "--format", "{{.State.Status}}", container];
  const found = await tryDocker(["exec", host.container, ...inspect]);
  const wanted = frozen ? "running" : "paused";
  if (found.exitCode === 0 && found.stdout === (frozen ? "paused" : "running")) return false;
  if (found.exitCode !== 0 || found.stdout !== wanted) {
    throw new RehearsalError(
      `Container ${container} on host ${hostName} cannot be ${frozen ? "frozen" : "thawed"}`,
      found.exitCode === 0 ? `it is ${found.stdout}` : tail(found.stderr, 1),
      "bin/rehearse status, which shows the containers of each host",
    );
  }
  await docker(["exec", host.container, "docker", frozen ? "pause" : "unpause", container]);
  return true;
}

/** Containers on a running host that are frozen; none where its Docker daemon does not answer. */
export async function frozenContainers(host: HostMachine): Promise<string[]> {
  const list = ["docker", "ps", "--filter", "status=paused", "--format", "{{.Names}}"];
  const listed = await tryDocker(["exec", host.container, ...list], { timeout: 5000 });
  return listed.exitCode !== 0 || listed.stdout === "" ? [] : listed.stdout.split("\n");
}

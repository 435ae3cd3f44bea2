import { createHash } from "node:crypto";
import { docker, tryDocker, WORLD_LABEL } from "./docker.ts";
import { DISK_FILE, give, WORLD_FOLDER } from "./host-files.ts";
import type { Identity } from "./identity.ts";
import type { HostMachine, HostMaterial, Machine, WorldPlan } from "./plan.ts";
import { controllerContainer, hostContainer, knownHosts, machineEnvironment, sshConfig } from "./plan.ts";
import { RehearsalError, tail } from "./trouble.ts";

/** Checksum of the arguments that a container was made with, so that an outdated one is noticed. */
const SPEC_LABEL = "heatwave.spec";

/** Seconds until a started host must answer over SSH with its Docker daemon up. */
const READY_SECONDS = 90;

export interface Found {
  /** `running`, `exited`, `paused` and so on. */
  readonly state: string;
  /** Checksum of the arguments it was made with. */
  readonly spec: string;
}

/** What is there of a container; undefined when it does not exist. */
export async function stateOf(container: string): Promise<Found | undefined> {
  const format = `{{.State.Status}} {{index .Config.Labels "${SPEC_LABEL}"}}`;
  const result = await tryDocker(["inspect", "--format", format, container]);
  if (result.exitCode !== 0) return undefined;
  const [state, spec] = result.stdout.split(" ");
  return { state: state ?? "", spec: spec ?? "" };
}

/** The controller with its address, key and agent. It holds no state of its own: an outdated one is made again. */
export async function ensureController(
  plan: WorldPlan,
  identity: Identity,
  image: string,
  modules: string,
): Promise<void> {
  const { container } = plan.controller;
  const wanted = controllerContainer(plan, image, modules);
  let found = await stateOf(container);
  if (found !== undefined && found.spec !== specOf(wanted)) {
    await docker(["rm", "-f", container]);
    found = undefined;
  }
  if (found === undefined) await create(plan, wanted);
  await give(container, found?.state, WORLD_FOLDER, {
    "machine.env": machineEnvironment(plan.controller, plan),
  });
  await give(container, found?.state, "/etc/heatwave", {
    ssh_config: sshConfig(plan),
    known_hosts: knownHosts(plan, identity.hostPublicKeys),
  });
  await startOrRefresh(plan.controller, found?.state);
}

/** A host: made, given its own address and keys, started; not waited for. Returns whether it was there, and outdated. */
export async function ensureHost(
  machine: HostMachine,
  plan: WorldPlan,
  identity: Identity,
  material: HostMaterial,
): Promise<{ readonly outdated: boolean }> {
  const { container } = machine;
  const wanted = hostContainer(machine, plan, material);
  const found = await stateOf(container);
  if (found === undefined) await create(plan, wanted);
  await give(container, found?.state, WORLD_FOLDER, {
    "machine.env": machineEnvironment(machine, plan, machine),
    authorized_keys: identity.operatorPublicKey,
    host_key: identity.hostPrivateKeys[machine.name] ?? "",
    ...(found === undefined && material.disk !== undefined ? { [DISK_FILE]: material.disk } : {}),
  });
  await give(
    container,
    found?.state,
    "/etc",
    { "heatwave-world": `world=${plan.world}\nid=${identity.id}\n` },
    0o644,
  );
  await startOrRefresh(machine, found?.state);
  return { outdated: found !== undefined && found.spec !== specOf(wanted) };
}

async function create(plan: WorldPlan, wanted: readonly string[]): Promise<void> {
  const labels = [`${WORLD_LABEL}=${plan.world}`, `${SPEC_LABEL}=${specOf(wanted)}`];
  await docker(["create", ...labels.flatMap((label) => ["--label", label]), ...wanted]);
}

function specOf(wanted: readonly string[]): string {
  return createHash("sha256").update(wanted.join("\0")).digest("hex").slice(0, 16);
}

/**
 * Waits until the controller reaches the host by its tailnet address, as the stack's user, with its Docker answering.
 * @throws {RehearsalError} with the host's own last words
 */
export async function awaitHost(machine: HostMachine, plan: WorldPlan): Promise<void> {
  const script = `until ssh -o ConnectTimeout=2 "$1" docker version >/dev/null 2>/tmp/ready.$1; do sleep 0.1; done`;
  const { container } = plan.controller;
  const waited = await tryDocker([
    ...["exec", container, "timeout", String(READY_SECONDS), "sh", "-c", script, "sh", machine.name],
  ]);
  if (waited.exitCode === 0) return;
  const why = await tryDocker(["exec", container, "cat", `/tmp/ready.${machine.name}`]);
  const log = await tryDocker(["exec", machine.container, "sh", "-c", "tail -n 5 /var/log/*.log"]);
  const init = await tryDocker(["logs", "--tail", "10", machine.container]);
  throw new RehearsalError(
    `Host ${machine.name} was not ready within ${READY_SECONDS} s`,
    tail([why.stdout, log.stdout, init.stdout, init.stderr].join("\n"), 30),
    `docker logs ${machine.container}, or begin anew: bin/rehearse down`,
  );
}

async function startOrRefresh(machine: Machine, state: string | undefined): Promise<void> {
  if (state === "paused") await docker(["unpause", machine.container]);
  if (state === "running" || state === "paused")
    await docker(["exec", machine.container, "heatwave-tailnet"]);
  else await docker(["start", machine.container]);
}

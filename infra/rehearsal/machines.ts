import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { docker, tryDocker, WORLD_LABEL } from "./docker.ts";
import type { Identity } from "./identity.ts";
import type { HostMachine, Machine, WorldPlan } from "./plan.ts";
import { controllerContainer, hostContainer, knownHosts, machineEnvironment, sshConfig } from "./plan.ts";
import { RehearsalError, tail } from "./trouble.ts";

/** Seconds until a started host must answer over SSH with its Docker daemon up. */
const READY_SECONDS = 90;

/** `running`, `exited`, `paused` and so on; undefined when the container does not exist. */
export async function stateOf(container: string): Promise<{ state: string; image: string } | undefined> {
  const result = await tryDocker(["inspect", "--format", "{{.State.Status}} {{.Config.Image}}", container]);
  if (result.exitCode !== 0) return undefined;
  const [state, image] = result.stdout.split(" ");
  return { state: state ?? "", image: image ?? "" };
}

/** The controller with its address, key and agent. It holds no state of its own: an outdated one is made again. */
export async function ensureController(plan: WorldPlan, identity: Identity, image: string): Promise<void> {
  const { container } = plan.controller;
  const found = await stateOf(container);
  if (found !== undefined && found.image !== image) await docker(["rm", "-f", container]);
  if (found?.image !== image) {
    await docker(["create", ...controllerContainer(plan, image, `${WORLD_LABEL}=${plan.world}`)]);
  }
  const running = found?.image === image && found.state === "running";
  await give(container, "/etc/heatwave-world.d", {
    "machine.env": machineEnvironment(plan.controller, plan),
  });
  await give(container, "/etc/heatwave", {
    ssh_config: sshConfig(plan),
    known_hosts: knownHosts(plan, identity.hostPublicKeys),
  });
  await startOrRefresh(plan.controller, running);
}

/** A host: made, given its own address and keys, started. It does not wait for it. Returns true when it was outdated. */
export async function ensureHost(
  machine: HostMachine,
  plan: WorldPlan,
  identity: Identity,
  image: string,
): Promise<boolean> {
  const { container } = machine;
  const found = await stateOf(container);
  if (found === undefined) {
    await docker(["create", ...hostContainer(machine, plan, image, `${WORLD_LABEL}=${plan.world}`)]);
  }
  await give(container, "/etc/heatwave-world.d", {
    "machine.env": machineEnvironment(machine, plan, machine),
    authorized_keys: identity.operatorPublicKey,
    host_key: identity.hostPrivateKeys[machine.name] ?? "",
  });
  await give(container, "/etc", { "heatwave-world": `world=${plan.world}\nid=${identity.id}\n` }, 0o644);
  await startOrRefresh(machine, found?.state === "running");
  return found !== undefined && found.image !== image;
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

async function startOrRefresh(machine: Machine, running: boolean): Promise<void> {
  if (running) await docker(["exec", machine.container, "heatwave-tailnet"]);
  else await docker(["start", machine.container]);
}

/** Copies files into a container, which need not run, without showing them to anyone else. */
async function give(
  container: string,
  folder: string,
  files: Readonly<Record<string, string>>,
  mode = 0o600,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "heatwave-give-"));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text, { mode });
    for (const name of Object.keys(files)) {
      await docker(["cp", "-q", join(directory, name), `${container}:${folder}/${name}`]);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

import { createHash } from "node:crypto";
import type { Overlay } from "../config/overlay.ts";
import type { StackConfig } from "../config/schema.ts";
import { ensureImages } from "./build.ts";
import { CHECKOUT_RECORD, fillModules, readLock, syncCheckout, writeInside } from "./checkout.ts";
import { diskOfWorld } from "./disk.ts";
import { docker, labelled, pipeIntoDocker, rows, tryDocker, WORLD_LABEL } from "./docker.ts";
import { ensureIdentity } from "./identity.ts";
import { awaitHost, ensureController, ensureHost } from "./machines.ts";
import { buildOverlay } from "./overlay.ts";
import type { HostMachine, StackSpec, WorldPlan } from "./plan.ts";
import { planWorld } from "./plan.ts";
import type { Progress } from "./progress.ts";
import { STAND_INS } from "./recipes.ts";
import { ensureSeed, ensureSharedVolume, findHostRights } from "./seeds.ts";
import { RehearsalError } from "./trouble.ts";

export interface UpOptions {
  readonly world: string;
  readonly stack: StackConfig;
  readonly packageDirectory: string;
  /** Absolute path of Pulumi.<stack>.yaml. */
  readonly stackFile: string;
  readonly progress: Progress;
  readonly confirm: (question: string) => Promise<boolean>;
  /** True where the stack's own images can be pulled. */
  readonly registry: boolean;
  /** Size of a disk of each host's own, as `parseDiskSize` gives it; undefined takes what the world has. */
  readonly disk?: string | undefined;
}

export interface World {
  readonly plan: WorldPlan;
  readonly overlay: Overlay;
}

/** What a world needs of a stack file. */
export function stackSpec(stack: StackConfig, registry = false): StackSpec {
  return {
    hosts: Object.entries(stack.hosts).map(([name, host]) => ({
      name,
      address: host.address,
      ssh: { user: host.ssh.user, port: host.ssh.port },
      root: host.root,
    })),
    operators: Object.values(stack.operators),
    externalNetwork: stack.network.external ? stack.network.name : undefined,
    registry,
  };
}

/**
 * Makes the sealed world of a stack, or what is missing of it. Safe to run again at any time, also after it was cut
 * short: everything is looked at first.
 * @throws {RehearsalError}
 */
export async function up(options: UpOptions): Promise<World> {
  const { progress, packageDirectory, registry } = options;
  const images = await ensureImages(
    ["host", ...(registry ? (["registry"] as const) : STAND_INS), "controller"],
    options,
  );
  const [hostImage, controllerImage] = [images["host"] ?? "", images["controller"] ?? ""];
  const standIns = registry ? {} : Object.fromEntries(STAND_INS.map((name) => [name, images[name] ?? ""]));
  const plan = await ensureNetwork(options.world, stackSpec(options.stack, registry));
  const disk = await diskOfWorld(plan, options.disk);
  await ensureVolumes(plan);
  const [identity, modules, rights] = await Promise.all([
    ensureIdentity(plan, controllerImage),
    ensureSharedVolume("modules", [readLock(packageDirectory)]),
    findHostRights(hostImage),
    ensureMirror(plan, images["registry"] ?? ""),
  ]);
  const overlay = buildOverlay({
    world: options.world,
    images: standIns,
    hostKeys: identity.hostPublicKeys,
    declaredSecrets: options.stack.secrets,
    earlier: identity.overlay,
  });
  const seed = registry
    ? undefined
    : await progress.step("Images for the hosts", () =>
        ensureSeed(Object.values(standIns), hostImage, rights),
      );
  const controller = progress.step("Controller: network, agent, checkout, packages", async (status) => {
    await ensureController(plan, identity, controllerImage, modules);
    await writeInside(
      plan.controller.container,
      "/etc/heatwave/overlay.json",
      JSON.stringify(overlay, null, 2),
    );
    status("checkout");
    const { sent, removed } = await syncCheckout(
      packageDirectory,
      options.stackFile,
      plan.controller.container,
      identity.checkout,
    );
    status(`${sent} files sent, ${removed} removed; packages`);
    await fillModules(packageDirectory, plan.controller.container, modules, controllerImage);
  });
  const hosts = plan.hosts.map((machine) =>
    progress.step(`Host ${machine.name} (${machine.tailnet})`, async (status) => {
      const { outdated } = await ensureHost(machine, plan, identity, {
        image: hostImage,
        rights,
        seed,
        disk,
      });
      if (outdated)
        progress.note(`Host ${machine.name} was made from older images; bin/rehearse down renews it.`);
      status("Docker");
      await ensureInnerDocker(machine);
      if (registry) await pullOriginals(machine, options.stack);
      else await loadImages(machine, Object.values(standIns));
      await ensureExternalNetwork(machine, plan);
      await controller.catch(() => undefined);
      status("waiting for SSH over the tailnet");
      await awaitHost(machine, plan);
    }),
  );
  await Promise.all([controller, ...hosts]);
  return { plan, overlay };
}

/**
 * Brings the copy of the checkout in a world that runs up to date, and leaves all else of the world alone.
 * @param stackFile absolute path of Pulumi.<stack>.yaml
 * @throws {RehearsalError} when the controller does not run or was never given a checkout
 */
export async function refreshCheckout(
  plan: WorldPlan,
  packageDirectory: string,
  stackFile: string,
): Promise<{ readonly sent: number; readonly removed: number }> {
  const { container } = plan.controller;
  const earlier = await tryDocker(["exec", container, "cat", CHECKOUT_RECORD]);
  if (earlier.exitCode !== 0) {
    throw new RehearsalError(
      `World "${plan.world}" is not whole`,
      `its controller has no copy of the checkout: ${earlier.stderr}`,
      "bin/rehearse up --hosts-only, or bin/rehearse up for the stack as well",
    );
  }
  return syncCheckout(
    packageDirectory,
    stackFile,
    container,
    JSON.parse(earlier.stdout) as Record<string, string>,
  );
}

/** The plan of a world that exists; undefined when it does not. */
export async function findWorld(world: string, spec: StackSpec): Promise<WorldPlan | undefined> {
  const third = await existingThird(`heatwave-${world}`);
  return third === undefined ? undefined : planWorld(world, spec, third);
}

/**
 * Removes all that carries the world's label, and nothing else. Safe to run again.
 * Returns what was removed, by kind.
 */
export async function down(
  world: string,
): Promise<{ containers: number; volumes: number; networks: number }> {
  const containers = await labelled("container", world);
  await Promise.all(containers.map(thawAll));
  if (containers.length > 0) await docker(["rm", "-f", "-v", ...containers]);
  const volumes = await labelled("volume", world);
  if (volumes.length > 0) await docker(["volume", "rm", ...volumes]);
  const networks = await labelled("network", world);
  if (networks.length > 0) await docker(["network", "rm", ...networks]);
  return { containers: containers.length, volumes: volumes.length, networks: networks.length };
}

/** What a host or a container on it holds frozen cannot die, and Docker would give up removing it. */
async function thawAll(container: string): Promise<void> {
  await tryDocker(["unpause", container]);
  const thaw = "docker ps -q --filter status=paused | xargs -r docker unpause";
  await tryDocker(["exec", container, "sh", "-c", thaw], { timeout: 10_000 });
}

/** Names of all worlds on this machine, whole or in parts. */
export async function worlds(): Promise<string[]> {
  const format = `{{.Label "${WORLD_LABEL}"}}`;
  const filter = ["--filter", `label=${WORLD_LABEL}`, "--format", format];
  const all = [
    ...(await rows(["ps", "-a", ...filter])),
    ...(await rows(["volume", "ls", ...filter])),
    ...(await rows(["network", "ls", ...filter])),
  ];
  return [...new Set(all.filter((name) => name !== ""))].sort();
}

async function existingThird(network: string): Promise<number | undefined> {
  const found = await tryDocker([
    "network",
    "inspect",
    "--format",
    "{{(index .IPAM.Config 0).Subnet}}",
    network,
  ]);
  const match = /^10\.213\.(\d+)\.0\/24$/.exec(found.stdout);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** The world's internal network, on the first range that is free outside. */
async function ensureNetwork(world: string, spec: StackSpec): Promise<WorldPlan> {
  const existing = await existingThird(`heatwave-${world}`);
  if (existing !== undefined) return planWorld(world, spec, existing);
  const first = createHash("sha256").update(world).digest()[0] ?? 0;
  let refusal = "";
  for (let offset = 0; offset < 32; offset += 1) {
    const plan = planWorld(world, spec, (first + offset) % 256);
    const made = await tryDocker([
      ...["network", "create", "--internal", "--subnet", plan.subnet],
      ...["--label", `${WORLD_LABEL}=${world}`, plan.network],
    ]);
    if (made.exitCode === 0) return plan;
    refusal = made.stderr;
    if (!/overlap/i.test(refusal)) break;
  }
  throw new RehearsalError(
    "The world's internal network could not be made",
    refusal,
    "docker network ls shows what takes the ranges 10.213.0.0/24 and up; remove what is not needed",
  );
}

async function ensureVolumes(plan: WorldPlan): Promise<void> {
  const wanted = [...Object.values(plan.volumes), ...plan.hosts.map((host) => host.volume)];
  const present = new Set(await labelled("volume", plan.world));
  const create = (name: string) =>
    docker(["volume", "create", "--label", `${WORLD_LABEL}=${plan.world}`, name]);
  await Promise.all(wanted.filter((name) => !present.has(name)).map(create));
}

/** Waits for the daemon inside by the shortest way; whether SSH reaches it is asked at the end. */
async function ensureInnerDocker(machine: HostMachine): Promise<void> {
  const script = "until docker version >/dev/null 2>&1; do sleep 0.05; done";
  const waited = await tryDocker(["exec", machine.container, "timeout", "60", "sh", "-c", script]);
  if (waited.exitCode === 0) return;
  const log = await tryDocker(["exec", machine.container, "tail", "-n", "15", "/var/log/dockerd.log"]);
  const init = await tryDocker(["logs", "--tail", "15", machine.container]);
  throw new RehearsalError(
    `Docker inside host ${machine.name} does not answer`,
    `${init.stderr}\n${init.stdout}\n${log.stdout}`.trim(),
    `docker exec -it ${machine.container} bash, or begin anew: bin/rehearse down`,
  );
}

async function loadImages(machine: HostMachine, references: readonly string[]): Promise<void> {
  const format = "{{.Repository}}:{{.Tag}}";
  const listed = await docker(["exec", machine.container, "docker", "image", "ls", "--format", format]);
  const present = new Set(listed.split("\n"));
  const missing = references.filter((reference) => !present.has(reference));
  if (missing.length === 0) return;
  // All in one stream, so that their common layers travel once.
  await pipeIntoDocker({ file: "docker", args: ["save", ...missing] }, [
    ...["exec", "-i", machine.container, "docker", "load", "-q"],
  ]);
}

async function ensureExternalNetwork(machine: HostMachine, plan: WorldPlan): Promise<void> {
  const name = plan.externalNetwork;
  if (name === undefined) return;
  const inside = ["exec", machine.container, "docker", "network"];
  if ((await tryDocker([...inside, "inspect", name])).exitCode !== 0)
    await docker([...inside, "create", name]);
}

async function ensureMirror(plan: WorldPlan, image: string): Promise<void> {
  if (plan.registry === undefined) return;
  const { container, volume, underlay } = plan.registry;
  if ((await tryDocker(["inspect", container])).exitCode === 0) {
    await docker(["start", container]);
    return;
  }
  const label = `${WORLD_LABEL}=${plan.world}`;
  await docker(["volume", "create", "--label", label, volume]);
  await docker([
    ...["create", "--name", container, "--label", label, "--init"],
    ...["--volume", `${volume}:/var/lib/docker-registry`, image],
  ]);
  // Its second leg; it forwards no packets, so the world stays sealed.
  await docker(["network", "connect", "--ip", underlay, plan.network, container]);
  await docker(["start", container]);
}

/** Pulls the stack's own references through the mirror, so that they keep their index digests. */
async function pullOriginals(machine: HostMachine, stack: StackConfig): Promise<void> {
  for (const reference of Object.values(stack.images)) {
    await docker(["exec", machine.container, "docker", "pull", "-q", reference]);
  }
}

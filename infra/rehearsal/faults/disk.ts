import { diskOf } from "../disk.ts";
import { docker, tryDocker } from "../docker.ts";
import { DISK_FILE, WORLD_FOLDER } from "../host-files.ts";
import type { HostMachine, WorldPlan } from "../plan.ts";
import { RehearsalError } from "../trouble.ts";
import { demandHost, demandRunning } from "./states.ts";

const DISK = "/var/lib/heatwave-disk";
const FILLER = `${DISK}/filler`;

/** Seconds until a host that boots must have mounted its disk. */
const MOUNT_SECONDS = 30;

/**
 * Takes all room on a host's own disk, for root too, in a file beside the stack's and Docker's. Holds over reboots.
 * @param leave KB that stay free
 * @throws {RehearsalError} when the world was made without disks of its hosts' own
 */
export async function fill(plan: WorldPlan, name: string, leave: number): Promise<void> {
  const host = demandHost(plan, name);
  if (!Number.isInteger(leave) || leave < 0) {
    throw new RehearsalError(
      `${leave} is no number of KB to leave`,
      "allowed: a whole number; 0 leaves nothing",
      `bin/rehearse fault fill ${name} --leave 64`,
    );
  }
  await demandRunning(host);
  if ((await diskOf(host, "running")) === undefined) {
    throw new RehearsalError(
      `Host ${name} has no disk of its own`,
      "it writes on this machine's disk, which a fault must not fill; only a new world's hosts can be given one",
      "bin/rehearse down && bin/rehearse up --disk 2g",
    );
  }
  // Waits for the disk of a host that boots.
  await roomLeft(host);
  await docker(["exec", host.container, "heatwave-fill", String(leave)]);
}

/** Ends `fill` at a running host. Returns whether it was in force. */
export async function emptied(host: HostMachine): Promise<boolean> {
  if ((await roomLeft(host)) === undefined) return false;
  await docker(["exec", host.container, "rm", FILLER]);
  return true;
}

/**
 * KB that are free on the disk of a running host while it is filled; undefined while it is not. A host that was just
 * switched on mounts its disk before all else, and still it takes a moment: it is waited for.
 */
export async function roomLeft(host: HostMachine): Promise<number | undefined> {
  const script =
    `[ -s ${WORLD_FOLDER}/${DISK_FILE} ] || exit 1; until mountpoint -q ${DISK}; do sleep 0.05; done; ` +
    `[ -e ${FILLER} ] && stat -f -c '%a %S' ${DISK}`;
  const limited = ["timeout", String(MOUNT_SECONDS), "sh", "-c", script];
  const shown = await tryDocker(["exec", host.container, ...limited]);
  if (shown.exitCode !== 0) return undefined;
  const [blocks = 0, size = 0] = shown.stdout.split(" ").map(Number);
  return (blocks * size) / 1024;
}

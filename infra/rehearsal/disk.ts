import { DISK_FILE, readInside, WORLD_FOLDER } from "./host-files.ts";
import { stateOf } from "./machines.ts";
import type { HostMachine, WorldPlan } from "./plan.ts";
import { RehearsalError } from "./trouble.ts";

/** Least size, MB: what Docker keeps of itself fits in. A stack asks for more itself before it comes up. */
const LEAST_MEGABYTES = 512;

/**
 * The size of a disk as a reader writes it, as it is kept.
 * @throws {RehearsalError} when it is none
 */
export function parseDiskSize(text: string): string {
  const [, number, unit] = /^([1-9][0-9]{0,5})([mg])$/.exec(text.toLowerCase()) ?? [];
  const megabytes = Number(number) * (unit === "g" ? 1024 : 1);
  if (megabytes >= LEAST_MEGABYTES) return `${megabytes}m`;
  throw new RehearsalError(
    `"${text}" is no size of a disk`,
    `allowed: a whole number with m or g, ${LEAST_MEGABYTES}m at least`,
    "bin/rehearse up --disk 2g",
  );
}

/** The size of a host's own disk; undefined where it has none. */
export async function diskOf(host: HostMachine, state: string | undefined): Promise<string | undefined> {
  const text = await readInside(host.container, state, `${WORLD_FOLDER}/${DISK_FILE}`);
  return text === "" ? undefined : text.trim();
}

/**
 * What is asked for against what the hosts have that are there.
 * @throws {RehearsalError} when another size is asked for than is there
 */
export async function diskOfWorld(plan: WorldPlan, wanted: string | undefined): Promise<string | undefined> {
  const hosts = await Promise.all(
    plan.hosts.map(async (host) => {
      const found = await stateOf(host.container);
      return found === undefined ? [] : [[host.name, await diskOf(host, found.state)] as const];
    }),
  );
  return diskOfNewHosts(plan, new Map(hosts.flat()), wanted);
}

/**
 * The size of the disks that hosts yet to be made are to get: as asked for, or as those have that are there.
 * @param present by name, each host that is there, with the size of its disk
 * @throws {RehearsalError} when another size is asked for than is there
 */
export function diskOfNewHosts(
  { world }: WorldPlan,
  present: ReadonlyMap<string, string | undefined>,
  wanted: string | undefined,
): string | undefined {
  if (wanted === undefined) return [...present.values()].find((size) => size !== undefined);
  for (const [name, size] of present) {
    if (size === wanted) continue;
    throw new RehearsalError(
      `Host ${name} of world "${world}" has ${size === undefined ? "no disk of its own" : `a disk of ${size}`}`,
      "a host gets its disk when it is made, and keeps it as it is",
      `bin/rehearse down && bin/rehearse up --disk ${wanted}`,
    );
  }
  return wanted;
}

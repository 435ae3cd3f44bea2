import { hostname, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadStackFile } from "../../config/load.ts";
import { readOverlay } from "../../config/overlay.ts";
import { StackHost } from "../../hosts/stack-host.ts";
import type { Stack } from "../../runbooks/observe/observe.ts";
import { buildTopology } from "../../topology/model.ts";

/** Folder of Pulumi.yaml and of the stack files. */
export const PROJECT = join(dirname(fileURLToPath(import.meta.url)), "../../..");

/** The ledger's copy, and what was last seen, lie here. */
export const STATE = join(PROJECT, ".heatwave");

/** Seconds to log in to a host: a look must be quick, a runbook must not take a slow host for a dead one. */
const DIAL_SECONDS = { look: 3, runbook: 10 } as const;

/**
 * The stack of that name with a connection to each of its hosts, none of them made yet. No secret is read.
 * @throws {ConfigError} when the stack file is wrong
 */
export function openStack(name: string, purpose: keyof typeof DIAL_SECONDS): Stack {
  const config = loadStackFile(PROJECT, name, readOverlay());
  const topology = buildTopology(config);
  return {
    name,
    topology,
    config,
    hosts: new Map(topology.hosts.map((host) => [host.name, new StackHost(host, DIAL_SECONDS[purpose])])),
  };
}

/** Ends the connections. */
export async function closeStack(stack: Stack): Promise<void> {
  await Promise.allSettled([...stack.hosts.values()].map((host) => host.close()));
}

/** Who runs this, for locks and ledger: `alice@laptop pid 123`. */
export function whoami(): string {
  // The lock is read by a shell: nothing that JSON would have to escape.
  const plain = (text: string): string => text.replaceAll(/[^\w.@-]/g, "_");
  return `${plain(userInfo().username)}@${plain(hostname())} pid ${process.pid}`;
}

import type { LedgerEntry, LockView } from "../runbooks/observe/observation.ts";

/** What a look at the hosts finds that matters to a maintenance window. */

export interface Seen {
  readonly stack: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  /** In the stack file's order. */
  readonly hosts: readonly HostSeen[];
  readonly ledger: readonly LedgerEntry[];
}

export interface HostSeen {
  readonly name: string;
  /** Why nothing is known of it; null where all below is. */
  readonly silent: string | null;
  readonly lock: LockView | null;
  /** The host's note of what a window stopped on it. */
  readonly window: Window | null;
  readonly containers: readonly ContainerSeen[];
  readonly proxy: ProxySeen | null;
}

/** A container by `docker inspect`. */
export interface ContainerSeen {
  readonly id: string;
  readonly name: string;
  /** Docker's word: running, restarting, paused, exited, created, dead. */
  readonly state: string;
  /** Its healthcheck's word; null without one. */
  readonly health: string | null;
  /** Kamal's labels; "" where there is none. */
  readonly service: string;
  readonly role: string;
  readonly destination: string;
  /** Its own stop time-out, seconds. */
  readonly stopSeconds: number | null;
}

export interface ProxySeen {
  readonly container: string;
  /** Null: there is no such container. */
  readonly running: boolean | null;
  /** Why a running one could not be asked. */
  readonly silent: string | null;
  /** State by service. */
  readonly services: ReadonlyMap<string, string>;
}

/** `<root>/operations/maintenance.json`: written before anything is stopped, gone when all of it runs again. */
export interface Window {
  readonly version: 1;
  readonly stack: string;
  readonly host: string;
  /** Of the run that opened it. */
  readonly id: string;
  readonly who: string;
  /** ISO 8601, UTC. */
  readonly since: string;
  /** Services that were stopped for it; null where there was none. */
  readonly proxy: {
    readonly container: string;
    readonly services: readonly { readonly name: string; readonly role: string }[];
  } | null;
  /** Containers that ran. */
  readonly containers: readonly Recorded[];
}

export interface Recorded {
  readonly id: string;
  readonly name: string;
  /** Kamal's labels; all "" for a container that was named by itself. */
  readonly service: string;
  readonly role: string;
  readonly destination: string;
}

/** Runs, or is about to run again by itself. */
export const isUp = ({ state }: Pick<ContainerSeen, "state">): boolean =>
  state === "running" || state === "restarting";

/** Runs, and is healthy where it can say so. */
export const isWell = ({ state, health }: Pick<ContainerSeen, "state" | "health">): boolean =>
  state === "running" && (health === null || health === "healthy");

/** What a container stands for, over its versions: its role in the app, or its name. */
export const placeOf = ({ service, role, destination, name }: Omit<Recorded, "id">): string =>
  service === "" || role === "" ? `name ${name}` : `role ${service} ${role} ${destination}`;

/** @throws Error when the text is no note of this version */
export function readWindow(text: string): Window {
  const window = JSON.parse(text) as Window | null;
  if (window?.version !== 1 || !Array.isArray(window.containers))
    throw new Error("maintenance.json is no note that this version knows");
  return window;
}

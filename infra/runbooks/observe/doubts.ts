import { setTimeout as delay } from "node:timers/promises";
import type { StackHost } from "../../hosts/stack-host.ts";
import type { Topology } from "../../topology/model.ts";
import type { Heard } from "./ask.ts";
import { hear, login } from "./ask.ts";

/** Milliseconds for what was silent a moment ago: writes may be waiting for this look. */
export const DOUBTFUL_MS = 300;

/**
 * Hosts that were silent a moment ago, asked once more while something else is done: who is back answers quickly, and
 * nobody waits for the others.
 */
export interface Doubts {
  /** By host: null when it can be reached; else why not. */
  readonly logins: ReadonlyMap<string, Promise<string | null>>;
  /** By site on such a host. */
  readonly heard: ReadonlyMap<string, Promise<Heard>>;
}

export const NO_DOUBTS: Doubts = { logins: new Map(), heard: new Map() };

/** Asks now. @param silent hosts that did not answer */
export function doubt(
  {
    topology,
    hosts,
  }: { readonly topology: Topology; readonly hosts: ReadonlyMap<string, Pick<StackHost, "connect">> },
  silent: ReadonlySet<string>,
): Doubts {
  return {
    logins: new Map(
      [...hosts].flatMap(([name, host]) => (silent.has(name) ? [[name, soon(login(host))] as const] : [])),
    ),
    heard: new Map(
      topology.sites
        .filter(({ host }) => silent.has(host.name))
        .map((site) => [site.name, hear(site, DOUBTFUL_MS)] as const),
    ),
  };
}

async function soon(reached: Promise<string | null>): Promise<string | null> {
  const late = new AbortController();
  try {
    return await Promise.race([
      reached,
      delay(DOUBTFUL_MS, `no answer within ${DOUBTFUL_MS / 1000} s, and none before`, {
        signal: late.signal,
      }),
    ]);
  } finally {
    late.abort();
  }
}

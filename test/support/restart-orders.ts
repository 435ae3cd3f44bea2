import type { Topology } from "../../infra/topology/model.ts";

export interface Placed {
  readonly host: string;
  readonly container: string;
}

/** The stack's containers on a host. */
export function containersOfHost(topology: Topology, host: string): string[] {
  const boxes = topology.sites.flatMap(({ postgres, pgbouncer, pgHealth }) => [
    postgres,
    pgbouncer,
    pgHealth,
  ]);
  return [
    ...boxes.filter((box) => box.host.name === host).map(({ container }) => container),
    ...topology.routers.filter((router) => router.host.name === host).map(({ container }) => container),
  ];
}

/** All containers of a stack in an order that the seed alone decides. */
export function seededOrder(topology: Topology, seed: number): Placed[] {
  const placed = topology.hosts.flatMap(({ name }) =>
    containersOfHost(topology, name).map((container) => ({ host: name, container })),
  );
  let state = seed >>> 0;
  // Mulberry32: small, and the same everywhere.
  const random = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return placed
    .map((one) => ({ one, key: random() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ one }) => one);
}

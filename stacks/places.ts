import { local } from "@pulumi/command";
import type { Topology } from "../infra/topology/model.ts";
import type { AdoptedIds } from "../infra/topology/places.ts";
import { placesOf, placeWords } from "../infra/topology/places.ts";

/**
 * Where hosts and sites are, noted by each `up` for the next one. When that changes this command looks first, and
 * refuses what would hurt, before anything is touched (docs/decisions/0023-migration.md).
 * @param adopted what of the stack runs as it was found (docs/decisions/0024-adoption.md)
 */
export function places(stack: string, topology: Topology, adopted?: AdoptedIds): local.Command {
  const words = placeWords(placesOf(topology, adopted));
  const ensure = [`../bin/recovery ${stack} ensure-places`, ...words].join(" ");
  return new local.Command("places", { create: ensure, update: ensure, logging: local.Logging.Stderr });
}

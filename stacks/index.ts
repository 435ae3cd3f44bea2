import * as pulumi from "@pulumi/pulumi";
import { AdoptedStack, HaPostgres, routerOutputs, siteOutputs } from "../components/index.ts";
import { loadConfig, rawFromPulumi } from "../infra/config/load.ts";
import { ConfigError } from "../infra/config/problem.ts";
import type { StackConfig } from "../infra/config/schema.ts";
import type { Overlay } from "../infra/config/overlay.ts";
import { readOverlay } from "../infra/config/overlay.ts";
import { buildTopology } from "../infra/topology/model.ts";
import { isAdopted } from "../infra/topology/places.ts";
import { places } from "./places.ts";
import { retirement } from "./retirement.ts";
import { switchover } from "./switchover.ts";
import { tailnet } from "./tailnet.ts";

/**
 * The program: stack file → checked configuration → components → outputs. The outputs are the contract for
 * application stacks (docs/outputs.md).
 */
export default async function program() {
  const overlay = checked(readOverlay);
  const config = checked(() => configured(overlay));
  const topology = buildTopology(config);
  const stack = pulumi.getStack();
  const { adopted } = config;
  if (adopted !== undefined && topology.sites.every((site) => isAdopted(site, adopted))) {
    // As it was found: there is nothing to switch over with, and nothing that could say which cluster it is.
    new AdoptedStack("heatwave", { topology, adopted, after: [places(stack, topology, adopted)] });
    return { primary: topology.primary, sites: siteOutputs(topology), routers: routerOutputs(topology) };
  }
  if (config.firewall.enabled === undefined && pulumi.runtime.isDryRun()) await pulumi.log.info(NO_FIREWALL);
  const tailnetOf = await tailnet(config, topology, overlay);
  const after = [places(stack, topology, adopted)];
  const cluster = new HaPostgres("heatwave", { topology, config, adopted, after });
  // The primary is converted last: until then there is nobody who could give the writes away.
  if (adopted === undefined) {
    const switched = switchover(stack, topology.primary, cluster);
    for (const { name } of topology.retired) retirement(stack, name, [cluster, switched]);
  }
  return {
    primary: topology.primary,
    sites: cluster.sites,
    routers: cluster.routers,
    systemIdentifier: cluster.systemIdentifier,
    ...(config.tailnet.joinKeys.length === 0 || tailnetOf === undefined
      ? {}
      : { joinKeys: pulumi.secret(tailnetOf.joinKeys) }),
  };
}

/** Off by default: an upgrade must not cut anybody off (docs/decisions/0022-firewall.md). */
const NO_FIREWALL =
  "the stack's ports answer the whole tailnet, as far as its own policy lets it; decide with heatwave:firewall.enabled (docs/tailnet.md)";

function configured(overlay: Overlay | undefined): StackConfig {
  const raw = rawFromPulumi(pulumi.runtime.allConfig());
  return loadConfig(raw, `Pulumi.${pulumi.getStack()}.yaml`, overlay);
}

/** A wrong stack file is the operator's to mend: its report is shown alone, without a stack trace. */
function checked<T>(load: () => T): T {
  try {
    return load();
  } catch (error) {
    throw error instanceof ConfigError ? new pulumi.RunError(error.message) : error;
  }
}

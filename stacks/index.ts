import * as pulumi from "@pulumi/pulumi";
import { HaPostgres } from "../components/index.ts";
import { loadConfig, rawFromPulumi } from "../infra/config/load.ts";
import { readOverlay } from "../infra/config/overlay.ts";
import { buildTopology } from "../infra/topology/model.ts";

/**
 * The program: stack file → checked configuration → components → outputs. The outputs are the contract for
 * application stacks (docs/outputs.md).
 */
export default function program() {
  const raw = rawFromPulumi(pulumi.runtime.allConfig());
  const config = loadConfig(raw, `Pulumi.${pulumi.getStack()}.yaml`, readOverlay());
  const topology = buildTopology(config);
  const cluster = new HaPostgres("heatwave", { topology, config });
  return {
    primary: topology.primary,
    sites: cluster.sites,
    routers: cluster.routers,
    systemIdentifier: cluster.systemIdentifier,
  };
}

import type * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { Host, Topology } from "../../infra/topology/model.ts";
import type { AdoptedIds } from "../../infra/topology/places.ts";
import { createProvider } from "../docker-host/docker-host.ts";
import { RouterStandIn } from "../router/stand-in.ts";
import { adoptRouter, adoptSite, component } from "./adopted-parts.ts";

export interface AdoptedStackArgs {
  readonly topology: Topology;
  readonly adopted: AdoptedIds;
  /**
   * What must have passed before anything of the stack is touched.
   * @default nothing
   */
  readonly after?: readonly pulumi.Resource[];
}

/**
 * A stack that runs already and was not made here, taken over as it is: containers and data volumes are imported, and no
 * host gets a file or a setting. Every resource has the name that it will have when it is made here.
 */
export class AdoptedStack extends pulumi.ComponentResource {
  constructor(name: string, args: AdoptedStackArgs, opts?: pulumi.ComponentResourceOptions) {
    // The types are a part of every name below them: they are those of what is made here.
    super("heatwave:ha-postgres:HaPostgres", name, {}, opts);
    const { topology, adopted, after = [] } = args;
    const providers = new Map(topology.hosts.map((host) => [host.name, this.#createHost(host, [...after])]));
    const at = ({ name: hostName }: Host) => {
      const provider = providers.get(hostName);
      if (provider === undefined) throw new pulumi.ResourceError(`no host ${hostName} in the topology`, this);
      return { adopted, provider };
    };
    for (const site of topology.sites) adoptSite(site, at(site.host), this);
    const standIn = new RouterStandIn(name, topology);
    for (const router of topology.routers) adoptRouter(router, at(router.host), standIn, this);
    this.registerOutputs({});
  }

  #createHost(host: Host, after: pulumi.Resource[]): docker.Provider {
    const { address } = host;
    const parent = component("heatwave:docker-host:DockerHost", host.name, { address }, this);
    return createProvider(host.name, host, { parent, dependsOn: after });
  }
}

import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { Box, Host, Router, Site, Topology } from "../../infra/topology/model.ts";
import { createProvider } from "../docker-host/docker-host.ts";
import { instanceName, siteName } from "../site/retired-site.ts";

export interface AdoptedStackArgs {
  readonly topology: Topology;
  /** Container ids by host and container name. */
  readonly adopted: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /**
   * What must have passed before anything of the stack is touched.
   * @default nothing
   */
  readonly after?: readonly pulumi.Resource[];
}

/** What it is like is its own: no difference is a change. Protected, so that leaving the file deletes nothing. */
const AS_FOUND = { protect: true, ignoreChanges: ["*"] };

/**
 * A stack that runs already and was not made here, taken over as it is: containers and data volumes are imported, and
 * nothing of them is changed, restarted or ever deleted. Every resource has the name that it will have when it is made here.
 */
export class AdoptedStack extends pulumi.ComponentResource {
  readonly #adopted: AdoptedStackArgs["adopted"];
  readonly #providers: ReadonlyMap<string, docker.Provider>;

  constructor(name: string, args: AdoptedStackArgs, opts?: pulumi.ComponentResourceOptions) {
    // The types are a part of every name below them: they are those of what is made here.
    super("heatwave:ha-postgres:HaPostgres", name, {}, opts);
    const { topology, adopted, after = [] } = args;
    this.#adopted = adopted;
    this.#providers = new Map(topology.hosts.map((host) => [host.name, this.#createHost(host, [...after])]));
    for (const site of topology.sites) this.#createSite(site);
    for (const router of topology.routers) this.#createRouter(router);
    this.registerOutputs({});
  }

  #createHost(host: Host, after: pulumi.Resource[]): docker.Provider {
    const { address } = host;
    const parent = component("heatwave:docker-host:DockerHost", host.name, { address }, this);
    return createProvider(host.name, host, { parent, dependsOn: after });
  }

  #createSite(site: Site): void {
    const name = siteName(site);
    const place = component("heatwave:site:Site", name, { host: site.host.name }, this);
    const instance = component("heatwave:postgres:PostgresInstance", instanceName(site), {}, place);
    new docker.Volume(
      `${instanceName(site)}-data`,
      { name: site.volume },
      {
        ...{ parent: instance, import: site.volume, ...AS_FOUND, retainOnDelete: true },
        ...this.#on(site.host),
      },
    );
    this.#createContainer(instanceName(site), site.postgres, instance);
    const health = component("heatwave:pg-health:HealthEndpoint", `${name}-pg-health`, {}, place);
    this.#createContainer(`${name}-pg-health`, site.pgHealth, health);
    const pooler = component("heatwave:pgbouncer:PgBouncer", `${name}-pgbouncer`, {}, place);
    this.#createContainer(`${name}-pgbouncer`, site.pgbouncer, pooler);
  }

  #createRouter(router: Router): void {
    const name = `${router.name}-haproxy`;
    this.#createContainer(name, router, component("heatwave:router:Router", name, {}, this));
  }

  #createContainer(
    name: string,
    { host, container, image }: Pick<Box, "host" | "container" | "image">,
    parent: pulumi.Resource,
  ): void {
    const id = this.#adopted[host.name]?.[container];
    if (id === undefined) throw new pulumi.ResourceError(`no id of ${container} on ${host.name}`, this);
    new docker.Container(
      name,
      { name: container, image },
      { parent, import: id, ...AS_FOUND, ...this.#on(host) },
    );
  }

  #on(host: Host): { readonly provider: docker.Provider } {
    const provider = this.#providers.get(host.name);
    if (provider === undefined) throw new pulumi.ResourceError(`no host ${host.name} in the topology`, this);
    return { provider };
  }
}

function component(
  type: string,
  name: string,
  inputs: pulumi.Inputs,
  parent: pulumi.Resource,
): pulumi.ComponentResource {
  return new pulumi.ComponentResource(type, name, inputs, { parent });
}

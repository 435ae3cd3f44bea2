import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { Box, Router, Site } from "../../infra/topology/model.ts";
import type { AdoptedIds } from "../../infra/topology/places.ts";
import { AS_FOUND } from "./container-inputs.ts";
import { instanceName, siteName } from "../site/retired-site.ts";
import type { RouterStandIn } from "../router/stand-in.ts";

/**
 * What runs as it was found, by components of the types and names that it will have when it is made here. Nothing of it is
 * changed, restarted or deleted: what it is like is its own, and leaving the file deletes nothing, since it is protected.
 */
export interface AdoptedPartArgs {
  readonly adopted: AdoptedIds;
  readonly provider: docker.Provider;
}

export function adoptSite(site: Site, args: AdoptedPartArgs, parent: pulumi.Resource): void {
  const name = siteName(site);
  const place = component("heatwave:site:Site", name, { host: site.host.name }, parent);
  const instance = component("heatwave:postgres:PostgresInstance", instanceName(site), {}, place);
  new docker.Volume(
    `${instanceName(site)}-data`,
    { name: site.volume },
    {
      ...{ parent: instance, provider: args.provider, import: site.volume, retainOnDelete: true },
      ...{ protect: true, ignoreChanges: ["*"] },
    },
  );
  adoptContainer(instanceName(site), site.postgres, args, instance);
  const health = component("heatwave:pg-health:HealthEndpoint", `${name}-pg-health`, {}, place);
  adoptContainer(`${name}-pg-health`, site.pgHealth, args, health);
  const pooler = component("heatwave:pgbouncer:PgBouncer", `${name}-pgbouncer`, {}, place);
  adoptContainer(`${name}-pgbouncer`, site.pgbouncer, args, pooler);
}

/** @param standIn serves while heatwave's router takes its place: what is called at a deletion is what the state names */
export function adoptRouter(
  router: Router,
  args: AdoptedPartArgs,
  standIn: RouterStandIn,
  parent: pulumi.Resource,
): void {
  const name = `${router.name}-haproxy`;
  const place = component("heatwave:router:Router", name, {}, parent);
  adoptContainer(name, router, args, place, standIn.container);
}

function adoptContainer(
  name: string,
  { host, container, image }: Pick<Box, "host" | "container" | "image">,
  { adopted, provider }: AdoptedPartArgs,
  parent: pulumi.Resource,
  hooks?: pulumi.ResourceHookBinding,
): void {
  const id = adopted[host.name]?.[container];
  if (id === undefined) throw new pulumi.ResourceError(`no id of ${container} on ${host.name}`, parent);
  new docker.Container(
    name,
    { name: container, image, envs: [] },
    {
      ...{ parent, provider, import: id, protect: true, ignoreChanges: [...AS_FOUND] },
      ...(hooks === undefined ? {} : { hooks }),
    },
  );
}

export function component(
  type: string,
  name: string,
  inputs: pulumi.Inputs,
  parent: pulumi.Resource,
): pulumi.ComponentResource {
  return new pulumi.ComponentResource(type, name, inputs, { parent });
}

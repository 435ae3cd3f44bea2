import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { Site } from "../../infra/topology/model.ts";
import type { DockerHost } from "../docker-host/docker-host.ts";

/** Logical name of a site's component. */
export const siteName = (site: Site): string => `${site.name}-site`;

/** Logical name of its PostgreSQL, and of that one's container. */
export const instanceName = (site: Site): string => `${siteName(site)}-postgres`;

export interface RetiredSiteArgs {
  readonly site: Site;
  readonly dockerHost: DockerHost;
}

/**
 * What is left of a site that retires: its data volume, under the name that it always had. It is protected no longer,
 * so that the entry may leave the stack file afterwards; that forgets the volume and deletes nothing.
 */
export class RetiredSite extends pulumi.ComponentResource {
  readonly volume: docker.Volume;

  constructor(name: string, { site, dockerHost }: RetiredSiteArgs, opts?: pulumi.ComponentResourceOptions) {
    // The type is a part of every name below it: the volume's must stay.
    super("heatwave:site:Site", name, { host: site.host.name }, opts);
    const instance = new pulumi.ComponentResource(
      "heatwave:postgres:PostgresInstance",
      instanceName(site),
      {},
      { parent: this },
    );
    this.volume = new docker.Volume(
      `${instanceName(site)}-data`,
      { name: site.volume },
      { parent: instance, provider: dockerHost.provider, retainOnDelete: true },
    );
    this.registerOutputs({ volume: this.volume.name });
  }
}

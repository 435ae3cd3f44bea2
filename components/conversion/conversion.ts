import { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Secrets, StackConfig } from "../../infra/config/schema.ts";
import type { Site, Topology } from "../../infra/topology/model.ts";
import type { DockerHost } from "../docker-host/docker-host.ts";
import { renderPreparation } from "./render/preparation.ts";

/** What an adopted site needs before and while heatwave's containers take the place of those that were found. */

export interface PreparationArgs {
  readonly topology: Topology;
  readonly site: Site;
  readonly dockerHost: DockerHost;
  readonly postgres: StackConfig["postgres"];
  readonly secrets: Secrets;
  /** heatwave's routers take the place of those that were found, while the site is as it was. */
  readonly routed: boolean;
}

/** Readies a site that still runs as it was found for standbys of heatwave. */
export function createPreparation(
  name: string,
  { dockerHost, ...what }: PreparationArgs,
  opts: pulumi.CustomResourceOptions,
): remote.Command {
  return new remote.Command(
    name,
    {
      connection: dockerHost.connection,
      create: `${dockerHost.sudo}sh -s`,
      stdin: pulumi.secret(renderPreparation(what)),
      logging: remote.Logging.StdoutAndStderr,
    },
    opts,
  );
}

export interface ConversionArgs {
  readonly topology: Topology;
  readonly site: Site;
  readonly dockerHost: DockerHost;
  readonly stopSeconds: number;
}

/**
 * Stops the PostgreSQL that was found and gives its data a grant; what takes its place waits for this. It looks first: a
 * site that has a grant is left alone.
 */
export function createConversion(
  name: string,
  { topology, site, dockerHost, stopSeconds }: ConversionArgs,
  opts: pulumi.CustomResourceOptions,
): remote.Command {
  const routers = topology.routers.filter((router) => router.host.name === site.host.name);
  const images = [site.postgres, site.pgHealth, site.pgbouncer, ...routers].map(({ image }) => image);
  const others = topology.sites
    .filter((other) => other.name !== site.name)
    .map((other) => `${other.name}=${other.host.address}`);
  const words = [
    ...[site.name, site.postgres.container, site.volume, `${site.pgHealth.directory}/state`],
    ...[String(stopSeconds), images.join(","), ...others],
  ];
  return new remote.Command(
    name,
    {
      connection: dockerHost.connection,
      create: `${dockerHost.tool} found convert ${words.join(" ")}`,
      logging: remote.Logging.StdoutAndStderr,
    },
    { ...opts, customTimeouts: { create: "15m", update: "15m" } },
  );
}

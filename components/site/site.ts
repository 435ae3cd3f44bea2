import type { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Secrets, StackConfig } from "../../infra/config/schema.ts";
import type { Site as SiteModel, Topology } from "../../infra/topology/model.ts";
import { createConversion } from "../conversion/conversion.ts";
import type { DockerHost } from "../docker-host/docker-host.ts";
import { HealthEndpoint } from "../pg-health/health-endpoint.ts";
import { PgBouncer } from "../pgbouncer/pgbouncer.ts";
import type { ReplacementGuard } from "../postgres/replacement-guard.ts";
import { createFounding, createObjects, PostgresInstance } from "../postgres/postgres-instance.ts";

export interface SiteArgs {
  readonly topology: Topology;
  readonly site: SiteModel;
  readonly dockerHost: DockerHost;
  readonly config: Pick<StackConfig, "postgres" | "pgbouncer">;
  readonly secrets: Secrets;
  readonly guard: ReplacementGuard;
  /**
   * What the sites that still run as they were found need before this one is converted.
   * @default there are none
   */
  readonly preparations?: readonly pulumi.Resource[];
}

/** One data centre: a PostgreSQL instance with its pooler and its health endpoint, on one host. */
export class Site extends pulumi.ComponentResource {
  readonly instance: PostgresInstance;
  readonly pooler: PgBouncer;
  readonly health: HealthEndpoint;

  constructor(name: string, args: SiteArgs, opts?: pulumi.ComponentResourceOptions) {
    super("heatwave:site:Site", name, { host: args.site.host.name }, opts);
    const { topology, site, dockerHost, secrets, config, guard } = args;
    // PostgreSQL is stopped when all is ready that takes its place: that of the others is made further down.
    let resolve = (_ready: readonly pulumi.Resource[]): void => undefined;
    const ready = new Promise<readonly pulumi.Resource[]>((settled) => (resolve = settled));
    const convert = (prepared: readonly pulumi.Resource[]): pulumi.Resource => {
      const dependsOn: Promise<pulumi.Input<pulumi.Resource>[]> = ready.then((others) => [
        ...prepared,
        ...others,
      ]);
      return createConversion(
        `${site.name}-conversion`,
        { topology, site, dockerHost, stopSeconds: config.postgres.stopSeconds },
        { parent: this, dependsOn },
      );
    };
    this.instance = new PostgresInstance(
      `${name}-postgres`,
      {
        ...{ topology, site, dockerHost, postgres: config.postgres, secrets, guard },
        convert: site.converted ? convert : undefined,
      },
      { parent: this },
    );
    this.health = new HealthEndpoint(
      `${name}-pg-health`,
      { topology, site, dockerHost, secrets, instance: this.instance },
      { parent: this },
    );
    this.pooler = new PgBouncer(
      `${name}-pgbouncer`,
      { site, dockerHost, pgbouncer: config.pgbouncer, secrets, instance: this.instance },
      { parent: this },
    );
    resolve([...this.health.prepared, ...this.pooler.prepared, ...(args.preparations ?? [])]);
    guard.follow(`${name}-pg-health`, this.health.container, site);
    guard.follow(`${name}-pgbouncer`, this.pooler.container);
    this.registerOutputs({ container: this.instance.container.name });
  }

  /**
   * Founding, then slots, roles and databases. Called when every site's containers are declared: a cluster is
   * founded only after all of them answer.
   */
  found(
    name: string,
    args: SiteArgs,
    everySite: readonly Site[],
  ): { readonly founding: remote.Command; readonly objects: remote.Command } {
    const founding = createFounding(
      `${name}-founding`,
      { site: args.site, dockerHost: args.dockerHost },
      {
        parent: this,
        dependsOn: everySite.flatMap((site) => [site.instance.container, site.health.container]),
      },
    );
    const objects = createObjects(
      `${name}-objects`,
      { ...args, postgres: args.config.postgres, beside: (args.preparations ?? []).length > 0 },
      { parent: this, dependsOn: founding },
    );
    return { founding, objects };
  }
}

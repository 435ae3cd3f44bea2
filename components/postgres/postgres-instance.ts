import { remote } from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { Secrets, StackConfig } from "../../infra/config/schema.ts";
import type { Site, Topology } from "../../infra/topology/model.ts";
import { createContainer, imageName } from "../docker-host/container.ts";
import type { DockerHost } from "../docker-host/docker-host.ts";
import type { SecretKind } from "../docker-host/host-file.ts";
import { createFolder, createSecretFile, HostFile } from "../docker-host/host-file.ts";
import { entrypointText } from "./entrypoint-text.ts";
import { renderObjectsSql } from "./render/objects-sql.ts";
import { renderPgHba } from "./render/pg-hba.ts";
import type { ReplacementGuard } from "./replacement-guard.ts";
import {
  renderPostgresqlConf,
  RUN_DIRECTORY,
  SOCKET_DIRECTORY,
  walMegabytes,
} from "./render/postgresql-conf.ts";

/** uid and gid of `postgres` in the Debian image (docker-library/postgres). */
export const POSTGRES_USER = "999:999";

/** Below this a new PostgreSQL has no room to work in, MB. */
const LEAST_FREE_MEGABYTES = 1024;

export interface PostgresInstanceArgs {
  readonly topology: Topology;
  readonly site: Site;
  readonly dockerHost: DockerHost;
  readonly postgres: StackConfig["postgres"];
  readonly secrets: Secrets;
  /** Decides whether and when an existing container may be replaced. */
  readonly guard: ReplacementGuard;
  /**
   * Makes what has to be done before its container may take the place of one that was found.
   * @param prepared what that waits for
   */
  readonly convert?: ((prepared: readonly pulumi.Resource[]) => pulumi.Resource) | undefined;
}

/**
 * PostgreSQL of one site: its data volume, files, secrets and container. The container waits until the health
 * endpoint of the same host orders a start; founding is a resource of its own (`Founding`).
 *
 * @stateful the volume is protected, kept on delete, and never replaced
 */
export class PostgresInstance extends pulumi.ComponentResource {
  readonly volume: docker.Volume;
  readonly container: docker.Container;
  /** Its folders on the host and the files in force: a container that uses its socket waits for these. */
  readonly prepared: readonly pulumi.Resource[];
  /** What every container here waits for where they take the place of others. */
  readonly converted: readonly pulumi.Resource[];
  /**
   * What another container that mounts the volume waits for: a new volume has its owner and mode from the first one,
   * and that must be PostgreSQL's. Data that was converted has them already, and writes are down meanwhile.
   */
  readonly volumeOwned: readonly pulumi.Resource[];

  constructor(name: string, args: PostgresInstanceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("heatwave:postgres:PostgresInstance", name, {}, opts);
    const { site, dockerHost } = args;
    const folder = createFolder(
      `${name}-folder`,
      {
        dockerHost,
        container: site.postgres.container,
        owner: POSTGRES_USER,
        subfolders: ["conf=0755", "conf/incoming", "bin=0755", "secrets=0700", "run=0770", "run/sql=0755"],
      },
      { parent: this, dependsOn: [...dockerHost.ready] },
    );
    this.volume = this.createVolume(name, args);
    const room = this.createRoomCheck(name, args, this.volume);
    const files = [...this.createFiles(name, args, folder), ...this.createSecrets(name, args, folder)];
    this.prepared = [folder, ...files];
    this.converted = args.convert === undefined ? [] : [args.convert(this.prepared)];
    this.container = this.createServer(name, args, [room, ...this.prepared, ...this.converted]);
    this.volumeOwned = args.convert === undefined ? [this.container] : this.converted;
    this.registerOutputs({ container: this.container.name, volume: this.volume.name });
  }

  /** No labels: a volume is replaced when one changes. */
  private createVolume(name: string, { site, dockerHost }: PostgresInstanceArgs): docker.Volume {
    return new docker.Volume(
      `${name}-data`,
      { name: site.volume },
      {
        parent: this,
        provider: dockerHost.provider,
        dependsOn: [...dockerHost.ready],
        protect: true,
        retainOnDelete: true,
      },
    );
  }

  /** Warns where the volume has no room for the WAL that a missing standby may come to hold back. */
  private createRoomCheck(
    name: string,
    { site, dockerHost, postgres }: PostgresInstanceArgs,
    volume: docker.Volume,
  ): remote.Command {
    return new remote.Command(
      `${name}-room`,
      {
        connection: dockerHost.connection,
        create: `${dockerHost.tool} space ${site.volume} ${LEAST_FREE_MEGABYTES} ${walMegabytes(postgres)}`,
        logging: remote.Logging.Stderr,
      },
      { parent: this, dependsOn: [...dockerHost.ready, volume] },
    );
  }

  private createFiles(name: string, args: PostgresInstanceArgs, folder: pulumi.Resource): pulumi.Resource[] {
    const { topology, site, dockerHost, postgres } = args;
    const file = (
      suffix: string,
      path: string,
      text: string,
      kind: "postgres" | "hba" | "ident" | "script",
    ): pulumi.Resource =>
      new HostFile(
        `${name}-${suffix}`,
        { dockerHost, container: site.postgres.container, path, text, kind },
        { parent: this, dependsOn: folder },
      ).applied;
    return [
      file("entrypoint", "bin/entrypoint.sh", entrypointText(), "script"),
      file("conf", "conf/postgresql.conf", renderPostgresqlConf(topology, site, postgres), "postgres"),
      file("hba", "conf/pg_hba.conf", renderPgHba(topology, site, postgres), "hba"),
      file("ident", "conf/pg_ident.conf", "# Rendered by heatwave: no user name maps.\n", "ident"),
    ];
  }

  private createSecrets(
    name: string,
    args: PostgresInstanceArgs,
    folder: pulumi.Resource,
  ): pulumi.Resource[] {
    const { site, dockerHost, secrets } = args;
    const secret = (fileName: string, kind: SecretKind, content: string): pulumi.Resource =>
      createSecretFile(
        `${name}-${fileName}`,
        { dockerHost, container: site.postgres.container, fileName, kind, owner: POSTGRES_USER, content },
        { parent: this, dependsOn: folder },
      );
    return [
      secret("superuser-password", "plain", secrets.superuserPassword),
      secret("replication-password", "passfile", secrets.replicationPassword),
    ];
  }

  private createServer(
    name: string,
    args: PostgresInstanceArgs,
    dependsOn: pulumi.Resource[],
  ): docker.Container {
    const { site, dockerHost, postgres, guard } = args;
    const { directory } = site.postgres;
    guard.belongs(site, name, imageName(name));
    const container = createContainer(
      name,
      {
        dockerHost,
        containerName: site.postgres.container,
        image: site.postgres.image,
        entrypoint: ["/bin/bash", "/opt/heatwave/entrypoint.sh"],
        command: ["run"],
        user: POSTGRES_USER,
        ports: [site.postgres.port],
        mounts: [
          { source: `${directory}/bin`, target: "/opt/heatwave", readOnly: true },
          { source: `${directory}/conf`, target: "/etc/heatwave", readOnly: true },
          { source: `${directory}/secrets`, target: "/run/heatwave-secrets", readOnly: true },
          { source: `${directory}/run`, target: RUN_DIRECTORY, readOnly: false },
          { source: site.volume, target: "/var/lib/postgresql", readOnly: false },
        ],
        stopSignal: "SIGINT",
        stopSeconds: postgres.stopSeconds,
        // "The entrypoint answers": empty, held and fenced are healthy. Readiness is the health endpoint's word.
        healthcheck: {
          test: ["/bin/bash", "/opt/heatwave/entrypoint.sh", "ping"],
          intervalSeconds: 10,
          timeoutSeconds: 5,
        },
        shmSizeMegabytes: postgres.shmSizeMegabytes,
        imageHooks: guard.image,
      },
      { parent: this, provider: dockerHost.provider, dependsOn, hooks: guard.container },
    );
    guard.follow(name, container, site);
    return container;
  }
}

export interface FoundingArgs {
  readonly site: Site;
  readonly dockerHost: DockerHost;
}

/** How long a site waits for the others and for its base backup, seconds. */
const FOUNDING_SECONDS = 3600;

/**
 * Founds the cluster at one site, once: the same command at every site. It looks first, and does nothing where the
 * data is there. The first site in the file runs initdb if no site has data; the others take a base backup.
 */
export function createFounding(
  name: string,
  args: FoundingArgs,
  opts: pulumi.CustomResourceOptions,
): remote.Command {
  const found = `docker exec ${args.site.pgHealth.container} node /opt/heatwave/pg-health.mjs found --timeout ${FOUNDING_SECONDS}`;
  return new remote.Command(
    name,
    { connection: args.dockerHost.connection, create: found, logging: remote.Logging.Stderr },
    { ...opts, customTimeouts: { create: "65m", update: "65m" } },
  );
}

/** Ensures slots everywhere, and roles and databases where the instance is the primary. Runs again when they change. */
export function createObjects(
  name: string,
  args: Omit<PostgresInstanceArgs, "guard"> & {
    /** Another site runs as it was found, and its roles and databases are not touched yet. */
    readonly beside: boolean;
  },
  opts: pulumi.CustomResourceOptions,
): remote.Command {
  const { topology, site, dockerHost, postgres, secrets, beside } = args;
  const psql = `docker exec -i ${site.postgres.container} psql -X -q -h ${SOCKET_DIRECTORY} -p ${site.postgres.port} -U postgres -d postgres`;
  return new remote.Command(
    name,
    {
      connection: dockerHost.connection,
      // Another line as soon as that is over: then the primary's are ensured.
      create: `${psql}${beside ? " # beside what was found" : ""}`,
      stdin: pulumi.secret(renderObjectsSql(topology, site, postgres, secrets)),
      logging: remote.Logging.None,
    },
    opts,
  );
}

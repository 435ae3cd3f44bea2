import type * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { Secrets } from "../../infra/config/schema.ts";
import type { Site, Topology } from "../../infra/topology/model.ts";
import { createContainer } from "../docker-host/container.ts";
import type { DockerHost } from "../docker-host/docker-host.ts";
import { createFolder, createSecretFile, HostFile } from "../docker-host/host-file.ts";
import type { PostgresInstance } from "../postgres/postgres-instance.ts";
import { POSTGRES_USER } from "../postgres/postgres-instance.ts";
import { RUN_DIRECTORY } from "../postgres/render/postgresql-conf.ts";
import { bundleSidecar } from "./build.ts";
import { renderHealthConfig } from "./render/health-config.ts";

export interface HealthEndpointArgs {
  readonly topology: Topology;
  readonly site: Site;
  readonly dockerHost: DockerHost;
  readonly secrets: Secrets;
  /** Whose data, socket and entrypoint it looks after. */
  readonly instance: PostgresInstance;
}

/**
 * pg-health of one site: the endpoint that routers ask, and the brain that decides how PostgreSQL starts. It runs
 * our own bundle on a plain Node image, as PostgreSQL's user, so that it can read the control file and the grant.
 */
export class HealthEndpoint extends pulumi.ComponentResource {
  readonly container: docker.Container;
  /** Its folders on the host and the files in force. */
  readonly prepared: readonly pulumi.Resource[];

  constructor(name: string, args: HealthEndpointArgs, opts?: pulumi.ComponentResourceOptions) {
    super("heatwave:pg-health:HealthEndpoint", name, {}, opts);
    const { topology, site, dockerHost, secrets } = args;
    const { container, directory, image, port } = site.pgHealth;
    const folder = createFolder(
      `${name}-folder`,
      {
        dockerHost,
        container,
        owner: POSTGRES_USER,
        subfolders: ["app=0755", "conf=0755", "conf/incoming", "secrets=0700", "state=0750", "run=2770@ssh"],
      },
      { parent: this, dependsOn: [...dockerHost.ready] },
    );
    const app = new HostFile(
      `${name}-app`,
      {
        dockerHost,
        container,
        path: "app/pg-health.mjs",
        text: bundleSidecar(),
        kind: "program",
        opaque: true,
      },
      { parent: this, dependsOn: folder },
    );
    const conf = new HostFile(
      `${name}-conf`,
      {
        dockerHost,
        container,
        path: "conf/pg-health.json",
        text: renderHealthConfig(topology, site),
        kind: "restart",
        programs: [app],
      },
      { parent: this, dependsOn: folder },
    );
    const files = [
      app.applied,
      conf.applied,
      createSecretFile(
        `${name}-secrets`,
        {
          dockerHost,
          container,
          fileName: "pg-health.json",
          kind: "live",
          owner: POSTGRES_USER,
          content: `${JSON.stringify({ healthPassword: secrets.healthPassword, peerSecret: secrets.peerSecret })}\n`,
        },
        { parent: this, dependsOn: folder },
      ),
    ];
    this.prepared = [folder, ...files];
    this.container = createContainer(
      name,
      {
        dockerHost,
        containerName: container,
        image,
        entrypoint: ["node"],
        command: ["/opt/heatwave/pg-health.mjs", "serve"],
        user: POSTGRES_USER,
        ports: [port],
        mounts: [
          { source: `${directory}/app`, target: "/opt/heatwave", readOnly: true },
          { source: `${directory}/conf`, target: "/etc/heatwave", readOnly: true },
          { source: `${directory}/secrets`, target: "/run/heatwave-secrets", readOnly: true },
          { source: `${directory}/state`, target: "/var/lib/heatwave", readOnly: false },
          { source: `${directory}/run`, target: "/run/pg-health", readOnly: false },
          { source: `${site.postgres.directory}/run`, target: RUN_DIRECTORY, readOnly: false },
          { source: site.volume, target: "/var/lib/postgresql", readOnly: true },
        ],
        // Made by Docker when it is missing, so that its age tells one boot of the host from another.
        hostFolders: [{ hostPath: "/run/heatwave-boot", target: "/run/heatwave-boot" }],
        stopSignal: "SIGTERM",
        stopSeconds: 10,
        healthcheck: {
          test: ["node", "/opt/heatwave/pg-health.mjs", "ping"],
          intervalSeconds: 10,
          timeoutSeconds: 5,
        },
      },
      {
        parent: this,
        provider: dockerHost.provider,
        dependsOn: [...this.prepared, ...args.instance.volumeOwned],
      },
    );
    this.registerOutputs({ container: this.container.name });
  }
}

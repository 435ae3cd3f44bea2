import type * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { Secrets, StackConfig } from "../../infra/config/schema.ts";
import type { Site } from "../../infra/topology/model.ts";
import { createContainer } from "../docker-host/container.ts";
import type { DockerHost } from "../docker-host/docker-host.ts";
import { createFolder, createSecretFile, HostFile } from "../docker-host/host-file.ts";
import type { PostgresInstance } from "../postgres/postgres-instance.ts";
import { renderPgbouncerIni, SERVER_DIRECTORY, SOCKET_DIRECTORY } from "./render/pgbouncer-ini.ts";
import { renderUserlist } from "./render/userlist.ts";

/** uid and gid of `postgres` in edoburu/pgbouncer (Alpine's). */
const PGBOUNCER_USER = "70:70";

export interface PgBouncerArgs {
  readonly site: Site;
  readonly dockerHost: DockerHost;
  readonly pgbouncer: StackConfig["pgbouncer"];
  readonly secrets: Secrets;
  /** The PostgreSQL whose socket it uses. */
  readonly instance: PostgresInstance;
}

/** The pooler of one site. It points at the PostgreSQL beside it and is never edited at a flip. */
export class PgBouncer extends pulumi.ComponentResource {
  readonly container: docker.Container;
  /** Its folders on the host and the files in force. */
  readonly prepared: readonly pulumi.Resource[];

  constructor(name: string, args: PgBouncerArgs, opts?: pulumi.ComponentResourceOptions) {
    super("heatwave:pgbouncer:PgBouncer", name, {}, opts);
    const { site, dockerHost } = args;
    const { container, directory, image, port } = site.pgbouncer;
    const folder = createFolder(
      `${name}-folder`,
      {
        dockerHost,
        container,
        owner: PGBOUNCER_USER,
        subfolders: ["conf=0755", "conf/incoming", "secrets=0700", "run=0770"],
      },
      { parent: this, dependsOn: [...dockerHost.ready] },
    );
    const ini = new HostFile(
      `${name}-ini`,
      {
        dockerHost,
        container,
        path: "conf/pgbouncer.ini",
        text: renderPgbouncerIni(site, args.pgbouncer),
        kind: "pooler",
      },
      { parent: this, dependsOn: folder },
    );
    const users = createSecretFile(
      `${name}-userlist.txt`,
      {
        dockerHost,
        container,
        fileName: "userlist.txt",
        kind: "users",
        owner: PGBOUNCER_USER,
        content: renderUserlist(args.secrets),
      },
      { parent: this, dependsOn: folder },
    );
    this.prepared = [folder, ini.applied, users];
    this.container = createContainer(
      name,
      {
        dockerHost,
        containerName: container,
        image,
        entrypoint: ["/usr/bin/pgbouncer"],
        command: ["/etc/pgbouncer/pgbouncer.ini"],
        user: PGBOUNCER_USER,
        ports: [port],
        mounts: [
          { source: `${directory}/conf`, target: "/etc/pgbouncer", readOnly: true },
          { source: `${directory}/secrets`, target: "/run/heatwave-secrets", readOnly: true },
          { source: `${directory}/run`, target: SOCKET_DIRECTORY, readOnly: false },
          { source: `${site.postgres.directory}/run/sql`, target: SERVER_DIRECTORY, readOnly: true },
        ],
        // SIGTERM would wait for every client to leave (since 1.23); SIGINT waits for running transactions alone.
        stopSignal: "SIGINT",
        stopSeconds: 10,
        healthcheck: {
          test: ["sh", "-c", "kill -0 $(pidof pgbouncer)"],
          intervalSeconds: 10,
          timeoutSeconds: 3,
        },
      },
      {
        parent: this,
        provider: dockerHost.provider,
        dependsOn: [...this.prepared, ...args.instance.prepared, ...args.instance.converted],
      },
    );
    this.registerOutputs({ container: this.container.name });
  }
}

import { readFileSync } from "node:fs";
import type * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { StackConfig } from "../../infra/config/schema.ts";
import type { Router as RouterModel, Topology } from "../../infra/topology/model.ts";
import { createContainer } from "../docker-host/container.ts";
import type { DockerHost } from "../docker-host/docker-host.ts";
import type { FileKind } from "../docker-host/host-file.ts";
import { createFolder, HostFile } from "../docker-host/host-file.ts";
import { renderHaproxyCfg } from "./render/haproxy-cfg.ts";
import type { RouterStandIn } from "./stand-in.ts";

/** uid and gid of `haproxy` in haproxy:3.0-alpine. */
const HAPROXY_USER = "99:99";

/** Where the image looks for its configuration. */
const CONF_DIRECTORY = "/usr/local/etc/haproxy";

export interface RouterArgs {
  readonly topology: Topology;
  readonly router: RouterModel;
  readonly dockerHost: DockerHost;
  readonly haproxy: StackConfig["haproxy"];
  /** Serves while an existing container is made anew. */
  readonly standIn: RouterStandIn;
  /**
   * What its container waits for where it takes the place of one that was found.
   * @default nothing
   */
  readonly after?: readonly pulumi.Resource[];
}

/**
 * The write VIP beside an app: HAProxy, which routes each listener's connections to the sites whose health endpoint
 * says so. It waits for no site, so that a dead one never keeps a router from starting.
 */
export class Router extends pulumi.ComponentResource {
  readonly container: docker.Container;

  constructor(name: string, args: RouterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("heatwave:router:Router", name, {}, opts);
    const { topology, router, dockerHost, standIn } = args;
    const { container, directory } = router;
    const folder = createFolder(
      `${name}-folder`,
      {
        dockerHost,
        container,
        owner: HAPROXY_USER,
        subfolders: ["conf=0755", "conf/incoming", "run=2770@ssh"],
      },
      { parent: this, dependsOn: [...dockerHost.ready] },
    );
    const file = (suffix: string, path: string, text: string, kind: FileKind): HostFile =>
      new HostFile(
        `${name}-${suffix}`,
        { dockerHost, container, path, text, kind },
        { parent: this, dependsOn: folder },
      );
    const files = [
      file("start", "conf/start.sh", startScript(), "script"),
      file("cfg", "conf/haproxy.cfg", renderHaproxyCfg(topology, router, args.haproxy), "haproxy"),
    ];
    standIn.belongs(router, name);
    this.container = createContainer(
      name,
      {
        dockerHost,
        containerName: container,
        image: router.image,
        entrypoint: ["/bin/sh", `${CONF_DIRECTORY}/start.sh`],
        command: ["run"],
        user: HAPROXY_USER,
        ports: [...topology.listeners.map((listener) => listener.port), router.statsPort],
        mounts: [
          { source: `${directory}/conf`, target: CONF_DIRECTORY, readOnly: true },
          { source: `${directory}/run`, target: "/run/haproxy", readOnly: false },
        ],
        // The image's SIGUSR1 waits for every session to end, which pooled sessions do not do for 12 h.
        stopSignal: "SIGTERM",
        stopSeconds: 10,
        healthcheck: {
          test: ["/bin/sh", `${CONF_DIRECTORY}/start.sh`, "ping"],
          intervalSeconds: 10,
          timeoutSeconds: 3,
        },
      },
      {
        parent: this,
        provider: dockerHost.provider,
        dependsOn: [folder, ...files.map(({ applied }) => applied), ...(args.after ?? [])],
        hooks: standIn.container,
      },
    );
    standIn.follow(name, this.container);
    this.registerOutputs({ container: this.container.name });
  }
}

function startScript(): string {
  return readFileSync(new URL("./source/start.sh", import.meta.url), "utf8");
}

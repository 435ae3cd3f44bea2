import type * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { StackConfig } from "../../infra/config/schema.ts";
import type { Router as RouterModel, Topology } from "../../infra/topology/model.ts";
import type { DockerHost } from "../docker-host/docker-host.ts";

export interface RouterArgs {
  readonly topology: Topology;
  readonly router: RouterModel;
  readonly dockerHost: DockerHost;
  readonly haproxy: StackConfig["haproxy"];
}

/** The write VIP beside an app. */
export class Router extends pulumi.ComponentResource {
  readonly container!: docker.Container;
}

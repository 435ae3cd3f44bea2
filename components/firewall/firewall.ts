import { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Topology } from "../../infra/topology/model.ts";
import type { DockerHost } from "../docker-host/docker-host.ts";
import { sha256 } from "../docker-host/docker-host.ts";
import { firewallToolText } from "../docker-host/host-tool.ts";
import { firewallText } from "./render/rules.ts";

export interface FirewallArgs {
  readonly topology: Topology;
  readonly dockerHost: DockerHost;
  /** Interface of the tailnet on the host. */
  readonly interface: string;
}

/**
 * Lets the stack's hosts and the listed operators reach the stack's ports on one host, by the tailnet, and nobody else.
 * The rules are in force at once and again after each boot; a destroy takes them away.
 */
export class Firewall extends pulumi.ComponentResource {
  constructor(name: string, args: FirewallArgs, opts?: pulumi.ComponentResourceOptions) {
    super("heatwave:firewall:Firewall", name, {}, opts);
    const { topology, dockerHost } = args;
    const text = firewallText(topology, dockerHost.host, args.interface);
    new remote.Command(
      `${name}-rules`,
      {
        connection: dockerHost.connection,
        // How it is set may change with this package: then it is set again.
        create: `${dockerHost.tool} firewall apply ${sha256(text)} # sha256:${sha256(firewallToolText())}`,
        delete: `${dockerHost.tool} firewall remove`,
        // In the preview it is this text whose diff shows.
        stdin: text,
        logging: remote.Logging.Stderr,
      },
      { parent: this, dependsOn: [...dockerHost.ready] },
    );
    this.registerOutputs({});
  }
}

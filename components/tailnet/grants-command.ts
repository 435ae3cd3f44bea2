import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { StackConfig } from "../../infra/config/schema.ts";
import { grantsText, stackGrants } from "../../infra/tailnet/grants.ts";
import type { Topology } from "../../infra/topology/model.ts";

export interface GrantsCommandArgs {
  readonly config: StackConfig;
  readonly topology: Topology;
  /** @default Tailscale's own */
  readonly apiUrl?: string;
}

/**
 * The stack's part of the tailnet's policy file. Not the provider's `Acl`: that one owns the whole file, writes without
 * If-Match, and asks the API in every preview.
 */
export class GrantsCommand extends pulumi.ComponentResource {
  constructor(name: string, args: GrantsCommandArgs, opts?: pulumi.ComponentResourceOptions) {
    super("heatwave:tailnet:GrantsCommand", name, {}, opts);
    const { secrets, tailnet } = args.config;
    // Relative to the folder of `main`, as the switchover's.
    const tool = `../bin/tailnet grants ${pulumi.getStack()}`;
    new local.Command(
      name,
      {
        create: `${tool} merge`,
        update: `${tool} merge`,
        delete: `${tool} remove`,
        // In the preview it is this text whose diff shows.
        environment: { HEATWAVE_GRANTS: grantsText(stackGrants(args.topology)) },
        stdin: pulumi.secret(
          JSON.stringify({
            clientId: secrets.tailnetClientId ?? "",
            clientSecret: secrets.tailnetClientSecret ?? "",
            tailnet: tailnet.name ?? "-",
            ...(args.apiUrl === undefined ? {} : { baseUrl: args.apiUrl }),
          }),
        ),
        logging: local.Logging.Stderr,
      },
      { parent: this },
    );
    this.registerOutputs({});
  }
}

import { loadConfig } from "../../../../infra/config/load.ts";
import type { Overlay } from "../../../../infra/config/overlay.ts";
import { buildTopology } from "../../../../infra/topology/model.ts";
import { tailnet } from "../../../../stacks/tailnet.ts";

/** The tailnet's part of the stack program, without the hosts. TAILNET_CONFIG: the keys of `heatwave`, as JSON. */
export default async function program() {
  const config = loadConfig(
    JSON.parse(process.env["TAILNET_CONFIG"] ?? "") as Record<string, unknown>,
    "Pulumi.dev.yaml",
  );
  const url = process.env["TAILNET_API"];
  const overlay: Overlay = {
    world: "test",
    images: {},
    hostKeys: {},
    secrets: {},
    urls: url === undefined ? {} : { tailscale: url },
  };
  const made = await tailnet(config, buildTopology(config), overlay);
  return { joinKeys: made?.joinKeys ?? {} };
}

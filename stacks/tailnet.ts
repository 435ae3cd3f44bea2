import * as pulumi from "@pulumi/pulumi";
import { Tailnet } from "../components/index.ts";
import type { Overlay } from "../infra/config/overlay.ts";
import { ConfigError, present } from "../infra/config/problem.ts";
import { usesTailnet } from "../infra/config/rules-tailnet.ts";
import type { StackConfig } from "../infra/config/schema.ts";
import type { Topology } from "../infra/topology/model.ts";

/**
 * The tailnet as far as the stack file asks for anything of it. The hosts' devices are checked before anything else is
 * made: one that is not what the stack file says stops the run.
 * @returns undefined where nothing is asked for, and in a rehearsal without an emulated API: a sealed world has none
 */
export async function tailnet(
  config: StackConfig,
  topology: Topology,
  overlay: Overlay | undefined,
): Promise<Tailnet | undefined> {
  if (!usesTailnet(config)) return undefined;
  const apiUrl = overlay?.urls["tailscale"];
  if (overlay !== undefined && apiUrl === undefined) {
    await pulumi.log.info(
      "the tailnet is neither asked nor managed here: a rehearsal has none of Tailscale's API",
    );
    return undefined;
  }
  const made = new Tailnet("tailnet", { config, topology, ...(apiUrl === undefined ? {} : { apiUrl }) });
  const sighting = await made.sight(new Date());
  if (sighting.findings.length > 0) {
    const source = `Pulumi.${pulumi.getStack()}.yaml`;
    throw new pulumi.RunError(new ConfigError(source, present(sighting.findings)).message);
  }
  made.manage(sighting);
  return made;
}

import { commandPackage } from "./command/index.ts";
import { dockerPackage } from "./docker/index.ts";
import type { ProviderPackage } from "./provider.ts";
import { tailscalePackage } from "./tailscale/index.ts";

/** Every package that the embedded engine can stand in for. */
export const packages: readonly ProviderPackage[] = [commandPackage, dockerPackage, tailscalePackage];

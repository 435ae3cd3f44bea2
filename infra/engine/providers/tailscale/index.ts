import type { ProviderPackage } from "../provider.ts";
import { checkTailscaleConfig, readTailscaleConfig } from "./config.ts";
import { TailscaleProvider } from "./provider.ts";

/** Package `tailscale` with the names, defaults and replace rules of 0.29.1, for what the components use of it. */
export const tailscalePackage: ProviderPackage = {
  name: "tailscale",
  checkConfig: (news) => Promise.resolve(checkTailscaleConfig(news)),
  // Nothing is asked here, as by the real one: a stack whose tailnet is unchanged needs no API.
  configure: (inputs) => Promise.resolve(new TailscaleProvider(readTailscaleConfig(inputs))),
};

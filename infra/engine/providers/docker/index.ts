import type { ProviderPackage } from "../provider.ts";
import { checkDockerConfig, readDockerConfig } from "./config.ts";
import { DockerProvider } from "./provider.ts";

/** Package `docker` with the names, defaults and replace rules of 5.2.0. */
export const dockerPackage: ProviderPackage = {
  name: "docker",
  checkConfig: (news) => Promise.resolve(checkDockerConfig(news)),
  async configure(inputs) {
    const config = readDockerConfig(inputs);
    const provider = new DockerProvider(config);
    if (!config.disableDaemonCheck && config.host !== undefined) await provider.checkDaemon();
    return provider;
  },
};

import type { ValueMap } from "../../values.ts";
import type { CheckFailure, ProviderPackage } from "../provider.ts";
import { CommandProvider } from "./provider.ts";

/** Package `command`: commands and copies, on this machine and on hosts over SSH. */
export const commandPackage: ProviderPackage = {
  name: "command",
  checkConfig(news: ValueMap) {
    const failures: CheckFailure[] = Object.keys(news)
      .filter((key) => !key.startsWith("__") && key !== "version" && key !== "pluginDownloadURL")
      .map((key) => ({ property: key, reason: "is no input of the command provider; it has none" }));
    return Promise.resolve({ inputs: news, failures });
  },
  configure: () => Promise.resolve(new CommandProvider()),
};

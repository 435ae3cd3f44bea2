import { TAILSCALE_API } from "../../../tailnet/api.ts";
import type { TailnetApiOptions } from "../../../tailnet/api.ts";
import type { Value, ValueMap } from "../../values.ts";
import type { CheckFailure } from "../provider.ts";
import { readText } from "../read-value.ts";

const KNOWN = ["oauthClientId", "oauthClientSecret", "tailnet", "baseUrl", "userAgent"];
const REFUSED = ["apiKey", "audience", "identityToken", "identityTokenEnvironmentVariableName", "scopes"];

/** Checks the provider's inputs. Its environment variables are not read: a stack says what it uses. */
export function checkTailscaleConfig(news: ValueMap): {
  readonly inputs: ValueMap;
  readonly failures: readonly CheckFailure[];
} {
  const failures: CheckFailure[] = [];
  const inputs: Record<string, Value> = {};
  for (const [key, value] of Object.entries(news)) {
    if (value === null) continue;
    inputs[key] = value;
    if (REFUSED.includes(key)) {
      failures.push({
        property: key,
        reason: "is not known to the embedded engine; write oauthClientId and oauthClientSecret",
      });
    } else if (
      !KNOWN.includes(key) &&
      !key.startsWith("__") &&
      !["version", "pluginDownloadURL"].includes(key)
    ) {
      failures.push({
        property: key,
        reason: `is no input of the tailscale provider; known: ${KNOWN.join(", ")}`,
      });
    }
  }
  for (const key of ["oauthClientId", "oauthClientSecret"]) {
    if (inputs[key] === undefined) failures.push({ property: key, reason: "is required; write it" });
  }
  return { inputs, failures };
}

export function readTailscaleConfig(inputs: ValueMap): TailnetApiOptions {
  const userAgent = readText(inputs, "userAgent");
  return {
    clientId: readText(inputs, "oauthClientId") ?? "",
    clientSecret: readText(inputs, "oauthClientSecret") ?? "",
    tailnet: readText(inputs, "tailnet") ?? "-",
    baseUrl: readText(inputs, "baseUrl") ?? TAILSCALE_API,
    ...(userAgent === undefined ? {} : { userAgent }),
  };
}

import { TAILSCALE_API } from "../../../tailnet/api.ts";
import type { TailnetApiOptions } from "../../../tailnet/api.ts";
import type { ValueMap } from "../../values.ts";
import { knownInputs } from "../bridge/provider-inputs.ts";
import type { CheckFailure } from "../provider.ts";
import { readText } from "../read-value.ts";

const KNOWN = ["oauthClientId", "oauthClientSecret", "tailnet", "baseUrl", "userAgent"];
const REFUSED = ["apiKey", "audience", "identityToken", "identityTokenEnvironmentVariableName", "scopes"];

/** Checks the provider's inputs. Its environment variables are not read: a stack says what it uses. */
export function checkTailscaleConfig(news: ValueMap): {
  readonly inputs: ValueMap;
  readonly failures: readonly CheckFailure[];
} {
  const { inputs, failures } = knownInputs(news, { name: "tailscale", known: KNOWN }, (key) =>
    REFUSED.includes(key)
      ? "is not known to the embedded engine; write oauthClientId and oauthClientSecret"
      : undefined,
  );
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

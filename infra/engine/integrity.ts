import { createHash } from "node:crypto";

import { isProviderType } from "./urn.ts";
import type { JsonMap } from "./state-values.ts";

/**
 * Checks what the CLI checks whenever it opens a state: the manifest's cookie, that everything a resource needs
 * stands before it, and that a URN is used twice only by entries that wait for their deletion.
 * @param latest - `checkpoint.latest` of a state file.
 * @returns what is wrong, in the CLI's words; undefined when the state is sound.
 */
export function integrityError(latest: JsonMap): string | undefined {
  return cookieError((latest["manifest"] ?? {}) as JsonMap) ?? resourcesError(latest);
}

function cookieError(manifest: JsonMap): string | undefined {
  const version = typeof manifest["version"] === "string" ? manifest["version"] : "";
  const magic = typeof manifest["magic"] === "string" ? manifest["magic"] : "";
  if (magic === "" && version === "") return undefined;
  const expected = createHash("sha256").update(version).digest("hex");
  return magic === expected ? undefined : "magic cookie mismatch; possible tampering/corruption detected";
}

function resourcesError(latest: JsonMap): string | undefined {
  const resources = (latest["resources"] ?? []) as readonly JsonMap[];
  const seen = new Map<string, { count: number; deletes: number }>();
  const providers = new Set<string>();
  for (const [index, resource] of resources.entries()) {
    const urn = text(resource, "urn");
    if (urn === "") return `resource at index ${index} missing required 'urn' field`;
    if (text(resource, "type") === "") return `resource '${urn}' missing required 'type' field`;
    if (resource["custom"] !== true && text(resource, "id") !== "")
      return `resource '${urn}' has 'custom' false but non-empty ID`;
    if (isProviderType(text(resource, "type"))) providers.add(`${urn}::${text(resource, "id")}`);
    const provider = text(resource, "provider");
    if (provider !== "" && !providers.has(provider) && resource["pendingReplacement"] !== true)
      return `resource ${urn} refers to unknown provider ${provider}`;
    for (const [what, needed] of needs(resource)) {
      if (seen.has(needed)) continue;
      const isLater = resources.slice(index + 1).some((other) => text(other, "urn") === needed);
      return `resource ${urn}'s ${what} ${needed} ${isLater ? "comes after it" : "refers to missing resource"}`;
    }
    const entry = seen.get(urn) ?? { count: 0, deletes: 0 };
    seen.set(urn, {
      count: entry.count + 1,
      deletes: entry.deletes + (resource["delete"] === true ? 1 : 0),
    });
  }
  for (const [urn, { count, deletes }] of seen) {
    if (count - deletes > 1) return `duplicate resource ${urn} (not marked for deletion)`;
  }
  return undefined;
}

const text = (map: JsonMap, key: string): string => (typeof map[key] === "string" ? map[key] : "");

/** Each URN that must stand before a resource, and why. */
function* needs(resource: JsonMap): Generator<readonly [string, string]> {
  if (text(resource, "parent") !== "") yield ["parent", text(resource, "parent")];
  for (const urn of (resource["dependencies"] ?? []) as readonly string[]) yield ["dependency", urn];
  const byProperty = (resource["propertyDependencies"] ?? {}) as Readonly<Record<string, readonly string[]>>;
  for (const [key, urns] of Object.entries(byProperty)) {
    for (const urn of urns) yield [`property dependency (from property ${key})`, urn];
  }
  if (text(resource, "deletedWith") !== "") yield ["deletedWith", text(resource, "deletedWith")];
}

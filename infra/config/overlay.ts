import { readFileSync } from "node:fs";
import { z } from "zod";

/**
 * The rehearsal overlay: what the sealed world replaces in a stack file, and nothing else. Exactly four kinds,
 * held to by a test: image references, SSH host keys, secrets, and the URLs of outside services.
 */
export const Overlay = z.strictObject({
  /** Name of the world that wrote it; every host carries the same name in its marker. */
  world: z.string().regex(/^[a-z0-9][a-z0-9-]*$/),
  /** By key of `heatwave:images`; empty where a registry is reachable. */
  images: z.partialRecord(z.enum(["postgres", "pgbouncer", "node", "haproxy"]), z.string()),
  /** Public host key by host name. */
  hostKeys: z.record(z.string(), z.string()),
  /** The whole of `heatwave:secrets`, generated. */
  secrets: z.record(z.string(), z.union([z.string(), z.record(z.string(), z.string())])),
  /** Base URLs of outside services, by name. */
  urls: z.record(z.string(), z.string()),
});
export type Overlay = z.output<typeof Overlay>;

/** The overlay that `HEATWAVE_OVERLAY` names; undefined outside a rehearsal. The one place that reads it. */
export function readOverlay(environment: NodeJS.ProcessEnv = process.env): Overlay | undefined {
  const path = environment["HEATWAVE_OVERLAY"];
  if (path === undefined || path === "") return undefined;
  try {
    return Overlay.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    throw new Error(
      `HEATWAVE_OVERLAY: cannot use ${path}: ${error instanceof Error ? error.message : String(error)}\n` +
        "It is written by bin/rehearse and meant for the inside of a sealed world; unset the variable elsewhere.",
      { cause: error },
    );
  }
}

type Json = Record<string, unknown>;

/** The raw configuration with the overlay's four kinds in place of its own. Shape errors are left to the schema. */
export function applyOverlay(raw: Json, overlay: Overlay): Json {
  const replaced: Json = { ...raw, secrets: overlay.secrets };
  if (Object.keys(overlay.images).length > 0 && isObject(raw["images"])) {
    replaced["images"] = { ...raw["images"], ...overlay.images };
  }
  if (isObject(raw["hosts"])) {
    replaced["hosts"] = Object.fromEntries(
      Object.entries(raw["hosts"]).map(([name, host]) => {
        const hostKey = overlay.hostKeys[name];
        if (hostKey === undefined || !isObject(host) || !isObject(host["ssh"])) return [name, host];
        return [name, { ...host, ssh: { ...host["ssh"], hostKey } }];
      }),
    );
  }
  if (Array.isArray(raw["sites"]) && Object.keys(overlay.images).length > 0) {
    replaced["sites"] = raw["sites"].map((site: unknown) =>
      isObject(site) && isObject(site["images"])
        ? {
            ...site,
            images: Object.fromEntries(
              Object.keys(site["images"]).map((key) => [
                key,
                overlay.images[key as keyof Overlay["images"]] ?? (site["images"] as Json)[key],
              ]),
            ),
          }
        : site,
    );
  }
  return replaced;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

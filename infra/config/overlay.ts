import { readFileSync } from "node:fs";
import { z } from "zod";
import { findingsOf } from "./explain.ts";
import { ConfigError, pathText, present } from "./problem.ts";
import { mapping, says, section, text } from "./words.ts";

const WRITTEN = "let bin/rehearse write the overlay again";
const Text = z.string({ error: says("text", WRITTEN) });

/**
 * The rehearsal overlay: what the sealed world replaces in a stack file, and nothing else. Exactly four kinds,
 * held to by a test: image references, SSH host keys, secrets, and the URLs of outside services.
 */
export const Overlay = section({
  /** Name of the world that wrote it; every host carries the same name in its marker. */
  world: text(/^[a-z0-9][a-z0-9-]*$/, "the name of a world", WRITTEN),
  /** By key of `heatwave:images`; empty where a registry is reachable. */
  images: z.partialRecord(z.enum(["postgres", "pgbouncer", "node", "haproxy"]), Text, {
    error: says("a mapping of postgres, pgbouncer, node, haproxy", WRITTEN),
  }),
  /** Public host key by host name. */
  hostKeys: mapping(Text, Text, "host keys by host name"),
  /** The whole of `heatwave:secrets`, generated. */
  secrets: mapping(
    Text,
    z.union([z.string(), z.record(z.string(), z.string())], {
      error: says("text, or a mapping of text", WRITTEN),
    }),
    "secrets",
  ),
  /** Base URLs of outside services, by name. */
  urls: mapping(Text, Text, "URLs by name"),
});
export type Overlay = z.output<typeof Overlay>;

/**
 * The overlay that `HEATWAVE_OVERLAY` names; undefined outside a rehearsal. The one place that reads it.
 * @throws {ConfigError} where the file is missing, is not JSON or is no overlay
 */
export function readOverlay(environment: NodeJS.ProcessEnv = process.env): Overlay | undefined {
  const path = environment["HEATWAVE_OVERLAY"];
  if (path === undefined || path === "") return undefined;
  const input = jsonOf(path);
  const parsed = Overlay.safeParse(input);
  if (parsed.success) return parsed.data;
  const findings = findingsOf(parsed.error.issues, input).map((finding) => ({
    ...finding,
    where: finding.path.length === 0 ? "the file" : pathText(finding.path, ""),
    fix: WRITTEN,
  }));
  throw new ConfigError(`HEATWAVE_OVERLAY (${path})`, present(findings));
}

function jsonOf(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    // Not the parser's own message: it quotes the file, which holds secrets.
    const missing = cause instanceof Error && "code" in cause;
    throw new ConfigError(
      "HEATWAVE_OVERLAY",
      present([
        {
          path: [],
          where: "the file",
          value: path,
          allowed: missing ? "a file that can be read" : "JSON",
          fix: "it is written by bin/rehearse for the inside of a sealed world: unset the variable elsewhere",
        },
      ]),
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
        const hostKey = Object.hasOwn(overlay.hostKeys, name) ? overlay.hostKeys[name] : undefined;
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

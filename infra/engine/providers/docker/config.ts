import { isList, isMap, unwrap } from "../../value-tools.ts";
import { Unknown } from "../../values.ts";
import type { Value, ValueMap } from "../../values.ts";
import { knownInputs } from "../bridge/provider-inputs.ts";
import type { CheckFailure } from "../provider.ts";
import type { RegistryAuth } from "./registry-logins.ts";

/** The provider's own inputs, read. */
export interface DockerConfig {
  /** undefined: not known yet (previews). */
  readonly host: string | undefined;
  readonly sshOptions: readonly string[];
  readonly registryAuth: readonly RegistryAuth[];
  readonly disableDaemonCheck: boolean;
}

const DEFAULT_HOST = "unix:///var/run/docker.sock";
const KNOWN = ["host", "sshOpts", "registryAuth", "disableDockerDaemonCheck"];
const REFUSED: Readonly<Record<string, string>> = {
  caMaterial: "TLS over TCP",
  certMaterial: "TLS over TCP",
  keyMaterial: "TLS over TCP",
  certPath: "TLS over TCP",
  context: "a Docker context of the operator's machine",
};

/** Checks the provider's inputs and fills in the host, as the real plugin does. */
export function checkDockerConfig(news: ValueMap): {
  readonly inputs: ValueMap;
  readonly failures: readonly CheckFailure[];
} {
  const { inputs, failures } = knownInputs(news, { name: "docker", known: KNOWN }, (key) => {
    const refused = REFUSED[key];
    return refused === undefined
      ? undefined
      : `${refused} is not known to the embedded engine; write host ssh://user@address:port or unix:///path`;
  });
  inputs["host"] ??= process.env["DOCKER_HOST"] ?? DEFAULT_HOST;
  try {
    readDockerConfig(inputs);
  } catch (error) {
    failures.push({ property: "docker", reason: error instanceof Error ? error.message : String(error) });
  }
  return { inputs, failures };
}

/** @throws Error that names the input when one cannot be read */
export function readDockerConfig(inputs: ValueMap): DockerConfig {
  const host = plain(inputs["host"]);
  if (host !== undefined && typeof host !== "string") throw new Error("host must be a string");
  const check = structured(inputs, "disableDockerDaemonCheck");
  if (check !== undefined && typeof check !== "boolean") {
    throw new Error("disableDockerDaemonCheck must be true or false");
  }
  return {
    host,
    sshOptions: texts(structured(inputs, "sshOpts"), "sshOpts"),
    registryAuth: auths(structured(inputs, "registryAuth")),
    disableDaemonCheck: check ?? false,
  };
}

function plain(value: Value | undefined): Value | undefined {
  if (value === undefined || value === null) return undefined;
  const inner = unwrap(value);
  return inner instanceof Unknown ? undefined : inner;
}

/** Provider inputs other than strings travel, and are recorded, as JSON text. */
function structured(inputs: ValueMap, key: string): Value | undefined {
  const value = plain(inputs[key]);
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value) as Value;
  } catch {
    throw new Error(`${key} ${JSON.stringify(value)} must be JSON`);
  }
}

function texts(value: Value | undefined, key: string): readonly string[] {
  if (value === undefined) return [];
  if (!isList(value) || !value.every((item) => typeof item === "string")) {
    throw new Error(`${key} must be an array of strings`);
  }
  return value;
}

function auths(value: Value | undefined): readonly RegistryAuth[] {
  if (value === undefined) return [];
  if (!isList(value)) throw new Error("registryAuth must be an array");
  return value.map((entry, index) => {
    if (!isMap(entry)) throw new Error(`registryAuth[${index}] must be an object`);
    return Object.fromEntries(Object.entries(entry).map(([key, item]) => [key, plain(item)]));
  });
}

import { isList, isMap, unwrap, wrapSecret } from "../../value-tools.ts";
import { Archive, Asset, Unknown } from "../../values.ts";
import type { Value, ValueMap } from "../../values.ts";
import type { CheckFailure } from "../provider.ts";

type Kind = "text" | "texts" | "textMap" | "flag" | "list" | "logging" | "connection" | "source";

const BASE = {
  stdin: "text",
  environment: "textMap",
  logging: "logging",
  addPreviousOutputInEnv: "flag",
} as const satisfies Record<string, Kind>;
const LIFECYCLE = {
  create: "text",
  update: "text",
  delete: "text",
  triggers: "list",
} as const satisfies Record<string, Kind>;
const LOCAL = {
  ...BASE,
  interpreter: "texts",
  dir: "text",
  assetPaths: "texts",
  archivePaths: "texts",
} as const satisfies Record<string, Kind>;

/** The inputs of each resource type and function of the command package 1.2.1. */
const SHAPES: Readonly<Record<string, Readonly<Record<string, Kind>>>> = {
  "command:local:Command": { ...LOCAL, ...LIFECYCLE },
  "command:local:run": { ...LOCAL, command: "text" },
  "command:remote:Command": { ...BASE, ...LIFECYCLE, connection: "connection" },
  "command:remote:CopyToRemote": {
    source: "source",
    remotePath: "text",
    connection: "connection",
    triggers: "list",
  },
};
const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  "command:local:run": ["command"],
  "command:remote:Command": ["connection"],
  "command:remote:CopyToRemote": ["connection", "source", "remotePath"],
};

const CONNECTION: Readonly<Record<string, "text" | "number">> = {
  host: "text",
  user: "text",
  port: "number",
  hostKey: "text",
  agentSocketPath: "text",
  dialErrorLimit: "number",
  perDialTimeout: "number",
};
const CONNECTION_DEFAULTS: ValueMap = { user: "root", port: 22, dialErrorLimit: 10, perDialTimeout: 15 };
const AGENT_ONLY =
  "the embedded engine logs in by the SSH agent only; load the key with ssh-add and leave it out";
const REFUSED_CONNECTION: Readonly<Record<string, string>> = {
  password: AGENT_ONLY,
  privateKey: AGENT_ONLY,
  privateKeyPassword: AGENT_ONLY,
  proxy: "connections through a proxy are not known to the embedded engine; give an address that it reaches",
};

/** What is wrong with a value of this kind; undefined = nothing. A value not known yet is right. */
function fault(kind: Kind, written: Value): string | undefined {
  const value = unwrap(written);
  if (value instanceof Unknown) {
    // So the real 1.2.1 does: it looks at the source in previews too.
    return kind === "source"
      ? "either asset or archive must be set; it must be known in previews"
      : undefined;
  }
  const known = (test: (item: Value) => boolean) => (item: Value) => {
    const inner = unwrap(item);
    return inner instanceof Unknown || test(inner);
  };
  const isText = known((item) => typeof item === "string");
  switch (kind) {
    case "text":
      return isText(value) ? undefined : "write a string";
    case "texts":
      return isList(value) && value.every(isText) ? undefined : "write an array of strings";
    case "textMap":
      return isMap(value) && Object.values(value).every(isText) ? undefined : "write an object of strings";
    case "flag":
      return typeof value === "boolean" ? undefined : "write true or false";
    case "list":
      return isList(value) ? undefined : "write an array";
    case "logging":
      return typeof value === "string" && /^(none|stdout|stderr|stdoutAndStderr)$/.test(value)
        ? undefined
        : "write none, stdout, stderr or stdoutAndStderr";
    case "source":
      if (value instanceof Asset) return undefined;
      if (!(value instanceof Archive)) return "either asset or archive must be set";
      return value.path === undefined ? "archive must be a path to a file or directory" : undefined;
    case "connection":
      return isMap(value) ? undefined : "write an object with at least host";
  }
}

/** Checks the inputs of a command resource or function; a connection gets its defaults and becomes secret. */
export function checkCommandInputs(
  type: string,
  news: ValueMap,
): { readonly inputs: ValueMap; readonly failures: readonly CheckFailure[] } {
  const shape = SHAPES[type];
  if (shape === undefined) throw new Error(unknownType(type));
  const failures: CheckFailure[] = [];
  const inputs: Record<string, Value> = {};
  for (const [key, value] of Object.entries(news)) {
    if (value === null) continue;
    const kind = shape[key];
    if (kind === undefined) {
      const known = Object.keys(shape).sort().join(", ");
      failures.push({ property: key, reason: `is no input of ${type}; known: ${known}` });
      continue;
    }
    const wrong = fault(kind, value);
    if (wrong !== undefined) failures.push({ property: key, reason: wrong });
    inputs[key] = kind === "connection" ? checkConnection(value, failures) : value;
  }
  for (const key of REQUIRED[type] ?? []) {
    if (inputs[key] === undefined)
      failures.push({ property: key, reason: `is required by ${type}; write it` });
  }
  return { inputs, failures };
}

function checkConnection(written: Value, failures: CheckFailure[]): Value {
  const value = unwrap(written);
  if (!isMap(value)) return wrapSecret(written);
  const kept = Object.entries(value).filter(([, item]) => item !== null);
  for (const [key, item] of kept) {
    const property = `connection.${key}`;
    const refused = REFUSED_CONNECTION[key];
    const kind = CONNECTION[key];
    const inner = unwrap(item);
    if (refused !== undefined) failures.push({ property, reason: refused });
    else if (kind === undefined) {
      failures.push({ property, reason: `is not known; known: ${Object.keys(CONNECTION).join(", ")}` });
    } else if (!(inner instanceof Unknown) && typeof inner !== (kind === "text" ? "string" : kind)) {
      failures.push({ property, reason: `write a ${kind === "text" ? "string" : kind}` });
    }
  }
  const connection = { ...CONNECTION_DEFAULTS, ...Object.fromEntries(kept) };
  if (connection["host"] === undefined) {
    failures.push({ property: "connection.host", reason: "is required; write the host's address" });
  }
  return wrapSecret(connection);
}

export function unknownType(type: string): string {
  const instead =
    type === "command:remote:CopyFile" ? "; it is deprecated: use command.remote.CopyToRemote" : "";
  return `${type} is not known to the embedded engine${instead} (known of this package: ${Object.keys(SHAPES).join(", ")})`;
}

import { createHash } from "node:crypto";

import type { HookBindings, PendingOperation, Resource } from "./resource.ts";
import { HOOK_TYPES, emptyResource } from "./resource.ts";
import type { Secret } from "./values.ts";
import { mapFromJson, fromJson, mapToJson, toJson } from "./state-values.ts";
import type { Json, JsonMap, OpenSecret, SealSecret } from "./state-values.ts";

/** A state as it was read. */
export interface Checkpoint {
  readonly resources: readonly Resource[];
  readonly pendingOperations: readonly PendingOperation[];
}

/** The parts of a state file that are needed before its secrets can be opened. */
export interface SealedCheckpoint {
  readonly salt: string | undefined;
  readonly hasSecrets: boolean;
  readonly latest: JsonMap;
}

const KNOWN_VERSIONS = [0, 3, 4];
/** What a state may need of its reader, version 4 alone says it. */
const KNOWN_FEATURES = ["hooks", "taint"];
const ENGINE_VERSION = "heatwave-engine/1";

/** State fields with a meaning that this engine does not act on: refused rather than lost. */
const UNKNOWN_FIELDS = ["replaceWith", "viewOf", "extensionRef", "snippetID", "refreshBeforeUpdate"];
const KEPT_FIELDS = ["sourcePosition", "stackTrace"];

/**
 * Reads the text of a checkpoint file.
 * @throws Error on versions and secret providers that the engine does not know.
 */
export function readCheckpoint(text: string): SealedCheckpoint {
  const file = JSON.parse(text) as JsonMap;
  const version = file["version"];
  if (!KNOWN_VERSIONS.includes(Number(version))) {
    throw new Error(
      `checkpoint version ${JSON.stringify(version)} is not known; allowed: ${KNOWN_VERSIONS.join(", ")}`,
    );
  }
  for (const feature of (file["features"] ?? []) as readonly string[]) {
    if (!KNOWN_FEATURES.includes(feature)) {
      throw new Error(
        `the embedded engine does not know state with the feature ${JSON.stringify(feature)}; allowed: ${KNOWN_FEATURES.join(", ")}`,
      );
    }
  }
  const latest = ((file["checkpoint"] as JsonMap | undefined)?.["latest"] ?? {}) as JsonMap;
  for (const field of ["snippets", "extensions"]) {
    if (latest[field] !== undefined) throw new Error(`the embedded engine does not know state with ${field}`);
  }
  const secrets = latest["secrets_providers"] as JsonMap | undefined;
  const type = secrets?.["type"];
  if (type !== undefined && type !== "" && type !== "passphrase") {
    throw new Error(`secrets provider ${JSON.stringify(type)} is not known; allowed: passphrase`);
  }
  const salt = (secrets?.["state"] as JsonMap | undefined)?.["salt"];
  return {
    salt: typeof salt === "string" ? salt : undefined,
    hasSecrets: text.includes('"ciphertext"'),
    latest,
  };
}

/** Decodes the resources; `opened` as in `fromJson`. */
export function openCheckpoint(
  sealed: SealedCheckpoint,
  open: OpenSecret,
  opened: (secret: Secret, ciphertext: string) => void,
): Checkpoint {
  const resources = (sealed.latest["resources"] ?? []) as readonly JsonMap[];
  const pending = (sealed.latest["pending_operations"] ?? []) as readonly JsonMap[];
  return {
    resources: resources.map((json) => resourceFromJson(json, open, opened)),
    pendingOperations: pending.map((json) => ({
      resource: resourceFromJson(json["resource"] as JsonMap, open, opened),
      type: json["type"] as PendingOperation["type"],
    })),
  };
}

function resourceFromJson(
  json: JsonMap,
  open: OpenSecret,
  opened: (secret: Secret, ciphertext: string) => void,
): Resource {
  const text = (key: string): string => (typeof json[key] === "string" ? json[key] : "");
  const list = (key: string): readonly string[] => (json[key] ?? []) as readonly string[];
  const map = (key: string): JsonMap => (json[key] ?? {}) as JsonMap;
  for (const field of UNKNOWN_FIELDS) {
    if (json[field] !== undefined) {
      throw new Error(`the embedded engine does not know the state field ${field} (resource ${text("urn")})`);
    }
  }
  const trigger = json["replacementTrigger"];
  return {
    ...emptyResource(text("urn"), text("type"), json["custom"] === true),
    id: text("id"),
    delete: json["delete"] === true,
    inputs: mapFromJson(map("inputs"), open, opened),
    outputs: mapFromJson(map("outputs"), open, opened),
    parent: text("parent"),
    protect: json["protect"] === true,
    taint: json["taint"] === true,
    external: json["external"] === true,
    dependencies: list("dependencies"),
    initErrors: list("initErrors"),
    provider: text("provider"),
    propertyDependencies: map("propertyDependencies") as Record<string, readonly string[]>,
    pendingReplacement: json["pendingReplacement"] === true,
    additionalSecretOutputs: list("additionalSecretOutputs"),
    customTimeouts: map("customTimeouts"),
    importId: text("importID"),
    retainOnDelete: json["retainOnDelete"] === true,
    deletedWith: text("deletedWith"),
    created: text("created") === "" ? undefined : text("created"),
    modified: text("modified") === "" ? undefined : text("modified"),
    ignoreChanges: list("ignoreChanges"),
    hideDiff: list("hideDiff"),
    replaceOnChanges: list("replaceOnChanges"),
    replacementTrigger: trigger === undefined ? undefined : fromJson(trigger, open, opened),
    hooks: hooksFromJson(map("resourceHooks"), text("urn")),
    kept: Object.fromEntries(KEPT_FIELDS.filter((key) => key in json).map((key) => [key, json[key]])),
  };
}

function hooksFromJson(json: JsonMap, urn: string): HookBindings {
  for (const type of Object.keys(json)) {
    if (!HOOK_TYPES.some((known) => known === type))
      throw new Error(`the embedded engine does not know ${type} hooks (resource ${urn})`);
  }
  return json;
}

/** The features that a reader of these resources must know. */
function featuresOf(resources: readonly Resource[]): readonly string[] {
  return [
    ...(resources.some((one) => Object.keys(one.hooks).length > 0) ? ["hooks"] : []),
    ...(resources.some((one) => one.taint) ? ["taint"] : []),
  ];
}

/** One resource in the form of the state file; empty fields are left out. */
export function resourceToJson(resource: Resource, seal: SealSecret): JsonMap {
  const inputs = mapToJson(resource.inputs, seal);
  const outputs = mapToJson(resource.outputs, seal);
  const fields: Record<string, Json | undefined> = {
    urn: resource.urn,
    custom: resource.custom,
    delete: resource.delete || undefined,
    id: resource.id || undefined,
    type: resource.type,
    inputs: emptyAsAbsent(inputs),
    outputs: emptyAsAbsent(outputs),
    parent: resource.parent || undefined,
    protect: resource.protect || undefined,
    taint: resource.taint || undefined,
    external: resource.external || undefined,
    dependencies: emptyListAsAbsent(resource.dependencies),
    initErrors: emptyListAsAbsent(resource.initErrors),
    provider: resource.provider || undefined,
    propertyDependencies: emptyAsAbsent(resource.propertyDependencies),
    pendingReplacement: resource.pendingReplacement || undefined,
    additionalSecretOutputs: emptyListAsAbsent(resource.additionalSecretOutputs),
    customTimeouts: emptyAsAbsent(resource.customTimeouts as JsonMap),
    importID: resource.importId || undefined,
    retainOnDelete: resource.retainOnDelete || undefined,
    deletedWith: resource.deletedWith || undefined,
    created: resource.created,
    modified: resource.modified,
    ...(resource.kept as JsonMap),
    ignoreChanges: emptyListAsAbsent(resource.ignoreChanges),
    hideDiff: emptyListAsAbsent(resource.hideDiff),
    replaceOnChanges: emptyListAsAbsent(resource.replaceOnChanges),
    replacementTrigger:
      resource.replacementTrigger === undefined ? undefined : toJson(resource.replacementTrigger, seal),
    resourceHooks: emptyAsAbsent(resource.hooks),
  };
  return Object.fromEntries(
    Object.entries(fields).filter((entry): entry is [string, Json] => entry[1] !== undefined),
  );
}

const emptyAsAbsent = (map: JsonMap): JsonMap | undefined =>
  Object.keys(map).length === 0 ? undefined : map;
const emptyListAsAbsent = (list: readonly string[]): readonly string[] | undefined =>
  list.length === 0 ? undefined : list;

/** Writes whole checkpoints; the text of each resource is kept, so a step costs only what it changed. */
export class CheckpointWriter {
  readonly #stack: string;
  readonly #salt: string | undefined;
  readonly #seal: SealSecret;
  readonly #texts = new WeakMap<Resource, string>();

  /** `stack` in the form `organization/<project>/<stack>`. */
  constructor(stack: string, salt: string | undefined, seal: SealSecret) {
    this.#stack = stack;
    this.#salt = salt;
    this.#seal = seal;
  }

  /** Compact JSON as the file backend keeps it. */
  write(resources: readonly Resource[], pending: readonly PendingOperation[], now: Date): string {
    const magic = createHash("sha256").update(ENGINE_VERSION).digest("hex");
    const manifest = JSON.stringify({ time: now.toISOString(), magic, version: ENGINE_VERSION });
    const parts = [`"manifest":${manifest}`];
    if (this.#salt !== undefined) {
      const provider = JSON.stringify({ type: "passphrase", state: { salt: this.#salt } });
      parts.push(`"secrets_providers":${provider}`);
    }
    if (resources.length > 0)
      parts.push(`"resources":[${resources.map((one) => this.#text(one)).join(",")}]`);
    if (pending.length > 0) {
      const operations = pending.map(
        (one) => `{"resource":${this.#text(one.resource)},"type":"${one.type}"}`,
      );
      parts.push(`"pending_operations":[${operations.join(",")}]`);
    }
    parts.push('"metadata":{}');
    const features = featuresOf([...resources, ...pending.map((one) => one.resource)]);
    const head = features.length === 0 ? '"version":3' : `"version":4,"features":${JSON.stringify(features)}`;
    return `{${head},"checkpoint":{"stack":${JSON.stringify(this.#stack)},"latest":{${parts.join(",")}}}}`;
  }

  #text(resource: Resource): string {
    let text = this.#texts.get(resource);
    if (text === undefined) {
      text = JSON.stringify(resourceToJson(resource, this.#seal));
      this.#texts.set(resource, text);
    }
    return text;
  }
}

import type { RegisterResourceRequest } from "@pulumi/pulumi/proto/resource_pb.js";

import { unknownFeature, EngineError } from "./engine-error.ts";
import type { HookBindings, Timeouts } from "./resource.ts";
import type { Value, ValueMap } from "./values.ts";
import { decodeStruct, decodeValue } from "./wire.ts";

/** One entry of the `aliases` option: a URN, or what differs from the resource as it is now. */
export type AliasGoal =
  | { readonly urn: string }
  | {
      readonly name: string | undefined;
      readonly type: string | undefined;
      readonly stack: string | undefined;
      readonly project: string | undefined;
      /** undefined = the same parent; empty = none. */
      readonly parent: string | undefined;
    };

/** What the program wants of one resource. */
export interface Goal {
  readonly type: string;
  readonly name: string;
  readonly custom: boolean;
  readonly parent: string;
  readonly inputs: ValueMap;
  readonly protect: boolean | undefined;
  readonly retainOnDelete: boolean | undefined;
  readonly deletedWith: string;
  readonly dependencies: readonly string[];
  readonly propertyDependencies: Readonly<Record<string, readonly string[]>>;
  /** `<urn>::<id>` or empty. */
  readonly provider: string;
  /** Of a component, by package. */
  readonly providers: ReadonlyMap<string, string>;
  readonly version: string;
  readonly pluginDownloadUrl: string;
  readonly deleteBeforeReplace: boolean | undefined;
  readonly ignoreChanges: readonly string[];
  readonly replaceOnChanges: readonly string[];
  readonly hideDiff: readonly string[];
  readonly additionalSecretOutputs: readonly string[];
  readonly aliases: readonly AliasGoal[];
  readonly importId: string;
  readonly customTimeouts: Timeouts;
  readonly replacementTrigger: Value | undefined;
  readonly hooks: HookBindings;
}

/**
 * Reads a registration.
 * @throws EngineError on options that the engine does not know.
 */
export function goalOf(request: RegisterResourceRequest): Goal {
  refuseUnknown(request);
  const timeouts = request.getCustomtimeouts();
  const trigger = request.getReplacementTrigger();
  const propertyDependencies: Record<string, readonly string[]> = {};
  request.getPropertydependenciesMap().forEach((value, key) => {
    propertyDependencies[key] = value.getUrnsList();
  });
  return {
    type: request.getType(),
    name: request.getName(),
    custom: request.getCustom(),
    parent: request.getParent(),
    inputs: decodeStruct(request.getObject()),
    protect: request.hasProtect() ? request.getProtect() : undefined,
    retainOnDelete: request.hasRetainondelete() ? request.getRetainondelete() : undefined,
    deletedWith: request.getDeletedwith(),
    dependencies: request.getDependenciesList(),
    propertyDependencies,
    provider: request.getProvider(),
    providers: new Map(request.getProvidersMap().toArray()),
    version: request.getVersion(),
    pluginDownloadUrl: request.getPlugindownloadurl(),
    deleteBeforeReplace: request.getDeletebeforereplacedefined()
      ? request.getDeletebeforereplace()
      : undefined,
    ignoreChanges: request.getIgnorechangesList(),
    replaceOnChanges: request.getReplaceonchangesList(),
    hideDiff: request.getHidediffsList(),
    additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
    aliases: aliasesOf(request),
    importId: request.getImportid(),
    customTimeouts: {
      ...timeout("create", timeouts?.getCreate()),
      ...timeout("update", timeouts?.getUpdate()),
      ...timeout("delete", timeouts?.getDelete()),
      ...timeout("read", timeouts?.getRead()),
    },
    replacementTrigger: trigger === undefined ? undefined : decodeValue(trigger),
    hooks: hooksOf(request),
  };
}

function refuseUnknown(request: RegisterResourceRequest): void {
  const where = `(resource ${JSON.stringify(request.getName())}, type ${request.getType()})`;
  const used: readonly (readonly [string, boolean])[] = [
    ["remote components", request.getRemote()],
    ["parameterized packages", request.getPackageref() !== ""],
    ["resource transforms", request.getTransformsList().length > 0],
    ["error hooks", (request.getHooks()?.getOnErrorList().length ?? 0) > 0],
    ["replaceWith", request.getReplaceWithList().length > 0],
    ["state migrations", request.getStateMigrationsList().length > 0],
    ["snippets", request.getSnippetid() !== ""],
    ["environment variable mappings", request.getEnvvarmappingsMap().getLength() > 0],
  ];
  for (const [what, isUsed] of used) if (isUsed) throw unknownFeature(`${what} ${where}`);
}

/** In the order of the state, which leaves out moments without a hook. */
function hooksOf(request: RegisterResourceRequest): HookBindings {
  const hooks = request.getHooks();
  if (hooks === undefined) return {};
  const lists = {
    AfterCreate: hooks.getAfterCreateList(),
    AfterDelete: hooks.getAfterDeleteList(),
    AfterUpdate: hooks.getAfterUpdateList(),
    BeforeCreate: hooks.getBeforeCreateList(),
    BeforeDelete: hooks.getBeforeDeleteList(),
    BeforeUpdate: hooks.getBeforeUpdateList(),
  };
  return Object.fromEntries(Object.entries(lists).filter(([, names]) => names.length > 0));
}

function aliasesOf(request: RegisterResourceRequest): readonly AliasGoal[] {
  const byUrn = request.getAliasurnsList().map((urn) => ({ urn }));
  const bySpec = request.getAliasesList().map((alias): AliasGoal => {
    const spec = alias.getSpec();
    if (spec === undefined) return { urn: alias.getUrn() };
    return {
      name: spec.getName() || undefined,
      type: spec.getType() || undefined,
      stack: spec.getStack() || undefined,
      project: spec.getProject() || undefined,
      parent: spec.getNoparent() ? "" : spec.getParenturn() || undefined,
    };
  });
  return [...byUrn, ...bySpec];
}

const UNIT_SECONDS: Readonly<Record<string, number>> = {
  h: 3600,
  m: 60,
  s: 1,
  ms: 1e-3,
  us: 1e-6,
  µs: 1e-6,
  ns: 1e-9,
};

function timeout(key: keyof Timeouts, text: string | undefined): Timeouts {
  if (text === undefined || text === "") return {};
  const seconds = parseDuration(text);
  if (seconds === undefined) {
    throw new EngineError(
      `customTimeouts.${key}: ${JSON.stringify(text)} is not a duration; examples: 30s, 5m, 1h30m`,
    );
  }
  return { [key]: seconds };
}

/** Seconds of a Go duration such as `1h30m`; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== text) return undefined;
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (UNIT_SECONDS[unit ?? ""] ?? 0), 0);
}

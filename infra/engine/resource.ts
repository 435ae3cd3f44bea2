import type { Value, ValueMap } from "./values.ts";

/** Seconds for each kind of operation. */
export interface Timeouts {
  readonly create?: number;
  readonly update?: number;
  readonly delete?: number;
  readonly read?: number;
}

/** The moments at which a hook may be called, by the names that the state uses. */
export const HOOK_TYPES = [
  "BeforeCreate",
  "AfterCreate",
  "BeforeUpdate",
  "AfterUpdate",
  "BeforeDelete",
  "AfterDelete",
] as const;

export type HookType = (typeof HOOK_TYPES)[number];

/** Names of hooks by the moment of their call. */
export type HookBindings = Readonly<Partial<Record<HookType, readonly string[]>>>;

/** One resource as the state records it; never altered in place, so that its text can be cached. */
export interface Resource {
  readonly urn: string;
  readonly type: string;
  readonly custom: boolean;
  /** Empty for components, and for what a preview would create. */
  readonly id: string;
  /** True for the old half of a replacement that is still to be deleted. */
  readonly delete: boolean;
  readonly inputs: ValueMap;
  readonly outputs: ValueMap;
  readonly parent: string;
  readonly protect: boolean;
  readonly taint: boolean;
  readonly external: boolean;
  readonly dependencies: readonly string[];
  readonly initErrors: readonly string[];
  /** `<urn>::<id>`, empty for components and providers. */
  readonly provider: string;
  readonly propertyDependencies: Readonly<Record<string, readonly string[]>>;
  readonly pendingReplacement: boolean;
  readonly additionalSecretOutputs: readonly string[];
  readonly customTimeouts: Timeouts;
  readonly importId: string;
  readonly retainOnDelete: boolean;
  readonly deletedWith: string;
  readonly created: string | undefined;
  readonly modified: string | undefined;
  readonly ignoreChanges: readonly string[];
  readonly hideDiff: readonly string[];
  readonly replaceOnChanges: readonly string[];
  readonly replacementTrigger: Value | undefined;
  readonly hooks: HookBindings;
  /** Fields that are kept as they were found (`sourcePosition`, `stackTrace`). */
  readonly kept: Readonly<Record<string, unknown>>;
}

/** What `pending_operations` records while a provider works. */
export interface PendingOperation {
  readonly resource: Resource;
  readonly type: "creating" | "updating" | "deleting" | "reading" | "importing";
}

/** A resource with nothing but its identity. */
export function emptyResource(urn: string, type: string, custom: boolean): Resource {
  return {
    urn,
    type,
    custom,
    id: "",
    delete: false,
    inputs: {},
    outputs: {},
    parent: "",
    protect: false,
    taint: false,
    external: false,
    dependencies: [],
    initErrors: [],
    provider: "",
    propertyDependencies: {},
    pendingReplacement: false,
    additionalSecretOutputs: [],
    customTimeouts: {},
    importId: "",
    retainOnDelete: false,
    deletedWith: "",
    created: undefined,
    modified: undefined,
    ignoreChanges: [],
    hideDiff: [],
    replaceOnChanges: [],
    replacementTrigger: undefined,
    hooks: {},
    kept: {},
  };
}

/** Every URN that must exist as long as the resource does: provider, parent, dependencies. */
export function prerequisites(resource: Resource): ReadonlySet<string> {
  const urns = new Set(resource.dependencies);
  for (const list of Object.values(resource.propertyDependencies)) for (const urn of list) urns.add(urn);
  if (resource.parent !== "") urns.add(resource.parent);
  if (resource.deletedWith !== "") urns.add(resource.deletedWith);
  if (resource.provider !== "") urns.add(resource.provider.slice(0, resource.provider.lastIndexOf("::")));
  return urns;
}

/** The resource with every URN it names passed through `rename`. */
export function renameReferences(resource: Resource, rename: (urn: string) => string): Resource {
  const provider = resource.provider;
  const cut = provider.lastIndexOf("::");
  return {
    ...resource,
    parent: resource.parent === "" ? "" : rename(resource.parent),
    deletedWith: resource.deletedWith === "" ? "" : rename(resource.deletedWith),
    dependencies: resource.dependencies.map(rename),
    propertyDependencies: Object.fromEntries(
      Object.entries(resource.propertyDependencies).map(([key, urns]) => [key, urns.map(rename)]),
    ),
    provider: provider === "" ? "" : `${rename(provider.slice(0, cut))}${provider.slice(cut)}`,
  };
}

/** Entries by URN; several share one while a replaced resource waits for its deletion. */
export function groupByUrn(resources: readonly Resource[]): ReadonlyMap<string, readonly Resource[]> {
  const groups = new Map<string, Resource[]>();
  for (const resource of resources) {
    const group = groups.get(resource.urn);
    if (group === undefined) groups.set(resource.urn, [resource]);
    else group.push(resource);
  }
  return groups;
}

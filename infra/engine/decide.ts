import { detailedDiff } from "./compare.ts";
import type { Goal } from "./goal.ts";
import * as calls from "./provider-calls.ts";
import { contains, parsePath } from "./property-path.ts";
import type { DiffKind, DiffResult, PropertyDiff, Provider } from "./providers/provider.ts";
import type { Resource } from "./resource.ts";
import type { Run } from "./run.ts";
import { equal } from "./value-tools.ts";
import { Unknown } from "./values.ts";
import type { ValueMap } from "./values.ts";

/** What must happen to a resource that exists. */
export interface Decision {
  readonly kind: "same" | "update" | "replace";
  readonly deleteBeforeReplace: boolean;
  readonly changedKeys: readonly string[];
  readonly replaceKeys: readonly string[];
  readonly detailedDiff: Readonly<Record<string, PropertyDiff>> | undefined;
}

const SAME: Decision = {
  kind: "same",
  deleteBeforeReplace: false,
  changedKeys: [],
  replaceKeys: [],
  detailedDiff: undefined,
};

/** Compares what is recorded with what is wanted; `news` are the checked inputs. */
export async function decide(
  run: Run,
  goal: Goal,
  old: Resource,
  resource: Resource,
  provider: Provider | undefined,
  replaced: ReadonlySet<string>,
): Promise<Decision> {
  const forced = forcedKeys(old, resource, replaced);
  if (forced.length > 0) {
    // The provider still says whether the old one must go first, and what the reader should see.
    const diff = provider === undefined ? undefined : await calls.diff(run, provider, old, resource.inputs);
    return {
      kind: "replace",
      deleteBeforeReplace: goal.deleteBeforeReplace ?? diff?.deleteBeforeReplace ?? false,
      changedKeys: diff === undefined ? [] : keysOf(diff),
      replaceKeys: forced,
      detailedDiff: diff?.changes === true ? diff.detailed : undefined,
    };
  }
  if (provider === undefined) return decideComponent(old, resource);
  const diff = withReplaceOnChanges(
    await calls.diff(run, provider, old, resource.inputs),
    goal.replaceOnChanges,
  );
  const changedKeys = keysOf(diff);
  if (diff.changes && diff.replaces.length > 0) {
    const deleteBeforeReplace = goal.deleteBeforeReplace ?? diff.deleteBeforeReplace;
    return {
      kind: "replace",
      deleteBeforeReplace,
      changedKeys,
      replaceKeys: diff.replaces,
      detailedDiff: diff.detailed,
    };
  }
  if (!diff.changes && old.initErrors.length === 0) return SAME;
  return { ...SAME, kind: "update", changedKeys, detailedDiff: diff.detailed };
}

function decideComponent(old: Resource, resource: Resource): Decision {
  if (equal(old.inputs, resource.inputs)) return SAME;
  const detailed = detailedDiff(old.inputs, resource.inputs);
  return {
    ...SAME,
    kind: "update",
    changedKeys: topLevelKeys(Object.keys(detailed)),
    detailedDiff: detailed,
  };
}

/** Reasons for a replacement that have nothing to do with the provider's inputs. */
function forcedKeys(old: Resource, resource: Resource, replaced: ReadonlySet<string>): readonly string[] {
  if (!resource.custom) return [];
  const keys: string[] = [];
  if (old.pendingReplacement || old.taint) keys.push("id");
  if (resource.deletedWith !== "" && replaced.has(resource.deletedWith)) keys.push("deletedWith");
  if (
    resource.replacementTrigger !== undefined &&
    old.replacementTrigger !== undefined &&
    !equal(old.replacementTrigger, resource.replacementTrigger)
  ) {
    keys.push("replacementTrigger");
  }
  if ((old.provider === "") !== (resource.provider === "")) keys.push("provider");
  return keys;
}

function keysOf(diff: DiffResult): readonly string[] {
  return [...new Set([...topLevelKeys(Object.keys(diff.detailed)), ...diff.replaces])];
}

function topLevelKeys(paths: readonly string[]): readonly string[] {
  return [...new Set(paths.map((path) => String(parsePath(path)[0] ?? "")))];
}

/** Turns changes that the option's patterns cover into replacements. */
export function withReplaceOnChanges(diff: DiffResult, patterns: readonly string[]): DiffResult {
  if (!diff.changes || patterns.length === 0) return diff;
  const parsed = patterns.map(parsePath);
  const replaces = new Set(diff.replaces);
  const detailed: Record<string, PropertyDiff> = {};
  for (const [text, entry] of Object.entries(diff.detailed)) {
    const path = parsePath(text);
    const covered = parsed.some((pattern) => contains(pattern, path));
    if (covered) replaces.add(String(path[0] ?? ""));
    detailed[text] =
      covered && !entry.kind.endsWith("-replace")
        ? { ...entry, kind: `${entry.kind}-replace` as DiffKind }
        : entry;
  }
  return { ...diff, replaces: [...replaces], detailed };
}

/** A dependent that must go before the resource it depends on can be deleted and made again. */
export interface DependentReplacement {
  readonly resource: Resource;
  readonly keys: readonly string[];
}

/**
 * The old resources, in the order of state, that would be replaced because `root` is: those that use it as
 * provider or `deletedWith`, and those whose provider asks for a replacement when the inputs that depend on it are
 * not known. `isSeen` leaves out what the program has registered already.
 */
export async function dependentReplacements(
  run: Run,
  root: Resource,
  isSeen: (urn: string) => boolean,
): Promise<readonly DependentReplacement[]> {
  const replaced = new Set([root.urn]);
  const found: DependentReplacement[] = [];
  for (const resource of run.journal.remaining()) {
    if (!resource.custom || resource.external || resource.delete || resource.pendingReplacement) continue;
    if (resource === root || isSeen(resource.urn)) continue;
    const keys = await replacedBy(run, resource, replaced);
    if (keys === undefined) continue;
    replaced.add(resource.urn);
    found.push({ resource, keys });
  }
  return found;
}

async function replacedBy(
  run: Run,
  resource: Resource,
  replaced: ReadonlySet<string>,
): Promise<readonly string[] | undefined> {
  if (replaced.has(resource.provider.slice(0, resource.provider.lastIndexOf("::")))) return ["provider"];
  if (replaced.has(resource.deletedWith)) return ["deletedWith"];
  const affected = Object.entries(resource.propertyDependencies)
    .filter(([key, urns]) => key in resource.inputs && urns.some((urn) => replaced.has(urn)))
    .map(([key]) => key);
  if (affected.length === 0) return undefined;
  const unknown = Object.fromEntries(affected.map((key) => [key, Unknown.instance]));
  const inputs: ValueMap = { ...resource.inputs, ...unknown };
  const provider = await run.providerOf(resource);
  if (provider === undefined) return undefined;
  const diff = await calls.diff(run, provider, resource, inputs);
  return diff.replaces.length > 0 ? diff.replaces : undefined;
}

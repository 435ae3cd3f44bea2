import { detailedDiff } from "./compare.ts";
import type { Step } from "./events.ts";
import { parsePath, resetAt } from "./property-path.ts";
import { isHidden } from "./deletes.ts";
import * as calls from "./provider-calls.ts";
import type { DiffKind, PropertyDiff, Provider } from "./providers/provider.ts";
import { renameReferences } from "./resource.ts";
import type { Resource } from "./resource.ts";
import { messageOf } from "./run.ts";
import type { Run } from "./run.ts";
import { isProviderType } from "./urn.ts";
import { equal } from "./value-tools.ts";

/**
 * Reads every resource as it is now and records it; what is gone leaves the state with all that names it. What
 * cannot be read, on a host that does not answer, is kept as it was recorded and named, and the rest goes on.
 */
export async function refreshAll(run: Run, resources: readonly Resource[]): Promise<void> {
  const gone = new Set<Resource>();
  const unread = new Map<string, string[]>();
  const included = resources.filter((resource) => !run.excludes.has(resource));
  await Promise.all(
    included.map(async (resource) => {
      try {
        await refreshOne(run, resource, gone);
      } catch (error) {
        if (run.stopped) return;
        const message = messageOf(error);
        unread.set(message, [...(unread.get(message) ?? []), resource.urn]);
      }
    }),
  );
  for (const [message, urns] of unread) {
    run.complain(`${message}\n  kept as recorded, since it could not be read:\n    ${urns.join("\n    ")}`);
  }
  if (gone.size > 0) await forget(run, gone);
}

async function refreshOne(run: Run, resource: Resource, gone: Set<Resource>): Promise<void> {
  const step: Step = {
    operation: "refresh",
    urn: resource.urn,
    type: resource.type,
    provider: resource.provider,
    before: resource,
    after: resource,
    changedKeys: [],
    replaceKeys: [],
    detailedDiff: undefined,
    hidden: isHidden(resource),
    part: false,
  };
  const start = performance.now();
  // Components and providers are only known here; what waits to be made again is gone already.
  if (!resource.custom || isProviderType(resource.type) || resource.pendingReplacement) {
    run.announce(step);
    run.done({ ...step, operation: "same" }, start);
    return;
  }
  const provider = await run.providerOf(resource);
  if (provider === undefined) return;
  const read = await run.work(async () => {
    run.announce(step);
    try {
      return await calls.read(run, provider, resource);
    } catch (error) {
      run.refuse(step, messageOf(error));
      throw error;
    }
  });
  const outcome =
    read === undefined
      ? ({ ...step, operation: "delete", after: undefined } satisfies Step)
      : await outcomeOf(run, provider, step, resource, read);
  if (read === undefined) {
    gone.add(resource);
  } else if (!isRecordedAs(resource, read)) {
    await run.journal.amend(resource, { ...read, modified: new Date().toISOString() });
  }
  run.done(outcome, start);
}

const isRecordedAs = (resource: Resource, read: Resource): boolean =>
  resource.id === read.id &&
  equal(resource.outputs, read.outputs, true) &&
  equal(resource.inputs, read.inputs, true);

/**
 * What a refresh found, shown as the change from the recorded to the real. Only what the next `up` would put right
 * counts as drift: an address that the daemon gave anew, or `[]` for nothing where another engine wrote `null`, is
 * recorded and is no change.
 */
async function outcomeOf(
  run: Run,
  provider: Provider,
  step: Step,
  resource: Resource,
  read: Resource,
): Promise<Step> {
  const after = { ...step, after: read };
  if (resource.external) {
    // Nothing is wanted of it, so whatever differs is worth telling.
    const detailed = detailedDiff(resource.outputs, read.outputs);
    if (Object.keys(detailed).length === 0) return { ...after, operation: "same" };
    return { ...after, operation: "update", changedKeys: topLevelKeys(detailed), detailedDiff: detailed };
  }
  const wanted = resource.ignoreChanges.reduce(
    (inputs, path) => resetAt(read.inputs, inputs, path),
    resource.inputs,
  );
  const diff = await calls.diff(run, provider, read, wanted);
  if (!diff.changes) return { ...after, operation: "same" };
  const detailed = inverted(diff.detailed);
  return { ...after, operation: "update", changedKeys: topLevelKeys(detailed), detailedDiff: detailed };
}

const topLevelKeys = (detailed: Readonly<Record<string, PropertyDiff>>): readonly string[] => [
  ...new Set(Object.keys(detailed).map((path) => String(parsePath(path)[0] ?? ""))),
];

const INVERSE: Readonly<Partial<Record<DiffKind, DiffKind>>> = {
  add: "delete",
  delete: "add",
  "add-replace": "delete-replace",
  "delete-replace": "add-replace",
};

/** The provider tells what `up` would do; a refresh shows what reality did. */
function inverted(detailed: Readonly<Record<string, PropertyDiff>>): Readonly<Record<string, PropertyDiff>> {
  return Object.fromEntries(
    Object.entries(detailed).map(([path, entry]) => [
      path,
      { ...entry, kind: INVERSE[entry.kind] ?? entry.kind },
    ]),
  );
}

/** Takes out what is gone, and references to it out of the others, in one write. */
async function forget(run: Run, gone: ReadonlySet<Resource>): Promise<void> {
  // The old half of a replacement shares its URN with what took its place.
  const urns = new Set([...gone].filter((one) => !one.delete).map((one) => one.urn));
  const changes = new Map<Resource, Resource | undefined>();
  for (const resource of run.journal.remaining()) {
    const renamed = renameReferences(resource, (urn) => (urns.has(urn) ? "" : urn));
    const pruned: Resource = {
      ...renamed,
      dependencies: renamed.dependencies.filter((urn) => urn !== ""),
      propertyDependencies: Object.fromEntries(
        Object.entries(renamed.propertyDependencies).map(([key, list]) => [
          key,
          list.filter((urn) => urn !== ""),
        ]),
      ),
    };
    const isNamed =
      JSON.stringify(pruned.dependencies) !== JSON.stringify(resource.dependencies) ||
      pruned.parent !== resource.parent ||
      pruned.deletedWith !== resource.deletedWith ||
      JSON.stringify(pruned.propertyDependencies) !== JSON.stringify(resource.propertyDependencies);
    if (gone.has(resource)) changes.set(resource, undefined);
    else if (isNamed) changes.set(resource, pruned);
  }
  await run.journal.rewrite(changes);
}

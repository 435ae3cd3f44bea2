import { detailedDiff } from "./compare.ts";
import type { Step } from "./events.ts";
import * as calls from "./provider-calls.ts";
import { renameReferences } from "./resource.ts";
import type { Resource } from "./resource.ts";
import type { Run } from "./run.ts";
import { isProviderType } from "./urn.ts";
import { equal } from "./value-tools.ts";

/** Reads every resource as it is now and records it; what is gone leaves the state with all that names it. */
export async function refreshAll(run: Run, resources: readonly Resource[]): Promise<void> {
  const gone = new Set<string>();
  await Promise.all(
    resources.map(async (resource) => {
      if (!resource.custom || isProviderType(resource.type) || resource.pendingReplacement) return;
      try {
        await refreshOne(run, resource, gone);
      } catch (error) {
        run.fail(error, resource.urn);
      }
    }),
  );
  if (gone.size > 0) await forget(run, gone);
}

async function refreshOne(run: Run, resource: Resource, gone: Set<string>): Promise<void> {
  const provider = await run.providerOf(resource);
  if (provider === undefined) return;
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
    hidden: false,
    part: false,
  };
  await run.work(async () => {
    const start = performance.now();
    run.emit({ kind: "step", step, planning: run.options.preview });
    const read = await calls.read(run, provider, resource);
    const outcome = outcomeOf(step, resource, read);
    if (read === undefined) {
      // The old half of a replacement shares its URN with what took its place.
      if (!resource.delete) gone.add(resource.urn);
      await run.journal.remove(resource);
    } else if (outcome.operation === "update") {
      await run.journal.amend(resource, { ...read, modified: new Date().toISOString() });
    }
    run.count(outcome.operation);
    run.emit({ kind: "done", step: outcome, seconds: (performance.now() - start) / 1000 });
  });
}

/** What a refresh found, shown as the change from the recorded to the real. */
function outcomeOf(step: Step, resource: Resource, read: Resource | undefined): Step {
  if (read === undefined) return { ...step, operation: "delete", after: undefined };
  const isSame = equal(resource.outputs, read.outputs, true) && equal(resource.inputs, read.inputs, true);
  if (isSame) return { ...step, operation: "same" };
  const detailed = detailedDiff(resource.outputs, read.outputs);
  const changedKeys = [...new Set(Object.keys(detailed).map((path) => path.split(/[.[]/)[0] ?? path))];
  return { ...step, operation: "update", after: read, changedKeys, detailedDiff: detailed };
}

/** Takes references to resources that are gone out of the others. */
async function forget(run: Run, gone: ReadonlySet<string>): Promise<void> {
  for (const resource of run.journal.remaining()) {
    const renamed = renameReferences(resource, (urn) => (gone.has(urn) ? "" : urn));
    const pruned: Resource = {
      ...renamed,
      dependencies: renamed.dependencies.filter((urn) => urn !== ""),
      propertyDependencies: Object.fromEntries(
        Object.entries(renamed.propertyDependencies).map(([key, urns]) => [
          key,
          urns.filter((urn) => urn !== ""),
        ]),
      ),
    };
    if (
      JSON.stringify(pruned.dependencies) !== JSON.stringify(resource.dependencies) ||
      pruned.parent !== resource.parent ||
      pruned.deletedWith !== resource.deletedWith ||
      JSON.stringify(pruned.propertyDependencies) !== JSON.stringify(resource.propertyDependencies)
    ) {
      await run.journal.amend(resource, pruned);
    }
  }
}

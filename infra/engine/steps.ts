import type { Decision } from "./decide.ts";
import { isHidden } from "./deletes.ts";
import type { Operation, Step } from "./events.ts";
import * as calls from "./provider-calls.ts";
import { PartialFailure } from "./providers/provider.ts";
import type { Provider } from "./providers/provider.ts";
import type { PendingOperation, Resource } from "./resource.ts";
import type { Run } from "./run.ts";
import { equal, markKeysSecret } from "./value-tools.ts";

const now = (): string => new Date().toISOString();

/** A step as it is announced. */
export function stepOf(
  operation: Operation,
  resource: Resource,
  old: Resource | undefined,
  decision: Partial<Decision>,
): Step {
  return {
    operation,
    urn: resource.urn,
    type: resource.type,
    provider: resource.provider,
    before: old,
    after: resource,
    changedKeys: decision.changedKeys ?? [],
    replaceKeys: decision.replaceKeys ?? [],
    detailedDiff: decision.detailedDiff,
    hidden: isHidden(resource),
    part: operation === "create-replacement",
  };
}

/** Does one step of a registration and records it: same, update, create or create-replacement. */
export async function applyStep(
  run: Run,
  step: Step,
  resource: Resource,
  old: Resource | undefined,
  provider: Provider | undefined,
): Promise<Resource> {
  const after = await run.step(step, () => {
    if (old !== undefined && step.operation === "same") return keepAsIs(run, resource, old);
    if (old !== undefined && step.operation === "update") return update(run, resource, old, provider);
    return create(run, resource, old, provider);
  });
  return after ?? resource;
}

async function keepAsIs(run: Run, resource: Resource, old: Resource): Promise<Resource> {
  const after: Resource = {
    ...resource,
    id: old.id,
    // The same object keeps its ciphertexts.
    inputs: equal(old.inputs, resource.inputs, true) ? old.inputs : resource.inputs,
    // A key that became secret since is sealed now, though the value did not change.
    outputs: markKeysSecret(old.outputs, resource.additionalSecretOutputs),
    importId: old.importId,
    created: old.created,
    modified: old.modified,
  };
  const changed = isWorthWriting(old, after);
  const kept = changed ? { ...after, modified: now() } : after;
  await run.journal.record(kept, old, undefined, changed);
  return kept;
}

/** What is compared before a resource that stayed the same is written again. */
function isWorthWriting(old: Resource, after: Resource): boolean {
  return (
    old.inputs !== after.inputs ||
    old.initErrors.length > 0 ||
    !equal(old.replacementTrigger ?? null, after.replacementTrigger ?? null) ||
    JSON.stringify(comparable(old)) !== JSON.stringify(comparable(after))
  );
}

function comparable(resource: Resource): readonly unknown[] {
  return [
    resource.urn,
    resource.type,
    resource.custom,
    resource.parent,
    resource.protect,
    resource.retainOnDelete,
    resource.deletedWith,
    resource.provider,
    resource.customTimeouts,
    [...resource.dependencies].sort(),
    Object.entries(resource.propertyDependencies)
      .map(([key, urns]) => [key, [...urns].sort()])
      .sort(),
    resource.additionalSecretOutputs,
    resource.ignoreChanges,
    resource.hideDiff,
    resource.replaceOnChanges,
    resource.taint,
    resource.hooks,
  ];
}

async function create(
  run: Run,
  resource: Resource,
  old: Resource | undefined,
  provider: Provider | undefined,
): Promise<Resource> {
  const record = async (after: Resource, operation?: PendingOperation): Promise<void> => {
    // The old half of a replacement stays until the end, unless it is gone already or was never ours.
    if (old === undefined || old.pendingReplacement || old.external)
      await run.journal.record(after, old, operation);
    else {
      const condemned = { ...old, delete: true, protect: resource.protect && old.protect };
      await run.journal.supersede(after, old, condemned, operation);
    }
  };
  const newInputs = resource.inputs;
  await run.before("BeforeCreate", resource, { newInputs });
  const stamped = { ...resource, created: now(), modified: now() };
  if (provider === undefined) {
    await record(stamped);
    return stamped;
  }
  if (run.options.preview) {
    const { outputs } = await calls.create(run, provider, resource);
    const after = { ...resource, outputs };
    await record(after);
    await run.after("AfterCreate", after, { newInputs, newOutputs: outputs });
    return after;
  }
  const operation = await run.journal.begin(stamped, "creating");
  try {
    const { id, outputs } = await calls.create(run, provider, resource);
    const after = { ...stamped, id, outputs };
    await record(after, operation);
    await run.after("AfterCreate", after, { newInputs, newOutputs: outputs });
    return after;
  } catch (error) {
    if (error instanceof PartialFailure) {
      const { id, outputs } = error.state;
      await record({ ...stamped, id, outputs, initErrors: [error.message] }, operation);
    } else {
      await run.journal.cancel(operation);
    }
    throw error;
  }
}

async function update(
  run: Run,
  resource: Resource,
  old: Resource,
  provider: Provider | undefined,
): Promise<Resource> {
  const next = { ...resource, id: old.id, importId: old.importId, created: old.created };
  const known = { newInputs: next.inputs, oldInputs: old.inputs, oldOutputs: old.outputs };
  await run.before("BeforeUpdate", next, known);
  if (provider === undefined) {
    const after = { ...next, outputs: old.outputs, modified: now() };
    await run.journal.record(after, old);
    return after;
  }
  if (run.options.preview) {
    const after = { ...next, outputs: await calls.update(run, provider, old, next) };
    await run.journal.record(after, old);
    await run.after("AfterUpdate", after, { ...known, newOutputs: after.outputs });
    return after;
  }
  const operation = await run.journal.begin(next, "updating");
  try {
    const after = { ...next, outputs: await calls.update(run, provider, old, next), modified: now() };
    await run.journal.record(after, old, operation);
    await run.after("AfterUpdate", after, { ...known, newOutputs: after.outputs });
    return after;
  } catch (error) {
    if (error instanceof PartialFailure) {
      // The inputs stay the old ones, so that the next run sees the change again.
      const { outputs } = error.state;
      await run.journal.record(
        { ...next, inputs: old.inputs, outputs, initErrors: [error.message] },
        old,
        operation,
      );
    } else {
      await run.journal.cancel(operation);
    }
    throw error;
  }
}

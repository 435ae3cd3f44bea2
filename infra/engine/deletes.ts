import type { Operation, Step } from "./events.ts";
import * as calls from "./provider-calls.ts";
import { groupByUrn, prerequisites } from "./resource.ts";
import type { PendingOperation, Resource } from "./resource.ts";
import type { Run } from "./run.ts";

/**
 * Deletes everything, or, as the CLI whose preview fails on it, nothing at all where one resource is protected.
 * @param hooksAnswer whether the program runs, whose hooks around deletions can then be called
 */
export async function destroyAll(run: Run, all: readonly Resource[], hooksAnswer: boolean): Promise<void> {
  const excluded = run.excludes.keptFrom(all);
  const resources = all.filter((resource) => !excluded.has(resource));
  if (keepProtected(run, resources).size > 0) return;
  const needed = resources.filter(
    (one) => !hooksAnswer && (one.hooks.BeforeDelete !== undefined || one.hooks.AfterDelete !== undefined),
  );
  for (const { hooks, urn } of needed) {
    const names = [...(hooks.BeforeDelete ?? []), ...(hooks.AfterDelete ?? [])].join(", ");
    run.complain(
      `Resource has delete hooks registered, but the program is not running; add --run-program. Hooks: ${names}`,
      urn,
    );
  }
  if (needed.length > 0) return;
  await deleteAll(run, resources);
}

/**
 * Deletes resources so that nothing goes before what depends on it; independent ones in parallel. A protected one
 * is refused and keeps what it needs; the others go on.
 */
export async function deleteAll(run: Run, condemned: readonly Resource[]): Promise<void> {
  const kept = keepProtected(run, condemned);
  const going = condemned.filter((resource) => !kept.has(resource));
  const goingUrns = new Set(going.filter((resource) => !resource.delete).map((resource) => resource.urn));
  const byUrn = groupByUrn(going);
  const dependents = new Map<Resource, Resource[]>();
  for (const resource of going) {
    for (const urn of prerequisites(resource)) {
      for (const needed of byUrn.get(urn) ?? []) {
        if (needed === resource) continue;
        const list = dependents.get(needed) ?? [];
        list.push(resource);
        dependents.set(needed, list);
      }
    }
  }
  const started = new Map<Resource, Promise<boolean>>();
  /** True once the resource is gone; false when it or something above it stays. */
  const start = (resource: Resource): Promise<boolean> => {
    const running = started.get(resource);
    if (running !== undefined) return running;
    const waiting = (dependents.get(resource) ?? []).map(start);
    const promise = Promise.all(waiting).then(async (gone) => {
      if (gone.includes(false)) return false;
      try {
        await deleteOne(run, resource, operationFor(resource), goingUrns);
        return true;
      } catch (error) {
        run.fail(error, resource.urn);
        return false;
      }
    });
    started.set(resource, promise);
    return promise;
  };
  await Promise.all(going.map(start));
}

function operationFor(resource: Resource): Operation {
  if (resource.external) return resource.delete ? "discard-replaced" : "discard";
  if (resource.delete) return "delete-replaced";
  return resource.pendingReplacement ? "remove-pending-replace" : "delete";
}

/** Complains about each protected resource and returns them with all they need. */
function keepProtected(run: Run, condemned: readonly Resource[]): ReadonlySet<Resource> {
  const byUrn = groupByUrn(condemned);
  const kept = new Set<Resource>();
  const keep = (resource: Resource): void => {
    if (kept.has(resource)) return;
    kept.add(resource);
    for (const urn of prerequisites(resource)) {
      for (const needed of byUrn.get(urn) ?? []) if (!needed.delete) keep(needed);
    }
  };
  for (const resource of condemned) {
    // An entry without a resource behind it may go: there is nothing left to protect.
    if (!resource.protect || resource.pendingReplacement) continue;
    const message = protectedMessage(resource);
    const step = deleteStep(run, resource, operationFor(resource), false);
    run.announce(step);
    run.refuse(step, message);
    run.complain(message, resource.urn);
    keep(resource);
  }
  return kept;
}

export function protectedMessage(resource: Resource): string {
  return `resource "${resource.urn}" cannot be deleted\nbecause it is protected. To unprotect the resource, remove the \`protect\` flag from it in the program and run up`;
}

/**
 * Deletes one resource.
 * @param goingUrns - resources that go in the same run, for `deletedWith`.
 * @param keepAs - when given, the entry stays in state in this form (pending replacement).
 */
export async function deleteOne(
  run: Run,
  resource: Resource,
  operation: Operation,
  goingUrns: ReadonlySet<string>,
  keepAs?: Resource,
): Promise<void> {
  const step = deleteStep(run, resource, operation, keepAs !== undefined);
  const throughProvider = needsProvider(resource, goingUrns);
  // What waits to be made again is gone already, and its hooks were called then.
  const known = { oldInputs: resource.inputs, oldOutputs: resource.outputs };
  const hooked = resource.pendingReplacement ? { ...resource, hooks: {} } : resource;
  await run.step(step, async () => {
    await run.before("BeforeDelete", hooked, known);
    const done = async (pending?: PendingOperation): Promise<void> => {
      if (keepAs === undefined) await run.journal.remove(resource, pending);
      else await run.journal.amend(resource, keepAs, pending);
      await run.after("AfterDelete", hooked, known);
    };
    if (run.options.preview || !throughProvider) {
      await done();
      return undefined;
    }
    const provider = await run.providerOf(resource);
    if (provider === undefined) {
      await done();
      return undefined;
    }
    const pending = await run.journal.begin(resource, "deleting");
    try {
      await calls.remove(run, provider, resource);
    } catch (error) {
      await run.journal.cancel(pending);
      throw error;
    }
    await done(pending);
    return undefined;
  });
}

function deleteStep(run: Run, resource: Resource, operation: Operation, isAhead: boolean): Step {
  return {
    operation,
    urn: resource.urn,
    type: resource.type,
    provider: resource.provider,
    before: resource,
    after: undefined,
    changedKeys: [],
    replaceKeys: [],
    detailedDiff: undefined,
    hidden: isHidden(resource) || operation.startsWith("discard"),
    // What an earlier run left to be deleted is no part of anything that this one announces.
    part: operation === "delete-replaced" && (isAhead || run.journal.isSuperseded(resource)),
  };
}

function needsProvider(resource: Resource, goingUrns: ReadonlySet<string>): boolean {
  return (
    resource.custom &&
    !resource.external &&
    !resource.retainOnDelete &&
    !resource.pendingReplacement &&
    resource.id !== "" &&
    !goingUrns.has(resource.deletedWith)
  );
}

/** Default providers are neither shown nor counted. */
export function isHidden(resource: Pick<Resource, "type" | "urn">): boolean {
  return (
    resource.type.startsWith("pulumi:providers:") &&
    /^default($|_)/.test(resource.urn.split("::").at(-1) ?? "")
  );
}

import * as calls from "./provider-calls.ts";
import type { PendingOperation, Resource } from "./resource.ts";
import { messageOf } from "./run.ts";
import type { Run } from "./run.ts";

/**
 * Clears up what a run that was killed left under way, before anything new is done. Each operation may or may not
 * have happened: what a creation has made on a host is adopted when it is whole and removed when it is not, a
 * deletion is looked up, and an update, or a command, is simply done again.
 */
export async function recoverPending(run: Run, pending: readonly PendingOperation[]): Promise<void> {
  if (pending.length === 0) return;
  const found = await Promise.all(
    pending.map(async (operation) => {
      const { type, resource } = operation;
      return `  * ${type} ${resource.urn}: ${await recoverOne(run, operation)}`;
    }),
  );
  run.diagnose(
    "warning",
    `an earlier run was killed in the middle of ${pending.length} operation(s), which may have happened or not:\n${found.join("\n")}`,
  );
}

/** Says what became of it. */
async function recoverOne(run: Run, operation: PendingOperation): Promise<string> {
  const { type, resource } = operation;
  if (run.excludes.has(resource)) return "excluded, so it stays noted";
  try {
    if (type === "creating") return await recoverCreate(run, operation);
    if (type === "deleting") return await recoverDelete(run, operation);
    await run.journal.cancel(operation);
    return "it is done again if it is still wanted";
  } catch (error) {
    return `could not be looked at, so it stays noted (${messageOf(error)})`;
  }
}

async function recoverCreate(run: Run, operation: PendingOperation): Promise<string> {
  const { resource } = operation;
  const provider = await run.providerOf(resource);
  if (provider?.recover === undefined) {
    await run.journal.cancel(operation);
    return "it is done again";
  }
  if (resource.created === undefined)
    return "another engine noted it without a time, so nothing there is touched; look at the host";
  const since = new Date(resource.created);
  const left = await run.work(() => calls.recover(run, provider, resource, since));
  if (left === undefined) {
    await run.journal.cancel(operation);
    return "nothing of it is left on the host, and it is made again";
  }
  await run.journal.adopt(operation, { ...resource, ...left, modified: new Date().toISOString() });
  return `what it had made is whole and kept (id ${left.id})`;
}

async function recoverDelete(run: Run, operation: PendingOperation): Promise<string> {
  const { resource } = operation;
  const old = run.journal.remaining().find((one) => one.urn === resource.urn && one.id === resource.id);
  const provider = await run.providerOf(resource);
  const isGone =
    provider !== undefined &&
    old !== undefined &&
    (await run.work(() => calls.read(run, provider, resource))) === undefined;
  if (!isGone) {
    await run.journal.cancel(operation);
    return "it is done again if it is still wanted";
  }
  // Others in the state may still name it: as a replacement whose old half is gone it keeps its place.
  if (old.delete) await run.journal.remove(old, operation);
  else await run.journal.amend(old, gone(old), operation);
  return "it is gone";
}

const gone = (resource: Resource): Resource => ({ ...resource, pendingReplacement: true });

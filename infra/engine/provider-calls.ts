import { EngineError } from "./engine-error.ts";
import type { CheckFailure, DiffResult, Provider, ResourceState } from "./providers/provider.ts";
import { PartialFailure } from "./providers/provider.ts";
import type { Resource } from "./resource.ts";
import type { Run } from "./run.ts";
import { markKeysSecret, markSecretsAs, withoutSecrets } from "./value-tools.ts";
import type { ValueMap } from "./values.ts";

/**
 * Calls of a provider with secrets handled: a provider that accepts none gets plain values, and what it answers is
 * marked again by key; `additionalSecretOutputs` are marked for every provider.
 */
const sent = (provider: Provider, map: ValueMap): ValueMap =>
  provider.acceptSecrets ? map : withoutSecrets(map);

const answered = (provider: Provider, outputs: ValueMap, resource: Resource): ValueMap =>
  markKeysSecret(
    provider.acceptSecrets ? outputs : markSecretsAs(outputs, resource.inputs),
    resource.additionalSecretOutputs,
  );

/** @throws EngineError that lists every failure. */
export async function check(
  run: Run,
  provider: Provider,
  resource: Resource,
  olds: ValueMap | undefined,
  news: ValueMap,
): Promise<ValueMap> {
  const context = run.context(resource.urn, resource.type, undefined);
  const oldInputs = olds === undefined ? undefined : sent(provider, olds);
  const { inputs, failures } = await run.work(() => provider.check(context, oldInputs, sent(provider, news)));
  if (failures.length > 0) throw new EngineError(checkMessage(resource, failures));
  return provider.acceptSecrets ? inputs : markSecretsAs(inputs, news);
}

function checkMessage(resource: Resource, failures: readonly CheckFailure[]): string {
  const lines = failures.map(({ property, reason }) => (property === "" ? reason : `${property}: ${reason}`));
  return `${resource.type} "${resource.urn.split("::").at(-1) ?? ""}" is not valid:\n  ${lines.join("\n  ")}`;
}

export async function diff(run: Run, provider: Provider, old: Resource, news: ValueMap): Promise<DiffResult> {
  const context = run.context(old.urn, old.type, undefined);
  return run.work(() =>
    provider.diff(
      context,
      old.id,
      sent(provider, old.inputs),
      sent(provider, old.outputs),
      sent(provider, news),
    ),
  );
}

export async function create(run: Run, provider: Provider, resource: Resource): Promise<ResourceState> {
  const context = run.context(resource.urn, resource.type, resource.customTimeouts.create);
  const inputs = sent(provider, resource.inputs);
  if (run.options.preview) {
    return { id: "", outputs: answered(provider, await provider.previewCreate(context, inputs), resource) };
  }
  return withMarkedState(provider, resource, () => provider.create(context, inputs));
}

export async function update(
  run: Run,
  provider: Provider,
  old: Resource,
  resource: Resource,
): Promise<ValueMap> {
  const context = run.context(resource.urn, resource.type, resource.customTimeouts.update);
  const args = [
    context,
    old.id,
    sent(provider, old.inputs),
    sent(provider, old.outputs),
    sent(provider, resource.inputs),
  ] as const;
  if (run.options.preview) return answered(provider, await provider.previewUpdate(...args), resource);
  const state = await withMarkedState(provider, resource, async () => ({
    id: old.id,
    outputs: await provider.update(...args),
  }));
  return state.outputs;
}

async function withMarkedState(
  provider: Provider,
  resource: Resource,
  call: () => Promise<ResourceState>,
): Promise<ResourceState> {
  try {
    const state = await call();
    return { id: state.id, outputs: answered(provider, state.outputs, resource) };
  } catch (error) {
    if (!(error instanceof PartialFailure)) throw error;
    const outputs = answered(provider, error.state.outputs, resource);
    throw new PartialFailure(error.message, { id: error.state.id, outputs });
  }
}

export async function remove(run: Run, provider: Provider, resource: Resource): Promise<void> {
  const context = run.context(resource.urn, resource.type, resource.customTimeouts.delete);
  await provider.delete(
    context,
    resource.id,
    sent(provider, resource.inputs),
    sent(provider, resource.outputs),
  );
}

/** What a creation that was interrupted has left, when it is whole; see `Provider.recover`. */
export async function recover(
  run: Run,
  provider: Provider,
  resource: Resource,
  since: Date,
): Promise<ResourceState | undefined> {
  const context = run.context(resource.urn, resource.type, resource.customTimeouts.create);
  const state = await provider.recover?.(context, sent(provider, resource.inputs), since);
  if (state === undefined) return undefined;
  return { id: state.id, outputs: answered(provider, state.outputs, resource) };
}

/** The resource as it is now; undefined when it is gone. */
export async function read(run: Run, provider: Provider, resource: Resource): Promise<Resource | undefined> {
  const context = run.context(resource.urn, resource.type, resource.customTimeouts.read);
  const inputs = sent(provider, resource.inputs);
  const state = await provider.read(context, resource.id, inputs, sent(provider, resource.outputs));
  if (state === undefined || state.id === "") return undefined;
  const marked = provider.acceptSecrets ? state.inputs : markSecretsAs(state.inputs, resource.inputs);
  return { ...resource, id: state.id, inputs: marked, outputs: answered(provider, state.outputs, resource) };
}

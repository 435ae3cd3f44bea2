import { randomUUID } from "node:crypto";

import { detailedDiff } from "./compare.ts";
import { unknownFeature } from "./engine-error.ts";
import type { ProviderRegistry } from "./provider-registry.ts";
import type { CallContext, CheckFailure, DiffResult, Provider, ResourceState } from "./providers/provider.ts";
import { packageOf } from "./urn.ts";
import { markSecretsAs, withoutSecrets } from "./value-tools.ts";
import type { Value, ValueMap } from "./values.ts";

/** Providers as resources (`pulumi:providers:*`): the engine makes, changes and forgets them itself. */
export class ProviderResources implements Provider {
  readonly acceptSecrets = true;
  readonly #registry: ProviderRegistry;

  constructor(registry: ProviderRegistry) {
    this.#registry = registry;
  }

  async check(
    context: CallContext,
    olds: ValueMap | undefined,
    news: ValueMap,
  ): Promise<{ readonly inputs: ValueMap; readonly failures: readonly CheckFailure[] }> {
    const { version, ...config } = news;
    const pack = this.#registry.package(packageOf(context.type));
    const { inputs, failures } = await pack.checkConfig(withoutSecrets(config));
    // What the real plugin notes beside its configuration (`__pulumi-go-provider-version`) stays for the CLI.
    const noted = Object.entries(olds ?? {}).filter(([key]) => key.startsWith("__"));
    const own: Record<string, Value> = { __internal: {}, ...Object.fromEntries(noted) };
    if (version !== undefined) own["version"] = version;
    return { inputs: { ...own, ...markSecretsAs(inputs, config) }, failures };
  }

  /** A changed configuration is an update in place: the provider's resources stay where they are. */
  diff(
    _context: CallContext,
    _id: string,
    oldInputs: ValueMap,
    _oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<DiffResult> {
    const detailed = detailedDiff(oldInputs, news);
    const changes = Object.keys(detailed).length > 0;
    return Promise.resolve({ changes, replaces: [], deleteBeforeReplace: false, detailed });
  }

  previewCreate(_context: CallContext, inputs: ValueMap): Promise<ValueMap> {
    return Promise.resolve(outputsOf(inputs));
  }

  previewUpdate(
    _context: CallContext,
    _id: string,
    _oldInputs: ValueMap,
    _oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<ValueMap> {
    return Promise.resolve(outputsOf(news));
  }

  create(_context: CallContext, inputs: ValueMap): Promise<ResourceState> {
    return Promise.resolve({ id: randomUUID(), outputs: outputsOf(inputs) });
  }

  read(): never {
    throw unknownFeature("reading a provider as a resource");
  }

  update(
    _context: CallContext,
    _id: string,
    _oldInputs: ValueMap,
    _oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<ValueMap> {
    return Promise.resolve(outputsOf(news));
  }

  delete(): Promise<void> {
    return Promise.resolve();
  }

  invoke(): never {
    throw unknownFeature("functions of providers as resources");
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function outputsOf(inputs: ValueMap): ValueMap {
  return Object.fromEntries(Object.entries(inputs).filter(([key]) => key !== "__internal"));
}

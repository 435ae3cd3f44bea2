import { EngineError } from "./engine-error.ts";
import { detailedDiff } from "./compare.ts";
import type { DiffResult, Provider, ProviderPackage } from "./providers/provider.ts";
import type { Resource } from "./resource.ts";
import { formatReference, isProviderType, packageOf, parseReference, parseUrn } from "./urn.ts";
import { equal, hasUnknown, withoutSecrets } from "./value-tools.ts";
import type { ValueMap } from "./values.ts";
import { Unknown } from "./values.ts";

/** Keys of a provider's inputs that are the engine's, not the provider's configuration. */
const OWN_KEYS = new Set(["version", "pluginDownloadURL", "__internal"]);

interface Entry {
  readonly packageName: string;
  readonly inputs: ValueMap;
  configured: Promise<Provider> | undefined;
}

/** The providers of a run by reference (`<urn>::<id>`); each is configured when it is first needed. */
export class ProviderRegistry {
  readonly #packages: ReadonlyMap<string, ProviderPackage>;
  readonly #entries = new Map<string, Entry>();
  readonly #retired: Entry[] = [];

  constructor(packages: readonly ProviderPackage[], olds: readonly Resource[]) {
    this.#packages = new Map(packages.map((one) => [one.name, one]));
    for (const resource of olds) {
      if (isProviderType(resource.type)) this.set(resource.urn, resource.id, resource.inputs);
    }
  }

  /** @throws EngineError that lists the packages the engine knows. */
  package(name: string): ProviderPackage {
    const found = this.#packages.get(name);
    if (found !== undefined) return found;
    const known = [...this.#packages.keys()].sort().join(", ");
    throw new EngineError(
      `the embedded engine does not know the package ${JSON.stringify(name)}; it knows: ${known === "" ? "none" : known}`,
    );
  }

  /** Adds a provider, or gives an existing one a new configuration. */
  set(urn: string, id: string, inputs: ValueMap): void {
    const reference = formatReference({ urn, id });
    const existing = this.#entries.get(reference);
    if (existing !== undefined) {
      if (equal(existing.inputs, inputs)) return;
      this.#retired.push(existing);
    }
    const packageName = packageOf(parseUrn(urn).type);
    this.#entries.set(reference, { packageName, inputs, configured: undefined });
  }

  has(reference: string): boolean {
    return this.#entries.has(reference);
  }

  /** @throws EngineError when no such provider was registered or is in state. */
  async get(reference: string): Promise<Provider> {
    const entry = this.#entries.get(reference);
    if (entry === undefined) {
      throw new EngineError(`provider ${parseReference(reference).urn} is neither registered nor in state`);
    }
    entry.configured ??= this.#configure(entry);
    return entry.configured;
  }

  async #configure(entry: Entry): Promise<Provider> {
    const pack = this.package(entry.packageName);
    const config = Object.fromEntries(Object.entries(entry.inputs).filter(([key]) => !OWN_KEYS.has(key)));
    if (hasUnknown(config)) return new UnconfiguredProvider();
    return pack.configure(withoutSecrets(config));
  }

  /** Ends every provider that was configured. */
  async close(): Promise<void> {
    const all = [...this.#entries.values(), ...this.#retired];
    await Promise.allSettled(all.map(async (entry) => (await entry.configured)?.close()));
  }
}

/** Stands in during previews for a provider whose configuration is not known yet. */
export class UnconfiguredProvider implements Provider {
  readonly acceptSecrets = true;

  check(
    _context: unknown,
    _olds: ValueMap | undefined,
    news: ValueMap,
  ): Promise<{ readonly inputs: ValueMap; readonly failures: readonly [] }> {
    return Promise.resolve({ inputs: news, failures: [] });
  }

  diff(
    _context: unknown,
    _id: string,
    oldInputs: ValueMap,
    _oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<DiffResult> {
    const detailed = detailedDiff(oldInputs, news);
    const changes = Object.keys(detailed).length > 0;
    return Promise.resolve({ changes, replaces: [], deleteBeforeReplace: false, detailed });
  }

  previewCreate(): Promise<ValueMap> {
    return Promise.resolve({});
  }

  previewUpdate(): Promise<ValueMap> {
    return Promise.resolve({});
  }

  invoke(): Promise<ValueMap> {
    return Promise.resolve({ unknown: Unknown.instance });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  create(): never {
    throw notInPreview();
  }

  read(): never {
    throw notInPreview();
  }

  update(): never {
    throw notInPreview();
  }

  delete(): never {
    throw notInPreview();
  }
}

const notInPreview = (): EngineError =>
  new EngineError("the provider's configuration is not known, so it can do nothing");

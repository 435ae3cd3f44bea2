import { unknownFeature } from "./engine-error.ts";
import type { Goal } from "./goal.ts";
import type { Resource } from "./resource.ts";
import { PROVIDER_TYPE, formatReference } from "./urn.ts";
import { Secret } from "./values.ts";
import type { Value } from "./values.ts";

/** Makes the provider of a package that no program made explicitly, once for each version, from the stack's configuration. */
export class DefaultProviders {
  readonly #config: Readonly<Record<string, string>>;
  readonly #secretKeys: ReadonlySet<string>;
  readonly #register: (goal: Goal) => Promise<Resource>;
  readonly #disabled: ReadonlySet<string>;
  readonly #made = new Map<string, Promise<string>>();

  constructor(
    config: Readonly<Record<string, string>>,
    secretKeys: readonly string[],
    register: (goal: Goal) => Promise<Resource>,
  ) {
    this.#config = config;
    this.#secretKeys = new Set(secretKeys);
    this.#register = register;
    this.#disabled = new Set(
      JSON.parse(config["pulumi:disable-default-providers"] ?? "[]") as readonly string[],
    );
  }

  /** The provider's reference `<urn>::<id>`; it is registered on the first call. */
  reference(packageName: string, version: string, url: string): Promise<string> {
    if (url !== "") throw unknownFeature(`plugin download URLs (package ${packageName})`);
    if (this.#disabled.has(packageName) || this.#disabled.has("*")) {
      throw new Error(
        `the default provider of package ${packageName} is disabled (pulumi:disable-default-providers); give the resource an explicit provider`,
      );
    }
    const key = `${packageName} ${version}`;
    let made = this.#made.get(key);
    if (made === undefined) {
      made = this.#make(packageName, version);
      this.#made.set(key, made);
    }
    return made;
  }

  async #make(packageName: string, version: string): Promise<string> {
    const provider = await this.#register(
      defaultProviderGoal(packageName, version, this.#inputs(packageName)),
    );
    return formatReference(provider);
  }

  #inputs(packageName: string): Readonly<Record<string, Value>> {
    const prefix = `${packageName}:`;
    const inputs: Record<string, Value> = {};
    for (const [key, value] of Object.entries(this.#config)) {
      if (!key.startsWith(prefix)) continue;
      inputs[key.slice(prefix.length)] = this.#secretKeys.has(key) ? new Secret(value) : value;
    }
    return inputs;
  }
}

function defaultProviderGoal(
  packageName: string,
  version: string,
  inputs: Readonly<Record<string, Value>>,
): Goal {
  return {
    type: `${PROVIDER_TYPE}${packageName}`,
    name: version === "" ? "default" : `default_${version.replaceAll(".", "_")}`,
    custom: true,
    parent: "",
    inputs,
    protect: undefined,
    retainOnDelete: undefined,
    deletedWith: "",
    dependencies: [],
    propertyDependencies: {},
    provider: "",
    providers: new Map(),
    version,
    pluginDownloadUrl: "",
    deleteBeforeReplace: undefined,
    ignoreChanges: [],
    replaceOnChanges: [],
    hideDiff: [],
    additionalSecretOutputs: [],
    aliases: [],
    importId: "",
    customTimeouts: {},
    replacementTrigger: undefined,
    hooks: {},
  };
}

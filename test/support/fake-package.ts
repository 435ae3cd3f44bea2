import { detailedDiff } from "../../infra/engine/compare.ts";
import { PartialFailure } from "../../infra/engine/providers/provider.ts";
import type {
  CallContext,
  CheckFailure,
  DiffResult,
  PropertyDiff,
  Provider,
  ProviderPackage,
  ResourceState,
} from "../../infra/engine/providers/provider.ts";
import { Unknown } from "../../infra/engine/values.ts";
import type { ValueMap } from "../../infra/engine/values.ts";

/**
 * A package `fake` whose things live in memory. Inputs of `fake:index:Thing`:
 * `shape` (a change replaces), `value` (a change updates), `name` (auto-named), `deleteFirst` (the provider's own
 * wish at a replacement), `fail` (`check`, `create`, `partial`, `update` or `delete`), `delayMs`.
 * Outputs: the inputs and `serial`, a number that only creation knows.
 */
export class FakeCloud implements ProviderPackage {
  readonly name = "fake";
  /** What was done, in order: `create a`, `delete b`, … by resource name. */
  readonly log: string[] = [];
  readonly things = new Map<string, ValueMap>();
  readonly acceptSecrets: boolean;
  /** Plain inputs of the last create or update of each resource. */
  readonly received = new Map<string, ValueMap>();
  readonly configured: ValueMap[] = [];
  /** Time at which everything in the cloud was made, in ms since 1970. */
  madeAt = Infinity;
  /** Names of resources whose reading fails, as on a host that does not answer. */
  readonly silent = new Set<string>();
  running = 0;
  mostRunning = 0;
  #serial = 0;

  constructor(options: { readonly acceptSecrets?: boolean } = {}) {
    this.acceptSecrets = options.acceptSecrets ?? false;
  }

  nextSerial(): number {
    this.#serial += 1;
    return this.#serial;
  }

  checkConfig(
    news: ValueMap,
  ): Promise<{ readonly inputs: ValueMap; readonly failures: readonly CheckFailure[] }> {
    const failures =
      news["region"] === "nowhere" ? [{ property: "region", reason: "there is no such region" }] : [];
    return Promise.resolve({ inputs: news, failures });
  }

  configure(inputs: ValueMap): Promise<Provider> {
    this.configured.push(inputs);
    return Promise.resolve(new FakeProvider(this));
  }
}

const nameOf = (context: CallContext): string => context.urn.split("::").at(-1) ?? "";

class FakeProvider implements Provider {
  readonly #cloud: FakeCloud;
  readonly acceptSecrets: boolean;

  constructor(cloud: FakeCloud) {
    this.#cloud = cloud;
    this.acceptSecrets = cloud.acceptSecrets;
  }

  check(
    context: CallContext,
    olds: ValueMap | undefined,
    news: ValueMap,
  ): Promise<{ readonly inputs: ValueMap; readonly failures: readonly CheckFailure[] }> {
    if (context.type !== "fake:index:Thing") {
      throw new Error(`the package fake knows no ${context.type}; it knows: fake:index:Thing`);
    }
    const failures = news["fail"] === "check" ? [{ property: "fail", reason: "must not be check" }] : [];
    const auto =
      olds?.["name"] ?? `${nameOf(context)}-${Math.random().toString(16).slice(2, 9).padEnd(7, "0")}`;
    const inputs =
      "name" in news ? { ...news, __defaults: [] } : { ...news, name: auto, __defaults: ["name"] };
    return Promise.resolve({ inputs, failures });
  }

  diff(
    _context: CallContext,
    _id: string,
    oldInputs: ValueMap,
    _oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<DiffResult> {
    const { fail: _oldFail, delayMs: _oldDelay, ...before } = oldInputs;
    const { fail: _newFail, delayMs: _newDelay, ...after } = news;
    const plain = detailedDiff(before, after);
    const replaces = ["shape", "name"].filter((key) =>
      Object.keys(plain).some((path) => path.split(/[.[]/)[0] === key),
    );
    const detailed = Object.fromEntries(
      Object.entries(plain).map(([path, entry]): [string, PropertyDiff] =>
        replaces.includes(path.split(/[.[]/)[0] ?? "")
          ? [path, { ...entry, kind: `${entry.kind}-replace` as PropertyDiff["kind"] }]
          : [path, entry],
      ),
    );
    return Promise.resolve({
      changes: Object.keys(plain).length > 0,
      replaces,
      deleteBeforeReplace: news["deleteFirst"] === true,
      detailed,
    });
  }

  previewCreate(_context: CallContext, inputs: ValueMap): Promise<ValueMap> {
    return Promise.resolve({ ...inputs, serial: Unknown.instance });
  }

  previewUpdate(
    _context: CallContext,
    _id: string,
    _oldInputs: ValueMap,
    oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<ValueMap> {
    return Promise.resolve({ ...news, serial: oldOutputs["serial"] ?? null });
  }

  async create(context: CallContext, inputs: ValueMap): Promise<ResourceState> {
    return this.#doing(`create ${nameOf(context)}`, inputs, () => {
      if (inputs["fail"] === "create") throw new Error("the cloud is full");
      const serial = this.#cloud.nextSerial();
      const state = { id: `id-${serial}`, outputs: { ...inputs, serial } };
      this.#cloud.things.set(state.id, state.outputs);
      this.#cloud.received.set(nameOf(context), inputs);
      if (inputs["fail"] === "partial") throw new PartialFailure("it never became healthy", state);
      return state;
    });
  }

  /** A thing whose \`value\` is "half" was not finished. */
  recover(_context: CallContext, inputs: ValueMap, since: Date): Promise<ResourceState | undefined> {
    for (const [id, outputs] of this.#cloud.things) {
      if (outputs["name"] !== inputs["name"] || since.getTime() > this.#cloud.madeAt) continue;
      if (outputs["value"] !== "half") return Promise.resolve({ id, outputs });
      this.#cloud.things.delete(id);
    }
    return Promise.resolve(undefined);
  }

  read(
    context: CallContext,
    id: string,
    inputs: ValueMap,
  ): Promise<(ResourceState & { readonly inputs: ValueMap }) | undefined> {
    if (this.#cloud.silent.has(nameOf(context))) return Promise.reject(new Error("no answer from the cloud"));
    const outputs = this.#cloud.things.get(id);
    if (outputs === undefined) return Promise.resolve(undefined);
    const { serial: _serial, __defaults: _defaults, ...written } = outputs;
    const isImport = Object.keys(inputs).length === 0;
    const seen = "value" in inputs ? { ...inputs, value: outputs["value"] ?? null } : inputs;
    const read = isImport ? written : seen;
    return Promise.resolve({ id, outputs, inputs: read });
  }

  async update(
    context: CallContext,
    id: string,
    _oldInputs: ValueMap,
    oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<ValueMap> {
    return this.#doing(`update ${nameOf(context)}`, news, () => {
      if (news["fail"] === "update") throw new Error("the cloud does not bend");
      const outputs = { ...news, serial: oldOutputs["serial"] ?? null };
      this.#cloud.things.set(id, outputs);
      this.#cloud.received.set(nameOf(context), news);
      return outputs;
    });
  }

  async delete(context: CallContext, id: string, inputs: ValueMap): Promise<void> {
    await this.#doing(`delete ${nameOf(context)}`, inputs, () => {
      if (inputs["fail"] === "delete") throw new Error("the cloud holds on");
      this.#cloud.things.delete(id);
    });
  }

  async #doing<T>(what: string, inputs: ValueMap, task: () => T): Promise<T> {
    const cloud = this.#cloud;
    cloud.running += 1;
    cloud.mostRunning = Math.max(cloud.mostRunning, cloud.running);
    try {
      // A slow cloud: what is asserted is order and overlap, never the time itself.
      await new Promise((resolve) => setTimeout(resolve, Number(inputs["delayMs"] ?? 0)));
      cloud.log.push(what);
      return task();
    } finally {
      cloud.running -= 1;
    }
  }

  invoke(token: string, args: ValueMap): Promise<ValueMap> {
    if (token !== "fake:index:lookup") throw new Error(`the package fake knows no function ${token}`);
    this.#cloud.log.push(`invoke ${JSON.stringify(args["key"])}`);
    return Promise.resolve({ found: `value of ${JSON.stringify(args["key"])}` });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

import { aliasUrns } from "./aliases.ts";
import { hashAssets } from "./assets.ts";
import { ComponentOutputs } from "./component-outputs.ts";
import { decide, dependentReplacements } from "./decide.ts";
import type { Decision } from "./decide.ts";
import { DefaultProviders } from "./default-providers.ts";
import { deleteOne } from "./deletes.ts";
import { AbortedError, EngineError } from "./engine-error.ts";
import type { Operation, Step } from "./events.ts";
import type { Goal } from "./goal.ts";
import { importReplaceMessage, importResource, isImport } from "./import.ts";
import * as calls from "./provider-calls.ts";
import { resetAt } from "./property-path.ts";
import type { Provider } from "./providers/provider.ts";
import { Inheritance } from "./inheritance.ts";
import type { Inherited } from "./inheritance.ts";
import { emptyResource, prerequisites } from "./resource.ts";
import type { Resource } from "./resource.ts";
import type { Run } from "./run.ts";
import { UNKNOWN_STRING } from "./signatures.ts";
import { applyStep, stepOf } from "./steps.ts";
import { isProviderType, makeUrn, packageOf } from "./urn.ts";
import { hasUnknown } from "./value-tools.ts";
import type { ValueMap } from "./values.ts";

/** Takes the program's registrations: finds the old state, decides what to do, and does it. */
export class Registrar {
  readonly #run: Run;
  readonly #olds: ReadonlyMap<string, Resource>;
  readonly #defaults: DefaultProviders;
  /** URNs of this program, and the old URNs that they took over. */
  readonly #seen = new Set<string>();
  readonly #claimed = new Set<string>();
  readonly #replaced = new Set<string>();
  readonly #skipped = new Set<string>();
  readonly #inheritance = new Inheritance();
  readonly #usedAlias = new Map<string, string>();
  readonly components: ComponentOutputs;
  /** Dependents deleted ahead of a replacement: their entry in state, and why. */
  readonly #deletedAhead = new Map<
    string,
    Promise<{ readonly entry: Resource; readonly keys: readonly string[] }>
  >();

  constructor(
    run: Run,
    olds: readonly Resource[],
    config: Readonly<Record<string, string>>,
    secretKeys: readonly string[],
  ) {
    this.#run = run;
    this.components = new ComponentOutputs(run);
    this.#olds = new Map(olds.filter((one) => !one.delete).map((one) => [one.urn, one]));
    this.#defaults = new DefaultProviders(config, secretKeys, (goal) => this.register(goal));
  }

  /** Registers one resource and resolves when it is as the program wants it (or would be, in a preview). */
  async register(goal: Goal): Promise<Resource> {
    const { stack, project } = this.#run.options;
    const parent = goal.parent;
    if (parent !== "" && !this.#seen.has(parent)) {
      throw new EngineError(`resource ${JSON.stringify(goal.name)}: its parent ${parent} is not registered`);
    }
    const urn = makeUrn(stack, project, parent, goal.type, goal.name);
    this.#see(urn);
    this.#run.hide(goal.type, goal.inputs);
    const inherited = this.#inheritance.add(urn, goal);
    let old = this.#findOld(urn, goal);
    const deletedAhead = old === undefined ? undefined : await this.#deletedAhead.get(old.urn);
    if (deletedAhead !== undefined) old = deletedAhead.entry;
    const wanted = await this.#wanted(urn, goal, inherited, old);
    if (this.#run.options.destroys === true) {
      if (!wanted.custom) this.components.leave(urn);
      return old ?? this.#skip(wanted);
    }
    if (this.#run.excludes.has(wanted)) return this.#leave(wanted, old);
    this.#refuseSkipped(wanted);
    const provider = await this.#run.providerOf(wanted);
    if (provider !== undefined && isImport(goal.importId, goal.custom, old))
      old = await importResource(this.#run, provider, wanted, goal.importId, old);
    const inputs = await this.#inputs(goal, wanted, old);
    const recreate = deletedAhead !== undefined || old?.external === true;
    const checked =
      provider === undefined
        ? inputs
        : await calls.check(this.#run, provider, wanted, recreate ? undefined : old?.inputs, inputs);
    if (!this.#run.options.preview && hasUnknown(checked)) {
      throw new EngineError(`${urn}: an input is not known, which can only be in a preview`);
    }
    const resource = { ...wanted, inputs: checked };
    const done = await this.#act(goal, resource, old, provider, deletedAhead?.keys);
    this.#run.hide(done.type, done.outputs);
    if (!isProviderType(done.type)) return done;
    const identified = done.id === "" ? { ...done, id: UNKNOWN_STRING } : done;
    this.#run.providers.set(urn, identified.id, identified.inputs);
    return identified;
  }

  /** The provider for a function or a read that names none. */
  async defaultProvider(packageName: string, version: string, url: string): Promise<string> {
    this.#run.providers.package(packageName);
    return this.#defaults.reference(packageName, version, url);
  }

  /** The reference of a resource's provider: its own, its parent's for the package, or the default one. */
  async providerReference(
    type: string,
    own: string,
    parent: string,
    version: string,
    url: string,
  ): Promise<string> {
    if (own !== "") return own;
    const packageName = packageOf(type);
    const ofParent = this.#inheritance.of(parent).providers.get(packageName);
    return ofParent ?? this.defaultProvider(packageName, version, url);
  }

  /** Notes a URN that the program uses; `claimedOld` finds what the state has for it. */
  takeOld(urn: string): Resource | undefined {
    this.#see(urn);
    this.#claimed.add(urn);
    return this.#olds.get(urn);
  }

  #see(urn: string): void {
    if (this.#seen.has(urn))
      throw new EngineError(`Duplicate resource URN '${urn}'; try giving it a unique name`);
    this.#seen.add(urn);
  }

  #findOld(urn: string, goal: Goal): Resource | undefined {
    const { stack, project } = this.#run.options;
    const aliases = aliasUrns(goal, stack, project, this.#usedAlias.get(goal.parent));
    for (const candidate of [urn, ...aliases]) {
      const old = this.#olds.get(candidate);
      if (old === undefined) continue;
      if (this.#claimed.has(candidate)) {
        throw new EngineError(`${urn}: its alias ${candidate} is the old name of another resource as well`);
      }
      this.#claimed.add(candidate);
      if (candidate !== urn) this.#usedAlias.set(urn, candidate);
      return old;
    }
    return undefined;
  }

  async #wanted(urn: string, goal: Goal, inherited: Inherited, old: Resource | undefined): Promise<Resource> {
    const needsProvider = goal.custom && !isProviderType(goal.type);
    return {
      ...emptyResource(urn, goal.type, goal.custom),
      parent: goal.parent,
      protect: inherited.protect ?? false,
      retainOnDelete: inherited.retainOnDelete ?? false,
      deletedWith: inherited.deletedWith,
      dependencies: goal.dependencies,
      propertyDependencies: goal.propertyDependencies,
      provider: needsProvider
        ? await this.providerReference(
            goal.type,
            goal.provider,
            goal.parent,
            goal.version,
            goal.pluginDownloadUrl,
          )
        : "",
      additionalSecretOutputs: goal.additionalSecretOutputs,
      customTimeouts: goal.customTimeouts,
      ignoreChanges: goal.ignoreChanges,
      hideDiff: goal.hideDiff,
      replaceOnChanges: goal.replaceOnChanges,
      replacementTrigger: goal.replacementTrigger,
      hooks: goal.hooks,
      kept: old?.kept ?? {},
    };
  }

  async #inputs(goal: Goal, wanted: Resource, old: Resource | undefined): Promise<ValueMap> {
    let inputs = await hashAssets(goal.inputs, this.#run.options.programDirectory);
    if (isProviderType(goal.type) && goal.version !== "") inputs = { ...inputs, version: goal.version };
    if (old === undefined || old.external) return inputs;
    for (const path of wanted.ignoreChanges) inputs = resetAt(old.inputs, inputs, path);
    return inputs;
  }

  /** Keeps an excluded resource as the state has it; one that does not exist yet is skipped. */
  async #leave(wanted: Resource, old: Resource | undefined): Promise<Resource> {
    if (!wanted.custom) this.components.leave(wanted.urn);
    if (old === undefined) return this.#skip(wanted);
    const kept = { ...old, urn: wanted.urn, type: wanted.type, parent: wanted.parent };
    const isRenamed = old.urn !== wanted.urn;
    await this.#run.journal.record(isRenamed ? kept : old, old, undefined, isRenamed);
    const step = stepOf("same", old, old, {});
    this.#run.announce(step);
    this.#run.done(step, performance.now());
    return kept;
  }

  #skip(wanted: Resource): Resource {
    this.#skipped.add(wanted.urn);
    return wanted;
  }

  /** True for an excluded resource that does not exist: what it would give is not known. */
  isSkipped(urn: string): boolean {
    return this.#skipped.has(urn);
  }

  #refuseSkipped(wanted: Resource): void {
    for (const urn of prerequisites(wanted)) {
      if (!this.#skipped.has(urn)) continue;
      this.#run.complain(
        `resource ${JSON.stringify(wanted.urn)} depends on ${JSON.stringify(urn)}, which is excluded and does not exist yet; exclude it as well (--exclude-dependents), or create that one first`,
        wanted.urn,
      );
      // A preview goes on, so that the reader sees every one.
      if (!this.#run.options.preview) throw new AbortedError();
      return;
    }
  }

  async #act(
    goal: Goal,
    resource: Resource,
    old: Resource | undefined,
    provider: Provider | undefined,
    deletedAheadKeys: readonly string[] | undefined,
  ): Promise<Resource> {
    if (old === undefined) return this.#apply("create", resource, undefined, provider);
    if (old.external) {
      // It was only looked up before: what takes its place is new, and the other is not ours to delete.
      const replace = stepOf("replace", resource, old, { replaceKeys: ["id"] });
      return this.#within(replace, () => this.#apply("create-replacement", resource, old, provider));
    }
    if (deletedAheadKeys !== undefined) {
      this.#replaced.add(resource.urn);
      const replace = stepOf("replace", resource, old, { replaceKeys: deletedAheadKeys });
      return this.#within(replace, () => this.#apply("create-replacement", resource, old, provider));
    }
    const decision = await decide(this.#run, goal, old, resource, provider, this.#replaced);
    if (decision.kind === "replace") return this.#replace(goal, resource, old, provider, decision);
    return this.#apply(decision.kind, resource, old, provider, decision);
  }

  async #apply(
    operation: Operation,
    resource: Resource,
    old: Resource | undefined,
    provider: Provider | undefined,
    decision?: Decision,
  ): Promise<Resource> {
    const step = stepOf(operation, resource, old, decision ?? {});
    if (!resource.custom) this.components.note(resource.urn, operation, old);
    return applyStep(this.#run, step, resource, old, provider);
  }

  async #replace(
    goal: Goal,
    resource: Resource,
    old: Resource,
    provider: Provider | undefined,
    decision: Decision,
  ): Promise<Resource> {
    const run = this.#run;
    if (resource.protect && old.protect) {
      run.complain(
        `unable to replace resource "${resource.urn}"\nas it is currently marked for protection. To unprotect the resource, remove the \`protect\` flag from it in the program and run up`,
        resource.urn,
      );
      // A preview goes on, so that the reader sees the difference that causes it.
      if (!run.options.preview) throw new AbortedError();
    }
    if (goal.importId !== "") {
      // The ids alone: what is in the inputs may be secret.
      const message = importReplaceMessage(decision.replaceKeys);
      if (!run.options.preview) throw new EngineError(message);
      run.diagnose("warning", message, resource.urn);
    }
    this.#replaced.add(resource.urn);
    // Defaults such as a random name must not be carried over from the old one.
    const inputs =
      provider === undefined
        ? resource.inputs
        : await calls.check(
            run,
            provider,
            resource,
            undefined,
            await hashAssets(this.#freshInputs(goal, resource), run.options.programDirectory),
          );
    const fresh = { ...resource, inputs };
    // The old one is shown as it waits for its end, as the CLI shows it.
    const waits = decision.deleteBeforeReplace ? { pendingReplacement: true } : { delete: true };
    const replace = stepOf("replace", fresh, { ...old, ...waits }, decision);
    return this.#within(replace, async () => {
      if (!decision.deleteBeforeReplace)
        return this.#apply("create-replacement", fresh, old, provider, decision);
      const entry = await this.#deleteWithDependents(old);
      return this.#apply("create-replacement", fresh, entry, provider, decision);
    });
  }

  #freshInputs(goal: Goal, resource: Resource): ValueMap {
    // What ignoreChanges kept stays kept; the rest is what the program sent.
    return resource.ignoreChanges.length === 0
      ? goal.inputs
      : resource.ignoreChanges.reduce((inputs, path) => resetAt(resource.inputs, inputs, path), goal.inputs);
  }

  /** Deletes what must not outlive the old resource, then the old one; returns its entry in state. */
  async #deleteWithDependents(old: Resource): Promise<Resource> {
    const run = this.#run;
    const isSeen = (candidate: string): boolean => this.#seen.has(candidate) || this.#claimed.has(candidate);
    const dependents = await dependentReplacements(run, old, isSeen);
    const going = new Set([old.urn, ...dependents.map((one) => one.resource.urn)]);
    // All are entered before the first is deleted: a registration that comes meanwhile waits for its deletion.
    let last: Promise<unknown> = Promise.resolve();
    for (const { resource, keys } of [...dependents].reverse()) {
      if (isSeen(resource.urn)) continue;
      const deletion =
        this.#deletedAhead.get(resource.urn) ??
        last.then(async () => ({ entry: await this.#deleteAhead(resource, going), keys }));
      this.#deletedAhead.set(resource.urn, deletion);
      last = deletion;
    }
    await last;
    if (old.pendingReplacement) return old;
    return this.#deleteAhead({ ...old, protect: false }, going, old);
  }

  async #deleteAhead(resource: Resource, going: ReadonlySet<string>, stored = resource): Promise<Resource> {
    if (resource.protect) {
      throw new EngineError(
        `resource "${resource.urn}" cannot be deleted\nbecause it is protected, and what it depends on must be replaced`,
      );
    }
    const entry = { ...resource, pendingReplacement: true };
    await deleteOne(this.#run, stored, "delete-replaced", going, entry);
    return entry;
  }

  /** Announces a replacement as a whole around its parts. */
  async #within(step: Step, parts: () => Promise<Resource>): Promise<Resource> {
    this.#run.announce(step);
    const start = performance.now();
    const after = await parts();
    this.#run.done({ ...step, after }, start);
    return after;
  }
}

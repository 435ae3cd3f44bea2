import { AbortedError, EngineError } from "./engine-error.ts";
import { Hooks } from "./hooks.ts";
import type { HookValues } from "./hooks.ts";
import type { EngineEvent, Listener, Operation, Severity, Step } from "./events.ts";
import { Excludes } from "./excludes.ts";
import type { Journal } from "./journal.ts";
import { Limit } from "./limit.ts";
import type { ProviderRegistry } from "./provider-registry.ts";
import type { CallContext, Provider } from "./providers/provider.ts";
import { ProviderResources } from "./provider-resources.ts";
import type { HookType, Resource } from "./resource.ts";
import type { SecretMask } from "./secret-mask.ts";
import { isProviderType } from "./urn.ts";
import type { ValueMap } from "./values.ts";

export interface RunOptions {
  readonly preview: boolean;
  /** Registrations change nothing: everything is deleted once the program has made them. */
  readonly destroys?: boolean;
  /** How many provider calls may run at once. */
  readonly parallel: number;
  readonly stack: string;
  readonly project: string;
  readonly programDirectory: string;
  /** URNs or globs of what stays as it is. */
  readonly exclude?: readonly string[];
  /** Leaves what depends on them as it is, too. */
  readonly excludeDependents?: boolean;
}

/** What one preview, update, refresh or destroy shares: state, providers, failure, events. */
export class Run {
  readonly options: RunOptions;
  readonly journal: Journal;
  readonly providers: ProviderRegistry;
  /** What the program wants to be called for; empty when no program runs. */
  readonly hooks = new Hooks();
  readonly excludes: Excludes;
  readonly #ownProviders: ProviderResources;
  readonly #mask: SecretMask;
  readonly #listener: Listener;
  readonly #limit: Limit;
  readonly #abort = new AbortController();
  readonly #cancel = new AbortController();
  readonly #changes = new Map<Operation, number>();
  readonly #reported = new WeakSet();
  #failures = 0;
  #failed = false;

  constructor(
    options: RunOptions,
    journal: Journal,
    providers: ProviderRegistry,
    mask: SecretMask,
    listener: Listener,
  ) {
    this.options = options;
    this.excludes = new Excludes(options.exclude ?? [], options.excludeDependents ?? false);
    this.journal = journal;
    this.providers = providers;
    this.#ownProviders = new ProviderResources(providers);
    this.#mask = mask;
    this.#listener = listener;
    this.#limit = new Limit(options.parallel);
  }

  get failed(): boolean {
    return this.#failed;
  }

  /** True once no new step may start. */
  get stopped(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Aborted once no new step may start. */
  get stopSignal(): AbortSignal {
    return this.#abort.signal;
  }

  /** How many steps have failed. */
  get failures(): number {
    return this.#failures;
  }

  get changes(): Readonly<Partial<Record<Operation, number>>> {
    return Object.fromEntries(this.#changes);
  }

  /** Tells the listener; secrets are taken out of every message. */
  emit(event: EngineEvent): void {
    this.#listener("message" in event ? { ...event, message: this.#mask.apply(event.message) } : event);
  }

  /** Notes the secrets among a resource's inputs or outputs, so that no message shows them. */
  hide(type: string, properties: ValueMap): void {
    this.#mask.addProperties(type, properties);
  }

  diagnose(severity: Severity, message: string, urn = "", ephemeral = false): void {
    this.emit({ kind: "diagnostic", severity, message, urn, ephemeral });
  }

  /** Reports an error that fails the run but lets it go on. */
  complain(message: string, urn = ""): void {
    this.#failed = true;
    this.diagnose("error", message, urn);
  }

  /** Reports an error and starts no further steps; those that run are waited for. */
  fail(error: unknown, urn = ""): void {
    // undefined = the cause has been told already. Several may wait for the same thing and fail with the same error.
    const isNew = !(error instanceof Error) || !this.#reported.has(error);
    if (error instanceof Error) this.#reported.add(error);
    if (isNew && error !== undefined && !(error instanceof AbortedError))
      this.complain(messageOf(error), urn);
    this.#failed = true;
    this.#abort.abort();
  }

  /** Starts no further steps, and says why. */
  stop(why: string): void {
    if (!this.stopped) this.fail(new Error(why));
  }

  /** Tells running provider calls to end early as well. */
  cancel(): void {
    this.stop("cancelled");
    this.#cancel.abort();
  }

  /** Runs a provider call within the limit. */
  async work<T>(task: () => Promise<T>): Promise<T> {
    return this.#limit.run(async () => {
      if (this.stopped) throw new AbortedError();
      return task();
    });
  }

  /** Announces a step, does it, and reports how it ended. `task` gives the resource as it is afterwards. */
  async step(step: Step, task: () => Promise<Resource | undefined>): Promise<Resource | undefined> {
    return this.work(async () => {
      this.announce(step);
      const start = performance.now();
      try {
        const after = await task();
        this.done({ ...step, after }, start);
        return after;
      } catch (error) {
        this.refuse(step, messageOf(error));
        throw error;
      }
    });
  }

  /**
   * Calls the hooks before a step.
   * @throws EngineError when one fails: the step must then not be done.
   */
  async before(type: HookType, resource: Resource, values: HookValues): Promise<void> {
    await this.hooks.call(type, resource, values, this.options.preview, (message) =>
      this.diagnose("warning", message, resource.urn),
    );
  }

  /** Calls the hooks after a step. What was done stays recorded; a failure is told, and no further step starts. */
  async after(type: HookType, resource: Resource, values: HookValues): Promise<void> {
    try {
      await this.before(type, resource, values);
    } catch (error) {
      this.fail(error, resource.urn);
    }
  }

  announce(step: Step): void {
    this.emit({ kind: "step", step, planning: this.options.preview });
  }

  /** Reports and counts a step that was done. @param start - `performance.now()` when it began. */
  done(step: Step, start: number): void {
    if (!step.hidden && !step.part) this.#count(step.operation);
    this.emit({ kind: "done", step, seconds: (performance.now() - start) / 1000 });
  }

  /** Reports and counts a step that failed. */
  refuse(step: Step, message: string): void {
    if (!step.hidden) this.#failures += 1;
    this.emit({ kind: "failed", step, message });
  }

  #count(operation: Operation): void {
    this.#changes.set(operation, (this.#changes.get(operation) ?? 0) + 1);
  }

  /** The provider of a resource; undefined for components. */
  async providerOf(
    resource: Pick<Resource, "type" | "custom" | "provider" | "urn">,
  ): Promise<Provider | undefined> {
    if (!resource.custom) return undefined;
    if (isProviderType(resource.type)) return this.#ownProviders;
    if (resource.provider === "") throw new EngineError(`${resource.urn} has no provider in state`);
    return this.providers.get(resource.provider);
  }

  context(urn: string, type: string, timeoutSeconds: number | undefined): CallContext {
    return {
      urn,
      type,
      programDirectory: this.options.programDirectory,
      timeoutSeconds,
      status: (message) => this.emit({ kind: "status", urn, message }),
      signal: this.#cancel.signal,
    };
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

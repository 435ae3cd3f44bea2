import type { ValueMap } from "../values.ts";

/** What became of one property path, in the words of `preview --json`'s `detailedDiff`. */
export type DiffKind = "add" | "add-replace" | "delete" | "delete-replace" | "update" | "update-replace";

export interface PropertyDiff {
  readonly kind: DiffKind;
  /** True when the inputs differ, false when the recorded outputs do. */
  readonly inputDiff: boolean;
}

export interface DiffResult {
  readonly changes: boolean;
  /** Top-level keys whose change makes a new resource. */
  readonly replaces: readonly string[];
  /** The provider's own wish; the `deleteBeforeReplace` option overrules it. */
  readonly deleteBeforeReplace: boolean;
  /** By property path, e.g. `ports[0].external`. */
  readonly detailed: Readonly<Record<string, PropertyDiff>>;
}

export interface CheckFailure {
  readonly property: string;
  readonly reason: string;
}

export interface CallContext {
  readonly urn: string;
  readonly type: string;
  /** Folder of the program's `main`; relative paths and `command:local` start there. */
  readonly programDirectory: string;
  /** Seconds; undefined = the provider's own default. */
  readonly timeoutSeconds: number | undefined;
  /** Shown as a progress line of the resource; never a secret. */
  readonly status: (message: string) => void;
  /** Aborted when the engine is told to stop. */
  readonly signal: AbortSignal;
}

export interface ResourceState {
  readonly id: string;
  readonly outputs: ValueMap;
}

/** Thrown by create and update when the thing exists all the same: it is kept in state with its errors. */
export class PartialFailure extends Error {
  readonly state: ResourceState;
  constructor(message: string, state: ResourceState) {
    super(message);
    this.state = state;
  }
}

/**
 * One configured provider of one package, with the names, defaults and replace rules of the real plugin.
 * Inputs may hold `Unknown` in check and diff during previews, and `Secret` where `acceptSecrets` is true;
 * otherwise the engine strips secrets before and marks the same keys after.
 */
export interface Provider {
  readonly acceptSecrets: boolean;
  check(
    context: CallContext,
    olds: ValueMap | undefined,
    news: ValueMap,
  ): Promise<{ readonly inputs: ValueMap; readonly failures: readonly CheckFailure[] }>;
  diff(
    context: CallContext,
    id: string,
    oldInputs: ValueMap,
    oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<DiffResult>;
  /** What an update would give, as far as it is known: unknown outputs are `Unknown`. No side effect. */
  previewCreate(context: CallContext, inputs: ValueMap): Promise<ValueMap>;
  previewUpdate(
    context: CallContext,
    id: string,
    oldInputs: ValueMap,
    oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<ValueMap>;
  create(context: CallContext, inputs: ValueMap): Promise<ResourceState>;
  /**
   * Looks for what a `create` left that was killed: whole, it is given back; half made, it is removed. Only what was
   * made since then is touched. Absent where a creation can simply be done again.
   */
  recover?(context: CallContext, inputs: ValueMap, since: Date): Promise<ResourceState | undefined>;
  /** undefined = gone. */
  read(
    context: CallContext,
    id: string,
    inputs: ValueMap,
    outputs: ValueMap,
  ): Promise<(ResourceState & { readonly inputs: ValueMap }) | undefined>;
  update(
    context: CallContext,
    id: string,
    oldInputs: ValueMap,
    oldOutputs: ValueMap,
    news: ValueMap,
  ): Promise<ValueMap>;
  delete(context: CallContext, id: string, inputs: ValueMap, outputs: ValueMap): Promise<void>;
  /** `programDirectory` is where relative paths and `command:local:run` start. */
  invoke(token: string, args: ValueMap, signal: AbortSignal, programDirectory: string): Promise<ValueMap>;
  /** Ends connections; called once. */
  close(): Promise<void>;
}

/** A package the engine knows: makes providers from their checked configuration. */
export interface ProviderPackage {
  readonly name: string;
  /** Checks and fills in the provider's own inputs as the real plugin's CheckConfig does. */
  checkConfig(
    news: ValueMap,
  ): Promise<{ readonly inputs: ValueMap; readonly failures: readonly CheckFailure[] }>;
  configure(inputs: ValueMap): Promise<Provider>;
}

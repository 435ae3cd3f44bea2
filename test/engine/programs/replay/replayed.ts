/** One resource as the replayed program registers it. */
export interface Replayed {
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  readonly custom: boolean;
  readonly parent: string;
  /** URN of its explicit provider. */
  readonly provider?: string;
  /** Of the package that its default provider is of. */
  readonly version?: string;
  readonly dependencies: readonly string[];
  readonly protect: boolean;
  readonly retainOnDelete: boolean;
  /** `{$secret}` and `{$text}` stand for secrets and text assets. */
  readonly inputs: Readonly<Record<string, unknown>>;
  /** Names of outputs, each undefined, as the SDK's classes declare them. */
  readonly outputs: Readonly<Record<string, undefined>>;
  /** Resource options that a state does not hold. */
  readonly options: Readonly<Record<string, unknown>>;
}

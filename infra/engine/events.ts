import type { PropertyDiff } from "./providers/provider.ts";
import type { Resource } from "./resource.ts";

/** Pulumi's names for what is done to a resource. */
export type Operation =
  | "same"
  | "create"
  | "update"
  | "delete"
  | "replace"
  | "create-replacement"
  | "delete-replaced"
  | "read"
  | "read-replacement"
  | "refresh"
  | "import"
  | "import-replacement"
  | "discard"
  | "discard-replaced"
  | "remove-pending-replace";

export type Severity = "debug" | "info" | "warning" | "error";

/** One step as it is announced and reported. */
export interface Step {
  readonly operation: Operation;
  readonly urn: string;
  readonly type: string;
  readonly provider: string;
  readonly before: Resource | undefined;
  readonly after: Resource | undefined;
  /** Top-level keys that changed. */
  readonly changedKeys: readonly string[];
  /** Keys that make a replacement; also `provider`, `deletedWith`, `replacementTrigger`. */
  readonly replaceKeys: readonly string[];
  readonly detailedDiff: Readonly<Record<string, PropertyDiff>> | undefined;
  /** Default providers and the like: done, but neither shown nor counted. */
  readonly hidden: boolean;
  /** True for the halves of a replacement that is announced as a whole; they are not counted. */
  readonly part: boolean;
}

export type EngineEvent =
  | { readonly kind: "prelude"; readonly config: Readonly<Record<string, string>> }
  | {
      readonly kind: "diagnostic";
      readonly severity: Severity;
      readonly message: string;
      readonly urn: string;
      readonly ephemeral: boolean;
    }
  /** A step is about to be done (or, in a preview, would be). */
  | { readonly kind: "step"; readonly step: Step; readonly planning: boolean }
  /** It was done; `step.after` holds the outputs. */
  | { readonly kind: "done"; readonly step: Step; readonly seconds: number }
  | { readonly kind: "failed"; readonly step: Step; readonly message: string }
  /** A line of progress from a provider. */
  | { readonly kind: "status"; readonly urn: string; readonly message: string }
  | { readonly kind: "summary"; readonly summary: Summary };

export interface Summary {
  readonly preview: boolean;
  readonly succeeded: boolean;
  readonly seconds: number;
  /** Number of steps that were done, by operation; a replacement counts once as `replace`. */
  readonly changes: Readonly<Partial<Record<Operation, number>>>;
  /** Number of steps that failed, in no other count. */
  readonly failures: number;
}

export type Listener = (event: EngineEvent) => void;

import type { Step } from "./step.ts";

/** How an interrupted run ends, from what is there now: grants, control files, and the run's entry in the ledger. */
export type Resumption =
  /** What is left is done, or undone. */
  | { readonly kind: "finish" | "undo"; readonly why: string; readonly steps: readonly Step[] }
  /** It cannot be decided from here. */
  | { readonly kind: "stuck"; readonly why: string; readonly next: string };

import type { GrantView } from "../observe/observation.ts";

/** A runbook as data: what will be done, in which order, how long it may take, and how it is taken back. */

/** What a grant must still be for a change to be made: the asker's view, null where there is none. */
export type GrantExpectation = { readonly epoch: number; readonly state: GrantView["state"] } | null;

export type Action =
  /** Of pg-health: a start goes through the start rules. */
  | {
      readonly do: "order";
      readonly site: string;
      readonly verb: "start" | "stop" | "promote";
    }
  /** Compare and set. `timeline: "promoted"`: the one that the promotion made. */
  | {
      readonly do: "grant";
      readonly site: string;
      readonly expect: GrantExpectation;
      readonly grant: GrantView;
      readonly timeline?: "promoted";
    }
  /** `from` stopped cleanly, and `to` replayed past its shutdown checkpoint. */
  | { readonly do: "prove"; readonly from: string; readonly to: string }
  /** pg-health answers `primary`, as the routers hear it. */
  | { readonly do: "await-primary"; readonly site: string }
  /** The primary streams to the standby. */
  | { readonly do: "await-streaming"; readonly standby: string; readonly primary: string }
  /** The standby's slots that nobody reads hold no WAL any more: they are made again, unreserved. */
  | { readonly do: "free-slots"; readonly site: string }
  /** Every write listener of every router that answers has this site up, and no other. */
  | { readonly do: "await-routers"; readonly site: string };

export interface Step {
  /** Its phase in the ledger; unique in the plan. */
  readonly id: string;
  readonly title: string;
  readonly action: Action;
  /** Limit, seconds. */
  readonly seconds: number;
  /** What takes it back, in the order given; tried also when the step itself failed. */
  readonly undo?: readonly Action[];
  /** From when it is sent there is no way back. */
  readonly final?: true;
  /** After the point of no return: when it fails the runbook goes on and says so at its end. */
  readonly mayFail?: true;
}

/** Something that must be so before anything is begun. */
export interface Check {
  readonly title: string;
  /** Undefined: it is so; else why not. */
  readonly objection: string | undefined;
}

export interface Plan {
  readonly verb: string;
  readonly from: string | null;
  readonly to: string;
  readonly epochs: { readonly before: number; readonly after: number };
  readonly timeline: number;
  readonly steps: readonly Step[];
}

export type Planned =
  | { readonly ok: true; readonly checks: readonly Check[]; readonly plan: Plan }
  | { readonly ok: false; readonly checks: readonly Check[]; readonly next: string };

/** The checks that object. */
export function objections(checks: readonly Check[]): readonly string[] {
  return checks.flatMap((check) => (check.objection === undefined ? [] : [check.objection]));
}

import type { GrantView } from "../observe/observation.ts";
import type { FoundAction } from "./found-actions.ts";
import type { RenewAction } from "./renew-actions.ts";

/** A runbook as data: what will be done, in which order, how long it may take, and how it is taken back. */

/** What a grant must still be for a change to be made: the asker's view, null where there is none. */
export type GrantExpectation = { readonly epoch: number; readonly state: GrantView["state"] } | null;

export type Action =
  | FoundAction
  | RenewAction
  /** Of pg-health: a start goes through the start rules. */
  | {
      readonly do: "order";
      readonly site: string;
      readonly verb: "start" | "stop" | "promote";
      /** Of a stop: done once its last record is known, while PostgreSQL still ends (`await-stopped`). */
      readonly until?: "checkpoint";
    }
  /** Compare and set. `timeline: "promoted"`: the one that the promotion made. */
  | {
      readonly do: "grant";
      readonly site: string;
      readonly expect: GrantExpectation;
      readonly grant: GrantView;
      readonly timeline?: "promoted";
    }
  /** All at once; done when all are, failed when one did. */
  | { readonly do: "together"; readonly actions: readonly Action[] }
  /** `from` stopped cleanly, and `to` replayed past its shutdown checkpoint. */
  | { readonly do: "prove"; readonly from: string; readonly to: string }
  /** The same, by the position that an order `until: "checkpoint"` learned, and by nothing slower. */
  | { readonly do: "prove-replay"; readonly to: string; readonly systemId: string }
  /** Whatever a fast stop would have to write is written: two checkpoints. */
  | { readonly do: "checkpoint"; readonly site: string }
  /** A standby's idle slot keeps WAL from now on. */
  | { readonly do: "reserve-slot"; readonly site: string; readonly slot: string }
  /** A stop `until: "checkpoint"` has come to its end. */
  | { readonly do: "await-stopped"; readonly site: string }
  /** Opens what the gap needs: at each router a guard that undoes hold and cut of `from` when its controller is gone. */
  | {
      readonly do: "ready";
      readonly from: string;
      readonly holdSeconds: number;
      /** The site's pooler is not ours: its console cannot be asked. */
      readonly foundPooler?: true;
    }
  /** What the guards watch over is as it was. */
  | { readonly do: "dismiss" }
  /** The old primary can log in at the new one to follow it: system identifier and way are right in that direction too. */
  | { readonly do: "reverse"; readonly from: string; readonly to: string; readonly systemId: string }
  /** New connections to the write listeners of every router wait. */
  | { readonly do: "hold" }
  /** Whoever is logging in at the site's pooler is through; who takes too long is not waited for. */
  | { readonly do: "await-logins"; readonly site: string }
  /** They are let through again; `up` and `down` are known before HAProxy's next checks. */
  | {
      readonly do: "release";
      readonly up?: string;
      readonly down?: readonly string[];
      /** Routers that can be told; the others hold nobody up. @default all */
      readonly routers?: readonly string[];
    }
  /** No router sends writes to the site, and what was connected to it through them is ended. */
  | { readonly do: "cut"; readonly site: string }
  /** The routers take the site's own word again; `healthy`: which one that is until they have asked. */
  | { readonly do: "uncut"; readonly site: string; readonly healthy: boolean }
  /** Waits until the site says that it takes no writes, or says nothing; then as `uncut`, and the guards go. */
  | { readonly do: "settle-routers"; readonly site: string }
  /** The site's pooler lets running transactions end and keeps new ones waiting. */
  | { readonly do: "pause"; readonly site: string }
  | { readonly do: "resume-pooler"; readonly site: string }
  /** Whoever is still connected to the site's pooler, by whatever way, has to connect anew. */
  | { readonly do: "end-sessions"; readonly site: string }
  /** Every router is as its file says: nothing held, no server in maint. */
  | { readonly do: "clear-overrides"; readonly primary: string | null }
  /** pg-health answers `primary`, as the routers hear it. */
  | { readonly do: "await-primary"; readonly site: string }
  /** The primary streams to the standby. */
  | { readonly do: "await-streaming"; readonly standby: string; readonly primary: string }
  /** The standby's slots that nobody reads hold no WAL any more: they are made again, unreserved. */
  | { readonly do: "free-slots"; readonly site: string }
  /** Every write listener of every router that answers has this site up, and no other; and a write gets there. */
  | {
      readonly do: "await-routers";
      readonly site: string;
      /** Routers that are asked; the others are known to be silent. @default all */
      readonly routers?: readonly string[];
    };

export interface Step {
  /** Its phase in the ledger; unique in the plan. */
  readonly id: string;
  readonly title: string;
  readonly action: Action;
  /** Limit, seconds. */
  readonly seconds: number;
  /** What takes it back, in the order given; tried also when the step itself failed. */
  readonly undo?: readonly Action[];
  /** Limit of each part of that. @default 130 */
  readonly undoSeconds?: number;
  /** What the undo starts again is the old primary: that it does not serve leaves nothing open, but has to be said. */
  readonly undoServes?: true;
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

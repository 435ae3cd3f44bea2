/** What a change does to a running process, weakest first. */
export const EFFECTS = ["none", "reload", "restart", "new", "removed", "replace", "flip", "unknown"] as const;
export type Effect = (typeof EFFECTS)[number];

/** What the applications' writes feel of it, weakest first. `refused`: `up` stops before it does that. */
export const FEELINGS = ["nothing", "refused", "flip", "interrupted", "unknown"] as const;
export type Feeling = (typeof FEELINGS)[number];

/** A part of the stack that a change belongs to. */
export interface Place {
  readonly kind: "site" | "router" | "host" | "stack";
  readonly name: string;
}

/** What one change does, and why. */
export interface Finding {
  readonly place: Place;
  readonly effect: Effect;
  readonly writes: Feeling;
  /** What changes, e.g. a file or a container. */
  readonly what: string;
  /** A sentence without its subject's name at the start, e.g. `PostgreSQL reloads; open sessions stay`. */
  readonly why: string;
  /** What is left to do after `up`, as commands in their order. */
  readonly afterwards: readonly string[];
}

export function stronger<Word extends string>(order: readonly Word[], one: Word, other: Word): Word {
  return order.indexOf(one) >= order.indexOf(other) ? one : other;
}

/** A finding that nobody has to read unless it is the only one. */
export function quiet(place: Place, what: string, why: string): Finding {
  return { place, effect: "none", writes: "nothing", what, why, afterwards: [] };
}

/** What nothing is known about: said so, and never taken for harmless. */
export function unknown(place: Place, what: string, why: string): Finding {
  return { place, effect: "unknown", writes: "unknown", what, why, afterwards: [] };
}

import type { Observation } from "../observe/observation.ts";

/** What a look found, and what to type next. */

export type Level = "ok" | "notice" | "warning" | "alarm";

export interface Finding {
  /** A word for programs, stable. */
  readonly code: Code;
  readonly level: Level;
  /** One sentence. */
  readonly text: string;
  /** The next safe command, or what to do where there is none. */
  readonly next: string;
}

export type Code =
  | "healthy"
  | "adopted"
  | "unreachable"
  | "two-primaries"
  | "conflict"
  | "interrupted"
  | "running"
  | "held-back"
  | "no-primary"
  | "not-serving"
  | "site-silent"
  | "excluded-returned"
  | "empty"
  | "standby-down"
  | "standby-silent"
  | "standby-lagging"
  | "replay-paused"
  | "slot-lost"
  | "disk-full"
  | "pooler"
  | "override"
  | "router-silent"
  | "not-declared"
  | "pending-restart";

/** A command of this stack, as it is typed. */
export const command = (seen: Observation, words: string): string => `bin/recovery ${seen.stack} ${words}`;
/** Names as a sentence lists them. */
export const list = (names: readonly string[]): string => names.join(names.length > 2 ? ", " : " and ");

import type { Window } from "./seen.ts";

/** What a maintenance verb does, as data. */

export type Action =
  | { readonly do: "note"; readonly window: Window }
  | {
      readonly do: "proxy-stop";
      readonly container: string;
      readonly service: string;
      readonly message: string;
      readonly drainSeconds: number;
    }
  /** `seconds`: until a container that does not end is killed. */
  | { readonly do: "stop"; readonly containers: readonly string[]; readonly seconds: number }
  /** Starts what does not run, and waits until all run and are healthy where they have a healthcheck. */
  | { readonly do: "start"; readonly containers: readonly string[]; readonly seconds: number }
  | { readonly do: "proxy-resume"; readonly container: string; readonly service: string }
  /** Cannot be done. */
  | { readonly do: "fail"; readonly why: string }
  | { readonly do: "forget" };

/** Tasks of one phase run at once; a phase begins when the one before has ended. */
export const PHASES = ["note", "proxy-stop", "stop", "start", "proxy-resume", "forget"] as const;
export type Phase = (typeof PHASES)[number];

export interface Task {
  /** Its own among all tasks: host and what is done. */
  readonly id: string;
  readonly host: string;
  readonly phase: Phase;
  readonly title: string;
  readonly action: Action;
  /** Ids of the tasks without whose success this one is left out. */
  readonly needs: readonly string[];
}

export interface Plan {
  readonly tasks: readonly Task[];
  /** Hosts that the verb concerns and that did not answer: why, by name. */
  readonly silent: readonly { readonly host: string; readonly why: string }[];
  /** What is left as it is on purpose, in words. */
  readonly left: readonly string[];
  /** Why nothing may be begun, each with what to mend; empty where it may. */
  readonly objections: readonly string[];
}

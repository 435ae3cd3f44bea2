import type { Action, Step } from "../plan/step.ts";
import { ActionRefused } from "./actions.ts";

/** Walks a plan: each step within its limit, back again when one fails before the point of no return. */

export interface StepTools {
  act(action: Action, seconds: number): Promise<void>;
  /** Whether a step without return happened, when its answer was lost; undefined: not to be told. */
  happened(step: Step): Promise<boolean | undefined>;
  report(event: StepEvent): void;
  /** Awaited before each step: a drill breaks something there. */
  before?(step: Step): Promise<void>;
  /** True when the operator wants out. */
  stopped(): boolean;
}

export type StepEvent =
  | { readonly kind: "begin"; readonly step: Step }
  | { readonly kind: "done"; readonly step: Step; readonly ms: number }
  | { readonly kind: "failed"; readonly step: Step; readonly ms: number; readonly why: string }
  | { readonly kind: "undo"; readonly step: Step; readonly why?: string };

export type Outcome =
  /** `warnings`: steps that failed and may. */
  | { readonly result: "done"; readonly warnings: readonly string[]; readonly phases: Phases }
  /**
   * All is as it was: nothing was promoted, and nothing is held or given any more. `unserved`: but the old primary does
   * not serve again, which no runbook has left to finish: a failover may follow.
   */
  | { readonly result: "aborted"; readonly why: string; readonly phases: Phases; readonly unserved?: string }
  /** Halfway; `resume` goes on. */
  | { readonly result: "attention"; readonly why: string; readonly phases: Phases };

export type Phases = Readonly<Record<string, number>>;

/** Seconds for each part of an undo, where its step says nothing else. */
const UNDO_SECONDS = 130;

export async function runSteps(steps: readonly Step[], tools: StepTools): Promise<Outcome> {
  const phases: Record<string, number> = {};
  const warnings: string[] = [];
  const done: Step[] = [];
  // Without a step of no return (a resumption) there is nothing to go back to.
  let final = !steps.some((step) => step.final === true);
  for (const step of steps) {
    if (!final && tools.stopped()) return back(done, "interrupted by the operator", tools, phases);
    await tools.before?.(step);
    const began = performance.now();
    tools.report({ kind: "begin", step });
    try {
      await tools.act(step.action, step.seconds);
      phases[step.id] = Math.round(performance.now() - began);
      tools.report({ kind: "done", step, ms: phases[step.id] ?? 0 });
      final ||= step.final === true;
      done.push(step);
    } catch (error) {
      const why = (error as Error).message;
      const ms = Math.round(performance.now() - began);
      phases[step.id] = ms;
      tools.report({ kind: "failed", step, ms, why });
      if (step.final === true) {
        const happened = error instanceof ActionRefused ? false : await tools.happened(step);
        if (happened === false) return back(done, why, tools, phases);
        if (happened === undefined) return { result: "attention", why, phases };
        final = true;
        continue;
      }
      if (!final) return back([...done, step], why, tools, phases);
      if (step.mayFail !== true) return { result: "attention", why, phases };
      warnings.push(`${step.title}: ${why}`);
    }
  }
  return { result: "done", warnings, phases };
}

/** Every part is tried: what is held must be let go even where the old primary cannot serve any more. */
async function back(done: readonly Step[], why: string, tools: StepTools, phases: Phases): Promise<Outcome> {
  const failures: string[] = [];
  const unserved: string[] = [];
  for (const step of done.toReversed()) {
    for (const action of step.undo ?? []) {
      try {
        tools.report({ kind: "undo", step });
        await tools.act(action, step.undoSeconds ?? UNDO_SECONDS);
      } catch (error) {
        const failed = (error as Error).message;
        tools.report({ kind: "undo", step, why: failed });
        (step.undoServes === true && isServing(action) ? unserved : failures).push(failed);
      }
    }
  }
  if (failures.length === 0)
    return {
      result: "aborted",
      why,
      phases,
      ...(unserved.length === 0 ? {} : { unserved: unserved.join("; ") }),
    };
  return {
    result: "attention",
    why: `${why}; and it could not be taken back: ${[...failures, ...unserved].join("; ")}`,
    phases,
  };
}

/** Whether an action is the start of PostgreSQL, or waits for it: it gives nobody anything, and leaves nothing open. */
function isServing(action: Action): boolean {
  return (action.do === "order" && action.verb === "start") || action.do === "await-primary";
}

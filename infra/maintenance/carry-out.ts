import { PHASES } from "./task.ts";
import type { Task } from "./task.ts";

export type TaskEvent =
  | { readonly kind: "done"; readonly task: Task; readonly ms: number }
  | { readonly kind: "failed"; readonly task: Task; readonly ms: number; readonly why: string }
  /** Left out: what it needs was not done. */
  | { readonly kind: "skipped"; readonly task: Task; readonly why: string };

export interface CarriedOut {
  /** Milliseconds by task. */
  readonly phases: Readonly<Record<string, number>>;
  /** What was not done, and why. */
  readonly failed: readonly { readonly host: string; readonly why: string }[];
}

/**
 * Walks the phases in order: tasks of one phase run at once, on all hosts; a phase begins when the one before has ended.
 * A task is left out where one that it needs was not done; other hosts go on.
 */
export async function carryOut(
  tasks: readonly Task[],
  tools: {
    readonly act: (task: Task) => Promise<void>;
    readonly report: (event: TaskEvent) => void;
    /** True when the operator wants out: no further phase begins. */
    readonly stopped: () => boolean;
  },
): Promise<CarriedOut> {
  const phases: Record<string, number> = {};
  const failed: { host: string; why: string }[] = [];
  const undone = new Map<string, string>();
  const fail = (event: Exclude<TaskEvent, { kind: "done" }>): void => {
    undone.set(event.task.id, event.task.title);
    failed.push({ host: event.task.host, why: `${event.task.title}: ${event.why}` });
    tools.report(event);
  };
  const attempt = async (task: Task): Promise<void> => {
    const began = performance.now();
    const ms = (): number => Math.round(performance.now() - began);
    try {
      await tools.act(task);
      phases[task.id] = ms();
      tools.report({ kind: "done", task, ms: ms() });
    } catch (error) {
      phases[task.id] = ms();
      fail({ kind: "failed", task, ms: ms(), why: (error as Error).message });
    }
  };
  for (const phase of PHASES) {
    await Promise.all(
      tasks
        .filter((task) => task.phase === phase)
        .map(async (task) => {
          const missing = task.needs.find((need) => undone.has(need));
          if (missing !== undefined) {
            const title = undone.get(missing) ?? "";
            fail({ kind: "skipped", task, why: `left out, since this was not done: ${title}` });
          } else if (tools.stopped()) {
            fail({ kind: "skipped", task, why: "left out: interrupted by the operator" });
          } else {
            await attempt(task);
          }
        }),
    );
  }
  return { phases, failed };
}

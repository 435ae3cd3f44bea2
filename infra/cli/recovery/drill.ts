import { access } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { readOverlay } from "../../config/overlay.ts";
import type { Step } from "../../runbooks/plan/step.ts";

/** Names the step before which a drill stops the runbook, and the file that lets it go on: `proof=/tmp/go`. */
const VARIABLE = "RECOVERY_PAUSE_BEFORE";

/** Seconds after which it goes on by itself. */
const LONGEST_SECONDS = 120;

/**
 * Where something can be broken between two steps, for drills. In a sealed world alone, whose overlay says that it is
 * one: nobody's real switchover waits for a file.
 */
export function drillPause(
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): ((step: Step) => Promise<void>) | undefined {
  const [id, file] = (env[VARIABLE] ?? "").split("=");
  if (id === undefined || file === undefined || readOverlay(env) === undefined) return undefined;
  return async (step) => {
    if (step.id !== id) return;
    say(`paused before ${id}`);
    const until = performance.now() + LONGEST_SECONDS * 1000;
    while (performance.now() < until && !(await exists(file))) await delay(5);
  };
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

import { setTimeout as pause } from "node:timers/promises";

/** Milliseconds between two looks at something on another machine that tells nobody when it changes. */
const LOOK_MS = 100;

/**
 * Looks until `objection` is none; what it throws is one.
 * @param until by `performance.now()`
 * @throws Error with `problem` and the last objection
 */
export async function lookUntil(
  until: number,
  problem: string,
  objection: () => Promise<string | undefined>,
): Promise<void> {
  for (;;) {
    let why: string | undefined;
    try {
      why = await objection();
    } catch (error) {
      why = (error as Error).message;
    }
    if (why === undefined) return;
    if (performance.now() > until) throw new Error(`${problem}: ${why}`);
    await pause(LOOK_MS);
  }
}

import { setTimeout as after } from "node:timers/promises";

/** Waits for a condition, asked every 10 ms. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  problem: () => string,
  milliseconds = 10_000,
): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(problem());
    await after(10);
  }
}

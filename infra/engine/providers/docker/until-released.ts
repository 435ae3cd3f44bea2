import { setTimeout as pause } from "node:timers/promises";

import { DockerError } from "../../../hosts/docker.ts";
import type { CallContext } from "../provider.ts";

const LIMIT_MS = 30_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;

/**
 * Repeats a removal while something still holds on to what is to be removed. The daemon has no event for
 * "nothing holds it any more", so it is asked again, at growing intervals.
 * @throws Error in the real provider's words when it is still held after 30 s
 */
export async function untilReleased(
  context: CallContext,
  stateName: string,
  held: RegExp,
  remove: () => Promise<void>,
): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(wait * 2, LONGEST_PAUSE_MS)) {
    try {
      await remove();
      return;
    } catch (error) {
      if (!(error instanceof DockerError) || !held.test(error.message)) throw error;
      if (performance.now() + wait > deadline) {
        throw new Error(
          `timeout while waiting for state to become 'removed' (last state: '${stateName}', timeout: 30s): ${error.message}`,
          { cause: error },
        );
      }
    }
    await pause(wait, undefined, { signal: context.signal });
  }
}

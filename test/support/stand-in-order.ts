import { expect } from "vitest";
import type { Rehearsal } from "./rehearsal.ts";

/**
 * Asserts that a router which `up` made anew was stood in for: from before it went until its successor ran, and that who
 * stood in is gone but for the one who keeps its address for a moment.
 * @param since seconds since the epoch on that host
 */
export async function expectStoodIn(
  world: Rehearsal,
  host: string,
  router: string,
  since: string,
): Promise<void> {
  const events = await world.host(
    host,
    `docker events --since ${since} --until $(date +%s.%N) --filter type=container --filter event=start --filter event=die --format '{{.Action}} {{.Actor.Attributes.name}}'`,
  );
  const standIn = `${router}-stand-in`;
  const order = events.split("\n").filter((line) => [router, standIn].includes(line.split(" ")[1] ?? ""));
  expect(order.slice(0, 4)).toEqual([
    `start ${standIn}`,
    `die ${router}`,
    `start ${router}`,
    `die ${standIn}`,
  ]);
  const running = await world.host(
    host,
    `docker ps --filter name=^${standIn}$ --format '{{.Command}}' --no-trunc`,
  );
  expect(running.trim()).toMatch(/^("sleep 10")?$/);
}

import { describe, expect, it } from "vitest";
import type { LoginLook } from "../../../infra/runbooks/execute/logins.ts";
import { awaitLogins } from "../../../infra/runbooks/execute/logins.ts";

/** Before sessions are cut: who is still logging in, seen from the pooler and from the routers. */

const quiet: LoginLook = { loggingIn: 0, clients: 8, taken: 8, settleMs: 0 };

/** Looks in turn, the last one again and again. @returns how many were needed */
async function looks(...seen: readonly LoginLook[]): Promise<number> {
  let count = 0;
  await awaitLogins(() => Promise.resolve(seen[Math.min(count++, seen.length - 1)] ?? quiet), 1000);
  return count;
}

describe("logins before a cut", () => {
  it("are over when two looks in a row find nobody in one", async () => {
    expect(await looks(quiet)).toBe(2);
  });

  it.each<[string, LoginLook]>([
    ["somebody logs in at the pooler", { ...quiet, loggingIn: 1 }],
    ["a router took one that is not at the pooler yet", { ...quiet, taken: 9 }],
  ])("are waited for while %s, also where one look did not show it", async (_what, busy) => {
    expect(await looks(busy, quiet)).toBe(3);
    expect(await looks(quiet, busy, quiet)).toBe(4);
  });

  it("are watched for as long as something may be on its way", async () => {
    const began = performance.now();
    await looks({ ...quiet, settleMs: 30 });
    expect(performance.now() - began).toBeGreaterThanOrEqual(30);
  });

  it("do not hold up a switchover for longer than they may", async () => {
    const began = performance.now();
    await awaitLogins(() => Promise.resolve({ ...quiet, loggingIn: 1 }), 50);
    expect(performance.now() - began).toBeLessThan(500);
  });
});

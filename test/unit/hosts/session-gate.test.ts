import { describe, expect, test } from "vitest";

import { SessionGate } from "../../../infra/hosts/session-gate.ts";

const settled = async (promise: Promise<unknown>): Promise<boolean> => {
  const pending = Symbol("pending");
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
};

describe("the session gate", () => {
  test("lets only so many in, the others in the order they came", async () => {
    const gate = new SessionGate(2);
    const leaveFirst = await gate.enter();
    await gate.enter();
    const third = gate.enter();
    const fourth = gate.enter();
    expect(await settled(third)).toBe(false);
    leaveFirst();
    await third;
    expect(await settled(fourth)).toBe(false);
  });

  test("counts a leave once", async () => {
    const gate = new SessionGate(1);
    const leave = await gate.enter();
    leave();
    leave();
    await gate.enter();
    expect(await settled(gate.enter())).toBe(false);
  });

  test("gives up a place in the queue when it is aborted", async () => {
    const gate = new SessionGate(1);
    const leave = await gate.enter();
    const controller = new AbortController();
    const waiting = gate.enter(controller.signal);
    controller.abort(new Error("stopped"));
    await expect(waiting).rejects.toThrow("stopped");
    leave();
    expect(await settled(gate.enter())).toBe(true);
  });

  test("expects no more than a host once allowed", async () => {
    const gate = new SessionGate(9);
    const leaves = await Promise.all([gate.enter(), gate.enter(), gate.enter()]);
    gate.lower();
    expect(gate.limit).toBe(2);
    leaves[0]();
    const next = gate.enter();
    expect(await settled(next)).toBe(false);
    leaves[1]();
    await next;
  });

  test("always lets one in", async () => {
    const gate = new SessionGate(3);
    await gate.enter();
    gate.lower();
    gate.lower();
    expect(gate.limit).toBe(1);
  });
});

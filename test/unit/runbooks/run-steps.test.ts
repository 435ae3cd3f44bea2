import { describe, expect, it } from "vitest";
import { ActionRefused } from "../../../infra/runbooks/execute/actions.ts";
import { runSteps } from "../../../infra/runbooks/execute/run-steps.ts";
import type { StepTools } from "../../../infra/runbooks/execute/run-steps.ts";
import type { Action, Step } from "../../../infra/runbooks/plan/step.ts";

const order = (site: string, verb: "start" | "stop" | "promote"): Action => ({ do: "order", site, verb });
const STEPS: readonly Step[] = [
  { id: "stop", title: "Stop", action: order("a", "stop"), seconds: 1, undo: [order("a", "start")] },
  { id: "proof", title: "Prove", action: { do: "prove", from: "a", to: "b" }, seconds: 1 },
  { id: "promote", title: "Promote", action: order("b", "promote"), seconds: 1, final: true },
  { id: "serve", title: "Serve", action: { do: "await-primary", site: "b" }, seconds: 1 },
  { id: "routers", title: "Routers", action: { do: "await-routers", site: "b" }, seconds: 1, mayFail: true },
];

/** Walks STEPS; `fail` by the action's text. */
async function walk(
  fail: (action: string) => Error | undefined,
  more: Partial<StepTools> = {},
  steps: readonly Step[] = STEPS,
) {
  const acted: string[] = [];
  const outcome = await runSteps(steps, {
    act: (action) => {
      const text = `${action.do}${"verb" in action ? ` ${action.verb}` : ""}${"site" in action ? ` ${action.site}` : ""}`;
      acted.push(text);
      const error = fail(text);
      return error === undefined ? Promise.resolve() : Promise.reject(error);
    },
    happened: () => Promise.resolve(undefined),
    report: () => undefined,
    stopped: () => false,
    ...more,
  });
  return { acted, outcome };
}
const on =
  (text: string, error: Error = new Error("no")) =>
  (action: string) =>
    action === text ? error : undefined;

describe("walking a plan", () => {
  it("does each step in turn and times it", async () => {
    const { acted, outcome } = await walk(() => undefined);
    expect(acted).toEqual(["order stop a", "prove", "order promote b", "await-primary b", "await-routers b"]);
    expect(outcome).toMatchObject({ result: "done", warnings: [] });
    expect(Object.keys(outcome.phases)).toEqual(["stop", "proof", "promote", "serve", "routers"]);
  });

  it("goes back when a step before the point of no return fails", async () => {
    const { acted, outcome } = await walk(on("prove"));
    expect(acted).toEqual(["order stop a", "prove", "order start a"]);
    expect(outcome).toMatchObject({ result: "aborted", why: "no" });
  });

  it("takes back the very step that failed, since it may have been done", async () => {
    expect((await walk(on("order stop a"))).acted).toEqual(["order stop a", "order start a"]);
  });

  it("goes back from a promotion that was refused", async () => {
    const { acted, outcome } = await walk(on("order promote b", new ActionRefused("no grant")));
    expect(acted.at(-1)).toBe("order start a");
    expect(outcome).toMatchObject({ result: "aborted", why: "no grant" });
  });

  it("stays where it is when nobody can tell whether the promotion happened", async () => {
    const { acted, outcome } = await walk(on("order promote b"));
    expect(acted.at(-1)).toBe("order promote b");
    expect(outcome.result).toBe("attention");
  });

  it("goes on from a promotion that happened though its answer was lost", async () => {
    const { outcome } = await walk(on("order promote b"), { happened: () => Promise.resolve(true) });
    expect(outcome.result).toBe("done");
  });

  it("goes on past what may fail, and says so", async () => {
    const { outcome } = await walk(on("await-routers b"));
    expect(outcome).toMatchObject({ result: "done", warnings: ["Routers: no"] });
  });

  it("needs attention when what must not fail does after the point of no return", async () => {
    expect((await walk(on("await-primary b"))).outcome.result).toBe("attention");
  });

  it("is aborted, and says so, when all was given back and the old primary still does not serve", async () => {
    const dead = (action: string): Error | undefined =>
      action === "prove" || action === "order start a" ? new Error(action) : undefined;
    const serving = STEPS.map((step) => (step.id === "stop" ? { ...step, undoServes: true as const } : step));
    expect((await walk(dead, {}, serving)).outcome).toMatchObject({
      result: "aborted",
      why: "prove",
      unserved: "order start a",
    });
  });

  it("needs attention when it cannot go back", async () => {
    const { outcome } = await walk((action) =>
      action === "prove" || action === "order start a" ? new Error(action) : undefined,
    );
    expect(outcome).toMatchObject({
      result: "attention",
      why: "prove; and it could not be taken back: order start a",
    });
  });

  it("goes back when the operator wants out, and no further than the promotion", async () => {
    let steps = 0;
    const early = await walk(() => undefined, { stopped: () => steps++ === 1 });
    expect(early.acted).toEqual(["order stop a", "order start a"]);
    expect(early.outcome).toMatchObject({ result: "aborted", why: "interrupted by the operator" });
    let late = false;
    const through = await walk(
      (action) => {
        late ||= action === "order promote b";
        return undefined;
      },
      { stopped: () => late },
    );
    expect(through.outcome.result).toBe("done");
  });
});

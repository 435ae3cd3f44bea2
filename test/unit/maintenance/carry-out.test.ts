import { describe, expect, it } from "vitest";
import { carryOut } from "../../../infra/maintenance/carry-out.ts";
import type { Task } from "../../../infra/maintenance/task.ts";
import { look, up } from "./looks.ts";

const { tasks } = up(look());

async function run(
  fails: (task: Task) => boolean,
  stopped: (done: readonly string[]) => boolean = () => false,
) {
  const begun: string[] = [];
  const done: string[] = [];
  const events: string[] = [];
  const end = await carryOut(tasks, {
    act: async (task) => {
      begun.push(task.id);
      await Promise.resolve();
      if (fails(task)) throw new Error("no");
      done.push(task.id);
    },
    report: ({ kind, task }) => events.push(`${kind} ${task.id}`),
    stopped: () => stopped(done),
  });
  return { begun, done, events, end };
}

describe("carrying out", () => {
  it("begins a phase when the one before has ended, on all hosts", async () => {
    const { begun, end } = await run(() => false);
    expect(begun).toEqual([
      "dal-01 note",
      "chi-02 note",
      "dal-01 proxy-stop heatwave-web",
      "dal-01 stop",
      "chi-02 stop",
    ]);
    expect(end.failed).toEqual([]);
    expect(Object.keys(end.phases)).toHaveLength(5);
  });

  it("stops nothing on a host whose note could not be written, and goes on at the others", async () => {
    const { done, events, end } = await run(({ id }) => id === "dal-01 note");
    expect(done).toEqual(["chi-02 note", "chi-02 stop"]);
    expect(events).toContain("skipped dal-01 stop");
    expect(end.failed.map(({ host }) => host)).toEqual(["dal-01", "dal-01", "dal-01"]);
  });

  it("stops no worker behind a proxy that still serves", async () => {
    const { done } = await run(({ phase }) => phase === "proxy-stop");
    expect(done).not.toContain("dal-01 stop");
  });

  it("begins no further phase when the operator wants out", async () => {
    const { done, end } = await run(
      () => false,
      (before) => before.length >= 2,
    );
    expect(done).toEqual(["dal-01 note", "chi-02 note"]);
    expect(end.failed[0]?.why).toContain("interrupted by the operator");
  });
});

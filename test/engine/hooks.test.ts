import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { describe, expect, test, vi } from "vitest";

import { EngineStack } from "../support/engine-stack.ts";
import type { RunOutcome } from "../support/engine-stack.ts";
import type { Command, EngineOptions } from "../../infra/engine/index.ts";

vi.setConfig({ testTimeout: 120_000 });

/** A stack of the scenario `hooks`, with what its hooks wrote during each run. */
class HookedStack implements AsyncDisposable {
  readonly stack: EngineStack;
  readonly #log: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(stack: EngineStack, log: string, env: NodeJS.ProcessEnv) {
    this.stack = stack;
    this.#log = log;
    this.#env = env;
  }

  static async open(): Promise<HookedStack> {
    const env: NodeJS.ProcessEnv = {};
    const stack = await EngineStack.open("hooks", { env });
    return new HookedStack(stack, join(stack.directory, "hooks.log"), env);
  }

  /** @param fails - name of the hook that shall fail. */
  async run(
    command: Command,
    step: number,
    fails = "",
    more: Partial<EngineOptions> = {},
  ): Promise<RunOutcome & { readonly calls: readonly string[] }> {
    await writeFile(this.#log, "");
    Object.assign(this.#env, { HOOK_LOG: this.#log, HOOK_FAILS: fails });
    const options = this.stack.options(command, step);
    const env = { ...options.env, ...this.#env };
    const outcome = await this.stack.run(command, step, { env, ...more });
    return {
      ...outcome,
      calls: (await readFile(this.#log, "utf8")).split("\n").filter((line) => line !== ""),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack[Symbol.asyncDispose]();
  }
}

const values = (...four: readonly unknown[]): string => JSON.stringify(four);
const thing = (shape: number, value: number, serial: number | null): readonly unknown[] => [
  shape,
  value,
  serial,
  null,
];

describe("resource hooks", () => {
  test("are called around each step with what is known then, and are recorded", async () => {
    await using hooked = await HookedStack.open();
    const made = await hooked.run("up", 1);
    expect(made.errors).toEqual([]);
    const id = String((await hooked.stack.resource("thing"))?.["id"]);
    const serial = Number(id.slice("id-".length));
    expect(made.calls.filter((line) => line.startsWith("thing"))).toEqual([
      `thing before create - ${values("-", thing(1, 1, null), "-", "-")}`,
      `thing after create ${id} ${values("-", thing(1, 1, null), "-", thing(1, 1, serial))}`,
    ]);
    // A component is complete when its outputs are; whether `thing` is by then is a race.
    expect(made.calls.filter((line) => line.startsWith("group"))).toEqual([
      expect.stringMatching(/^group after create - \["-",.*\[null,null,null,[12]?\d\]\]$/),
    ]);
    expect(await hooked.stack.resource("thing")).toMatchObject({
      resourceHooks: {
        AfterCreate: ["thing after create"],
        AfterDelete: ["thing after delete"],
        AfterUpdate: ["thing after update"],
        BeforeCreate: ["thing before create"],
        BeforeDelete: ["thing before delete"],
        BeforeUpdate: ["thing before update"],
      },
    });
    expect(JSON.parse(await hooked.stack.stateText())).toMatchObject({ version: 4, features: ["hooks"] });

    // Only hooks that ask for it are called in a preview.
    const preview = await hooked.run("preview", 2);
    expect(preview.errors).toEqual([]);
    expect(preview.calls.map((line) => line.split(" ")[0])).toEqual(["dry"]);

    const changed = await hooked.run("up", 2);
    expect(changed.calls.filter((line) => line.startsWith("thing"))).toEqual([
      `thing before update ${id} ${values(thing(1, 1, null), thing(1, 2, null), thing(1, 1, serial), "-")}`,
      `thing after update ${id} ${values(thing(1, 1, null), thing(1, 2, null), thing(1, 1, serial), thing(1, 2, serial))}`,
    ]);
  });

  test("an error before a step fails it, and nothing is touched", async () => {
    await using hooked = await HookedStack.open();
    const refused = await hooked.run("up", 1, "thing before create");
    expect(refused.errors).toEqual(['before hook "thing before create" failed: no: thing before create']);
    expect(refused.result.succeeded).toBe(false);
    expect(refused.log).not.toContain("create thing");
    expect(await hooked.stack.resource("thing")).toBeUndefined();
    await hooked.run("up", 1);

    const state = await hooked.stack.resource("thing");
    const kept = await hooked.run("up", 3, "thing before delete");
    expect(kept.errors).toEqual(['before hook "thing before delete" failed: no: thing before delete']);
    expect(kept.log).toEqual([]);
    expect(await hooked.stack.resource("thing")).toEqual(state);
    expect(await hooked.stack.latest()).not.toHaveProperty("pending_operations");

    // Without the failure it is replaced, with the recorded resource's hooks around its deletion.
    const healed = await hooked.run("up", 3);
    expect(healed.errors).toEqual([]);
    expect(healed.log.slice(0, 2)).toEqual(["delete thing", "create thing"]);
    const id = String(state?.["id"]);
    const serial = Number(id.slice("id-".length));
    expect(healed.calls.slice(0, 3)).toEqual([
      `thing before delete ${id} ${values(thing(1, 1, null), "-", thing(1, 1, serial), "-")}`,
      `thing after delete ${id} ${values(thing(1, 1, null), "-", thing(1, 1, serial), "-")}`,
      `thing before create - ${values("-", thing(3, 2, null), "-", "-")}`,
    ]);
  });

  test("an error after a step keeps what was done and starts nothing further", async () => {
    await using hooked = await HookedStack.open();
    await hooked.run("up", 1);
    // Told to ignore errors: a warning, and the run goes on.
    const ignored = await hooked.run("up", 2, "thing after update");
    expect(ignored.errors).toEqual([]);
    expect(ignored.warnings).toEqual([
      'AfterUpdate hook "thing after update" failed: no: thing after update',
    ]);

    const stopped = await hooked.run("up", 3, "thing after delete");
    expect(stopped.errors).toEqual(['after hook "thing after delete" failed: no: thing after delete']);
    expect(stopped.log).toEqual(["delete thing"]);
    expect(await hooked.stack.resource("thing")).toMatchObject({ pendingReplacement: true });
    const healed = await hooked.run("up", 3);
    expect(healed.log[0]).toBe("create thing");
    // It was deleted already: the hooks around a deletion are not called again.
    expect(healed.calls.map((line) => line.split(/ (id|-)/)[0])).toEqual([
      "thing before create",
      "thing after create",
    ]);
  });

  test("around a deletion are called while the program waits; destroy, which runs none, refuses", async () => {
    await using hooked = await HookedStack.open();
    await hooked.run("up", 1);
    const destroyed = await hooked.run("destroy", 1);
    expect(destroyed.errors).toEqual([
      "Resource has delete hooks registered, but the program is not running; add --run-program. Hooks: thing before delete, thing after delete",
    ]);
    expect(destroyed.log).toEqual([]);

    const removed = await hooked.run("up", 4);
    expect(removed.errors).toEqual([]);
    expect(removed.log).toContain("delete thing");
    expect(removed.calls.map((line) => line.split(" id-")[0])).toEqual([
      "thing before delete",
      "thing after delete",
    ]);
  });

  test("around a deletion are called by a destroy that runs the program, which changes nothing else", async () => {
    await using hooked = await HookedStack.open();
    await hooked.run("up", 1);
    // The program of another step: what it would change or make is left alone.
    const refused = await hooked.run("destroy", 2, "thing before delete", { runProgram: true });
    expect(refused.log).not.toContain("delete thing");
    expect(await hooked.stack.resource("thing")).toBeDefined();
    const destroyed = await hooked.run("destroy", 2, "", { runProgram: true });
    expect(destroyed.errors).toEqual([]);
    expect(destroyed.log).toContain("delete thing");
    expect(destroyed.log.filter((line) => !line.startsWith("delete "))).toEqual([]);
    expect(destroyed.calls.map((line) => line.split(" id-")[0])).toEqual([
      "thing before delete",
      "thing after delete",
    ]);
    expect(await hooked.stack.resource("thing")).toBeUndefined();
  });

  test("that the program has not registered refuse the deletion", async () => {
    await using hooked = await HookedStack.open();
    await hooked.run("up", 1);
    const removed = await hooked.run("up", 5);
    expect(removed.errors).toEqual(['hook "thing before delete" was not registered']);
    expect(removed.log).not.toContain("delete thing");
    expect(await hooked.stack.resource("thing")).toBeDefined();
  });
});

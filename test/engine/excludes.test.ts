import { describe, expect, test, vi } from "vitest";

import { EngineStack } from "../support/engine-stack.ts";

vi.setConfig({ testTimeout: 120_000 });

const CHI = { exclude: ["**::chi", "**::chi-*"] };

describe("exclude", () => {
  test("leaves resources, and all they need, as they are; the rest is done", async () => {
    await using stack = await EngineStack.open("sites");
    await stack.run("up", 1);
    const before = await stack.resource("chi-thing");

    const preview = await stack.run("preview", 2, CHI);
    expect(preview.errors).toEqual([]);
    expect(preview.result.changes).toEqual({ same: 4, update: 1 });

    const up = await stack.run("up", 2, CHI);
    expect(up.errors).toEqual([]);
    expect(up.log).toEqual(["update dal-thing"]);
    expect(await stack.resource("chi-thing")).toEqual(before);
    // The program has it no longer, but the excluded one still needs it.
    expect(await stack.resource("base")).toBeDefined();

    const refresh = await stack.run("refresh", 2, CHI);
    expect(refresh.errors).toEqual([]);

    const healed = await stack.run("up", 2);
    expect(healed.errors).toEqual([]);
    expect(healed.log).toEqual(["update chi-thing", "delete base"]);

    const destroyed = await stack.run("destroy", 2, CHI);
    expect(destroyed.errors).toEqual([]);
    expect(destroyed.log).toEqual(["delete dal-thing"]);
    expect(await stack.resource("chi-thing")).toBeDefined();
  });

  test("skips what does not exist yet, refuses what depends on it, and takes it along when asked", async () => {
    await using stack = await EngineStack.open("sites");
    const skipped = await stack.run("up", 3, { exclude: ["**::fra"] });
    expect(skipped.errors).toEqual([]);
    expect([...skipped.log].sort()).toEqual(["create chi-thing", "create dal-thing"]);
    expect(await stack.resource("fra")).toBeUndefined();
    expect(skipped.result.outputs).toEqual({});

    const refused = await stack.run("up", 4, { exclude: ["**::fra"] });
    expect(refused.errors).toEqual([
      expect.stringMatching(/::behind" depends on ".*::fra", which is excluded and does not exist yet/),
    ]);
    const along = await stack.run("up", 4, { exclude: ["**::fra"], excludeDependents: true });
    expect(along.errors).toEqual([]);
    expect(along.log.filter((line) => !line.startsWith("update"))).toEqual([]);
  });
});

describe("refresh", () => {
  test("goes on past what cannot be read, keeps it as it was and names it", async () => {
    await using stack = await EngineStack.open("sites");
    await stack.run("up", 1);
    const before = await stack.resource("chi-thing");
    stack.cloud.silent.add("chi-thing");
    for (const [id, thing] of stack.cloud.things) {
      if (thing["name"] === (await nameInCloud(stack, "base"))) stack.cloud.things.delete(id);
    }
    const refresh = await stack.run("refresh", 1);
    expect(refresh.result.succeeded).toBe(false);
    expect(refresh.errors).toEqual([
      expect.stringMatching(/^no answer from the cloud\n {2}kept as recorded.*\n {4}urn:.*::chi-thing$/),
    ]);
    // What is gone left the state, and so did every reference to it.
    expect(await stack.resource("base")).toBeUndefined();
    const { dependencies: _gone, ...kept } = before ?? { urn: "", type: "" };
    expect(await stack.resource("chi-thing")).toEqual(kept);
    expect((await stack.stateText()).includes("::base")).toBe(false);
  });
});

async function nameInCloud(stack: EngineStack, name: string): Promise<unknown> {
  return ((await stack.resource(name))?.["inputs"] as Record<string, unknown>)["name"];
}

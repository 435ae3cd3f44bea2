import { describe, expect, test, vi } from "vitest";

import { EngineStack } from "../support/engine-stack.ts";
import type { RunOutcome } from "../support/engine-stack.ts";
import type { Command } from "../../infra/engine/index.ts";

vi.setConfig({ testTimeout: 120_000 });

async function importing(
  stack: EngineStack,
  command: Command,
  step: number,
  id: string,
): Promise<RunOutcome> {
  const options = stack.options(command, step);
  return stack.run(command, step, { env: { ...options.env, IMPORT_ID: id } });
}

describe("import", () => {
  test("takes over what exists, changes it where the program wants it otherwise, and owns it then", async () => {
    await using stack = await EngineStack.open("importing");
    await stack.run("up", 1);
    const [id = ""] = stack.cloud.things.keys();

    const preview = await importing(stack, "preview", 3, id);
    expect(preview.errors).toEqual([]);
    expect(preview.steps).toContain("import adopted");
    expect(preview.steps).toContain("update adopted");

    const up = await importing(stack, "up", 2, id);
    expect(up.errors).toEqual([]);
    // Nothing is made, changed or (retainOnDelete) deleted.
    expect(up.log).toEqual([]);
    expect(up.steps).toContain("import adopted");
    expect(await stack.resource("adopted")).toMatchObject({
      id,
      importID: id,
      inputs: { value: 1, name: "box" },
    });
    expect(await stack.latest()).not.toHaveProperty("pending_operations");

    const again = await importing(stack, "up", 3, id);
    expect(again.log).toEqual(["update adopted"]);
    expect(again.steps).toEqual(["update adopted"]);
  });

  test("leaves alone what is imported with every difference ignored, then and later", async () => {
    await using stack = await EngineStack.open("importing");
    await stack.run("up", 1);
    const [id = ""] = stack.cloud.things.keys();

    const preview = await importing(stack, "preview", 5, id);
    expect(preview.errors).toEqual([]);
    expect(preview.steps.filter((step) => step.endsWith(" adopted"))).toEqual(["import adopted"]);

    const up = await importing(stack, "up", 5, id);
    expect(up.errors).toEqual([]);
    expect(up.log).toEqual([]);
    expect(await stack.resource("adopted")).toMatchObject({
      id,
      importID: id,
      protect: true,
      inputs: { value: 1, shape: 1, name: "box" },
    });

    const again = await importing(stack, "preview", 5, id);
    expect(again.errors).toEqual([]);
    expect(again.steps).toEqual([]);
    expect(stack.cloud.things.has(id)).toBe(true);
  });

  test("takes what has another id by now in the place of the one before, protected as that is", async () => {
    await using stack = await EngineStack.open("importing");
    await stack.run("up", 1);
    const [id = ""] = stack.cloud.things.keys();
    await importing(stack, "up", 5, id);
    stack.cloud.things.set("made-anew", { ...stack.cloud.things.get(id) });

    const up = await importing(stack, "up", 5, "made-anew");
    expect(up.errors).toEqual([]);
    expect(await stack.resource("adopted")).toMatchObject({
      id: "made-anew",
      importID: "made-anew",
      protect: true,
    });
    const again = await importing(stack, "preview", 5, "made-anew");
    expect(again).toMatchObject({ errors: [], steps: [] });
  });

  test("refuses what does not exist and what would have to be replaced", async () => {
    await using stack = await EngineStack.open("importing");
    await stack.run("up", 1);
    const [id = ""] = stack.cloud.things.keys();
    const missing = await importing(stack, "up", 2, "id-77");
    expect(missing.errors).toEqual(["resource 'id-77' does not exist"]);
    expect(await stack.resource("adopted")).toBeUndefined();

    const replaced = await importing(stack, "up", 4, id);
    expect(replaced.errors).toEqual([expect.stringMatching(/^previously-imported resources.*\nshape$/)]);
    expect(replaced.log).toEqual([]);
    expect(stack.cloud.things.has(id)).toBe(true);
  });
});

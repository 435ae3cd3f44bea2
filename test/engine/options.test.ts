import { describe, expect, test, vi } from "vitest";

import { EngineStack, nameOf } from "../support/engine-stack.ts";
import type { RunOutcome } from "../support/engine-stack.ts";

vi.setConfig({ testTimeout: 120_000 });

/** What each replacement of a run takes the place of. */
const replacedIn = ({ events }: RunOutcome): readonly unknown[] =>
  events.flatMap((event) =>
    event.kind === "step" && event.step.operation === "replace" ? [event.step.before] : [],
  );

describe("replacing", () => {
  test("delete-before-replace takes dependents that must be replaced with it, in reverse order", async () => {
    await using stack = await EngineStack.open("replace");
    await stack.run("up", 1);

    const preview = await stack.run("preview", 2);
    expect(preview.errors).toEqual([]);
    expect(preview.result.changes).toEqual({ same: 1, replace: 3, update: 1 });
    // As the CLI shows them: the old ones wait, deleted, for what takes their place.
    expect(replacedIn(preview)).toMatchObject([
      { pendingReplacement: true },
      { pendingReplacement: true },
      { pendingReplacement: true },
    ]);

    const up = await stack.run("up", 2);
    expect(up.errors).toEqual([]);
    const [deletedFirst, deletedSecond, deletedThird, made, ...rest] = up.log;
    expect([deletedFirst, deletedSecond, deletedThird, made]).toEqual([
      "delete grandchild",
      "delete dependent",
      "delete root",
      "create root",
    ]);
    expect([...rest].sort()).toEqual(["create dependent", "create grandchild", "update reader"]);
    expect(rest.indexOf("create dependent")).toBeLessThan(rest.indexOf("create grandchild"));
    expect((await stack.resources()).filter((one) => "delete" in one || "pendingReplacement" in one)).toEqual(
      [],
    );
    expect((await stack.run("preview", 2)).result.changes).toEqual({ same: 5 });
  });

  test("otherwise the new one is made first, dependents follow, and the old one goes last", async () => {
    await using stack = await EngineStack.open("createFirst");
    await stack.run("up", 1);
    const oldName = ((await stack.resource("root"))?.["inputs"] as Record<string, unknown>)["name"];
    const up = await stack.run("up", 2);
    expect(up.log).toEqual(["create root", "update reader", "delete root"]);
    expect(up.result.changes).toEqual({ same: 1, replace: 1, update: 1 });
    const newName = ((await stack.resource("root"))?.["inputs"] as Record<string, unknown>)["name"];
    expect(newName).toMatch(/^root-/);
    expect(newName).not.toBe(oldName);
  });

  test("a preview shows what depends on a replaced resource as unknown", async () => {
    await using stack = await EngineStack.open("createFirst");
    await stack.run("up", 1);
    const preview = await stack.run("preview", 2);
    const reader = preview.events.find(
      (event) =>
        event.kind === "step" && event.step.operation === "update" && nameOf(event.step.urn) === "reader",
    );
    expect(replacedIn(preview)).toMatchObject([{ delete: true, pendingReplacement: false }]);
    expect(reader?.kind === "step" && Object.keys(reader.step.detailedDiff ?? {})).toEqual(["value"]);
    expect(preview.log).toEqual([]);
  });

  test("when the new one cannot be made, the next run makes it without deleting again", async () => {
    await using stack = await EngineStack.open("replaceFails");
    await stack.run("up", 1);
    const failed = await stack.run("up", 2);
    expect(failed.result.succeeded).toBe(false);
    expect(failed.errors).toEqual(["the cloud is full"]);
    expect(failed.log).toEqual(["delete root", "create root"]);
    expect(await stack.resource("root")).toMatchObject({ pendingReplacement: true });
    const healed = await stack.run("up", 3);
    expect(healed.log).toEqual(["create root"]);
    expect(healed.result.succeeded).toBe(true);
    expect(await stack.resource("root")).not.toHaveProperty("pendingReplacement");
  });
});

describe("options", () => {
  test("aliases carry state over to new names, also those of a parent's children", async () => {
    await using stack = await EngineStack.open("aliases");
    await stack.run("up", 1);
    const up = await stack.run("up", 2);
    expect(up.errors).toEqual([]);
    expect(up.result.changes).toEqual({ same: 4 });
    expect(up.log).toEqual([]);
    const child = await stack.resource("new-child");
    expect(child?.urn).toBe("urn:pulumi:dev::scenarios::scenarios:index:New$fake:index:Thing::new-child");
    expect(child?.["parent"]).toBe("urn:pulumi:dev::scenarios::scenarios:index:New::new");
    expect((await stack.resources()).map((one) => nameOf(one.urn)).sort()).toEqual([
      "default",
      "new",
      "new-child",
      "now",
      "scenarios-dev",
    ]);
  });

  test("protect refuses deletion, replacement and destroy; unprotecting and replacing may be one run", async () => {
    await using stack = await EngineStack.open("protect");
    await stack.run("up", 1);

    const removed = await stack.run("up", 2);
    expect(removed.result.succeeded).toBe(false);
    expect(removed.errors).toEqual([expect.stringContaining("because it is protected")]);
    // What the protected one needs stays, the rest goes on.
    expect(removed.log).toEqual(["create other"]);
    expect(await stack.resource("base")).toBeDefined();

    const replaced = await stack.run("up", 3);
    expect(replaced.result.succeeded).toBe(false);
    expect(replaced.errors).toEqual([expect.stringContaining("unable to replace resource")]);
    const preview = await stack.run("preview", 3);
    expect(preview.result.succeeded).toBe(false);
    expect(preview.result.changes["replace"]).toBe(1);

    const destroy = await stack.run("destroy");
    expect(destroy.result.succeeded).toBe(false);
    // Not even what is not protected: half a stack is no stack.
    expect(destroy.log).toEqual([]);
    expect(destroy.errors).toEqual([expect.stringContaining("because it is protected")]);
    expect(await stack.resource("other")).toBeDefined();
    expect(await stack.resource("guarded")).toMatchObject({ protect: true });

    await stack.run("up", 4);
    expect((await stack.run("destroy")).result.succeeded).toBe(true);
    expect(stack.cloud.things.size).toBe(0);
  });

  test("retainOnDelete leaves the thing where it is", async () => {
    await using stack = await EngineStack.open("retain");
    await stack.run("up", 1);
    const up = await stack.run("up", 2);
    expect(up.result.changes["delete"]).toBe(1);
    expect(up.log).toEqual([]);
    expect(stack.cloud.things.size).toBe(1);
    expect(await stack.resource("volume")).toBeUndefined();
  });

  test("deletedWith spares the call for what goes with another", async () => {
    await using stack = await EngineStack.open("deletedWith");
    await stack.run("up", 1);
    const up = await stack.run("up", 2);
    expect(up.log).toEqual(["delete host"]);
    expect(up.result.changes["delete"]).toBe(2);
  });

  test("ignoreChanges keeps, replaceOnChanges replaces, timeouts are stored in seconds", async () => {
    await using stack = await EngineStack.open("changes");
    await stack.run("up", 1);
    const up = await stack.run("up", 2);
    expect(up.errors).toEqual([]);
    expect([...up.log].sort()).toEqual(["create forced", "delete forced", "update hidden", "update timed"]);
    expect(await stack.resource("ignored")).toMatchObject({
      inputs: { value: 1, keep: { a: 1 } },
      ignoreChanges: ["value", "keep.a"],
    });
    expect(await stack.resource("forced")).toMatchObject({ replaceOnChanges: ["nested.deep[*]"] });
    expect(await stack.resource("hidden")).toMatchObject({ hideDiff: ["value"] });
    expect(await stack.resource("timed")).toMatchObject({ customTimeouts: { create: 300, update: 5400 } });
  });

  test("explicit providers reach children by inheritance; a changed configuration moves nothing", async () => {
    await using stack = await EngineStack.open("providers");
    await stack.run("up", 1);
    const provider = await stack.resource("site");
    const reference = `${String(provider?.urn)}::${String(provider?.["id"])}`;
    expect((await stack.resource("direct"))?.["provider"]).toBe(reference);
    expect((await stack.resource("inherited"))?.["provider"]).toBe(reference);
    expect((await stack.resource("default"))?.["provider"]).not.toBe(reference);

    const up = await stack.run("up", 2);
    expect(up.steps).toEqual(["update site"]);
    expect((await stack.resource("site"))?.["id"]).toBe(provider?.["id"]);
    expect(stack.cloud.configured).toContainEqual({ region: "there" });
  });

  test("a provider whose configuration is not known yet does not stop a preview", async () => {
    await using stack = await EngineStack.open("unknownProvider");
    const preview = await stack.run("preview");
    expect(preview.errors).toEqual([]);
    expect(preview.result.changes).toEqual({ create: 4 });
    expect((await stack.run("up")).errors).toEqual([]);
    expect((await stack.run("preview")).result.changes).toEqual({ same: 4 });
  });

  test("functions are called in previews too", async () => {
    await using stack = await EngineStack.open("invoke");
    const preview = await stack.run("preview");
    expect(preview.log).toEqual(['invoke "k"']);
    expect(preview.result.outputs).toEqual({ found: 'value of "k"' });
  });

  test("a function that fails is the program's to handle, as with the CLI", async () => {
    await using stack = await EngineStack.open("invokeFails");
    const handled = await stack.run("up", 1);
    expect(handled.errors).toEqual([]);
    expect(handled.result).toMatchObject({
      succeeded: true,
      outputs: {
        said: "invocation of fake:index:nothing returned an error: the package fake knows no function fake:index:nothing",
      },
    });
    const not = await stack.run("up", 2);
    expect(not.result.succeeded).toBe(false);
    expect(not.errors.join("\n")).toContain("invocation of fake:index:nothing returned an error");
  });

  test("what is only looked up is read, recorded as external and never deleted", async () => {
    await using stack = await EngineStack.open("external");
    await stack.run("up", 1);
    const up = await stack.run("up", 2);
    expect(up.errors).toEqual([]);
    expect(up.result.outputs).toEqual({ value: 1, serial: 1 });
    expect(await stack.resource("looked-up")).toMatchObject({ external: true, id: "id-1" });
    const destroy = await stack.run("destroy");
    expect(destroy.log).toEqual(["delete owned"]);
  });
});

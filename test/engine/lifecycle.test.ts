import { describe, expect, test, vi } from "vitest";

import { EngineStack, nameOf } from "../support/engine-stack.ts";
import { NOTHING } from "../support/nothing.ts";

vi.setConfig({ testTimeout: 120_000 });

describe("a program's life", () => {
  test("preview makes nothing, up makes it in order, a second up changes nothing, destroy goes backwards", async () => {
    await using stack = await EngineStack.open("basic");

    const preview = await stack.run("preview");
    expect(preview.errors).toEqual([]);
    expect(preview.result.changes).toEqual({ create: 5 });
    expect(preview.log).toEqual([]);

    const up = await stack.run("up");
    expect(up.errors).toEqual([]);
    expect(up.log).toEqual(["create pair-left", "create pair-right", "create after"]);
    expect(up.result.outputs).toEqual({ after: 3, plain: { a: [1, 2, null], b: true } });

    const again = await stack.run("up");
    expect(again.result.changes).toEqual({ same: 5 });
    expect(again.steps).toEqual([]);
    expect(again.log).toEqual([]);

    const destroy = await stack.run("destroy");
    expect(destroy.result.changes).toEqual({ delete: 5 });
    expect(destroy.log).toEqual(["delete after", "delete pair-right", "delete pair-left"]);
    expect(destroy.steps.at(-1)).toBe("delete scenarios-dev");
    expect(await stack.resources()).toEqual([]);
  });

  test("the state has the form that Pulumi writes", async () => {
    await using stack = await EngineStack.open("basic");
    await stack.run("up");

    const latest = await stack.latest();
    expect(Object.keys(latest)).toEqual(["manifest", "secrets_providers", "resources", "metadata"]);
    expect(latest["manifest"]).toMatchObject({ magic: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
    const resources = await stack.resources();
    const root = "urn:pulumi:dev::scenarios::pulumi:pulumi:Stack::scenarios-dev";
    expect(resources[0]).toMatchObject({ urn: root, custom: false, type: "pulumi:pulumi:Stack" });
    expect(resources[0]).not.toHaveProperty("parent");
    expect(resources[0]).not.toHaveProperty("id");

    const provider = await stack.resource("default");
    expect(provider).toMatchObject({
      urn: "urn:pulumi:dev::scenarios::pulumi:providers:fake::default",
      custom: true,
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      inputs: { __internal: NOTHING },
    });
    expect(provider).not.toHaveProperty("parent");

    const right = await stack.resource("pair-right");
    expect(right).toMatchObject({
      urn: "urn:pulumi:dev::scenarios::scenarios:index:Group$fake:index:Thing::pair-right",
      custom: true,
      id: "id-2",
      parent: "urn:pulumi:dev::scenarios::scenarios:index:Group::pair",
      provider: `${String(provider?.urn)}::${String(provider?.["id"])}`,
      dependencies: ["urn:pulumi:dev::scenarios::scenarios:index:Group$fake:index:Thing::pair-left"],
      propertyDependencies: {
        value: ["urn:pulumi:dev::scenarios::scenarios:index:Group$fake:index:Thing::pair-left"],
      },
      inputs: { value: 1, __defaults: ["name"] },
      outputs: { value: 1, serial: 2 },
    });
    expect(await stack.resource("pair")).toMatchObject({
      custom: false,
      inputs: { kind: "group" },
      outputs: { right: 2 },
    });

    // Every reference points at something earlier.
    const seen = new Set<string>();
    for (const resource of resources) {
      const references = [resource["parent"], ...((resource["dependencies"] ?? []) as string[])].filter(
        Boolean,
      );
      for (const reference of references) expect(seen).toContain(reference);
      seen.add(resource.urn);
    }
  });

  test("dependsOn a component waits for its children", async () => {
    await using stack = await EngineStack.open("dependsOn");
    const up = await stack.run("up");
    expect(up.log).toEqual(["create inner", "create outer"]);
    const dependencies = (await stack.resource("outer"))?.["dependencies"] as string[];
    expect(dependencies.map(nameOf)).toEqual(["inner"]);
  });

  test("no more provider calls than allowed run at once, and as many as allowed do", async () => {
    await using stack = await EngineStack.open("many");
    await stack.run("up", 1, { parallel: 3 });
    expect(stack.cloud.mostRunning).toBe(3);
  });

  test("refresh records what is real and forgets what is gone", async () => {
    await using stack = await EngineStack.open("basic");
    await stack.run("up");
    stack.cloud.things.set("id-1", { value: 42, serial: 1 });
    stack.cloud.things.delete("id-2");

    const refresh = await stack.run("refresh");
    expect(refresh.result.changes).toEqual({ same: 3, update: 1, delete: 1 });
    expect((await stack.resource("pair-left"))?.["outputs"]).toEqual({ value: 42, serial: 1 });
    expect(await stack.resource("pair-right")).toBeUndefined();

    const up = await stack.run("up");
    expect(up.log).toEqual(["update pair-left", "create pair-right"]);
  });

  test("refresh records what only reality decides, and calls it no drift", async () => {
    await using stack = await EngineStack.open("basic");
    await stack.run("up");
    const recorded = (await stack.resource("pair-left"))?.["outputs"] as object;
    stack.cloud.things.set("id-1", { ...stack.cloud.things.get("id-1"), serial: 77 });

    const refresh = await stack.run("refresh");
    expect(refresh.result.changes).toEqual({ same: 5 });
    expect((await stack.resource("pair-left"))?.["outputs"]).toEqual({ ...recorded, serial: 77 });
  });

  test("refresh shows drift as reality's change: from what is recorded to what is", async () => {
    await using stack = await EngineStack.open("basic");
    await stack.run("up");
    stack.cloud.things.set("id-1", { value: null, serial: 1 });

    const { events } = await stack.run("refresh");
    const drift = events.find((event) => event.kind === "done" && event.step.operation === "update");
    // up would put the value back in place of null; what happened is the way from 1 to null.
    expect(drift).toMatchObject({
      step: {
        before: { outputs: { value: 1 } },
        after: { outputs: { value: null } },
        changedKeys: ["value"],
        detailedDiff: { value: { kind: "update" } },
      },
    });
  });

  test("a run that was told to stop starts no further steps", async () => {
    await using stack = await EngineStack.open("basic");
    const stop = new AbortController();
    const options = stack.options("up", 1);
    const { runEngine } = await import("../../infra/engine/index.ts");
    const result = await runEngine({
      ...options,
      stop: stop.signal,
      onEvent: (event) => {
        if (event.kind === "done" && nameOf(event.step.urn) === "pair-left") stop.abort();
      },
    });
    expect(result.succeeded).toBe(false);
    expect(stack.cloud.log).toEqual(["create pair-left"]);
    expect((await stack.resource("pair-left"))?.["id"]).toBe("id-1");
    expect((await stack.run("up")).log).toEqual(["create pair-right", "create after"]);
  });
});

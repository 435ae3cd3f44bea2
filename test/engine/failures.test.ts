import { symlinkSync } from "node:fs";
import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

import { describe, expect, test, vi } from "vitest";

import { runEngine } from "../../infra/engine/index.ts";
import { EngineStack } from "../support/engine-stack.ts";

vi.setConfig({ testTimeout: 120_000 });

describe("failures", () => {
  test("a failed step lets running ones finish, starts none, and the next run completes the work", async () => {
    await using stack = await EngineStack.open("failure");
    const up = await stack.run("up", 1);
    expect(up.result.succeeded).toBe(false);
    expect(up.errors).toEqual(["the cloud is full"]);
    expect([...up.log].sort()).toEqual(["create beside", "create broken", "create first"]);
    expect(await stack.latest()).not.toHaveProperty("pending_operations");
    expect(await stack.resource("beside")).toBeDefined();
    expect(await stack.resource("broken")).toBeUndefined();
    expect(await stack.resource("below")).toBeUndefined();

    const healed = await stack.run("up", 2);
    expect(healed.result.succeeded).toBe(true);
    expect([...healed.log].sort()).toEqual(["create after-first", "create below", "create broken"]);
  });

  test("what exists although its creation failed is kept with its errors and tried again", async () => {
    await using stack = await EngineStack.open("partial");
    const up = await stack.run("up", 1);
    expect(up.result.succeeded).toBe(false);
    expect(await stack.resource("sick")).toMatchObject({
      id: "id-1",
      initErrors: ["it never became healthy"],
    });
    const healed = await stack.run("up", 2);
    expect(healed.log).toEqual(["update sick"]);
    expect(await stack.resource("sick")).not.toHaveProperty("initErrors");
  });

  test("a failed update keeps the old inputs", async () => {
    await using stack = await EngineStack.open("updateFails");
    await stack.run("up", 1);
    expect((await stack.run("up", 2)).result.succeeded).toBe(false);
    expect((await stack.resource("stiff"))?.["inputs"]).toMatchObject({ value: 1 });
    expect((await stack.run("up", 3)).log).toEqual(["update stiff"]);
  });

  test("a program that throws deletes nothing and loses no output", async () => {
    await using stack = await EngineStack.open("throws");
    await stack.run("up", 1);
    const up = await stack.run("up", 2);
    expect(up.result.succeeded).toBe(false);
    expect(up.errors).toEqual([expect.stringContaining("the program is broken")]);
    expect(up.log).toEqual([]);
    expect(up.result.outputs).toEqual({ serial: 1 });
    expect(await stack.resource("made-later")).toBeDefined();
  });

  test("a deletion that fails keeps the resource", async () => {
    await using stack = await EngineStack.open("basic");
    await stack.run("up");
    for (const id of stack.cloud.things.keys()) stack.cloud.things.delete(id);
    const text = (await stack.stateText()).replace(
      '"value":1,"name":"pair-left',
      '"value":1,"fail":"delete","name":"pair-left',
    );
    expect(text).toContain('"fail":"delete"');
    await writeFile(stack.stateFile, text);
    const destroy = await stack.run("destroy");
    expect(destroy.errors).toEqual(["the cloud holds on"]);
    expect(await stack.resource("pair-left")).toBeDefined();
    expect(await stack.resource("pair-right")).toBeUndefined();
    expect(await stack.latest()).not.toHaveProperty("pending_operations");
  });

  test("a full disk is told with the file and the fix before anything is touched, and nothing is lost", async () => {
    await using stack = await EngineStack.open("basic");
    await stack.run("up");
    const before = await stack.stateText();
    // Whatever is written to the copy that is kept before the first step meets a full disk.
    await symlink("/dev/full", `${stack.stateFile}.bak.${process.pid}.tmp`);
    await expect(stack.run("up", 2)).rejects.toThrow(
      /dev\.json\.bak cannot be written, what it held before stays: no space left on device; fix: make room \(df .*\), then run the same again/,
    );
    expect(stack.cloud.log.filter((line) => !line.startsWith("create "))).toEqual([]);
    expect(await stack.stateText()).toBe(before);
    expect((await stack.run("up", 2)).result.succeeded).toBe(true);
  });

  test("a disk that gets full in the middle of a run stops it; the next one knows what was made", async () => {
    await using stack = await EngineStack.open("basic");
    const errors: string[] = [];
    let full = false;
    const result = await runEngine({
      ...stack.options("up", 1),
      onEvent: (event) => {
        if (event.kind === "diagnostic") errors.push(event.message);
        if (full || event.kind !== "done" || event.step.operation !== "create") return;
        full = true;
        symlinkSync("/dev/full", `${stack.stateFile}.${process.pid}.tmp`);
      },
    });
    expect(full).toBe(true);
    expect(result.succeeded).toBe(false);
    expect(errors.join("\n")).toMatch(/dev\.json cannot be written.*no space left on device; fix: make room/);
    const made = stack.cloud.things.size;
    const healed = await stack.run("up", 1);
    expect(healed.result.succeeded, healed.errors.join("\n")).toBe(true);
    expect(stack.cloud.things.size).toBeGreaterThanOrEqual(made);
    expect((await stack.run("up", 1)).log).toEqual([]);
  });

  test("two resources of one URN are refused", async () => {
    await using stack = await EngineStack.open("duplicate");
    const up = await stack.run("up");
    expect(up.result.succeeded).toBe(false);
    expect(up.errors).toEqual([
      expect.stringMatching(/^Duplicate resource URN '.*::twin'; try giving it a unique name$/),
    ]);
  });

  test("a preview tells of every resource that is not valid", async () => {
    await using stack = await EngineStack.open("invalid");
    const preview = await stack.run("preview");
    expect(preview.result.succeeded).toBe(false);
    expect(preview.errors).toEqual([
      'fake:index:Thing "one" is not valid:\n  fail: must not be check',
      'fake:index:Thing "two" is not valid:\n  fail: must not be check',
    ]);
    const up = await stack.run("up");
    expect(up.result.succeeded).toBe(false);
    expect(up.log).toEqual([]);
  });

  test.each([
    ["unknownPackage", 'the embedded engine does not know the package "elsewhere"; it knows: fake'],
    ["unknownType", "the package fake knows no fake:index:Other; it knows: fake:index:Thing"],
    ["transforms", "does not support transforms"],
  ])("%s is a clear error", async (scenario, message) => {
    await using stack = await EngineStack.open(scenario);
    const preview = await stack.run("preview");
    expect(preview.result.succeeded).toBe(false);
    expect(preview.errors.join("\n")).toContain(message);
  });
});

describe("the stack's lock", () => {
  test("names who holds it and since when; a preview needs none", async () => {
    await using stack = await EngineStack.open("basic");
    const directory = join(stack.directory, ".pulumi", "locks", "organization", "scenarios", "dev");
    await mkdir(directory, { recursive: true });
    const lock = { pid: 4_194_303, username: "ada", hostname: hostname(), timestamp: "2026-11-22T05:00:00Z" };
    await writeFile(join(directory, "other.json"), JSON.stringify(lock));

    await expect(stack.run("up")).rejects.toThrow(
      /locked by 1 lock.*\n.*other\.json: created by ada@.* \(pid 4194303\) at 2026-11-22T05:00:00Z; that process has ended/,
    );
    expect((await stack.run("preview")).result.succeeded).toBe(true);
    expect(await readdir(directory)).toEqual(["other.json"]);
  });

  test("is given back, after failures too", async () => {
    await using stack = await EngineStack.open("failure");
    const directory = join(stack.directory, ".pulumi", "locks", "organization", "scenarios", "dev");
    let held: readonly string[] = [];
    const up = await stack.run("up", 1);
    expect(up.result.succeeded).toBe(false);
    held = await readdir(directory);
    expect(held).toEqual([]);
  });
});

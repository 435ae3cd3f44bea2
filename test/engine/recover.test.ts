import { writeFile } from "node:fs/promises";

import { describe, expect, test, vi } from "vitest";

import { integrityError } from "../../infra/engine/integrity.ts";
import { EngineStack, nameOf } from "../support/engine-stack.ts";
import type { StoredJson } from "../support/engine-stack.ts";

vi.setConfig({ testTimeout: 120_000 });

interface Latest {
  resources: StoredJson[];
  pending_operations?: unknown[];
}

/** Puts the state back to what it was when the run was killed: the operation noted, its result not. */
async function killedWhile(
  stack: EngineStack,
  type: string,
  name: string,
  change: (latest: Latest, resource: StoredJson) => void,
): Promise<void> {
  const file = JSON.parse(await stack.stateText()) as { checkpoint: { latest: Latest } };
  const { latest } = file.checkpoint;
  const resource = latest.resources.find((one) => nameOf(one.urn) === name);
  if (resource === undefined) throw new Error(`no resource ${name}`);
  const noted = type === "creating" ? withoutResult(resource) : resource;
  latest.pending_operations = [{ resource: noted, type }];
  change(latest, resource);
  await writeFile(stack.stateFile, JSON.stringify(file));
}

function withoutResult(resource: StoredJson): StoredJson {
  const { id: _id, outputs: _outputs, ...rest } = resource;
  return rest;
}

const forget = (latest: Latest, resource: StoredJson): void => {
  latest.resources = latest.resources.filter((one) => one !== resource);
};

describe("what a killed run left under way", () => {
  test("a creation that had happened is kept, when it is whole and ours", async () => {
    await using stack = await EngineStack.open("basic");
    await stack.run("up");
    const before = await stack.resource("after");
    await killedWhile(stack, "creating", "after", forget);

    const preview = await stack.run("preview");
    expect(preview.warnings).toEqual([
      expect.stringMatching(/killed in the middle of 1 operation.*\n.*creating/),
    ]);
    const up = await stack.run("up");
    expect(up.errors).toEqual([]);
    expect(up.log).toEqual([]);
    expect(up.warnings).toEqual([
      expect.stringContaining(`what it had made is whole and kept (id ${String(before?.["id"])})`),
    ]);
    expect((await stack.resource("after"))?.["id"]).toBe(before?.["id"]);
    expect(await stack.latest()).not.toHaveProperty("pending_operations");
  });

  test("a creation that had not happened, or is not ours, is done again", async () => {
    await using stack = await EngineStack.open("basic");
    await stack.run("up");
    await killedWhile(stack, "creating", "after", forget);
    // What bears the name is older than that run: somebody else's.
    stack.cloud.madeAt = 0;
    const up = await stack.run("up");
    expect(up.log).toEqual(["create after"]);
    expect(up.warnings).toEqual([expect.stringContaining("nothing of it is left on the host")]);
  });

  test("a deletion that had happened is not forgotten, and the thing is made again if it is wanted", async () => {
    await using stack = await EngineStack.open("basic");
    await stack.run("up");
    // Others depend on it: the state must stay sound.
    await killedWhile(stack, "deleting", "pair-left", (_latest, resource) => {
      stack.cloud.things.delete(String(resource["id"]));
    });
    const up = await stack.run("up");
    expect(up.errors).toEqual([]);
    expect(up.log[0]).toBe("create pair-left");
    expect(await stack.latest()).not.toHaveProperty("pending_operations");
  });

  test("what is on a host that does not answer stays noted, and destroy clears up first as well", async () => {
    await using stack = await EngineStack.open("basic");
    await stack.run("up");
    stack.cloud.silent.add("after");
    await killedWhile(stack, "deleting", "after", () => undefined);
    const up = await stack.run("up");
    expect(up.errors).toEqual([]);
    expect(up.warnings).toEqual([expect.stringContaining("could not be looked at, so it stays noted")]);
    expect(await stack.latest()).toHaveProperty("pending_operations");

    stack.cloud.silent.clear();
    await killedWhile(stack, "creating", "after", forget);
    const destroyed = await stack.run("destroy");
    expect(destroyed.errors).toEqual([]);
    expect(stack.cloud.things.size).toBe(0);
  });
});

describe("a state", () => {
  test("that is not sound is refused in the CLI's words, with the way back", async () => {
    await using stack = await EngineStack.open("basic");
    await stack.run("up");
    const text = await stack.stateText();
    const { checkpoint } = JSON.parse(text) as { checkpoint: { latest: Latest } };
    expect(integrityError(checkpoint.latest as never)).toBeUndefined();
    const damaged = (change: (latest: Latest) => void): string | undefined => {
      const copy = structuredClone(checkpoint.latest);
      change(copy);
      return integrityError(copy as never);
    };
    expect(damaged((latest) => latest.resources.reverse())).toMatch(/comes after it|unknown provider/);
    expect(damaged((latest) => latest.resources.push(...latest.resources.slice(-1)))).toMatch(
      /^duplicate resource .* \(not marked for deletion\)$/,
    );
    expect(damaged((latest) => latest.resources.shift())).toMatch(/refers to missing resource/);
    expect(damaged((latest) => Object.assign(latest, { manifest: { version: "v1", magic: "x" } }))).toBe(
      "magic cookie mismatch; possible tampering/corruption detected",
    );

    const broken = { ...checkpoint.latest, resources: checkpoint.latest.resources.slice(1) };
    await writeFile(stack.stateFile, JSON.stringify({ version: 3, checkpoint: { latest: broken } }));
    await expect(stack.run("preview")).rejects.toThrow(
      /snapshot integrity error: .*refers to missing resource[^]*fix: put back .*dev\.json\.bak/,
    );
  });
});

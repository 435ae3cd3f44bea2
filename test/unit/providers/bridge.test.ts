import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { autoname, checkInputs } from "../../../infra/engine/providers/bridge/check.ts";
import { diffInputs } from "../../../infra/engine/providers/bridge/diff.ts";
import {
  flag,
  integer,
  listOf,
  mapOf,
  object,
  setOf,
  text,
} from "../../../infra/engine/providers/bridge/field.ts";
import type { Fields } from "../../../infra/engine/providers/bridge/field.ts";
import {
  inputsFromOutputs,
  outputsFromInputs,
  previewOutputs,
  updatedOutputs,
} from "../../../infra/engine/providers/bridge/outputs.ts";
import { Unknown } from "../../../infra/engine/values.ts";
import type { ValueMap } from "../../../infra/engine/values.ts";

const FIELDS: Fields = {
  name: text({ replace: true }),
  size: integer({ minimum: 0, blank: 0 }),
  mode: text({ default: "auto", pattern: /^(auto|manual)$/ }),
  quiet: flag({ blank: false }),
  words: setOf(text(), { replace: true, blank: [] }),
  steps: listOf(text(), { replace: true, blank: [] }),
  labels: mapOf(text()),
  limits: setOf(object({ name: text({ required: true }), most: integer({ blank: 0 }) }), { blank: [] }),
  check: object(
    { every: text({ default: "0s" }), retries: integer({ blank: 0 }) },
    { replace: true, computed: true, elementReplaces: () => false },
  ),
  address: text({ computed: true }),
  build: text({ refused: "build it elsewhere" }),
  id2: text({ outputOnly: true }),
};
const URN = "urn:pulumi:test::project::pkg:index:Thing::thing";

function check(news: ValueMap, olds?: ValueMap) {
  return checkInputs({ urn: URN, type: "pkg:Thing", fields: FIELDS, nameProperty: "name", olds, news });
}

function diff(oldInputs: ValueMap, news: ValueMap, outputs: ValueMap = {}) {
  const oldOutputs = { ...outputsFromInputs(FIELDS, oldInputs), ...outputs };
  return diffInputs({ fields: FIELDS, oldInputs, oldOutputs, news });
}

describe("check", () => {
  test("fills in defaults at every depth and names them", () => {
    const { inputs, failures } = check({ name: "n", check: { retries: 2 }, limits: [{ name: "a" }] });
    expect(failures).toEqual([]);
    expect(inputs).toEqual({
      __defaults: ["mode"],
      name: "n",
      mode: "auto",
      check: { every: "0s", retries: 2, __defaults: ["every"] },
      limits: [{ name: "a", __defaults: [] }],
    });
  });

  test("generates a name once and keeps it while the resource lives", () => {
    const first = check({}).inputs;
    expect(first["name"]).toMatch(/^thing-[0-9a-f]{7}$/);
    expect(first["__defaults"]).toEqual(["mode", "name"]);
    expect(check({}, first).inputs).toEqual(first);
    expect(check({}).inputs["name"]).not.toBe(first["name"]);
  });

  test("does not keep a name that somebody wrote", () => {
    const { inputs } = check({}, { name: "written", __defaults: ["mode"] });
    expect(inputs["name"]).toMatch(/^thing-[0-9a-f]{7}$/);
  });

  test("cuts generated names to 255 characters", () => {
    expect(autoname(`a::${"x".repeat(300)}`)).toHaveLength(255);
  });

  test.each<[ValueMap, string, RegExp]>([
    [{ nam: "x" }, "nam", /did you mean name\?/],
    [{ id2: "x" }, "id2", /is no input/],
    [{ size: "3" }, "size", /is "3"; write a whole number from 0/],
    [{ size: -1 }, "size", /is -1/],
    [{ size: 1.5 }, "size", /is 1.5/],
    [{ mode: "fast" }, "mode", /\^\(auto\|manual\)\$/],
    [{ quiet: 1 }, "quiet", /true or false/],
    [{ words: "a" }, "words", /an array/],
    [{ labels: ["a"] }, "labels", /an object/],
    [{ limits: [{ most: 1 }] }, "limits[0].name", /is required/],
    [{ limits: [{ name: "a", least: 1 }] }, "limits[0].least", /is no input/],
    [{ labels: { "a b": 1 } }, 'labels["a b"]', /a string/],
    [{ build: "." }, "build", /build it elsewhere/],
  ])("refuses %j at %s", (news, property, reason) => {
    const { failures } = check({ name: "n", ...news });
    expect(failures).toEqual([{ property, reason: expect.stringMatching(reason) as string }]);
  });

  test("takes what is not known yet, and null for nothing", () => {
    expect(check({ name: Unknown.instance, size: Unknown.instance, mode: null }).failures).toEqual([]);
  });
});

describe("diff", () => {
  test("sees nothing where nothing changed, whatever was written", () => {
    const anything = fc.record(
      {
        name: fc.string({ minLength: 1 }),
        size: fc.nat(),
        quiet: fc.boolean(),
        words: fc.array(fc.string()),
        steps: fc.array(fc.string()),
        labels: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.string()),
        limits: fc.array(fc.record({ name: fc.string(), most: fc.nat() })),
      },
      { requiredKeys: ["name"] },
    );
    fc.assert(
      fc.property(anything, (news) => {
        const { inputs } = check(news);
        expect(diff(inputs, inputs)).toEqual({ changes: false, replaces: [], detailed: {} });
      }),
    );
  });

  test("compares sets without order", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string(), { minLength: 1 }), fc.nat(), (words, turn) => {
        const turned = words.map((_, index) => words[(index + turn) % words.length] ?? "");
        expect(diff({ words }, { words: turned }).changes).toBe(false);
      }),
    );
  });

  test("names what came and went in a set by its place", () => {
    const { detailed, replaces } = diff({ words: ["a", "b", "c"] }, { words: ["c", "a", "d", "e"] });
    expect(replaces).toEqual(["words"]);
    expect(Object.keys(detailed)).toEqual(["words[1]", "words[2]", "words[3]"]);
    expect(Object.values(detailed).map(({ kind }) => kind)).toEqual([
      "delete-replace",
      "add-replace",
      "add-replace",
    ]);
  });

  test.each<[string, ValueMap, ValueMap, Record<string, string>]>([
    ["a scalar", { size: 1 }, { size: 2 }, { size: "update" }],
    ["a scalar that becomes zero", { size: 1 }, {}, { size: "delete" }],
    ["a default taken back", { mode: "manual" }, { mode: "auto" }, { mode: "update" }],
    ["a list's element", { steps: ["a", "b"] }, { steps: ["a", "c"] }, { "steps[1]": "update-replace" }],
    ["a list that begins", {}, { steps: ["a"] }, { steps: "add-replace" }],
    ["a set of one", { words: ["a"] }, { words: ["b"] }, { words: "update-replace" }],
    [
      "a single object",
      { limits: [{ name: "a" }] },
      { limits: [{ name: "b" }] },
      { "limits[0].name": "update" },
    ],
    [
      "a map's keys",
      { labels: { a: "1", b: "2" } },
      { labels: { a: "3", c: "4" } },
      { "labels.a": "update", "labels.b": "delete", "labels.c": "add" },
    ],
    ["a map that ends", { labels: { "a-b": "1" } }, {}, { 'labels["a-b"]': "delete" }],
    ["a map that begins", {}, { labels: { a: "1" } }, { labels: "add" }],
  ])("says what became of %s", (_what, olds, news, kinds) => {
    const { detailed } = diff(olds, news);
    expect(Object.fromEntries(Object.entries(detailed).map(([path, { kind }]) => [path, kind]))).toEqual(
      kinds,
    );
  });

  test("lets the daemon keep what it chose", () => {
    expect(diff({}, {}, { address: "10.0.0.1" }).changes).toBe(false);
    expect(diff({ address: "a" }, { address: "b" }).changes).toBe(true);
  });

  test("sees that reality has drifted from the inputs", () => {
    expect(diff({ size: 1 }, { size: 1 }, { size: 5 }).detailed).toEqual({
      size: { kind: "update", inputDiff: false },
    });
  });

  test("replaces for a block that comes or goes, not for a change inside it", () => {
    expect(diff({}, { check: { retries: 1 } }).replaces).toEqual(["check"]);
    const inside = diff({ check: { retries: 1 } }, { check: { retries: 2 } });
    expect(inside.replaces).toEqual([]);
    expect(inside.detailed).toEqual({ "check.retries": { kind: "update", inputDiff: false } });
  });

  test("counts a change inside such a block as replacing once something else replaces", () => {
    const both = diff({ name: "a", check: { retries: 1 } }, { name: "b", check: { retries: 2 } });
    expect(both.detailed["check.retries"]?.kind).toBe("update-replace");
    expect(both.replaces).toEqual(["name", "check"]);
  });

  test("takes the unknown for a change", () => {
    const { detailed } = diff(
      { size: 1, words: ["a"] },
      { size: Unknown.instance, words: ["a", Unknown.instance] },
    );
    expect(detailed["size"]?.kind).toBe("update");
    expect(detailed["words[1]"]?.kind).toBe("add-replace");
  });
});

describe("outputs", () => {
  test("name every property, also inside objects", () => {
    expect(outputsFromInputs(FIELDS, { limits: [{ name: "a", __defaults: [] }] })).toMatchObject({
      name: null,
      size: 0,
      quiet: false,
      words: [],
      labels: null,
      limits: [{ name: "a", most: 0 }],
    });
  });

  test("of a preview leave open what only the daemon knows", () => {
    const preview = previewOutputs(FIELDS, { name: "n" });
    expect(preview["address"]).toBe(Unknown.instance);
    expect(preview["id2"]).toBe(Unknown.instance);
    expect(preview["name"]).toBe("n");
  });

  test("of an update change only where the inputs do", () => {
    const old = { ...outputsFromInputs(FIELDS, { size: 1, words: ["b", "a"] }), address: "10.0.0.1" };
    const updated = updatedOutputs(FIELDS, old, { size: 2, words: ["a", "b"] });
    expect(updated).toEqual({ ...old, size: 2 });
  });
});

describe("inputs after a read", () => {
  test("stay as written where reality agrees", () => {
    const inputs = { words: ["b", "a"], limits: [{ name: "x", __defaults: [] }], __defaults: ["mode"] };
    const outputs = outputsFromInputs(FIELDS, { words: ["a", "b"], limits: [{ name: "x", most: 0 }] });
    expect(inputsFromOutputs(FIELDS, inputs, outputs)).toEqual(inputs);
  });

  test("follow reality where it differs", () => {
    const inputs = { size: 1, steps: ["a", "b"], __defaults: [] };
    const outputs = outputsFromInputs(FIELDS, { size: 2, steps: ["a", "c"] });
    expect(inputsFromOutputs(FIELDS, inputs, outputs)).toEqual({
      size: 2,
      steps: ["a", "c"],
      __defaults: [],
    });
  });

  test("name as defaults only what reality left as it was: another value is no default to keep", () => {
    const check = { every: "0s", retries: 2, __defaults: ["every"] };
    const inputs = { mode: "auto", check, __defaults: ["mode", "name"] };
    const outputs = outputsFromInputs(FIELDS, { mode: "manual", check: { every: "5s", retries: 2 } });
    expect(inputsFromOutputs(FIELDS, inputs, outputs)).toEqual({
      mode: "manual",
      check: { every: "5s", retries: 2, __defaults: [] },
      __defaults: ["name"],
    });
  });

  test("of an import hold everything that is not the default", () => {
    const outputs = { ...outputsFromInputs(FIELDS, { name: "n", mode: "auto", size: 3 }), id2: "x" };
    expect(inputsFromOutputs(FIELDS, {}, outputs)).toEqual({ name: "n", size: 3, __defaults: [] });
  });
});

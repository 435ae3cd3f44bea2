import picocolors from "picocolors";
import { describe, expect, test } from "vitest";

import { diffLines } from "../../../infra/cli/engine/diff-text.ts";
import { summaryLine } from "../../../infra/cli/engine/labels.ts";
import { paintFor } from "../../../infra/cli/engine/paint.ts";
import { PreviewTree } from "../../../infra/cli/engine/preview-text.ts";
import { wrapLine } from "../../../infra/cli/engine/wrap-text.ts";
import { detailedDiff } from "../../../infra/engine/compare.ts";
import type { Operation, Step } from "../../../infra/engine/events.ts";
import { emptyResource } from "../../../infra/engine/resource.ts";
import type { Resource } from "../../../infra/engine/resource.ts";
import { Asset, Secret, Unknown } from "../../../infra/engine/values.ts";
import type { ValueMap } from "../../../infra/engine/values.ts";

const paint = picocolors.createColors(false);
const plain = { paint, showSecrets: false };
const STACK = "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev";

function resource(name: string, inputs: ValueMap, more: Partial<Resource> = {}): Resource {
  const type = more.type ?? "docker:index/container:Container";
  return {
    ...emptyResource(`urn:pulumi:dev::p::${type}::${name}`, type, true),
    inputs,
    parent: STACK,
    ...more,
  };
}

function step(
  operation: Operation,
  before: Resource | undefined,
  after: Resource | undefined,
  more: Partial<Step> = {},
): Step {
  const one = after ?? before;
  if (one === undefined) throw new Error("a step is of something");
  return {
    operation,
    urn: one.urn,
    type: one.type,
    provider: "",
    before,
    after,
    changedKeys: [],
    replaceKeys: [],
    detailedDiff: before && after ? detailedDiff(before.inputs, after.inputs) : undefined,
    hidden: false,
    part: false,
    ...more,
  };
}

const lines = (
  before: ValueMap | undefined,
  after: ValueMap,
  more: Partial<Step> = {},
  hideDiff: readonly string[] = [],
) =>
  diffLines(step("update", before && resource("a", before), resource("a", after, { hideDiff }), more), plain);

describe("property differences", () => {
  test("are one line for a plain value, with what forces a replacement marked", () => {
    expect(
      lines(
        { image: "a:1", x: true, gone: 1 },
        { image: "a:2", x: true, list: [1, "b"] },
        { replaceKeys: ["image"] },
      ),
    ).toEqual(["- gone: 1", '~ image (forces replacement): "a:1" => "a:2"', '+ list: [1, "b"]']);
  });

  test("point at the leaf that changed", () => {
    expect(lines({ ports: [{ internal: 1, ip: "x" }] }, { ports: [{ internal: 2, ip: "x" }] })).toEqual([
      "~ ports[0].internal: 1 => 2",
    ]);
  });

  test("of texts of lines show only what changed, with its surroundings", () => {
    const text = Array.from({ length: 20 }, (_, index) => `line ${String(index)}\n`);
    const changed = text.with(10, "line ten\n").join("");
    const expected = [
      "  @@ -8,7 +8,7 @@",
      "   line 7",
      "   line 8",
      "   line 9",
      "  -line 10",
      "  +line ten",
      "   line 11",
      "   line 12",
      "   line 13",
    ];
    expect(lines({ create: text.join("") }, { create: changed })).toEqual(["~ create:", ...expected]);
    expect(
      lines(
        { source: new Asset({ text: text.join("") }, "1") },
        { source: new Asset({ text: changed }, "2") },
      ),
    ).toEqual(["~ source:", ...expected]);
  });

  test("never show a secret, though they say that it changed", () => {
    const shown = lines(
      { a: new Secret("old\nx"), b: 1 },
      { a: new Secret("new\nx"), b: { c: new Secret("deep") } },
    );
    expect(shown).toEqual(["~ a: [secret] => [secret] (changed)", "~ b: 1 => {c: [secret]}"]);
    const open = diffLines(
      step("update", resource("a", { a: new Secret("x") }), resource("a", { a: new Secret("y") })),
      {
        paint,
        showSecrets: true,
      },
    );
    expect(open).toEqual(['~ a: "x" => "y"']);
  });

  test("name what is not known yet, and honour hideDiffs", () => {
    expect(lines({ a: 1, b: "x" }, { a: Unknown.instance, b: "y" }, {}, ["b"])).toEqual([
      "~ a: 1 => [unknown]",
    ]);
    // A line without a word below it would leave the reader wondering.
    expect(lines({ b: "x", c: { d: 1 } }, { b: "y", c: { d: 2, e: 3 } }, {}, ["b", "c"])).toEqual([
      "~ b, c: [diff hidden]",
    ]);
  });

  test("show drift of what the provider recorded", () => {
    const before = resource("a", { mustRun: true }, { outputs: { mustRun: false } });
    const drifted = step("update", before, resource("a", { mustRun: true }), {
      detailedDiff: { mustRun: { kind: "update", inputDiff: false } },
    });
    expect(diffLines(drifted, plain)).toEqual(["~ mustRun: false => true"]);
  });
});

describe("the tree of a preview", () => {
  test("draws what changes under its parents and leaves the rest out", () => {
    const tree = new PreviewTree();
    const stack = resource("p-dev", {}, { type: "pulumi:pulumi:Stack", custom: false, parent: "" });
    const site = resource("chi", {}, { type: "heatwave:site:Site", custom: false });
    const quiet = resource("dal", {}, { type: "heatwave:site:Site", custom: false });
    const made = resource("postgres", { image: "x" }, { parent: site.urn });
    const old = resource("pooler", { image: "a" }, { parent: site.urn });
    const anew = resource("pooler", { image: "b" }, { parent: site.urn });
    for (const one of [
      step("same", stack, stack),
      step("same", site, site),
      step("same", quiet, quiet),
      step("create", undefined, made),
      step("create-replacement", old, anew, { part: true }),
      step("replace", old, anew, { replaceKeys: ["image"], changedKeys: ["image", "labels"] }),
      step("delete", resource("volume", {}, { retainOnDelete: true }), undefined),
    ]) {
      tree.add({ kind: "done", step: one, seconds: 0 });
    }
    expect(tree.lines({ ...plain, withDiff: false })).toEqual([
      "   pulumi:pulumi:Stack p-dev",
      "   ├─ heatwave:site:Site chi",
      " + │  ├─ docker:Container postgres",
      "+- │  └─ docker:Container pooler replace: image [labels]",
      " - └─ docker:Container volume leaves the state, stays where it is (retainOnDelete)",
    ]);
    expect(tree.lines({ ...plain, withDiff: true })).toContain('   │  │      + image: "x"');
  });
});

describe("a terminal's width", () => {
  test("wraps long values under the tree's guide; a pipe gets them whole", () => {
    const tree = new PreviewTree();
    const stack = resource("p-dev", {}, { type: "pulumi:pulumi:Stack", custom: false, parent: "" });
    const long = "one two three four five six seven eight nine ten";
    const made = resource("a", { command: long });
    const last = resource("b", {}, { outputs: { mustRun: false } });
    for (const one of [
      step("same", stack, stack),
      step("create", undefined, made),
      step("update", last, last),
    ]) {
      tree.add({ kind: "done", step: one, seconds: 0 });
    }
    const whole = tree.lines({ ...plain, withDiff: true });
    expect(whole).toContain(`   │      + command: "${long}"`);
    expect(tree.lines({ ...plain, withDiff: true, columns: 50 })).toEqual([
      "   pulumi:pulumi:Stack p-dev",
      " + ├─ docker:Container a",
      '   │      + command: "one two three four five six',
      '   │          seven eight nine ten"',
      " ~ └─ docker:Container b update (it is stopped)",
    ]);
    expect(whole).toContain(" ~ └─ docker:Container b update (it is stopped)");
  });

  test("keeps colours across the break and breaks what has no space", () => {
    const { green } = picocolors.createColors(true);
    expect(wrapLine("  ", `x: ${green("y".repeat(30))}`, 30)).toEqual([
      "  x:",
      `      ${green("y".repeat(24)).replace("\u001b[39m", "\u001b[0m")}`,
      `      ${green("y".repeat(6))}`,
    ]);
  });
});

describe("the last line", () => {
  test("counts in plain words", () => {
    const summary = {
      preview: true,
      succeeded: true,
      seconds: 3.21,
      changes: { create: 2, replace: 1, same: 7 },
      failures: 0,
    };
    expect(summaryLine(summary, paint)).toBe("Resources: 2 to create, 1 to replace, 7 unchanged (3.2 s)");
    expect(summaryLine({ ...summary, preview: false, seconds: 185 }, paint)).toBe(
      "Resources: 2 created, 1 replaced, 7 unchanged (3 min 05 s)",
    );
    const failed = { ...summary, preview: false, succeeded: false, seconds: 12, failures: 2 };
    expect(summaryLine(failed, paint)).toBe("Resources: 2 created, 1 replaced, 2 failed, 7 unchanged (12 s)");
  });
});

describe("colours", () => {
  test("are for terminals, unless NO_COLOR forbids them or FORCE_COLOR asks for them", () => {
    expect(paintFor({ isTTY: true }, {}).isColorSupported).toBe(true);
    expect(paintFor({ isTTY: true }, { NO_COLOR: "1" }).isColorSupported).toBe(false);
    expect(paintFor({}, {}).isColorSupported).toBe(false);
    expect(paintFor({}, { FORCE_COLOR: "1" }).isColorSupported).toBe(true);
  });
});

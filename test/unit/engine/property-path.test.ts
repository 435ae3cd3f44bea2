import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { contains, formatPath, parsePath, resetAt } from "../../../infra/engine/property-path.ts";
import { Secret } from "../../../infra/engine/values.ts";

describe("property paths", () => {
  test("are read and written as Pulumi does", () => {
    expect(parsePath('a.b[0]["x y"].*[*]')).toEqual(["a", "b", 0, "x y", "*", "*"]);
    expect(parsePath('["a\\"b"]')).toEqual(['a"b']);
    expect(formatPath(["a", 0, "x y", 'q"'])).toBe('a[0]["x y"]["q\\""]');
  });

  test("come back from their text", () => {
    const element = fc.oneof(
      fc.nat({ max: 99 }),
      fc.string({ minLength: 1 }).filter((key) => !key.includes("\\")),
    );
    fc.assert(
      fc.property(fc.array(element, { minLength: 1, maxLength: 5 }), (path) => {
        expect(parsePath(formatPath(path))).toEqual(path);
      }),
    );
  });

  test.each(["a[", "a[x]", 'a["x', "a[-1]"])("%s is refused by name", (text) => {
    expect(() => parsePath(text)).toThrow(JSON.stringify(text));
  });

  test.each([
    ["a", "a.b[0]", true],
    ["a[*]", "a[3].x", true],
    ["*", "anything", true],
    ["a.b", "a", false],
    ["a[*]", "a", false],
    ["b", "a", false],
  ])("%s contains %s: %s", (pattern, path, expected) => {
    expect(contains(parsePath(pattern), parsePath(path))).toBe(expected);
  });
});

describe("ignoreChanges", () => {
  test("takes the old value at the path, or takes away what the old ones lack", () => {
    expect(resetAt({ a: 1 }, { a: 2, b: 3 }, "a")).toEqual({ a: 1, b: 3 });
    expect(resetAt({}, { a: 2, b: 3 }, "a")).toEqual({ b: 3 });
    expect(resetAt({ a: 1 }, { b: 3 }, "a")).toEqual({ a: 1, b: 3 });
    expect(resetAt({ a: { x: 1, y: 1 } }, { a: { x: 2, y: 2 } }, "a.x")).toEqual({ a: { x: 1, y: 2 } });
    expect(resetAt({ a: [{ x: 1 }, { x: 2 }] }, { a: [{ x: 8 }, { x: 9 }] }, "a[*].x")).toEqual({
      a: [{ x: 1 }, { x: 2 }],
    });
    expect(resetAt({ a: new Secret({ x: 1 }) }, { a: new Secret({ x: 2 }) }, "a.x")).toEqual({
      a: new Secret({ x: 1 }),
    });
  });

  test("refuses a path that only one side has a container for", () => {
    expect(() => resetAt({ a: [1] }, { a: [1, 2] }, "a[1]")).toThrow(/"a\[1\]" exists only in/);
    expect(() => resetAt({ a: [1] }, { a: [1, 2] }, "a[*]")).toThrow(/exists only in/);
    expect(() => resetAt({}, { a: { x: 1 } }, "a.x")).toThrow(/exists only in/);
  });
});

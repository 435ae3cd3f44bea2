import { describe, expect, test } from "vitest";

import { aliasUrns } from "../../../infra/engine/aliases.ts";
import { parseDuration } from "../../../infra/engine/goal.ts";
import type { AliasGoal, Goal } from "../../../infra/engine/goal.ts";
import { makeUrn, packageOf, parseReference, parseUrn } from "../../../infra/engine/urn.ts";

const PARENT = "urn:pulumi:dev::p::a:b:New::new";

function goal(aliases: readonly AliasGoal[]): Goal {
  // Only what aliases depend on.
  return { type: "x:y:Child", name: "new-child", parent: PARENT, aliases } as unknown as Goal;
}

describe("URNs", () => {
  test("leave the root stack out of the chain of types", () => {
    const root = makeUrn("dev", "p", "", "pulumi:pulumi:Stack", "p-dev");
    const component = makeUrn("dev", "p", root, "a:b:New", "new");
    expect(component).toBe(PARENT);
    expect(makeUrn("dev", "p", component, "x:y:Child", "c")).toBe("urn:pulumi:dev::p::a:b:New$x:y:Child::c");
  });

  test("are taken apart, names with colons too", () => {
    expect(parseUrn("urn:pulumi:dev::p::a:b:New$x:y:Child::c::d")).toEqual({
      stack: "dev",
      project: "p",
      qualifiedType: "a:b:New$x:y:Child",
      type: "x:y:Child",
      name: "c::d",
    });
    expect(() => parseUrn("nonsense")).toThrow(/"nonsense" is not a URN/);
    expect(parseReference(`${PARENT}::an-id`)).toEqual({ urn: PARENT, id: "an-id" });
    expect(packageOf("docker:index/container:Container")).toBe("docker");
    expect(packageOf("pulumi:providers:docker")).toBe("docker");
  });
});

describe("aliases", () => {
  test("fill in what they leave out, and may have no parent", () => {
    const same = {
      name: undefined,
      type: undefined,
      stack: undefined,
      project: undefined,
      parent: undefined,
    };
    const urns = aliasUrns(
      goal([{ ...same, name: "old" }, { ...same, parent: "" }, { urn: "urn:pulumi:s::p::t::n" }]),
      "dev",
      "p",
      undefined,
    );
    expect(urns).toEqual([
      "urn:pulumi:dev::p::a:b:New$x:y:Child::old",
      "urn:pulumi:dev::p::x:y:Child::new-child",
      "urn:pulumi:s::p::t::n",
    ]);
  });

  test("are inherited: the parent's old type and name take the place of the new ones", () => {
    const urns = aliasUrns(goal([]), "dev", "p", "urn:pulumi:dev::p::a:b:Old::old");
    expect(urns).toEqual(["urn:pulumi:dev::p::a:b:Old$x:y:Child::old-child"]);
  });
});

describe("durations", () => {
  test.each([
    ["5m", 300],
    ["1h30m", 5400],
    ["1.5s", 1.5],
    ["250ms", 0.25],
    ["0", 0],
    ["5", undefined],
    ["5 m", undefined],
    ["", undefined],
  ])("%s is %s s", (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });
});

import { describe, expect, test } from "vitest";
import type { Verbs } from "../../../infra/cli/rehearse/program.ts";
import { rehearseProgram } from "../../../infra/cli/rehearse/program.ts";

/** What the command line asks for: the verb, then its arguments, the global options first. */
async function parse(...line: readonly string[]): Promise<unknown[]> {
  const calls: unknown[][] = [];
  const verb =
    (name: string) =>
    (...given: readonly unknown[]) => {
      calls.push([name, ...given]);
      return Promise.resolve();
    };
  const names = [
    "story",
    "up",
    "preview",
    "status",
    "exec",
    "host",
    "psql",
    "migrate",
    "down",
    "prune",
  ] as const;
  const faults = ["lossy", "delay", "fill"].map((name) => [name, verb(name)] as const);
  const verbs = {
    ...Object.fromEntries(names.map((name) => [name, verb(name)] as const)),
    fault: Object.fromEntries(faults),
  } as unknown as Verbs;
  await rehearseProgram(verbs).parseAsync(["node", "bin/rehearse", ...line]);
  expect(calls).toHaveLength(1);
  return calls[0] ?? [];
}

describe("a command that runs inside", () => {
  test.each([
    [
      ["psql", "dal-01", "-c", "select 1"],
      ["psql", {}, "dal-01", ["-c", "select 1"]],
    ],
    [
      ["psql", "dal-01", "--", "-c", "select 1"],
      ["psql", {}, "dal-01", ["-c", "select 1"]],
    ],
    [
      ["psql", "-c", "select 1"],
      ["psql", {}, "write", ["-c", "select 1"]],
    ],
    [
      ["psql", "--", "-c", "select 1"],
      ["psql", {}, "write", ["-c", "select 1"]],
    ],
    [["migrate"], ["migrate", {}, undefined, { keep: false }]],
    [
      ["migrate", "chi-02", "--keep", "--world", "w"],
      ["migrate", { world: "w", keep: true }, "chi-02", { keep: true }],
    ],
    [["psql"], ["psql", {}, "write", []]],
    [
      ["exec", "ls", "-x", "--json"],
      ["exec", {}, ["ls", "-x", "--json"]],
    ],
    [
      ["exec", "--", "ls", "-x"],
      ["exec", {}, ["ls", "-x"]],
    ],
    [
      ["exec", "git", "diff", "--", "a"],
      ["exec", {}, ["git", "diff", "--", "a"]],
    ],
    [
      ["host", "dal-01", "ls", "-x"],
      ["host", {}, "dal-01", ["ls", "-x"]],
    ],
    [
      ["host", "dal-01", "--", "ls", "-x", "--", "y"],
      ["host", {}, "dal-01", ["ls", "-x", "--", "y"]],
    ],
    [
      ["host", "dal-01"],
      ["host", {}, "dal-01", []],
    ],
  ])("%j", async (line, call) => {
    expect(await parse(...line)).toEqual(call);
  });
});

describe("a fault", () => {
  test.each([
    [
      ["lossy", "a", "0.3"],
      ["lossy", expect.anything(), "a", 0.3, undefined, false],
    ],
    [
      ["delay", "a", "40"],
      ["delay", expect.anything(), "a", 40, undefined, false],
    ],
    [
      ["delay", "a", "40", "b", "--one-way"],
      ["delay", expect.anything(), "a", 40, "b", true],
    ],
    [
      ["fill", "a"],
      ["fill", expect.anything(), "a", 0],
    ],
    [
      ["fill", "a", "--leave", "64"],
      ["fill", expect.anything(), "a", 64],
    ],
  ])("%j", async (line, call) => {
    expect(await parse("fault", ...line)).toEqual(call);
  });
});

describe("global options", () => {
  test.each([
    [
      ["--world", "w", "psql", "dal-01", "-c", "x"],
      ["psql", { world: "w" }, "dal-01", ["-c", "x"]],
    ],
    [
      ["psql", "--world", "w", "dal-01", "-s", "x"],
      ["psql", { world: "w" }, "dal-01", ["-s", "x"]],
    ],
    [
      ["exec", "--world", "w", "--", "ls", "-s"],
      ["exec", { world: "w" }, ["ls", "-s"]],
    ],
    [
      ["status", "--json", "--stack", "a"],
      ["status", { json: true, stack: "a" }],
    ],
    [
      ["-y", "up", "--world", "w"],
      ["up", { yes: true, world: "w" }, { hostsOnly: false, disk: undefined }],
    ],
  ])("stand before the verb or right after it: %j", async (line, call) => {
    expect(await parse(...line)).toEqual(call);
  });

  test("go with a verb's own", async () => {
    expect(await parse("--world", "w", "preview", "--diff", "--json")).toEqual([
      "preview",
      { world: "w", diff: true, json: true },
      { diff: true },
    ]);
    expect(await parse("down", "--all", "--world", "w")).toMatchObject([
      "down",
      { world: "w" },
      { all: true },
    ]);
  });

  test("without a verb mean the story; an unknown verb is told which there are", async () => {
    expect(await parse("-y", "--world", "w")).toEqual(["story", { yes: true, world: "w" }]);
    await expect(parse("frobnicate")).rejects.toThrow(/no verb "frobnicate"/);
  });
});

import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { backendRoot } from "../../../infra/engine/backend.ts";
import {
  configOf,
  hasSecureLeaves,
  readProject,
  readStackFile,
  splitArguments,
} from "../../../infra/engine/stack-file.ts";

async function project(files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "stack-file-"));
  await mkdir(join(directory, "stacks"));
  await writeFile(join(directory, "stacks", "index.ts"), "");
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  return directory;
}

describe("Pulumi.yaml", () => {
  test("names the program, its folder and Node's arguments, and is found from below", async () => {
    const root = await project({
      "Pulumi.yaml":
        'name: p\nruntime: {name: nodejs, options: {nodeargs: "--import tsx"}}\nmain: stacks/index.ts\n',
    });
    expect(readProject(join(root, "stacks"))).toEqual({
      name: "p",
      root,
      programDirectory: join(root, "stacks"),
      entry: "index.ts",
      nodeArguments: ["--import", "tsx"],
      backendUrl: undefined,
      config: {},
    });
  });

  test("may name a folder", async () => {
    const root = await project({ "Pulumi.yaml": "name: p\nruntime: nodejs\nmain: stacks/\n" });
    expect(readProject(root)).toMatchObject({ programDirectory: join(root, "stacks/"), entry: "." });
  });

  test.each([
    ["name: p\nruntime: go\n", /runtime: "go" is not known.*allowed: nodejs/],
    ["runtime: nodejs\n", /name: expected a text/],
    ["name: p\nruntime: nodejs\nmain: gone.ts\n", /gone\.ts does not exist/],
    ["name: p\nruntime: nodejs\nstackConfigDir: x\n", /stackConfigDir: the embedded engine does not know it/],
  ])("is refused with its reason: %j", async (text, message) => {
    const root = await project({ "Pulumi.yaml": text });
    expect(() => readProject(root)).toThrow(message);
  });

  test("splits arguments at white space, quotes keep it", () => {
    expect(splitArguments("--import  tsx --title='a b' \"c d\"")).toEqual([
      "--import",
      "tsx",
      "--title=a b",
      "c d",
    ]);
  });
});

describe("the stack file", () => {
  test("gives every value as text, opens secure leaves, and makes the whole key secret", async () => {
    const root = await project({
      "Pulumi.yaml":
        "name: p\nruntime: nodejs\nconfig: {p:number: 1, p:default: {default: d}, p:only: {type: string}, p:value: {value: [v]}}\n",
      "Pulumi.dev.yaml": [
        "encryptionsalt: v1:x",
        "config:",
        "  p:number: 5432",
        "  p:yes: true",
        "  bare: b",
        "  old:config:long: l",
        "  p:secret: {secure: c1}",
        "  p:nested: {open: 1, list: [{secure: c2}]}",
      ].join("\n"),
    });
    const declared = readProject(root);
    const file = readStackFile(declared, "dev");
    expect(file.encryptionSalt).toBe("v1:x");
    expect(hasSecureLeaves(file)).toBe(true);
    expect(configOf(file, declared, (text) => `opened ${text}`)).toEqual({
      values: {
        "p:number": "5432",
        "p:default": "d",
        "p:value": '["v"]',
        "p:yes": "true",
        "p:bare": "b",
        "old:long": "l",
        "p:secret": "opened c1",
        "p:nested": '{"open":1,"list":["opened c2"]}',
      },
      secretKeys: ["p:secret", "p:nested"],
    });
  });

  test("may be missing, and may name no other secrets provider", async () => {
    const root = await project({
      "Pulumi.yaml": "name: p\nruntime: nodejs\n",
      "Pulumi.cloud.yaml": "secretsprovider: awskms://x\n",
    });
    expect(readStackFile(readProject(root), "none").config).toEqual({});
    expect(() => readStackFile(readProject(root), "cloud")).toThrow(
      /secretsprovider: "awskms:\/\/x" is not known/,
    );
  });
});

describe("the backend", () => {
  test.each([
    [undefined, "/project/.heatwave/state"],
    ["file:///var/state", "/var/state"],
    ["file://./state", "/base/state"],
    ["file:///with%20space", "/with space"],
  ])("%s is %s", (url, root) => {
    expect(backendRoot(url, "/project", "/base")).toBe(root);
  });

  test("is a folder, nothing else", () => {
    expect(() => backendRoot("https://app.example.com", "/p", "/b")).toThrow(
      /PULUMI_BACKEND_URL: .* allowed: file:\/\/DIR/,
    );
  });
});

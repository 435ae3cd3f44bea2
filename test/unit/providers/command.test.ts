import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";

import { compileGlob, selectPaths } from "../../../infra/engine/providers/command/glob.ts";
import { checkCommandInputs } from "../../../infra/engine/providers/command/inputs.ts";
import { CommandProvider } from "../../../infra/engine/providers/command/provider.ts";
import { Archive, Asset, Secret, Unknown } from "../../../infra/engine/values.ts";
import type { ValueMap } from "../../../infra/engine/values.ts";
import { callContext, make, secret } from "../../support/provider-calls.ts";

const LOCAL = "command:local:Command";
const scratch = mkdtempSync(join(tmpdir(), "hw-unit-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const provider = new CommandProvider();
const context = callContext(LOCAL, "cmd", tmpdir());
const connection = { host: "192.0.2.1", hostKey: "ssh-ed25519 AAAA" };

describe("check", () => {
  test("gives a connection its defaults and makes it secret", () => {
    const { inputs } = checkCommandInputs("command:remote:Command", { connection, create: "true" });
    expect(inputs["connection"]).toEqual(
      new Secret({ user: "root", port: 22, dialErrorLimit: 10, perDialTimeout: 15, ...connection }),
    );
  });

  test.each<[string, ValueMap, string, RegExp]>([
    [LOCAL, { create: 5 }, "create", /a string/],
    [LOCAL, { craete: "x" }, "craete", /is no input/],
    [LOCAL, { logging: "all" }, "logging", /stdoutAndStderr/],
    [LOCAL, { environment: { A: 1 } }, "environment", /an object of strings/],
    ["command:remote:Command", { create: "x" }, "connection", /is required/],
    ["command:remote:Command", { connection: { user: "x" } }, "connection.host", /is required/],
    [
      "command:remote:Command",
      { connection: { ...connection, privateKey: "k" } },
      "connection.privateKey",
      /agent/,
    ],
    [
      "command:remote:Command",
      { connection: { ...connection, password: "k" } },
      "connection.password",
      /agent/,
    ],
    ["command:remote:Command", { connection: { ...connection, proxy: {} } }, "connection.proxy", /proxy/],
    ["command:remote:CopyToRemote", { connection, remotePath: "/x" }, "source", /is required/],
    [
      "command:remote:CopyToRemote",
      { connection, remotePath: "/x", source: Unknown.instance },
      "source",
      /must be known in previews/,
    ],
    [
      "command:remote:CopyToRemote",
      { connection, remotePath: "/x", source: new Archive({ assets: {} }, "h") },
      "source",
      /must be a path/,
    ],
  ])("%s refuses %j", (type, news, property, reason) => {
    expect(checkCommandInputs(type, news).failures).toEqual([
      { property, reason: expect.stringMatching(reason) as string },
    ]);
  });

  test("names what takes the place of CopyFile", () => {
    expect(() => checkCommandInputs("command:remote:CopyFile", {})).toThrow(
      /use command.remote.CopyToRemote/,
    );
  });

  test("takes unknown values", () => {
    expect(checkCommandInputs(LOCAL, { create: Unknown.instance, stdin: secret("x") }).failures).toEqual([]);
  });
});

describe("diff", () => {
  const diff = (olds: ValueMap, news: ValueMap) => provider.diff(context, "id", olds, {}, news);

  test.each<[string, ValueMap, ValueMap, Record<string, string>]>([
    ["a command", { create: "a" }, { create: "b" }, { create: "update" }],
    [
      "one variable",
      { environment: { A: "1", B: "1" } },
      { environment: { A: "2", B: "1" } },
      { "environment.A": "update" },
    ],
    ["new triggers", {}, { triggers: ["a"] }, { triggers: "add-replace" }],
    ["no triggers", { triggers: ["a"] }, {}, { triggers: "delete-replace" }],
    // The SDK's replaceOnChanges makes this a replacement.
    ["another trigger", { triggers: ["a"] }, { triggers: ["b"] }, { "triggers[0]": "update" }],
    [
      "something in a secret",
      { connection: new Secret({ host: "a" }) },
      { connection: new Secret({ host: "b" }) },
      { connection: "update" },
    ],
    [
      "an asset of other content",
      { source: new Asset({ text: "a" }, "1") },
      { source: new Asset({ text: "b" }, "2") },
      { source: "update" },
    ],
    [
      "an asset of the same content",
      { source: new Asset({ text: "a" }, "1") },
      { source: new Asset({ path: "b" }, "1") },
      {},
    ],
  ])("%s", async (_what, olds, news, kinds) => {
    const { detailed, replaces } = await diff(olds, news);
    expect(Object.fromEntries(Object.entries(detailed).map(([path, { kind }]) => [path, kind]))).toEqual(
      kinds,
    );
    expect(replaces).toEqual(
      Object.values(kinds).some((kind) => kind.endsWith("-replace")) ? ["triggers"] : [],
    );
  });
});

describe("a local command", () => {
  test("gives what it printed, without one trailing newline, and a named id", async () => {
    const made = await make(provider, context, { create: "echo hi; echo; echo err >&2; cat", stdin: "in" });
    expect(made.outputs).toMatchObject({ stdout: "hi\n\nin", stderr: "err" });
    expect(made.id).toMatch(/^cmd[0-9a-f]{8}$/);
  });

  test("updates by update, else by create, and finds its previous output", async () => {
    const made = await make(provider, context, { create: "echo first; echo E >&2" });
    const news = { ...made.inputs, update: "echo $PULUMI_COMMAND_STDOUT $PULUMI_COMMAND_STDERR again" };
    const updated = await provider.update(context, made.id, made.inputs, made.outputs, news);
    expect(updated["stdout"]).toBe("first E again");
    const again = await provider.update(context, made.id, made.inputs, made.outputs, made.inputs);
    expect(again["stdout"]).toBe("first");
    const without = { ...news, addPreviousOutputInEnv: false };
    expect((await provider.update(context, made.id, made.inputs, made.outputs, without))["stdout"]).toBe(
      "again",
    );
  });

  test("that has nothing to run keeps what it last gave", async () => {
    const made = await make(provider, context, { create: "echo kept" });
    expect(await provider.update(context, made.id, made.inputs, made.outputs, { delete: "true" })).toEqual({
      delete: "true",
      stdout: "kept",
      stderr: "",
    });
    expect((await make(provider, context, { delete: "true" })).outputs).toMatchObject({
      stdout: "",
      stderr: "",
    });
  });

  test("runs its delete with the recorded environment", async () => {
    const file = join(mkdtempSync(join(scratch, "cmd-")), "gone");
    const made = await make(provider, context, { delete: `echo $A >${file}`, environment: { A: "bye" } });
    await provider.delete(context, made.id, made.inputs, made.outputs);
    const read = await make(provider, context, { create: `cat ${file}` });
    expect(read.outputs["stdout"]).toBe("bye");
  });

  test("starts in dir, relative to the program's folder, with its own interpreter", async () => {
    const directory = mkdtempSync(join(scratch, "cmd-"));
    writeFileSync(join(directory, "a.txt"), "content");
    const here = callContext(LOCAL, "cmd", scratch);
    const dir = directory.slice(scratch.length + 1);
    const made = await make(provider, here, { create: "a.txt", dir, interpreter: ["cat"] });
    expect(made.outputs["stdout"]).toBe("content");
    await expect(make(provider, here, { create: "true", dir: "nowhere" })).rejects.toThrow(
      /^chdir .*nowhere: no such file or directory: running "true"/,
    );
  });

  test("collects files after the run", async () => {
    const dir = mkdtempSync(join(scratch, "cmd-"));
    const made = await make(provider, context, {
      create: "mkdir sub; echo a >a.txt; echo b >sub/b.txt; echo c >sub/c.log",
      dir,
      assetPaths: ["**.txt"],
      archivePaths: ["**", "!sub/*.log"],
    });
    expect(Object.keys(made.outputs["assets"] as ValueMap)).toEqual(["a.txt", "sub/b.txt"]);
    const { assets, hash } = made.outputs["archive"] as Archive;
    expect(Object.keys(assets ?? {})).toEqual(["a.txt", "sub/b.txt"]);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
  });

  test("fails in the real package's words", async () => {
    await expect(make(provider, context, { create: "echo out; echo err >&2; exit 3" })).rejects.toThrow(
      'exit status 3: running "echo out; echo err >&2; exit 3":\nout\nerr\n',
    );
    await expect(make(provider, context, { create: "kill -9 $$" })).rejects.toThrow(
      /^signal: killed: running/,
    );
  });

  test("shows no secret in an error or a progress line", async () => {
    const loud = callContext(LOCAL, "cmd", tmpdir());
    const failing = make(provider, loud, {
      create: "echo says $PW; cat; exit 1",
      stdin: secret("stdin-secret\n"),
      environment: { PW: secret("hunter22") },
    });
    await expect(failing).rejects.toThrow(/says \[secret\]\n\[secret\]/);
    expect(loud.said.join("\n")).toBe("says [secret]\n[secret]");
  });

  test.each([
    ["stdout", ["out"]],
    ["stderr", ["err"]],
    ["none", []],
  ])("with logging %s shows %j", async (logging, said) => {
    const quiet = callContext(LOCAL, "cmd", tmpdir());
    await make(provider, quiet, { create: "echo out; echo err >&2", logging });
    expect(quiet.said).toEqual(said);
  });

  test("ends with its time limit", async () => {
    const limited = { ...context, timeoutSeconds: 0.2 };
    await expect(make(provider, limited, { create: "sleep 30" })).rejects.toThrow(
      /^not finished after 0.2 s/,
    );
  });

  test("ends when the engine is told to stop", async () => {
    const controller = new AbortController();
    const stopping = { ...context, signal: controller.signal };
    const running = make(provider, stopping, { create: "echo begun; sleep 30" });
    setTimeout(() => controller.abort(), 100);
    await expect(running).rejects.toThrow(/terminated|aborted/);
  });
});

test("local.run runs in the program's folder", async () => {
  vi.stubEnv("HW_INHERITED", "yes");
  const { signal } = new AbortController();
  const result = await provider.invoke(
    "command:local:run",
    { command: "pwd; echo $HW_INHERITED" },
    signal,
    "/",
  );
  expect(result).toMatchObject({ command: "pwd; echo $HW_INHERITED", stdout: "/\nyes", stderr: "" });
});

describe("a path pattern", () => {
  test.each([
    ["*.txt", "a.txt", true],
    ["*.txt", "sub/a.txt", false],
    ["**.txt", "sub/a.txt", true],
    ["src/**/x", "src/a/b/x", true],
    ["?.txt", "/.txt", false],
    ["[ab].txt", "b.txt", true],
    ["[!ab].txt", "b.txt", false],
    ["{a,b*}.txt", "bcd.txt", true],
    ["a+(b).txt", "a+(b).txt", true],
    ["\\*.txt", "*.txt", true],
    ["\\*.txt", "a.txt", false],
  ])("%s on %s: %s", (pattern, path, matches) => {
    expect(compileGlob(pattern).test(path)).toBe(matches);
  });

  test("is refused when a bracket or brace is open", () => {
    expect(() => compileGlob("[ab")).toThrow(/\[ without \]/);
    expect(() => compileGlob("{a,b")).toThrow(/do not match/);
  });

  test("applies in order, so that a later rule can take back", () => {
    const paths = ["a", "b", "c"];
    expect(selectPaths(paths, ["*", "!b"])).toEqual(["a", "c"]);
    expect(selectPaths(paths, ["!b", "*"])).toEqual(["a", "b", "c"]);
  });
});

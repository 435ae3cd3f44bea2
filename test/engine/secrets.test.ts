import { cp, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, test, vi } from "vitest";

import { newCrypter } from "../../infra/engine/secrets.ts";
import { Secret } from "../../infra/engine/values.ts";
import { EngineStack } from "../support/engine-stack.ts";
import { FakeCloud } from "../support/fake-package.ts";

vi.setConfig({ testTimeout: 120_000 });

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const sealed = {
  [SIGNATURE]: "1b47061264138c4ac30d75fd1eb44270",
  ciphertext: expect.stringMatching(/^v1:/) as string,
};

describe("secrets", () => {
  test.each([false, true])(
    "never stand in state in clear (provider accepts secrets: %s)",
    async (acceptSecrets) => {
      await using stack = await EngineStack.open("secrets", { cloud: new FakeCloud({ acceptSecrets }) });
      const up = await stack.run("up");
      expect(up.errors).toEqual([]);
      const text = await stack.stateText();
      for (const secret of ["hunter2", "deepest", "in-list"]) expect(text).not.toContain(secret);

      const thing = await stack.resource("thing");
      expect(thing?.["inputs"]).toMatchObject({ password: sealed, nested: { deep: sealed } });
      expect(thing?.["outputs"]).toMatchObject({
        password: sealed,
        nested: { deep: sealed },
        serial: sealed,
      });
      expect(thing?.["additionalSecretOutputs"]).toContain("serial");
      // A provider that knows no secrets gets plain values, and a list that held one is secret as a whole.
      expect((thing?.["outputs"] as Record<string, unknown>)["list"]).toEqual(
        acceptSecrets ? [sealed] : sealed,
      );
      expect(stack.cloud.received.get("thing")?.["password"]).toEqual(
        acceptSecrets ? new Secret("hunter2") : "hunter2",
      );
      expect(up.result.outputs).toEqual({ password: new Secret("hunter2"), serial: new Secret(1) });

      const again = await stack.run("up");
      expect(again.result.changes).toEqual({ same: 2 });
      expect(await stack.resource("thing")).toEqual(thing);
    },
  );

  test("an output that is declared secret later is sealed though nothing else changes", async () => {
    await using stack = await EngineStack.open("laterSecret");
    await stack.run("up", 1);
    expect((await stack.resource("thing"))?.["outputs"]).toMatchObject({ serial: 1 });
    expect((await stack.run("up", 2)).result.changes).toEqual({ same: 2 });
    expect((await stack.resource("thing"))?.["outputs"]).toMatchObject({ serial: sealed });
  });

  test("a wrong passphrase opens nothing", async () => {
    await using stack = await EngineStack.open("secrets");
    await stack.run("up");
    const options = stack.options("preview", 1);
    const env = { ...options.env, PULUMI_CONFIG_PASSPHRASE: "wrong" };
    await expect(stack.run("preview", 1, { env })).rejects.toThrow(/incorrect passphrase/);
    const { PULUMI_CONFIG_PASSPHRASE: _none, ...without } = options.env ?? {};
    await expect(stack.run("preview", 1, { env: without })).rejects.toThrow(/PULUMI_CONFIG_PASSPHRASE_FILE/);
  });
});

describe("the stack file", () => {
  const source = join(import.meta.dirname, "programs", "scenarios");

  async function projectWith(yaml: string): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), "heatwave-project-"));
    await cp(source, directory, { recursive: true });
    await symlink(join(import.meta.dirname, "..", "..", "node_modules"), join(directory, "node_modules"));
    await writeFile(join(directory, "package.json"), '{"type":"module"}');
    await writeFile(join(directory, "Pulumi.dev.yaml"), yaml);
    return directory;
  }

  test("gives the program its configuration, secrets opened and marked", async () => {
    const crypter = await newCrypter("correct horse");
    const cwd = await projectWith(
      [
        `encryptionsalt: ${crypter.salt}`,
        "config:",
        "  scenarios:plain: 5432",
        `  scenarios:password: { secure: "${crypter.encrypt("hunter2")}" }`,
        `  scenarios:nested: { open: yes, inner: [{ secure: "${crypter.encrypt("deepest")}" }] }`,
      ].join("\n"),
    );
    await using stack = await EngineStack.open("config");
    const up = await stack.run("up", 1, { cwd });
    expect(up.errors).toEqual([]);
    expect(up.result.outputs).toMatchObject({ plain: "5432", isSecret: true });
    const prelude = up.events.find((event) => event.kind === "prelude");
    expect(prelude).toMatchObject({
      config: { "scenarios:plain": "5432", "scenarios:password": "[secret]", "scenarios:nested": "[secret]" },
    });
    // The state's key is the stack file's.
    expect(await stack.latest()).toMatchObject({
      secrets_providers: { type: "passphrase", state: { salt: crypter.salt } },
    });
    await rm(cwd, { recursive: true });
  });

  test("is not decrypted in a sealed rehearsal: secure values are empty, and the state has a key of its own", async () => {
    const production = await newCrypter("production's passphrase");
    const cwd = await projectWith(
      [
        `encryptionsalt: ${production.salt}`,
        "config:",
        "  scenarios:plain: x",
        `  scenarios:password: { secure: "${production.encrypt("hunter2")}" }`,
      ].join("\n"),
    );
    await using stack = await EngineStack.open("config", {
      env: { HEATWAVE_OVERLAY: "/etc/heatwave/overlay.json" },
    });
    const up = await stack.run("up", 1, { cwd });
    expect(up.errors).toEqual([]);
    expect(up.result.outputs).toMatchObject({ isSecret: true });
    expect(JSON.stringify(up.events)).not.toContain("hunter2");
    const { state } = (await stack.latest())["secrets_providers"] as { state: { salt: string } };
    expect(state.salt).not.toBe(production.salt);
    expect((await stack.run("up", 1, { cwd })).result.changes).toEqual({ same: 1 });
    expect((await stack.latest())["secrets_providers"]).toMatchObject({ state });
    await rm(cwd, { recursive: true });
  });
});

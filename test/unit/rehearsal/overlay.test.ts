import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadStackFile } from "../../../infra/config/load.ts";
import { Overlay } from "../../../infra/config/overlay.ts";
import {
  buildOverlay,
  describeOverlay,
  generateSecret,
  generateSecrets,
} from "../../../infra/rehearsal/overlay.ts";

const PROJECT = join(import.meta.dirname, "../../..");

describe("a generated secret", () => {
  test("holds every character that careless quoting loses, and is never the same", () => {
    const secret = generateSecret();
    for (const character of `'"%$ \\#;:@/=()`.split("")) expect(secret).toContain(character);
    expect(secret).toMatch(/^[0-9a-f]{24}/);
    expect(secret).toMatch(/^[\x21-\x7e][\x20-\x7e]*[\x21-\x7e]$/);
    expect(generateSecret()).not.toBe(secret);
  });
});

describe("secrets of a stack file", () => {
  const declared = {
    superuserPassword: { secure: "v1:x" },
    roles: { app: { secure: "v1:y" }, "report-er": "plain" },
  };

  test("get a value for each key, and none of the declared ones", () => {
    const made = generateSecrets(declared);
    expect(Object.keys(made)).toEqual(["superuserPassword", "roles"]);
    expect(Object.keys(made["roles"] as object)).toEqual(["app", "report-er"]);
    expect(JSON.stringify(made)).not.toMatch(/v1:|plain/);
  });

  test("keep the values that the running cluster knows, and drop what is no longer declared", () => {
    const first = generateSecrets({ ...declared, gone: "x" });
    const second = generateSecrets({ ...declared, roles: { ...declared.roles, extra: "z" } }, first);
    expect(second["superuserPassword"]).toBe(first["superuserPassword"]);
    expect(second["roles"]).toMatchObject(first["roles"] as object);
    expect((second["roles"] as Record<string, string>)["extra"]).toBeDefined();
    expect(second).not.toHaveProperty("gone");
  });
});

describe.each(["production", "staging"])("the overlay of %s", (stack) => {
  const config = loadStackFile(PROJECT, stack);
  // 32 bytes that are no host's, in the form sshd writes them.
  const blob = Buffer.concat([
    Buffer.from("0000000b7373682d6564323535313900000020", "hex"),
    Buffer.alloc(32, 7),
  ]);
  const hostKeys = Object.fromEntries(
    Object.keys(config.hosts).map((host) => [host, `ssh-ed25519 ${blob.toString("base64")}`]),
  );
  const overlay = buildOverlay({
    world: stack,
    images: { postgres: "heatwave-rehearsal/postgres:18-0123456789ab" },
    hostKeys,
    declaredSecrets: config.secrets,
    earlier: undefined,
  });

  test("is one that the configuration takes, and then the stack is valid", () => {
    expect(Overlay.parse(overlay)).toEqual(overlay);
    const rehearsed = loadStackFile(PROJECT, stack, overlay);
    expect(rehearsed.secrets).toEqual(overlay.secrets);
    expect(rehearsed.images.postgres).toBe("heatwave-rehearsal/postgres:18-0123456789ab");
  });

  test("is described without a secret's value", () => {
    const text = describeOverlay(overlay).join("\n");
    for (const value of Object.values(overlay.secrets)) {
      for (const secret of typeof value === "string" ? [value] : Object.values(value)) {
        expect(text).not.toContain(secret.slice(0, 24));
      }
    }
    expect(text).toContain("roles.");
  });
});

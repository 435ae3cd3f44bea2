import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  fingerprint,
  masterArguments,
  masterEnvironment,
  pinnedHostKeyArguments,
  posixCommand,
  readPinnedArguments,
  sessionArguments,
  splitHostKey,
} from "../../../infra/hosts/ssh-options.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKO/0O1da+0teIUHa3ZacqgVjT+TCQUJZ5C8VosLN4MY";
const TARGET = { address: "192.0.2.7", port: 2222, user: "deploy", hostKey: KEY };

describe("the pinned host key", () => {
  test("is read back from the arguments that pin it, whatever key it is", () => {
    const base64 = fc.uint8Array({ minLength: 3 }).map((bytes) => Buffer.from(bytes).toString("base64"));
    const type = fc.constantFrom("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256");
    fc.assert(
      fc.property(type, base64, (name, key) => {
        const hostKey = `${name} ${key}`;
        expect(readPinnedArguments(pinnedHostKeyArguments(hostKey))).toEqual({
          hostKey,
          timeoutSeconds: undefined,
        });
      }),
    );
  });

  test("is read from joined options and beside a dial limit", () => {
    const [, strict = "", , users = "", , global = "", , command = ""] = pinnedHostKeyArguments(KEY);
    const joined = [`-o${strict}`, `-o${users}`, `-o${global}`, `-o${command}`, "-o", "ConnectTimeout=10"];
    expect(readPinnedArguments(joined)).toEqual({ hostKey: KEY, timeoutSeconds: 10 });
  });

  test.each([
    ["anything else", ["-i", "/root/key"]],
    ["a further option", [...pinnedHostKeyArguments(KEY), "-o", "ProxyJump=elsewhere"]],
    ["a laxer check", ["-o", "StrictHostKeyChecking=no", ...pinnedHostKeyArguments(KEY)]],
    ["another command", ["-o", "KnownHostsCommand=/bin/cat /etc/hosts"]],
    ["no key at all", ["-o", "StrictHostKeyChecking=yes"]],
    ["nothing", []],
  ])("is not read from %s", (_what, args) => {
    expect(readPinnedArguments(args)).toBeUndefined();
  });

  test("has the fingerprint that ssh-keygen prints", () => {
    const printed = execFileSync("ssh-keygen", ["-lf", "-"], { input: `${KEY}\n`, encoding: "utf8" });
    expect(fingerprint(KEY)).toBe(printed.split(" ")[1]);
  });

  test("must be a public key line", () => {
    expect(() => splitHostKey("SHA256:abc")).toThrow(/is no public key line/);
    expect(splitHostKey(`${KEY} root@host`)).toEqual(KEY.split(" "));
  });
});

describe("the arguments of the connection", () => {
  test("ignore the operator's ssh_config and keys when the host key is pinned", () => {
    const args = masterArguments(TARGET, "/tmp/x/c", 15);
    expect(args.slice(0, 2)).toEqual(["-F", "none"]);
    expect(args).toContain("IdentityFile=none");
    expect(args).toContain("HostKeyAlgorithms=ssh-ed25519");
    expect(args).toContain("ConnectTimeout=15");
    expect(args.slice(-6)).toEqual(["-p", "2222", "-l", "deploy", "--", "192.0.2.7"]);
  });

  test("put arguments that were given first, where they win, and then rely on ssh_config", () => {
    const { hostKey: _, ...target } = TARGET;
    const args = masterArguments({ ...target, extraArguments: ["-i", "key"] }, "/tmp/x/c", 0);
    expect(args.slice(0, 2)).toEqual(["-i", "key"]);
    expect(args).not.toContain("none");
    expect(args).toContain("ConnectTimeout=none");
  });

  test("never let a session dial by itself", () => {
    const args = sessionArguments(TARGET, "/tmp/x/c", ["A"]);
    expect(args).toContain("ProxyCommand=false");
    expect(args).toContain("SendEnv=A");
  });

  test("keep this process's environment from the host", () => {
    const environment = { PATH: "/bin", SSH_AUTH_SOCK: "/a", PULUMI_CONFIG_PASSPHRASE: "hunter2" };
    expect(masterEnvironment(environment)).toEqual({ PATH: "/bin", SSH_AUTH_SOCK: "/a" });
  });
});

test("a POSIX command passes any argument through a shell unchanged", () => {
  const printable = fc.string({ unit: "binary" }).filter((text) => !text.includes("\0"));
  fc.assert(
    fc.property(printable, (argument) => {
      const line = posixCommand('printf %s "$1"', argument);
      expect(execFileSync("sh", ["-c", line], { encoding: "utf8" })).toBe(argument);
    }),
    { numRuns: 40 },
  );
});

import { describe, expect, test } from "vitest";

import { parseDockerHost } from "../../../infra/hosts/docker-address.ts";
import { pinnedHostKeyArguments } from "../../../infra/hosts/ssh-options.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKO/0O1da+0teIUHa3ZacqgVjT+TCQUJZ5C8VosLN4MY";

describe("a Docker host", () => {
  test("is a unix socket", () => {
    expect(parseDockerHost("unix:///var/run/docker.sock")).toEqual({
      kind: "unix",
      path: "/var/run/docker.sock",
    });
  });

  test.each([
    ["ssh://deploy@100.64.0.1:2222", { address: "100.64.0.1", port: 2222, user: "deploy" }],
    ["ssh://deploy@100.64.0.1", { address: "100.64.0.1", port: 22, user: "deploy" }],
    ["ssh://deploy@[fd7a::1]:22", { address: "fd7a::1", port: 22, user: "deploy" }],
    ["ssh://dep%40loy@host", { address: "host", port: 22, user: "dep@loy" }],
  ])("is %s", (host, target) => {
    expect(parseDockerHost(host)).toMatchObject({ kind: "ssh", target });
  });

  test("shares the connection of the command resources when it only pins the host key", () => {
    const options = [...pinnedHostKeyArguments(KEY), "-o", "ConnectTimeout=10"];
    expect(parseDockerHost("ssh://root@192.0.2.1:22", options)).toEqual({
      kind: "ssh",
      target: { address: "192.0.2.1", port: 22, user: "root", hostKey: KEY },
      dialTimeoutSeconds: 10,
    });
  });

  test("keeps other ssh options as they are", () => {
    expect(parseDockerHost("ssh://root@192.0.2.1", ["-i", "key"])).toMatchObject({
      target: { extraArguments: ["-i", "key"] },
    });
  });

  test.each([
    ["tcp://192.0.2.1:2375", /only unix:\/\/ and ssh:\/\//],
    ["unix://docker.sock", /must be absolute/],
    ["ssh://root:secret@192.0.2.1", /a password is never used/],
    ["ssh://root@192.0.2.1/var/run/docker.sock", /a path after the address/],
    ["ssh://", /the address is missing/],
    ["ssh://[", /cannot be read/],
  ])("is not %s", (host, message) => {
    expect(() => parseDockerHost(host)).toThrow(message);
  });
});

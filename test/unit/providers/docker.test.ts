import { describe, expect, test, vi } from "vitest";

import { checkDockerConfig, readDockerConfig } from "../../../infra/engine/providers/docker/config.ts";
import { parseImageReference, sameRegistry } from "../../../infra/engine/providers/docker/image-reference.ts";
import { dockerPackage } from "../../../infra/engine/providers/docker/index.ts";
import { RegistryLogins } from "../../../infra/engine/providers/docker/registry-logins.ts";
import { packages } from "../../../infra/engine/providers/index.ts";
import { callContext, checked } from "../../support/provider-calls.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

test("every package has a name of its own", () => {
  expect(packages.map(({ name }) => name)).toEqual(expect.arrayContaining(["command", "docker"]));
  expect(new Set(packages.map(({ name }) => name)).size).toBe(packages.length);
});

describe("an image reference", () => {
  test.each([
    ["postgres", { registry: "docker.io", repository: "library/postgres" }],
    ["postgres:18", { registry: "docker.io", repository: "library/postgres", tag: "18" }],
    ["docker.io/library/postgres:18", { registry: "docker.io", repository: "library/postgres", tag: "18" }],
    ["edoburu/pgbouncer:v1", { registry: "docker.io", repository: "edoburu/pgbouncer", tag: "v1" }],
    ["localhost/x", { registry: "localhost", repository: "x" }],
    ["registry.test:5000/a/b:t", { registry: "registry.test:5000", repository: "a/b", tag: "t" }],
    [`registry.test:5000/a@${DIGEST}`, { registry: "registry.test:5000", repository: "a", digest: DIGEST }],
    [
      `postgres:18-bookworm@${DIGEST}`,
      { repository: "library/postgres", tag: "18-bookworm", digest: DIGEST },
    ],
  ])("%s", (reference, parts) => {
    expect(parseImageReference(reference)).toMatchObject(parts);
  });

  test.each(["", "a b", "postgres@sha256:12", ":18", "/x"])("is not %j", (reference) => {
    expect(() => parseImageReference(reference)).toThrow(/is no image reference/);
  });
});

describe("registry logins", () => {
  test("are found by registry however its address is written", () => {
    expect(sameRegistry("https://index.docker.io/v1/", "docker.io")).toBe(true);
    expect(sameRegistry("https://registry.test:5000", "registry.test:5000")).toBe(true);
    expect(sameRegistry("registry.test", "registry.test:5000")).toBe(false);
  });

  test("come from name and password, or from a Docker config file", () => {
    const auth = Buffer.from("me:pa:ss").toString("base64");
    const logins = new RegistryLogins([
      { address: "registry.test", username: "u", password: "p" },
      {
        address: "docker.io",
        configFileContent: JSON.stringify({ auths: { "https://index.docker.io/v1/": { auth } } }),
      },
      { address: "off.test", authDisabled: true },
    ]);
    expect(logins.for("registry.test/a:1")).toMatchObject({ username: "u", password: "p" });
    expect(logins.for("postgres:18")).toMatchObject({ username: "me", password: "pa:ss" });
    expect(logins.for("off.test/a")).toBeUndefined();
  });

  test("are refused when there is nothing to log in with", () => {
    expect(() => new RegistryLogins([{ address: "a.test" }])).toThrow(/registryAuth\[0\] needs username/);
    expect(
      () => new RegistryLogins([{ address: "a.test", configFileContent: '{"credsStore":"x"}' }]),
    ).toThrow(/credential helper/);
  });
});

describe("the provider's configuration", () => {
  test("is read from the JSON texts it travels as", () => {
    const inputs = {
      host: "ssh://a@b",
      sshOpts: '["-o","X=y"]',
      disableDockerDaemonCheck: "true",
      registryAuth: '[{"address":"a.test","authDisabled":true}]',
    };
    expect(readDockerConfig(inputs)).toEqual({
      host: "ssh://a@b",
      sshOptions: ["-o", "X=y"],
      disableDaemonCheck: true,
      registryAuth: [{ address: "a.test", authDisabled: true }],
    });
  });

  test("has the daemon of the environment, else of this machine, as its host", () => {
    vi.stubEnv("DOCKER_HOST", undefined);
    expect(checkDockerConfig({}).inputs).toEqual({ host: "unix:///var/run/docker.sock" });
    vi.stubEnv("DOCKER_HOST", "ssh://x@y");
    expect(checkDockerConfig({}).inputs).toEqual({ host: "ssh://x@y" });
  });

  test.each([
    [{ context: "work" }, "context", /Docker context/],
    [{ caMaterial: "x" }, "caMaterial", /TLS over TCP/],
    [{ hots: "x" }, "hots", /is no input/],
    [{ sshOpts: "-o x" }, "docker", /sshOpts .* must be JSON/],
    [{ sshOpts: "[1]" }, "docker", /array of strings/],
  ])("is refused: %j", (news, property, reason) => {
    const { failures } = checkDockerConfig({ host: "unix:///a", ...news });
    expect(failures).toEqual([{ property, reason: expect.stringMatching(reason) as string }]);
  });

  test("is not asked to reach the daemon when that is switched off", async () => {
    const dead = { host: "unix:///nonexistent/docker.sock" };
    const provider = await dockerPackage.configure({ ...dead, disableDockerDaemonCheck: "true" });
    await provider.close();
    await expect(dockerPackage.configure(dead)).rejects.toThrow(
      /failed to connect to any docker daemon: .* there is no such socket/,
    );
  });
});

describe("networks, volumes and images", () => {
  const site = { host: "unix:///nonexistent", disableDockerDaemonCheck: "true" };

  test.each(["docker:index/network:Network", "docker:index/volume:Volume"])(
    "%s goes first only when its name is written",
    async (type) => {
      const provider = await dockerPackage.configure(site);
      const context = callContext(type, "thing");
      const generated = await checked(provider, context, undefined, {});
      const written = await checked(provider, context, undefined, { name: "thing" });
      const driver = { driver: "other" };
      const of = async (inputs: typeof generated) =>
        provider.diff(context, "id", inputs, { ...inputs, driver: "local" }, { ...inputs, ...driver });
      expect(await of(generated)).toMatchObject({ replaces: ["driver"], deleteBeforeReplace: false });
      expect(await of(written)).toMatchObject({ replaces: ["driver"], deleteBeforeReplace: true });
    },
  );

  test("an unknown resource or function is named", async () => {
    const provider = await dockerPackage.configure(site);
    const service = callContext("docker:index/service:Service", "s");
    expect(() => provider.check(service, undefined, {})).toThrow(
      /Service is not known to the embedded engine/,
    );
    await expect(
      provider.invoke("docker:index/getPlugin:getPlugin", {}, new AbortController().signal, "/"),
    ).rejects.toThrow(/getPlugin is not known/);
  });

  test("an image's build is refused by name", async () => {
    const provider = await dockerPackage.configure(site);
    const context = callContext("docker:index/remoteImage:RemoteImage", "i");
    const { failures } = await provider.check(context, undefined, { name: "a", build: { context: "." } });
    expect(failures).toEqual([
      { property: "build", reason: expect.stringMatching(/are not built/) as string },
    ]);
  });
});

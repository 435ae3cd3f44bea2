import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";

import { portsOutput, readOutputs } from "../../../infra/engine/providers/docker/container-outputs.ts";
import { volumesRequest } from "../../../infra/engine/providers/docker/container-mounts.ts";
import { containerRequest, portsRequest } from "../../../infra/engine/providers/docker/container-request.ts";
import { CONTAINER_FIELDS, samePorts } from "../../../infra/engine/providers/docker/container-schema.ts";
import {
  formatCpus,
  formatDuration,
  parseDuration,
} from "../../../infra/engine/providers/docker/go-values.ts";
import type { Inspected } from "../../../infra/engine/providers/docker/inspected.ts";
import { DockerProvider } from "../../../infra/engine/providers/docker/provider.ts";
import { uploadArchives } from "../../../infra/engine/providers/docker/uploads.ts";
import type { ValueMap } from "../../../infra/engine/values.ts";
import { callContext, checked } from "../../support/provider-calls.ts";

const TYPE = "docker:index/container:Container";
const provider = new DockerProvider({
  host: undefined,
  sshOptions: [],
  registryAuth: [],
  disableDaemonCheck: true,
});
const context = callContext(TYPE, "box");

async function replacesOf(olds: ValueMap, news: ValueMap): Promise<readonly string[]> {
  const before = await checked(provider, context, undefined, { name: "box", image: "a", ...olds });
  const after = await checked(provider, context, before, { name: "box", image: "a", ...news });
  const outputs = await provider.previewUpdate(context, "id", before, {}, before);
  return (await provider.diff(context, "id", before, outputs, after)).replaces;
}

describe("an imported container", () => {
  // As seen with the real provider 5.2.0: `+ envs: [unknown]`, and the whole container to be replaced.
  test("is replaced unless the program says that its environment is empty", async () => {
    const before = await checked(provider, context, undefined, { name: "box", image: "a" });
    const empty = await checked(provider, context, undefined, { name: "box", image: "a", envs: [] });
    const read = { ...(await provider.previewUpdate(context, "id", before, {}, before)), envs: null };
    expect((await provider.diff(context, "id", before, read, before)).replaces).toEqual(["envs"]);
    expect((await provider.diff(context, "id", before, read, empty)).replaces).toEqual([]);
  });
});

describe("the table of a container's properties", () => {
  const require = createRequire(import.meta.url);
  const declaration = readFileSync(require.resolve("@pulumi/docker/container.d.ts"), "utf8");

  test("knows every input of the SDK and no other", () => {
    const args = declaration.slice(declaration.indexOf("interface ContainerArgs"));
    const names = [...args.matchAll(/^ {4}(\w+)\??: pulumi\.Input/gm)].map(([, name]) => name ?? "");
    const inputs = Object.entries(CONTAINER_FIELDS)
      .filter(([, field]) => field.outputOnly !== true)
      .map(([name]) => name);
    expect(names.length).toBeGreaterThan(70);
    expect(inputs.sort()).toEqual(names.sort());
  });

  test("knows every output of the SDK", () => {
    const resource = declaration.slice(0, declaration.indexOf("interface ContainerState"));
    const names = [...resource.matchAll(/^ {4}readonly (\w+): pulumi\.Output/gm)].map(
      ([, name]) => name ?? "",
    );
    expect(Object.keys(CONTAINER_FIELDS).sort()).toEqual(names.sort());
  });

  test("knows every nested property of the SDK", () => {
    const types = readFileSync(require.resolve("@pulumi/docker/types/input.d.ts"), "utf8");
    const nested: Record<string, string> = {
      mounts: "ContainerMount",
      volumes: "ContainerVolume",
      ports: "ContainerPort",
      networksAdvanced: "ContainerNetworksAdvanced",
      healthcheck: "ContainerHealthcheck",
      uploads: "ContainerUpload",
      devices: "ContainerDevice",
      deviceRequests: "ContainerDeviceRequest",
      ulimits: "ContainerUlimit",
      capabilities: "ContainerCapabilities",
      hosts: "ContainerHost",
    };
    for (const [property, type] of Object.entries(nested)) {
      const start = types.indexOf(`interface ${type} {`);
      const body = types.slice(start, types.indexOf("\n}", start));
      const names = [...body.matchAll(/^ {4}(\w+)\??: pulumi\.Input/gm)].map(([, name]) => name ?? "");
      const field = CONTAINER_FIELDS[property];
      const known = Object.keys((field?.item ?? field)?.fields ?? {});
      expect(known.sort(), property).toEqual(names.sort());
    }
  });
});

describe("replacement", () => {
  const port = (internal: number, external: number) => ({ internal, external, ip: "127.0.0.1" });

  test.each<[string, ValueMap, ValueMap, readonly string[]]>([
    ["another image", {}, { image: "b" }, ["image"]],
    ["environment in another order", { envs: ["A=1", "B=2"] }, { envs: ["B=2", "A=1"] }, []],
    ["another variable", { envs: ["A=1"] }, { envs: ["A=2"] }, ["envs"]],
    ["a restart policy", { restart: "no" }, { restart: "always" }, []],
    ["a command in another order", { command: ["a", "b"] }, { command: ["b", "a"] }, ["command"]],
    ["the first health check", {}, { healthcheck: { tests: ["CMD", "true"] } }, ["healthcheck"]],
    ["another health check", { healthcheck: { retries: 1 } }, { healthcheck: { retries: 2 } }, []],
    ["no user any more", { user: "999" }, { user: "" }, []],
    [
      "ports in another order",
      { ports: [port(1, 11), port(2, 22)] },
      { ports: [port(2, 22), port(1, 11)] },
      [],
    ],
    ["another published port", { ports: [port(1, 11)] }, { ports: [port(1, 12)] }, ["ports"]],
    ["one more mount", {}, { mounts: [{ type: "bind", source: "/a", target: "/b" }] }, ["mounts"]],
    [
      "another source of a mount, which the real provider only records",
      { mounts: [{ type: "bind", source: "/a", target: "/b" }] },
      { mounts: [{ type: "bind", source: "/c", target: "/b" }] },
      [],
    ],
    [
      "another size of a tmpfs mount",
      { mounts: [{ type: "tmpfs", target: "/b", tmpfsOptions: { sizeBytes: 1 } }] },
      { mounts: [{ type: "tmpfs", target: "/b", tmpfsOptions: { sizeBytes: 2 } }] },
      ["mounts"],
    ],
    ["a grace", {}, { destroyGraceSeconds: 5 }, []],
    ["memory", { memory: 64 }, { memory: 128 }, []],
    ["log options", { logOpts: { "max-size": "1m" } }, { logOpts: { "max-size": "2m" } }, ["logOpts"]],
  ])("%s", async (_what, olds, news, replaces) => {
    expect(await replacesOf(olds, news)).toEqual(replaces);
  });

  test("goes before the new one, and only then", async () => {
    const inputs = await checked(provider, context, undefined, { name: "box", image: "a" });
    const outputs = await provider.previewUpdate(context, "id", inputs, {}, inputs);
    const same = await provider.diff(context, "id", inputs, outputs, inputs);
    expect(same).toMatchObject({ changes: false, deleteBeforeReplace: false });
    const other = await provider.diff(context, "id", inputs, outputs, { ...inputs, image: "b" });
    expect(other.deleteBeforeReplace).toBe(true);
  });
});

describe("ports", () => {
  test("match what the daemon chose for them", () => {
    const chosen = [{ internal: 80, external: 32768, ip: "0.0.0.0", protocol: "tcp" }];
    expect(samePorts(chosen, [{ internal: 80, ip: "0.0.0.0", protocol: "tcp" }])).toBe(true);
    expect(samePorts(chosen, [{ internal: 80, ip: "0.0.0.0", protocol: "udp" }])).toBe(false);
    expect(samePorts(chosen, [])).toBe(false);
  });

  test("do not match one wish twice", () => {
    const two = [80, 80].map((internal, index) => ({
      internal,
      external: 90 + index,
      ip: "0.0.0.0",
      protocol: "tcp",
    }));
    const wish = [
      { internal: 80, external: 90, ip: "0.0.0.0", protocol: "tcp" },
      { internal: 80, external: 92, ip: "0.0.0.0", protocol: "tcp" },
    ];
    expect(samePorts(two, wish)).toBe(false);
  });

  test("become bindings and come back sorted by number", () => {
    const ports = [
      { internal: 5432, external: 5432, ip: "100.64.0.1", protocol: "tcp" },
      { internal: 53, ip: "0.0.0.0", protocol: "udp" },
    ];
    expect(portsRequest({ ports }).bindings).toEqual({
      "5432/tcp": [{ HostIp: "100.64.0.1", HostPort: "5432" }],
      "53/udp": [{ HostIp: "0.0.0.0", HostPort: "0" }],
    });
    const reported = {
      "5432/tcp": [{ HostIp: "100.64.0.1", HostPort: "5432" }],
      "53/udp": [{ HostIp: "0.0.0.0", HostPort: "32768" }],
      "80/tcp": null,
    };
    expect(portsOutput(reported)).toEqual([
      { internal: 53, external: 32768, ip: "0.0.0.0", protocol: "udp" },
      { internal: 5432, external: 5432, ip: "100.64.0.1", protocol: "tcp" },
    ]);
  });
});

describe("the create request", () => {
  test("counts memory in mebibytes and lets -1 through", () => {
    const { HostConfig: host } = containerRequest({ image: "a", memory: 64, memorySwap: -1, shmSize: 128 });
    expect(host).toMatchObject({ Memory: 67_108_864, MemorySwap: -1, ShmSize: 134_217_728 });
  });

  test("always says whether there is an init", () => {
    expect(containerRequest({ image: "a" }).HostConfig?.Init).toBe(false);
  });

  test("carries out systempaths=unconfined itself", () => {
    const { HostConfig: host } = containerRequest({
      image: "a",
      securityOpts: ["systempaths=unconfined", "no-new-privileges"],
    });
    expect(host).toMatchObject({ SecurityOpt: ["no-new-privileges"], MaskedPaths: [], ReadonlyPaths: [] });
  });

  test("prefers cpus to a quota", () => {
    const { HostConfig: host } = containerRequest({ image: "a", cpus: "0.5", cpuQuota: 1000 });
    expect(host).toMatchObject({ NanoCpus: 500_000_000 });
    expect(host).not.toHaveProperty("CpuQuota");
  });

  test("turns health check durations into nanoseconds", () => {
    const { Healthcheck: check } = containerRequest({
      image: "a",
      healthcheck: { tests: ["CMD", "true"], interval: "1m30s", timeout: "500ms", retries: 3 },
    });
    expect(check).toEqual({
      Test: ["CMD", "true"],
      Interval: 90e9,
      Timeout: 5e8,
      StartPeriod: 0,
      Retries: 3,
    });
  });

  test("sends only the options of a mount's own type", () => {
    const { HostConfig: host } = containerRequest({
      image: "a",
      mounts: [{ type: "bind", source: "/a", target: "/b", tmpfsOptions: { sizeBytes: 1 } }],
    });
    expect(host?.Mounts).toEqual([{ Type: "bind", Source: "/a", Target: "/b", ReadOnly: false }]);
  });

  test("writes volumes as binds, and refuses what names two things or none", () => {
    const volumes = [
      { volumeName: "data", containerPath: "/data" },
      { hostPath: "/srv", volumeName: "ignored", containerPath: "/srv", readOnly: true, selinuxRelabel: "Z" },
      { containerPath: "/anonymous" },
      { fromContainer: "other" },
    ];
    expect(volumesRequest({ volumes })).toEqual({
      anonymous: { "/data": {}, "/srv": {}, "/anonymous": {} },
      binds: ["data:/data:rw", "/srv:/srv:ro,Z"],
      from: ["other"],
    });
    expect(() => volumesRequest({ volumes: [{}] })).toThrow(/neither containerPath nor fromContainer/);
    expect(() => volumesRequest({ volumes: [{ containerPath: "/a", fromContainer: "b" }] })).toThrow(
      /only one/,
    );
  });
});

describe("uploads", () => {
  test.each<[ValueMap, RegExp]>([
    [{ file: "/a" }, /none of content/],
    [{ file: "/a", content: "x", contentBase64: "eA==" }, /2 of content/],
    [{ file: "/a", content: "x", owner: "postgres" }, /write the number/],
  ])("are refused: %j", async (upload, message) => {
    await expect(uploadArchives({ uploads: [upload] }, "/")).rejects.toThrow(message);
  });

  test("with an owner travel apart from those without", async () => {
    const archives = await uploadArchives(
      {
        uploads: [
          { file: "/a", content: "x" },
          { file: "/b", content: "y", owner: "999", permissions: "0600" },
        ],
      },
      "/",
    );
    expect(archives.map(({ keepOwner }) => keepOwner)).toEqual([false, true]);
  });
});

describe("what is read back", () => {
  const inspected: Inspected = {
    Id: "f".repeat(64),
    Created: "2026-11-22T05:00:00Z",
    Name: "/box",
    Image: "sha256:1",
    State: { Running: false, ExitCode: 137 },
    NetworkSettings: {},
    Config: { Image: "postgres:18" },
    HostConfig: {},
  };

  test("tells a stopped container by mustRun and its exit code", () => {
    expect(readOutputs({ mustRun: true, image: "postgres:18" }, inspected)).toMatchObject({
      mustRun: false,
      exitCode: 137,
      image: "postgres:18",
    });
  });

  test("leaves a container alone that need not run", () => {
    const ports = [{ internal: 1, external: 1, ip: "0.0.0.0", protocol: "tcp" }];
    expect(readOutputs({ mustRun: false, ports }, inspected)).toMatchObject({ mustRun: false, ports });
    expect(readOutputs({ mustRun: true, ports }, inspected)).toMatchObject({ ports: [] });
  });

  test("gives an image id to whoever pinned one", () => {
    expect(readOutputs({ image: "sha256:1" }, inspected)["image"]).toBe("sha256:1");
  });
});

describe("values as Go writes them", () => {
  test.each([
    ["0s", 0],
    ["90s", 90e9],
    ["1m30s", 90e9],
    ["1.5s", 1.5e9],
    ["250ms", 25e7],
    ["1h", 3600e9],
  ])("%s", (written, nanoseconds) => {
    expect(parseDuration(written)).toBe(nanoseconds);
  });

  test.each([
    [0, "0s"],
    [90e9, "1m30s"],
    [60e9, "1m0s"],
    [3600e9, "1h0m0s"],
    [1.5e9, "1.5s"],
    [25e7, "250ms"],
    [30e9, "30s"],
  ])("%d ns is %s", (nanoseconds, written) => {
    expect(formatDuration(nanoseconds)).toBe(written);
  });

  test("a duration is refused when it is none", () => {
    expect(() => parseDuration("5 seconds")).toThrow(/is no duration/);
  });

  test.each([
    [5e8, "0.5"],
    [1e9, "1"],
    [125e7, "1.25"],
    [10e9, "10"],
  ])("%d billionths of a CPU are %s", (nano, written) => {
    expect(formatCpus(nano)).toBe(written);
  });
});

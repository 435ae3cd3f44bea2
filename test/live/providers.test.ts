import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { dockerPackage } from "../../infra/engine/providers/docker/index.ts";
import { PartialFailure } from "../../infra/engine/providers/provider.ts";
import type { Provider } from "../../infra/engine/providers/provider.ts";
import type { ValueMap } from "../../infra/engine/values.ts";
import { DockerHost } from "../../infra/hosts/docker.ts";
import { callContext, checked, make } from "../support/provider-calls.ts";
import { DOCKER_SOCKET, IMAGE, importImage, LABELS, removeAll } from "../support/docker-fixture.ts";

/**
 * The docker package against a real daemon. Everything made carries one label and is removed after.
 */
const CONTAINER = "docker:index/container:Container";
const NETWORK = "docker:index/network:Network";
const VOLUME = "docker:index/volume:Volume";
const SLEEP: ValueMap = { image: IMAGE, command: ["sleep", "1000"], labels: LABELS };

let provider: Provider;
let daemon: DockerHost;

beforeAll(async () => {
  removeAll();
  importImage();
  provider = await dockerPackage.configure({ host: DOCKER_SOCKET });
  daemon = new DockerHost(DOCKER_SOCKET);
});

afterAll(async () => {
  await provider.close();
  await daemon.close();
  removeAll();
});

const inspect = (id: string) => daemon.call((client) => client.getContainer(id).inspect());

async function isGone(id: string): Promise<boolean> {
  const all = await daemon.call((client) => client.listContainers({ all: true }));
  return !all.some((one) => one.Id === id);
}

/** The head of a file's tar archive: mode at 100 and owner at 108 in octal, the content in the next block. */
async function downloaded(id: string, path: string) {
  return daemon.call(async (client) => {
    const archive = await client.getContainer(id).getArchive({ path });
    const chunks: Buffer[] = [];
    for await (const chunk of archive) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    const octal = (at: number): number => Number.parseInt(bytes.toString("latin1", at, at + 7), 8);
    return {
      mode: bytes.toString("latin1", 100, 107),
      owner: octal(108),
      text: bytes.toString("utf8", 512, 512 + Number.parseInt(bytes.toString("latin1", 124, 135), 8)),
    };
  });
}

describe("a container", () => {
  test("is created as it is written, and its own state shows no change", async () => {
    const context = callContext(CONTAINER, "whole");
    const volume = await make(provider, callContext(VOLUME, "whole-data"), { labels: LABELS });
    const network = await make(provider, callContext(NETWORK, "whole-net"), { labels: LABELS });
    const made = await make(provider, context, {
      ...SLEEP,
      envs: ["B=2", "A=1"],
      user: "999:999",
      workingDir: "/tmp",
      hostname: "whole",
      init: true,
      restart: "always",
      stopSignal: "SIGINT",
      stopTimeout: 7,
      shmSize: 80,
      memory: 64,
      memorySwap: 128,
      cpus: "0.5",
      readOnly: false,
      logDriver: "json-file",
      logOpts: { "max-size": "1m", "max-file": "2" },
      capabilities: { adds: ["CAP_NET_ADMIN"], drops: ["CAP_CHOWN"] },
      hosts: [{ host: "peer", ip: "192.0.2.9" }],
      ulimits: [{ name: "nofile", soft: 1000, hard: 2000 }],
      sysctls: { "net.core.somaxconn": "512" },
      tmpfs: { "/scratch": "size=1m" },
      ports: [
        { internal: 6432, ip: "127.0.0.1" },
        { internal: 5432, ip: "127.0.0.1" },
      ],
      volumes: [{ volumeName: volume.id, containerPath: "/data" }],
      mounts: [{ type: "bind", source: "/tmp", target: "/host-tmp", readOnly: true }],
      networksAdvanced: [{ name: network.id, aliases: ["alias-one"] }],
      healthcheck: {
        tests: ["CMD", "true"],
        interval: "30s",
        timeout: "3s",
        startPeriod: "1m0s",
        retries: 3,
      },
      uploads: [{ file: "/tmp/hello", content: "hi", permissions: "0640" }],
    });
    const { Config: config, HostConfig: host, NetworkSettings: nets, State: state } = await inspect(made.id);
    expect(state.Running).toBe(true);
    expect(config).toMatchObject({ User: "999:999", StopSignal: "SIGINT", Hostname: "whole" });
    expect(host).toMatchObject({ Init: true, NanoCpus: 5e8, ShmSize: 80 * 2 ** 20, Memory: 64 * 2 ** 20 });
    expect(host.RestartPolicy).toMatchObject({ Name: "always" });
    expect(Object.keys(nets.Networks)).toEqual([network.inputs["name"]]);
    expect(Object.values(nets.Networks)[0]?.Aliases).toContain("alias-one");
    expect(await downloaded(made.id, "/tmp/hello")).toEqual({ mode: "0100640", owner: 0, text: "hi" });
    const again = await checked(provider, context, made.inputs, made.inputs);
    const none = { changes: false, replaces: [], deleteBeforeReplace: false, detailed: {} };
    expect(await provider.diff(context, made.id, made.inputs, made.outputs, again)).toEqual(none);
    const read = await provider.read(context, made.id, made.inputs, made.outputs);
    expect(read?.inputs).toEqual(made.inputs);
    expect(await provider.diff(context, made.id, read!.inputs, read!.outputs, again)).toEqual(none);
    await provider.delete(context, made.id, made.inputs, made.outputs);
    await provider.delete(callContext(NETWORK, "n"), network.id, network.inputs, network.outputs);
    await provider.delete(callContext(VOLUME, "v"), volume.id, volume.inputs, volume.outputs);
    expect(await isGone(made.id)).toBe(true);
  });

  test("takes files with an owner", async () => {
    const context = callContext(CONTAINER, "owner");
    const uploads = [
      { file: "/tmp/owned", contentBase64: "aGk=", executable: true, owner: "999", group: "7" },
    ];
    const made = await make(provider, context, { ...SLEEP, uploads });
    expect(await downloaded(made.id, "/tmp/owned")).toEqual({ mode: "0100744", owner: 999, text: "hi" });
    await provider.delete(context, made.id, made.inputs, made.outputs);
  });

  test("takes what Docker can change in place, and keeps running", async () => {
    const context = callContext(CONTAINER, "updated");
    const made = await make(provider, context, { ...SLEEP, name: "hw-test-updated" });
    const before = await inspect(made.id);
    const news = await checked(provider, context, made.inputs, {
      ...SLEEP,
      name: "hw-test-updated",
      restart: "always",
      memory: 96,
      memorySwap: 192,
      destroyGraceSeconds: 3,
    });
    const diff = await provider.diff(context, made.id, made.inputs, made.outputs, news);
    expect(diff).toMatchObject({ changes: true, replaces: [] });
    const outputs = await provider.update(context, made.id, made.inputs, made.outputs, news);
    const after = await inspect(made.id);
    expect(after.State.StartedAt).toBe(before.State.StartedAt);
    expect(after.HostConfig.RestartPolicy?.Name).toBe("always");
    expect(after.HostConfig.Memory).toBe(96 * 2 ** 20);
    expect((await provider.diff(context, made.id, news, outputs, news)).changes).toBe(false);
    await provider.delete(context, made.id, news, outputs);
  });

  test("that has stopped is seen by a refresh and started by the next update", async () => {
    const context = callContext(CONTAINER, "stopped");
    const made = await make(provider, context, { ...SLEEP, name: "hw-test-stopped" });
    await daemon.call((client) => client.getContainer(made.id).stop({ t: 0 }));
    const read = await provider.read(context, made.id, made.inputs, made.outputs);
    expect(read?.outputs).toMatchObject({ mustRun: false, exitCode: 137 });
    const diff = await provider.diff(context, made.id, read!.inputs, read!.outputs, made.inputs);
    expect(diff).toMatchObject({ changes: true, replaces: [], detailed: { mustRun: { kind: "update" } } });
    await provider.update(context, made.id, read!.inputs, read!.outputs, made.inputs);
    expect((await inspect(made.id)).State.Running).toBe(true);
    await provider.delete(context, made.id, made.inputs, made.outputs);
    expect(await provider.read(context, made.id, made.inputs, made.outputs)).toBeUndefined();
  });

  test("is given its grace when it is destroyed, and killed at once without", async () => {
    const context = callContext(CONTAINER, "graceful");
    const script = "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.1; done";
    const news = { ...SLEEP, entrypoints: ["/bin/sh", "-c"], command: [script] };
    const timed = async (grace: ValueMap): Promise<number> => {
      const made = await make(provider, context, { ...news, ...grace });
      // The trap must be set before the signal.
      await daemon.call((client) => client.getContainer(made.id).top());
      const start = performance.now();
      await provider.delete(context, made.id, made.inputs, made.outputs);
      return performance.now() - start;
    };
    expect(await timed({ destroyGraceSeconds: 20 })).toBeGreaterThan(900);
    expect(await timed({})).toBeLessThan(900);
  });

  test("waits for its health check by events, not by polling", async () => {
    const context = callContext(CONTAINER, "healthy");
    const made = await make(provider, context, {
      ...SLEEP,
      wait: true,
      waitTimeout: 30,
      healthcheck: { tests: ["CMD", "true"], interval: "1s" },
    });
    expect((await inspect(made.id)).State.Health?.Status).toBe("healthy");
    await provider.delete(context, made.id, made.inputs, made.outputs);
  });

  test.each<[string, ValueMap, RegExp]>([
    [
      "never healthy",
      { healthcheck: { tests: ["CMD", "false"], interval: "1s", retries: 1 }, waitTimeout: 3 },
      /within 3 s/,
    ],
    ["without a health check", {}, /add healthcheck or leave out wait/],
    [
      "ended",
      { command: ["false"], healthcheck: { tests: ["CMD", "true"], interval: "30s" } },
      /ended with exit code 1 before it was healthy/,
    ],
  ])("that is %s is an error that keeps the container known", async (_what, more, message) => {
    const context = callContext(CONTAINER, "ill");
    const failure = await make(provider, context, { ...SLEEP, ...more, wait: true }).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(PartialFailure);
    const { state, message: said } = failure as PartialFailure;
    expect(said).toMatch(message);
    expect(state.outputs["name"]).toMatch(/^ill-/);
    await provider.delete(context, state.id, {}, state.outputs);
    expect(await isGone(state.id)).toBe(true);
  });

  test("that is attached gives what it printed", async () => {
    const context = callContext(CONTAINER, "attached");
    const made = await make(provider, context, {
      image: IMAGE,
      labels: LABELS,
      entrypoints: ["/bin/sh", "-c"],
      command: ["echo out; echo err >&2"],
      attach: true,
      logs: true,
      mustRun: false,
    });
    // The daemon reads the two streams apart, so their order is open.
    expect((made.outputs["containerLogs"] as string).split("\n").sort()).toEqual(["", "err", "out"]);
    expect(made.outputs["exitCode"]).toBe(0);
    await provider.delete(context, made.id, made.inputs, made.outputs);
  });

  test("of a taken name is refused in the daemon's words", async () => {
    const context = callContext(CONTAINER, "twin");
    const made = await make(provider, context, { ...SLEEP, name: "hw-test-twin" });
    await expect(make(provider, context, { ...SLEEP, name: "hw-test-twin" })).rejects.toThrow(
      /^Unable to create container: Conflict. The container name "\/hw-test-twin" is already in use/,
    );
    await provider.delete(context, made.id, made.inputs, made.outputs);
  });

  test("that somebody removed is deleted without complaint", async () => {
    const context = callContext(CONTAINER, "removed");
    const made = await make(provider, context, SLEEP);
    await daemon.call((client) => client.getContainer(made.id).remove({ force: true }));
    await provider.delete(context, made.id, made.inputs, made.outputs);
  });
});

describe("a network", () => {
  test("is refused when its name is taken", async () => {
    const context = callContext(NETWORK, "net");
    const made = await make(provider, context, { name: "hw-test-net", labels: LABELS });
    await expect(make(provider, context, { name: "hw-test-net", labels: LABELS })).rejects.toThrow(
      /^Unable to create network: network with name hw-test-net already exists/,
    );
    await provider.delete(context, made.id, made.inputs, made.outputs);
  });

  test("waits for the containers on it to leave before it goes", async () => {
    const context = callContext(NETWORK, "busy");
    const made = await make(provider, context, { labels: LABELS });
    const box = callContext(CONTAINER, "on-busy");
    const inside = await make(provider, box, { ...SLEEP, networksAdvanced: [{ name: made.id }] });
    const order: string[] = [];
    const network = provider
      .delete(context, made.id, made.inputs, made.outputs)
      .then(() => order.push("network"));
    await provider.delete(box, inside.id, inside.inputs, inside.outputs).then(() => order.push("container"));
    await network;
    expect(order).toEqual(["container", "network"]);
  });

  test("shows no change in its own state, and is found by name", async () => {
    const context = callContext(NETWORK, "found");
    const ipamConfigs = [{ subnet: "198.18.77.0/24", gateway: "198.18.77.1" }];
    const made = await make(provider, context, { name: "hw-test-found", labels: LABELS, ipamConfigs });
    expect((await provider.diff(context, made.id, made.inputs, made.outputs, made.inputs)).changes).toBe(
      false,
    );
    const { signal } = new AbortController();
    const token = "docker:index/getNetwork:getNetwork";
    expect(await provider.invoke(token, { name: "hw-test-found" }, signal, "/")).toMatchObject({
      id: made.id,
      driver: "bridge",
      scope: "local",
      containers: [],
      ipamConfigs: [{ subnet: "198.18.77.0/24", gateway: "198.18.77.1" }],
    });
    await provider.delete(context, made.id, made.inputs, made.outputs);
    await expect(provider.invoke(token, { name: "hw-test-found" }, signal, "/")).rejects.toThrow(
      /^Could not find docker network: /,
    );
  });
});

describe("a volume", () => {
  test("of a name that exists is adopted with its data", async () => {
    const context = callContext(VOLUME, "kept");
    const first = await make(provider, context, { name: "hw-test-kept", labels: LABELS });
    const second = await make(provider, context, { name: "hw-test-kept", labels: LABELS });
    expect(second).toEqual(first);
    await provider.delete(context, first.id, first.inputs, first.outputs);
    expect(await provider.read(context, first.id, first.inputs, first.outputs)).toBeUndefined();
  });
});

describe("an image", () => {
  const context = callContext("docker:index/remoteImage:RemoteImage", "image");

  test("that is here is not pulled, and is kept when told so", async () => {
    const made = await make(provider, context, { name: IMAGE, keepLocally: true });
    expect(context.said).toEqual([]);
    expect(made.id).toMatch(/^sha256:[0-9a-f]{64}heatwave-providers-test:1$/);
    expect(made.id.startsWith(made.outputs["imageId"] as string)).toBe(true);
    await provider.delete(context, made.id, made.inputs, made.outputs);
    expect((await provider.read(context, made.id, made.inputs, made.outputs))?.id).toBe(made.id);
  });

  test("that cannot be pulled is an error that names it", async () => {
    const name = "localhost:1/no/such:image";
    await expect(make(provider, context, { name })).rejects.toThrow(
      /^unable to pull image localhost:1\/no\/such:image: /,
    );
  });
});

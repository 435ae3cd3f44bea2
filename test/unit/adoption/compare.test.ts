import { describe, expect, it } from "vitest";
import { adoptedIds, compare, wantedContainers } from "../../../infra/adoption/compare.ts";
import type { ContainerFound, HostFound } from "../../../infra/adoption/found.ts";
import { buildTopology } from "../../../infra/topology/model.ts";
import { production } from "../../support/topologies.ts";

const config = production();
const topology = buildTopology(config);
const wanted = wantedContainers(topology, config);

const idOf = (host: string, container: string): string =>
  Buffer.from(`${host}/${container}`).toString("hex").padEnd(64, "0").slice(0, 64);

/** As this package would have made it: nothing is lacking. */
function asDeclared(host: string, container: string, more: Partial<ContainerFound> = {}): ContainerFound {
  const one = wanted.find((box) => box.host === host && box.container === container)!;
  return {
    id: idOf(host, container),
    name: container,
    state: "running",
    startedAt: "2026-01-02T03:04:05Z",
    image: one.image,
    restart: "always",
    init: true,
    stopSignal: one.kind === "postgres" ? "SIGINT" : "SIGTERM",
    stopSeconds: one.stopSeconds,
    logDriver: "json-file",
    logMaxSize: "20m",
    ports: one.ports.map((port) => ({ inside: port, address: one.address, port })),
    networks: ["kamal"],
    mounts:
      one.volume === undefined ? [] : [{ type: "volume", source: one.volume, target: "/var/lib/postgresql" }],
    environment: ["PATH", "PGDATA"],
    settings: [],
    service: "",
    ...more,
  };
}

const hosts = (
  change: (found: ContainerFound, host: string) => ContainerFound | undefined = (found) => found,
): HostFound[] =>
  ["dal-01", "chi-02"].map((host) => ({
    host,
    unreachable: null,
    volumes: ["heatwave-postgres-data"],
    network: true,
    containers: wanted
      .filter((box) => box.host === host)
      .flatMap((box) => change(asDeclared(host, box.container), host) ?? []),
  }));

describe("what was made by hand, beside what is declared", () => {
  it("is every container of the seed, under the seed's names", () => {
    expect(wanted.map(({ host, container }) => `${host} ${container}`)).toEqual([
      "dal-01 heatwave-postgres",
      "dal-01 heatwave-pgbouncer",
      "dal-01 heatwave-pg-health",
      "chi-02 heatwave-postgres-replica",
      "chi-02 heatwave-pgbouncer-replica",
      "chi-02 heatwave-pg-health-replica",
      "dal-01 heatwave-haproxy",
    ]);
  });

  it("lacks nothing where it is as declared, and every id is in the plan", () => {
    const adoption = compare(topology, config, hosts());
    expect(adoption.objections).toEqual([]);
    expect(adoption.containers.flatMap(({ lacks }) => lacks)).toEqual([]);
    expect(adoptedIds(adoption)).toEqual({
      "dal-01": Object.fromEntries(
        ["heatwave-postgres", "heatwave-pgbouncer", "heatwave-pg-health", "heatwave-haproxy"].map((name) => [
          name,
          idOf("dal-01", name),
        ]),
      ),
      "chi-02": Object.fromEntries(
        ["heatwave-postgres-replica", "heatwave-pgbouncer-replica", "heatwave-pg-health-replica"].map(
          (name) => [name, idOf("chi-02", name)],
        ),
      ),
    });
  });

  it.each<[string, string, Partial<ContainerFound>, string]>([
    [
      "a port on every address",
      "heatwave-pgbouncer",
      { ports: [{ inside: 6432, address: "0.0.0.0", port: 6432 }] },
      "port 6432: on every address → on 100.123.47.52 alone",
    ],
    [
      "a port that is not published",
      "heatwave-pg-health",
      { ports: [] },
      "port 8008: not published → on 100.123.47.52",
    ],
    [
      "a password in the environment",
      "heatwave-postgres",
      { environment: ["PGDATA", "POSTGRES_PASSWORD", "POSTGRES_PASSWORD_FILE"] },
      "secrets: POSTGRES_PASSWORD in the environment → files of mode 0600",
    ],
    [
      "Kamal's restart policy",
      "heatwave-haproxy",
      { restart: "unless-stopped" },
      "restart: unless-stopped → always",
    ],
    ["no restart policy", "heatwave-haproxy", { restart: "" }, "restart: no → always"],
    ["a smart shutdown", "heatwave-postgres", { stopSignal: "SIGTERM" }, "stop signal: SIGTERM → SIGINT"],
    [
      "Docker's time to stop",
      "heatwave-postgres",
      { stopSeconds: null },
      `time to stop: 10 s → ${config.postgres.stopSeconds} s`,
    ],
    ["no init", "heatwave-postgres", { init: false }, "init: none → a reaping one"],
    [
      "a log without a limit",
      "heatwave-postgres",
      { logMaxSize: null },
      "log: without a limit → 20 MB, five times",
    ],
    [
      "an image by tag alone",
      "heatwave-haproxy",
      { image: "haproxy:3.0-alpine" },
      `image: haproxy:3.0-alpine → ${config.images.haproxy}`,
    ],
    ["another network", "heatwave-postgres", { networks: ["bridge"] }, "network: bridge → kamal"],
    [
      "settings on the command line",
      "heatwave-postgres",
      { settings: ["shared_buffers"] },
      "settings: shared_buffers on the command line → heatwave:postgres.parameters",
    ],
    ["one that does not run", "heatwave-pg-health", { state: "exited" }, "state: exited → running"],
  ])("lacks one thing: %s", (_what, container, more, told) => {
    const { containers, objections } = compare(
      topology,
      config,
      hosts((found) => (found.name === container ? { ...found, ...more } : found)),
    );
    expect(objections).toEqual([]);
    const lacks = containers.flatMap((one) => one.lacks);
    expect(lacks.map(({ what, has, wants }) => `${what}: ${has} → ${wants}`)).toEqual([told]);
    expect(lacks[0]?.because).not.toBe("");
  });

  it("has no limit of its own to lack where its log goes elsewhere, or rotates by itself", () => {
    for (const logDriver of ["journald", "local"])
      expect(
        compare(
          topology,
          config,
          hosts((found) => ({ ...found, logDriver, logMaxSize: null })),
        ).containers.flatMap(({ lacks }) => lacks),
      ).toEqual([]);
  });

  it.each<[string, () => HostFound[], RegExp]>([
    [
      "a container of another name",
      () => hosts((found) => (found.name === "heatwave-haproxy" ? undefined : found)),
      /^dal-01 has no container heatwave-haproxy: correct its name/,
    ],
    [
      "data in a folder",
      () =>
        hosts((found, host) =>
          host === "dal-01" && found.name === "heatwave-postgres"
            ? { ...found, mounts: [{ type: "bind", source: "/tank/pg", target: "/var/lib/postgresql" }] }
            : found,
        ),
      /^the data of heatwave-postgres on dal-01 is in \/tank\/pg, a folder of the host/,
    ],
    [
      "data in another volume",
      () =>
        hosts((found) =>
          found.name === "heatwave-postgres"
            ? {
                ...found,
                mounts: [{ type: "volume", source: "pgdata", target: "/var/lib/postgresql/18/docker" }],
              }
            : found,
        ),
      /^the data of heatwave-postgres on dal-01 is in volume pgdata, the stack file says heatwave-postgres-data$/,
    ],
    [
      "data that is mounted nowhere",
      () => hosts((found) => (found.name === "heatwave-postgres" ? { ...found, mounts: [] } : found)),
      /has nothing mounted at \/var\/lib\/postgresql: its data would go with it/,
    ],
    [
      "a host that cannot be asked",
      () =>
        hosts().map((one) =>
          one.host === "chi-02" ? { ...one, unreachable: "ssh: no route", containers: [] } : one,
        ),
      /^chi-02 cannot be asked: ssh: no route/,
    ],
    [
      "no network",
      () => hosts().map((one) => ({ ...one, network: false })),
      /^dal-01 has no Docker network kamal/,
    ],
    [
      "no volume",
      () => hosts().map((one) => ({ ...one, volumes: [] })),
      /^dal-01 has no volume heatwave-postgres-data/,
    ],
  ])("cannot be adopted: %s", (_what, seen, message) => {
    expect(compare(topology, config, seen()).objections[0]).toMatch(message);
  });
});

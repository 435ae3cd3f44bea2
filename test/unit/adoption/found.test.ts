import { describe, expect, it } from "vitest";
import { LOOK_SCRIPT, readFound } from "../../../infra/adoption/found.ts";

/** As Docker 28 printed it, shortened. */
const LINE = JSON.stringify({
  id: "ab".repeat(32),
  name: "/heatwave-postgres",
  state: "running",
  startedAt: "2026-01-02T03:04:05.6789Z",
  image: "postgres:18",
  restart: "no",
  init: false,
  stopSignal: "SIGINT",
  stopSeconds: null,
  logDriver: "json-file",
  logMaxSize: "10m",
  bindings: {
    "5432/tcp": [
      { HostIp: "100.64.0.1", HostPort: "5432" },
      { HostIp: "", HostPort: "15432" },
    ],
    "9999/tcp": null,
  },
  networks: ["kamal", null],
  mounts: [
    {
      Type: "volume",
      Name: "data",
      Source: "/var/lib/docker/volumes/data/_data",
      Destination: "/var/lib/postgresql",
    },
    { Type: "bind", Source: "/srv/conf", Destination: "/etc/pg" },
  ],
  environment: ["POSTGRES_PASSWORD", null],
  settings: ["shared_buffers", null],
  service: "heatwave-postgres",
});

describe("a look at a host's containers", () => {
  it("is read as it was printed, whatever stands between", () => {
    expect(readFound("dal-01", ["network", "volume data", LINE, ""].join("\n"))).toEqual({
      host: "dal-01",
      unreachable: null,
      network: true,
      volumes: ["data"],
      containers: [
        {
          ...{ id: "ab".repeat(32), name: "heatwave-postgres", state: "running", restart: "", init: false },
          ...{ startedAt: "2026-01-02T03:04:05.6789Z", image: "postgres:18", stopSignal: "SIGINT" },
          ...{ stopSeconds: null, logDriver: "json-file", logMaxSize: "10m" },
          ports: [
            { inside: 5432, address: "100.64.0.1", port: 5432 },
            { inside: 5432, address: "", port: 15_432 },
          ],
          networks: ["kamal"],
          mounts: [
            { type: "volume", source: "data", target: "/var/lib/postgresql" },
            { type: "bind", source: "/srv/conf", target: "/etc/pg" },
          ],
          environment: ["POSTGRES_PASSWORD"],
          settings: ["shared_buffers"],
          service: "heatwave-postgres",
        },
      ],
    });
    expect(readFound("dal-01", "")).toEqual({
      host: "dal-01",
      unreachable: null,
      containers: [],
      volumes: [],
      network: false,
    });
  });

  it("asks for no value of the environment, and for no value of the command line", () => {
    expect(LOOK_SCRIPT).not.toMatch(/json \.Config\.(Env|Cmd)|json \.Args|json \.Config\}/);
    expect(LOOK_SCRIPT.match(/\.Config\.Env/g)).toHaveLength(1);
    expect(LOOK_SCRIPT.match(/\.Config\.Cmd/g)).toHaveLength(1);
  });
});

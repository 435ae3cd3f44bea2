import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { loadConfig } from "../../infra/config/load.ts";
import { buildTopology } from "../../infra/topology/model.ts";
import type { Recorded } from "../support/recorder.ts";
import { record } from "../support/recorder.ts";

const CANARY = {
  superuserPassword: "super'u\"ser%p $a\\ss",
  replicationPassword: "repli'ca:ti\"on% $w\\ord",
  healthPassword: "heal'th\"pass% $wo\\rd",
  peerSecret: "peer'sec\"ret% $val\\ue",
  roles: { heatwave: "app'ro\"le% $pass\\word" },
};

let resources: Recorded[];

beforeAll(async () => {
  const file = join(import.meta.dirname, "../../Pulumi.production.yaml");
  const { config: raw } = parse(readFileSync(file, "utf8")) as { config: Record<string, unknown> };
  const config = loadConfig(
    {
      ...Object.fromEntries(Object.entries(raw).map(([key, value]) => [key.replace("heatwave:", ""), value])),
      secrets: CANARY,
    },
    "Pulumi.production.yaml",
  );
  const { HaPostgres } = await import("../../components/index.ts");
  resources = await record(() => {
    new HaPostgres("heatwave", { topology: buildTopology(config), config });
  });
  // Loading the SDK and the providers is most of it.
}, 60_000);

const ofType = (type: string): Recorded[] => resources.filter((resource) => resource.type === type);
const container = (name: string): Recorded => {
  const found = ofType("docker:index/container:Container").find(({ inputs }) => inputs["name"] === name);
  if (found === undefined) throw new Error(`no container ${name}`);
  return found;
};

describe("production", () => {
  it("has the seed's containers, and no other", () => {
    const names = ofType("docker:index/container:Container").map(({ inputs }) => inputs["name"]);
    expect(names.toSorted()).toEqual([
      "heatwave-haproxy",
      "heatwave-pg-health",
      "heatwave-pg-health-replica",
      "heatwave-pgbouncer",
      "heatwave-pgbouncer-replica",
      "heatwave-postgres",
      "heatwave-postgres-replica",
    ]);
  });

  it("publishes the seed's ports on tailnet addresses only", () => {
    const published = ofType("docker:index/container:Container").flatMap(({ inputs }) =>
      (inputs["ports"] as { ip: string; external: number }[]).map(({ ip, external }) => `${ip}:${external}`),
    );
    expect(published.toSorted()).toEqual([
      "100.123.47.52:5432",
      "100.123.47.52:6432",
      "100.123.47.52:6433",
      "100.123.47.52:8008",
      "100.123.47.52:8404",
      "100.68.157.49:5432",
      "100.68.157.49:6432",
      "100.68.157.49:8008",
    ]);
  });

  it("names no role in a logical name: identity follows place", () => {
    const names = resources.map(({ name }) => name);
    expect(names.filter((name) => /primary|standby|replica(?!tion)/.test(name))).toEqual([]);
    expect(new Set(names.map((name) => name)).size).toBeGreaterThan(60);
  });

  it("gives every container restart, stop signal, grace, log rotation and an init from its first deploy", () => {
    for (const { inputs } of ofType("docker:index/container:Container")) {
      expect(inputs).toMatchObject({
        restart: "always",
        init: true,
        removeVolumes: false,
        networkMode: "kamal",
        logDriver: "json-file",
        logOpts: { "max-size": "20m", "max-file": "5" },
      });
      expect(inputs["stopSignal"]).toMatch(/^SIG/);
      expect(inputs["destroyGraceSeconds"]).toBe(inputs["stopTimeout"]);
      expect(inputs["destroyGraceSeconds"]).toBeGreaterThan(0);
      expect(inputs["envs"]).toBeUndefined();
    }
  });

  it("mounts directories, never single files", () => {
    for (const { inputs } of ofType("docker:index/container:Container")) {
      for (const { source } of inputs["mounts"] as { source: string }[])
        expect(source).not.toMatch(/\.[a-z]+$/);
    }
  });

  it("keeps the data volume without labels", () => {
    const volumes = ofType("docker:index/volume:Volume");
    expect(volumes).toHaveLength(2);
    for (const { inputs } of volumes) expect(inputs).toEqual({ name: "heatwave-postgres-data" });
  });

  it("pins every image by tag and digest, as the literal reference", () => {
    for (const { inputs } of ofType("docker:index/container:Container")) {
      expect(inputs["image"]).toMatch(/^[^@]+:[^@]+@sha256:[0-9a-f]{64}$/);
    }
  });

  it("hands each resource of a host to that host's own provider", () => {
    expect(container("heatwave-postgres").provider).toMatch(/::dal-01::/);
    expect(container("heatwave-postgres-replica").provider).toMatch(/::chi-02::/);
  });

  it("lets no secret into any input but a command's stdin", () => {
    const secrets = [
      ...Object.values(CANARY).filter((value) => typeof value === "string"),
      CANARY.roles.heatwave,
    ];
    for (const { name, inputs } of resources) {
      const { stdin: _stdin, ...others } = inputs;
      const text = JSON.stringify(others);
      for (const secret of secrets) {
        expect(text, name).not.toContain(JSON.stringify(secret).slice(1, -1));
        expect(text, name).not.toContain(encodeURIComponent(secret));
        expect(text, name).not.toContain(Buffer.from(secret).toString("base64"));
      }
    }
  });

  it("holds no path of the operator's machine in any input", () => {
    const here = join(import.meta.dirname, "../..");
    for (const { name, inputs } of resources) expect(JSON.stringify(inputs), name).not.toContain(here);
  });
});

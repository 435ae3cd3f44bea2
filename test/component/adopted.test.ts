import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { adoptedIds, wantedContainers } from "../../infra/adoption/compare.ts";
import { loadConfig } from "../../infra/config/load.ts";
import { buildTopology } from "../../infra/topology/model.ts";
import type { Recorded } from "../support/recorder.ts";
import { record } from "../support/recorder.ts";

/** Production's stack as it was made by hand: what the program declares of it while it is adopted, and afterwards. */

const file = join(import.meta.dirname, "../../Pulumi.production.yaml");
const { config: raw } = parse(readFileSync(file, "utf8")) as { config: Record<string, unknown> };
const plain = Object.fromEntries(
  Object.entries(raw).map(([key, value]) => [key.replace("heatwave:", ""), value]),
);
const secrets = {
  ...{ superuserPassword: "a placeholder", replicationPassword: "a placeholder" },
  ...{ healthPassword: "a placeholder", peerSecret: "a placeholder-at-least-sixteen" },
  roles: { heatwave: "a placeholder" },
};
const load = (more: object) => loadConfig({ ...plain, secrets, ...more }, "Pulumi.production.yaml");

const made = load({});
const boxes = wantedContainers(buildTopology(made), made);
const idOf = (container: string): string =>
  Buffer.from(container).toString("hex").padEnd(64, "0").slice(0, 64);
const adopted = adoptedIds({
  objections: [],
  containers: boxes.map((wanted) => ({
    wanted,
    found: { id: idOf(wanted.container) } as never,
    lacks: [],
  })),
});

let found: Recorded[];

beforeAll(async () => {
  const config = load({ adopted });
  const { AdoptedStack } = await import("../../components/index.ts");
  const { places } = await import("../../stacks/places.ts");
  found = await record(() => {
    const topology = buildTopology(config);
    new AdoptedStack("heatwave", {
      topology,
      adopted: config.adopted ?? {},
      after: [places("production", topology, config.adopted)],
    });
  });
}, 60_000);

describe("an adopted stack", () => {
  it("is its containers and its volumes, and not one thing that touches a host", () => {
    const parts = found.filter(({ type }) => !/^(heatwave|pulumi:pulumi):/.test(type));
    expect(parts.map(({ type, name }) => `${type.split(":").at(-1) ?? ""} ${name}`).toSorted()).toEqual([
      "Command places",
      "Container chi-02-site-pg-health",
      "Container chi-02-site-pgbouncer",
      "Container chi-02-site-postgres",
      "Container dal-01-haproxy",
      "Container dal-01-site-pg-health",
      "Container dal-01-site-pgbouncer",
      "Container dal-01-site-postgres",
      "Volume chi-02-site-postgres-data",
      "Volume dal-01-site-postgres-data",
      "docker chi-02",
      "docker dal-01",
    ]);
    expect(parts.find(({ name }) => name === "places")?.type).toBe("command:local:Command");
    expect(parts.find(({ name }) => name === "places")?.inputs["create"]).toMatch(
      / adopted:dal-01@dal-01 adopted:chi-02@chi-02$/,
    );
  });

  it("imports each under its own id, on its own host", () => {
    const containers = found.filter(({ type }) => type === "docker:index/container:Container");
    for (const { inputs, provider, imported, name } of containers) {
      expect(imported, name).toBe(idOf(String(inputs["name"])));
      // Left out, the provider would think one up, which replaces the container.
      expect(inputs["envs"], name).toEqual([]);
      expect(provider, name).toMatch(name.startsWith("dal-01") ? /::dal-01::/ : /::chi-02::/);
    }
    const volumes = found.filter(({ type }) => type === "docker:index/volume:Volume");
    expect(volumes.map(({ imported }) => imported)).toEqual([
      "heatwave-postgres-data",
      "heatwave-postgres-data",
    ]);
  });
});

describe("the ids of an adopted stack", () => {
  const dal = adopted["dal-01"] ?? {};

  it.each<[string, typeof adopted, RegExp]>([
    [
      "one of a container that nobody declares",
      { ...adopted, "dal-01": { ...dal, extra: "a".repeat(64) } },
      /adopted\.dal-01\.extra/,
    ],
    ["a container without one", { "dal-01": dal }, /the id of heatwave-postgres-replica as well/],
    [
      "one that is none",
      { ...adopted, "dal-01": { ...dal, "heatwave-haproxy": "abc" } },
      /64 hexadecimal digits/,
    ],
  ])("refused: %s", (_what, ids, message) => {
    expect(() => load({ adopted: ids })).toThrow(message);
  });

  it("refuse a site that retires meanwhile", () => {
    const sites = made.sites.map((site) => ({ ...site, retired: site.name === "chi-02" }));
    expect(() => load({ adopted, sites })).toThrow(/false while the stack is adopted/);
  });
});

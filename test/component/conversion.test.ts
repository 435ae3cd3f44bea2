import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { loadConfig } from "../../infra/config/load.ts";
import { buildTopology } from "../../infra/topology/model.ts";
import type { Recorded } from "../support/recorder.ts";
import { record } from "../support/recorder.ts";

/** Production's stack of which the standby's site is converted: what the program declares between the two steps. */

const file = join(import.meta.dirname, "../../Pulumi.production.yaml");
const { config: raw } = parse(readFileSync(file, "utf8")) as {
  config: Record<string, unknown> & { "heatwave:sites": Record<string, unknown>[] };
};
const plain = Object.fromEntries(
  Object.entries(raw).map(([key, value]) => [key.replace("heatwave:", ""), value]),
);
const HIDDEN = "a-password-of-the-application";
const secrets = {
  ...{ superuserPassword: "a placeholder", replicationPassword: "a placeholder" },
  ...{ healthPassword: "a placeholder", peerSecret: "a placeholder-at-least-sixteen" },
  roles: { heatwave: HIDDEN },
};
const dallas = ["heatwave-postgres", "heatwave-pgbouncer", "heatwave-pg-health"];
const adopted = {
  "dal-01": Object.fromEntries(dallas.map((name, at) => [name, String(at).repeat(64)])),
};
const sites = raw["heatwave:sites"].map((site) =>
  site["name"] === "chi-02" ? { ...site, converted: true } : site,
);

let found: Recorded[];

beforeAll(async () => {
  const config = loadConfig({ ...plain, secrets, sites, adopted }, "Pulumi.production.yaml");
  const { HaPostgres } = await import("../../components/index.ts");
  const { places } = await import("../../stacks/places.ts");
  found = await record(() => {
    const topology = buildTopology(config);
    const after = [places("production", topology, config.adopted)];
    new HaPostgres("heatwave", { topology, config, adopted: config.adopted, after });
  });
}, 60_000);

const named = (name: string): Recorded => {
  const one = found.find((resource) => resource.name === name && !resource.type.startsWith("heatwave:"));
  if (one === undefined) throw new Error(`no resource ${name}`);
  return one;
};

describe("a stack of which one site is converted", () => {
  it("imports what runs as it was found, and makes the other site's and the routers", () => {
    const containers = found.filter(({ type }) => type === "docker:index/container:Container");
    expect(
      containers
        .filter(({ imported }) => imported !== undefined)
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(["dal-01-site-pg-health", "dal-01-site-pgbouncer", "dal-01-site-postgres"]);
    expect(
      containers
        .filter(({ imported }) => imported === undefined)
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual([
      ...["chi-02-site-pg-health", "chi-02-site-pgbouncer", "chi-02-site-postgres", "dal-01-haproxy"],
    ]);
  });

  it("keeps the converted site's volume, by the name that it had", () => {
    expect(named("chi-02-site-postgres-data").inputs).toEqual({ name: "heatwave-postgres-data" });
    expect(named("chi-02-site-postgres-data").imported).toBeUndefined();
  });

  it("founds and gives objects where it is converted alone, and puts no file of a container where it is not", () => {
    const names = found.map(({ name }) => name);
    expect(names).toContain("chi-02-founding");
    expect(
      names.filter((name) => /^dal-01-(founding|objects|conversion|site-.*-(folder|apply))$/.test(name)),
    ).toEqual([]);
  });

  it("tells the conversion the site, its container, its volume, its images and the other site", () => {
    const line = String(named("chi-02-conversion").inputs["create"]);
    expect(line).toMatch(
      /^sudo -n \/var\/lib\/heatwave\/bin\/host-tool found convert chi-02 heatwave-postgres-replica heatwave-postgres-data \/var\/lib\/heatwave\/heatwave-pg-health-replica\/state \d+ postgres:\S+,node:\S+,edoburu\/pgbouncer:\S+ dal-01=100\.123\.47\.52$/,
    );
  });

  it("readies the primary that was found, without a secret in the line", () => {
    const { create } = named("dal-01-preparation").inputs;
    expect(create).toBe("sudo -n sh -s");
    for (const { name, inputs } of found)
      expect(JSON.stringify({ ...inputs, stdin: "" }), name).not.toContain(HIDDEN);
  });

  it("notes both states for the next up", () => {
    expect(named("places").inputs["create"]).toMatch(/ adopted:dal-01@dal-01 converted:chi-02@chi-02$/);
  });
});

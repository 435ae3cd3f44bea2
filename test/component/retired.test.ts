import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { loadConfig } from "../../infra/config/load.ts";
import type { Recorded } from "../support/recorder.ts";
import { record } from "../support/recorder.ts";

/** Three sites, of which one retires: what the program still declares of it, and what it tells the others. */

let resources: Recorded[];

beforeAll(async () => {
  const file = join(import.meta.dirname, "../../examples/Pulumi.three-sites.yaml");
  const { config: raw } = parse(readFileSync(file, "utf8")) as { config: Record<string, unknown> };
  const plain = Object.fromEntries(
    Object.entries(raw).map(([key, value]) => [key.replace("heatwave:", ""), value]),
  );
  const config = loadConfig(
    {
      ...plain,
      sites: (plain["sites"] as { name: string }[]).map((site) =>
        site.name === "fra" ? { ...site, retired: true } : site,
      ),
      secrets: {
        ...{ superuserPassword: "a placeholder", replicationPassword: "a placeholder" },
        ...{ healthPassword: "a placeholder", peerSecret: "a placeholder-at-least-sixteen" },
        roles: { app: "a placeholder", report: "a placeholder" },
      },
    },
    "Pulumi.three-sites.yaml",
  );
  const { HaPostgres } = await import("../../components/index.ts");
  const { buildTopology } = await import("../../infra/topology/model.ts");
  const { places } = await import("../../stacks/places.ts");
  const { retirement } = await import("../../stacks/retirement.ts");
  resources = await record(() => {
    const topology = buildTopology(config);
    const cluster = new HaPostgres("heatwave", {
      topology,
      config,
      after: [places("three-sites", topology)],
    });
    for (const { name } of topology.retired) retirement("three-sites", name, [cluster]);
  });
}, 60_000);

const named = (name: string): Recorded | undefined => resources.find((one) => one.name === name);

describe("a site that retires", () => {
  it("keeps its host, and of its own only the data volume, under the name that it always had", () => {
    const own = resources.filter(({ name }) => /^fra(-site|-found|-objects|-retire)/.test(name));
    expect(own.map(({ type, name }) => `${type} ${name}`).toSorted()).toEqual([
      "command:local:Command fra-retirement",
      "docker:index/volume:Volume fra-site-postgres-data",
      "heatwave:postgres:PostgresInstance fra-site-postgres",
      "heatwave:site:Site fra-site",
    ]);
    expect(named("fra-site-postgres-data")?.inputs).toEqual({ name: "heatwave-postgres-data" });
    expect(named("fra-01-tool")).toBeDefined();
  });

  it("is told to nobody: no file, no slot, no router and no output of the others knows it", () => {
    const texts = resources
      .filter(({ name }) => !/^fra|^places$/.test(name))
      .map(({ name, inputs }) => ({ name, text: JSON.stringify(inputs) }));
    expect(texts.length).toBeGreaterThan(60);
    for (const { name, text } of texts) {
      expect(text, name).not.toContain("100.90.2.1");
      expect(text, name).not.toContain("heatwave_fra");
    }
  });

  it("is named by the command that looks first", () => {
    const command = String(named("places")?.inputs["create"]);
    expect(command).toMatch(
      /^\.\.\/bin\/recovery three-sites ensure-places host:ams-01=100\.90\.1\.1\/SHA256:/,
    );
    expect(command).toMatch(/ site:ams@ams-01 site:sto@sto-01 retired:fra@fra-01$/);
    expect(named("places")?.inputs["update"]).toBe(command);
    expect(named("fra-retirement")?.inputs["create"]).toBe("../bin/recovery three-sites ensure-retired fra");
  });
});

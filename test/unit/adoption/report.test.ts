import { readFileSync } from "node:fs";
import { join } from "node:path";
import picocolors from "picocolors";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { Adoptable } from "../../../infra/adoption/compare.ts";
import { wantedContainers } from "../../../infra/adoption/compare.ts";
import { withAdopted } from "../../../infra/adoption/stack-file.ts";
import { endLine, reportLines } from "../../../infra/cli/adopt/text.ts";
import { buildTopology } from "../../../infra/topology/model.ts";
import { production, project } from "../../support/topologies.ts";

const paint = picocolors.createColors(false);
const config = production();
const [wanted] = wantedContainers(buildTopology(config), config);
if (wanted === undefined) throw new Error("production has a container");

const adoptable = (more: Partial<Adoptable>): Adoptable => ({
  wanted,
  found: {
    ...{
      id: "ab".repeat(32),
      name: wanted.container,
      state: "running",
      startedAt: "2026-01-02T03:04:05.678Z",
    },
    ...{ image: wanted.image, restart: "always", init: true, stopSignal: "SIGINT", stopSeconds: 60 },
    ...{ logDriver: "local", logMaxSize: null, ports: [], networks: [], mounts: [], environment: [] },
    ...{ settings: [], service: "" },
  },
  lacks: [],
  ...more,
});

describe("what bin/adopt says", () => {
  it("of one that lacks nothing, and of one that lacks two things, whose words stand below each other", () => {
    expect(reportLines({ objections: [], containers: [adoptable({})] }, paint)).toEqual([
      "dal-01",
      "  ✓ heatwave-postgres abababababab, running since 2026-01-02T03:04:05Z",
    ]);
    const lacks = [
      { what: "port 5432", has: "on every address", wants: "on 100.64.0.1 alone", because: "seen" },
      { what: "init", has: "none", wants: "a reaping one", because: "dead children stay" },
    ];
    const lacking = { objections: [], containers: [adoptable({ lacks })] };
    expect(reportLines(lacking, paint).slice(1)).toEqual([
      "  ! heatwave-postgres abababababab, running since 2026-01-02T03:04:05Z",
      "      port 5432  on every address → on 100.64.0.1 alone (seen)",
      "      init       none → a reaping one (dead children stay)",
    ]);
    expect(endLine(lacking)).toMatch(/^1 containers can be adopted as they are; 1 of them lack 2 things/);
  });

  it("names what Kamal made, what is not there, and what stands in the way", () => {
    const { found } = adoptable({});
    const lines = reportLines(
      {
        objections: ["chi-02 cannot be asked"],
        containers: [
          adoptable({ found: found && { ...found, service: "heatwave-haproxy" } }),
          adoptable({ found: undefined }),
        ],
      },
      paint,
    );
    expect(lines).toContain("  ✗ heatwave-postgres: not there");
    expect(lines.join("\n")).toMatch(
      /Made by Kamal: heatwave-postgres \(service heatwave-haproxy\)\. Nobody may run/,
    );
    expect(lines.at(-1)).toBe("✗ chi-02 cannot be asked");
  });
});

describe("heatwave:adopted in the stack file", () => {
  const shipped = readFileSync(join(project, "Pulumi.production.yaml"), "utf8");
  const ids = { "dal-01": { "heatwave-postgres": "ab".repeat(32) } };

  it("is written beside everything else, and is gone again without a trace", () => {
    const text = withAdopted(shipped, ids);
    const { "heatwave:adopted": written, ...rest } = (parse(text) as { config: Record<string, unknown> })
      .config;
    expect(written).toEqual(ids);
    expect(rest).toEqual((parse(shipped) as { config: unknown }).config);
    expect(withAdopted(text, ids)).toBe(text);
    expect(withAdopted(text, undefined)).toBe(withAdopted(shipped, undefined));
  });
});

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { renderHaproxyCfg } from "../../components/router/render/haproxy-cfg.ts";
import { buildTopology } from "../../infra/topology/model.ts";
import { haproxy, haproxyNote } from "../support/haproxy.ts";
import { stack } from "../support/router-stacks.ts";
import { production, staging, threeSites } from "../support/topologies.ts";

describe.skipIf(haproxy === undefined)(`HAProxy's own check (${haproxyNote})`, () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "heatwave-cfg-"));
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  /** `haproxy -c`: throws with HAProxy's words on any error; returns its warnings. */
  function warnings(text: string): string[] {
    const file = join(directory, "haproxy.cfg");
    writeFileSync(file, text);
    const output = execFileSync("sh", ["-c", '"$0" -c -f "$1" 2>&1', haproxy!, file], { encoding: "utf8" });
    return output.split("\n").filter((line) => /^\[(WARNING|ALERT)\]/.test(line));
  }

  for (const [name, load] of Object.entries({ production, staging, "three sites": threeSites })) {
    it(`accepts ${name} without a warning`, () => {
      const config = load();
      const topology = buildTopology(config);
      for (const router of topology.routers)
        expect(warnings(renderHaproxyCfg(topology, router, config.haproxy))).toEqual([]);
    });
  }

  it("accepts any stack without a warning", () => {
    for (const { topology, settings } of fc.sample(stack, { numRuns: 10, seed: 7 }))
      expect(warnings(renderHaproxyCfg(topology, topology.routers[0]!, settings))).toEqual([]);
  });

  it("refuses a broken one, so that this test can fail", () => {
    expect(() => warnings("listen x\n  bind :1\n  no-such-word\n")).toThrow();
  });
});

import { describe, expect, it } from "vitest";
import { renderHaproxyCfg } from "../../../components/router/render/haproxy-cfg.ts";
import { buildTopology } from "../../../infra/topology/model.ts";
import { production, staging, threeSites } from "../../support/topologies.ts";

describe("haproxy.cfg, whole", () => {
  for (const [stack, load] of Object.entries({ production, staging, "three-sites": threeSites })) {
    const config = load();
    const topology = buildTopology(config);
    for (const router of topology.routers) {
      it(`of ${stack}'s router on ${router.name}`, async () => {
        const text = renderHaproxyCfg(topology, router, config.haproxy);
        await expect(text).toMatchFileSnapshot(`../../golden/haproxy/${stack}.${router.name}.cfg`);
      });
    }
  }

  it("ends with one newline and has no trailing blanks", () => {
    const config = threeSites();
    const topology = buildTopology(config);
    for (const router of topology.routers) {
      const text = renderHaproxyCfg(topology, router, config.haproxy);
      expect(text).toMatch(/[^\n]\n$/);
      expect(text).not.toMatch(/[ \t]\n/);
    }
  });
});

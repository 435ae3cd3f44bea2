import { describe, expect, it } from "vitest";
import { firewallText } from "../../../components/firewall/render/rules.ts";
import { renderHealthConfig } from "../../../components/pg-health/render/health-config.ts";
import { renderPgbouncerIni } from "../../../components/pgbouncer/render/pgbouncer-ini.ts";
import { renderPgHba } from "../../../components/postgres/render/pg-hba.ts";
import { renderPostgresqlConf } from "../../../components/postgres/render/postgresql-conf.ts";
import { renderHaproxyCfg } from "../../../components/router/render/haproxy-cfg.ts";
import type { StackConfig } from "../../../infra/config/schema.ts";
import { stackGrants } from "../../../infra/tailnet/grants.ts";
import { buildTopology } from "../../../infra/topology/model.ts";
import { placesOf, placeWords } from "../../../infra/topology/places.ts";
import { production, staging, threeSites } from "../../support/topologies.ts";

/**
 * The CLI hands the maps of a stack file over with their keys sorted, the embedded engine as they stand there. Whatever a
 * renderer makes of them must be the same, or a change of engine would be a change of files.
 */
function withKeys(value: unknown, order: (a: string, b: string) => number): unknown {
  if (Array.isArray(value)) return value.map((one) => withKeys(one, order));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => order(a, b))
      .map(([key, inner]) => [key, withKeys(inner, order)]),
  );
}

/** All that is rendered of a stack, by what it is. */
function rendered(config: StackConfig): Record<string, unknown> {
  const topology = buildTopology(config);
  return {
    places: placeWords(placesOf(topology)),
    grants: stackGrants(topology),
    ...Object.fromEntries(
      topology.hosts.map((host) => [`firewall ${host.name}`, firewallText(topology, host, "tailscale0")]),
    ),
    ...Object.fromEntries(
      topology.sites.map((site) => [
        `site ${site.name}`,
        [
          renderPostgresqlConf(topology, site, config.postgres),
          renderPgHba(topology, site, config.postgres),
          renderPgbouncerIni(site, config.pgbouncer),
          renderHealthConfig(topology, site),
        ],
      ]),
    ),
    ...Object.fromEntries(
      topology.routers.map((router) => [
        `router ${router.name}`,
        renderHaproxyCfg(topology, router, config.haproxy),
      ]),
    ),
  };
}

describe.each([
  ["production", production],
  ["staging", staging],
  ["three sites", threeSites],
])("what is rendered of %s", (_, make) => {
  it("does not depend on the order of a map's keys", () => {
    const config = {
      ...make(),
      operators: { zoe: "100.64.9.1", ann: "100.64.9.2" },
    };
    const up = withKeys(config, (a, b) => (a < b ? -1 : 1)) as StackConfig;
    const down = withKeys(config, (a, b) => (a < b ? 1 : -1)) as StackConfig;
    expect(Object.keys(up.hosts)).not.toEqual(Object.keys(down.hosts));
    expect(rendered(down)).toEqual(rendered(up));
  });
});

import type { Site, Topology } from "../../../infra/topology/model.ts";
import { HEALTH_POOL } from "../../pgbouncer/render/pgbouncer-ini.ts";
import type { PgHealthConfig } from "../sidecar/config.ts";

/** `pg-health.json` of one site: where every site is, in the file's order, and where the own parts are. No secret. */
export function renderHealthConfig(topology: Topology, site: Site): string {
  const config: PgHealthConfig = {
    site: site.name,
    sites: topology.sites.map((other) => ({
      name: other.name,
      health: { host: other.host.address, port: other.pgHealth.port },
      postgres: { host: other.host.address, port: other.postgres.port },
    })),
    listen: { host: "0.0.0.0", port: site.pgHealth.port },
    postgres: { port: site.postgres.port },
    pooler: { host: site.pgbouncer.container, port: site.pgbouncer.port, database: HEALTH_POOL },
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

import type { Box, Host, Listener, Router, Site, Topology } from "../../infra/topology/model.ts";
import type { FakeSite } from "./fake-site.ts";

/** Names of the site on the router's own host. */
export interface LocalNames {
  readonly site: FakeSite;
  readonly pooler: string;
  readonly health: string;
}

/** The model of a stack of fake sites with one router, which no stack file could give: its addresses are loopback's. */
export function loopbackTopology(
  sites: readonly FakeSite[],
  local: LocalNames | undefined,
  listeners: readonly Listener[],
  statsPort: number,
): Topology {
  const host = (name: string, address: string): Host => ({
    name,
    address,
    ssh: { user: "root", port: 22, hostKey: "" },
    root: "/var/lib/heatwave",
  });
  const hosts = sites.map((site) => host(site.name, site.address));
  const app = host("app", "127.0.0.1");
  const router: Router = {
    name: "app",
    host: hosts.find(({ name }) => name === local?.site.name) ?? app,
    container: "heatwave-haproxy",
    image: "haproxy",
    directory: "/var/lib/heatwave/heatwave-haproxy",
    statsPort,
  };
  return {
    primary: sites[0]!.name,
    hosts: [...hosts, app],
    retired: [],
    sites: sites.map((site, i): Site => {
      const box = (container: string, port: number): Box => ({
        host: hosts[i]!,
        container,
        port,
        image: "",
        directory: "",
      });
      return {
        name: site.name,
        host: hosts[i]!,
        slot: "",
        volume: "",
        converted: false,
        postgres: box("heatwave-postgres", 5432),
        pgbouncer: box(local?.pooler ?? "heatwave-pgbouncer", site.poolerPort),
        pgHealth: box(local?.health ?? "heatwave-pg-health", site.healthPort),
      };
    }),
    routers: [router],
    listeners,
    operators: [],
    network: { name: "kamal", external: true },
  };
}

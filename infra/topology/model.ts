import type { StackConfig } from "../config/schema.ts";

/**
 * The pure model of a stack: sites, routers, endpoints, and who is local to whom. Built from a checked
 * configuration, without secrets; everything that renders or plans starts here.
 */

export interface Host {
  readonly name: string;
  /** Tailnet IPv4 address. */
  readonly address: string;
  readonly ssh: { readonly user: string; readonly port: number; readonly hostKey: string };
  /** Folder for heatwave's files on the host. */
  readonly root: string;
}

/** Somebody beside the stack who may reach its ports. */
export interface Operator {
  readonly name: string;
  /** Tailnet IPv4 address. */
  readonly address: string;
}

/** A container of the stack on its host. */
export interface Box {
  readonly host: Host;
  /** Container name, which is its DNS name on the Docker network. */
  readonly container: string;
  /** Port inside the container and on the host's tailnet address. */
  readonly port: number;
  readonly image: string;
  /** The container's folder on the host. */
  readonly directory: string;
}

export interface Site {
  readonly name: string;
  readonly host: Host;
  /** Name of this site's replication slot at every other site. */
  readonly slot: string;
  readonly volume: string;
  /** Its data was there before heatwave, and its containers take the place of others. */
  readonly converted: boolean;
  readonly postgres: Box;
  readonly pgbouncer: Box;
  readonly pgHealth: Box;
}

export interface Router {
  /** The app host's name. */
  readonly name: string;
  readonly host: Host;
  readonly container: string;
  readonly image: string;
  readonly directory: string;
  readonly statsPort: number;
}

export type Route = "write" | "read" | "any";

export interface Listener {
  readonly name: string;
  readonly port: number;
  readonly route: Route;
}

export interface Topology {
  /** Site that should take writes. */
  readonly primary: string;
  readonly hosts: readonly Host[];
  /** In the file's order: the first founds the cluster. */
  readonly sites: readonly Site[];
  /** Sites on their way out: of what they had, the data volume stays. */
  readonly retired: readonly Site[];
  readonly routers: readonly Router[];
  readonly listeners: readonly Listener[];
  readonly operators: readonly Operator[];
  readonly network: { readonly name: string; readonly external: boolean };
}

/** How one router reaches one site. */
export interface Endpoint {
  readonly site: Site;
  /** True where both run on the same host: then by name, since a container cannot reach its own host's published port. */
  readonly local: boolean;
  readonly pooler: { readonly address: string; readonly port: number };
  readonly health: { readonly address: string; readonly port: number };
}

export function buildTopology(config: StackConfig): Topology {
  const hosts = Object.entries(config.hosts).map(([name, host]): Host => ({
    name,
    address: host.address,
    ssh: host.ssh,
    root: host.root,
  }));
  const byName = new Map(hosts.map((host) => [host.name, host]));
  const hostOf = (name: string): Host => {
    const host = byName.get(name);
    if (host === undefined) throw new Error(`unchecked configuration: no host ${name}`);
    return host;
  };
  const siteOf = (site: StackConfig["sites"][number]): Site => {
    const host = hostOf(site.host);
    const images = { ...config.images, ...withoutUndefined(site.images) };
    const box = (container: string, port: number, image: string): Box => ({
      host,
      container,
      port,
      image,
      directory: `${host.root}/${container}`,
    });
    return {
      name: site.name,
      host,
      slot: slotName(site.name),
      volume: site.volume,
      converted: site.converted,
      postgres: box(site.containers.postgres, site.ports.postgres, images.postgres),
      pgbouncer: box(site.containers.pgbouncer, site.ports.pgbouncer, images.pgbouncer),
      pgHealth: box(site.containers.pgHealth, site.ports.pgHealth, images.node),
    };
  };
  const sites = (retired: boolean): readonly Site[] =>
    config.sites.filter((site) => site.retired === retired).map(siteOf);
  return {
    primary: config.primary,
    hosts,
    sites: sites(false),
    retired: sites(true),
    routers: config.routers.map((router): Router => {
      const host = hostOf(router.host);
      return {
        name: router.host,
        host,
        container: router.container,
        image: config.images.haproxy,
        directory: `${host.root}/${router.container}`,
        statsPort: config.haproxy.statsPort,
      };
    }),
    listeners: config.listeners,
    operators: Object.entries(config.operators).map(([name, address]) => ({ name, address })),
    network: config.network,
  };
}

/** The stack as it is while a site leaves it: the retired ones are sites like the others. */
export function beforeRetirement(topology: Topology): Topology {
  return { ...topology, sites: [...topology.sites, ...topology.retired], retired: [] };
}

/** Role that standbys log in with to follow a primary. */
export const REPLICATION_ROLE = "heatwave_replication";

/** Slots are named by place, never by role: letters, digits and underscores only (PostgreSQL's rule). */
export function slotName(site: string): string {
  return `heatwave_${site.replaceAll("-", "_")}`;
}

/** Every site as one router reaches it, in the file's order. */
export function endpointsOf(topology: Topology, router: Router): readonly Endpoint[] {
  return topology.sites.map((site) => {
    const local = site.host.name === router.host.name;
    const at = (box: Box) => ({ address: local ? box.container : site.host.address, port: box.port });
    return { site, local, pooler: at(site.pgbouncer), health: at(site.pgHealth) };
  });
}

function withoutUndefined<T extends object>(
  value: T | undefined,
): { [K in keyof T]: Exclude<T[K], undefined> } | undefined {
  if (value === undefined) return undefined;
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

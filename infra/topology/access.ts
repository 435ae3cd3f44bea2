import { byName } from "./by-name.ts";
import type { Host, Topology } from "./model.ts";

/** Who may reach what on the tailnet: the one source of the hosts' firewall and of the tailnet's grants. */

export interface Peer {
  readonly name: string;
  /** Tailnet IPv4 address. */
  readonly address: string;
}

/** Every host of the stack by name, then the operators; each address once. */
export function peersOf({ hosts, operators }: Topology): readonly Peer[] {
  const peers = [...byName(hosts), ...byName(operators)].map(({ name, address }) => ({ name, address }));
  return peers.filter((peer, i) => peers.findIndex(({ address }) => address === peer.address) === i);
}

/** TCP ports that the stack publishes on a host's tailnet address, ascending; a site's until it is gone. */
export function portsOn(topology: Topology, host: Host): readonly number[] {
  const { sites, retired, routers, listeners } = topology;
  const ofSites = [...sites, ...retired]
    .filter((site) => site.host.name === host.name)
    .flatMap((site) => [site.postgres.port, site.pgbouncer.port, site.pgHealth.port]);
  const ofRouters = routers
    .filter((router) => router.host.name === host.name)
    .flatMap((router) => [...listeners.map(({ port }) => port), router.statsPort]);
  return [...new Set([...ofSites, ...ofRouters])].sort((a, b) => a - b);
}

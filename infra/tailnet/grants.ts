import type { Topology } from "../topology/model.ts";
import { peersOf, portsOn } from "../topology/access.ts";
import { byName } from "../topology/by-name.ts";

/** Grants for exactly the ports that a stack uses, and their block in a tailnet's policy file. Pure. */

/** https://tailscale.com/kb/1324/grants */
export interface Grant {
  readonly src: readonly string[];
  readonly dst: readonly string[];
  readonly ip: readonly string[];
}

/**
 * For each host: the stack's other hosts and the operators may reach its published ports, and the operators its sshd.
 * Addresses are literal: a tag or a group may come to mean more.
 */
export function stackGrants(topology: Topology): readonly Grant[] {
  const operators = topology.operators.map(({ address }) => address).sort();
  return byName(topology.hosts).flatMap((host) => {
    const src = peersOf(topology)
      .map(({ address }) => address)
      .filter((address) => address !== host.address)
      .sort();
    const ports = portsOn(topology, host).map((port) => `tcp:${port}`);
    return [
      ...(src.length > 0 && ports.length > 0 ? [{ src, dst: [host.address], ip: ports }] : []),
      ...(operators.length > 0
        ? [{ src: operators, dst: [host.address], ip: [`tcp:${host.ssh.port}`] }]
        : []),
    ];
  });
}

/** One grant a line, as the block in the policy file has them. */
export function grantsText(grants: readonly Grant[]): string {
  return grants.map((grant) => `${JSON.stringify(grant)},\n`).join("");
}

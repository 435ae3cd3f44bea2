import { peersOf, portsOn } from "../../../infra/topology/access.ts";
import type { Host, Topology } from "../../../infra/topology/model.ts";

/** The chain that what is for one of the stack's ports goes through, and the list of who may. */
export const CHAIN = "HEATWAVE";
const PEERS = "HEATWAVE-PEERS";

/**
 * A host's firewall as one text for `iptables-restore --noflush` and `ip6tables-restore --noflush`: lines with -4 or -6
 * are for one of them. Pure and sorted: the same topology gives the same text.
 *
 * Both tables hold the same chains (docs/decisions/0022-firewall.md): `filter` for DOCKER-USER, where Docker asks for
 * such rules, and `mangle`, since tailscaled accepts in `filter` before DOCKER-USER where it was started last.
 * What is matched is the connection's first packet, before Docker's DNAT (`--ctorigdst`): so only ports of this stack
 * are touched, whatever else runs on the host, and sshd's never, which is not forwarded at all.
 * @param tailnet interface of the tailnet on the host
 */
export function firewallText(topology: Topology, host: Host, tailnet: string): string {
  const ports = portsOn(topology, host);
  const chains = [
    `:${CHAIN} - [0:0]`,
    `:${PEERS} - [0:0]`,
    "# Answers of the containers.",
    `-A ${CHAIN} -m conntrack --ctdir REPLY -j RETURN`,
    "# The stack's ports.",
    ...ports.map(
      (port) =>
        `-4 -A ${CHAIN} -p tcp -m conntrack --ctorigdst ${host.address} --ctorigdstport ${port} -g ${PEERS}`,
    ),
    "# Nothing of the stack is published on IPv6.",
    ...ports.map(
      (port) => `-6 -A ${CHAIN} -i ${tailnet} -p tcp -m conntrack --ctorigdstport ${port} -j DROP`,
    ),
    "# Who may reach them, and nobody else.",
    ...peersOf(topology)
      .filter(({ address }) => address !== host.address)
      .flatMap(({ name, address }) => [
        `# ${name}`,
        `-4 -A ${PEERS} -i ${tailnet} -m conntrack --ctorigsrc ${address} -j RETURN`,
      ]),
    `-A ${PEERS} -j DROP`,
  ];
  return [
    `# heatwave: who may reach the stack's ports on ${host.name} (docs/tailnet.md)`,
    ...["filter", "mangle"].flatMap((table) => [`*${table}`, ...chains, "COMMIT"]),
    "",
  ].join("\n");
}

import { describe, expect, it } from "vitest";
import { firewallText } from "../../../components/firewall/render/rules.ts";
import type { StackConfig } from "../../../infra/config/schema.ts";
import { buildTopology } from "../../../infra/topology/model.ts";
import { production, threeSites } from "../../support/topologies.ts";

const withOperators = (config: StackConfig): StackConfig => ({
  ...config,
  operators: { anna: "100.90.1.1", ci: "100.90.1.2" },
});

describe.each([
  ["production", withOperators(production())],
  ["three-sites", withOperators(threeSites())],
])("the firewall of %s", (stack, config) => {
  const topology = buildTopology(config);

  it.each(topology.hosts.map((host) => [host.name, host] as const))(
    "is the golden text on %s",
    async (_, host) => {
      const text = firewallText(topology, host, config.firewall.interface);
      await expect(text).toMatchFileSnapshot(`../../golden/firewall/${stack}.${host.name}.rules`);
    },
  );

  it("names no port but those that the stack publishes there, and never sshd's", () => {
    for (const host of topology.hosts) {
      const ports = new Set(
        [...firewallText(topology, host, "tailscale0").matchAll(/--ctorigdstport (\d+)/g)].map(([, port]) =>
          Number(port),
        ),
      );
      const published = [
        ...topology.sites
          .filter((site) => site.host === host)
          .flatMap((site) => [site.postgres.port, site.pgbouncer.port, site.pgHealth.port]),
        ...topology.routers
          .filter((router) => router.host === host)
          .flatMap((router) => [router.statsPort, ...topology.listeners.map(({ port }) => port)]),
      ];
      expect([...ports].toSorted()).toEqual(published.toSorted());
      expect(ports).not.toContain(host.ssh.port);
    }
  });

  it("lists an address once, though an operator works on a host of the stack", () => {
    const [host] = topology.hosts;
    const twice = { ...topology, operators: [{ name: "again", address: topology.hosts[1]!.address }] };
    const listed = firewallText(twice, host!, "tailscale0").split(
      `--ctorigsrc ${topology.hosts[1]!.address} `,
    );
    expect(listed).toHaveLength(3); // once in each of the two tables
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../infra/config/load.ts";
import type { Topology } from "../../../infra/topology/model.ts";
import { buildTopology, endpointsOf, slotName } from "../../../infra/topology/model.ts";
import { serversOf } from "../../../infra/topology/proxies.ts";
import type { Raw } from "../config/arbitrary.ts";
import { secretsOf, draw, pool } from "../config/arbitrary.ts";

const STACKS = pool(draw(150));

function topologyOf(raw: Raw): Topology {
  return buildTopology(loadConfig(raw, "Pulumi.test.yaml"));
}

function holds(invariant: (topology: Topology, raw: Raw) => void): void {
  fc.assert(
    fc.property(STACKS, (raw) => {
      invariant(topologyOf(raw), raw);
    }),
    { numRuns: 150 },
  );
}

const unique = (values: readonly unknown[]) => new Set(values).size === values.length;

/** Everything that listens on one host's tailnet address. */
function portsOn(topology: Topology, host: string): number[] {
  const sites = topology.sites.filter((site) => site.host.name === host);
  const routers = topology.routers.filter((router) => router.host.name === host);
  return [
    ...sites.flatMap((site) => [site.postgres.port, site.pgbouncer.port, site.pgHealth.port]),
    ...routers.flatMap((router) => [router.statsPort, ...topology.listeners.map(({ port }) => port)]),
  ];
}

function containersOn(topology: Topology, host: string): { container: string; directory: string }[] {
  return [
    ...topology.sites.flatMap((site) => [site.postgres, site.pgbouncer, site.pgHealth]),
    ...topology.routers,
  ].filter((box) => box.host.name === host);
}

describe("the topology of any valid stack", () => {
  it("has the file's sites and routers, in the file's order", () => {
    holds((topology, raw) => {
      expect(topology.sites.map(({ name }) => name)).toEqual(raw.sites.map((site) => site.name));
      expect(topology.routers.map(({ name }) => name)).toEqual(raw.routers.map((router) => router.host));
      expect(topology.hosts.map(({ name }) => name)).toEqual(Object.keys(raw.hosts));
      expect(topology.sites.map(({ name }) => name)).toContain(topology.primary);
    });
  });

  it("reaches the site on a router's own host by name, and every other by literal address", () => {
    holds((topology) => {
      for (const router of topology.routers) {
        const endpoints = endpointsOf(topology, router);
        expect(endpoints.map(({ site }) => site)).toEqual(topology.sites);
        expect(endpoints.filter(({ local }) => local).length).toBeLessThanOrEqual(1);
        for (const { site, local, pooler, health } of endpoints) {
          expect(local).toBe(site.host.name === router.host.name);
          expect(pooler).toEqual({
            address: local ? site.pgbouncer.container : site.host.address,
            port: site.pgbouncer.port,
          });
          expect(health).toEqual({
            address: local ? site.pgHealth.container : site.host.address,
            port: site.pgHealth.port,
          });
        }
      }
    });
  });

  it("has a slot of its own for each site, under a name that PostgreSQL takes", () => {
    holds((topology) => {
      const slots = topology.sites.map(({ slot }) => slot);
      expect(unique(slots)).toBe(true);
      for (const slot of slots) expect(slot).toMatch(/^heatwave_[a-z0-9_]{1,54}$/);
    });
  });

  it("has no port and no container name twice on a host, and a folder for each container", () => {
    holds((topology) => {
      for (const host of topology.hosts) {
        expect(unique(portsOn(topology, host.name)), host.name).toBe(true);
        const boxes = containersOn(topology, host.name);
        expect(unique(boxes.map(({ container }) => container))).toBe(true);
        expect(boxes.map(({ directory }) => directory)).toEqual(
          boxes.map(({ container }) => `${host.root}/${container}`),
        );
        expect(boxes.map(({ directory }) => directory)).not.toContain(`${host.root}/bin`);
      }
    });
  });

  it("places every box on its site's host", () => {
    holds((topology, raw) => {
      for (const [i, site] of topology.sites.entries()) {
        const host = raw.sites[i]!.host;
        expect(site.host.address).toBe(raw.hosts[host]!.address);
        for (const box of [site.postgres, site.pgbouncer, site.pgHealth]) expect(box.host).toBe(site.host);
      }
    });
  });

  it("runs a site's own image where it names one, the stack's elsewhere", () => {
    holds((topology, raw) => {
      for (const [i, site] of topology.sites.entries()) {
        expect(site.postgres.image).toBe(raw.sites[i]!.images?.postgres ?? raw.images.postgres);
        expect(site.pgbouncer.image).toBe(raw.images.pgbouncer);
        expect(site.pgHealth.image).toBe(raw.images.node);
      }
      for (const router of topology.routers) expect(router.image).toBe(raw.images.haproxy);
    });
  });

  it("names nothing by role: another primary changes the word primary and nothing else", () => {
    fc.assert(
      fc.property(STACKS, fc.nat(), (raw, n) => {
        const primary = raw.sites[n % raw.sites.length]!.name;
        const flipped = topologyOf({ ...raw, primary });
        expect(flipped).toEqual({ ...topologyOf(raw), primary });
      }),
    );
  });

  it("holds no secret", () => {
    holds((topology, raw) => {
      const text = JSON.stringify(topology);
      for (const secret of secretsOf(raw)) expect(text).not.toContain(JSON.stringify(secret).slice(1, -1));
    });
  });

  it("gives each listener every site as a server, checked where the check runs", () => {
    holds((topology) => {
      for (const router of topology.routers) {
        const owners = topology.listeners.flatMap((listener) => {
          const servers = serversOf(topology, router, listener);
          expect(servers.map(({ name }) => name)).toEqual(topology.sites.map(({ name }) => name));
          for (const server of servers) {
            expect(server.checkOwner.startsWith(`${listener.name}/`)).toBe(!server.local);
          }
          return servers.map(({ checkOwner }) => checkOwner);
        });
        expect(unique(owners)).toBe(true);
      }
    });
  });
});

describe("slotName", () => {
  it.each([
    ["dal-01", "heatwave_dal_01"],
    ["chi-02", "heatwave_chi_02"],
    ["a", "heatwave_a"],
  ])("of %s is %s", (site, slot) => {
    expect(slotName(site)).toBe(slot);
  });
});

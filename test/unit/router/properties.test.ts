import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { renderHaproxyCfg } from "../../../components/router/render/haproxy-cfg.ts";
import type { Topology } from "../../../infra/topology/model.ts";
import { CHECK_PATH, serversOf as modelServersOf } from "../../../infra/topology/proxies.ts";
import {
  optionOf,
  parseHaproxyCfg,
  sectionOf,
  serversOf,
  valueOf,
  type Section,
} from "../../support/haproxy-config.ts";
import { stack } from "../../support/router-stacks.ts";
import { production } from "../../support/topologies.ts";

function eachRouter(
  check: (
    sections: readonly Section[],
    topology: Topology,
    router: Topology["routers"][number],
    text: string,
  ) => void,
): void {
  fc.assert(
    fc.property(stack, ({ topology, settings }) => {
      for (const router of topology.routers) {
        const text = renderHaproxyCfg(topology, router, settings);
        check(parseHaproxyCfg(text), topology, router, text);
      }
    }),
    { numRuns: 60 },
  );
}

const listeners = (sections: readonly Section[]) =>
  sections.filter(({ keyword, name }) => keyword === "listen" && name !== "stats");

describe("any stack's haproxy.cfg", () => {
  it("has every site once in every listener, in the file's order", () =>
    eachRouter((sections, topology) => {
      expect(listeners(sections).map(({ name }) => name)).toEqual(topology.listeners.map(({ name }) => name));
      for (const section of listeners(sections))
        expect(serversOf(section).map(({ name }) => name)).toEqual(topology.sites.map(({ name }) => name));
    }));

  it("gives every server exactly one check, its own or one it tracks, of that site and that question", () =>
    eachRouter((sections, topology) => {
      for (const section of listeners(sections)) {
        const listener = topology.listeners.find(({ name }) => name === section.name)!;
        for (const server of serversOf(section)) {
          expect(server.check).toBe(server.track === undefined);
          const [checker, name] = (server.track ?? `${section.name}/${server.name}`).split("/");
          const owner = sections.find((each) => each.name === checker)!;
          const checked = serversOf(owner).find((each) => each.name === name)!;
          const site = topology.sites.find((each) => each.name === server.name)!;
          expect(checked).toMatchObject({ name: server.name, check: true, checkPort: site.pgHealth.port });
          expect(valueOf(sections, owner, "option httpchk")).toBe(`GET ${CHECK_PATH[listener.route]}`);
          expect(server.port).toBe(site.pgbouncer.port);
        }
      }
    }));

  it("reaches a site by name on its own host alone, and every other by tailnet address", () =>
    eachRouter((sections, topology, router) => {
      for (const section of sections)
        for (const server of serversOf(section)) {
          const site = topology.sites.find((each) => each.name === server.name)!;
          const local = site.host.name === router.host.name;
          const names = [site.pgbouncer.container, site.pgHealth.container];
          if (local) expect(names).toContain(server.address);
          else expect(server.address).toBe(site.host.address);
          expect(server.resolvers !== undefined).toBe(local);
          if (local) expect(optionOf(server, "init-addr")).toBe("last,libc,127.0.0.1");
        }
    }));

  it("never names its own host's address", () =>
    eachRouter((_, __, router, text) => {
      expect(text.split(/[\s:]/)).not.toContain(router.host.address);
    }));

  it("has a resolvers section exactly where a server needs it", () =>
    eachRouter((sections) => {
      const used = sections.some((section) =>
        serversOf(section).some(({ resolvers }) => resolvers !== undefined),
      );
      expect(sections.some(({ keyword }) => keyword === "resolvers")).toBe(used);
    }));

  it("has no two sections of one name and no two servers of one name in a section", () =>
    eachRouter((sections) => {
      const names = sections.map(({ keyword, name }) =>
        keyword === "resolvers" ? `resolvers ${name}` : name || keyword,
      );
      expect(new Set(names).size).toBe(names.length);
      for (const section of sections) {
        const servers = serversOf(section).map(({ name }) => name);
        expect(new Set(servers).size).toBe(servers.length);
      }
    }));

  it("guards write listeners, and those alone", () =>
    eachRouter((sections, topology) => {
      for (const section of listeners(sections)) {
        const write = topology.listeners.find(({ name }) => name === section.name)!.route === "write";
        expect(valueOf(sections, section, "tcp-request connection")).toBe(
          write ? `reject if { nbsrv(${section.name}) gt 1 }` : undefined,
        );
      }
    }));

  it("leaves the stats page its own connections, however full the listeners are", () =>
    eachRouter((sections) => {
      const limit = (section: Section) => Number(valueOf(sections, section, "maxconn"));
      const shares = sections.filter(({ keyword }) => keyword === "listen").map(limit);
      expect(limit(sectionOf(sections, "global"))).toBe(shares.reduce((sum, share) => sum + share));
    }));

  it("starts every server from the state file", () =>
    eachRouter((sections) => {
      for (const section of listeners(sections))
        expect(valueOf(sections, section, "load-server-state-from-file")).toBe("global");
    }));

  it("is a function of the model: the same twice, and the same for another primary", () =>
    eachRouter((_, topology, router, text) => {
      const settings = { ...production().haproxy };
      const render = (primary: string) => renderHaproxyCfg({ ...topology, primary }, router, settings);
      expect(render(topology.sites.at(-1)!.name)).toBe(render(topology.primary));
      expect(text).not.toMatch(/\b20[0-9]{2}-[0-9]{2}/);
    }));

  it("names servers and check owners as the model says", () =>
    eachRouter((sections, topology, router) => {
      for (const listener of topology.listeners)
        for (const server of modelServersOf(topology, router, listener)) {
          const [owner, name] = server.checkOwner.split("/");
          const checked = sections.filter((section) => section.name === owner);
          expect(checked.flatMap(serversOf).filter((each) => each.check && each.name === name)).toHaveLength(
            1,
          );
        }
    }));
});

import fc from "fast-check";
import { buildTopology } from "../../infra/topology/model.ts";
import { production } from "./topologies.ts";

/** Stacks of one to five sites, some with a router beside them, some app hosts apart, one to four listeners. */
export const stack = fc
  .record({
    sites: fc.integer({ min: 1, max: 5 }),
    beside: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    apart: fc.integer({ min: 0, max: 2 }),
    routes: fc.array(fc.constantFrom("write", "read", "any"), { minLength: 1, maxLength: 4 }),
    ports: fc.integer({ min: 2000, max: 60_000 }),
    maxconn: fc.integer({ min: 10, max: 5000 }),
  })
  .map(({ sites, beside, apart, routes, ports, maxconn }) => {
    const config = production();
    const names = Array.from({ length: sites }, (_, i) => `site-${i}`);
    const apps = Array.from({ length: apart + (beside.length === 0 ? 1 : 0) }, (_, i) => `app-${i}`);
    const hosts = [...names, ...apps].map((name, i) => [
      name,
      { ...config.hosts["dal-01"]!, address: `100.64.${i}.7` },
    ]);
    const checked = {
      ...config,
      primary: names[0]!,
      hosts: Object.fromEntries(hosts) as typeof config.hosts,
      sites: names.map((name, i) => ({
        ...config.sites[0]!,
        name,
        host: name,
        containers: { postgres: `pg-${i}`, pgbouncer: `bouncer-${i}`, pgHealth: `health-${i}` },
        ports: { postgres: 5432, pgbouncer: ports + 2 * i, pgHealth: ports + 2 * i + 1 },
      })),
      routers: [...new Set([...beside.map((i) => names[i % sites]!), ...apps])].map((host) => ({
        host,
        container: "heatwave-haproxy",
      })),
      listeners: routes.map((route, i) => ({ name: `pg-${i}`, port: 1024 + i, route })),
      haproxy: { ...config.haproxy, maxconn },
    };
    return { topology: buildTopology(checked), settings: checked.haproxy };
  });

import type { Finding } from "./problem.ts";
import type { StackConfig } from "./schema.ts";

/** Rules for `maintenance`: its hosts exist, and it stops nothing of heatwave's own. */
export function maintenanceRules(config: StackConfig): Finding[] {
  const { maintenance } = config;
  if (maintenance === undefined) return [];
  const known = Object.keys(config.hosts);
  const unknownHost = (host: string, path: readonly PropertyKey[]): Finding[] =>
    known.includes(host)
      ? []
      : [
          {
            path,
            value: host,
            allowed: `one of hosts: ${known.join(", ")}`,
            fix: "declare the host, or name another",
          },
        ];
  const own = ownContainers(config);
  const ownContainer = (host: string, name: string, path: readonly PropertyKey[]): Finding[] =>
    own.has(`${host} ${name}`)
      ? [
          {
            path,
            value: name,
            allowed: "a container that is none of heatwave's own",
            fix: "remove it: PostgreSQL, PgBouncer, pg-health and the router go on through a maintenance",
          },
        ]
      : [];
  const hosts = maintenance.hosts ?? config.routers.map((router) => router.host);
  const noHosts: Finding[] =
    hosts.length === 0
      ? [
          {
            path: ["maintenance", "hosts"],
            value: maintenance.hosts,
            allowed: "the app's hosts, where there are no routers whose hosts could be taken",
            fix: "name the app's hosts",
          },
        ]
      : [];
  return [
    ...noHosts,
    ...(maintenance.hosts ?? []).flatMap((host, i) => unknownHost(host, ["maintenance", "hosts", i])),
    ...hosts
      .flatMap((host) =>
        ownContainer(host, maintenance.proxy.container, ["maintenance", "proxy", "container"]),
      )
      .slice(0, 1),
    ...maintenance.containers.flatMap(({ host, name }, i) => [
      ...unknownHost(host, ["maintenance", "containers", i, "host"]),
      ...ownContainer(host, name, ["maintenance", "containers", i, "name"]),
    ]),
  ];
}

function ownContainers(config: StackConfig): ReadonlySet<string> {
  return new Set([
    ...config.sites.flatMap((site) => Object.values(site.containers).map((name) => `${site.host} ${name}`)),
    ...config.routers.map((router) => `${router.host} ${router.container}`),
  ]);
}

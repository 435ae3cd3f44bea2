import type { Finding } from "./problem.ts";
import { pathText } from "./problem.ts";
import { adoptionRules } from "./rules-adoption.ts";
import { maintenanceRules } from "./rules-maintenance.ts";
import { databaseRules, hbaRules, ownedParameters, retentionRules } from "./rules-postgres.ts";
import { tailnetRules } from "./rules-tailnet.ts";
import type { StackConfig } from "./schema.ts";

/** Rules between fields. Each returns what it finds; all are asked, so that one run shows everything. */
export function crossFieldFindings(config: StackConfig): Finding[] {
  return [
    ...hostRules(config),
    ...siteRules(config),
    ...listenerRules(config),
    ...networkRules(config),
    ...clashes(config),
    ...pathRules(config),
    ...databaseRules(config),
    ...hbaRules(config),
    ...ownedParameters(config),
    ...retentionRules(config),
    ...maintenanceRules(config),
    ...adoptionRules(config),
    ...tailnetRules(config),
  ];
}

function problem(path: readonly PropertyKey[], value: unknown, allowed: string, fix: string): Finding {
  return { path, value, allowed, fix };
}

function hostRules(config: StackConfig): Finding[] {
  const problems: Finding[] = [];
  const hosts = Object.entries(config.hosts);
  for (const [i, [name, host]] of hosts.entries()) {
    const twin = hosts.slice(0, i).find(([, other]) => other.address === host.address);
    if (twin !== undefined) {
      problems.push(
        problem(
          ["hosts", name, "address"],
          host.address,
          "an address of its own",
          `${twin[0]} has it already: correct one of the two`,
        ),
      );
    }
    const used =
      config.sites.some((site) => site.host === name) ||
      config.routers.some((router) => router.host === name);
    if (!used) {
      problems.push(
        problem(
          ["hosts", name],
          host.address,
          "a host that a site or a router names",
          "use the host, or remove it",
        ),
      );
    }
  }
  return problems;
}

function siteRules(config: StackConfig): Finding[] {
  const problems: Finding[] = [];
  const hosts = Object.keys(config.hosts);
  const sites = config.sites.map((site) => site.name);
  for (const [i, site] of config.sites.entries()) {
    if (sites.indexOf(site.name) !== i) {
      problems.push(
        problem(["sites", i, "name"], site.name, "a name that no other site has", "rename one of the two"),
      );
    }
    if (!hosts.includes(site.host)) {
      problems.push(
        problem(
          ["sites", i, "host"],
          site.host,
          `one of hosts: ${hosts.join(", ")}`,
          "declare the host, or name another",
        ),
      );
    }
    const twin = config.sites.slice(0, i).find((other) => other.host === site.host);
    if (twin !== undefined) {
      problems.push(
        problem(
          ["sites", i, "host"],
          site.host,
          "a host of its own",
          `${twin.name} is on it already: two sites on one host fail together`,
        ),
      );
    }
  }
  for (const [i, router] of config.routers.entries()) {
    if (!hosts.includes(router.host)) {
      problems.push(
        problem(
          ["routers", i, "host"],
          router.host,
          `one of hosts: ${hosts.join(", ")}`,
          "declare the host, or name another",
        ),
      );
    }
    if (config.routers.findIndex((other) => other.host === router.host) !== i) {
      problems.push(
        problem(["routers", i, "host"], router.host, "one router to a host", "remove one of the two"),
      );
    }
  }
  const [staying, retired] = [false, true].map((gone) =>
    config.sites.filter((site) => site.retired === gone).map((site) => site.name),
  );
  if (!sites.includes(config.primary)) {
    problems.push(
      problem(
        ["primary"],
        config.primary,
        `one of sites: ${(staying ?? []).join(", ")}`,
        "name the site that should take writes",
      ),
    );
  } else if (retired?.includes(config.primary) === true) {
    problems.push(
      problem(
        ["primary"],
        config.primary,
        `a site that stays: ${(staying ?? []).join(", ") || "there is none"}`,
        "first move the writes (bin/recovery ENV flip-db), then retire the site, each with its own `pulumi up`",
      ),
    );
  }
  return problems;
}

function listenerRules(config: StackConfig): Finding[] {
  const problems: Finding[] = [];
  const names = config.listeners.map((listener) => listener.name);
  for (const [i, listener] of config.listeners.entries()) {
    if (names.indexOf(listener.name) !== i || ["stats", "defaults", "global"].includes(listener.name)) {
      problems.push(
        problem(
          ["listeners", i, "name"],
          listener.name,
          "a name that no other section of haproxy.cfg has",
          "rename it",
        ),
      );
    }
  }
  if (!config.listeners.some((listener) => listener.route === "write")) {
    problems.push(
      problem(
        ["listeners"],
        names.join(", "),
        "at least one listener with route write",
        "declare the write listener",
      ),
    );
  }
  return problems;
}

/** Docker's own networks: no names are resolved on them. */
const BUILT_IN_NETWORKS = ["bridge", "default", "host", "none"];

function networkRules({ network }: StackConfig): Finding[] {
  return BUILT_IN_NETWORKS.includes(network.name)
    ? [
        problem(
          ["network", "name"],
          network.name,
          "a network of its own kind: not bridge, default, host or none, where containers have no names",
          "name the network that the apps are on, e.g. kamal",
        ),
      ]
    : [];
}

/** What stands in every root besides the containers' folders. */
const RESERVED_FOLDERS = ["bin"];

/** The master's CLI, on the loopback inside a router's container (components/router/source/start.sh). */
const MASTER_CLI = 8405;

/** Ports and container names that two things want on one host. */
function clashes(config: StackConfig): Finding[] {
  const claims = new Map<string, readonly PropertyKey[]>();
  const problems: Finding[] = [];
  const claim = (
    host: string,
    kind: "port" | "container name",
    value: string | number,
    path: readonly PropertyKey[],
  ): void => {
    const key = `${host} ${kind} ${value}`;
    const first = claims.get(key);
    // One listener is on every router's host: the same claim again is no clash.
    if (first === undefined || pathText(first) === pathText(path)) {
      claims.set(key, path);
      return;
    }
    const place = host === "" ? "every app host" : host;
    const allowed = `a ${kind} that nothing else on ${place} has`;
    problems.push(problem(path, value, allowed, `${pathText(first)} has it: change one of the two`));
  };
  const claimName = (host: string, name: string, path: readonly PropertyKey[]): void => {
    claim(host, "container name", name, path);
    if (RESERVED_FOLDERS.includes(name)) {
      problems.push(
        problem(path, name, "a container name that is no folder of heatwave's own", "choose another name"),
      );
    }
  };
  for (const [i, site] of config.sites.entries()) {
    for (const [key, port] of Object.entries(site.ports))
      claim(site.host, "port", port, ["sites", i, "ports", key]);
    for (const [key, name] of Object.entries(site.containers))
      claimName(site.host, name, ["sites", i, "containers", key]);
  }
  const claimRouterPort = (host: string, port: number, path: readonly PropertyKey[]): void => {
    claim(host, "port", port, path);
    if (port === MASTER_CLI) {
      problems.push(
        problem(
          path,
          port,
          `a port other than ${MASTER_CLI}, HAProxy's own in its container`,
          "choose another",
        ),
      );
    }
  };
  // Also without a router: the next one would meet the clash.
  const routerHosts = config.routers.length === 0 ? [""] : config.routers.map((router) => router.host);
  for (const host of routerHosts) {
    claimRouterPort(host, config.haproxy.statsPort, ["haproxy", "statsPort"]);
    for (const [j, listener] of config.listeners.entries())
      claimRouterPort(host, listener.port, ["listeners", j, "port"]);
  }
  for (const [i, router] of config.routers.entries())
    claimName(router.host, router.container, ["routers", i, "container"]);
  return problems;
}

/** Bytes that the path of a unix socket may have (Linux: 108 with its final zero). */
const SOCKET_PATH = 107;

/** Runbooks reach sockets below the root by their paths. */
function pathRules(config: StackConfig): Finding[] {
  const sockets = [
    ...config.sites.map((site, i) => ({
      path: ["sites", i, "containers", "pgHealth"],
      host: site.host,
      name: site.containers.pgHealth,
      socket: "run/control.sock",
    })),
    ...config.routers.map((router, i) => ({
      path: ["routers", i, "container"],
      host: router.host,
      name: router.container,
      socket: "run/master.sock",
    })),
  ];
  return sockets.flatMap(({ path, host, name, socket }) => {
    const root = Object.hasOwn(config.hosts, host) ? config.hosts[host]?.root : undefined;
    if (root === undefined || `${root}/${name}/${socket}`.length <= SOCKET_PATH) return [];
    const most = SOCKET_PATH - `//${socket}`.length;
    return [
      problem(
        path,
        name,
        `at most ${most} characters together with the root of ${host} (${root}): a socket's path has no more`,
        "choose a shorter container name or root",
      ),
    ];
  });
}

export { OWNED_PARAMETERS } from "./rules-postgres.ts";

import type { Problem } from "./problem.ts";
import { shown } from "./problem.ts";
import type { StackConfig } from "./schema.ts";

/** Rules between fields. Each returns its problems; all are asked, so that one run shows everything. */
export function crossFieldProblems(config: StackConfig): Problem[] {
  return [
    ...hostRules(config),
    ...siteRules(config),
    ...listenerRules(config),
    ...clashes(config),
    ...databaseRules(config),
    ...ownedParameters(config),
  ];
}

function problem(path: readonly PropertyKey[], value: unknown, allowed: string, fix: string): Problem {
  return { path, value: shown(path, value), allowed, fix };
}

function hostRules(config: StackConfig): Problem[] {
  const problems: Problem[] = [];
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

function siteRules(config: StackConfig): Problem[] {
  const problems: Problem[] = [];
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
  if (!sites.includes(config.primary)) {
    problems.push(
      problem(
        ["primary"],
        config.primary,
        `one of sites: ${sites.join(", ")}`,
        "name the site that should take writes",
      ),
    );
  }
  return problems;
}

function listenerRules(config: StackConfig): Problem[] {
  const problems: Problem[] = [];
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
      problem(["listeners"], names, "at least one listener with route write", "declare the write listener"),
    );
  }
  return problems;
}

interface Claim {
  readonly path: readonly PropertyKey[];
  readonly value: string | number;
}

/** Ports and container names that two things want on one host. */
function clashes(config: StackConfig): Problem[] {
  const claims = new Map<string, Claim>();
  const problems: Problem[] = [];
  const claim = (
    host: string,
    kind: "port" | "container name",
    value: string | number,
    path: readonly PropertyKey[],
  ): void => {
    const key = `${host} ${kind} ${value}`;
    const first = claims.get(key);
    if (first === undefined) claims.set(key, { path, value });
    else
      problems.push(
        problem(
          path,
          value,
          `a ${kind} that nothing else on ${host} has`,
          `${first.path.map(String).join(".")} has it: change one of the two`,
        ),
      );
  };
  for (const [i, site] of config.sites.entries()) {
    for (const [key, port] of Object.entries(site.ports))
      claim(site.host, "port", port, ["sites", i, "ports", key]);
    for (const [key, name] of Object.entries(site.containers)) {
      claim(site.host, "container name", name, ["sites", i, "containers", key]);
    }
  }
  for (const [i, router] of config.routers.entries()) {
    claim(router.host, "port", config.haproxy.statsPort, ["haproxy", "statsPort"]);
    claim(router.host, "container name", router.container, ["routers", i, "container"]);
    for (const [j, listener] of config.listeners.entries()) {
      claim(router.host, "port", listener.port, ["listeners", j, "port"]);
    }
  }
  const seen = new Set<string>();
  return problems.filter((found) => {
    const key = found.path.map(String).join(".");
    return !seen.has(key) && seen.add(key);
  });
}

const RESERVED_ROLE = /^(postgres|heatwave_.*|pg_.*|public|none|all|replication)$/;
const RESERVED_DATABASE =
  /^(postgres|template0|template1|pgbouncer|all|replication|sameuser|samerole|heatwave_health)$/;

function databaseRules(config: StackConfig): Problem[] {
  const problems: Problem[] = [];
  const roles = config.postgres.roles.map((role) => role.name);
  for (const [i, role] of config.postgres.roles.entries()) {
    const path = ["postgres", "roles", i, "name"];
    if (RESERVED_ROLE.test(role.name)) {
      problems.push(
        problem(
          path,
          role.name,
          "a name that neither PostgreSQL nor heatwave keeps for itself",
          "rename the role",
        ),
      );
    } else if (roles.indexOf(role.name) !== i) {
      problems.push(problem(path, role.name, "a name that no other role has", "remove one of the two"));
    }
    if (config.secrets.roles[role.name] === undefined) {
      problems.push(
        problem(
          ["secrets", "roles", role.name],
          undefined,
          "a password for each of postgres.roles",
          `pulumi config set --secret --path heatwave:secrets.roles.${role.name}`,
        ),
      );
    }
  }
  for (const name of Object.keys(config.secrets.roles)) {
    if (!roles.includes(name)) {
      problems.push(
        problem(
          ["secrets", "roles", name],
          undefined,
          `a role of postgres.roles: ${roles.join(", ")}`,
          "declare the role, or remove its password",
        ),
      );
    }
  }
  const databases = config.postgres.databases.map((database) => database.name);
  for (const [i, database] of config.postgres.databases.entries()) {
    if (RESERVED_DATABASE.test(database.name) || databases.indexOf(database.name) !== i) {
      problems.push(
        problem(
          ["postgres", "databases", i, "name"],
          database.name,
          "a name of its own that is not PostgreSQL's, PgBouncer's or heatwave's",
          "rename the database",
        ),
      );
    }
    if (!roles.includes(database.owner)) {
      problems.push(
        problem(
          ["postgres", "databases", i, "owner"],
          database.owner,
          `one of postgres.roles: ${roles.join(", ")}`,
          "declare the role, or name another",
        ),
      );
    }
  }
  return problems;
}

/** Parameters that heatwave sets itself, because its promises rest on them. */
export const OWNED_PARAMETERS: readonly string[] = [
  "archive_cleanup_command",
  "cluster_name",
  "config_file",
  "data_directory",
  "external_pid_file",
  "hba_file",
  "hot_standby",
  "ident_file",
  "listen_addresses",
  "password_encryption",
  "port",
  "primary_conninfo",
  "primary_slot_name",
  "recovery_target_timeline",
  "restart_after_crash",
  "unix_socket_directories",
  "wal_level",
];
const OWNED_POOLER_SETTINGS: readonly string[] = [
  "admin_users",
  "auth_file",
  "auth_type",
  "default_pool_size",
  "dns_max_ttl",
  "listen_addr",
  "listen_port",
  "max_client_conn",
  "pool_mode",
  "server_login_retry",
  "stats_users",
  "unix_socket_dir",
  "logfile",
  "pidfile",
  "user",
  "auth_query",
  "auth_user",
];

function ownedParameters(config: StackConfig): Problem[] {
  const owned = (section: "postgres" | "pgbouncer", keys: readonly string[]): Problem[] =>
    Object.entries(config[section].parameters)
      .filter(([key]) => keys.includes(key))
      .map(([key, value]) =>
        problem(
          [section, "parameters", key],
          value,
          "a parameter that heatwave does not set itself",
          "remove it; the configuration reference says where it comes from",
        ),
      );
  return [...owned("postgres", OWNED_PARAMETERS), ...owned("pgbouncer", OWNED_POOLER_SETTINGS)];
}

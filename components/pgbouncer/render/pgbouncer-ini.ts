import type { StackConfig } from "../../../infra/config/schema.ts";
import type { Site } from "../../../infra/topology/model.ts";
import { HEALTH_ROLE } from "../../postgres/render/roles.ts";

/** Database of the health endpoint's own pool: a full application pool does not touch it. */
export const HEALTH_POOL = "heatwave_health";

/** Its socket, in a folder of the host: the console is reached there without a password, by its own user alone. */
export const SOCKET_DIRECTORY = "/run/pgbouncer";

/** Where it finds the socket of the PostgreSQL beside it, inside its container. */
export const SERVER_DIRECTORY = "/run/postgresql";

/** Where PgBouncer finds its users, inside its container. */
const AUTH_FILE = "/run/heatwave-secrets/userlist.txt";

/**
 * `pgbouncer.ini` of one site. It points at the PostgreSQL beside it, by its socket, and is never edited at a flip. Not by
 * name: c-ares keeps an answer as long as Docker's DNS says, 600 s, so that a pooler would stay away from a container
 * that came back under another address (docs/decisions/0025-pooler-by-socket.md).
 */
export function renderPgbouncerIni(site: Site, pgbouncer: StackConfig["pgbouncer"]): string {
  const server = `host=${SERVER_DIRECTORY} port=${site.postgres.port}`;
  const declared = Object.entries(pgbouncer.parameters);
  const names = new Set(declared.map(([name]) => name));
  return [
    ";; Rendered by heatwave. Declare settings in the stack file: this file is replaced by the next `up`.",
    "[databases]",
    `${HEALTH_POOL} = ${server} dbname=postgres pool_size=2`,
    `* = ${server}`,
    "",
    "[pgbouncer]",
    ...settings([
      ["listen_addr", "0.0.0.0"],
      ["listen_port", site.pgbouncer.port],
      ["unix_socket_dir", SOCKET_DIRECTORY],
      ["auth_type", "scram-sha-256"],
      ["auth_file", AUTH_FILE],
      ["admin_users", "pgbouncer"],
      ["stats_users", HEALTH_ROLE],
      ["pool_mode", pgbouncer.poolMode],
      ["max_client_conn", pgbouncer.maxClientConn],
      ["default_pool_size", pgbouncer.defaultPoolSize],
    ]),
    ";; PostgreSQL may have gone and come back: ask again at once.",
    ...settings([["server_login_retry", 1]]),
    ";; heatwave's defaults, which `heatwave:pgbouncer.parameters` overrules.",
    ...settings(DEFAULTS.filter(([name]) => !names.has(name))),
    ...(declared.length === 0
      ? []
      : [";; Declared in the stack file.", ...settings(declared.toSorted(([a], [b]) => (a < b ? -1 : 1)))]),
    "",
  ].join("\n");
}

const DEFAULTS: readonly (readonly [string, string | number])[] = [
  // Drivers send it at every start, and PgBouncer refuses what it does not know.
  ["ignore_startup_parameters", "extra_float_digits,options"],
  ["max_prepared_statements", 200],
  // The health endpoint logs in every few seconds.
  ["log_connections", 0],
  ["log_disconnections", 0],
  ["server_idle_timeout", 600],
  ["tcp_keepalive", 1],
  ["tcp_keepcnt", 3],
  ["tcp_keepidle", 30],
  ["tcp_keepintvl", 10],
];

function settings(list: readonly (readonly [string, string | number | boolean])[]): string[] {
  return list.map(([name, value]) => `${name} = ${typeof value === "boolean" ? Number(value) : value}`);
}

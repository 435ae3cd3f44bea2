/**
 * What pg-health is told: `/etc/heatwave/pg-health.json` (no secret in it) and `/run/heatwave-secrets/pg-health.json`.
 * Checked by hand, because the bundle stays small and its errors name the path, the value and the fix.
 */
import { ConfigError, readJson, Reader, show } from "./json-reader.ts";
import { parseSize } from "./size.ts";

/** A TCP address. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A site as its peers see it. */
export interface SiteConfig {
  /** Name of the place, never of a role: `dal-01`. */
  readonly name: string;
  /** Where its pg-health listens. */
  readonly health: Address;
  /** Where its PostgreSQL listens for replication. */
  readonly postgres: Address;
}

/** The file `/etc/heatwave/pg-health.json` as a renderer writes it. */
export interface PgHealthConfig {
  /** The own site's name; one of `sites`. */
  readonly site: string;
  /** Every site of the cluster in the stack file's order; the first one founds it. The own site is in it. */
  readonly sites: readonly SiteConfig[];
  /** @default 0.0.0.0:8008 */
  readonly listen?: Partial<Address>;
  readonly postgres?: Partial<PostgresConfig>;
  /** The local PgBouncer; left out, no pooler is probed. */
  readonly pooler?: Pick<PoolerConfig, "host"> & Partial<PoolerConfig>;
  readonly limits?: Partial<LimitsConfig>;
  /** @default "info" */
  readonly logLevel?: LogLevel;
}

export interface PostgresConfig {
  /** @default "/var/lib/postgresql/18/docker" */
  readonly dataDirectory: string;
  /** The directory shared with the entrypoint. @default "/run/heatwave" */
  readonly runDirectory: string;
  /** Port in the unix socket's name. @default 5432 */
  readonly port: number;
  /** @default "postgres" */
  readonly database: string;
  /** The probe's role: LOGIN and pg_monitor. @default "heatwave_health" */
  readonly user: string;
  /** LOGIN and REPLICATION. @default "heatwave_replication" */
  readonly replicationUser: string;
  /** Cap of a base backup's rate, as pg_basebackup takes it (`100M`); empty is none. @default "" */
  readonly baseBackupMaxRate: string;
}

export interface PoolerConfig {
  readonly host: string;
  /** @default 6432 */
  readonly port: number;
  /** @default "heatwave_health" */
  readonly user: string;
  /** The database entry whose pool is the probe's own. @default "heatwave_health" */
  readonly database: string;
  /** @default "pgbouncer" */
  readonly adminDatabase: string;
}

export interface LimitsConfig {
  /** Milliseconds a probe of PostgreSQL may take, connection included. @default 1000 */
  readonly probeMs: number;
  /** Milliseconds an answer of PostgreSQL is used for further probes. @default 100 */
  readonly cacheMs: number;
  /** Milliseconds a peer may take to answer. @default 2000 */
  readonly peerMs: number;
  /** Milliseconds between two questions to a peer. @default 2000 */
  readonly peerEveryMs: number;
  /** Milliseconds of a peer's silence after which a held-back site is started in recovery, for reads. @default 60000 */
  readonly silenceMs: number;
  /** Milliseconds a probe of the pooler may take. @default 2000 */
  readonly poolerMs: number;
  /** Milliseconds between two probes of the pooler. @default 5000 */
  readonly poolerEveryMs: number;
  /** Milliseconds between two looks at the site when nothing happens. @default 1000 */
  readonly lookEveryMs: number;
  /** Lag that `/readiness` allows when the request names none. @default "1MB" */
  readonly readinessLag: string;
}

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

/** The checked configuration with its defaults. */
export interface Settings {
  readonly site: string;
  readonly sites: readonly SiteConfig[];
  readonly listen: Address;
  readonly postgres: PostgresConfig;
  readonly pooler: PoolerConfig | undefined;
  readonly limits: LimitsConfig;
  readonly logLevel: LogLevel;
}

export interface Secrets {
  /** Password of `postgres.user` (and `pooler.user`). */
  readonly healthPassword: string;
  /** Key of the MAC by which peers know each other. */
  readonly peerSecret: string;
}

const DEFAULTS = {
  listen: { host: "0.0.0.0", port: 8008 },
  postgres: {
    dataDirectory: "/var/lib/postgresql/18/docker",
    runDirectory: "/run/heatwave",
    port: 5432,
    database: "postgres",
    user: "heatwave_health",
    replicationUser: "heatwave_replication",
    baseBackupMaxRate: "",
  },
  pooler: { port: 6432, user: "heatwave_health", database: "heatwave_health", adminDatabase: "pgbouncer" },
  limits: {
    probeMs: 1000,
    cacheMs: 100,
    peerMs: 2000,
    peerEveryMs: 2000,
    silenceMs: 60_000,
    poolerMs: 2000,
    poolerEveryMs: 5000,
    lookEveryMs: 1000,
    readinessLag: "1MB",
  },
} as const;

const LOG_LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error"];

/** Site names become application names and slot names. */
const SITE_NAME = /^[a-z][a-z0-9-]{0,47}$/;
/** What stands in a conninfo without quoting, and in an order to the entrypoint. */
const HOST = /^[A-Za-z0-9._:-]{1,253}$/;
const ROLE = /^[a-z_][a-z0-9_]{0,62}$/;
const DATABASE = /^[A-Za-z_][A-Za-z0-9_-]{0,62}$/;
const DIRECTORY = /^\/[^\0\n'"\\]*$/;
const RATE = /^([1-9][0-9]*[kM]?)?$/;

function address(reader: Reader, fallback?: Address): Address {
  reader.only("host", "port");
  return { host: reader.text("host", HOST, fallback?.host), port: port(reader, fallback?.port) };
}

function port(reader: Reader, fallback?: number): number {
  return reader.number("port", 1, 65_535, fallback);
}

function sites(root: Reader): readonly SiteConfig[] {
  const list = root.list("sites").map((site): SiteConfig => {
    site.only("name", "health", "postgres");
    return {
      name: site.text("name", SITE_NAME),
      health: address(site.object("health")),
      postgres: address(site.object("postgres")),
    };
  });
  const names = list.map((site) => site.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new ConfigError(`${root.at("sites")}: site ${twice} stands there twice`);
  return list;
}

function postgres(reader: Reader): PostgresConfig {
  const fallback = DEFAULTS.postgres;
  reader.only(...Object.keys(fallback));
  return {
    dataDirectory: reader.text("dataDirectory", DIRECTORY, fallback.dataDirectory),
    runDirectory: reader.text("runDirectory", DIRECTORY, fallback.runDirectory),
    port: port(reader, fallback.port),
    database: reader.text("database", DATABASE, fallback.database),
    user: reader.text("user", ROLE, fallback.user),
    replicationUser: reader.text("replicationUser", ROLE, fallback.replicationUser),
    baseBackupMaxRate: reader.text("baseBackupMaxRate", RATE, fallback.baseBackupMaxRate),
  };
}

function pooler(reader: Reader): PoolerConfig {
  const fallback = DEFAULTS.pooler;
  reader.only("host", ...Object.keys(fallback));
  return {
    host: reader.text("host", HOST),
    port: port(reader, fallback.port),
    user: reader.text("user", ROLE, fallback.user),
    database: reader.text("database", DATABASE, fallback.database),
    adminDatabase: reader.text("adminDatabase", DATABASE, fallback.adminDatabase),
  };
}

function limits(reader: Reader): LimitsConfig {
  const fallback = DEFAULTS.limits;
  reader.only(...Object.keys(fallback));
  const readinessLag = reader.text("readinessLag", /./, fallback.readinessLag);
  if (parseSize(readinessLag) === undefined)
    throw new ConfigError(
      `${reader.at("readinessLag")}: ${show(readinessLag)} is no size such as 16kB, 10MB`,
    );
  return {
    probeMs: reader.number("probeMs", 50, 60_000, fallback.probeMs),
    cacheMs: reader.number("cacheMs", 0, 5_000, fallback.cacheMs),
    peerMs: reader.number("peerMs", 50, 60_000, fallback.peerMs),
    peerEveryMs: reader.number("peerEveryMs", 100, 60_000, fallback.peerEveryMs),
    silenceMs: reader.number("silenceMs", 1000, 3_600_000, fallback.silenceMs),
    poolerMs: reader.number("poolerMs", 50, 60_000, fallback.poolerMs),
    poolerEveryMs: reader.number("poolerEveryMs", 100, 600_000, fallback.poolerEveryMs),
    lookEveryMs: reader.number("lookEveryMs", 50, 60_000, fallback.lookEveryMs),
    readinessLag,
  };
}

/**
 * Checks a parsed configuration and fills in its defaults.
 * @throws {@link ConfigError} for the first thing that is wrong.
 */
export function checkConfig(value: unknown, path = "pg-health.json"): Settings {
  const root = new Reader(value, path);
  root.only("site", "sites", "listen", "postgres", "pooler", "limits", "logLevel");
  const site = root.text("site", SITE_NAME);
  const all = sites(root);
  if (!all.some((entry) => entry.name === site))
    throw new ConfigError(
      `${root.at("site")}: ${show(site)} is none of the sites ${all.map((entry) => entry.name).join(", ")}`,
    );
  const logLevel = root.text("logLevel", new RegExp(`^(${LOG_LEVELS.join("|")})$`), "info") as LogLevel;
  return {
    site,
    sites: all,
    listen: address(root.object("listen"), DEFAULTS.listen),
    postgres: postgres(root.object("postgres")),
    pooler: root.has("pooler") ? pooler(root.object("pooler")) : undefined,
    limits: limits(root.object("limits")),
    logLevel,
  };
}

/**
 * The secrets as they are on disk at the moment of their use: `up` may replace them, and a restart for that would cost the
 * site its 200. What cannot be read then is as it was.
 * @throws {@link ConfigError} when they are wrong from the start
 */
export function liveSecrets(path: string): Secrets {
  const read = (): Secrets => checkSecrets(readJson(path), path);
  let known = read();
  const now = (): Secrets => {
    try {
      known = read();
    } catch {
      // Checked before it was put there; whatever it is, the ones before are as good as any.
    }
    return known;
  };
  return {
    get healthPassword() {
      return now().healthPassword;
    },
    get peerSecret() {
      return now().peerSecret;
    },
  };
}

/** Checks the parsed secrets file. @throws {@link ConfigError}, whose message holds no value. */
export function checkSecrets(value: unknown, path = "secrets"): Secrets {
  const record: Readonly<Record<string, unknown>> =
    typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  const take = (key: keyof Secrets, least: number): string => {
    const secret = record[key];
    if (typeof secret !== "string" || secret.length < least)
      throw new ConfigError(`${path}.${key}: needs a text of at least ${least} characters`);
    return secret;
  };
  return { healthPassword: take("healthPassword", 1), peerSecret: take("peerSecret", 16) };
}

/**
 * The local PgBouncer, asked in two ways: its admin console, and a login with a query on a pool of the probe's own. What
 * comes out is a metric, never a 503: a full or paused pool must not take the write path away.
 */
import pg from "pg";
import type { PoolerConfig } from "./config.ts";
import { cut, within } from "./sql.ts";

export interface PoolRow {
  readonly database: string;
  readonly user: string;
  readonly clientsActive: number;
  readonly clientsWaiting: number;
  readonly serversActive: number;
  readonly serversIdle: number;
  /** Seconds the longest waiting client has waited. */
  readonly longestWait: number;
}

export interface DatabaseRow {
  readonly database: string;
  readonly paused: boolean;
  readonly disabled: boolean;
  readonly connections: number;
  /** 0 when there is no limit. */
  readonly maxConnections: number;
}

export interface PoolerReport {
  /** Whether the admin console answered. */
  readonly admin: boolean;
  /** Whether a query went through a pool. */
  readonly login: boolean;
  /** Seconds of the login probe, successful or not. */
  readonly loginSeconds: number;
  readonly adminMessage: string | undefined;
  readonly loginMessage: string | undefined;
  readonly pools: readonly PoolRow[];
  readonly databases: readonly DatabaseRow[];
}

/** Milliseconds from a probe that failed to the next: what works again is told soon, to whoever looks after an `up`. */
const FAILED_EVERY_MS = 1000;

type Row = Readonly<Record<string, unknown>>;

function numberOf(row: Row, key: string): number {
  const value = Number(row[key] ?? 0);
  return Number.isFinite(value) ? value : 0;
}

function textOf(row: Row, key: string): string {
  const value = row[key];
  return typeof value === "string" ? value : "";
}

/** Parses `SHOW POOLS`. */
export function poolRow(row: Row): PoolRow {
  return {
    database: textOf(row, "database"),
    user: textOf(row, "user"),
    clientsActive: numberOf(row, "cl_active"),
    clientsWaiting: numberOf(row, "cl_waiting"),
    serversActive: numberOf(row, "sv_active"),
    serversIdle: numberOf(row, "sv_idle"),
    longestWait: numberOf(row, "maxwait") + numberOf(row, "maxwait_us") / 1e6,
  };
}

/** Parses `SHOW DATABASES`. */
export function databaseRow(row: Row): DatabaseRow {
  return {
    database: textOf(row, "name"),
    paused: numberOf(row, "paused") !== 0,
    disabled: numberOf(row, "disabled") !== 0,
    connections: numberOf(row, "current_connections"),
    maxConnections: numberOf(row, "max_connections"),
  };
}

/** Probes the pooler again and again in the background, so that no asker ever waits for it. */
export class PoolerProbe {
  readonly #config: PoolerConfig;
  readonly #password: string | (() => string);
  readonly #limitMs: number;
  readonly #everyMs: number;
  #report: PoolerReport | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(
    config: PoolerConfig,
    password: string | (() => string),
    limits: { poolerMs: number; poolerEveryMs: number },
  ) {
    this.#config = config;
    this.#password = password;
    this.#limitMs = limits.poolerMs;
    this.#everyMs = limits.poolerEveryMs;
  }

  /** The last report; undefined before the first. */
  get report(): PoolerReport | undefined {
    return this.#report;
  }

  start(): void {
    void this.#round();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #round(): Promise<void> {
    const report = await this.probe();
    this.#report = report;
    const pause = report.admin && report.login ? this.#everyMs : Math.min(this.#everyMs, FAILED_EVERY_MS);
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#round(), pause);
  }

  /** Probes once. Never rejects. */
  async probe(): Promise<PoolerReport> {
    const [admin, login] = await Promise.all([
      this.#with(this.#config.adminDatabase, async (client) => ({
        pools: (await client.query<Row>("SHOW POOLS")).rows.map(poolRow),
        databases: (await client.query<Row>("SHOW DATABASES")).rows.map(databaseRow),
      })),
      this.#with(this.#config.database, (client) => client.query("select 1")),
    ]);
    return {
      admin: admin.value !== undefined,
      login: login.value !== undefined,
      loginSeconds: login.seconds,
      adminMessage: admin.message,
      loginMessage: login.message,
      pools: admin.value?.pools ?? [],
      databases: admin.value?.databases ?? [],
    };
  }

  async #with<T>(
    database: string,
    work: (client: pg.Client) => Promise<T>,
  ): Promise<{ value: T | undefined; seconds: number; message: string | undefined }> {
    const start = performance.now();
    const seconds = (): number => (performance.now() - start) / 1000;
    const { host, port, user } = this.#config;
    const client = new pg.Client({
      host,
      port,
      user,
      database,
      password: this.#password,
      application_name: "pg-health",
      connectionTimeoutMillis: this.#limitMs,
    });
    client.on("error", () => undefined);
    try {
      const ask = async (): Promise<T> => {
        await client.connect();
        return await work(client);
      };
      const value = await within(this.#limitMs, "PgBouncer", ask());
      client.end().catch(() => undefined);
      return { value, seconds: seconds(), message: undefined };
    } catch (error) {
      cut(client);
      return { value: undefined, seconds: seconds(), message: (error as Error).message };
    }
  }
}

/** What PostgreSQL itself says, over one connection, within a limit. */
import pg from "pg";
import type { PostgresConfig } from "./config.ts";
import type { Limits } from "./limits.ts";
import { LIMITS } from "./limits.ts";

export interface SqlFacts {
  readonly inRecovery: boolean;
  /** What a new transaction may do: read-only state counts, not only recovery. */
  readonly readOnly: boolean;
  readonly systemId: string;
  /** The timeline written or replayed now. */
  readonly timeline: number;
  readonly serverVersion: number;
  readonly startedAt: string;
  /** A primary's insert position. */
  readonly currentLsn: string | undefined;
  readonly receivedLsn: string | undefined;
  readonly replayedLsn: string | undefined;
  readonly replayedAt: string | undefined;
  readonly replayPaused: boolean;
  /** What it runs with. */
  readonly limits: Limits;
  /** State of the WAL receiver: `streaming` is the good one; undefined without one. */
  readonly receiver: string | undefined;
  /** Bytes of the sender's last known position that are not replayed / not received; undefined while not connected. */
  readonly replayLagBytes: number | undefined;
  readonly receiveLagBytes: number | undefined;
  /** Seconds since the last replayed commit; 0 when everything received is replayed. */
  readonly replayLagSeconds: number | undefined;
  readonly standbys: readonly SqlStandby[];
}

/** One row of pg_stat_replication. */
export interface SqlStandby {
  readonly applicationName: string;
  readonly state: string;
  readonly syncState: string;
  readonly lagBytes: number | undefined;
}

export type SqlAnswer =
  | { readonly ok: true; readonly facts: SqlFacts; readonly ms: number }
  | {
      readonly ok: false;
      /** `starting`: PostgreSQL said so; `login`: it refused the role; `unreachable`: anything else, silence included. */
      readonly reason: "starting" | "login" | "unreachable";
      readonly message: string;
      readonly ms: number;
    };

/** Where the HTTP layer gets PostgreSQL's word from; never rejects. */
export interface SqlSource {
  probe(): Promise<SqlAnswer>;
}

// greatest() takes no notice of a null, so an unknown lag has to be kept apart from 0. In recovery the received timeline is the walreceiver's, else that of the last restart point. latest_end_lsn is the
// sender's position as of its last message, so the lag is measured against the primary, not against what came over.
const QUERY = `
select pg_is_in_recovery() as in_recovery,
       current_setting('transaction_read_only') = 'on' as read_only,
       (select system_identifier::text from pg_control_system()) as system_id,
       case when pg_is_in_recovery()
            then coalesce(r.received_tli, (select timeline_id from pg_control_checkpoint()))
            else ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int end as timeline,
       current_setting('server_version_num')::int as server_version,
       pg_postmaster_start_time()::text as started_at,
       case when not pg_is_in_recovery() then pg_current_wal_insert_lsn()::text end as current_lsn,
       pg_last_wal_receive_lsn()::text as received_lsn,
       pg_last_wal_replay_lsn()::text as replayed_lsn,
       pg_last_xact_replay_timestamp()::text as replayed_at,
       case when pg_is_in_recovery() then pg_is_wal_replay_paused() else false end as replay_paused,
       json_build_object(${LIMITS.map((name) => `'${name}', current_setting('${name}')::int`).join(", ")}) as limits,
       r.status as receiver,
       case when r.latest_end_lsn is not null then
         greatest(pg_wal_lsn_diff(r.latest_end_lsn, pg_last_wal_replay_lsn()), 0)::float8 end as replay_lag_bytes,
       case when r.latest_end_lsn is not null then
         greatest(pg_wal_lsn_diff(r.latest_end_lsn, pg_last_wal_receive_lsn()), 0)::float8 end as receive_lag_bytes,
       case when not pg_is_in_recovery() or pg_last_xact_replay_timestamp() is null then null
            when pg_last_wal_replay_lsn() >= coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                 and r.status = 'streaming' then 0
            else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) end::float8 as replay_lag_seconds,
       case when pg_is_in_recovery() then null else
         (select json_agg(json_build_object('applicationName', application_name, 'state', state,
                 'syncState', sync_state,
                 'lagBytes', pg_wal_lsn_diff(pg_current_wal_insert_lsn(), replay_lsn)) order by application_name)
            from pg_stat_replication where state is not null and application_name <> 'pg_basebackup') end as standbys
  from (select 1) as one left join pg_stat_wal_receiver as r on true`;

interface Row {
  readonly in_recovery: boolean;
  readonly read_only: boolean;
  readonly system_id: string;
  readonly timeline: number;
  readonly server_version: number;
  readonly started_at: string;
  readonly current_lsn: string | null;
  readonly received_lsn: string | null;
  readonly replayed_lsn: string | null;
  readonly replayed_at: string | null;
  readonly replay_paused: boolean;
  readonly limits: Limits;
  readonly receiver: string | null;
  readonly replay_lag_bytes: number | null;
  readonly receive_lag_bytes: number | null;
  readonly replay_lag_seconds: number | null;
  readonly standbys: readonly (Omit<SqlStandby, "lagBytes"> & { lagBytes: number | null })[] | null;
}

function facts(row: Row): SqlFacts {
  return {
    inRecovery: row.in_recovery,
    readOnly: row.read_only,
    systemId: row.system_id,
    timeline: row.timeline,
    serverVersion: row.server_version,
    startedAt: row.started_at,
    currentLsn: row.current_lsn ?? undefined,
    receivedLsn: row.received_lsn ?? undefined,
    replayedLsn: row.replayed_lsn ?? undefined,
    replayedAt: row.replayed_at ?? undefined,
    replayPaused: row.replay_paused,
    limits: row.limits,
    receiver: row.receiver ?? undefined,
    replayLagBytes: row.replay_lag_bytes ?? undefined,
    receiveLagBytes: row.receive_lag_bytes ?? undefined,
    replayLagSeconds: row.replay_lag_seconds ?? undefined,
    standbys: (row.standbys ?? []).map((standby) => ({
      ...standby,
      lagBytes: standby.lagBytes ?? undefined,
    })),
  };
}

/** Rejects after `ms`, whatever the promise does; the promise's own later end is nobody's business then. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${what}: no answer within ${ms} ms`));
    }, ms);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
    promise.catch(() => undefined);
  }
}

/** Cuts a client's connection without a farewell: a frozen server reads none. */
export function cut(client: pg.Client): void {
  client.connection.stream.destroy();
  client.end().catch(() => undefined);
}

/** The SQLSTATE of a server's error; undefined for anything else. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** The real PostgreSQL behind its unix socket. */
export class PostgresSource implements SqlSource {
  readonly #config: PostgresConfig;
  readonly #password: string | (() => string);
  readonly #limitMs: number;
  #client: pg.Client | undefined;

  constructor(config: PostgresConfig, password: string | (() => string), limitMs: number) {
    this.#config = config;
    this.#password = password;
    this.#limitMs = limitMs;
  }

  async probe(): Promise<SqlAnswer> {
    const start = performance.now();
    const ms = (): number => performance.now() - start;
    try {
      const row = await within(this.#limitMs, "PostgreSQL", this.#ask());
      return { ok: true, facts: facts(row), ms: ms() };
    } catch (error) {
      this.close();
      const code = sqlState(error) ?? "";
      const reason = code === "57P03" ? "starting" : code.startsWith("28") ? "login" : "unreachable";
      return { ok: false, reason, message: (error as Error).message, ms: ms() };
    }
  }

  /** One value by a short question, on the probe's connection. @throws Error when PostgreSQL does not answer */
  async value(question: string): Promise<string | null> {
    const client = this.#client ?? (await this.#connect());
    const { rows } = await client.query<{ value: string | null }>(question);
    return rows[0]?.value ?? null;
  }

  /** Drops the connection; the next probe makes a new one. */
  close(): void {
    if (this.#client !== undefined) cut(this.#client);
    this.#client = undefined;
  }

  async #ask(): Promise<Row> {
    const client = this.#client ?? (await this.#connect());
    const { rows } = await client.query<Row>(QUERY);
    if (rows[0] === undefined) throw new Error("the probe's query gave no row");
    return rows[0];
  }

  async #connect(): Promise<pg.Client> {
    const { runDirectory, port, database, user } = this.#config;
    const client = new pg.Client({
      host: `${runDirectory}/sql`,
      port,
      database,
      user,
      password: this.#password,
      application_name: "pg-health",
      connectionTimeoutMillis: this.#limitMs,
      // A probe that the server still works on after it was given up must not pile up there.
      statement_timeout: this.#limitMs,
    });
    // Known at once, so that a limit that strikes while it connects cuts it too.
    this.#client = client;
    client.on("error", () => {
      if (this.#client === client) this.#client = undefined;
    });
    await client.connect();
    return client;
  }
}

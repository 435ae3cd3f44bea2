import type {
  ActivityView,
  GrantView,
  PendingParameter,
  PoolerView,
  SiteRole,
  SiteView,
  SlotView,
} from "./observation.ts";

/** A site's view from the document that its pg-health gives (`/facts` on the control socket, or `/status`). Pure. */

/** The document's parts that are read here; an older or newer pg-health may leave any of them out. */
export interface SiteDocument {
  readonly word?: string;
  readonly veto?: { readonly why?: string } | null;
  readonly decision?: { readonly do?: string; readonly word?: string; readonly why?: string } | null;
  readonly entrypoint?: {
    readonly answers?: boolean;
    readonly why?: string;
    readonly status?: { readonly postgres?: string; readonly state?: string };
  } | null;
  readonly data?: {
    readonly kind?: string;
    readonly why?: string;
    readonly timeline?: number;
    readonly standbySignal?: boolean;
    readonly control?: {
      readonly systemId?: string;
      readonly state?: string;
      readonly checkpointLsn?: string;
      readonly minRecoveryLsn?: string;
      readonly minRecoveryTimeline?: number;
      /** Seconds since 1970. */
      readonly changedAt?: number;
    };
  } | null;
  readonly grant?: { readonly kind?: string; readonly grant?: GrantView } | null;
  readonly intent?: { readonly run?: boolean } | null;
  readonly heldback?: { readonly epoch: number; readonly timeline: number } | null;
  readonly follow?: string | null;
  readonly peers?: readonly { readonly site?: string; readonly answers?: boolean }[] | null;
  /** `{ok, facts}` on the control socket, the facts themselves in `/status`. */
  readonly sql?: (SqlFacts & { readonly ok?: boolean; readonly facts?: SqlFacts }) | null;
  readonly pooler?: PoolerDocument | null;
  readonly leftovers?: readonly string[] | null;
  readonly freeBytes?: number | null;
}

interface SqlFacts {
  readonly inRecovery?: boolean;
  readonly timeline?: number;
  readonly systemId?: string;
  readonly currentLsn?: string;
  readonly receivedLsn?: string;
  readonly replayedLsn?: string;
  readonly replayedAt?: string;
  readonly replayPaused?: boolean;
  readonly receiver?: string;
  readonly replayLagBytes?: number;
  readonly replayLagSeconds?: number;
  readonly standbys?: readonly {
    readonly applicationName?: string;
    readonly state?: string;
    readonly lagBytes?: number;
  }[];
}

interface PoolerDocument {
  readonly admin?: boolean;
  readonly login?: boolean;
  readonly pools?: readonly {
    readonly clientsActive?: number;
    readonly clientsWaiting?: number;
    readonly longestWait?: number;
  }[];
  readonly databases?: readonly { readonly database?: string; readonly paused?: boolean }[];
}

/** Where and how a site was asked, and what came back. */
export interface SiteAnswers {
  readonly site: string;
  readonly host: string;
  readonly source: SiteView["source"];
  readonly silent: string | null;
  readonly document: SiteDocument | null;
  /** Answer of `/`, by HTTP. */
  readonly word: string | null;
  readonly database: DatabaseAnswer | null;
}

/** What the superuser sees: slots, and parameters that wait for a restart. */
export interface DatabaseAnswer {
  readonly slots: readonly SlotView[];
  readonly pendingRestart: readonly PendingParameter[];
  readonly version: number;
  readonly activity: ActivityView;
}

/** One JSON object; asked as superuser, since only it may read the files' values. */
export const DATABASE_QUERY = `set statement_timeout = '2s';
select json_build_object(
  'slots', coalesce((select json_agg(json_build_object('name', slot_name, 'active', active, 'walStatus', wal_status,
      'retainedBytes', pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
                                            else pg_current_wal_lsn() end, restart_lsn)::float8) order by slot_name)
    from pg_replication_slots), '[]'),
  'pendingRestart', coalesce((select json_agg(json_build_object('name', s.name,
      'running', current_setting(s.name), 'file', coalesce(
        (select f.setting from pg_file_settings f where f.name = s.name order by f.seqno desc limit 1), s.boot_val))
      order by s.name)
    from pg_settings s where s.pending_restart), '[]'),
  'version', current_setting('server_version_num')::int,
  'activity', json_build_object(
    'longestTransactionSeconds', coalesce((select extract(epoch from max(clock_timestamp() - xact_start))
      from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()), 0)::float8,
    'prepared', (select count(*) from pg_prepared_xacts),
    'baseBackups', (select count(*) from pg_stat_progress_basebackup),
    'archiveWaiting', (select count(*) from pg_ls_archive_statusdir() where name like '%.ready')))`;

export function siteView(answers: SiteAnswers): SiteView {
  const { document, database } = answers;
  const sql = sqlFacts(document);
  const data = document?.data ?? null;
  const grant = document?.grant?.kind === "grant" ? (document.grant.grant ?? null) : null;
  return {
    name: answers.site,
    host: answers.host,
    source: answers.source,
    silent: answers.silent,
    // The control socket knows the words of a PostgreSQL that does not answer.
    word: answers.word ?? (sql === undefined ? (document?.word ?? null) : null),
    why: document?.veto?.why ?? document?.decision?.why ?? data?.why ?? null,
    role: roleOf(document),
    systemId: sql?.systemId ?? data?.control?.systemId ?? null,
    timeline: sql?.timeline ?? data?.timeline ?? null,
    running: document === null ? null : sql !== undefined,
    lsn: {
      current: sql?.currentLsn ?? null,
      received: sql?.receivedLsn ?? null,
      replayed: sql?.replayedLsn ?? null,
      checkpoint: data?.control?.checkpointLsn ?? null,
    },
    recovery: recoveryOf(data?.control),
    controlState: data?.control?.state ?? null,
    controlChanged:
      data?.control?.changedAt === undefined ? null : new Date(data.control.changedAt * 1000).toISOString(),
    lag: { bytes: sql?.replayLagBytes ?? null, seconds: sql?.replayLagSeconds ?? null },
    lastTransaction: sql?.replayedAt ?? null,
    receiver: sql?.receiver ?? null,
    replayPaused: sql?.replayPaused ?? false,
    follows: document?.follow ?? null,
    streamingTo: (sql?.standbys ?? [])
      .filter((standby) => standby.state === "streaming")
      .map((standby) => standby.applicationName ?? ""),
    grant,
    heldback: document?.heldback ?? null,
    mayRun: document?.intent?.run ?? null,
    peers:
      document?.peers?.map(({ site = "", answers: answered = false }) => ({ site, answers: answered })) ??
      null,
    slots: database?.slots ?? null,
    pendingRestart: database?.pendingRestart ?? null,
    pooler: document?.pooler ? poolerView(document.pooler) : null,
    leftovers: document?.leftovers ?? null,
    freeBytes: document?.freeBytes ?? null,
    version: database?.version ?? null,
    activity: database?.activity ?? null,
  };
}

function recoveryOf(control: NonNullable<SiteDocument["data"]>["control"]): SiteView["recovery"] {
  const { minRecoveryTimeline: timeline = 0, minRecoveryLsn: lsn = "0/0" } = control ?? {};
  return timeline === 0 ? null : { timeline, lsn };
}

function sqlFacts(document: SiteDocument | null): SqlFacts | undefined {
  const sql = document?.sql;
  if (!sql) return undefined;
  if (sql.ok === true) return sql.facts;
  return sql.ok === undefined && sql.inRecovery !== undefined ? sql : undefined;
}

/** From the data and what runs on it; what an instance says of itself comes first. */
function roleOf(document: SiteDocument | null): SiteRole {
  if (document === null) return "unknown";
  const sql = sqlFacts(document);
  const { data } = document;
  if (sql?.inRecovery !== undefined) return sql.inRecovery ? "standby" : "primary";
  if (data?.kind === "empty") return "empty";
  if (data?.kind !== "cluster") return data?.kind === "unusable" ? "unusable" : "unknown";
  if (document.intent?.run === false) return "stopped";
  return data.standbySignal === true ? "standby" : "held";
}

function poolerView(pooler: PoolerDocument): PoolerView {
  const pools = pooler.pools ?? [];
  const sum = (of: (pool: (typeof pools)[number]) => number | undefined): number =>
    pools.reduce((total, pool) => total + (of(pool) ?? 0), 0);
  return {
    admin: pooler.admin === true,
    login: pooler.login === true,
    clients: sum((pool) => pool.clientsActive),
    waiting: sum((pool) => pool.clientsWaiting),
    longestWait: Math.max(0, ...pools.map((pool) => pool.longestWait ?? 0)),
    paused: (pooler.databases ?? [])
      .filter((database) => database.paused === true)
      .map((database) => database.database ?? ""),
  };
}

/** Bytes between two positions (`X/Y`); null where one is unknown. */
export function lsnDistance(from: string | null, to: string | null): number | null {
  if (from === null || to === null) return null;
  return Number(lsnBytes(to) - lsnBytes(from));
}

/** A position as a number. */
export function lsnBytes(lsn: string): bigint {
  const [high = "0", low = "0"] = lsn.split("/");
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}

/** A standby's lag as the primary measures it, where that is known; else its own word. */
export function withLag(
  sites: readonly SiteView[],
  documents: ReadonlyMap<string, SiteDocument>,
): SiteView[] {
  return sites.map((site) => {
    if (site.role !== "standby") return { ...site, lag: { bytes: null, seconds: null } };
    const measured = sites
      .filter((other) => other.role === "primary")
      .flatMap((primary) => sqlFacts(documents.get(primary.name) ?? null)?.standbys ?? [])
      .find((standby) => standby.applicationName === site.name && standby.state === "streaming");
    const bytes = measured?.lagBytes === undefined ? site.lag.bytes : Math.max(0, measured.lagBytes);
    // An instance that has replayed no commit since its start knows no age of one.
    const seconds = site.lag.seconds ?? (bytes === 0 && site.receiver === "streaming" ? 0 : null);
    return { ...site, lag: { bytes, seconds } };
  });
}

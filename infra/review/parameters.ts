/** Parameters of postgresql.conf that changed between two rendered texts. */
export interface ParameterChange {
  readonly name: string;
  /** As the file writes it; undefined where the file does not have it. */
  readonly before: string | undefined;
  readonly after: string | undefined;
  /** `extension`: a name with a dot, of which only the extension knows when it is read. */
  readonly takes: "reload" | "restart" | "extension";
  /** Of the five that bind a standby to its primary: which way it goes. */
  readonly bound: "raised" | "lowered" | "unknown" | undefined;
}

/**
 * Parameters that PostgreSQL 18 reads at its start alone (`context` = `postmaster` in pg_settings). Any other that it
 * knows is taken over by a reload; one that it does not know is refused before the file counts (`postgres -C`).
 */
export const AT_START: ReadonlySet<string> = new Set(
  `archive_mode autovacuum_freeze_max_age autovacuum_multixact_freeze_max_age autovacuum_worker_slots bonjour
  bonjour_name cluster_name commit_timestamp_buffers config_file data_directory data_sync_retry debug_io_direct
  dynamic_shared_memory_type event_source external_pid_file hba_file hot_standby huge_page_size huge_pages ident_file
  ignore_invalid_pages io_max_combine_limit io_max_concurrency io_method jit_provider listen_addresses
  logging_collector max_active_replication_origins max_connections max_files_per_process max_locks_per_transaction
  max_logical_replication_workers max_notify_queue_pages max_pred_locks_per_transaction max_prepared_transactions
  max_replication_slots max_wal_senders max_worker_processes min_dynamic_shared_memory multixact_member_buffers
  multixact_offset_buffers notify_buffers port recovery_target recovery_target_action recovery_target_inclusive
  recovery_target_lsn recovery_target_name recovery_target_time recovery_target_timeline recovery_target_xid
  reserved_connections serializable_buffers shared_buffers shared_memory_type shared_preload_libraries
  subtransaction_buffers superuser_reserved_connections trace_connection_negotiation track_activity_query_size track_commit_timestamp
  transaction_buffers unix_socket_directories unix_socket_group unix_socket_permissions wal_buffers
  wal_decode_buffer_size wal_level wal_log_hints`.split(/\s+/),
);

/** A standby with less than its primary does not start (docs/decisions/0012-restart-only-parameters.md). */
const BOUND: ReadonlySet<string> = new Set([
  ...["max_connections", "max_worker_processes", "max_wal_senders"],
  ...["max_prepared_transactions", "max_locks_per_transaction"],
]);

export function parameterChanges(before: string, after: string): readonly ParameterChange[] {
  const old = settingsOf(before);
  const now = settingsOf(after);
  const names = [...new Set([...old.keys(), ...now.keys()])].sort();
  return names.flatMap((name): ParameterChange[] => {
    const [was, is] = [old.get(name), now.get(name)];
    if (was === is) return [];
    const takes = name.includes(".") ? "extension" : AT_START.has(name) ? "restart" : "reload";
    return [{ name, before: was, after: is, takes, bound: BOUND.has(name) ? direction(was, is) : undefined }];
  });
}

/** Without a line the server's own default counts, which is not known here. */
function direction(before: string | undefined, after: string | undefined): "raised" | "lowered" | "unknown" {
  const [was, is] = [Number(before ?? "?"), Number(after ?? "?")];
  if (Number.isNaN(was) || Number.isNaN(is)) return "unknown";
  return is > was ? "raised" : "lowered";
}

/** `name = value` lines of our own renderer; the last one of a name counts, as in PostgreSQL. */
function settingsOf(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split("\n").flatMap((line) => {
      const [, name, value] = /^([A-Za-z_][\w.]*)\s*=\s*(.*)$/.exec(line) ?? [];
      return name === undefined || value === undefined ? [] : [[name.toLowerCase(), value] as const];
    }),
  );
}

/** Settings of pgbouncer.ini that it reads at its start alone (`CF_NO_RELOAD` in its src/main.c). */
const POOLER_AT_START: ReadonlySet<string> = new Set(
  `disable_pqexec job_name listen_addr listen_backlog listen_port pidfile pkt_buf resolv_conf service_name so_reuseport
  track_extra_parameters unix_socket_dir unix_socket_group unix_socket_mode user`.split(/\s+/),
);

/** The same of pgbouncer.ini, where nothing is bound to another site. */
export function poolerChanges(before: string, after: string): readonly ParameterChange[] {
  return parameterChanges(before, after).map((change) => ({
    ...change,
    takes: POOLER_AT_START.has(change.name) ? "restart" : "reload",
    bound: undefined,
  }));
}

/** `max_connections 200 → 300` */
export function changeText({ name, before, after }: ParameterChange): string {
  return `${name} ${before ?? "(default)"} → ${after ?? "(default)"}`;
}

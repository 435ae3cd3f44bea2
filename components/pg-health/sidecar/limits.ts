/**
 * The five parameters that a standby must have at least as high as its primary had when it wrote the WAL. PostgreSQL keeps
 * the primary's in the control file of both.
 */
export const LIMITS = [
  "max_connections",
  "max_worker_processes",
  "max_wal_senders",
  "max_prepared_transactions",
  "max_locks_per_transaction",
] as const;

export type Limits = Readonly<Record<(typeof LIMITS)[number], number>>;

/**
 * What keeps a standby from replaying: `name: running < needed`. Such a standby pauses replay and cannot be promoted; a
 * restart cures it, since it then takes the control file's value where its own file has a lower one.
 */
export function shortOf(needed: Limits, running: Limits): string[] {
  return LIMITS.filter((name) => running[name] < needed[name]).map(
    (name) => `${name}: ${running[name]} < ${needed[name]}`,
  );
}

/** The two moments of a switchover that PostgreSQL tells nobody: when the old primary's last record is written, and when the standby has it. */
import { setTimeout as delay } from "node:timers/promises";
import { readControlFile } from "./control-file.ts";
import { parseLsn } from "./size.ts";

/** Milliseconds between two looks: writes stand still meanwhile. */
const LOOK_MS = 3;

/**
 * Waits for a clean stop's last record: the control file names it while the postmaster still takes leave of its WAL
 * senders and its archiver, and nothing is written after it.
 * @param ended resolves when there is nothing to wait for any more
 * @returns the shutdown checkpoint's position; undefined when the stop ended in another way
 */
export async function shutdownCheckpoint(
  dataDirectory: string,
  ended: Promise<unknown>,
): Promise<string | undefined> {
  const over = new AbortController();
  void ended.catch(() => undefined).finally(() => over.abort());
  // While PostgreSQL starts, its control file still tells of the stop before.
  let wasOpen = false;
  for (;;) {
    const last = over.signal.aborted;
    // A torn read is read again.
    const control = await readControlFile(dataDirectory).catch(() => undefined);
    wasOpen ||= control !== undefined && control.state !== "shut down";
    if (control?.state === "shut down" && (wasOpen || last)) return control.checkpointLsn;
    if (last) return undefined;
    await delay(LOOK_MS);
  }
}

export interface Replayed {
  readonly replayed: string;
  readonly systemId: string;
}

/**
 * Waits until a standby replayed a record. A position is the record's start: who replayed past it has all of it.
 * @param ask gives `REPLAYED SYSTEM_ID` of the instance, now
 * @throws Error when the limit is over, with the last position
 */
export async function replayedPast(
  lsn: string,
  limitMs: number,
  ask: () => Promise<string | null>,
): Promise<Replayed> {
  const wanted = parseLsn(lsn);
  if (wanted === undefined) throw new Error(`${lsn} is no position`);
  const until = performance.now() + limitMs;
  for (;;) {
    const [replayed = "0/0", systemId = ""] = ((await ask()) ?? "").split(" ");
    if ((parseLsn(replayed) ?? 0n) > wanted) return { replayed, systemId };
    if (performance.now() > until)
      throw new Error(`replayed ${replayed} within ${limitMs / 1000} s, not past ${lsn}`);
    await delay(LOOK_MS);
  }
}

/** What {@link replayedPast} asks a standby. */
export const REPLAYED_QUESTION =
  "select concat_ws(' ', coalesce(pg_last_wal_replay_lsn()::text, '0/0'), (select system_identifier from pg_control_system())) as value";

/** Waits until an instance has left recovery. @throws Error when the limit is over */
export async function leftRecovery(limitMs: number, ask: () => Promise<string | null>): Promise<void> {
  const until = performance.now() + limitMs;
  while ((await ask().catch(() => null)) !== "false") {
    if (performance.now() > until) throw new Error(`still in recovery after ${limitMs / 1000} s`);
    await delay(LOOK_MS);
  }
}

export const RECOVERY_QUESTION = "select pg_is_in_recovery()::text as value";

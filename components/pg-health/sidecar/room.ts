/** What is free where the data lies. */
import { statfs } from "node:fs/promises";

/** Below this a promotion is not begun, bytes: it needs a segment of WAL of its own, a history file, a checkpoint. */
const PROMOTION_BYTES = 32 * 1024 ** 2;

/** Bytes that PostgreSQL can still write beside its data directory; undefined when the system does not say. */
export async function freeBytes(dataDirectory: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(dataDirectory);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/**
 * Why a promotion would end in the middle. PostgreSQL that finds no room for it stops, and then nobody takes writes:
 * there is no way back to the old primary any more.
 */
export function roomObjection(free: number | undefined): string | undefined {
  if (free === undefined || free >= PROMOTION_BYTES) return undefined;
  const mebibytes = (bytes: number): string => (bytes / 1024 ** 2).toFixed(0);
  return `${mebibytes(free)} MiB are free where the data lies, a promotion needs ${mebibytes(PROMOTION_BYTES)}`;
}

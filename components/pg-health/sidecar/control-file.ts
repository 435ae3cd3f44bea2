/**
 * `global/pg_control` of PostgreSQL 18, read directly, so that the site's facts are known while PostgreSQL is down and
 * without a `pg_controldata` in this image. Layout: src/include/catalog/pg_control.h, PG_CONTROL_VERSION 1800; the
 * offsets are those of every 64-bit little-endian platform (checked against pg_controldata in the tests).
 */
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { Limits } from "./limits.ts";
import { formatLsn } from "./size.ts";

/** The cluster state as pg_controldata names it. */
export type ClusterState =
  | "starting up"
  | "shut down"
  | "shut down in recovery"
  | "shutting down"
  | "in crash recovery"
  | "in archive recovery"
  | "in production";

export interface ControlFile {
  /** Unsigned 64 bits, as decimal text: JSON numbers cannot hold it. */
  readonly systemId: string;
  readonly state: ClusterState;
  /** Start of the latest checkpoint's record. */
  readonly checkpointLsn: string;
  readonly redoLsn: string;
  /** Timeline of the latest checkpoint; after a promote it lags until the next one. */
  readonly timeline: number;
  readonly previousTimeline: number;
  readonly minRecoveryLsn: string;
  /** 0 when the cluster was not in recovery. */
  readonly minRecoveryTimeline: number;
  /** Seconds since 1970 of the file's last change. */
  readonly changedAt: number;
  readonly checksums: boolean;
  readonly walLogHints: boolean;
  /** The primary's, as of what was replayed. */
  readonly limits: Limits;
  readonly walSegmentBytes: number;
  readonly catalogVersion: number;
}

/** A control file that cannot be trusted. */
export class ControlFileError extends Error {
  override readonly name = "ControlFileError";
  /** A torn read of a running server's file; reading again may help. */
  readonly torn: boolean;

  constructor(message: string, torn = false) {
    super(message);
    this.torn = torn;
  }
}

const VERSION = 1800;
const CRC_AT = 292;
const STATES: readonly ClusterState[] = [
  "starting up",
  "shut down",
  "shut down in recovery",
  "shutting down",
  "in crash recovery",
  "in archive recovery",
  "in production",
];

const CRC32C_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  return crc >>> 0;
});

/** CRC-32C (Castagnoli), as PostgreSQL guards its control file with. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = (CRC32C_TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffff_ffff) >>> 0;
}

/** Parses a control file's bytes. @throws {@link ControlFileError} */
export function parseControlFile(bytes: Buffer): ControlFile {
  if (bytes.length < CRC_AT + 4)
    throw new ControlFileError(`pg_control has ${bytes.length} bytes, at least ${CRC_AT + 4} expected`, true);
  const version = bytes.readUInt32LE(8);
  if (version !== VERSION)
    throw new ControlFileError(
      `pg_control is of version ${version}, only ${VERSION} (PostgreSQL 18) is known: run the major version that wrote it`,
    );
  if (crc32c(bytes.subarray(0, CRC_AT)) !== bytes.readUInt32LE(CRC_AT))
    throw new ControlFileError("pg_control's checksum is wrong", true);
  const state = STATES[bytes.readInt32LE(16)];
  if (state === undefined)
    throw new ControlFileError(`pg_control names the unknown state ${bytes.readInt32LE(16)}`);
  const lsn = (at: number): string => formatLsn(bytes.readBigUInt64LE(at));
  return {
    systemId: bytes.readBigUInt64LE(0).toString(),
    state,
    checkpointLsn: lsn(32),
    redoLsn: lsn(40),
    timeline: bytes.readUInt32LE(48),
    previousTimeline: bytes.readUInt32LE(52),
    minRecoveryLsn: lsn(136),
    minRecoveryTimeline: bytes.readUInt32LE(144),
    changedAt: Number(bytes.readBigInt64LE(24)),
    checksums: bytes.readUInt32LE(252) !== 0,
    walLogHints: bytes.readUInt8(176) !== 0,
    limits: {
      max_connections: bytes.readInt32LE(180),
      max_worker_processes: bytes.readInt32LE(184),
      max_wal_senders: bytes.readInt32LE(188),
      max_prepared_transactions: bytes.readInt32LE(192),
      max_locks_per_transaction: bytes.readInt32LE(196),
    },
    walSegmentBytes: bytes.readUInt32LE(228),
    catalogVersion: bytes.readUInt32LE(12),
  };
}

/**
 * Reads the control file of a data directory, again when the read fell into PostgreSQL's write (as pg_controldata does).
 * @throws {@link ControlFileError}, or the file system's error.
 */
export async function readControlFile(dataDirectory: string): Promise<ControlFile> {
  for (let attempt = 1; ; attempt++) {
    try {
      return parseControlFile(await readFile(`${dataDirectory}/global/pg_control`));
    } catch (error) {
      if (!(error instanceof ControlFileError && error.torn) || attempt === 10) throw error;
      await delay(10);
    }
  }
}

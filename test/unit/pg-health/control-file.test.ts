import { describe, expect, it } from "vitest";
import {
  ControlFileError,
  crc32c,
  parseControlFile,
} from "../../../components/pg-health/sidecar/control-file.ts";

/** Written by PostgreSQL 18.6 after a clean stop; pg_controldata's words are in the test. */
const SHUT_DOWN = Buffer.from(
  "10d17eb86c7e026b080700003300120c01000000000000009a7e026b0000000078657601000000007865760100000000" +
    "01000000010000000100000001000000f1020000000000007b3500000100000000000000e90200000100000001000000" +
    "01000000000000009a7e026b0000000000000000000000000000000000000000e8030000000000000000000000000000" +
    "000000000000000000000000000000000000000000000000000000000100000000000000640000000800000" +
    "00a000000000000004000000000000000080000000000000087d632410020000000000200002000000000000140000000" +
    "20000000cc0700000008000001000000010000000139aee5e36bc93102c069de6736c8ef59581d5cd5110bf95b8141c4" +
    "d23f83896f000000e88dc4ce",
  "hex",
);

/** The file as it lies on disk: padded to 8 KiB. */
function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(8192 - bytes.length)]);
}

/** Changes the file and makes its checksum right again. */
function altered(change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(SHUT_DOWN);
  change(bytes);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 292)), 292);
  return bytes;
}

describe("crc32c", () => {
  it("agrees with RFC 3720's examples", () => {
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
    expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  });
});

describe("parseControlFile", () => {
  it("reads what pg_controldata reads", () => {
    expect(parseControlFile(padded(SHUT_DOWN))).toEqual({
      systemId: "7710864517428597008",
      state: "shut down",
      checkpointLsn: "0/1766578",
      redoLsn: "0/1766578",
      timeline: 1,
      previousTimeline: 1,
      minRecoveryLsn: "0/0",
      minRecoveryTimeline: 0,
      changedAt: Date.parse("2026-11-22T05:33:14Z") / 1000,
      checksums: true,
      walLogHints: false,
      limits: {
        max_connections: 100,
        max_worker_processes: 8,
        max_wal_senders: 10,
        max_prepared_transactions: 0,
        max_locks_per_transaction: 64,
      },
      walSegmentBytes: 16 * 1024 * 1024,
      catalogVersion: 202506291,
    });
  });

  it("keeps all 64 bits of identifier and positions", () => {
    const control = parseControlFile(
      altered((bytes) => {
        bytes.writeBigUInt64LE(0xffff_ffff_ffff_fff1n, 0);
        bytes.writeBigUInt64LE(0xab_cdef_0123n, 32);
        bytes.writeInt32LE(6, 16);
        bytes.writeUInt32LE(7, 48);
      }),
    );
    expect(control).toMatchObject({
      systemId: "18446744073709551601",
      checkpointLsn: "AB/CDEF0123",
      state: "in production",
      timeline: 7,
    });
  });

  it.each([0, 17, 48, 140, 291])("fails for a flipped bit at byte %i as a torn read", (at) => {
    const bytes = Buffer.from(SHUT_DOWN);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    expect(() => parseControlFile(bytes)).toThrow(expect.objectContaining({ torn: true }) as Error);
  });

  it("fails for another major version without reading on", () => {
    const other = altered((bytes) => bytes.writeUInt32LE(1300, 8));
    expect(() => parseControlFile(other)).toThrow(
      new ControlFileError(
        "pg_control is of version 1300, only 1800 (PostgreSQL 18) is known: run the major version that wrote it",
      ),
    );
  });

  it("fails for a short file as a torn read, and for an unknown state for good", () => {
    expect(() => parseControlFile(SHUT_DOWN.subarray(0, 200))).toThrow("200 bytes");
    const odd = altered((bytes) => bytes.writeInt32LE(9, 16));
    expect(() => parseControlFile(odd)).toThrow(expect.objectContaining({ torn: false }) as Error);
  });
});

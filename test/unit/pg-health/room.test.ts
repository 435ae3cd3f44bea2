import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { freeBytes, roomObjection } from "../../../components/pg-health/sidecar/room.ts";

const MEBIBYTE = 1024 ** 2;

describe("room where the data lies", () => {
  it("is asked of the file system; a folder that is not there has none that is known", async () => {
    expect(await freeBytes(tmpdir())).toBeGreaterThan(0);
    expect(await freeBytes("/no/such/folder")).toBeUndefined();
  });

  it("is enough for a promotion from two segments of WAL on", () => {
    expect(roomObjection(32 * MEBIBYTE)).toBeUndefined();
    expect(roomObjection(undefined)).toBeUndefined();
    expect(roomObjection(31 * MEBIBYTE)).toBe("31 MiB are free where the data lies, a promotion needs 32");
  });
});

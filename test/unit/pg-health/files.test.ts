import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import type * as FileSystem from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { keepReserve, writeDurably } from "../../../components/pg-health/sidecar/files.ts";

/** While it is there, nothing else fits. */
let full: string | undefined;

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof FileSystem>();
  const open: typeof real.open = (path, flags, mode) => {
    if (flags === "w" && full !== undefined && existsSync(full))
      return Promise.reject(Object.assign(new Error("no space left on device"), { code: "ENOSPC" }));
    return real.open(path, flags, mode);
  };
  return { ...real, open };
});

describe("a file that is replaced on a full disk", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "reserve-"));
  });
  afterEach(() => {
    full = undefined;
    rmSync(folder, { recursive: true });
  });

  it("takes the room that its folder keeps for it, which is kept again later", async () => {
    const grant = join(folder, "grant.json");
    await writeDurably(grant, "old\n");
    await keepReserve(folder);
    full = join(folder, "reserve");
    expect(statSync(full).size).toBeGreaterThan(64 * 1024);
    await writeDurably(grant, "new\n");
    expect(readFileSync(grant, "utf8")).toBe("new\n");
    expect(existsSync(full)).toBe(false);
    await keepReserve(folder);
    expect(existsSync(full)).toBe(true);
  });

  it("is refused as it was, where nothing was kept", async () => {
    full = folder;
    await expect(writeDurably(join(folder, "grant.json"), "new\n")).rejects.toMatchObject({ code: "ENOSPC" });
  });
});

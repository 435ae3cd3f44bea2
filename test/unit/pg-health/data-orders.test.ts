import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dataObjection, leftovers } from "../../../components/pg-health/sidecar/data-orders.ts";
import { progressOf, rateText } from "../../../components/pg-health/sidecar/progress.ts";
import type { SiteFacts } from "../../../components/pg-health/sidecar/site.ts";

const MIB = 1024 ** 2;

describe("data that may be worked on", () => {
  const site = (state: string, more: { readonly postgres?: string; readonly standbySignal?: boolean } = {}) =>
    ({
      entrypoint: { answers: true, status: { postgres: more.postgres ?? "stopped" } },
      data: { kind: "cluster", standbySignal: more.standbySignal ?? true },
      grant: { kind: "grant", grant: { state } },
    }) as unknown as SiteFacts;

  it.each<readonly [string, SiteFacts, string | undefined]>([
    ["a standby", site("none"), undefined],
    ["a standby that runs", site("none", { postgres: "running" }), undefined],
    ["who holds a grant", site("held"), "this site's grant is held"],
    ["who gave it away for a flip", site("suspended"), "this site's grant is suspended"],
    [
      "a primary that runs without a grant",
      site("none", { postgres: "running", standbySignal: false }),
      "it runs as primary",
    ],
    ["no grant yet", { ...site("none"), grant: { kind: "absent" } }, undefined],
    [
      "a grant that cannot be read",
      { ...site("none"), grant: { kind: "unusable", why: "no JSON" } },
      "grant.json is unusable: no JSON",
    ],
    [
      "a silent entrypoint",
      { ...site("none"), entrypoint: { answers: false, why: "it has left" } },
      "it has left",
    ],
  ])("%s", (_, facts, objection) => {
    expect(dataObjection(facts)).toBe(objection);
  });
});

describe("what lies beside the data directory", () => {
  it("is named, and nothing else", async () => {
    const root = mkdtempSync(join(tmpdir(), "pg-health-"));
    try {
      for (const name of [
        "docker",
        "docker.scratch",
        "kept-run-1",
        "lost-wal-run-1",
        "kept-run-1.conf",
        "other",
      ])
        mkdirSync(join(root, name));
      expect(await leftovers(join(root, "docker"))).toEqual(["kept-run-1", "lost-wal-run-1", "scratch"]);
      expect(await leftovers(join(root, "nowhere/docker"))).toEqual([]);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

describe("progress of a copy", () => {
  it("is the last line of it, in pg_basebackup's words and in pg_rewind's", () => {
    expect(progressOf("waiting\n  1024/4096 kB (25%), 0/1 tablespace\n")).toEqual({
      bytes: MIB,
      text: "1.0 MiB of 4.0 MiB (25 %)",
    });
    const log = "    0/36698 kB (0%) copied\n36698/36698 kB (100%) copied\npg_rewind: Done!\n";
    expect(progressOf(log)).toMatchObject({ text: "35.8 MiB of 35.8 MiB (100 %)" });
    expect(progressOf("pg_basebackup: error: no\n")).toBeUndefined();
  });

  it("never shows more than there is, where the estimate was too low", () => {
    expect(progressOf("8192/4096 kB (200%), 0/1 tablespace\n")?.text).toBe("8.0 MiB of 8.0 MiB (100 %)");
  });

  it("has a rate", () => {
    expect(rateText(8 * MIB, 2000)).toBe("8.0 MiB in 2.0 s, 4.0 MiB/s");
  });
});

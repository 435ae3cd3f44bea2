import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { crc32c } from "../../../components/pg-health/sidecar/control-file.ts";
import { parseHistory, readDataDirectory } from "../../../components/pg-health/sidecar/data-directory.ts";
import { readGrant, writeGrant } from "../../../components/pg-health/sidecar/grant.ts";
import type { Grant } from "../../../components/pg-health/sidecar/grant.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "pg-health-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A cluster's directory with only what is read. */
function makeCluster(timeline: number, files: Readonly<Record<string, string>> = {}): void {
  const control = Buffer.alloc(8192);
  control.writeBigUInt64LE(77n, 0);
  control.writeUInt32LE(1800, 8);
  control.writeInt32LE(1, 16);
  control.writeUInt32LE(timeline, 48);
  control.writeUInt32LE(crc32c(control.subarray(0, 292)), 292);
  mkdirSync(`${directory}/global`);
  mkdirSync(`${directory}/pg_wal`);
  writeFileSync(`${directory}/global/pg_control`, control);
  writeFileSync(`${directory}/PG_VERSION`, "18\n");
  for (const [name, text] of Object.entries(files)) writeFileSync(`${directory}/${name}`, text);
}

describe("readDataDirectory", () => {
  it("knows an empty one, there or not", async () => {
    expect(await readDataDirectory(directory)).toEqual({ kind: "empty" });
    expect(await readDataDirectory(`${directory}/none/at/all`)).toEqual({ kind: "empty" });
  });

  it("never takes a broken one for empty", async () => {
    writeFileSync(`${directory}/notes.txt`, "");
    expect(await readDataDirectory(directory)).toMatchObject({
      kind: "unusable",
      why: expect.stringContaining("no PG_VERSION") as string,
    });
    writeFileSync(`${directory}/PG_VERSION`, "17\n");
    expect(await readDataDirectory(directory)).toMatchObject({
      why: expect.stringContaining("PostgreSQL 17") as string,
    });
    writeFileSync(`${directory}/PG_VERSION`, "18\n");
    expect(await readDataDirectory(directory)).toMatchObject({
      kind: "unusable",
      why: expect.stringContaining("ENOENT") as string,
    });
  });

  it("tells a primary's from a standby's", async () => {
    makeCluster(1);
    expect(await readDataDirectory(directory)).toMatchObject({
      kind: "cluster",
      control: { systemId: "77" },
      standbySignal: false,
      timeline: 1,
      history: undefined,
    });
    writeFileSync(`${directory}/standby.signal`, "");
    expect(await readDataDirectory(directory)).toMatchObject({ standbySignal: true });
  });

  it("takes the timeline from the newest history while the control file lags", async () => {
    makeCluster(1, {
      "pg_wal/00000002.history": "1\t0/3000000\tno recovery target specified\n",
      "pg_wal/0000000A.history": "1\t0/3000000\tx\n\n2\t0/5000000\tno recovery target specified\n",
      "pg_wal/000000010000000000000001": "",
    });
    expect(await readDataDirectory(directory)).toMatchObject({
      timeline: 10,
      control: { timeline: 1 },
      history: { timeline: 10, parent: 2, switchLsn: "0/5000000" },
    });
  });
});

describe("parseHistory", () => {
  it("skips comments and blank lines", () => {
    expect(parseHistory(2, "# made by hand\n\n")).toEqual({
      timeline: 2,
      parent: undefined,
      switchLsn: undefined,
    });
  });
});

describe("grant.json", () => {
  const grant: Grant = {
    systemId: "77",
    epoch: 2,
    timeline: 1,
    state: "held",
    peers: [{ site: "chi-02", health: { host: "100.68.157.49", port: 8008 } }],
    excluded: ["ams-03"],
  };

  it("comes back as it was written", async () => {
    const path = `${directory}/grant.json`;
    expect(await readGrant(path)).toEqual({ kind: "absent" });
    await writeGrant(path, grant);
    expect(await readGrant(path)).toEqual({ kind: "grant", grant });
  });

  it.each([
    ["{", "it is not JSON"],
    ["null", "it is not an object"],
    [JSON.stringify({ ...grant, systemId: 77 }), "systemId is not a decimal number as text"],
    [JSON.stringify({ ...grant, epoch: 0 }), "epoch is not a whole number above 0"],
    [JSON.stringify({ ...grant, timeline: "1" }), "timeline is not a whole number above 0"],
    [JSON.stringify({ ...grant, state: "mine" }), "state is none of none, held, suspended"],
    [JSON.stringify({ ...grant, peers: [{ site: "chi-02" }] }), "peers is not a list of peers"],
    [JSON.stringify({ ...grant, peers: [null] }), "peers is not a list of peers"],
    [JSON.stringify({ ...grant, excluded: "x" }), "excluded is not a list of sites"],
  ])("%s is unusable", async (text, why) => {
    writeFileSync(`${directory}/grant.json`, text);
    expect(await readGrant(`${directory}/grant.json`)).toEqual({ kind: "unusable", why });
  });
});

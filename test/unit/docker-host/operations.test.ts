import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hostToolText } from "../../../components/docker-host/host-tool.ts";

describe("host-tool's lock and ledger", () => {
  let root = "";
  const holders: ChildProcessWithoutNullStreams[] = [];

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "host-tool-"));
    mkdirSync(join(root, "bin"));
    writeFileSync(join(root, "bin/host-tool"), hostToolText());
  });
  afterEach(() => {
    for (const holder of holders.splice(0)) holder.kill("SIGKILL");
    rmSync(root, { recursive: true });
  });

  const lockText = (token: string): string =>
    JSON.stringify({
      host: "dal-01",
      stack: "production",
      verb: "promote",
      who: "alice@laptop pid 7",
      since: "2026-01-02T03:04:05Z",
      token,
    });
  const tool = (args: readonly string[], input = ""): { code: number | null; out: string; err: string } => {
    const { status, stdout, stderr } = spawnSync("sh", [join(root, "bin/host-tool"), ...args], {
      input,
      encoding: "utf8",
    });
    return { code: status, out: stdout, err: stderr };
  };
  /** A runbook that holds the lock until its input ends. */
  const hold = async (token: string, ...args: readonly string[]) => {
    const holder = spawn("sh", [join(root, "bin/host-tool"), "lock", ...args]);
    holders.push(holder);
    holder.stdin.write(`${lockText(token)}\n`);
    const [answer] = (await once(holder.stdout, "data")) as [Buffer];
    return { holder, answer: answer.toString() };
  };

  it("lets one runbook in, and tells the second who is there and that it lives", async () => {
    const first = await hold("one");
    expect(first.answer).toBe("locked\n");
    const second = tool(["lock"], `${lockText("two")}\n`);
    expect(second).toMatchObject({ code: 3, out: `alive\n${lockText("one")}\n` });
    expect(tool(["operations"]).out).toBe(`alive\n${lockText("one")}\n`);
    first.holder.stdin.end();
    await once(first.holder, "close");
    expect(tool(["unlock", "one"]).code).toBe(0);
    expect(tool(["operations"]).out).toBe("free\n");
  });

  it("keeps the lock of a runbook that died, and hands it to whoever names its token", async () => {
    const first = await hold("one");
    first.holder.stdin.destroy();
    await once(first.holder, "close");
    expect(tool(["lock"], `${lockText("two")}\n`)).toMatchObject({
      code: 3,
      out: `gone\n${lockText("one")}\n`,
    });
    expect(tool(["lock", "other"], `${lockText("two")}\n`).code).toBe(3);
    const heir = await hold("two", "one");
    expect(heir.answer).toBe("locked\n");
    expect(readFileSync(join(root, "operations/lock.json"), "utf8")).toContain('"token":"two"');
    expect(tool(["unlock", "one"])).toMatchObject({
      code: 1,
      err: expect.stringContaining("promote's (alice@laptop pid 7") as string,
    });
  });

  it("takes no living runbook's lock away, whoever names its token", async () => {
    await hold("one");
    expect(tool(["lock", "one"], `${lockText("two")}\n`)).toMatchObject({
      code: 3,
      out: expect.stringMatching(/^alive/) as string,
    });
  });

  it("refuses the verbs of an up while the lock is there", async () => {
    await hold("one");
    expect(tool(["secret", "box", "name", "0:0"], "text")).toMatchObject({
      code: 1,
      err: "error: dal-01 is locked by promote (alice@laptop pid 7, since 2026-01-02T03:04:05Z); wait, or bin/recovery production topology\n",
    });
  });

  it("waits for a verb of an up that runs", async () => {
    mkdirSync(join(root, "operations"));
    const up = spawn("flock", ["-s", join(root, "operations/apply.flock"), "-c", "echo there && exec cat"]);
    await once(up.stdout, "data");
    const locking = hold("one");
    // The lock is there, so that no other verb begins; the runbook has not been let in.
    while (!existsSync(join(root, "operations/lock.json"))) await new Promise(setImmediate);
    const early = await Promise.race([
      locking.then(() => "in"),
      new Promise((resolve) => setTimeout(resolve, 200, "waits")),
    ]);
    expect(early).toBe("waits");
    up.stdin.end();
    expect((await locking).answer).toBe("locked\n");
  });

  it("appends whole lines to the ledger, also after one that a crash cut short", () => {
    expect(tool(["ledger"], '{"id":"a"}\n').code).toBe(0);
    spawnSync("sh", ["-c", `printf '{"id":"b' >> ${root}/operations/ledger.jsonl`]);
    expect(tool(["ledger"], '{"id":"c"}\n').code).toBe(0);
    expect(readFileSync(join(root, "operations/ledger.jsonl"), "utf8")).toBe(
      '{"id":"a"}\n{"id":"b\n{"id":"c"}\n',
    );
    expect(tool(["operations", "1"]).out).toBe('free\n{"id":"c"}\n');
  });

  it("keeps a window's note for whoever holds the lock, and shows it to everybody", async () => {
    expect(tool(["maintenance"])).toEqual({ code: 0, out: "", err: "" });
    expect(tool(["maintenance", "note", "one"], '{"version":1}\n')).toMatchObject({
      code: 1,
      err: "error: maintenance note: the host's lock is not held with this token; take it first\n",
    });
    await hold("one");
    expect(tool(["maintenance", "note", "two"], '{"version":1}\n').code).toBe(1);
    expect(tool(["maintenance", "note", "one"], '{"version":1}\n').code).toBe(0);
    expect(tool(["maintenance"]).out).toBe('{"version":1}\n');
    expect(tool(["maintenance", "forget", "two"]).code).toBe(1);
    expect(tool(["maintenance", "forget", "one"]).code).toBe(0);
    expect(tool(["maintenance", "forget", "one"]).code).toBe(0);
    expect(tool(["maintenance"]).out).toBe("");
    expect(tool(["maintenance", "end"]).err).toContain("allowed: note, forget");
  });
});

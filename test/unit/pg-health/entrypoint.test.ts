import { execFileSync, spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Entrypoint } from "../../../components/pg-health/sidecar/entrypoint.ts";
import type { EntrypointStatus, OrderReport } from "../../../components/pg-health/sidecar/entrypoint.ts";

let directory: string;
let reader: ChildProcessByStdio<null, Readable, null> | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "pg-health-"));
});
afterEach(() => {
  reader?.kill();
  reader = undefined;
  rmSync(directory, { recursive: true, force: true });
});

const now = (): number => Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);

function report(order: OrderReport | null, change: Partial<EntrypointStatus> = {}): void {
  const status: EntrypointStatus = {
    state: "waiting",
    postgres: "waiting",
    pid: null,
    exitCode: null,
    order,
    heartbeat: now(),
    incarnation: "1.1",
    ...change,
  };
  writeFileSync(`${directory}/status.json.new`, JSON.stringify(status));
  renameSync(`${directory}/status.json.new`, `${directory}/status.json`);
}

/** Stands in for the entrypoint: hears orders and answers each with the given results, one after the other. */
async function muscle(results: readonly OrderReport["result"][], message = ""): Promise<string[]> {
  execFileSync("mkfifo", [`${directory}/orders`]);
  // The FIFO is open for reading and writing, as the entrypoint has it: it never sees an end of file.
  const script = 'exec 3<>"$1"; echo open; while IFS= read -r line <&3; do printf "%s\\n" "$line"; done';
  reader = spawn("bash", ["-c", script, "-", `${directory}/orders`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: reader.stdout });
  await once(lines, "line");
  const heard: string[] = [];
  lines.on("line", (line) => {
    heard.push(line);
    const [id = "", verb = ""] = line.split(" ");
    for (const result of results) report({ id, verb, result, message });
  });
  report(null);
  return heard;
}

describe("Entrypoint.look", () => {
  it.each([
    ["nothing", undefined, "has not reported yet"],
    ["no JSON", "{", "is not JSON"],
    ["another thing", '{"a":1}', "is not a status"],
  ])("does not answer with %s", async (_name, text, why) => {
    if (text !== undefined) writeFileSync(`${directory}/status.json`, text);
    expect(await new Entrypoint(directory).look()).toEqual({
      answers: false,
      why: expect.stringContaining(why) as string,
    });
  });

  it("believes only a fresh heartbeat of this boot", async () => {
    const entrypoint = new Entrypoint(directory);
    report(null);
    expect(await entrypoint.look()).toMatchObject({ answers: true });
    report(null, { heartbeat: now() - 8 });
    expect(await entrypoint.look()).toMatchObject({ answers: false });
    report(null, { heartbeat: now() + 1000 });
    expect(await entrypoint.look()).toMatchObject({ answers: false });
    report(null, { heartbeat: 0, state: "stopped", postgres: "stopped" });
    expect(await entrypoint.look()).toEqual({ answers: false, why: "the entrypoint has left" });
  });
});

describe("Entrypoint.order", () => {
  it("waits for the end of its own order", async () => {
    const heard = await muscle(["running", "done"]);
    const end = await new Entrypoint(directory).order("start", ["primary"], 5000);
    expect(end).toMatchObject({ verb: "start", result: "done" });
    expect(heard).toEqual([expect.stringMatching(/^[0-9a-f]{12} start primary$/)]);
  });

  it.each(["failed", "refused"] as const)(
    "fails with the entrypoint's reason when it is %s",
    async (result) => {
      await muscle([result], "busy: initdb");
      await expect(new Entrypoint(directory).order("adopt", [], 5000)).rejects.toMatchObject({
        result,
        message: `adopt ${result}: busy: initdb`,
      });
    },
  );

  it("gives up on a silent one, and then sends the next", async () => {
    const heard = await muscle(["running"]);
    const entrypoint = new Entrypoint(directory);
    const both = await Promise.allSettled([
      entrypoint.order("initdb", [], 300),
      entrypoint.order("stop", ["fast"], 300),
    ]);
    expect(
      both.map((end) => (end.status === "rejected" ? (end.reason as { result: string }).result : "")),
    ).toEqual(["silent", "silent"]);
    expect(heard.map((line) => line.split(" ")[1])).toEqual(["initdb", "stop"]);
  });

  it("does not wait for a FIFO that nobody reads", async () => {
    report(null);
    execFileSync("mkfifo", [`${directory}/orders`]);
    await expect(new Entrypoint(directory).order("start", ["primary"], 5000)).rejects.toThrow(
      "the entrypoint takes no orders (ENXIO)",
    );
    rmSync(`${directory}/orders`);
    await expect(new Entrypoint(directory).order("start", ["primary"], 5000)).rejects.toThrow("ENOENT");
  });

  it("gives an order up when the entrypoint starts anew on the way", async () => {
    const heard = await muscle(["running"]);
    const order = new Entrypoint(directory).order("start", ["primary"], 60_000);
    await vi.waitFor(() => expect(heard).toHaveLength(1));
    report(null, { incarnation: "2.2" });
    await expect(order).rejects.toMatchObject({
      result: "silent",
      message: "start: the entrypoint started anew on the way",
    });
  });

  it("lets no argument break out of its line", async () => {
    const heard = await muscle(["done"]);
    for (const argument of ["a b", "a\nb", "", "$(id)"])
      await expect(new Entrypoint(directory).order("basebackup", [argument], 1000)).rejects.toThrow(
        "no plain word",
      );
    expect(heard).toEqual([]);
  });
});
